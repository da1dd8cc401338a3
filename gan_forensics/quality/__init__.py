"""How good generated images and points are: FID, KID, inception score, precision, modes, leaks.

Features are computed once and cached; every result carries its counts, seed, spread and features.
"""

from gan_forensics.quality.ambiguity import Ambiguity, rotation_ambiguity
from gan_forensics.quality.digests import images_digest
from gan_forensics.quality.evaluate import (
    METRICS,
    check_metrics,
    computable,
    evaluate_images,
)
from gan_forensics.quality.extraction import (
    Extracted,
    FeatureExtractor,
    as_extractor,
    extract,
    load_features,
)
from gan_forensics.quality.frechet import INCEPTION, fid, frechet_distance
from gan_forensics.quality.inception import inception_features
from gan_forensics.quality.inception_scores import inception_score
from gan_forensics.quality.kernel_distance import kid, polynomial_mmd2
from gan_forensics.quality.leaks import Leak, difference_interval, leak_meter, measure_leak
from gan_forensics.quality.manifolds import prdc
from gan_forensics.quality.memorised import memorisation
from gan_forensics.quality.modes import Judge, ModeCount, calibration, count_modes, train_judge
from gan_forensics.quality.moments import FeatureMoments, Moments, over_processes
from gan_forensics.quality.points import (
    Registered,
    ceiling,
    point_scores,
    registered,
    sliced_wasserstein,
)
from gan_forensics.quality.quantising import quantise
from gan_forensics.quality.score import Score
from gan_forensics.quality.small_features import random_features, small_classifier_features
from gan_forensics.quality.transforms import transform_classifier

__all__ = [
    "Ambiguity",
    "as_extractor",
    "calibration",
    "ceiling",
    "check_metrics",
    "computable",
    "count_modes",
    "difference_interval",
    "evaluate_images",
    "extract",
    "Extracted",
    "FeatureExtractor",
    "FeatureMoments",
    "fid",
    "frechet_distance",
    "images_digest",
    "INCEPTION",
    "inception_features",
    "inception_score",
    "Judge",
    "kid",
    "Leak",
    "leak_meter",
    "load_features",
    "measure_leak",
    "memorisation",
    "METRICS",
    "ModeCount",
    "Moments",
    "over_processes",
    "point_scores",
    "polynomial_mmd2",
    "prdc",
    "quantise",
    "random_features",
    "Registered",
    "registered",
    "rotation_ambiguity",
    "Score",
    "sliced_wasserstein",
    "small_classifier_features",
    "train_judge",
    "transform_classifier",
]
