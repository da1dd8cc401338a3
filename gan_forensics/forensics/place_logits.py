"""The logit of each place of an image: where a detector sees that it was generated.

A network whose last layer is linear and reads the mean of a map says the same of every place of
that map, and its logit is the mean of theirs (Chai et al., ECCV 2020, decide so; Zhou et al., CVPR
2016, explain so, as class activation maps).
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Float

from gan_forensics.data import as_source
from gan_forensics.forensics.neural import NeuralDetector, preprocess, size_batches
from gan_forensics.forensics.neural_parts import images_of
from gan_forensics.nn.resnet import GlobalMean
from gan_forensics.runtime import jit


def place_logits(detector: NeuralDetector, images: Any) -> list[Float[np.ndarray, "_h _w"]]:
    """The logits of the places of each image, whose mean is the image's score up to rounding.

    Places lie as far apart as the network's stride and see what its layers see: little of the image
    in the architecture "places", all of it in a ResNet-50.

    Args:
        detector: of an architecture that ends in a mean over the map and a linear layer.
        images: as `gan_forensics.data.as_images` takes them, after the detector's preprocessing.

    Raises:
        ValueError: for other architectures.
    """
    images = images_of(as_source(images))
    found: list[Any] = [None] * len(images)
    run = _places(detector.network)
    for rows, batch in size_batches(images):
        maps = np.asarray(run(detector.variables, batch))
        for place, row in enumerate(rows):
            found[row] = maps[place]
    return found


@functools.cache
def _places(network: nn.Module) -> Callable:
    def run(variables, images):
        read: list[Any] = []

        def record(next_fun, args, kwargs, context):
            if isinstance(context.module, GlobalMean):
                read.append(args[0])
            return next_fun(*args, **kwargs)

        with nn.intercept_methods(record):
            network.apply(variables, preprocess(images), train=False)
        last = variables["params"].get("fc") or variables["params"].get("_fc")
        if not read or last is None:
            raise ValueError(
                f"{type(network).__name__} has no mean over the places of a map: its logit is none "
                "of places"
            )
        return read[0] @ last["kernel"][:, 0] + last["bias"][0]

    return jit(run)
