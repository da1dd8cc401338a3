"""Detectors of features, a classical classifier and a calibrated threshold, in one file.

The features are spectral (`FEATURES`) or those of a frozen network (`frozen`).

Scores rise with the evidence that an image was generated.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8

from gan_forensics.data import ArraySource, Source, as_source
from gan_forensics.data.flat import flat
from gan_forensics.files import check_file_in, sha256_of, shown
from gan_forensics.files.archives import Head
from gan_forensics.forensics import evidence, neural, tiles
from gan_forensics.forensics import frozen as frozen_networks
from gan_forensics.forensics.archive import (
    check_fields,
    check_image_shape,
    read_detector,
    write_detector,
)
from gan_forensics.forensics.calibration import Calibration
from gan_forensics.forensics.calibrators import Calibrator
from gan_forensics.forensics.canvases import room
from gan_forensics.forensics.decisions import Classifier, check_arrays
from gan_forensics.forensics.features import FEATURES, RADIAL, looked_at, lookup
from gan_forensics.forensics.format_audit import read_seen
from gan_forensics.forensics.neural_parts import file_named
from gan_forensics.forensics.preprocessing import (
    TO_ONE_SIZE,
    Preprocessing,
    cut_middle,
    read_preprocessing,
)
from gan_forensics.forensics.tiles import Tiling
from gan_forensics.quality import FeatureExtractor

Images = UInt8[np.ndarray, "n h w c"]


@dataclass(frozen=True, eq=False)
class SpectralDetector:
    """A fitted detector; call `score`, compare with `threshold`.

    Attributes:
        features: a key of `FEATURES`, or the name of the extractor.
        classifier: the name it was fitted under, a key of `CLASSIFIERS`.
        image_shape: (h, w, c) of the images it was fitted on, after preprocessing; others are
            refused, because spectra of resized images are not the same spectra.
        model: the fitted classifier as plain arrays.
        threshold: score above which an image is called generated.
        calibration: what the threshold rests on and what it achieves.
        preprocessing: what `score` does to every image first.
        facts: JSON-able, such as what it was fitted on.
        extractor: of frozen features; the file keeps its digest, not its weights.
        calibrators: from scores to likelihood ratios, by tier (`data.carriers.TIERS`); empty where
            there were too few images for them, and of files from before there were any.
        tiles: by which it scores images of any size (`forensics.tiles`); None where it scores
            images of the size that it was fitted on.
        sha256: of the file that it was loaded from or saved to last; None before that.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.forensics import fit_detector
        >>> rng = np.random.default_rng(0)
        >>> real, fake = (rng.integers(0, top, (100, 8, 8, 3), np.uint8) for top in (200, 256))
        >>> detector = fit_detector(real, fake, features="dct", classifier="logistic")
        >>> detector.score(fake[:3]).shape
        (3,)
    """

    features: str
    classifier: str
    image_shape: tuple[int, int, int]
    model: Classifier
    threshold: float
    calibration: Calibration
    preprocessing: Preprocessing = Preprocessing()
    facts: Mapping[str, Any] = field(default_factory=dict)
    extractor: FeatureExtractor | None = None
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    tiles: Tiling | None = None
    # Not an argument: a changed copy is another detector than that of the file.
    sha256: str | None = field(default=None, init=False)

    def __repr__(self) -> str:
        return (
            f"SpectralDetector({self.name}, images {size_of(self.image_shape)}, threshold "
            f"{self.threshold:.4g} {self.calibration.in_short}"
            f"{evidence.in_short(self.calibrators)})"
        )

    @functools.cached_property
    def untiled(self) -> "SpectralDetector":
        """It as it scores one tile."""
        return replace(self, tiles=None)

    @property
    def name(self) -> str:
        """Features and classifier, for tables."""
        return f"{self.features}-{self.classifier}"

    def extract(self, images: Images) -> Float64[np.ndarray, "n d"]:
        """The features of images that went through the preprocessing."""
        if self.extractor is None:
            return FEATURES[self.features](images)
        return self.extractor(images).astype(np.float64)

    def score(self, images: Any) -> Float64[np.ndarray, " n"]:
        """Score images; higher = more likely generated.

        Neighbours give the share of generated neighbours in [0, 1], support vector machines a
        signed decision value, the others a logit. NaN for a flat image (`data.flat`), whose
        features say nothing of who made it, and for one without finite features.

        Args:
            images: as `gan_forensics.data.as_images` takes them: an array, a picture, a folder, a
                list; of the size that the detector was fitted on, or of any sizes where its
                preprocessing makes them one, or its tiles do. Gray ones are repeated where it looks
                at colours.

        Raises:
            ValueError: on images of another type or size.
            ImageError: on a file that cannot be read.
        """
        source = as_source(images)
        if not len(source):
            raise ValueError("no images to score: give at least one")
        if self.tiles is not None:
            return tiles.scores(self, source)
        features, empty = [], []
        for some in self._prepared(source):
            features.append(self.extract(some))
            empty.append(flat(looked_at(self.features, some)))
        scores = self.model.decide(np.concatenate(features))
        scores[np.concatenate(empty)] = np.nan
        return scores

    def log10_lr(self, scores: Any, tier: str = "clean") -> Float64[np.ndarray, " n"]:
        """How many times more probable scores [n] are of generated images than of photographs.

        Log10 of that likelihood ratio, within what the reference images support; NaN for NaN.

        Args:
            scores: of `score`.
            tier: how the images were treated, of `data.carriers.TIERS` (`tier_of` asks the file).

        Raises:
            ValueError: for an unknown tier, and where there is no calibrator for it, with the
                reason and how to get one.
        """
        return evidence.log10_lr(self, scores, tier)

    def _prepared(self, source: Source) -> Iterator[Images]:
        """Images as it takes them; an array at one go, others as many at a time as memory bears."""
        if isinstance(source, ArraySource) and not self.preprocessing.words:
            yield self._coloured(source.arrays["image"])
            return
        at_once = room(*self.image_shape[:2])
        for first in range(0, len(source), at_once):
            rows = range(first, min(first + at_once, len(source)))
            prepared = []
            for row in rows:
                with file_named(source, row):
                    image = self.preprocessing(source[row]["image"])
                    prepared.append(self._coloured(image[None])[0])
            yield np.stack(prepared)

    def _coloured(self, images: Images) -> Images:
        """Images of the shape that it was fitted on, gray ones repeated if it looks at colours."""
        if images.shape[-1] < self.image_shape[-1]:
            images = np.repeat(images, 3, -1)
        self._check_size(images.shape[1:])
        return images

    def view(self, image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "_h _w _c"]:
        """The pixels of one image that it looks at, which decide whether the image is flat."""
        if self.tiles is not None:
            return tiles.looked_at(self, image)
        return looked_at(self.features, self.preprocessing(image)[None])[0]

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse images [h, w, c] that `score` would refuse for their size (ValueError)."""
        if self.tiles is not None:
            return tiles.check_sides(shape[0], shape[1], self.tiles.side)
        self._check_size(self.preprocessing.shape(shape))

    def _check_size(self, shape: tuple[int, ...]) -> None:
        if shape != self.image_shape:
            raise ValueError(
                f"images of {size_of(shape)} do not fit a detector fitted on "
                f"{size_of(self.image_shape)}: crop them to that size (resizing changes the "
                f"spectrum), or fit one that takes any ({TO_ONE_SIZE})"
            )

    def middle(self, image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "_h _w c"]:
        """The middle of an image that is larger than the detector takes."""
        if self.tiles or self.preprocessing.crop or self.preprocessing.size:
            return image
        return cut_middle(image, *self.image_shape[:2])

    def save(self, path: Path | str) -> None:
        """Write it to a file for `load_detector`."""
        header = {
            "kind": "spectral" if self.extractor is None else "frozen",
            "features": self.features,
            "classifier": self.classifier,
            "image_shape": list(self.image_shape),
            "rings": RINGS,
            "decision": self.model.kind,
            "threshold": self.threshold,
            "calibration": self.calibration,
            "calibrators": self.calibrators,
            "preprocessing": asdict(self.preprocessing),
            "facts": dict(self.facts),
            "tiles": self.tiles and asdict(self.tiles),
        }
        if self.extractor is not None:
            header["frozen"] = frozen_networks.described(self.extractor)
        arrays = {f"model/{name}": array for name, array in self.model.arrays.items()}
        scaling = {"mean": self.model.mean, "scale": self.model.scale}
        object.__setattr__(self, "sha256", write_detector(path, header, scaling | arrays))


# Of which the radii of features are; files of images that are not square had those of pixels once.
RINGS = "frequency"
# What tells generated images from real ones: `score`, a `threshold` for scores, a `name`, `save`.
Detector = SpectralDetector | neural.NeuralDetector


def load_detector(
    path: Path | str, *, frozen: Path | str | FeatureExtractor | None = None
) -> Detector:
    """Read a detector that its `save` wrote; nothing in the file is executed.

    Args:
        path: of the file.
        frozen: for a detector of frozen features the extractor that it was fitted with, or the file
            of that one's weights.

    Raises:
        OSError: when a file is missing or cannot be read.
        ValueError: in one line, when it is no detector file or does not fit together; without the
            frozen features that it was fitted with, or with others.

    Example:
        >>> import tempfile
        >>> from gan_forensics.forensics import fit_detector
        >>> rng = np.random.default_rng(0)
        >>> real, fake = (rng.integers(0, top, (100, 8, 8, 3), np.uint8) for top in (200, 256))
        >>> detector = fit_detector(real, fake, features="dct", classifier="logistic")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     detector.save(f"{folder}/d.npz")
        ...     again = load_detector(f"{folder}/d.npz")
        >>> bool((again.score(fake) == detector.score(fake)).all())
        True
    """
    check_file_in(
        path, "a detector file, which `gan-forensics detect fit` or `train detector` writes"
    )
    try:
        header, arrays = read_detector(path, _choose)
        detector = KINDS[header["kind"]].assemble(header, arrays)
        read_seen(detector.facts.get("seen"))
        tiles.check_fits(detector)
        digest = sha256_of(path)
    except OSError:
        raise
    except Exception as error:  # What a hostile header asks for can fail anywhere.
        reason = shown(" ".join(str(error).split()), most=1000) or type(error).__name__
        raise ValueError(
            f"{shown(path)} is not a usable detector file: {reason} "
            "(write one with `gan-forensics detect fit` or `train detector`)"
        ) from error
    if isinstance(detector, SpectralDetector) and header["kind"] == "frozen":
        known = header["frozen"]
        extractor = frozen_networks.the_same(path, detector.features, known, frozen)
        detector = replace(detector, extractor=extractor)
    elif frozen is not None:
        raise ValueError(
            f"{path} is a detector without frozen features ({detector.name}) and takes no weights; "
            "leave them out"
        )
    object.__setattr__(detector, "sha256", digest)
    return detector


def needs_weights(path: Path | str) -> bool:
    """Whether `load_detector` asks for frozen features; False for what it will refuse."""
    try:
        return read_detector(path, lambda header, heads: ())[0]["kind"] == "frozen"
    except Exception:  # `load_detector` says what is wrong.
        return False


def _choose(header: Mapping[str, Any], heads: Mapping[str, Head]) -> Iterable[str]:
    """All arrays, where they are those of the header."""
    lookup(KINDS, header["kind"], "kind of detector").check(header, heads)
    return heads


def _check(header: Mapping[str, Any], heads: Mapping[str, Head]) -> None:
    """Check a header and the heads of arrays against each other."""
    wanted = {"features": str, "classifier": str, "decision": str}
    check_fields(header, {**wanted, "calibration": dict})
    check_image_shape(header, (1, 3))
    read_preprocessing(header)
    if not isinstance(header.get("facts", {}), dict):
        raise ValueError("its header has no valid 'facts'")
    if header["kind"] == "spectral":
        lookup(FEATURES, header["features"], "features")
    else:
        check_fields(header, {"frozen": dict})
        check_fields(header["frozen"], {"digest": str, "protocol": dict})
    shape = header["image_shape"]
    if shape[0] != shape[1] and header["features"] in RADIAL and header.get("rings") != RINGS:
        raise ValueError(
            f"it was fitted on images of {shape[0]}x{shape[1]} by a version whose rings were "
            "ellipses of frequency on images that are not square: fit it again"
        )
    if missing := {"mean", "scale"} - heads.keys():
        raise ValueError(f"it lacks the arrays {sorted(missing)}")
    given = {name.removeprefix("model/"): head.like for name, head in heads.items()}
    check_arrays(header["decision"], given)


def _assemble(header: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> SpectralDetector:
    """The detector of a header and arrays that `_check` has seen."""
    shape = header["image_shape"]
    mean, scale = arrays.pop("mean"), arrays.pop("scale")
    named = {name.removeprefix("model/"): array for name, array in arrays.items()}
    return SpectralDetector(
        features=header["features"],
        classifier=header["classifier"],
        image_shape=(shape[0], shape[1], shape[2]),
        model=Classifier(header["decision"], mean, scale, named),
        threshold=header["threshold"],
        calibration=header["calibration"],
        preprocessing=read_preprocessing(header),
        facts=header.get("facts", {}),
        calibrators=header["calibrators"],
        tiles=tiles.read_tiling(header),
    )


class Kind(NamedTuple):
    """How the arrays of a kind of detector are checked by their heads, and then put together."""

    check: Callable[[Mapping[str, Any], Mapping[str, Head]], None]
    assemble: Callable[[Mapping[str, Any], dict[str, np.ndarray]], Detector]


KINDS = {
    "spectral": Kind(_check, _assemble),
    "frozen": Kind(_check, _assemble),
    "neural": Kind(neural.check, neural.assemble),
}


def size_of(shape: Sequence[int]) -> str:
    """A shape [h, w, c] in words."""
    height, width, channels = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"
