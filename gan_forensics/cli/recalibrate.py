"""`gan-forensics detect recalibrate`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least, not_among
from gan_forensics.cli.process import tell_next
from gan_forensics.cli.validate import PHOTOGRAPHS, generators, new_scores
from gan_forensics.files import tell


@dataclass(frozen=True)
class DetectRecalibrate:
    """Fit a detector's likelihood ratios and threshold to photographs of your own.

    Photographs of other cameras, handled in other ways, have other scores, and likelihood ratios
    that are too large or too small. From ten photographs on, one number is moved: the offset that
    is subtracted from a score first, chosen so that the LRs of these photographs and of the
    reference scores of generated images that the detector keeps (or of --fake) cost least. With
    --refit, from twenty on, the calibrator is fitted anew. The threshold is set on the photographs
    where they are enough to bound the false alarms (19 for 5 %), and moves by the offset otherwise.

    How much Cllr_cal it saved, and how often your photographs are called generated, is measured by
    cross-fitting: each half of the images by what the other half made.

    With --tiles the detector scores whole photographs of any size by a few squares of them, and
    everything is set on your photographs as they are. Photographs alone set the threshold (19 of
    them for 5 % false alarms, 38 to measure these too); --fake --refit gives likelihood ratios as
    well. So does a detector without calibrators, such as one of published weights.

    Try it:

    $ gan-forensics detect recalibrate detector.npz --real my_photographs --out mine.npz

    $ gan-forensics detect recalibrate detector.npz --real my_photographs --fake generated --refit
    --out mine.npz

    $ gan-forensics detect recalibrate detector.npz --real my_archive --tiles --out mine.npz
    """

    detector: Positional[Path]
    """A file of `detect fit` or `train detector`."""
    real: str
    """Source of your photographs, which the detector was not fitted on: a folder, or any other."""
    out: Path
    """The new detector file, which keeps the old one's SHA-256. Its page lies beside."""
    fake: tuple[str, ...] = ()
    """Sources of generated images: SOURCE, or NAME=SOURCE; by default the reference scores of
    generated images that the detector keeps."""
    refit: bool = False
    """Fit the calibrators anew; else move those that there are."""
    tiles: bool = False
    """Score whole photographs by at most 16 squares, evenly spread, and by the upper quartile of
    their scores, instead of whole or by their middle. The squares are as large as those that the
    detector was fitted on; of a network that takes any size, as the smallest images were, and at
    most 256 pixels."""
    weights: Path | None = None
    """The weights that `detect fit` was given, where it was given any."""
    groups: str | None = None
    """What images belong together, as in `detect fit`; a group has one vote."""
    seed: int = 0
    """Of the halves and of the folds."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out. Flat images, and
    with tiles those that are smaller than a tile, are always left out, and named."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_file_out
        from gan_forensics.forensics import load_detector
        from gan_forensics.forensics.recalibration import check_movable, recalibrated, record_of
        from gan_forensics.forensics.tiles import tiled
        from gan_forensics.report.recalibration import recalibration_page, sentences

        page = self.out.with_suffix(".html")
        for path in (self.out, page):
            check_file_out(path)
            its_page = self.detector.with_suffix(".html")
            not_among("--out", path, the_detector=self.detector, its_page=its_page)
        not_among("--out", self.out, the_page_of_the_detector=page)
        at_least(0, seed=self.seed)
        old = load_detector(self.detector, frozen=self.weights)
        detector = tiled(old) if self.tiles else old
        check_movable(detector, refit=self.refit, fakes=bool(self.fake))
        sources = {
            PHOTOGRAPHS: self.real, **(generators(self.fake) if self.fake else {})
        }  # fmt: skip
        new, said, _ = new_scores(
            detector, sources, groups=self.groups, follow_links=self.follow_links,
            on_bad_image=self.on_bad_image,
        )  # fmt: skip
        made = recalibrated(detector, new, refit=self.refit, seed=self.seed)
        record = record_of(old, made, refit=self.refit, sources=sources)
        earlier = old.facts.get("recalibrated")
        earlier = earlier if isinstance(earlier, list) else []
        facts = {**made.detector.facts, "recalibrated": [*earlier, record]}
        trained = replace(made.detector, facts=facts)
        trained.save(self.out)
        lines = sentences(old, made, refit=self.refit)
        tell(*lines)
        page = recalibration_page(page, trained, made.changes, [*lines, *said], record)
        tell(f"Saved to {self.out}; open {page}.")
        weights = ("--weights", self.weights) if self.weights else ()
        better = self.out if made.better_than(old) else self.detector
        tell_next("detect", "score", "suspects", "--detector", better, *weights)
