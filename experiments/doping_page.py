"""The DOPING experiment as one page, and its finding in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.doping_figures import gains_figure, radius_figure, world_figure
from experiments.doping_toys import SCALE
from gan_forensics.report import Facts, Picture, Section, Table, table_of, write_report
from gan_forensics.studies.doping import summary_rows

FOREST = "isolation_forest"


def finding(results: Mapping[str, Any]) -> str:
    """What the intervals support, and no more."""
    said = []
    for augmentation in ("doping", "doping (chosen)", "prior", "duplicate"):
        for metric, name in (("average_precision", "average precision"), ("f1", "a-priori F1")):
            better, worse, count = _clear(results["tables"], augmentation, metric)
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
            gain, low, high = row["gain"]
            toys.append(
                f"World {sweep['world']} ({sweep['variant']}), shell of radius {headline:g}: AUC "
                f"{row['auc']:.3f}, without doping {sweep['none']['auc']:.3f}, paired difference "
                f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]."
            )
    if said:
        said.insert(0, "Isolation forest, paired 95 % intervals over seeds:")
    return "\n".join([*said, *toys])


def write_page(out: Path, results: Mapping[str, Any]) -> Path:
    """Write report.html into the folder of an experiment."""
    sections = []
    if tables := results["tables"]:
        detectors = list(dict.fromkeys(row["detector"] for row in tables[0]["rows"]))
        sections += [
            Section("Real tables: gains in pairs", [_gains(tables, d) for d in detectors]),
            *(_table_section(table) for table in tables),
        ]
    if toys := results["toys"]:
        sections += [_toy_section(toys, results["protocol"]["toys"]["headline"])]
    protocol = dict(results["protocol"])
    for part in ("toys", "compare"):
        protocol |= {f"{part}.{k}": v for k, v in protocol.pop(part).items()}
    sections += [
        Section("Protocol", [Facts({k: str(v) for k, v in protocol.items()})]),
        Section("Seconds", [Facts(results["seconds"])]),
    ]
    return write_report(
        out / "report.html",
        title="Does doping the rare normal rows help detectors of anomalies?",
        lead=results["finding"].replace("\n", " "),
        sections=sections,
    )


def _clear(tables: Sequence[Mapping[str, Any]], augmentation: str, metric: str):
    """On how many tables the forest's interval lies above, and below, zero."""
    gains = [
        row[f"{metric}_gain"]
        for table in tables
        for row in table["rows"]
        if (row["detector"], row["augmentation"]) == (FOREST, augmentation)
        and f"{metric}_gain" in row
    ]
    return sum(g[1] > 0 for g in gains), sum(g[2] < 0 for g in gains), len(gains)


def _gains(tables: Sequence[Mapping[str, Any]], detector: str) -> Picture | str:
    if not any("average_precision_gain" in row for row in tables[0]["rows"]):
        return "Intervals need two seeds or more."
    return Picture(
        gains_figure(tables, detector=detector, metric="average_precision"),
        alt=f"Paired gains in average precision of {detector} on every table",
        caption=f"{detector}: mean paired difference from no augmentation with its 95 % Student "
        "interval over seeds. Coloured where the interval leaves zero out.",
    )


def _table_section(table: Mapping[str, Any]) -> Section:
    task = table["task"]
    return Section(
        f"Table {task['name']}",
        [
            Facts(task),
            table_of(
                summary_rows(table),
                caption="Means ± deviations over seeds; gains are paired differences from none "
                "with 95 % intervals. F1 a priori: threshold at the a-priori contamination, a "
                "quantile of training scores. False alarms are on the tenth of the normal test "
                "rows that lie farthest from the training rows. The last column is the oracle of "
                "the published code: the largest mean F1 over a grid of contaminations, by test "
                "labels.",
            ),
            *(
                [table_of(table["chosen"], caption="Settings tried on validation rows")]
                if table["chosen"]
                else []
            ),
            *(
                [table_of(table["prior"], caption="Do the codes follow their prior?")]
                if table["prior"]
                else []
            ),
        ],
    )


def _toy_section(toys: Sequence[Mapping[str, Any]], headline: float) -> Section:
    lines = []
    for sweep in toys:
        for row in [{"radius": None, **sweep["none"], "gain": None}, *sweep["radii"]]:
            gain = row["gain"]
            spread = "" if row["auc_std"] is None else f" ± {row['auc_std']:.3f}"
            lines.append(
                [
                    sweep["world"],
                    sweep["variant"],
                    "none" if row["radius"] is None else f"{row['radius']:g}",
                    f"{row['auc']:.3f}{spread}",
                    gain and f"{gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}]",
                ]
            )
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
                "AUC of the isolation forest on 1000 new rows",
                ["world", "variant", "radius", "AUC", "gain over none"],
                lines,
            ),
        ],
    )
