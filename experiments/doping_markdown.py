"""The DOPING experiment's tables in Markdown, for experiments/README.md."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(results: Mapping[str, Any]) -> str:
    """Tables of a finished run: the forest in full, the other detectors by their gains."""
    parts = [results["finding"].replace("\n", "\n\n")]
    for detector in dict.fromkeys(r["detector"] for t in results["tables"] for r in t["rows"]):
        parts.append(f"### Real tables, {detector.replace('_', ' ')}")
        parts.append(_gains(results["tables"], detector))
    for table in results["tables"]:
        parts += [_heading(table), _scores(table)]
    if results["toys"]:
        parts += ["### Toy worlds, AUC of the isolation forest", _toys(results["toys"])]
    return "\n\n".join(parts) + "\n"


def _gains(tables: Sequence[Mapping[str, Any]], detector: str) -> str:
    """Paired gains in average precision, a column for each table."""
    by_table = [
        {r["augmentation"]: r for r in table["rows"] if r["detector"] == detector}
        for table in tables
    ]
    lines = [
        [
            "none: average precision",
            *(f"{rows['none']['average_precision']:.3f}" for rows in by_table),
        ]
    ]
    for name, first in by_table[0].items():
        if "average_precision_gain" in first:
            lines.append(
                [name, *(_gain(rows[name]["average_precision_gain"]) for rows in by_table)]
            )
    return _table(["gain over none", *(table["task"]["name"] for table in tables)], lines)


def _heading(table: Mapping[str, Any]) -> str:
    task, fits = table["task"], table["prior"]
    chosen = "; ".join(
        f"{tried['method']}: share {tried['share']}"
        + (f", edge {tried['edge']}" if tried["edge"] else "")
        for tried in table["chosen"]
        if tried["chosen"]
    )
    return (
        f"**{task['name']}** ({task['note']}): {task['train']} normal rows of {task['columns']} "
        f"columns train, {task['test_normal']} and {task['test_anomalies']} anomalies test; "
        f"a-priori contamination {task['contamination']:.3f}. Codes match the prior for "
        f"{sum(fit['matches'] for fit in fits)} of {len(fits)} seeds. Chosen on validation rows: "
        f"{chosen or 'nothing'}."
    )


def _scores(table: Mapping[str, Any]) -> str:
    """The isolation forest's scores on one table."""
    lines = []
    for row in table["rows"]:
        if row["detector"] == "isolation_forest":
            metrics = ("auc", "average_precision", "f1", "rare_false_alarms")
            lines.append(
                [
                    row["augmentation"],
                    *(f"{row[m]:.3f} ± {row[f'{m}_std'] or 0:.3f}" for m in metrics),
                    _gain(row["f1_gain"]) if "f1_gain" in row else "–",
                    f"{row['best_over_grid_f1']:.3f}",
                ]
            )
    columns = ["augmentation", "AUC", "average precision", "F1 a priori"]
    columns += ["false alarms, rarest tenth", "F1 gain", "best-over-grid F1 (oracle)"]
    return _table(columns, lines)


def _toys(sweeps: Sequence[Mapping[str, Any]]) -> str:
    radii = [row["radius"] for row in sweeps[0]["radii"]]
    lines = []
    for sweep in sweeps:
        cells = [sweep["none"], *sweep["radii"]]
        name = f"{sweep['world']}, {sweep['variant']}"
        lines.append([name, *(f"{c['auc']:.3f} ± {c['auc_std'] or 0:.3f}" for c in cells)])
    return _table(["world", "none", *(f"r = {r:g}" for r in radii)], lines)


def _gain(gain: Sequence[float]) -> str:
    text = f"{gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}]"
    # Bold where the interval leaves zero out.
    return f"**{text}**" if gain[1] > 0 or gain[2] < 0 else text


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
