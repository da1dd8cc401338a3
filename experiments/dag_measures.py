"""GANs on a part of the data: nested subsets, and what is measured of a GAN on one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from gan_forensics.data import ArraySource, Source, take, to_float
from gan_forensics.gans import Gan
from gan_forensics.gans.discriminator_output import DiscriminatorOutput
from gan_forensics.gans.task import DISCRIMINATOR
from gan_forensics.quality import FeatureExtractor, extract, fid, memorisation
from gan_forensics.studies.collapse import Followed, batches_of, follow
from gan_forensics.train import TrainState

Images = UInt8[np.ndarray, "n h w c"]
BATCH = 500


def stratified(
    labels: Int[np.ndarray, " n"], fraction: float, *, seed: int = 0
) -> Int[np.ndarray, " m"]:
    """Rows of a subset in which every class has its share; those of less are among those of more.

    Of each class the first of its rows in an order that the seed alone decides, rounded, and at
    least one.

    Raises:
        ValueError: for a fraction that is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, got {fraction}")
    rng = np.random.default_rng(seed)
    kept = []
    for each in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == each))
        kept.append(rows[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(kept))


def subset(source: Source, fraction: float, *, seed: int = 0) -> ArraySource:
    """A `stratified` subset of a source, in memory."""
    everything = take(source, np.arange(len(source)))
    rows = stratified(everything["label"], fraction, seed=seed)
    return ArraySource(**{name: array[rows] for name, array in everything.items()})


class Reals(NamedTuple):
    """Real images, and their features.

    Attributes:
        train: what the GAN is trained on.
        held_out: all that is held out.
        train_features: of the former.
        held_out_features: of the latter.
        extractor: that made them.
    """

    train: Images
    held_out: Images
    train_features: Float[np.ndarray, "n d"]
    held_out_features: Float[np.ndarray, "m d"]
    extractor: FeatureExtractor


def reals_of(train: Source, held_out: Source, extractor: FeatureExtractor) -> Reals:
    """The images of two sources with their features."""
    images = [take(source, np.arange(len(source)))["image"] for source in (train, held_out)]
    features = [extract(extractor, some).features for some in images]
    return Reals(images[0], images[1], features[0], features[1], extractor)


def references(reals: Reals, *, seed: int = 0) -> dict[str, float]:
    """What the measures say of real images, for reading them.

    Returns:
        `frechet` of the training images from the held-out ones, and `memorisation` of half of the
        held-out images, with the other half held out: 1/2 unless the features know the sets apart.
    """
    order = np.random.default_rng(seed).permutation(len(reals.held_out_features))
    some, others = np.array_split(reals.held_out_features[order], 2)
    name = reals.extractor.name
    distance = fid(reals.held_out_features, reals.train_features, features=name)
    share = memorisation(some, reals.train_features, others, features=name)
    return {"frechet": distance.value, "memorisation": share.value}


def judged(gan: Gan, state: TrainState, images: Images) -> Float[np.ndarray, " n"]:
    """The discriminator's logits for images, outside of training."""

    @jax.jit
    def logits(params, stats, images):
        outputs = gan.discriminator.apply({"params": params, **stats}, images, train=False)
        return DiscriminatorOutput(images, None, outputs)["logits"]

    network = state.params[DISCRIMINATOR], state.stats[DISCRIMINATOR]
    size = min(BATCH, len(images))
    found = []
    for first in range(0, len(images), size):
        part = images[first : first + size]
        # Filled up, so that it is compiled once.
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        found.append(np.asarray(logits(*network, to_float(filled)))[: len(part)])
    return np.concatenate(found)


def follow_limited(
    gan: Gan,
    train: Source,
    reals: Reals,
    *,
    seeds: tuple[int, ...],
    steps: int,
    every: int,
    images: int,
    further: Callable[[Images], dict[str, float]] = lambda made: {},
) -> Followed:
    """Train a GAN with some seeds and measure it at every look.

    Measured are "frechet", of features from those of all held-out images (no FID), "memorisation",
    the share of generated images nearer to training than to held-out ones (1/2 is none), "gap", the
    discriminator's mean logit on training images less that on held-out ones, "gap_deviations", the
    same in standard deviations of the latter, and what `further` says of the images.
    """
    name = reals.extractor.name

    def measured(made: Images, state: TrainState) -> dict[str, float | None]:
        features = extract(reals.extractor, made).features
        distance = fid(reals.held_out_features, features, features=name)
        share = memorisation(features, reals.train_features, reals.held_out_features, features=name)
        seen, unseen = (judged(gan, state, some) for some in (reals.train, reals.held_out))
        gap, spread = float(seen.mean() - unseen.mean()), float(unseen.std())
        return {
            "frechet": distance.value,
            "memorisation": share.value,
            "gap": gap,
            "gap_deviations": gap / spread if spread else 0.0,
            **further(made),
        }

    options: dict[str, Any] = {"seeds": seeds, "steps": steps, "every": every, "samples": images}
    return follow(gan, batches_of(gan, train), measured, world="images", **options)
