"""SNGAN: hinge losses against a spectrally normalised discriminator (Miyato et al., ICLR 2018)."""

from collections.abc import Sequence
from typing import Unpack

from flax import linen as nn

from gan_forensics.gans.adversarial import Recipe
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.residual import residual_updates
from gan_forensics.gans.turn import Task
from gan_forensics.train import Update


def sngan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    tasks: Sequence[Task] = (),
    **recipe: Unpack[Recipe],
) -> tuple[Update, ...]:
    """Hinge losses and further `tasks`; the recipe is that of `residual_updates`.

    The discriminator needs spectral norm: nothing else bounds it.
    """
    return residual_updates(generator, discriminator, loss=LOSSES["hinge"], tasks=tasks, **recipe)
