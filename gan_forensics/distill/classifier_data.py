"""The images of a classifier: what trains, what chooses the epoch, what tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gan_forensics.data import ArraySource, Rows, Source, account, chunks, open_source
from gan_forensics.data.crops import MARGIN, CentreCrops, RandomCrops
from gan_forensics.data.labels import all_labels, without_images
from gan_forensics.data.names import brings_test
from gan_forensics.data.pipeline import Transform
from gan_forensics.data.run_data import say_taken
from gan_forensics.data.sources import describe, rows_of_split
from gan_forensics.data.survey import OnBadImage, sentences, surveyed
from gan_forensics.distill.classifier_config import SMALL, ClassifierConfig

# Images up to this many bytes are read once and kept.
IN_MEMORY = 2**29
_AT_ONCE = 256


class Parts(NamedTuple):
    """Images by their use; `transform` is that of training batches, `listed` what was opened."""

    train: Source
    validation: Source | None
    test: Source | None
    transform: Transform | None
    facts: dict[str, Any]
    listed: Source


def crops_of(config: ClassifierConfig) -> RandomCrops | None:
    """The random crops of a config that is filled in; None where there are none."""
    if config.augment == "imagenet":
        return RandomCrops(config.size or 0)
    fine = dict(area=(0.2, 1.0), ratio=(0.8, 1.25), turn=45.0, gray=0.2, jitter=0.2)
    return RandomCrops(config.size or 0, **fine) if config.augment == "cub" else None  # pyright: ignore


def open_parts(
    config: ClassifierConfig,
    *,
    student: bool = False,
    follow_links: bool = False,
    on_bad_image: OnBadImage = "stop",
    say: Callable[[str], None] = lambda line: None,
) -> tuple[ClassifierConfig, Parts]:
    """Open the data of a config, and fill in what it leaves to them.

    With random crops a given size is read 8/7 as large (256 for 224), and all but training images
    are cropped in the middle.

    Args:
        config: what to train.
        student: whether schedules are those of students.
        follow_links: of a folder, whether to follow links that leave it.
        on_bad_image: at files that cannot be read: stop, or leave them out of all parts.
        say: told, a line at a time, what is taken of the data.

    Raises:
        ValueError: for images without labels or of different sizes, labels that are not 0, 1, ...
            without gaps in training or lie beyond them in testing, and too few images.
    """
    if config.size is not None:
        config = _augmented(config, say)
    if config.crops and config.size and config.resize is None:
        config = replace(config, resize=round(config.size * MARGIN))
    read = config.resize or config.size

    def opened(name: str, split: str) -> Source:
        return open_source(name, size=read, split=split, follow_links=follow_links)

    listed = opened(config.data, config.split if config.test is None else "all")
    say_taken(config.data, listed, read, say)
    names = tuple(getattr(listed, "label_names", ()))
    unread: dict[str, Any] = {}

    def usable(name: str, source: Source) -> Source:
        # What is in memory can be read.
        if on_bad_image != "skip" or hasattr(source, "take"):
            return source
        _, (kept,), left_out = surveyed({name: source}, on_bad_image=on_bad_image)
        unread.update(left_out.get("left_out", {}))
        return kept

    whole = usable(config.data, listed)
    first = whole[0]
    if not {"image", "label"} <= first.keys():
        raise ValueError(
            f"{config.data} has {' and '.join(first)}, and a classifier needs images with labels: "
            "give a folder with a subfolder for each class, a list of path,label, or another source"
        )
    height, width, channels = first["image"].shape
    if height != width:
        raise ValueError(f"{config.data} has images of {height}x{width}: give a size for squares")
    config = replace(config, size=config.size or height, label_names=names)
    config = _augmented(_known(config, "channels", channels), say)
    config = _scheduled(config, student=student)
    whole = in_memory(whole)
    labels = all_labels(whole)
    config = _known(config, "classes", _count(config, labels))
    test, how, rows = None, "nothing was held out for a test", np.arange(len(whole))
    if config.test is not None:
        test, how = opened(config.test, "all"), f"all images of {config.test}"
        if line := account.splits(test):
            say(f"{config.test}: {line}")
        others = tuple(getattr(test, "label_names", ()))
        check_names(f"{config.test}", others, config.data, names)
    elif config.split == "train":
        try:
            test = opened(config.data, "test")
            own = brings_test(config.data, listed)
            how = "the test split of the data" if own else "about a quarter, held out by a hash"
        except FileNotFoundError:  # A folder of IDX files for training alone.
            rows = rows_of_split(range(len(whole)), "train")
            test = Rows(whole, rows_of_split(range(len(whole)), "test"))
            how = "about a quarter of the train split, by a hash, since there is no test split"
    if test is not None:
        test = in_memory(usable(config.test or f"{config.data} (test)", test))
        _check_test(config, test, first["image"].shape)
    chosen = np.zeros(0, int)
    if config.select_on == "validation":
        rows = np.random.default_rng(config.seed).permutation(rows)
        count = min(max(1, round(config.validation * len(rows))), len(rows) - 1)
        chosen, rows = np.sort(rows[:count]), np.sort(rows[count:])
    train = Rows(whole, rows)
    validation = Rows(whole, chosen) if len(chosen) else None
    crops = crops_of(config)
    if crops is not None:
        validation, test = (
            None if part is None else CentreCrops(part, crops.side) for part in (validation, test)
        )
    facts = {
        "train": len(train),
        "validation": len(chosen),
        "test": 0 if test is None else len(test),
        "test_is": how,
        **({"images_left_out": unread} if unread else {}),
    }
    for line in sentences(unread):
        say(line)
    say(
        f"{config.data}: {len(train)} images of {config.classes} classes train, {len(chosen)} "
        f"choose the epoch (held out of the train split by seed {config.seed}), {facts['test']} "
        f"test ({how})"
    )
    transform = None if crops is None else crops.transform
    return config, Parts(train, validation, test, transform, facts, listed)


def in_memory(source: Source) -> Source:
    """The same examples, read once and kept where they take no more than `IN_MEMORY` bytes."""
    if isinstance(source, ArraySource) or len(source) * source[0]["image"].nbytes > IN_MEMORY:
        return source
    parts = list(chunks(source, _AT_ONCE))
    kept = ArraySource(**{key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
    kept.describe = lambda index: describe(source, index)  # pyright: ignore
    return kept


def check_names(first: str, names: tuple[str, ...], second: str, others: tuple[str, ...]) -> None:
    """Refuse two sources of classes whose labels stand for different things, where both have names.

    Raises:
        ValueError: with the first difference.
    """
    if not names or not others or names == others:
        return
    if len(names) != len(others):
        raise ValueError(f"{first} has {len(names)} classes, {second} {len(others)}")
    place = next(i for i, (a, b) in enumerate(zip(names, others, strict=True)) if a != b)
    raise ValueError(
        f"class {place} is {names[place]!r} in {first} and {others[place]!r} in {second}: their "
        "classes must be the same, in the same order"
    )


def _augmented(config: ClassifierConfig, say: Callable[[str], None]) -> ClassifierConfig:
    """The config with its augmentation, which the side of the images decides."""
    if config.augment is not None or config.size is None:
        return config
    chosen = "none" if config.size < SMALL else "imagenet"
    say(f"augmentation of training images: {chosen}, by default at {config.size} pixels")
    return replace(config, augment=chosen)


def _known(config: ClassifierConfig, name: str, value: int) -> ClassifierConfig:
    if getattr(config, name) not in (None, value):
        raise ValueError(
            f"{config.data} has {value} {name}, the config {getattr(config, name)}: leave {name} "
            "out, or give other data"
        )
    return replace(config, **{name: value})


def _scheduled(config: ClassifierConfig, *, student: bool) -> ClassifierConfig:
    """The config with its schedule: 30 of 90 epochs of teachers, 80 of 200 and 5 of students."""
    share, warm_up = (2 / 5, 1 / 40) if student else (1 / 3, 0)
    every = config.decay_every or max(1, round(share * config.epochs))
    if config.warm_up is None:
        config = replace(config, warm_up=min(round(warm_up * config.epochs), every))
    return replace(config, decay_every=every)


def _count(config: ClassifierConfig, labels: Int[np.ndarray, " n"]) -> int:
    """How many classes there are, each with an image."""
    if labels.min() < 0:
        raise ValueError(f"{config.data} has labels from {labels.min()}: number classes 0, 1, ...")
    counts = np.bincount(labels, minlength=len(config.label_names))
    if missing := np.flatnonzero(counts == 0).tolist():
        said = without_images(missing, len(counts), config.label_names)
        raise ValueError(f"{config.data} {said}")
    if len(counts) < 2:
        raise ValueError(f"{config.data} has one class alone: nothing to tell apart")
    return len(counts)


def _check_test(config: ClassifierConfig, test: Source, shape: tuple[int, ...]) -> None:
    name, first = config.test or config.data, test[0]
    if not {"image", "label"} <= first.keys():
        raise ValueError(f"the test images of {name} have no labels: give others as the test")
    if first["image"].shape != shape:
        raise ValueError(
            f"the test images of {name} are {list(first['image'].shape)} (height, width, "
            f"channels), those that train {list(shape)}: give a size, or convert the files"
        )
    labels = all_labels(test)
    if labels.min() < 0 or labels.max() >= (config.classes or 0):
        raise ValueError(
            f"the test images of {name} have labels from {labels.min()} to {labels.max()}, those "
            f"that train 0 to {(config.classes or 0) - 1}"
        )
