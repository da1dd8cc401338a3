"""WGAN-GP: a critic kept smooth by a gradient penalty (Gulrajani et al., NeurIPS 2017)."""

from flax import linen as nn

from gan_forensics.gans.adversarial import adversarial_updates
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.penalties import Kind
from gan_forensics.train import Update


def wgan_gp(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    learning_rate: float = 2e-4,
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
        loss=LOSSES["wasserstein"],
        learning_rate=learning_rate,
        discriminator_repeats=5,
        penalty=penalty,
    )
