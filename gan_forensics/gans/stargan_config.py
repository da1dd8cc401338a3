"""What a StarGAN is made from: the config that run folders keep and the command line is made of."""

from dataclasses import dataclass, replace
from typing import Literal

from gan_forensics.files import listed
from gan_forensics.nn.limits import check_limits
from gan_forensics.nn.stargan import check_depth, upsampling_kind
from gan_forensics.runtime import Precision, check_precision


@dataclass(frozen=True)
class StarGanConfig:
    """Everything that decides what training a StarGAN computes.

    Attributes:
        data: images with attributes: folder:PATH (a subfolder for each), list:FILE.csv (a column of
            1 and 0 for each, beside path), celeba:PATH, tfds:celeb_a, toy:domains.
        size: side of the images, which is halved `layers` times.
        attributes: which, in this order; by default all of the data.
        exclusive: those of them of which an image has exactly one, such as colours of hair; by
            default as the data say.
        upsampling: the generator's second: BASELINE (transposed convolution), N, Z, B (nearest,
            zero insertion, bilinear), A, K (binomial, Kaiser filter), then a convolution of 5x5.
        width: of the first maps of both networks.
        blocks: residual blocks of the generator.
        layers: of the discriminator; by default as many as leave a map of 2x2, at most 6.
        channels: of the images, by default those of the data.
        batch_size: images a minibatch, over all processes.
        learning_rate: of both players.
        n_dis: the discriminator's moves a step, each on fresh images.
        schedule: of the rates: constant; linear, to 0 over the second half of the run; or released,
            the code that means to be linear and takes a thousandth of that away.
        decay_steps: of the schedules that end, by default the steps of the run.
        classification_weight: l_cls.
        reconstruction_weight: l_rec.
        penalty_weight: l_gp.
        flip: whether to mirror half of the images.
        seed: of initialisation, data order and draws.
        precision: of products, as for GANs; by default the backend's own.
        split: which images of the data train: train, or all.

    Example:
        >>> config = StarGanConfig("celeba:celeba", size=64, attributes=("Smiling", "Young"))
        >>> config.attributes, config.n_dis
        (('Smiling', 'Young'), 5)
    """

    data: str = "toy:domains"
    size: int = 128
    attributes: tuple[str, ...] = ()
    exclusive: tuple[str, ...] | None = None
    upsampling: str = "BASELINE"
    width: int = 64
    blocks: int = 6
    layers: int | None = None
    channels: Literal[1, 3] | None = None
    batch_size: int = 16
    learning_rate: float = 1e-4
    n_dis: int = 5
    schedule: Literal["constant", "linear", "released"] = "constant"
    decay_steps: int | None = None
    classification_weight: float = 1.0
    reconstruction_weight: float = 10.0
    penalty_weight: float = 10.0
    flip: bool = True
    seed: int = 2021
    precision: Precision | None = None
    split: Literal["train", "all"] | None = None

    def __post_init__(self):
        # As JSON brings them back.
        for name in ("attributes", "exclusive"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))


def filled(config: StarGanConfig) -> StarGanConfig:
    """The config with its depth, checked; raises ValueError for what cannot be."""
    check_precision(config.precision)
    check_limits(config)
    upsampling_kind(config.upsampling)
    least = {"width": 1, "blocks": 0, "batch_size": 1, "n_dis": 1, "size": 8}
    for name, low in least.items():
        if getattr(config, name) < low:
            raise ValueError(f"{name} must be at least {low}, got {getattr(config, name)}")
    if not config.learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, got {config.learning_rate}")
    for name in ("classification_weight", "reconstruction_weight", "penalty_weight"):
        if not 0 <= getattr(config, name) < float("inf"):
            raise ValueError(f"{name} must be 0 or more, got {getattr(config, name)}")
    if config.schedule not in ("constant", "linear", "released"):
        raise ValueError(f"schedule {config.schedule!r}: choose constant, linear or released")
    if config.schedule == "constant" and config.decay_steps is not None:
        raise ValueError("decay_steps are of schedules that end, and this one is constant")
    if config.schedule != "constant" and not config.decay_steps:
        raise ValueError(f"the {config.schedule} schedule needs decay_steps, the steps of the run")
    if not config.attributes:
        raise ValueError("no attributes: name those that images have or have not")
    known = set(config.attributes)
    for name in config.exclusive or ():
        if name not in known:
            raise ValueError(
                f"exclusive {name!r} is not among the attributes, {listed(config.attributes)}"
            )
    if len(config.exclusive or ()) == 1:
        raise ValueError(
            f"exclusive {config.exclusive}: name two attributes or more, of which an image has one"
        )
    layers = config.layers
    if layers is None:
        # The powers of two in the side, but one: a map of 2x2 is left of the published 128.
        halvings = (config.size & -config.size).bit_length() - 1
        layers = max(1, min(6, halvings - (config.size == 2**halvings)))
    check_depth(config.size, layers)
    if config.size % 4:
        raise ValueError(f"size must be a multiple of 4, got {config.size}")
    return replace(config, layers=layers, exclusive=config.exclusive or ())
