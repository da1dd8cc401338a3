"""Canonisation: bias, batch norm and scale become part of the linear layer before them, exactly.

At inference a convolution and its batch norm are one linear layer,

    w <- w scale / sqrt(var + epsilon),    b <- (b - mean) scale / sqrt(var + epsilon) + bias,

and relevance rules that look at weights and their signs mean that layer. Whatever else shifts or
scales the channels of a layer's output, and alone reads it, is folded likewise. Spectral norm and
any other function of the kernel has been applied to it already.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_forensics.explain.equations import Program
from gan_forensics.explain.layers import Layer
from gan_forensics.nn.spectral_norm import COLLECTION


def effective(
    program: Program, layer: Layer, values: Mapping[int, Any]
) -> tuple[Array, Array | None]:
    """Kernel and bias of a layer, with all that belongs to it.

    Args:
        program: of the network.
        layer: of it.
        values: what the program's constants are, by number.

    Returns:
        The kernel, and a bias shaped to stand beside the output; None without any.
    """
    place, kernel = layer.place, values[layer.place.kernel]
    made = program.shapes[place.made].shape
    channels = [axis for axis, _ in place.axes]
    scale: Any = None
    bias: Any = None
    current = place.made
    for number in place.chain:
        step = program.steps[number]
        if len(step.inputs) == 2:
            first = step.inputs[0] == current
            other = _beside(values[step.inputs[1 if first else 0]], made, channels)
            if step.name in ("add", "add_any"):
                bias = other if bias is None else bias + other
            elif step.name == "sub" and first:
                bias = -other if bias is None else bias - other
            elif step.name == "sub":
                scale = -jnp.ones_like(other) if scale is None else -scale
                bias = other if bias is None else other - bias
            elif step.name == "mul":
                scale = other if scale is None else scale * other
                bias = None if bias is None else bias * other
            else:
                scale = 1 / other if scale is None else scale / other
                bias = None if bias is None else bias / other
        current = step.outputs[0]
    if scale is not None:
        scale = jnp.broadcast_to(scale, _sizes(made, channels))
        small = scale.reshape([made[axis] for axis in channels])
        own = [axis for _, axis in place.axes]
        shape = [1] * kernel.ndim
        for axis, size in zip(own, small.shape, strict=True):
            shape[axis] = size
        kernel = kernel * small.transpose([int(i) for i in np.argsort(own)]).reshape(shape)
    if bias is not None:
        bias = jnp.broadcast_to(bias, _sizes(made, channels))
    return kernel, bias


def fold_batch_norm(
    variables: Mapping[str, Any], layers: Iterable[Layer], *, keep_epsilon: bool = False
) -> dict[str, Any]:
    """The variables of the same Linen network with every batch norm folded into its convolution.

    The network computes the same with both. Kernels hold the scale; a batch norm is left with the
    shift alone (scale 1, mean 0, and a variance that its epsilon makes 1), so that convolutions
    without a bias need none.

    Args:
        variables: with "params" and "batch_stats".
        layers: of `find_layers`; those without a batch norm are left alone.
        keep_epsilon: leave variance 1 and with it a division by sqrt(1 + epsilon), as the released
            code of Chandrasegaran et al. (ECCV 2022) does; its logits differ by about 1e-4.

    Raises:
        ValueError: for a spectrally normalised layer with a batch norm.

    Example:
        >>> fold_batch_norm({"params": {"bias": np.ones(1)}}, layers=[])
        {'params': {'bias': array([1.])}}
    """
    folded = jax.tree.map(lambda a: a, dict(variables))
    for layer in layers:
        if layer.norm is None:
            continue
        if _at(variables.get(COLLECTION, {}), layer.path) is not None:
            raise ValueError(f"{'.'.join(layer.path)} has spectral norm, which would act again")
        conv, affine = (_at(folded["params"], path) for path in (layer.path, layer.norm))
        running = _at(folded["batch_stats"], layer.norm)
        factor = affine["scale"] / jnp.sqrt(running["var"] + layer.epsilon)
        kernel = conv["kernel"] * factor.reshape((1,) * (conv["kernel"].ndim - 1) + (-1,))
        bias = (conv.get("bias", 0) - running["mean"]) * factor + affine["bias"]
        conv.update({name: jnp.zeros_like(a) for name, a in conv.items()}, kernel=kernel)
        one = jnp.ones_like(running["var"])
        affine["scale"] = one
        affine["bias"] = bias / (1 + layer.epsilon) ** 0.5 if keep_epsilon else bias
        running["mean"] = jnp.zeros_like(one)
        running["var"] = one if keep_epsilon else one - layer.epsilon
    return folded


def _at(tree: Any, path: Iterable[str]) -> Any:
    """The subtree at a path, None where there is none."""
    for step in path:
        if not isinstance(tree, Mapping) or step not in tree:
            return None
        tree = tree[step]
    return tree


def _sizes(shape: tuple[int, ...], channels: list[int]) -> list[int]:
    """The shape of what differs along the channels alone."""
    return [size if axis in channels else 1 for axis, size in enumerate(shape)]


def _beside(constant: Any, shape: tuple[int, ...], channels: list[int]) -> Array:
    """A constant that may only differ along the channels, with one place along all else."""
    constant = jnp.asarray(constant)
    constant = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    return constant[tuple(slice(None) if a in channels else slice(1) for a in range(len(shape)))]
