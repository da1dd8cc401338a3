"""Stacks of digits, whose modes can be counted (Metz et al., ICLR 2017): 1000, equally likely.

Three examples drawn independently are the red, green and blue channel of an image. Stacks are made
when asked for: which three examples make stack i follows from (seed, split, i) alone.
"""

import numpy as np
from jaxtyping import Int

from gan_forensics.data.sources import SPLITS, Source, take
from gan_forensics.files import listed

DIGITS = 10
MODES = DIGITS**3
# Of a split, unless told otherwise: an endless supply for training, what is published for testing.
LENGTHS = {"train": 1_000_000, "test": 25_600, "all": 1_000_000}


def mode_of(digits: Int[np.ndarray, "*b 3"]) -> Int[np.ndarray, "*b"]:
    """100 r + 10 g + b of the digits r, g, b of the three channels."""
    return digits @ np.array([100, 10, 1])


class Stacked:
    """Stacks of a source of digits: "image" uint8 [h, w, 3], "label" the mode, 0 to 999.

    Attributes:
        inner: the source of single digits.
        digits: its examples, "image" uint8 [m, h, w, 1] and "label" [m].
        classes: how many modes there are.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> digits = ArraySource(image=np.zeros((10, 8, 8, 1), np.uint8), label=np.arange(10))
        >>> stacks = Stacked(digits, split="train", n=50)
        >>> len(stacks), stacks[0]["image"].shape
        (50, (8, 8, 3))
    """

    classes = MODES

    def __init__(self, inner: Source, *, split: str, n: int | None = None, seed: int = 0):
        """Read the single digits.

        Args:
            inner: gray images of one size with labels 0 to 9, each of which occurs.
            split: which one `inner` is; another split has other stacks.
            n: how many stacks there are, by default `LENGTHS`; the first of more are the same.
            seed: of the draw.

        Raises:
            ValueError: for images in colour, without labels or of other classes, n < 1 or a
                negative seed.
        """
        n = LENGTHS[split] if n is None else n
        if n < 1 or seed < 0:
            raise ValueError(
                f"stacks need n of at least 1 and seed of at least 0, got n={n} and seed={seed}"
            )
        self.inner, self._n = inner, n
        first = inner[0]
        if "image" not in first or first["image"].shape[-1] != 1:
            found = "images in colour" if "image" in first else f"{listed(first)}"
            raise ValueError(
                f"only gray images can be stacked to red, green and blue, this source has {found}"
            )
        if "label" not in first:
            raise ValueError("stacks need labels 0 to 9, this source has none")
        self.digits = take(inner, np.arange(len(inner)))
        found = np.unique(self.digits["label"])
        if not np.array_equal(found, np.arange(DIGITS)):
            raise ValueError(
                f"stacks need ten classes labelled 0 to 9, the {split} split has "
                f"{len(found)}: {', '.join(map(str, found[:12]))}{' ...' * (len(found) > 12)}"
            )
        (self._key,) = np.random.SeedSequence((seed, SPLITS.index(split))).generate_state(
            1, np.uint64
        )

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: array[0] for key, array in self.take(np.array([index])).items()}

    def take(self, indices: Int[np.ndarray, " b"]) -> dict[str, np.ndarray]:
        """Stack the digits of many stacks at one go."""
        rows = self.rows(indices)
        image = np.moveaxis(self.digits["image"][rows][..., 0], 1, -1)
        label = mode_of(self.digits["label"][rows]).astype(np.int32)
        return {"image": np.ascontiguousarray(image), "label": label}

    def rows(self, indices: Int[np.ndarray, " b"]) -> Int[np.ndarray, "b 3"]:
        """Which examples of `inner` are the red, green and blue channel of each stack.

        Raises:
            IndexError: beyond the last stack.
        """
        indices = np.asarray(indices, np.int64)
        if len(indices) and not -self._n <= indices.min() <= indices.max() < self._n:
            raise IndexError(f"stacks are numbered 0 to {self._n - 1}, asked for {indices.max()}")
        # A generator that can start anywhere: the numbers that SplitMix64 (Steele et al., OOPSLA
        # 2014) makes of this key, three for each stack.
        counter = 3 * (indices % self._n)[:, None] + np.arange(1, 4)
        z = self._key + counter.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        # The upper 32 bits as a share of the examples.
        chosen = (z >> np.uint64(32)) * np.uint64(len(self.inner)) >> np.uint64(32)
        return chosen.astype(np.int64)
