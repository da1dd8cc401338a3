"""Numbers as tables, lists and command lines write them: plain decimal digits.

Python itself reads more: 2020_01 as 202001, infinity, and the digits of every script.
"""

import math
import re

from gan_forensics.files.showing import shown

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
# More digits than any number has; Python refuses thousands of them by an error of its own.
_LONGEST = 1000
# What spreadsheets, pandas, R and databases write where there is no value.
_MISSING = {"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "?"}


def number(text: str, *, decimals: str = ".") -> float:
    """The number that a text is, such as -1.5, .5, 2. or 1e-3.

    Args:
        text: with blanks around it perhaps.
        decimals: what stands before the decimals, "." or ",".

    Raises:
        ValueError: for all else: 1_000, 1,000, nan, infinity, other digits than 0 to 9, and what
            is too large.
    """
    plain = text.strip()
    if decimals == "," and "." not in plain:
        plain = plain.replace(",", ".", 1)
    elif decimals == ",":
        plain = ""
    if len(plain) > _LONGEST or not _NUMBER.fullmatch(plain):
        raise ValueError(f"{shown(text, most=60)!r} is no number in plain digits")
    if math.isinf(value := float(plain)):
        raise ValueError(f"{shown(text, most=60)!r} is too large for a number")
    return value


def whole_number(text: str) -> int:
    """The whole number that a text is, such as 12 or -3.

    Raises:
        ValueError: for all else, as `number`.
    """
    plain = text.strip()
    if len(plain) > _LONGEST or not _WHOLE.fullmatch(plain):
        raise ValueError(f"{shown(text, most=60)!r} is no whole number in plain digits")
    return int(plain)


def is_missing(text: str) -> bool:
    """Whether a cell of numbers says that it has none: empty, NA, NaN, null and their like."""
    return text.strip().lower() in _MISSING
