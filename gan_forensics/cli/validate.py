"""`gan-forensics detect validate`, and what it shares with `detect recalibrate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gan_forensics.cli import real_and_fake
from gan_forensics.cli.process import progress
from gan_forensics.files import say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector
    from gan_forensics.forensics.validation import NewScores

PHOTOGRAPHS = "photographs"


@dataclass(frozen=True)
class DetectValidate:
    """Measure what a detector's likelihood ratios are worth on new images of known origin.

    By generator and by tier (clean: as the files are; web: at most 768 pixels, JPEG 60; hard: 512
    pixels, JPEG 40): Cllr, Cllr_min and Cllr_cal, devPAV, AUC, false alarms and misses with exact
    intervals; Tippett, PAV and ECE plots. Give images that the detector was not fitted on, of
    generators that it saw and of others; those that its calibrators were fitted on are recognised
    by their scores and left out.

    Try it:

    $ gan-forensics detect validate detector.npz --real photographs --fake generated

    $ gan-forensics detect validate detector.npz --real photographs --fake dcgan=samples/dcgan
    sagan=samples/sagan --out validation
    """

    detector: Positional[Path]
    """A file of `detect fit` or `train detector`."""
    real: str
    """Source of photographs: a folder, or any other source."""
    fake: tuple[str, ...]
    """Sources of generated images, one for each generator: SOURCE, or NAME=SOURCE to call it
    NAME."""
    weights: Path | None = None
    """The weights that `detect fit` was given, where it was given any."""
    out: Path = Path("validation")
    """Folder for validation.csv, validation.json (LRs of all images too), the plots as PNG, and
    report.html."""
    groups: str | None = None
    """What images belong together, as in `detect fit`; a group has one vote."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out and count them. Flat
    images are always left out, and named."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_folder_out, write_json
        from gan_forensics.forensics import load_detector
        from gan_forensics.forensics.validation import check_calibrated, row_of, validated
        from gan_forensics.report.provenance import provenance
        from gan_forensics.report.validation import save_figures, sentences, validation_page

        check_folder_out(self.out)
        fakes = generators(self.fake)
        detector = load_detector(self.detector, frozen=self.weights)
        check_calibrated(detector)
        names = {PHOTOGRAPHS: self.real, **fakes}
        new, said, left_out = new_scores(
            detector, names, groups=self.groups, follow_links=self.follow_links,
            on_bad_image=self.on_bad_image,
        )  # fmt: skip
        found = validated(detector, new)
        rows = [row_of(one) for one in found]
        protocol = {
            "detector": str(self.detector),
            "sha256": detector.sha256,
            "threshold": detector.threshold,
            "photographs": self.real,
            "generated": ", ".join(
                name if name == label else f"{label}={name}" for label, name in fakes.items()
            ),
            "images": ", ".join(f"{n} {name}" for name, n in _sizes(new).items()),
            "groups": self.groups,
            "intervals": "95 %; rates: Clopper-Pearson; AUC: as a rate over the smaller class",
            **provenance(),
        }
        write_csv(self.out / "validation.csv", rows)
        ratios = [
            {
                "generated": one.generated,
                "tier": one.tier,
                "log10_lr_photographs": one.real_log10_lr.tolist(),
                "log10_lr_generated": one.fake_log10_lr.tolist(),
            }
            for one in found
            if one.real_log10_lr is not None and one.fake_log10_lr is not None
        ]
        write_json(
            self.out / "validation.json",
            {"protocol": protocol, "said": said, "found": rows, "ratios": ratios, **left_out},
        )
        plots = save_figures(self.out, found)
        page = validation_page(self.out / "report.html", detector, found, plots, protocol, said)
        tell(*sentences(found))
        tell(f"Open {page}; the numbers are in {self.out / 'validation.csv'}.")


def generators(texts: tuple[str, ...]) -> dict[str, str]:
    """Name -> source of generated images; names that tables have for others are refused."""
    from gan_forensics.forensics.validation import ALL

    found = real_and_fake.by_name(texts)
    for taken in (PHOTOGRAPHS, ALL):
        if taken in found:
            raise ValueError(
                f"--fake {taken}: tables have this name for others; write NAME={found[taken]}"
            )
    return found


def new_scores(
    detector: "Detector",
    names: Mapping[str, str],
    *,
    groups: str | None,
    follow_links: bool,
    on_bad_image: Literal["stop", "skip"],
) -> "tuple[NewScores, list[str], dict[str, Any]]":
    """Scores of sources by what they are called, photographs first, in every tier.

    Returns:
        The scores; what was left out, in sentences, which are said; and that as facts.
    """
    from gan_forensics.data import Rgb
    from gan_forensics.data.survey import sentences, surveyed
    from gan_forensics.forensics.validation import score_new

    opened = [real_and_fake.open_some(name, follow_links=follow_links) for name in names.values()]
    real_and_fake.check_apart(list(names.values()), opened)
    real_and_fake.say_fitted_on(detector, list(names.values()))
    of = real_and_fake.groups_by(list(names), opened, groups)
    surveys, sources, left_out = surveyed(
        {name: Rgb(source) for name, source in zip(names, opened, strict=True)},
        view=detector.view, least=detector.tiles.side if detector.tiles else 0,
        on_bad_image=on_bad_image, progress=progress,
    )  # fmt: skip
    new = score_new(
        detector,
        dict(zip(names, sources, strict=True)),
        groups=of and [some[one.rows] for some, one in zip(of, surveys, strict=True)],
        progress=progress,
    )
    said = sentences(left_out.get("left_out", {}))
    said += [
        f"{name}: {n} images left out, which the detector's calibrators were fitted on"
        for name, n in new.known.items()
        if n
    ]
    for line in said:
        say(line)
    return new, said, left_out | {"recognised": dict(new.known)}


def _sizes(new: "NewScores") -> dict[str, int]:
    return {name: found.shape[1] for name, found in new.scores.items()}
