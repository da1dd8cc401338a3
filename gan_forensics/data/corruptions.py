"""The 19 corruptions of ImageNet-C in five severities, on the host, at any size.

Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations" (ICLR 2019), as RepMix (Bui, Yu and Collomosse, ECCV 2022) trains and tests with
them. Each is a pure function of an image (uint8 [h, w, c], c = 1 or 3, RGB), a severity (1 to 5)
and a generator of numpy, `RandomState` (whose draws are the published ones) or `Generator`. How
lengths follow the size of an image stands in `corruption_scale`. Gray images of corruptions that
have a colour go through three equal channels and back to luma.
"""

from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from gan_forensics.data import corruption_frost as ice
from gan_forensics.data.augment import grayscale
from gan_forensics.data.corruption_blur import (
    defocus_blur,
    gaussian_blur,
    glass_blur,
    motion_blur,
    zoom_blur,
)
from gan_forensics.data.corruption_digital import (
    brightness,
    contrast,
    jpeg_compression,
    pixelate,
    saturate,
)
from gan_forensics.data.corruption_elastic import elastic_transform
from gan_forensics.data.corruption_noise import (
    gaussian_noise,
    impulse_noise,
    shot_noise,
    speckle_noise,
)
from gan_forensics.data.corruption_scale import PUBLISHED_SIDE, Corruption, Pixels, Rng
from gan_forensics.data.corruption_spatter import spatter
from gan_forensics.data.corruption_weather import fog, snow
from gan_forensics.data.images import as_image, pillow_resize

SEVERITIES = (1, 2, 3, 4, 5)
# In the order of the published numbers, 0 to 18.
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": ice.frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "saturate": saturate,
}
# RepMix trains with fifteen of them and keeps four for testing.
HELD_OUT_CORRUPTIONS = ("glass_blur", "motion_blur", "zoom_blur", "snow")
TRAIN_CORRUPTIONS = tuple(name for name in CORRUPTIONS if name not in HELD_OUT_CORRUPTIONS)
# Beside those of ImageNet-C: frost where its textures are not at hand.
PROCEDURAL = "frost_procedural"
KINDS: dict[str, Corruption] = {**CORRUPTIONS, PROCEDURAL: ice.frost_procedural}
# They tint, or are defined in HSV.
IN_COLOUR = ("frost", PROCEDURAL, "brightness", "saturate", "spatter")


def corrupt(
    image: Pixels,
    name: str,
    severity: int,
    rng: Rng,
    *,
    channel_order: Literal["rgb", "bgr"] = "rgb",
    frost_textures: Path | str | None = None,
    at: Literal["own", "published"] = "own",
) -> Pixels:
    """An image after a corruption, of its shape.

    Args:
        image: uint8 [h, w, c] RGB or gray.
        name: of `KINDS`.
        severity: 1 to 5.
        rng: what draws; corruptions without randomness leave it alone.
        channel_order: "bgr": channels are reversed before and after, as RepMix's released wrapper
            does to functions written for RGB.
        frost_textures: folder of the textures of "frost"; None for an installed package's.
        at: "published": resized to 224x224 and back (bilinear), as that wrapper does; the resizing
            alone takes the traces of generators out of small images.

    Raises:
        ValueError: for an unknown name (with near ones), severity, order or size, or for pixels
            that are not uint8.
        FileNotFoundError: for "frost" without its textures.
    """
    image = as_image(image)
    check_name(name, KINDS, "corruption")
    if severity not in SEVERITIES:
        raise ValueError(f"the severity of a corruption is 1, 2, 3, 4 or 5, got {severity!r}")
    for option, value, allowed in (
        ("channel_order", channel_order, ("rgb", "bgr")), ("at", at, ("own", "published")),
    ):  # fmt: skip
        if value not in allowed:
            raise ValueError(f"{option} is {value!r}; choose {' or '.join(allowed)}")
    shape = image.shape
    if at == "published" and shape[:2] != (PUBLISHED_SIDE, PUBLISHED_SIDE):
        image = pillow_resize(image, PUBLISHED_SIDE, PUBLISHED_SIDE)
    gray = shape[-1] == 1 and name in IN_COLOUR
    if gray:
        image = np.repeat(image, 3, -1)
    order = slice(None, None, -1 if channel_order == "bgr" else 1)
    apply = partial(ice.frost, textures=frost_textures) if name == "frost" else KINDS[name]
    image = apply(np.ascontiguousarray(image[..., order]), severity, rng)[..., order]
    if gray:
        image = grayscale(image)[..., :1]
    if image.shape != shape:
        image = pillow_resize(np.ascontiguousarray(image), *shape[:2])
    return np.ascontiguousarray(image)


def check_name(name: str, known, what: str) -> None:
    """Refuse a name that is not known.

    Raises:
        ValueError: with names near to it, or all of them.
    """
    if name not in known:
        near = get_close_matches(name, known, n=5, cutoff=0.5)
        raise ValueError(
            f"unknown {what} {name!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"choose of {', '.join(known)}")
        )
