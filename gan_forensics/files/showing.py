"""Names as text: they stay in their line, whatever a stranger called his files."""

import hashlib
import re
from collections.abc import Collection

MOST = 300
# Names in one list; a message names some, a table or a page all.
MOST_NAMES = 20
# Bytes; systems allow 255 in all.
_MOST_STEM = 80


def shown(name: object, *, most: int = MOST) -> str:
    """A name for terminals, figures and pages: `escaped`, and cut in its middle.

    Args:
        name: anything; its text is shown.
        most: characters of the name that are kept; the cut says how many there were.

    Example:
        >>> shown("a.png")
        'a.png'
    """
    text = str(name)
    if len(text) > most:
        head = most * 2 // 3
        text = f"{text[:head]} ... {text[head - most :]} ({len(text)} characters)"
    return escaped(text)


def listed(names: Collection[object], *, most: int = MOST_NAMES, between: str = ", ") -> str:
    """Names in a row, each as `shown` has it, and of too many the number that is left out.

    Args:
        names: in the order they are named.
        most: how many of them are.
        between: what stands between two.

    Example:
        >>> listed(["a", "b"])
        'a, b'
    """
    some = [shown(name, most=100) for _, name in zip(range(most), names, strict=False)]
    rest = len(names) - len(some)
    return between.join(some) + (f" ... ({rest:,} more)" if rest else "")


def file_stem(name: object) -> str:
    """A name of others as a part of a file's name: printable, in no other folder, and short.

    Of more than 80 bytes the first 71 are kept, and a digest tells the rest.

    Example:
        >>> file_stem("a/b"), len(file_stem("x" * 1000))
        ('a_b', 80)
    """
    whole = escaped(name).replace("/", "_").encode()
    if len(whole) > _MOST_STEM:
        digest = hashlib.sha256(whole).hexdigest()[:8]
        whole = whole[: _MOST_STEM - 9] + f"-{digest}".encode()
    return whole.decode(errors="ignore")


def escaped(text: object) -> str:
    r"""Text in which everything that cannot be printed stands as its escape code.

    Line breaks and tabs, sequences that steer terminals, marks that turn the direction of writing,
    and the surrogates of file names that are not UTF-8 are such.

    Example:
        >>> print(escaped("one\ttwo"), escaped("größer"))
        one\ttwo größer
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def natural_order(name: object) -> tuple:
    """A key that sorts names, and paths, as people count: "img_2" stands before "img_10".

    Equal numbers, as in "7" and "07", are told apart by how they are written.

    Example:
        >>> sorted(["i10", "i9"], key=natural_order)
        ['i9', 'i10']
    """
    # A folder stands before names that only begin like it.
    parts: list = re.split(r"(\d+)", str(name).replace("/", "\0"))
    # Digits by their number, however many: longer is larger.
    parts[1::2] = [(len(digits.lstrip("0")), digits.lstrip("0")) for digits in parts[1::2]]
    return parts, str(name)
