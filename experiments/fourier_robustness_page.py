"""Tables, curves and the finding of the experiment `fourier_robustness`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data.strengths import FAMILIES, in_words
from gan_forensics.report import Picture, Section, Table
from gan_forensics.report.strength import Panel, Point, strength_figure
from gan_forensics.studies import pages
from gan_forensics.studies.bypass_rates import BASELINE
from gan_forensics.studies.pages import plus_minus

Rows = Sequence[Mapping[str, Any]]
Results = Mapping[str, Any]
# The tail whose escape is asked about.
ESCAPES = "N.1.5"
TITLE = "What spectral detectors see after recompression, resizing, blur and noise"


def called(row: Mapping[str, Any]) -> str:
    """A detector as tables name it."""
    return f"{row['detector']}, {'robust' if row['robust'] else 'plain'}"


def detectors_of(results: Results) -> list[str]:
    """The detectors in their order."""
    return list(dict.fromkeys(map(called, results["real"])))


def margins(results: Results, detector: str, gans: str, tail: str) -> dict[str, float]:
    """Perturbation -> mean share of a tail called generated, less that of real images after it."""
    real = {r["perturbation"]: r["real_accuracy"] for r in results["real"] if called(r) == detector}
    return {
        row["perturbation"]: row["detection_rate"] + real[row["perturbation"]] - 1
        for row in _rates(results, detector, gans, tail)
    }


def _rates(results: Results, detector: str, gans: str, tail: str) -> Rows:
    return [
        row
        for row in results["rates"]
        if (called(row), row["gans"], row["tail"]) == (detector, gans, tail)
    ]


def _mean_after(results: Results, values: Mapping[str, float]) -> float:
    """The mean over families of the means over their strengths, without images as they are."""
    family = {row["perturbation"]: row["family"] for row in results["real"]}
    by: dict[str, list[float]] = {}
    for name, value in values.items():
        if name != "none":
            by.setdefault(family[name], []).append(value)
    return float(np.mean([np.nanmean(some) for some in by.values()]))


def summary(results: Results) -> list[Table]:
    """Margins and AUC as images are and on average after: a row for each detector and seed."""
    tails = results["protocol"]["tails"]

    def rows(values_of: Callable[[str, str, str], Mapping[str, float]]) -> list[list[str]]:
        return [
            [detector, gans]
            + [
                f"{values['none']:.2f} / {_mean_after(results, values):.2f}"
                for values in (values_of(detector, gans, tail) for tail in tails)
            ]
            for detector in detectors_of(results)
            for gans in ("same", "new")
        ]

    columns = ["detector", "GAN seed", *tails]
    return [
        Table(
            "Margin, as images are / mean after: the share called generated less that of real "
            "images after the same, where 0 says nothing. Means over seeds; after: the mean over "
            "families of the mean over strengths.",
            columns,
            rows(lambda *of: margins(results, *of)),
        ),
        Table(
            "AUC, as images are / mean after",
            columns,
            rows(lambda *of: {r["perturbation"]: r["auc"] for r in _rates(results, *of)}),
        ),
    ]


def middle_of(results: Results) -> list[str]:
    """Images as they are, and of every family the perturbation in the middle."""
    by: dict[str, list[str]] = {}
    for row in results["real"]:
        names = by.setdefault(row["family"], [])
        if row["perturbation"] not in names:
            names.append(row["perturbation"])
    return [names[len(names) // 2] for names in by.values()]


def rates_table(results: Results, detector: str) -> Table:
    """Real accuracy, and detection by tail, of GANs of the same and of a new seed."""
    tails = results["protocol"]["tails"]
    real = {r["perturbation"]: r for r in results["real"] if called(r) == detector}
    of = {
        (gans, tail): {r["perturbation"]: r for r in _rates(results, detector, gans, tail)}
        for gans in ("same", "new")
        for tail in tails
    }
    rows = [
        [
            name,
            plus_minus(real[name]["real_accuracy"], real[name]["real_accuracy_std"]),
            *(
                plus_minus(found[name]["detection_rate"], found[name]["detection_rate_std"])
                for found in of.values()
            ),
        ]
        for name in middle_of(results)
    ]
    columns = ["perturbation", "real called real", *(f"{tail}, {gans}" for gans, tail in of)]
    return Table(f"{detector}: shares called generated, mean ± deviation over seeds", columns, rows)


def curves(results: Results, detector: str, gans: str) -> Picture | None:
    """A panel for every family with several strengths: real accuracy, and detection by tail."""
    series = {
        "real called real": (
            [r for r in results["real"] if called(r) == detector], "real_accuracy"
        ),
        **{
            tail: (_rates(results, detector, gans, tail), "detection_rate")
            for tail in results["protocol"]["tails"]
        },
    }  # fmt: skip
    some = series["real called real"][0]
    families = [f for f in dict.fromkeys(r["family"] for r in some)
                if sum(r["family"] == f for r in some) > 1]  # fmt: skip
    panels = [
        Panel(
            family,
            FAMILIES[family].axis if family in FAMILIES else "severity",
            {
                name: [
                    _point(row, share) for row in rows if row["family"] in ("none", family)
                ]
                for name, (rows, share) in series.items()
            },
        )
        for family in families
    ]  # fmt: skip
    if not panels:
        return None
    return Picture(
        strength_figure(panels, title=f"{detector}: GANs of the {gans} seed", value_label="share"),
        alt=f"Shares called generated by {detector} against the strength of perturbations",
        caption=f"Lines: one standard deviation over seeds to either side. {in_words(families)}",
    )


def _point(row: Mapping[str, Any], share: str) -> Point:
    value, spread = row[share], row[f"{share}_std"] or 0.0
    strength = None if row["perturbation"] == "none" else row["strength"]
    return Point(strength, value, max(0.0, value - spread), min(1.0, value + spread))


def finding(results: Results) -> str:
    """What became of the escape, and what robustness costs, in sentences."""
    detectors, lines = detectors_of(results), []
    for tail in (tail for tail in results["protocol"]["tails"] if tail == ESCAPES):
        said = []
        for detector in detectors:
            margin = margins(results, detector, "same", tail)
            most = max(margin, key=lambda name: margin[name])
            said.append(
                f"{detector} {margin['none']:.2f} as is, at most {margin[most]:.2f} ({most})"
            )
        lines.append(f"Margin of {tail}, same seed: {'; '.join(said)}.")
    for plain in (name for name in detectors if name.endswith("plain")):
        robust = plain.replace("plain", "robust")
        cost = []
        for gans in ("same", "new"):
            a, b = (margins(results, d, gans, BASELINE) for d in (plain, robust))
            cost.append(
                f"{gans} seed {a['none']:.2f} -> {b['none']:.2f} as is, "
                f"{_mean_after(results, a):.2f} -> {_mean_after(results, b):.2f} after"
            )
        lines.append(f"Margin of {BASELINE}, {plain} -> robust: {'; '.join(cost)}.")
    return "\n".join(lines)


def write_pages(out: Path, results: Results) -> None:
    """Write results.md and report.html."""
    tables = [
        Section("In short", summary(results)),
        Section("Rates", [rates_table(results, d) for d in detectors_of(results)]),
    ]
    pages.write_markdown(out, results, tables)
    figures = [
        picture
        for detector in detectors_of(results)
        for gans in ("same", "new")
        if (picture := curves(results, detector, gans))
    ]
    pages.write_page(
        out, results, title=TITLE,
        sections=[*tables, Section("Against strength", figures)],
    )  # fmt: skip
