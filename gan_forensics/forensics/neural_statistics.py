"""What networks keep of the images that they are trained on, set before training."""

from typing import Any

import flax.linen as nn
import numpy as np

from gan_forensics.data import Rgb, Source, chunks
from gan_forensics.forensics.neural import preprocess
from gan_forensics.nn.spectrum_classifier import DctClassifier, log_dct
from gan_forensics.runtime import jit
from gan_forensics.spectra.statistic import SpectrumStatistic

AT_ONCE = 64


def side_of(arch: str, shape: tuple[int, ...]) -> int:
    """The side of images [h, w, c], for a network of `OF_ONE_SIZE`.

    Raises:
        ValueError: for images that are no squares.
    """
    if shape[0] != shape[1]:
        raise ValueError(
            f"images of {shape[0]}x{shape[1]} pixels: {arch} takes squares of one size; cut or "
            "resize them (--match-sizes, --size)"
        )
    return int(shape[0])


def statistics(network: nn.Module, *sources: Source) -> dict[str, Any]:
    """The "batch_stats" that a network is to start with instead of its own; none for most.

    Mean and population deviation of each log-DCT coefficient over all images.

    Raises:
        ValueError: for images of another size than the network's.
    """
    if not isinstance(network, DctClassifier):
        return {}
    spectrum = jit(lambda images: log_dct(preprocess(images)))
    found = SpectrumStatistic.zero((network.side, network.side, 3))
    for source in sources:
        for chunk in chunks(Rgb(source), AT_ONCE):
            images = chunk["image"]
            if images.shape[1:3] != (network.side, network.side):
                raise ValueError(
                    f"images of {images.shape[1]}x{images.shape[2]} pixels beside others of "
                    f"{network.side}x{network.side}: the network takes one size"
                )
            filled = np.concatenate([images, np.repeat(images[:1], AT_ONCE - len(images), 0)])
            values = np.asarray(spectrum(filled), np.float64)
            found = found.update(values[: len(images)])
    summary = found.result()
    return {"mean": np.float32(summary.mean), "std": np.float32(summary.std)}
