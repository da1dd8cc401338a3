"""Networks that are small enough for many arms and seeds: for images of 8x8 pixels, and for points.

Discriminators say two things: "logits", and the "trunk" that these are a linear function of, on
which tasks put heads of their own. None normalises over the batch.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv, ConvTranspose
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.spectral_norm import Dense, SNConv, SNDense

SIDE = 8


class Judged(NamedTuple):
    """What a discriminator says.

    Attributes:
        logits: high where an example looks real.
        trunk: the features before the last layer.
    """

    logits: Float[Array, " b"]
    trunk: Float[Array, "b d"]


class TinyGenerator(nn.Module):
    """Noise to images of 8x8: a dense layer to 2x2, two transposed convolutions, tanh.

    Attributes:
        latent: length of the noise.
        widths: of the maps of 2x2 and 4x4, behind which stand batch norm and ReLU.
        channels: of the images.
    """

    latent: int = 32
    widths: tuple[int, int] = (64, 32)
    channels: int = 3

    @nn.compact
    def __call__(self, z: Float[Array, "b latent"], *, train: bool) -> Float[Array, "b 8 8 c"]:
        """Draw the images of the noise."""
        first, second = self.widths
        x = Dense(4 * first, name="dense")(z).reshape(-1, 2, 2, first)
        x = nn.relu(BatchNorm(name="norm_0")(x, train=train))
        x = ConvTranspose(second, 4, 2, 1, use_bias=False, name="conv_0")(x)
        x = nn.relu(BatchNorm(name="norm_1")(x, train=train))
        return jnp.tanh(ConvTranspose(self.channels, 4, 2, 1, name="conv_1")(x))


class TinyDiscriminator(nn.Module):
    """Images of 8x8 to `Judged`: two convolutions of stride 2 with leaky ReLU, a dense layer.

    Attributes:
        widths: of the maps of 4x4 and 2x2; the trunk is the latter in a row.
        spectral_norm: whether all layers are divided by their largest singular value.

    Raises ValueError for images of another size.
    """

    widths: tuple[int, int] = (8, 16)
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b 8 8 c"], *, train: bool) -> Judged:
        """Judge the images."""
        if x.ndim != 4 or x.shape[1:3] != (SIDE, SIDE):
            raise ValueError(f"images must be [b, {SIDE}, {SIDE}, c], got {list(x.shape)}")
        convolution, dense = (SNConv, SNDense) if self.spectral_norm else (Conv, Dense)
        options: dict[str, Any] = {"train": train} if self.spectral_norm else {}
        for i, width in enumerate(self.widths):
            x = convolution(width, 4, 2, 1, name=f"conv_{i}")(x, **options)
            x = jax.nn.leaky_relu(x, 0.2)
        trunk = x.reshape(len(x), -1)
        return Judged(dense(1, name="logit")(trunk, **options)[:, 0], trunk)


class PlaneDiscriminator(nn.Module):
    """Points to `Judged`: a perceptron with ReLU."""

    hidden: tuple[int, ...] = (64, 64)

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], *, train: bool) -> Judged:
        """Judge the points."""
        for i, width in enumerate(self.hidden):
            x = nn.relu(Dense(width, name=f"dense_{i}")(x))
        return Judged(Dense(1, name="logit")(x)[:, 0], x)
