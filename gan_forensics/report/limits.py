"""What a page shows at most, and the word where it is cut: a page of anything opens."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from gan_forensics.files import escaped
from gan_forensics.report.blocks import Block, Facts, Picture, Section, Table

MOST_SECTIONS = 60
MOST_PICTURES = 300
MOST_ROWS, MOST_COLUMNS = 1000, 60
# Of all tables of a page.
MOST_CELLS = 100_000
MOST_FACTS = 400
# Letters of a paragraph, of a heading or name, and of a cell.
MOST_TEXT, MOST_NAME, MOST_CELL = 20_000, 300, 1000
# Items of a list in a cell, lists in lists among them.
MOST_ITEMS, DEEPEST = 100, 5
# Bytes of a picture in a file, and of all of a page.
MOST_BYTES, MOST_BYTES_IN_ALL = 16 * 2**20, 64 * 2**20


def bounded(sections: Sequence[Section]) -> list[Section]:
    """The sections with as much of them as a page shows; each cut says what is left out."""
    budget = {"cells": MOST_CELLS, "pictures": MOST_PICTURES, "bytes": MOST_BYTES_IN_ALL}
    kept = [replace(s, blocks=[*_blocks(s.blocks, budget)]) for s in sections[:MOST_SECTIONS]]
    if left := len(sections) - len(kept):
        kept.append(Section("And more", [f"{left:,} further sections are left out."]))
    return kept


def _blocks(blocks: Sequence[Block], budget: dict[str, int]) -> Iterator[Block]:
    left = 0
    for block in blocks:
        if isinstance(block, Table):
            yield _table(block, budget)
        elif isinstance(block, Facts):
            yield _facts(block)
        elif isinstance(block, Picture):
            size = _size(block.content)
            if size > min(MOST_BYTES, budget["bytes"]):
                yield f"{block.alt}: left out, {size:,} bytes are too many for a page."
            elif budget["pictures"]:
                budget["pictures"] -= 1
                budget["bytes"] -= size
                yield block
            else:
                left += 1
        else:
            yield block
    if left:
        yield f"{left:,} further pictures are left out."


def _size(content: Any) -> int:
    """Bytes of a picture in a file; ours are bounded where they are made."""
    return content.stat().st_size if isinstance(content, Path) and content.exists() else 0


def _table(table: Table, budget: dict[str, int]) -> Table:
    columns = min(len(table.columns), MOST_COLUMNS)
    rows = min(len(table.rows), MOST_ROWS, budget["cells"] // max(columns, 1))
    budget["cells"] -= rows * columns
    return Table(
        cut_said(
            table.caption, rows=(rows, len(table.rows)), columns=(columns, len(table.columns))
        ),
        table.columns[:columns],
        [row[:columns] for row in table.rows[:rows]],
    )


def cut_said(caption: str, **kept: tuple[int, int]) -> str:
    """A caption with a word on how many are shown of how many, where it is not all."""
    said = [f"{some:,} of {total:,} {what}" for what, (some, total) in kept.items() if some < total]
    return f"{caption} ({' and '.join(said)} shown)" if said else caption


def _facts(facts: Facts) -> Facts:
    left = len(facts.values) - MOST_FACTS
    if left <= 0:
        return facts
    some = dict(itertools.islice(facts.values.items(), MOST_FACTS))
    return Facts({**some, "and more": f"{left:,} further ones are left out"})


def page_text(value: Any, most: int = MOST_TEXT) -> Any:
    """What stands on a page: text in which all that cannot be printed is escaped, cut to length.

    Line breaks stay, which are blanks to browsers.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if len(value) > most:
        value = f"{value[:most]} ... ({len(value):,} characters)"
    return value if value.isprintable() else "\n".join(map(escaped, value.split("\n")))
