"""Generative adversarial networks: losses, penalties, and tasks that are put together into games.

`METHODS` names them all.
"""

from gan_forensics.gans.augment import AUGMENTATIONS, consistency_task
from gan_forensics.gans.averaged import about_average, with_average
from gan_forensics.gans.building import Gan, build, init
from gan_forensics.gans.config import GanConfig, OwnConfig
from gan_forensics.gans.context import Context, Draws
from gan_forensics.gans.dag import dag_task
from gan_forensics.gans.description import Description, describe
from gan_forensics.gans.fitting import fit, load, save
from gan_forensics.gans.game import Game, Player, Recipe, adversarial, penalised
from gan_forensics.gans.gradient_matching import (
    TaylorCoefficients,
    TaylorGaps,
    gradient_matching_task,
    taylor_coefficients,
    taylor_gaps,
)
from gan_forensics.gans.infomax import chance_level, infomax_accuracy, infomax_loss, infomax_task
from gan_forensics.gans.losses import LOSSES, AdversarialLoss, cross_entropy
from gan_forensics.gans.make import make_gan
from gan_forensics.gans.method import Method, only
from gan_forensics.gans.methods import METHODS
from gan_forensics.gans.multi_class import label_augmented_task, matching_task, multi_class_task
from gan_forensics.gans.neighbours import neighbour_embedding, neighbour_task, similarities
from gan_forensics.gans.optimizers import adam, linear_decay
from gan_forensics.gans.penalties import gradient_penalty
from gan_forensics.gans.priors import PRIORS, Prior
from gan_forensics.gans.relativistic import relativistic_task
from gan_forensics.gans.rotation import rotated, rotation_labels, rotation_loss, rotation_task
from gan_forensics.gans.runs import load_gan, train_gan
from gan_forensics.gans.sampling import generate, interpolate
from gan_forensics.gans.singular_values import largest_singular_values
from gan_forensics.gans.spectral_regularisation import spectral_task
from gan_forensics.gans.stargan import StarGan, build_stargan, translate
from gan_forensics.gans.stargan_config import StarGanConfig
from gan_forensics.gans.stargan_runs import load_stargan, train_stargan
from gan_forensics.gans.stargan_targets import target_labels
from gan_forensics.gans.task import Loss, Task

__all__ = [
    "about_average",
    "adam",
    "adversarial",
    "AdversarialLoss",
    "AUGMENTATIONS",
    "build",
    "build_stargan",
    "chance_level",
    "consistency_task",
    "Context",
    "cross_entropy",
    "dag_task",
    "describe",
    "Description",
    "Draws",
    "fit",
    "Game",
    "Gan",
    "GanConfig",
    "generate",
    "gradient_matching_task",
    "gradient_penalty",
    "infomax_accuracy",
    "infomax_loss",
    "infomax_task",
    "init",
    "interpolate",
    "label_augmented_task",
    "largest_singular_values",
    "linear_decay",
    "load",
    "load_gan",
    "load_stargan",
    "Loss",
    "LOSSES",
    "make_gan",
    "matching_task",
    "Method",
    "METHODS",
    "multi_class_task",
    "neighbour_embedding",
    "neighbour_task",
    "only",
    "OwnConfig",
    "penalised",
    "Player",
    "Prior",
    "PRIORS",
    "Recipe",
    "relativistic_task",
    "rotated",
    "rotation_labels",
    "rotation_loss",
    "rotation_task",
    "save",
    "similarities",
    "spectral_task",
    "StarGan",
    "StarGanConfig",
    "target_labels",
    "Task",
    "taylor_coefficients",
    "taylor_gaps",
    "TaylorCoefficients",
    "TaylorGaps",
    "train_gan",
    "train_stargan",
    "translate",
    "with_average",
]
