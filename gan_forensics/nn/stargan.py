"""StarGAN: one generator that translates images between many domains.

Choi et al., "StarGAN: unified generative adversarial networks for multi-domain image-to-image
translation" (CVPR 2018), with the second upsampling replaced as in Chandrasegaran et al. (CVPR
2021): there scaling is not the last convolution, one of 7x7 follows.

Images are [b, h, w, c] in [-1, 1], labels float [b, l], one number from 0 to 1 for each domain.
Parameters are float32 and start as PyTorch's; `dtype` is that of the computation.
"""

import difflib
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm, InstanceNorm, at_least_float32
from gan_forensics.nn.tails import LETTERS, Kind, doubling

UPSAMPLINGS = ("BASELINE", *LETTERS)


def upsampling_kind(name: str) -> Kind:
    """What doubles the map, of a name: BASELINE, or a letter as in `gan_forensics.nn.tails`.

    Raises:
        ValueError: for another name.
    """
    if name not in UPSAMPLINGS:
        close = difflib.get_close_matches(str(name).upper(), UPSAMPLINGS, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown upsampling {name!r}; did you mean {close[0]!r}? There are "
            f"{', '.join(UPSAMPLINGS)}"
        )
    return "transposed" if name == "BASELINE" else LETTERS[name]


class Generator(Network):
    """Images and the labels of a domain to images of that domain.

    A convolution of 7x7, two of stride 2 that double the width, residual blocks, two upsamplings
    that halve it, a convolution of 7x7, tanh; each but the last with instance norm, and ReLU but
    at the end of a block. Labels are spread over the image as further channels. There are no
    biases beside those of norms. Outside the image are zeros: with reflected borders a label's
    channel would be constant after the first convolution too, and instance norm would take it away.

    Attributes:
        width: of the first map.
        blocks: residual blocks.
        upsampling: the second one: BASELINE is a transposed convolution (4x4), N, Z, B, A and K are
            as in `gan_forensics.nn.tails`, with a convolution of 5x5.
        channels: of the images.
        statistics: of instance norm: "instance", those of the image, which the released code always
            uses; "running", those that its layers keep and never read, in "batch_stats".
        dtype: of the computation.

    Raises ValueError for sides that are no multiples of 4 or below 8, labels of another shape, and
    an unknown upsampling.
    """

    width: int = 64
    blocks: int = 6
    upsampling: str = "BASELINE"
    channels: int = 3
    statistics: Literal["instance", "running"] = "instance"
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], labels: Float[Array, "b l"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Translate; `train` changes nothing."""
        kind = upsampling_kind(self.upsampling)
        b, h, w, c = x.shape
        if h % 4 or w % 4 or min(h, w) < 8:
            raise ValueError(f"images must have sides of 8 or more that 4 divides, got {h}x{w}")
        if labels.ndim != 2 or labels.shape[0] != b:
            raise ValueError(f"labels must be [{b}, l], a row for each image: {labels.shape}")
        if c != self.channels:
            raise ValueError(f"images of {c} channels; the generator takes {self.channels}")

        bare = {"use_bias": False, "dtype": self.dtype}
        spread = jnp.broadcast_to(labels[:, None, None, :], (b, h, w, labels.shape[1]))
        x = jnp.concatenate([x, spread.astype(x.dtype)], axis=-1)
        x = nn.relu(self._norm("stem")(Conv(self.width, 7, padding=3, name="stem", **bare)(x)))
        for i in (0, 1):
            layer = Conv(self.width * 2 ** (i + 1), 4, 2, 1, name=f"down_{i}", **bare)
            x = nn.relu(self._norm(f"down_{i}")(layer(x)))
        wide = 4 * self.width
        for i in range(self.blocks):
            y = Conv(wide, 3, padding=1, name=f"block_{i}_0", **bare)(x)
            y = nn.relu(self._norm(f"block_{i}_0")(y))
            y = Conv(wide, 3, padding=1, name=f"block_{i}_1", **bare)(y)
            x = x + self._norm(f"block_{i}_1")(y)
        for i, how in enumerate(("transposed", kind)):
            layer = doubling(how, wide // 2 ** (i + 1), 5, name=f"up_{i}", **bare)
            x = nn.relu(self._norm(f"up_{i}")(layer(x)))
        x = Conv(self.channels, 7, padding=3, name="image", **bare)(x)
        return jnp.tanh(at_least_float32(x))

    def _norm(self, name: str):
        options = {"dtype": self.dtype, "name": f"{name}_norm"}
        if self.statistics == "instance":
            return InstanceNorm(**options)
        # With its running statistics, instance norm is what batch norm is with its own.
        norm = BatchNorm(**options)
        return lambda x: norm(x, train=False)


class Discriminator(Network):
    """Images to how real each patch looks, and to the logits of their labels.

    Convolutions 4x4 of stride 2 that double the width, with biases and leaky ReLU (0.01); then one
    of 3x3 for the patches and one of the whole map for the labels, without biases.

    Attributes:
        size: side of the images, a multiple of 2^layers.
        labels: how many.
        width: of the first map.
        layers: of stride 2.
        dtype: of the computation.

    Raises ValueError for images of another size, and one that is too small for the layers.
    """

    size: int
    labels: int
    width: int = 64
    layers: int = 6
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> dict[str, Array]:
        """`logits` [b, h', w'] of patches, high for real, and `labels` [b, l], logits too."""
        check_depth(self.size, self.layers)
        if x.shape[1:3] != (self.size, self.size):
            raise ValueError(
                f"images must be {self.size}x{self.size}, got {x.shape[1]}x{x.shape[2]}: resize "
                "them or build the discriminator for their size"
            )
        for i in range(self.layers):
            x = Conv(self.width * 2**i, 4, 2, 1, dtype=self.dtype, name=f"conv_{i}")(x)
            x = jax.nn.leaky_relu(x, 0.01)
        bare = {"use_bias": False, "dtype": self.dtype}
        patches = Conv(1, 3, padding=1, name="logits", **bare)(x)[..., 0]
        labels = Conv(self.labels, (x.shape[1], x.shape[2]), padding=0, name="labels", **bare)(x)
        return {
            "logits": at_least_float32(patches),
            "labels": at_least_float32(labels.reshape(len(labels), -1)),
        }


def check_depth(size: int, layers: int) -> None:
    """Refuse a side that cannot be halved so often (ValueError)."""
    if layers < 1 or size % 2**layers:
        raise ValueError(
            f"images of side {size} cannot be halved {layers} times: give a side that is a "
            f"multiple of {2 ** max(layers, 1)}, or fewer layers"
        )
