"""`gan-forensics detect fit` and `detect score`."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, subcommand

from gan_forensics.cli.checks import at_least, within
from gan_forensics.cli.process import list_images, open_source, progress, write_csv

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

Features = Literal["durall", "unmasking", "dzanic", "dct"]
Classifier = Literal["knn", "svm", "mlp", "logistic"]
# Images that are read before they are scored together: so many, and of so many pixels, at most.
AT_ONCE, PIXELS_AT_ONCE = 64, 2**24
# How a folder below IMAGES says what its images are.
LABELS = {
    **dict.fromkeys(("real", "0_real", "reals"), "real"),
    **dict.fromkeys(("fake", "1_fake", "fakes", "generated"), "generated"),
}


@dataclass(frozen=True)
class DetectFit:
    """Fit a spectral detector on real and generated images of one size.

    Try it:

    $ gan-forensics detect fit photographs generated --out detector.npz
    """

    real: Positional[str]
    """Source of real images: a folder, or any other source."""
    fake: Positional[str]
    """Source of generated images, prepared as the real ones (size, resizer, file format)."""
    out: Path
    """The detector file: plain arrays and a JSON header, safe to pass on."""
    features: Features = "durall"
    """What it looks at: radial spectrum curve, its resampled form, decay fit, or DCT."""
    classifier: Classifier = "knn"
    """What decides."""
    false_alarms: float = 0.05
    """Accepted share of real images called generated, which sets the threshold."""
    size: int | None = None
    """Centre-crop and resize all images to this side."""
    seed: int = 0
    """Of the split and the classifier."""
    follow_links: bool = False
    """Follow links that leave a folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data import Rgb
        from gan_forensics.data.files import check_file_out
        from gan_forensics.forensics import fit_detector

        within(0, 1, false_alarms=self.false_alarms)
        at_least(0, seed=self.seed)
        check_file_out(self.out)
        # RGB, which `detect score` reads as well.
        sources = [
            Rgb(open_source(name, size=self.size, follow_links=self.follow_links))
            for name in (self.real, self.fake)
        ]
        detector = fit_detector(
            *sources,
            features=self.features,
            classifier=self.classifier,
            calibration=self.false_alarms,
            seed=self.seed,
            progress=progress,
        )
        detector.save(self.out)
        facts = detector.calibration
        print(
            f"{detector.name}: trained on {facts.n_real} real and {facts.n_fake} generated images; "
            f"on {facts.n_real_held_out} + {facts.n_fake_held_out} held-out ones "
            f"{facts.achieved:.1%} false alarms and {facts.detection_rate:.1%} detected. "
            f"Saved to {self.out}"
        )


@dataclass(frozen=True)
class DetectScore:
    """Score images with a detector: a CSV line for every file, with a score or the reason for none.

    Where IMAGES has folders named real (or 0_real) and fake (or 1_fake, generated), both error
    rates are reported.

    Try it:

    $ gan-forensics detect score suspects --detector detector.npz --out scores.csv
    """

    images: Positional[Path]
    """A folder of images, or one image."""
    detector: Path
    """A file of `detect fit` or `train detector`."""
    out: Path = Path("scores.csv")
    """path, label, score (higher: more likely generated), verdict, error."""
    follow_links: bool = False
    """Follow links that leave the folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data.files import check_file_out, shown
        from gan_forensics.forensics import evaluate, load_detector

        check_file_out(self.out)
        detector = load_detector(self.detector)
        paths, left_out = list_images(self.images, follow_links=self.follow_links)
        rows, scores = [], {"real": [], "generated": [], "": []}
        unread = ((path, f"{path}: {reason}") for path, reason in left_out.items())
        for path, score in chain(_scored(detector, progress(paths)), unread):
            row = {"path": path, "label": _label(path, self.images), "score": "", "verdict": ""}
            if isinstance(score, str):
                rows.append(row | {"error": score})
                continue
            verdict = "generated" if score > detector.threshold else "real"
            rows.append(row | {"score": f"{score:.6g}", "verdict": verdict, "error": ""})
            scores[row["label"]].append(score)
        write_csv(self.out, sorted(rows, key=lambda row: row["path"]))
        called = sum(row["verdict"] == "generated" for row in rows)
        errors = sum(row["error"] != "" for row in rows)
        if errors == len(rows):
            raise ValueError(
                f"none of {len(rows)} could be scored, see {self.out}; first: "
                f"{shown(rows[0]['error'])}"
            )
        print(f"{len(rows) - errors} images scored, {called} called generated: {self.out}")
        if errors:
            print(f"{errors} could not be scored; see the error column", file=sys.stderr)
        if scores["real"] and scores["generated"]:
            result = evaluate(scores["real"], scores["generated"], threshold=detector.threshold)
            point, spans = result.points["fixed"], result.intervals
            real, fake = spans["fixed/real_accuracy"], spans["fixed/fake_accuracy"]
            print(
                f"{result.n_real} real images: {point.false_alarm_rate:.1%} called generated "
                f"(95 % interval {1 - real.high:.1%} to {1 - real.low:.1%})\n"
                f"{result.n_fake} generated images: {point.miss_rate:.1%} missed "
                f"(95 % interval {1 - fake.high:.1%} to {1 - fake.low:.1%})\n"
                f"AUC {result.auc:.3f}, average precision {result.average_precision:.3f}"
            )


@dataclass(frozen=True)
class Detect:
    """Fit a detector of generated images, or score images with one.

    Try it:

    $ gan-forensics detect fit photographs generated --out detector.npz

    $ gan-forensics detect score suspects --detector detector.npz
    """

    action: (
        Annotated[DetectFit, subcommand("fit", prefix_name=False)]
        | Annotated[DetectScore, subcommand("score", prefix_name=False)]
    )

    def __call__(self) -> None:
        """Run it."""
        self.action()


def _scored(detector: "Detector", paths: Iterable[Path]) -> Iterator[tuple[Path, float | str]]:
    """The score of each image, or why it has none; a batch is scored together."""
    for some in _read(detector, paths):
        images = {path: image for path, image in some.items() if not isinstance(image, str)}
        scores = detector.score(list(images.values())) if images else []
        for path, score in zip(images, scores, strict=True):
            flat = f"{path}: a flat image has no spectrum to judge"
            some[path] = float(score) if score == score else flat
        del images  # or they would stay while the next ones are read
        yield from some.items()
        some.clear()


def _read(detector: "Detector", paths: Iterable[Path]) -> Iterator[dict[Path, Any]]:
    """Images, or why they cannot be scored, as many at a time as their pixels allow.

    Images of a size that the detector refuses are not decoded: headers say it.
    """
    from gan_forensics.data import ImageError, load_image, read_header

    some, pixels = {}, 0
    for path in paths:
        try:
            height, width, _ = read_header(path)
            try:
                detector.check_shape((height, width, 3))
            except ValueError as error:
                raise ImageError(f"{path}: {error}") from None
            if some and pixels + height * width > PIXELS_AT_ONCE:
                yield some
                some, pixels = {}, 0
            some[path] = load_image(path)
            pixels += height * width
        except ImageError as error:
            some[path] = str(error)
        if len(some) == AT_ONCE:
            yield some
            some, pixels = {}, 0
    yield some


def _label(path: Path, root: Path) -> str:
    """What the folders between the root and an image say about it; empty where they are silent."""
    parts = path.relative_to(root).parts[:-1] if root.is_dir() else ()
    return next((LABELS[part.lower()] for part in parts if part.lower() in LABELS), "")
