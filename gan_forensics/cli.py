"""`gan-forensics`: for people with images and weights. Heavy imports happen inside the commands."""

import csv
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, arg, subcommand

if TYPE_CHECKING:
    import numpy as np

Method = Literal["dcgan", "lsgan", "wgan-gp"]
Features = Literal["durall", "unmasking", "dzanic", "dct"]
Classifier = Literal["knn", "svm", "mlp", "logistic"]
DESCRIPTION = """GANs: train them, and tell what they made. Add --debug for tracebacks.

Try it:
$ gan-forensics quickstart
$ gan-forensics spectrum photographs generated
$ gan-forensics detect score suspects --detector detector.npz

Every command has a --help with examples of its own.
"""
# How a folder below IMAGES says what its images are.
LABELS = {
    **dict.fromkeys(("real", "0_real", "reals"), "real"),
    **dict.fromkeys(("fake", "1_fake", "fakes", "generated"), "generated"),
}


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
        _start()
        from gan_forensics.forensics.bypass_study import StudyConfig, run_study

        config = StudyConfig(steps=self.steps, seeds=(self.seed,), images=600, learning_rate=4e-4)
        results = run_study(config, self.out)
        print(f"\n{results['finding']}\n")
        print(f"Open {self.out / 'report.html'}; the numbers are in {self.out / 'results.json'}.")


@dataclass(frozen=True)
class Train:
    """Train a GAN on your images.

    Try it:

    $ gan-forensics train dcgan --data samples:photos --tail N.1.5 --steps 2000

    $ gan-forensics train wgan-gp --data folder:my_faces --size 128 --out runs/faces

    $ gan-forensics train wgan-gp --data folder:my_faces --size 128 --out runs/faces --resume
    """

    method: Positional[Method]
    """The game."""
    data: str = "samples:photos"
    """A source: folder:PATH (or just a path), list:FILE.csv, idx:PATH, npz:FILE.npz, tfds:NAME,
    samples:photos|digits|mnist5k|lfw, toy:powerlaw."""
    tail: str = "BASELINE"
    """Last upsampling: BASELINE (transposed convolution), {N,Z,B}.1.{3,5,7} or {N,Z,B}.3.5 for
    nearest, zero insertion, bilinear, then that many convolutions of that kernel."""
    size: int = 64
    """Side of the images: a power of two, 16 or more."""
    width: int = 32
    """Channels of the networks' largest maps."""
    latent: int = 128
    """Length of the noise."""
    channels: Literal[1, 3] = 3
    """Channels of the images."""
    batch_size: int = 64
    """Images a minibatch."""
    learning_rate: float = 0.0
    """Of both players; 0 for the method's own."""
    flip: bool = False
    """Mirror half of the images."""
    steps: int = 5000
    """Steps of the whole run, resumed parts included."""
    seed: int = 2021
    """Of initialisation, data order and noise."""
    out: Path | None = None
    """Run folder; by default runs/<method>-<tail>-<size>."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    sample_every: int = 500
    """Steps between grids of samples."""
    tensorboard: bool = False
    """Write TensorBoard events too (extra `tensorboard`)."""

    def __call__(self) -> None:
        """Run it."""
        _start()
        from gan_forensics.gans import GanConfig, train_gan
        from gan_forensics.report import report_run
        from gan_forensics.train import Cadence

        run = self.out or Path("runs") / f"{self.method}-{self.tail}-{self.size}"
        config = GanConfig(
            method=self.method,
            data=self.data,
            size=self.size,
            tail=self.tail,
            width=self.width,
            latent=self.latent,
            channels=self.channels,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            flip=self.flip,
            seed=self.seed,
        )
        cadence = Cadence(
            self.steps,
            checkpoint_every=self.checkpoint_every,
            sample_every=self.sample_every,
        )
        train_gan(config, run, cadence, resume=self.resume, tensorboard=self.tensorboard)
        print(f"Trained {run}; open {report_run(run)}.")
        print(f"Next: gan-forensics sample {run} -n 64 --out samples")


@dataclass(frozen=True)
class Sample:
    """Draw images from a trained GAN.

    Try it:

    $ gan-forensics sample runs/dcgan-N.1.5-64 -n 64 --out samples

    $ gan-forensics sample runs/dcgan-N.1.5-64 -n 1000 --out samples --form png
    """

    run: Positional[Path]
    """A run folder of `train`."""
    n: Annotated[int, arg(aliases=["-n"])] = 64
    """How many images."""
    out: Path = Path("samples")
    """Folder to write to."""
    form: Literal["grid", "png", "npz"] = "grid"
    """One picture of all, a PNG file each, or one array `image` uint8 [n, h, w, c]."""
    seed: int = 0
    """Image i depends on the seed and i alone."""

    def __call__(self) -> None:
        """Run it."""
        _start()
        import numpy as np

        from gan_forensics.data import image_grid, save_png
        from gan_forensics.gans import generate, load_gan

        if self.n < 1:
            raise ValueError(f"-n {self.n}: ask for at least one image")
        gan, state = load_gan(self.run)
        images = generate(gan, state, self.n, seed=self.seed)
        self.out.mkdir(parents=True, exist_ok=True)
        if self.form == "grid":
            save_png(self.out / "grid.png", image_grid(images))
        elif self.form == "npz":
            partial = self.out / ".images.partial.npz"
            np.savez(partial, image=images)
            os.replace(partial, self.out / "images.npz")
        else:
            for i, image in enumerate(images):
                save_png(self.out / f"{i:06d}.png", image)
        print(f"{self.n} images of step {int(state.step)} in {self.out}")


@dataclass(frozen=True)
class Spectrum:
    """Mean and spread of the radial spectra of image folders: one plot, one CSV.

    All images must have one size: resizing changes what is measured, so it is never done unasked.

    Try it:

    $ gan-forensics spectrum photographs generated

    $ gan-forensics spectrum photographs generated --resize 128 --out spectra
    """

    folders: Positional[tuple[Path, ...]]
    """Folders of images; the first is drawn as the reference."""
    resize: int | None = None
    """Centre-crop every image to a square and resize it to this side, with antialiasing."""
    normalise: Literal["min-max", "first", "none"] = "min-max"
    """Of each curve: onto [0, 1], by its first value, or not at all (20 ln|F|)."""
    out: Path = Path("spectrum")
    """Folder for spectrum.png and spectrum.csv."""

    def __call__(self) -> None:
        """Run it."""
        _start()
        from gan_forensics.data import open_source
        from gan_forensics.report import spectra_figure
        from gan_forensics.spectra import SpectrumStatistic, log_spectrum_curve, ring_radii

        if not self.folders:
            raise ValueError("name at least one folder of images")
        curves, radii, lines = {}, None, []
        shape = None
        for folder in self.folders:
            statistic = None
            for images in _batches(open_source(f"folder:{folder}", size=self.resize)):
                if shape and images.shape[1:3] != shape:
                    raise ValueError(
                        f"{folder} holds images of {_by(images.shape[1:3])}, others are "
                        f"{_by(shape)}: give --resize N to bring all to one size"
                    )
                shape = images.shape[1:3]
                values = log_spectrum_curve(images, normalise=self.normalise, precision="float64")
                statistic = (statistic or SpectrumStatistic.zero(values.shape[1])).update(values)
            assert statistic and shape
            mean, std, count = statistic.result()
            radii = ring_radii(*shape)
            curves[str(folder)] = (mean, std)
            for ring, (radius, m, s) in enumerate(zip(radii, mean, std, strict=True)):
                lines.append([str(folder), ring, radius, m, s, int(count)])
        self.out.mkdir(parents=True, exist_ok=True)
        _write_csv(
            self.out / "spectrum.csv",
            ["folder", "ring", "radius", "mean", "std", "images"],
            lines,
        )
        figure = spectra_figure(curves, title="Mean radial log spectrum")
        partial = self.out / ".spectrum.partial.png"
        figure.savefig(partial)
        os.replace(partial, self.out / "spectrum.png")
        print(f"{self.out / 'spectrum.png'} and {self.out / 'spectrum.csv'}")


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

    def __call__(self) -> None:
        """Run it."""
        _start()
        from gan_forensics.forensics import fit_detector

        detector = fit_detector(
            _all_images(self.real, self.size),
            _all_images(self.fake, self.size),
            features=self.features,
            classifier=self.classifier,
            calibration=self.false_alarms,
            seed=self.seed,
        )
        self.out.parent.mkdir(parents=True, exist_ok=True)
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
    """Score images with a detector: a CSV line per image, unreadable files included.

    Where IMAGES has folders named real (or 0_real) and fake (or 1_fake, generated), both error
    rates are reported.

    Try it:

    $ gan-forensics detect score suspects --detector detector.npz --out scores.csv
    """

    images: Positional[Path]
    """A folder of images, or one image."""
    detector: Path
    """A file of `detect fit`."""
    out: Path = Path("scores.csv")
    """path, label, score (higher: more likely generated), verdict, error."""

    def __call__(self) -> None:
        """Run it."""
        _start()
        from gan_forensics.data import ImageError, list_images, load_image
        from gan_forensics.forensics import evaluate, load_detector

        detector = load_detector(self.detector)
        paths = [self.images] if self.images.is_file() else list_images(self.images)
        lines, scores, errors = [], {"real": [], "generated": []}, 0
        for path in _progress(paths):
            label = _label(path, self.images)
            try:
                score = float(detector.score(load_image(path)[None])[0])
                if score != score:
                    raise ImageError(f"{path}: a flat image has no spectrum to judge")
            except (ImageError, ValueError) as error:
                errors += 1
                lines.append([str(path), label, "", "", str(error)])
                continue
            verdict = "generated" if score > detector.threshold else "real"
            lines.append([str(path), label, f"{score:.6g}", verdict, ""])
            if label:
                scores[label].append(score)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        _write_csv(self.out, ["path", "label", "score", "verdict", "error"], lines)
        called = sum(line[3] == "generated" for line in lines)
        print(f"{len(lines) - errors} images scored, {called} called generated: {self.out}")
        if errors:
            print(f"{errors} could not be scored; see the error column", file=sys.stderr)
        if scores["real"] and scores["generated"]:
            import numpy as np

            result = evaluate(
                np.array(scores["real"]),
                np.array(scores["generated"]),
                threshold={"calibrated": detector.threshold},
            )
            point, spans = result.points["calibrated"], result.intervals
            real, fake = spans["calibrated/real_accuracy"], spans["calibrated/fake_accuracy"]
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


Command = (
    Annotated[Quickstart, subcommand("quickstart")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Sample, subcommand("sample")]
    | Annotated[Spectrum, subcommand("spectrum")]
    | Annotated[Detect, subcommand("detect")]
)


def main(arguments: list[str] | None = None) -> None:
    """Run a command line; exits with 2 for wrong use, 1 for failure."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    command = tyro.cli(
        Command,
        prog="gan-forensics",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    sys.exit(guarded(command, debug=debug))


def guarded(command: Callable[[], None], *, debug: bool = False) -> int:
    """Call a command and turn what goes wrong into a line on standard error and an exit code.

    Wrong use (bad arguments, data or folders) is 2, failure 1, a signal 128 plus its number.
    """
    try:
        command()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"gan-forensics: {error}", file=sys.stderr)
        if number := getattr(error, "signal", 0):
            return 128 + number
        return 2 if isinstance(error, ValueError | FileNotFoundError | ImportError) else 1
    return 0


def _start() -> None:
    """Prepare the process for JAX: memory that stays, compilations that are remembered."""
    from gan_forensics.train import keep_scratch_memory

    keep_scratch_memory()


def _progress(things):
    from tqdm import tqdm

    return tqdm(things, unit="image", disable=None)


def _batches(source) -> "Iterator[np.ndarray]":
    """All images of a source, uint8 [b, h, w, c], a few at a time, with a progress bar."""
    from gan_forensics.data import take

    for first in _progress(range(0, len(source), 64)):
        yield take(source, range(first, min(first + 64, len(source))))["image"]


def _all_images(name: str, size: int | None) -> "np.ndarray":
    import numpy as np

    from gan_forensics.data import open_source

    batches = list(_batches(open_source(name, size=size)))
    shapes = sorted({batch.shape[1:] for batch in batches})
    if len(shapes) > 1:
        raise ValueError(
            f"{name} holds images of {_by(shapes[0][:2])} and {_by(shapes[1][:2])}: "
            "give --size N to bring all to one size"
        )
    return np.concatenate(batches)


def _by(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _label(path: Path, root: Path) -> str:
    """What the folders between the root and an image say about it; empty where they are silent."""
    parts = path.relative_to(root).parts[:-1] if root.is_dir() else ()
    return next((LABELS[part.lower()] for part in parts if part.lower() in LABELS), "")


def _write_csv(path: Path, header: list[str], lines: list[list]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)
    os.replace(partial, path)


if __name__ == "__main__":
    main()
