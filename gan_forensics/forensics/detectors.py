"""Spectral detectors: features, a classical classifier and a calibrated threshold in one file.

Scores rise with the evidence that an image was generated.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from gan_forensics.data import ArraySource, Source, chunks
from gan_forensics.data.files import check_file_in
from gan_forensics.forensics import neural
from gan_forensics.forensics.archive import check_fields, read_detector, write_detector
from gan_forensics.forensics.calibration import Calibration, calibrate, smallest_calibration_set
from gan_forensics.forensics.canvases import room
from gan_forensics.forensics.classifiers import CLASSIFIERS, check_finite, fit_table
from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.features import FEATURES, RADIAL, Features, check_images, lookup

Images = UInt8[np.ndarray, "n h w c"]


@dataclass(frozen=True, eq=False)
class SpectralDetector:
    """A fitted detector; call `score`, compare with `threshold`.

    Attributes:
        features: a key of `FEATURES`.
        classifier: the name it was fitted under, a key of `CLASSIFIERS`.
        image_shape: (h, w, c) of the images it was fitted on; others are refused, because spectra
            of resized images are not the same spectra.
        model: the fitted classifier as plain arrays.
        threshold: score above which an image is called generated.
        calibration: sample counts and error rates behind the threshold.
    """

    features: str
    classifier: str
    image_shape: tuple[int, int, int]
    model: Classifier
    threshold: float
    calibration: Calibration

    @property
    def name(self) -> str:
        """Features and classifier, for tables."""
        return f"{self.features}-{self.classifier}"

    def score(self, images: Images | Sequence[np.ndarray]) -> Float64[np.ndarray, " n"]:
        """Score images; higher = more likely generated.

        Neighbours give the share of generated neighbours in [0, 1], support vector machines a
        signed decision value, the others a logit. NaN for an image without finite features, such
        as one of a single flat colour.

        Args:
            images: uint8 of the size that the detector was fitted on, or a list of such images.

        Raises:
            ValueError: on images of another type or size.
        """
        images = np.asarray(images)
        check_images(images)
        self.check_shape(images.shape[1:])
        return self.model.decide(FEATURES[self.features](images))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse images [h, w, c] of another size than it was fitted on (ValueError)."""
        if shape != self.image_shape:
            raise ValueError(
                f"images of {_size(shape)} do not fit a detector fitted on "
                f"{_size(self.image_shape)}: crop them to that size (resizing changes the "
                "spectrum), or fit a detector on images of this size"
            )

    def save(self, path: Path | str) -> None:
        """Write it to a file for `load_detector`."""
        header = {
            "kind": "spectral",
            "features": self.features,
            "classifier": self.classifier,
            "image_shape": list(self.image_shape),
            "rings": RINGS,
            "decision": self.model.kind,
            "threshold": self.threshold,
            "calibration": self.calibration,
        }
        arrays = {f"model/{name}": array for name, array in self.model.arrays.items()}
        scaling = {"mean": self.model.mean, "scale": self.model.scale}
        write_detector(path, header, scaling | arrays)


# Of which the radii of features are; files of images that are not square had those of pixels once.
RINGS = "frequency"
# What tells generated images from real ones: `score`, a `threshold` for scores, a `name`, `save`.
Detector = SpectralDetector | neural.NeuralDetector


def fit_detector(
    real: Images | Source,
    fake: Images | Source,
    *,
    features: str = "durall",
    classifier: str = "knn",
    seed: int = 0,
    calibration: float = 0.05,
    held_out: float = 0.2,
    progress: Callable[[range], Iterable[int]] = iter,
) -> SpectralDetector:
    """Fit a detector of generated images and calibrate its threshold on images kept out of it.

    The threshold is the score that at most `floor(calibration * (n + 1)) - 1` of the n held-out
    real images exceed. A new real image of the same kind then raises a false alarm with
    probability at most `calibration` (the argument of split conformal prediction).

    Args:
        real: real images: uint8 [n, h, w, c], or a source of such images, of which no more than a
            batch is in memory at a time, beside the features of all.
        fake: generated images of the same size, likewise.
        features: a key of `FEATURES`.
        classifier: a key of `CLASSIFIERS`.
        seed: of the split and of the classifier.
        calibration: accepted share of false alarms on real images, in (0, 1).
        held_out: share of either class kept out of training, in (0, 1).
        progress: as in `chunks`, for each class.

    Raises:
        ValueError: on unknown names, sizes that differ, or too few images for the calibration.
    """
    extract = lookup(FEATURES, features, "features")
    lookup(CLASSIFIERS, classifier, "classifier")
    for name, share in (("calibration", calibration), ("held_out", held_out)):
        if not 0 < share < 1:
            raise ValueError(f"{name} is a share between 0 and 1 (exclusive), got {share}")
    sources = {"real": _as_source(real), "generated": _as_source(fake)}
    shape, other = (source[0]["image"].shape for source in sources.values())
    if shape != other:
        raise ValueError(
            f"real images of {_size(shape)} and generated images of {_size(other)}: both must have "
            "one size (images with size=N, --size N) and have passed through the same decoding, "
            "cropping and compression, or the detector learns that difference"
        )
    rng = np.random.default_rng(seed)
    real_train, real_held = _split(len(sources["real"]), held_out, rng, "real")
    fake_train, fake_held = _split(len(sources["generated"]), held_out, rng, "generated")
    needed = smallest_calibration_set(calibration)
    if len(real_held) < needed:
        accepted = math.ceil(100 / (len(real_held) + 1)) / 100
        raise ValueError(
            f"{len(sources['real'])} real images leave {len(real_held)} for calibrating the "
            f"threshold, but a share of {calibration:g} false alarms needs at least {needed}: give "
            f"{math.ceil(needed / held_out)} real images, or accept more false alarms "
            f"(--false-alarms {accepted:g})"
        )

    # One table of all features, the rows to train on before those that are held out.
    n_train = len(real_train) + len(fake_train)
    rows = {name: np.empty(len(source), int) for name, source in sources.items()}
    rows["real"][real_train] = np.arange(len(real_train))
    rows["generated"][fake_train] = np.arange(len(real_train), n_train)
    rows["real"][real_held] = np.arange(n_train, n_train + len(real_held))
    rows["generated"][fake_held] = np.arange(n_train + len(real_held), sum(map(len, rows.values())))
    table = _feature_table(sources, rows, extract, shape, progress)
    generated = np.repeat([0.0, 1.0], [len(real_train), len(fake_train)])
    model = fit_table(table[:n_train], generated, classifier=classifier, seed=seed)
    threshold, facts = calibrate(
        model.decide(table[n_train : n_train + len(real_held)]),
        model.decide(table[n_train + len(real_held) :]),
        n_real=len(real_train),
        n_fake=len(fake_train),
        false_alarms=calibration,
        seed=seed,
    )
    return SpectralDetector(features, classifier, shape, model, threshold, facts)


def _as_source(images: Images | Source) -> Source:
    """The images as a source that is not empty."""
    if hasattr(images, "dtype"):
        check_images(images)  # pyright: ignore[reportArgumentType]
        return ArraySource(image=images)  # pyright: ignore[reportArgumentType]
    if not len(images):
        raise ValueError("a source of images is empty: give at least one image")
    return images  # pyright: ignore[reportReturnType]


def _feature_table(
    sources: Mapping[str, Source],
    rows: Mapping[str, np.ndarray],
    extract: Callable[[Images], Features],
    shape: tuple[int, ...],
    progress: Callable[[range], Iterable[int]],
) -> Features:
    """Features of all images, image i of a class in row `rows[class][i]`, a batch at a time.

    Raises:
        ValueError: for images of another shape, and for features that are not finite.
    """
    at_once = room(shape[0], shape[1])
    table = np.empty((0, 0))
    for name, source in sources.items():
        finite = np.ones(len(source), bool)
        done = 0
        for part in chunks(source, at_once, progress=progress):
            images = part["image"]
            if images.shape[1:] != shape:
                raise ValueError(
                    f"{name} images of {_size(images.shape[1:])} among images of {_size(shape)}: "
                    "bring all to one size (images with size=N, --size N)"
                )
            check_images(images)
            values = extract(images)
            if not table.size:
                table = np.empty((sum(map(len, rows.values())), values.shape[1]))
            here = slice(done, done + len(images))
            table[rows[name][here]] = values
            finite[here] = np.isfinite(values).all(axis=1)
            done += len(images)
        check_finite(name, finite)
    return table


def load_detector(path: Path | str) -> Detector:
    """Read a spectral or neural detector that its `save` wrote; nothing in the file is executed.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: in one line, when it is no detector file or does not fit together.
    """
    check_file_in(
        path, "a detector file, which `gan-forensics detect fit` or `train detector` writes"
    )
    try:
        header, arrays = read_detector(path)
        return lookup(KINDS, header["kind"], "kind of detector")(header, arrays)
    except OSError:
        raise
    except Exception as error:  # What a hostile header asks for can fail anywhere.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{path} is not a usable detector file: {reason} "
            "(write one with `gan-forensics detect fit` or `train detector`)"
        ) from error


def _assemble(header: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> SpectralDetector:
    """Check a header and arrays against each other and build the detector."""
    wanted = {"features": str, "classifier": str, "image_shape": list, "decision": str}
    check_fields(header, {**wanted, "calibration": Calibration})
    shape = header["image_shape"]
    if len(shape) != 3 or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"image shape {shape} is not [h, w, c]")
    lookup(FEATURES, header["features"], "features")
    if shape[0] != shape[1] and header["features"] in RADIAL and header.get("rings") != RINGS:
        raise ValueError(
            f"it was fitted on images of {shape[0]}x{shape[1]} by a version whose rings were "
            "ellipses of frequency on images that are not square: fit it again"
        )
    if missing := {"mean", "scale"} - arrays.keys():
        raise ValueError(f"it lacks the arrays {sorted(missing)}")
    mean, scale = arrays.pop("mean"), arrays.pop("scale")
    named = {name.removeprefix("model/"): array for name, array in arrays.items()}
    return SpectralDetector(
        features=header["features"],
        classifier=header["classifier"],
        image_shape=(shape[0], shape[1], shape[2]),
        model=Classifier(header["decision"], mean, scale, named),
        threshold=header["threshold"],
        calibration=header["calibration"],
    )


KINDS: dict[str, Callable[[Mapping[str, Any], dict[str, np.ndarray]], Detector]] = {
    "spectral": _assemble,
    "neural": neural.assemble,
}


def _split(n: int, held_out: float, rng: np.random.Generator, what: str):
    """Random disjoint indices of the training and the held-out images, neither empty."""
    n_held = round(n * held_out)
    if not 0 < n_held < n:
        raise ValueError(
            f"{n} {what} images cannot be split with a share of {held_out:g} held out: both parts "
            "need at least one image"
        )
    order = rng.permutation(n)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


def _size(shape) -> str:
    height, width, channels = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"
