"""The DOPING experiment as one page and as Markdown, and its finding in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_forensics.experiments.doping_figures import gains_figure, radius_figure, world_figure
from gan_forensics.experiments.doping_toys import FOREST, SCALE
from gan_forensics.report import Facts, Picture, Section, Table, table_of
from gan_forensics.studies import pages
from gan_forensics.studies.doping import interval, summary_rows
from gan_forensics.studies.pages import plus_minus

QUESTION = "Does doping the rare normal rows help detectors of anomalies?"


def finding(results: Mapping[str, Any]) -> str:
    """What the intervals support, and no more."""
    said = []
    for augmentation in ("doping", "doping (chosen)", "prior", "duplicate"):
        for metric, name in (("average_precision", "average precision"), ("f1", "a-priori F1")):
            better, worse, count = _clear(results["tasks"], augmentation, metric)
            if count:
                said.append(
                    f"{augmentation}, {name}: clearly better than nothing on {better}, clearly "
                    f"worse on {worse} of {count} tables."
                )
    toys = []
    headline = results["protocol"]["toys"]["headline"]
    for sweep in results["toys"]:
        row = next((r for r in sweep["radii"] if r["radius"] == headline), None)
        if row and row["gain"]:
            toys.append(
                f"World {sweep['world']} ({sweep['variant']}), shell of radius {headline:g}: AUC "
                f"{row['auc']:.3f}, without doping {sweep['none']['auc']:.3f}, paired difference "
                f"{interval(row['gain'])}."
            )
    if said:
        said.insert(0, "Isolation forest, paired 95 % intervals over seeds:")
    return "\n".join([*said, *toys])


def write_pages(out: Path, results: Mapping[str, Any]) -> None:
    """Write report.html and results.md into the folder of an experiment."""
    sections = []
    if tables := results["tasks"]:
        detectors = list(dict.fromkeys(row["detector"] for row in tables[0]["rows"]))
        gains = [block for detector in detectors for block in _gains(tables, detector)]
        sections += [Section("Real tables: gains in pairs", gains), *map(_table_section, tables)]
    if toys := results["toys"]:
        sections += [_toy_section(toys, results["protocol"]["toys"]["headline"])]
    pages.write_page(out, results, title=QUESTION, sections=sections)
    pages.write_markdown(out, results, sections)


def _clear(tables: Sequence[Mapping[str, Any]], augmentation: str, metric: str):
    """On how many tables the forest's interval lies above, and below, zero."""
    gains = [
        row[f"{metric}_gain"]
        for table in tables
        for row in table["rows"]
        if (row["detector"], row["augmentation"]) == (FOREST, augmentation)
        and f"{metric}_gain" in row
    ]
    gains = [gain for gain in gains if gain[1] is not None]
    return sum(g[1] > 0 for g in gains), sum(g[2] < 0 for g in gains), len(gains)


def _gains(tables: Sequence[Mapping[str, Any]], detector: str) -> list[Picture | Table | str]:
    by_table = [
        {row["augmentation"]: row for row in table["rows"] if row["detector"] == detector}
        for table in tables
    ]
    names = [name for name, row in by_table[0].items() if "average_precision_gain" in row]
    if not names:
        return ["Intervals need two seeds or more."]
    picture = Picture(
        gains_figure(tables, detector=detector, metric="average_precision"),
        alt=f"Paired gains in average precision of {detector} on every table",
        caption=f"{detector}: mean paired difference from no augmentation with its 95 % Student "
        "interval over seeds. Coloured where the interval leaves zero out.",
    )
    none = [rows["none"]["average_precision"] for rows in by_table]
    lines = [["none: average precision", *(f"{value:.3f}" for value in none)]]
    for name in names:
        lines.append([name, *(interval(rows[name]["average_precision_gain"]) for rows in by_table)])
    columns = ["gain over none", *(table["task"]["name"] for table in tables)]
    return [picture, Table(f"Gains in average precision: {detector}", columns, lines)]


def _table_section(table: Mapping[str, Any]) -> Section:
    task = table["task"]
    scores = table_of(
        summary_rows(table),
        caption="Means ± deviations over seeds; gains are paired differences from none with 95 % "
        "intervals. F1 a priori: threshold at the a-priori contamination, a quantile of training "
        "scores. False alarms are on the tenth of the normal test rows that lie farthest from the "
        "training rows. The last column is the oracle of the published code: the largest mean F1 "
        "over a grid of contaminations, by test labels.",
    )
    further = {
        "Settings tried on validation rows": table["chosen"],
        "Do the codes follow their prior?": table["prior"],
    }
    tables = [table_of(rows, caption=caption) for caption, rows in further.items() if rows]
    return Section(f"Table {task['name']}", [Facts(task), scores, *tables])


def _toy_section(toys: Sequence[Mapping[str, Any]], headline: float) -> Section:
    lines = []
    for sweep in toys:
        cells = [
            plus_minus(row["auc"], row["auc_std"], ".3f")
            for row in (sweep["none"], *sweep["radii"])
        ]
        lines.append([f"{sweep['world']}, {sweep['variant']}", *cells])
        lines.append(["gain over none", None, *(interval(row["gain"]) for row in sweep["radii"])])
    radii = [f"r = {row['radius']:g}" for row in toys[0]["radii"]]
    return Section(
        "Toy worlds",
        [
            Picture(
                radius_figure(toys, headline=headline),
                alt="AUC of the forest against the radius of the latent shell, for every world",
                caption="Bands: one deviation over autoencoders. Dotted: the radius fixed "
                "beforehand. The prior's deviation is 5.",
            ),
            *(
                Picture(
                    world_figure(sweep, scale=SCALE),
                    alt=f"World {sweep['world']}: codes and rows with shells in both spaces",
                    caption=f"World {sweep['world']}, {sweep['variant']}, first seed.",
                )
                for sweep in toys
            ),
            Table(
                "AUC of the isolation forest on 1000 new rows; paired gains with 95 % intervals",
                ["world", "none", *radii],
                lines,
            ),
        ],
    )
