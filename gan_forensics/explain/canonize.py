"""Canonisation: norms folded into the linear layer that they belong to, exactly.

At inference a spectrally normalised layer is one with a fixed kernel, and a convolution and its
batch norm are one linear layer,

    w <- w / sigma,    sigma = u^T W v with the vectors that the layer keeps,
    w <- w scale / sqrt(var + epsilon),    b <- (b - mean) scale / sqrt(var + epsilon) + bias,

and relevance rules that look at weights and their signs mean that layer.
"""

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
