"""Transferable forensic features: found on one GAN, silenced and drained of colour on all.

Chandrasegaran et al., "Discovering transferable forensic features for CNN-generated images
detection" (ECCV 2022). The channels of highest omega are ranked on images of the GAN that the
detector was trained on. Then, on every source of images,

- the first k channels are silenced, and for comparison the last k and k others drawn at random;
- images are made gray, and the scores and the channels' largest activations compared.

Random draws are an ensemble: probabilities are averaged image by image before any metric.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.data import as_source, grayscale
from gan_forensics.explain import (
    Feature,
    FeatureRelevance,
    colour_conditional,
    composites,
    feature_relevance,
    gray_drop,
    mask_sets,
    masked_logits,
    rank,
)
from gan_forensics.forensics.explanations import channel_maxima, composite_of
from gan_forensics.forensics.metrics import (
    average_precision,
    count_scores,
    geometric_mean_threshold,
)
from gan_forensics.forensics.neural import (
    Images,
    NeuralDetector,
    by_size,
    preprocess,
    size_batches,
    stacked,
)
from gan_forensics.forensics.neural_parts import OnDemand, images_of
from gan_forensics.runtime import jit

# k of the publication; other networks silence the same share as our small twins need.
PUBLISHED_K = {"resnet50": 114, "efficientnet_b0": 27}
SHARE = 0.03
# Relevance keeps every map of the network, so its batches hold fewer pixels than those of scores.
RELEVANCE_PIXELS = 2**19
SETS = ("none", "top", "random", "low")


class Ranking(NamedTuple):
    """Channels by relevance.

    Attributes:
        features: all channels, most relevant first.
        k: how many of them count as transferable forensic features.
        images: generated images behind omega: those that the detector was confident of.
        given: generated images that were looked at.
        silent: layers without any relevance for some image, and for how many.

    Example:
        >>> ranking = Ranking([], k=3, images=40, given=50, silent={})
        >>> ranking.k, ranking.images
        (3, 40)
    """

    features: list[Feature]
    k: int
    images: int
    given: int
    silent: dict[str, int]

    def summary(self) -> dict[str, Any]:
        """What results hold of a ranking."""
        return {
            "k": self.k,
            "channels": len(self.features),
            "omega_images": self.images,
            "top": [[feature.name, feature.omega] for feature in self.features[:10]],
        }


def default_k(detector: NeuralDetector, channels: int) -> int:
    """k as published for the published networks, 3 % of the channels for others."""
    return PUBLISHED_K.get(detector.arch, max(1, round(SHARE * channels)))


def rank_features(
    detector: NeuralDetector, fakes: Any, *, confidence: float = 0.9, k: int | None = None
) -> Ranking:
    """Rank all channels of a detector by their omega on generated images.

    Args:
        detector: what to look into.
        fakes: images, best of the GAN that it was trained on; any sizes.
        confidence: images with a lower probability of "generated" are not counted.
        k: how many features; by default `default_k`.

    Raises:
        ValueError: without images, and when the detector is confident of none of them.

    Example:
        >>> ranking = rank_features(detector, fake, confidence=0.9)  # doctest: +SKIP
        >>> ranking.features[0].name  # doctest: +SKIP
    """
    fakes = images_of(as_source(fakes))
    state: FeatureRelevance | None = None
    for (height, width, _), places in by_size(fakes).items():
        length = max(1, min(64, RELEVANCE_PIXELS // (height * width)))
        some = (places[i : i + length] for i in range(0, len(places), length))
        found = feature_relevance(
            detector.network,
            detector.variables,
            (np.asarray(preprocess(stacked(fakes, each))) for each in some),
            **relevance_settings(detector, confidence),
        )
        state = found if state is None else state.merge(found)
    if state is None:
        raise ValueError("no generated images: give at least one")
    return ranking_of(detector, state, len(fakes), k)


def relevance_settings(detector: NeuralDetector, confidence: float) -> dict[str, Any]:
    """How the relevance of a detector's channels is told, for `feature_relevance`."""
    composite = composite_of(detector.arch)
    return {"range": composites.IMAGENET, "composite": composite, "confidence": confidence}


def ranking_of(
    detector: NeuralDetector, state: FeatureRelevance, given: int, k: int | None
) -> Ranking:
    """The ranking that follows from the sums over `given` images.

    Raises:
        ValueError: when none of them is counted.
    """
    features = rank(state.result())
    silent = {name: int(n) for name, n in state.silent.items() if n}
    return Ranking(
        features, k or default_k(detector, len(features)), int(state.count), given, silent
    )


def masked_probabilities(
    detector: NeuralDetector, images: Images, masks: Mapping[str, Float[np.ndarray, "sets c"]]
) -> Float[np.ndarray, "sets n"]:
    """Probabilities of "generated" under several sets of masks at once."""
    sets = len(next(iter(masks.values())))
    result = np.zeros((sets, len(images)))
    for rows, batch in size_batches(images, most=16):
        logits = np.asarray(_masked(detector.network)(detector.variables, batch, masks))
        result[:, rows] = 1 / (1 + np.exp(-logits[:, : len(rows)].astype(np.float64)))
    return result


def silence(
    detector: NeuralDetector,
    ranking: Ranking,
    real: Any,
    fakes: Mapping[str, Any],
    *,
    draws: int = 5,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """How well the detector does with channels silenced.

    Args:
        detector: whose channels.
        ranking: of them.
        real: real images; without them there are only rates of generated images.
        fakes: generated images by source.
        draws: random sets.
        seed: of the draws.

    Returns:
        A row for every source and set ("none", "top", "random", "low"): average precision, median
        probability of generated images, and the accuracies on real and generated images at
        probability 1/2 and, as published, at the threshold that is best for the unmasked detector
        on these very images (`geometric_mean_threshold`).

    Example:
        >>> rows = silence(detector, ranking, real, {"progan": fake})  # doctest: +SKIP
        >>> rows[1]["silenced"]  # doctest: +SKIP
        'top'
    """
    sets = mask_sets(ranking.features, ranking.k, draws=draws, seed=seed)
    masks = {
        name: np.concatenate(
            [np.ones_like(top)[None], top[None], sets.low[name][None], sets.random[name]]
        )
        for name, top in sets.top.items()
    }

    def by_set(images):
        probabilities = masked_probabilities(detector, images, masks)
        return {
            "none": probabilities[0],
            "top": probabilities[1],
            "random": probabilities[3:].mean(0),
            "low": probabilities[2],
        }

    known = real is not None and len(real)
    reals = by_set(images_of(as_source(real))) if known else None
    rows = []
    for source, images in fakes.items():
        found = by_set(images_of(as_source(images)))
        best = geometric_mean_threshold(reals["none"], found["none"]) if reals else None
        for name in SETS:
            row: dict[str, Any] = {"source": source, "silenced": name}
            if reals:
                counts = count_scores(reals[name], found[name])
                row["average_precision"] = float(average_precision(counts))
            row["median_fake_probability"] = float(np.median(found[name]))
            row["fake_accuracy"] = float(np.mean(found[name] > 0.5))
            if reals and best is not None:
                row["real_accuracy"] = float(np.mean(reals[name] <= 0.5))
                row["fake_accuracy_calibrated"] = float(np.mean(found[name] > best))
                row["real_accuracy_calibrated"] = float(np.mean(reals[name] <= best))
            rows.append(row)
    return rows


def probe_colour(
    detector: NeuralDetector,
    ranking: Ranking,
    real: Any,
    fakes: Mapping[str, Any],
    *,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """What happens when images lose their colour.

    Returns:
        A row for every source: average precision in colour and in gray (real and generated images
        both gray), the fall of the median probability of generated images that score at least 0.2
        in colour (None where there are none), and the share of colour-conditional channels among
        the first k, k random others, and the last k. The share of the first k means nothing without
        the other two.

    Example:
        >>> rows = probe_colour(detector, ranking, real, {"progan": fake})  # doctest: +SKIP
        >>> rows[0]["average_precision_gray"]  # doctest: +SKIP
    """
    k, rng = ranking.k, np.random.default_rng(seed)
    others = k + rng.choice(len(ranking.features) - k, k, replace=False)
    groups = {
        "top": ranking.features[:k],
        "random": [ranking.features[i] for i in others],
        "low": ranking.features[-k:],
    }
    chosen = [feature for group in groups.values() for feature in group]
    reals = None
    if real is not None and len(real):
        real = images_of(as_source(real))
        reals = detector.score(real), detector.score(OnDemand(real, _gray))
    rows = []
    for source, images in fakes.items():
        images = images_of(as_source(images))
        gray = OnDemand(images, _gray)
        colour_scores, gray_scores = detector.score(images), detector.score(gray)
        row: dict[str, Any] = {"source": source}
        if reals:
            for name, r, f in zip(
                ("colour", "gray"), reals, (colour_scores, gray_scores), strict=True
            ):
                row[f"average_precision_{name}"] = float(average_precision(count_scores(r, f)))
        probabilities = [1 / (1 + np.exp(-scores)) for scores in (colour_scores, gray_scores)]
        row["median_fall_points"] = None
        if (probabilities[0] >= 0.2).any():
            row["median_fall_points"] = gray_drop(*probabilities).points
        maxima = [channel_maxima(detector, some, chosen) for some in (images, gray)]
        conditional = colour_conditional(*maxima).conditional
        for place, name in enumerate(groups):
            share = float(conditional[place * k : (place + 1) * k].mean())
            row[f"colour_conditional_{name}"] = share
        rows.append(row)
    return rows


@functools.cache
def _masked(network: nn.Module) -> Callable[..., jax.Array]:
    """All sets of masks at once; compiled once for a network, a batch and a number of sets."""

    def probabilities(variables, images, masks):
        x = preprocess(images)
        one = functools.partial(masked_logits, network, variables, x)
        return jax.vmap(one)({n: jnp.asarray(m) for n, m in masks.items()})[..., 0]

    return jit(probabilities)


def _gray(image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    image = np.asarray(image)
    return grayscale(np.repeat(image, 3 // image.shape[-1], -1))
