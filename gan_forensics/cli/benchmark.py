"""`gan-forensics benchmark build`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import progress
from gan_forensics.files import listed, say, tell


@dataclass(frozen=True)
class Benchmark:
    """Build a benchmark for attribution from trained GANs: which of them made an image?

    Images of every GAN and real ones that trained none, as PNG of one size in
    SOURCE/SEMANTIC/INSTANCE (a semantic is what is to be seen, an instance one training of a GAN),
    with train.csv, val.csv and test.csv in the format of Attribution88. Unseen semantics and new
    seeds are in test.csv alone. benchmark.json says where everything comes from.

    Try it:

    $ gan-forensics benchmark build --runs dcgan/photos/0=runs/a sngan/photos/0=runs/b
    --real photos=samples:photos --out benchmark

    $ gan-forensics benchmark build --runs runs/dcgan-0 runs/dcgan-1 runs/sngan-0 runs/sngan-1
    --real dogs=folder:dogs --new-seeds 1 --out benchmark

    The second takes source, semantic and instance from the runs: their method and tail, the
    --real source that they trained on, and their seed.
    """

    what: Positional[Literal["build"]]
    """build"""
    runs: Annotated[tuple[str, ...], arg(metavar="SOURCE/SEMANTIC/INSTANCE=RUN|RUN [...]")]
    """Run folders of `train`. Every source needs one of every semantic."""
    real: Annotated[
        tuple[str, ...], arg(aliases=["--sources"], metavar="SEMANTIC=SOURCE [SEMANTIC=SOURCE ...]")
    ]
    """Real images of each semantic. Of a source that trained GANs, its held-out part; in any case
    none that equals an image that trained."""
    out: Path
    """Folder of the benchmark: a new one. The same benchmark is not built twice."""
    unseen: tuple[str, ...] = ()
    """Semantics that nothing may be fitted on: test.csv alone."""
    new_seeds: tuple[str, ...] = ()
    """Instances that nothing may be fitted on: test.csv alone."""
    train: int = 240
    """Images in train.csv of each source and seen semantic, divided among its instances."""
    val: int = 60
    """Images in val.csv, likewise."""
    test: int = 120
    """Images in test.csv, likewise, also of unseen semantics; of new seeds as many again."""
    seed: int = 0
    """Of the noise, and of which real images come where."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_folder_out
        from gan_forensics.studies.benchmark import build_benchmark

        at_least(1, train=self.train, val=self.val, test=self.test)
        at_least(0, seed=self.seed)
        check_folder_out(self.out)
        facts = build_benchmark(
            self.out,
            self.runs,
            self._real(),
            unseen=self.unseen,
            new_seeds=self.new_seeds,
            counts={"train": self.train, "val": self.val, "test": self.test},
            seed=self.seed,
            follow_links=self.follow_links,
            say=say,
            progress=progress,
        )
        counts = ", ".join(f"{n} in {split}.csv" for split, n in facts["counts"].items())
        tell(
            f"{self.out}: {counts}; {len(facts['names'])} sources ({listed(facts['names'])}), "
            f"semantics {listed(facts['seen'])}"
            + (f", unseen {listed(facts['unseen'])}" if facts["unseen"] else "")
        )

    def _real(self) -> dict[str, str]:
        """Sources of real images by semantic."""
        real = {}
        for text in self.real:
            semantic, said, source = text.partition("=")
            if not semantic or not source or "/" in semantic or semantic in (".", ".."):
                raise ValueError(f"--real {text}: write SEMANTIC=SOURCE, as in dogs=folder:dogs")
            if semantic in real:
                raise ValueError(f"--real {text}: {semantic} has a source already")
            real[semantic] = source
        return real
