"""A source is named by a string: `samples:photos`, `folder:PATH`, `tfds:mnist:test` ..."""

import difflib
import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

from gan_forensics.data import samples, toy_points
from gan_forensics.data.celeba import ATTRIBUTES, read_celeba
from gan_forensics.data.formats import (
    holds_points,
    part_of,
    read_folder,
    read_idx,
    read_npz,
)
from gan_forensics.data.lists import read_list
from gan_forensics.data.sources import ArraySource, FileSource, Source, check_split
from gan_forensics.data.stacked import Stacked
from gan_forensics.data.tfds import read_tfds
from gan_forensics.data.toy import power_law_textures
from gan_forensics.data.toy_domains import open_domains
from gan_forensics.files import number, refuse_remote, whole_number

SOURCES = (
    "samples:photos",
    "samples:digits",
    "samples:mnist5k",
    "samples:lfw",
    "toy:powerlaw",
    "toy:domains",
    "toy:line",
    "toy:grid9",
    "toy:grid25",
    "toy:plus",
    "toy:sine",
    "stacked:SOURCE",
    "folder:PATH",
    "list:FILE.csv",
    "celeba:PATH",
    "idx:PATH",
    "npz:FILE.npz",
    "tfds:NAME[:SPLIT]",
)
_FILE_READERS = {
    "folder": read_folder,
    "list": read_list,
    "celeba": read_celeba,
    "idx": read_idx,
    "npz": read_npz,
}
# Whose files may be links, or lie elsewhere.
_WITH_LINKS = ("folder", "list", "celeba")
# Arrays in memory by name; keyword arguments are options. Splits and sizes are made from them.
NAMED: dict[str, Callable[..., ArraySource]] = {
    "samples:digits": samples.digits,
    "samples:mnist5k": samples.mnist5k,
    "samples:lfw": samples.lfw,
    **{name: partial(toy_points.draw, world) for name, world in toy_points.WORLDS.items()},
}
# name[/config][:1.2.3], then maybe :SPLIT, where SPLIT may hold a colon (train[:100]).
_TFDS = re.compile(r"(?P<name>[\w./-]+(?::\d+\.\d+\.\d+)?)(?::(?P<part>[^?]+))?")


def open_source(
    name: str,
    *,
    size: int | None = None,
    split: str = "all",
    crop: int | None = None,
    follow_links: bool = False,
) -> Source:
    """Open the source that a string names.

    ============================  =====================================================
    `samples:photos`              crops of 10 photographs (options `stride`, `reduce`)
    `samples:digits`              1797 digits of 8x8; `samples:mnist5k` 5000 of 28x28
    `samples:lfw`                 200 gray crops of 25x25, half of them faces
    `toy:powerlaw`                textures of a known spectrum (`exponent`, `n`, `seed`)
    `toy:domains`                 discs on stripes or spots, with attributes (`n`, `seed`)
    `toy:line`                    points of N(4, 1) (options `n`, `seed`)
    `toy:grid9`, `toy:grid25`     points around 3x3 or 5x5 centres, `toy:plus` 13, `toy:sine` 12
    `stacked:SOURCE`              three gray digits as red, green, blue: 1000 modes (`n`, `seed`)
    `folder:PATH`, or `PATH`      images below a folder; subfolders are classes
    `list:FILE.csv`               a path, or a path and a label, on each line
    `celeba:PATH`                 a folder with list_attr_celeba.txt and images of CelebA
    `idx:PATH`                    MNIST's format, a file or a folder of them, also .gz
    `npz:FILE.npz`                uint8 images, or points under `point`
    `tfds:NAME[:SPLIT]`           a TensorFlow data set (option `data_dir`)
    ============================  =====================================================

    Options are appended as in `toy:powerlaw?exponent=1&n=500`. Those behind the last ? of
    `stacked:SOURCE` are the stacks', any before it the SOURCE's own:
    `stacked:tfds:mnist?data_dir=DIR?n=64000`.

    Args:
        name: one of the above.
        size: images are centre-cropped to a square, then resized to `size` with antialiasing.
            For photographs and textures nothing is resized: it is the size at native pixels
            (default 32). Points have none. Of stacks it is that of the digits.
        split: "train", "test", or "all". Photographs are split by region, TensorFlow data sets,
            folders with train/ and test/ (or val/, in any case; `split_folders`), lists with a
            column `split` and IDX folders by their own splits; all else is divided at random but
            always alike, about a quarter for test (`rows_of_split`).
        crop: side of the centre crop that is resized; default the shorter side.
        follow_links: of a folder, whether to follow links that leave it; of a list, whether its
            files may lie outside of its folder.

    Raises:
        ValueError: an unknown name, option or split, or unusable data.
        FileNotFoundError: a path is missing.

    Example:
        >>> photos = open_source("samples:photos", size=64, split="test")
        >>> photos[0]["image"].shape
        (64, 64, 3)
    """
    refuse_remote(name)
    check_split(split)
    fit = {"size": size, "crop": crop}
    for given, value in fit.items():
        if value is not None and value < 1:
            raise ValueError(f"{given} must be at least 1, got {value}")
    scheme, _, rest = name.partition(":")
    if scheme in _FILE_READERS:
        options = {"follow_links": follow_links} if scheme in _WITH_LINKS else {}
        return _open_files(_FILE_READERS[scheme], name, rest, split=split, **options, **fit)
    if scheme == "stacked":
        return _open_stacks(name, split=split, follow_links=follow_links, **fit)
    base, _, query = name.partition("?")
    if base in MADE:
        if crop is not None:
            raise ValueError(f"{base} is made at its size; crop is not for it, give size alone")
        return with_options(partial(MADE[base], size=size or 32, split=split), name, query)
    if base in NAMED:
        return part_of(with_options(NAMED[base], name, query).arrays, split, **fit)
    match = _TFDS.fullmatch(base.removeprefix("tfds:"))
    if scheme == "tfds" and match:
        opener = partial(read_tfds, match["name"], part=match["part"], split=split, **fit)
        return with_options(opener, name, query)
    if Path(name).is_dir():
        return read_folder(Path(name), split=split, follow_links=follow_links, **fit)
    raise ValueError(_unknown(name))


def has_points(name: str) -> bool:
    """Whether a name is that of points, not of images, known before the source is opened.

    Example:
        >>> has_points("toy:grid9"), has_points("samples:photos")
        (True, False)
    """
    scheme, _, rest = name.partition(":")
    if scheme == "npz":
        return holds_points(Path(rest).expanduser())
    return toy_points.world_of(name) is not None


def brings_test(name: str, source: Source) -> bool:
    """Whether the split "test" of a source is the data's own, not drawn by `rows_of_split`."""
    scheme, _, rest = name.partition("?")[0].partition(":")
    if scheme == "idx":
        return Path(rest).expanduser().is_dir()
    if scheme == "tfds":
        match = _TFDS.fullmatch(rest)
        return match is not None and match["part"] is None
    if isinstance(source, FileSource) and source.folders is not None and source.folders.splits:
        return "test" in source.folders.splits
    return name.partition("?")[0] == "samples:photos"


def _open_files(reader: Callable, name: str, rest: str, **arguments) -> Source:
    path = Path(rest).expanduser()
    if not rest or not path.exists():
        raise FileNotFoundError(f"{name}: no such file or folder; check the path")
    if path.is_dir() and reader in (read_list, read_npz):
        raise ValueError(f"{name}: is a folder; write folder:{rest} for the images in it")
    if reader is read_list and path.name == ATTRIBUTES:
        raise ValueError(f"{name}: CelebA's file is no CSV file; write celeba:DIR for its folder")
    if not path.is_dir() and reader is read_celeba:
        raise ValueError(f"{name}: is a file; give the folder that holds it and the images")
    return reader(path, **arguments)


def _open_textures(
    *, size: int, split: str, exponent: float = 1.5, n: int = 2000, seed: int = 0
) -> ArraySource:
    return part_of({"image": power_law_textures(n, size, exponent=exponent, seed=seed)}, split)


# Made at the size that is asked for, so that nothing is resized.
MADE = {
    "samples:photos": samples.photos,
    "toy:powerlaw": _open_textures,
    "toy:domains": open_domains,
}


def _open_stacks(name: str, *, split: str, **arguments) -> Stacked:
    """Stacks of the source that stands between `stacked:` and the last question mark."""
    rest = name.removeprefix("stacked:")
    inner, _, query = rest.rpartition("?") if "?" in rest else (rest, "", "")
    if not inner:
        raise ValueError(f"{name}: name the source of digits, as in stacked:samples:mnist5k")
    try:
        digits = open_source(inner, split=split, **arguments)
        return with_options(partial(Stacked, digits, split=split), name, query)
    except ValueError as error:
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name}: {error}") from error


def with_options(opener: Callable, name: str, query: str):
    """Call `opener` with the options of `?key=value&...`, typed as its signature says."""
    given = getattr(opener, "keywords", {})
    kinds = {
        key: parameter.annotation
        for key, parameter in inspect.signature(opener).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key not in given
    }
    options = {}
    for item in query.split("&") if query else ():
        key, _, text = item.partition("=")
        if key not in kinds:
            raise ValueError(
                f"{name}: unknown option {key!r}; "
                + (f"it may be {', '.join(sorted(kinds))}" if kinds else "it takes none")
            )
        # The type itself, or the T of `T | None`.
        kind = (get_args(kinds[key]) or (kinds[key],))[0]
        try:
            options[key] = {int: whole_number, float: number}.get(kind, kind)(text)
        except ValueError:
            raise ValueError(
                f"{name}: option {key} must be of type {kind.__name__}, got {text!r}"
            ) from None
    return opener(**options)


def _unknown(name: str) -> str:
    scheme, colon, rest = name.partition("?")[0].partition(":")
    known = list(dict.fromkeys((*SOURCES, *NAMED)))
    near = difflib.get_close_matches(scheme, {valid.partition(":")[0] for valid in known}, n=1)
    if near and colon:
        of_scheme = [valid for valid in known if valid.startswith(f"{near[0]}:")]
        close = difflib.get_close_matches(f"{near[0]}:{rest}", of_scheme, n=1, cutoff=0)
    else:
        close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return (
        f"unknown source {name!r}; choose one of {', '.join(known)}, or an existing folder.{hint}"
    )
