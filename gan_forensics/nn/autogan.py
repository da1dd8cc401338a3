"""AutoGAN's simulator: images through a generator's up-sampling, otherwise as they are.

Zhang, Karaman and Chang, "Detecting and simulating artifacts in GAN fake images" (WIFS 2019): the
networks of CycleGAN (Zhu et al., ICCV 2017) without a second domain. Images are [b, h, w, c] in
[-1, 1]; kernels start as N(0, 0.02^2), but for those of transposed convolutions, as PyTorch's.
"""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv, ConvTranspose
from gan_forensics.nn.initial import normal
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import InstanceNorm, at_least_float32
from gan_forensics.nn.upsample import nearest

Upsampling = Literal["transposed", "nearest"]


class Generator(Network):
    """Images to copies of them, by way of maps of a quarter of their side.

    A convolution of 7x7, two of 3x3 and stride 2 that double the width, residual blocks, two
    upsamplings that halve it, 7x7, tanh; each but the last with instance norm, and ReLU but at the
    end of a block. Borders are reflected around the 7x7 convolutions and in the blocks.

    Attributes:
        width: of the first map.
        blocks: residual blocks.
        upsampling: "transposed", 3x3 with stride 2, or "nearest" and a convolution of 3x3.
        channels: of the images.
        dtype: of the computation.

    Raises ValueError for sides that are no multiples of 4 or below 8, and an unknown upsampling.
    """

    width: int = 64
    blocks: int = 9
    upsampling: Upsampling = "transposed"
    channels: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w c"]:
        """Copy; `train` changes nothing."""
        h, w = x.shape[1:3]
        if h % 4 or w % 4 or min(h, w) < 8:
            raise ValueError(
                f"images must have sides of 8 or more that 4 divides, got {h}x{w}: resize them "
                "(size=N, --size N)"
            )
        if self.upsampling not in ("transposed", "nearest"):
            raise ValueError(f"upsampling is transposed or nearest, got {self.upsampling!r}")
        x = self._normed(_reflected(x, 3), self.width, 7, padding=0, name="stem")
        for i in (0, 1):
            x = self._normed(x, self.width * 2 ** (i + 1), 3, 2, padding=1, name=f"down_{i}")
        wide = 4 * self.width
        for i in range(self.blocks):
            y = self._normed(_reflected(x, 1), wide, 3, padding=0, name=f"block_{i}_0")
            y = self._conv(_reflected(y, 1), wide, 3, padding=0, name=f"block_{i}_1")
            x = x + InstanceNorm(dtype=self.dtype, name=f"block_{i}_1_norm")(y)
        for i in (0, 1):
            made, name = wide // 2 ** (i + 1), f"up_{i}"
            if self.upsampling == "nearest":
                x = self._normed(nearest(x), made, 3, padding=1, name=name)
            else:
                options = {"padding": 1, "output_padding": 1, "use_bias": False, "name": name}
                x = ConvTranspose(made, 3, 2, dtype=self.dtype, **options)(x)
                x = nn.relu(InstanceNorm(dtype=self.dtype, name=f"{name}_norm")(x))
        x = self._conv(_reflected(x, 3), self.channels, 7, padding=0, use_bias=True, name="image")
        return jnp.tanh(at_least_float32(x))

    def _conv(self, x, *shape: int, padding: int, name: str, use_bias: bool = False):
        options: dict[str, Any] = {"kernel_init": normal(0.02), "dtype": self.dtype}
        return Conv(*shape, padding=padding, use_bias=use_bias, name=name, **options)(x)

    def _normed(self, x, *shape: int, padding: int, name: str):
        x = self._conv(x, *shape, padding=padding, name=name)
        return nn.relu(InstanceNorm(dtype=self.dtype, name=f"{name}_norm")(x))


class PatchDiscriminator(Network):
    """Images to a logit for each patch, of 70x70 pixels with three layers of stride 2.

    Convolutions of 4x4 whose width doubles up to eight times, of stride 2 and one of stride 1, with
    instance norm but for the first, and leaky ReLU (0.2); then one to the logits.

    Raises ValueError for images that are too small for the layers.
    """

    width: int = 64
    layers: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2"]:
        """Score each patch; `train` changes nothing."""
        least = 3 * 2**self.layers
        if min(x.shape[1:3]) < least:
            raise ValueError(
                f"images of {x.shape[1]}x{x.shape[2]} are too small for {self.layers} layers of "
                f"stride 2: sides of at least {least}, or fewer layers"
            )
        start: dict[str, Any] = {"kernel_init": normal(0.02), "dtype": self.dtype}
        for i in range(self.layers + 1):
            made, stride = self.width * 2 ** min(i, 3), 2 if i < self.layers else 1
            x = Conv(made, 4, stride, 1, use_bias=i == 0, name=f"conv_{i}", **start)(x)
            if i > 0:
                x = InstanceNorm(dtype=self.dtype, name=f"conv_{i}_norm")(x)
            x = nn.leaky_relu(x, 0.2)
        return at_least_float32(Conv(1, 4, padding=1, name="logits", **start)(x)[..., 0])


def _reflected(x: Array, margin: int) -> Array:
    sides = [(0, 0), (margin, margin), (margin, margin), (0, 0)]
    return jnp.pad(x, sides, mode="reflect")
