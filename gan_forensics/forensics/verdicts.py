"""Verdicts: what is said of a score, by a threshold and by a likelihood ratio.

*generated*, *photograph*, or *unsure*, with the reason. All that a verdict needs is plain numbers
(`Basis`): of a detector, or of a file of scores, from which the same verdicts follow again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gan_forensics.forensics.calibration import Rate, measured_rate, weighted_threshold
from gan_forensics.forensics.calibrators import Calibrator
from gan_forensics.forensics.likelihood_ratios import posterior, verbal

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

GENERATED, PHOTOGRAPH, UNSURE = VERDICTS = ("generated", "photograph", "unsure")
# Why a verdict is unsure.
NEAR_1 = "inconclusive"
CONTRADICTION = "threshold and likelihood ratio contradict each other"
TURNED = "turned over by "
OUTSIDE = "its file is unlike those that the detector was fitted on"


class Verdict(NamedTuple):
    """What is said of an image.

    Attributes:
        verdict: of `VERDICTS`.
        why: of an unsure one the reason, else "".
        log10_lr: how many times more probable the score is if the image was generated than if it is
            a photograph, log10; None without a calibrator of its tier.
        lower, upper: what the reference images support at most; None likewise.
        posterior: probability of "generated" for the stated prior; None without one, or likewise.
        wording: the LR on the ENFSI verbal scale; "" likewise.

    Example:
        >>> Verdict("generated", "", 2.5, -2.5, 2.5, None, "moderately strong support").log10_lr
        2.5
    """

    verdict: str
    why: str
    log10_lr: float | None
    lower: float | None
    upper: float | None
    posterior: float | None
    wording: str


def verdict_of(
    score: float,
    threshold: float,
    log10_lr: float | None = None,
    after: Mapping[str, float] | None = None,
    *,
    outside: bool = False,
) -> tuple[str, str]:
    """The verdict of a score and, where it is *unsure*, why.

    *unsure* where the file is unlike those that threshold and LR rest on, where an LR lies between
    1/2 and 2 (inconclusive), where the threshold and the LR point to different sides, or where a
    carrier moves the score across the threshold; else *generated* above the threshold, *photograph*
    at or below it.

    Args:
        score: higher = more likely generated.
        threshold: of the chosen share of false alarms.
        log10_lr: of the score; None without a calibrator.
        after: scores of the same image after carriers, by their names.
        outside: whether the file is unlike those that the detector was fitted on
            (`format_audit.outside`).

    Example:
        >>> verdict_of(3.0, threshold=1.0, log10_lr=1.5)
        ('generated', '')
        >>> verdict_of(0.5, threshold=1.0, log10_lr=1.5)
        ('unsure', 'threshold and likelihood ratio contradict each other')
    """
    if outside:
        return UNSURE, OUTSIDE
    above = score > threshold
    if log10_lr is not None:
        if verbal(log10_lr) == NEAR_1:
            return UNSURE, NEAR_1
        if above != (log10_lr > 0):
            return UNSURE, CONTRADICTION
    if turning := [name for name, found in (after or {}).items() if (found > threshold) != above]:
        return UNSURE, TURNED + ", ".join(turning)
    return (GENERATED if above else PHOTOGRAPH), ""


@dataclass(frozen=True, eq=False)
class Basis:
    """What scores are judged by.

    Attributes:
        threshold: of the detector.
        calibrators: by tier, maybe none.
        false_alarms: another share, for which the reference photographs of each tier set the
            threshold of images of that tier; None for the detector's own.
        prior: probability of "generated" that the user states, in (0, 1); None without one.

    Raises:
        ValueError: for a share that the reference photographs cannot bound, or no calibrator.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.forensics import fit_calibrator
        >>> rng = np.random.default_rng(0)
        >>> clean = fit_calibrator(rng.normal(0, 1, 99), rng.normal(9, 1, 99))
        >>> basis = Basis(3.0, {"clean": clean}, prior=0.5)
        >>> found = basis.judge(9.0, "clean")
        >>> found.verdict, found.wording, round(found.posterior, 2)
        ('generated', 'moderate support for generated', 0.99)
    """

    threshold: float
    calibrators: Mapping[str, Calibrator]
    false_alarms: float | None = None
    prior: float | None = None

    def __post_init__(self):
        if self.false_alarms is not None and not self.calibrators:
            raise ValueError(
                f"a share of {self.false_alarms:g} false alarms needs the scores of reference "
                "photographs, and the detector keeps none: fit it again, with `gan-forensics "
                "detect fit --false-alarms`"
            )
        _ = self.thresholds

    @cached_property
    def thresholds(self) -> dict[str, float]:
        """By tier, where the reference photographs of each set them; else none."""
        if self.false_alarms is None:
            return {}
        return {
            tier: weighted_threshold(
                c.real_scores, c.real_weights, false_alarms=self.false_alarms,
                what=f"reference photographs of tier {tier}",
            ) + c.offset
            for tier, c in self.calibrators.items()
        }  # fmt: skip

    def judge(
        self,
        score: float,
        tier: str,
        after: Mapping[str, float] | None = None,
        *,
        outside: bool = False,
    ) -> Verdict:
        """What is said of the score of an image.

        Args:
            score: a finite number.
            tier: of the image, of `data.carriers.TIERS`.
            after, outside: as of `verdict_of`.
        """
        calibrator = self.calibrators.get(tier)
        if calibrator is None:
            if self.false_alarms is not None:
                why = f"no reference images of tier {tier}"
                return Verdict(UNSURE, why, None, None, None, None, "")
            found = verdict_of(score, self.threshold, None, after, outside=outside)
            return Verdict(*found, None, None, None, None, "")
        # One by one: the same number whatever else is scored beside it.
        log10_lr = float(calibrator.log10_lr([score])[0])
        threshold = self.thresholds.get(tier, self.threshold)
        found = verdict_of(score, threshold, log10_lr, after, outside=outside)
        probability = None if self.prior is None else float(posterior([log10_lr], self.prior)[0])
        return Verdict(
            *found, log10_lr, calibrator.lower, calibrator.upper, probability, verbal(log10_lr)
        )


def basis_of(
    detector: "Detector", *, false_alarms: float | None = None, prior: float | None = None
) -> Basis:
    """What a detector judges scores by.

    Args:
        detector: with its threshold, and calibrators if it has some.
        false_alarms, prior: as of `Basis`.

    Raises:
        ValueError: as `Basis`.

    Example:
        >>> basis_of(load_detector("d.npz")).judge(3.0, "web").verdict  # doctest: +SKIP
        'generated'
    """
    return Basis(detector.threshold, detector.calibrators, false_alarms, prior)


def verdict_rates(
    basis: Basis, scores: Sequence[float] | np.ndarray, tier: str, groups: np.ndarray | None = None
) -> dict[str, Rate]:
    """How often each verdict falls on images of a class.

    Args:
        basis: what they are judged by.
        scores: of the images [n].
        tier: of all of them.
        groups: [n], as of `measured_rate`.

    Example:
        >>> verdict_rates(Basis(0.5, {}), [0.0, 0.4, 1.0, 2.0], "clean")["generated"].rate
        0.5
    """
    said = [basis.judge(float(score), tier).verdict for score in scores]
    return {name: measured_rate([one == name for one in said], groups) for name in VERDICTS}


def tally(verdicts: Sequence[str]) -> str:
    """How many of each verdict, in words.

    Example:
        >>> tally(["generated", "unsure", "generated"])
        '2 generated, 0 photograph, 1 unsure'
    """
    return ", ".join(f"{verdicts.count(name)} {name}" for name in VERDICTS)
