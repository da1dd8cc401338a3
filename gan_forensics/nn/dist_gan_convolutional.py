"""The convolutional networks of Dist-GAN: DCGAN, SN-GAN's without spectral norm, stacked MNIST.

Tran, Bui and Cheung, "Dist-GAN", ECCV 2018 (arXiv 1803.08887), as in the authors' code. A network
is a table of layers, which `gan_forensics.nn.dist_gan` writes. The layers' names are those of
TensorFlow's slim: "Conv", "Conv_1", ..., "Conv2d_transpose", ..., "flatten_fully_connected".
"""

from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from gan_forensics.nn.dist_gan_layers import (
    Judged,
    SlimConv,
    SlimConvTranspose,
    SlimDense,
    check_images,
    check_noise,
    flat,
)
from gan_forensics.nn.heads import sow_trunk
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32

DENSE = "flatten_fully_connected"
# How a generator of 28x28 images turns its map of 8x8, 4x4 doubled, into one of 7x7: a dense layer
# with ReLU (MNIST), or without the last row and column (stacked MNIST).
Narrowing = Literal["dense", "crop"]


class Layer(NamedTuple):
    """One convolution of a network.

    Attributes:
        kind: "conv", or "transposed" for one that enlarges by its strides.
        features: channels of the result.
        kernel: side of the kernel.
        strides: of the convolution.
        norm: whether batch norm follows, in place of a bias.
        slope: of the leaky ReLU below zero, 0 for a ReLU, None for no activation.
    """

    kind: Literal["conv", "transposed"]
    features: int
    kernel: int
    strides: int
    norm: bool
    slope: float | None


class ConvEncoder(Network):
    """Images in [0, 1] to latent codes: layers, then a dense one.

    Raises ValueError for images of another size or number of channels.
    """

    size: int
    channels: int
    layers: tuple[Layer, ...]
    latent: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b latent"]:
        """Encode the images; the codes are not bounded."""
        check_images(x, self.size, self.channels)
        for name, layer in zip(_names(self.layers), self.layers, strict=True):
            x = _applied(layer, x, name, train=train, dtype=self.dtype)
        return SlimDense(self.latent, name=DENSE)(flat(x), train=train)


class ConvGenerator(Network):
    """Latent codes to images in [0, 1]: a dense layer with ReLU to a small map, layers, sigmoid.

    Attributes:
        latent: length of the codes.
        start: side of the first map.
        first: channels of the first map.
        first_norm: whether batch norm follows the dense layer.
        layers: behind the first map.
        narrowing: of the map behind the first of `layers`; None leaves it as it is.
        dtype: of the computation.

    Raises ValueError for codes of another length.
    """

    latent: int
    start: int
    first: int
    first_norm: bool
    layers: tuple[Layer, ...]
    narrowing: Narrowing | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, z: Float[Array, "b latent"], *, train: bool) -> Float[Array, "b h w c"]:
        """Draw the images of the codes."""
        check_noise(z, self.latent)
        features = self.start**2 * self.first
        x = SlimDense(features, self.first_norm, self.dtype, name=DENSE)(z, train=train)
        x = nn.relu(x).reshape(-1, self.start, self.start, self.first)
        for i, (name, layer) in enumerate(zip(_names(self.layers), self.layers, strict=True)):
            x = _applied(layer, x, name, train=train, dtype=self.dtype)
            if i == 0 and self.narrowing is not None:
                x = self._narrowed(x, train=train)
        return nn.sigmoid(at_least_float32(x))

    def _narrowed(self, x, *, train: bool):
        b, h, w, c = x.shape
        if self.narrowing == "crop":
            return x[:, : h - 1, : w - 1]
        dense = SlimDense((h - 1) * (w - 1) * c, dtype=self.dtype, name=f"{DENSE}_1")
        return nn.relu(dense(x.reshape(b, -1), train=train)).reshape(b, h - 1, w - 1, c)


class ConvDiscriminator(Network):
    """Images in [0, 1] to `Judged`: layers, then a dense one.

    Raises ValueError for images of another size or number of channels.
    """

    size: int
    channels: int
    layers: tuple[Layer, ...]
    dtype: Any = None

    @property
    def piecewise_linear(self) -> bool:
        """Whether images are judged by layers and leaky ReLUs alone."""
        return not any(layer.norm for layer in self.layers)

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Judged:
        """Judge the images."""
        check_images(x, self.size, self.channels)
        for name, layer in zip(_names(self.layers), self.layers, strict=True):
            x = _applied(layer, x, name, train=train, dtype=self.dtype)
        features = flat(x)
        sow_trunk(self, features)
        logits = SlimDense(1, name=DENSE)(features, train=train)
        return Judged(logits.reshape(-1), features)


def _names(layers: tuple[Layer, ...]) -> list[str]:
    """The names that slim gives layers: each kind is counted, and the first bears no number."""
    scopes = [{"conv": "Conv", "transposed": "Conv2d_transpose"}[layer.kind] for layer in layers]
    counts = [scopes[:i].count(scope) for i, scope in enumerate(scopes)]
    return [f"{s}_{n}" if n else s for s, n in zip(scopes, counts, strict=True)]


def _applied(layer: Layer, x, name: str, *, train: bool, dtype: Any):
    module = {"conv": SlimConv, "transposed": SlimConvTranspose}[layer.kind]
    made = module(
        layer.features, layer.kernel, layer.strides, norm=layer.norm, dtype=dtype, name=name
    )
    x = made(x, train=train)
    return x if layer.slope is None else jax.nn.leaky_relu(x, layer.slope)
