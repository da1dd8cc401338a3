"""LSGAN: squared errors in place of cross-entropies (Mao et al., ICCV 2017)."""

from flax import linen as nn

from gan_forensics.gans.adversarial import adversarial, adversarial_updates
from gan_forensics.gans.losses import LOSSES
from gan_forensics.train import Update


def lsgan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    learning_rate: float = 1e-4,
    n_dis: int = 1,
    decay_steps: int = 0,
) -> tuple[Update, ...]:
    """Targets 1 for real and 0 for fake, without the factor 1/2; batch norm in both networks."""
    return adversarial_updates(
        generator,
        discriminator,
        (adversarial(LOSSES["least_squares"]),),
        learning_rate=learning_rate,
        n_dis=n_dis,
        decay_steps=decay_steps,
    )
