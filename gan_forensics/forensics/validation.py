"""What a detector's likelihood ratios are worth on new images, by generator and by tier."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from gan_forensics.data import Header, Rows, as_source, read_header
from gan_forensics.data.account import files
from gan_forensics.forensics.calibration import Rate, measured_rate
from gan_forensics.forensics.calibrators import Calibrator
from gan_forensics.forensics.evidence import CARRIER_OF, evidence_of
from gan_forensics.forensics.likelihood_ratios import Weights, devpav, group_weights
from gan_forensics.forensics.measure import Scored, score_source
from gan_forensics.forensics.tiles import scores_by_image
from gan_forensics.forensics.verdicts import VERDICTS, basis_of, verdict_rates

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

# What all generators together are called.
ALL = "all generators"
# Scores that are so close, in standard deviations of the reference scores, are of the same image.
SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Validated:
    """Likelihood ratios of new images of one generator, or of all, in one tier.

    Attributes:
        generated: what the generated images are called.
        tier: of `data.carriers.TIERS`.
        without: why there are no numbers; else "".
        real_log10_lr, fake_log10_lr: of photographs [n] and of generated images [m].
        weights: of these, where images have groups.
        bounds: of log10 LR, which the reference images support.
        costs: "auc" and its interval, "cllr", "cllr_min", "cllr_cal", "devpav".
        false_alarms: photographs above the threshold.
        misses: generated images at or below it.
        verdicts: of photographs and of generated images, by `verdicts.VERDICTS`, the share with
            this verdict; the three add up to 1.
        misleading: share of photographs with an LR above 1, of generated images with one below.

    Example:
        >>> Validated("dcgan", "hard", without="images of 512x512 are too small").separates
        False
    """

    generated: str
    tier: str
    without: str = ""
    real_log10_lr: Float64[np.ndarray, " n"] | None = None
    fake_log10_lr: Float64[np.ndarray, " m"] | None = None
    weights: Weights = None
    bounds: tuple[float, float] | None = None
    costs: Mapping[str, float] | None = None
    false_alarms: Rate | None = None
    misses: Rate | None = None
    verdicts: tuple[Mapping[str, Rate], Mapping[str, Rate]] | None = None
    misleading: tuple[Rate, Rate] | None = None

    @property
    def separates(self) -> bool:
        """Whether scores tell the classes apart: the interval of the AUC lies above 0.5."""
        return self.costs is not None and self.costs["auc_low"] > 0.5


class NewScores(NamedTuple):
    """Scores of images that a detector was not fitted on.

    Attributes:
        scores: by source, photographs first: [k, n], as the images are and after each further tier;
            NaN where an image has none.
        groups: of the images of each source, or None.
        known: by source, how many more images there were, which the detector's calibrators were
            fitted on.
        unfit: by tier, why the detector does not take images of it.
        headers: of the files of each source that is of files.
        tiles: of a detector with tiles the scores of those of each photograph, as it is; NaN for
            flat ones.

    Example:
        >>> new = NewScores({"photographs": np.zeros((3, 5))}, None, {}, {})
        >>> new.in_tier("web")["photographs"].shape
        (5,)
    """

    scores: Mapping[str, Float64[np.ndarray, "k n"]]
    groups: Mapping[str, np.ndarray] | None
    known: Mapping[str, int]
    unfit: Mapping[str, str]
    headers: Mapping[str, Sequence[Header]] | None = None
    tiles: Sequence[Float64[np.ndarray, " _k"]] | None = None

    def in_tier(self, tier: str) -> dict[str, Float64[np.ndarray, " n"]]:
        """The scores of every source in a tier."""
        return {name: of[list(CARRIER_OF).index(tier)] for name, of in self.scores.items()}


def score_new(
    detector: "Detector",
    sources: Mapping[str, Any],
    *,
    groups: Sequence[np.ndarray] | None = None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> NewScores:
    """Score images in every tier, and leave out those that calibrators were fitted on.

    Args:
        detector: that scores.
        sources: photographs first, then generated images, by what they are called; each as
            `gan_forensics.data.as_images` takes them, such as a folder's path.
        groups: of each image of each source.
        progress: as in `chunks`.

    Raises:
        ValueError: for images without a score, and where a source has no new ones.

    Example:
        >>> score_new(detector, {"photographs": real, "dcgan": fake}).known  # doctest: +SKIP
        {'photographs': 0, 'dcgan': 0}
    """
    unfit: dict[str, str] = {}
    scores, of, known, headers = {}, {}, {}, {}
    of_tiles: list[np.ndarray] | None = None
    reference = detector.calibrators.get("clean")
    for place, (name, images) in enumerate(sources.items()):
        source = as_source(images)
        if not len(source):
            raise ValueError(f"{name}: no images to score, give at least one")
        found = score_source(
            detector, source, np.arange(len(source)), tuple(CARRIER_OF.values()),
            unfit=unfit, progress=progress,
        )  # fmt: skip
        seen = np.zeros(len(source), bool)
        if reference is not None:
            kept = reference.fake_scores if place else reference.real_scores
            seen = recognised(found[0], kept)
        if seen.all():
            raise ValueError(
                f"{name}: the detector's calibrators were fitted on all of these images, by their "
                "scores: give others"
            )
        scores[name], known[name] = found[:, ~seen], int(seen.sum())
        if groups is not None:
            of[name] = np.asarray(groups[place])[~seen]
        if paths := files(source):
            headers[name] = [read_header(p) for p, s in zip(paths, seen, strict=True) if not s]
        if detector.tiles is not None and not place:
            of_tiles = scores_by_image(detector, Rows(source, np.flatnonzero(~seen)))
    tiers = {tier: unfit[carrier] for tier, carrier in CARRIER_OF.items() if carrier in unfit}
    return NewScores(scores, None if groups is None else of, known, tiers, headers, of_tiles)


def check_calibrated(detector: "Detector") -> None:
    """Refuse a detector without calibrators (ValueError)."""
    if not detector.calibrators:
        raise ValueError(
            f"{detector.name} has no calibrator, and without likelihood ratios there is nothing to "
            "validate: fit it again (`gan-forensics detect fit`), or calibrate it on images of "
            "your own (`gan-forensics detect recalibrate`)"
        )


def validated(detector: "Detector", new: NewScores) -> list[Validated]:
    """Measure likelihood ratios and verdicts on new images, in each tier.

    Args:
        detector: with calibrators.
        new: `score_new` of photographs, and of generated images by generator.

    Returns:
        By tier, each generator; of several `ALL` of them first.

    Raises:
        ValueError: for a detector without calibrators.

    Example:
        >>> validated(detector, new)[0].costs["cllr_cal"]  # doctest: +SKIP
        0.021
    """
    check_calibrated(detector)
    real_name, *names = new.scores
    found = []
    for tier in CARRIER_OF:
        calibrator = detector.calibrators.get(tier)
        fakes = {name: [name] for name in names}
        if len(names) > 1:
            fakes = {ALL: names, **fakes}
        if calibrator is None or tier in new.unfit:
            why = new.unfit.get(tier) or _why(detector, tier)
            found += [Validated(name, tier, without=why) for name in fakes]
            continue
        scores = new.in_tier(tier)
        for name, of in fakes.items():
            fake = np.concatenate([scores[one] for one in of])
            groups = None
            if new.groups is not None:
                theirs = np.concatenate([new.groups[one] for one in of])
                groups = new.groups[real_name], theirs
            one = Scored.known(CARRIER_OF[tier], (scores[real_name], fake), groups)
            found.append(_validated(detector, calibrator, one, name, tier))
    return found


def _why(detector: "Detector", tier: str) -> str:
    """Why a detector has no calibrator for a tier, as its facts tell."""
    known = detector.calibration.tiers if detector.calibration else ()
    told = next((one.unfit or one.without for one in known if one.name == tier), "")
    return told or "the detector has no calibrator for it"


def _validated(
    detector: "Detector", calibrator: Calibrator, scored: Scored, name: str, tier: str
) -> Validated:
    if not len(scored.real) or not len(scored.fake):
        return Validated(name, tier, without="no image of a class has a score after it")
    ratios = calibrator.log10_lr(scored.real), calibrator.log10_lr(scored.fake)
    real, fake = scored.groups or (None, None)
    weights = scored.groups and (group_weights(real), group_weights(fake))
    basis = basis_of(detector)
    return Validated(
        name,
        tier,
        real_log10_lr=ratios[0],
        fake_log10_lr=ratios[1],
        weights=weights,
        bounds=(calibrator.lower, calibrator.upper),
        costs=evidence_of(scored, calibrator) | {"devpav": devpav(*ratios, weights=weights)},
        false_alarms=measured_rate(scored.real > detector.threshold, real),
        misses=measured_rate(scored.fake <= detector.threshold, fake),
        verdicts=(
            verdict_rates(basis, scored.real, tier, real),
            verdict_rates(basis, scored.fake, tier, fake),
        ),
        misleading=(measured_rate(ratios[0] > 0, real), measured_rate(ratios[1] < 0, fake)),
    )


def recognised(scores, reference) -> Bool[np.ndarray, " n"]:
    """Which scores [n] are those of reference images [k], hence of the same images.

    None where reference scores repeat, as shares of neighbours do: equal scores say nothing then.

    Args:
        scores: of new images.
        reference: what a calibrator keeps.

    Example:
        >>> recognised([0.25, 3.5], [0.5, 3.5, -1.25]).tolist()
        [False, True]
    """
    known = np.unique(np.asarray(reference, np.float64))
    scores = np.asarray(scores, np.float64)
    if len(known) < len(reference) or len(known) < 2:
        return np.zeros(len(scores), bool)
    place = np.clip(np.searchsorted(known, scores), 1, len(known) - 1)
    away = np.minimum(np.abs(scores - known[place - 1]), np.abs(scores - known[place]))
    return away <= SAME * known.std()


def row_of(found: Validated) -> dict[str, Any]:
    """The numbers as a line of a table; None where there is none.

    A detector that does not separate in a tier has no Cllr_cal there: that LRs say nothing, and are
    right to say nothing, is no merit.
    """
    costs = dict(found.costs or {})
    row: dict[str, Any] = {"generated": found.generated, "tier": found.tier}
    sizes = found.real_log10_lr, found.fake_log10_lr
    row |= {
        name: 0 if of is None else len(of)
        for name, of in zip(("n_real", "n_fake"), sizes, strict=True)
    }
    for name in ("cllr", "cllr_min", "cllr_cal", "devpav", "auc", "auc_low", "auc_high"):
        number = costs.get(name)
        # devPAV is none where LRs part the classes.
        row[name] = None if number is None or math.isnan(number) else number
    row["separates"] = found.separates if found.costs else None
    if found.costs and not found.separates:
        row |= {"cllr_min": None, "cllr_cal": None, "devpav": None}
    wrong = found.misleading or (None, None)
    for name, rate in (
        ("false_alarms", found.false_alarms), ("misses", found.misses),
        ("misleading_real", wrong[0]), ("misleading_fake", wrong[1]),
    ):  # fmt: skip
        row |= {
            name: rate and rate.rate,
            f"{name}_low": rate and rate.low,
            f"{name}_high": rate and rate.high,
        }
    for place, label in enumerate(("real", "fake")):
        for name in VERDICTS:
            row[f"{name}_{label}"] = found.verdicts and found.verdicts[place][name].rate
    return row | {"without": found.without}
