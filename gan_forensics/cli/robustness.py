"""`gan-forensics detect robustness`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from gan_forensics.cli import real_and_fake
from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import progress, say, write_csv

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector


@dataclass(frozen=True)
class DetectRobustness:
    """Measure what a detector's verdicts survive: compression, noise, blur, weather, by severity.

    The same images are scored as they are and after each perturbation; both accuracies at the
    detector's threshold and the AUC come with exact intervals. Give images that neither trained the
    detector nor set its threshold.

    Try it:

    $ gan-forensics detect robustness photographs generated --detector detector.npz

    $ gan-forensics detect robustness photographs generated --detector detector.npz
    --perturbations gaussian_noise fog jpeg-75 contrast-3 --out robustness
    """

    real: Positional[str]
    """Source of real images: a folder, or any other source."""
    fake: Positional[str]
    """Source of generated images."""
    detector: Path
    """A file of `detect fit` or `train detector`."""
    weights: Path | None = None
    """The weights that `detect fit` was given, where it was given any."""
    out: Path = Path("robustness")
    """Folder for robustness.csv, results.json and report.html."""
    perturbations: tuple[str, ...] = ()
    """Names, such as jpeg-75 or fog-3, or kinds, such as fog for its five severities; by default
    all. frost_procedural is frost with a computed texture."""
    frost_textures: Path | None = None
    """Folder of photographs of frost; by default those of an installed imagecorruptions."""
    images: int = 200
    """Images of either class, at most; of more, they are drawn by --seed."""
    groups: str | None = None
    """What images belong together, as in `detect fit`; a group has one vote."""
    seed: int = 0
    """Of the choice of images. What is done to an image follows from its pixels."""
    follow_links: bool = False
    """Follow links that leave a folder."""

    def __call__(self) -> None:
        """Run it."""
        import numpy as np

        from gan_forensics.data import Rgb
        from gan_forensics.data.files import check_folder_out, write_json
        from gan_forensics.forensics import load_detector
        from gan_forensics.forensics.measure import measured
        from gan_forensics.report.provenance import provenance
        from gan_forensics.report.robustness import finding, robustness_page, robustness_rows

        check_folder_out(self.out)
        at_least(1, images=self.images)
        at_least(0, seed=self.seed)
        names, said = self._names()
        detector = load_detector(self.detector, frozen=self.weights)
        sources = self._opened(self.real), self._opened(self.fake)
        self._check_fitted_on(detector)
        rng = np.random.default_rng(self.seed)
        rows = tuple(
            np.sort(rng.permutation(len(source))[: self.images]) for source in sources
        )  # fmt: skip
        groups = real_and_fake.grouped((self.real, self.fake), sources, self.groups)
        found = measured(
            detector,
            (Rgb(sources[0]), Rgb(sources[1])),
            (rows[0], rows[1]),
            groups=None if groups is None else (groups[0][rows[0]], groups[1][rows[1]]),
            seed=self.seed,
            carriers=names,
            frost_textures=self.frost_textures,
            progress=progress,
        )
        table = robustness_rows(found)
        protocol = {
            "real": self.real,
            "generated": self.fake,
            "detector": str(self.detector),
            "threshold": detector.threshold,
            "real images": len(rows[0]),
            "generated images": len(rows[1]),
            "groups": self.groups,
            "seed": self.seed,
            "intervals": "95 %; rates: Clopper-Pearson; AUC: as a rate over the smaller class",
            "draws": "from the pixels of each image; all severities of a kind share them",
            **provenance(),
        }
        write_csv(self.out / "robustness.csv", table)
        write_json(
            self.out / "results.json", {"protocol": protocol, "said": said, "perturbations": table}
        )
        page = robustness_page(self.out / "report.html", detector, table, protocol, said)
        print(finding(table))
        if missing := [name for name in names if name not in {r["perturbation"] for r in table}]:
            say(f"no image had a score after {', '.join(missing)}: flat images have no spectrum")
        print(f"Open {page}; the numbers are in {self.out / 'robustness.csv'}.")

    def _names(self) -> tuple[tuple[str, ...], str]:
        """The perturbations, and what must be said of them; frost that was asked for stays."""
        from gan_forensics.data.carriers import CARRIERS
        from gan_forensics.data.corruption_frost import texture_files
        from gan_forensics.data.corruptions import CORRUPTIONS
        from gan_forensics.data.perturbations import at_hand, kind_of, names_of

        if not self.perturbations:
            names, said = at_hand((*CARRIERS, *CORRUPTIONS), frost_textures=self.frost_textures)
            if said:
                say(said)
            return names_of(names), said
        names = names_of(self.perturbations)
        if any(kind_of(name)[0] == "frost" for name in names):
            texture_files(self.frost_textures)
        elif self.frost_textures is not None:
            raise ValueError("--frost-textures: no perturbation is frost; leave it out")
        return names, ""

    def _opened(self, name: str):
        """A source whose images keep their size; one that is empty is refused."""
        source = real_and_fake.open_native(
            name, size=None, split="all", follow_links=self.follow_links
        )
        if not len(source):
            raise ValueError(f"{name}: no images; give at least one of either class")
        return source

    def _check_fitted_on(self, detector: "Detector") -> None:
        """Say where a source is one that the detector was fitted on."""
        known = {detector.facts.get("real"), detector.facts.get("fake")}
        for name in (self.real, self.fake):
            if name in known:
                say(
                    f"{name}: the detector was fitted on images of this source, and does better on "
                    "them than on others"
                )
