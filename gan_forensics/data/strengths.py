"""Families of perturbations over a strength: recompression, resizing, blur and noise.

A member is named FAMILY-STRENGTH: "jpeg-75", "down-up-lanczos-0.5", "jpeg-75+webp-50" (JPEG of
quality 75, then WebP of 50). Strengths go from mild to strong. Each maps uint8 [h, w, c], c = 1 or
3, to the same, deterministically; the families that start with "resize" leave a smaller image.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.data.augment import blur, jpeg
from gan_forensics.data.carriers import Resizer, down_up, noise, scaled, webp
from gan_forensics.data.images import bilinear_resize, pillow_resize

Pixels = UInt8[np.ndarray, "h w c"]
QUALITIES = (95, 90, 75, 50, 30)
FACTORS = (0.9, 0.75, 0.5, 0.25)
# The quality of the first of two compressions: libjpeg's default.
FIRST = 75
Compression = Callable[[Pixels, int], Pixels]
COMPRESSIONS: dict[str, tuple[Compression, str]] = {"jpeg": (jpeg, "JPEG"), "webp": (webp, "WebP")}


@dataclass(frozen=True)
class Family:
    """A perturbation that has a strength.

    Attributes:
        apply: image and strength -> image.
        strengths: of its members, from mild to strong.
        words: what it does, for readers.
        axis: what the strength is.
    """

    apply: Callable[[Pixels, Any], UInt8[np.ndarray, "h2 w2 c"]]
    strengths: tuple[float, ...]
    words: str
    axis: str


def lanczos_resize(image: Pixels, height: int, width: int) -> UInt8[np.ndarray, "h2 w2 c"]:
    """Pillow's Lanczos resize of three lobes, which antialiases."""
    return pillow_resize(image, height, width, kernel=Image.Resampling.LANCZOS)


# The three that images meet: Pillow's and torchvision's default; OpenCV's and PyTorch's
# `interpolate`, which fold high frequencies down; and what face datasets are prepared with.
RESIZERS: dict[str, tuple[Resizer, str]] = {
    "bilinear": (pillow_resize, "bilinear, antialiased (Pillow)"),
    "opencv": (bilinear_resize, "bilinear, not antialiased (OpenCV)"),
    "lanczos": (lanczos_resize, "Lanczos (Pillow)"),
}


def _twice(image: Pixels, quality: int, first: Compression, second: Compression) -> Pixels:
    return second(first(image, FIRST), quality)


FAMILIES: dict[str, Family] = {
    "jpeg": Family(jpeg, QUALITIES, "JPEG", "quality"),
    "webp": Family(webp, (95, 90, 80, 75, 50, 30), "WebP", "quality"),
    **{
        f"{a}-{FIRST}+{b}": Family(
            partial(_twice, first=COMPRESSIONS[a][0], second=COMPRESSIONS[b][0]),
            QUALITIES,
            f"{COMPRESSIONS[a][1]} {FIRST}, then {COMPRESSIONS[b][1]}",
            "quality of the second",
        )
        for a, b in (("jpeg", "jpeg"), ("jpeg", "webp"), ("webp", "jpeg"))
    },
    # "down-up" alone is the carrier of that name: bilinear, antialiased.
    **{
        "down-up" if name == "bilinear" else f"down-up-{name}": Family(
            partial(down_up, resizer=resizer), FACTORS, f"shrunk and back, {words}", "factor"
        )
        for name, (resizer, words) in RESIZERS.items()
    },
    **{
        f"resize-{name}": Family(
            partial(scaled, resizer=resizer), FACTORS, f"shrunk, {words}", "factor"
        )
        for name, (resizer, words) in RESIZERS.items()
    },
    "blur": Family(blur, (0.5, 1, 2, 3), "Gaussian blur", "deviation in pixels"),
    "noise": Family(noise, (1, 3, 5, 10), "Gaussian noise", "deviation in levels"),
}


def members(family: str) -> dict[str, float]:
    """The names of a family with their strengths, from mild to strong.

    Example:
        >>> list(members("blur"))
        ['blur-0.5', 'blur-1', 'blur-2', 'blur-3']
    """
    return {f"{family}-{strength:g}": strength for strength in FAMILIES[family].strengths}


def in_words(families: Iterable[str]) -> str:
    """What families do, and what their strength is; names that are no family are left out.

    Example:
        >>> in_words(["blur", "fog"])
        'blur: Gaussian blur, by deviation in pixels'
    """
    known = [(name, FAMILIES[name]) for name in families if name in FAMILIES]
    return "; ".join(f"{name}: {family.words}, by {family.axis}" for name, family in known)
