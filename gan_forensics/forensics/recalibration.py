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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_forensics.forensics.calibration import (
    Calibration,
    Rate,
    Tier,
    measured_rate,
    smallest_calibration_set,
)
from gan_forensics.forensics.calibrators import FEWEST, Calibrator, fit_calibrator
from gan_forensics.forensics.cross_fitting import (
    Class,
    both_of,
    cross_fitted,
    half_of_groups,
    halves,
    known_of,
    threshold_of,
)
from gan_forensics.forensics.evidence import CARRIER_OF, costs_of, separation_of
from gan_forensics.forensics.format_audit import seen
from gan_forensics.forensics.likelihood_ratios import cllr
from gan_forensics.forensics.tiles import tile_threshold
from gan_forensics.forensics.verdicts import GENERATED, basis_of, verdict_rates

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector
    from gan_forensics.forensics.validation import NewScores

# The share of false alarms that a detector aims at whose threshold was set on no images.
TARGET = 0.05
# How calibrators were recalibrated of which there are none.
NONE = "none"
# Offsets that are tried: a grid over the spread of all scores, then finer ones around the best.
_COARSE, _FINE, _TIMES = 201, 21, 2


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
        above: how many of the photographs, as they are, lay above the old threshold.
        called: how many of them the old detector, by threshold and LR, called generated.

    Example:
        >>> recalibrated(detector, new).changes[0].saved  # doctest: +SKIP
        0.12
    """

    detector: "Detector"
    changes: list[Change]
    set_anew: bool
    above: Rate
    called: Rate

    def better_than(self, old: "Detector") -> bool:
        """Whether it is worth taking in the place of the detector that it was made of.

        It is where its likelihood ratios are better, where these are not compared (without any, or
        of whole photographs before and of tiles now), and where the old one called more of the
        photographs generated than it aims at, and the new one calls fewer.
        """
        compared = self.changes and (old.tiles is not None or self.detector.tiles is None)
        return bool(not compared or self.saved or self.fewer)

    @property
    def fewer(self) -> bool:
        """Whether the old detector called too many of the photographs generated, and it fewer."""
        assert self.detector.calibration is not None
        target = self.detector.calibration.target
        known = self.detector.calibration.false_alarms_of("clean")
        now = known.rate.rate if known and known.own else target if self.set_anew else 1.0
        return self.called.low > target and now < self.called.rate

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
    that the detector aims at; otherwise it moves by the offset. Without calibrators photographs
    alone set the threshold, and there are no likelihood ratios. How often the photographs are
    called generated is measured by halves (`cross_fitting`).

    Of a detector with tiles also the threshold of tiles is set, and the files that it has seen are
    from now on those of the photographs.

    Args:
        detector: as it was fitted, or as `tiles.tiled` made it.
        new: `score_new` of photographs, maybe of generated images too; without these the reference
            scores of the detector's calibrators stand for them.
        refit: fit the calibrators anew; else move the present ones by an offset.
        seed: of folds and halves.

    Raises:
        ValueError: in one line, for too few images or scores that are all the same; for a detector
            without calibrator and generated images alone of new ones, or the other way round.

    Example:
        >>> recalibrated(detector, new).changes[0].saved  # doctest: +SKIP
        0.12
    """
    check_movable(detector, refit=refit, fakes=len(new.scores) > 1)
    calibrators, changes, tiers = dict(detector.calibrators), [], []
    calibration = detector.calibration or Calibration(0, 0, 0, None, TARGET, seed)
    by_halves: dict[str, list[Calibrator]] = {}
    of_group = half_of_groups(new, seed)
    moved = 0.0
    for tier in CARRIER_OF:
        old = detector.calibrators.get(tier)
        if tier in new.unfit or (old is None and (not refit or len(new.scores) < 2)):
            continue
        classes = _classes(new, tier, old)
        _check_enough(classes, tier, refit)
        fit = _refitted(seed) if refit else _moved(old)
        made = fit(*classes)
        parts = halves(classes, seed, of_group if tier != "clean" else None)
        by_halves[tier] = [
            fit(*(of.part(h != half) for of, h in zip(classes, parts, strict=True)))
            for half in (0, 1)
        ]
        change, known = _measured(tier, made, old, classes, parts, by_halves[tier])
        calibrators[tier] = made
        changes.append(change)
        tiers.append(known)
        if tier == "clean" and old is not None:
            # Of a refitted calibrator the offset is what the old one would have needed.
            moved = (_moved(old)(*classes) if refit else made).offset - old.offset
    real = {tier: known_of(new, tier, 0) for tier in CARRIER_OF if tier not in new.unfit}
    found = threshold_of(detector, real, calibration.target)
    if found is None and (detector.tiles is not None or not changes):
        groups = " in groups of their own" if new.groups else ""
        raise ValueError(
            f"{real['clean'].votes} photographs{groups} are too few to set a threshold for "
            f"{calibration.target:g} false alarms: give at least "
            f"{smallest_calibration_set(calibration.target)}"
        )
    on_halves = cross_fitted(detector, new, by_halves, target=calibration.target, seed=seed)
    calibration = replace(
        calibration,
        measured=on_halves.measured,
        tiers=tuple(
            replace(known, outcomes=on_halves.outcomes.get(known.name, ())) for known in tiers
        ),
        alarms=on_halves.alarms,
    )
    if found is not None:
        calibration = replace(
            calibration,
            n_calibration=len(real["clean"].scores),
            groups=found[1] if new.groups else None,
        )
    made = replace(
        detector,
        threshold=detector.threshold + moved if found is None else found[0],
        calibration=calibration,
        calibrators=calibrators,
        **_of_tiles(detector, new, calibration.target),
    )
    clean = real["clean"]
    groups = clean.groups if new.groups else None
    above = measured_rate(clean.scores > detector.threshold, groups)
    called = verdict_rates(basis_of(detector), clean.scores, "clean", groups)[GENERATED]
    return Recalibrated(made, changes, found is not None, above, called)


def _of_tiles(detector: "Detector", new: "NewScores", target: float) -> dict[str, Any]:
    """What a detector with tiles has beside: their threshold, and the files that it has seen."""
    if detector.tiles is None:
        return {}
    name = next(iter(new.scores))
    groups = None if new.groups is None else np.asarray(new.groups[name])
    limit = tile_threshold(new.tiles or [], groups, false_alarms=target)
    facts = {key: value for key, value in detector.facts.items() if key != "seen"}
    if headers := (new.headers or {}).get(name):
        facts["seen"] = asdict(seen(headers, by_class=True))
    return {"tiles": replace(detector.tiles, threshold=limit), "facts": facts}


def check_movable(detector: "Detector", *, refit: bool, fakes: bool) -> None:
    """Refuse a detector without calibrators, except for photographs alone, or to fit one.

    Args:
        detector: that is to be recalibrated.
        refit: whether calibrators are fitted anew.
        fakes: whether there are new generated images.

    Raises:
        ValueError: saying what to give.
    """
    if detector.calibrators or refit == fakes:
        return
    raise ValueError(
        f"{detector.name} has no calibrator that could be moved, and keeps no scores of generated "
        "images: fit one on photographs and generated images (--refit --fake), give photographs "
        "alone, which set the threshold, or fit the detector again (`gan-forensics detect fit`)"
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


def _classes(new: "NewScores", tier: str, old: Calibrator | None) -> tuple[Class, Class]:
    """Photographs, and generated images: the new ones, or else those that the detector keeps."""
    real, *fakes = both_of(new, tier)
    if fakes:
        return real, fakes[0]
    assert old is not None
    return real, _stored(old)


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
    parts: Sequence[np.ndarray],
    by_halves: Sequence[Calibrator],
) -> tuple[Change, Tier]:
    """Cllr_cal before and after; after by cross-fitting: each half by what the other made."""
    weights = classes[0].weights, classes[1].weights
    ratios = [np.empty(len(of.scores)) for of in classes]
    for half, other in enumerate(by_halves):
        for found, of, h in zip(ratios, classes, parts, strict=True):
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


def record_of(
    detector: "Detector", made: Recalibrated, *, refit: bool, sources: Mapping[str, str]
) -> dict[str, Any]:
    """What a recalibrated detector's facts keep: of which file it was made, on what, and how."""
    return {
        "from": detector.sha256,
        "how": ("refitted" if refit else "moved") if made.changes else NONE,
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
