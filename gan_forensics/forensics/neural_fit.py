"""Training a detector in memory, for studies of many: so many steps, no run folder, no report.

`neural_training.train_detector` is for a detector to keep: it validates, stops, and calibrates the
threshold.
"""

import functools
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from gan_forensics.data import ArraySource, Batches, as_images
from gan_forensics.forensics.neural import OF_ONE_SIZE, NeuralDetector, init_variables, make_network
from gan_forensics.forensics.neural_statistics import side_of, statistics
from gan_forensics.forensics.neural_training import NETWORK, detector_update
from gan_forensics.runtime import jit, random_key
from gan_forensics.train import Update, init_state, make_step

LEARNING_RATE = 1e-3


def fit_network(
    real: Any,
    fake: Any,
    *,
    arch: str,
    seed: int = 0,
    steps: int = 300,
    batch_size: int = 32,
    learning_rate: float = LEARNING_RATE,
    settings: Mapping[str, Any] | None = None,
) -> NeuralDetector:
    """Train a network on real and generated images of one size: Adam, no augmentation.

    Minibatches are drawn from all images together, each once an epoch. The step is compiled once
    for an architecture, its settings and rate, and a size of images, however many are trained.

    Args:
        real: images as `gan_forensics.data.as_images` takes them; gray is repeated.
        fake: generated images of the same size.
        arch: a key of `gan_forensics.forensics.neural.ARCHITECTURES`.
        seed: of the network and the order.
        steps: of training.
        batch_size: images a minibatch, of both kinds together.
        learning_rate: of Adam.
        settings: of the architecture.

    Returns:
        A detector whose threshold is 0, probability 1/2: it is not calibrated.

    Raises:
        ValueError: for other pixels, images of two sizes, fewer than a minibatch, none of a kind,
            and images that are too small for the network.
    """
    settings = dict(settings or {})
    make_network(arch, settings)
    pixels = []
    for name, images in (("real", real), ("generated", fake)):
        images = as_images(images)
        if not len(images):
            raise ValueError(f"no {name} images to train on: give some of each kind")
        pixels.append(np.repeat(images, 3 // images.shape[-1], -1))
    if pixels[0].shape[1:] != pixels[1].shape[1:]:
        raise ValueError(
            f"real images are {list(pixels[0].shape[1:])} and generated ones "
            f"{list(pixels[1].shape[1:])}: bring them to one size"
        )
    if arch in OF_ONE_SIZE:
        settings["side"] = side_of(arch, pixels[0].shape[1:])
    detector = NeuralDetector(arch, {}, settings=settings)
    detector.check_shape(pixels[0].shape[1:])
    label = np.repeat(np.arange(2, dtype=np.int32), [len(images) for images in pixels])
    source = ArraySource(image=np.concatenate(pixels), label=label)
    network = detector.network
    update, step = _step(network, learning_rate)
    variables = dict(init_variables(network, random_key(seed)))
    if found := statistics(network, source):
        variables["batch_stats"] = found
    state = init_state((update,), {NETWORK: variables.pop("params")}, {NETWORK: variables})
    key = random_key(seed)
    with closing(Batches(source, batch_size=batch_size, seed=seed)) as batches:
        for _ in range(steps):
            batch = jax.tree.map(lambda leaf: leaf[None], next(batches))
            state, _ = step(state, batch, key)
    trained = {"params": state.params[NETWORK], **state.stats[NETWORK]}
    facts = {"step": steps, "seed": seed, "real": len(real), "generated": len(fake)}
    return NeuralDetector(arch, jax.tree.map(np.asarray, trained), settings=settings, facts=facts)


@functools.cache
def _step(network: nn.Module, learning_rate: float) -> tuple[Update, Callable]:
    """The game of a network and its compiled step."""
    update = detector_update(network, learning_rate=learning_rate)
    return update, jit(make_step((update,)), donate_argnums=0)
