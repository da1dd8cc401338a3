"""Generative adversarial networks: losses, penalties, and one file per method.

A method is a tuple of `gan_forensics.train.Update`; `METHODS` names them all.
"""

from gan_forensics.gans.adversarial import adversarial_updates
from gan_forensics.gans.dcgan import dcgan
from gan_forensics.gans.losses import LOSSES, AdversarialLoss
from gan_forensics.gans.lsgan import lsgan
from gan_forensics.gans.methods import (
    METHODS,
    Gan,
    GanConfig,
    build,
    generate,
    init,
    load_gan,
    train_gan,
)
from gan_forensics.gans.penalties import gradient_penalty
from gan_forensics.gans.wgan_gp import wgan_gp
