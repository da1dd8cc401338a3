"""Spectral detectors: features, a classical classifier and a calibrated threshold in one file.

Scores rise with the evidence that an image was generated. A detector file is a NumPy archive of
plain numbers with a JSON header: nothing in it is executed, so it is safe to load from a stranger.
"""

import json
import math
import os
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64, UInt8

from gan_forensics.forensics.classifiers import check_rows, fit_classifier
from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.features import FEATURES, check_images, lookup
from gan_forensics.forensics.metrics import calibrated_threshold, smallest_calibration_set

FORMAT = "gan_forensics spectral detector"
NEURAL_FORMAT = "gan_forensics neural detector"
VERSION = 1
# A detector of 20,000 training images of 128x128 DCT coefficients stays below this; an archive
# that claims more is refused before anything is unpacked.
LARGEST_FILE = 8 * 2**30

Images = UInt8[np.ndarray, "n h w c"]


class Detector(Protocol):
    """What tells generated images from real ones: scores, and a threshold for them."""

    @property
    def name(self) -> str:
        """What it is, for tables."""
        ...

    @property
    def threshold(self) -> float:
        """The score above which an image is called generated."""
        ...

    def score(self, images: Images) -> Float64[np.ndarray, " n"]:
        """Score images; higher = more likely generated."""
        ...

    def save(self, path: Path | str) -> None:
        """Write it to a file for `load_detector`."""
        ...


@dataclass(frozen=True)
class Calibration:
    """How a detector was fitted and how its threshold was chosen.

    Attributes:
        n_real: real images the classifier was trained on.
        n_fake: generated images the classifier was trained on.
        n_real_held_out: real images kept out of training, on which the threshold was set.
        n_fake_held_out: generated images kept out of training.
        target: accepted share of false alarms on real images.
        achieved: share of false alarms on the held-out real images (those that set the threshold).
        detection_rate: share of the held-out generated images above the threshold.
        seed: of the split and of the classifier.
    """

    n_real: int
    n_fake: int
    n_real_held_out: int
    n_fake_held_out: int
    target: float
    achieved: float
    detection_rate: float
    seed: int


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

    def score(self, images: Images) -> Float64[np.ndarray, " n"]:
        """Score images; higher = more likely generated.

        Neighbours give the share of generated neighbours in [0, 1], support vector machines a
        signed decision value, the others a logit. NaN for an image without finite features, such
        as one of a single flat colour.

        Args:
            images: uint8 of the size that the detector was fitted on.

        Raises:
            ValueError: on images of another type or size.
        """
        check_images(images)
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"images of {_size(images.shape[1:])} do not fit a detector fitted on "
                f"{_size(self.image_shape)}: crop them to that size (resizing changes the "
                "spectrum), or fit a detector on images of this size"
            )
        return self.model.decide(FEATURES[self.features](images))

    def save(self, path: Path | str) -> None:
        """Write the detector, beside its place first and then renamed into it."""
        path = Path(path)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "features": self.features,
            "classifier": self.classifier,
            "kind": self.model.kind,
            "image_shape": list(self.image_shape),
            "threshold": self.threshold,
            "calibration": asdict(self.calibration),
        }
        arrays: dict[str, Any] = {f"model/{name}": a for name, a in self.model.arrays.items()}
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:
                np.savez(
                    file,
                    header=np.array(json.dumps(header)),
                    mean=self.model.mean,
                    scale=self.model.scale,
                    **arrays,
                )
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def fit_detector(
    real: Images,
    fake: Images,
    *,
    features: str = "durall",
    classifier: str = "knn",
    seed: int = 0,
    calibration: float = 0.05,
    held_out: float = 0.2,
) -> SpectralDetector:
    """Fit a detector of generated images and calibrate its threshold on images kept out of it.

    The threshold is the score that at most `floor(calibration * (n + 1)) - 1` of the n held-out
    real images exceed. A new real image of the same kind then raises a false alarm with
    probability at most `calibration` (the argument of split conformal prediction).

    Args:
        real: uint8 real images.
        fake: uint8 generated images of the same size.
        features: a key of `FEATURES`.
        classifier: a key of `CLASSIFIERS`.
        seed: of the split and of the classifier.
        calibration: accepted share of false alarms on real images, in (0, 1).
        held_out: share of either class kept out of training, in (0, 1).

    Raises:
        ValueError: on unknown names, sizes that differ, or too few images for the calibration.
    """
    check_images(real)
    check_images(fake)
    extract = lookup(FEATURES, features, "features")
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"real images of {_size(real.shape[1:])} and generated images of "
            f"{_size(fake.shape[1:])}: both must have one size and have passed through the same "
            "decoding, cropping and compression, or the detector learns that difference"
        )
    _check_share("calibration", calibration)
    _check_share("held_out", held_out)
    rng = np.random.default_rng(seed)
    real_train, real_held = _split(len(real), held_out, rng, "real")
    fake_train, fake_held = _split(len(fake), held_out, rng, "generated")
    needed = smallest_calibration_set(calibration)
    if len(real_held) < needed:
        raise ValueError(
            f"{len(real)} real images leave {len(real_held)} for calibrating the threshold, but "
            f"calibration={calibration:g} needs at least {needed}: give "
            f"{math.ceil(needed / held_out)} real images, hold out a larger share than "
            f"{held_out:g}, or accept more false alarms "
            f"(calibration={math.ceil(100 / (len(real_held) + 1)) / 100:g})"
        )

    real_features, fake_features = extract(real), extract(fake)
    check_rows("real", real_features)
    check_rows("generated", fake_features)
    model = fit_classifier(
        real_features[real_train], fake_features[fake_train], classifier=classifier, seed=seed
    )
    real_scores = model.decide(real_features[real_held])
    fake_scores = model.decide(fake_features[fake_held])
    threshold = calibrated_threshold(real_scores, false_alarms=calibration)
    facts = Calibration(
        n_real=len(real_train),
        n_fake=len(fake_train),
        n_real_held_out=len(real_held),
        n_fake_held_out=len(fake_held),
        target=calibration,
        achieved=float(np.mean(real_scores > threshold)),
        detection_rate=float(np.mean(fake_scores > threshold)),
        seed=seed,
    )
    return SpectralDetector(features, classifier, real.shape[1:], model, threshold, facts)


def load_detector(path: Path | str) -> Detector:
    """Read a spectral or neural detector that its `save` wrote; nothing in the file is executed.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: in one line, when it is no detector file or does not fit together.
    """
    path = Path(path)
    try:
        header, arrays = _read_archive(path)
        # That module needs the classes of this one.
        if isinstance(header, dict) and header.get("format") == NEURAL_FORMAT:
            from gan_forensics.forensics import neural

            return neural.assemble(header, arrays)
        return _assemble(header, arrays)
    except OSError:
        raise
    except Exception as error:  # A hostile archive can fail in zipfile, zlib, numpy or json.
        reason = " ".join(f"{error or type(error).__name__}".split())
        raise ValueError(
            f"{path} is not a usable detector file: {reason} "
            "(write one with `gan-forensics detect fit` or `train detector`)"
        ) from error


def _read_archive(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Header and arrays of an npz file, without unpickling anything."""
    if not zipfile.is_zipfile(path):
        path.open("rb").close()  # A missing or unreadable file is an OSError, not a wrong format.
        raise ValueError("it is not an npz archive")
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > LARGEST_FILE:
        raise ValueError(f"it claims to unpack to {claimed / 2**30:.0f} GiB")
    with np.load(path, allow_pickle=False) as archive:
        if "header" not in archive:
            raise ValueError("it has no header")
        header = json.loads(str(archive["header"][()]))
        return header, {name: archive[name] for name in archive if name != "header"}


def _assemble(header: dict, arrays: dict[str, np.ndarray]) -> SpectralDetector:
    """Check a header and arrays against each other and build the detector."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("its header is not that of a detector")
    if header.get("version") != VERSION:
        raise ValueError(
            f"it has version {header.get('version')!r}, this gan_forensics reads version {VERSION}"
        )
    wanted = {"features": str, "classifier": str, "kind": str, "threshold": float}
    wanted |= {"image_shape": list, "calibration": dict}
    for name, kind in wanted.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"its header has no valid {name!r}")
    shape = header["image_shape"]
    if len(shape) != 3 or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"image shape {shape} is not [h, w, c]")
    if not math.isfinite(header["threshold"]):
        raise ValueError(f"threshold {header['threshold']} is not finite")
    if header["calibration"].keys() != {field.name for field in fields(Calibration)} or not all(
        type(value) in (int, float) for value in header["calibration"].values()
    ):
        raise ValueError("its calibration facts are incomplete")
    lookup(FEATURES, header["features"], "features")
    if missing := {"mean", "scale"} - arrays.keys():
        raise ValueError(f"it lacks the arrays {sorted(missing)}")
    mean, scale = arrays.pop("mean"), arrays.pop("scale")
    named = {name.removeprefix("model/"): array for name, array in arrays.items()}
    return SpectralDetector(
        features=header["features"],
        classifier=header["classifier"],
        image_shape=(shape[0], shape[1], shape[2]),
        model=Classifier(header["kind"], mean, scale, named),
        threshold=header["threshold"],
        calibration=Calibration(**header["calibration"]),
    )


def _split(n: int, held_out: float, rng: np.random.Generator, what: str):
    """Random disjoint indices of the training and the held-out images, neither empty."""
    n_held = round(n * held_out)
    if not 0 < n_held < n:
        raise ValueError(
            f"{n} {what} images cannot be split with held_out={held_out:g}: both parts need at "
            "least one image"
        )
    order = rng.permutation(n)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} is a share between 0 and 1 (exclusive), got {value}")


def _size(shape) -> str:
    height, width, channels = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"
