"""What recalibration did to a detector and what it saved, in sentences and as a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.files import listed, shown
from gan_forensics.forensics.calibration import smallest_calibration_set
from gan_forensics.forensics.recalibration import Change, Recalibrated
from gan_forensics.report.blocks import Facts, Section, Table
from gan_forensics.report.evidence import NO_SEPARATION, measured_lines, six_questions, tier_words
from gan_forensics.report.html import write_report

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector


def sentences(old: "Detector", made: Recalibrated, *, refit: bool) -> list[str]:
    """What changed in each tier, where the threshold is now, and whether it is worth it.

    Args:
        old: the detector as its file has it.
        made: what was made of it, or of it with tiles.
        refit: whether its calibrators were fitted anew.
    """
    lines = [f"{one.tier}: {_said(one, refit)}" for one in made.changes]
    now, calibration = made.detector.threshold, made.detector.calibration
    assert calibration is not None
    tiles = None if old.tiles else made.detector.tiles
    if tiles is not None:
        lines.append(
            f"it scores whole photographs by {tiles.words}: their upper quartile; "
            f"threshold {now:.4g}, set on {calibration.n_calibration} photographs"
        )
    else:
        how = "set anew on the photographs" if made.set_anew else "moved by the offset"
        lines.append(
            f"threshold: {old.threshold:.4g} before, which {made.above.words} of these photographs "
            f"exceed; {now:.4g} now, {how}"
        )
        if old.calibrators:
            lines.append(f"before, by threshold and LR, it called {made.called.words} generated")
    least = 2 * smallest_calibration_set(calibration.target)
    lines += (measured_lines(calibration) if calibration.alarms else []) or [
        "how often it calls your photographs generated was not measured: each half has to set a "
        f"threshold for {100 * calibration.target:g} % false alarms, which takes {least} of them"
    ]
    if not made.changes:
        only = "advice: use the new detector: its threshold is that of your photographs"
        return [*lines, f"{only}; it has no likelihood ratios, which take --fake --refit too"]
    if tiles is not None:
        return [*lines, "advice: use the new detector for photographs of at least a tile"]
    if made.saved:
        better = f"its LRs are better in {listed(made.saved)}"
        if made.worse:
            better += f" but worse in {listed(made.worse)}: it is for images of the former alone"
        return [*lines, f"advice: use the new detector; {better}"]
    if made.fewer:
        return [
            *lines,
            f"advice: use the new detector: the old one called {made.called.rate:.1%} of your "
            f"photographs generated, and aims at {100 * calibration.target:g} %; the LRs of the "
            "new one are not better",
        ]
    apart = "" if refit or not made.set_anew else (
        "; and where its threshold, now of these photographs, contradicts its LRs, which are of "
        "the reference images, verdicts are unsure"
    )  # fmt: skip
    return [*lines, f"advice: keep the old detector; in no tier are the new LRs better{apart}"]


def _said(change: Change, refit: bool) -> str:
    how = "calibrator refitted" if refit else f"offset {change.offset:.4g}"
    on = f"{change.n_real} photographs and {change.n_fake} generated images"
    if not change.separates:
        return f"{how}; {NO_SEPARATION} {on}: no likelihood ratio helps there"
    if change.before is None or change.saved is None:
        return f"{how}; Cllr_cal {change.after:.3f}, cross-fitted on {on}"
    saved = f"saved {change.saved:.3f}" if change.saved > 0 else "saved nothing"
    return (
        f"{how}; Cllr_cal {change.before:.3f} before, {change.after:.3f} after, cross-fitted on "
        f"{on}: {saved}"
    )


def recalibration_page(
    path: Path,
    detector: "Detector",
    changes: Sequence[Change],
    said: Sequence[str],
    record: Mapping[str, Any],
) -> Path:
    """The page of a recalibrated detector.

    Args:
        path: of the page.
        detector: as it is now.
        changes: in each tier.
        said: what was done and left out, a paragraph each.
        record: what the detector's facts keep of it.
    """
    saved = _table([
        [
            tier_words(one.tier), one.n_real, one.n_fake, one.offset,
            *([one.before, one.after, one.saved] if one.separates else [NO_SEPARATION] * 3),
        ]
        for one in changes
    ])  # fmt: skip
    facts = {
        "made of the detector with SHA-256": record["from"],
        "calibrators": record["how"],
        "threshold": detector.threshold,
        **{name: shown(source) for name, source in record["sources"].items()},
    }
    return write_report(
        path,
        title="A detector recalibrated to other photographs",
        lead=f"{detector.name}. {said[0]}." if said else detector.name,
        sections=[
            Section("What it saved", [*said, *([saved] if changes else [])]),
            *_own(detector),
            six_questions(
                "Photographs that the detector was recalibrated on, by halves.",
                calibration=detector.calibration,
                calibrators=detector.calibrators,
                facts=detector.facts,
            ),
            Section("How it was made", [Facts(facts)]),
        ],
    )


def _own(detector: "Detector") -> list[Section]:
    """How often the photographs are called generated, by tier and by kind of file."""
    known = detector.calibration.alarms if detector.calibration else ()
    if not known:
        return []
    rows = [
        [tier_words(one.tier), one.among or "all", one.called.n, one.called.words] for one in known
    ]
    table = Table(
        "Photographs called generated: each half of them judged by what the other half set, with "
        "exact intervals",
        ["images", "among", "photographs", "called generated"],
        rows,
    )
    return [Section("False alarms on your photographs", [table])]


def _table(rows: Sequence[Sequence[Any]]) -> Table:
    return Table(
        "Cllr_cal, what wrong calibration costs in bits: before, with the old calibrator; after, "
        "by cross-fitting, each half of the images by what the other half made",
        ["images", "photographs", "generated", "offset", "before", "after", "saved"],
        rows,
    )
