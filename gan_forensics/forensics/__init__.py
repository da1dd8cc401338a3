"""Forensics: tell generated images from real ones, and say how well that works.

Scores of every detector rise with the evidence that an image was generated.
"""

from typing import TYPE_CHECKING, Any

from gan_forensics.forensics.attribution import Attributor, fit_attributor
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_files import load_attributor
from gan_forensics.forensics.attribution_model import Model, Outputs
from gan_forensics.forensics.calibration import Calibration, calibrated_threshold
from gan_forensics.forensics.calibrators import Calibrator, fit_calibrator
from gan_forensics.forensics.class_evaluation import (
    ClassesResult,
    SeverityRow,
    evaluate_classes,
    severity_table,
)
from gan_forensics.forensics.classifiers import CLASSIFIERS, fit_classifier
from gan_forensics.forensics.detector_scorer import DetectorScorer
from gan_forensics.forensics.detectors import (
    Detector,
    SpectralDetector,
    load_detector,
)
from gan_forensics.forensics.evaluation import (
    DetectionResult,
    OperatingPoint,
    evaluate,
    evaluate_sources,
)
from gan_forensics.forensics.features import FEATURES
from gan_forensics.forensics.fitting import fit_detector
from gan_forensics.forensics.intervals import (
    Interval,
    grouped_rate,
    rate_interval,
    two_sample_interval,
)
from gan_forensics.forensics.likelihood_ratios import (
    EceCurves,
    Pav,
    Tippett,
    cllr,
    cllr_cal,
    cllr_min,
    devpav,
    ece_curves,
    elub_bounds,
    fit_pav,
    group_weights,
    pav,
    pav_curve,
    posterior,
    tippett,
    verbal,
)
from gan_forensics.forensics.metrics import (
    METRICS,
    count_scores,
    geometric_mean_threshold,
    inclusive,
)
from gan_forensics.forensics.neural import NeuralDetector
from gan_forensics.forensics.neural_parts import Parts, part
from gan_forensics.forensics.neural_training import DetectorConfig, detector_update, train_detector
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.forensics.prevalence import Corrected, Share, corrected_share, shares_of
from gan_forensics.forensics.recalibration import Change, Recalibrated, recalibrated
from gan_forensics.forensics.score_files import (
    ScoredImage,
    ScoredImages,
    read_scores,
    write_scores,
)
from gan_forensics.forensics.score_stream import score_shard
from gan_forensics.forensics.tiles import Tiling, tiled
from gan_forensics.forensics.validation import NewScores, Validated, score_new, validated
from gan_forensics.forensics.verdicts import Basis, Verdict, basis_of, verdict_of

if TYPE_CHECKING:
    from gan_forensics.forensics.estimator import DetectorClassifier

__all__ = [
    "AttributionConfig",
    "Attributor",
    "Basis",
    "basis_of",
    "calibrated_threshold",
    "Calibration",
    "Calibrator",
    "Change",
    "ClassesResult",
    "CLASSIFIERS",
    "cllr",
    "cllr_cal",
    "cllr_min",
    "Corrected",
    "corrected_share",
    "count_scores",
    "DetectionResult",
    "Detector",
    "detector_update",
    "DetectorClassifier",
    "DetectorConfig",
    "DetectorScorer",
    "devpav",
    "ece_curves",
    "EceCurves",
    "elub_bounds",
    "evaluate",
    "evaluate_classes",
    "evaluate_sources",
    "FEATURES",
    "fit_attributor",
    "fit_calibrator",
    "fit_classifier",
    "fit_detector",
    "fit_pav",
    "geometric_mean_threshold",
    "group_weights",
    "grouped_rate",
    "inclusive",
    "Interval",
    "load_attributor",
    "load_detector",
    "METRICS",
    "Model",
    "NeuralDetector",
    "NewScores",
    "OperatingPoint",
    "Outputs",
    "part",
    "Parts",
    "Pav",
    "pav",
    "pav_curve",
    "posterior",
    "Preprocessing",
    "rate_interval",
    "read_scores",
    "Recalibrated",
    "recalibrated",
    "score_new",
    "score_shard",
    "ScoredImage",
    "ScoredImages",
    "severity_table",
    "SeverityRow",
    "Share",
    "shares_of",
    "SpectralDetector",
    "tiled",
    "Tiling",
    "Tippett",
    "tippett",
    "train_detector",
    "two_sample_interval",
    "Validated",
    "validated",
    "verbal",
    "Verdict",
    "verdict_of",
    "write_scores",
]


def __getattr__(name: str) -> Any:
    """`DetectorClassifier` when it is asked for: what it inherits loads scikit-learn."""
    if name != "DetectorClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gan_forensics.forensics.estimator import DetectorClassifier

    return DetectorClassifier


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
