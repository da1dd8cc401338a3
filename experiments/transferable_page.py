"""The experiment on transferable features as one page, and its finding in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.experiments.transferable_published import published_sections
from gan_forensics.report import Picture, Section, Table, bars_figure
from gan_forensics.studies import pages
from gan_forensics.studies.pages import bar, plus_minus
from gan_forensics.studies.transferable import SETS

WORLDS = {
    "photographs": "GANs on photographs",
    "toy": "The synthetic world",
    "forensynths": "ForenSynths",
}
Rows = Sequence[Mapping[str, Any]]
RATES = {
    "average_precision": "AP",
    "real_accuracy": "real 1/2",
    "fake_accuracy": "generated 1/2",
    "real_accuracy_calibrated": "real t*",
    "fake_accuracy_calibrated": "generated t*",
}

QUESTION = "Which channels carry evidence from one GAN to the next?"


def finding(results: Mapping[str, Any]) -> str:
    """What happened, in a sentence for each world and variant; without judgement."""
    said = []
    for world, title in WORLDS.items():
        for variant, rows in by_variant(results.get(world, ())).items():
            seen = sources(rows)
            ap = {
                name: spread(rows, "silenced", "average_precision", silenced=name, source=None)[0]
                for name in SETS
            }
            gray = spread(rows, "colour", "average_precision_gray", source=None)
            said.append(
                f"{title}, {variant}: mean AP over {len(seen)} sources {ap['none']:.2f}; with "
                f"the top {rows[0]['k']} of {rows[0]['channels']} channels silenced "
                f"{ap['top']:.2f}, random ones {ap['random']:.2f}, low ones "
                f"{ap['low']:.2f}; in gray {gray[0]:.2f}."
            )
    return "\n".join(said)


def by_variant(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Detectors grouped by how they were trained."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["variant"], []).append(row)
    return groups


def sources(rows: Rows) -> list[str]:
    """The sources of generated images, the first one trained on."""
    return list(dict.fromkeys(line["source"] for line in rows[0]["colour"]))


def spread(
    rows: Rows, table: str, value: str, *, source: str | None, silenced: str | None = None
) -> tuple[float, float | None]:
    """Mean and deviation between seeds (None for one); over all sources if none is named."""
    per_seed = []
    for row in rows:
        values = [
            line[value]
            for line in row[table]
            if source in (None, line["source"])
            and silenced in (None, line.get("silenced"))
            and line.get(value) is not None
        ]
        if values:
            per_seed.append(float(np.mean(values)))
    if not per_seed:
        return float("nan"), None
    return float(np.mean(per_seed)), float(np.std(per_seed)) if len(per_seed) > 1 else None


def write_page(out: Path, results: Mapping[str, Any]) -> Path:
    """Write `report.html` into the folder of an experiment."""
    sections = []
    for world, title in WORLDS.items():
        groups = by_variant(results.get(world, ()))
        if not groups:
            continue
        blocks: list[Any] = []
        for variant, rows in groups.items():
            blocks += [silenced_picture(variant, rows), silenced_table(variant, rows)]
        blocks += [colour_picture(groups), colour_table(groups)]
        blocks += [conditional_table(groups), top_table(groups)]
        sections.append(Section(title, blocks))
    if (folder := out / "samples").is_dir():
        pictures = pages.samples(out, sorted(path.stem for path in folder.glob("*.png")))
        sections.append(Section("Images", pictures))
    folders = results.get("forensynths", ())
    measured = [line for row in folders if row["variant"] == "base" for line in row["silenced"]]
    sections += published_sections(measured, results["protocol"]["arch"] if measured else "")
    return pages.write_page(out, results, title=QUESTION, sections=sections)


def silenced_picture(variant: str, rows: Rows) -> Picture:
    """Bars of AP by source."""
    bars = []
    for source in sources(rows):
        for name in ("none", "random", "low", "top"):
            found = spread(rows, "silenced", "average_precision", source=source, silenced=name)
            bars.append(bar(source, *found, f"silenced: {name}"))
    return Picture(
        bars_figure(
            bars,
            title=f"{variant}: average precision with {rows[0]['k']} channels silenced",
            value_label="average precision (lines: spread between seeds)",
        ),
        alt=f"Average precision of {variant} detectors with channels silenced, by source",
        caption="The first source is the one that the detector was trained on.",
    )


def silenced_table(variant: str, rows: Rows) -> Table:
    """AP, and accuracies at probability 1/2."""
    lines = [
        [source, name]
        + [
            plus_minus(*spread(rows, "silenced", rate, source=source, silenced=name))
            for rate in RATES
        ]
        for source in sources(rows)
        for name in SETS
    ]
    return Table(
        f"{variant}: silencing {rows[0]['k']} of {rows[0]['channels']} channels; means over "
        f"{len(rows)} detectors ± deviation between them. Accuracies at probability 1/2, then at "
        "the threshold that is best on these very images.",
        ["images", "silenced", *RATES.values()],
        lines,
    )


def colour_picture(groups: Mapping[str, Rows]) -> Picture:
    """Bars of AP in colour and gray."""
    bars = []
    for variant, rows in groups.items():
        for source in sources(rows):
            for name in ("colour", "gray"):
                found = spread(rows, "colour", f"average_precision_{name}", source=source)
                bars.append(bar(source, *found, f"{variant}, {name}"))
    return Picture(
        bars_figure(bars, title="Average precision in colour and in gray", value_label="AP"),
        alt="Average precision in colour and in gray by source and detector",
        caption="Real and generated images are both made gray.",
    )


def colour_table(groups: Mapping[str, Rows]) -> Table:
    """AP in colour and gray, and the fall of the median probability."""
    values = {"average_precision_colour": ".2f", "average_precision_gray": ".2f"}
    lines = _colour_lines(groups, {**values, "median_fall_points": ".1f"})
    return Table(
        "Average precision in colour and in gray; fall of the median probability of generated "
        "images (those of at least 0.2 in colour), in percentage points",
        ["detector", "images", "AP colour", "AP gray", "fall of median"],
        lines,
    )


def conditional_table(groups: Mapping[str, Rows]) -> Table:
    """Shares of colour-conditional channels, with controls."""
    shares = {f"colour_conditional_{name}": ".2f" for name in ("top", "random", "low")}
    lines = _colour_lines(groups, shares)
    return Table(
        "Share of channels whose largest activations differ between colour and gray (Mood's median "
        "test, p <= 0.05, uncorrected): of the top channels, of as many random others, and of the "
        "last. A share of the top channels says something only where the other two are smaller.",
        ["detector", "images", "top", "random", "low"],
        lines,
    )


def top_table(groups: Mapping[str, Rows]) -> Table:
    """The first channels of every detector."""
    lines = [
        [f"{variant}, seed {row['seed']}", row["omega_images"]]
        + [", ".join(f"{name} {omega:.3f}" for name, omega in row["top"][:5])]
        for variant, rows in groups.items()
        for row in rows
    ]
    return Table(
        "The five channels of highest omega, and on how many images it was measured",
        ["detector", "images", "channels"],
        lines,
    )


def _colour_lines(groups: Mapping[str, Rows], forms: Mapping[str, str]) -> list[list[str]]:
    """Values of `probe_colour`, each in its form, for every detector and source."""
    return [
        [variant, source]
        + [
            plus_minus(*spread(rows, "colour", value, source=source), form)
            for value, form in forms.items()
        ]
        for variant, rows in groups.items()
        for source in sources(rows)
    ]
