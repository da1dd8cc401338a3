"""The networks that classify images, a row each: how it is made, what it reads."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.efficientnet import efficientnet_b0
from gan_forensics.nn.imagenet import normalise
from gan_forensics.nn.mobilenet import mobilenet_v2
from gan_forensics.nn.resnet import resnet18, resnet50
from gan_forensics.nn.small_cnn import SmallCnn


class Architecture(NamedTuple):
    """A row of `ARCHITECTURES`.

    Attributes:
        make: (classes or None, dtype=, and width= where it has one) -> network; with None for the
            classes it gives what its last layer would read, of the whole network's variables.
        head: name of its last linear layer among the parameters.
        published: the name of its published weights in `gan_forensics.nn.weights`, if any.
        normalised: whether it reads RGB with ImageNet's mean and deviation; otherwise images in
            [-1, 1] with the channels they have.
        width: whether its width can be chosen.
    """

    make: Callable[..., nn.Module]
    head: str = "fc"
    published: str | None = None
    normalised: bool = True
    width: bool = False


ARCHITECTURES = {
    "resnet18": Architecture(resnet18, published="resnet18", width=True),
    "resnet50": Architecture(resnet50, published="resnet50"),
    "mobilenet_v2": Architecture(mobilenet_v2, "classifier.1", "mobilenet_v2", width=True),
    # torchvision's, as the others; that of efficientnet_pytorch pads and normalises otherwise.
    "efficientnet_b0": Architecture(
        partial(efficientnet_b0, convention="torchvision"), "_fc", "efficientnet_b0_torchvision"
    ),
    "efficientnet_pytorch_b0": Architecture(efficientnet_b0, "_fc", "efficientnet_b0"),
    "small_cnn": Architecture(SmallCnn, normalised=False, width=True),
}


def architecture(arch: str) -> Architecture:
    """The row of a name.

    Raises:
        ValueError: for an unknown one.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"unknown arch {arch!r}; choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[arch]


def make_classifier(
    arch: str, classes: int | None, *, width: int | None = None, dtype: Any = None
) -> nn.Module:
    """A network of this name; None for the classes leaves its last layer out.

    Raises:
        ValueError: for an unknown name, and a width where the network has its own.

    Example:
        >>> type(make_classifier("resnet18", 10)).__name__
        'ResNet'
    """
    row = architecture(arch)
    if width is not None and not row.width:
        have = [name for name, other in ARCHITECTURES.items() if other.width]
        raise ValueError(f"{arch} has its own width, which {' and '.join(have)} let you choose")
    given = {} if width is None else {"width": width}
    return row.make(classes, dtype=dtype, **given)


def inputs_of(arch: str, image: Float[Array, "b h w c"]) -> Float[Array, "b h w c2"]:
    """What a network is called with: images in [-1, 1], or normalised RGB.

    Example:
        >>> import numpy as np
        >>> inputs_of("small_cnn", np.zeros((2, 8, 8, 3), np.float32)).shape
        (2, 8, 8, 3)
    """
    if not architecture(arch).normalised:
        return image
    if image.shape[-1] == 1:
        image = jnp.repeat(image, 3, -1)
    return normalise(0.5 * image + 0.5)
