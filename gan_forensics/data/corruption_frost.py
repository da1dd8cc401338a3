"""Frost of ImageNet-C (Hendrycks and Dietterich, ICLR 2019), from photographs of frosted panes.

The photographs are no part of this package. They are read from a folder, or from the files of an
installed `imagecorruptions` (Apache-2.0), which is not imported: it does not import on recent
Pythons, and it asks for another build of OpenCV than ours. `frost_procedural` is another corruption
that needs none.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gan_forensics.data.corruption_scale import Pixels, Rng, integers, published_shape
from gan_forensics.data.corruption_weather import fractal
from gan_forensics.data.decoding import load_image
from gan_forensics.data.images import pillow_resize

# Shares of the image and of the texture.
FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
# The last of the published six was never drawn.
NEVER_DRAWN = "frost6.jpg"
# Levels of ice, and how much slower than fog's its fractal decays.
ICE = np.array([198.0, 214.0, 232.0])
ICE_DECAY, ICE_EDGE = 1.3, 3


def frost(image: Pixels, severity: int, rng: Rng, *, textures: Path | str | None = None) -> Pixels:
    """A part of a texture is laid over the image.

    Args:
        image: uint8 [h, w, 3].
        severity: 1 to 5.
        rng: draws the texture and the corner of the part.
        textures: a folder of photographs; None for those of an installed `imagecorruptions`.

    Raises:
        FileNotFoundError: without textures.
    """
    files = texture_files(textures)
    texture = _read(files[integers(rng, 0, len(files))])
    height, width = published_shape(image.shape)
    missing = [
        max(0, side - had) for side, had in zip((height, width), texture.shape, strict=False)
    ]
    if any(missing):
        texture = np.pad(texture, [*((0, m) for m in missing), (0, 0)], "symmetric")
    top = integers(rng, 0, max(1, texture.shape[0] - height))
    left = integers(rng, 0, max(1, texture.shape[1] - width))
    part = texture[top : top + height, left : left + width]
    if part.shape[:2] != image.shape[:2]:
        part = pillow_resize(np.ascontiguousarray(part), *image.shape[:2])
    return frosted(image, severity, part)


def frost_procedural(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """Frost whose texture is computed, ridges of fractals; not the published corruption."""
    shape = published_shape(image.shape)
    ridges = np.zeros(shape)
    for _ in range(2):
        field = fractal(ICE_DECAY, rng)
        field = field[np.arange(shape[0])[:, None] % len(field), np.arange(shape[1]) % len(field)]
        ridges = np.maximum(ridges, (1 - np.abs(2 * field - 1)) ** ICE_EDGE)
    texture = (ridges[..., None] * ICE).astype(np.uint8)
    return frosted(image, severity, pillow_resize(texture, *image.shape[:2]))


def frosted(image: Pixels, severity: int, texture: Pixels) -> Pixels:
    """a x + b texture, both uint8 [h, w, 3]."""
    a, b = FROST[severity - 1]
    return np.clip(a * image + b * texture, 0, 255).astype(np.uint8)


def texture_files(folder: Path | str | None = None) -> list[Path]:
    """The photographs of a folder, or of an installed `imagecorruptions`, by name.

    Raises:
        FileNotFoundError: where there are none, saying how to get them.
    """
    if folder is None:
        found = find_spec("imagecorruptions")
        places = (found.submodule_search_locations or []) if found else []
        folders = [Path(place) / "frost" for place in places]
    else:
        folders = [Path(folder)]
    files = [
        path
        for place in folders if place.is_dir()
        for path in sorted(place.iterdir())
        if path.suffix.lower() in (".png", ".jpg", ".jpeg") and path.name != NEVER_DRAWN
    ]  # fmt: skip
    if not files:
        where = "imagecorruptions is not installed" if folder is None else f"{folder} has none"
        raise FileNotFoundError(
            f"frost needs its textures, and {where}: pip install --no-deps imagecorruptions==1.1.2,"
            " or name a folder of PNG or JPEG photographs of frost (--frost-textures DIR), or use "
            "frost_procedural, whose texture is computed"
        )
    return files


@lru_cache(maxsize=8)
def _read(path: Path) -> Pixels:
    return load_image(path)
