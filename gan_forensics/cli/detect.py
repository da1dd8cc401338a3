"""`gan-forensics detect`: `fit`, and the commands that use what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, subcommand

from gan_forensics.cli import real_and_fake
from gan_forensics.cli.checks import at_least, not_among, not_given, within
from gan_forensics.cli.process import progress, tell_next
from gan_forensics.cli.recalibrate import DetectRecalibrate
from gan_forensics.cli.robustness import DetectRobustness
from gan_forensics.cli.score import DetectScore
from gan_forensics.cli.validate import DetectValidate
from gan_forensics.files import say, tell

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


@dataclass(frozen=True)
class DetectFit:
    """Fit a detector of features on real and generated images, and measure what it is worth.

    Of the real images two fifths train it, a fifth sets the threshold, a fifth calibrates
    likelihood ratios, and all is measured on the last fifth, as those images are and after
    compression, resizing and noise; of the generated ones a fifth calibrates, a fifth is measured
    on, the others train. With fewer than some 50 images of a class there are no likelihood ratios,
    and their fifth trains too. The page beside the detector shows it. Images of one photograph
    belong together: see --groups.

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
    folder below the source), or a column of list:FILE.csv. No group trains and is measured on.
    Generated images that lie in no folders are each their own group."""
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
class Detect:
    """Fit a detector of generated images, score images with one, or measure what it is worth.

    Try it:

    $ gan-forensics detect fit photographs generated --out detector.npz

    $ gan-forensics detect score suspects --detector detector.npz

    $ gan-forensics detect validate detector.npz --real photographs --fake generated

    $ gan-forensics detect recalibrate detector.npz --real my_photographs --out mine.npz

    $ gan-forensics detect robustness photographs generated --detector detector.npz
    """

    action: (
        Annotated[DetectFit, subcommand("fit", prefix_name=False)]
        | Annotated[DetectScore, subcommand("score", prefix_name=False)]
        | Annotated[DetectValidate, subcommand("validate", prefix_name=False)]
        | Annotated[DetectRecalibrate, subcommand("recalibrate", prefix_name=False)]
        | Annotated[DetectRobustness, subcommand("robustness", prefix_name=False)]
    )

    def __call__(self) -> None:
        """Run it."""
        self.action()
