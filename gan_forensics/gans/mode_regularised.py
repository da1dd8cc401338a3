"""Two earlier GANs with an autoencoder, as the baselines of Dist-GAN on points.

Che et al., "Mode regularized generative adversarial networks" (ICLR 2017), in the form that the
released code of Tran et al. (ECCV 2018) gives them for points on a line. With e the mean squared
error of the reconstructions x_r = G(E(x)) and s scores:

    RGAN     encoder          0.01 e
             discriminator    L+(x) + L-(x_f)
             generator        -ln s(x_f) + 0.01 e + 0.01 mean s(x_r)
    MDGAN    manifold         L+(x) + L-(x_r), a discriminator of its own, s_1
             autoencoder      e - 0.01 mean s_1(x_r)
             discriminator    L+(x_r) + L-(x_f)
             generator        -ln s(x_f)

The sign of RGAN's last term looks inverted; it is kept.
"""

import flax.linen as nn
import jax

from gan_forensics.gans.autoencoder import (
    AUTOENCODER,
    ENCODER,
    judged_reconstruction,
    reconstructed,
)
from gan_forensics.gans.context import Context
from gan_forensics.gans.dist_gan import reconstruction_error
from gan_forensics.gans.game import adversarial
from gan_forensics.gans.losses import AdversarialLoss
from gan_forensics.gans.task import Loss, Task

WEIGHT = 0.01
MANIFOLD = "manifold_discriminator"


def _error(context: Context):
    return reconstruction_error(context.images("real"), reconstructed(context))


def rgan_tasks(encoder: nn.Module, loss: AdversarialLoss) -> tuple[Task, ...]:
    """RGAN; the player "autoencoder" is to train the encoder alone."""

    def autoencoder(context: Context) -> Loss:
        error = _error(context)
        return Loss(WEIGHT * error, {"reconstruction": error})

    def generator(context: Context) -> Loss:
        error = _error(context)
        score = jax.nn.sigmoid(judged_reconstruction(context)["logits"]).mean()
        return Loss(WEIGHT * (error + score), {"reconstruction": error})

    own = Task((), (generator,), {ENCODER: encoder}, {AUTOENCODER: (autoencoder,)})
    return adversarial(loss), own


def mdgan_task(encoder: nn.Module, manifold: nn.Module, loss: AdversarialLoss) -> Task:
    """MDGAN; players "manifold_discriminator" and "autoencoder" (encoder and generator) join.

    Args:
        encoder: joins the game as "encoder".
        manifold: the second discriminator, with an output "logits"; joins under its name.
        loss: of both discriminators and the generator.
    """

    def told(context: Context, images) -> jax.Array:
        return context.apply(MANIFOLD, images).logits

    def manifold_term(context: Context) -> Loss:
        real, made = (told(context, x) for x in (context.images("real"), reconstructed(context)))
        return Loss(loss.discriminator(real, made))

    def autoencoder(context: Context) -> Loss:
        error = _error(context)
        score = jax.nn.sigmoid(told(context, reconstructed(context))).mean()
        return Loss(error - WEIGHT * score, {"reconstruction": error})

    def discriminator(context: Context) -> Loss:
        made, fake = judged_reconstruction(context)["logits"], context.fake["logits"]
        return Loss(loss.discriminator(made, fake), {"fake_logit": fake.mean()})

    def generator(context: Context) -> Loss:
        return Loss(loss.generator(context.fake["logits"]))

    return Task(
        (discriminator,),
        (generator,),
        {ENCODER: encoder, MANIFOLD: manifold},
        {MANIFOLD: (manifold_term,), AUTOENCODER: (autoencoder,)},
    )
