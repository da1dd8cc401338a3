"""The two-player game as a tuple of updates: the frame of DCGAN, LSGAN and WGAN-GP.

The order is that of Chandrasegaran et al. (CVPR 2021): on a minibatch first the generator moves
through the discriminator, then the discriminator, with fresh noise, on real images and on the
images of the generator that has just moved. Both networks are in training mode in both moves, so
the generator's batch norm averages move twice a step, and the discriminator's three times: real
and fake images are separate passes with batch statistics of their own.
"""

from functools import partial

import flax.linen as nn
import jax
import optax
from jaxtyping import Array, PyTree

from gan_forensics.gans.losses import AdversarialLoss
from gan_forensics.gans.penalties import Kind, Sample, gradient_penalty
from gan_forensics.train import Aux, Update

GENERATOR, DISCRIMINATOR = "generator", "discriminator"


def forward(network: nn.Module, params: PyTree, stats: PyTree, x: Array) -> tuple[Array, PyTree]:
    """One pass in training mode: (outputs, moved statistics)."""
    return network.apply({"params": params, **stats}, x, train=True, mutable=list(stats))


def init_network(network: nn.Module, key: Array, x: Array) -> tuple[PyTree, PyTree]:
    """Initial (parameters, statistics) of a network for inputs shaped like `x`."""
    variables = dict(network.init(key, x, train=True))
    return variables.pop("params"), variables


def adam(learning_rate: float) -> optax.GradientTransformation:
    """Adam with beta1 0.5 and beta2 0.999; schedules can change the learning rate in its state."""
    tuned = optax.inject_hyperparams(optax.adam, static_args=("b1", "b2", "eps"))
    return tuned(learning_rate=learning_rate, b1=0.5, b2=0.999, eps=1e-8)


def adversarial_updates(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    loss: AdversarialLoss,
    learning_rate: float,
    discriminator_repeats: int = 1,
    penalty: Kind | None = None,
    penalty_sample: Sample = "line",
    penalty_weight: float = 10.0,
) -> tuple[Update, Update]:
    """A generator that maps noise [b, latent] to images against a discriminator to logits [b].

    Args:
        generator: with an attribute `latent`, the length of its noise z ~ N(0, I).
        discriminator: of images of the batch key "image", [b, h, w, c] in [-1, 1].
        loss: who pays what for which logit.
        learning_rate: of both Adams.
        discriminator_repeats: n_d, the discriminator's moves a step, each on fresh images.
        penalty: the kind of gradient penalty on the discriminator, if any.
        penalty_sample: where it is taken.
        penalty_weight: what it is multiplied by.

    Returns:
        The updates "generator" and "discriminator", in this order.
    """
    images_of = partial(forward, generator)
    logits_of = partial(forward, discriminator)

    def noise(batch, key):
        return jax.random.normal(key, (batch["image"].shape[0], generator.latent))

    def generator_loss(trainable, frozen, stats, batch, key):
        z = noise(batch, key)
        fake, generator_stats = images_of(trainable[GENERATOR], stats[GENERATOR], z)
        logits, discriminator_stats = logits_of(frozen[DISCRIMINATOR], stats[DISCRIMINATOR], fake)
        moved = {GENERATOR: generator_stats, DISCRIMINATOR: discriminator_stats}
        return loss.generator(logits), Aux(moved, {})

    def discriminator_loss(trainable, frozen, stats, batch, key):
        noise_key, penalty_key = jax.random.split(key)
        params, real = trainable[DISCRIMINATOR], batch["image"]
        fake, generator_stats = images_of(
            frozen[GENERATOR], stats[GENERATOR], noise(batch, noise_key)
        )
        fake = jax.lax.stop_gradient(fake)
        real_logits, moved = logits_of(params, stats[DISCRIMINATOR], real)
        fake_logits, moved = logits_of(params, moved, fake)
        value = loss.discriminator(real_logits, fake_logits)
        metrics = {"real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()}
        if penalty:
            steepness = gradient_penalty(
                lambda x: logits_of(params, moved, x)[0],
                real,
                fake,
                kind=penalty,
                sample=penalty_sample,
                key=penalty_key,
            )
            value = value + penalty_weight * steepness
            metrics["penalty"] = steepness
        return value, Aux({GENERATOR: generator_stats, DISCRIMINATOR: moved}, metrics)

    return (
        Update(GENERATOR, (GENERATOR,), generator_loss, adam(learning_rate)),
        Update(
            DISCRIMINATOR,
            (DISCRIMINATOR,),
            discriminator_loss,
            adam(learning_rate),
            repeats=discriminator_repeats,
        ),
    )
