"""A run folder as one page: settings, losses, samples and results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.files import listed, natural_order, read_json, refuse_links, shown
from gan_forensics.forensics.temperature import Bin
from gan_forensics.report.blocks import Facts, Picture, Section, Table
from gan_forensics.report.class_plots import reliability_figure
from gan_forensics.report.figures import MOST_CURVES, MOST_PANELS, cut, said_of
from gan_forensics.report.html import write_report
from gan_forensics.report.limits import DEEPEST, MOST_COLUMNS, MOST_NAME, MOST_ROWS, cut_said
from gan_forensics.report.plots import (
    default_metrics,
    losses_figure,
    metric_names,
    spectra_figure,
    stored_curves,
)
from gan_forensics.train.log import read_metrics

Metrics = Sequence[Mapping[str, Any]]
# Grids shown of a run: the first, the last, and evenly spaced ones between them.
GRIDS = 6


def report_run(
    run: Path | str, *, results: Path | str | None = None, page: Path | str | None = None
) -> Path:
    """Write a page from what lies in a run folder.

    Read are, as far as they are there: `config.json` (settings), `data.json` (what was used, and
    how much was left out), `fingerprint.json` (whether the data were replaced or moved),
    `metrics.jsonl` (losses), `samples/*.png` (grids) and `results.json`, an object whose entries
    become, by their form:

    - a list of objects with equal keys: a table (such as `bypass`),
    - `spectra`, label -> {"mean": [...], "std": [...]}: a figure,
    - `reliability`, label -> fields of `forensics.temperature.Bin`s: a figure for each,
    - another object of plain values: names and values (such as `protocol`).

    Args:
        run: the folder.
        results: a file in the place of its results.json.
        page: where the page goes; by default report.html in the folder. That of a folder which
            others made is better kept outside of it.

    Returns:
        Path of the page.

    Raises:
        FileNotFoundError: when the folder is missing or holds none of these.
        ValueError: when one of these files is broken, naming it (of metrics.jsonl the page says
            it), and for a folder that holds links, pipes or devices.

    Example:
        >>> import tempfile
        >>> from gan_forensics.files import write_json
        >>> with tempfile.TemporaryDirectory() as run:
        ...     write_json(f"{run}/results.json", {"scores": [{"arm": "a", "auc": 0.9}]})
        ...     report_run(run).name
        'report.html'
    """
    run = Path(run)
    refuse_links(run)
    sections = _result_sections(Path(results or run / "results.json"))
    sections += _sample_section(run / "samples")
    if (run / "metrics.jsonl").exists():
        try:
            metrics = read_metrics(run / "metrics.jsonl")
        except ValueError as error:  # The other parts can be shown all the same.
            sections.append(Section("Losses", [str(error)]))
        else:
            sections.append(Section("Losses", [_loss_block(metrics)]))
            sections += [*_accuracy_section(metrics), *_adaptive_section(metrics)]
    if config := _read_object(run / "config.json"):
        sections.append(Section("Settings", [Facts(flatten(config))]))
    data = flatten(_read_object(run / "data.json"))
    data |= _changes(_read_object(run / "fingerprint.json"))
    if counted := {k: len(v) if isinstance(v, list) else v for k, v in data.items() if v}:
        sections.append(Section("Data", [Facts(counted)]))
    if not sections:
        raise FileNotFoundError(
            f"{run} is not a run folder: it has no config.json, metrics.jsonl, results.json or "
            "samples/*.png"
        )
    lead = "What this training run was told to do, how it went, and what came out of it."
    return write_report(
        page or run / "report.html",
        title=f"Run {shown(run.resolve().name)}",
        lead=lead,
        sections=sections,
    )


def _changes(known: Mapping[str, Any]) -> dict[str, str]:
    """After which steps the data of a run were replaced, and moved."""

    def steps(name: str) -> str:
        found = known.get(name)
        parts = found if isinstance(found, list) else []
        return listed([part.get("until_step") for part in parts if isinstance(part, Mapping)])

    return {"replaced_after_step": steps("before"), "moved_after_step": steps("moved")}


def table_of(rows: Sequence[Mapping[str, Any]], *, caption: str) -> Table:
    """A table from objects; its columns are their keys in order of first appearance.

    Of more columns or rows than a page shows there are the first ones, and a word in the caption.

    Example:
        >>> table = table_of([{"arm": "a", "auc": 0.9}, {"arm": "b"}], caption="AUC")
        >>> table.columns, table.rows
        (['arm', 'auc'], [['a', 0.9], ['b', None]])
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))
    some, columns = rows[:MOST_ROWS], keys[:MOST_COLUMNS]
    return Table(
        cut_said(caption, rows=(len(some), len(rows)), columns=(len(columns), len(keys))),
        [name.replace("_", " ") for name in columns],
        [[row.get(name) for name in columns] for row in some],
    )


def flatten(values: Mapping[str, Any], prefix: str = "", deep: int = 0) -> dict[str, Any]:
    """Nested objects as one, names joined by dots; what is nested too deep is left out."""
    flat = {}
    for name, value in values.items():
        whole = cut(f"{prefix}{name}", MOST_NAME)
        if not isinstance(value, Mapping) or not value:
            flat[whole] = value
        elif deep < DEEPEST:
            flat |= flatten(value, f"{whole}.", deep + 1)
        else:
            flat[whole] = "…"
    return flat


def _read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file, empty where there is no file."""
    if not path.exists():
        return {}
    try:
        values = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}: write it anew or remove it") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} is not a JSON object: write it anew or remove it")
    return values


def _result_sections(path: Path) -> list[Section]:
    sections, plain = [], {}
    for name, value in _read_object(path).items():
        title = name.replace("_", " ").capitalize()
        if name == "spectra":
            sections.append(Section(title, [_spectra_picture(value, path)]))
        elif name == "reliability":
            sections.append(
                Section("How sure, and how often right", _diagrams(value, path), pairs=True)
            )
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            sections.append(
                Section(title, [table_of(value, caption=f"{shown(name)} in {path.name}")])
            )
        elif isinstance(value, dict):
            sections.append(Section(title, [Facts(flatten(value))]))
        else:
            plain[name] = value
    return ([Section("Results", [Facts(plain)])] if plain else []) + sections


def _spectra_picture(curves: Any, path: Path) -> Picture:
    try:
        known = stored_curves(dict(curves.items()))
        figure = spectra_figure(known)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{shown(path)}: "spectra" must map labels to {{"mean": [...], "std": [...]}} '
            f"({shown(repr(error))})"
        ) from error
    drawn = said_of("", range(min(len(known), MOST_CURVES)), known, "curves")
    return Picture(
        figure,
        alt=f"Mean radial spectra of {listed(known)}",
        caption="Mean radial spectrum with a band of one standard deviation over images."
        + _sentence(drawn),
    )


def _sentence(said: str) -> str:
    return f" {said}." if said else ""


def _diagrams(bins: Any, path: Path) -> list[Picture | str]:
    """Reliability diagrams by label."""
    try:
        pictures: list[Picture | str] = [
            Picture(
                reliability_figure([Bin(**row) for row in rows], title=label),
                alt=f"Accuracy against confidence in test images, {shown(label)}",
                caption=f"{shown(label)}: images by the probability of the called class, in "
                f"{len(rows)} bins, with exact intervals of 95 %.",
            )
            for label, rows in list(bins.items())[:MOST_PANELS]
        ]
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f'{shown(path)}: "reliability" must map labels to bins ({shown(repr(error))})'
        ) from error
    said = said_of("", pictures, bins, "diagrams")
    return [*pictures, f"{said}."] if said else pictures


def _sample_section(folder: Path) -> list[Section]:
    paths = [path for path in folder.glob("*.png") if not path.name.startswith(".")]
    paths.sort(key=lambda path: natural_order(path.name))
    if not paths:
        return []
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(GRIDS, len(paths))).round().astype(int))
    pictures = [
        Picture(paths[i], alt=f"Grid of generated images, {paths[i].stem}", caption=paths[i].stem)
        for i in chosen
    ]
    shown = "" if len(chosen) == len(paths) else f" ({len(chosen)} of {len(paths)} grids)"
    return [Section(f"Samples{shown}", pictures)]


def _accuracy_section(metrics: Metrics) -> list[Section]:
    names = [name for name in metric_names(metrics) if name.endswith("/accuracy")]
    if not names:
        return []
    picture = Picture(
        losses_figure(metrics, names=names),
        alt="Accuracy over steps, one panel for each kind of images",
        caption="Share of images called rightly: of those that train as training sees them, and of "
        f"those that are evaluated, after every epoch.{_panels_said(names)}",
    )
    return [Section("Accuracy", [picture])]


# The probability of ADA's transforms, and how much of the training images D calls real.
_ADAPTIVE = ("discriminator/ada_p", "discriminator/ada_r")


def _adaptive_section(metrics: Metrics) -> list[Section]:
    if not {*_ADAPTIVE} <= {*metric_names(metrics)}:
        return []
    picture = Picture(
        losses_figure(metrics, names=_ADAPTIVE),
        alt="Probability of adaptive augmentation, and the overfitting that moves it, over steps",
        caption="p, with which each transform is applied, and r, the mean sign of the logits of "
        "training images (target .6).",
    )
    return [Section("Adaptive augmentation", [picture])]


def _loss_block(metrics: Metrics) -> Picture | str:
    names = default_metrics(metric_names(metrics))
    if not names:  # A run that has not logged a number yet still has its other parts.
        return "No metric has been logged yet."
    return Picture(
        losses_figure(metrics, names=names),
        alt="Training metrics over steps, one panel each",
        caption="Logged values (pale) and their running median over a twentieth of the run."
        + _panels_said(names),
    )


def _panels_said(names: Sequence[str]) -> str:
    return _sentence(said_of("", names[:MOST_PANELS], names, "metrics"))
