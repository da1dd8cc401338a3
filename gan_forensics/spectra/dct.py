"""Discrete cosine spectra as detector inputs (Frank et al., ICML 2020).

The input of their classifiers is ln(|D| + 1e-12) of the orthonormal two-dimensional DCT-II of the
pixels in [0, 255], per channel, then standardised per coefficient with mean and population standard
deviation of the training set. Float64 on the host.
"""

import numpy as np
from jaxtyping import Array, Float, Num, UInt8

from gan_forensics.spectra.chunks import over_chunks
from gan_forensics.spectra.gray import as_array, in_levels
from gan_forensics.spectra.statistic import SpectrumSummary

EPSILON = 1e-12


def dct2(images: Num[Array | np.ndarray, "b h w *c"]) -> Float[np.ndarray, "b h w *c"]:
    """Orthonormal DCT-II over height and width, channel by channel; float64, any range.

    Example:
        >>> import numpy as np
        >>> dct2(np.ones((1, 4, 4)))[0, 0].round(6).tolist()
        [4.0, 0.0, 0.0, 0.0]
    """
    from scipy.fft import dctn

    pixels = np.asarray(images, np.float64)
    return np.asarray(dctn(pixels, axes=(1, 2), norm="ortho"))


def log_dct(images: UInt8[Array | np.ndarray, "b h w *c"]) -> Float[np.ndarray, "b h w *c"]:
    """ln(|D| + 1e-12) with D the DCT of 8-bit images, in the shape of the images.

    Raises:
        ValueError: for images that are not uint8, or no batch of images.

    Example:
        >>> import numpy as np
        >>> log_dct(np.ones((1, 4, 4, 3), np.uint8))[0, 0, 0].round(3).tolist()  # ln 4
        [1.386, 1.386, 1.386]
    """
    images = in_levels(images, "DCT features")
    return over_chunks(lambda chunk: np.log(np.abs(dct2(chunk)) + EPSILON), images)


def dct_features(images: UInt8[Array | np.ndarray, "b h w *c"]) -> Float[np.ndarray, "b d"]:
    """`log_dct`, flattened to one row per image for the classifiers; not yet standardised.

    Example:
        >>> import numpy as np
        >>> dct_features(np.ones((2, 4, 4, 3), np.uint8)).shape
        (2, 48)
    """
    spectra = log_dct(images)
    return spectra.reshape(len(spectra), int(np.prod(spectra.shape[1:])))


def pixel_features(images: UInt8[Array | np.ndarray, "b h w *c"]) -> Float[np.ndarray, "b d"]:
    """The authors' pixel baseline: x / 127.5 - 1, one row per image; float64.

    Raises:
        ValueError: for images that are not uint8, or no batch of images.

    Example:
        >>> import numpy as np
        >>> pixel_features(np.full((1, 1, 2, 1), 255, np.uint8)).tolist()
        [[1.0, 1.0]]
    """
    images = in_levels(images, "pixel features")
    scaled = images / 127.5 - 1
    return scaled.reshape(len(scaled), int(np.prod(scaled.shape[1:])))


def standardise(
    values: Float[Array | np.ndarray, "b *bins"], summary: SpectrumSummary
) -> Float[Array | np.ndarray, "b *bins"]:
    """(values - mean) / std per bin; a bin without spread is only centred.

    Args:
        values: one spectrum per row.
        summary: mean and spread of the training set, from `SpectrumStatistic.result`, so that a
            training set of any size can be streamed.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.spectra import SpectrumStatistic
        >>> train = np.array([[1.0, 5.0], [3.0, 5.0]])
        >>> summary = SpectrumStatistic.zero(2).update(train).result()
        >>> standardise(train, summary).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    spread = summary.std + (summary.std == 0)
    return (values - summary.mean[None]) / spread[None]


def dct_picture(
    image: UInt8[np.ndarray, "h w c"], *, log: bool = True
) -> Float[np.ndarray, "h w c"]:
    """The spectrum of one image as a picture in [0, 1], as RepMix offers it as an input.

    ln(|D| + 1e-12), or D itself, less its minimum over all channels and divided by its range. Its
    8-bit form is floor(255 x).

    Example:
        >>> import numpy as np
        >>> float(dct_picture(np.ones((4, 4, 3), np.uint8), log=False).max())
        1.0
    """
    image = as_array([image])[0]
    values = log_dct(image[None])[0] if log else dct2(image[None])[0]
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
