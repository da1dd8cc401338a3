"""A classifier that tells by which of a few transforms an image went through.

It is the `SmallClassifier`, which is also shown where each pixel lies: without its place a pixel's
neighbourhood says little of the side that is up (of MNIST's digits 94 % of the rotations are told
right instead of 77 %).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, UInt8

from gan_forensics.data import as_images, to_float, to_uint8
from gan_forensics.quality.extraction import extract
from gan_forensics.quality.small_features import small_classifier_features
from gan_forensics.runtime import random_key

Images = UInt8[np.ndarray, "n h w c"]
# Float images in [-1, 1] and a PRNG key, which only random transforms use, to images of one shape.
Apply = Callable[[Float[Array, "b h w c"], Array], Float[Array, "b h w c"]]
LogProbabilities = Callable[[Images], Float32[np.ndarray, "n k"]]
# Images that a classifier is trained on, and that it is asked about: more tell hardly more.
AT_MOST = 2000
AT_LEAST = 20
STEPS = 300
CHUNK = 256


def transform_classifier(
    real_train: Any, apply: Sequence[Apply], *, steps: int = STEPS, seed: int = 0
) -> LogProbabilities:
    """Train a classifier of transforms on real images; each is shown under all of them.

    Args:
        real_train: at least 20, as `gan_forensics.data.as_images` takes them.
        apply: two or more transforms; classes are their places.
        steps: of training, with minibatches of 64.
        seed: of the network, the order, and the draws of random transforms.

    Returns:
        A function of images of the same size: log C_k(x) of every class k, natural.

    Raises:
        ValueError: for other than uint8 images, too few, fewer than two transforms, and one that
            changes the size of images.

    Example:
        >>> flips = [lambda x, key: x, lambda x, key: x[:, :, ::-1]]
        >>> says = transform_classifier("photos", flips)  # doctest: +SKIP
    """
    from scipy.special import log_softmax

    real_train = checked(real_train, "to train on")
    if len(apply) < 2:
        raise ValueError(
            f"a classifier of transforms needs two or more, the identity included; got {len(apply)}"
        )
    images, labels = transformed(real_train, apply, seed=seed)
    extractor = small_classifier_features(
        _Placed(images, labels), steps=steps, batch_size=min(64, len(images)), seed=seed
    )

    def log_probabilities(images: Any) -> Float32[np.ndarray, "n k"]:
        logits = extract(extractor, _Placed(as_images(images))).logits
        assert logits is not None  # a classifier has some
        return log_softmax(logits, axis=1)

    return log_probabilities


def transformed(
    images: Images, apply: Sequence[Apply], *, seed: int
) -> tuple[Images, Int[np.ndarray, " kn"]]:
    """All images under the first transform, then under the next, and the places of transforms.

    They go through 8 bits, as images in files do.

    Raises:
        ValueError: for a transform that changes their size.
    """
    parts = []
    for k, transform in enumerate(apply):
        for first in range(0, len(images), CHUNK):
            part = images[first : first + CHUNK]
            key = jax.random.fold_in(jax.random.fold_in(random_key(seed), k), first)
            after = to_uint8(np.asarray(transform(jnp.asarray(to_float(part)), key)), range=(-1, 1))
            if after.shape != part.shape:
                raise ValueError(
                    f"transform {k} makes images {list(after.shape[1:])} of {list(part.shape[1:])} "
                    "(height, width, channels): bring them to squares (size=N, --size N)"
                )
            parts.append(after)
    return np.concatenate(parts), np.repeat(np.arange(len(apply)), len(images))


def checked(images: Any, what: str, *, at_least: int = AT_LEAST) -> Images:
    """Images of any kind, refused where they are too few.

    Raises:
        ValueError: saying so, and as `as_images`.
    """
    images = as_images(images)
    check_count(len(images), what, at_least=at_least)
    return images


def check_count(count: int, what: str, *, at_least: int = AT_LEAST) -> None:
    """Refuse too few images; it needs no more than their number.

    Raises:
        ValueError: saying so.
    """
    if count < at_least:
        raise ValueError(
            f"{count} image{'' if count == 1 else 's'} {what}: give at least {at_least}"
        )


class _Placed:
    """Images with two more channels, the row and the column of each pixel; and labels, if any."""

    def __init__(self, images: Images, labels: Int[np.ndarray, " n"] | None = None):
        self.images = images
        self.labels = None if labels is None else labels.astype(np.int32)
        height, width = images.shape[1:3]
        rows, columns = (np.linspace(0, 255, n).round().astype(np.uint8) for n in (height, width))
        self.places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: array[0] for key, array in self.take(np.array([index])).items()}

    def take(self, indices: Int[np.ndarray, "b"]) -> dict[str, np.ndarray]:
        """All of them at one go."""
        images = self.images[indices]
        places = np.broadcast_to(self.places, (*images.shape[:-1], 2))
        found = {"image": np.concatenate([images, places], axis=-1)}
        return found if self.labels is None else {**found, "label": self.labels[indices]}
