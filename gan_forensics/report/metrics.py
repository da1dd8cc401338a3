"""Reading `metrics.jsonl`, the log that a training run keeps."""

import json
from pathlib import Path
from typing import Any


def read_metrics(path: Path | str) -> list[dict[str, Any]]:
    """Read a log with one JSON object per line.

    The last line may be half-written, by a run that is still going or was killed; it is left out.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when an earlier line is broken, naming it.
    """
    path = Path(path)
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
