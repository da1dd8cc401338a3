"""Label smoothing and knowledge distillation: losses, geometry, teachers and students."""

from gan_forensics.distill.architectures import ARCHITECTURES, inputs_of, make_classifier
from gan_forensics.distill.classifier_build import load_classifier
from gan_forensics.distill.classifier_config import ClassifierConfig, Distillation
from gan_forensics.distill.classifier_learner import classifier_update, sgd, student_update
from gan_forensics.distill.classifier_runs import distill, train_classifier
from gan_forensics.distill.classify import Classifier
from gan_forensics.distill.diffusion_index import (
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
