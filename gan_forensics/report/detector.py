"""Pages about a neural detector: its forensic features, and why it says so of single images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.report.html import Facts, Picture, Section, Table, write_report
from gan_forensics.report.plots import Bar, bars_figure
from gan_forensics.report.run import table_of

if TYPE_CHECKING:
    from gan_forensics.explain import Feature
    from gan_forensics.forensics.explanations import Patch
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
        silent = ", ".join(f"{name} ({count})" for name, count in ranking.silent.items())
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
            _about(detector),
        ],
    )


def explanations_page(
    path: Path,
    detector: "NeuralDetector",
    verdicts: Sequence[tuple[Path, float, str, Path]],
    ranked: str,
    channels: Sequence[tuple["Feature", Sequence["Patch"]]],
    errors: Sequence[Sequence[str]],
) -> Path:
    """The page that shows where a detector sees that images were generated.

    Args:
        path: of the page; channels.png, the collage of the patches, lies beside it.
        detector: that says so.
        verdicts: of each image its path, score, verdict, and the PNG file of its panel.
        ranked: how the channels were chosen, in words.
        channels: each with its patches.
        errors: path and reason of images that were left out.
    """
    pictures = [
        Picture(
            panel,
            alt=f"{image.name}, its heat map and Guided Grad-CAM",
            caption=f"{image.name}: score {score:.3g} (threshold {detector.threshold:.3g}), "
            f'{verdict}. Image; where relevance says "generated" (orange); Guided Grad-CAM.',
        )
        for image, score, verdict, panel in verdicts
    ]
    collage = Picture(
        path.with_name("channels.png"),
        alt="Patches that the channels fire most at, a row for each channel",
        caption="A row for each channel, strongest first: the box around what makes its most "
        "active unit fire, brought to one size.",
    )
    table = Table(
        "The channels, and the images of their patches",
        ["channel", "omega", "largest activation", "images"],
        [
            [f.name, f.omega, row[0].activation, [verdicts[p.image][0].name for p in row]]
            for f, row in channels
        ],
    )
    left_out = [Section("Not explained", [Table("Images left out", ["path", "reason"], errors)])]
    return write_report(
        path,
        title="Why the detector says so",
        lead=f"{len(verdicts)} images explained with {detector.name}.",
        sections=[
            Section("Images", pictures),
            Section("Channels", [ranked, collage, table] if channels else [ranked]),
            *(left_out if errors else []),
            _about(detector),
        ],
    )


def _about(detector: "NeuralDetector") -> Section:
    calibration = asdict(detector.calibration) if detector.calibration else {}
    facts = {
        "network": detector.arch,
        **{f"setting {name}": value for name, value in detector.settings.items()},
        "threshold": detector.threshold,
        **{f"calibration {name}": value for name, value in calibration.items()},
        **{name: str(value) for name, value in detector.facts.items()},
    }
    return Section("Detector", [Facts(facts)])
