"""Spectral normalisation (Miyato et al., "Spectral normalization for GANs", ICLR 2018).

A kernel is read as a matrix W [out, rest] and divided by an estimate of its largest singular value,
so that every layer is about 1-Lipschitz. The estimate is one step of power iteration per training
pass (algorithm 1), from vectors kept in the collection "spectral_norm":

    v <- W^T u / |W^T u|,    u <- W v / |W v|,    sigma = u^T W v,    W / sigma

Gradients go through W alone, not through u [out] and v [rest]. At inference the kept vectors serve
as they are. `init` iterates `WARM_UP` times, so that a network may be used before it was trained.

Some published heads keep u only and take their one step at inference too, without keeping it. A
layer does likewise where its variables hold no v.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Int

from gan_forensics.nn.conv import Padding, convolve, parameters
from gan_forensics.nn.initial import Initializer, normal, zeros
from gan_forensics.nn.network import Network

COLLECTION = "spectral_norm"
SMALLEST = 1e-12  # no vector is divided by less: PyTorch's
WARM_UP = 15  # more steps hardly move sigma of a kernel that has just been drawn

Matrix = Float[Array, "out rest"]
Left = Float[Array, " out"]
Right = Float[Array, " rest"]


def spectral_norm(
    kernel_matrix: Matrix, u: Left, v: Right | None, *, train: bool
) -> tuple[Matrix, Left, Right, Float[Array, ""]]:
    """A matrix divided by its estimated largest singular value.

    Args:
        kernel_matrix: W, a row for every output.
        u: the kept vector of the outputs.
        v: the kept vector of the inputs; None if it is not kept.
        train: whether to take a step of power iteration first; one is taken too where v is None.

    Returns:
        (W / sigma, u, v, sigma), with the vectors after the step. No gradient goes through them,
        so that that of a loss L is (G - <G, W / sigma> u v^T) / sigma for G = dL / d(W / sigma).
    """
    if train or v is None:
        u, v = power_step(kernel_matrix, u)
    u, v = jax.lax.stop_gradient(u), jax.lax.stop_gradient(v)
    sigma = u @ (kernel_matrix @ v)
    return kernel_matrix / sigma, u, v, sigma


def power_step(kernel_matrix: Matrix, u: Left) -> tuple[Left, Right]:
    """One step of power iteration: (u, v)."""
    kernel_matrix = jax.lax.stop_gradient(kernel_matrix)
    v = _unit(u @ kernel_matrix)
    return _unit(kernel_matrix @ v), v


def _unit(x):
    xp = x.__array_namespace__()
    return x / xp.maximum(xp.linalg.vector_norm(x), SMALLEST)


def normalised_matrix(module: nn.Module, kernel_matrix: Matrix, *, train: bool) -> Matrix:
    """`spectral_norm` of the matrix of the layer `module`, whose variables u and v become."""
    outputs, inputs = kernel_matrix.shape
    keeps_v = module.is_initializing() or module.has_variable(COLLECTION, "v")

    def drawn():
        key = module.make_rng("params")
        return _unit(normal(1)(key, (outputs,), kernel_matrix.dtype))

    u = module.variable(COLLECTION, "u", drawn)
    v = None
    if keeps_v:
        v = module.variable(COLLECTION, "v", zeros, None, (inputs,), kernel_matrix.dtype)
    if module.is_initializing() and v is not None:
        if isinstance(kernel_matrix, np.ndarray):
            for _ in range(WARM_UP):
                v.value = _unit(u.value @ kernel_matrix)
                u.value = _unit(kernel_matrix @ v.value)
        else:
            u.value, v.value = jax.lax.fori_loop(
                0, WARM_UP, lambda _, pair: power_step(kernel_matrix, pair[0]), (u.value, v.value)
            )
        train = False

    normalised, new_u, new_v, _ = spectral_norm(
        kernel_matrix, u.value, None if v is None else v.value, train=train
    )
    if train:
        u.value = new_u.astype(u.value.dtype)
        if v is not None:
            v.value = new_v.astype(v.value.dtype)
    return normalised


def normalised_kernel(
    module: nn.Module, kernel: Float[Array, "*rest out"], *, train: bool
) -> Float[Array, "*rest out"]:
    """`normalised_matrix` for a kernel with the outputs in its last axis."""
    matrix = kernel.reshape(-1, kernel.shape[-1]).T
    return normalised_matrix(module, matrix, train=train).T.reshape(kernel.shape)


class SNConv(Network):
    """`Conv` with a spectrally normalised kernel; the bias is as it is.

    Parameters `kernel` [kh, kw, in, out] and `bias` [out]; v is in the order (kh, kw, in).

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> layer, x = SNConv(16, 3), jnp.ones((1, 8, 8, 3))
        >>> y, made = jax.eval_shape(lambda: layer.init_with_output(random_key(0), x, train=True))
        >>> y.shape, sorted(made)  # "spectral_norm" keeps the singular vectors
        ((1, 8, 8, 16), ['params', 'spectral_norm'])
    """

    features: int
    kernel_size: int
    strides: int = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map images to feature maps."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel, bias = parameters(self, shape, use_bias=self.use_bias)
        kernel = normalised_kernel(self, kernel, train=train)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve(x, kernel, strides=self.strides, padding=self.padding)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class SNDense(Network):
    """A linear layer, spectrally normalised: `kernel` [in, out] and `bias` [out].

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> layer, x = SNDense(1), jnp.ones((4, 16))
        >>> jax.eval_shape(lambda: layer.init_with_output(random_key(0), x, train=True))[0].shape
        (4, 1)
    """

    features: int
    kernel_init: Initializer | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b i"], *, train: bool) -> Float[Array, "b o"]:
        """Map vectors to vectors."""
        shape = (x.shape[-1], self.features)
        kernel, bias = parameters(self, shape, kernel_init=self.kernel_init)
        kernel = normalised_kernel(self, kernel, train=train)
        return _dense(x, kernel, bias, self.dtype)


class Dense(Network):
    """A linear layer started as PyTorch does: `kernel` [in, out] and `bias` [out]."""

    features: int
    kernel_init: Initializer | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
        """Map vectors to vectors."""
        shape = (x.shape[-1], self.features)
        kernel, bias = parameters(self, shape, kernel_init=self.kernel_init)
        return _dense(x, kernel, bias, self.dtype)


def _dense(x, kernel, bias, dtype):
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=dtype)
    return x @ kernel + bias.reshape(1, -1)


class SNEmbed(Network):
    """A row of `embedding` [entries, features] for every label, spectrally normalised.

    W is the table as it stands: u is of the entries, v of the features. A label outside
    0, ..., entries - 1 gives NaN.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> layer, x = SNEmbed(entries=10, features=4), jnp.array([3, 7])
        >>> jax.eval_shape(lambda: layer.init_with_output(random_key(0), x, train=True))[0].shape
        (2, 4)
    """

    entries: int
    features: int
    embedding_init: Initializer | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, labels: Int[Array, " b"], *, train: bool) -> Float[Array, "b features"]:
        """Look the labels up."""
        init = self.embedding_init or normal(1)  # PyTorch's default
        table = self.param("embedding", init, (self.entries, self.features), jnp.float32)
        table = normalised_matrix(self, table, train=train)
        return jnp.take(table, labels, axis=0, mode="fill").astype(self.dtype or table.dtype)
