"""Run folders of StarGANs: training into one, and loading from one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gan_forensics.data import ImageError, SkipBad, image_grid, open_attributes, save_png, take
from gan_forensics.data.attributes import AttributeSource
from gan_forensics.data.run_data import say_taken, write_data
from gan_forensics.files import listed
from gan_forensics.gans.stargan import KIND, StarGan, build_stargan, translate, with_targets
from gan_forensics.gans.stargan_config import StarGanConfig
from gan_forensics.gans.stargan_targets import target_labels
from gan_forensics.train import (
    Cadence,
    InterruptedRunError,
    NonFiniteLossError,
    TrainState,
    fit,
    from_config,
    load_state,
    process_batches,
)

# Rows of a run's picture: so many images, each with its translations.
_ROWS = 8


def train_stargan(
    config: StarGanConfig,
    run: Path | str,
    cadence: Cadence,
    *,
    follow_links: bool = False,
    on_bad_image: Literal["stop", "skip"] = "stop",
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> tuple[StarGan, TrainState]:
    """Train a config in a run folder; what it leaves to the data or the run is filled in and saved.

    The samples of the run are of the same images at every time: a row for each, with the image
    itself and then its translation to each of `target_labels`.

    Args:
        config: what to train.
        run: the run folder.
        cadence: how long, and how often to do what; a step is `n_dis` moves of the discriminator
            and one of the generator.
        follow_links: of a folder, whether to follow links that leave it.
        on_bad_image: as in `gan_forensics.gans.train_gan`.
        say: told, a line at a time, what is taken of the data, and at the end what was skipped.
        options: for `gan_forensics.train.fit`, such as `resume` and `facts`.

    Raises:
        ValueError: for a config that cannot be built, or data that do not fit it.
        ImageError: for a file that cannot be used.

    Example:
        >>> from pathlib import Path
        >>> from gan_forensics.gans import StarGanConfig, train_stargan
        >>> from gan_forensics.train import Cadence
        >>> config = StarGanConfig("toy:domains", size=16, width=4, blocks=1, n_dis=1)
        >>> gan, state = train_stargan(config, Path("runs/domains"), Cadence(5))  # doctest: +SKIP
        >>> gan.config.attributes  # doctest: +SKIP
        ('red', 'green', 'blue', 'warm', 'striped')
    """
    run = Path(run)
    labelled = open_attributes(
        config.data,
        attributes=config.attributes,
        size=config.size,
        split=config.split or "train",
        follow_links=follow_links,
    )
    say_taken(config.data, labelled, config.size, say)
    config = _completed(config, labelled, cadence.steps)
    about = _domains(config, labelled)
    say(f"{config.data}: {about}")
    gan = build_stargan(config)
    source: Any = labelled
    if on_bad_image == "skip" and not hasattr(source, "take"):
        source = SkipBad(source)
    batches = process_batches(
        source,
        batch_size=config.batch_size,
        seed=config.seed,
        flip=config.flip,
        transform=with_targets(labelled),
    )
    chosen = np.random.default_rng(config.seed).permutation(len(source))[:_ROWS]
    shown = take(source, np.sort(chosen))

    def sample(state: TrainState, path: Path) -> None:
        save_png(path.with_suffix(".png"), translation_grid(gan, state, **shown))

    try:
        state = fit(
            gan.learner,
            batches,
            run=run,
            cadence=cadence,
            seed=config.seed,
            sample=sample,
            **options,
        )
    except (ImageError, InterruptedRunError, NonFiniteLossError) as error:
        alone = isinstance(error, ImageError)
        write_data(run, config.data, config.split, source, say, {"domains": about}, alone=alone)
        raise
    write_data(run, config.data, config.split, source, say, {"domains": about})
    return gan, state


def translation_grid(
    gan: StarGan, state: TrainState, image: np.ndarray, attributes: np.ndarray, **others: Any
) -> np.ndarray:
    """One picture: a row for each image, itself and then the translations to `target_labels`."""
    config = gan.config
    targets = target_labels(attributes, config.attributes, config.exclusive or ())
    columns = [image, *(translate(gan, state, image, labels) for labels in targets)]
    return image_grid(np.stack(columns, axis=1).reshape(-1, *image.shape[1:]), len(columns))


def load_stargan(run: Path | str) -> tuple[StarGan, TrainState]:
    """The StarGAN of a run folder, with the state of its newest whole checkpoint.

    Raises:
        RunFolderError: when the folder is not a StarGAN's run folder.
        CheckpointError: when it has no checkpoint that can be read.

    Example:
        >>> from pathlib import Path
        >>> gan, state = load_stargan(Path("runs/domains"))  # doctest: +SKIP
        >>> state  # doctest: +SKIP
        TrainState(step=5, discriminator 3,244, generator 12 k parameters)
    """
    run = Path(run)
    gan = from_config(run, KIND, lambda saved: build_stargan(StarGanConfig(**saved)))
    return gan, load_state(run, gan.learner)


def _completed(config: StarGanConfig, source: AttributeSource, steps: int) -> StarGanConfig:
    """The config with what the data and the length of the run decide."""
    channels = source[0]["image"].shape[-1]
    if config.channels not in (None, channels):
        raise ValueError(
            f"{config.data} has images of {channels} channels, the config {config.channels}: "
            "leave channels out, or convert the files"
        )
    config = replace(config, channels=channels, attributes=source.attributes)
    if config.exclusive is None:
        config = replace(config, exclusive=source.exclusive)
    if config.schedule != "constant" and config.decay_steps is None:
        config = replace(config, decay_steps=steps)
    return config


def _domains(config: StarGanConfig, source: AttributeSource) -> str:
    """What is translated, in words, and how many images are not what `exclusive` says."""
    exclusive = config.exclusive or ()
    said = [f"one of {listed(exclusive)}"] if exclusive else []
    said += [f"{name} or not" for name in config.attributes if name not in exclusive]
    line = f"an image is {'; '.join(said)}"
    if not exclusive:
        return line
    columns = [config.attributes.index(name) for name in exclusive]
    counts = np.array([source.attributes_of(row)[columns].sum() for row in range(len(source))])
    none, several = (int(found.sum()) for found in (counts == 0, counts > 1))
    if none or several:
        line += (
            f"; but {none} of {len(counts)} images are none of {listed(exclusive)}, and "
            f"{several} more than one: they train all the same, as what they are"
        )
    return line
