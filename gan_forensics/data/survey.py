"""What of a source can be used: all of it is read once, before anything is made of it.

Files that cannot be read are refused all at once, by name, or left out; pictures that are flat as
their judge sees them (`flat`) are always left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from gan_forensics.data.decoding import ImageError
from gan_forensics.data.flat import FLAT, flat
from gan_forensics.data.sources import Rows, Source, describe
from gan_forensics.files import shown

OnBadImage = Literal["stop", "skip"]
# Names in a line, in facts, and errors in a refusal.
NAMED, KEPT, ERRORS = 5, 20, 20


class Survey(NamedTuple):
    """What of a source can be used.

    Attributes:
        rows: of the images that can.
        flat: names of those that are flat.
        bad: why others cannot be read, each with its name.
    """

    rows: Int[np.ndarray, " k"]
    flat: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.rows) + len(self.flat) + len(self.bad)

    def of(self, source: Source) -> Source:
        """The images that can be used; the source itself where all can."""
        return Rows(source, self.rows) if self.flat or self.bad else source

    @property
    def facts(self) -> dict[str, Any]:
        """What was left out of how many, with the first names, JSON-able; empty for nothing."""
        if not self.flat and not self.bad:
            return {}
        return {
            "images": self.count,
            "flat": {"count": len(self.flat), "first": list(self.flat[:KEPT])},
            "unread": {"count": len(self.bad), "first": list(self.bad[:KEPT])},
        }


def survey(
    source: Source,
    *,
    view: Callable[[np.ndarray], np.ndarray] | None = None,
    on_bad_image: OnBadImage = "stop",
    name: str = "",
    progress: Callable[[range], Iterable[int]] = iter,
) -> Survey:
    """Read all images of a source once.

    Args:
        source: of images.
        view: uint8 [h, w, c] -> the image as its judge sees it; an image that it refuses
            (ValueError) is left to the judge. None finds no image flat.
        on_bad_image: refuse files that cannot be read, or leave them out.
        name: of the source, for messages.
        progress: as in `chunks`.

    Raises:
        ImageError: naming all files that cannot be read (of many the first `ERRORS`).
        ValueError: where nothing is left.
    """
    rows: list[int] = []
    plain: list[str] = []
    bad: list[str] = []
    for row in progress(range(len(source))):
        try:
            image = source[int(row)]["image"]
        except ImageError as error:
            bad.append(str(error))
            continue
        if view is not None and _flat_in(view, image):
            plain.append(describe(source, int(row)))
        else:
            rows.append(int(row))
    where = f"{name}: " if name else ""
    if bad and on_bad_image == "stop":
        raise ImageError(
            f"{where}{len(bad)} of {len(source)} images cannot be read; remove them, or leave them "
            f"out (--on-bad-image skip): {_first(bad, len(bad), ERRORS, '; ')}"
        )
    found = Survey(np.array(rows, np.int64), tuple(plain), tuple(bad))
    if len(source) and not rows:
        numbers = {"flat": len(plain), "unreadable": len(bad)}
        said = " and ".join(f"{n} are {word}" for word, n in numbers.items() if n)
        first = f"{plain[0]}: {FLAT}" if plain else bad[0]
        raise ValueError(
            f"{where}none of {len(source)} images can be used: {said}; first: {shown(first)}"
        )
    return found


def _flat_in(view: Callable[[np.ndarray], np.ndarray], image: UInt8[np.ndarray, "h w c"]) -> bool:
    try:
        return bool(flat([view(image)])[0])
    except ValueError:
        return False


def surveyed(
    sources: Mapping[str, Source],
    *,
    view: Callable[[np.ndarray], np.ndarray] | None = None,
    on_bad_image: OnBadImage = "stop",
    progress: Callable[[range], Iterable[int]] = iter,
) -> tuple[list[Survey], list[Source], dict[str, Any]]:
    """`survey` of some sources by name: surveys, what can be used, and what a fit keeps of it.

    The last is "left_out": name -> `Survey.facts`, where something was.

    Raises:
        ImageError, ValueError: as `survey`.
    """
    found = [
        survey(source, view=view, on_bad_image=on_bad_image, name=name, progress=progress)
        for name, source in sources.items()
    ]
    facts = {name: one.facts for name, one in zip(sources, found, strict=True) if one.facts}
    usable = [one.of(source) for one, source in zip(found, sources.values(), strict=True)]
    return found, usable, {"left_out": facts} if facts else {}


def sentences(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What was left out of some sources (name -> `Survey.facts`), a line for each reason."""
    lines = []
    for name, of in facts.items():
        for reason, said in (("flat", FLAT), ("unread", "they cannot be read")):
            if count := of[reason]["count"]:
                named = _first(of[reason]["first"], count, NAMED, ", ")
                lines.append(f"{name}: {count} of {of['images']} left out ({said}): {named}")
    return lines


def _first(names: Sequence[str], count: int, most: int, between: str) -> str:
    some = [shown(name) for name in names[:most]]
    return between.join(some) + (f" ... ({count - len(some):,} more)" if count > len(some) else "")
