"""What decides how a classifier is trained, and what a student learns from its teacher."""

import math
from dataclasses import dataclass
from typing import Literal

from gan_forensics.nn.limits import check_limits
from gan_forensics.runtime import Precision, check_precision

Arch = Literal[
    "small_cnn",
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "efficientnet_b0",
    "efficientnet_pytorch_b0",
]
Augment = Literal["none", "flip", "imagenet", "cub"]
# Below this side images are not augmented unless that is asked for.
SMALL = 64


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that decides what training a classifier computes, beside its teacher.

    The defaults are the released recipe of Chandrasegaran et al. (ICML 2022) for ImageNet: SGD with
    momentum 0.9, decay of all parameters joined to the gradient, rates that fall to a tenth.

    Attributes:
        data: images with labels: a folder with a subfolder for each class, list:FILE.csv, idx:PATH,
            npz:FILE, tfds:NAME, samples:digits; the train split is learned from.
        test: source whose images test, all of them; by default the test split of the data, or where
            they have none of their own about a quarter of the images.
        split: train; or all: nothing is held out for a test.
        arch: the network; small_cnn is for images of 8 to 64 pixels and for CPUs, the others are
            torchvision's, and one that of the package efficientnet_pytorch.
        width: channels of the first stage of small_cnn (16), resnet18 (64) or mobilenet_v2 (32).
        size: side of the images; by default that of the data, whose images must then be squares of
            one size.
        resize: side that images are read at before crops of `size` are cut out, at random for
            training and in the middle otherwise; by default 8/7 of a size that is given (256 for
            224) where `augment` crops.
        label_smoothing: alpha, the mass that a label gives to all classes alike; in [0, 1).
        epochs: in all.
        batch_size: images a minibatch, over all processes.
        learning_rate: before it falls; not scaled by the batch.
        decay_every: epochs between falls; by default a third of all (30 of 90), of students two
            fifths (80 of 200).
        warm_up: epochs in which the rate grows from almost nothing; by default none, of students a
            fortieth (5 of 200).
        weight_decay: of all parameters, biases and norms too (published: 1e-4; students of
            fine-grained classes 1e-3).
        augment: of training images: none; flip; imagenet, a random crop of 8 to 100 % of the area,
            resized, and a flip; cub, a crop of 20 to 100 %, flip, turn, gray, brightness and
            contrast. By default none below 64 pixels, else imagenet.
        weights: what to start from: PyTorch weights as torchvision names them, or a run folder of a
            classifier of the same network. Another number of classes makes a new last layer.
        validation: share of the train split that is held out, and chooses the epoch.
        select_on: what chooses the epoch: validation; or test, the test images themselves, as the
            released code does, which makes the number of that epoch too good. Nothing is held out
            for validation then.
        seed: of initialisation, order, augmentation and the validation part.
        precision: of training: float32, tf32 or bfloat16; by default the backend's own. Tests are
            of float32 networks in either case.
        channels: of the images; filled in from the data, as are the next two.
        classes: how many.
        label_names: what labels 0, 1, ... stand for, where the data say so.

    Raises:
        ValueError: for a number out of range.

    Example:
        >>> ClassifierConfig("samples:digits", arch="resnet18", label_smoothing=0.1).label_smoothing
        0.1
    """

    data: str = "samples:digits"
    test: str | None = None
    split: Literal["train", "all"] = "train"
    arch: Arch = "small_cnn"
    width: int | None = None
    size: int | None = None
    resize: int | None = None
    label_smoothing: float = 0.0
    epochs: int = 90
    batch_size: int = 256
    learning_rate: float = 0.1
    decay_every: int | None = None
    warm_up: int | None = None
    weight_decay: float = 1e-4
    augment: Augment | None = None
    weights: str | None = None
    validation: float = 0.1
    select_on: Literal["validation", "test"] = "validation"
    seed: int = 0
    precision: Precision | None = None
    channels: Literal[1, 3] | None = None
    classes: int | None = None
    label_names: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "label_names", tuple(self.label_names))  # JSON brings lists back.
        check_precision(self.precision)
        check_limits(self)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing is a share of at least 0 and below 1, got {self.label_smoothing}"
            )
        positive = ("width", "size", "resize", "epochs", "batch_size", "decay_every")
        for name, low in {**dict.fromkeys(positive, 1), "warm_up": 0, "seed": 0}.items():
            if (value := getattr(self, name)) is not None and value < low:
                raise ValueError(f"{name} must be at least {low}, got {value}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be 0 or more, got {self.weight_decay}")
        if not 0 < self.validation < 1:
            raise ValueError(
                f"validation is a share of the training images between 0 and 1 (exclusive), got "
                f"{self.validation}"
            )
        if self.resize is not None and (self.size is None or self.resize < self.size):
            raise ValueError(f"resize {self.resize}: give a size to crop, at most as large")
        if self.resize is not None and self.augment in ("none", "flip"):
            raise ValueError(f"resize is for random crops, and augment {self.augment} has none")
        if self.split == "all" and self.select_on == "test":
            raise ValueError("select_on test needs test images, and split all holds out none")
        if self.split == "all" and self.test is not None:
            raise ValueError("with a source of test images all of the data train: leave split out")

    @property
    def crops(self) -> bool:
        """Whether training images are cropped at random."""
        return self.augment in ("imagenet", "cub")

    @property
    def metric(self) -> str:
        """What the kept epoch is chosen by; small is good."""
        return f"{self.select_on}/error"


@dataclass(frozen=True)
class Distillation:
    """How a student learns from a teacher.

    Attributes:
        temperature: T, at which both are read; published for 1, 2, 3 and 64.
        hard_weight: share of the loss that the true labels have; published: none.
        untempered_student: read the student at 1 instead, as Mueller et al. (NeurIPS 2019) are
            reported to do.

    Raises:
        ValueError: for T that is not positive, and a share that is none or leaves nothing.

    Example:
        >>> Distillation(temperature=4.0).hard_weight
        0.0
    """

    temperature: float = 1.0
    hard_weight: float = 0.0
    untempered_student: bool = False

    def __post_init__(self):
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, got {self.temperature}")
        if not 0 <= self.hard_weight < 1:
            raise ValueError(
                f"hard_weight is a share of at least 0 and below 1, got {self.hard_weight}; a "
                "student of labels alone has no teacher"
            )
