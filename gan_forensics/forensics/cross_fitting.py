"""What a recalibrated detector does on a user's own images, measured on them by cross-fitting.

The images are parted in two halves, groups together, and each half is judged by threshold and
calibrators that the other half alone made. So the false alarms are those of photographs that set
nothing, and none has to be kept back. The detector itself rests on both halves: its threshold is
set on twice as many photographs, and is no worse than those that were measured.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64

from gan_forensics.forensics.calibration import (
    Alarms,
    Measured,
    Outcomes,
    Rate,
    measured_rate,
    smallest_calibration_set,
    weighted_threshold,
)
from gan_forensics.forensics.calibrators import Calibrator
from gan_forensics.forensics.evidence import CARRIER_OF
from gan_forensics.forensics.likelihood_ratios import group_weights
from gan_forensics.forensics.metrics import count_scores, roc_auc
from gan_forensics.forensics.outcomes import kind_of
from gan_forensics.forensics.verdicts import GENERATED, UNSURE, Basis

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector
    from gan_forensics.forensics.validation import NewScores

Scores = Float64[np.ndarray, " n"]
# A calibrator for each half, made by the other.
ByHalves = Mapping[str, Sequence[Calibrator]]


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


class Found(NamedTuple):
    """What was measured; of photographs alone only the first, of too few nothing.

    Attributes:
        alarms: photographs called generated, by tier and kind of file.
        measured: rates at the threshold, by tier.
        outcomes: how often each verdict falls, by tier.
    """

    alarms: tuple[Alarms, ...] = ()
    measured: tuple[Measured, ...] = ()
    outcomes: Mapping[str, tuple[Outcomes, ...]] = {}


def known_of(new: "NewScores", tier: str, place: int) -> Class:
    """Images of a source that have a score."""
    name = list(new.scores)[place]
    scores = new.in_tier(tier)[name]
    if new.groups is None:
        groups = np.array([f"{name} {row}" for row in range(len(scores))], object)
    else:
        groups = np.array([str(group) for group in new.groups[name]], object)
    return Class(scores, groups).part(~np.isnan(scores))


def both_of(new: "NewScores", tier: str) -> list[Class]:
    """Photographs that have a score, and generated images, if there are any."""
    real, *fakes = (known_of(new, tier, place) for place in range(len(new.scores)))
    joined = [Class(*map(np.concatenate, zip(*fakes, strict=True)))] if fakes else []
    return [real, *joined]


def halves(
    classes: Sequence[Class], seed: int, known: Mapping[str, int] | None = None
) -> list[np.ndarray]:
    """0 or 1 for each image of each class, the same in a group, of one class or of both.

    Args:
        classes: images.
        seed: of the choice.
        known: halves of groups that have one already.
    """
    rng = np.random.default_rng(seed)
    half_of = dict(known or {})
    for of in classes:
        fresh = [group for group in dict.fromkeys(of.groups) if group not in half_of]
        half_of |= {fresh[k]: place % 2 for place, k in enumerate(rng.permutation(len(fresh)))}
    return [np.array([half_of[group] for group in of.groups], int) for of in classes]


def half_of_groups(new: "NewScores", seed: int) -> dict[str, int]:
    """The half of each group of the images, the same in all tiers."""
    classes = both_of(new, "clean")
    pairs = zip(classes, halves(classes, seed), strict=True)
    return {group: int(h) for of, half in pairs for group, h in zip(of.groups, half, strict=True)}


def threshold_of(
    detector: "Detector", real: Mapping[str, Class], target: float
) -> tuple[float, int] | None:
    """The threshold that photographs set, and how many groups of them; None for too few.

    Of a robust detector the strictest over the tiers, as its carriers set it before.

    Args:
        detector: of which the facts are asked.
        real: photographs by tier.
        target: share of false alarms.
    """
    setting = list(real.values()) if detector.facts.get("robust") else [real["clean"]]
    if min(of.votes for of in setting) < smallest_calibration_set(target):
        return None
    thresholds = [weighted_threshold(of.scores, of.weights, false_alarms=target) for of in setting]
    return max(thresholds), setting[0].votes


def cross_fitted(
    detector: "Detector", new: "NewScores", made: ByHalves, *, target: float, seed: int
) -> Found:
    """Measure what a detector does on the images that it is recalibrated on.

    Args:
        detector: of which the facts are asked.
        new: `score_new` of photographs, maybe of generated images too.
        made: by tier, where there is one, the calibrator that judges each half.
        target: share of false alarms.
        seed: of the halves.

    Returns:
        Nothing where half of the photographs cannot bound the false alarms.
    """
    tiers = [tier for tier in CARRIER_OF if tier not in new.unfit]
    of_group = half_of_groups(new, seed)
    classes = {tier: both_of(new, tier) for tier in tiers}
    parts = {tier: halves(of, seed, of_group) for tier, of in classes.items()}
    thresholds = [
        threshold_of(
            detector,
            {tier: classes[tier][0].part(parts[tier][0] != half) for tier in tiers},
            target,
        )
        for half in (0, 1)
    ]
    if None in thresholds:
        return Found()
    alarms, measured, outcomes = [], [], {}
    for tier in tiers:
        bases = [
            Basis(found[0], {tier: made[tier][half]} if tier in made else {})
            for half, found in enumerate(thresholds)
            if found is not None
        ]
        said, above = [], []
        for of, part in zip(classes[tier], parts[tier], strict=True):
            both = list(zip(of.scores.tolist(), part.tolist(), strict=True))
            said.append(np.array([bases[h].judge(score, tier).verdict for score, h in both]))
            above.append(np.array([score > bases[h].threshold for score, h in both]))
        kinds = [_kinds(new, tier, place) for place in range(len(classes[tier]))]
        grouped = [None if new.groups is None else of.groups for of in classes[tier]]
        names = [sorted({name for kind in some for name in kind}) for some in kinds]
        alarms += [
            Alarms(tier, among, _rate(said[0], GENERATED, kinds[0], among, grouped[0]))
            for among in ("", *names[0])
        ]
        if len(said) < 2:
            continue
        rates = [measured_rate(of, group) for of, group in zip(above, grouped, strict=True)]
        auc = float(roc_auc(count_scores(*(of.scores for of in classes[tier]))))
        measured.append(Measured(CARRIER_OF[tier], rates[0], rates[1], auc))
        outcomes[tier] = tuple(
            Outcomes(
                among,
                *(
                    _rate(said[place], word, kinds[place], among, grouped[place])
                    for place in (0, 1)
                    for word in (GENERATED, UNSURE)
                ),
            )
            for among in ("", *(name for name in names[0] if name in names[1]))
        )
    return Found(tuple(alarms), tuple(measured), outcomes)


def _kinds(new: "NewScores", tier: str, place: int) -> list[Sequence[str]]:
    """Container and size class of each image that has a score, as `both_of` joins them."""
    names = list(new.scores)
    kinds: list[Sequence[str]] = []
    for name in names[:1] if place == 0 else names[1:]:
        known = ~np.isnan(new.in_tier(tier)[name])
        headers = (new.headers or {}).get(name)
        if headers is None:
            kinds += [()] * int(known.sum())
        else:
            kinds += [kind_of(h, tier) for h, k in zip(headers, known, strict=True) if k]
    return kinds


def _rate(
    said: np.ndarray,
    word: str,
    kinds: Sequence[Sequence[str]],
    among: str,
    groups: np.ndarray | None,
) -> Rate:
    chosen = np.array([among in ("", *kind) for kind in kinds], bool)
    return measured_rate(said[chosen] == word, None if groups is None else groups[chosen])
