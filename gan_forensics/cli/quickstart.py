"""`gan-forensics quickstart`."""

from dataclasses import dataclass
from pathlib import Path

from gan_forensics.cli.checks import at_least
from gan_forensics.files import tell


@dataclass(frozen=True)
class Quickstart:
    """Show the whole story on real photographs in a few minutes on two CPU cores.

    Trains small DCGANs that differ only in their last upsampling, measures spectra, trains
    detectors on real against BASELINE images, and counts which tails they still see.

    Try it:

    $ gan-forensics quickstart --out runs/quickstart
    """

    out: Path = Path("runs/quickstart")
    """Folder for results.json, metrics.jsonl, samples/ and report.html."""
    steps: int = 1000
    """Training steps of each GAN; fewer is faster and shows less."""
    seed: int = 0
    """Of the GANs and the detectors."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_folder_out
        from gan_forensics.studies.bypass import StudyConfig, run_study

        at_least(1, steps=self.steps)
        at_least(0, seed=self.seed)
        check_folder_out(self.out)
        config = StudyConfig(steps=self.steps, seeds=(self.seed,), images=600, learning_rate=4e-4)
        results = run_study(config, self.out)
        tell("", *results["finding"].split("\n"), "")
        tell(f"Open {self.out / 'report.html'}; the numbers are in {self.out / 'results.json'}.")
