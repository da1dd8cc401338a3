"""Forensics: tell generated images from real ones, and say how well that works.

Scores of every detector rise with the evidence that an image was generated.
"""

from gan_forensics.forensics.attribution import Attributor, fit_attributor
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_files import load_attributor
from gan_forensics.forensics.attribution_model import Model, Outputs
from gan_forensics.forensics.calibration import Calibration, calibrated_threshold
from gan_forensics.forensics.class_evaluation import (
    ClassesResult,
    SeverityRow,
    evaluate_classes,
    severity_table,
)
from gan_forensics.forensics.classifiers import CLASSIFIERS, fit_classifier
from gan_forensics.forensics.detectors import (
    Detector,
    SpectralDetector,
    load_detector,
)
from gan_forensics.forensics.estimator import DetectorClassifier
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
