"""What fingerprint networks are shown in the place of an image.

`dct_statistics` once over the training images, then `dct_input` of any; `noise_residual` needs no
fit.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32, UInt8

from gan_forensics.data import Rgb, Source, chunks
from gan_forensics.data.images import check_pixels, pillow_resize
from gan_forensics.files.progress import progress_bar
from gan_forensics.spectra import SpectrumStatistic, SpectrumSummary, log_dct, standardise

# Images of a chunk have about so many pixels, 24 bytes each in the spectrum.
PIXELS = 2**20


def dct_statistics(source: Source) -> SpectrumSummary:
    """Mean and population deviation of every log-DCT coefficient [h, w, 3] over a source, streamed.

    Raises:
        ValueError: for a source without images, or with images of different sizes.
    """
    if not len(source):
        raise ValueError("no images: the statistics of the DCT need some")
    shape = Rgb(source)[0]["image"].shape
    statistic = SpectrumStatistic.zero(shape)
    size = max(1, PIXELS // (shape[0] * shape[1]))

    def progress(rows: range) -> Iterable[int]:
        return progress_bar(rows, desc="DCT", unit="chunk", brief=True)

    for batch in chunks(Rgb(source), size, progress=progress):
        statistic = statistic.update(log_dct(batch["image"]))
    return statistic.result()


def dct_input(
    images: UInt8[np.ndarray, "n h w 3"], summary: SpectrumSummary
) -> Float32[np.ndarray, "n h w 3"]:
    """Log-DCT coefficients less their mean over the training images, in units of their deviation.

    A coefficient that is the same in all training images is only centred. `summary.mean` and
    `summary.std` are all that a file has to keep.

    Raises:
        ValueError: for images of another size than those of the statistics.
    """
    if np.shape(images)[1:] != summary.mean.shape:
        raise ValueError(
            f"images {list(np.shape(images))} do not fit DCT statistics of "
            f"{list(summary.mean.shape)}: bring them to that size"
        )
    return np.asarray(standardise(log_dct(images), summary), np.float32)


def noise_residual(
    image: UInt8[np.ndarray, "h w c"], factor: int = 16
) -> UInt8[np.ndarray, "h w c"]:
    """|x - up(down(x))|, bilinear by a factor each way, spread to [0, 255] and rounded down.

    As RepMix offers it as an input. An image of one colour has none: all zero.
    """
    check_pixels(image, "h, w")
    height, width = image.shape[:2]
    small = pillow_resize(image, max(1, height // factor), max(1, width // factor))
    difference = np.abs(image.astype(float) - pillow_resize(small, height, width))
    low, high = difference.min(), difference.max()
    if high == low:
        return np.zeros_like(image)
    return np.floor(255 * ((difference - low) / (high - low))).astype(np.uint8)
