"""What a run takes of its data: said while it trains, and left in its folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gan_forensics.data import account
from gan_forensics.data.sources import Source
from gan_forensics.files import read_json, shown, write_json


def say_taken(data: str, source: Source, size: int | None, say: Callable[[str], None]) -> None:
    """Say what is left out, taken, resized and converted of a source of the name `data`."""
    lines = (
        account.left_out(source),
        account.splits(source),
        account.taken(source),
        account.fitted(source, size),
        account.coloured(source),
        account.classes(source),
        *account.notes(source),
    )
    for line in filter(None, lines):
        say(f"{data}: {line}")


def write_data(
    run: Path,
    data: str,
    split: str | None,
    source: Source,
    say: Callable[[str], None],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Leave data.json in a run folder, with what earlier parts of the run skipped as well."""
    path, skipped = run / "data.json", list(getattr(source, "bad", {}).values())
    before = read_json(path) if path.exists() else {}
    if not isinstance(before, dict) or not isinstance(before.get("skipped", []), list):
        raise ValueError(f"{shown(path)}: it is no data.json of a run: remove it")
    skipped = list(dict.fromkeys([*map(str, before.get("skipped", [])), *skipped]))
    named = {"data": data, "split": split or "train"}
    facts = {**before, **named, **account.facts(source), **(about or {}), "skipped": skipped}
    write_json(path, facts)
    if skipped:
        say(
            f"{len(skipped)} images could not be used, and others stood in for them: "
            f"{shown(skipped[0])}; all are in {path}"
        )
