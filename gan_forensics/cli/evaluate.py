"""`gan-forensics evaluate`."""

import hashlib
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from tyro.conf import Positional, arg

from gan_forensics.cli.checks import at_least, not_given
from gan_forensics.cli.process import open_source, progress
from gan_forensics.files import say, tell

if TYPE_CHECKING:
    from gan_forensics.data import Source
    from gan_forensics.quality import FeatureExtractor, Score


class Judged(NamedTuple):
    """Scores, settings for the protocol, further entries of results.json, and what to mind."""

    scores: "list[Score]"
    protocol: dict[str, Any]
    tables: dict[str, Any]
    notes: list[str]


@dataclass(frozen=True)
class Evaluate:
    """Measure how good generated images are: FID, KID, inception score, precision and recall.

    FID, KID and the inception score are defined on one network, whose weights you bring (--weights:
    pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or the same arrays as .npz or
    .safetensors). With --features small a small classifier is trained on the labels of the data,
    with --features random none; distances on these are reported under their own names.

    The same images in any order have the same scores.

    Points (--data toy:grid25 and its like, or npz:FILE with an array `point`) are judged by the
    modes they cover and the points near them; on toy:line, and without known centres, by distances.
    With --data stacked:SOURCE modes are counted by a classifier of the digits of SOURCE; what these
    counts say of real stacks of known modes stands beside them.

    Try it:

    $ gan-forensics evaluate runs/sngan-32 --data tfds:cifar10 --weights inception.npz -n 10000

    $ gan-forensics evaluate generated --data photographs --weights inception.npz --size 64

    $ gan-forensics evaluate runs/sngan-32 --data samples:digits --features small --draws 3

    $ gan-forensics evaluate runs/sngan-32 --data stacked:samples:mnist5k -n 25600

    $ gan-forensics evaluate npz:points.npz --data toy:grid25 -n 2000

    $ gan-forensics evaluate generated --data samples:digits --leak rotation,flip,cutout
    """

    run: Positional[str]
    """What to judge: a run folder of `train`, a folder of images, or any other source."""
    data: str
    """Source of the real images."""
    metrics: str | None = None
    """Some of fid, kid, is (inception score), prdc (precision, recall, density, coverage), such as
    fid,kid; by default all that the features and the numbers of images allow."""
    features: Literal["inception", "small", "random"] = "inception"
    """What the images are described by."""
    weights: Path | None = None
    """The FID Inception weights; of --features inception."""
    resize: Literal["tensorflow", "pytorch-fid"] | None = None
    """To 299x299, of --features inception: as in the original graph and torch-fidelity
    (tensorflow, the default), or as in pytorch-fid."""
    n: Annotated[int, arg(aliases=["-n"])] = 5000
    """Images of each kind, as far as there are so many; values depend on it. Of more, they are
    chosen by --seed and their place in the source."""
    draws: int = 1
    """Draws of n images from the GAN; with several, their spread is reported."""
    size: int | None = None
    """Side that images are brought to; by default the GAN's, or as they are."""
    split: Literal["train", "test", "all"] = "all"
    """Which real images."""
    seed: int = 0
    """Of the choice of images, the noise, the classifier and the subsets."""
    precision: Literal["float32", "tf32", "bfloat16"] | None = None
    """Of the feature network: products of float32 numbers, of factors rounded to 10 bits, or all in
    bfloat16; by default the backend's own: float32 on CPUs, which know no
    tf32, and tf32 on recent GPUs."""
    cache: Path | None = None
    """Folder that keeps the features of the real images, and the classifiers that are trained to
    judge by: your own, such as ~/.cache/gan_forensics/features."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out."""
    leak: str | None = None
    """Instead of scores, whether samples show the transforms that a GAN was trained with: some of
    rotation, flip, crop, translation, shift, cutout, colour, such as rotation,flip. A classifier
    of each is trained on the training split of --data; more samples called transformed than
    images of its test split are a leak. At most 2000 images of each kind."""
    out: Path | None = None
    """File for the results; by default results.json in the run folder, or here. The page of a run
    folder lies beside it (FILE.html), and nothing is written into the run folder then: for those
    that others made."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.cli import evaluate_leaks
        from gan_forensics.cli.evaluate_modes import (
            check_kinds,
            check_options,
            of_points,
            of_stacks,
        )
        from gan_forensics.data.names import has_points
        from gan_forensics.files import check_file_out, shown
        from gan_forensics.files.paths import is_stream
        from gan_forensics.quality.extraction import check_cache

        at_least(1, n=self.n, draws=self.draws)
        at_least(0, seed=self.seed)
        stacks, points = self.data.startswith("stacked:"), has_points(self.data)
        policies = None if self.leak is None else evaluate_leaks.check_options(self)
        if (stacks or points) and not policies:
            check_options(self, points=points)
        run = Path(self.run)
        is_run = (run / "config.json").exists()
        check_kinds(self, run, is_run=is_run, points=points)
        asked = None if policies or stacks or points else self._checked()
        out = self.out or (run if is_run else Path()) / "results.json"
        check_file_out(out)
        page = run / "report.html" if self.out is None else _beside(out)
        if is_run:
            check_file_out(page)
        if self.cache:
            check_cache(self.cache, "--cache")
        if not is_run and self.draws > 1:
            raise ValueError(
                f"--draws {self.draws} are for GANs: {self.run} is no run folder of `train`"
            )
        if policies:
            judged = evaluate_leaks.of_leaks(self, run, policies, is_run=is_run)
        elif stacks:
            judged = of_stacks(self, run, is_run=is_run)
        elif points:
            judged = of_points(self, run, is_run=is_run)
        else:
            judged = self._of_images(run, asked, is_run=is_run)
        self._report(judged, out)
        if is_run and not is_stream(out):
            from gan_forensics.report import report_run

            try:
                tell(f"Open {shown(report_run(run, results=out, page=page))}.")
            except ValueError as error:  # The results are written.
                say(f"there is no page of the run: {error}")

    def _of_images(self, run: Path, asked: tuple[str, ...] | None, *, is_run: bool) -> Judged:
        """Scores by features of images."""
        from gan_forensics.cli.evaluate_files import flat_note, readable
        from gan_forensics.data import account
        from gan_forensics.quality import computable, evaluate_images

        gan, size = self.gan(run) if is_run else (None, self.size)
        links = self.follow_links
        real = open_source(self.data, size=size, split=self.split, follow_links=links)
        if line := account.coloured(real):
            say(f"{self.data}: {line}")
        if self.features == "small":
            for line in (account.classes(real), *account.notes(real)):
                if line:
                    say(f"{self.data}: {line}")
        folders, given = {self.data: account.folders(real)}, None
        if gan is None:
            source = open_source(self.run, size=size, follow_links=links)
            folders[self.run] = account.folders(source)
            given = self.some(source)
        if self.features != "small":  # A classifier is trained on all images.
            real = self.some(real)
        both = {"real": real, **({} if given is None else {"generated": given})}
        both, unread = readable(both, self.on_bad_image)
        real, given = both["real"], both.get("generated")
        fake = self.n if given is None else len(given)
        # Before the judge is trained and the GAN draws.
        metrics, left_out = computable(
            asked, real=min(len(real), self.n), fake=fake, logits=self.features != "random"
        )
        for name, reason in left_out.items():
            tell(f"Left out {name!r}: {reason}.")
        fakes, made = self.drawn(run, *gan) if gan else ([given], self.run)
        real, fakes = _of_equal_channels(real, fakes)
        notes = [flat_note(self.data, self.some(real)), flat_note(self.run, fakes[0])]
        extractor = self._extractor(real)
        scores = evaluate_images(
            self.some(real),
            fakes,
            extractor,
            metrics=metrics,
            seed=self.seed,
            cache=self.cache,
            progress=progress,
        )
        protocol = {
            "generated": made,
            "size": size or "as they are",
            "quantisation": "fixed: (x + 1) 127.5, to the nearest",
            "features": {"name": extractor.name, **extractor.protocol},
            **({"folders": found} if (found := {k: v for k, v in folders.items() if v}) else {}),
        }
        tables: dict[str, Any] = {"left_out": left_out} if left_out else {}
        tables |= {"flat": flats} if (flats := list(filter(None, notes))) else {}
        return Judged(scores, protocol, {**tables, **unread}, [extractor.warning, *notes])

    def _report(self, judged: Judged, out: Path) -> None:
        """Write results.json and print the scores."""
        from gan_forensics.files import write_json
        from gan_forensics.report.provenance import provenance

        scores = judged.scores
        split = self.split if self.leak is None else "train and test"
        settings = {score.name: score.protocol for score in scores if score.protocol}
        protocol = {
            "real": f"{self.data}, split {split}",
            "asked_for": self.n,
            "chosen": "all, or as many as asked for by seed and place in the source",
            "draws": self.draws,
            "seed": self.seed,
            **judged.protocol,
            **({"metrics": settings} if settings else {}),
            **provenance(),
        }
        rows = [
            {
                "metric": score.name,
                "value": None if isnan(score.value) else score.value,
                "spread": score.spread,
                "real": score.counts.get("real"),
                "fake": score.counts["fake"],
                "features": score.features,
                "seed": score.seed,
                "warning": score.warning,
            }
            for score in scores
        ]
        write_json(out, {"protocol": protocol, "quality": rows, **judged.tables})
        width = max(len(score.name) for score in scores)
        tell(f"{'metric':{width}}  {'value':>10}  {'spread':>10}  {'real':>6}  {'fake':>6}")
        for row in rows:
            value = "-" if row["value"] is None else f"{row['value']:.5g}"
            spread = "-" if row["spread"] is None else f"{row['spread']:.4g}"
            tell(
                f"{row['metric']:{width}}  {value:>10}  {spread:>10}  "
                f"{row['real'] or '-':>6}  {row['fake']:>6}"
            )
        for warning in dict.fromkeys([*(score.warning for score in scores), *judged.notes]):
            if warning:
                tell(f"Note: {warning}.")
        tell(f"The protocol is in {out}.")

    def _checked(self) -> tuple[str, ...] | None:
        """The metrics asked for, if any; options that cannot be or would do nothing are refused."""
        from gan_forensics.quality import check_metrics

        if self.features != "inception":
            why = f"only --features inception have it, these are {self.features}"
            not_given(why, weights=self.weights, resize=self.resize)
        elif self.weights is None:
            from gan_forensics.quality.inception import HOW_TO_GET

            raise ValueError(
                f"FID and its kin need weights: {HOW_TO_GET}; or judge by features of our own with "
                "--features small (a classifier trained on the labels of --data) or random"
            )
        if self.metrics is None:
            return None
        return check_metrics(name.strip() for name in self.metrics.split(","))

    def gan(self, run: Path) -> tuple[tuple, int]:
        """The GAN of a run with its state, and the side of its images."""
        from gan_forensics.gans import load_gan, with_average

        gan, state = load_gan(run)
        size = gan.config.size
        if self.size not in (None, size):
            raise ValueError(f"--size {self.size}: this GAN makes images of {size}; leave it out")
        return (gan, with_average(gan, state)), size

    def drawn(self, run: Path, gan, state) -> tuple[list, str]:
        """Draws of a GAN, and what they are."""
        from gan_forensics.gans import about_average, generate

        seeds = range(self.seed, self.seed + self.draws)
        draws = [generate(gan, state, self.n, seed=seed) for seed in seeds]
        step, averaged = int(state.step), about_average(gan, int(state.step))
        made = f"{run}, {gan.config.method}, step {step}"
        return draws, f"{made}, {averaged}" if averaged else made

    def judge_folder(self, name: str) -> Path | None:
        """Where a classifier that judges is kept: never in the run folder that it judges."""
        if self.cache is None:
            return None
        asked = f"{self.data} {self.split} {self.size}"
        return self.cache / f"{name}-{self.seed}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"

    def _extractor(self, real: "Source") -> "FeatureExtractor":
        from gan_forensics import quality

        if self.features == "inception":
            assert self.weights
            return quality.inception_features(
                self.weights, resize=self.resize or "tensorflow", precision=self.precision
            )
        if self.features == "random":
            return quality.random_features(
                real[0]["image"].shape[-1], seed=self.seed, precision=self.precision
            )
        kept = self.judge_folder("small-classifier")
        return quality.small_classifier_features(
            real, kept, seed=self.seed, precision=self.precision
        )

    def some(self, source: "Source") -> "Source":
        """At most n examples, chosen without replacement."""
        import numpy as np

        from gan_forensics.data import Rows

        if len(source) <= self.n:
            return source
        chosen = np.random.default_rng(self.seed).choice(len(source), self.n, replace=False)
        return Rows(source, np.sort(chosen))


def _beside(out: Path) -> Path:
    """The page to a file of results."""
    return out.with_name(f"{out.name}.html") if out.suffix == ".html" else out.with_suffix(".html")


def _of_equal_channels(real: "Source", fakes: list) -> "tuple[Source, list]":
    """Gray images as RGB where the others are in colour."""
    from gan_forensics.data import ArraySource, Rgb

    fakes = [ArraySource(image=f) if hasattr(f, "dtype") else f for f in fakes]
    if real[0]["image"].shape[-1] == fakes[0][0]["image"].shape[-1]:
        return real, fakes
    say("gray images are compared with images in colour: all are read as RGB")
    return Rgb(real), [Rgb(fake) for fake in fakes]
