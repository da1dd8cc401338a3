"""What the commands share: reading images with a progress bar, writing tables."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def progress(things):
    """The things with a progress bar, on terminals."""
    from tqdm import tqdm

    return tqdm(things, unit="image", disable=None)


def batches(source) -> Iterator[Any]:
    """All images of a source, uint8 [b, h, w, c], a few at a time, with a progress bar."""
    from gan_forensics.data import chunks

    return (part["image"] for part in chunks(source, 64, progress=progress))


def all_images(name: str, size: int | None) -> Any:
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


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table of one or more rows with equal keys."""
    from gan_forensics.data.files import written_beside

    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
