"""`gan-forensics detect robustness`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction

from gan_forensics.cli import real_and_fake
from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import progress
from gan_forensics.files import listed, say, tell, write_csv

if TYPE_CHECKING:
    import numpy as np

    from gan_forensics.data import Source
    from gan_forensics.forensics.detectors import Detector


@dataclass(frozen=True)
class DetectRobustness:
    """Measure what a detector's verdicts survive: compression, noise, blur, weather, by strength.

    The same images are scored as they are and after each perturbation; both accuracies at the
    detector's threshold and the AUC come with exact intervals. Give images that neither trained the
    detector nor set its threshold; of several generators, each is measured against the real ones.

    Try it:

    $ gan-forensics detect robustness photographs generated --detector detector.npz

    $ gan-forensics detect robustness photographs generated --detector detector.npz
    --perturbations gaussian_noise fog jpeg webp-75 down-up-lanczos --out robustness

    $ gan-forensics detect robustness photographs BASELINE=samples/baseline N.1.5=samples/nearest
    --detector plain.npz --detector robust.npz --perturbations jpeg blur
    """

    real: Positional[str]
    """Source of real images: a folder, or any other source."""
    fake: Positional[tuple[str, ...]]
    """Sources of generated images, one or more: SOURCE, or NAME=SOURCE to call it NAME."""
    detector: Annotated[tuple[Path, ...], UseAppendAction]
    """A file of `detect fit` or `train detector`; once more for each further one to compare."""
    weights: Path | None = None
    """The weights that `detect fit` was given, where it was given any."""
    out: Path = Path("robustness")
    """Folder for robustness.csv, results.json and report.html. With several detectors each has its
    own in a folder of its name below, and report.html compares them."""
    perturbations: tuple[str, ...] = ()
    """Names, such as jpeg-75 or fog-3, or families, such as jpeg, webp, blur, noise, down-up,
    down-up-opencv, down-up-lanczos, resize-bilinear, jpeg-75+webp (JPEG of 75, then WebP), or fog
    for its five severities. A family is all its strengths: qualities from 95 to 30, factors from
    0.9 to 0.25, blur-0.5 to blur-3 (pixels), noise-1 to noise-10 (levels). By default the carriers
    of `detect fit` and all corruptions. frost_procedural is frost with a computed texture."""
    frost_textures: Path | None = None
    """Folder of photographs of frost; by default those of an installed imagecorruptions."""
    images: int = 200
    """Images of a source, at most; of more, they are drawn by --seed."""
    groups: str | None = None
    """What images belong together, as in `detect fit`; a group has one vote."""
    seed: int = 0
    """Of the choice of images. What is done to an image follows from its pixels."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out. Flat images are
    always left out, and named."""

    def __call__(self) -> None:
        """Run it."""
        import numpy as np

        from gan_forensics.data import Rgb
        from gan_forensics.files import check_folder_out
        from gan_forensics.report.robustness import comparison_page

        check_folder_out(self.out)
        at_least(1, images=self.images)
        at_least(0, seed=self.seed)
        names, said = self._names()
        fakes, files = real_and_fake.by_name(self.fake), self._files()
        detectors = self._loaded(files)
        opened = [
            real_and_fake.open_some(name, follow_links=self.follow_links)
            for name in (self.real, *fakes.values())
        ]
        for label, detector in detectors.items():
            which = "the detector" if len(detectors) == 1 else f"the detector {label}"
            real_and_fake.say_fitted_on(detector, (self.real, *fakes.values()), which)
        rng = np.random.default_rng(self.seed)
        rows = [np.sort(rng.permutation(len(source))[: self.images]) for source in opened]
        labels = ("real images", *fakes)
        for label, name, some, source in zip(
            labels, (self.real, *fakes.values()), rows, opened, strict=True
        ):
            say(f"{label}: {len(some)} of the {len(source)} images of {name}")
        groups = real_and_fake.groups_by(labels, opened, self.groups)
        protocol = {
            "real": self.real,
            "generated": ", ".join(
                name if name == label else f"{label}={name}" for label, name in fakes.items()
            ),
            "real images": len(rows[0]),
            "generated images": ", ".join(str(len(some)) for some in rows[1:]),
            "groups": self.groups,
            "seed": self.seed,
        }
        tables = {}
        for name, detector in detectors.items():
            out = self.out if len(detectors) == 1 else self.out / name
            tables[name] = self._measured(
                detector, files[name], out, fakes, [Rgb(source) for source in opened], rows,
                None if groups is None else [g[r] for g, r in zip(groups, rows, strict=True)],
                names, said, protocol,
            )  # fmt: skip
        if len(tables) > 1:
            write_csv(
                self.out / "robustness.csv",
                [{"detector": name, **row} for name, table in tables.items() for row in table],
            )
            page = comparison_page(self.out / "report.html", tables, protocol, said)
            tell(f"Open {page}, which compares them; the numbers are in robustness.csv beside it.")

    def _measured(
        self,
        detector: "Detector",
        file: Path,
        out: Path,
        fakes: dict[str, str],
        sources: "Sequence[Source]",
        rows: "Sequence[np.ndarray]",
        groups: "Sequence[np.ndarray] | None",
        names: tuple[str, ...],
        said: str,
        protocol: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Measure one detector, write its table, results and page, and print what was found."""
        from gan_forensics.data import Rows
        from gan_forensics.data.survey import sentences, surveyed
        from gan_forensics.files import write_json
        from gan_forensics.forensics.measure import measured_each
        from gan_forensics.report.provenance import provenance
        from gan_forensics.report.robustness import finding, robustness_page, robustness_rows

        given = {
            label: Rows(source, some)
            for label, source, some in zip(("real images", *fakes), sources, rows, strict=True)
        }
        surveys, _, left_out = surveyed(
            given, view=detector.view, on_bad_image=self.on_bad_image, progress=progress
        )
        rows = [some[one.rows] for some, one in zip(rows, surveys, strict=True)]
        if groups is not None:
            groups = [some[one.rows] for some, one in zip(groups, surveys, strict=True)]
        without = sentences(left_out.get("left_out", {}))
        for line in without:
            say(line)
        found = measured_each(
            detector,
            sources,
            rows,
            groups=groups,
            seed=self.seed,
            carriers=names,
            frost_textures=self.frost_textures,
            progress=progress,
        )
        tables = {
            label: robustness_rows(some, label) for label, some in zip(fakes, found, strict=True)
        }
        table = [row for some in tables.values() for row in some]
        protocol = {
            **protocol,
            "real images": len(rows[0]),
            "generated images": ", ".join(str(len(some)) for some in rows[1:]),
            "detector": str(file),
            "threshold": detector.threshold,
            "intervals": "95 %; rates: Clopper-Pearson; AUC: as a rate over the smaller class",
            "draws": "from the pixels of each image; all severities of a kind share them",
            **provenance(),
        }
        write_csv(out / "robustness.csv", table)
        write_json(
            out / "results.json",
            {
                "protocol": protocol,
                "said": said,
                "perturbations": table,
                **left_out,
                **real_and_fake.splits_of((self.real, *fakes.values()), sources),
            },
        )
        said = "\n\n".join(filter(None, [said, *without]))
        page = robustness_page(out / "report.html", detector, table, protocol, said)
        if len(self.detector) > 1:
            tell(f"{file}:")
        tell(*finding(table).split("\n"))
        for label, some in tables.items():
            if missing := [n for n in names if n not in {row["perturbation"] for row in some}]:
                say(
                    f"{label}: no image had a score after {listed(missing)}: all are flat then, "
                    "and have no spectrum"
                )
        tell(f"Open {page}; the numbers are in {out / 'robustness.csv'}.")
        return table

    def _files(self) -> dict[str, Path]:
        """Name -> file of the detectors; the name is that of the file, without its ending."""
        if not self.detector:
            raise ValueError("give --detector FILE, a file of `detect fit` or `train detector`")
        found: dict[str, Path] = {}
        for path in self.detector:
            if path.stem in found:
                raise ValueError(
                    f"--detector {path}: {found[path.stem]} is called {path.stem} as well, and "
                    "the results lie in folders of these names: rename one"
                )
            found[path.stem] = path
        return found

    def _loaded(self, files: dict[str, Path]) -> "dict[str, Detector]":
        """The detectors; of several the weights are for those that ask for some."""
        from gan_forensics.forensics import load_detector
        from gan_forensics.forensics.detectors import needs_weights

        asking = {name for name, path in files.items() if needs_weights(path)}
        if self.weights is not None and not asking:
            raise ValueError("--weights: no detector has frozen features; leave it out")
        return {
            name: load_detector(path, frozen=self.weights if name in asking else None)
            for name, path in files.items()
        }

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
