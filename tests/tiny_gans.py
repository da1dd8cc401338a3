"""Networks of a few numbers for the tests of games: they compile in no time and count passes."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_forensics.gans.game import init_network
from gan_forensics.nn.heads import sow_trunk
from gan_forensics.nn.resgan import Features

BATCH, LATENT, SIDE, CLASSES = 8, 3, 4, 4


def counted(module: nn.Module, *, train: bool) -> None:
    """Count a training pass in the statistics of a network."""
    count = module.variable("passes", "count", jnp.zeros, (), jnp.int32)
    if train and not module.is_initializing():
        count.value = count.value + 1


class Generator(nn.Module):
    """Noise (and labels) to images of 4x4x1."""

    latent: int = LATENT
    classes: int = 0

    @nn.compact
    def __call__(self, z, labels=None, *, train):
        """Linear, with an offset for each class."""
        counted(self, train=train)
        x = nn.Dense(SIDE * SIDE, name="dense")(z)
        if self.classes:
            x = x + nn.Embed(self.classes, SIDE * SIDE, name="embed")(labels)
        return jnp.tanh(x).reshape(-1, SIDE, SIDE, 1)


class Discriminator(nn.Module):
    """Images (and labels) to features; the local ones are four numbers at each of 2x2 places."""

    classes: int = 0
    rotations: int = 0

    @nn.compact
    def __call__(self, x, labels=None, *, train):
        """Patches, mixed, summed, and told apart."""
        counted(self, train=train)
        patches = x.reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(-1, 2, 2, 4)
        local = jnp.tanh(nn.Dense(5, name="local")(patches))
        pooled = jnp.tanh(nn.Dense(4, name="pooled")(local.reshape(-1, 20)))
        logits, projection = nn.Dense(1, name="logit")(pooled)[:, 0], None
        if self.classes:
            projection = (nn.Embed(self.classes, 4, name="embed")(labels) * pooled).sum(-1)
            logits = logits + projection
        sow_trunk(self, pooled, projection)
        rotation = nn.Dense(4, name="rotation")(pooled) if self.rotations else None
        return Features(logits, local, pooled, rotation)


class LogitsOnly(nn.Module):
    """The same discriminator, tight-lipped."""

    @nn.compact
    def __call__(self, x, *, train):
        """Images to logits."""
        return Discriminator(name="inner")(x, train=train).logits


class Critics(nn.Module):
    """Projections to three dimensions."""

    @nn.compact
    def __call__(self, local, pooled, *, train):
        """Local features place by place, and pooled ones."""
        counted(self, train=train)
        p = nn.Dense(3, name="local")(local.reshape(local.shape[0], -1, local.shape[-1]))
        return p, nn.Dense(3, name="pooled")(pooled)


class Start(NamedTuple):
    """Parameters and statistics of a game by network name, and a batch."""

    params: dict
    stats: dict
    batch: dict[str, Array]


def start(generator, discriminator, critics=None, *, dtype=np.float32) -> Start:
    """Where a game begins."""
    rng = np.random.default_rng(4)
    batch = {
        "image": jnp.asarray(rng.uniform(-1, 1, (BATCH, SIDE, SIDE, 1)), dtype),
        "label": jnp.asarray(rng.integers(0, CLASSES, BATCH), jnp.int32),
    }
    z = jnp.zeros((2, generator.latent), dtype)
    labels = (batch["label"][:2],) if generator.classes else ()
    both = {
        "generator": init_network(generator, jax.random.key(0), z, *labels),
        "discriminator": init_network(
            discriminator, jax.random.key(1), batch["image"][:2], *labels
        ),
    }
    if critics is not None:
        local, pooled = jnp.zeros((2, 2, 2, 5), dtype), jnp.zeros((2, 4), dtype)
        both["critics"] = init_network(critics, jax.random.key(2), local, pooled)
    return Start({n: p for n, (p, _) in both.items()}, {n: s for n, (_, s) in both.items()}, batch)


def drawn(game, *, image=(SIDE, SIDE, 1)) -> Start:
    """Any parameters, zero statistics and a batch of a game of small networks, in NumPy, float64.

    Networks of tasks look at the trunk of `Discriminator`, four numbers.
    """
    rng = np.random.default_rng(5)
    labels = rng.integers(0, CLASSES, BATCH).astype(np.int32)
    batch = {"image": rng.uniform(-1, 1, (BATCH, *image)), "label": labels}
    params, stats = {}, {}
    for name, network in game.networks.items():
        inputs = {"generator": np.zeros((2, LATENT)), "discriminator": batch["image"][:2]}.get(name)
        if inputs is None:
            inputs = np.zeros((*([network.heads] if hasattr(network, "heads") else []), 2, 4))
        own = (
            (inputs, labels[:2])
            if getattr(network, "classes", 0) and name in _LABELLED
            else (inputs,)
        )
        shapes = jax.eval_shape(
            lambda *x, n=network: n.init(jax.random.key(0), *x, train=True), *own
        )
        stats[name] = dict(shapes)
        params[name] = jax.tree.map(
            lambda x: rng.standard_normal(x.shape) / 2, stats[name].pop("params", {})
        )
    stats = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), stats)
    return Start(params, stats, batch)


_LABELLED = ("generator", "discriminator")


def slow_generator(params, z, labels=None):
    """What `Generator` makes, in NumPy."""
    x = z @ params["dense"]["kernel"] + params["dense"]["bias"]
    if labels is not None:
        x = x + params["embed"]["embedding"][labels]
    return np.tanh(x).reshape(-1, SIDE, SIDE, 1)


def slow_discriminator(params, x, labels=None):
    """Logits, trunk, and what labels add to the logits, of `Discriminator`, in NumPy."""

    def dense(name, x):
        return x @ params[name]["kernel"] + params[name]["bias"]

    patches = x.reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(-1, 2, 2, 4)
    pooled = np.tanh(dense("pooled", np.tanh(dense("local", patches)).reshape(-1, 20)))
    projection = 0.0
    if labels is not None:
        projection = (params["embed"]["embedding"][labels] * pooled).sum(-1)
    return dense("logit", pooled)[:, 0] + projection, pooled, projection


def value_and_gradient(game, beginning, player, draws, step=0):
    """Value, gradients and aux of a player's loss."""
    (update,) = [u for u in game.updates if u.name == player]
    trainable = {name: beginning.params[name] for name in update.trains}
    frozen = {n: p for n, p in beginning.params.items() if n not in trainable}
    function = jax.value_and_grad(update.loss, has_aux=True)
    (value, aux), gradients = function(
        trainable, frozen, beginning.stats, beginning.batch, draws, step
    )
    return value, gradients, aux


def moving(*games, players=("discriminator", "generator")):
    """A function of a beginning and draws: of each game, by player, value, gradients and aux.

    Compiled as a whole, which takes less than to compile each operation of a gradient by itself.
    """

    @jax.jit
    def moves(beginning, draws):
        return [{p: value_and_gradient(g, beginning, p, draws) for p in players} for g in games]

    # Arrays of NumPy may be read where they lie, and what compares with them moves them in place.
    return lambda beginning, draws: jax.block_until_ready(moves(beginning, draws))


def passes(stats) -> dict[str, int]:
    """How many passes each network has made."""
    return {name: int(s["passes"]["count"]) for name, s in stats.items()}


def passed(network, beginning, name, *inputs):
    """The outputs of a training pass, straight through Flax."""
    variables = {"params": beginning.params[name], **beginning.stats[name]}
    return network.apply(variables, *inputs, train=True, mutable=["passes"])[0]
