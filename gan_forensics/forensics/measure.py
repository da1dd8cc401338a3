"""What a detector does on images of its own, as they are and after perturbations."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, UInt8

from gan_forensics.data import Source
from gan_forensics.data.carriers import CARRIERS
from gan_forensics.data.perturbations import perturb
from gan_forensics.data.sources import describe
from gan_forensics.forensics import canvases
from gan_forensics.forensics.calibration import Measured, calibrated_threshold, measured_rate
from gan_forensics.forensics.metrics import count_scores, roc_auc

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

Image = UInt8[np.ndarray, "_h _w c"]
Scores = Float64[np.ndarray, "k n"]
Progress = Callable[[range], Iterable[int]]
# Images of a class that carriers are measured on, at most: 2 points of a rate are enough.
MOST_CARRIED = 500
# All carriers take about half a second a million pixels: of large images fewer are measured on.
PIXELS_CARRIED, FEWEST_CARRIED = 2**29, 50


def carried(
    detector: "Detector", image: Image, carrier: str, frost_textures: Path | None = None
) -> Image:
    """An image after a perturbation ("none" leaves it), cut to what the detector takes.

    Carriers that enlarge leave more than a detector of one size takes: its middle is scored.

    Raises:
        ValueError: for one that leaves less than the detector takes.
    """
    if carrier == "none":
        return image
    made = detector.middle(perturb(image, carrier, frost_textures=frost_textures))
    if made.shape[0] < image.shape[0]:
        try:
            detector.check_shape(made.shape)
        except ValueError as error:
            raise ValueError(f"after {carrier}, which shrinks: {error}") from None
    return made


def score_carried(
    detector: "Detector",
    images: Sequence[Image],
    carriers: Sequence[str],
    frost_textures: Path | None = None,
) -> Scores:
    """Scores [k, n] of n images after each of k perturbations."""
    return np.stack([
        detector.score([carried(detector, image, name, frost_textures) for image in images])
        for name in carriers
    ])  # fmt: skip


def score_source(
    detector: "Detector",
    source: Source,
    rows: np.ndarray,
    carriers: Sequence[str] = ("none",),
    *,
    frost_textures: Path | None = None,
    progress: Progress = iter,
) -> Scores:
    """Scores [k, n] of some images of a source after k perturbations, few in memory at a time.

    Raises:
        ValueError: for images that cannot be scored as they are; their number and the first.
    """
    scores = np.empty((len(carriers), len(rows)))
    done = 0
    for images in _read(source, rows, progress):
        scores[:, done : done + len(images)] = score_carried(
            detector, images, carriers, frost_textures
        )
        done += len(images)
        images.clear()  # or they would stay in memory while the next ones are read
    broken = np.flatnonzero(np.isnan(scores[0]))
    if len(broken) and carriers[0] == "none":
        raise ValueError(
            f"{len(broken)} of {len(rows)} images are flat or have features that are not finite "
            f"(first {describe(source, int(rows[broken[0]]))}): leave them out"
        )
    return scores


def thresholds_of(
    detector: "Detector",
    real: Source,
    rows: np.ndarray,
    *,
    false_alarms: float,
    groups: np.ndarray | None = None,
    carriers: Sequence[str] = ("none",),
    progress: Progress = iter,
) -> dict[str, float]:
    """For each of some carriers the threshold that bounds the false alarms under it.

    Args:
        detector: that scores.
        real: a source of real images.
        rows: of those that set the threshold.
        false_alarms: accepted share.
        groups: of each of the rows, or None.
        carriers: the largest threshold bounds the false alarms under each of them.
        progress: as in `chunks`.

    Raises:
        ValueError: as `calibrated_threshold` and `score_source`.
    """
    scores = score_source(detector, real, rows, carriers, progress=progress)
    known = ~np.isnan(scores)
    return {
        name: calibrated_threshold(row[k], false_alarms=false_alarms, groups=_some(groups, k))
        for name, row, k in zip(carriers, scores, known, strict=True)
    }


def measured(
    detector: "Detector",
    sources: tuple[Source, Source],
    rows: tuple[np.ndarray, np.ndarray],
    *,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
    carriers: Sequence[str] = tuple(CARRIERS),
    frost_textures: Path | None = None,
    progress: Progress = iter,
) -> tuple[Measured, ...]:
    """`measured_each` of real images and of one source of generated ones."""
    return measured_each(
        detector, sources, rows, groups=groups, seed=seed, carriers=carriers,
        frost_textures=frost_textures, progress=progress,
    )[0]  # fmt: skip


def measured_each(
    detector: "Detector",
    sources: Sequence[Source],
    rows: Sequence[np.ndarray],
    *,
    groups: Sequence[np.ndarray] | None = None,
    seed: int = 0,
    carriers: Sequence[str] = tuple(CARRIERS),
    frost_textures: Path | None = None,
    progress: Progress = iter,
) -> list[tuple[Measured, ...]]:
    """Rates of a detector at its threshold, on images as they are and after each perturbation.

    Args:
        detector: with its threshold.
        sources: real images, and sources of generated ones; each is scored once.
        rows: of each, those to measure on; they must have neither trained it nor set its threshold.
        groups: of each of these rows.
        seed: of the choice of images that are perturbed.
        carriers: names of `data.perturbations`.
        frost_textures: as in `data.corruptions.corrupt`.
        progress: as in `chunks`.

    Returns:
        For each generated source "none" first, on all rows; then the perturbations, on at most
        `MOST_CARRIED` of a source, fewer where images are large.
    """
    chosen = [
        np.random.default_rng(seed).permutation(len(r))[: _most_carried(source[int(r[0])]["image"])]
        for source, r in zip(sources, rows, strict=True)
    ]
    both = list(zip(sources, rows, chosen, strict=True))
    plain = [score_source(detector, source, r, progress=progress)[0] for source, r, _ in both]
    after = [
        score_source(
            detector, source, r[c], carriers, frost_textures=frost_textures, progress=progress
        )
        for source, r, c in both
    ]
    some = None if groups is None else [g[c] for g, c in zip(groups, chosen, strict=True)]
    found = []
    for fake in range(1, len(sources)):
        pair = (0, fake)
        result = [
            _measured(
                "none",
                [plain[i] for i in pair],
                groups and [groups[i] for i in pair],
                detector.threshold,
            )
        ]
        for place, name in enumerate(carriers):
            known = [~np.isnan(after[i][place]) for i in pair]
            scores = [after[i][place][k] for i, k in zip(pair, known, strict=True)]
            of = some and [some[i][k] for i, k in zip(pair, known, strict=True)]
            if all(len(s) for s in scores):
                result.append(_measured(name, scores, of, detector.threshold))
        found.append(tuple(result))
    return found


def _most_carried(image: Image) -> int:
    """How many images of about this size go through carriers."""
    allowed = PIXELS_CARRIED // (image.shape[0] * image.shape[1])
    return min(MOST_CARRIED, max(FEWEST_CARRIED, allowed))


def _measured(
    carrier: str,
    scores: Sequence[np.ndarray],
    groups: Sequence[np.ndarray] | None,
    threshold: float,
) -> Measured:
    real, fake = (
        measured_rate(scores[kind] > threshold, None if groups is None else groups[kind])
        for kind in (0, 1)
    )
    return Measured(carrier, real, fake, float(roc_auc(count_scores(*scores))))


def _some(groups: np.ndarray | None, known: np.ndarray) -> np.ndarray | None:
    return None if groups is None else groups[known]


def _read(source: Source, rows: np.ndarray, progress: Progress) -> Iterator[list[Image]]:
    """Images of some rows, as many at a time as their pixels allow."""
    some: list[Image] = []
    for place in progress(range(len(rows))):
        image = source[int(rows[place])]["image"]
        some.append(image)
        if len(some) == canvases.room(*image.shape[:2]):
            yield some
            some = []
    if some:
        yield some
