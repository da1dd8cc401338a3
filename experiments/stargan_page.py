"""The experiment on StarGAN as one page: who lands, spectra, pictures, protocol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.report import (
    Picture,
    Section,
    Table,
    bars_figure,
    losses_figure,
    spectra_figure,
    stored_curves,
)
from gan_forensics.report.html import Share
from gan_forensics.studies import pages
from gan_forensics.studies.pages import bar, plus_minus
from gan_forensics.train import read_metrics

Rows = Sequence[Mapping[str, Any]]


def write_page(out: Path, results: Mapping[str, Any]) -> Path:
    """Write `report.html` and `results.md` into the folder of the experiment."""
    facts = results["protocol"]
    names = [f"{upsampling}-seed{facts['seeds'][0]}" for upsampling in facts["upsamplings"]]
    row = "; ".join(("the image", *dict.fromkeys(r["target"] for r in results["translations"])))
    sections = [
        Section(
            "Who lands",
            [
                _bars(results["translations"]),
                translations_table(results["translations"]),
                classifier_table(results["classifier"], facts["held_out_images"]),
            ],
        ),
        Section(
            "Spectra", [_spectra(results["spectra"], facts["size"]), ends(results["exponents"])]
        ),
        Section(
            "Images",
            [f"Held-out images, a row each: {row}.", *pages.samples(out, names)],
        ),
        Section("Training", [_losses(out / "gans" / name, name) for name in names[:1]]),
    ]
    pages.write_markdown(out, results, sections)
    return pages.write_page(
        out,
        results,
        title="What StarGAN translates, and what its upsampling leaves in the spectrum",
        sections=sections,
        timed="Seconds of training and measuring each StarGAN.",
    )


def translations_table(rows: Rows) -> Table:
    """The share that lands, for each upsampling and target."""
    return Table(
        "Share of held-out translations that have the attribute asked for, that are right in every "
        "attribute, and that would be if the image itself were handed back. Mean ± deviation over "
        "seeds.",
        ["upsampling", "target", "landed", "right in all", "copy of the image", "images"],
        [
            [row["upsampling"], row["target"]]
            + [plus_minus(row[n], row[f"{n}_std"]) for n in ("landed", "as_asked", "copy")]
            + [row["images"]]
            for row in rows
        ],
    )


def classifier_table(accuracy: Mapping[str, float], count: int) -> Table:
    """On how many real images the classifier is right."""
    return Table(
        f"The classifier on {count} held-out real images.",
        ["attribute", "told right"],
        [[name, Share(share)] for name, share in accuracy.items()],
    )


def ends(exponents: Rows) -> Table:
    """How the spectra end."""
    columns = ("curve_end", "exponent", "resampled_end")

    def cell(values: Sequence[float]) -> str:
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return plus_minus(float(np.mean(values)), deviation, ".3f")

    return Table(
        "Last value of the min-max curve (Durall et al. 2020), 0 where nothing rises at the end; "
        "median exponent b of the decay fit (Dzanic et al. 2020, as released; a rising spectrum "
        "has b > 0); last of the resampled values divided by the first (Durall et al. 2019). Means "
        "over images (b: median); ± between seeds.",
        ["images", "end of curve", "exponent b", "end of resampled curve"],
        [[row["images"], *(cell(row[name]) for name in columns)] for row in exponents],
    )


def _bars(rows: Rows) -> Picture:
    bars = [bar(row["target"], row["landed"], row["landed_std"], row["upsampling"]) for row in rows]
    return Picture(
        bars_figure(bars, title="Translations that land", value_label="share (lines: seeds)"),
        alt="Share of translations that land, by target and upsampling",
        caption="By a classifier of real images.",
    )


def _spectra(spectra: Mapping[str, Any], size: int) -> Picture:
    return Picture(
        spectra_figure(
            stored_curves(spectra), title=f"Mean radial log spectrum of {size}x{size} images"
        ),
        alt="Radial spectra of real images and of translations with every upsampling",
        caption="Min-max curves; bands: one standard deviation over images.",
    )


def _losses(run: Path, name: str) -> Picture | str:
    metrics = read_metrics(run / "metrics.jsonl")
    if not metrics:
        return f"{name}: nothing was logged."
    return Picture(losses_figure(metrics), alt=f"Losses of {name}", caption=name)
