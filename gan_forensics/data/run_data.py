"""What a run takes of its data: said while it trains, and left in its folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gan_forensics.data import account
from gan_forensics.data.skip_bad import SkipBad, joined
from gan_forensics.data.sources import Source
from gan_forensics.files import read_json, shown, write_json
from gan_forensics.runtime import gathered, is_first


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
    *,
    alone: bool = False,
) -> None:
    """Leave data.json in a run folder, with what earlier parts of the run skipped as well.

    Of many processes each calls it, and process 0 writes what all of them met.

    Args:
        run: the run folder.
        data: the name of the data.
        split: of them.
        source: what was opened; as a `SkipBad` it says what was skipped.
        say: told what was skipped.
        about: further facts.
        alone: whether this process ends by itself, and the others do not call it.
    """
    mine = source.account() if isinstance(source, SkipBad) else {"skipped": [], "stand_ins": []}
    met = joined([mine] if alone else gathered(mine, "what was skipped of the data"))
    if not is_first():
        return
    path = run / "data.json"
    before = read_json(path) if path.exists() else {}
    if not isinstance(before, dict) or not isinstance(before.get("skipped", []), list):
        raise ValueError(f"{shown(path)}: it is no data.json of a run: remove it")
    skipped = list(dict.fromkeys([*map(str, before.get("skipped", [])), *met["skipped"]]))
    named = {"data": data, "split": split or "train"}
    facts = {**before, **named, **account.facts(source), **(about or {}), "skipped": skipped}
    if skipped:
        earlier = before.get("stood_in")
        earlier = earlier if isinstance(earlier, dict) else {}
        counts = {
            name: count + (known if isinstance(known := earlier.get(name), int) else 0)
            for name, count in met["stood_in"].items()
        }
        facts["stood_in"] = counts
        say(
            f"{len(skipped)} images could not be used, and others stood in for them: "
            f"{shown(skipped[0])}; all are in {path}. That was {counts['times']} times, of which "
            f"{counts['seen_twice']} times with an image that its epoch has twice"
        )
    write_json(path, facts)
