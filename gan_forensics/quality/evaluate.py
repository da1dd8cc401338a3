"""All metrics of one pair of image sets, and their spread over several draws of fakes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data.sources import Source
from gan_forensics.quality.extract import Extracted, FeatureExtractor, Images, extract
from gan_forensics.quality.frechet import fid
from gan_forensics.quality.inception_score import inception_score
from gan_forensics.quality.kid import kid
from gan_forensics.quality.prdc import prdc
from gan_forensics.quality.score import Score


def _inception_score(real: Extracted, fake: Extracted, name: str, seed: int) -> list[Score]:
    if fake.logits is None:
        raise ValueError(
            f"{name} have no classifier, which the metric 'is' needs: leave it out, or choose "
            "inception or small-classifier features"
        )
    return [inception_score(logits=fake.logits, features=name)]


METRICS: dict[str, Callable[[Extracted, Extracted, str, int], list[Score]]] = {
    "fid": lambda real, fake, name, seed: [fid(real.features, fake.features, features=name)],
    "kid": lambda real, fake, name, seed: [
        kid(real.features, fake.features, seed=seed, features=name)
    ],
    "is": _inception_score,
    "prdc": lambda real, fake, name, seed: [
        *prdc(real.features, fake.features, features=name).values()
    ],
}


def check_metrics(metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics as a tuple; none at all, and unknown ones, are refused."""
    metrics = tuple(metrics)
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ValueError(
            f"unknown metrics {', '.join(unknown) or '(none given)'}: choose from "
            f"{','.join(METRICS)}"
        )
    return metrics


def evaluate_images(
    real: Images | Source,
    fakes: Sequence[Images | Source],
    extractor: FeatureExtractor,
    *,
    metrics: Iterable[str] = tuple(METRICS),
    seed: int = 0,
    cache: Path | str | None = None,
    progress: Callable[[range], Any] = iter,
) -> list[Score]:
    """Compute metrics of one or several sets of fakes against one set of real images.

    Args:
        real: uint8 [n, h, w, c], or a source.
        fakes: sets of generated images; with several, values are means over the sets and spreads
            their population standard deviations.
        extractor: of the features.
        metrics: of `METRICS`: fid, kid, is, prdc.
        seed: of the metrics' own draws.
        cache: as for `extract`; holds the features of the real images.
        progress: as for `extract`.

    Raises:
        ValueError: for an unknown metric, and what the metrics refuse.
    """
    metrics = check_metrics(metrics)
    if not fakes:
        raise ValueError("give at least one set of fakes")
    found = extract(extractor, real, cache=cache, progress=progress)
    draws = []
    for fake in fakes:
        other = extract(extractor, fake, progress=progress)
        scores = [METRICS[name](found, other, extractor.name, seed) for name in metrics]
        draws.append([score for part in scores for score in part])
    return [_over_draws(scores) for scores in zip(*draws, strict=True)]


def _over_draws(scores: Sequence[Score]) -> Score:
    """Mean over draws of fakes, with their population standard deviation as spread."""
    if len(scores) == 1:
        return scores[0]
    values = np.array([score.value for score in scores])
    # The first draw's own standard error says nothing about their mean.
    protocol = {k: v for k, v in scores[0].protocol.items() if k != "standard_error"} | {
        "draws": len(scores),
        "values": values.tolist(),
        "spread": "population standard deviation over draws of fakes from one model",
    }
    value, spread = float(values.mean()), float(values.std())
    return replace(scores[0], value=value, spread=spread, protocol=protocol)
