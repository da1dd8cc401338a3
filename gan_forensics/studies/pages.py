"""How studies tell what they found: means over seeds as numbers, text and bars, and the page."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.files import escaped, write_text
from gan_forensics.report import Bar, Facts, Picture, Section, Table, write_report
from gan_forensics.report.html import format_cell
from gan_forensics.report.run import flatten


def over_seeds(name: str, values: Sequence[float]) -> dict[str, Any]:
    """`name` (mean), `name_std` (n - 1; None for one seed) and `name_by_seed`."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {name: float(np.mean(values)), f"{name}_std": deviation, f"{name}_by_seed": values}


def plus_minus(mean: float, deviation: float | None, form: str = ".2f") -> str:
    """Mean ± deviation; the mean alone without a deviation, a dash for what is no number."""
    if np.isnan(mean):
        return "–"
    return f"{mean:{form}}" + ("" if deviation is None else f" ± {deviation:{form.lstrip('+')}}")


def bar(label: str, mean: float, deviation: float | None, series: str) -> Bar:
    """A bar of a share with a line of one deviation to either side, within [0, 1], if known."""
    if deviation is None:
        return Bar(label, mean, series=series)
    return Bar(label, mean, max(0.0, mean - deviation), min(1.0, mean + deviation), series)


def samples(out: Path, names: Iterable[str], said: str = "") -> list[Picture]:
    """The grids `samples/NAME.png`; `said` stands behind the name below them."""
    return [
        Picture(out / "samples" / f"{name}.png", alt=f"Images: {name}", caption=f"{name}{said}")
        for name in names
    ]


def markdown(table: Table) -> str:
    """A table as in `experiments/README.md`, without its caption."""
    rows = [[_cell(name) for name in table.columns], ["---"] * len(table.columns)]
    rows += [[_cell(value) for value in row] for row in table.rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(value: Any) -> str:
    """A cell's text, in which nothing ends the cell or its line."""
    return escaped(format_cell(value)).replace("|", "\\|")


def write_markdown(out: Path, results: Mapping[str, Any], sections: Sequence[Section]) -> None:
    """Write `results.md`: the finding, and what the sections have beside pictures."""
    blocks = [results["finding"].replace("\n", "\n\n")]
    for section in sections:
        blocks.append(f"### {section.title}")
        for block in section.blocks:
            if isinstance(block, Table):
                blocks += [block.caption, markdown(block)]
            elif isinstance(block, Facts):
                facts = (f"{name} {format_cell(value)}" for name, value in block.values.items())
                blocks.append("; ".join(facts) + ".")
            elif isinstance(block, str):
                blocks.append(block)
    write_text(out / "results.md", "\n\n".join(blocks) + "\n")


def write_page(
    out: Path,
    results: Mapping[str, Any],
    *,
    title: str,
    sections: Sequence[Section],
    timed: str = "",
    appendix: Sequence[Section] = (),
) -> Path:
    """Write `report.html` of a study, with its protocol and seconds after what was found.

    Args:
        out: folder of the page.
        results: with `finding`, `protocol`, and `seconds` or `timings`.
        title: of the page.
        sections: what was found.
        timed: what the seconds are of.
        appendix: sections for the end.

    Returns:
        Path of the page.
    """
    protocol = {name: str(value) for name, value in flatten(results["protocol"]).items()}
    seconds = Facts(results["seconds"] if "seconds" in results else results["timings"])
    return write_report(
        out / "report.html",
        title=title,
        lead=results["finding"].replace("\n", " "),
        sections=[
            *sections,
            Section("Protocol", [Facts(protocol)]),
            Section("Seconds", [timed, seconds]),
            *appendix,
        ],
    )
