"""Anomalies in tables: adversarial autoencoders, oversampling of rare normal rows, evaluation."""

from gan_forensics.anomaly.aae import AAEConfig, Autoencoder, aae_learner, train_autoencoders
from gan_forensics.anomaly.augmentation import NewRows, augment, check_settings, new_rows
from gan_forensics.anomaly.detectors import DETECTORS, fit_detector
from gan_forensics.anomaly.doped_detector import DopedDetector
from gan_forensics.anomaly.doping import Doping
from gan_forensics.anomaly.edge import (
    annulus_weights,
    chi_scale,
    codes_at_edge,
    edge_weights,
    empirical_weights,
    neighbours,
    quantile_shell,
    shell,
)
from gan_forensics.anomaly.evaluate import (
    Measured,
    best_over_grid,
    grid_auc,
    measure,
    paired_difference,
    rates,
    trapezoid_auc,
)
from gan_forensics.anomaly.isolation_forest import Trees, forest_scores, trees_of
from gan_forensics.anomaly.labels import anomaly_labels, normal_label
from gan_forensics.anomaly.plain_gan import GANConfig, PlainGAN, train_gans
from gan_forensics.anomaly.prior_fits import PriorFit, prior_fit
from gan_forensics.anomaly.resampling import RESAMPLERS, FittedModels, resample
from gan_forensics.anomaly.tables import TableData, read_table, write_table
from gan_forensics.anomaly.tasks import Task, make_task
from gan_forensics.anomaly.toy import toy_world

__all__ = [
    "aae_learner",
    "AAEConfig",
    "annulus_weights",
    "anomaly_labels",
    "augment",
    "Autoencoder",
    "best_over_grid",
    "check_settings",
    "chi_scale",
    "codes_at_edge",
    "DETECTORS",
    "DopedDetector",
    "Doping",
    "edge_weights",
    "empirical_weights",
    "fit_detector",
    "FittedModels",
    "forest_scores",
    "GANConfig",
    "grid_auc",
    "make_task",
    "measure",
    "Measured",
    "neighbours",
    "new_rows",
    "NewRows",
    "normal_label",
    "paired_difference",
    "PlainGAN",
    "prior_fit",
    "PriorFit",
    "quantile_shell",
    "rates",
    "read_table",
    "resample",
    "RESAMPLERS",
    "shell",
    "TableData",
    "Task",
    "toy_world",
    "train_autoencoders",
    "train_gans",
    "trapezoid_auc",
    "Trees",
    "trees_of",
    "write_table",
]
