"""What a detector does on images of its own, as they are and after perturbations."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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


class Unfit(ValueError):
    """Less is left of an image after a perturbation than the detector takes."""


class Scored(NamedTuple):
    """Scores of real and of generated images after a perturbation, of those that have one.

    Attributes:
        carrier: the perturbation; "none" for images as they are.
        real, fake: scores [n] and [m].
        groups: of each of either class, or None.
        rows: which of the images of either class they are.
    """

    carrier: str
    real: Float64[np.ndarray, " n"]
    fake: Float64[np.ndarray, " m"]
    groups: tuple[np.ndarray, np.ndarray] | None
    rows: tuple[np.ndarray, np.ndarray]

    @classmethod
    def known(
        cls,
        carrier: str,
        scores: tuple[np.ndarray, np.ndarray],
        groups: tuple[np.ndarray, np.ndarray] | None,
        rows: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "Scored":
        """Of scores of which some may be NaN, those that are not; `rows` of all by default."""
        have = [~np.isnan(of) for of in scores]
        of = groups and (groups[0][have[0]], groups[1][have[1]])
        every = rows or (np.arange(len(scores[0])), np.arange(len(scores[1])))
        kept = every[0][have[0]], every[1][have[1]]
        return cls(carrier, scores[0][have[0]], scores[1][have[1]], of, kept)


def carried(
    detector: "Detector", image: Image, carrier: str, frost_textures: Path | None = None
) -> Image:
    """An image after a perturbation ("none" leaves it), cut to what the detector takes.

    Carriers that enlarge leave more than a detector of one size takes: its middle is scored.

    Raises:
        Unfit: for one that leaves less than the detector takes.
    """
    if carrier == "none":
        return image
    made = detector.middle(perturb(image, carrier, frost_textures=frost_textures))
    if made.size < image.size:
        try:
            detector.check_shape(made.shape)
        except ValueError as error:
            raise Unfit(f"after {carrier}, which shrinks: {error}") from None
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
    unfit: dict[str, str] | None = None,
    progress: Progress = iter,
) -> Scores:
    """Scores [k, n] of some images of a source after k perturbations, few in memory at a time.

    Args:
        detector: that scores.
        source: of images.
        rows: of those to score.
        carriers: names of `data.perturbations`.
        frost_textures: as in `data.corruptions.corrupt`.
        unfit: gets, by the name of a perturbation, why the detector cannot take what it leaves of
            an image; no image has a score after it then. Without it that is an error.
        progress: as in `chunks`.

    Raises:
        Unfit: where a perturbation leaves less of an image than the detector takes.
        ValueError: for images that cannot be scored as they are; their number and the first.
    """
    scores = np.full((len(carriers), len(rows)), np.nan)
    done = 0
    for images in _read(source, rows, progress):
        for place, name in enumerate(carriers):
            if unfit is not None and name in unfit:
                continue
            try:
                found = score_carried(detector, images, [name], frost_textures)[0]
            except Unfit as error:
                if unfit is None:
                    raise
                unfit[name] = str(error)
                scores[place] = np.nan
            else:
                scores[place, done : done + len(images)] = found
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


def scored_each(
    detector: "Detector",
    sources: Sequence[Source],
    rows: Sequence[np.ndarray],
    *,
    groups: Sequence[np.ndarray] | None = None,
    seed: int = 0,
    carriers: Sequence[str] = tuple(CARRIERS),
    frost_textures: Path | None = None,
    unfit: dict[str, str] | None = None,
    progress: Progress = iter,
) -> list[tuple[Scored, ...]]:
    """Scores of images as they are and after each perturbation.

    Args:
        detector: that scores.
        sources: real images, and sources of generated ones; each is scored once.
        rows: of each, those to score.
        groups: of each of these rows.
        seed: of the choice of images that are perturbed.
        carriers: names of `data.perturbations`.
        frost_textures, unfit: as for `score_source`.
        progress: as in `chunks`.

    Returns:
        For each generated source "none" first, on all rows; then the perturbations, on at most
        `MOST_CARRIED` of a source, fewer where images are large; without those after which no image
        of a class has a score.
    """
    chosen = [
        np.random.default_rng(seed).permutation(len(r))[: _most_carried(source[int(r[0])]["image"])]
        for source, r in zip(sources, rows, strict=True)
    ]
    both = list(zip(sources, rows, chosen, strict=True))
    plain = [score_source(detector, source, r, progress=progress)[0] for source, r, _ in both]
    after = [
        score_source(
            detector, source, r[c], carriers,
            frost_textures=frost_textures, unfit=unfit, progress=progress,
        )
        for source, r, c in both
    ]  # fmt: skip
    found = []
    for fake in range(1, len(sources)):
        of = None if groups is None else (groups[0], groups[fake])
        result = [Scored.known("none", (plain[0], plain[fake]), of)]
        of = of and (of[0][chosen[0]], of[1][chosen[fake]])
        for place, name in enumerate(carriers):
            scores = after[0][place], after[fake][place]
            if not any(np.isnan(some).all() for some in scores):
                result.append(Scored.known(name, scores, of, (chosen[0], chosen[fake])))
        found.append(tuple(result))
    return found


def measured_each(
    detector: "Detector", sources: Sequence[Source], rows: Sequence[np.ndarray], **options
) -> list[tuple[Measured, ...]]:
    """Rates of a detector at its threshold, on images as they are and after each perturbation.

    Args:
        detector: with its threshold.
        sources, rows, options: as for `scored_each`; the images must have neither trained the
            detector nor set its threshold.
    """
    return [
        tuple(rates(one, detector.threshold) for one in some)
        for some in scored_each(detector, sources, rows, **options)
    ]


def rates(scored: Scored, threshold: float) -> Measured:
    """What happens at a threshold."""
    groups = scored.groups or (None, None)
    real, fake = (
        measured_rate(scores > threshold, of)
        for scores, of in zip((scored.real, scored.fake), groups, strict=True)
    )
    auc = float(roc_auc(count_scores(scored.real, scored.fake)))
    return Measured(scored.carrier, real, fake, auc)


def _most_carried(image: Image) -> int:
    """How many images of about this size go through carriers."""
    allowed = PIXELS_CARRIED // (image.shape[0] * image.shape[1])
    return min(MOST_CARRIED, max(FEWEST_CARRIED, allowed))


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
