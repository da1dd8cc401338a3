"""PRNU: sources told apart by the fingerprints that they leave in noise residuals.

As Marra et al., "Do GANs leave artificial fingerprints?" (MIPR 2019), and Frank et al. (ICML 2020)
use it; `noise_residuals` has the equations. An image is given to the source with the largest
normalised inner product of fingerprint and residual, as they lie. Levels of the wavelet and the
noise's deviation are chosen on validation images. Real images are a source like any other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int, UInt8

from gan_forensics.data import Rgb, Source, chunks
from gan_forensics.files.progress import progress_bar
from gan_forensics.forensics.attribution_model import Outputs, check_labels, check_training_labels
from gan_forensics.forensics.noise_residuals import (
    Images,
    estimate_weights,
    finished,
    noise_under,
    normalised_correlation,
    residual,
)
from gan_forensics.spectra import wavelets

# The smallest side whose halved coefficients are not all of the edges.
SMALLEST = 14
# Of Frank et al.'s grid (1 to 4 levels, sigma .05 to .95 by .05) all levels and a few deviations.
LEVELS = (1, 2, 3, 4)
SIGMAS = (0.05, 0.25, 0.5, 0.95)
# Pixels of a chunk of images; its coefficients and their energies take some 300 bytes for each.
PIXELS = 2**18


@dataclass(frozen=True, eq=False)
class PrnuModel:
    """Fingerprints of sources, with the levels and the deviation that residuals are taken with.

    Logits are the normalised inner products times sqrt(h w): in units of the deviation that they
    have for residuals which are independent from pixel to pixel and of every fingerprint.
    Features are the inner products themselves, one for each source.
    """

    fingerprints: Float32[np.ndarray, "classes h w"]
    levels: int
    sigma: float
    validation_accuracy: float

    @property
    def settings(self) -> Mapping[str, Any]:
        """What residuals are taken with, and what that reached on the validation images."""
        names = ("levels", "sigma", "validation_accuracy")
        return {name: getattr(self, name) for name in names}

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The fingerprints."""
        return {"fingerprints": self.fingerprints}

    def outputs(self, images: UInt8[np.ndarray, "n h w 3"]) -> Outputs:
        """Logits and features of images.

        Raises:
            ValueError: for images of another size than the fingerprints, or not uint8 RGB.
        """
        images = check_images(images, self.fingerprints.shape[1:])
        size = _chunk(images.shape[1:3])
        parts = [images[i : i + size] for i in range(0, len(images), size)]
        rows = [self._correlations(part) for part in parts]
        features = np.concatenate([np.zeros((0, len(self.fingerprints))), *rows])
        return Outputs(features * np.sqrt(self.fingerprints[0].size), features)

    def _correlations(self, images: Images) -> Float64[np.ndarray, "n classes"]:
        return normalised_correlation(residual(images, self.levels, self.sigma), self.fingerprints)


def fit_prnu(
    source: Source,
    labels: Int[np.ndarray, " n"],
    validation: Source,
    validation_labels: Int[np.ndarray, " m"],
    *,
    classes: int,
    levels: Sequence[int] = LEVELS,
    sigmas: Sequence[float] = SIGMAS,
) -> PrnuModel:
    """Fingerprints of all classes, with the levels and sigma that name most validation images.

    Of the levels no more are tried than the side has coefficients for that no edge reaches (see
    `wavelets.most_levels`): 4 from 112 pixels on, 3 from 56, 2 from 28, 1 from 14. Of equally good
    settings the first is taken. Every image is read once and decomposed once. Sums are streamed:
    len(levels) len(sigmas) classes h w 3 numbers of 4 bytes.

    Args:
        source: uint8 images of one size.
        labels: the class of each, 0 to classes - 1, all of them present.
        validation, validation_labels: as these, other images.
        classes: number of sources, the real one among them.
        levels, sigmas: the settings to try.

    Raises:
        ValueError: for labels that do not fit, a class without images, no setting to try, images
            of different sizes, or below 14 pixels.
    """
    labels = check_training_labels(labels, len(source), classes)
    validation_labels = check_labels(validation_labels, len(validation), classes, "validation")
    if not len(validation):
        raise ValueError("no validation images: they choose levels and sigma; give some")
    first = check_images(Rgb(source)[0]["image"][None])[0]
    side = first.shape[:2]
    allowed = [level for level in levels if 1 <= level <= max(1, wavelets.most_levels(min(side)))]
    grid = [(level, float(sigma)) for level in allowed for sigma in sigmas]
    if not grid or min(sigmas) <= 0:
        raise ValueError(
            f"nothing to try for images of {side[0]}x{side[1]}: levels {tuple(levels)} must hold "
            f"one of 1 to {max(1, wavelets.most_levels(min(side)))}, and sigmas {tuple(sigmas)} be "
            "positive"
        )
    sums = {setting: np.zeros((classes, *first.shape), np.float32) for setting in grid}
    weights = np.zeros((classes, *first.shape), np.float32)
    for images, of in _batches(source, labels, side, "images"):
        here = np.unique(of)
        for label in here:
            weights[label] += estimate_weights(images[of == label])
        for setting, noise in noise_under(images, grid):
            noise *= images / 255
            for label in here:
                sums[setting][label] += noise[of == label].sum(0)
    fingerprints = {setting: finished(total / (1 + weights)) for setting, total in sums.items()}
    right = dict.fromkeys(grid, 0)
    for images, of in _batches(validation, validation_labels, side, "validation images"):
        for setting, noise in noise_under(images, grid):
            scores = normalised_correlation(finished(noise), fingerprints[setting])
            right[setting] += int((scores.argmax(1) == of).sum())
    best = max(grid, key=right.__getitem__)
    accuracy = right[best] / len(validation)
    return PrnuModel(fingerprints[best].astype(np.float32), *best, accuracy)


def assemble(
    settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], classes: int
) -> PrnuModel:
    """The model of these settings and arrays.

    Raises:
        ValueError: when they do not fit each other.
    """
    fingerprints = np.asarray(arrays.get("fingerprints"))
    if fingerprints.ndim != 3 or len(fingerprints) != classes or min(fingerprints.shape) < 1:
        raise ValueError(
            f"{classes} classes need fingerprints [{classes}, h, w], not {list(fingerprints.shape)}"
        )
    if not np.isfinite(fingerprints.astype(np.float64)).all():
        raise ValueError("a fingerprint is not finite")
    levels, sigma = settings.get("levels"), settings.get("sigma")
    accuracy = settings.get("validation_accuracy")
    if not (type(levels) is int and 1 <= levels <= 16 and isinstance(sigma, float) and sigma > 0):
        raise ValueError(f"levels {levels!r} and sigma {sigma!r} must be positive numbers")
    if not isinstance(accuracy, int | float):
        raise ValueError(f"validation_accuracy {accuracy!r} is no number")
    return PrnuModel(fingerprints.astype(np.float32), levels, sigma, float(accuracy))


def check_images(images: np.ndarray, side: Sequence[int] | None = None) -> Images:
    """Images, if they are uint8 RGB of enough pixels (and of this height and width)."""
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            f"PRNU is taken from uint8 RGB images [n, h, w, 3], got {images.dtype} "
            f"{list(images.shape)}"
        )
    height, width = images.shape[1:3]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"images of {height}x{width} are too small for PRNU: sides of {SMALLEST} or more"
        )
    if side is not None and (height, width) != tuple(side):
        raise ValueError(
            f"fingerprints of {side[0]}x{side[1]} cannot be compared with images of "
            f"{height}x{width}: bring the images to that size as those of the fit were"
        )
    return images


def _chunk(side: Sequence[int]) -> int:
    return max(1, PIXELS // (side[0] * side[1]))


def _batches(
    source: Source, labels: np.ndarray, side: Sequence[int], what: str
) -> Iterator[tuple[Images, np.ndarray]]:
    """Images of this height and width and labels, a chunk at a time; a bar where it takes long."""
    size = _chunk(side)

    def progress(rows: range) -> Iterable[int]:
        return progress_bar(rows, desc=what, unit="chunk", brief=True)

    for i, batch in enumerate(chunks(Rgb(source), size, progress=progress)):
        yield check_images(batch["image"], side), labels[i * size : (i + 1) * size]
