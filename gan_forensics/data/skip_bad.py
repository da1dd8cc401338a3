"""Training that goes on at images that cannot be used.

What stands in for an image follows from its place in its epoch alone, so that all processes that
share an epoch know it without a word between them, and a run that goes on finds the same again.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gan_forensics.data.decoding import ImageError
from gan_forensics.data.sources import Source, describe

# Of images that cannot be used; beyond it nearly none can.
_MOST_IN_A_ROW = 100


class StandIn(NamedTuple):
    """An image in the stead of another one: its own place, and whether its epoch left that out."""

    epoch: int
    place: int
    left_out: bool


class SkipBad:
    """A source whose unusable images are replaced by others of it.

    In `Batches` one that is left out of the epoch stands in, see `Epoch`; elsewhere the next one.

    Attributes:
        bad: the error of each image that was met and replaced, by name.
        stand_ins: of the batches that were handed out.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> source = SkipBad(ArraySource(image=np.zeros((2, 8, 8, 3), np.uint8)))
        >>> source[0]["image"].shape, source.bad
        ((8, 8, 3), {})
    """

    def __init__(self, source: Source):
        self.source, self.bad = source, dict[str, str]()
        self.stand_ins: list[StandIn] = []

    def __getattr__(self, name: str) -> Any:
        if name == "take":  # Images in memory are all usable.
            raise AttributeError(name)
        return getattr(self.source, name)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self.first_usable((index + k) % len(self) for k in range(len(self)))[0]

    def first_usable(self, indices: Iterable[int]) -> tuple[dict[str, np.ndarray], int]:
        """The first example that can be used, and how many before it could not.

        Raises:
            ImageError: where none of the first 100 can.
        """
        for before, index in enumerate(islice(indices, _MOST_IN_A_ROW)):
            try:
                return self.source[index], before
            except ImageError as error:
                self.bad[describe(self.source, index)] = str(error)
        raise ImageError(
            f"{min(_MOST_IN_A_ROW, len(self))} images in a row cannot be used, at the end "
            f"{next(reversed(self.bad.values()))}"
        )

    def account(self) -> dict[str, list]:
        """What this process met, as JSON, for `joined`."""
        return {"skipped": list(self.bad.values()), "stand_ins": [list(s) for s in self.stand_ins]}


class Epoch:
    """The examples of an epoch by their places, of which the first `used` make up its batches.

    For one that cannot be used at place p stands in, of what the epoch leaves out, the image p
    places on, counted around; where nothing is left out or usable there, the first usable one half
    an epoch on, which the epoch then has twice. It has twice as well what stands in for two images
    at places that are a multiple of the number left out apart: that nobody can know who reads a
    part of the epoch. `joined` counts both.

    Attributes:
        stand_ins: for what was read so far.
    """

    def __init__(self, source: SkipBad, number: int, order: Int[np.ndarray, " n"], *, used: int):
        self.source, self.number, self.order, self.used = source, number, order, used
        self.stand_ins: list[StandIn] = []

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        places = self._places(index)
        example, before = self.source.first_usable(int(self.order[p]) for p in places)
        if before:
            there = next(islice(self._places(index), before, None))
            self.stand_ins.append(StandIn(self.number, there, there >= self.used))
        return example

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, self.order[index])

    def _places(self, place: int) -> Iterator[int]:
        """The place, and those that stand in for it, the likeliest first."""
        spare = len(self) - self.used
        left_out = (self.used + (place + k) % spare for k in range(spare))
        others = ((place + self.used // 2 + k) % self.used for k in range(self.used))
        return chain([place], left_out, others)


def joined(accounts: Sequence[dict[str, list]]) -> dict[str, Any]:
    """What all processes met, of the `account` of each.

    Example:
        >>> first = {"skipped": ["a.png: damaged"], "stand_ins": [[0, 6, True]]}
        >>> second = {"skipped": ["b.png: damaged"], "stand_ins": [[0, 6, True]]}
        >>> joined([first, second])["stood_in"]
        {'times': 2, 'seen_twice': 1}
    """
    skipped = dict.fromkeys(line for each in accounts for line in each["skipped"])
    stand_ins = [StandIn(*s) for each in accounts for s in each["stand_ins"]]
    once = len({s for s in stand_ins if s.left_out})
    times = {"times": len(stand_ins), "seen_twice": len(stand_ins) - once}
    return {"skipped": list(skipped), "stood_in": times}
