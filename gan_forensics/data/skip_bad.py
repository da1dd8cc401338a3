"""Training that goes on at images that cannot be used."""

from typing import Any

import numpy as np

from gan_forensics.data.decoding import ImageError
from gan_forensics.data.sources import Source, describe

# Of images that cannot be used; beyond it nearly none can.
_MOST_IN_A_ROW = 100


class SkipBad:
    """A source whose unusable images are replaced by others of it, each always by the same one.

    Attributes:
        bad: the error of each image that was met and replaced, by name.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> source = SkipBad(ArraySource(image=np.zeros((2, 8, 8, 3), np.uint8)))
        >>> source[0]["image"].shape, source.bad
        ((8, 8, 3), {})
    """

    def __init__(self, source: Source):
        self.source, self.bad = source, dict[str, str]()

    def __getattr__(self, name: str) -> Any:
        if name == "take":  # Images in memory are all usable.
            raise AttributeError(name)
        return getattr(self.source, name)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(index)
        for _ in range(_MOST_IN_A_ROW):
            try:
                return self.source[index]
            except ImageError as error:
                self.bad[describe(self.source, index)] = str(error)
                index = int(rng.integers(len(self)))
        raise ImageError(
            f"{_MOST_IN_A_ROW} images in a row cannot be used, at the end "
            f"{next(reversed(self.bad.values()))}"
        )
