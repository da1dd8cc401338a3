"""Mean log-spectrum curves of sets of images, with the frequency axis that they run over."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gan_forensics.files import shown
from gan_forensics.spectra.chunks import PIXELS
from gan_forensics.spectra.curves import Normalise, check_normalise, log_spectrum_curve
from gan_forensics.spectra.gray import gray_channel
from gan_forensics.spectra.radial import ring_radii
from gan_forensics.spectra.statistic import SpectrumStatistic

if TYPE_CHECKING:
    from gan_forensics.data.survey import OnBadImage


class Curve(NamedTuple):
    """A mean radial spectrum.

    Attributes:
        mean: over images, at each ring, in the unit of `log_spectrum_curve`.
        deviation: population standard deviation over images.
        frequency: of each ring in cycles per pixel (`ring_radii`); None where it is not known, as
            in results of earlier versions.
        images: how many there were, where that is known.
        left_out: of how many "images" how many were "flat" or "unread", with the first names; {}
            where none was.

    Example:
        >>> import numpy as np
        >>> curve = Curve(np.ones(2), np.zeros(2), np.array([0.1, 0.5]), images=10)
        >>> curve.frequency.tolist(), curve.images
        ([0.1, 0.5], 10)
    """

    mean: Float[np.ndarray, " k"]
    deviation: Float[np.ndarray, " k"]
    frequency: Float[np.ndarray, " k"] | None = None
    images: int | None = None
    left_out: Mapping[str, Any] = MappingProxyType({})


def mean_curves(
    sets: Mapping[str, Any],
    *,
    normalise: Normalise = "min-max",
    size: int | None = None,
    on_bad_image: "OnBadImage" = "stop",
    progress: Callable[[range], Iterable[int]] = iter,
) -> dict[str, Curve]:
    """The mean curve of each set of images, its deviation, and the frequency of its rings.

    Each image has its curve (`log_spectrum_curve` in float64); flat ones (`data.flat`), which have
    no spectrum to speak of, are left out and counted. Few images are in memory at a time.

    Args:
        sets: label -> images as `gan_forensics.data.as_images` takes them, such as a folder's
            path; all of one size, because resizing changes what is measured.
        normalise: as in `log_spectrum_curve`.
        size: side of a square that all images are centre-cropped and resized to, if they are.
        on_bad_image: refuse files that cannot be read, naming them all, or leave them out.
        progress: wraps the places of images as they are read, twice for each set.

    Raises:
        ValueError: for images without a label, or of several sizes (naming two), a set without
            images, or of which all are flat, and an unknown normalisation.
        ImageError: for files that cannot be read.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
        >>> curve = mean_curves({"noise": noise})["noise"]
        >>> curve.images, len(curve.mean), len(curve.frequency)
        (4, 20, 20)
    """
    from gan_forensics.data import as_source, chunks
    from gan_forensics.data.survey import surveyed

    check_normalise(normalise)
    check_labelled(sets)
    opened = {}
    for label, images in sets.items():
        try:
            opened[label] = as_source(images, size=size)
        except ValueError as error:
            raise ValueError(f"{shown(label)}: {error}") from None
    surveys, usable, _ = surveyed(
        opened,
        view=lambda image: np.asarray(gray_channel(image)),
        on_bad_image=on_bad_image,
        progress=progress,
    )
    curves, shape, first = {}, None, ""
    for label, source, found in zip(opened, usable, surveys, strict=True):
        height, width = source[0]["image"].shape[:2]
        if shape not in (None, (height, width)):
            raise ValueError(
                f"{shown(label)} holds images of {height}x{width}, "
                f"{shown(first)} of {shape[0]}x{shape[1]}: bring all to one size (size=N, --resize "
                "N of spectrum)"
            )
        shape, first = (height, width), first or label
        statistic = None
        at_once = max(1, PIXELS // (height * width))
        for part in chunks(source, at_once, progress=progress):
            values = log_spectrum_curve(part["image"], normalise=normalise, precision="float64")
            statistic = (statistic or SpectrumStatistic.zero(values.shape[1])).update(values)
        assert statistic is not None  # `surveyed` refuses sets of which nothing is left.
        mean, deviation, count = (np.asarray(value) for value in statistic.result())
        curves[label] = Curve(mean, deviation, ring_radii(*shape), int(count), found.facts)
    return curves


def check_labelled(sets: Any) -> None:
    """Refuse images, paths and curves that have no label."""
    if not isinstance(sets, Mapping):
        raise ValueError(
            f"give label -> images, such as {{'photos': x}}, got {type(sets).__name__}"
        )
