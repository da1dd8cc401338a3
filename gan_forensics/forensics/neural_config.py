"""What decides how a detector is trained."""

from dataclasses import dataclass
from typing import Any, Literal

from gan_forensics.data import Augmentation, installed_encoders
from gan_forensics.data.augment import Encoder, Rounding
from gan_forensics.forensics.neural import OF_ONE_SIZE
from gan_forensics.runtime import Precision, check_precision

AUGMENTS = ("blur", "jpeg", "grayscale")


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that decides what training a detector computes, beside its images.

    Attributes:
        arch: the network, of `gan_forensics.forensics.neural.ARCHITECTURES`: resnet50,
            efficientnet_b0, or, for images of 32 to 64 pixels and for CPUs, resnet_small; npr
            looks at the relations of neighbouring pixels, places at small places that it averages,
            autogan and dct_cnn at the spectrum, dct_cnn at one size of squares.
        width: channels of the first map of resnet_small, npr, places and autogan; None for their
            own.
        augment: some of blur, jpeg, grayscale (which makes it colour-robust).
        probability: of blur, and of JPEG, for each image (published: 0.5 and 0.1).
        gray_probability: of gray.
        flip: probability of mirroring.
        crop: side of random (validation: central) crops; None for whole images, which must then
            have one size.
        rounding: of blurred pixels; the released code cuts off, which darkens by a level.
        encoders: of JPEG.
        batch_size: images a minibatch, over all processes.
        learning_rate: divided by ten, twice, when the validation accuracy stands still.
        optimizer: sgd has momentum 0.9, dampened by 0.9, and weight decay 1e-4, as published for
            autogan (with rate 0.01); None for Adam.
        epoch: steps between validations; None for once through all images.
        false_alarms: accepted share of real images called generated, which sets the threshold.
        weights: file of a PyTorch state dict to start from (.pt, .pth, .ckpt, .safetensors or
            .npz); a last layer of one logit is kept, another is made anew.
        seed: of initialisation, order, augmentation, and the command's split.
        precision: of training: float32, tf32 or bfloat16 as for GANs; by default the backend's own.
            Validation and scores are of float32 networks in either case.
        side: of the images of a network that takes one size; filled in from the images.

    Raises:
        ValueError: for a width, crop, epoch or batch below 1, a crop for a network that takes whole
            images, a rate that is not positive, and a probability or a share of false alarms out of
            range.

    Example:
        >>> DetectorConfig("resnet50", augment=("jpeg",)).probability
        0.5
    """

    arch: str = "resnet50"
    width: int | None = None
    augment: tuple[str, ...] = ("blur", "jpeg")
    probability: float = 0.5
    gray_probability: float = 0.5
    flip: float = 0.5
    crop: int | None = None
    rounding: Rounding = "truncate-like-reference"
    encoders: tuple[Encoder, ...] = ("opencv", "pillow")
    batch_size: int = 64
    learning_rate: float = 1e-4
    optimizer: Literal["sgd"] | None = None
    epoch: int | None = None
    false_alarms: float = 0.05
    weights: str | None = None
    seed: int = 0
    precision: Precision | None = None
    side: int | None = None

    def __post_init__(self):
        check_precision(self.precision)
        for name in ("width", "crop", "epoch", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}: leave it out")
        if self.arch in OF_ONE_SIZE and self.crop is not None:
            raise ValueError(f"{self.arch} takes whole images of one size: leave crop out")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not 0 < self.false_alarms < 1:
            raise ValueError(
                f"false_alarms is a share between 0 and 1 (exclusive), got {self.false_alarms}"
            )
        for name in ("probability", "gray_probability", "flip"):
            if not 0 <= (chance := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {chance}")

    @property
    def settings(self) -> dict[str, Any]:
        """What the architecture is told."""
        given = {"width": self.width, "side": self.side}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def augmentation(self) -> Augmentation:
        """The augmentation of training images.

        Raises:
            ValueError: for an unknown name.
        """
        if unknown := sorted(set(self.augment) - set(AUGMENTS)):
            raise ValueError(f"unknown augmentations {unknown}: choose of {', '.join(AUGMENTS)}")
        return Augmentation(
            blur=self.probability if "blur" in self.augment else 0.0,
            jpeg=self.probability if "jpeg" in self.augment else 0.0,
            grayscale=self.gray_probability if "grayscale" in self.augment else 0.0,
            flip=self.flip,
            crop=self.crop or 0,
            encoders=tuple(name for name in self.encoders if name in installed_encoders()),
            rounding=self.rounding,
        )
