"""What the commands that fit detectors do with their two sources before they fit."""

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_forensics.cli.process import progress, refuse_points
from gan_forensics.files import say, shown

if TYPE_CHECKING:
    import numpy as np

    from gan_forensics.data import Source
    from gan_forensics.forensics.detectors import Detector
    from gan_forensics.forensics.preprocessing import Preprocessing

Two = tuple["Source", "Source"]


def quality_of(recode: str | None) -> int | None:
    """The quality of `jpeg:QUALITY`, as --recode takes it."""
    if recode is None:
        return None
    codec, _, quality = recode.partition(":")
    if codec != "jpeg" or not re.fullmatch("[1-9][0-9]?|100", quality):
        raise ValueError(f"--recode {recode}: give jpeg:QUALITY with a quality of 1 to 100")
    return int(quality)


def check_sizes(size: int | None, *, match_sizes: bool) -> None:
    """Refuse --size beside --match-sizes."""
    if size is not None and match_sizes:
        raise ValueError("--match-sizes cuts without resizing, --size resizes: give one of the two")


def open_native(
    name: str, *, size: int | None, split: str, follow_links: bool, quiet: bool = False
) -> "Source":
    """A source whose images keep their size; those that are made at a size get it."""
    from gan_forensics import data
    from gan_forensics.data.names import MADE

    refuse_points(name)
    made = name.partition("?")[0] in MADE
    source = data.open_source(
        name, size=size if made else None, split=split, follow_links=follow_links
    )
    for line in () if quiet else (data.account.left_out(source), data.account.splits(source)):
        if line:
            say(f"{name}: {line}")
    return source


def open_some(name: str, *, follow_links: bool) -> "Source":
    """A source whose images keep their size; one that is empty is refused."""
    source = open_native(name, size=None, split="all", follow_links=follow_links)
    if not len(source):
        raise ValueError(f"{name}: no images; give at least one of either class")
    return source


def by_name(texts: Sequence[str]) -> dict[str, str]:
    """Name -> source of generated images, of SOURCE or NAME=SOURCE.

    Raises:
        ValueError: for none, and for two of a name.
    """
    if not texts:
        raise ValueError("give at least one source of generated images after the real ones")
    found: dict[str, str] = {}
    for text in texts:
        name, said, source = text.partition("=")
        # toy:powerlaw?n=9 and folder/a=b are sources.
        if not said or set(name) & set(":?/\\") or Path(text).exists():
            name = source = text
        if not name or not source:
            raise ValueError(f"{text}: write SOURCE, or NAME=SOURCE, as in N.1.5=folder")
        if name in found:
            raise ValueError(f"{text}: {name} is there already; call one of them otherwise")
        found[name] = source
    return found


def say_fitted_on(detector: "Detector", names: Sequence[str], which: str = "the detector") -> None:
    """Say which sources are ones that a detector was fitted on."""
    known = [detector.facts.get("real"), detector.facts.get("fake")]
    for name in names:
        if name in known:
            say(
                f"{name}: {which} was fitted on images of this source, and does better on "
                "them than on others"
            )


def splits_of(names: Sequence[str], sources: "Sequence[Source]") -> dict[str, Any]:
    """Which folders of a source are which splits, and how lists were read, JSON-able.

    Returns:
        "splits" and "read_as", each by the names of the sources; without what says nothing.
    """
    from gan_forensics.data import account

    found = {name: account.folders(source) for name, source in zip(names, sources, strict=True)}
    kept = {
        key: {name: of[key] for name, of in found.items() if key in of}
        for key in ("splits", "read_as")
    }
    return {key: by_name for key, by_name in kept.items() if by_name}


def check_apart(names: Sequence[str], sources: "Sequence[Source]") -> None:
    """Refuse images that are real and generated at once: the first source, and any of the others.

    Raises:
        ValueError: naming the sources, and the first file that is in both.
    """
    real, *fakes = ({path.resolve() for path in getattr(s, "paths", ())} for s in sources)
    for name, fake in zip(names[1:], fakes, strict=True):
        if name == names[0]:
            raise ValueError(f"{name} is given for real and for generated images: give two sources")
        if both := sorted(real & fake):
            raise ValueError(
                f"{len(both)} files are in {names[0]} and in {name}, real and generated at once: "
                f"give two sources that share none; first: {shown(both[0])}"
            )


def preprocessing_of(
    names: Sequence[str],
    sources: "Sequence[Source]",
    *,
    size: int | None,
    recode: int | None,
    match_sizes: bool,
) -> "Preprocessing":
    """What will be done to every image; says how large the square is that --match-sizes cuts."""
    from gan_forensics.data.names import MADE
    from gan_forensics.forensics.preprocessing import Preprocessing

    if all(name.partition("?")[0] in MADE for name in names):
        size = None
    crop = None
    if match_sizes:
        crop = min(map(_shortest, sources))
    made = Preprocessing(crop=crop, size=size, recode=recode)
    if made.words:
        say(f"every image is {made.words}, here and when scored")
    return made


def _shortest(source: "Source") -> int:
    """The shortest side of all images of a source."""
    from gan_forensics.forensics.format_audit import file_headers

    if (files := file_headers(source)) and files[0]:
        return min(min(header.height, header.width) for header in files[0])
    return min(min(source[i]["image"].shape[:2]) for i in progress(range(len(source))))


def grouped(
    names: tuple[str, str], sources: Two, by: str | None
) -> "tuple[np.ndarray, np.ndarray] | None":
    """The groups of all images, for a fit; says how many there are, and which have both classes."""
    found = groups_by(names, sources, by)
    if found is None:
        return None
    if both := set(found[0]) & set(found[1]):
        say(
            f"{len(both)} groups have real and generated images; they stay together, and generated "
            "ones of those that set the threshold are not used"
        )
    return found[0], found[1]


def groups_by(
    names: Sequence[str], sources: "Sequence[Source]", by: str | None
) -> "list[np.ndarray] | None":
    """The groups of all images of some sources, photographs first; None without `by`.

    Generated images that lie in no folders are each their own group: they were cut from nothing.
    How many groups there are is said.
    """
    if by is None:
        return None
    import numpy as np

    from gan_forensics.data.groups import groups_of

    found = []
    for place, (name, source) in enumerate(zip(names, sources, strict=True)):
        try:
            groups = groups_of(source, by, flat=place > 0)
        except ValueError as error:
            raise ValueError(f"--groups {by}: {name}: {error}") from None
        say(f"{name}: {len(groups)} images in {len(set(groups))} groups")
        found.append(np.array(groups))
    return found


def audited(
    names: tuple[str, str], sources: Two, preprocessing: "Preprocessing", *, robust: bool, seed: int
) -> dict[str, Any]:
    """What the files are like and whether that alone gives the classes away: said, and as facts.

    Returns:
        "real" and "fake", the sources; "seen" and "audit" where they are of files (`Seen`,
        `Audit`).
    """
    from gan_forensics.data.carriers import CONTAINERS
    from gan_forensics.forensics.format_audit import audit, file_headers, seen

    facts: dict[str, Any] = dict(zip(("real", "fake"), names, strict=True))
    files = [file_headers(source) or ([], []) for source in sources]
    for name, (_, errors) in zip(names, files, strict=True):
        if errors:
            say(
                f"{name}: {len(errors)} files cannot be read, and are not audited; first: "
                f"{errors[0]}"
            )
    headers = [found for found, _ in files]
    if not all(headers):
        say("the format of the files is not audited: not both sources are of image files")
        return facts
    known = seen([*headers[0], *headers[1]])
    if robust:
        qualities = [int(c.partition("-")[2]) for c, kind in CONTAINERS.items() if kind == "JPEG"]
        known = replace(
            known,
            containers=known.containers | {kind: 0 for kind in CONTAINERS.values()},
            qualities=(
                min([*qualities, *(known.qualities or ())]),
                max([*qualities, *(known.qualities or ())]),
            ),
        )
    facts["seen"] = asdict(known)
    found = audit(headers[0], headers[1], preprocessing, seed=seed)
    for name, some in zip(names, headers, strict=True):
        say(f"{name}: {seen(some).words}")
    if found is None:
        say("too few files for an audit of their formats")
        return facts
    facts["audit"] = asdict(found)
    if found.biased:
        say(
            f"WARNING: without a look at a pixel, container, quality, size and colours of the "
            f"files tell generated from real in {found.remaining:.0%} (balanced; chance is 50%). "
            f"The detector may learn that instead. {found.advice[:1].upper()}{found.advice[1:]}."
        )
    elif found.native:
        say(
            f"the files alone tell the classes apart in {found.accuracy:.0%} (balanced), what the "
            f"preprocessing leaves of them in {found.remaining:.0%}: no better than chance"
        )
    return facts
