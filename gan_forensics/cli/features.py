"""`gan-forensics features`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.explain import read_neural
from gan_forensics.cli.process import open_source, progress
from gan_forensics.cli.sharding import Sharding
from gan_forensics.files import say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.data import Source
    from gan_forensics.forensics.neural import NeuralDetector
    from gan_forensics.forensics.preprocessing import Preprocessing
    from gan_forensics.studies.transferable import Ranking


@dataclass(frozen=True)
class Features:
    """Rank a detector's channels by relevance, silence them, and take the colour away.

    Published: silencing 0.4 % of the channels blinds a detector to GANs that it never saw, and it
    sees less in gray (Chandrasegaran et al., ECCV 2022).

    With --shard channels are ranked by all images of --fake, by any number of workers; channels are
    silenced by --merge, on --most images.

    Try it:

    $ gan-forensics features --detector runs/detector/detector.npz --fake generated
    --real photographs

    $ gan-forensics features --detector runs/detector/detector.npz --fake generated --out sums
    --shard 0/8

    $ gan-forensics features --detector runs/detector/detector.npz --fake generated --out sums
    --merge features
    """

    detector: Path
    """detector.npz of `train detector`."""
    fake: str
    """Source of generated images, best of the GAN that the detector was trained on."""
    real: str | None = None
    """Source of real images; without them there is no average precision, only detection rates."""
    others: tuple[str, ...] = ()
    """Sources of further generated images to silence channels on."""
    k: int | None = None
    """How many channels to silence; by default the published number, or 3 % of a small network's.
    """
    draws: int = 5
    """Random sets of channels to compare with."""
    most: int = 1000
    """Images of each source; of more, they are drawn by --seed and their place in it."""
    confidence: float = 0.9
    """Probability from which generated images count for the ranking."""
    seed: int = 0
    """Of all draws."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    out: Path = Path("features")
    """Folder for features.csv, silenced.csv, colour.csv and report.html."""
    sharding: Sharding = field(default_factory=Sharding)
    """Workers by shards."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_folder_out

        at_least(1, most=self.most, draws=self.draws, k=self.k)
        at_least(0, seed=self.seed)
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"--confidence {self.confidence:g}: a probability from 0 to 1")
        self.sharding.check(self.out, Features.out, table=False)
        check_folder_out(self.out)
        if self.sharding.merge is not None:
            check_folder_out(self.sharding.merge, "--merge")
        detector = read_neural(self.detector)
        ranking = self._by_shards(detector) if self.sharding.asked else None
        if ranking is not None or not self.sharding.asked:
            self._probed(self.sharding.merge or self.out, detector, ranking)

    def _by_shards(self, detector: "NeuralDetector") -> "Ranking | None":
        """As one of many workers; or the ranking by all their sums."""
        from gan_forensics.studies.relevance_scorer import Relevance, RelevanceScorer

        found = Relevance(RelevanceScorer(detector, self.confidence))
        self.sharding.run(
            found.scorer, [Path(self.fake)], self.out, follow_links=self.follow_links,
            make=lambda: RelevanceScorer(read_neural(self.detector), self.confidence),
            take=found.take,
        )  # fmt: skip
        if self.sharding.merge is None:
            return None
        if found.errors:
            say(f"{found.errors} images have an error, and are not counted")
        return found.ranking(self.k)

    def _probed(self, out: Path, detector: "NeuralDetector", ranking: "Ranking | None") -> None:
        """Channels ranked, unless they are, silenced, and looked at in gray."""
        from gan_forensics.data.survey import sentences, surveyed
        from gan_forensics.report.detector import features_page
        from gan_forensics.studies.transferable import probe_colour, rank_features, silence

        prepare = detector.preprocessing
        names = [self.fake, *self.others, *([self.real] if self.real else [])]
        _, images, left_out = surveyed(
            {name: self._images(name, prepare) for name in dict.fromkeys(names)},
            view=lambda image: image,
            progress=progress,
        )
        for line in sentences(left_out.get("left_out", {})):
            say(line)
        read = {
            name: [source[i]["image"] for i in range(len(source))]
            for name, source in zip(dict.fromkeys(names), images, strict=True)
        }
        fakes = {name: read[name] for name in (self.fake, *self.others)}
        real = read[self.real] if self.real else None
        ranking = ranking or rank_features(
            detector, fakes[self.fake], confidence=self.confidence, k=self.k
        )
        silenced = silence(detector, ranking, real, fakes, draws=self.draws, seed=self.seed)
        colour = probe_colour(detector, ranking, real, fakes, seed=self.seed)
        write_csv(
            out / "features.csv",
            [
                {"rank": rank, "name": f.name, **f._asdict(), "omega": f"{f.omega:.9g}"}
                for rank, f in enumerate(ranking.features, start=1)
            ],
        )
        write_csv(out / "silenced.csv", silenced)
        write_csv(out / "colour.csv", colour)
        page = features_page(
            out / "report.html",
            detector,
            ranking,
            silenced,
            colour,
            source=self.fake,
            confidence=self.confidence,
        )
        tell(
            f"{ranking.images} of {ranking.given} images counted; first is "
            f"{ranking.features[0].name} (omega {ranking.features[0].omega:.3f})."
        )
        for row in silenced:
            what = "average_precision" if self.real else "fake_accuracy"
            tell(f"{row['source']}, silenced {row['silenced']}: {what} {row[what]:.3f}")
        tell(f"Open {page}.")

    def _images(self, name: str, prepare: "Preprocessing") -> "Source":
        """Images of a source as the detector sees them."""
        import numpy as np

        from gan_forensics.data import Rows
        from gan_forensics.forensics.preprocessing import Prepared

        source = Prepared(open_source(name, follow_links=self.follow_links), prepare)
        chosen = np.random.default_rng(self.seed).permutation(len(source))[: self.most]
        return Rows(source, np.sort(chosen))
