"""Features that spectral detectors look at: images in, one row of numbers per image out.

Every entry of `FEATURES` maps uint8 images [n, h, w, c] (c = 1 or 3) to float64 [n, d] and treats
each image on its own, so that scores do not depend on the company an image keeps. Radii are those
of frequency: on squares as published, on other shapes not the ellipses of the released code.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, UInt8

from gan_forensics import spectra
from gan_forensics.data.images import check_pixels, to_float
from gan_forensics.files import shown
from gan_forensics.spectra.chunks import over_chunks
from gan_forensics.spectra.curves import EPSILON, curves_of
from gan_forensics.spectra.gray import gray_channel

# The length Durall et al. resample CelebA curves to ("Unmasking DeepFakes with simple Features",
# arXiv 1911.00686). Their kernel widths suit this many values, so it is kept at every image size.
UNMASKING_VALUES = 80

T = TypeVar("T")
Images = UInt8[np.ndarray, "n h w c"]
Features = Float64[np.ndarray, "n d"]


def check_images(images: Images) -> None:
    """Refuse anything but a non-empty uint8 batch [n, h, w, 1 or 3]."""
    array = np.asarray(images)
    check_pixels(array)
    if array.size == 0:
        raise ValueError(f"images {list(array.shape)} hold no pixel: give at least one image")


def durall(images: Images) -> Features:
    """Radial mean of the log spectrum, min-max normalised per image (Durall et al., CVPR 2020)."""

    def curves(part):
        return curves_of(to_float(part), None, "min-max", EPSILON, "float64", "frequency")

    return _rows(over_chunks(curves, images))


def unmasking(images: Images) -> Features:
    """Spline-resampled radial mean, divided by its first value (arXiv 1911.00686), d = 80."""
    return _rows(spectra.unmasking_features(images, UNMASKING_VALUES, rings="frequency"))


def dzanic(images: Images) -> Features:
    """Exponent, start and end of the high-frequency decay fit as released (Dzanic et al., 2020)."""
    return _rows(spectra.dzanic_features(images, fit="released", rings="frequency"))


def dct(images: Images) -> Features:
    """Log magnitude of the orthonormal DCT-II per channel (Frank et al., 2020), d = h * w * c."""
    return _rows(spectra.dct_features(images))


def pixels(images: Images) -> Features:
    """x / 127.5 - 1, what Frank et al. compare the DCT with, d = h * w * c."""
    return _rows(spectra.pixel_features(images))


def _rows(features) -> Features:
    features = np.asarray(features, np.float64)
    return features.reshape(len(features), -1)


FEATURES: dict[str, Callable[[Images], Features]] = {
    "durall": durall,
    "unmasking": unmasking,
    "dzanic": dzanic,
    "dct": dct,
    "pixels": pixels,
}
# Those that are taken over rings of the spectrum, whose shape matters where images are not square.
RADIAL = frozenset({"durall", "unmasking", "dzanic"})


def looked_at(features: str, images: Images) -> UInt8[np.ndarray, "n h w k"]:
    """The pixels that features are of: radial ones of gray levels alone, others of all channels."""
    return images if features not in RADIAL else np.asarray(gray_channel(images))


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """Look a name up in a table; an unknown name is answered with the known ones."""
    if name not in table:
        raise ValueError(
            f"unknown {what} {shown(name)!r}: choose one of {', '.join(sorted(table))}"
        )
    return table[name]
