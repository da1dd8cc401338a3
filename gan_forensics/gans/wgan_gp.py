"""WGAN-GP: a critic kept smooth by a gradient penalty (Gulrajani et al., NeurIPS 2017)."""

from collections.abc import Sequence
from typing import Unpack

from flax import linen as nn

from gan_forensics.gans.adversarial import Recipe, adversarial, adversarial_updates, penalised
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.penalties import Kind
from gan_forensics.gans.residual import residual_updates
from gan_forensics.gans.turn import Task
from gan_forensics.train import Update


def wgan_gp(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    learning_rate: float = 2e-4,
    n_dis: int = 5,
    decay_steps: int = 0,
    penalty: Kind = "0-gp",
) -> tuple[Update, ...]:
    """Wasserstein losses, penalty weight 10 on lines between real and fake, five critic moves.

    Chandrasegaran et al. (CVPR 2021) train with the zero-centred penalty "0-gp", the default here;
    the paper of the method has "1-gp". The critic needs a norm that does not tie images of a batch
    together: "layer", "instance" or "none".
    """
    return adversarial_updates(
        generator,
        discriminator,
        (adversarial(LOSSES["wasserstein"]), penalised(penalty)),
        learning_rate=learning_rate,
        n_dis=n_dis,
        decay_steps=decay_steps,
    )


def residual_wgan_gp(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    tasks: Sequence[Task] = (),
    **recipe: Unpack[Recipe],
) -> tuple[Update, ...]:
    """WGAN-GP of mimicry: the paper's penalty "1-gp", weight 10, on residual networks.

    The critic has neither spectral norm nor any other, and pools by the mean.
    """
    tasks = (penalised("1-gp"), *tasks)
    return residual_updates(
        generator, discriminator, loss=LOSSES["wasserstein"], tasks=tasks, **recipe
    )
