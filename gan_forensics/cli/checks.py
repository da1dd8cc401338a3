"""Checks that commands make of their options before they read anything."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def at_least(least: float, **options: float | None) -> None:
    """Refuse options below a number; those that were not given (None) pass.

    Raises:
        ValueError: naming the option as it stands on the command line.
    """
    for name, value in options.items():
        if value is not None and not value >= least:
            raise ValueError(f"{spelt(name)} {value:g}: it must be at least {least:g}")


def within(low: float, high: float, **options: float | None) -> None:
    """Refuse options that do not lie between two numbers, both excluded; None passes.

    Raises:
        ValueError: as `at_least`.
    """
    for name, value in options.items():
        if value is not None and not low < value < high:
            raise ValueError(
                f"{spelt(name)} {value:g}: it must lie between {low:g} and {high:g} (exclusive)"
            )


def not_among(option: str, path: Path, **taken: Path) -> None:
    """Refuse a file for results that is one of those that are read, or that another result gets.

    Raises:
        ValueError: naming both.
    """
    for name, other in taken.items():
        if path.resolve() == other.resolve():
            raise ValueError(f"{option} {path}: that is {name.replace('_', ' ')}; choose another")


def not_given(why: str, **options: Any) -> None:
    """Refuse options that would do nothing; None stands for one that was not given.

    Raises:
        ValueError: saying why, and to leave it out.
    """
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{listed(map(spelt, given))}: {why}; leave it out")


def spelt(name: str) -> str:
    """A setting as it is spelt on the command line."""
    return ("-" if len(name) == 1 else "--") + name.replace("_", "-")


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
