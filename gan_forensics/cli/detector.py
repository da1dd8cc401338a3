"""`gan-forensics train detector`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gan_forensics.cli import real_and_fake
from gan_forensics.cli.checks import at_least, not_given
from gan_forensics.cli.distributed import Distributed
from gan_forensics.cli.process import progress, tell_next
from gan_forensics.cli.train import options_of
from gan_forensics.data import Source, account, installed_encoders
from gan_forensics.files import check_folder_out, say, tell, write_json
from gan_forensics.forensics import DetectorConfig, Parts, Preprocessing, part, train_detector
from gan_forensics.forensics.neural import make_network
from gan_forensics.forensics.neural_parts import part_by_groups
from gan_forensics.report import report_run
from gan_forensics.report.detector_fit import fitted_page, sentences
from gan_forensics.runtime import is_first

Options: Any = options_of(DetectorConfig, without=("augment", "encoders", "side"))


@dataclass(frozen=True)
class TrainDetector:
    """Train a network that tells generated from real images, of GANs that it never saw too.

    The recipe of Wang et al. (CVPR 2020): images of one GAN, blurred and compressed at random; with
    grayscale among the augmentations the detector does not lean on colour alone. About three
    quarters of the images (or the train split of a source that has one) are trained on. Of the
    others some decide when to stop, some real ones set the threshold, some of both classes
    calibrate likelihood ratios (where there are enough), and on the rest is measured what it
    achieves, also after compression, resizing and noise.

    Try it:

    $ gan-forensics train detector --real photographs --fake generated --arch resnet_small

    $ gan-forensics train detector --real photographs --fake generated --arch npr

    $ gan-forensics train detector --real photographs --fake generated --arch resnet50
    --weights resnet50.pth --size 256 --crop 224 --augment blur,jpeg,grayscale

    $ gan-forensics train detector --real photographs --fake generated --arch resnet50
    --weights blur_jpg_prob0.5.pth --steps 0   # a published detector, calibrated on your images
    """

    real: str
    """Source of real images: a folder, or any other source."""
    fake: str
    """Source of generated images, prepared as the real ones (size, resizer, file format)."""
    config: Options = field(default_factory=Options)  # pyright: ignore[reportInvalidTypeForm]
    """The network and its training."""
    augment: str = ",".join(DetectorConfig.augment)
    """Some of blur, jpeg, grayscale; none for none."""
    size: int | None = None
    """Centre-crop and resize all images to this side, here and in `detect score`."""
    match_sizes: bool = False
    """Cut the same square out of the middle of all images, as large as the smallest one allows,
    here and in `detect score`."""
    recode: str | None = None
    """jpeg:QUALITY compresses all images alike, here and in `detect score`."""
    groups: str | None = None
    """What images belong together, such as crops of one photograph: a folder level (1 is the first
    folder below the source), or a column of list:FILE.csv. No group has two uses; splits of the
    source's own are then disregarded."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out. Flat images are
    always left out, and named."""
    steps: int | None = None
    """At most; by default until the third time that the validation accuracy stands still."""
    out: Path = Path("runs/detector")
    """Run folder; gets detector.npz."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""
    hosts: Distributed = Distributed()

    def _checked(self) -> DetectorConfig:
        """The config; what cannot be or would do nothing is refused before any image is read."""
        named = "" if self.augment.strip() == "none" else self.augment
        augment = tuple(name.strip() for name in named.split(",") if name.strip())
        config = DetectorConfig(**vars(self.config), augment=augment, encoders=installed_encoders())
        at_least(0, steps=self.steps, seed=config.seed)
        at_least(1, size=self.size)
        real_and_fake.check_sizes(self.size, match_sizes=self.match_sizes)
        make_network(config.arch, config.settings)
        _ = config.augmentation  # for its names and probabilities
        idle = {}
        if not {"blur", "jpeg"} & {*augment}:
            idle["probability"] = "it is of the augmentations blur and jpeg"
        if "grayscale" not in augment:
            idle["gray_probability"] = "it is of the augmentation grayscale"
        if "blur" not in augment:
            idle["rounding"] = "it is of the augmentation blur"
        if self.steps == 0:
            names = ("batch_size", "learning_rate", "optimizer", "epoch", "flip")
            idle |= dict.fromkeys(names, "it is of training, and --steps 0 only calibrates")
        for name, why in idle.items():
            value = getattr(config, name)
            not_given(why, **{name: None if value == getattr(DetectorConfig, name) else value})
        return config

    def __call__(self) -> None:
        """Run it."""
        self.hosts.join(self)
        check_folder_out(self.out)
        config = self._checked()
        recode = real_and_fake.quality_of(self.recode)
        check_folder_out(self.out)
        names = self.real, self.fake
        parts, used, preprocessing, facts = self._opened(names, recode, config.seed)
        detector = train_detector(
            parts,
            config,
            self.out,
            steps=self.steps,
            resume=self.resume,
            facts=facts,
            preprocessing=preprocessing,
        )
        if not is_first():
            return
        detector.save(self.out / "detector.npz")
        write_json(self.out / "data.json", used)
        validation = detector.facts["validation"]
        tell(
            f"{detector.name}, step {detector.facts['step']}: validation accuracy "
            f"{validation['validation/accuracy']:.1%} at probability 1/2, average precision "
            f"{validation['validation/average_precision']:.3f}, on the images that chose the step"
        )
        tell(*sentences(detector))
        tell(f"Saved to {self.out / 'detector.npz'}")
        tell(f"Open {fitted_page(self.out / 'detector.html', detector)}.")
        tell(f"Open {report_run(self.out)}.")
        tell_next("detect", "score", "suspects", "--detector", self.out / "detector.npz")

    def _opened(
        self, names: tuple[str, str], recode: int | None, seed: int
    ) -> tuple[Parts, dict[str, Any], Preprocessing, dict[str, Any]]:
        """The images by use, what was used, what is done to them, and facts about them; said."""

        def opened(split: str) -> tuple[Source, Source]:
            # What is left out and resized is the same for all splits, and said once.
            told = {"size": self.size, "split": split, "quiet": split == "test"}
            made = [
                real_and_fake.open_native(name, follow_links=self.follow_links, **told)
                for name in names
            ]
            return made[0], made[1]

        train = opened("train" if self.groups is None else "all")
        real_and_fake.check_apart(names, train)
        preprocessing = real_and_fake.preprocessing_of(
            names, train, size=self.size, recode=recode, match_sizes=self.match_sizes
        )
        how = {"preprocessing": preprocessing, "on_bad_image": self.on_bad_image}
        how |= {"seed": seed, "progress": progress}
        if self.groups is None:
            held = opened("test")
            split = "train splits; of the test splits, equal parts for each other use"
            sources = (train[0], held[0]), (train[1], held[1])
            parts = part(*sources, split=split, false_alarms=self.config.false_alarms, **how)
        else:
            groups = real_and_fake.grouped(names, train, self.groups)
            assert groups is not None
            parts = part_by_groups(*train, groups, split=f"by groups: {self.groups}", **how)
        facts = real_and_fake.audited(names, train, preprocessing, robust=False, seed=seed)
        assert parts.measurement is not None
        used = {}
        for place, kind in enumerate(("real", "generated")):
            numbers = {
                "train": len(parts.train[place]),
                "validate": len(parts.validation[place]),
                **({"calibrate": len(parts.calibration)} if kind == "real" else {}),
                **({} if parts.reference is None else {"reference": len(parts.reference[place])}),
                "measure": len(parts.measurement[place]),
            }
            said = ", ".join(f"{number} {use}" for use, number in numbers.items())
            say(f"{names[place]}: of {sum(numbers.values())} images {said}")
            used[kind] = {"data": names[place], **account.facts(train[place]), **numbers}
        used |= parts.left_out
        return parts, used, preprocessing, facts
