"""What detectors are worth after perturbations: rows for tables, sentences, and the pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.data.corruptions import KINDS
from gan_forensics.data.perturbations import SEVERAL, kind_of
from gan_forensics.data.strengths import FAMILIES, in_words
from gan_forensics.files import listed, shown
from gan_forensics.files.showing import MOST_NAMES
from gan_forensics.forensics.calibration import Measured, rates_of
from gan_forensics.forensics.intervals import two_sample_interval
from gan_forensics.report.blocks import Block, Facts, Picture, Section, Table
from gan_forensics.report.evidence import CARRIER_WORDS, six_questions
from gan_forensics.report.html import write_report
from gan_forensics.report.plots import Bar, bars_figure
from gan_forensics.report.strength import Panel, Point, strength_figure

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

Row = Mapping[str, Any]
# Name of a curve -> rows and the column to draw.
Series = Mapping[str, tuple[Sequence[Row], str]]
# Column of a row -> what readers call it.
SHARES = {
    "real_accuracy": "real images called photographs",
    "fake_accuracy": "generated images detected",
    "auc": "AUC",
}
COMPARED = "Images as they are and after what may happen to images on their way, at every strength."
CAPTION = (
    "Lines: exact 95 % intervals. Where both accuracies do not add up to more than 1, a verdict "
    "says nothing; where the AUC stays high all the same, another threshold would."
)


def robustness_rows(measured: Sequence[Measured], generated: str) -> list[dict[str, Any]]:
    """A row for every perturbation: both accuracies and the AUC, each with its exact interval.

    Args:
        measured: "none" first.
        generated: what the generated images are called.
    """
    rows = []
    for found in measured:
        kind, strength = kind_of(found.carrier)
        alarms, detected = rates_of(found)
        votes = [rate.n if rate.groups is None else rate.groups for rate in (alarms, detected)]
        auc = two_sample_interval(found.auc, *votes)
        rows.append(
            {
                "generated": generated,
                "perturbation": found.carrier,
                "kind": kind,
                "severity": strength if kind in KINDS else 0,
                "strength": None if kind == found.carrier else strength,
                "n_real": alarms.n,
                "n_fake": detected.n,
                "real_accuracy": 1 - alarms.rate,
                "real_accuracy_low": 1 - alarms.high,
                "real_accuracy_high": 1 - alarms.low,
                "fake_accuracy": detected.rate,
                "fake_accuracy_low": detected.low,
                "fake_accuracy_high": detected.high,
                "balanced_accuracy": (1 - alarms.rate + detected.rate) / 2,
                "auc": found.auc,
                "auc_low": auc.low,
                "auc_high": auc.high,
            }
        )
    return rows


def by_generated(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each source of generated images, images as they are first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["generated"], []).append(row)
    return found


def finding(rows: Sequence[Row]) -> str:
    """The result in two sentences, for each source: as images are, and after what harms most."""
    sources = by_generated(rows)
    lines = []
    for name, (plain, *others) in list(sources.items())[:MOST_NAMES]:
        said = f"As they are: {_shares(plain)}."
        if others:
            worst = _worst(others)
            said += f" After {worst['perturbation']}, which harms most: {_shares(worst)}."
        lines.append(said if len(sources) == 1 else f"{shown(name)}: {said}")
    if left := len(sources) - len(lines):
        lines.append(f"{left:,} further sources are in the tables.")
    return "\n".join(lines)


def _worst(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: row["balanced_accuracy"])


def _shares(row: Row) -> str:
    return (
        f"{row['real_accuracy']:.1%} of {row['n_real']} real images called photographs, "
        f"{row['fake_accuracy']:.1%} of {row['n_fake']} generated ones detected, "
        f"AUC {row['auc']:.3f}"
    )


def robustness_page(
    path: Path, detector: "Detector", rows: Sequence[Row], protocol: Mapping[str, Any], said: str
) -> Path:
    """The page of `robustness_rows`; `said` is what readers must know beforehand, or ""."""
    sources = by_generated(rows)
    first, *_ = sources.values()
    if len(sources) == 1:
        charts: dict[str, Series] = {
            "share of images, or AUC": {words: (first, share) for share, words in SHARES.items()}
        }
    else:
        charts = {
            "share of images": {
                SHARES["real_accuracy"]: (first, "real_accuracy"),
                **{f"{name}: detected": (some, "fake_accuracy") for name, some in sources.items()},
            },
            "AUC": {name: (some, "auc") for name, some in sources.items()},
        }
    return write_report(
        path,
        title="What a verdict survives",
        lead=f"{detector.name}. {finding(rows)}",
        sections=[
            Section(
                "Against strength",
                [
                    *([said] if said else []),
                    *(
                        block
                        for label, series in charts.items()
                        for block in _charts(series, label)
                    ),
                ],
            ),
            Section("All numbers", [_table(name, some) for name, some in sources.items()]),
            six_questions(
                COMPARED,
                calibration=detector.calibration,
                calibrators=detector.calibrators,
                facts=detector.facts,
            ),
            Section("How it was measured", [Facts(protocol)]),
        ],
    )


def comparison_page(
    path: Path, tables: Mapping[str, Sequence[Row]], protocol: Mapping[str, Any], said: str
) -> Path:
    """Several detectors beside one another; each has its own page in a folder of its name.

    Args:
        path: of the page.
        tables: name of a detector -> `robustness_rows` of the same images.
        protocol: what they have in common.
        said: as in `robustness_page`.
    """
    of = {name: by_generated(rows) for name, rows in tables.items()}
    generated = list(next(iter(of.values())))
    rows, blocks = [], list[Block]([said] if said else [])
    for fake in generated:
        for name, sources in of.items():
            plain, *others = sources[fake]
            worst = _worst(others or [plain])
            rows.append([
                fake, name, *(plain[share] for share in SHARES),
                worst["perturbation"], *(worst[share] for share in SHARES),
            ])  # fmt: skip
        series = {name: (sources[fake], "auc") for name, sources in of.items()}
        blocks += [f"Generated images: {fake}.", *_charts(series, "AUC")]
    columns = list(SHARES.values())
    return write_report(
        path,
        title="What the verdicts of several detectors survive",
        lead=f"{listed(tables)}, on the same images. Each has a page and a table of its own "
        "in the folder of its name.",
        sections=[
            Section(
                "In short",
                [
                    Table(
                        "As images are, and after what harms most",
                        ["generated", "detector", *columns, "harms most", *columns],
                        rows,
                    )
                ],
            ),
            Section("AUC against strength", blocks),
            Section("How it was measured", [Facts(protocol)]),
        ],
    )


def _charts(series: Series, value_label: str) -> list[Block]:
    """Curves of what has several strengths, and bars of the rest."""
    rows = [row for row in next(iter(series.values()))[0] if row["perturbation"] != "none"]
    kinds = [row["kind"] for row in rows]
    # Corruptions have their axis, whatever was asked of them; a single quality is a carrier.
    drawn = [k for k in dict.fromkeys(kinds) if k in KINDS or k in FAMILIES and kinds.count(k) > 1]
    blocks: list[Block] = []
    if drawn:
        blocks.append(
            Picture(
                strength_figure([_panel(kind, series) for kind in drawn], value_label=value_label),
                alt=f"{listed(series)} against the strength of each perturbation",
                caption=f"{CAPTION} {in_words(drawn)}",
            )
        )
    if len(drawn) < len(set(kinds)):
        bars = [
            Bar(
                CARRIER_WORDS.get(row["perturbation"]) or row["perturbation"],
                row[share], row[f"{share}_low"], row[f"{share}_high"], name,
            )
            for name, (some, share) in series.items()
            for row in some
            if row["kind"] not in drawn
        ]  # fmt: skip
        blocks.append(
            Picture(
                bars_figure(bars, title="Carriers", value_label=value_label),
                alt=f"{listed(series)} after each carrier",
                caption="Lines: exact 95 % intervals.",
            )
        )
    return blocks


def _panel(kind: str, series: Series) -> Panel:
    """The curves of a family or a kind of corruption, from mild to strong."""
    order = ["none", *SEVERAL[kind]]
    curves = {
        name: [
            Point(row["strength"], row[share], row[f"{share}_low"], row[f"{share}_high"])
            for row in sorted(
                (row for row in rows if row["perturbation"] in order),
                key=lambda row: order.index(row["perturbation"]),
            )
        ]
        for name, (rows, share) in series.items()
    }
    family = FAMILIES.get(kind)
    if family is None:
        return Panel(kind.replace("_", " "), "severity", curves)
    return Panel(kind, family.axis, curves)


def _table(name: str, rows: Sequence[Row]) -> Table:
    return Table(
        f"{name}: all perturbations, with exact 95 % intervals",
        [
            "perturbation",
            "real called photographs",
            "interval",
            "detected",
            "interval",
            "AUC",
            "interval",
        ],
        [
            [row["perturbation"], *(cell for share in SHARES for cell in _cells(row, share))]
            for row in rows
        ],
    )


def _cells(row: Row, share: str) -> tuple[float, str]:
    return row[share], f"{row[f'{share}_low']:.3f} to {row[f'{share}_high']:.3f}"
