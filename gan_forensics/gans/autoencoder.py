"""A third player: the autoencoder that ties a generator to its data.

An encoder E maps real images to latent codes, so that the generator G is also its decoder. What
terms look at, in any player's move, each made once:

    encoded(context)         z_e = E(x)
    reconstructed(context)   x_r = G(z_e)
    judged_reconstruction    what the discriminator says of x_r
"""

from jaxtyping import Array, Float

from gan_forensics.gans.context import Context
from gan_forensics.gans.discriminator_output import DiscriminatorOutput
from gan_forensics.gans.task import GENERATOR, Images

AUTOENCODER, ENCODER = "autoencoder", "encoder"


def encoded(context: Context) -> Float[Array, "b latent"]:
    """The codes z_e = E(x) of the real images."""
    return context.once("encoded", lambda: context.apply(ENCODER, context.images("real")))


def reconstructed(context: Context) -> Images:
    """The reconstructions x_r = G(E(x)) of the real images."""
    return context.once("reconstructed", lambda: context.apply(GENERATOR, encoded(context)))


def judged_reconstruction(context: Context) -> DiscriminatorOutput:
    """What the discriminator says of the reconstructions."""

    def judged() -> DiscriminatorOutput:
        images = context.augmented("reconstruction", reconstructed(context))
        return context.discriminate(images, None)

    return context.once("judged_reconstruction", judged)
