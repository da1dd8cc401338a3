"""Calibrators and threshold of a detector moved to a user's own photographs.

Photographs of another camera or another way of handling have other scores, and likelihood ratios
that were calibrated on the reference photographs are then too large or too small. A few photographs
suffice for one number, the *offset* that is subtracted from a score before its LR is looked up: the
one of least Cllr on these photographs and on generated images (the stored reference scores, or new
ones). For a logistic calibrator it is the intercept, refitted by maximum likelihood with both
classes of equal weight. With more photographs the calibrator itself can be fitted anew.

An offset of the photographs alone would not do: the further down, the less they cost. So the
generated images are moved by the same offset, and hold against it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from gan_forensics.forensics.calibration import (
    Rate,
    Tier,
    measured_rate,
    smallest_calibration_set,
    weighted_threshold,
)
from gan_forensics.forensics.calibrators import FEWEST, Calibrator, fit_calibrator
from gan_forensics.forensics.evidence import CARRIER_OF, costs_of, separation_of
from gan_forensics.forensics.likelihood_ratios import cllr, group_weights

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector
    from gan_forensics.forensics.validation import NewScores

Scores = Float64[np.ndarray, " n"]
# Offsets that are tried: a grid over the spread of all scores, then finer ones around the best.
_COARSE, _FINE, _TIMES = 201, 21, 2


class Class(NamedTuple):
    """Scores of one class and their groups, each image its own where it has no other."""

    scores: Scores
    groups: np.ndarray

    def part(self, chosen: np.ndarray) -> "Class":
        """Those of some rows."""
        return Class(self.scores[chosen], self.groups[chosen])

    @property
    def weights(self) -> Scores:
        """So that every group counts one."""
        return group_weights(self.groups)

    @property
    def votes(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))


@dataclass(frozen=True)
class Change:
    """What recalibration did in a tier, and what it saved.

    Attributes:
        tier: of `data.carriers.TIERS`.
        offset: what is subtracted from scores now; of a refitted calibrator 0.
        n_real, n_fake: photographs and generated images that it rests on.
        separates: whether the interval of the AUC lies above 0.5.
        before, after: Cllr_cal with the old calibrator (None without one) and, by cross-fitting
            over two halves, with the new one.

    Example:
        >>> Change("clean", 0.5, 40, 60, True, before=0.25, after=0.05).saved
        0.2
    """

    tier: str
    offset: float
    n_real: int
    n_fake: int
    separates: bool
    before: float | None
    after: float

    @property
    def saved(self) -> float | None:
        """How much Cllr_cal is less; None where there was no calibrator."""
        return None if self.before is None else self.before - self.after


class Recalibrated(NamedTuple):
    """A recalibrated detector, and what was done to it.

    Attributes:
        detector: as it is now.
        changes: in each tier that it takes.
        set_anew: whether the photographs set its threshold; else it moved by the offset.
        above: how many of the photographs, as they are, the old threshold called generated.

    Example:
        >>> recalibrated(detector, new).changes[0].saved  # doctest: +SKIP
        0.12
    """

    detector: "Detector"
    changes: list[Change]
    set_anew: bool
    above: Rate

    @property
    def saved(self) -> list[str]:
        """Tiers in which likelihood ratios are better than before, or are there at last."""
        return [
            one.tier
            for one in self.changes
            if one.separates and (one.saved is None or one.saved > 0)
        ]

    @property
    def worse(self) -> list[str]:
        """Tiers in which likelihood ratios are worse than before."""
        return [c.tier for c in self.changes if c.separates and c.saved is not None and c.saved < 0]


def recalibrated(
    detector: "Detector", new: "NewScores", *, refit: bool = False, seed: int = 0
) -> Recalibrated:
    """A detector whose calibrators and threshold suit new photographs.

    The threshold is set anew on the photographs where they are enough to bound the false alarms
    that the detector aims at; otherwise it moves by the offset.

    Args:
        detector: as it was fitted.
        new: `score_new` of photographs, maybe of generated images too; without these the reference
            scores of the detector's calibrators stand for them.
        refit: fit the calibrators anew; else move the present ones by an offset.
        seed: of folds and halves.

    Raises:
        ValueError: in one line, for too few images or scores that are all the same; for a detector
            without calibrator where one would be moved, or without generated images.

    Example:
        >>> recalibrated(detector, new).changes[0].saved  # doctest: +SKIP
        0.12
    """
    check_movable(detector, refit=refit, fakes=len(new.scores) > 1)
    calibrators, changes, tiers = dict(detector.calibrators), [], []
    moved = 0.0
    for tier in CARRIER_OF:
        old = detector.calibrators.get(tier)
        if tier in new.unfit or (old is None and (not refit or len(new.scores) < 2)):
            continue
        classes = _classes(new, tier, old)
        _check_enough(classes, tier, refit)
        fit = _refitted(seed) if refit else _moved(old)
        made = fit(*classes)
        change, known = _measured(tier, made, old, classes, fit, seed)
        calibrators[tier] = made
        changes.append(change)
        tiers.append(known)
        if tier == "clean" and old is not None:
            # Of a refitted calibrator the offset is what the old one would have needed.
            moved = (_moved(old)(*classes) if refit else made).offset - old.offset
    calibration = detector.calibration
    threshold, votes = detector.threshold + moved, None
    if calibration is not None:
        found = _threshold(detector, new, calibration.target)
        threshold, votes = (threshold, None) if found is None else found
        calibration = replace(calibration, measured=(), tiers=tuple(tiers))
        if votes is not None:
            groups = votes if new.groups else None
            n = len(_known(new, "clean", 0).scores)
            calibration = replace(calibration, n_calibration=n, groups=groups)
    made = replace(detector, threshold=threshold, calibration=calibration, calibrators=calibrators)
    real = _known(new, "clean", 0)
    above = measured_rate(real.scores > detector.threshold, real.groups if new.groups else None)
    return Recalibrated(made, changes, votes is not None, above)


def check_movable(detector: "Detector", *, refit: bool, fakes: bool) -> None:
    """Refuse a detector without calibrators, except where one can be fitted.

    Args:
        detector: that is to be recalibrated.
        refit: whether calibrators are fitted anew.
        fakes: whether there are new generated images.

    Raises:
        ValueError: saying what to give.
    """
    if detector.calibrators or (refit and fakes):
        return
    raise ValueError(
        f"{detector.name} has no calibrator that could be moved, and keeps no scores of generated "
        "images: fit one on photographs and generated images (--refit --fake), or fit the detector "
        "again (`gan-forensics detect fit`)"
    )


def _check_enough(classes: tuple[Class, Class], tier: str, refit: bool) -> None:
    """Both halves of the images must suffice for what they are to be measured by."""
    least = 2 * FEWEST if refit else FEWEST
    what = "refit a calibrator" if refit else "move a calibrator"
    for name, of in zip(("photographs", "generated images"), classes, strict=True):
        if of.votes < least:
            groups = " in groups of their own" if of.votes < len(of.scores) else ""
            raise ValueError(
                f"{of.votes} {name}{groups} are too few to {what} (tier {tier}): give at least "
                f"{least}"
            )


def _known(new: "NewScores", tier: str, place: int) -> Class:
    """Images of a source that have a score."""
    name = list(new.scores)[place]
    scores = new.in_tier(tier)[name]
    if new.groups is None:
        groups = np.array([f"{name} {row}" for row in range(len(scores))], object)
    else:
        groups = np.array([str(group) for group in new.groups[name]], object)
    return Class(scores, groups).part(~np.isnan(scores))


def _classes(new: "NewScores", tier: str, old: Calibrator | None) -> tuple[Class, Class]:
    """Photographs, and generated images: the new ones, or else those that the detector keeps."""
    real = _known(new, tier, 0)
    fakes = [_known(new, tier, place) for place in range(1, len(new.scores))]
    if not fakes:
        assert old is not None
        return real, _stored(old)
    return real, Class(*(np.concatenate(parts) for parts in zip(*fakes, strict=True)))


def _stored(calibrator: Calibrator) -> Class:
    """Reference images; of their groups the sizes are known, and equal ones make up a group."""
    weights = calibrator.fake_weights
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order] / 2
    groups = np.empty(len(weights), object)
    groups[order] = [f"reference {int(number)}" for number in before]
    return Class(calibrator.fake_scores, groups)


Fit = Callable[[Class, Class], Calibrator]


def _refitted(seed: int) -> Fit:
    return lambda real, fake: fit_calibrator(
        real.scores, fake.scores, groups=(real.groups, fake.groups), seed=seed
    )


def _moved(old: Calibrator | None) -> Fit:
    assert old is not None
    return lambda real, fake: replace(old, offset=offset_of(old, real, fake))


def offset_of(calibrator: Calibrator, real: Class, fake: Class) -> float:
    """The offset with which a calibrator's LRs of these images cost least (Cllr).

    Of equally good offsets the one nearest to the present one is taken.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = (Class(rng.normal(m, 1, 99), np.arange(99).astype(str)) for m in (0, 4))
        >>> calibrator = fit_calibrator(a.scores - 2, b.scores - 2)
        >>> abs(offset_of(calibrator, a, b) - 2) < 0.2
        True
    """
    weights = real.weights, fake.weights
    unmoved = replace(calibrator, offset=0.0)

    def costs(offsets: list[float]) -> list[float]:
        moved = (np.subtract.outer(of.scores, offsets).T for of in (real, fake))
        ratios = (unmoved.log10_lr(of.ravel()).reshape(of.shape) for of in moved)
        return [cllr(*pair, weights=weights) for pair in zip(*ratios, strict=True)]

    every = [real.scores, fake.scores, calibrator.real_scores, calibrator.fake_scores]
    best, reach = calibrator.offset, float(np.ptp(np.concatenate(every)))
    for count in (_COARSE, *[_FINE] * _TIMES):
        tried = best + reach * np.linspace(-1, 1, count)
        near = sorted(tried.tolist(), key=lambda offset: abs(offset - best))
        best = near[int(np.argmin(costs(near)))]
        reach *= 2 / (count - 1)
    return float(best)


def _measured(
    tier: str,
    made: Calibrator,
    old: Calibrator | None,
    classes: tuple[Class, Class],
    fit: Fit,
    seed: int,
) -> tuple[Change, Tier]:
    """Cllr_cal before and after; after by cross-fitting: each half by what the other made."""
    weights = classes[0].weights, classes[1].weights
    ratios = [np.empty(len(of.scores)) for of in classes]
    halves = _halves(classes, seed)
    for half in (0, 1):
        other = fit(*(of.part(h != half) for of, h in zip(classes, halves, strict=True)))
        for found, of, h in zip(ratios, classes, halves, strict=True):
            found[h == half] = other.log10_lr(of.scores[h == half])
    after: dict[str, Any] = costs_of((ratios[0], ratios[1]), weights)
    before = None
    if old is not None:
        stated = old.log10_lr(classes[0].scores), old.log10_lr(classes[1].scores)
        before = costs_of(stated, weights)["cllr_cal"]
    sizes = len(classes[0].scores), len(classes[1].scores)
    told: dict[str, Any] = separation_of(classes[0].scores, classes[1].scores, weights)
    known = Tier(tier, *sizes, **told, **after)
    change = Change(tier, made.offset, *sizes, bool(known.separates), before, after["cllr_cal"])
    return change, known


def _halves(classes: tuple[Class, Class], seed: int) -> list[np.ndarray]:
    """0 or 1 for each image of either class, the same in a group, of one class or of both."""
    rng = np.random.default_rng(seed)
    half_of: dict[Any, int] = {}
    for of in classes:
        fresh = [group for group in dict.fromkeys(of.groups) if group not in half_of]
        half_of |= {fresh[k]: place % 2 for place, k in enumerate(rng.permutation(len(fresh)))}
    return [np.array([half_of[group] for group in of.groups]) for of in classes]


def _threshold(detector: "Detector", new: "NewScores", target: float) -> tuple[float, int] | None:
    """The threshold that new photographs set, and how many groups of them; None for too few.

    Of a robust detector the strictest over the tiers, as its carriers set it before.
    """
    tiers = [tier for tier in CARRIER_OF if tier not in new.unfit]
    tiers = tiers if detector.facts.get("robust") else ["clean"]
    real = [_known(new, tier, 0) for tier in tiers]
    if min(of.votes for of in real) < smallest_calibration_set(target):
        return None
    thresholds = [weighted_threshold(of.scores, of.weights, false_alarms=target) for of in real]
    return max(thresholds), real[0].votes


def record_of(
    detector: "Detector", made: Recalibrated, *, refit: bool, sources: Mapping[str, str]
) -> dict[str, Any]:
    """What a recalibrated detector's facts keep: of which file it was made, on what, and how."""
    return {
        "from": detector.sha256,
        "how": "refitted" if refit else "moved",
        "threshold": "set anew" if made.set_anew else "moved",
        "sources": dict(sources),
        "tiers": {
            one.tier: {
                "offset": one.offset, "n_real": one.n_real, "n_fake": one.n_fake,
                "cllr_cal_before": one.before, "cllr_cal_after": one.after,
            }
            for one in made.changes
        },
    }  # fmt: skip
