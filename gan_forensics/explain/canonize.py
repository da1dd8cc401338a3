"""Canonisation: norms folded into the linear layer that they belong to, exactly.

At inference a spectrally normalised layer is one with a fixed kernel, and a convolution and its
batch norm are one linear layer,

    w <- w / sigma,    sigma = u^T W v with the vectors that the layer keeps,
    w <- w scale / sqrt(var + epsilon),    b <- (b - mean) scale / sqrt(var + epsilon) + bias,

and relevance rules that look at weights and their signs mean that layer.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_forensics.explain.layers import Layer, Variables, at
from gan_forensics.nn.spectral_norm import COLLECTION, spectral_norm


def effective(variables: Variables, layer: Layer) -> tuple[Array, Array | None]:
    """Kernel and bias of a layer, with its spectral norm and its batch norm if it has them."""
    params = at(variables["params"], layer.path)
    kernel, bias = params["kernel"], params.get("bias")
    if layer.spectral_norm:
        vectors = at(variables[COLLECTION], layer.path)
        matrix = kernel.reshape(-1, kernel.shape[-1]).T
        kernel = kernel / spectral_norm(matrix, vectors["u"], vectors.get("v"), train=False)[3]
    if layer.norm is not None:
        affine = at(variables["params"], layer.norm)
        running = at(variables["batch_stats"], layer.norm)
        factor = affine["scale"] / jnp.sqrt(running["var"] + layer.epsilon)
        kernel = kernel * factor.reshape((1,) * (kernel.ndim - 1) + (-1,))
        mean = running["mean"]
        bias = (-mean if bias is None else bias - mean) * factor + affine["bias"]
    return kernel, bias


def fold_batch_norm(
    variables: Variables, layers: Iterable[Layer], *, keep_epsilon: bool = False
) -> dict[str, Any]:
    """The variables of the same network with every batch norm folded into its convolution.

    The network computes the same with both. Kernels hold the scale; a batch norm is left with the
    shift alone (scale 1, mean 0, and a variance that its epsilon makes 1), so that convolutions
    without a bias need none. A convolution's output that is also read elsewhere than by its batch
    norm would change: no network here does that.

    Args:
        variables: with "params" and "batch_stats".
        layers: of `find_layers`; those without a batch norm are left alone.
        keep_epsilon: leave variance 1 and with it a division by sqrt(1 + epsilon), as the released
            code of Chandrasegaran et al. (ECCV 2022) does; its logits differ by about 1e-4.

    Raises:
        ValueError: for a spectrally normalised layer with a batch norm.

    Example:
        >>> import numpy as np
        >>> fold_batch_norm({"params": {"bias": np.ones(1)}}, layers=[])
        {'params': {'bias': array([1.])}}
    """
    folded = jax.tree.map(lambda a: a, dict(variables))
    for layer in layers:
        if layer.norm is None:
            continue
        if layer.spectral_norm:
            raise ValueError(f"{'.'.join(layer.path)} has spectral norm, which would act again")
        conv, affine = (at(folded["params"], path) for path in (layer.path, layer.norm))
        running = at(folded["batch_stats"], layer.norm)
        kernel, bias = effective(variables, layer)
        conv.update({name: jnp.zeros_like(a) for name, a in conv.items()}, kernel=kernel)
        one = jnp.ones_like(running["var"])
        affine["scale"] = one
        affine["bias"] = bias / (1 + layer.epsilon) ** 0.5 if keep_epsilon else bias
        running["mean"] = jnp.zeros_like(one)
        running["var"] = one if keep_epsilon else one - layer.epsilon
    return folded
