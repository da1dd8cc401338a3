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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.traverse_util import flatten_dict
from jaxtyping import PyTree

from gan_forensics.data import Augmentation, Source, account
from gan_forensics.forensics.calibration import Calibration, smallest_calibration_set
from gan_forensics.forensics.evaluation import operating_point
from gan_forensics.forensics.evidence import Held, weighed
from gan_forensics.forensics.measure import thresholds_of
from gan_forensics.forensics.metrics import average_precision, count_scores
from gan_forensics.forensics.neural import (
    OF_ONE_SIZE,
    NeuralDetector,
    check_arrays,
    init_variables,
    make_network,
)
from gan_forensics.forensics.neural_config import DetectorConfig
from gan_forensics.forensics.neural_parts import OnDemand, Parts, RealAndFake, images_of
from gan_forensics.forensics.neural_statistics import side_of, statistics
from gan_forensics.forensics.preprocessing import NATIVE, Prepared, Preprocessing
from gan_forensics.nn.imagenet import normalise
from gan_forensics.runtime import computation_dtype, random_key
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
# `fit` looks for small values; the negative has no rounding, so that steps of 0.001 stay exact.
METRIC = "validation/negative_accuracy"
STOPPER = Plateau(
    METRIC, factor=0.1, patience=4, threshold=0.001, stop_after=0, restarts=2,
    restart_threshold=0.002,
)  # fmt: skip
# As many epochs as the published recipe allows; its stopper ends training long before.
EPOCHS = 10_000


def detector_update(
    network: nn.Module,
    *,
    learning_rate: float = 1e-4,
    optimizer: Callable[..., optax.GradientTransformation] = optax.adam,
) -> Update:
    """The one move: `optimizer` on the mean binary cross-entropy of the logit, generated = 1.

    Its batches have "image" float [b, h, w, 3] in [-1, 1] and "label" [b].

    Example:
        >>> update = detector_update(network, learning_rate=1e-4)  # doctest: +SKIP
    """

    def logits(network, batch):
        return network(normalise(0.5 * batch["image"] + 0.5), train=True)[:, 0]

    def loss(logits, batch):
        label = batch["label"]
        value = optax.sigmoid_binary_cross_entropy(logits, label.astype(logits.dtype)).mean()
        return value, {"accuracy": ((logits > 0) == (label == 1)).mean()}

    tuned = optax.inject_hyperparams(optimizer)(learning_rate=learning_rate)
    return supervised_update(NETWORK, network, loss, tuned, call=logits)


def dampened_sgd(learning_rate: float) -> optax.GradientTransformation:
    """SGD with momentum 0.9, dampening 0.9 and weight decay 1e-4, as AutoGAN's detector has.

    The velocity, v <- 0.9 v + 0.1 (g + 1e-4 w), starts at zero (in PyTorch at the first gradient).
    """
    return optax.chain(
        optax.add_decayed_weights(1e-4),
        optax.ema(0.9, debias=False),
        optax.scale_by_learning_rate(learning_rate),
    )


def initial_variables(config: DetectorConfig) -> tuple[PyTree, PyTree]:
    """(parameters, statistics) to start from: random, or of a file of weights.

    Raises:
        ValueError: for weights of another network; names that are missing or unknown are listed.
    """
    network = make_network(config.arch, config.settings)
    # As numbers, which `check_arrays` needs, also where this is traced for its shapes.
    with jax.ensure_compile_time_eval():
        variables = dict(init_variables(network, random_key(config.seed)))
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
    from gan_forensics.nn.weights import from_file

    bodies = {name: name for name in ("resnet50", "efficientnet_b0")} | {"autogan": "resnet34"}
    if arch not in bodies:
        raise ValueError(f"there are no published weights of {arch}: leave weights out")
    return from_file(bodies[arch], path)


def train_detector(
    parts: Parts,
    config: DetectorConfig,
    run: Path | str,
    *,
    steps: int | None = None,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing = NATIVE,
    **options: Any,
) -> NeuralDetector:
    """Train a detector in a run folder and calibrate it.

    The threshold is set as for spectral detectors: a new real image exceeds it with probability at
    most `config.false_alarms` (`calibrated_threshold`), on images that neither trained the network
    nor chose its checkpoint. Reference images of both classes, of no other use either, calibrate
    likelihood ratios (`NeuralDetector.log10_lr`) in each tier of `data.carriers.TIERS`, where there
    are enough of them. What all this achieves is measured on others, also after each carrier.

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

    Example:
        >>> config, run = DetectorConfig("resnet_small", width=8), Path("runs/detector")
        >>> detector = train_detector(parts, config, run, steps=500)  # doctest: +SKIP
    """
    run = Path(run)
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
    train = [Prepared(source, preprocessing) for source in parts.train]
    augmentation = config.augmentation
    config = replace(config, **_size_of(train, config))
    network = make_network(config.arch, config.settings)
    own_statistics = statistics(network, *train)
    batches = process_batches(
        RealAndFake(*train),
        batch_size=config.batch_size,
        seed=config.seed,
        transform=augmentation.transform,
    )
    epoch = config.epoch or batches.batches_per_epoch

    def init(_: int):
        params, stats = initial_variables(config)
        if own_statistics:
            stats = {**stats, "batch_stats": own_statistics}
        return {NETWORK: params}, {NETWORK: stats}

    trained = network.clone(dtype=computation_dtype(config.precision))
    optimizer = optax.adam if config.optimizer is None else dampened_sgd
    update = detector_update(trained, learning_rate=config.learning_rate, optimizer=optimizer)
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
        "generators": _generators(
            parts, shared.get("fake", "images in memory"), trained=int(state.step) > 0
        ),
    }
    detector = replace(
        _detector(config, state, {**shared, **parts.left_out, **reached}),
        preprocessing=preprocessing,
    )
    grouped = (None, None) if parts.groups is None else parts.groups
    thresholds = thresholds_of(
        detector, parts.calibration, np.arange(len(parts.calibration)),
        false_alarms=config.false_alarms, groups=grouped[0],
    )  # fmt: skip
    detector = replace(detector, threshold=thresholds["none"])
    found = weighed(
        detector,
        parts.reference and Held(parts.reference, parts.reference_groups),
        parts.measurement and Held(parts.measurement, grouped[1]),
        without=parts.without, seed=config.seed,
    )  # fmt: skip
    calibration = Calibration(
        n_real=len(parts.train[0]) if reached["step"] else 0,
        n_fake=len(parts.train[1]) if reached["step"] else 0,
        n_calibration=len(parts.calibration),
        groups=None if parts.groups is None else few,
        target=config.false_alarms,
        seed=config.seed,
        measured=found.measured,
        tiers=found.tiers,
    )
    return replace(detector, calibration=calibration, calibrators=found.calibrators)


def _generators(parts: Parts, name: str, *, trained: bool) -> dict[str, int]:
    """How many images of each generator are of use: those to train on only where it trains."""
    counts: Counter[str] = Counter()
    training = (parts.train, parts.validation) if trained else ()
    for both in (*training, parts.reference, parts.measurement):
        if both is not None:
            counts.update(account.generators(both[1], name))
    return dict(sorted(counts.items()))


def _size_of(train: Sequence[Source], config: DetectorConfig) -> dict[str, int]:
    """The size of the images, where the network is made for one.

    Raises:
        ValueError: for images that are no squares.
    """
    if config.arch not in OF_ONE_SIZE:
        return {}
    return {"side": side_of(config.arch, train[0][0]["image"].shape)}


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

        found = detector.score(OnDemand(range(len(images)), augmented))
        return found[~np.isnan(found)]  # of images that are flat after augmentation

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
