"""The Inception network of the Frechet inception distance: the TensorFlow graph of 2015-12-05.

It is Inception v3 (Szegedy et al., CVPR 2016) as that graph has it, which differs from other
Inception v3s in ways that change every score:

- average pooling inside the blocks leaves the padding out of its count;
- the pooling of the last block takes the maximum;
- the classifier has 1008 outputs, and the inception score uses them without their bias;
- images [0, 255] become (x - 128) / 128, after a bilinear resize to 299x299 that takes output place
  i from input place i * (size / 299): corners at the top left, no half-pixel centres, no
  antialiasing.

The architecture is the table `gan_forensics.nn.inception_layout`. The network only infers: batch
norms are folded into the
kernels, 1x1 convolutions of one input are one product, and average pooling comes after the 1x1
convolution that follows it in the table, with which it commutes.
"""

from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float, UInt8

from gan_forensics.nn.conv import convolve
from gan_forensics.nn.inception_layout import CLASSES, STAGES, Block, Fork, MaxPool, Unit
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32

SIZE = 299  # side of the images that the network was trained on
EPSILON = 1e-3  # of the graph's batch norms


class InceptionOutputs(NamedTuple):
    """What the scores look at.

    Attributes:
        pool3: mean of the last map, the features of FID and KID.
        logits: of the 1008 classes.
        logits_unbiased: the same without the bias; the inception score takes their softmax.
    """

    pool3: Float[Array, "b 2048"]
    logits: Float[Array, "b 1008"]
    logits_unbiased: Float[Array, "b 1008"]


class _Folded(Network):
    """The weights of a unit, with the batch norm folded in: (kernel [kh, kw, in, out], bias [out]).

    A module of its own so that a block can convolve with several units' weights at once.
    """

    unit: Unit
    channels: int

    @nn.compact
    def __call__(self):
        n = self.unit.features
        shape = (*self.unit.kernel, self.channels, n)
        # He et al. (2015): random networks, too, keep the size of their activations.
        kernel = self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32)
        scale = self.param("scale", nn.initializers.ones, (n,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (n,), jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, (n,), jnp.float32).value
        var = self.variable("batch_stats", "var", jnp.ones, (n,), jnp.float32).value
        factor = scale * lax.rsqrt(var + EPSILON)
        return kernel * factor.reshape(1, 1, 1, n), bias - mean * factor


class _BlockNet(Network):
    block: Block
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        block, channels = self.block, x.shape[-1]
        # Every 1x1 convolution of the block's input, as one product.
        heads = [
            (branch[0], _Folded(branch[0], channels, name=branch[0].name)())
            for branch in block.branches
            if isinstance(branch[0], Unit) and branch[0].kernel == (1, 1)
        ]
        averaged = block.pooling == "average"
        pool = Unit("branch_pool", block.pooled)
        weights = _Folded(pool, channels, name=pool.name)() if block.pooled else None
        kernels = [kernel for _, (kernel, _) in heads]
        if averaged:
            kernels.append(weights[0])  # pyright: ignore[reportOptionalSubscript]
        joined, x = promote_dtype(jnp.concatenate(kernels, -1), x, dtype=self.dtype)
        parts = jnp.split(_pointwise(x, joined), np.cumsum([k.shape[-1] for k in kernels])[:-1], -1)
        made = {
            unit.name: _rectified(part, bias)
            for (unit, (_, bias)), part in zip(heads, parts, strict=False)
        }

        outputs = []
        for branch in block.branches:
            y = x
            for part in branch:
                if isinstance(part, Fork):
                    y = jnp.concatenate([self._unit(unit, y) for unit in part.units], -1)
                else:
                    y = made[part.name] if part.name in made else self._unit(part, y)
            outputs.append(y)
        if block.pooling == "reduce":
            outputs.append(_max_pool(x, stride=2))
        elif averaged:
            outputs.append(_rectified(_mean_of_neighbours(parts[-1]), weights[1]))  # pyright: ignore
        else:
            outputs.append(_apply(_max_pool(x, stride=1), pool, weights))
        return jnp.concatenate(outputs, -1)

    def _unit(self, unit: Unit, x):
        return _apply(x, unit, _Folded(unit, x.shape[-1], name=unit.name)())


def _apply(x, unit: Unit, weights):
    kernel, bias = weights
    return _rectified(_convolve(x, kernel.astype(x.dtype), unit), bias)


def _convolve(x, kernel, unit: Unit):
    if unit.kernel == (1, 1):
        return _pointwise(x, kernel)
    if unit.same or unit.stride > 1:
        padding = "SAME" if unit.same else "VALID"
        return convolve(x, kernel, strides=unit.stride, padding=padding)
    # XLA's CPU convolution without any padding takes more than twice as long (73x73, 80 -> 192
    # channels: 17 against 50 GFLOP/s), so a place is added and its outputs are cut off.
    return convolve(x, kernel, padding=((0, 1), (0, 1)))[:, :-1, :-1]


def _pointwise(x, kernel):
    """A 1x1 convolution, which is a product; XLA's CPU convolution is slower at it."""
    return jnp.einsum("bhwi,io->bhwo", x, kernel[0, 0])


def _rectified(x, bias):
    return nn.relu(x + bias.astype(x.dtype).reshape(1, 1, 1, -1))


def _max_pool(x, *, stride: int):
    # With stride 1 the size stays; the padding counts as minus infinity.
    pads = ((0, 0), (1, 1), (1, 1), (0, 0)) if stride == 1 else "VALID"
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, stride, stride, 1), pads)


def _mean_of_neighbours(x):
    """3x3 mean with stride 1 over the places inside the map."""
    for axis in (1, 2):
        # Shifted sums: XLA's windowed sum on CPUs takes several times as long.
        size = x.shape[axis]
        pad = [(0, 0)] * 4
        pad[axis] = (1, 1)
        padded = jnp.pad(x, pad)
        total = sum(lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3))
        place = np.arange(size)
        count = 1 + (place > 0) + (place < size - 1)
        shape = [1] * 4
        shape[axis] = size
        x = total / jnp.asarray(count, x.dtype).reshape(shape)
    return x


class InceptionV3(Network):
    """The network, on images that `inception_input` prepared (299x299, or at least 75x75)."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 3"]) -> InceptionOutputs:
        """Features and logits, in at least float32."""
        if x.ndim != 4 or x.shape[-1] != 3 or min(x.shape[1:3]) < 75:
            raise ValueError(
                f"images of shape {list(x.shape)} do not suit Inception: give [b, h, w, 3] of "
                "75x75 or more, as inception_input makes them"
            )
        (x,) = promote_dtype(x, dtype=self.dtype)
        for stage in STAGES:
            if isinstance(stage, Unit):
                x = _apply(x, stage, _Folded(stage, x.shape[-1], name=stage.name)())
            elif isinstance(stage, MaxPool):
                x = _max_pool(x, stride=2)
            else:
                x = _BlockNet(stage, dtype=self.dtype, name=stage.name)(x)
        pool3 = at_least_float32(x).mean((1, 2))
        unbiased, bias = _Classifier(name="fc")(pool3)
        return InceptionOutputs(pool3, unbiased + bias.reshape(1, -1), unbiased)


class _Classifier(Network):
    @nn.compact
    def __call__(self, x):
        shape = (x.shape[-1], CLASSES)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (CLASSES,), jnp.float32)
        return jnp.matmul(x, kernel.astype(x.dtype), precision=lax.Precision.HIGHEST), bias


Resize = Literal["tensorflow", "pytorch-fid"]


def inception_input(
    images: UInt8[Array | np.ndarray, "b h w c"],
    *,
    resize: Resize = "tensorflow",
    dtype: Any = jnp.float32,
) -> Float[Array, "b 299 299 3"]:
    """Resize images to 299x299 and bring them to the network's range.

    Args:
        images: [0, 255], gray (repeated to three channels) or RGB.
        resize: "tensorflow": as in the graph itself and in torch-fidelity, module docstring.
            "pytorch-fid": bilinear with half-pixel centres, then x / 127.5 - 1, as that tool does;
            scores differ from the graph's.
        dtype: of the result.

    Raises:
        ValueError: for an unknown resize, and for what is no image batch.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must be uint8 [b, h, w, 1 or 3], got {images.dtype} {list(images.shape)}: "
            "quantise them with gan_forensics.data.to_uint8"
        )
    x = jnp.asarray(images).astype(dtype)
    if x.shape[-1] == 1:
        x = jnp.repeat(x, 3, axis=-1)
    if resize == "tensorflow":
        return (_resize_top_left(_resize_top_left(x, 2), 1) - 128) / 128
    if resize == "pytorch-fid":
        shape = (x.shape[0], SIZE, SIZE, 3)
        return jax.image.resize(x, shape, "bilinear", antialias=False) / 127.5 - 1
    raise ValueError(f"unknown resize {resize!r}: choose 'tensorflow' or 'pytorch-fid'")


def _resize_top_left(x, axis: int):
    """Linear interpolation at the `SIZE` places i * (size / SIZE), constant beyond the last."""
    size = x.shape[axis]
    # In float32, as the graph reckons, so that the interpolated places are its own.
    place = np.arange(SIZE, dtype=np.float32) * np.float32(size / SIZE)
    low = place.astype(np.int32)
    shape = [1] * 4
    shape[axis] = SIZE
    weight = jnp.asarray(place - low, x.dtype).reshape(shape)
    first = jnp.take(x, low, axis=axis)
    return first + (jnp.take(x, np.minimum(low + 1, size - 1), axis=axis) - first) * weight
