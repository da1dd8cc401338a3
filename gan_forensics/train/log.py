"""Metrics as JSON lines (always) and TensorBoard events (with the extra `tensorboard`)."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gan_forensics.files import no_link, open_regular, parse_json, say, shown, written_beside

# What is read of a log for a page, far more than it shows, and of one line of it.
MOST_BYTES, MOST_LINES, MOST_LINE = 2**25, 200_000, 2**20


class MetricLog:
    """Appends `{"step": ..., name: value, ...}` lines to a run's metrics.jsonl.

    Lines after `last_step`, which an interrupted run wrote but did not save a checkpoint for, are
    dropped on opening, so that a resumed run's log equals an uninterrupted one's.
    """

    def __init__(self, run: Path, *, last_step: int, tensorboard: bool = False):
        self._path = run / "metrics.jsonl"
        with written_beside(self._path) as partial, partial.open("wb") as kept:
            for line, record in _records(self._path) if self._path.exists() else ():
                if record["step"] <= last_step:
                    kept.write(line + b"\n")
        self._file = open(self._path, "a", encoding="utf-8", opener=no_link)
        self._board = None
        if tensorboard:
            try:
                from tensorboardX import SummaryWriter
            except ImportError as error:
                raise ValueError(
                    "TensorBoard logs need an extra: pip install 'gan_forensics[tensorboard]'"
                ) from error
            self._board = SummaryWriter(str(run / "tensorboard"))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one line and make it visible to readers.

        Raises:
            OSError: when it cannot be written, naming the file.
        """
        try:
            self._file.write(json.dumps({"step": step, **metrics}) + "\n")
            self._file.flush()
        except OSError as error:
            raise OSError(
                f"could not write {self._path} at step {step} ({error}): free some space, then "
                "resume from the last checkpoint"
            ) from error
        if self._board:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files; what could not be written before is not tried again."""
        with contextlib.suppress(OSError):
            self._file.close()
        if self._board:
            self._board.close()


def read_metrics(path: Path | str) -> list[dict[str, Any]]:
    """Read a log with one JSON object per line.

    The last line may be half-written, by a run that is still going or was killed; it is left out.
    Of a log of more than `MOST_BYTES` or `MOST_LINES` the first are read, and a line on standard
    error says so.

    No file gives no lines.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when an earlier line is broken, naming it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as run:
        ...     _ = Path(run, "metrics.jsonl").write_text('{"step": 50, "generator/loss": 0.75}\\n')
        ...     [line["generator/loss"] for line in read_metrics(Path(run, "metrics.jsonl"))]
        [0.75]
    """
    path = Path(path)
    records: list[dict[str, Any]] = []
    if not path.exists():
        return records
    size = 0
    for line, record in _records(path):
        size += len(line)
        if size > MOST_BYTES or len(records) == MOST_LINES:
            say(
                f"{shown(path)}: the first {len(records)} lines are read, and the rest left out",
            )
            break
        records.append(record)
    return records


def _records(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The lines of a log with what they say, but for a last one that is half-written."""
    with open_regular(path) as file:
        for number in itertools.count(1):
            line = file.readline(MOST_LINE)
            if not line:
                return
            if not line.strip():
                continue
            name = f"{shown(path)}: line {number}"
            try:
                record = parse_json(line, name)
            except ValueError as error:
                # Every finished line ends in a newline, so that nothing follows an unfinished one.
                if not line.endswith(b"\n") and len(line) < MOST_LINE:
                    return
                raise ValueError(f"{error}: remove it") from error
            if not isinstance(record, dict) or not isinstance(record.get("step"), int):
                raise ValueError(f"{name} is no JSON object with a step: remove it")
            yield line.rstrip(b"\n"), record
