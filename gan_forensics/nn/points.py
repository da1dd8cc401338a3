"""Perceptrons for points: generator, encoder and discriminator of the toy worlds.

The networks of Tran et al. (ECCV 2018; released code): 2-D points have three hidden layers of 128,
kernels from N(0, 2 / fan_in), a generator that ends in a sigmoid; points on a line have one hidden
layer of four, Glorot's kernels, linear ends. All layers have biases and ReLU between them.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from gan_forensics.nn.heads import sow_trunk
from gan_forensics.nn.initial import Initializer, glorot, he_normal, zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.spectral_norm import SNDense


class Judged(NamedTuple):
    """What a discriminator says: logits, and the features before its last layer."""

    logits: Float[Array, " b"]
    features: Float[Array, "b d"]


class PointGenerator(Network):
    """Latent codes to points.

    Attributes:
        dimensions: coordinates of a point.
        latent: length of a code.
        hidden: widths of the hidden layers.
        sigmoid: whether points lie in (0, 1); otherwise anywhere.
        small_start: Glorot's kernels instead of He's.
    """

    dimensions: int
    latent: int
    hidden: tuple[int, ...] = (128, 128, 128)
    sigmoid: bool = True
    small_start: bool = False

    @nn.compact
    def __call__(self, z: Float[Array, "b latent"], *, train: bool) -> Float[Array, "b d"]:
        """Map codes to points; raises ValueError for codes of another length."""
        if z.ndim != 2 or z.shape[-1] != self.latent:
            raise ValueError(f"noise must be [b, {self.latent}], got {list(z.shape)}")
        x = _hidden(z, self.hidden, _start(self.small_start))
        x = _dense(self.dimensions, len(self.hidden), _start(self.small_start))(x)
        return nn.sigmoid(x) if self.sigmoid else x


class PointEncoder(Network):
    """Points to latent codes; attributes as those of `PointGenerator`."""

    latent: int
    hidden: tuple[int, ...] = (128, 128, 128)
    small_start: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], *, train: bool) -> Float[Array, "b latent"]:
        """Map points to codes."""
        x = _hidden(_points(x), self.hidden, _start(self.small_start))
        return _dense(self.latent, len(self.hidden), _start(self.small_start))(x)


class PointDiscriminator(Network):
    """Points to logits; its features are the last hidden layer before its ReLU.

    With `spectral_norm` every layer is divided by its largest singular value.
    """

    hidden: tuple[int, ...] = (128, 128, 128)
    spectral_norm: bool = False
    small_start: bool = False

    @property
    def piecewise_linear(self) -> bool:
        """Whether points are judged by layers and ReLUs alone."""
        return not self.spectral_norm

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], *, train: bool) -> Judged:
        """Judge points; a high logit says real."""
        start, features = _start(self.small_start), _points(x)
        for i, width in enumerate(self.hidden):
            x = features if i == 0 else nn.relu(features)
            features = self._layer(width, i, start)(x, train)
        active = nn.relu(features)
        sow_trunk(self, active)
        logits = self._layer(1, len(self.hidden), start)(active, train)
        return Judged(logits[:, 0], features)

    def _layer(self, width: int, i: int, start: Initializer):
        if self.spectral_norm:
            layer = SNDense(width, kernel_init=start, name=f"dense_{i}")
            return lambda x, train: layer(x, train=train)
        layer = _dense(width, i, start)
        return lambda x, train: layer(x)


def _start(small: bool) -> Initializer:
    return glorot() if small else he_normal()


def _dense(width: int, i: int, start: Initializer) -> nn.Dense:
    return nn.Dense(width, kernel_init=start, bias_init=zeros, name=f"dense_{i}")


def _hidden(x: Array, widths: tuple[int, ...], start: Initializer) -> Array:
    for i, width in enumerate(widths):
        x = nn.relu(_dense(width, i, start)(x))
    return x


def _points(x: Array) -> jax.Array:
    if x.ndim != 2:
        raise ValueError(f"points must be [b, d], got {list(x.shape)}")
    return jax.numpy.asarray(x)
