"""Attribution: which generator made an image, or whether it is real, by one protocol.

Every method is fitted on training images alone. Held-out images choose its checkpoint or settings
(half of them) and set the temperature of its probabilities and the threshold of "none of these"
(the other half), of which every other one is perturbed where training images were. All of them are
what images are compared with. Images that it is measured on are others.

A source is a generator or the real world; sources go by name, and which one is real is stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8
from scipy.special import softmax

from gan_forensics.data.attributed import Attributed
from gan_forensics.data.corruptions import TRAIN_CORRUPTIONS
from gan_forensics.forensics.attribution_methods import METHODS
from gan_forensics.forensics.attribution_model import Model, Outputs
from gan_forensics.forensics.attribution_training import in_memory, perturbation_of
from gan_forensics.forensics.calibration import smallest_calibration_set
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.open_set import ACCEPTED, KNOWNNESS, known_threshold
from gan_forensics.forensics.preprocessing import NATIVE, Prepared, Preprocessing
from gan_forensics.forensics.repmix import CONCENTRATION, LEVEL
from gan_forensics.forensics.temperature import fit_temperature

Images = UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_h _w c"]]
# What says how much an image is like a known source: a key of `KNOWNNESS`.
OPENNESS = "probability"
# Images of each source that are kept in the file, to compare others with.
GALLERY = 100
_AT_ONCE = 64


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
        learning_rate: None for the method's own.
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
        reads = METHODS[self.method].reads
        plain = {f: d.default for f, d in type(self).__dataclass_fields__.items()}
        if ignored := [f for f in _SPECIAL if f not in reads and getattr(self, f) != plain[f]]:
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


# Settings that not all methods have.
_SPECIAL = (
    "arch", "width", "weights", "epochs", "batch_size", "learning_rate", "optimizer", "mixed",
    "level", "mix_concentration", "compound", "flip", "crop_from",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Attributor:
    """A fitted attributor.

    Attributes:
        names: of the sources, in the order of the logits.
        real: which of them is real.
        method: a key of `METHODS`.
        model: what it fitted.
        image_shape: (h, w, 3) of images after the preprocessing; others are refused.
        preprocessing: what happens to every image first.
        temperature: logits are divided by it before they become probabilities.
        threshold: knownness below which an image is of "none of these".
        accepted: the share of held-out images of known sources that the threshold accepts.
        gallery: outputs of held-out images, to compare others with.
        gallery_labels: their sources.
        facts: JSON-able, such as what it was fitted on and what was measured.
    """

    names: tuple[str, ...]
    real: str
    method: str
    model: Model
    image_shape: tuple[int, int, int]
    preprocessing: Preprocessing
    temperature: float
    threshold: float
    accepted: float
    gallery: Outputs
    gallery_labels: Int[np.ndarray, " m"]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def real_index(self) -> int:
        """The place of the real source."""
        return self.names.index(self.real)

    def described(self) -> dict[str, Any]:
        """All that a page says of it, JSON-able: the facts, and what probabilities rest on."""
        return {
            "names": list(self.names), "real": self.real, "method": self.method,
            "temperature": self.temperature, "threshold": self.threshold,
            "accepted": self.accepted, **self.facts,
        }  # fmt: skip

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse images [h, w, c] that `outputs` would refuse for their size (ValueError)."""
        height, width, _ = self.preprocessing.shape(shape)
        if (height, width) != self.image_shape[:2]:
            wanted = f"{self.image_shape[0]}x{self.image_shape[1]}"
            raise ValueError(
                f"images of {height}x{width} do not fit an attributor fitted on {wanted}: crop "
                "them to that size (resizing changes the traces), or fit one with --size or "
                "--match-sizes, which brings images of any size to one"
            )

    def prepared(self, image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """One image as the model sees it.

        Raises:
            ValueError: for another size, other than uint8, and one flat colour, of which nothing
                tells who made it.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
            raise ValueError(
                f"images are uint8 [h, w, 1 or 3], got {image.dtype} {list(image.shape)}"
            )
        self.check_shape(image.shape)
        image = self.preprocessing(np.repeat(image, 3 // image.shape[-1], -1))
        if (image == image[:1, :1]).all():
            raise ValueError("an image of one flat colour does not show who made it")
        return image

    def outputs(self, images: Images) -> Outputs:
        """Logits and features of images, few of them in memory at a time.

        Raises:
            ValueError: as `prepared`.
        """
        parts = []
        for first in range(0, len(images), _AT_ONCE):
            some = [self.prepared(images[i]) for i in _upto(first, len(images))]
            parts.append(self.model.outputs(np.stack(some)))
        if not parts:
            raise ValueError("no images were given")
        return Outputs(*(np.concatenate(of) for of in zip(*parts, strict=True)))

    def calibrated(self, outputs: Outputs) -> Outputs:
        """The same with logits divided by the temperature."""
        return Outputs(np.asarray(outputs.logits) / self.temperature, outputs.features)

    def probabilities(self, outputs: Outputs) -> Float64[np.ndarray, "n C"]:
        """Calibrated probabilities of the sources, if an image is of one of them."""
        return softmax(self.calibrated(outputs).logits, axis=1)

    def none_of_these(self, outputs: Outputs) -> Bool[np.ndarray, " n"]:
        """Which images are of no known source, by the rule."""
        return self.knownness(outputs) < self.threshold

    def knownness(self, outputs: Outputs) -> Float64[np.ndarray, " n"]:
        """How much images are like a known source, which the threshold is for."""
        return KNOWNNESS[OPENNESS](self.calibrated(outputs), None)

    def save(self, path: Path | str) -> None:
        """Write it to a file for `load_attributor`."""
        from gan_forensics.forensics.attribution_files import write_attributor

        write_attributor(path, self)


def fit_attributor(
    train: Attributed,
    held_out: Attributed,
    config: AttributionConfig,
    *,
    run: Path | None = None,
    resume: bool = False,
    preprocessing: Preprocessing = NATIVE,
    facts: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Attributor:
    """Fit an attributor.

    Args:
        train: images to learn from.
        held_out: others of the same sources.
        config: how.
        run: a run folder for methods that train a network; None for a temporary one.
        resume: go on from its newest checkpoint.
        preprocessing: of all images, kept with the attributor.
        facts: about the images, kept with the run and the attributor.
        progress: whether to draw bars.

    Raises:
        ValueError: for sources that differ between the two or have no images, images of several
            sizes, too few, or too small ones, and settings that cannot be built.
    """
    check_sources(train, held_out)
    # Whatever order folders or lists were in, the same sources are fitted alike.
    names = tuple(sorted(train.names))
    train, held_out = (relabelled(images, names, train.real) for images in (train, held_out))
    method = METHODS[config.method]
    shape = preprocessing.shape(train.source[0]["image"].shape)
    image_shape = (shape[0], shape[1], 3)
    if shape[0] != shape[1]:
        raise ValueError(
            f"images of {shape[0]}x{shape[1]} are no squares: --match-sizes cuts squares of one "
            "size, --size N resizes"
        )
    given = Preprocessing(size=config.crop_from) if config.crop_from else preprocessing
    if config.crop_from and config.crop_from < shape[0]:
        raise ValueError(f"crop_from {config.crop_from} is smaller than the images of {shape[0]}")
    check_enough(held_out)
    rng = np.random.default_rng((config.seed, 10))
    chosen, judged = halves(held_out.labels, rng)
    learnt = in_memory(Prepared(train.source, given), train.labels)
    held = in_memory(Prepared(held_out.source, preprocessing), held_out.labels)
    perturbation = perturbation_of(config)

    def pixels(rows: np.ndarray, share: float) -> UInt8[np.ndarray, "n h w 3"]:
        """Held-out images, so many of them perturbed, each by a generator of its own."""
        made = []
        for place, row in enumerate(rows):
            image = held[int(row)]["image"]
            if perturbation is not None and place % 2 < 2 * share:
                image = perturbation(image, np.random.default_rng((config.seed, 11, int(row))))
            made.append(image)
        return np.stack(made)

    model = method.fit(
        (learnt, train.labels),
        (pixels(chosen, 1.0), held_out.labels[chosen]),
        config,
        names=train.names,
        real=train.names.index(train.real),
        side=shape[0],
        run=run,
        resume=resume,
        facts={"names": list(train.names), "real": train.real, **(facts or {})},
        progress=progress,
    )
    labels = held_out.labels
    every = model.outputs(pixels(np.arange(len(labels)), 0.5))
    found = every.rows(judged)
    temperature = fit_temperature(found.logits, labels[judged])
    calm = Outputs(found.logits / temperature, found.features)
    kept = np.concatenate([
        rng.permutation(np.flatnonzero(labels == c))[:GALLERY] for c in range(len(names))
    ])  # fmt: skip
    return Attributor(
        names=train.names,
        real=train.real,
        method=config.method,
        model=model,
        image_shape=image_shape,
        preprocessing=preprocessing,
        temperature=temperature,
        threshold=known_threshold(KNOWNNESS[OPENNESS](calm, None), ACCEPTED),
        accepted=ACCEPTED,
        gallery=Outputs(*(np.asarray(a, np.float32)[kept] for a in every)),
        gallery_labels=labels[kept],
        facts={
            "config": asdict(config),
            "images": {
                "train": counts(train), "held_out": counts(held_out),
            },
            **(facts or {}),
        },
    )  # fmt: skip


def counts(images: Attributed) -> dict[str, int]:
    """How many images there are of each source."""
    found = np.bincount(images.labels, minlength=len(images.names))
    return {name: int(n) for name, n in zip(images.names, found, strict=True)}


def check_sources(train: Attributed, other: Attributed) -> None:
    """Refuse images of other sources than those to learn, and sources without images.

    Raises:
        ValueError: naming them.
    """
    if set(train.names) != set(other.names) or train.real != other.real:
        raise ValueError(
            f"the sources differ: {', '.join(train.names)} (real: {train.real}) and "
            f"{', '.join(other.names)} (real: {other.real})"
        )
    for what, images in (("to learn from", train), ("held out", other)):
        if empty := [name for name, n in counts(images).items() if not n]:
            raise ValueError(f"no images {what} of {', '.join(empty)}: give some, or leave it out")


def check_enough(held_out: Attributed) -> None:
    """Refuse held-out images too few for the threshold of "none of these", which half of them set.

    Raises:
        ValueError: saying how many are needed.
    """
    least = smallest_calibration_set(1 - ACCEPTED)
    if len(halves(held_out.labels, np.random.default_rng(0))[1]) < least:
        raise ValueError(
            f"{len(held_out.labels)} held-out images of {', '.join(held_out.names)} are too few "
            f"for the threshold of none of these: give {2 * least + len(held_out.names)} or more "
            "(a fifth of all images, where they have no split of their own)"
        )


def relabelled(images: Attributed, names: Sequence[str], real: str) -> Attributed:
    """Images with the labels of these names, whatever the order of their own.

    Raises:
        ValueError: for sources that are not among the names, or another real one.
    """
    if unknown := sorted(set(images.names) - set(names)):
        raise ValueError(
            f"images of {', '.join(unknown)}, and the model knows {', '.join(names)}: give images "
            "of its sources, or another model"
        )
    if images.real != real:
        raise ValueError(f"of the images {images.real} is real, of the model {real}")
    place = np.array([list(names).index(name) for name in images.names], np.int32)
    return images._replace(names=tuple(names), labels=place[images.labels])


def halves(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows in two halves, each with half of every source, ascending."""
    parts: tuple[list, list] = ([], [])
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        for part, some in zip(parts, np.array_split(rows, 2), strict=True):
            part.append(some)
    first, second = (np.sort(np.concatenate(part)) for part in parts)
    return first, second


def fifths(
    images: Attributed, mask: Bool[np.ndarray, " n"], *, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train on, held out, and to measure on: 3, 1 and 1 of five of each kind of images.

    A kind is a source, semantic and instance.

    Raises:
        ValueError: for a kind of fewer than five images.
    """
    kinds: dict[tuple, list[int]] = {}
    for row in np.flatnonzero(mask):
        kind = (int(images.labels[row]), images.semantics[row], images.instances[row])
        kinds.setdefault(kind, []).append(int(row))
    rng, parts = np.random.default_rng((seed, 12)), ([], [], [])
    for (label, *which), rows in kinds.items():
        if len(rows) < 5:
            name = "/".join(filter(None, (images.names[label], *which)))
            raise ValueError(f"{len(rows)} images of {name} cannot be parted: give 5 or more")
        order, fifth = rng.permutation(rows), round(len(rows) / 5)
        for part, some in zip(
            parts, np.split(order, [len(rows) - 2 * fifth, len(rows) - fifth]), strict=True
        ):
            part.append(some)
    return tuple(np.sort(np.concatenate(part)) for part in parts)  # pyright: ignore


def _upto(first: int, count: int) -> Iterator[int]:
    return iter(range(first, min(first + _AT_ONCE, count)))
