"""What the commands share: opening images and saying what is left out, progress, tables."""

import logging
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gan_forensics.files import say, shown, tell
from gan_forensics.files.progress import progress_bar

if TYPE_CHECKING:
    from gan_forensics.anomaly import TableData
    from gan_forensics.data import Listing, Source
    from gan_forensics.data.packed import Member
    from gan_forensics.forensics.score_stream import Result

T = TypeVar("T")
R = TypeVar("R")


def open_source(
    name: str, *, size: int | None = None, split: str = "all", follow_links: bool = False
) -> "Source":
    """`gan_forensics.data.open_source` of images, saying what is left out, cropped and resized."""
    from gan_forensics import data

    refuse_points(name)
    source = data.open_source(name, size=size, split=split, follow_links=follow_links)
    account = data.account
    for line in (account.left_out(source), account.splits(source), account.fitted(source, size)):
        if line:
            say(f"{name}: {line}")
    return source


def tell_next(*words: object) -> None:
    """Say which command comes next, so that a shell takes it as it stands."""
    tell(f"Next: gan-forensics {' '.join(_for_a_shell(str(word)) for word in words)}")


def _for_a_shell(word: str) -> str:
    """A word as bash, zsh and ksh take it; what cannot be printed by the codes of its bytes."""
    if word.isprintable():
        return shlex.quote(word)
    marked = word.replace("\\", r"\\").replace("'", r"\'")
    coded = (
        c if c.isprintable() else "".join(rf"\x{byte:02x}" for byte in os.fsencode(c))
        for c in marked
    )
    return f"$'{''.join(coded)}'"


def refuse_points(name: str) -> None:
    """Refuse a source of points where images are meant."""
    from gan_forensics.data import has_points

    if has_points(name):
        raise ValueError(f"{name} has points, and images are needed: give another source")


def list_images(path: Path, *, follow_links: bool = False) -> "Listing":
    """The images of a folder, or the one that is named; says what was left out, by reason."""
    from gan_forensics import data
    from gan_forensics.data.listing import summary

    if not path.exists():
        raise FileNotFoundError(f"{shown(path)}: no such file or folder; check the path")
    if not path.is_dir():
        return data.Listing([path], {})
    images, left_out = data.list_images(path, follow_links=follow_links)
    if left_out:
        say(f"{path}: {summary(left_out, len(images))}")
    if not images and not left_out:
        raise ValueError(f"{path}: no images in this folder or below")
    return data.Listing(images, left_out)


def listed_members(listings: "Sequence[Listing]") -> "Iterable[Member]":
    """The files of listings, those that were left out at the end, with a progress bar.

    Of archives (`data.packed`) it is their members, one after the other.
    """
    from gan_forensics.data.packed import NO_IMAGE, PACKED, REFUSED, Member, packed_members

    loose: list[Member] = []
    packed: list[Path] = []
    unread: list[Member] = []
    for images, left_out in listings:
        for path in images:
            if path.suffix.lower() in PACKED:
                packed.append(path)
            else:
                loose.append(Member(str(path), None, path))
        for path, reason in left_out.items():
            if reason == NO_IMAGE and path.suffix.lower() in PACKED:
                packed.append(path)
            else:
                unread.append(Member(str(path), None, None, REFUSED, reason))
    if not packed:
        return chain(progress(loose), unread)
    return chain(progress(chain(loose, chain.from_iterable(map(packed_members, packed)))), unread)


def images_alone(found: "Iterable[Result]") -> "Iterator[Result]":
    """Results of what may be images; how many members of archives were none is said at the end."""
    from gan_forensics.data.packed import NO_IMAGE

    none = 0
    for result in found:
        if result.failure and result.failure.kind == NO_IMAGE:
            none += 1
        else:
            yield result
    if none:
        say(f"{none} members of archives are no images: left out")


@contextmanager
def conversions_said() -> Iterator[None]:
    """Say at the end, once, how many images were converted, and how."""
    files: dict[str, set[str]] = {}

    def count(record: logging.LogRecord) -> None:
        name, how = record.args  # pyright: ignore
        files.setdefault(str(how), set()).add(str(name))

    with _heard("gan_forensics.data.cmyk", count):
        try:
            yield
        finally:
            for how, names in files.items():
                say(f"{len(names)} CMYK image{'s' * (len(names) > 1)} converted {how}")


@contextmanager
def dialects_said() -> Iterator[None]:
    """Say of every CSV file, once, what is unusual in how it is read."""
    said: set[str] = set()

    def once(record: logging.LogRecord) -> None:
        if (line := record.getMessage()) not in said:
            said.add(line)
            say(line)

    with _heard("gan_forensics.files.tables", once):
        yield


@contextmanager
def _heard(name: str, take: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    """Give what a logger is told, here and nowhere else, to a function."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            take(record)

    log, handler = logging.getLogger(name), Handler()
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


def progress(things):
    """The things with a progress bar."""
    return progress_bar(things, unit="image")


def batches(source) -> Iterator[Any]:
    """All images of a source, uint8 [b, h, w, c], few at a time, with a progress bar."""
    from gan_forensics.data import chunks
    from gan_forensics.forensics.canvases import room

    at_once = room(*source[0]["image"].shape[:2])
    return (part["image"] for part in chunks(source, at_once, progress=progress))


def judged(
    judge: Callable[[list[T]], Sequence[R]], images: Mapping[Path, T]
) -> dict[Path, R | str]:
    """What `judge` says of images, or in words why it cannot, for each (`failures.halved`)."""
    from gan_forensics.forensics.failures import halved

    found = halved(judge, list(images.values()))
    return {
        path: failure(path, each) if isinstance(each, Exception) else each
        for path, each in zip(images, found, strict=True)
    }


def failure(path: Path, error: Exception) -> str:
    """Why there is no result for an image, in a line that names it."""
    from gan_forensics.forensics.failures import failure_of

    return failure_of(path, error).text


def by_sides(shape: tuple[int, ...]) -> str:
    """Height and width as text."""
    return f"{shape[0]}x{shape[1]}"


def read_table(path: Path, label: str | None) -> "TableData":
    """`gan_forensics.anomaly.read_table`, saying where row numbers were left out."""
    from gan_forensics import anomaly

    table = anomaly.read_table(path, label=label)
    if (numbers := table.numbers) is not None:
        say(
            f"{path}: the first column has no name and only numbers the rows ({numbers.min()} to "
            f"{numbers.max()}): left out; give it a name to keep it"
        )
    return table


def guessed(anomaly: str | None) -> str:
    """What to say of a label that was chosen by its frequency."""
    return "" if anomaly is not None else " (by frequency; --anomaly says otherwise)"
