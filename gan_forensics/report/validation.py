"""What a detector's likelihood ratios were worth on new images: sentences, figures and the page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.files import file_stem, shown, written_beside
from gan_forensics.forensics.validation import ALL, Validated
from gan_forensics.forensics.verdicts import GENERATED, PHOTOGRAPH, UNSURE, VERDICTS
from gan_forensics.report.blocks import Block, Facts, Picture, Section, Table
from gan_forensics.report.evidence import NO_SEPARATION, six_questions, tier_words
from gan_forensics.report.evidence_plots import ece_figure, pav_figure, tippett_figure
from gan_forensics.report.figures import Figure, save_figure
from gan_forensics.report.html import write_report

if TYPE_CHECKING:
    from gan_forensics.forensics.calibration import Rate
    from gan_forensics.forensics.detectors import Detector

PLOTS = {
    "tippett": "Tippett plot: what share of images of either class has an LR of at least so much",
    "pav": "PAV plot: stated LRs against what pool-adjacent-violators makes of them; calibrated "
    "ones lie on the diagonal",
    "ece": "ECE plot: what is left to learn of an image's class, by the prior of whoever decides",
}


def sentences(found: Sequence[Validated]) -> list[str]:
    """What was found, a line for each generator and tier."""
    return [f"{one.tier}, {shown(one.generated)}: {_said(one)}" for one in found]


def _said(found: Validated) -> str:
    if found.costs is None or found.verdicts is None or found.misleading is None:
        return f"not applicable ({shown(found.without, most=300)})"
    costs = found.costs
    auc = f"AUC {costs['auc']:.3f} ({costs['auc_low']:.3f} to {costs['auc_high']:.3f})"
    (real, fake), (above, below) = found.verdicts, found.misleading
    rates = (
        f"of {above.n} photographs {real[GENERATED].rate:.1%} called generated, "
        f"{real[UNSURE].rate:.1%} unsure, {above.rate:.1%} with an LR above 1; of {below.n} "
        f"generated ones {fake[PHOTOGRAPH].rate:.1%} called photographs, {fake[UNSURE].rate:.1%} "
        f"unsure, {below.rate:.1%} with an LR below 1"
    )
    if not found.separates:
        return f"{NO_SEPARATION}: {auc}; {rates}"
    return (
        f"Cllr {costs['cllr']:.3f} (Cllr_min {costs['cllr_min']:.3f}, Cllr_cal "
        f"{costs['cllr_cal']:.3f}){_worse(costs)}, {auc}; {rates}"
    )


def _worse(costs: Mapping[str, float]) -> str:
    return ": the LRs mislead, they are worse than none" if costs["cllr"] > 1 else ""


def _in_short(found: Validated) -> str:
    if found.costs is None:
        return "not applicable"
    costs = found.costs
    if not found.separates:
        return NO_SEPARATION
    return f"Cllr {costs['cllr']:.3f}, of which {costs['cllr_cal']:.3f} calibration{_worse(costs)}"


def save_figures(folder: Path, found: Sequence[Validated]) -> dict[str, list[tuple[str, Path]]]:
    """Write the plots of each generator and tier into a folder, TIER-GENERATOR-PLOT.png.

    Returns:
        By tier: the name of each plot in `PLOTS`, and its file.
    """
    saved: dict[str, list[tuple[str, Path]]] = {}
    for place, one in enumerate(found):
        stem = f"{one.tier}-{place:02d}-{file_stem(one.generated).replace(' ', '-')}"
        for plot, figure in _figures(one):
            path = folder / f"{stem}-{plot}.png"
            with written_beside(path) as partial:
                save_figure(figure, partial)
            saved.setdefault(one.tier, []).append((plot, path))
    return saved


def _figures(found: Validated) -> Iterator[tuple[str, Figure]]:
    """The plots of one generator in one tier; none without numbers."""
    if found.real_log10_lr is None or found.fake_log10_lr is None:
        return
    ratios, weights = (found.real_log10_lr, found.fake_log10_lr), found.weights
    title = f"{found.generated}, {found.tier}"
    yield "tippett", tippett_figure(*ratios, weights=weights, bounds=found.bounds, title=title)
    yield "pav", pav_figure(*ratios, weights=weights, bounds=found.bounds, title=title)
    yield "ece", ece_figure(*ratios, weights=weights, title=title)


def validation_page(
    path: Path,
    detector: "Detector",
    found: Sequence[Validated],
    plots: Mapping[str, Sequence[tuple[str, Path]]],
    protocol: Mapping[str, Any],
    said: Sequence[str],
) -> Path:
    """The page of `validated`.

    Args:
        path: of the page.
        detector: that was validated.
        found: by tier, generators together before each of them.
        plots: of `save_figures`.
        protocol: how it was measured.
        said: what readers must know beforehand, a paragraph each.
    """
    pooled = [one for one in found if one.generated == ALL]
    first = pooled or [one for one in found if one.generated == found[0].generated]
    lead = "; ".join(f"{one.tier}: {_in_short(one)}" for one in first)
    return write_report(
        path,
        title="What likelihood ratios were worth on new images",
        lead=f"{detector.name}. {lead}.",
        sections=[
            Section("By generator and by tier", [*said, READING, *_tables(found)]),
            *(
                Section(f"Plots: {tier_words(tier)}", [*map(_picture, some)])
                for tier, some in plots.items()
            ),
            six_questions(
                "The detector's likelihood ratios and verdicts on new images with what these are "
                "known to be: what was measured of them stands above, what the detector's file "
                "tells here.",
                calibration=detector.calibration,
                calibrators=detector.calibrators,
                facts=detector.facts,
            ),
            Section("How it was measured", [Facts(protocol)]),
        ],
    )


READING = (
    "Cllr is the mean cost of the likelihood ratios in bits: 0 at best, 1 where they say nothing. "
    "Cllr_min is what the best monotone map of them would leave, Cllr_cal the rest: what wrong "
    "calibration costs. Above 1 they are worse than none. The AUC is of the scores, before LRs are "
    "bounded: it may be 1 where Cllr_min is above 0. devPAV is how far, in log10, LRs lie from "
    "that map. Where the interval of the AUC holds 0.5, be it for want of images, the detector "
    '"does not separate" photographs from generated images, and that is said instead of these '
    "numbers. Verdicts are unsure where an LR lies between 1/2 and 2 "
    "(inconclusive), or where it contradicts the threshold."
)


def _tables(found: Sequence[Validated]) -> Iterator[Table]:
    yield Table(
        "Likelihood ratios; the interval of the AUC is of 95 %",
        [
            "tier", "generated", "photographs", "generated images", "Cllr", "Cllr_min", "Cllr_cal",
            "devPAV", "AUC",
        ],
        [_costs(one) for one in found],
    )  # fmt: skip
    yield Table(
        "Verdicts, as `detect score` gives them, and how often LRs mislead: above 1 for a "
        "photograph, below 1 for a generated image. Above the threshold: by the score alone. Exact "
        "95 % intervals",
        ["tier", "images", *VERDICTS, "misleading LR", "above the threshold"],
        list(_verdicts(found)),
    )


def _verdicts(found: Sequence[Validated]) -> Iterator[list[Any]]:
    """A line for the photographs of each tier, and for each generator."""
    tiers = set()
    for one in found:
        if not (one.verdicts and one.misleading and one.false_alarms and one.misses):
            continue
        if one.tier not in tiers:
            tiers.add(one.tier)
            rates = *one.verdicts[0].values(), one.misleading[0], one.false_alarms
            yield [one.tier, "photographs", *map(_rate, rates)]
        rates = *one.verdicts[1].values(), one.misleading[1]
        missed = one.misses
        above = f"{1 - missed.rate:.1%} ({1 - missed.high:.1%} to {1 - missed.low:.1%})"
        yield [one.tier, one.generated, *map(_rate, rates), above]


def _costs(found: Validated) -> list[Any]:
    costs = found.costs
    if costs is None or found.real_log10_lr is None or found.fake_log10_lr is None:
        return [found.tier, found.generated, f"not applicable: {found.without}", *[None] * 6]
    names = ("cllr", "cllr_min", "cllr_cal", "devpav")
    return [
        found.tier,
        found.generated,
        len(found.real_log10_lr),
        len(found.fake_log10_lr),
        *([costs[name] for name in names] if found.separates else [NO_SEPARATION, *[None] * 3]),
        f"{costs['auc']:.3f} ({costs['auc_low']:.3f} to {costs['auc_high']:.3f})",
    ]


def _rate(rate: "Rate") -> str:
    return f"{rate.rate:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _picture(plot: tuple[str, Path]) -> Block:
    name, path = plot
    return Picture(path, alt=PLOTS[name].partition(":")[0], caption=f"{PLOTS[name]}.")
