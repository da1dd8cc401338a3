"""Inputs of millions of images, cut into shards: the units of work of many independent workers.

A shard is named by what it holds, so that whoever lists the same inputs gets the same shards. It is
small and JSON-able: names of files, never their bytes. Files of a folder or a list are cut into
shards of a thousand; a tar, zip or Parquet file is one shard, whatever it holds.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gan_forensics.data.listing import list_images, why_not_listed
from gan_forensics.data.lists import read_list
from gan_forensics.data.packed import (
    NO_IMAGE,
    PACKED,
    REFUSED,
    Member,
    is_named_as_image,
    packed_members,
)
from gan_forensics.files import file_stem, shown

# Files of a folder or a list in one shard.
IMAGES = 1000
FOLDER, LIST = "folder", "list"
# Characters of a name that are those of the input's.
_STEM = 16
_PACKED_TAR = "a compressed tar archive, which is not read: uncompress it"
_PACKED_TAR_NAME = re.compile(r"\.(tar\.(gz|bz2|xz|zst)|tgz)$", re.IGNORECASE)


class Shard(NamedTuple):
    """Some images of an input, which one worker looks at in one go.

    Attributes:
        name: of letters that serve in names of files; its last part is a digest of all else.
        kind: "folder", "list", "tar", "zip" or "parquet".
        uri: absolute path of the folder, list or file.
        first: the place of its first member among the files of a folder or list that were listed
            with it; 0 for a file.
        count: how many members it has; None for a file, which tells when it is read.
        members: names of files, relative to the folder or to the folder of the list.
        refused: of members that are not read, by their names, why.

    Example:
        >>> Shard("a.tar-8c7dd922ad47494f", "tar", "/data/a.tar").base.as_posix()
        '/data'
    """

    name: str
    kind: str
    uri: str
    first: int = 0
    count: int | None = None
    members: tuple[str, ...] = ()
    refused: dict[str, str] = {}

    @classmethod
    def of(cls, record: Any) -> "Shard":
        """The shard of a JSON record.

        Raises:
            ValueError: for what is none, or is named otherwise than by what it holds.
        """
        try:
            given = cls(**{**record, "members": tuple(record["members"])})
            made = _shard(given.kind, given.uri, given.first, given.members, given.refused)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"no shard: {shown(error, most=200)}") from None
        if made != given:
            raise ValueError(f"{shown(given.name)}: its name is not that of what it holds")
        return given

    @property
    def base(self) -> Path:
        """The folder that members are relative to."""
        return Path(self.uri) if self.kind == FOLDER else Path(self.uri).parent


class Inputs(NamedTuple):
    """What was found of some inputs.

    Attributes:
        shards: in the order of the inputs, within each by name.
        left_out: how many files are no images, by reason.

    Example:
        >>> Inputs([Shard("a.tar-01", "tar", "/data/a.tar")], Counter()).shards[0].kind
        'tar'
    """

    shards: list[Shard]
    left_out: Counter[str]


def shards_of(
    inputs: Iterable[Path | str],
    *,
    most: int = IMAGES,
    follow_links: bool = False,
    known: Container[str] = (),
) -> Inputs:
    """Cut inputs into shards.

    Args:
        inputs: folders of images or of tar, zip and Parquet files, such files, lists (.csv, a path
            in each line, as of the source list:FILE.csv), and single images.
        most: files of a folder or list in one shard.
        follow_links: follow links, and paths of lists, that leave their folder.
        known: paths of files that belong to a shard already.

    Raises:
        OSError: for an input that is not there or cannot be read.
        ValueError: for a list that is none, and inputs without any image.

    Example:
        >>> inputs = shards_of(["photos", "crawl/0001.tar"])  # doctest: +SKIP
        >>> [shard.name for shard in inputs.shards]  # doctest: +SKIP
        ['photos-000000-6f1ed002ab559585', '0001.tar-8c7dd922ad47494f']
    """
    found: dict[tuple[str, Path, Path], dict[str, str]] = {}
    left_out: Counter[str] = Counter()
    for given in inputs:
        path = Path(os.path.abspath(given))
        if not path.exists():
            raise FileNotFoundError(f"{shown(given)}: no such file or folder; check the path")
        kind, uri, members = _listed(path, follow_links, left_out)
        # Files that are named one by one lie in their folder.
        found.setdefault((kind, uri, uri if kind == FOLDER else uri.parent), {}).update(members)
    seen: set[str] = set()
    shards: list[Shard] = []
    for (kind, uri, base), members in found.items():
        loose = []
        for member, why in members.items():
            whole = str(base / member)
            if whole in seen or whole in known:
                continue
            seen.add(whole)
            if (suffix := base.joinpath(member).suffix.lower()) in PACKED and not why:
                shards.append(_shard(suffix[1:], whole, 0, (), {}))
            else:
                loose.append(member)
        for first in range(0, len(loose), most):
            some = tuple(loose[first : first + most])
            refused = {name: members[name] for name in some if members[name]}
            shards.append(_shard(kind, str(uri), first, some, refused))
    return Inputs(shards, left_out)


def _listed(
    path: Path, follow_links: bool, left_out: Counter[str]
) -> tuple[str, Path, dict[str, str]]:
    """What an input holds: kind, folder or list, and names of files, if refused with the reason."""
    if path.suffix.lower() == ".csv" and path.is_file():
        source = read_list(path, split="all", follow_links=follow_links)
        return LIST, path, {os.path.relpath(each, path.parent): "" for each in source.paths}
    if not path.is_dir():
        return FOLDER, path.parent, {path.name: ""}
    listing = list_images(path, follow_links=follow_links)
    names = {str(each.relative_to(path)): "" for each in listing.images}
    for each, reason in listing.left_out.items():
        name = str(each.relative_to(path))
        if reason == NO_IMAGE and each.suffix.lower() in PACKED:
            names[name] = ""
        elif is_named_as_image(name):
            # What is wrong with the bytes may be mended before they are read.
            mendable = not each.is_symlink() and why_not_listed(str(each)) == reason
            names[name] = "" if mendable else reason
        else:
            left_out[_PACKED_TAR if _PACKED_TAR_NAME.search(name) else reason] += 1
    if not names:
        raise ValueError(f"{shown(path)}: no images in this folder or below")
    return FOLDER, path, dict(sorted(names.items(), key=lambda each: each[0].split(os.sep)))


def _shard(
    kind: str, uri: str, first: int, members: tuple[str, ...], refused: dict[str, str]
) -> Shard:
    """The shard that is named by what it holds."""
    if kind not in (FOLDER, LIST, *(suffix[1:] for suffix in PACKED)):
        raise ValueError(f"unknown kind {shown(kind)!r}")
    packed = kind not in (FOLDER, LIST)
    held = json.dumps([kind, uri, first, members, refused])
    digest = hashlib.sha256(held.encode()).hexdigest()[:16]
    stem = file_stem(Path(uri).name)[:_STEM]
    name = f"{stem}-{digest}" if packed else f"{stem}-{first:06d}-{digest}"
    return Shard(name, kind, uri, first, None if packed else len(members), members, refused)


def read_shard(shard: Shard) -> Iterator[Member]:
    """The members of a shard, one after the other; few of their bytes are in memory.

    Those that are no images are among them (`Member.kind`), to be counted. What is wrong with a
    file ends it and is its last member; nothing is raised.

    Example:
        >>> [member.name for member in read_shard(shard)]  # doctest: +SKIP
        ['/data/a.tar/0001.jpg', '/data/a.tar/0002.jpg']
    """
    if shard.kind not in (FOLDER, LIST):
        yield from packed_members(Path(shard.uri))
        return
    for name in shard.members:
        path = shard.base / name
        if why := shard.refused.get(name):
            yield Member(str(path), None, None, REFUSED, why)
        else:
            yield Member(str(path), None, path)
