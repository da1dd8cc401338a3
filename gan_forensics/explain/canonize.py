"""Canonisation: batch norm folded into the convolution before it, exactly.

At inference a convolution and its batch norm are one linear layer,

    w <- w scale / sqrt(var + epsilon),    b <- (b - mean) scale / sqrt(var + epsilon) + bias,

and relevance rules that look at weights and their signs mean that layer.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.explain.layers import Layer, Variables, at


def fold(
    kernel: Float[Array, "*n o"],
    bias: Float[Array, " o"] | None,
    *,
    scale: Float[Array, " o"],
    shift: Float[Array, " o"],
    mean: Float[Array, " o"],
    var: Float[Array, " o"],
    epsilon: float,
) -> tuple[Float[Array, "*n o"], Float[Array, " o"]]:
    """Kernel and bias of the one layer that a linear layer and its batch norm are.

    Args:
        kernel: outputs last, as everywhere here.
        bias: of the linear layer, None for 0.
        scale, shift, mean, var: of the batch norm (gamma, beta and the running statistics).
        epsilon: what the batch norm adds to the variance.
    """
    factor = scale / jnp.sqrt(var + epsilon)
    bias = -mean if bias is None else bias - mean
    return kernel * factor.reshape((1,) * (kernel.ndim - 1) + (-1,)), bias * factor + shift


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
    """
    folded = _plain(variables)
    for layer in layers:
        if layer.norm is None:
            continue
        conv = at(folded["params"], layer.path)
        affine = at(folded["params"], layer.norm)
        running = at(folded["batch_stats"], layer.norm)
        kernel, bias = fold(
            conv["kernel"],
            conv.get("bias"),
            scale=affine["scale"],
            shift=affine["bias"],
            mean=running["mean"],
            var=running["var"],
            epsilon=layer.epsilon,
        )
        one = jnp.ones_like(running["var"])
        conv["kernel"] = kernel
        if "bias" in conv:
            conv["bias"] = jnp.zeros_like(conv["bias"])
        affine["scale"] = jnp.ones_like(affine["scale"])
        affine["bias"] = bias / (1 + layer.epsilon) ** 0.5 if keep_epsilon else bias
        running["mean"] = jnp.zeros_like(running["mean"])
        running["var"] = one if keep_epsilon else one - layer.epsilon
    return folded


def effective(variables: Variables, layer: Layer) -> tuple[Array, Array | None]:
    """Kernel and bias of a layer, its batch norm included if it has one."""
    params = at(variables["params"], layer.path)
    if layer.norm is None:
        return params["kernel"], params.get("bias")
    affine = at(variables["params"], layer.norm)
    running = at(variables["batch_stats"], layer.norm)
    return fold(
        params["kernel"],
        params.get("bias"),
        scale=affine["scale"],
        shift=affine["bias"],
        mean=running["mean"],
        var=running["var"],
        epsilon=layer.epsilon,
    )


def _plain(tree: Any) -> dict[str, Any]:
    """Nested dicts, new ones, whatever kind of mapping is given."""
    return {k: _plain(v) if isinstance(v, Mapping) else v for k, v in tree.items()}
