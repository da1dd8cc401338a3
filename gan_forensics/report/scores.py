"""Scored images: rows for tables, sentences, and the page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_forensics.files import listed, shown
from gan_forensics.forensics.calibration import measured_rate
from gan_forensics.forensics.metrics import average_precision, count_scores, roc_auc
from gan_forensics.forensics.prevalence import shares_of
from gan_forensics.forensics.score_files import STATED, ScoredImage, ScoredImages
from gan_forensics.forensics.verdicts import GENERATED, PHOTOGRAPH, UNSURE, tally
from gan_forensics.report.blocks import Facts, Section, Table
from gan_forensics.report.evidence import six_questions
from gan_forensics.report.html import write_report
from gan_forensics.report.shares import share_lines, shares_section

_START = ("path", "label", "score")
_LR = ("log10_lr", "log10_lr_lower", "log10_lr_upper")
_MIDDLE = ("verdict", "why")
_FILE = ("tier", "tier_from", "container", "quality")
_REFERENCE = ("reference_photographs", "reference_generated")


def columns_of(scored: ScoredImages, *, carriers: bool) -> list[str]:
    """The columns of a table of scored images, of which LRs have some only where there are LRs."""
    lrs = bool(scored.basis.calibrators)
    return [
        *_START,
        *(_LR if lrs else ()),
        *(("posterior",) if lrs and scored.basis.prior is not None else ()),
        *_MIDDLE,
        *(("wording",) if lrs else ()),
        *_FILE,
        *(("spread",) if carriers else ()),
        "outside",
        "detector_sha256",
        *(_REFERENCE if lrs else ()),
        "error",
    ]


def score_row(scored: ScoredImages, image: ScoredImage, columns: Sequence[str]) -> dict[str, Any]:
    """The cells of an image, numbers in short; what it lacks is empty."""
    found = _cells(scored, image)
    return {name: found.get(name, "") for name in columns}


def _cells(scored: ScoredImages, image: ScoredImage) -> dict[str, Any]:
    row: dict[str, Any] = {"path": image.path, "label": image.label, "error": image.error}
    verdict = image.verdict
    if image.score is None or verdict is None:
        return row
    calibrator = scored.basis.calibrators.get(image.tier)
    numbers = {
        "log10_lr": verdict.log10_lr,
        "log10_lr_lower": verdict.lower,
        "log10_lr_upper": verdict.upper,
        "posterior": verdict.posterior,
        "score": image.score,
        "spread": _spread(image),
    }
    row |= {name: f"{number:.6g}" for name, number in numbers.items() if number is not None}
    if calibrator is not None:
        counts = len(calibrator.real_scores), len(calibrator.fake_scores)
        row |= dict(zip(_REFERENCE, counts, strict=True))
    return row | {
        "verdict": verdict.verdict,
        "why": verdict.why,
        "wording": verdict.wording,
        "tier": image.tier,
        "tier_from": image.tier_from,
        "container": image.container,
        "quality": "" if image.quality is None else image.quality,
        "outside": image.outside,
        "detector_sha256": scored.detector["sha256"],
    }


def summary(scored: ScoredImages, out: Path) -> list[str]:
    """What came out, in lines; with error rates where both labels are known."""
    known = [(image, image.verdict) for image in scored.images if image.verdict is not None]
    verdicts = [verdict.verdict for _, verdict in known]
    lines = [f"{len(known)} images scored: {tally(verdicts)}; {shown(out)}"]
    if reasons := [verdict.why for _, verdict in known if verdict.why]:
        numbers = [f"{reasons.count(why)} {why}" for why in dict.fromkeys(reasons)]
        lines.append(f"unsure: {listed(numbers[:6])}")
    if words := _unlike(scored):
        lines.append(words)
    lines += share_lines(shares_of(scored))
    for label, wrong, word in (
        ("real", GENERATED, "called generated"), ("generated", PHOTOGRAPH, "missed")
    ):  # fmt: skip
        if said := [verdict.verdict for image, verdict in known if image.label == label]:
            rate = measured_rate([verdict == wrong for verdict in said])
            more = f"; {n} unsure" if (n := said.count(UNSURE)) else ""
            lines.append(f"{rate.n} {label} images: {rate.words} {word}{more}")
    by_label = [
        [image.score for image, _ in known if image.label == label]
        for label in ("real", "generated")
    ]
    if all(by_label):
        counts = count_scores(*by_label)
        lines.append(
            f"AUC {roc_auc(counts):.3f}, average precision {average_precision(counts):.3f}"
        )
    return lines


def _unlike(scored: ScoredImages) -> str:
    """Of how many images the detector's error rates say nothing; empty for none."""
    if scored.facts.get("seen") is None:
        return "the detector does not tell what files it was fitted on: none is marked as outside"
    count = sum(image.outside != "" for image in scored.images if image.verdict is not None)
    if not count:
        return ""
    return (
        f"{count} are unlike the files that the detector was fitted on (column outside): its error "
        "rates say nothing about them"
    )


def scores_page(path: Path, scored: ScoredImages) -> Path:
    """The page of scored images: verdicts, how to read them, and what they rest on."""
    known = [image for image in scored.images if image.verdict is not None]
    basis = scored.basis
    lrs = bool(basis.calibrators)
    verdicts = [image.verdict.verdict for image in known if image.verdict]
    unlike = [f"{words[:1].upper()}{words[1:]}."] if (words := _unlike(scored)) else []
    doubt = scored.facts.get("doubt")
    doubts = [f"Warning: {shown(doubt)}."] if isinstance(doubt, str) else []
    failed = [[image.path, image.error] for image in scored.images if image.error]
    return write_report(
        path,
        title="What a detector says of these images",
        lead=f"{len(known)} images scored by {scored.detector['name']}: {tally(verdicts)}.",
        sections=[
            Section(
                "Images",
                [*doubts, READING if lrs else WITHOUT, *unlike, _table(known, basis.prior, lrs)],
            ),
            shares_section(shares_of(scored)),
            *([Section("Not scored", [Table("Files", ["path", "why"], failed)])] if failed else []),
            six_questions(
                " ".join([f"{len(known)} images, by their files.", *unlike]),
                calibration=scored.calibration,
                calibrators=basis.calibrators,
                facts=scored.facts,
                false_alarms=basis.false_alarms,
            ),
            Section("What the verdicts rest on", [Facts(_facts(scored))]),
        ],
    )


READING = (
    "LR, the likelihood ratio, says how many times more probable the score is if the image was "
    "generated than if it is a photograph, within what the number of reference images supports; "
    "log10 LR of 2 is a hundred times, of -2 a hundredth. It is no probability that the image was "
    "generated: that depends on all else that is known of it (its prior probability), and is given "
    "only where a prior was stated.\n\n"
    'A verdict is "generated" above the threshold of the chosen share of false alarms, and '
    '"photograph" at or below it. It is "unsure" where the file is unlike those that the detector '
    "was fitted on, where the LR lies between 1/2 and 2 (inconclusive), where the threshold and "
    "the LR contradict each other, and where a carrier such as JPEG turns it over.\n\n"
    "The tier, by which the calibrator is chosen, is what container and quality of the file tell, "
    'except where it is "stated": by whoever had the images scored.'
)
WITHOUT = (
    "The detector has no calibrator: there are scores and verdicts, and no likelihood ratios. Fit "
    "it again with `detect fit`, or give it one with `detect recalibrate --refit --fake`."
)


def _table(known: Sequence[ScoredImage], prior: float | None, lrs: bool) -> Table:
    """What there is of every image; columns that would be empty are left out."""
    found = [(image, image.verdict) for image in known if image.verdict is not None]
    columns: dict[str, list[Any]] = {
        "image": [image.path for image, _ in found],
        "verdict": [verdict.verdict for _, verdict in found],
    }
    if lrs:
        columns["log10 LR"] = [verdict.log10_lr for _, verdict in found]
        if prior is not None:
            columns[f"posterior for {prior:g}"] = [verdict.posterior for _, verdict in found]
    # Wide tables are cut at the right, in print for good: what limits a verdict stands before that.
    if any(image.outside for image, _ in found):
        columns["outside"] = [image.outside for image, _ in found]
    if lrs:
        columns["wording"] = [verdict.wording for _, verdict in found]
    if any(verdict.why for _, verdict in found):
        columns["why"] = [verdict.why for _, verdict in found]
    columns["score"] = [image.score for image, _ in found]
    columns["tier"] = [tier_said(image) for image, _ in found]
    columns["file"] = [_file(image) for image, _ in found]
    if any(image.after for image, _ in found):
        columns["spread"] = [_spread(image) for image, _ in found]
    rows = list(zip(*columns.values(), strict=True))
    return Table("Every image with a score", list(columns), rows)


def tier_said(image: ScoredImage) -> str:
    """The tier of an image, and whether it was stated."""
    return f"{image.tier} (stated)" if image.tier_from == STATED else image.tier


def _file(image: ScoredImage) -> str:
    return image.container + ("" if image.quality is None else f", quality {image.quality}")


def _spread(image: ScoredImage) -> float:
    """From the lowest to the highest score, as it is and after carriers."""
    assert image.score is not None
    every = [image.score, *image.after.values()]
    return max(every) - min(every)


def _facts(scored: ScoredImages) -> dict[str, Any]:
    basis, calibration = scored.basis, scored.calibration
    share = calibration.target if calibration else None
    share = share if basis.false_alarms is None else basis.false_alarms
    # It judges nothing where another share of false alarms was asked for.
    name = "threshold" if basis.false_alarms is None else "the detector's own threshold, not used"
    values: dict[str, Any] = {
        **scored.detector,
        "false alarms aimed at": None if share is None else f"{share:.3g}",
        name: basis.threshold,
        **{f"threshold, {tier} images": number for tier, number in basis.thresholds.items()},
        "prior probability of generated": basis.prior,
    }
    for tier, found in basis.calibrators.items():
        values[f"calibrator, {tier} images"] = (
            f"{found.kind}, fitted on {len(found.real_scores)} photographs and "
            f"{len(found.fake_scores)} generated images; log10 LR from {found.lower:.2f} to "
            f"{found.upper:.2f}"
        )
    return {name: value for name, value in values.items() if value is not None}
