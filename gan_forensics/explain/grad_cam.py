"""Guided Grad-CAM: where a feature map speaks for a logit, at the resolution of the input.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization"
(ICCV 2017), section 3. With the maps A_c of a layer and the logit y,

    alpha_c = mean over space of dy / dA_c,     L = ReLU(sum_c alpha_c A_c);

scaled to [0, 1], resized to the input, scaled once more (resizing cuts peaks off), and multiplied
with guided backpropagation: the steps of pytorch-grad-cam 1.3.7.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_forensics.explain.graph import guided
from gan_forensics.explain.networks import Network, as_given, as_images, network_of

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
    function: Any,
    parameters: Any,
    x: Float[Array, "b h w c"],
    *,
    layer: str,
    class_index: int | Int[Array, " b"] = 0,
) -> GradCam:
    """Guided Grad-CAM of one logit; a detector's only one says "generated".

    Args:
        function, parameters: as for `relevance`.
        x: images as the network reads them.
        layer: name of the Linen module whose output is looked at, or of a stage: "layer4" is the
            last "layer4.<i>". Published: "layer4" of ResNet-50, "_conv_head" of EfficientNet. Of
            networks without modules, the name of a convolution as `find_layers` gives it.
        class_index: which logit, of all images or of each.

    Raises:
        ValueError: for a layer that the network does not have, or a logit.

    Example:
        >>> guided_grad_cam(network, variables, x, layer="layer4").map.shape  # doctest: +SKIP
        (2, 7, 7)
    """
    own, x = as_given(x), as_images(x)
    network = network_of(function, parameters, own)
    program, watched, rows = network.program, _maps_of(network, layer), jnp.arange(len(x))

    def forward(x, probe):
        maps = []

        def watch(number, value):
            if number != watched:
                return value
            maps.append(value)
            return value + probe

        (logits,) = program([*network.leaves, x], watch)
        return logits.reshape(len(x), -1), maps[0]

    def target(probe):
        # Images of a batch do not meet in inference, so that their logits may be summed.
        logits, maps = forward(x, probe)
        return logits[rows, class_index].sum(), maps

    (made,) = (program.shapes[i] for i in program.outputs)
    classes = made.size // len(x)
    if isinstance(class_index, int) and not 0 <= class_index < classes:
        raise ValueError(f"there is no logit {class_index}: the network has {classes}, from 0")
    shape = program.shapes[watched].shape
    if len(shape) != 4:
        raise ValueError(
            f"{layer!r} gives {list(shape)}, and Grad-CAM looks at maps: name a convolution"
        )
    slopes, maps = jax.grad(target, has_aux=True)(jnp.zeros(shape, program.dtype))
    axis = network.channel_axis(watched)
    slopes, maps = (jnp.moveaxis(a, axis, -1) for a in (slopes, maps))
    weighted = (slopes.mean((1, 2), keepdims=True) * maps).sum(-1)
    cam = _scaled(jnp.maximum(weighted, 0))
    cam = _scaled(jax.image.resize(cam, (len(x), *x.shape[1:3]), "linear", antialias=False))

    def logit(x):
        (logits,) = guided(network)([*network.leaves, x])
        return logits.reshape(len(x), -1)[rows, class_index].sum()

    back = jax.grad(logit)(x)
    return GradCam(weighted, cam, back, cam[..., None] * back)


def _scaled(maps):
    maps = maps - maps.min((1, 2), keepdims=True)
    return maps / (_RANGE + maps.max((1, 2), keepdims=True))


def _maps_of(network: Network, layer: str) -> int:
    """The value that the module of that name gives, or the last one of that stage."""
    scopes = dict.fromkeys(step.scope for step in network.program.steps)
    # The first name is that of the network itself.
    paths = dict.fromkeys(scope[1:end] for scope in scopes for end in range(2, len(scope) + 1))
    named = [path for path in paths if ".".join(path) == layer]
    # The blocks of a stage are called "layer4.0", "layer4.1", ...: one step of a path each.
    stage = [path for path in paths if len(path) == 1 and path[0].startswith(f"{layer}.")]
    if named or stage:
        return _made_in(network, (named or stage)[-1])
    if layer in network.layers:
        return network.layers[layer].place.plain
    names = dict.fromkeys([path[0] for path in paths] or network.layers)
    raise ValueError(f"no layer {layer!r} in this network; it has {', '.join(names)}")


def _made_in(network: Network, path: tuple[str, ...]) -> int:
    """The last value that a module makes of data and others read."""
    within = [step.scope[1 : len(path) + 1] == path for step in network.program.steps]
    readers = network.program.readers()
    made = [
        i
        for step, inside in zip(network.program.steps, within, strict=True)
        for i in step.outputs
        if inside and network.meaning.values[i].data
        and any(place < 0 or not within[place] for place in readers.get(i, ()))
    ]  # fmt: skip
    return made[-1]
