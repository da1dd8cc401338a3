"""Numbers in words, in two languages: a translation task without limit whose answers are exact.

German reads the last two digits the other way round ("forty-two", "zweiundvierzig"), so that a
translator has to reorder; Russian declines the thousands by their number.
"""

import hashlib
from typing import Any

import numpy as np

LANGUAGES = ("de", "ru")
# Of 16 hash values, those that are held out, whatever the seed.
_PART = {0: "test", 1: "validation"}


def part_of_number(number: int) -> str:
    """Which split a number belongs to, by its hash: a sixteenth "test", another "validation"."""
    return _PART.get(hashlib.sha256(str(number).encode()).digest()[0] % 16, "train")


def number_words(
    language: str, *, n: int, split: str, seed: int = 0, largest: int = 999_999
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Different random numbers from 0 to `largest` in words: English, and another language.

    Hyphens and "and" stand as num2words writes them. The splits share no number, also between
    seeds. With one seed fewer numbers are the first of more.

    Args:
        language: "de" or "ru".
        n: how many pairs.
        split: "train", "validation" or "test".
        seed: of the draw.
        largest: number that may occur.

    Raises:
        ValueError: another language, or more numbers than the split has.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"numbers are translated from English to {' or '.join(LANGUAGES)}, not to {language!r}"
        )
    if n < 1 or seed < 0 or largest < 1:
        raise ValueError(f"n={n} and largest={largest} must be at least 1, seed={seed} at least 0")
    say: Any = _num2words()
    rng = np.random.default_rng((seed, ("train", "validation", "test").index(split)))
    chosen: dict[int, None] = {}
    # A draw that fell on no new number of the split this often will not find enough of them.
    for _ in range(64 * n + 1024):
        number = int(rng.integers(largest + 1))
        if part_of_number(number) == split:
            chosen[number] = None
        if len(chosen) == n:
            break
    else:
        raise ValueError(
            f"the {split} split has too few numbers up to {largest} for n={n}: give a smaller n or "
            "a greater largest"
        )
    english = tuple(say(number, lang="en") for number in chosen)
    return english, tuple(say(number, lang=language) for number in chosen)


def _num2words() -> Any:
    try:
        from num2words import num2words
    except ImportError as error:
        raise ImportError(
            f"numbers in words need num2words ({error}): pip install 'gan_forensics[text]'"
        ) from error
    return num2words
