"""Metrics as JSON lines (always) and TensorBoard events (with the extra `tensorboard`)."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_forensics.files import write_text


class MetricLog:
    """Appends `{"step": ..., name: value, ...}` lines to a run's metrics.jsonl.

    Lines after `last_step`, which an interrupted run wrote but did not save a checkpoint for, are
    dropped on opening, so that a resumed run's log equals an uninterrupted one's.
    """

    def __init__(self, run: Path, *, last_step: int, tensorboard: bool = False):
        self._path = run / "metrics.jsonl"
        kept = [line for line in read_metrics(self._path) if line["step"] <= last_step]
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = self._path.open("a", encoding="utf-8")
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

    No file gives no lines.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when an earlier line is broken, naming it.
    """
    path = Path(path)
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            # Every finished line ends in a newline, so that nothing follows an unfinished one.
            if number == len(lines):
                break
            raise ValueError(f"{path}: line {number} is not JSON ({error}): remove it") from error
        if not isinstance(record, dict):
            raise ValueError(f"{path}: line {number} is not a JSON object: remove it")
        records.append(record)
    return records
