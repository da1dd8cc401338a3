"""DCGAN: the original game with the non-saturating generator (Radford et al., ICLR 2016)."""

from flax import linen as nn

from gan_forensics.gans.adversarial import adversarial_updates
from gan_forensics.gans.losses import LOSSES
from gan_forensics.train import Update


def dcgan(
    generator: nn.Module, discriminator: nn.Module, *, learning_rate: float = 1e-4
) -> tuple[Update, ...]:
    """Binary cross-entropy on logits; the discriminator has batch norm.

    Networks as in `gan_forensics.nn.dcgan`; one discriminator move a step.
    """
    return adversarial_updates(
        generator, discriminator, loss=LOSSES["non_saturating"], learning_rate=learning_rate
    )
