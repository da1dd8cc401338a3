"""Label smoothing and knowledge distillation: teachers and students of images and of text."""

from gan_forensics.distill.architectures import ARCHITECTURES, inputs_of, make_classifier
from gan_forensics.distill.classifier_build import load_classifier
from gan_forensics.distill.classifier_config import ClassifierConfig, Distillation
from gan_forensics.distill.classifier_learner import classifier_update, sgd, student_update
from gan_forensics.distill.classifier_runs import distill, train_classifier
from gan_forensics.distill.classify import Classifier
from gan_forensics.distill.decode import beam_search
from gan_forensics.distill.diffusion import (
    centroids,
    diffusion_index,
    mean_diffusion,
    normalised_distances,
    similar_classes,
)
from gan_forensics.distill.geometry import QrPca, qr_pca, template_plane
from gan_forensics.distill.losses import (
    logit_spread,
    objective,
    optimal_gap,
    smoothed_cross_entropy,
    smoothed_entropy,
    tempered_divergence,
    token_losses,
    top_logits,
    true_class_probability,
)
from gan_forensics.distill.published import published_variables
from gan_forensics.distill.schedules import student_schedule, teacher_schedule
from gan_forensics.distill.teachers import open_teacher
from gan_forensics.distill.translate import translate_lines
from gan_forensics.distill.translator import Translator, TranslatorConfig, load_translator
from gan_forensics.distill.translator_fit import fit_translator, teacher_top_logits
from gan_forensics.distill.translator_runs import Teaching, train_translator

__all__ = [
    "ARCHITECTURES",
    "beam_search",
    "centroids",
    "Classifier",
    "classifier_update",
    "ClassifierConfig",
    "diffusion_index",
    "distill",
    "Distillation",
    "fit_translator",
    "inputs_of",
    "load_classifier",
    "load_translator",
    "logit_spread",
    "make_classifier",
    "mean_diffusion",
    "normalised_distances",
    "objective",
    "open_teacher",
    "optimal_gap",
    "published_variables",
    "qr_pca",
    "QrPca",
    "sgd",
    "similar_classes",
    "smoothed_cross_entropy",
    "smoothed_entropy",
    "student_schedule",
    "student_update",
    "teacher_schedule",
    "teacher_top_logits",
    "Teaching",
    "tempered_divergence",
    "template_plane",
    "token_losses",
    "top_logits",
    "train_classifier",
    "train_translator",
    "translate_lines",
    "Translator",
    "TranslatorConfig",
    "true_class_probability",
]
