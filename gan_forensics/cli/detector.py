"""`gan-forensics train detector`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_forensics.cli.train import options_of
from gan_forensics.data import installed_encoders, open_source
from gan_forensics.data.files import check_folder_out
from gan_forensics.forensics import DetectorConfig, part, train_detector
from gan_forensics.report import report_run

Options: Any = options_of(DetectorConfig, without=("augment", "encoders"))


@dataclass(frozen=True)
class TrainDetector:
    """Train a network that tells generated from real images, of GANs that it never saw too.

    The recipe of Wang et al. (CVPR 2020): images of one GAN, blurred and compressed at random; with
    grayscale among the augmentations the detector does not lean on colour alone. Three quarters of
    the images (or the train split of a source that has one) are trained on, half of the others
    decide when to stop, and the other half set the threshold.

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
    steps: int | None = None
    """At most; by default until the third time that the validation accuracy stands still."""
    out: Path = Path("runs/detector")
    """Run folder; gets detector.npz."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""

    def __call__(self) -> None:
        """Run it."""
        check_folder_out(self.out)
        named = "" if self.augment.strip() == "none" else self.augment
        augment = tuple(name.strip() for name in named.split(",") if name.strip())
        config = DetectorConfig(**vars(self.config), augment=augment, encoders=installed_encoders())
        real, fake = (
            (
                open_source(name, size=self.size, split="train"),
                open_source(name, size=self.size, split="test"),
            )
            for name in (self.real, self.fake)
        )
        parts = part(
            real,
            fake,
            split="train splits; of the test splits, half for validation, half for calibration",
            seed=config.seed,
        )
        facts = {"real": self.real, "fake": self.fake, "size": self.size}
        detector = train_detector(
            parts, config, self.out, steps=self.steps, resume=self.resume, facts=facts
        )
        detector.save(self.out / "detector.npz")
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
