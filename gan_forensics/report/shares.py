"""Corrected shares of generated images: lines, and a section of a page."""

from collections.abc import Sequence

from gan_forensics.forensics.prevalence import Corrected, Share, percent
from gan_forensics.report.blocks import Section, Table

_READING = (
    "A detector calls some photographs generated, and the more photographs there are, the more of "
    "these false alarms. The corrected share is what remains once both of its error rates are "
    "taken out; its interval of 95 % carries how few images these rates were measured on. An "
    "unsure image is not called generated, in these rates as in the counts, so they are at most "
    "those of the threshold alone. The share holds for photographs and generators like those of "
    "the detector's held-out images, and for images that were taken independently of each other."
)


def in_words(share: Share) -> str:
    """A share in a line: the raw count, the false alarms to expect, and the corrected share.

    Example:
        >>> in_words(Share("JPEG", 99, 3, 1, 0, 0, None, None, "no rates"))
        'JPEG: 3 of 99 called generated, 1 unsure; no corrected share: no rates'
    """
    said = _counted(share)
    if share.corrected is None:
        return f"{said}; no corrected share: {share.why}"
    if share.covered < share.images:
        said += f"; of {share.covered:,} that there are rates of, {share.called:,}"
    said += (
        f"; {_expected(share)} false alarms are expected if all are photographs, at the detector's "
        f"{_rate(share)}; corrected share {_interval(share.corrected)}"
    )
    return f"{said}; not covered: {share.why}" if share.why else said


def _counted(share: Share) -> str:
    unsure = f", {share.unsure:,} unsure" if share.unsure else ""
    return f"{share.name}: {share.generated:,} of {share.images:,} called generated{unsure}"


def share_lines(found: Sequence[Share]) -> list[str]:
    """The share of all images in a line, then by container and size class where that tells more.

    Example:
        >>> every = Share("all", 99, 3, 1, 0, 0, None, None, "no rates")
        >>> share_lines([every, every._replace(name="PNG")])
        ['all: 3 of 99 called generated, 1 unsure; no corrected share: no rates']
    """
    every, *parts = found
    lines = [in_words(every)]
    for part in parts:
        if part[1:] != every[1:]:
            again = part.corrected is None and part.why == every.why
            lines.append(_counted(part) if again else in_words(part))
    return lines


def shares_section(found: Sequence[Share]) -> Section:
    """How many images are generated, for a page.

    Example:
        >>> shares_section([Share("all", 99, 3, 1, 0, 0, None, None, "no rates")]).title
        'How many are generated'
    """
    columns = [
        "images", "number", "called generated", "unsure", "false alarms to expect", "at a rate of",
        "corrected share", "not covered",
    ]  # fmt: skip
    rows = [
        [
            share.name, share.images, share.generated, share.unsure,
            _expected(share) if share.expected else None,
            _rate(share) if share.expected else None,
            _interval(share.corrected) if share.corrected else None,
            share.why,
        ]
        for share in found
    ]  # fmt: skip
    return Section("How many are generated", [_READING, Table("Shares", columns, rows)])


def _expected(share: Share) -> str:
    assert share.expected is not None
    mean, low, high = (f"{number:,.0f}" for number in share.expected)
    return f"{mean} ({low} to {high})"


def _rate(share: Share) -> str:
    assert share.expected is not None
    rate, low, high = (percent(number / share.covered) for number in share.expected)
    return f"{rate} ({low} to {high})"


def _interval(found: Corrected) -> str:
    low, high = percent(found.low), percent(found.high)
    return f"{percent(found.share)} (95 % interval {low} to {high})"
