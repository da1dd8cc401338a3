"""The one way to print: line by line, so that no name steers a terminal, forges a line or floods.

Whatever the encoding of the terminal, a character that it lacks ends no command.
"""

import codecs
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from gan_forensics.files.showing import shown

# Of a line; of all lines of an error.
MOST_LINE = 4000
MOST_LINES = 20
# For terminals of ASCII alone; lines of boxes come from the help of the commands.
_SPELLED = {"±": "+-", "–": "-", "…": "...", "×": "x", "•": "*"}


_hushed = False


def hush() -> None:
    """Print nothing from now on but what is always said: another process says the same."""
    global _hushed
    _hushed = True


def is_hushed() -> bool:
    """Whether `hush` was called."""
    return _hushed


def say(*lines: object, always: bool = False) -> None:
    """Lines on standard error, beside progress bars and what others read.

    Args:
        lines: to print.
        always: of many processes that say the same, whether each does: its errors.

    Example:
        >>> import contextlib
        >>> import sys
        >>> with contextlib.redirect_stderr(sys.stdout):  # where doctest looks
        ...     say("2 images left out")
        2 images left out
    """
    if always or not _hushed:
        _print(lines, sys.stderr)


def tell(*lines: object) -> None:
    """Lines on standard output: what a command was asked for.

    Example:
        >>> tell("fid 12.5", "kid 0.1")
        fid 12.5
        kid 0.1
    """
    if not _hushed:
        _print(lines, sys.stdout)


def _print(lines: tuple[object, ...], file) -> None:
    if file is None:  # As of daemons, whose lines would go to the other stream.
        return
    for line in lines:
        print(shown(line, most=MOST_LINE), file=file)


def in_lines(message: object) -> list[str]:
    """A message, of a library perhaps, in lines of which none but the first begins at the margin.

    So nothing that it quotes looks like a line of ours.
    """
    first, *more = str(message).split("\n")
    lines = [first, *(f"    {line}" for line in more if line.strip())]
    left = len(lines) - MOST_LINES
    return lines if left <= 0 else [*lines[:MOST_LINES], f"    ... ({left:,} more lines)"]


@contextmanager
def warnings_said() -> Iterator[None]:
    """Print warnings, of libraries too, in one line each as `say` has it."""
    before = warnings.formatwarning
    # What Pillow minds in a picture is in its row of the result, or in nobody's way.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)

    def in_one_line(message, category, filename, lineno, line=None) -> str:
        return shown(f"{filename}:{lineno}: {category.__name__}: {message}", most=MOST_LINE) + "\n"

    warnings.formatwarning = in_one_line
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    finally:
        warnings.formatwarning = before


def has_colours() -> bool:
    """Whether colours may be used: on terminals that have some, unless NO_COLOR says no."""
    asked = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return asked and sys.stdout.isatty() and sys.stderr.isatty()


def spell_what_is_lacking() -> None:
    """Let standard output and error write characters that their encoding lacks in others."""
    codecs.register_error("spelled", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_spelling(character) for character in text), error.end


def _spelling(character: str) -> str:
    if "\u2500" <= character <= "\u257f":  # Lines of boxes.
        return {"─": "-", "━": "-", "│": "|", "┃": "|"}.get(character, "+")
    return _SPELLED.get(character) or character.encode("ascii", "backslashreplace").decode()
