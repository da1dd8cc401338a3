"""What a source takes of its files and what it makes of them: in words, and as JSON."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data.attributes import AttributeSource
from gan_forensics.data.decoding import Header, ImageError, read_header
from gan_forensics.data.listing import by_reason, summary
from gan_forensics.data.sources import FileSource, Rgb, Rows, Source
from gan_forensics.files import listed

# Files whose headers are read for a sentence.
_LOOKED_AT = 64


def left_out(source: Source) -> str:
    """One line on what the listing of a folder left out, by reason; empty where it is nothing."""
    source = _read(source)
    others = getattr(source, "left_out", {})
    return summary(others, source.listed) if others else ""  # pyright: ignore


def taken(source: Source, *, use: str = "train") -> str:
    """One line on how many examples are used and held out, for instance "6 of 9 images train"."""
    read = _read(source)
    stacks = f"{len(source)} stacks of three: " if hasattr(source, "inner") else ""
    listed, kind = getattr(read, "listed", len(read)), _kind(read)
    if listed == len(read):
        return f"{stacks}{listed} {kind} {use}"
    return (
        f"{stacks}{len(read)} of {listed} {kind} {use}, {listed - len(read)} are held out "
        "(--split all takes everything)"
    )


def splits(source: Source) -> str:
    """One line on which folders are which splits, with their numbers of images; else empty."""
    read: Any = _read(source)
    folders = getattr(read, "folders", None)
    if not folders or not folders.splits:
        return ""
    said = []
    for use, places in folders.splits.items():
        of = listed([f"{n} of {place}" for place, n in places.items()], between=" and ")
        said.append(f"{of} in neither" if use == "neither" else f"{use} {of}")
    return f"splits: {', '.join(said)}; taken are {len(read)} of {read.listed}"


def classes(source: Source) -> str:
    """One line on the classes of a source: their labels, and those without a folder; else empty."""
    read = _read(source)
    folders, names = getattr(read, "folders", None), getattr(read, "label_names", ())
    if not folders or not folders.numbers:
        return f"classes: {listed([f'{n} {label}' for label, n in enumerate(names)])}" * bool(names)
    numbers = set(folders.classes.values())
    missing = [number for number in range(max(numbers)) if number not in numbers]
    line = f"classes are the numbers of their folders, {min(numbers)} to {max(numbers)}"
    return line + (f"; none is called {listed(missing)}" if missing else "")


def notes(source: Source) -> tuple[str, ...]:
    """What was decided on the folders of a source, in lines."""
    folders = getattr(_read(source), "folders", None)
    return folders.notes if folders else ()


def folders(source: Source) -> dict[str, Any]:
    """Splits and classes by folder, and how a list was read; JSON-able, without what is usual."""
    read = _read(source)
    found, names = getattr(read, "folders", None), getattr(read, "label_names", ())
    labels = (found and found.classes) or {name: label for label, name in enumerate(names)}
    known = {
        "splits": found.splits if found else {},
        "classes": labels,
        "notes": notes(source),
        "read_as": getattr(read, "read_as", ""),
    }
    return {name: value for name, value in known.items() if value}


def generators(source: Source, name: str) -> dict[str, int]:
    """How many images each generator made: by the first folders of a folder, else all by a name.

    Args:
        source: of generated images.
        name: of the source.

    Example:
        >>> from gan_forensics.data import ArraySource
        >>> generators(ArraySource(image=np.zeros((5, 8, 8, 3), np.uint8)), "toy")
        {'toy': 5}
    """
    classes = _classes(source)
    if classes is None:
        return {name: len(source)}
    return dict(sorted(Counter(classes).items()))


def files(source: Source) -> list[Path] | None:
    """The file of each example; None where it is not of files."""
    if isinstance(source, Rows):
        found = files(source.source)
        return None if found is None else [found[row] for row in source.rows]
    if isinstance(source, Rgb):
        return files(source.source)
    return source.paths if isinstance(source, FileSource) else None


def _classes(source: Any) -> list[str] | None:
    """The names of the first folders that images of a folder lie in, splits apart; else None."""
    if isinstance(source, Rows):
        found = _classes(source.source)
        return None if found is None else [found[row] for row in source.rows]
    if isinstance(source, Rgb):
        return _classes(source.source)
    if not isinstance(source, FileSource) or source.folders is None or source.labels is None:
        return None
    names = {label: name for name, label in source.folders.classes.items()}
    return [names[label] for label in source.labels.tolist()] if source.root else None


def _read(source: Source) -> Source:
    """What is read: of stacks the single digits, of images with attributes or in RGB the images."""
    if isinstance(source, AttributeSource | Rgb):
        return source.source
    return getattr(source, "inner", source)


def _kind(source: Source) -> str:
    return "points" if "point" in getattr(source, "arrays", {}) else "images"


def fitted(source: Source, size: int | None) -> str:
    """One line on the crop and the size that files are brought to; empty where they keep theirs.

    At most 64 headers are read, spread over all files.
    """
    source = _read(source)
    headers = _headers(source) if size else []
    sizes = sorted({(h.width, h.height) for h in headers}, key=lambda s: (s[0] * s[1], s))
    if not sizes or sizes == [(size, size)]:
        return ""
    across = " to ".join(f"{w}x{h}" for w, h in dict.fromkeys((sizes[0], sizes[-1])))
    few = f", as {len(headers)} of them say," if len(headers) < len(source) else ""
    crop = "centre-cropped and " if any(w != h for w, h in sizes) else ""
    return (
        f"{len(source)} images of {across} (width x height){few} are {crop}resized to {size}x{size}"
    )


def coloured(source: Source) -> str:
    """One line where files are gray: all of them, or, as up to 64 headers tell, some."""
    source = _read(source)
    if not isinstance(source, FileSource):
        return ""
    if source.channels == 1:
        return "all files are gray: images of one channel"
    mixed = any(header.gray for header in _headers(source))
    return "some files are gray, some in colour: all are read as RGB" if mixed else ""


def _headers(source: Source) -> list[Header]:
    if not isinstance(source, FileSource):
        return []
    found = []
    for row in np.unique(np.linspace(0, len(source) - 1, _LOOKED_AT).astype(int)):
        try:
            found.append(read_header(source.paths[row]))
        except ImageError:  # It says so when it is read.
            continue
    return found


def facts(source: Source) -> dict[str, Any]:
    """What was used, held out and left out, JSON-able, for run folders."""
    read = _read(source)
    listed = getattr(read, "listed", len(read))
    return {
        **({"stacks": len(source)} if hasattr(source, "inner") else {}),
        _kind(read): len(read),
        "held_out": listed - len(read),
        "left_out": by_reason(getattr(read, "left_out", {})),
        **folders(source),
    }
