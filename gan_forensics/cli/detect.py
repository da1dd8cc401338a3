"""`gan-forensics detect`: `fit`, `score`, and `robustness` (of `cli.robustness`)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from tyro.conf import Positional, subcommand

from gan_forensics.cli import real_and_fake
from gan_forensics.cli.checks import at_least, not_among, not_given, within
from gan_forensics.cli.labels import labels_of
from gan_forensics.cli.process import failure, judged, list_images, progress, tell_next
from gan_forensics.cli.robustness import DetectRobustness
from gan_forensics.files import natural_order, rows_kept, say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.data import Header
    from gan_forensics.forensics.detectors import Detector

Features = Literal["durall", "unmasking", "dzanic", "dct", "pixels", "inception", "random"]
Classifier = Literal[
    "knn",
    "svm",
    "mlp",
    "logistic",
    "dct-linear",
    "dct-ridge",
    "dct-lasso",
    "pixels-linear",
    "pixels-ridge",
    "pixels-lasso",
]
# Images that are read before they are scored together: so many, and of so many pixels, at most.
AT_ONCE, PIXELS_AT_ONCE = 64, 2**24


@dataclass(frozen=True)
class DetectFit:
    """Fit a detector of features on real and generated images, and measure what it is worth.

    Of the real images two fifths train it, a fifth sets the threshold, a fifth calibrates
    likelihood ratios, and all is measured on the last fifth, as those images are and after
    compression, resizing and noise; of the generated ones a fifth calibrates, a fifth is measured
    on, the others train. With fewer than 50 images of a class there are no likelihood ratios, and
    their fifth trains too. The page beside the detector shows it. Images of one photograph belong
    together: see --groups.

    Try it:

    $ gan-forensics detect fit photographs generated --out detector.npz

    $ gan-forensics detect fit photographs generated --out detector.npz --match-sizes
    --recode jpeg:75 --robust

    $ gan-forensics detect fit photographs generated --out probe.npz --features inception
    --weights inception.npz --classifier logistic --size 128
    """

    real: Positional[str]
    """Source of real images: a folder, or any other source."""
    fake: Positional[str]
    """Source of generated images, prepared as the real ones (size, resizer, file format)."""
    out: Path
    """The detector file: plain arrays and a JSON header, safe to pass on. Its page lies beside."""
    features: Features = "durall"
    """What it looks at: radial spectrum curve, its resampled form, decay fit, DCT, or pixels;
    or the frozen features of a network: inception (see --weights), or a random one."""
    weights: Path | None = None
    """Of --features inception: pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or the same
    arrays as .npz or .safetensors. The detector keeps a digest; `detect score` asks for them."""
    classifier: Classifier = "knn"
    """What decides. Those whose names start with features are the published ones for these."""
    false_alarms: float = 0.05
    """Accepted share of real images called generated: the target that sets the threshold."""
    groups: str | None = None
    """What images belong together, such as crops of one photograph: a folder level (1 is the first
    folder below the source), or a column of list:FILE.csv. No group trains and is measured on."""
    size: int | None = None
    """Centre-crop and resize all images to this side, here and in `detect score`."""
    match_sizes: bool = False
    """Cut the same square out of the middle of all images, as large as the smallest one allows,
    here and in `detect score`."""
    recode: str | None = None
    """jpeg:QUALITY compresses all images alike, here and in `detect score`."""
    robust: bool = False
    """Also train on images after the carriers, and bound the false alarms under each of them."""
    seed: int = 0
    """Of the split and the classifier."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out. Flat images are
    always left out, and named."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data import Rgb
        from gan_forensics.files import check_file_out
        from gan_forensics.forensics import fit_detector
        from gan_forensics.forensics.frozen import FROZEN, frozen_features
        from gan_forensics.report.detector_fit import fitted_page, sentences

        within(0, 1, false_alarms=self.false_alarms)
        at_least(0, seed=self.seed)
        at_least(1, size=self.size)
        real_and_fake.check_sizes(self.size, match_sizes=self.match_sizes)
        recode = real_and_fake.quality_of(self.recode)
        page = self.out.with_suffix(".html")
        for path in (self.out, page):
            check_file_out(path)
        not_among("--out", self.out, the_page_of_the_detector=page)
        features = self.features
        if features in FROZEN:
            features = frozen_features(features, self.weights)
            if features.warning:
                say(features.warning)
        else:
            not_given(f"{features} features have none", weights=self.weights)
        names = self.real, self.fake
        opened = [
            real_and_fake.open_native(
                name, size=self.size, split="all", follow_links=self.follow_links
            )
            for name in names
        ]
        real_and_fake.check_apart(names, opened)
        sources = opened[0], opened[1]
        groups = real_and_fake.grouped(names, sources, self.groups)
        preprocessing = real_and_fake.preprocessing_of(
            names, sources, size=self.size, recode=recode, match_sizes=self.match_sizes
        )
        facts = real_and_fake.audited(
            names, sources, preprocessing, robust=self.robust, seed=self.seed
        )
        facts |= real_and_fake.splits_of(names, sources)
        detector = fit_detector(
            # RGB, which `detect score` reads as well.
            Rgb(sources[0]),
            Rgb(sources[1]),
            features=features,
            classifier=self.classifier,
            calibration=self.false_alarms,
            seed=self.seed,
            groups=groups,
            preprocessing=preprocessing,
            robust=self.robust,
            facts=facts,
            on_bad_image=self.on_bad_image,
            progress=progress,
        )
        detector.save(self.out)
        tell(*sentences(detector))
        tell(f"Saved to {self.out}; open {fitted_page(page, detector)}.")
        weights = ("--weights", self.weights) if self.weights else ()
        tell_next("detect", "score", "suspects", "--detector", self.out, *weights)


@dataclass(frozen=True)
class DetectScore:
    """Score images with a detector: a CSV line for every file, with a score or the reason for none.

    Where IMAGES has folders for real and for generated images, both error rates are reported; which
    names are taken for what is said, and --real-is says it for other names. With --carriers a
    verdict that compression or resizing turns over is given as "unsure".

    Try it:

    $ gan-forensics detect score suspects --detector detector.npz --out scores.csv

    $ gan-forensics detect score suspects --detector detector.npz --carriers
    """

    images: Positional[Path]
    """A folder of images, or one image."""
    detector: Path
    """A file of `detect fit` or `train detector`."""
    weights: Path | None = None
    """The weights that `detect fit` was given, where it was given any."""
    out: Path = Path("scores.csv")
    """path, label, score (higher: more likely generated), verdict, spread (with --carriers: from
    the lowest to the highest score), outside (how the file differs from those that the detector was
    fitted on), error. Until all are scored, the rows so far are beside it, in
    NAME.partial-....csv."""
    carriers: bool = False
    """Score each image also after JPEG, WebP and resizing: a verdict that does not hold is
    "unsure"."""
    real_is: str | None = None
    """The name of the folders of real images; folders beside them are of generated ones."""
    follow_links: bool = False
    """Follow links that leave the folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_file_out, shown
        from gan_forensics.forensics import load_detector
        from gan_forensics.forensics.format_audit import read_seen

        check_file_out(self.out)
        not_among("--out", self.out, the_detector=self.detector)
        detector = load_detector(self.detector, frozen=self.weights)
        seen = read_seen(detector.facts.get("seen"))
        paths, left_out = list_images(self.images, follow_links=self.follow_links)
        labels, lines = labels_of([*paths, *left_out], self.images, real_is=self.real_is)
        for line in lines:
            say(line)
        if detector.preprocessing.words:
            say(f"every image is {detector.preprocessing.words}, as when the detector was fitted")
        if seen is None:
            say("the detector does not tell what files it was fitted on: none is marked as outside")
        unread = ((path, f"{shown(path)}: {reason}") for path, reason in left_out.items())
        columns = [name for name in _COLUMNS if name != "spread" or self.carriers]
        rows, known = [], []
        with rows_kept(self.out, columns) as keep:
            for path, found in chain(_scored(detector, progress(paths), self.carriers), unread):
                row = dict.fromkeys(columns, "") | {"path": path, "label": labels[path]}
                if isinstance(found, str):
                    row["error"] = found
                else:
                    cells = _cells(found, detector.threshold, seen)
                    row |= {name: cells[name] for name in columns if name in cells}
                    known.append((labels[path], found.scores[0], cells["verdict"]))
                rows.append(row)
                keep(row)
            write_csv(self.out, sorted(rows, key=lambda row: natural_order(row["path"])))
        errors = [row["error"] for row in rows if row["error"]]
        if not known:
            # No wrong use of the command, and no success either.
            raise RuntimeError(
                f"none of {len(rows)} could be scored, see {self.out}; first: {shown(errors[0])}"
            )
        tell(*_summary(rows, known, self.out))
        if detector.calibration and (plain := detector.calibration.as_they_are):
            say(
                f"when it was measured, the detector called {plain.false_alarms.words} of real and "
                f"{plain.detected.words} of generated images generated"
            )
        if any(verdict == "unsure" for *_, verdict in known) and not detector.facts.get("robust"):
            say("unsure: JPEG, WebP or resizing turns the verdict over; --robust trains for that")
        if errors:
            say(f"{len(errors)} could not be scored; see the error column")


@dataclass(frozen=True)
class Detect:
    """Fit a detector of generated images, score images with one, or measure what it survives.

    Try it:

    $ gan-forensics detect fit photographs generated --out detector.npz

    $ gan-forensics detect score suspects --detector detector.npz

    $ gan-forensics detect robustness photographs generated --detector detector.npz
    """

    action: (
        Annotated[DetectFit, subcommand("fit", prefix_name=False)]
        | Annotated[DetectScore, subcommand("score", prefix_name=False)]
        | Annotated[DetectRobustness, subcommand("robustness", prefix_name=False)]
    )

    def __call__(self) -> None:
        """Run it."""
        self.action()


class Found(NamedTuple):
    """The scores of an image, as it is and then after carriers, and what its file is like."""

    scores: Sequence[float]
    header: "Header"


_COLUMNS = ("path", "label", "score", "verdict", "spread", "outside", "error")


def _cells(found: Found, threshold: float, seen: Any) -> dict[str, str]:
    """The cells of a scored image."""
    from gan_forensics.forensics.format_audit import outside

    above = {score > threshold for score in found.scores}
    verdict = "unsure" if len(above) > 1 else "generated" if above == {True} else "real"
    return {
        "score": f"{found.scores[0]:.6g}",
        "verdict": verdict,
        "spread": f"{max(found.scores) - min(found.scores):.6g}",
        "outside": "" if seen is None else outside(found.header, seen),
    }


def _summary(rows: Sequence[dict], known: Sequence[tuple[str, float, str]], out: Path) -> list[str]:
    """What came out, in lines; with error rates where both labels are known."""
    from gan_forensics.forensics.calibration import measured_rate
    from gan_forensics.forensics.metrics import average_precision, count_scores, roc_auc

    verdicts = [verdict for *_, verdict in known]
    unsure = f", {n} unsure" if (n := verdicts.count("unsure")) else ""
    lines = [
        f"{len(known)} images scored, {verdicts.count('generated')} called generated{unsure}: {out}"
    ]
    if strange := sum(row["outside"] != "" for row in rows):
        lines.append(
            f"{strange} are unlike the files that the detector was fitted on (column outside): its "
            "error rates say nothing about them"
        )
    by_label = {
        label: [(score, verdict) for of, score, verdict in known if of == label]
        for label in ("real", "generated")
    }
    for label, wrong, word in (
        ("real", "generated", "called generated"), ("generated", "real", "missed")
    ):  # fmt: skip
        if by_label[label]:
            rate = measured_rate([verdict == wrong for _, verdict in by_label[label]])
            some = sum(verdict == "unsure" for _, verdict in by_label[label])
            more = f"; {some} unsure" if some else ""
            lines.append(f"{rate.n} {label} images: {rate.words} {word}{more}")
    if all(by_label.values()):
        counts = count_scores(*([score for score, _ in of] for of in by_label.values()))
        lines.append(
            f"AUC {roc_auc(counts):.3f}, average precision {average_precision(counts):.3f}"
        )
    return lines


def _scored(
    detector: "Detector", paths: Iterable[Path], carriers: bool
) -> Iterator[tuple[Path, Found | str]]:
    """The scores of each image, or why it has none; a batch is scored together."""
    from gan_forensics.data.carriers import RESHIPPED
    from gan_forensics.files import shown
    from gan_forensics.forensics.measure import score_carried

    names = ("none", *RESHIPPED) if carriers else ("none",)

    def judge(given: list[tuple[Any, "Header"]]) -> list[Found | None]:
        scores = score_carried(detector, [image for image, _ in given], names)
        return [
            Found([float(score) for score in column if score == score], header)
            if column[0] == column[0]
            else None
            for (_, header), column in zip(given, scores.T, strict=True)
        ]

    for some in _read(detector, paths):
        images = {path: found for path, found in some.items() if not isinstance(found, str)}
        result: dict[Path, Found | str] = {p: e for p, e in some.items() if isinstance(e, str)}
        for path, found in (judged(judge, images) if images else {}).items():
            flat = f"{shown(path)}: a flat image has no spectrum to judge"
            result[path] = flat if found is None else found
        order = list(some)
        # Or they would stay in memory while the next ones are read.
        some.clear()
        images.clear()
        yield from ((path, result[path]) for path in order)


def _read(detector: "Detector", paths: Iterable[Path]) -> Iterator[dict[Path, Any]]:
    """Images with headers, or why they cannot be scored, as many at a time as pixels allow.

    Images of a size that the detector refuses are not decoded: headers say it.
    """
    from gan_forensics.data import load_image, read_header

    some, pixels = {}, 0
    for path in paths:
        try:
            header = read_header(path)
            detector.check_shape((header.height, header.width, 3))
            if some and pixels + header.height * header.width > PIXELS_AT_ONCE:
                yield some
                some, pixels = {}, 0
            some[path] = load_image(path), header
            pixels += header.height * header.width
        except Exception as error:
            some[path] = failure(path, error)
        if len(some) == AT_ONCE:
            yield some
            some, pixels = {}, 0
    yield some
