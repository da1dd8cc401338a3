"""Results of shards in a folder: what they rest on, which shards there are, and a table of each.

    scoring.json         what results rest on
    shards-0001.jsonl    the shards of the inputs, a line each; inputs that come later add a file
    results/NAME.parquet the rows of a shard, of one schema; renamed into place when it is whole
    attempts/NAME.jsonl  tries at a shard that is not done

Many processes write here without knowing of each other.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gan_forensics import __version__
from gan_forensics.data.decoding import Header
from gan_forensics.data.input_shards import FOLDER, LIST, Shard, shards_of
from gan_forensics.data.packed import Member
from gan_forensics.files import (
    check_folder_out,
    escaped,
    open_regular,
    parse_json,
    read_json,
    refuse_links,
    shown,
    written_once,
)
from gan_forensics.files.parquet import parquet_facts
from gan_forensics.forensics.failures import Failure

FORMAT, VERSION = "gan_forensics results of shards", 1
# Of a line of shards: a thousand names of files.
MOST_LINE = 2**24
# In the place of the size of a file that is not there.
GONE = "none"
# The columns that all tables begin and end with; the scorer's stand between them.
START = {
    "input": "string",
    "member": "string",
    "sha256": "string",
    "width": "int32",
    "height": "int32",
    "codec": "string",
    "quality": "int16",
}
END = {"detector_sha256": "string", "error_kind": "string", "error": "string"}


def columns(own: Mapping[str, str]) -> dict[str, str]:
    """The columns of a table and their types, as `files.parquet` names these.

    Example:
        >>> list(columns({"score": "double"}))[-4:]
        ['score', 'detector_sha256', 'error_kind', 'error']
    """
    return {**START, **own, **END}


def row(
    member: Member,
    header: Header | None,
    sha256: str | None,
    cells: Mapping[str, Any] | Failure,
    detector: str,
) -> dict[str, Any]:
    """The row of a member; what there is not is None.

    Example:
        >>> member = Member("/data/a.tar", "1.jpg", None)
        >>> found = row(member, None, None, Failure("unreadable", "1.jpg: damaged"), "0123")
        >>> found["member"], found["error_kind"], found.get("score")
        ('1.jpg', 'unreadable', None)
    """
    found: dict[str, Any] = {
        "input": escaped(member.input),
        "member": None if member.member is None else escaped(member.member),
        "sha256": sha256,
        "detector_sha256": detector,
    }
    if header is not None:
        found |= {"width": header.width, "height": header.height}
        found |= {"codec": header.container, "quality": header.quality}
    if isinstance(cells, Failure):
        return {**found, "error_kind": cells.kind, "error": shown(cells.text, most=1000)}
    return {**found, **cells}


def open_results(out: Path, identity: Mapping[str, Any]) -> None:
    """Open a folder of results, made when it is missing, for a scorer of this identity.

    Raises:
        ValueError: for a folder of another scorer's results, naming the first difference, or one
            that holds something else.

    Example:
        >>> open_results("scores", scorer.identity)  # doctest: +SKIP
    """
    check_folder_out(out)
    facts = {"format": FORMAT, "version": VERSION, "identity": dict(identity)}
    path = out / "scoring.json"
    if not path.exists():
        if out.is_dir() and any(not name.startswith(".") for name in os.listdir(out)):
            raise ValueError(
                f"--out {shown(out)}: it holds other files; results of shards need a folder of "
                "their own"
            )
        try:
            with written_once(path) as partial:
                partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        except FileExistsError:  # Another worker was first.
            pass
    found = read_json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"--out {shown(out)}: its scoring.json is not of results of shards")
    if found.get("version") != VERSION:
        version = shown(repr(found.get("version")), most=50)
        raise ValueError(f"--out {shown(out)}: version {version}, this one writes {VERSION}")
    known = found.get("identity")
    known = known if isinstance(known, dict) else {}
    for name in {**known, **identity}:
        if known.get(name) != json.loads(json.dumps(identity.get(name))):
            raise ValueError(
                f"--out {shown(out)}: its results have {name.replace('_', ' ')} "
                f"{shown(known.get(name), most=80)}, and {shown(identity.get(name), most=80)} is "
                "asked for: choose another folder"
            )


def planned(out: Path) -> Iterator[Shard]:
    """The shards of a folder of results, in their order.

    Raises:
        ValueError: for a line that is no shard.

    Example:
        >>> [shard.name for shard in planned("scores")]  # doctest: +SKIP
        ['photos-000000-6f1ed002ab559585']
    """
    return (shard for _, shard in placed(out))


class Place(NamedTuple):
    """Where a shard is written down, which is all that an engine hands to a worker.

    Attributes:
        file: name of a file of shards.
        start: of its line there, in bytes.

    Example:
        >>> Place("shards-0001.jsonl", 0).start
        0
    """

    file: str
    start: int


def placed(out: Path) -> Iterator[tuple[Place, Shard]]:
    """The shards of a folder of results, in their order, with their places.

    Raises:
        ValueError: as `planned`.
    """
    for path in _plans(out):
        with open_regular(path) as file:
            start = 0
            while shard := _next(file, path):
                yield Place(path.name, start), shard
                start = file.tell()


def shard_at(out: Path, place: Place) -> Shard:
    """The shard of a place of `placed`.

    Raises:
        ValueError: where there is none.
    """
    path = out / place.file
    if path not in _plans(out):
        raise ValueError(f"{shown(path)}: it is no file of shards")
    with open_regular(path) as file:
        file.seek(place.start)
        if shard := _next(file, path):
            return shard
    raise ValueError(f"{shown(path)}: there is no shard at {place.start}")


def _next(file: BinaryIO, path: Path) -> Shard | None:
    line = file.readline(MOST_LINE + 1)
    if len(line) > MOST_LINE:
        raise ValueError(f"{shown(path)}: a line of more than {MOST_LINE} bytes")
    return Shard.of(parse_json(line, path)) if line else None


def _plans(out: Path) -> list[Path]:
    return sorted(out.glob("shards-[0-9][0-9][0-9][0-9].jsonl"))


def plan(out: Path, inputs: Iterable[Path | str], *, follow_links: bool = False) -> Counter[str]:
    """Add the shards of inputs to a folder of results, as far as they are new.

    Workers that start at once agree: the first one's shards stand.

    Returns:
        How many files were left out, by reason.

    Raises:
        OSError, ValueError: as `shards_of`; for links in the folder of results.

    Example:
        >>> plan("scores", ["photos", "more.tar"])  # doctest: +SKIP
        Counter({'not an image': 1})
    """
    inputs = list(inputs)
    refuse_links(out)
    while True:
        # What is added in the meantime has the number that this one would have.
        number, known = len(_plans(out)) + 1, set[str]()
        for shard in planned(out):
            known |= files_of(shard)
        found = shards_of(inputs, follow_links=follow_links, known=known)
        if not found.shards:
            return found.left_out
        try:
            with written_once(out / f"shards-{number:04d}.jsonl") as partial:
                with partial.open("w", encoding="utf-8") as file:
                    file.writelines(json.dumps(each._asdict()) + "\n" for each in found.shards)
        except FileExistsError:
            continue  # What another worker added in the meantime is known now.
        return found.left_out


def files_of(shard: Shard) -> set[str]:
    """The paths of the files that a shard reads."""
    if shard.kind in (FOLDER, LIST):
        return {str(shard.base / member) for member in shard.members}
    return {shard.uri}


def result_path(out: Path, shard: Shard) -> Path:
    """Where the rows of a shard are, or will be.

    Example:
        >>> result_path(Path("scores"), Shard("a.tar-01", "tar", "/a.tar")).as_posix()
        'scores/results/a.tar-01.parquet'
    """
    return out / "results" / f"{shard.name}.parquet"


def attempts_path(out: Path, shard: Shard) -> Path:
    """Where tries at a shard are written down."""
    return out / "attempts" / f"{shard.name}.jsonl"


def facts_of(shard: Shard, identity: Mapping[str, Any]) -> dict[str, str]:
    """What is kept beside the rows of a shard."""
    size = {"input_bytes": found} if (found := _size(shard)) else {}
    of = {"gan_forensics": __version__, "shard": shard.name, "identity": json.dumps(dict(identity))}
    return {**of, **size}


def _size(shard: Shard) -> str:
    """Of the file of a shard, by which a later change is noticed; empty for loose files."""
    if shard.kind in (FOLDER, LIST):
        return ""
    try:
        return str(os.stat(shard.uri).st_size)
    except OSError:
        return GONE


def is_done(out: Path, shard: Shard) -> bool:
    """Whether a shard has its rows; a damaged table is none.

    Of a file as it is now: rows of one that is gone are kept, as those of any image are.
    """
    path = result_path(out, shard)
    if not path.exists():
        return False
    try:
        facts = parquet_facts(path)
    except ValueError:
        return False
    return is_gone(shard) or facts.get("input_bytes", "") == _size(shard)


def is_gone(shard: Shard) -> bool:
    """Whether the file of a shard is not there to be read, be it for a while."""
    return _size(shard) == GONE
