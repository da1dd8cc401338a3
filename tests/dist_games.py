"""Networks of a few numbers with an encoder, and a game of them in NumPy, term by term."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from gan_forensics.nn.points import Judged
from tests.tiny_gans import counted

BATCH, POINT, LATENT, FEATURES, STEPS = 8, 3, 2, 4, 1000


class Encoder(nn.Module):
    """Points to codes."""

    @nn.compact
    def __call__(self, x, *, train):
        """Linear."""
        counted(self, train=train)
        return nn.Dense(LATENT, name="dense")(x)


class Generator(nn.Module):
    """Codes to points in (0, 1)."""

    latent: int = LATENT

    @nn.compact
    def __call__(self, z, *, train):
        """One layer and a sigmoid."""
        counted(self, train=train)
        return nn.sigmoid(nn.Dense(POINT, name="dense")(z))


class Discriminator(nn.Module):
    """Points to logits and features."""

    @nn.compact
    def __call__(self, x, *, train):
        """Two layers."""
        counted(self, train=train)
        features = jnp.tanh(nn.Dense(FEATURES, name="features")(x))
        return Judged(nn.Dense(1, name="logit")(features)[:, 0], features)


LAYERS = {
    "encoder": {"dense": (POINT, LATENT)},
    "generator": {"dense": (LATENT, POINT)},
    "discriminator": {"features": (POINT, FEATURES), "logit": (FEATURES, 1)},
    "manifold_discriminator": {"features": (POINT, FEATURES), "logit": (FEATURES, 1)},
}
STATS = {name: {"passes": {"count": np.zeros((), np.int32)}} for name in LAYERS}


def drawn(seed=0):
    """Parameters by network, points x in (0, 1), noise z and the fakes' shares alpha, float64."""
    rng = np.random.default_rng(seed)
    params = {
        name: {
            layer: {"kernel": rng.standard_normal(shape), "bias": rng.standard_normal(shape[1])}
            for layer, shape in layers.items()
        }
        for name, layers in LAYERS.items()
    }
    x, z = rng.uniform(0, 1, (BATCH, POINT)), rng.uniform(-1, 1, (BATCH, LATENT))
    return params, x, z, rng.uniform(0, 1, BATCH)


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def dense(layer, x):
    """A layer."""
    return x @ layer["kernel"] + layer["bias"]


class Slow:
    """What the networks make of the numbers."""

    def __init__(self, params, x, z, alpha):
        """All passes that any loss needs."""
        self.params, self.x, self.z = params, x, z
        self.codes = dense(params["encoder"]["dense"], x)
        self.fake = self._made(z)
        self.made = self._made(self.codes)
        self.between = (1 - alpha)[:, None] * x + alpha[:, None] * self.fake
        for name, points in (("real", x), ("made", self.made), ("fake", self.fake)):
            setattr(self, f"l_{name}", self.judged(points)[0])
            setattr(self, f"f_{name}", self.judged(points)[1])

    def _made(self, z):
        return sigmoid(dense(self.params["generator"]["dense"], z))

    def judged(self, points, name="discriminator"):
        """Logits and features."""
        features = np.tanh(dense(self.params[name]["features"], points))
        return dense(self.params[name]["logit"], features)[:, 0], features

    def slopes(self):
        """d logit / d point between real and generated points."""
        _, features = self.judged(self.between)
        layers = self.params["discriminator"]
        inner = (1 - features**2) * layers["logit"]["kernel"][:, 0]
        return inner @ layers["features"]["kernel"].T


def differences(loss, params, trained, h=1e-5):
    """Slopes of loss(params) in the networks that are trained, by central differences."""
    slopes = {}
    for name in trained:
        slopes[name] = {}
        for layer, arrays in params[name].items():
            slopes[name][layer] = {key: np.zeros_like(array) for key, array in arrays.items()}
            for key, array in arrays.items():
                for place in np.ndindex(array.shape):
                    before, ends = array[place], []
                    for end in (before + h, before - h):
                        array[place] = end
                        ends.append(loss(params))
                    array[place] = before
                    slopes[name][layer][key][place] = (ends[0] - ends[1]) / (2 * h)
    return slopes
