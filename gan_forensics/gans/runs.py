"""Run folders of GANs: training into one, and loading from one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gan_forensics.data import (
    ImageError,
    SkipBad,
    Source,
    has_points,
    image_grid,
    open_source,
    save_png,
)
from gan_forensics.data.labels import all_labels, known_labels, without_images
from gan_forensics.data.point_pictures import points_picture
from gan_forensics.data.run_data import say_taken, write_data
from gan_forensics.data.toy_points import world_of
from gan_forensics.files import say as say_so
from gan_forensics.files import shown
from gan_forensics.gans.augment import at_cap, described
from gan_forensics.gans.averaged import about_average, is_young
from gan_forensics.gans.building import Gan, build, spans_run
from gan_forensics.gans.config import POINTS, GanConfig, OwnConfig
from gan_forensics.gans.methods import architecture_of, method_of
from gan_forensics.gans.optimizers import SCHEDULED, LostSchedule
from gan_forensics.gans.sampling import generate
from gan_forensics.gans.task import Task
from gan_forensics.train import (
    Cadence,
    InterruptedRunError,
    NonFiniteLossError,
    RunFolderError,
    TrainState,
    fit,
    from_config,
    load_state,
    process_batches,
)

# The grids of a run: a square of one noise, or a row for each of the first classes.
_COLUMNS, _MOST_ROWS = 8, 16
# Points in the picture of a run on points.
_POINTS = 2000


def train_gan(
    config: GanConfig,
    run: Path | str,
    cadence: Cadence,
    *,
    tasks: Sequence[Task] = (),
    follow_links: bool = False,
    on_bad_image: Literal["stop", "skip"] = "stop",
    say: Callable[[str], None] = lambda line: None,
    about: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[Gan, TrainState]:
    """Train a config in a run folder; what it leaves to the data or the run is filled in and saved.

    The samples of the run are grids of the same noise at every time: 8x8, or, for a conditional
    GAN, a row for each class (the first 16); of points a picture beside the real ones. data.json
    holds which images were used, held out, left out and skipped; it is not compared when resuming.

    Args:
        config: what to train.
        run: the run folder.
        cadence: how long, and how often to do what.
        tasks: on top of the method's; say in `facts` which, since a config does not name them.
        follow_links: of a folder, whether to follow links that leave it.
        on_bad_image: at a file that cannot be used: stop, or skip, which puts an image in its place
            that the epoch leaves out, where there is one (`gan_forensics.data.skip_bad`). A run
            that stopped so can go on with skip.
        say: told, a line at a time, what is taken of the data, and at the end what was skipped.
        about: further JSON-able facts for data.json, which are not compared either.
        options: for `gan_forensics.train.fit`, such as `resume` and `facts`.

    Raises:
        ValueError: for a config that cannot be built, or data that do not fit it.
        ImageError: for a file that cannot be used.

    Example:
        >>> from gan_forensics.gans import GanConfig, train_gan
        >>> from gan_forensics.train import Cadence
        >>> config = GanConfig(size=16, width=4, data="samples:digits")
        >>> gan, state = train_gan(config, "runs/digits", Cadence(20))  # doctest: +SKIP
        >>> gan  # doctest: +SKIP
        Gan(dcgan of 16x16x1, generator 17 k, discriminator 725 parameters)
    """
    run = Path(run)
    gan, source = prepared(
        config,
        cadence.steps,
        tasks=tasks,
        follow_links=follow_links,
        on_bad_image=on_bad_image,
        say=say,
    )
    config = gan.config
    for fact, line in (
        ("augmentation", described(config)),
        ("average", about_average(gan, cadence.steps)),
    ):
        about = {**(about or {}), fact: line} if line else about
    batches = process_batches(
        source, batch_size=config.batch_size, seed=config.seed, flip=config.flip
    )

    try:
        state = fit(
            gan.learner,
            batches,
            run=run,
            cadence=cadence,
            seed=config.seed,
            sample=sampler(gan, source, say=say),
            **options,
        )
    except (ImageError, InterruptedRunError, NonFiniteLossError) as error:
        alone = isinstance(error, ImageError)
        write_data(run, config.data, config.split, source, say, about, alone=alone)
        raise
    except RunFolderError as error:
        if "gan.decay_steps: " not in str(error):
            raise
        raise RunFolderError(
            f"{error}\nSchedules and losses of this run are shares of its decay_steps: give "
            "--decay-steps as it was started with (decay_steps=... in Python) to go on longer"
        ) from None
    write_data(run, config.data, config.split, source, say, about)
    return gan, state


def prepared(
    config: GanConfig,
    steps: int,
    *,
    tasks: Sequence[Task] = (),
    follow_links: bool = False,
    on_bad_image: Literal["stop", "skip"] = "stop",
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Gan[GanConfig], Source]:
    """What `train_gan` trains for so many steps, and on what; nothing is trained or written.

    Arguments and errors are those of `train_gan`.
    """
    points = has_points(config.data)
    size = None if points else config.size
    source = open_source(
        config.data, size=size, split=config.split or "train", follow_links=follow_links
    )
    say_taken(config.data, source, size, say)
    if on_bad_image == "skip" and not hasattr(source, "take"):
        source = SkipBad(source)
    config = _completed(config, source, steps)
    if points:
        for line in _about_points(config, source):
            say(f"{config.data}: {line}")
    gan = build(config, tasks=tasks)
    if line := described(config):
        say(line)
    if is_young(gan, steps):
        say(f"{about_average(gan, steps)}")
    return gan, source


def sampler(
    gan: Gan, source: Source, *, say: Callable[[str], None] = say_so
) -> Callable[[TrainState, Path], None]:
    """What writes the samples of a run: a grid of the same noise at every time, or points."""
    config, points = gan.config, gan.game.data == "point"
    capped: list[str] = []

    def sample(state: TrainState, path: Path) -> None:
        if not capped and (line := at_cap(state.stats)):
            capped.append(line)
            say(f"step {int(state.step)}: {line}")
        if points:
            made = generate(gan, state, _POINTS, seed=0)
            save_png(path.with_suffix(".png"), points_picture(made, like=source.arrays["point"]))  # pyright: ignore
            return
        if config.classes:
            rows = min(config.classes, _MOST_ROWS)
            labels = np.repeat(np.arange(rows), _COLUMNS)
        else:
            rows, labels = _COLUMNS, None
        images = generate(gan, state, rows * _COLUMNS, seed=0, labels=labels)
        save_png(path.with_suffix(".png"), image_grid(images, columns=_COLUMNS))

    return sample


def _about_points(config: GanConfig, source: Source) -> list[str]:
    """What is to be known of points that train: their scale, and that they are all equal."""
    data = source.arrays["point"]  # pyright: ignore[reportAttributeAccessIssue]
    lines = []
    if config.point_scale is not None:
        lines.append(
            f"networks see points x as (x / m + 1) / 2 with m = {config.point_scale:g} "
            "(--point-scale says otherwise)"
        )
    if (data == data[0]).all():
        lines.append(f"all {len(data)} points are equal: there is nothing to learn but one point")
    return lines


def load_gan(
    run: Path | str, *, best: str | None = None, tasks: Sequence[Task] = ()
) -> tuple[Gan[GanConfig], TrainState]:
    """The GAN of a run folder, with the state of its newest whole checkpoint.

    With `best`, a metric that the run kept its best checkpoint by, it is that one. Where the GAN
    was trained with `tasks` that brought networks, they are needed again. Nothing in the folder is
    changed, so that a run can be looked at while it trains. An average that spans more steps than
    were made is told of.

    Of a learning rate that was a schedule the run knows words alone: images are drawn, and to train
    on the GAN is built again, for `load(run, gan)`.

    Raises:
        RunFolderError: when the folder is not a GAN's run folder.
        CheckpointError: when it has no checkpoint that can be read.

    Example:
        >>> from gan_forensics.gans import generate, load_gan
        >>> gan, state = load_gan("runs/digits")  # doctest: +SKIP
        >>> state  # doctest: +SKIP
        TrainState(step=20, discriminator 725, generator 17 k parameters)
        >>> generate(gan, state, 16, seed=0).shape  # doctest: +SKIP
        (16, 16, 16, 1)
    """
    run = Path(run)
    gan = from_config(run, "gan", partial(_built, tasks=tasks))
    state = load_state(run, gan.learner, best=best)
    if is_young(gan, int(state.step)):
        say_so(about_average(gan, int(state.step)))
    return gan, state


def _built(saved: dict[str, Any], *, tasks: Sequence[Task]) -> Gan[GanConfig]:
    if saved.get("method") == OwnConfig.method:
        raise RunFolderError(
            f"the run has networks of its own, {shown(str(saved.get('generator')))} and "
            f"{shown(str(saved.get('discriminator')))}: make them again with make_gan, and read "
            "the state with load(run, gan)"
        )
    lost = {
        name: LostSchedule(saved[name])
        for name in ("learning_rate", "discriminator_learning_rate")
        if str(saved.get(name)).startswith(SCHEDULED)
    }
    return build(GanConfig(**{**saved, **lost}), tasks=tasks)


def _completed(config: GanConfig, source: Source, steps: int) -> GanConfig:
    """The config with what the data and the length of the run decide."""
    first = source[0]
    if "point" in first:
        if config.architecture and config.architecture not in POINTS:
            raise ValueError(
                f"{config.data} has points, and {config.architecture} networks are for images: "
                "leave the architecture out, or give a source of images"
            )
        dimensions = len(first["point"])
        if config.dimensions not in (None, dimensions):
            raise ValueError(
                f"{config.data} has points of {dimensions} numbers, the config says "
                f"{config.dimensions}: leave dimensions out"
            )
        config = replace(config, dimensions=dimensions)
        if architecture_of(config) == "perceptron" and not world_of(config.data):
            largest = float(np.abs(source.arrays["point"]).max())  # pyright: ignore
            config = replace(config, point_scale=config.point_scale or largest or 1.0)
    elif (architecture := architecture_of(config)) in POINTS:
        raise ValueError(
            f"{config.data} has {' and '.join(first)}, and {architecture} networks are for points: "
            "give a source of points (toy:grid9, an npz file with `point` [n, d]), or leave "
            "architecture and dimensions out"
        )
    if spans_run(config) and config.decay_steps is None:
        config = replace(config, decay_steps=steps)
    if "point" in first:
        return config
    channels = first["image"].shape[-1]
    if config.channels not in (None, channels):
        raise ValueError(
            f"{config.data} has images of {channels} channels, the config {config.channels}: "
            "leave channels out, or convert the files"
        )
    config = replace(config, channels=channels)
    if method_of(config).conditional:
        if "label" not in first:
            raise ValueError(
                f"{config.base or config.method} needs classes, and {config.data} has no labels: "
                "give a folder "
                "with a subfolder for each class, a list of path,label, or another source with "
                "labels"
            )
        names = tuple(getattr(source, "label_names", ())) or None
        config = replace(config, classes=_count_classes(source, config), label_names=names)
    return config


def _count_classes(source: Source, config: GanConfig) -> int:
    """How many classes a source has, checked against the config where that says something."""
    known = getattr(source, "classes", None)
    if known is not None:
        if config.classes not in (None, known):
            raise ValueError(
                f"{config.data} has {known} classes, the config {config.classes}: leave classes out"
            )
        return known
    labels = _labels(source, config)
    names = getattr(source, "label_names", ())
    if labels is None:
        assert config.classes
        if names and len(names) != config.classes:
            raise ValueError(
                f"{config.data} has {len(names)} classes, the config {config.classes}: leave "
                "classes out"
            )
        return config.classes
    counts = np.bincount(labels[labels >= 0], minlength=max(config.classes or 0, len(names)))
    if labels.min() < 0 or (config.classes and len(counts) > config.classes):
        raise ValueError(
            f"{config.data} has labels from {labels.min()} to {labels.max()}; {config.method} "
            f"with {config.classes or len(counts)} classes takes those from 0 to "
            f"{(config.classes or len(counts)) - 1}"
        )
    if missing := np.flatnonzero(counts == 0).tolist():
        raise ValueError(f"{config.data} {without_images(missing, len(counts), names)}")
    return len(counts)


def _labels(source: Source, config: GanConfig) -> np.ndarray | None:
    """All labels of a source; None where they are known only image by image, and not needed."""
    labels = known_labels(source)
    if labels is None and not config.classes:
        labels = all_labels(source)
    return labels
