"""Training a universal detector: one Update, binary cross-entropy on one logit.

The recipe of Wang et al. (CVPR 2020), and with gray images that of the colour-robust detectors of
Chandrasegaran et al. (ECCV 2022): Adam (1e-4, 0.9, 0.999), batches of 64, no balancing of classes.
After every epoch the accuracy at probability 1/2 is measured on validation images, augmented with
fixed strength; when it has not grown by 0.001 in five epochs the rate falls to a tenth, the best
value is forgotten, and growth by 0.002 is asked for; at 1e-6 the third such pause ends training.
Two things differ: the best checkpoint of the whole run is kept (the released code overwrites it
with the first one after every reduction), and the threshold is calibrated on images of its own.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.traverse_util import flatten_dict
from jaxtyping import PyTree

from gan_forensics.data import Augmentation, Source, installed_encoders
from gan_forensics.data.augment import Encoder, Rounding
from gan_forensics.forensics.calibration import Calibration, smallest_calibration_set
from gan_forensics.forensics.evaluate import operating_point
from gan_forensics.forensics.measure import measured, thresholds_of
from gan_forensics.forensics.metrics import average_precision, count_scores
from gan_forensics.forensics.neural import (
    NeuralDetector,
    check_arrays,
    init_variables,
    make_network,
    normalise,
)
from gan_forensics.forensics.neural_parts import OnDemand, Parts, RealAndFake, images_of
from gan_forensics.forensics.preprocessing import NATIVE, Prepared, Preprocessing
from gan_forensics.runtime import Precision, check_precision, computation_dtype
from gan_forensics.train import (
    Cadence,
    Learner,
    Plateau,
    TrainState,
    Update,
    fit,
    load_state,
    process_batches,
    supervised_update,
)

NETWORK = "detector"
AUGMENTS = ("blur", "jpeg", "grayscale")
# `fit` looks for small values; the negative has no rounding, so that steps of 0.001 stay exact.
METRIC = "validation/negative_accuracy"
STOPPER = Plateau(
    METRIC, factor=0.1, patience=4, threshold=0.001, stop_after=0, restarts=2,
    restart_threshold=0.002,
)  # fmt: skip
# As many epochs as the published recipe allows; its stopper ends training long before.
EPOCHS = 10_000


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that decides what training a detector computes, beside its images.

    Attributes:
        arch: the network, of `gan_forensics.forensics.neural.ARCHITECTURES`: resnet50,
            efficientnet_b0, or, for images of 32 to 64 pixels and for CPUs, resnet_small; npr
            looks at the relations of neighbouring pixels alone, at any size.
        width: channels of the first map of resnet_small and npr; None for their own.
        augment: some of blur, jpeg, grayscale (which makes it colour-robust).
        probability: of blur, and of JPEG, for each image (published: 0.5 and 0.1).
        gray_probability: of gray.
        flip: probability of mirroring.
        crop: side of random (validation: central) crops; None for whole images, which must then
            have one size.
        rounding: of blurred pixels; the released code cuts off, which darkens by a level.
        encoders: of JPEG.
        batch_size: images a minibatch, over all processes.
        learning_rate: of Adam; divided by ten, twice, when the validation accuracy stands still.
        epoch: steps between validations; None for once through all images.
        false_alarms: accepted share of real images called generated, which sets the threshold.
        weights: file of a PyTorch state dict to start from; a last layer of one logit is kept,
            another is made anew.
        seed: of initialisation, order, augmentation, and the command's split.
        precision: of training: float32, tf32 or bfloat16 as for GANs; by default the backend's own.
            Validation and scores are of float32 networks in either case.

    Raises:
        ValueError: for a width, crop, epoch or batch below 1, a rate that is not positive, and
            a probability or a share of false alarms out of range.
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
    epoch: int | None = None
    false_alarms: float = 0.05
    weights: str | None = None
    seed: int = 0
    precision: Precision | None = None

    def __post_init__(self):
        check_precision(self.precision)
        for name in ("width", "crop", "epoch", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}: leave it out")
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
        return {} if self.width is None else {"width": self.width}

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


def detector_update(network: nn.Module, *, learning_rate: float = 1e-4) -> Update:
    """The one move: Adam on the mean binary cross-entropy of the logit, generated = 1.

    Its batches have "image" float [b, h, w, 3] in [-1, 1] and "label" [b].
    """

    def logits(network, batch):
        return network(normalise(0.5 * batch["image"] + 0.5), train=True)[:, 0]

    def loss(logits, batch):
        label = batch["label"]
        value = optax.sigmoid_binary_cross_entropy(logits, label.astype(logits.dtype)).mean()
        return value, {"accuracy": ((logits > 0) == (label == 1)).mean()}

    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=learning_rate)
    return supervised_update(NETWORK, network, loss, optimizer, call=logits)


def initial_variables(config: DetectorConfig) -> tuple[PyTree, PyTree]:
    """(parameters, statistics) to start from: random, or of a file of weights.

    Raises:
        ValueError: for weights of another network; names that are missing or unknown are listed.
    """
    network = make_network(config.arch, config.settings)
    # As numbers, which `check_arrays` needs, also where this is traced for its shapes.
    with jax.ensure_compile_time_eval():
        variables = dict(init_variables(network, jax.random.key(config.seed)))
    if config.weights:
        given = published_variables(config.arch, config.weights)
        last = "_fc" if config.arch.startswith("efficientnet") else "fc"
        if given["params"][last]["bias"].shape != (1,):
            given["params"][last] = variables["params"][last]
        wanted, found = (flatten_dict(tree, sep="/") for tree in (variables, given))
        check_arrays(config.arch, wanted, found)
        variables = given
    return variables.pop("params"), variables


def published_variables(arch: str, path: str | Path) -> dict[str, Any]:
    """The variables of a PyTorch state dict: a published detector, or an ImageNet body.

    Raises:
        ValueError: for an architecture without published names, and as `from_torch`.
    """
    from gan_forensics.nn import from_torch, load_weights

    if arch not in ("resnet50", "efficientnet_b0"):
        raise ValueError(f"there are no published weights of {arch}: leave weights out")
    return from_torch(arch, load_weights(path))


def train_detector(
    parts: Parts,
    config: DetectorConfig,
    run: Path,
    *,
    steps: int | None = None,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing = NATIVE,
    **options: Any,
) -> NeuralDetector:
    """Train a detector in a run folder and calibrate its threshold.

    The threshold is set as for spectral detectors: a new real image exceeds it with probability at
    most `config.false_alarms` (`calibrated_threshold`), on images that neither trained the network
    nor chose its checkpoint. What it achieves is measured on others, also after each carrier.

    Args:
        parts: the images; without a crop all images to train on must have one size.
        config: how.
        run: the run folder.
        steps: at most; None leaves the end to the stopper, 0 only calibrates.
        resume: go on from the newest checkpoint.
        facts: about the images, saved with the run and the detector.
        preprocessing: of all images, kept with the detector.
        options: for `gan_forensics.train.fit`.

    Raises:
        ValueError: for settings that cannot be built, and too few images.
    """
    needed = smallest_calibration_set(config.false_alarms)
    what = "real images" if parts.groups is None else "groups of real images"
    votes = range(len(parts.calibration)) if parts.groups is None else parts.groups[0]
    if (few := len(set(votes))) < needed:
        raise ValueError(
            f"{few} {what} for calibrating the threshold are too few: "
            f"{config.false_alarms:g} false alarms need {needed}; give about "
            f"{needed / max(few, 1):.1f} times as many, or accept more false alarms "
            f"(--false-alarms {math.ceil(100 / (few + 1)) / 100:g})"
        )
    network = make_network(config.arch, config.settings)
    augmentation = config.augmentation
    batches = process_batches(
        RealAndFake(*(Prepared(source, preprocessing) for source in parts.train)),
        batch_size=config.batch_size,
        seed=config.seed,
        transform=augmentation.transform,
    )
    epoch = config.epoch or batches.batches_per_epoch

    def init(_: int):
        params, stats = initial_variables(config)
        return {NETWORK: params}, {NETWORK: stats}

    trained = network.clone(dtype=computation_dtype(config.precision))
    update = detector_update(trained, learning_rate=config.learning_rate)
    learner = Learner(NETWORK, asdict(config), (update,), init, precision=config.precision)
    steps_before = {} if preprocessing == NATIVE else {"preprocessing": preprocessing.words}
    shared = {"split": parts.split, **steps_before, **(facts or {})}
    cadence = Cadence(
        EPOCHS * epoch if steps is None else steps,
        log_every=max(1, min(50, epoch // 2)),
        checkpoint_every=0,
        evaluate_every=epoch,
    )
    real, fake = (Prepared(source, preprocessing) for source in parts.validation)
    validate = _validation((real, fake), augmentation.for_validation(), config)
    with closing(batches):
        state = fit(
            learner,
            batches,
            run=run,
            cadence=cadence,
            seed=config.seed,
            facts=shared,
            resume=resume,
            evaluate=validate,
            best=METRIC,
            plateau=STOPPER,
            **options,
        )
    if int(state.step):  # without a step there is no checkpoint, and the start is the best
        state = load_state(run, learner, best=METRIC)
    reached = {
        "augment": list(config.augment),
        "probability": config.probability,
        "step": int(state.step),
        "validation": validate(state),
    }
    detector = replace(_detector(config, state, shared | reached), preprocessing=preprocessing)
    grouped = (None, None) if parts.groups is None else parts.groups
    thresholds = thresholds_of(
        detector, parts.calibration, np.arange(len(parts.calibration)),
        false_alarms=config.false_alarms, groups=grouped[0],
    )  # fmt: skip
    detector = replace(detector, threshold=thresholds["none"])
    found = ()
    if parts.measurement is not None:
        every = np.arange(len(parts.measurement[0])), np.arange(len(parts.measurement[1]))
        found = measured(detector, parts.measurement, every, groups=grouped[1], seed=config.seed)
    calibration = Calibration(
        n_real=len(parts.train[0]),
        n_fake=len(parts.train[1]),
        n_calibration=len(parts.calibration),
        groups=None if parts.groups is None else few,
        target=config.false_alarms,
        seed=config.seed,
        measured=found,
    )
    return replace(detector, calibration=calibration)


def _detector(
    config: DetectorConfig, state: TrainState, facts: Mapping[str, Any]
) -> NeuralDetector:
    variables = {"params": state.params[NETWORK], **state.stats[NETWORK]}
    return NeuralDetector(
        config.arch, jax.tree.map(np.asarray, variables), settings=config.settings, facts=facts
    )


def _validation(
    sources: tuple[Source, Source], augmentation: Augmentation, config: DetectorConfig
) -> Callable[[TrainState], dict[str, float]]:
    """What `fit` calls after every epoch; every image is augmented alike at every time."""

    def scores(detector: NeuralDetector, kind: int) -> np.ndarray:
        images = images_of(sources[kind])

        def augmented(i: int) -> np.ndarray:
            image = images[i]
            pixels = np.repeat(image, 3 // image.shape[-1], -1)
            return augmentation(pixels, np.random.default_rng((config.seed, 3, kind, i)))

        return detector.score(OnDemand(range(len(images)), augmented))

    def validate(state: TrainState) -> dict[str, float]:
        detector = _detector(config, state, {})
        counts = count_scores(*(scores(detector, kind) for kind in (0, 1)))
        point = operating_point(counts, 0)
        return {
            "validation/accuracy": point.accuracy,
            "validation/real_accuracy": point.real_accuracy,
            "validation/fake_accuracy": point.fake_accuracy,
            "validation/average_precision": float(average_precision(counts)),
            METRIC: -point.accuracy,
        }

    return validate
