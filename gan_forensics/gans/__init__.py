"""Generative adversarial networks: losses, penalties, and one file per method.

A method is a tuple of `gan_forensics.train.Update`, put together from tasks; `METHODS` names them
all.
"""

from gan_forensics.gans.adversarial import adversarial, adversarial_updates, penalised
from gan_forensics.gans.cgan_pd import cgan_pd
from gan_forensics.gans.dcgan import dcgan, residual_dcgan
from gan_forensics.gans.infomax import (
    chance_level,
    infomax_accuracy,
    infomax_gan,
    infomax_loss,
    infomax_task,
)
from gan_forensics.gans.losses import LOSSES, AdversarialLoss, cross_entropy
from gan_forensics.gans.lsgan import lsgan
from gan_forensics.gans.methods import METHODS, Gan, GanConfig, build, init
from gan_forensics.gans.optimizers import adam, linear_decay
from gan_forensics.gans.penalties import gradient_penalty
from gan_forensics.gans.rotation import rotated, rotation_labels, rotation_loss, rotation_task
from gan_forensics.gans.runs import load_gan, train_gan
from gan_forensics.gans.sagan import sagan
from gan_forensics.gans.sampling import generate, interpolate
from gan_forensics.gans.singular_values import largest_singular_values
from gan_forensics.gans.sngan import sngan
from gan_forensics.gans.ssgan import ssgan
from gan_forensics.gans.turn import Charge, Draws, Seen, Task, Turn
from gan_forensics.gans.wgan_gp import residual_wgan_gp, wgan_gp
