"""The page of `attribute fit` and `attribute evaluate`: what an attributor is worth.

It reads these keys of `facts` beside those of `report.attribution`; what is absent is left out:

    names, real  of the sources; by default those of the first cell
    measured     group -> condition -> cell: the fields of a `ClassesResult`, and where known
                 "calibration_error", "none_of_these" (share of images so called) and "reliability"
                 (the fields of each `forensics.temperature.Bin`)
    severity     corruption -> accuracy at severities 1, 2, ...
    open_set     name of the source left out -> key of `KNOWNNESS` -> fields of an `OpenSetResult`
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.files import shown
from gan_forensics.forensics.open_set import ACCEPTED
from gan_forensics.forensics.temperature import Bin
from gan_forensics.report.attribution import NONE, about
from gan_forensics.report.blocks import Block, Picture, Section, Table
from gan_forensics.report.class_plots import (
    Point,
    confusion_figure,
    reliability_figure,
    severity_figure,
)
from gan_forensics.report.figures import MOST_PANELS
from gan_forensics.report.html import write_report

Cell = Mapping[str, Any]
# Sources that are named below a confusion matrix.
WORST = 5


def fitted_page(path: Path, facts: Mapping[str, Any]) -> Path:
    """Write the page of an attributor from what was measured.

    Args:
        path: of the page.
        facts: see the module.
    """
    cells = [
        (group, condition, cell)
        for group, conditions in (facts.get("measured") or {}).items()
        for condition, cell in conditions.items()
    ]
    first: Cell = cells[0][2] if cells else {}
    names = list(
        facts.get("names") or first.get("names") or (facts.get("images") or {}).get("train", ())
    )
    real = str(facts.get("real") or first.get("real") or "")
    sections = [
        Section("What it achieves", [*_cells(cells, names)]),
        Section("Who is taken for whom", [*_confusions(cells)]),
        Section("How sure it may be", [*_reliabilities(cells)]),
        Section("Corruptions", [*_severity(facts, len(names))]),
        Section("Sources that it does not know", [*_open_set(facts)]),
        Section("The attributor", about(facts, names, real)),
    ]
    return write_report(
        path,
        title="An attributor and what it is worth",
        lead=_lead(cells, names),
        sections=[section for section in sections if section.blocks],
    )


def _lead(cells: Sequence[tuple[str, str, Cell]], names: Sequence[str]) -> str:
    """Attribution of every group on images as they are, never of the first alone."""
    plain = [(group, cell) for group, cell in _one_each(cells)]
    if not plain:
        return f"It tells {len(names)} sources apart; how well was not measured."
    said = "; ".join(
        f"{shown(group)} {_said(cell['attribution_accuracy'], _of(cell, 'attribution_accuracy'))}"
        for group, cell in plain[:MOST_PANELS]
    )
    return (
        f"Share of images given to their own of {len(names)} sources, as they are: {said}. "
        f"Guessing would give {1 / len(names):.3f}."
    )


def _one_each(cells: Sequence[tuple[str, str, Cell]]) -> list[tuple[str, Cell]]:
    """Of every group its first condition, images as they are."""
    found: dict[str, Cell] = {}
    for group, _, cell in cells:
        found.setdefault(group, cell)
    return list(found.items())


def _of(found: Cell, name: str) -> Mapping[str, float] | None:
    return (found.get("intervals") or {}).get(name)


def _said(value: float | None, interval: Mapping[str, float] | None) -> str | None:
    """A value with the ends of its interval, where there is one."""
    if value is None or interval is None:
        return None if value is None else f"{value:.3f}"
    return f"{value:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"


# What cells hold, as people say it.
MEASURES = {
    "attribution_accuracy": "attribution",
    "detection_accuracy": "detection",
    "balanced_detection_accuracy": "balanced detection",
    "macro_attribution_accuracy": "attribution, mean over sources",
    "nmi": "NMI",
    "purity": "purity",
    "map_l2": "mAP, L2",
    "map_cosine": "mAP, cosine",
    "calibration_error": "calibration error",
    "none_of_these": f'called "{NONE}"',
}


RATES = ("attribution_accuracy", "detection_accuracy", "balanced_detection_accuracy")


def _cells(cells: Sequence[tuple[str, str, Cell]], names: Sequence[str]) -> list[Block]:
    if not cells:
        return []
    return [
        "Each row is of images that neither trained it nor set its temperature and threshold. How "
        "it does on further images of the very generators that it was fitted on says little about "
        "generators trained anew or about other content: read the groups together. Real images "
        "have no training seed: those beside new seeds are the ones beside seen generators. Clean: "
        "as they are; trained: after one of the corruptions that training images go through; "
        "held-out: after one of those that none goes through.\n\n"
        "Attribution is the share of images given to their own source, whatever the rule of "
        f'"{NONE}" says. Detection is the share rightly called real or generated: who calls '
        "everything generated is right for all generators, so read the balanced one, 0.5 at "
        "chance. NMI (normalised mutual information) and purity say how well the calls sort images "
        "by source, whatever they are called. mAP: images of the same source found by features "
        "among all others.",
        _table(
            cells,
            RATES,
            "What was measured; in brackets 95 % intervals, of images drawn one by one",
        ),
        _table(cells, [m for m in MEASURES if m not in RATES], "Other measures of the same images"),
    ]


def _table(cells: Sequence[tuple[str, str, Cell]], measures: Sequence[str], caption: str) -> Table:
    """The measures that some cell has, a row for each cell."""
    known = [m for m in measures if any(cell.get(m) is not None for _, _, cell in cells)]
    rows = [
        [f"{shown(group)}, {shown(condition)}", cell.get("n")]
        + [_said(cell.get(m), _of(cell, m)) for m in known]
        for group, condition, cell in cells
    ]
    return Table(caption, ["images", "n", *(MEASURES[m] for m in known)], rows)


def _confusions(cells: Sequence[tuple[str, str, Cell]]) -> list[Block]:
    return [
        Picture(
            confusion_figure(
                np.asarray(cell["confusion"]), cell["names"], title=f"{shown(group)}, as they are"
            ),
            alt=f"Confusion matrix of {shown(group)}: " + _called(cell),
            caption=_called(cell),
        )
        for group, cell in _one_each(cells)[:MOST_PANELS]
        if cell.get("confusion") is not None
    ]


def _called(cell: Cell) -> str:
    """In words, the sources that are called rightly least often, and what they are taken for."""
    counts, names = np.asarray(cell["confusion"]), cell["names"]
    totals = counts.sum(1)
    rates = np.diagonal(counts) / np.maximum(totals, 1)
    wrong = [i for i in np.argsort(rates, kind="stable") if totals[i] and rates[i] < 1]
    if not wrong:
        return "Every image was given to its own source."
    words = []
    for i in wrong[:WORST]:
        other = int(np.where(np.arange(len(names)) == i, -1, counts[i]).argmax())
        words.append(
            f"{shown(names[i])} {counts[i, i]} of {totals[i]} (else mostly {shown(names[other])})"
        )
    return f"Rightly called, the least often: {', '.join(words)}."


def _reliabilities(cells: Sequence[tuple[str, str, Cell]]) -> list[Block]:
    blocks: list[Block] = [
        Picture(
            reliability_figure(
                [Bin(**row) for row in cell["reliability"]],
                title=f"{shown(group)}, {shown(condition)}",
            ),
            alt=f"Accuracy against the probability of the called source, {shown(group)}",
            caption=f"Expected calibration error {cell['calibration_error']:.3f}; bars: exact 95 % "
            "intervals."
            if cell.get("calibration_error") is not None
            else "Bars: exact 95 % intervals.",
        )
        for group, condition, cell in cells[:MOST_PANELS]
        if cell.get("reliability")
    ]
    if not blocks:
        return []
    return [
        "Of images whose called source has a probability of 80 %, 80 % should be called rightly. "
        "Probabilities were calibrated on held-out images of the generators that it was fitted on; "
        "below the line they promise too much.",
        *blocks,
    ]


def _severity(facts: Mapping[str, Any], classes: int) -> list[Block]:
    curves = {
        shown(name): [Point(i, float(value)) for i, value in enumerate(values, start=1)]
        for name, values in (facts.get("severity") or {}).items()
    }
    if not curves:
        return []
    worst = min(curves, key=lambda name: curves[name][-1].accuracy)
    chance = 1 / classes if classes else None
    return [
        Picture(
            severity_figure(curves, chance=chance, title="Attribution after corruptions"),
            alt=f"Accuracy against severity; least is left after {worst}",
            caption="Share of images given to their own source after each corruption.",
        ),
        Table(
            "The numbers of the figure",
            ["corruption", *(f"severity {p.severity}" for p in max(curves.values(), key=len))],
            _padded(
                [[name, *(f"{p.accuracy:.3f}" for p in points)] for name, points in curves.items()]
            ),
        ),
    ]


def _padded(rows: list[list[Any]]) -> list[list[Any]]:
    most = max(len(row) for row in rows)
    return [row + [None] * (most - len(row)) for row in rows]


def _open_set(facts: Mapping[str, Any]) -> list[Block]:
    found = facts.get("open_set") or {}
    rows = [
        [shown(left), score, one["n_known"], one["n_unknown"]]
        + [_said(one[name], _of(one, name)) for name in ("auroc", "fpr_at_95", "oscr")]
        + [_rate(one.get(name)) for name in ("accepted_known", "accepted_unknown")]
        for left, scores in found.items()
        for score, one in scores.items()
    ]
    if not rows:
        return []
    accepted = float(facts.get("accepted", ACCEPTED))
    return [
        "Every generator was left out of a fit of its own once; its images are then unknown ones, "
        "those of the other sources known ones, new training seeds of these among them. The rule "
        f'of "{NONE}" aims at accepting {100 * accepted:.4g} % of images like the held-out ones of '
        "known sources. How many images of an unknown generator it lets pass differs between "
        "generators: read the worst row, and expect worse ones elsewhere.\n\n"
        "AUROC: how often a known image outscores an unknown one. False positives: unknown images "
        "taken for known at the threshold that accepts 95 % of these known images. OSCR: area "
        "under the share of known images that are accepted and given to their own source, over the "
        "share of unknown ones accepted. The last two: images accepted by the rule, whose "
        "threshold other images had set.",
        _worst(found),
        Table(
            "Known against unknown images by each score; in brackets 95 % intervals",
            [
                *("left out", "score", "known", "unknown", "AUROC", "false positives at 95 %"),
                *("OSCR", "known accepted", "unknown accepted"),
            ],
            rows,
        ),
    ]


def _worst(found: Mapping[str, Mapping[str, Cell]]) -> Table:
    """The mean over the generators left out, and the worst of them, by each score."""
    rows = []
    for score in dict.fromkeys(score for scores in found.values() for score in scores):
        cells: list[Any] = [score]
        for name, worse in (("auroc", min), ("fpr_at_95", max), ("oscr", min)):
            values = {left: one[score][name] for left, one in found.items() if score in one}
            worst = worse(values, key=values.__getitem__)
            mean = float(np.mean(list(values.values())))
            cells += [f"{mean:.3f}", f"{values[worst]:.3f} ({shown(worst)})"]
        rows.append(cells)
    return Table(
        "Over the generators left out",
        [
            *("score", "AUROC, mean", "worst", "false positives at 95 %, mean", "worst"),
            *("OSCR, mean", "worst"),
        ],
        rows,
    )


def _rate(rate: Mapping[str, Any] | None) -> str | None:
    if rate is None:
        return None
    return f"{rate['rate']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"
