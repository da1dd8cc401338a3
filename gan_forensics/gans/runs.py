"""Run folders of GANs: training into one, and loading from one."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import Source, image_grid, open_source, save_png
from gan_forensics.gans.methods import Gan, GanConfig, build, init, method_of
from gan_forensics.gans.sampling import generate
from gan_forensics.gans.turn import GENERATOR
from gan_forensics.train import (
    Cadence,
    Learner,
    RunFolderError,
    TrainState,
    fit,
    load_state,
    process_batches,
    read_config,
)

# The grids of a run: a square of one noise, or a row for each of the first classes.
_COLUMNS, _MOST_ROWS = 8, 16


def train_gan(
    config: GanConfig, run: Path, cadence: Cadence, *, resume: bool = False, **options: Any
) -> TrainState:
    """Train a config in a run folder; `options` go to `gan_forensics.train.fit`.

    The samples of the run are grids of the same noise at every time: 8x8, or, for a conditional
    GAN, a row for each class (the first 16). What the config leaves to the data or the run, the
    classes and the length of a linear schedule, is filled in and saved.

    Raises:
        ValueError: for a config that cannot be built, or data that do not fit it.
    """
    source = open_source(config.data, size=config.size, split="train")
    config = _completed(config, source, cadence.steps)
    gan = build(config)
    channels = source[0]["image"].shape[-1]
    if channels != config.channels:
        raise ValueError(
            f"{config.data} has images of {channels} channels, the config {config.channels}: "
            f"set channels to {channels}"
        )
    batches = process_batches(
        source, batch_size=config.batch_size, seed=config.seed, flip=config.flip
    )

    def sample(state: TrainState, path: Path) -> None:
        if config.classes:
            rows = min(config.classes, _MOST_ROWS)
            labels = np.repeat(np.arange(rows), _COLUMNS)
        else:
            rows, labels = _COLUMNS, None
        images = generate(gan, state, rows * _COLUMNS, seed=0, labels=labels)
        save_png(path.with_suffix(".png"), image_grid(images, columns=_COLUMNS))

    return fit(
        learner_of(gan)._replace(config=_record(config, run)),
        batches,
        run=run,
        cadence=cadence,
        seed=config.seed,
        resume=resume,
        sample=sample,
        **options,
    )


def learner_of(gan: Gan) -> Learner:
    """What `fit` trains of a GAN."""
    config = gan.config
    return Learner(
        "gan",
        asdict(config),
        gan.updates,
        lambda _: init(gan),
        average=(GENERATOR,) if config.average else (),
        average_decay=config.average,
    )


def load_gan(run: Path, *, best: str | None = None) -> tuple[Gan, TrainState]:
    """The GAN of a run folder, with the state of its newest whole checkpoint.

    With `best`, a metric that the run kept its best checkpoint by, it is that one. Nothing in the
    folder is changed, so that a run can be looked at while it trains.

    Raises:
        RunFolderError: when the folder is not a GAN's run folder.
        CheckpointError: when it has no checkpoint that can be read.
    """
    saved = read_config(run, "gan")
    try:
        gan = build(GanConfig(**saved))
    except TypeError as error:
        raise RunFolderError(f"{run} was not written by this version ({error})") from error
    return gan, load_state(run, learner_of(gan), best=best)


def _completed(config: GanConfig, source: Source, steps: int) -> GanConfig:
    """The config with what the data and the length of the run decide."""
    if config.schedule == "linear" and not config.decay_steps:
        config = replace(config, decay_steps=steps)
    if method_of(config).conditional:
        config = replace(config, classes=_count_classes(source, config))
    return config


def _count_classes(source: Source, config: GanConfig) -> int:
    """How many classes a source has, checked against the config where that says something."""
    if "label" not in source[0]:
        raise ValueError(
            f"{config.method} needs classes, and {config.data} has no labels: give a folder with "
            "a subfolder for each class, a list of path,label, or another source with labels"
        )
    labels = _labels(source, config)
    if labels is None:
        return config.classes
    counts = np.bincount(labels[labels >= 0], minlength=config.classes)
    if labels.min() < 0 or (config.classes and len(counts) > config.classes):
        raise ValueError(
            f"{config.data} has labels from {labels.min()} to {labels.max()}; {config.method} "
            f"with {config.classes or len(counts)} classes takes those from 0 to "
            f"{(config.classes or len(counts)) - 1}"
        )
    if missing := np.flatnonzero(counts == 0).tolist():
        raise ValueError(
            f"{config.data} has no image of the classes {missing} of {len(counts)}: number the "
            "classes 0, 1, ... without gaps"
        )
    return len(counts)


def _labels(source: Source, config: GanConfig) -> np.ndarray | None:
    """All labels of a source; None where they are known only image by image, and not needed."""
    arrays = getattr(source, "arrays", {})
    if "label" in arrays:
        return np.asarray(arrays["label"])
    if getattr(source, "labels", None) is not None:
        return np.asarray(source.labels)  # pyright: ignore[reportAttributeAccessIssue]
    if config.classes:
        return None
    return np.array([int(source[i]["label"]) for i in range(len(source))])


def _record(config: GanConfig, run: Path) -> dict[str, Any]:
    """The config to save, or to compare with the saved one when a run goes on.

    A run from before a field existed has its default: such fields are left out.
    """
    record = asdict(config)
    if not (run / "config.json").exists():
        return record
    old, defaults = read_config(run).get("gan", {}), asdict(GanConfig())
    return {name: v for name, v in record.items() if name in old or v != defaults[name]}
