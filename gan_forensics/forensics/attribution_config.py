"""How an attributor is fitted: one dataclass, the one place where a default stands."""

from dataclasses import dataclass
from typing import Any, Literal

from gan_forensics.data.corruptions import TRAIN_CORRUPTIONS
from gan_forensics.forensics.attribution_methods import EVERY, METHODS
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.repmix import CONCENTRATION, LEVEL


@dataclass(frozen=True)
class AttributionConfig:
    """Everything that decides what fitting an attributor computes, beside its images.

    Attributes:
        method: a key of `METHODS`: repmix; resnet, which is repmix without mixing, gate and
            detection loss; or a baseline.
        arch: the body of repmix and resnet: resnet50 or, for small images and CPUs, resnet_small.
        width: channels of the first map of resnet_small, of yu's dense layer, of the residual of
            reverse-engineering; None for the network's own (8, 512, 64).
        weights: file of a PyTorch state dict that resnet50 starts from, such as ImageNet's.
        epochs: at most; networks stop when the held-out loss stands still.
        batch_size: images a minibatch, over all processes.
        learning_rate: None for the method's own; for repmix and resnet 1e-4 with resnet50, as
            published, and 1e-3 with resnet_small.
        optimizer: of repmix and resnet: Adam with L2 5e-4 added to the gradient of all parameters,
            or SGD with momentum, whose decay spares biases and norms; rates x 0.85 an epoch.
        mixed: images to a mixture, for repmix; 1 does not mix.
        level: where repmix mixes: 0 the images, 1 behind the stem, 2 to 5 behind a stage, 6 the
            embedding.
        mix_concentration: of the Dirichlet distribution of the weights.
        compound: whether repmix gates its logits and learns to detect as well.
        perturbations: kinds of `CORRUPTIONS` that training images go through; () for none.
        perturb_probability: of going through one.
        frost_textures: folder of the textures of frost; None for an installed package's.
        flip: probability of mirroring.
        crop_from: side that training images are resized to before a random crop of the size of the
            others; None for no crop.
        seed: of initialisation, order, mixtures, perturbations.

    Raises:
        ValueError: for an unknown method, a number out of range, and a setting that the method
            does not have.

    Example:
        >>> AttributionConfig("repmix", arch="resnet_small", width=8).mixed
        2
    """

    method: str = "repmix"
    arch: str = "resnet_small"
    width: int | None = None
    weights: str | None = None
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float | None = None
    optimizer: Literal["adam", "sgd"] = "adam"
    mixed: int = 2
    level: int = LEVEL
    mix_concentration: float = CONCENTRATION
    compound: bool = True
    perturbations: tuple[str, ...] = TRAIN_CORRUPTIONS
    perturb_probability: float = 0.95
    frost_textures: str | None = None
    flip: float = 0.5
    crop_from: int | None = None
    seed: int = 0

    def __post_init__(self):
        lookup(METHODS, self.method, "method")
        for name in ("width", "epochs", "batch_size", "mixed", "crop_from"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("learning_rate", "mix_concentration"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        for name in ("perturb_probability", "flip"):
            if not 0 <= (chance := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {chance}")
        if not 0 <= self.level <= 6:
            raise ValueError(f"level is 0 (the images) to 6 (the embedding), got {self.level}")
        if self.mixed == 1 and (self.level, self.mix_concentration) != (LEVEL, CONCENTRATION):
            raise ValueError(
                "level and mix_concentration are for mixtures, and mixed=1 makes none: leave them "
                "out"
            )
        reads = METHODS[self.method].reads
        plain = {f: d.default for f, d in type(self).__dataclass_fields__.items()}
        reads = (*EVERY, *reads)
        if ignored := [f for f in plain if f not in reads and getattr(self, f) != plain[f]]:
            raise ValueError(
                f"{self.method} has no {', '.join(ignored)}: leave it out, or choose another method"
            )

    @property
    def choices(self) -> dict[str, Any]:
        """What the network is told."""
        reads = METHODS[self.method].reads
        if "arch" not in reads:
            return {"width": self.width} if "width" in reads else {}
        compound = self.compound and self.method == "repmix"
        return {
            "arch": self.arch, "width": self.width, "compound": compound,
            "optimizer": self.optimizer, "level": self.level,
        }  # fmt: skip
