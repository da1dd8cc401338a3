"""The images of a neural detector: real ones and generated ones, parted by what they are for."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import Rows, Source


class Parts(NamedTuple):
    """Disjoint real and generated images for each purpose, and how they were parted.

    Attributes:
        train: (real, generated) to train on.
        validation: (real, generated) that decide when to stop and which checkpoint is kept.
        calibration: (real, generated) that set the threshold and say what it achieves.
        split: the split in words.
    """

    train: tuple[Source, Source]
    validation: tuple[Source, Source]
    calibration: tuple[Source, Source]
    split: str


class RealAndFake:
    """Real images, then generated ones, all of three channels; "label" is 1 for generated."""

    def __init__(self, real: Source, fake: Source):
        self.real, self.fake = real, fake

    def __len__(self) -> int:
        return len(self.real) + len(self.fake)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        generated = index >= len(self.real)
        image = self.fake[index - len(self.real)] if generated else self.real[index]
        pixels = image["image"]
        pixels = np.repeat(pixels, 3 // pixels.shape[-1], -1)
        return {"image": pixels, "label": np.asarray(generated, np.int32)}


def part(
    real: tuple[Source, Source], fake: tuple[Source, Source], *, split: str, seed: int = 0
) -> Parts:
    """Parts of (train, held-out) sources: the held-out images are halved at random.

    Raises:
        ValueError: for fewer than two held-out images of a kind.
    """
    parts = []
    for name, (train, held) in (("real", real), ("generated", fake)):
        if len(held) < 2:
            raise ValueError(
                f"{len(held)} held-out {name} images cannot serve for validation and calibration: "
                "give more images"
            )
        order = np.random.default_rng(seed).permutation(len(held))
        halves = np.split(order, [len(held) // 2])
        parts.append((train, *(Rows(held, np.sort(half)) for half in halves)))
    train, validation, calibration = zip(*parts, strict=True)
    return Parts(train, validation, calibration, split)


class OnDemand(Sequence):
    """Images made from things when asked for: a test set need not fit into memory."""

    def __init__(self, things: Any, make: Callable[[Any], np.ndarray]):
        self.things, self.make = things, make

    def __len__(self) -> int:
        return len(self.things)

    def __getitem__(self, index):
        return self.make(self.things[index])


def images_of(source: Source) -> Sequence[UInt8[np.ndarray, "_h _w c"]]:
    """All images of a source, of whatever sizes, each read when it is asked for."""
    return OnDemand(source, lambda example: example["image"])
