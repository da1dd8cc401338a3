"""Run folders of classifiers, teachers and students alike: training into one, loading one."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_forensics.data import ImageError
from gan_forensics.data.run_data import write_data
from gan_forensics.data.survey import OnBadImage
from gan_forensics.distill.architectures import architecture, make_classifier
from gan_forensics.distill.classifier_build import (
    TAUGHT,
    classifier_of,
    learner_of,
    load_classifier,
    random_variables,
)
from gan_forensics.distill.classifier_config import ClassifierConfig, Distillation
from gan_forensics.distill.classifier_data import Parts, open_parts
from gan_forensics.distill.classifier_results import results_of
from gan_forensics.distill.classify import Classifier, accuracies
from gan_forensics.distill.teachers import (
    Taught,
    check_teacher,
    in_words,
    lesson_facts,
    open_teacher,
    published_classifier,
    with_settings,
)
from gan_forensics.files import write_json
from gan_forensics.runtime import is_first
from gan_forensics.train import (
    Cadence,
    InterruptedRunError,
    NonFiniteLossError,
    RunFolderError,
    TrainState,
    fit,
    load_state,
    process_batches,
)


def train_classifier(
    config: ClassifierConfig,
    run: Path | str,
    *,
    follow_links: bool = False,
    on_bad_image: OnBadImage = "stop",
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> dict[str, Any]:
    """Train a classifier in a run folder, and measure it on the test images at the end.

    Checkpoints are kept of the last epoch and of the one that `config.select_on` chooses. The test
    images are read once, at the end, unless they are what chooses.

    Args:
        config: what to train; what it leaves to the data is filled in and saved.
        run: the run folder; gets results.json and data.json as well.
        follow_links: of a folder, whether to follow links that leave it.
        on_bad_image: at files that cannot be read: stop, or leave them out of all parts, which is
            said and stands in data.json.
        say: told, a line at a time, what is taken of the data and what is chosen by itself.
        options: for `gan_forensics.train.fit`, such as `resume` and `progress`.

    Returns:
        What stands in results.json.

    Raises:
        ValueError: for a config that cannot be built, or data that do not fit it.
        ImageError: for a file that cannot be used.

    Example:
        >>> config = ClassifierConfig("samples:digits")
        >>> train_classifier(config, Path("runs/teacher"))["test"]  # doctest: +SKIP
    """
    run = Path(run)
    _check_free(run, options)
    make_classifier(config.arch, 2, width=config.width)
    config, parts = open_parts(
        config, follow_links=follow_links, on_bad_image=on_bad_image, say=say
    )
    return _train(config, parts, run, None, say, options)


def distill(
    config: ClassifierConfig,
    run: Path | str,
    teacher: Classifier | str | Path,
    how: Distillation = Distillation(),  # noqa: B008 - frozen
    *,
    teacher_arch: str | None = None,
    follow_links: bool = False,
    on_bad_image: OnBadImage = "stop",
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> dict[str, Any]:
    """Train a student of a teacher in a run folder, and measure both on the test images.

    Where training images are not augmented the teacher's logits of all of them are computed once;
    otherwise the teacher looks, at every step, at the augmented images that the student sees.

    Args:
        config: of the student; without a size it is the teacher's.
        run: the run folder.
        teacher: a classifier, or what `open_teacher` takes.
        how: the temperature, and the share of true labels.
        teacher_arch: of a file of weights.
        follow_links, on_bad_image: as `train_classifier`.
        say: as `train_classifier`.
        options: as `train_classifier`.

    Returns:
        What stands in results.json.

    Raises:
        ValueError: as `train_classifier`, and for a teacher of other classes or images.

    Example:
        >>> how = Distillation(temperature=2.0)
        >>> distill(ClassifierConfig(), Path("runs/student"), "runs/teacher", how)  # doctest: +SKIP
    """
    run = Path(run)
    _check_free(run, options)
    make_classifier(config.arch, 2, width=config.width)
    if config.label_smoothing and not how.hard_weight:
        raise ValueError(
            f"label_smoothing {config.label_smoothing} of a student smooths its true labels, and "
            "without hard_weight it learns from none: leave it out. Smoothing of the teacher is "
            "the teacher's own"
        )
    name = "given" if isinstance(teacher, Classifier) else str(teacher)
    if not isinstance(teacher, Classifier):
        teacher = open_teacher(teacher, arch=teacher_arch)
    if config.size is None:
        config = replace(config, size=teacher.size)
    config, parts = open_parts(
        config, student=True, follow_links=follow_links, on_bad_image=on_bad_image, say=say
    )
    check_teacher(teacher, config, name=name)
    return _train(config, parts, run, _Lesson(teacher, how, name), say, options)


def _check_free(run: Path, options: Mapping[str, Any]) -> None:
    """Refuse a folder that holds a run, before data are read and a teacher is asked."""
    if not options.get("resume") and (run / "config.json").exists():
        raise RunFolderError(f"{run} holds a run already: resume it or choose another folder")


class _Lesson(NamedTuple):
    """A teacher, how it teaches and what it is called."""

    teacher: Classifier
    how: Distillation
    name: str


def _train(
    config: ClassifierConfig,
    parts: Parts,
    run: Path,
    lesson: _Lesson | None,
    say: Callable[[str], None],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    start = starting_variables(config, say)
    cached = lesson is not None and config.augment == "none"
    counts = {use: parts.facts[use] for use in ("train", "validation", "test")}
    facts: dict[str, Any] = {"images": counts}
    if lesson is not None:
        facts[TAUGHT] = lesson_facts(lesson.teacher, lesson.how, name=lesson.name, cached=cached)
        about = in_words(facts[TAUGHT])
        say(
            f"teacher {lesson.name}: {lesson.teacher.arch}, label smoothing "
            f"{about['teacher_label_smoothing']}; its logits are {about['teacher_logits']}"
        )
        if "advice" in about:
            say(about["advice"])
    train = parts.train
    if lesson is not None and cached:
        train = Taught(train, lesson.teacher.logits(train))
    how = None if lesson is None else lesson.how
    batches = process_batches(
        train,
        batch_size=config.batch_size,
        seed=config.seed,
        flip=config.augment == "flip",
        transform=with_settings(config.label_smoothing, how, parts.transform),
    )
    epoch = batches.batches_per_epoch
    beside = None if lesson is None or cached else lesson.teacher
    untempered = how is not None and how.untempered_student
    learner = learner_of(config, epoch, beside, temper_student=not untempered, start=start)

    def evaluate(state: TrainState) -> dict[str, float]:
        chosen_on = parts.validation if config.select_on == "validation" else parts.test
        assert chosen_on is not None
        classifier = classifier_of(config, state)
        numbers = accuracies(*classifier.labelled_logits(chosen_on))
        found = {"error": 1 - numbers["top_1"], "accuracy": numbers["top_1"]}
        found["cross_entropy"] = numbers["cross_entropy"]
        return {f"{config.select_on}/{name}": value for name, value in found.items()}

    with closing(batches):
        try:
            fit(
                learner,
                batches,
                run=run,
                cadence=Cadence(
                    config.epochs * epoch,
                    log_every=max(1, min(50, epoch)),
                    checkpoint_every=0,
                    evaluate_every=epoch,
                    keep=1,
                ),
                seed=config.seed,
                facts=facts,
                evaluate=evaluate,
                best=config.metric,
                **options,
            )
        except (ImageError, InterruptedRunError, NonFiniteLossError) as error:
            alone = isinstance(error, ImageError)
            write_data(run, config.data, config.split, parts.listed, say, parts.facts, alone=alone)
            raise
    write_data(run, config.data, config.split, parts.listed, say, parts.facts)
    states = {"last epoch": None, f"epoch chosen on {config.select_on}": config.metric}
    networks: dict[str, tuple[int | None, Classifier]] = {}
    for name, best in states.items():
        state = load_state(run, learner, best=best)
        networks[name] = (int(state.step) // epoch, classifier_of(config, state))
    if lesson is not None:
        networks["the teacher"] = (None, lesson.teacher)
    lesson_words = in_words(facts[TAUGHT]) if lesson is not None else None
    results = results_of(config, parts, networks, lesson_words)
    if is_first():
        write_json(run / "results.json", results)
    return results


def starting_variables(
    config: ClassifierConfig, say: Callable[[str], None]
) -> dict[str, Any] | None:
    """The variables that `config.weights` names, with a new last layer for other classes.

    Raises:
        ValueError: for weights of another network.
    """
    if config.weights is None:
        return None
    path = Path(config.weights)
    given = load_classifier(path) if path.is_dir() else published_classifier(config.arch, path)
    fresh = random_variables(config, config.arch, config.width, config.seed)
    head = architecture(config.arch).head
    params = dict(given.variables["params"])
    if given.classes != config.classes:
        params[head] = fresh["params"][head]
        say(
            f"{config.weights} has {given.classes} classes, {config.data} has {config.classes}: "
            "the last layer starts anew, at random"
        )
    found = {**given.variables, "params": params}
    shapes, wanted = (jax.tree.map(np.shape, dict(tree)) for tree in (found, fresh))
    if shapes != wanted:
        raise ValueError(
            f"{config.weights} holds the weights of {given.arch}, not of this {config.arch} for "
            f"{config.channels} channels: give the arch, width and images that it was trained with"
        )
    return found
