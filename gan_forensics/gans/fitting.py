"""Training a GAN on images in memory, and states that are saved and loaded by hand.

A run of the command line is `gan_forensics.gans.runs`; both train with `gan_forensics.train.fit`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from gan_forensics.data import ArraySource, Source, account, as_source
from gan_forensics.data.given_images import Range, resized
from gan_forensics.data.labels import Labelled, known_labels
from gan_forensics.data.sources import check_points
from gan_forensics.files import say, shown
from gan_forensics.gans.building import Gan, check_gan, check_state
from gan_forensics.gans.config import GanConfig
from gan_forensics.gans.optimizers import LostSchedule
from gan_forensics.gans.runs import sampler
from gan_forensics.train import Cadence, TrainState, load_state, process_batches
from gan_forensics.train import fit as train
from gan_forensics.train.checkpoint import replace_checkpoint
from gan_forensics.train.loop import Callback
from gan_forensics.train.run_folder import check_new_run

_POINTS_DO_NOT = "points have neither a range nor labels: leave them out"


def fit(
    gan: Gan,
    images: Any,
    *,
    steps: int,
    labels: Sequence[int] | Int[np.ndarray, " n"] | None = None,
    range: Range | None = None,
    state: TrainState | None = None,
    every: Mapping[int, Callback] | None = None,
    run: Path | str | None = None,
    progress: bool = True,
) -> TrainState:
    """Train a GAN on images; with a state, go on from there.

    200 steps and, with their state, 100 more give what 300 steps give, bit for bit, as long as the
    images are the same. The seed, the size of a minibatch and whether images are mirrored are those
    of `gan.config`.

    Args:
        gan: what `build` or `make_gan` returned.
        images: anything that `gan_forensics.data.as_images` takes: arrays, pictures, paths, the
            name of a source, or a source. Images of another size than the GAN's are cut to their
            central square and resized, which is said. Of a GAN of points: numbers [n, d].
        steps: to make now.
        labels: of a conditional GAN, the class 0, 1, ... of each image; a source may bring them.
        range: (least, largest) of the pixels, where they are not uint8.
        state: to go on from, as `fit` or `load` returned it; it is left as it is.
        every: steps -> function of the state and the means of the metrics since it was last called.
            The state is a copy, to be kept or not.
        run: a folder for what is logged, grids of samples and checkpoints, which
            `gan-forensics sample` and `evaluate` read as well. A run that is there goes on with
            `state=load(run, gan)`. By default nothing is written.
        progress: tell of the progress.

    Raises:
        ValueError: for images that do not fit the GAN, labels that are missing or out of range,
            fewer images than a minibatch, and a state of another GAN.
        RunFolderError: for a folder that holds a run, or anything else.
        NonFiniteLossError: a loss became NaN or infinite.
        InterruptedRunError: after Ctrl-C or the stop button; it holds the `state`.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.gans import GanConfig, build, fit, generate
        >>> gan = build(GanConfig(size=16, width=2, latent=4, channels=1, batch_size=8))
        >>> images = np.zeros((8, 16, 16, 1), np.uint8)
        >>> state = fit(gan, images, steps=1, progress=False)  # doctest: +SKIP
        >>> generate(gan, state, 3, seed=0).shape  # doctest: +SKIP
        (3, 16, 16, 1)
    """
    if type(steps) is not int or steps < 1:
        raise ValueError(f"steps must be a whole number, 1 or more, got {steps!r}")
    check_gan(gan)
    if state is not None:
        check_state(state)
    config = gan.config
    for name in ("learning_rate", "discriminator_learning_rate"):
        if isinstance(rate := getattr(config, name), LostSchedule):
            raise ValueError(
                f"{name} of this GAN was {rate.words}; more is not known: build it with "
                "that schedule"
            )
    if run is not None and state is None:
        check_new_run(Path(run))
    source = _source(gan, images, labels, range)
    batches = process_batches(
        source, batch_size=config.batch_size, seed=config.seed, flip=config.flip
    )
    first = 0 if state is None else int(state.step)
    try:
        return train(
            _named(gan, images).learner,
            batches,
            cadence=Cadence(first + steps),
            seed=config.seed,
            run=run,
            start=state,
            resume=state is not None,
            every=every,
            sample=None if run is None else sampler(gan, source),
            progress=progress,
        )
    finally:
        batches.close()


def save(state: TrainState, folder: Path | str) -> None:
    """Keep a state in a folder, for `load`; one that was saved there before is replaced.

    Args:
        state: as `fit` returned it.
        folder: made when missing.

    Raises:
        ValueError: for a folder that holds a run, or anything else than a saved state, and one that
            cannot be made.
        CheckpointError: when it cannot be written; what was there before is left.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.gans import GanConfig, build, fit, load, save
        >>> gan = build(GanConfig(size=16, width=2, latent=4, channels=1, batch_size=8))
        >>> state = fit(gan, np.zeros((8, 16, 16, 1), np.uint8), steps=1)  # doctest: +SKIP
        >>> save(state, "mine")  # doctest: +SKIP
        >>> int(load("mine", gan).step)  # doctest: +SKIP
        1
    """
    check_state(state)
    replace_checkpoint(Path(folder), state)


def load(folder: Path | str, gan: Gan) -> TrainState:
    """The state that `save` kept, or the newest of a run folder, for a GAN of the same networks.

    Args:
        folder: of `save`, or a run folder of `fit` or of the command line.
        gan: built as it was when the state was trained. A run of the command line needs none:
            `load_gan(run)` returns both.

    Raises:
        CheckpointError: when the folder holds no state of such a GAN that can be read.
        FileNotFoundError: when there is no such folder.

    Example:
        >>> from gan_forensics.gans import GanConfig, build, load
        >>> gan = build(GanConfig(size=16, width=2, latent=4, channels=1, batch_size=8))
        >>> state = load("mine", gan)  # doctest: +SKIP
        >>> state  # doctest: +SKIP
        TrainState(step=1, discriminator 235, generator 429 parameters)
    """
    check_gan(gan)
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown(folder)}: no such folder; check the path")
    return load_state(folder, gan.learner)


def _named(gan: Gan, images: Any) -> Gan:
    """The GAN with where its images are from, which a run folder keeps."""
    if not isinstance(gan.config, GanConfig):
        return gan
    data = "given in Python"
    if isinstance(images, str | os.PathLike):
        name = os.fspath(images)
        data = f"folder:{name}" if Path(name).expanduser().is_dir() else name
    return gan._replace(config=replace(gan.config, data=data))


def _source(gan: Gan, images: Any, labels: Any, range: Range | None) -> Source:
    """The images or points of whatever was given, as the GAN takes them."""
    config = gan.config
    if gan.game.data != "image":
        if labels is not None or range is not None:
            raise ValueError(_POINTS_DO_NOT)
        points = getattr(images, "arrays", {}).get("point", images)
        points = check_points(points, np.float32)
        if points.shape[1] != config.dimensions:
            raise ValueError(
                f"points of {points.shape[1]} numbers, and the GAN's have {config.dimensions}"
            )
        return ArraySource(**{gan.game.data: points})
    source = as_source(images, range=range)
    height, width, channels = source[0]["image"].shape
    if channels != config.channels:
        raise ValueError(
            f"images of {channels} channels, and the GAN makes {config.channels}: build it with "
            f"channels={channels}, or convert the images"
        )
    given, source = source, resized(source, config.size)
    if isinstance(source, ArraySource) and (height, width) != (config.size, config.size):
        say(
            f"{len(source)} images of {width}x{height} (width x height) are cut to their central "
            f"square and resized to {config.size}x{config.size}"
        )
    elif line := account.fitted(given, config.size):
        say(line)
    if labels is not None:
        source = Labelled(source, labels)
    _check_labels(gan, source, given=labels is not None)
    return source


def _check_labels(gan: Gan, source: Source, *, given: bool) -> None:
    """Refuse labels that are missing, out of range, or of a GAN without classes."""
    classes = gan.game.classes
    if not classes:
        if given:
            raise ValueError("this GAN has no classes: leave labels out")
        return
    if "label" not in source[0]:
        raise ValueError(
            f"this GAN has {classes} classes: give labels=, a class 0 ... {classes - 1} for each "
            "image, or a source with labels"
        )
    known = known_labels(source)
    if known is not None and not 0 <= known.min() <= known.max() < classes:
        raise ValueError(
            f"labels must lie in 0 ... {classes - 1}, got {known.min()} ... {known.max()}"
        )
