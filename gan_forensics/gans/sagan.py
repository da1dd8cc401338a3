"""SAGAN: conditional networks with self-attention (Zhang et al., ICML 2019)."""

from collections.abc import Sequence
from typing import Unpack

from flax import linen as nn

from gan_forensics.gans.adversarial import Recipe
from gan_forensics.gans.cgan_pd import cgan_pd
from gan_forensics.gans.turn import Task
from gan_forensics.train import Update


def sagan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    tasks: Sequence[Task] = (),
    **recipe: Unpack[Recipe],
) -> tuple[Update, ...]:
    """The game of `cgan_pd` for networks with attention and spectral norm in both.

    The paper's own learning rates, 1e-4 and 4e-4, are not those of this recipe (Lee and Town, arXiv
    2005.02494), which gives both players 2e-4.

    Raises:
        ValueError: for networks without classes.
    """
    return cgan_pd(generator, discriminator, tasks=tasks, **recipe)
