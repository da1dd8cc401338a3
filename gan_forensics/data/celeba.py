"""CelebA as it is unpacked: a text file of attributes, and the images that it names."""

import os
import random
import re
from pathlib import Path

from gan_forensics.data.listing import leaving
from gan_forensics.data.sources import FileSource, check_split
from gan_forensics.files import read_bytes, shown

ATTRIBUTES = "list_attr_celeba.txt"
# Below the folder: where the attributes lie, and the images.
_FILES = (ATTRIBUTES, f"Anno/{ATTRIBUTES}")
_IMAGES = (
    "images",
    "img_align_celeba",
    "Img/img_align_celeba",
    "img_align_celeba/img_align_celeba",
)
# Of the released code of StarGAN (Choi et al., CVPR 2018).
_SHUFFLE, _TEST = 1234, 1999
_LARGEST = 2**28  # bytes of the table of attributes; the real one has 26 million


def read_celeba(
    folder: Path, *, split: str, follow_links: bool = False, **fit: int | None
) -> FileSource:
    """Read CelebA, lazily: `list_attr_celeba.txt` and `images` or `img_align_celeba` in a folder.

    The file has the number of images on its first line, the names of attributes on its second, and
    on each further one the name of an image and 1 or -1 for every attribute. They become `columns`.
    "test" are 1999 images, or a quarter if that is less, by the shuffle of StarGAN's released code;
    "train" the others. Images that are links out of the folder are refused without `follow_links`.

    Raises:
        FileNotFoundError: for a folder without these.
        ValueError: for images elsewhere, rows without image, images without row, an image with two
            rows, and rows of another length.
    """
    check_split(split)
    file = _first(folder, _FILES, "the file of attributes")
    images = _first(folder, _IMAGES, "the folder of images")
    try:
        lines = read_bytes(file, most=_LARGEST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file in UTF-8 ({error})") from error
    names = lines[1].split() if len(lines) > 1 else []
    if len(lines) < 3 or not re.fullmatch("[0-9]{1,18}", lines[0].strip()) or not names:
        raise ValueError(
            f"{file}: its first line must be the number of images, the second the names of the "
            "attributes, every other an image and its attributes; for tables of other forms write "
            "a CSV file with a column path, and give list:FILE.csv"
        )
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(lines[2:], 3):
        if not line.strip():
            continue
        image, *cells = line.split()
        if len(cells) != len(names):
            raise ValueError(
                f"{file}, line {number}: {len(cells)} attributes of {shown(image)}, and "
                f"{len(names)} have names on line 2"
            )
        if image in rows:
            raise ValueError(f"{file}, line {number}: {shown(image)} has a row already; leave one")
        rows[image] = cells
    if int(lines[0]) != len(rows):
        raise ValueError(
            f"{file}: {len(rows)} rows, and its first line promises {lines[0].strip()}: is it cut "
            "short?"
        )
    _check_images(file, images, rows)
    leaves = leaving(folder)
    if not follow_links and (outside := [name for name in rows if leaves(images / name)]):
        raise ValueError(
            f"{images}: {len(outside)} of {len(rows)} images lie outside of {folder}, the first is "
            f"{shown(outside[0])}; --follow-links allows it"
        )
    order = list(rows)
    random.Random(_SHUFFLE).shuffle(order)
    held = min(_TEST, len(order) // 4)
    kept = {"train": order[held:], "test": order[:held], "all": list(rows)}[split]
    if not kept:
        raise ValueError(f"{folder}: the {split} split of {len(order)} images is empty; give more")
    return FileSource(
        [images / name for name in kept],
        None,
        among=[images / name for name in rows],
        left_out={},
        root=None,
        columns={name: [rows[image][i] for image in kept] for i, name in enumerate(names)},
        label_names=(),
        folders=None,
        read_as="",
        **fit,
    )


def _first(folder: Path, places: tuple[str, ...], what: str) -> Path:
    for place in places:
        if (folder / place).exists():
            return folder / place
    raise FileNotFoundError(f"celeba:{folder}: {what} is missing: {' or '.join(places)}")


def _check_images(file: Path, images: Path, rows: dict[str, list[str]]) -> None:
    """Refuse rows without an image, and images without a row."""
    there = {entry.name for entry in os.scandir(images) if not entry.name.startswith(".")}
    if missing := [name for name in rows if name not in there]:
        raise ValueError(
            f"{file}: {len(missing)} of {len(rows)} rows have no image in {images}, the first is "
            f"{shown(missing[0])}: unpack all images, or leave out the rows"
        )
    if others := sorted(there - set(rows)):
        raise ValueError(
            f"{file}: {len(others)} of {len(there)} files in {images} have no row, the first is "
            f"{shown(others[0])}: add it, or move the file away"
        )
