"""Classifiers of configs and of run folders: the learner, random variables, what was trained."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gan_forensics.distill.architectures import inputs_of, make_classifier
from gan_forensics.distill.classifier_config import ClassifierConfig
from gan_forensics.distill.classifier_learner import (
    NETWORK,
    TEACHER,
    classifier_update,
    sgd,
    student_update,
)
from gan_forensics.distill.classify import Classifier
from gan_forensics.distill.schedules import step_schedule
from gan_forensics.nn.initial import initial_variables
from gan_forensics.runtime import computation_dtype, random_key
from gan_forensics.train import Learner, TrainState, from_config, load_state, read_config

# The key of a run folder's config.json that says how a student was taught.
TAUGHT = "distillation"


def load_classifier(run: Path | str, *, epoch: Literal["chosen", "last"] = "chosen") -> Classifier:
    """The classifier of a run folder, teacher or student, at the chosen epoch or at the last.

    Nothing in the folder is changed, so that a run can be looked at while it trains.

    Raises:
        RunFolderError: when the folder is not a classifier's run folder.
        CheckpointError: when it has no checkpoint that can be read.

    Example:
        >>> load_classifier("runs/student")("photos")  # doctest: +SKIP
    """
    run = Path(run)
    taught = read_config(run).get(TAUGHT)

    def made(saved: dict[str, Any]):
        config = ClassifierConfig(**saved)
        beside = None
        if taught is not None and config.augment != "none":
            beside = Classifier(
                taught["teacher_arch"], config.classes or 0, {}, taught["teacher_width"]
            )
        return config, learner_of(config, 1, beside)

    config, learner = from_config(run, NETWORK, made)
    best = config.metric if epoch == "chosen" else None
    return classifier_of(config, load_state(run, learner, best=best))


def learner_of(
    config: ClassifierConfig,
    epoch: int,
    teacher: Classifier | None,
    *,
    temper_student: bool = True,
    start: Mapping[str, Any] | None = None,
) -> Learner:
    """What trains; a teacher is one that looks at the student's images beside it.

    Args:
        config: filled in.
        epoch: steps an epoch.
        teacher: it; one without variables will do for the shapes of a state.
        temper_student: as for `tempered_divergence`.
        start: variables to start from; None for random ones.
    """
    assert config.decay_every and config.warm_up is not None and config.classes
    rate = step_schedule(
        config.learning_rate, epoch, every=config.decay_every, warm_up=config.warm_up
    )
    optimizer = sgd(rate, weight_decay=config.weight_decay)
    dtype = computation_dtype(config.precision)
    network = make_classifier(config.arch, config.classes, width=config.width, dtype=dtype)
    if teacher is None:
        update = classifier_update(config.arch, network, optimizer, temper_student=temper_student)
    else:
        beside = make_classifier(teacher.arch, teacher.classes, width=teacher.width)
        update = student_update(
            config.arch, network, teacher.arch, beside, optimizer, temper_student=temper_student
        )

    def init(seed: int):
        variables = dict(start or random_variables(config, config.arch, config.width, seed))
        networks, statistics = {NETWORK: variables.pop("params")}, {NETWORK: variables}
        if teacher is not None:
            given = teacher.variables or random_variables(config, teacher.arch, teacher.width, seed)
            networks[TEACHER] = given["params"]
            statistics[TEACHER] = {key: given[key] for key in given if key != "params"}
        return networks, statistics

    return Learner(NETWORK, asdict(config), (update,), init, precision=config.precision)


def random_variables(
    config: ClassifierConfig, arch: str, width: int | None, seed: int
) -> dict[str, Any]:
    """Random variables of a network for the images of a config."""
    network = make_classifier(arch, config.classes, width=width)
    shape = jax.ShapeDtypeStruct((1, config.size, config.size, config.channels), jnp.float32)
    image = jax.eval_shape(lambda x: inputs_of(arch, x), shape)
    return dict(initial_variables(network, random_key(seed), image, train=False))


def classifier_of(config: ClassifierConfig, state: TrainState) -> Classifier:
    """The classifier of a state, its variables on the host."""
    variables = {"params": state.params[NETWORK], **state.stats[NETWORK]}
    return Classifier(
        config.arch,
        config.classes or 0,
        jax.tree.map(np.asarray, variables),
        width=config.width,
        size=config.size,
        resize=config.resize,
        channels=config.channels,
        label_names=config.label_names,
        label_smoothing=config.label_smoothing,
    )
