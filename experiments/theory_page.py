"""Claims that were computed on a few states, as a section of a page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_forensics.report import Picture, Section, Table
from gan_forensics.report.figures import Figure
from gan_forensics.studies.results import scalars


def theory_section(
    theory: Mapping[str, Any],
    figures: Callable[[Mapping[str, Any]], Sequence[tuple[str, Figure]]],
) -> Section:
    """A table of the claims, and the figures.

    Args:
        theory: with `claims`: claim, value, expected, holds.
        figures: of the theory, each with its caption.
    """
    rows = [
        [row["claim"], *_both(row["value"], row["expected"]), "yes" if row["holds"] else "NO"]
        for row in theory["claims"]
    ]
    caption = "Claims computed on a few states, in nats. Columns: found and expected values."
    table = Table(caption, ["claim", "found", "expected", "holds"], rows)
    pictures = [
        Picture(figure, alt=caption, caption=caption) for caption, figure in figures(theory)
    ]
    return Section("Theory", [table, *pictures])


def claim_rows(theory: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A flat row for each claim; values that are many numbers stay in the theory itself."""
    columns = {"claim": None, "holds": None, "value": None, "expected": None}
    return [{**columns, **scalars(row)} for row in theory["claims"]]


def said_claims(theory: Mapping[str, Any]) -> str:
    """How many claims hold, and which do not."""
    claims = theory["claims"]
    broken = [row["claim"] for row in claims if not row["holds"]]
    said = f"Theory: {len(claims) - len(broken)} of {len(claims)} claims hold on a few states"
    return f"{said}, not: {'; '.join(broken)}." if broken else f"{said}."


# More numbers than these are not read one by one.
_SHOWN = 6


def _both(value: Any, expected: Any) -> tuple[str, str]:
    """Found and expected numbers; of many, how far they are apart."""
    found, wanted = np.ravel(value), np.ravel(expected)
    if found.size == wanted.size > _SHOWN and found.dtype.kind == "f":
        gap = np.abs(found - wanted).max()
        return f"{found.size} numbers, apart by {gap:.1g} at most", "the same numbers"
    return _said(value), _said(expected)


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(f"{number:.4g}" for number in np.ravel(value))
