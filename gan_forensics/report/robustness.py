"""What a detector is worth after perturbations: rows for tables, a sentence, and the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.data.perturbations import kind_of
from gan_forensics.forensics.calibration import Measured, rates_of
from gan_forensics.forensics.intervals import two_sample_interval
from gan_forensics.report.detector_fit import CARRIER_WORDS
from gan_forensics.report.html import Facts, Picture, Section, Table, write_report
from gan_forensics.report.plots import Bar, bars_figure
from gan_forensics.report.severity import Point, severity_figure

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

Row = Mapping[str, Any]
# Column of a row -> what readers call it.
SHARES = {
    "real_accuracy": "real images called real",
    "fake_accuracy": "generated images detected",
    "auc": "AUC",
}


def robustness_rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """A row for every perturbation: both accuracies and the AUC, each with its exact interval."""
    rows = []
    for found in measured:
        kind, severity = kind_of(found.carrier)
        alarms, detected = rates_of(found)
        votes = [rate.n if rate.groups is None else rate.groups for rate in (alarms, detected)]
        auc = two_sample_interval(found.auc, *votes)
        rows.append(
            {
                "perturbation": found.carrier,
                "kind": kind,
                "severity": severity,
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


def finding(rows: Sequence[Row]) -> str:
    """The result in two sentences: as images are, and after what harms most."""
    plain, *others = rows
    said = f"As they are: {_shares(plain)}."
    if others:
        worst = min(others, key=lambda row: row["balanced_accuracy"])
        said += f" After {worst['perturbation']}, which harms most: {_shares(worst)}."
    return said


def _shares(row: Row) -> str:
    return (
        f"{row['real_accuracy']:.1%} of {row['n_real']} real images called real, "
        f"{row['fake_accuracy']:.1%} of {row['n_fake']} generated ones detected, "
        f"AUC {row['auc']:.3f}"
    )


def robustness_page(
    path: Path, detector: "Detector", rows: Sequence[Row], protocol: Mapping[str, Any], said: str
) -> Path:
    """The page of `robustness_rows`; `said` is what readers must know beforehand, or ""."""
    plain, *others = rows
    blocks: list[Any] = [said] if said else []
    if corrupted := [row for row in others if row["severity"]]:
        kinds = dict.fromkeys(row["kind"] for row in corrupted)
        panels = {
            kind: {
                words: [
                    Point(row["severity"], row[share], row[f"{share}_low"], row[f"{share}_high"])
                    for row in (plain, *corrupted)
                    if row["kind"] in (plain["kind"], kind)
                ]
                for share, words in SHARES.items()
            }
            for kind in kinds
        }
        blocks.append(
            Picture(
                severity_figure(panels, value_label="share of images, or AUC"),
                alt="Both accuracies and the AUC against the severity of each corruption",
                caption="Severity 0: images as they are. Lines: exact 95 % intervals. Where both "
                "accuracies do not add up to more than 1, a verdict says nothing; where the AUC "
                "stays high all the same, another threshold would.",
            )
        )
    if carried := [row for row in others if not row["severity"]]:
        bars = [
            Bar(
                CARRIER_WORDS.get(row["perturbation"]) or row["perturbation"],
                row[share], row[f"{share}_low"], row[f"{share}_high"], words,
            )
            for row in (plain, *carried)
            for share, words in SHARES.items()
        ]  # fmt: skip
        blocks.append(
            Picture(
                bars_figure(bars, title="Carriers", value_label="share of images, or AUC"),
                alt="Both accuracies and the AUC after each carrier",
                caption="Lines: exact 95 % intervals.",
            )
        )
    table = Table(
        "All perturbations, with exact 95 % intervals",
        ["perturbation", "real called real", "interval", "detected", "interval", "AUC", "interval"],
        [
            [row["perturbation"], *(cell for share in SHARES for cell in _cells(row, share))]
            for row in rows
        ],
    )
    return write_report(
        path,
        title="What a verdict survives",
        lead=f"{detector.name}. {finding(rows)}",
        sections=[
            Section("Against severity", blocks),
            Section("All numbers", [table]),
            Section("How it was measured", [Facts(protocol)]),
        ],
    )


def _cells(row: Row, share: str) -> tuple[float, str]:
    return row[share], f"{row[f'{share}_low']:.3f} to {row[f'{share}_high']:.3f}"
