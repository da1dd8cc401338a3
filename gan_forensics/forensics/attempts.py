"""Tries at a shard: at which members a worker died before, and a limit on how long one may take.

A worker writes down what it looks at next before it does. Who comes after one that was killed takes
the members that it died at one by one; at which a second one dies, that is passed over. A worker
that is told to stop (SIGTERM, an error of its own) writes that down too, and blames nobody.
"""

import fcntl
import json
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_forensics.files import no_link, parse_json, read_bytes, shown

# Of a file of tries; a line has some thirty bytes.
MOST_BYTES = 2**26


class Busy(RuntimeError):
    """Another worker is at the shard."""


class Attempt:
    """A try at a shard, as `score_stream.Watch` has it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with attempted(Path(folder) / "a.jsonl") as attempt:
        ...         attempt.begin(0, 64)
        ...         attempt.deaths(3)
        0
    """

    def __init__(self, file, deaths: Counter[int], seconds: float):
        self._file, self._deaths, self._seconds = file, deaths, seconds

    def deaths(self, place: int) -> int:
        """How often a worker was killed, or stalled, at a member."""
        return self._deaths[place]

    @property
    def most_deaths(self) -> int:
        """Of the member at which most workers died; above 2, passing it over did not help."""
        return max(self._deaths.values(), default=0)

    def begin(self, first: int, after: int) -> None:
        """Members from `first` to before `after` are looked at next; -1 is their file itself."""
        self.write({"from": first, "to": after})
        # The system's own end of a process: no code of ours has to run for it.
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def suspect(self, places: Iterable[int]) -> None:
        """Let a worker have been killed once at members that are tried again."""
        for place in places:
            if not self._deaths[place]:
                self._deaths[place] = 1
                self.write({"suspect": place})

    def write(self, line: dict[str, int]) -> None:
        """Add a line, so that a process that is killed leaves it."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


@contextmanager
def attempted(path: Path, *, seconds: float = 0) -> Iterator[Attempt]:
    """Try a shard; its file of tries is removed at a good end.

    Args:
        path: of the file of tries, one for each shard.
        seconds: within which the members that are looked at together have to be done, or the
            process is ended by SIGALRM; 0 sets no limit.

    Raises:
        Busy: when another worker is at it.
        ValueError: for a file that is none of tries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8", opener=no_link) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another worker is at {shown(path.stem)}") from None
        except OSError:
            pass  # A file system without locks: two workers at one shard make the same rows.
        attempt = Attempt(file, _deaths(path), seconds)
        attempt.write({"run": 1})
        try:
            yield attempt
        except BaseException:
            attempt.write({"ended": 1})
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        path.unlink(missing_ok=True)


def _deaths(path: Path) -> Counter[int]:
    """How often a worker was killed at each member."""
    deaths: Counter[int] = Counter()
    at: range | None = None
    lines = read_bytes(path, most=MOST_BYTES).split(b"\n")
    # A line that was being written when the worker died has no end.
    for line in [*lines[:-1], b'{"run": 1}']:
        told = parse_json(line, path)
        try:
            if "from" in told:
                at = range(told["from"], min(told["to"], told["from"] + 2**16))
                continue
            if "suspect" in told:
                deaths[int(told["suspect"])] += 1
                continue
            if "run" in told and at is not None:
                deaths.update(at)
            at = None
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{shown(path)}: no file of tries; remove it") from error
    return deaths
