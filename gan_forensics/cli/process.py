"""What the commands share: starting JAX, reading images with a progress bar, writing tables."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def start() -> None:
    """Prepare the process for JAX: memory that stays, compilations that are remembered."""
    from gan_forensics.runtime import keep_scratch_memory

    keep_scratch_memory()


def progress(things):
    """The things with a progress bar, on terminals."""
    from tqdm import tqdm

    return tqdm(things, unit="image", disable=None)


def batches(source) -> "Iterator[np.ndarray]":
    """All images of a source, uint8 [b, h, w, c], a few at a time, with a progress bar."""
    from gan_forensics.data import take

    for first in progress(range(0, len(source), 64)):
        yield take(source, range(first, min(first + 64, len(source))))["image"]


def all_images(name: str, size: int | None) -> "np.ndarray":
    """All images of the source of that name, uint8 [n, h, w, c]; refused where sizes differ."""
    import numpy as np

    from gan_forensics.data import open_source

    parts = list(batches(open_source(name, size=size)))
    shapes = sorted({batch.shape[1:] for batch in parts})
    if len(shapes) > 1:
        raise ValueError(
            f"{name} holds images of {by_sides(shapes[0][:2])} and {by_sides(shapes[1][:2])}: "
            "give --size N to bring all to one size"
        )
    return np.concatenate(parts)


def by_sides(shape: tuple[int, ...]) -> str:
    """Height and width as text."""
    return f"{shape[0]}x{shape[1]}"


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence]) -> None:
    """Write a table."""
    from gan_forensics.data.files import written_beside

    with (
        written_beside(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)
