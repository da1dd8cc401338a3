"""Small networks as strangers write them, none with a thought of relevance, to be explained.

Plain Flax Linen, Flax NNX and plain JAX; two are this house's own. Images are NHWC floats.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gan_forensics.nn import dcgan, resgan
from gan_forensics.nn.spectral_norm import SNConv


class Probe(NamedTuple):
    """A network to explain.

    Attributes:
        function: a Linen module, an NNX module or `(parameters, x) -> y`.
        parameters: of it; None for an NNX module, which holds its own.
        x: what it reads.
        range: of x.
        start: y -> what is explained of it; None where y is one number for each image.
        call: `(parameters, x) -> y`, for whatever knows no modules; those of an NNX module are its
            state, None for its own.
    """

    function: Any
    parameters: Any
    x: np.ndarray
    range: tuple[float, float]
    start: Callable[[Any], Any] | None
    call: Callable[[Any, Any], Any]


class VGG(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x, deterministic: bool = True):
        for features in (self.width, 2 * self.width):
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.relu(nn.Conv(features, (3, 3), padding="VALID" if x.shape[1] > 8 else 1)(x))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        x = nn.relu(nn.Dense(2 * self.width)(x))
        x = nn.Dropout(0.5)(x, deterministic=deterministic)
        return nn.Dense(1)(x)


class ResNet(nn.Module):
    """Residual blocks with batch norm."""

    width: int

    @nn.compact
    def __call__(self, x, train: bool = True):
        def norm():
            return nn.BatchNorm(use_running_average=not train)

        x = nn.relu(norm()(nn.Conv(self.width, (3, 3), use_bias=False)(x)))
        for features, strides in ((self.width, 1), (2 * self.width, 2)):
            y = nn.relu(norm()(nn.Conv(features, (3, 3), (strides, strides), use_bias=False)(x)))
            y = norm()(nn.Conv(features, (3, 3), use_bias=False)(y))
            if x.shape != y.shape:
                x = norm()(nn.Conv(features, (1, 1), (strides, strides), use_bias=False)(x))
            x = nn.relu(x + y)
        return nn.Dense(3)(x.mean(axis=(1, 2)))


class SpectralResNet(nn.Module):
    """Residual blocks with Flax's spectral norm, the last one with this house's."""

    width: int

    @nn.compact
    def __call__(self, x, training: bool = False):
        def conv(y, features, kernel):
            normed = nn.SpectralNorm(nn.Conv(features, (kernel, kernel)))
            return normed(y, update_stats=training)

        x = conv(x, self.width, 3)
        y = conv(nn.leaky_relu(x), 2 * self.width, 3)
        y = conv(nn.leaky_relu(y), 2 * self.width, 3)
        x = nn.avg_pool(conv(x, 2 * self.width, 1) + y, (2, 2), strides=(2, 2))
        x = x + SNConv(2 * self.width, 3)(nn.leaky_relu(x), train=training)
        return nn.Dense(1)(nn.leaky_relu(x).sum(axis=(1, 2)))[:, 0]


class UNet(nn.Module):
    """Maps to maps: skips by concatenation, one map doubled by transposition, one by resizing."""

    width: int

    @nn.compact
    def __call__(self, x):
        skips = []
        for features in (self.width, 2 * self.width):
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            skips.append(x)
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Conv(2 * self.width, (3, 3))(x))
        x = nn.ConvTranspose(2 * self.width, (2, 2), strides=(2, 2))(x)
        x = nn.relu(nn.Conv(self.width, (3, 3))(jnp.concatenate([x, skips[1]], axis=-1)))
        b, h, w, c = x.shape
        x = jax.image.resize(x, (b, 2 * h, 2 * w, c), "bilinear")
        x = nn.relu(nn.Conv(self.width, (3, 3))(jnp.concatenate([x, skips[0]], axis=-1)))
        return nn.Conv(1, (1, 1))(x)


class Generator(nn.Module):
    """Noise to images."""

    width: int

    @nn.compact
    def __call__(self, z, train: bool = True):
        x = nn.Dense(4 * 4 * 2 * self.width)(z)
        x = nn.relu(x.reshape((-1, 4, 4, 2 * self.width)))
        x = nn.ConvTranspose(self.width, (4, 4), strides=(2, 2), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return jnp.tanh(nn.ConvTranspose(3, (4, 4), strides=(2, 2), padding="SAME")(x))


class SqueezeExcite(nn.Module):
    def __call__(self, x):
        return x * self.gate(x)

    @nn.compact
    def gate(self, x):
        s = nn.relu(nn.Dense(2)(x.mean(axis=(1, 2), keepdims=True)))
        return nn.hard_sigmoid(nn.Dense(x.shape[-1])(s))


class MobileNet(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x, train: bool = False):
        def norm(y):
            return nn.BatchNorm(use_running_average=not train, epsilon=1e-3)(y)

        x = nn.hard_swish(norm(nn.Conv(self.width, (3, 3), (2, 2), use_bias=False)(x)))
        wide = 2 * self.width
        y = nn.relu6(norm(nn.Conv(wide, (1, 1), use_bias=False)(x)))
        y = nn.Conv(wide, (3, 3), feature_group_count=wide, use_bias=False)(y)
        y = SqueezeExcite()(nn.hard_swish(norm(y)))
        x = x + norm(nn.Conv(self.width, (1, 1), use_bias=False)(y))
        x = nn.hard_swish(nn.Conv(wide, (1, 1))(x).mean(axis=(1, 2)))
        return nn.Dense(3)(x)


class ViT(nn.Module):
    width: int
    patch: int = 4

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.width, (self.patch, self.patch), (self.patch, self.patch))(x)
        x = x.reshape((x.shape[0], -1, self.width))
        token = self.param("cls", nn.initializers.zeros, (1, 1, self.width))
        x = jnp.concatenate([jnp.tile(token, (x.shape[0], 1, 1)), x], axis=1)
        x = x + self.param("pos", nn.initializers.normal(0.02), (1, x.shape[1], self.width))
        for _ in range(2):
            y = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(num_heads=2, deterministic=True)(y)
            y = nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x)))
            x = x + nn.Dense(self.width)(y)
        return nn.Dense(3)(nn.LayerNorm()(x)[:, 0])


class ConvNeXt(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
        x = nn.LayerNorm(epsilon=1e-6)(nn.Conv(self.width, (2, 2), (2, 2))(x))
        y = nn.Conv(self.width, (7, 7), feature_group_count=self.width)(x)
        y = nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm(epsilon=1e-6)(y)), approximate=False)
        y = nn.Dense(self.width)(y)
        x = x + self.param("gamma", nn.initializers.constant(1e-6), (self.width,)) * y
        return nn.Dense(1)(nn.LayerNorm(epsilon=1e-6)(x.mean(axis=(1, 2))))


def mlp(params, x):
    """Plain JAX: a dictionary of arrays."""
    h = x.reshape(x.shape[0], -1)
    h = jax.nn.relu(h @ params["w1"] + params["b1"])
    h = jnp.tanh(jnp.dot(h, params["w2"]) + params["b2"])
    return h @ params["w3"] + params["b3"]


def grouped(params, images):
    """Plain JAX in NCHW, with groups and holes."""
    x = jnp.transpose(images, (0, 3, 1, 2))
    layout = ("NCHW", "OIHW", "NCHW")
    for name, options in (
        ("stem", {}),
        ("groups", {"feature_group_count": 2}),
        ("holes", {"rhs_dilation": (2, 2)}),
    ):
        kernel, bias = params[name]
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=layout, **options
        )
        x = jax.nn.leaky_relu(x + bias[None, :, None, None], 0.1)
    pooled = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "VALID") / 4
    return jnp.einsum("bchw,co->bo", pooled, params["head"])


class Modern(nnx.Module):
    """Flax NNX: group norm, SiLU, batch norm, and attention by hand."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.conv = nnx.Conv(3, width, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.GroupNorm(width, num_groups=2, rngs=rngs)
        self.second = nnx.Conv(width, width, (3, 3), use_bias=False, rngs=rngs)
        self.batch = nnx.BatchNorm(width, use_running_average=True, rngs=rngs)
        self.query, self.key, self.value = (
            nnx.Linear(width, width, rngs=rngs) for _ in ("query", "key", "value")
        )
        self.head = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x):
        x = nnx.silu(self.norm(self.conv(x)))
        x = x + nnx.relu(self.batch(self.second(x)))
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        scores = jnp.einsum("bqc,bkc->bqk", self.query(x), self.key(x)) / x.shape[-1] ** 0.5
        weights = jnp.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = weights / weights.sum(axis=-1, keepdims=True)
        x = x + jnp.einsum("bqk,bkc->bqc", weights, self.value(x))
        return self.head(x.mean(axis=1))


def one_of_three(y):
    """The second logit."""
    return jnp.zeros_like(y).at[:, 1].set(1)


def mean(y):
    """The mean of a map."""
    return jnp.full_like(y, 1 / y[0].size)


def pixel(y):
    """The green value of the pixel in the middle."""
    return jnp.zeros_like(y).at[:, y.shape[1] // 2, y.shape[2] // 2, 1].set(1)


# Name -> (width -> module), what is explained of it, least side.
_LINEN = {
    "VGG": (VGG, None, 8),
    "ResNet, batch norm": (ResNet, one_of_three, 8),
    "ResNet, spectral norm": (SpectralResNet, None, 8),
    "SAGAN": (lambda width: resgan.Discriminator(32, 2 * width, attention=True), None, 32),
    "DCGAN": (lambda width: dcgan.Discriminator(16, width), None, 16),
    "U-Net": (UNet, mean, 8),
    "generator": (Generator, pixel, 8),
    "MobileNet": (MobileNet, one_of_three, 8),
    "ViT": (ViT, one_of_three, 8),
    "ConvNeXt": (ConvNeXt, None, 8),
}
NAMES = (*_LINEN, "MLP", "grouped", "NNX")


def probe(name: str, *, batch: int = 2, side: int = 8, width: int = 4, dtype=np.float32) -> Probe:
    """One of `NAMES`, with drawn numbers in place of trained ones.

    Args:
        batch: how many images.
        side: of them; a network that needs more has more.
        width: of its narrowest maps.
        dtype: of all numbers.
    """
    rng = np.random.default_rng(NAMES.index(name))

    def drawn(path, leaf):
        return _drawn(rng, jax.tree_util.keystr(path, simple=True, separator="/"), leaf, dtype)

    if name in _LINEN:
        make, start, least = _LINEN[name]
        side = max(side, least)
        module: Any = make(width)
        if name == "DCGAN" and side > 16:
            module = module.clone(size=side)
        shape = (batch, 2 * width) if name == "generator" else (batch, side, side, 3)
        flags = {"train": False} if name in ("SAGAN", "DCGAN") else {}
        shapes = jax.eval_shape(
            lambda: module.init(jax.random.key(0), jnp.zeros(shape, jnp.float32), **flags)
        )
        parameters: Any = jax.tree_util.tree_map_with_path(drawn, dict(shapes))
        _settle(parameters.get("spectral_norm", {}), parameters["params"])
        call = _inference(module)
    elif name == "NNX":
        start, shape, parameters = None, (batch, side, side, 3), None
        graph, state = nnx.split(nnx.eval_shape(lambda: Modern(width, rngs=nnx.Rngs(0))))
        state = jax.tree_util.tree_map_with_path(drawn, state)
        module = nnx.merge(graph, state)

        def call(other, x):
            return nnx.merge(graph, state if other is None else other)(x)

    else:
        start, shape = None, (batch, side, side, 3)
        module = call = mlp if name == "MLP" else grouped
        sizes: Any = {
            "MLP": {
                "w1": (3 * side * side, 4 * width), "b1": (4 * width,),
                "w2": (4 * width, 2 * width), "b2": (2 * width,),
                "w3": (2 * width, 1), "b3": (1,),
            },
            "grouped": {
                "stem": ((width, 3, 3, 3), (width,)),
                "groups": ((2 * width, width // 2, 3, 3), (2 * width,)),
                "holes": ((width, 2 * width, 3, 3), (width,)),
                "head": (width, 1),
            },
        }[name]  # fmt: skip
        leaves = jax.tree.map(
            lambda size: jax.ShapeDtypeStruct(size, jnp.float32),
            sizes,
            is_leaf=lambda size: isinstance(size, tuple) and isinstance(size[0], int),
        )
        parameters = jax.tree_util.tree_map_with_path(drawn, leaves)
    low, high = (-3.0, 3.0) if name == "generator" else (-1.0, 1.0)
    x = rng.uniform(low, high, shape).astype(dtype)
    return Probe(module, parameters, x, (low, high), start, call)


def _inference(module: nn.Module) -> Callable[[Any, Any], Any]:
    """The network in inference, and what it says of images alone."""
    flag = {ResNet: {"train": False}, Generator: {"train": False}}.get(type(module), {})
    if isinstance(module, resgan.Discriminator | dcgan.Discriminator):
        flag = {"train": False}

    def call(variables, x):
        y: Any = module.apply(variables, x, **flag)
        return getattr(y, "logits", y)

    return call


def _settle(vectors: Any, params: Any) -> None:
    """Let the vectors of this house's spectral norms be those of the largest singular value."""
    for name in vectors:
        if "u" in vectors[name]:
            kernel = np.asarray(params[name]["kernel"])
            u, _, v = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]).T, full_matrices=False)
            vectors[name].update(u=u[:, 0], v=v[0])
        else:
            _settle(vectors[name], params[name])


def _drawn(rng, path: str, leaf, dtype):
    """Numbers that a trained network could have at such a place."""
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        raise TypeError(f"{path} is {leaf.dtype}: a probe has numbers alone")
    noise = rng.normal(size=leaf.shape).clip(-2, 2)
    last = path.replace("/value", "").split("/")[-1].split(".")[-1]
    if last in ("scale", "var", "sigma", "gamma"):
        noise = 1 + 0.2 * noise
    elif last in ("bias", "mean", "b1", "b2", "b3") or leaf.ndim == 1:
        noise = 0.1 * noise
    elif last in ("cls", "pos", "u", "v"):
        noise = 0.5 * noise
    elif path.split("/")[-1] == "0" and leaf.ndim == 4:  # OIHW
        noise = noise * 1.4 / np.prod(leaf.shape[1:]) ** 0.5
    else:
        noise = noise * 1.4 / np.prod(leaf.shape[:-1]) ** 0.5
    return jnp.asarray(noise, dtype) if dtype == np.float32 else noise.astype(dtype)
