"""DCGAN: the original game with the non-saturating generator (Radford et al., ICLR 2016)."""

from typing import Unpack

from flax import linen as nn

from gan_forensics.gans.adversarial import Recipe, adversarial, adversarial_updates
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.residual import residual_updates
from gan_forensics.train import Update


def dcgan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    learning_rate: float = 1e-4,
    n_dis: int = 1,
    decay_steps: int = 0,
) -> tuple[Update, ...]:
    """Binary cross-entropy on logits; the discriminator has batch norm.

    Networks as in `gan_forensics.nn.dcgan`; one discriminator move a step.
    """
    return adversarial_updates(
        generator,
        discriminator,
        (adversarial(LOSSES["non_saturating"]),),
        learning_rate=learning_rate,
        n_dis=n_dis,
        decay_steps=decay_steps,
    )


def residual_dcgan(
    generator: nn.Module,
    discriminator: nn.Module,
    **recipe: Unpack[Recipe],
) -> tuple[Update, ...]:
    """What mimicry calls DCGAN: the loss "ns" on residual networks without spectral norm.

    One discriminator move a step, as in DCGAN; the published tables do not say.
    """
    recipe = {"n_dis": 1, **recipe}
    return residual_updates(generator, discriminator, loss=LOSSES["ns"], **recipe)
