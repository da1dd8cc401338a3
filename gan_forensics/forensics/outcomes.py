"""How often each verdict falls on held-out images: the rates that a share is corrected for.

A verdict is one of three. Photographs called generated, generated images called so, and how many of
either are unsure are counted for all images of a tier, for those of each container, and for those
of each size class: false alarms differ between them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gan_forensics.data import Header, Source, read_header
from gan_forensics.data.account import files
from gan_forensics.data.carriers import LONGEST
from gan_forensics.forensics.calibration import Outcomes
from gan_forensics.forensics.format_audit import size_class
from gan_forensics.forensics.measure import Scored
from gan_forensics.forensics.verdicts import GENERATED, UNSURE, Basis, verdict_rates


class FileKind(NamedTuple):
    """What an image file is like.

    Attributes:
        container: such as "JPEG".
        size: its `size_class`.
    """

    container: str
    size: str


def kind_of(header: Header, tier: str) -> FileKind:
    """What a file is like when it came the way of a tier.

    Example:
        >>> kind_of(Header(6048, 8064, False, "PNG", "RGB", None), "web")
        FileKind(container='JPEG', size='513 to 1024 pixels')
    """
    longest = LONGEST.get(tier)
    side = max(header.height, header.width)
    side = side if longest is None else min(side, longest)
    return FileKind(header.container if longest is None else "JPEG", size_class(side, 1))


def file_kinds(source: Source, tier: str) -> list[FileKind] | None:
    """What the file of each image is like when it came the way of a tier; None without files.

    Args:
        source: of images.
        tier: of `data.carriers.TIERS`, whose images are JPEGs but for "clean".
    """
    paths = files(source)
    return None if paths is None else [kind_of(read_header(path), tier) for path in paths]


def outcomes_of(
    scored: Scored, basis: Basis, tier: str, sources: tuple[Source, Source]
) -> tuple[Outcomes, ...]:
    """How often each verdict falls on images of a tier, and on those of each container and size.

    Args:
        scored: their scores.
        basis: what they are judged by.
        tier: of all of them.
        sources: of the images of either class, of which `scored.rows` are scored.

    Returns:
        All of the tier first; containers and sizes where the images are files, of which both
        classes have some.
    """
    kinds = [file_kinds(source, tier) for source in sources]
    of: list[Sequence[FileKind]] = []
    for some, rows in zip(kinds, scored.rows, strict=True):
        of.append([] if some is None else [some[row] for row in rows])
    found = [_outcomes("", scored, (slice(None), slice(None)), basis, tier)]
    both = [{name for kind in some for name in kind} for some in of]
    for name in sorted(both[0] & both[1]):
        chosen = [np.array([name in kind for kind in some]) for some in of]
        found.append(_outcomes(name, scored, (chosen[0], chosen[1]), basis, tier))
    return tuple(found)


def _outcomes(name: str, scored: Scored, chosen: tuple, basis: Basis, tier: str) -> Outcomes:
    """Of the chosen images of either class."""
    groups = scored.groups or (None, None)
    real, fake = (
        verdict_rates(basis, scores[some], tier, None if of is None else of[some])
        for scores, some, of in zip((scored.real, scored.fake), chosen, groups, strict=True)
    )
    return Outcomes(name, real[GENERATED], real[UNSURE], fake[GENERATED], fake[UNSURE])
