"""Normalisation layers with PyTorch's meaning, for maps [b, h, w, c].

All subtract a mean and divide by a standard deviation; they differ only in what the two are
taken over (Wu and He, "Group normalization", ECCV 2018, figure 2):

    BatchNorm      b, h, w   one pair for each channel, and a running estimate for inference
    GroupNorm1     h, w, c   one pair for each image ("layer norm" of the GAN literature)
    InstanceNorm   h, w      one pair for each image and channel
    ConditionalBatchNorm   as BatchNorm, with the scale and bias of the image's class

Each has a scale and a bias for every channel and normalises with the biased variance. Statistics
are float32 also where the network computes in bfloat16. The batch is the global batch: under `jit`
with a sharded batch the reductions below are over all devices, so no axis name is needed.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_forensics.nn.initial import normal, ones, zeros
from gan_forensics.nn.network import Network

EPSILON = 1e-5  # PyTorch's, in all three layers; keeps constant maps finite
MOMENTUM = 0.1  # PyTorch's convention: the weight of the newest batch

_MAP = (1, 2)  # the axes h and w


class BatchNorm(Network):
    """Batch normalisation (Ioffe and Szegedy, ICML 2015) as in PyTorch's `BatchNorm2d`.

    Training uses the statistics of the batch and moves the running ones, in the collection
    "batch_stats": `new = (1 - momentum) * old + momentum * batch`, with the *unbiased* variance.
    Otherwise the running statistics are used. Raises ValueError for a training batch with a single
    value per channel, whose output would be the bias whatever the input.

    Example:
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> x = jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1)  # one image of two pixels
        >>> y, _ = BatchNorm().init_with_output(random_key(0), x, train=True)
        >>> y.ravel().round(3).tolist()
        [-1.0, 1.0]
    """

    epsilon: float = EPSILON
    momentum: float = MOMENTUM
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w c"]:
        """Normalise every channel; the result has the layer's `dtype`, by default that of x."""
        return _batch_norm(self, x, *_affine(self, x.shape[-1]), train=train)


class ConditionalBatchNorm(Network):
    """Batch normalisation with a scale and a bias for every class and channel.

    Dumoulin et al., "A learned representation for artistic style", ICLR 2017, as in Miyato and
    Koyama, "cGANs with projection discriminator", ICLR 2018. One `embedding` [classes, 2 c] holds
    the scales, initially N(1, 0.02), then the biases, initially 0. Statistics are of all classes
    together, as in `BatchNorm`. A label outside 0, ..., classes - 1 makes its image NaN.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> layer, x, labels = ConditionalBatchNorm(10), jnp.ones((2, 4, 4, 8)), jnp.array([3, 7])
        >>> made = jax.eval_shape(lambda: layer.init(random_key(0), x, labels, train=True))
        >>> made["params"]["embedding"].shape  # scales and biases of 8 channels, for each class
        (10, 16)
    """

    classes: int
    epsilon: float = EPSILON
    momentum: float = MOMENTUM
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], labels: Int[Array, " b"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Normalise every channel and scale it as the label of its image says."""
        channels = x.shape[-1]

        def start(key, shape, dtype):
            scale = normal(0.02, mean=1)(key, (shape[0], channels), dtype)
            both = [scale, zeros(key, scale.shape, dtype)]
            return scale.__array_namespace__().concat(both, axis=1)

        shape = (self.classes, 2 * channels)
        embedding = self.param("embedding", start, shape, jnp.float32)
        rows = jnp.take(embedding, labels, axis=0, mode="fill").reshape(-1, 1, 1, 2 * channels)
        scale, bias = rows[..., :channels], rows[..., channels:]
        return _batch_norm(self, x, scale, bias, train=train)


def _batch_norm(module: BatchNorm | ConditionalBatchNorm, x, scale, bias, *, train: bool):
    """Batch norm of the layer `module`, with `scale` and `bias` [1 or b, 1, 1, c]."""
    features = (x.shape[-1],)
    running_mean = module.variable("batch_stats", "mean", zeros, None, features, jnp.float32)
    running_var = module.variable("batch_stats", "var", ones, None, features, jnp.float32)

    values = at_least_float32(x)
    if not train:
        factor = scale * jax.lax.rsqrt(running_var.value.reshape(1, 1, 1, -1) + module.epsilon)
        y = (values - running_mean.value.reshape(1, 1, 1, -1)) * factor + bias
        return y.astype(module.dtype or x.dtype)

    count = values.size // values.shape[-1]
    if count < 2:
        raise ValueError(
            f"{type(module).__name__} cannot train on one value per channel (input shape "
            f"{x.shape}): give it a larger batch or a larger map"
        )
    y, mean, var = _normalise(values, scale, bias, (0, 1, 2), module.epsilon)
    if not module.is_initializing():
        unbiased = var.reshape(-1) * (count / (count - 1))
        for running, new in ((running_mean, mean.reshape(-1)), (running_var, unbiased)):
            # Stopped, so that nothing carried from step to step holds on to a gradient.
            new = jax.lax.stop_gradient(new).astype(running.value.dtype)
            running.value = (1 - module.momentum) * running.value + module.momentum * new
    return y.astype(module.dtype or x.dtype)


class GroupNorm1(Network):
    """Group normalisation with a single group, as in PyTorch's `GroupNorm(1, c)`.

    The critics of WGAN-GP call it layer norm; mean and variance are over h, w and c of each image,
    scale and bias are for each channel (not, as in `LayerNorm`, for each position).

    Example:
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> x = jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1)  # one image of two pixels
        >>> y, _ = GroupNorm1().init_with_output(random_key(0), x)
        >>> y.ravel().round(3).tolist()
        [-1.0, 1.0]
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Normalise every image; the result has the layer's `dtype`, by default that of x."""
        return _each_normalised(self, x, (1, 2, 3))


class InstanceNorm(Network):
    """Instance normalisation with an affine map, PyTorch's `InstanceNorm2d(c, affine=True)`.

    Ulyanov et al., arXiv 1607.08022. Statistics of the image itself also at inference.

    Example:
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> x = jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1)  # one image of two pixels
        >>> y, _ = InstanceNorm().init_with_output(random_key(0), x)
        >>> y.ravel().round(3).tolist()
        [-1.0, 1.0]
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Normalise every channel of every image; `dtype` as in the other layers."""
        return _each_normalised(self, x, _MAP)


def _each_normalised(module: GroupNorm1 | InstanceNorm, x, axes: tuple[int, ...]):
    y, _, _ = _normalise(at_least_float32(x), *_affine(module, x.shape[-1]), axes, EPSILON)
    return y.astype(module.dtype or x.dtype)


def _affine(module: nn.Module, features: int):
    """The parameters `scale` and `bias` of a layer, shaped to stand beside a map."""
    scale = module.param("scale", ones, (features,), jnp.float32)
    bias = module.param("bias", zeros, (features,), jnp.float32)
    return scale.reshape(1, 1, 1, -1), bias.reshape(1, 1, 1, -1)


def at_least_float32(x: Array) -> Array:
    """The array in float32, or as it is where it is wider."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


# The derivative of normalisation, written out: automatic differentiation of the two means makes
# twice as many passes over the map. It is itself made of ordinary operations, so that a gradient
# penalty may differentiate it again.
def _normalise_plainly(x, scale, bias, axes: tuple[int, ...], epsilon: float):
    """`(x - mean) / sqrt(var + epsilon) * scale + bias`, with the mean and variance over `axes`.

    `axes` holds h and w and possibly b or c; mean and variance keep the reduced axes. Scale and
    bias are both [1, 1, 1, c] or both [b, 1, 1, c].
    """
    return _normalise_forward(x, scale, bias, axes, epsilon)[0]


def _normalise_forward(x, scale, bias, axes, epsilon):
    mean, var = _moments(x, axes)
    inverse = jax.lax.rsqrt(var + epsilon)
    return ((x - mean) * (inverse * scale) + bias, mean, var), (x, scale, mean, inverse)


def _normalise_backward(axes, epsilon, residuals, cotangents):
    x, scale, mean, inverse = residuals
    dy, dmean, dvar = cotangents
    centred = x - mean
    # The only two passes over the map: everything else is about small sums, [b or 1, 1, 1, c].
    # XLA's CPU sums over all axes at once take half the time of sums of sums.
    shared = scale.shape[0] == 1  # else every image has its own
    at_once = (0, *_MAP) if shared and 0 in axes else _MAP
    sums = dy.sum(at_once, keepdims=True)
    moments = (dy * centred).sum(at_once, keepdims=True)

    dbias, dscale = sums, moments * inverse
    if shared:
        dbias, dscale = dbias.sum(0, keepdims=True), dscale.sum(0, keepdims=True)

    rest = tuple(axis for axis in axes if axis not in at_once)
    count = math.prod(x.shape[axis] for axis in axes)
    through_mean = (dmean - inverse * (scale * sums).sum(rest, keepdims=True)) / count
    through_var = (2 * dvar - inverse**3 * (scale * moments).sum(rest, keepdims=True)) / count
    dx = dy * (inverse * scale) + centred * through_var + through_mean
    return dx, dscale, dbias


_normalise = jax.custom_vjp(_normalise_plainly, nondiff_argnums=(3, 4))
_normalise.defvjp(_normalise_forward, _normalise_backward)


def _moments(x, axes: tuple[int, ...]):
    """Mean and biased variance, safe where the mean is large beside the spread.

    Two passes, and the mean is summed up from an estimate of it, that of the first rows.
    """
    first = x[:, :1].mean(axes, keepdims=True)
    mean = first + (x - first).mean(axes, keepdims=True)
    return mean, jnp.square(x - mean).mean(axes, keepdims=True)
