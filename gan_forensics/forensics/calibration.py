"""Thresholds that bound false alarms, set on real images that trained nothing.

What a threshold achieves is measured on further images (`forensics.measure`): on those that set it,
the share of false alarms is known beforehand.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from gan_forensics.files import shown
from gan_forensics.forensics.intervals import grouped_rate, rate_interval
from gan_forensics.forensics.likelihood_ratios import group_weights
from gan_forensics.forensics.metrics import check_scores

# Characters of a name or a reason among the facts of a detector file.
MOST_TEXT = 1000


@dataclass(frozen=True)
class Rate:
    """A measured rate, with the exact interval of 95 %.

    Attributes:
        events: how often it happened.
        n: among so many images.
        groups: of which there were so many, each with one vote; None where each image has its own.
        rate: mean over the votes.
        low, high: of its interval, `rate_interval`.
    """

    events: int
    n: int
    groups: int | None
    rate: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The rate with its count and its interval."""
        groups = "" if self.groups is None else f" in {self.groups} groups"
        return (
            f"{self.rate:.1%} ({self.events} of {self.n}{groups}; 95 % interval {self.low:.1%} to "
            f"{self.high:.1%})"
        )


def measured_rate(happened, groups=None) -> Rate:
    """The rate of what happened [n], bool; `groups` [n] as in `grouped_rate`."""
    happened = np.asarray(happened, bool)
    rate, votes = grouped_rate(happened, groups)
    interval = rate_interval(min(rate * votes, votes), votes)
    number = None if groups is None else votes
    return Rate(int(happened.sum()), len(happened), number, rate, interval.low, interval.high)


@dataclass(frozen=True)
class Measured:
    """What a detector does on images that neither trained it nor set its threshold.

    Attributes:
        carrier: how the images came, of `gan_forensics.data.carriers`; "none" for as they are.
        false_alarms: real images called generated.
        detected: generated images called generated.
        auc: of the scores, ties counting one half.
    """

    carrier: str
    false_alarms: Rate
    detected: Rate
    auc: float


@dataclass(frozen=True)
class Outcomes:
    """How often each verdict falls on images of a tier, or on some of them.

    Verdicts are those of `verdicts.verdict_of` at the detector's threshold and with its calibrator
    of the tier; what is called neither generated nor unsure is called a photograph.

    Attributes:
        among: "" for all of the tier; else the container of the files, such as "JPEG", or their
            `format_audit.size_class`.
        false_alarms, real_unsure: real images called generated, and unsure.
        detected, fake_unsure: generated images called generated, and unsure.
    """

    among: str
    false_alarms: Rate
    real_unsure: Rate
    detected: Rate
    fake_unsure: Rate

    @property
    def rates(self) -> tuple[Rate, Rate, Rate, Rate]:
        """All of them."""
        return self.false_alarms, self.real_unsure, self.detected, self.fake_unsure


@dataclass(frozen=True)
class Alarms:
    """How often a user's own photographs are called generated, measured on them by cross-fitting.

    What one half of them set judged the other half.

    Attributes:
        tier: of `gan_forensics.data.carriers.TIERS`, the way that they came.
        among: as of `Outcomes`.
        called: those called generated.
    """

    tier: str
    among: str
    called: Rate


@dataclass(frozen=True)
class Tier:
    """What a detector's scores are worth as evidence on images of a tier.

    Attributes:
        name: of `gan_forensics.data.carriers.TIERS`.
        n_real, n_fake: reference images, photographs and generated ones, set apart for the
            calibrator; 0 where there are none.
        without: why there is no calibrator; empty where there is one.
        unfit: why the detector does not take images of the tier; empty where it does.
        measured_real, measured_fake: images that the following was measured on, which neither
            trained the detector nor set its threshold nor calibrated it; 0 where nothing was.
        auc: of the scores, ties counting one half; None if not measured, as what follows.
        auc_low, auc_high: its interval of 95 % (`two_sample_interval`), groups having one vote.
        cllr, cllr_min, cllr_cal: cost of the likelihood ratios (`likelihood_ratios.cllr`); None
            without a calibrator.
        outcomes: how often each verdict falls on the same images; empty if not measured.

    Example:
        >>> tier = Tier("web", 50, 50, "", "", 40, 40, auc=0.6, auc_low=0.44, auc_high=0.75)
        >>> tier.separates
        False
    """

    name: str
    n_real: int
    n_fake: int
    without: str = ""
    unfit: str = ""
    measured_real: int = 0
    measured_fake: int = 0
    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    cllr: float | None = None
    cllr_min: float | None = None
    cllr_cal: float | None = None
    outcomes: tuple[Outcomes, ...] = ()

    @property
    def separates(self) -> bool | None:
        """Whether the interval of the AUC lies above 0.5; None where it was not measured."""
        return None if self.auc_low is None else self.auc_low > 0.5


@dataclass(frozen=True)
class Calibration:
    """How a detector was fitted, how its threshold was chosen, and what that achieves.

    Attributes:
        n_real: real images it was trained on.
        n_fake: generated images it was trained on.
        n_calibration: further real images, which set the threshold.
        groups: of these; None where every image is its own.
        target: the share of false alarms that the threshold aims at. Not measured.
        seed: of the split and of the classifier.
        measured: on images of neither kind, as they are and by carrier; empty if not measured.
        tiers: what the scores are worth as evidence, by tier; empty where that was not asked.
        alarms: on the photographs that it was recalibrated on; empty where it was not, or where
            they were too few for halves.

    Example:
        >>> calibration = Calibration(100, 100, n_calibration=20, groups=None, target=0.05, seed=0)
        >>> calibration.target
        0.05
    """

    n_real: int
    n_fake: int
    n_calibration: int
    groups: int | None
    target: float
    seed: int
    measured: tuple[Measured, ...] = ()
    tiers: tuple[Tier, ...] = ()
    alarms: tuple[Alarms, ...] = ()

    def false_alarms_of(self, tier: str, size: str = "") -> "Known | None":
        """How often photographs of a tier are called generated; None where it was not measured.

        Measured on the photographs that it was recalibrated on, or else on those of the fit; on
        those of a size class, or else on all.

        Args:
            tier: of `gan_forensics.data.carriers.TIERS`.
            size: of `format_audit.SIZES`; "" for all.
        """
        of = next((one.outcomes for one in self.tiers if one.name == tier), ())
        own = [Known(True, a.among, a.called) for a in self.alarms if a.tier == tier]
        known = [*own, *(Known(False, one.among, one.false_alarms) for one in of)]
        by_size = [one for one in known if size and one.among == size]
        return next(iter([*by_size, *(one for one in known if one.among == "")]), None)

    def outcomes_of(self, tier: str) -> Outcomes | None:
        """How often each verdict falls on all images of a tier; None where it was not measured."""
        of = next((one.outcomes for one in self.tiers if one.name == tier), ())
        return next((one for one in of if one.among == ""), None)

    @property
    def as_they_are(self) -> Measured | None:
        """What was measured on images as they are."""
        return next((found for found in self.measured if found.carrier == "none"), None)

    @property
    def in_short(self) -> str:
        """The aim, and what was measured of it on images as they are."""
        aim = f"for at most {self.target:.3g} false alarms"
        found = self.as_they_are
        if found is None:
            known = self.false_alarms_of("clean")
            return f"{aim}, {'not measured' if known is None else f'measured: {known.rate.words}'}"
        return (
            f"{aim}; measured: {found.false_alarms.rate:.1%} of {found.false_alarms.n} real images "
            f"called generated, and {found.detected.rate:.1%} of {found.detected.n} generated ones"
        )


class Known(NamedTuple):
    """A measured rate of false alarms.

    Attributes:
        own: whether the photographs are those that the detector was recalibrated on.
        among: the size class that it is of; "" for all.
        rate: of photographs called generated.
    """

    own: bool
    among: str
    rate: Rate


def read_calibration(facts: Mapping[str, Any], version: int) -> Calibration:
    """The calibration of a detector file's header.

    Files of version 1 hold rates of the very images that set the threshold; they are dropped.
    Before version 3 there were no tiers, before version 4 no outcomes, before 5 no alarms.

    Raises:
        ValueError: when facts are missing, unknown or of another type.
    """
    try:
        if version == 1:
            names = ("n_real", "n_fake", "target", "seed")
            kept = {name: facts[name] for name in names}
            found = Calibration(**kept, n_calibration=facts["n_real_held_out"], groups=None)
        else:
            measured = tuple(
                Measured(**{
                    **row,
                    "false_alarms": Rate(**row["false_alarms"]),
                    "detected": Rate(**row["detected"]),
                })
                for row in facts["measured"]
            )  # fmt: skip
            tiers = tuple(_tier(row, version) for row in (facts["tiers"] if version > 2 else ()))
            alarms = tuple(
                Alarms(**{**row, "called": Rate(**row["called"])})
                for row in (facts["alarms"] if version > 4 else ())
            )
            found = Calibration(**{
                **facts, "measured": measured, "tiers": tiers, "alarms": alarms
            })  # fmt: skip
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"its calibration facts are incomplete ({shown(error)})") from None
    outcomes = [one for tier in found.tiers for one in tier.outcomes]
    rates = [rate for of in found.measured for rate in rates_of(of)]
    rates += [rate for one in outcomes for rate in one.rates]
    rates += [one.called for one in found.alarms]
    for part in (found, *found.measured, *rates, *found.tiers, *outcomes, *found.alarms):
        for field in fields(part):
            value = getattr(part, field.name)
            kind = _TYPES.get(field.name, (int, float))
            most = 1 if field.name in _SHARES else 2**53
            wrong = isinstance(value, int | float) and not 0 <= value <= most
            wrong |= isinstance(value, str) and len(value) > MOST_TEXT
            if isinstance(value, bool) or not isinstance(value, kind) or wrong:
                given = shown(repr(value), most=50)
                raise ValueError(f"its calibration facts are wrong: {field.name} is {given}")
    for rate in rates:
        told = f"its calibration facts are wrong: a rate of {rate.rate:g} for {rate.events} of "
        if rate.events > rate.n or not rate.low - _ROUNDING <= rate.rate <= rate.high + _ROUNDING:
            raise ValueError(
                f"{told}{rate.n} images in an interval of {rate.low:g} to {rate.high:g}"
            )
        # Of groups the rate is a mean over votes.
        if rate.groups is None and abs(rate.rate * rate.n - rate.events) > _ROUNDING * rate.n:
            raise ValueError(f"{told}{rate.n} images")
    return found


def _tier(row: Mapping[str, Any], version: int) -> Tier:
    outcomes = tuple(
        Outcomes(**{**one, **{name: Rate(**one[name]) for name in _OUTCOMES}})
        for one in (row["outcomes"] if version > 3 else ())
    )
    return Tier(**{**row, "outcomes": outcomes})


_ROUNDING = 1e-9
_OUTCOMES = ("false_alarms", "real_unsure", "detected", "fake_unsure")
_SHARES = ("rate", "low", "high", "auc", "target", "auc_low", "auc_high")
_MAYBE = (int, float, type(None))
_TYPES = {
    "groups": (int, type(None)), "measured": tuple, "carrier": str,
    "tiers": tuple, "alarms": tuple, "called": Rate, "outcomes": tuple,
    **dict.fromkeys(_OUTCOMES, Rate),
    **dict.fromkeys(("name", "without", "unfit", "among", "tier"), str),
    **dict.fromkeys(("n_real", "n_fake", "measured_real", "measured_fake"), int),
    **dict.fromkeys(("auc", "auc_low", "auc_high", "cllr", "cllr_min", "cllr_cal"), _MAYBE),
}  # fmt: skip


def rates_of(found: Measured) -> tuple[Rate, Rate]:
    """False alarms and detections."""
    return found.false_alarms, found.detected


def smallest_calibration_set(false_alarms: float) -> int:
    """Fewest real images that can bound the false alarms: ceil(1 / false_alarms) - 1."""
    return math.ceil(1 / false_alarms - 1e-9) - 1


def calibrated_threshold(real_scores, *, false_alarms: float, groups=None) -> float:
    """Threshold that a new real image exceeds with probability at most `false_alarms`.

    With n exchangeable real images, a new one outscores the k-th largest of them with probability
    at most k / (n + 1) (split conformal prediction), hence k = floor(false_alarms (n + 1)). With
    groups, an image of a new one of G groups outscores t with probability at most
    (sum_g share_g(t) + 1) / (G + 1), share_g(t) being the share of group g above t; the smallest
    such t is taken (hierarchical conformal prediction, Lee, Barber and Willett, 2023).

    Args:
        real_scores: [n].
        false_alarms: in (0, 1).
        groups: [n], which group each image is of, or None where each is its own.

    Raises:
        ValueError: when there are too few real images for the bound, or NaN among their scores.

    Example:
        >>> calibrated_threshold(np.arange(100.0), false_alarms=0.05)
        95.0
    """
    scores = check_scores("real", real_scores)
    weights = np.ones(len(scores)) if groups is None else group_weights(groups)
    what = "real images" if groups is None else "groups of real images"
    return weighted_threshold(scores, weights, false_alarms=false_alarms, what=what)


def weighted_threshold(scores, weights, *, false_alarms: float, what: str = "real images") -> float:
    """`calibrated_threshold` of scores [n] that weigh one over the size of their group."""
    votes = round(float(np.sum(weights)))
    # Rounding must not cost an image: 0.29 * 100 is 28.999999999999996.
    allowed = false_alarms * (votes + 1) - 1 + 1e-9
    if allowed < 0:
        raise ValueError(
            f"{votes} {what} cannot bound the false alarms by {false_alarms:g}: at "
            f"least {smallest_calibration_set(false_alarms)} are needed"
        )
    order = np.argsort(-scores, kind="stable")
    above = np.cumsum(weights[order])
    # The share above a score is that of all images before the first one with it.
    ranked = scores[order]
    first = np.searchsorted(-ranked, -ranked, side="left")
    before = np.where(first > 0, above[first - 1], 0.0)
    return float(ranked[np.flatnonzero(before <= allowed)[-1]])
