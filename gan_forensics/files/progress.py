"""How far long work is: a bar where one can be drawn, lines everywhere else, on standard error.

Terminals have a bar, notebooks one where ipywidgets is installed. Log files, CI and other notebooks
have a line after 2, 5, 10, 20 and 60 seconds, then every minute, and a last one where there are
losses to tell. TQDM_DISABLE=1 in the environment turns all of them off.
"""

import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gan_forensics.files.showing import shown
from gan_forensics.files.terminal import is_hushed, say

if TYPE_CHECKING:
    from tqdm import tqdm

# Seconds after which a line is due; later ones follow each other as the last two do.
_DUE = (2.0, 5.0, 10.0, 20.0, 60.0, 120.0)


def progress_bar(
    things: Iterable[Any] | None = None,
    *,
    unit: str,
    total: int | None = None,
    initial: int = 0,
    desc: str = "",
    brief: bool = False,
    on: bool = True,
) -> "tqdm[Any] | Lines":
    """What iterates over things, or is told by `update`, and shows how far it is.

    Args:
        things: to iterate over.
        unit: what they are, or what is counted, in the singular.
        total: how many; by default the length of the things.
        initial: how many were done before.
        desc: what is being done.
        brief: whether nothing is shown in the first two seconds, nor at the end.
        on: whether anything is shown.
    """
    # Without standard error, as of daemons, nobody looks.
    on = on and sys.stderr is not None and not os.environ.get("TQDM_DISABLE") and not is_hushed()
    lines = on and not _draws_bars()
    if lines and not _has_widgets():
        return Lines(things, unit=unit, total=total, initial=initial, desc=desc)
    if lines:
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    return tqdm(
        things, unit=unit, total=total, initial=initial, desc=desc or None,
        delay=2 if brief else 0, leave=not brief, disable=not on,
    )  # fmt: skip


def _draws_bars() -> bool:
    """Whether standard error is a terminal that can go back in a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _has_widgets() -> bool:
    """Whether this runs in a notebook that can show a bar of its own."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python else None
    return "IPKernelApp" in getattr(shell, "config", ()) and bool(
        importlib.util.find_spec("ipywidgets")
    )


class Lines:
    """A bar's place where none can be drawn; it is used as tqdm's are."""

    def __init__(
        self,
        things: Iterable[Any] | None = None,
        *,
        unit: str,
        total: int | None = None,
        initial: int = 0,
        desc: str = "",
    ):
        self._things, self._unit, self._desc = things, unit, desc
        self._total = len(things) if total is None and hasattr(things, "__len__") else total  # pyright: ignore
        self.n = self._said = initial
        self._numbers: Mapping[str, object] = {}
        self._told = True
        self._start = time.monotonic()
        # The first one compiles: the rate is that of the others.
        self._first: tuple[int, float] | None = None
        self._last = 0.0
        self._due = _times()
        self._next = next(self._due)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.close()

    def __iter__(self) -> Iterator[Any]:
        for thing in self._things or ():
            yield thing
            self.update()
        self.close()

    def update(self, n: int = 1) -> None:
        """So many more are done."""
        now = time.monotonic()
        self.n += n
        self._first, self._last = self._first or (self.n, now), now
        if now - self._start >= self._next:
            while self._next <= now - self._start:
                self._next = next(self._due)
            self._say(now)

    def set_postfix(self, numbers: Mapping[str, object], refresh: bool = True) -> None:
        """Numbers by name, for the lines to come."""
        self._numbers, self._told = dict(numbers), not refresh and self._told

    def close(self) -> None:
        """Say where it ended, if lines came before or there are numbers that none of them had."""
        before = self._said != self.n and self._next > _DUE[0]
        if before or not self._told:
            self._say(time.monotonic(), ended=True)

    def _say(self, now: float, *, ended: bool = False) -> None:
        total = self._total
        unit = shown(self._unit) + "s" * (self.n != 1 or total is not None)
        done = f"{self.n:,} {unit}" if total is None else f"{self.n:,} of {total:,} {unit}"
        if total:
            done += f" ({self.n / total:.0%})"
        first, since = self._first or (self.n, now)
        rate = (self.n - first) / (self._last - since) if self._last > since else 0.0
        parts = [done] + [f"{rate:.3g} {shown(self._unit)}s/s"] * (rate > 0)
        if ended:
            parts.append(f"took {_in_words(now - self._start)}")
        elif rate and total is not None:
            parts.append(f"{_in_words((total - self.n) / rate)} left")
        line = f"{self._desc}: " * bool(self._desc) + ", ".join(parts)
        numbers = ", ".join(f"{name} {value}" for name, value in self._numbers.items())
        say(f"{line}; {numbers}" if numbers else line)
        self._said, self._told = self.n, True


def _times() -> Iterator[float]:
    yield from _DUE
    last, step = _DUE[-1], _DUE[-1] - _DUE[-2]
    while True:
        yield (last := last + step)


def _in_words(seconds: float) -> str:
    """A time: "0.4 s", "12 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
