"""Networks that earlier work told generators apart with.

    DctCnn               Frank et al., "Leveraging frequency analysis for deep fake image
                         recognition" (ICML 2020)
    YuClassifier         Yu, Davis and Fritz, "Attributing fake images to GANs" (ICCV 2019)
    ReverseEngineering   Asnani et al., "Reverse engineering of generative models" (2021), its
                         network for attribution

All were published for 128x128 pixels and give the layers of then at that side. They are made for
squares of one `side`, which fixes their dense layers, and have fewer halvings or narrower maps
where it is smaller, as each says. They return features (what the last layer reads) and logits.
"""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv, convolve
from gan_forensics.nn.dropout import Dropout
from gan_forensics.nn.initial import glorot, he_normal, normal, torch_uniform, zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.small_classifier import Classified
from gan_forensics.runtime import by_shares

SMALLEST = 8
# MATLAB's and everybody's luma, to three digits.
LUMA = (0.299, 0.587, 0.114)


class ReverseEngineered(NamedTuple):
    """Features before the last layer, logits, and the residual that they were found in.

    The logits are sigmoids, in [0, 1]: a softmax of these is what training compares with labels.
    """

    features: Float[Array, "b d"]
    logits: Float[Array, "b classes"]
    residual: Float[Array, "b h w 3"]


class DctCnn(Network):
    """Standardised log-DCT coefficients to logits.

    3x3 convolutions of 3, 8, 16 and 32 maps with ReLU, mean pooling of 2x2 before the third and
    the fourth; all 32 (side // 4)^2 values are the features. Nothing depends on `train`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> network, x = DctCnn(classes=5, side=16), jnp.ones((2, 16, 16, 3))
        >>> y, _ = jax.eval_shape(lambda: network.init_with_output(random_key(0), x, train=False))
        >>> y.features.shape, y.logits.shape
        ((2, 512), (2, 5))
    """

    classes: int
    side: int

    @nn.compact
    def __call__(self, x: Float[Array, "b side side 3"], *, train: bool) -> Classified:
        """What `forensics.fingerprints.dct_input` gives, to features and logits."""
        check_square(x, self.side, "the DCT network")
        start: dict[str, Any] = dict(kernel_init=glorot(), bias_init=zeros)
        for i, width in enumerate((3, 8, 16, 32)):
            # The convolution of this house starts its bias as PyTorch does, Keras at zero.
            x = _Convolution(width, name=f"conv_{i}")(x)
            if i in (1, 2):
                x = nn.avg_pool(x, (2, 2), (2, 2))
        features = x.reshape(len(x), -1)
        return Classified(features, nn.Dense(self.classes, name="logits", **start)(features))


class YuClassifier(Network):
    """Images in [-1, 1] to logits: the discriminator of a progressively grown GAN.

    The side is halved as long as 4 pixels or more are left, floor(log2(side / 4)) times: 5 times
    for 128 pixels, 3 for 32. Each level has two reflect-padded 3x3 convolutions and mean pooling;
    with k halvings to come they have width / 2^k and 2 width / 2^k maps, so that a smaller side
    leaves out the narrow levels of the beginning. Then come a 3x3 convolution and a dense layer of
    `width`, whose values are the features. All have biases, leaky ReLU of slope .2, and an
    equalised learning rate: weights start as N(0, 1) and are multiplied by their He scale whenever
    they are used. Nothing depends on `train`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> network, x = YuClassifier(classes=5, side=16, width=64), jnp.ones((2, 16, 16, 3))
        >>> y, _ = jax.eval_shape(lambda: network.init_with_output(random_key(0), x, train=False))
        >>> y.features.shape, y.logits.shape
        ((2, 64), (2, 5))
    """

    classes: int
    side: int
    width: int = 512

    @nn.compact
    def __call__(self, x: Float[Array, "b side side 3"], *, train: bool) -> Classified:
        """Images in [-1, 1] to features and logits."""
        check_square(x, self.side, "this network")
        for k in range(int(math.log2(self.side / 4)), 0, -1):
            for i in (0, 1):
                maps = max(1, self.width * 2**i // 2**k)
                x = _leaky(EqualisedConv(maps, name=f"level_{k}_{i}")(x))
            x = nn.avg_pool(x, (2, 2), (2, 2))
        x = _leaky(EqualisedConv(self.width, name="last_conv")(x))
        features = _leaky(EqualisedDense(self.width, name="dense")(x.reshape(len(x), -1)))
        logits = EqualisedDense(self.classes, gain=1.0, name="logits")(features)
        return Classified(features, logits)


class ReverseEngineering(Network):
    """Normalised images to a residual, its spectrum, and logits.

    The residual is what `depth` 3x3 convolutions make (ReLU between, batch norm in the middle);
    the spectrum is the centred magnitude of its gray map. On this two 5x5 convolutions of 32 and 64
    maps with ReLU and 2x2 maximum pooling, dropout of a half, and a dense layer of 512 with ReLU,
    the features. The dense layer reads 64 (side // 4)^2 values: 65536 at 128 pixels. Training draws
    from the key "dropout".

    Attributes:
        classes: number of logits.
        side: of the images.
        width: maps of the residual's convolutions.
        depth: their number, 3 or more.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> network, x = ReverseEngineering(5, side=16, width=8, depth=3), jnp.ones((2, 16, 16, 3))
        >>> y, _ = jax.eval_shape(lambda: network.init_with_output(random_key(0), x, train=False))
        >>> y.features.shape, y.logits.shape, y.residual.shape
        ((2, 512), (2, 5), (2, 16, 16, 3))
    """

    classes: int
    side: int
    width: int = 64
    depth: int = 17

    @nn.compact
    def __call__(self, x: Float[Array, "b side side 3"], *, train: bool) -> ReverseEngineered:
        """What `forensics.reverse_engineering.normalise` gives; `train` moves statistics."""
        check_square(x, self.side, "this network")
        start: dict[str, Any] = dict(padding=1, kernel_init=he_normal())
        x = nn.relu(Conv(self.width, 3, name="conv_0", **start)(x))
        for i in range(1, self.depth - 1):
            x = Conv(self.width, 3, name=f"conv_{i}", **start)(x)
            x = nn.relu(BatchNorm(name=f"norm_{i}")(x, train=train))
        residual = Conv(3, 3, name=f"conv_{self.depth - 1}", **start)(x)

        x = centred_magnitude(to_gray(residual))[..., None]
        for i, maps in enumerate((32, 64)):
            x = nn.relu(Conv(maps, 5, padding=2, name=f"spectrum_{i}")(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = Dropout(0.5)(x.reshape(len(x), -1), deterministic=not train)
        features = nn.relu(_torch_dense(x, 512, "dense"))
        logits = nn.sigmoid(_torch_dense(features, self.classes, "scores"))
        return ReverseEngineered(features, logits, residual)


class EqualisedConv(Network):
    """A reflect-padded 3x3 convolution whose weights are scaled when used, by sqrt(2 / fan_in)."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w o"]:
        """Map maps to maps."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", normal(1.0), shape, jnp.float32)
        bias = self.param("bias", zeros, shape[-1:], jnp.float32)
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        scale = math.sqrt(2 / math.prod(shape[:-1]))
        return convolve(x, kernel * scale, padding="VALID") + bias.reshape(1, 1, 1, -1)


class EqualisedDense(Network):
    """A dense layer whose weights are scaled when used, by gain / sqrt(fan_in)."""

    features: int
    gain: float = math.sqrt(2)

    @nn.compact
    def __call__(self, x: Float[Array, "b c"]) -> Float[Array, "b o"]:
        """Map rows to rows."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", normal(1.0), shape, jnp.float32)
        bias = self.param("bias", zeros, shape[-1:], jnp.float32)
        return x @ (kernel * (self.gain / math.sqrt(shape[0]))) + bias.reshape(1, -1)


def check_square(x: Array, side: int, what: str) -> None:
    """Refuse what are no squares of this side, or a side that is too small.

    Raises:
        ValueError: naming the shape and what is allowed.
    """
    if side < SMALLEST:
        raise ValueError(f"{what} needs images with sides of at least {SMALLEST}, not {side}")
    if x.ndim != 4 or x.shape[1:] != (side, side, 3):
        raise ValueError(
            f"{what} was made for images [b, {side}, {side}, 3], got {list(x.shape)}: bring them "
            "to that size"
        )


def to_gray(x: Float[Array, "b h w 3"]) -> Float[Array, "b h w"]:
    """The weighted sum of red, green and blue."""
    return sum((weight * x[..., i] for i, weight in enumerate(LUMA)), jnp.zeros((), jnp.float32))


def centred_magnitude(maps: Float[Array, "b h w"]) -> Float[Array, "b h w"]:
    """|F| of the two-dimensional Fourier transform, frequency zero in place (h // 2, w // 2)."""
    magnitude = by_shares(lambda x: jnp.abs(jnp.fft.fft2(x)), maps)
    return jnp.fft.fftshift(magnitude, axes=(1, 2))


class _Convolution(Network):
    """Keras' 3x3 convolution with ReLU: Glorot's kernel and a bias of zero."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w o"]:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", glorot(), shape, jnp.float32)
        bias = self.param("bias", zeros, shape[-1:], jnp.float32)
        return nn.relu(convolve(x, kernel, padding="SAME") + bias.reshape(1, 1, 1, -1))


def _leaky(x: Array) -> Array:
    return nn.leaky_relu(x, 0.2)


def _torch_dense(x: Float[Array, "b c"], features: int, name: str) -> Float[Array, "b o"]:
    init = torch_uniform(x.shape[-1])
    return nn.Dense(features, kernel_init=init, bias_init=init, name=name)(x)
