"""Toy games for the engine's tests: one, two and three players on two-dimensional data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_forensics.train import Aux, Update


class Gaussians:
    """Endless minibatches {"x": [size, 2]}; batch i depends on i alone."""

    def __init__(self, size=8, spoil_at=None):
        self.size, self.next, self.spoil_at = size, 0, spoil_at

    def __next__(self):
        x = np.random.default_rng((7, self.next)).standard_normal((self.size, 2))
        if self.next == self.spoil_at:
            x[0, 0] = np.nan
        self.next += 1
        return {"x": x.astype(np.float32) @ np.array([[1, 0.5], [0, 0.2]], np.float32) + 1}

    def state(self):
        return {"next": self.next}

    def restore(self, state):
        self.next = state["next"]


def _weights(seed, shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32) * 0.5


def one_player():
    """Regression of the second coordinate on the first, with a running mean as statistic."""

    def loss(trainable, frozen, stats, batch, key, step):
        error = (
            batch["x"][:, 0] * trainable["line"]["a"] + trainable["line"]["b"] - batch["x"][:, 1]
        )
        mean = 0.9 * stats["line"]["mean"] + 0.1 * batch["x"].mean(0)
        return (error**2).mean(), Aux({"line": {"mean": mean}}, {"error": jnp.abs(error).mean()})

    updates = (Update("fit", ("line",), loss, optax.adam(0.05)),)
    return (
        updates,
        {"line": {"a": jnp.zeros(()), "b": jnp.zeros(())}},
        {"line": {"mean": jnp.zeros(2)}},
    )


def two_players(repeats=3):
    """A linear GAN with a quadratic discriminator that moves `repeats` times a step."""

    def fake(g, key, n):
        return jax.random.normal(key, (n, 2)) @ g["w"] + g["b"].reshape(1, 2)

    def score(d, x):
        return ((x @ d["w"]) ** 2).sum(-1) + x @ d["v"]

    def g_loss(trainable, frozen, stats, batch, key, step):
        x = fake(trainable["g"], key, len(batch["x"]))
        return jax.nn.softplus(-score(frozen["d"], x)).mean(), Aux({}, {})

    def d_loss(trainable, frozen, stats, batch, key, step):
        x = fake(frozen["g"], key, len(batch["x"]))
        real, made = score(trainable["d"], batch["x"]), score(trainable["d"], x)
        count = {"count": stats["d"]["count"] + 1}
        value = jax.nn.softplus(-real).mean() + jax.nn.softplus(made).mean()
        return value, Aux({"d": count}, {"real": real.mean()})

    updates = (
        Update("g", ("g",), g_loss, optax.sgd(0.01)),
        Update("d", ("d",), d_loss, optax.sgd(0.01), repeats=repeats),
    )
    params = {
        "g": {"w": _weights(0, (2, 2)), "b": jnp.zeros(2)},
        "d": {"w": _weights(1, (2, 2)), "v": jnp.zeros(2)},
    }
    return updates, params, {"d": {"count": jnp.zeros((), jnp.int32)}}


def three_players():
    """An adversarial autoencoder: reconstruct, then tell codes from noise, then fool."""

    def code(e, x):
        return jnp.tanh(x @ e["w"])

    def reconstruct(trainable, frozen, stats, batch, key, step):
        x = code(trainable["encoder"], batch["x"]) @ trainable["decoder"]["w"]
        return ((x - batch["x"]) ** 2).mean(), Aux({}, {})

    def tell(trainable, frozen, stats, batch, key, step):
        z = jax.random.normal(key, batch["x"].shape)
        c = code(frozen["encoder"], batch["x"])
        d = trainable["critic"]["w"]
        return jax.nn.softplus(-z @ d).mean() + jax.nn.softplus(c @ d).mean(), Aux({}, {})

    def fool(trainable, frozen, stats, batch, key, step):
        c = code(trainable["encoder"], batch["x"])
        return jax.nn.softplus(-c @ frozen["critic"]["w"]).mean(), Aux({}, {})

    updates = (
        Update("reconstruct", ("encoder", "decoder"), reconstruct, optax.adam(0.01)),
        Update("tell", ("critic",), tell, optax.adam(0.01)),
        Update("fool", ("encoder",), fool, optax.adam(0.01)),
    )
    params = {
        "encoder": {"w": _weights(2, (2, 2))},
        "decoder": {"w": _weights(3, (2, 2))},
        "critic": {"w": _weights(4, (2,))},
    }
    return updates, params, {}


GAMES = {"one": one_player, "two": two_players, "three": three_players}
