"""Guided Grad-CAM: where a feature map speaks for a logit, at the resolution of the input.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization"
(ICCV 2017), section 3. With the maps A_c of a layer and the logit y,

    alpha_c = mean over space of dy / dA_c,     L = ReLU(sum_c alpha_c A_c);

scaled to [0, 1], resized to the input, scaled once more (resizing cuts peaks off), and multiplied
with guided backpropagation: the steps of pytorch-grad-cam 1.3.7.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.explain.graph import evaluated_with, guided_handler
from gan_forensics.explain.layers import Variables, as_images, logits_of

# Added to the range when a map is scaled, so that an empty one stays 0; of pytorch-grad-cam too.
_RANGE = 1e-7


class GradCam(NamedTuple):
    """Grad-CAM and what it is made of.

    Attributes:
        weighted: sum_c alpha_c A_c, before its ReLU, at the layer's resolution.
        map: L, resized to the input and scaled to [0, 1].
        guided: guided backpropagation, the gradient of the logit where ReLUs pass positive
            gradients only. A network without ReLUs has its plain gradient here.
        product: `map * guided`, Guided Grad-CAM.

    Example:
        >>> import numpy as np
        >>> grad_cam = GradCam(np.ones((1, 2, 2)), np.ones((1, 8, 8)), *[np.ones((1, 8, 8, 3))] * 2)
        >>> grad_cam.map.shape
        (1, 8, 8)
    """

    weighted: Float[Array, "b h2 w2"]
    map: Float[Array, "b h w"]
    guided: Float[Array, "b h w c"]
    product: Float[Array, "b h w c"]


def guided_grad_cam(
    module: nn.Module,
    variables: Variables,
    x: Float[Array, "b h w c"],
    *,
    layer: str,
    class_index: int = 0,
) -> GradCam:
    """Guided Grad-CAM of one logit; a detector's only one says "generated".

    Args:
        module: as for `logits_of`.
        variables: of the network.
        x: images as the network reads them.
        layer: name of the module whose output is looked at, or of a stage: "layer4" is the last
            "layer4.<i>". Published: "layer4" of ResNet-50, "_conv_head" of EfficientNet.
        class_index: which logit.

    Raises:
        ValueError: for a layer that the network does not have, or a logit.

    Example:
        >>> guided_grad_cam(network, variables, x, layer="layer4").map.shape  # doctest: +SKIP
        (2, 7, 7)
    """
    x = as_images(x)
    path = _module_path(module, variables, x, layer)

    def forward(x, probe):
        maps = []

        def watch(next_fun, args, kwargs, context):
            y = next_fun(*args, **kwargs)
            if context.module.path == path and context.method_name == "__call__":
                maps.append(y)
                y = y + probe
            return y

        with nn.intercept_methods(watch):
            logits = logits_of(module, variables, x)
        return logits.reshape(len(x), -1), maps[0]

    logits, shape = jax.eval_shape(lambda x: forward(x, 0), x)
    if not 0 <= class_index < logits.shape[1]:
        raise ValueError(
            f"there is no logit {class_index}: the network has {logits.shape[1]}, from 0"
        )

    def target(probe):
        # Images of a batch do not meet in inference, so that their logits may be summed.
        logits, maps = forward(x, probe)
        return logits[:, class_index].sum(), maps

    slopes, maps = jax.grad(target, has_aux=True)(jnp.zeros(shape.shape, shape.dtype))
    weighted = (slopes.mean((1, 2), keepdims=True) * maps).sum(-1)
    cam = _scaled(jnp.maximum(weighted, 0))
    cam = _scaled(jax.image.resize(cam, (len(x), *x.shape[1:3]), "linear", antialias=False))

    logit = evaluated_with(guided_handler, lambda x: forward(x, 0)[0][:, class_index])
    logits, back = jax.vjp(logit, x)
    guided = back(jnp.ones_like(logits))[0]
    return GradCam(weighted, cam, guided, cam[..., None] * guided)


def _scaled(maps):
    maps = maps - maps.min((1, 2), keepdims=True)
    return maps / (_RANGE + maps.max((1, 2), keepdims=True))


def _module_path(module, variables, x, layer: str) -> tuple[str, ...]:
    """The path of the module of that name, or of the last one of that stage."""
    paths: list[tuple[str, ...]] = []

    def record(next_fun, args, kwargs, context):
        if context.method_name == "__call__" and context.module.path:
            paths.append(context.module.path)
        return next_fun(*args, **kwargs)

    def run(x):
        with nn.intercept_methods(record):
            return logits_of(module, variables, x)

    jax.eval_shape(run, x)
    named = [path for path in paths if ".".join(path) == layer]
    # The blocks of a stage are called "layer4.0", "layer4.1", ...: one step of a path each.
    stage = [path for path in paths if len(path) == 1 and path[0].startswith(f"{layer}.")]
    if not named and not stage:
        names = dict.fromkeys(path[0] for path in paths)
        raise ValueError(f"no layer {layer!r} in this network; it has {', '.join(names)}")
    return (named or stage)[-1]
