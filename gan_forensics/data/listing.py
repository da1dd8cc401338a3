"""The images of a folder, and what a listing leaves out, each with its reason."""

import functools
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gan_forensics.data.sniff import HEADER, why_not
from gan_forensics.files import refuse_remote, shown

LEAVES = "a link that leaves the folder (see --follow-links)"


class Listing(NamedTuple):
    """What lies below a folder.

    Attributes:
        images: sorted by path.
        left_out: the reason for everything else, by path, in the same order.

    Example:
        >>> from pathlib import Path
        >>> images, left_out = Listing([Path("a.png")], {Path("notes.txt"): "not an image"})
        >>> len(images), len(left_out)
        (1, 1)
    """

    images: list[Path]
    left_out: dict[Path, str]


def list_images(folder: str | os.PathLike, *, follow_links: bool = False) -> Listing:
    """List the image files below a folder, by what their first bytes say; nothing is decoded.

    Links to files and folders inside the folder are followed, others named and left out unless
    `follow_links`. Whatever is reached several ways counts once: at its own place, else at the
    first link by name. So a circle ends as well. Of hidden files only the images are named, and
    hidden folders are not entered. Pipes and devices are not opened.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the path is no folder.

    Example:
        >>> images, left_out = list_images("photos")  # doctest: +SKIP
        >>> images, left_out  # doctest: +SKIP
        ([PosixPath('photos/a.jpg')], {PosixPath('photos/notes.txt'): 'not an image'})
    """
    refuse_remote(folder)
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{shown(folder)}: no such folder; check the path")
    if not folder.is_dir():
        raise ValueError(f"{shown(folder)}: not a folder; give the folder that holds the images")
    root = os.path.realpath(folder)
    images: list[str] = []
    left_out: dict[str, str] = {}
    seen, links = {root}, []
    waiting = [(str(folder), root)]  # paths as they are named, and as they are
    while waiting or links:
        if not waiting:
            links.sort(reverse=True)
            link = links.pop()
            real, reason = _target(link, None if follow_links else root, seen)
            if reason:
                left_out[link] = reason
                continue
            seen.add(real)
            if not os.path.isdir(real):
                _sort_in(link, real, images, left_out)
                continue
            waiting.append((link, real))
        path, real = waiting.pop()
        try:
            entries = list(os.scandir(path))
        except OSError as error:
            left_out[path] = f"a folder that cannot be opened ({error.strerror})"
            continue
        for entry in entries:
            its_real = f"{real.rstrip('/')}/{entry.name}"
            hidden = entry.name.startswith(".")
            if entry.is_symlink():
                links += [] if hidden else [entry.path]
            elif its_real in seen:
                left_out[entry.path] = "reached by a link already"
            elif entry.is_dir():
                if hidden:
                    left_out[entry.path] = "a hidden folder"
                else:
                    seen.add(its_real)
                    waiting.append((entry.path, its_real))
            elif not hidden:
                seen.add(its_real)
                _sort_in(entry.path, its_real, images, left_out)
            elif entry.is_file() and why_not_listed(entry.path) is None:
                left_out[entry.path] = "hidden"
    return Listing(
        [Path(path) for path in sorted(images, key=_parts)],
        {Path(path): left_out[path] for path in sorted(left_out, key=_parts)},
    )


def _target(link: str, root: str | None, seen: set[str]) -> tuple[str, str | None]:
    """Where a link leads in the end, and why it is not followed."""
    real = os.path.realpath(link)
    try:
        os.stat(real)
    except FileNotFoundError:
        return real, "a link to nothing"
    except OSError as error:  # a circle of links among others
        return real, f"a link that cannot be followed ({error.strerror})"
    if root and not f"{real}/".startswith(f"{root.rstrip('/')}/"):
        return real, LEAVES
    return real, "a link to what is listed already" if real in seen else None


def leaving(folder: Path) -> Callable[[Path], bool]:
    """Whether a path leaves a folder: by its name, or by links."""
    root = os.path.realpath(folder)
    real = functools.cache(os.path.realpath)

    def leaves(path: Path) -> bool:
        above, name = os.path.split(path)
        there = os.path.join(real(above), name)
        if os.path.islink(there) or name == "..":
            there = os.path.realpath(there)
        return not f"{there}/".startswith(f"{root.rstrip('/')}/")

    return leaves


def _sort_in(path: str, real: str, images: list[str], left_out: dict[str, str]) -> None:
    if reason := why_not_listed(real):
        left_out[path] = reason
    else:
        images.append(path)


def why_not_listed(path: str) -> str | None:
    """Why a file is not listed, by what its first bytes say."""
    try:
        # Not to hang at a pipe that nobody writes to, whatever the folder said a moment ago.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return "not a regular file"
        return why_not(os.read(file, HEADER), path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    finally:
        os.close(file)


def _parts(path: str) -> list[str]:
    """By which paths are sorted: "a/b" stands before "a.b", as `Path` has it."""
    return path.split(os.sep)


def by_reason(left_out: Mapping[Path, str]) -> dict[str, list[str]]:
    """The paths that were left out, as text, under each reason."""
    found: dict[str, list[str]] = {}
    for path, reason in left_out.items():
        found.setdefault(reason, []).append(str(path))
    return found


def summary(left_out: Mapping[Path, str], kept: int) -> str:
    """One line: how much of a folder was left out, by reason, each with an example."""

    def parts() -> Iterator[str]:
        for reason, paths in by_reason(left_out).items():
            more = ", ..." if len(paths) > 1 else ""
            yield f"{len(paths)} {reason} ({shown(Path(paths[0]).name)}{more})"

    return f"{len(left_out)} of {kept + len(left_out)} files left out: {'; '.join(parts())}"
