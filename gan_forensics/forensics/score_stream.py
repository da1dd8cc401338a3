"""Scores of any number of images, one shard after the other, in constant memory.

Images are read and scored a few at a time, by all commands that score files: so many, and of so
many pixels at most. Batches of few shapes are the scorer's affair (`forensics.canvases`).
"""

import glob
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gan_forensics import data
from gan_forensics.data.decoding import Header, decode_header, decode_image
from gan_forensics.data.input_shards import Shard, read_shard
from gan_forensics.data.packed import ARCHIVE, NO_IMAGE, Member
from gan_forensics.files import sha256_of, shown
from gan_forensics.files.parquet import read_parquet, write_parquet
from gan_forensics.forensics.attempts import Attempt, attempted
from gan_forensics.forensics.failures import KILLED, UNFIT, Failure, failure_of, halved
from gan_forensics.forensics.shard_results import (
    attempts_path,
    columns,
    facts_of,
    is_done,
    is_gone,
    open_results,
    result_path,
    row,
)

# Images that are read before they are scored together: so many, and of so many pixels, at most.
AT_ONCE, PIXELS_AT_ONCE = 64, 2**24


class Scorer(Protocol):
    """What makes something of images.

    Attributes:
        identity: what results rest on, JSON-able: those of another are refused beside them.
        columns: of its cells, Arrow's types by name.
    """

    @property
    def identity(self) -> Mapping[str, Any]:
        """What results rest on; "detector_sha256" is among it."""
        ...

    @property
    def columns(self) -> Mapping[str, str]:
        """Its columns."""
        ...

    def check(self, header: Header) -> None:
        """Refuse an image before it is decoded (ValueError)."""
        ...

    def prepared(self, pixels: Any) -> Any:
        """What is kept of an image uint8 [h, w, 3] until it is judged; ValueError refuses it."""
        ...

    def judge(self, given: list[tuple[Any, Header]]) -> Sequence[Any]:
        """What it makes of prepared images; None of a flat one."""
        ...

    def cells(self, found: Any, header: Header) -> Mapping[str, Any]:
        """The cells of an image, by column."""
        ...


class Result(NamedTuple):
    """What was made of a member.

    Attributes:
        member: without its bytes.
        header: of its file, where that can be read.
        sha256: of its bytes, likewise.
        found: what the scorer made of it.
        failure: why it made nothing.
    """

    member: Member
    header: Header | None = None
    sha256: str | None = None
    found: Any = None
    failure: Failure | None = None


def results(
    members: Iterable[Member],
    scorer: Scorer,
    *,
    watch: Attempt | None = None,
    chosen: Callable[[int], bool] = lambda place: True,
) -> Iterator[Result]:
    """What a scorer makes of members, in their order; of those that are no images at once.

    Args:
        members: as of `data.input_shards.read_shard`.
        scorer: what makes it.
        watch: told of what is looked at; members at which a worker died before are looked at alone.
        chosen: whether a member is looked at, by its place among those that may be images.
    """
    some: list[tuple[Result, Any]] = []
    pixels, place, alone = 0, -1, False
    for member in members:
        if member.kind == NO_IMAGE:
            yield Result(member, failure=Failure(NO_IMAGE, member.reason))
            continue
        place += 1
        if not chosen(place):
            continue
        suspected = watch is not None and watch.deaths(place) > 0
        if some and (suspected or alone or len(some) == AT_ONCE):
            yield from _judged(scorer, some)
            pixels = 0
        alone = suspected
        if watch and not some:
            watch.begin(place, place + 1 if alone else place + AT_ONCE)
        if watch and watch.deaths(place) > 1:
            text = f"{shown(member.name)}: killed or stalled the worker twice; passed over"
            some.append(
                (Result(member._replace(content=None), failure=Failure(KILLED, text)), None)
            )
            continue
        result = _looked_at(member, scorer)
        if result.header and not result.failure:
            size = result.header.height * result.header.width
            if some and pixels + size > PIXELS_AT_ONCE:
                yield from _judged(scorer, some)
                pixels = 0
                if watch:
                    watch.begin(place, place + 1 if alone else place + AT_ONCE)
            pixels += size
        some.append(_decoded(member, scorer, result))
    yield from _judged(scorer, some)


def _looked_at(member: Member, scorer: Scorer) -> Result:
    """The header of a member, or why it cannot be used; images that are refused are not decoded."""
    result = Result(member._replace(content=None))
    if member.content is None:
        text = f"{shown(member.name)}: {member.reason}"
        return result._replace(failure=Failure(member.kind, text))
    try:
        if isinstance(member.content, Path):
            header = data.read_header(member.content)
            digest = sha256_of(member.content)
        else:
            header = decode_header(member.content, name=shown(member.name))
            digest = hashlib.sha256(member.content).hexdigest()
        result = result._replace(header=header, sha256=digest)
        scorer.check(header)
    except Exception as error:
        return result._replace(failure=failure_of(member.name, error))
    return result


def _decoded(member: Member, scorer: Scorer, result: Result) -> tuple[Result, Any]:
    """The image of a member that was looked at."""
    if result.failure:
        return result, None
    try:
        if isinstance(member.content, Path):
            image = data.load_image(member.content)
        else:
            assert member.content is not None
            image = decode_image(member.content, name=shown(member.name))
        return result, scorer.prepared(image)
    except Exception as error:
        return result._replace(failure=failure_of(member.name, error)), None


def _judged(scorer: Scorer, some: list[tuple[Result, Any]]) -> list[Result]:
    """What the scorer makes of images that were read; they are dropped."""
    given: list[Any] = [(image, r.header) for r, image in some if r.failure is None]
    found = iter(halved(scorer.judge, given) if given else ())
    done = []
    for result, _ in some:
        if result.failure is None:
            made = next(found)
            if isinstance(made, Exception):
                result = result._replace(failure=failure_of(result.member.name, made))
            elif made is None:
                text = f"{shown(result.member.name)}: a flat image has no spectrum to judge"
                result = result._replace(failure=Failure(UNFIT, text))
            else:
                result = result._replace(found=made)
        done.append(result)
    some.clear()
    return done


def score_shard(
    shard: Shard,
    scorer: Scorer,
    out: Path | str,
    *,
    again: bool = False,
    seconds: float = 0,
    progress: Callable[[Iterable[Result]], Iterable[Result]] = iter,
) -> Path:
    """Score a shard: the whole work of a worker that knows of no other.

    The rows are written beside their place and renamed into it, one for each member that may be an
    image, in their order. A shard that has its rows already is left as it is.

    Args:
        shard: of `planned`, or of `data.input_shards.shards_of`.
        scorer: what scores it.
        out: the folder of results.
        again: score those members again that have an error.
        seconds: as of `attempts.attempted`.
        progress: wraps the results as they come.

    Returns:
        The Parquet file of its rows.

    Raises:
        Busy: when another worker is at it.
        ValueError: as `shard_results.open_results`.

    Example:
        >>> shards = shards_of(["photos"]).shards  # doctest: +SKIP
        >>> score_shard(shards[0], scorer, "scores")  # doctest: +SKIP
        PosixPath('scores/results/photos-000000-6f1ed002ab559585.parquet')
    """
    out = Path(out)
    open_results(out, scorer.identity)
    path = result_path(out, shard)
    with attempted(attempts_path(out, shard), seconds=seconds) as attempt:
        done = is_done(out, shard)
        bad = _errors(path) if done and again and not is_gone(shard) else {}
        if done and not bad:
            return path
        # What a worker left that was killed in writing.
        for partial in path.parent.glob(f".{glob.escape(path.stem[:40])}.*.partial.parquet"):
            partial.unlink(missing_ok=True)
        attempt.suspect(place for place, kind in bad.items() if kind == KILLED)
        # Of a file that ended early all is read again: it may be another one now.
        some = bool(bad) and ARCHIVE not in bad.values()
        found = results(
            _members(shard, attempt), scorer, watch=attempt,
            chosen=bad.__contains__ if some else lambda place: True,
        )  # fmt: skip
        left_out: Counter[str] = Counter()
        rows = _rows(progress(found), scorer, left_out)
        write_parquet(
            path,
            columns(scorer.columns),
            _replaced(path, bad, rows) if some else rows,
            facts_of(shard, scorer.identity),
            after=lambda: {"left_out": json.dumps(left_out)},
        )
    return path


def _members(shard: Shard, attempt: Attempt) -> Iterator[Member]:
    """The members of a shard; none of a file at whose reading workers died."""
    attempt.begin(-1, 0)
    if attempt.deaths(-1) > 1 or attempt.most_deaths > 2:
        reason = "reading it killed or stalled the worker twice; passed over"
        yield Member(shard.uri, None, None, ARCHIVE, reason)
    else:
        yield from read_shard(shard)


def _rows(
    found: Iterable[Result], scorer: Scorer, left_out: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The rows of results; what is no image is counted."""
    detector = scorer.identity["detector_sha256"]
    for result in found:
        if result.failure and result.failure.kind == NO_IMAGE:
            left_out[result.failure.text] += 1
            continue
        cells = result.failure or scorer.cells(result.found, result.header)  # pyright: ignore
        yield row(result.member, result.header, result.sha256, cells, detector)


def _errors(path: Path) -> dict[int, str]:
    """The kinds of the errors of a table, by the places of their rows."""
    kinds = enumerate(each["error_kind"] for each in read_parquet(path, ["error_kind"]))
    return {place: kind for place, kind in kinds if kind}


def _replaced(
    path: Path, bad: Mapping[int, str], rows: Iterator[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The rows of a table, those at some places with new ones in their stead."""
    for place, old in enumerate(read_parquet(path)):
        yield next(rows) if place in bad else old
