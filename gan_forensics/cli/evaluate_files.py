"""What `evaluate` does with files before it scores images: those that cannot be read, flat ones."""

from typing import TYPE_CHECKING, Any, Literal

from gan_forensics.cli.process import progress
from gan_forensics.files import say

if TYPE_CHECKING:
    from gan_forensics.data import Source


def readable(
    sources: "dict[str, Source]", on_bad_image: Literal["stop", "skip"]
) -> "tuple[dict[str, Source], dict[str, Any]]":
    """The sources without files that cannot be read, said; and what results keep of these."""
    from gan_forensics.data.survey import sentences, surveyed

    # What is in memory can be read.
    files = {name: source for name, source in sources.items() if not hasattr(source, "take")}
    _, usable, left_out = surveyed(files, on_bad_image=on_bad_image, progress=progress)
    for line in sentences(left_out.get("left_out", {})):
        say(line)
    kept = {**sources, **dict(zip(files, usable, strict=True))}
    return kept, {"images_left_out": left_out["left_out"]} if left_out else {}


def flat_note(name: str, source: "Source") -> str:
    """How many images are flat, which count all the same; "" where none is."""
    from gan_forensics.data.flat import flat

    count = sum(int(flat([source[i]["image"]])[0]) for i in range(len(source)))
    if not count:
        return ""
    return f"{count} of {len(source)} images of {name} are flat (of one colour, or nearly so)"
