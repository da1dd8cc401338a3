"""cGAN with projection discriminator (Miyato and Koyama, ICLR 2018)."""

from collections.abc import Sequence
from typing import Unpack

from flax import linen as nn

from gan_forensics.gans.adversarial import Recipe
from gan_forensics.gans.sngan import sngan
from gan_forensics.gans.turn import Task
from gan_forensics.train import Update


def cgan_pd(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    tasks: Sequence[Task] = (),
    **recipe: Unpack[Recipe],
) -> tuple[Update, ...]:
    """SNGAN of labelled images: classes choose the generator's norms and project in the logit.

    Raises:
        ValueError: for networks without classes.
    """
    classes = generator.classes, discriminator.classes  # pyright: ignore[reportAttributeAccessIssue]
    if classes[0] < 1 or classes[0] != classes[1]:
        raise ValueError(
            f"generator and discriminator need the same classes, got {classes[0]} and {classes[1]}"
        )
    return sngan(generator, discriminator, tasks=tasks, **recipe)
