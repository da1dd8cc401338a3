"""Canonisation: batch norm folded into the convolution before it, exactly.

At inference a convolution and its batch norm are one linear layer,

    w <- w scale / sqrt(var + epsilon),    b <- (b - mean) scale / sqrt(var + epsilon) + bias,

and relevance rules that look at weights and their signs mean that layer.
"""

import jax.numpy as jnp
from jaxtyping import Array

from gan_forensics.explain.layers import Layer, Variables, at


def effective(variables: Variables, layer: Layer) -> tuple[Array, Array | None]:
    """Kernel and bias of a layer, its batch norm included if it has one."""
    params = at(variables["params"], layer.path)
    kernel, bias = params["kernel"], params.get("bias")
    if layer.norm is not None:
        affine = at(variables["params"], layer.norm)
        running = at(variables["batch_stats"], layer.norm)
        factor = affine["scale"] / jnp.sqrt(running["var"] + layer.epsilon)
        kernel = kernel * factor.reshape((1,) * (kernel.ndim - 1) + (-1,))
        mean = running["mean"]
        bias = (-mean if bias is None else bias - mean) * factor + affine["bias"]
    return kernel, bias
