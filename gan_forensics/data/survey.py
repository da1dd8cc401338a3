"""What of a source can be used: all of it is read once, before anything is made of it.

Files that cannot be read are refused all at once, by name, or left out; pictures that are flat as
their judge sees them (`flat`) and those that are smaller than what it looks at are always left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Int, UInt8

from gan_forensics.data.decoding import ImageError
from gan_forensics.data.flat import FLAT, flat
from gan_forensics.data.sources import Rows, Source, describe
from gan_forensics.files import shown

OnBadImage = Literal["stop", "skip"]
View = Callable[[np.ndarray], np.ndarray]
# Names in a line, in facts, and errors in a refusal.
NAMED, KEPT, ERRORS = 5, 20, 20


class Survey(NamedTuple):
    """What of a source can be used.

    Attributes:
        rows: of the images that can.
        flat: names of those that are flat.
        bad: why others cannot be read, each with its name.
        small: names of those that are smaller than what their judge looks at.
    """

    rows: Int[np.ndarray, " k"]
    flat: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    small: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.rows) + len(self.flat) + len(self.bad) + len(self.small)

    def of(self, source: Source) -> Source:
        """The images that can be used; the source itself where all can."""
        return source if len(self.rows) == self.count else Rows(source, self.rows)

    @property
    def facts(self) -> dict[str, Any]:
        """What was left out of how many, with the first names, JSON-able; empty for nothing."""
        if len(self.rows) == self.count:
            return {}
        reasons = {"flat": self.flat, "unread": self.bad}
        reasons |= {"small": self.small} if self.small else {}
        return {
            "images": self.count,
            **{
                reason: {"count": len(names), "first": list(names[:KEPT])}
                for reason, names in reasons.items()
            },
        }


def survey(
    source: Source,
    *,
    view: View | None = None,
    least: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
) -> Survey:
    """Read all images of a source once.

    Args:
        source: of images.
        view: uint8 [h, w, c] -> the image as its judge sees it; an image that it refuses
            (ValueError) is left to the judge. None finds no image flat.
        least: pixels that the shorter side of an image has at least.
        progress: as in `chunks`.
    """
    rows: list[int] = []
    plain: list[str] = []
    bad: list[str] = []
    small: list[str] = []
    for row in progress(range(len(source))):
        try:
            image = source[int(row)]["image"]
        except ImageError as error:
            bad.append(str(error))
            continue
        if min(image.shape[:2]) < least:
            small.append(describe(source, int(row)))
        elif view is not None and _flat_in(view, image):
            plain.append(describe(source, int(row)))
        else:
            rows.append(int(row))
    return Survey(np.array(rows, np.int64), tuple(plain), tuple(bad), tuple(small))


def _flat_in(view: View, image: UInt8[np.ndarray, "h w c"]) -> bool:
    try:
        return bool(flat([view(image)])[0])
    except ValueError:
        return False


def surveyed(
    sources: Mapping[str, Source],
    *,
    view: View | None = None,
    least: int = 0,
    on_bad_image: OnBadImage | None = None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> tuple[list[Survey], list[Source], dict[str, Any]]:
    """`survey` of some sources by name: surveys, what can be used, and what results keep of it.

    The last is "left_out": name -> `Survey.facts`, where something was.

    Args:
        sources: by the name that messages call them.
        view, least, progress: as there.
        on_bad_image: refuse files that cannot be read, or leave them out; None refuses them for
            commands that have no option of this name.

    Raises:
        ImageError: naming the files of all sources that cannot be read (the first `ERRORS`).
        ValueError: for a source of which nothing is left, and another word for `on_bad_image`.
    """
    if on_bad_image not in (None, *get_args(OnBadImage)):
        raise ValueError(f"on_bad_image is 'stop' or 'skip', got {on_bad_image!r}")
    found = [
        survey(source, view=view, least=least, progress=progress) for source in sources.values()
    ]
    bad = [error for one in found for error in one.bad]
    if bad and on_bad_image != "skip":
        skip = "on_bad_image='skip' in Python; --on-bad-image skip"
        how = f" or leave them out ({skip})" if on_bad_image else ""
        raise ImageError(
            f"{len(bad)} of {sum(one.count for one in found)} images cannot be read; remove them"
            f"{how}: {_first(bad, len(bad), ERRORS, '; ')}"
        )
    for name, one in zip(sources, found, strict=True):
        if one.count and not len(one.rows):
            below = f"smaller than {least}x{least}"
            numbers = {"flat": one.flat, "unreadable": one.bad, below: one.small}
            said = " and ".join(f"{len(n)} are {word}" for word, n in numbers.items() if n)
            first = (
                f"{shown(one.flat[0])}: {FLAT}" if one.flat else shown([*one.bad, *one.small][0])
            )
            raise ValueError(
                f"{shown(name)}: none of {one.count} images can be used: {said}; first: {first}"
            )
    facts = {name: one.facts for name, one in zip(sources, found, strict=True) if one.facts}
    usable = [one.of(source) for one, source in zip(found, sources.values(), strict=True)]
    return found, usable, {"left_out": facts} if facts else {}


def sentences(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What was left out of some sources (name -> `Survey.facts`), a line for each reason."""
    lines = []
    for name, of in facts.items():
        reasons = {"flat": FLAT, "small": "they hold no tile", "unread": "they cannot be read"}
        for reason, said in reasons.items():
            if reason in of and (count := of[reason]["count"]):
                named = _first(of[reason]["first"], count, NAMED, ", ")
                lines.append(f"{shown(name)}: {count} of {of['images']} left out ({said}): {named}")
    return lines


def _first(names: Sequence[str], count: int, most: int, between: str) -> str:
    some = [shown(name) for name in names[:most]]
    return between.join(some) + (f" ... ({count - len(some):,} more)" if count > len(some) else "")
