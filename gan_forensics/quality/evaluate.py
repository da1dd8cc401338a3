"""All metrics of one pair of image sets, and their spread over several draws of fakes."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gan_forensics.data import Source, as_source
from gan_forensics.quality.extraction import (
    Extracted,
    FeatureExtractor,
    Features,
    as_extractor,
    extract,
)
from gan_forensics.quality.frechet import fid
from gan_forensics.quality.inception_scores import SPLITS, inception_score
from gan_forensics.quality.kernel_distance import kid
from gan_forensics.quality.manifolds import NEIGHBOUR, prdc
from gan_forensics.quality.score import Score


class Metric(NamedTuple):
    """A metric, and what it needs: known before any feature is computed.

    Attributes:
        scores: of (real, fake, name of the features, seed).
        real: at least so many real images.
        fake: at least so many fakes.
        logits: whether the features must come with the logits of a classifier.
    """

    scores: Callable[[Extracted, Extracted, str, int], list[Score]]
    real: int
    fake: int
    logits: bool = False


METRICS = {
    "fid": Metric(
        lambda real, fake, name, seed: [fid(real.features, fake.features, features=name)], 2, 2
    ),
    "kid": Metric(
        lambda real, fake, name, seed: [
            kid(real.features, fake.features, seed=seed, features=name)
        ],
        2,
        2,
    ),
    "is": Metric(
        lambda real, fake, name, seed: [inception_score(logits=fake.logits, features=name)],
        0,
        SPLITS,
        logits=True,
    ),
    "prdc": Metric(
        lambda real, fake, name, seed: [
            *prdc(real.features, fake.features, features=name).values()
        ],
        NEIGHBOUR + 1,
        NEIGHBOUR + 1,
    ),
}


def check_metrics(metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics as a tuple; none at all, and unknown ones, are refused.

    Example:
        >>> check_metrics(["kid", "fid"])
        ('kid', 'fid')
        >>> check_metrics(["fed"])
        Traceback (most recent call last):
            ...
        ValueError: unknown metrics fed: choose from fid,kid,is,prdc
    """
    metrics = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ValueError(
            f"unknown metrics {', '.join(unknown) or '(none given)'}: choose from "
            f"{','.join(METRICS)}"
        )
    return metrics


def computable(
    metrics: Iterable[str] | None, *, real: int, fake: int, logits: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """What can be computed of some images, decided before any feature is.

    Args:
        metrics: those asked for; None for all.
        real: how many real images there are.
        fake: how many fakes there are.
        logits: whether the features come with the logits of a classifier.

    Returns:
        The metrics to compute, and, by name, why others cannot be.

    Raises:
        ValueError: for unknown metrics, and when none is possible, with the reasons.

    Example:
        >>> computable(["fid", "is"], real=100, fake=100, logits=False)[0]
        ('fid',)
    """
    asked = None if metrics is None else check_metrics(metrics)
    reasons = {}
    for name in asked or METRICS:
        needed = METRICS[name]
        if needed.logits and not logits:
            reasons[name] = (
                "these features have no classifier, whose logits it needs: choose inception or "
                "small-classifier features"
            )
        elif real < needed.real:
            reasons[name] = f"it needs at least {needed.real} real images, there are {real}"
        elif fake < needed.fake:
            reasons[name] = f"it needs at least {needed.fake} generated images, there are {fake}"
    possible = tuple(name for name in asked or METRICS if name not in reasons)
    if not possible:
        raise ValueError(_why(reasons))
    return possible, reasons


def _why(reasons: dict[str, str]) -> str:
    why = "; ".join(f"{name!r}: {reason}" for name, reason in reasons.items())
    return f"cannot compute {why}"


def evaluate_images(
    real: Any,
    fake: Any,
    features: FeatureExtractor | Features,
    *,
    metrics: Iterable[str] | None = None,
    seed: int = 0,
    cache: Path | str | None = None,
    progress: Callable[[range], Any] = iter,
) -> list[Score]:
    """Compute metrics of one or several sets of fakes against one set of real images.

    The same images in any order have the same scores, to the rounding of their features.

    Args:
        real: images of one size as `gan_forensics.data.as_images` takes them, such as a folder.
        fake: generated images, likewise, or a list of several sets of them, such as draws of one
            model: then values are means over the sets and spreads their population standard
            deviations.
        features: an extractor, or a plain function of uint8 images [n, h, w, c] to [n, d], whose
            name the scores carry.
        metrics: one or several of `METRICS`: fid, kid, is, prdc; by default all that the features
            and the numbers of images allow (`computable` says which).
        seed: of the metrics' own draws.
        cache: as for `extract`; holds the features of the real images.
        progress: as for `extract`.

    Raises:
        ValueError: before any feature is computed, for a metric that is unknown or asks for more
            images or for logits, and, by a plain function, for fakes of another size.

    Example:
        >>> def mean_colour(images):
        ...     return images.mean((1, 2))
        >>> images = np.arange(8 * 4 * 4 * 3, dtype=np.uint8).reshape(8, 4, 4, 3)
        >>> evaluate_images(images, images, mean_colour, metrics=("fid",))
        [Score(Frechet distance on mean_colour: 0; 8 real, 8 fake)]
    """
    extractor = as_extractor(features)
    real = as_source(real)
    fakes = [as_source(images) for images in _sets(fake)]
    if not fakes:
        raise ValueError("give at least one set of fakes")
    if not isinstance(features, FeatureExtractor):  # Which may bring images to a size of its own.
        _check_sizes(real, fakes)
    fewest = min(len(fake) for fake in fakes)
    names, lost = computable(metrics, real=len(real), fake=fewest, logits=extractor.logits)
    if lost and metrics is not None:  # A caller who names them counts on them.
        raise ValueError(_why(lost))
    found = extract(extractor, real, cache=cache, progress=progress)
    draws = []
    for fake in fakes:
        other = extract(extractor, fake, progress=progress)
        scores = [METRICS[name].scores(found, other, extractor.name, seed) for name in names]
        draws.append([score for part in scores for score in part])
    return over_draws(draws)


def _check_sizes(real: Source, fakes: Sequence[Source]) -> None:
    """Refuse fakes of another size than the real images (ValueError)."""
    if not all(map(len, (real, *fakes))):
        return  # which is said where features are computed
    wanted = real[0]["image"].shape
    for fake in fakes:
        if (given := fake[0]["image"].shape) != wanted:
            raise ValueError(
                f"real images are {list(wanted)} [h, w, c] and fakes {list(given)}: bring both to "
                "one size and number of channels (as_images(..., size=N))"
            )


def _sets(fake: Any) -> Sequence[Any]:
    """The sets of a list of sets, or the one set that is given."""
    if not isinstance(fake, list | tuple) or (fake and _is_image(fake[0])):
        return [fake]
    return fake


def _is_image(given: Any) -> bool:
    """Whether one image is given: a picture, its file, or its pixels."""
    if isinstance(given, str | os.PathLike):
        return Path(given).expanduser().is_file()
    return isinstance(given, Image.Image) or len(getattr(given, "shape", range(4))) < 4


def over_draws(draws: Sequence[Sequence[Score]]) -> list[Score]:
    """The scores of several draws of fakes, each with the same metrics, as one of each metric.

    Values are means over the draws, spreads their population standard deviations. Settings that
    differ from draw to draw are lists over the draws, and all warnings are kept.
    """
    return [_mean(scores) for scores in zip(*draws, strict=True)]


def _mean(scores: Sequence[Score]) -> Score:
    if len(scores) == 1:
        return scores[0]
    values = np.array([score.value for score in scores])
    # A draw's own standard error says nothing about their mean.
    settings = {
        key: _of_draws([score.protocol[key] for score in scores])
        for key in scores[0].protocol
        if key != "standard_error"
    }
    protocol = settings | {
        "draws": len(scores),
        "values": values.tolist(),
        "spread": "population standard deviation over draws of fakes from one model",
    }
    value, spread = float(values.mean()), float(values.std())
    warning = "; ".join(dict.fromkeys(score.warning for score in scores if score.warning))
    return replace(scores[0], value=value, spread=spread, protocol=protocol, warning=warning)


def _of_draws(values: list[Any]) -> Any:
    """What all draws share, or the list of what each has."""
    return values[0] if all(value == values[0] for value in values) else values
