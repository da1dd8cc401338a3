"""The tables of all shards as one, after it was checked that every image has one row."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan_forensics.data.input_shards import FOLDER, LIST, Shard
from gan_forensics.files import escaped, listed, shown, write_csv
from gan_forensics.files.parquet import parquet_facts, read_parquet, write_parquet
from gan_forensics.forensics.shard_results import columns, is_done, planned, result_path

# Shards that a message names.
NAMED = 5


class Whole(NamedTuple):
    """What the tables of a folder of results have in all.

    Attributes:
        shards: how many there are.
        rows: of images and of files that could not be read.
        errors: how many rows have none but an error, by its kind.
        left_out: files and members that are no images, by reason.
    """

    shards: int
    rows: int
    errors: Counter[str]
    left_out: Counter[str]


def rows_of(out: Path, identity: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of all shards, in their order, checked as they come.

    Raises:
        RuntimeError: for shards without rows, naming the first.
        ValueError: for a row that is there twice, is missing or of no input, and tables of no shard
            or of another detector.

    Example:
        >>> next(rows_of("scores", scorer.identity))["verdict"]  # doctest: +SKIP
        'photograph'
    """
    _check_all_there(out)
    for shard in planned(out):
        path = result_path(out, shard)
        facts = parquet_facts(path)
        if json.loads(json.dumps(dict(identity))) != _json(facts.get("identity"), path):
            raise ValueError(f"{shown(path)}: it rests on something else; remove it, and go on")
        yield from _checked(shard, path, identity["detector_sha256"])


def _json(text: str | None, path: Path) -> Any:
    from gan_forensics.files import parse_json

    return parse_json(text or "", path)


def _check_all_there(out: Path) -> None:
    missing, images, names, changed = [], 0, set(), 0
    for shard in planned(out):
        names.add(result_path(out, shard).name)
        if not is_done(out, shard):
            missing.append(shard.name)
            images += shard.count or 0
            changed += result_path(out, shard).exists()
    if missing:
        of = f" ({images:,} images and what their files hold)" if images else ""
        old = f" ({changed}: of a file that has changed, or damaged)" if changed else ""
        raise RuntimeError(
            f"{len(missing)} of {len(names)} shards{of} have no results{old} in {shown(out)}: "
            f"{listed(missing, most=NAMED)}; start the workers again (--shard)"
        )
    there = {path.name for path in (out / "results").glob("[!.]*")}
    if alien := sorted(there - names):
        raise ValueError(
            f"{shown(out / 'results')}: {len(alien)} files are of no shard: "
            f"{listed(alien, most=NAMED)}; remove them, or their rows would count twice"
        )


def _checked(shard: Shard, path: Path, detector: str) -> Iterator[dict[str, Any]]:
    """The rows of a shard, if they are those of its members."""
    loose = shard.kind in (FOLDER, LIST)
    wanted = iter([escaped(shard.base / member) for member in shard.members])
    seen: set[str] = set()
    for place, found in enumerate(read_parquet(path)):
        name = found["input"] if loose else found["member"]
        where = f"{shown(path)}, row {place + 1}"
        if name in seen:
            raise ValueError(
                f"{where}: {shown(name)} has a row already; remove the file, and go on"
            )
        seen.add(name)
        if loose and name != next(wanted, None):
            raise ValueError(
                f"{where}: {shown(name)} is not the next of its shard; remove the file"
            )
        if found["detector_sha256"] != detector or (
            not loose and found["input"] != escaped(shard.uri)
        ):
            raise ValueError(f"{where}: it is of another detector or file; remove the file")
        yield found
    if loose and (lacking := list(wanted)):
        raise ValueError(
            f"{shown(path)}: {len(lacking)} images have no row, the first is {shown(lacking[0])}; "
            "remove the file, and go on"
        )


def merge(
    out: Path, table: Path, own: Mapping[str, str], identity: Mapping[str, Any], take: Any = None
) -> Whole:
    """Write the rows of all shards to one table, .parquet or .csv.

    Args:
        out: the folder of results.
        table: where to.
        own: the scorer's columns.
        identity: the scorer's.
        take: told every row.

    Raises:
        RuntimeError, ValueError: as `rows_of`; nothing is written then.

    Example:
        >>> merge(out, "scores.parquet", scorer.columns, scorer.identity).rows  # doctest: +SKIP
        1000000
    """
    errors: Counter[str] = Counter()
    count = 0

    def told() -> Iterator[dict[str, Any]]:
        nonlocal count
        for found in rows_of(out, identity):
            count += 1
            if found["error_kind"]:
                errors[found["error_kind"]] += 1
            if take:
                take(found)
            yield found

    types = columns(own)
    if table.suffix.lower() == ".csv":
        write_csv(table, told(), columns=list(types))
    else:
        write_parquet(table, types, told(), {"identity": json.dumps(dict(identity))})
    shards, left_out = 0, Counter()
    for shard in planned(out):
        shards += 1
        left_out.update(_json(parquet_facts(result_path(out, shard)).get("left_out"), table))
    return Whole(shards, count, errors, left_out)
