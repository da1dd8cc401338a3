"""`fit_detector` as a classifier of scikit-learn: its splits, scorers, searches and pipelines."""

import functools
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float64
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from gan_forensics.data import Rows, Source, as_source
from gan_forensics.data.folder_words import WORDS
from gan_forensics.files import listed, say
from gan_forensics.forensics.detectors import SpectralDetector
from gan_forensics.forensics.fitting import fit_detector
from gan_forensics.forensics.measure import score_source
from gan_forensics.forensics.preprocessing import NATIVE, Preprocessing
from gan_forensics.quality import FeatureExtractor


class DetectorClassifier(ClassifierMixin, BaseEstimator):
    """A detector of generated images that scikit-learn can split, score, search and clone.

    What is fitted is `detector_`, the detector of `fit_detector`: its threshold is set on real
    images held out of those that `fit` gets, so that at most a share `calibration` of real ones
    raises a false alarm; others held out calibrate `detector_.log10_lr`. `detector_.save(path)`
    writes it, `load_detector(path)` reads it, and `detector_.score(images)` gives scores that rise
    with the evidence for "generated".

    X are images as `gan_forensics.data.as_images` takes them, one for each label: uint8
    [n, h, w, c], or a list of paths or of pictures of Pillow. Of the two labels of y, one means
    generated: that of `generated`; by default the one whose name says so ("fake", "generated",
    "gan" and the like, or what stands beside "real", "photo" and the like), or 1 of 0 and 1, which
    is said. There are no probabilities, which scores are not: `CalibratedClassifierCV` of
    scikit-learn makes some of them.

    Args:
        features: a key of `FEATURES`, or an extractor of frozen features.
        classifier: a key of `CLASSIFIERS`.
        generated: the label of generated images.
        calibration: accepted share of false alarms on real images, in (0, 1). 0.05 needs 19 of
            them to set the threshold, 95 in all.
        held_out: share of the real images that set the threshold, and again of either class that
            is measured on, in (0, 0.5).
        reference: share of either class that calibrates likelihood ratios; 0 for none, in searches
            that ask for scores alone: the images train instead.
        preprocessing: what makes images one size, among other things; kept with the detector.
        robust: also train on images after carriers, and bound the false alarms under each.
        random_state: of the split and of the classifier; the same number gives the same detector.

    Attributes:
        detector_: fitted, calibrated and measured.
        classes_: both labels, sorted.
        generated_: the one that means generated.
        n_features_in_: numbers in an image, after the preprocessing.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.integers(0, 200, (80, 8, 8, 3), np.uint8)
        >>> x[40:] //= 4
        >>> y = np.repeat(["real", "fake"], 40)
        >>> estimator = DetectorClassifier(features="pixels", classifier="svm", calibration=0.2)
        >>> estimator.fit(x, y).predict(x[[0, 79]])
        array(['real', 'fake'], dtype='<U4')
    """

    def __init__(
        self,
        *,
        features: str | FeatureExtractor = "durall",
        classifier: str = "knn",
        generated: Any = None,
        calibration: float = 0.05,
        held_out: float = 0.2,
        reference: float = 0.2,
        preprocessing: Preprocessing = NATIVE,
        robust: bool = False,
        random_state: Any = 0,
    ):
        self.features = features
        self.classifier = classifier
        self.generated = generated
        self.calibration = calibration
        self.held_out = held_out
        self.reference = reference
        self.preprocessing = preprocessing
        self.robust = robust
        self.random_state = random_state

    def fit(self, X, y, groups=None) -> "DetectorClassifier":
        """Fit a detector, calibrate its threshold, and measure what it does.

        Args:
            X: images.
            y: a label for each, one of two.
            groups: what each image was made of, such as the photograph that it was cut from: a
                group trains, or sets the threshold, or is measured on, and has one vote.

        Raises:
            ValueError: for labels that do not fit, or do not say which are generated, and as
                `fit_detector`, such as for too few images for the calibration.
        """
        source = _images(X)
        labels = column_or_1d(y)
        check_classification_targets(labels)
        for what, given in (("labels", labels), ("groups", groups)):
            if given is not None and len(given) != len(source):
                raise ValueError(f"{len(given)} {what} for {len(source)} images: one for each")
        self.classes_ = np.unique(labels)
        self.generated_ = _generated(self.classes_, self.generated)
        made = labels == self.generated_
        rows = np.flatnonzero(~made), np.flatnonzero(made)
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        (real,) = (label for label in self.classes_.tolist() if label != self.generated_)
        self.detector_: SpectralDetector = fit_detector(
            Rows(source, rows[0]),
            Rows(source, rows[1]),
            features=self.features,
            classifier=self.classifier,
            seed=int(seed),
            calibration=self.calibration,
            held_out=self.held_out,
            reference=self.reference,
            groups=None if groups is None else _of_rows(groups, rows),
            preprocessing=self.preprocessing,
            robust=self.robust,
            facts={"labels": {"real": real, "generated": self.generated_}},
        )
        return self

    def decision_function(self, X) -> Float64[np.ndarray, " n"]:
        """Scores minus the threshold, signed as scikit-learn has it: positive for `classes_[1]`.

        Where that is the label of real images, as of "fake" and "real", the sign is turned.

        Raises:
            ValueError: for flat images (`data.flat`), which say nothing of who made them, and
                images that do not fit the detector.
        """
        check_is_fitted(self, "detector_")
        source = _images(X)
        (scores,) = score_source(self.detector_, source, np.arange(len(source)))
        above = scores - self.detector_.threshold
        return above if self.generated_ == self.classes_[1] else -above

    def predict(self, X) -> np.ndarray:
        """Labels [n]: the generated one where a score exceeds the threshold.

        Raises:
            ValueError: as `decision_function`.
        """
        decision = self.decision_function(X)
        # A score on the threshold is none above it: the image counts as real.
        second = decision > 0 if self.generated_ == self.classes_[1] else decision >= 0
        return self.classes_[second.astype(int)]

    @property
    def n_features_in_(self) -> int:
        """Numbers in an image, after the preprocessing."""
        check_is_fitted(self, "detector_")
        return int(np.prod(self.detector_.image_shape))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True  # paths
        tags.classifier_tags.multi_class = False  # pyright: ignore[reportOptionalMemberAccess]
        return tags


def _images(X) -> Source:
    """Images as a source; a column of paths is a list of them."""
    axes = getattr(X, "ndim", None)
    if axes == 2:
        raise ValueError(
            f"rows of pixels {list(X.shape)} have lost their height and width: give images "
            "[n, h, w, c], X.reshape(n, h, w, c)"
        )
    return as_source(list(X) if axes == 1 else X)


def _generated(classes: np.ndarray, asked: Any) -> Any:
    """The label of generated images."""
    labels = classes.tolist()
    named = listed([repr(label) for label in labels])
    if len(labels) != 2:
        raise ValueError(
            f"y has {len(labels)} label{'s' * (len(labels) != 1)} ({named}): two are needed, one "
            "of real and one of generated images"
        )
    if asked is not None:
        if asked not in labels:
            raise ValueError(f"generated={asked!r} is no label of y ({named})")
        return labels[labels.index(asked)]
    if labels == [0, 1]:
        _say_once(f"label {labels[1]} is taken to mean generated (generated={labels[1]})")
        return labels[1]
    kinds = [WORDS.get(label.lower()) if isinstance(label, str) else None for label in labels]
    if "generated" in kinds and kinds[0] != kinds[1]:
        return labels[kinds.index("generated")]
    if "real" in kinds and kinds[0] != kinds[1]:
        return labels[1 - kinds.index("real")]
    raise ValueError(
        f"the labels {named} do not say which means generated: DetectorClassifier("
        f"generated={labels[1]!r}), or {labels[0]!r}"
    )


@functools.cache
def _say_once(line: str) -> None:
    """Searches fit hundreds of times."""
    say(line)


def _of_rows(groups, rows: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    names = np.asarray(groups)
    return names[rows[0]], names[rows[1]]
