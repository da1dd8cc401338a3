"""What a neural detector is, for people, and the page of its forensic features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.files import listed
from gan_forensics.forensics.format_audit import read_seen
from gan_forensics.report.blocks import Picture, Section, Table
from gan_forensics.report.figures import is_number
from gan_forensics.report.html import format_cell, write_report
from gan_forensics.report.plots import Bar, bars_figure
from gan_forensics.report.run import flatten, table_of
from gan_forensics.runtime.counts import parameters

if TYPE_CHECKING:
    from gan_forensics.forensics.calibration import Calibration
    from gan_forensics.forensics.neural import NeuralDetector
    from gan_forensics.studies.transferable import Ranking

Rows = Sequence[Mapping[str, Any]]


def features_page(
    path: Path,
    detector: "NeuralDetector",
    ranking: "Ranking",
    silenced: Rows,
    colour: Rows,
    *,
    source: str,
    confidence: float,
) -> Path:
    """The page of `rank_features` (on a source, from a confidence), `silence`, `probe_colour`."""
    value = "average_precision" if "average_precision" in silenced[0] else "fake_accuracy"
    label = value.replace("_", " ")
    bars = [
        Bar(Path(row["source"]).name, row[value], series=f"silenced: {row['silenced']}")
        for row in silenced
    ]
    top = ranking.features[: ranking.k]
    layers = {f.layer: [g.channel for g in top if g.layer == f.layer] for f in top}
    ranked = [
        "Omega is the mean share of its layer's relevance that a channel holds as evidence for "
        f'"generated", over the {ranking.images} of {ranking.given} images of {source} with a '
        f"probability of at least {confidence:g}. The first {ranking.k} of "
        f"{len(ranking.features)} channels are silenced.",
        Table(
            "The first twenty channels; features.csv has all",
            ["channel", "omega"],
            [[f.name, f.omega] for f in ranking.features[:20]],
        ),
        Table(
            "Where the first channels lie",
            ["layer", "how many", "channels"],
            [[layer, len(channels), channels] for layer, channels in layers.items()],
        ),
    ]
    if ranking.silent:
        silent = listed([f"{name} ({count})" for name, count in ranking.silent.items()])
        ranked.append(f"Layers without any relevance for some images: {silent}")
    picture = Picture(
        bars_figure(bars, title="Channels silenced", value_label=label),
        alt=f"{label} with channels silenced, by source",
        caption="Random: the mean probability of several draws.",
    )
    rates = (
        "All rates; calibrated: at the threshold that is best for the unmasked detector on these "
        "very images"
    )
    drained = (
        "In colour and in gray; shares of channels whose largest activations differ (Mood's median "
        "test, p <= 0.05). The share of the top channels says something only where those of random "
        "and low ones are smaller."
    )
    return write_report(
        path,
        title="Forensic features",
        lead=f"The channels of {detector.name}, ranked, silenced and drained of colour.",
        sections=[
            Section("The ranking", ranked),
            Section("Silenced channels", [picture, table_of(silenced, caption=rates)]),
            Section("Colour", [table_of(colour, caption=drained)]),
            about(detector),
        ],
    )


def probability_words(score: float) -> str:
    """1 / (1 + exp(-score)), what a network was trained to give, in percent; never 0 or 100."""
    from scipy.special import expit

    probability = float(expit(score))
    if probability > 0.999:
        return "over 99.9%"
    return "under 0.1%" if probability < 0.001 else f"{probability:.1%}"


def calibration_rows(calibration: "Calibration | None") -> list[tuple[str, str]]:
    """How the threshold was chosen and what it does, in words: (what, value)."""
    if calibration is None:
        return [("threshold set on", "no images: it stands for the probability 1/2")]
    groups = "" if calibration.groups is None else f" in {calibration.groups} groups"
    rows = [
        ("trained on", calibration.trained),
        ("threshold set on", f"{calibration.n_calibration} further real images{groups}"),
        ("false alarms aimed at", f"at most {100 * calibration.target:g} %"),
    ]
    if plain := calibration.as_they_are:
        rows += [
            ("false alarms measured", plain.false_alarms.words),
            ("generated images detected", plain.detected.words),
        ]
    return [*rows, ("seed of split and network", str(calibration.seed))]


# Names of facts that `train detector` writes, as people say them.
SAID = {
    "real": "real images from",
    "fake": "generated images from",
    "size": "images brought to",
    "split": "split",
    "augment": "augmentation in training",
    "probability": "probability of blur, of JPEG",
    "step": "training steps",
    "validation.validation/accuracy": "validation: accuracy at probability 1/2",
    "validation.validation/real_accuracy": "validation: real images called photographs",
    "validation.validation/fake_accuracy": "validation: generated images called generated",
    "validation.validation/average_precision": "validation: average precision",
    "width": "channels of its first map",
}


def fact_rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts of a detector for people: (what, value), shares in percent."""
    rows = []
    for name, value in flatten(facts).items():
        if name.endswith("negative_accuracy"):  # The accuracy once more, as the stopper wants it.
            continue
        if name == "probability" and not {"blur", "jpeg"} & {*_words(facts.get("augment"))}:
            continue
        if name == "size":
            value = "their own size" if value is None else f"{format_cell(value)} pixels a side"
        elif name == "augment":
            value = _words(value) or "none"
        elif (name == "probability" or name.endswith("accuracy")) and is_number(value):
            value = f"{value:.1%}"
        rows.append((SAID.get(name, name.replace("_", " ").replace(".", ": ")), format_cell(value)))
    return rows


def _words(value: Any) -> list[str]:
    """The words in a fact that should be a list of them, whatever it is."""
    given = value if isinstance(value, list | tuple) else ()
    return [word for word in given if isinstance(word, str)]


def audit_words(audit: Any) -> str:
    """What a detector's facts say of the formats of its files."""
    known = audit if isinstance(audit, Mapping) else {}
    if not is_number(known.get("remaining")):
        return "not known"
    verdict = "better than chance: see the detector's page" if known.get("biased") else "chance"
    return f"{known['remaining']:.0%} of real and generated images, {verdict}"


def about(detector: "NeuralDetector") -> Section:
    """What a page says of the detector that it is about."""
    share = f"probability {probability_words(detector.threshold)} by the network itself"
    rows = [
        ("network", f"{detector.arch}, {parameters(detector.variables['params']):,} parameters"),
        *fact_rows(detector.settings),
        ("threshold", f"logit {detector.threshold:.3g}, {share}"),
        *calibration_rows(detector.calibration),
        *fact_rows({k: v for k, v in detector.facts.items() if k not in ("seen", "audit")}),
    ]
    if seen := read_seen(detector.facts.get("seen")):
        rows.append(("files it was fitted on", seen.words))
    if audit := detector.facts.get("audit"):
        rows.append(("told apart by container, size and colours", audit_words(audit)))
    return Section(
        "Detector", [Table("What says so, and what it rests on", ["fact", "value"], rows)]
    )
