"""What a detector's scores are worth as evidence: a calibrator of likelihood ratios for each tier.

Calibrators are fitted on reference images, photographs and generated ones, that neither trained the
detector nor set its threshold. What they achieve is measured on others again.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from gan_forensics.data import Source
from gan_forensics.data.carriers import CARRIERS, TIERS
from gan_forensics.files import shown
from gan_forensics.forensics.calibration import Measured, Tier
from gan_forensics.forensics.calibrators import FEWEST, Calibrator, check_reference, fit_calibrator
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.intervals import two_sample_interval
from gan_forensics.forensics.likelihood_ratios import (
    Weights,
    cllr,
    cllr_cal,
    cllr_min,
    group_weights,
)
from gan_forensics.forensics.measure import Scored, rates, score_source, scored_each
from gan_forensics.forensics.metrics import count_scores, roc_auc
from gan_forensics.forensics.outcomes import outcomes_of
from gan_forensics.forensics.partition import TRAIN
from gan_forensics.forensics.verdicts import Basis

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

Groups = tuple[np.ndarray, np.ndarray] | None
# The tier of images as they are is scored as such; the others are perturbations of their names.
CARRIER_OF = {tier: "none" if tier == "clean" else tier for tier in TIERS}


class Held(NamedTuple):
    """Images of one purpose.

    Attributes:
        sources: of real and of generated ones.
        groups: of each of either class, or None where each is its own.
    """

    sources: tuple[Source, Source]
    groups: Groups = None


class Weighed(NamedTuple):
    """What a detector achieves on images that neither trained it nor set its threshold.

    Attributes:
        calibrators: by tier, of those that have one.
        measured: rates, on images as they are and after each carrier and tier.
        tiers: what the scores are worth as evidence, one for each of `TIERS`.
    """

    calibrators: dict[str, Calibrator]
    measured: tuple[Measured, ...]
    tiers: tuple[Tier, ...]


def rest_trains(
    rows: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
    groups: Sequence[np.ndarray],
    share: float,
    *,
    grouped: bool,
) -> str:
    """Let the images of the part "reference" train where a calibrator needs more of them.

    Args:
        rows: of `parted`; changed in place.
        groups: of every real and of every generated image.
        share: of the images that was set apart.
        grouped: whether groups are of more than one image each.

    Returns:
        Why there is no reference part, or "" where there is one.
    """
    of = [names[some["reference"]] for names, some in zip(groups, rows, strict=True)]
    why = "no images were set apart for one (reference=0)"
    if share:
        try:
            real, fake = (np.arange(len(names)) for names in of)
            check_reference(real, fake, tuple(of) if grouped else None)
            return ""
        except ValueError as error:
            what = "groups" if grouped else "images"
            why = (
                f"{error} ({share:.2g} of all are set apart for it: fit the detector on at least "
                f"{math.ceil(FEWEST / share)} {what} of each class)"
            )
    for some in rows:
        some[TRAIN] = np.sort(np.concatenate([some[TRAIN], some.pop("reference")]))
    return why


def weighed(
    detector: "Detector",
    reference: Held | None,
    measurement: Held | None,
    *,
    without: str = "",
    seed: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
) -> Weighed:
    """Fit a calibrator for each tier that allows one, and measure rates and evidence.

    Args:
        detector: with its threshold.
        reference: what the calibrators are fitted on, or None.
        measurement: what all is measured on, or None: then nothing is.
        without: why there are no reference images.
        seed: of the folds, and of the choice of images that are perturbed.
        progress: as in `chunks`.

    Raises:
        ValueError: for images that cannot be scored as they are.
    """
    unfit: dict[str, str] = {}
    calibrators, reasons = {}, dict.fromkeys(TIERS, without)
    n_real, n_fake = (0, 0) if reference is None else map(len, reference.sources)
    if reference is not None:
        calibrators, reasons = _calibrators(detector, reference, unfit, seed, progress)
    scored: dict[str, Scored] = {}
    if measurement is not None:
        real, fake = measurement.sources
        (found,) = scored_each(
            detector, (real, fake), (np.arange(len(real)), np.arange(len(fake))),
            groups=measurement.groups, seed=seed,
            carriers=(*CARRIERS, *(of for of in CARRIER_OF.values() if of != "none")),
            unfit=unfit, progress=progress,
        )  # fmt: skip
        scored = {one.carrier: one for one in found}
    tiers = []
    basis = Basis(detector.threshold, calibrators)
    for tier, carrier in CARRIER_OF.items():
        if carrier in unfit:
            tiers.append(Tier(tier, n_real, n_fake, unfit=unfit[carrier]))
            calibrators.pop(tier, None)
            continue
        made = calibrators.get(tier)
        measured: dict[str, Any] = {}
        if measurement is not None and carrier in scored:
            outcomes = outcomes_of(scored[carrier], basis, tier, measurement.sources)
            measured = evidence_of(scored[carrier], made) | {"outcomes": outcomes}
        tiers.append(Tier(tier, n_real, n_fake, reasons.get(tier, ""), **measured))
    asked = reference is not None or measurement is not None
    return Weighed(
        calibrators,
        tuple(rates(one, detector.threshold) for one in scored.values()),
        tuple(tiers) if asked else (),
    )


def _calibrators(detector, reference: Held, unfit: dict[str, str], seed: int, progress):
    """Calibrators by tier, and why others have none."""
    scores = [
        score_source(
            detector, source, np.arange(len(source)), tuple(CARRIER_OF.values()),
            unfit=unfit, progress=progress,
        )
        for source in reference.sources
    ]  # fmt: skip
    calibrators: dict[str, Calibrator] = {}
    reasons: dict[str, str] = {}
    for place, (tier, carrier) in enumerate(CARRIER_OF.items()):
        if carrier in unfit:
            continue
        one = Scored.known(carrier, (scores[0][place], scores[1][place]), reference.groups)
        try:
            calibrators[tier] = fit_calibrator(one.real, one.fake, groups=one.groups, seed=seed)
        except ValueError as error:
            reasons[tier] = str(error)
    return calibrators, reasons


def evidence_of(scored: Scored, calibrator: Calibrator | None) -> dict[str, Any]:
    """The measured fields of a `Tier`: of the scores, and of the LRs where there is a calibrator.

    A group has one vote in the interval of the AUC and in the costs.
    """
    real, fake = scored.real, scored.fake
    weights = scored.groups and (group_weights(scored.groups[0]), group_weights(scored.groups[1]))
    found = separation_of(real, fake, weights)
    if calibrator is not None:
        found |= costs_of((calibrator.log10_lr(real), calibrator.log10_lr(fake)), weights)
    return found


def separation_of(real, fake, weights: Weights) -> dict[str, Any]:
    """How many images there are of either class, and the AUC of their scores with its interval."""
    votes = [len(real), len(fake)] if weights is None else [round(of.sum()) for of in weights]
    auc = float(roc_auc(count_scores(real, fake)))
    interval = two_sample_interval(auc, votes[0], votes[1])
    return {
        "measured_real": len(real), "measured_fake": len(fake),
        "auc": auc, "auc_low": interval.low, "auc_high": interval.high,
    }  # fmt: skip


def costs_of(ratios: tuple[np.ndarray, np.ndarray], weights: Weights) -> dict[str, Any]:
    """Cllr, Cllr_min and Cllr_cal of log10 LRs of photographs and of generated images."""
    costs = (("cllr", cllr), ("cllr_min", cllr_min), ("cllr_cal", cllr_cal))
    # What rounding left of nothing, -1e-17, is nothing.
    return {name: max(0.0, cost(*ratios, weights=weights)) for name, cost in costs}


def log10_lr(detector: "Detector", scores, tier: str) -> Float64[np.ndarray, " n"]:
    """Log10 likelihood ratios of scores by the detector's calibrator for a tier; NaN for NaN.

    Raises:
        ValueError: for an unknown tier, and a detector without a calibrator for it, with the reason
            and how to get one.
    """
    lookup(TIERS, tier, "tier")
    calibrator = detector.calibrators.get(tier)
    if calibrator is None:
        known = detector.calibration.tiers if detector.calibration else ()
        why = next((one.unfit or one.without for one in known if one.name == tier), "")
        why = shown(why, most=500) if why else "it was fitted without"
        raise ValueError(
            f"{detector.name} has no calibrator of likelihood ratios for the tier {tier}: {why}; "
            "fit it again (`gan-forensics detect fit`), or calibrate it on images of your own "
            "(`gan-forensics detect recalibrate`)"
        )
    return calibrator.log10_lr(scores)


def in_short(calibrators: Mapping[str, Calibrator]) -> str:
    """What a detector can weigh, for its repr; empty without calibrators."""
    if not calibrators:
        return ""
    lower = min(one.lower for one in calibrators.values())
    upper = max(one.upper for one in calibrators.values())
    return f"; log10 LR from {lower:.2f} to {upper:.2f} ({', '.join(calibrators)})"
