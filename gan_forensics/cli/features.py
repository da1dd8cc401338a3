"""`gan-forensics features`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan_forensics.cli.explain import facts_of, read_neural
from gan_forensics.cli.process import progress, start, write_csv

if TYPE_CHECKING:
    from gan_forensics.forensics.neural import NeuralDetector
    from gan_forensics.studies.transferable import Ranking


@dataclass(frozen=True)
class Features:
    """Rank a detector's channels by relevance, silence them, and take the colour away.

    Published: silencing 0.4 % of the channels blinds a detector to GANs that it never saw, and it
    sees less in gray (Chandrasegaran et al., ECCV 2022).

    Try it:

    $ gan-forensics features --detector runs/detector/detector.npz --fake generated
    --real photographs
    """

    detector: Path
    """detector.npz of `train detector`."""
    fake: str
    """Source of generated images, best of the GAN that the detector was trained on."""
    real: str | None = None
    """Source of real images; without them there is no average precision, only detection rates."""
    others: tuple[str, ...] = ()
    """Sources of further generated images to silence channels on."""
    k: int = 0
    """How many channels to silence; 0 for the published number, or 3 % of a small network's."""
    draws: int = 5
    """Random sets of channels to compare with."""
    most: int = 1000
    """Images of each source, drawn at random."""
    confidence: float = 0.9
    """Probability from which generated images count for the ranking."""
    seed: int = 0
    """Of all draws."""
    out: Path = Path("features")
    """Folder for features.csv, silenced.csv, colour.csv and report.html."""

    def __call__(self) -> None:
        """Run it."""
        start()
        from gan_forensics.studies.transferable import probe_colour, rank_features, silence

        if self.most < 1 or self.draws < 1 or self.k < 0:
            raise ValueError("--most and --draws must be at least 1, --k at least 0")
        detector = read_neural(self.detector)
        fakes = {name: self._images(name) for name in (self.fake, *self.others)}
        real = self._images(self.real) if self.real else None
        ranking = rank_features(detector, fakes[self.fake], confidence=self.confidence, k=self.k)
        silenced = silence(detector, ranking, real, fakes, draws=self.draws, seed=self.seed)
        colour = probe_colour(detector, ranking, real, fakes, seed=self.seed)
        self.out.mkdir(parents=True, exist_ok=True)
        write_csv(
            self.out / "features.csv",
            ["rank", "name", "layer", "channel", "channels", "omega"],
            [
                [place, f.name, f.layer, f.channel, f.channels, f"{f.omega:.9g}"]
                for place, f in enumerate(ranking.features, start=1)
            ],
        )
        for name, rows in (("silenced", silenced), ("colour", colour)):
            write_csv(self.out / f"{name}.csv", list(rows[0]), [list(row.values()) for row in rows])
        page = self._page(detector, ranking, silenced, colour)
        print(
            f"{ranking.images} of {ranking.given} images counted; first is "
            f"{ranking.features[0].name} (omega {ranking.features[0].omega:.3f})."
        )
        for row in silenced:
            what = "average_precision" if self.real else "fake_accuracy"
            print(f"{row['source']}, silenced {row['silenced']}: {what} {row[what]:.3f}")
        print(f"Open {page}.")

    def _images(self, name: str):
        import numpy as np

        from gan_forensics.data import open_source

        source = open_source(name)
        rows = np.random.default_rng(self.seed).permutation(len(source))[: self.most]
        return [source[int(i)]["image"] for i in progress(np.sort(rows))]

    def _page(self, detector: "NeuralDetector", ranking: "Ranking", silenced, colour) -> Path:
        from gan_forensics.report import (
            Bar,
            Facts,
            Picture,
            Section,
            Table,
            bars_figure,
            table_of,
            write_report,
        )

        value = "average_precision" if self.real else "fake_accuracy"
        label = value.replace("_", " ")
        bars = [
            Bar(Path(row["source"]).name, row[value], series=f"silenced: {row['silenced']}")
            for row in silenced
        ]
        by_layer: dict[str, list[int]] = {}
        for feature in ranking.features[: ranking.k]:
            by_layer.setdefault(feature.layer, []).append(feature.channel)
        sections = [
            Section(
                "The ranking",
                [
                    f"Omega is the mean share of its layer's relevance that a channel holds as "
                    f"evidence for \"generated\", over the {ranking.images} of {ranking.given} "
                    f"images of {self.fake} with a probability of at least {self.confidence:g}. "
                    f"The first {ranking.k} of {len(ranking.features)} channels are silenced.",
                    Table(
                        "The first twenty channels; features.csv has all",
                        ["channel", "omega"],
                        [[f.name, f.omega] for f in ranking.features[:20]],
                    ),
                    Table(
                        "Where the first channels lie",
                        ["layer", "how many", "channels"],
                        [[layer, len(c), ", ".join(map(str, c))] for layer, c in by_layer.items()],
                    ),
                    *(
                        ["Layers without any relevance for some images: "
                         + ", ".join(f"{n} ({c})" for n, c in ranking.silent.items())]
                        if ranking.silent else []
                    ),
                ],
            ),
            Section(
                "Silenced channels",
                [
                    Picture(
                        bars_figure(bars, title="Channels silenced", value_label=label),
                        alt=f"{label} with channels silenced, by source",
                        caption="Random: the mean probability of several draws.",
                    ),
                    table_of(silenced, caption="All rates; calibrated: at the threshold that is "
                    "best for the unmasked detector on these very images"),
                ],
            ),
            Section(
                "Colour",
                [
                    table_of(
                        colour,
                        caption="In colour and in gray; shares of channels whose largest "
                        "activations differ (Mood's median test, p <= 0.05). The share of the top "
                        "channels says something only where those of random and low ones are "
                        "smaller.",
                    )
                ],
            ),
            Section("Detector", [Facts(facts_of(detector))]),
        ]  # fmt: skip
        return write_report(
            self.out / "report.html",
            title="Forensic features",
            lead=f"The channels of {detector.name}, ranked, silenced and drained of colour.",
            sections=sections,
        )
