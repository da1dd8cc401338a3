"""The game of a generator against a discriminator, as a tuple of updates made of tasks.

`adversarial_updates` is the frame of every GAN here. The discriminator's turn is: generate images,
look at the real ones, look at the generated ones (no gradient reaches the generator), pay the
terms. The generator's is: generate, look through the discriminator, pay. Real and generated images
are separate passes with statistics of their own, and all networks are in training mode in both
turns, so that the generator's batch norm averages also move in the discriminator's turns, and the
discriminator's spectral norm vectors in the generator's.

Published codes differ in who moves first. Chandrasegaran et al. (CVPR 2021): the generator, then
the discriminator against the images of the generator that has just moved. Lee and Town (arXiv
2005.02494): the discriminator n_dis times, each on fresh images, then the generator.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan_forensics.gans.losses import AdversarialLoss
from gan_forensics.gans.optimizers import adam, linear_decay
from gan_forensics.gans.penalties import Kind, Sample, gradient_penalty
from gan_forensics.gans.singular_values import singular_value_range
from gan_forensics.gans.turn import DISCRIMINATOR, GENERATOR, Charge, Draws, Task, Turn
from gan_forensics.train import Aux, Update

Player = Literal["generator", "discriminator"]


class Recipe(TypedDict, total=False):
    """What of a method's published recipe a caller may change.

    Attributes:
        learning_rate: of both Adams.
        n_dis: the discriminator's moves a step, each on fresh images.
        decay_steps: the rate falls linearly to 0 over so many steps; 0 for a constant rate.
    """

    learning_rate: float
    n_dis: int
    decay_steps: int


def adversarial(loss: AdversarialLoss) -> Task:
    """The task of every GAN: to tell real from generated images, and not to be told."""

    def discriminator(turn: Turn) -> Charge:
        real, fake = turn.seen("real").logits, turn.seen("fake").logits
        value = loss.discriminator(real, fake)
        means = {"real_logit": real.mean(), "fake_logit": fake.mean()}
        return Charge(value, {"adversarial": value, **means})

    def generator(turn: Turn) -> Charge:
        value = loss.generator(turn.seen("fake").logits)
        return Charge(value, {"adversarial": value})

    return Task((discriminator,), (generator,))


def penalised(kind: Kind, *, sample: Sample = "line", weight: float = 10.0) -> Task:
    """A gradient penalty on the discriminator, see `gan_forensics.gans.penalties`.

    A conditional discriminator is asked with the labels of the real images.
    """

    def discriminator(turn: Turn) -> Charge:
        real, fake = turn.seen("real"), turn.seen("fake")
        steepness = gradient_penalty(
            lambda x: turn.logits_at(x, real.labels),
            real.images,
            fake.images,
            kind=kind,
            sample=sample,
            key=turn.draws.key,
            alpha=turn.draws.alpha,
        )
        return Charge(weight * steepness, {"penalty": steepness})

    return Task((discriminator,))


def adversarial_updates(
    generator: nn.Module,
    discriminator: nn.Module,
    tasks: Sequence[Task],
    *,
    learning_rate: float,
    betas: tuple[float, float] = (0.5, 0.999),
    n_dis: int = 1,
    decay_steps: int = 0,
    first: Player = "generator",
) -> tuple[Update, ...]:
    """A generator that maps noise [b, latent] to images against a discriminator.

    The losses of the updates take, in place of a PRNG key, the random numbers themselves as
    `Draws`. With `classes` classes (an attribute of the generator) the game is conditional: both
    networks take labels as their second input, those of real images are the batch key "label",
    those of generated ones are uniform.

    Args:
        generator: with an attribute `latent`, the length of its noise z ~ N(0, I).
        discriminator: of images [b, h, w, c] in [-1, 1], the batch key "image", to logits [b], or
            to a named tuple (logits, local, pooled, rotation) as in `gan_forensics.nn.resgan`.
        tasks: what is paid for; the first is usually `adversarial`.
        learning_rate: of both Adams.
        betas: of both Adams.
        n_dis: the discriminator's moves a step, each on fresh images.
        decay_steps: the rate falls linearly to 0 over so many steps; 0 for a constant rate.
        first: who moves first in a step.

    Returns:
        The updates "generator" and "discriminator", in the order of their moves. The latter also
        trains the networks that tasks brought.

    Raises:
        ValueError: when two tasks bring a network of one name, and, when traced, when the batch
            lacks labels that the game needs.
    """
    networks: dict[str, nn.Module] = {GENERATOR: generator, DISCRIMINATOR: discriminator}
    for task in tasks:
        if twice := sorted(networks.keys() & task.networks.keys()):
            raise ValueError(f"two tasks bring networks named {twice}: give them other names")
        networks |= task.networks
    discriminator_terms = tuple(term for task in tasks for term in task.discriminator)
    generator_terms = tuple(term for task in tasks for term in task.generator)

    def discriminator_loss(trainable, frozen, stats, batch, key, step):
        draws = key if isinstance(key, Draws) else _discriminator_draws(key, batch, generator)
        turn = Turn(networks, {**frozen, **trainable}, stats, draws)
        fake = jax.lax.stop_gradient(turn.generate())
        turn.real = turn.look(batch["image"], _real_labels(batch, draws))
        turn.fake = turn.look(fake, draws.labels)
        value, metrics = turn.pay(discriminator_terms)
        own = singular_value_range(trainable, turn.stats)
        return value, Aux(turn.stats, {**metrics, **own})

    def generator_loss(trainable, frozen, stats, batch, key, step):
        draws = key if isinstance(key, Draws) else _generator_draws(key, batch, generator)
        turn = Turn(networks, {**frozen, **trainable}, stats, draws)
        turn.fake = turn.look(turn.generate(), draws.labels)
        value, metrics = turn.pay(generator_terms)
        own = singular_value_range(trainable, turn.stats)
        return value, Aux(turn.stats, {**metrics, **own})

    def optimizer(repeats: int):
        decays = linear_decay(learning_rate, decay_steps, repeats=repeats) if decay_steps else None
        return adam(decays or learning_rate, betas=betas)

    trained = tuple(name for name in networks if name != GENERATOR)
    moves = (
        Update(GENERATOR, (GENERATOR,), generator_loss, optimizer(1)),
        Update(DISCRIMINATOR, trained, discriminator_loss, optimizer(n_dis), repeats=n_dis),
    )
    return moves if first == GENERATOR else moves[::-1]


def init_network(network: nn.Module, key: Array, *inputs: Array) -> tuple[PyTree, PyTree]:
    """Initial (parameters, statistics) of a network for inputs shaped like these."""
    variables = dict(network.init(key, *inputs, train=True))
    return variables.pop("params"), variables


def _generator_draws(key: Array, batch, generator, *, rest: Array | None = None) -> Draws:
    """Labels, then noise, as many as the batch has images."""
    count, classes = batch["image"].shape[0], getattr(generator, "classes", 0)
    labels = None
    if classes:
        labels = jax.random.randint(jax.random.fold_in(key, 1), (count,), 0, classes, jnp.int32)
    return Draws(jax.random.normal(key, (count, generator.latent)), labels, key=rest)


def _discriminator_draws(key: Array, batch, generator) -> Draws:
    noise_key, penalty_key = jax.random.split(key)
    return _generator_draws(noise_key, batch, generator, rest=penalty_key)


def _real_labels(batch, draws: Draws):
    if draws.labels is None:
        return None
    if "label" not in batch:
        raise ValueError(
            "a conditional game needs the classes of real images: give a source with labels (a "
            "folder with a subfolder per class, a list of path,label), or an unconditional method"
        )
    return batch["label"]
