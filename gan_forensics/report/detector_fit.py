"""What a fitted detector is worth, in sentences and as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.data import survey
from gan_forensics.files import shown
from gan_forensics.report.blocks import Facts, Picture, Section, Table
from gan_forensics.report.evidence import CARRIER_WORDS, measured_lines, six_questions
from gan_forensics.report.html import write_report
from gan_forensics.report.plots import Bar, bars_figure

if TYPE_CHECKING:
    from gan_forensics.forensics.calibration import Calibration, Rate, Tier
    from gan_forensics.forensics.detectors import Detector


def sentences(detector: "Detector") -> list[str]:
    """What was measured, a line each: as images are, then the carriers that harm the verdict."""
    calibration = detector.calibration
    without = survey.sentences(detector.facts.get("left_out", {}))
    if calibration is None:
        return [*without, f"{detector.name}: not calibrated"]
    lines = [*without, f"{detector.name}: {parts_in_words(calibration)}"]
    plain = calibration.as_they_are
    if plain is None:
        return [*lines, "What the threshold achieves was not measured."]
    lines += [
        f"False alarms: target {calibration.target:.1%}; measured on other real images "
        f"{plain.false_alarms.words}",
        f"Detected: {plain.detected.words}; AUC {plain.auc:.3f}",
    ]
    if calibration.outcomes_of("clean") is not None:
        lines += [
            "Both are of the threshold alone. With the likelihood ratio too, " + line
            for line in measured_lines(calibration)
        ]
    if plain.false_alarms.low > calibration.target:
        lines.append(
            f"WARNING: more false alarms than the target. {calibration.n_calibration} real images "
            "set the threshold, and so few keep the target on average, not each time: give more, "
            "or set it anew on others (`gan-forensics detect recalibrate`)."
        )
    if not plain.detected.events:
        lines.append(
            "It called no generated image generated (as they are), and will hardly do so: its "
            "threshold lies where its scores end. Give more real images, accept more false alarms "
            "(--false-alarms), or choose another classifier or other features."
        )
    if (found := detector.facts.get("repeated")) and found["repeated"]:
        lines.append(
            f"{found['repeated']} of {found['rows']} rows that trained it repeat another, "
            f"{found['in_both_classes']} are of both classes: neighbours count each copy."
        )
    if strictest := detector.facts.get("strictest"):
        lines.append(
            "The threshold keeps the target after every carrier; it was set by images "
            f"{CARRIER_WORDS.get(strictest, strictest)}, at the cost of detection."
        )
    after = [found for found in calibration.measured if found.carrier != "none"]
    if after:
        lines.append("After carriers (false alarms, detected):")
        lines += [
            f"  {CARRIER_WORDS.get(found.carrier, found.carrier):24} "
            f"{found.false_alarms.rate:6.1%} {found.detected.rate:7.1%}"
            for found in after
        ]
    return [*lines, *evidence_sentences(detector)]


def evidence_sentences(detector: "Detector") -> list[str]:
    """What the scores are worth as evidence, a line for each tier; empty where it was not asked."""
    tiers = detector.calibration.tiers if detector.calibration else ()
    reasons = {tier.without for tier in tiers}
    if tiers and len(reasons) == 1 and (why := reasons.pop()):
        return [f"No likelihood ratios: {shown(why, most=500)}"]
    return [f"Likelihood ratios, {_worth(detector, tier)}" for tier in tiers]


def _worth(detector: "Detector", tier: "Tier") -> str:
    if tier.unfit:
        return f"{tier.name}: not applicable: {shown(tier.unfit, most=500)}"
    if tier.without:
        return f"{tier.name}: none: {shown(tier.without, most=500)}"
    if tier.auc is None or tier.auc_low is None or tier.auc_high is None or tier.cllr is None:
        return f"{tier.name}: not measured"
    auc = f"AUC {tier.auc:.3f}, 95 % interval {tier.auc_low:.3f} to {tier.auc_high:.3f}"
    if not tier.separates:
        return f"{tier.name}: the detector does not separate the classes here ({auc})"
    said = (
        f"{tier.name}: Cllr {tier.cllr:.3f}, of which {tier.cllr_min:.3f} is what the scores "
        f"cannot tell and {tier.cllr_cal:.3f} calibration ({auc})"
    )
    if calibrator := detector.calibrators.get(tier.name):
        said += f"; {calibrator.kind}, log10 LR {calibrator.lower:.2f} to {calibrator.upper:.2f}"
    return said


def parts_in_words(calibration: "Calibration") -> str:
    """What images were for what."""
    groups = f" in {calibration.groups} groups" if calibration.groups is not None else ""
    said = (
        f"trained on {calibration.trained}; {calibration.n_calibration} other real images{groups} "
        "set the threshold"
    )
    if calibration.tiers and (clean := calibration.tiers[0]).n_real:
        said += (
            f", {clean.n_real} real and {clean.n_fake} generated ones calibrated likelihood ratios"
        )
    if plain := calibration.as_they_are:
        said += (
            f", {plain.false_alarms.n} real and {plain.detected.n} generated ones of no other use "
            "are measured on"
        )
    return said


def measured_table(calibration: "Calibration") -> Table:
    """Rates as images are and after carriers, with intervals."""
    plain = calibration.as_they_are
    grouped = plain is not None and plain.false_alarms.groups is not None
    votes = "; every group has one vote" if grouped else ""
    return Table(
        f"On images that neither trained it nor set its threshold; exact 95 % intervals{votes}",
        ["images", "false alarms", "rate and interval", "detected", "rate and interval", "AUC"],
        [
            [
                CARRIER_WORDS.get(found.carrier, found.carrier),
                *_cells(found.false_alarms),
                *_cells(found.detected),
                found.auc,
            ]
            for found in calibration.measured
        ],
    )


def _cells(rate: "Rate") -> tuple[str, str]:
    return (
        f"{rate.events} of {rate.n}",
        f"{rate.rate:.1%} ({rate.low:.1%} to {rate.high:.1%})",
    )


def fitted_page(path: Path, detector: "Detector") -> Path:
    """The page of a detector: what it achieves, how it bears carriers, what its files were like."""
    calibration, facts = detector.calibration, detector.facts
    assert calibration is not None
    blocks: list[Any] = []
    lead = f"{detector.name}: {parts_in_words(calibration)}."
    if calibration.measured:
        bars = [
            Bar(CARRIER_WORDS.get(found.carrier, found.carrier), r.rate, r.low, r.high, series)
            for found in calibration.measured
            for series, r in (("false alarms", found.false_alarms), ("detected", found.detected))
        ]
        blocks = [
            "A verdict should not depend on how a picture was carried. Where detection falls or "
            "false alarms rise, verdicts on pictures that came that way say little.",
            Picture(
                bars_figure(bars, title="After carriers", value_label="share of images"),
                alt="False alarms and detections as images are and after each carrier",
                caption=f"Lines: exact 95 % intervals. Target of false alarms: "
                f"{calibration.target:.1%}, {_bound(facts)}.",
            ),
            measured_table(calibration),
        ]
    if (facts.get("audit") or {}).get("biased"):
        blocks.insert(0, _verdict_of(facts["audit"]))
    values = {
        "target of false alarms": f"{calibration.target:.1%}",
        "threshold": detector.threshold,
        "real images that trained it": calibration.n_real,
        "generated images that trained it": calibration.n_fake,
        "real images that set the threshold": calibration.n_calibration,
        "groups of these": calibration.groups,
        **_reference_facts(calibration),
        "preprocessing": detector.preprocessing.words or "none",
        "trained on carriers too": facts.get("robust"),
        "training rows that repeat another": (facts.get("repeated") or {}).get("repeated"),
        "carrier that set the threshold": facts.get("strictest"),
        "real": facts.get("real"),
        "generated": facts.get("fake"),
        "seed": calibration.seed,
    }
    known = {name: value for name, value in values.items() if value is not None}
    return write_report(
        path,
        title="A detector and what it is worth",
        lead=lead,
        sections=[
            Section("What it achieves", blocks or ["Not measured."]),
            six_questions(
                "Photographs and generated images that nothing was fitted to.",
                calibration=calibration,
                calibrators=detector.calibrators,
                facts=facts,
            ),
            Section("The files", [*survey.sentences(facts.get("left_out", {})), *_files(facts)]),
            Section("The detector", [Facts(known)]),
        ],
    )


def _reference_facts(calibration: "Calibration") -> dict[str, int]:
    """How many images calibrated likelihood ratios."""
    clean = next(iter(calibration.tiers), None)
    if clean is None or not clean.n_real:
        return {}
    return {
        "real images that calibrated likelihood ratios": clean.n_real,
        "generated images that calibrated likelihood ratios": clean.n_fake,
    }


def _bound(facts: Any) -> str:
    if facts.get("robust"):
        return "which the threshold was set to keep after every carrier"
    return "which the threshold was set to keep for images as they are"


def _files(facts: Any) -> list[Any]:
    """What the audit found."""
    from gan_forensics.forensics.format_audit import read_seen

    found = facts.get("audit")
    if not found:
        return ["The formats of the files were not audited: too few, or not files of images."]
    rows = []
    for kind in ("real", "generated"):
        known = read_seen(found[kind])
        assert known is not None
        rows.append([kind, known.words])
    table = Table("The files of either class", ["class", "files"], rows)
    # A warning stands at the head of the page.
    return [table] if found["biased"] else [_verdict_of(found), table]


def _verdict_of(found: Any) -> str:
    """What an audit says about the files, in a paragraph."""
    if found["biased"]:
        advice = f"{found['advice'][:1].upper()}{found['advice'][1:]}"
        return (
            "Warning: without a look at a pixel, what the preprocessing leaves of container, "
            "quality, size and colours of the files tells generated from real in "
            f"{found['remaining']:.0%} (balanced accuracy; chance is 50 %). The detector may have "
            f"learnt that instead. {advice}."
        )
    if found["native"]:
        return (
            f"The files alone tell generated from real in {found['accuracy']:.0%} (balanced "
            "accuracy; chance is 50 %); what the preprocessing leaves of them in "
            f"{found['remaining']:.0%}, no better than chance."
        )
    return (
        "Container, quality, size and colours of the files tell generated from real no better than "
        f"chance: {found['accuracy']:.0%} (balanced accuracy; chance is 50 %)."
    )
