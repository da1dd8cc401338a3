"""`gan-forensics train detector`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_forensics.cli.checks import at_least, not_given
from gan_forensics.cli.process import open_source, say
from gan_forensics.cli.train import options_of
from gan_forensics.data import account, installed_encoders
from gan_forensics.data import open_source as open_again
from gan_forensics.data.files import check_folder_out, write_json
from gan_forensics.forensics import DetectorConfig, part, train_detector
from gan_forensics.forensics.neural import make_network
from gan_forensics.report import report_run

Options: Any = options_of(DetectorConfig, without=("augment", "encoders"))


@dataclass(frozen=True)
class TrainDetector:
    """Train a network that tells generated from real images, of GANs that it never saw too.

    The recipe of Wang et al. (CVPR 2020): images of one GAN, blurred and compressed at random; with
    grayscale among the augmentations the detector does not lean on colour alone. About three
    quarters of the images (or the train split of a source that has one) are trained on, half of the
    others decide when to stop, and the other half set the threshold.

    Try it:

    $ gan-forensics train detector --real photographs --fake generated --arch resnet_small

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
    """Centre-crop and resize all images to this side."""
    follow_links: bool = False
    """Follow links that leave a folder."""
    steps: int | None = None
    """At most; by default until the third time that the validation accuracy stands still."""
    out: Path = Path("runs/detector")
    """Run folder; gets detector.npz."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""

    def _checked(self) -> DetectorConfig:
        """The config; what cannot be or would do nothing is refused before any image is read."""
        named = "" if self.augment.strip() == "none" else self.augment
        augment = tuple(name.strip() for name in named.split(",") if name.strip())
        config = DetectorConfig(**vars(self.config), augment=augment, encoders=installed_encoders())
        at_least(0, steps=self.steps, seed=config.seed)
        at_least(1, size=self.size)
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
            names = ("batch_size", "learning_rate", "epoch", "flip")
            idle |= dict.fromkeys(names, "it is of training, and --steps 0 only calibrates")
        for name, why in idle.items():
            value = getattr(config, name)
            not_given(why, **{name: None if value == getattr(DetectorConfig, name) else value})
        return config

    def __call__(self) -> None:
        """Run it."""
        check_folder_out(self.out)
        config = self._checked()
        check_folder_out(self.out)
        shared = {"size": self.size, "follow_links": self.follow_links}
        real, fake = (
            (open_source(name, split="train", **shared), open_again(name, split="test", **shared))
            for name in (self.real, self.fake)
        )
        parts = part(
            real,
            fake,
            split="train splits; of the test splits, half for validation, half for calibration",
            seed=config.seed,
        )
        used = {}
        for place, (kind, (train, _)) in enumerate((("real", real), ("generated", fake))):
            name = (self.real, self.fake)[place]
            numbers = {
                "train": len(parts.train[place]),
                "validate": len(parts.validation[place]),
                "calibrate": len(parts.calibration[place]),
            }
            said = ", ".join(f"{number} {use}" for use, number in numbers.items())
            say(f"{name}: of {sum(numbers.values())} images {said}")
            used[kind] = {"data": name, **account.facts(train), **numbers}
        facts = {"real": self.real, "fake": self.fake, "size": self.size}
        detector = train_detector(
            parts, config, self.out, steps=self.steps, resume=self.resume, facts=facts
        )
        detector.save(self.out / "detector.npz")
        write_json(self.out / "data.json", used)
        calibration, validation = detector.calibration, detector.facts["validation"]
        assert calibration is not None
        print(
            f"{detector.name}, step {detector.facts['step']}: validation accuracy "
            f"{validation['validation/accuracy']:.1%}, average precision "
            f"{validation['validation/average_precision']:.3f}; on "
            f"{calibration.n_real_held_out} + {calibration.n_fake_held_out} images for calibration "
            f"{calibration.achieved:.1%} false alarms and {calibration.detection_rate:.1%} "
            f"detected. Saved to {self.out / 'detector.npz'}"
        )
        print(f"Open {report_run(self.out)}.")
        print(f"Next: gan-forensics detect score suspects --detector {self.out / 'detector.npz'}")
