"""The images that a path of this machine names: a file, those of a folder, or those of a CSV."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gan_forensics.data import list_images
from gan_forensics.data.account import notes
from gan_forensics.data.budget import MOST_BYTES
from gan_forensics.data.listing import summary
from gan_forensics.data.lists import read_list
from gan_forensics.files import check_file_in, read_bytes, shown

Named = tuple[str, Callable[[], bytes]]


def given(
    path: Path | str, told: Callable[[str], None], *, follow_links: bool = False
) -> list[Named]:
    """The images that a path names, by the listing that all commands have; nothing is read yet.

    Args:
        path: of a file, of a folder, or of a CSV whose first column is `path`, relative to it.
        told: is told what is left out, and how a CSV was read.
        follow_links: whether links that leave a folder are followed.

    Returns:
        Of each image its name, relative to the folder or the CSV, and what reads its bytes: OSError
        and ValueError where that cannot be done.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: there is nothing of an image.

    Example:
        >>> given("/dev/null", print)
        Traceback (most recent call last):
        ValueError: /dev/null: it is not a regular file; give an image, a folder of images or a CSV
    """
    path = Path(path)
    if path.is_dir():
        images, left_out = list_images(path, follow_links=follow_links)
        if left_out:
            told(f"{shown(path)}: {summary(left_out, len(images))}")
        if not images:
            raise ValueError(f"{shown(path)}: no images in this folder or below")
        return [(_below(path, image), _reader(image)) for image in images]
    check_file_in(path, "an image, a folder of images or a CSV")
    if path.suffix.lower() != ".csv":
        return [(path.name, _reader(path))]
    source = read_list(path, split="all")
    for line in (source.read_as, *notes(source)):
        if line:
            told(f"{shown(path)}: {line}")
    return [(_below(path.parent, image), _reader(image)) for image in source.paths]


def _below(folder: Path, image: Path) -> str:
    return Path(os.path.relpath(image, folder)).as_posix()


def _reader(path: Path) -> Callable[[], bytes]:
    return partial(read_bytes, path, most=MOST_BYTES)
