"""The study of last upsamplings as one page: who is caught, spectra, quality, images, protocol."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.report import (
    Picture,
    Section,
    Table,
    losses_figure,
    spectra_figure,
    stored_curves,
)
from gan_forensics.studies import pages
from gan_forensics.studies.bypass_figures import rates_figure
from gan_forensics.studies.bypass_rates import BASELINE
from gan_forensics.studies.bypass_tables import NEW, SAME
from gan_forensics.studies.pages import plus_minus
from gan_forensics.train import read_metrics

Rows = Sequence[Mapping[str, Any]]
REAL_COLUMN = "real images"
AT_5, OWN = "detected_at_5", "detected"
RULES = {
    AT_5: ("at the threshold of 5 % false alarms", "false_alarms_at_5"),
    OWN: ("at the detectors' own boundary", "false_alarms"),
}


def write_page(out: Path, results: Mapping[str, Any], appendix: Sequence[Section] = ()) -> Path:
    """Write `report.html` and `results.md` into the folder of a study.

    Args:
        out: the folder, with `samples/` and `gans/`.
        results: what `gan_forensics.studies.bypass.run_study` returns.
        appendix: further sections.

    Returns:
        Path of the page.
    """
    facts, bypass = results["protocol"], results["bypass"]
    methods, seed = facts["methods"], facts["seeds"][0]
    baseline = [row for row in bypass if row["trained_on"] == BASELINE]
    names = ["real", *(f"{m}-{tail}-seed{seed}" for m in methods for tail in facts["tails"])]
    caught: list[Any] = [_heat_of_method(baseline, m, rule) for m in methods for rule in RULES]
    sections = [
        Section("Who is caught", [*caught, *(rates_table(baseline, m) for m in methods)]),
        *_across(results),
        Section("Spectra", [_spectra(m, results["spectra"], facts["size"]) for m in methods]),
        Section(
            "Decay of the highest frequencies, and quality",
            [decay_table(results["exponents"]), quality_table(results["quality"])],
        ),
        Section("Intervals", [interval_table(baseline, m) for m in methods]),
    ]
    pages.write_markdown(out, results, sections)
    return pages.write_page(
        out,
        results,
        title="Do GAN images betray themselves in the spectrum?",
        sections=[
            *sections,
            Section("Images", pages.samples(out, names)),
            Section("Training", [_losses(out / "gans", method, seed) for method in methods]),
        ],
        timed="Seconds of every GAN and measurement when it was carried out, on processes that ran "
        "beside each other; a GAN that had been trained elsewhere took only its loading.",
        appendix=appendix,
    )


def _across(results: Mapping[str, Any]) -> list[Section]:
    """Tables across training tails, GANs and data, where they were asked for."""
    sections = []
    bypass = results["bypass"]
    if len({row["trained_on"] for row in bypass}) > 1:
        blocks = [
            _heat(
                [row for row in bypass if row["method"] == method and row["detector"] == detector],
                lambda row: row["trained_on"],
                title=f"{detector}, {method}: rows are the tails it was trained on",
            )
            for method in dict.fromkeys(row["method"] for row in bypass)
            for detector in dict.fromkeys(row["detector"] for row in bypass)
        ]
        sections.append(Section("Trained on several tails", blocks, pairs=False))
    if results["across_gans"]:
        blocks = [
            _heat(
                [row for row in results["across_gans"] if row["detector"] == detector],
                lambda row: f"{row['trained_on']} on {row['tested_on']}",
                title=f"{detector}, trained on {BASELINE} of one GAN, tested on tails of another",
            )
            for detector in dict.fromkeys(row["detector"] for row in results["across_gans"])
        ]
        sections.append(Section("Across GANs", blocks))
    if results["across_data"]:
        blocks = [
            _heat(
                [row for row in results["across_data"] if row["detector"] == detector],
                lambda row: f"{row['trained_on']} on {row['tested_on']}",
                title=f"{detector}, trained on {BASELINE} of one source, tested on another",
            )
            for detector in dict.fromkeys(row["detector"] for row in results["across_data"])
        ]
        sections.append(Section("Across data", blocks))
    return sections


def _heat_of_method(baseline: Rows, method: str, rule: str) -> Picture:
    return _heat(
        [row for row in baseline if row["method"] == method],
        lambda row: row["detector"],
        title=f"{method}: share called generated, per cent, {RULES[rule][0]}",
        rule=rule,
    )


def _heat(
    rows: Rows, label: Callable[[Mapping[str, Any]], str], *, title: str, rule: str = AT_5
) -> Picture:
    """Rates by label and tail; the same and new GAN seeds stand below one another."""
    kinds = [kind for kind in (SAME, NEW) if any(row["gan_seed"] == kind for row in rows)]
    labels = list(dict.fromkeys(label(row) for row in rows))
    tails = list(dict.fromkeys(row["tail"] for row in rows))
    lines = [(name, kind) for name in labels for kind in kinds]
    values = np.full((len(lines), 1 + len(tails)), np.nan)
    for row in rows:
        line = lines.index((label(row), row["gan_seed"]))
        values[line, 0] = row[RULES[rule][1]]
        values[line, 1 + tails.index(row["tail"])] = row[rule]
    names = [f"{name}, {kind} seed" if kind == kinds[0] else f"{kind} seed" for name, kind in lines]
    breaks = range(len(kinds), len(lines), len(kinds)) if len(kinds) > 1 else ()
    return Picture(
        rates_figure(values, names, [REAL_COLUMN, *tails], title=title, breaks=breaks),
        alt=f"{title}: rates of every tail",
        caption="Per cent of images called generated, means over pairs of a detector's and a GAN's "
        f"seed, {RULES[rule][0]}. In the column of real images these are false alarms.",
    )


def rates_table(baseline: Rows, method: str) -> Table:
    """Detection rate of every tail, same / new GAN seed, with real accuracy and AUC of BASELINE."""
    rows = [row for row in baseline if row["method"] == method]
    tails = list(dict.fromkeys(row["tail"] for row in rows))
    of = {(row["detector"], row["tail"], row["gan_seed"]): row for row in rows}
    lines = []
    for detector in dict.fromkeys(row["detector"] for row in rows):
        first = of[detector, BASELINE, SAME]
        rates = [
            " / ".join(
                f"{of[detector, tail, kind]['detected_at_5']:.2f}"
                for kind in (SAME, NEW)
                if (detector, tail, kind) in of
            )
            for tail in tails
        ]
        alarms = f"{first['false_alarms_at_5']:.2f}"
        lines.append([detector, f"{first['real_accuracy']:.2f}", alarms, *rates])
    return Table(
        f"{method}: detection rates at the threshold of 5 % false alarms of detectors trained on "
        f"real against {BASELINE} images; GANs of the same seed / of new seeds. Real accuracy: at "
        "their own boundary; false alarms: measured at the threshold, on other real images than "
        "those that set it.",
        ["detector", "real accuracy", "false alarms", *tails],
        lines,
    )


def interval_table(baseline: Rows, method: str) -> Table:
    """Every rate at both operating points with interval and extremes, and the AUC."""
    return Table(
        f"{method}: rates with the exact interval of 95 % of as many trials as there are GAN "
        "seeds, one vote each, and the lowest and highest of all pairs of seeds. An AUC far below "
        "0.5 says that the images can be told apart, but lie on the other side of the real ones.",
        [
            *("tail", "detector", "GAN seed", "at 5 % false alarms", "low to high"),
            *("at own boundary", "AUC", "real accuracy", "images"),
        ],
        [
            [
                *(row[name] for name in ("tail", "detector", "gan_seed")),
                *(_interval(row, AT_5), _ends(row, AT_5), _interval(row, OWN)),
                _interval(row, "auc"),
                f"{row['real_accuracy']:.2f}",
                f"{row['n_fake']}, {row['n_real']} real",
            ]
            for row in baseline
            if row["method"] == method
        ],
    )


def _interval(row: Mapping[str, Any], rate: str) -> str:
    return f"{row[rate]:.2f} [{row[f'{rate}_low']:.2f}, {row[f'{rate}_high']:.2f}]"


def _ends(row: Mapping[str, Any], rate: str) -> str:
    values = row[f"{rate}_pairs"]
    return f"{min(values):.2f} to {max(values):.2f}"


def decay_table(exponents: Rows) -> Table:
    """How the spectra end."""
    return Table(
        "Last value of the min-max curve (Durall et al. 2020), and the exponent b of the decay "
        "A r^b fitted to the highest frequencies with its first and last magnitude (Dzanic et al. "
        "2020, as released; a rising spectrum has b > 0). Means ± deviations over images.",
        ["images", "end of curve", "exponent b", "first", "last", "images measured"],
        [
            [row["images"], _spread(row, "curve_end"), _spread(row, "exponent")]
            + [row[name] for name in ("start", "end", "count")]
            for row in exponents
        ],
    )


def quality_table(quality: Rows) -> Table:
    """Frechet distances of every method and tail beside its spectrum, over GAN seeds."""
    networks = list(quality[0]["distances"])
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in quality:
        groups.setdefault((row["method"], row["tail"]), []).append(row)

    def over(values: Sequence[float], form: str) -> str:
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return plus_minus(float(np.mean(values)), deviation, form)

    return Table(
        "Frechet distances from as many real images of the train part (smaller is better; the "
        "features are as named, these are no FIDs) beside the end of the curve and the exponent. "
        "Means ± deviations over GAN seeds.",
        [
            *("GAN", "tail"),
            *(f"Frechet distance on {name}" for name in networks),
            *("end of curve", "exponent b"),
        ],
        [
            [
                *key,
                *(over([row["distances"][name] for row in rows], ".3g") for name in networks),
                over([row["curve_end"] for row in rows], ".3f"),
                over([row["exponent"] for row in rows], ".1f"),
            ]
            for key, rows in groups.items()
        ],
    )


def _spread(row: Mapping[str, Any], name: str) -> str:
    return plus_minus(row[name], row[f"{name}_std"])


def _spectra(method: str, spectra: Mapping[str, Any], size: int) -> Picture:
    # Real images come first in the results, and the first curve is drawn as the reference.
    shown = {
        label: curve
        for label, curve in stored_curves(spectra).items()
        if " " not in label or label.startswith(f"{method} ")
    }
    return Picture(
        spectra_figure(shown, title=f"{method}: mean radial log spectrum of {size}x{size} images"),
        alt=f"Radial spectra of real images and of {method} with every tail",
        caption="Durall curves, min-max normalised per image; bands: one standard deviation over "
        "images. An upturn at the right end is what the detectors look for.",
    )


def _losses(gans: Path, method: str, seed: int) -> Picture | str:
    name = f"{method}-{BASELINE}-seed{seed}"
    metrics = read_metrics(gans / name / "metrics.jsonl")
    if not metrics:
        return f"{name}: nothing was logged."
    return Picture(
        losses_figure(metrics),
        alt=f"Losses of {name}",
        caption=f"{name}; metrics.jsonl has those of all GANs.",
    )
