"""`gan-forensics train detector`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gan_forensics.cli.process import start


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
    arch: Literal["resnet50", "efficientnet_b0", "resnet_small"] = "resnet50"
    """The network; resnet_small is for images of 32 to 64 pixels and for CPUs."""
    augment: str = "blur,jpeg"
    """Some of blur, jpeg, grayscale; none for none."""
    probability: float = 0.5
    """Of blur, and of JPEG, for each image (published: 0.5 and 0.1)."""
    rounding: Literal["round", "truncate-like-reference"] = "truncate-like-reference"
    """Of blurred pixels; the released code cuts off, which darkens by a level."""
    size: int | None = None
    """Centre-crop and resize all images to this side."""
    crop: int = 0
    """Train on random crops of this side; 0 for whole images, which must then have one size."""
    width: int = 0
    """Channels of resnet_small's first map; 0 for 8."""
    weights: Path | None = None
    """PyTorch weights to start from: an ImageNet body, or a published detector."""
    batch_size: int = 64
    """Images a minibatch."""
    learning_rate: float = 1e-4
    """Of Adam; divided by ten, twice, when the validation accuracy stands still."""
    epoch: int = 0
    """Steps between validations; 0 for once through all images."""
    steps: int | None = None
    """At most; by default until the third time that the validation accuracy stands still."""
    false_alarms: float = 0.05
    """Accepted share of real images called generated, which sets the threshold."""
    seed: int = 0
    """Of initialisation, order, augmentation and split."""
    out: Path = Path("runs/detector")
    """Run folder; gets detector.npz."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""

    def __call__(self) -> None:
        """Run it."""
        start()
        from gan_forensics.data import installed_encoders, open_source
        from gan_forensics.forensics.neural_parts import part
        from gan_forensics.forensics.neural_training import DetectorConfig, train_detector
        from gan_forensics.report import report_run

        names = tuple(name.strip() for name in self.augment.split(",")) if self.augment else ()
        config = DetectorConfig(
            arch=self.arch,
            width=self.width,
            augment=() if names == ("none",) else names,
            probability=self.probability,
            crop=self.crop,
            rounding=self.rounding,
            encoders=installed_encoders(),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            epoch=self.epoch,
            false_alarms=self.false_alarms,
            weights=str(self.weights) if self.weights else None,
            seed=self.seed,
        )
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
            seed=self.seed,
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
