"""The page of `attribute score`: who made each image, how sure that is, and what decided.

It reads these keys of `facts`, plain values as JSON has them; what is absent is left out:

    data         what the attributor was fitted on, in words
    config       settings of the fit, by name
    images       "train", "held_out": the number of images by source
    repeated     use -> how many images repeat another
    accepted     share of held-out images that the rule of "none of these" accepts
    threshold    of that rule
    temperature  that logits are divided by
    counts       by verdict, the number of ALL images that were scored, where a page shows some
    scale        relevance in full colour, of all evidence on the page
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from gan_forensics.files import listed, shown
from gan_forensics.forensics.open_set import ACCEPTED
from gan_forensics.report.blocks import Block, Facts, Picture, Section, Share, Table
from gan_forensics.report.explanations import scale_picture
from gan_forensics.report.html import format_cell, write_report
from gan_forensics.report.run import flatten

NONE = "none of these"
# Sources that a ranking lists, the likeliest; the others share a line.
RANKED = 6
# Side of an image on the page, in CSS pixels.
SIDE = 256


class ScoredImage(NamedTuple):
    """What `attribute score` says of one image.

    Attributes:
        image: its path.
        pixels: what was scored; None where that failed.
        probabilities: calibrated, of the sources; None where scoring failed.
        none_of_these: whether the rule says that it is of no known source.
        base: panel of the evidence, uint8 [h, w, 3]; None without.
        layer: the evidence to lie over it, uint8 [h, w, 4].
        error: why it could not be scored, or empty.
    """

    image: Path
    pixels: UInt8[np.ndarray, "h w 3"] | None
    probabilities: Float[np.ndarray, " C"] | None
    none_of_these: bool
    base: np.ndarray | None
    layer: np.ndarray | None
    error: str


def score_page(
    path: Path,
    *,
    names: Sequence[str],
    real: str,
    rows: Sequence[ScoredImage],
    facts: Mapping[str, Any],
) -> Path:
    """Write the page of scored images.

    Args:
        path: of the page.
        names: of the sources, in the order of the probabilities.
        real: which of them is real.
        rows: the images to show.
        facts: of the attributor, see the module.
    """
    good = [row for row in rows if row.probabilities is not None and row.pixels is not None]
    bad = [row for row in rows if row.probabilities is None or row.pixels is None]
    own = Counter(verdict(row, names) for row in good)
    counts: Mapping[str, int] = facts.get("counts") or own
    total = sum(counts.values())
    said = f"{total} images: " + listed([f"{n} {v}" for v, n in _ordered(counts, names)])
    blocks: list[Block] = []
    for row in good:
        blocks += _image(row, names, real)
    left = [[shown(row.image), shown(row.error)] for row in bad]
    drawn = any(row.base is not None for row in good)
    scale = [_scale(facts["scale"])] if drawn and facts.get("scale") else []
    shows = [f"The first {len(good)} of {total} images."] if total > len(good) else []
    return write_report(
        path,
        title="Who made these images",
        lead=said if total else "No image could be scored.",
        sections=[
            Section("Verdicts", [_verdicts(counts, names, real)]),
            Section("How to read this", [reading(facts), *([EVIDENCE] if drawn else []), *scale]),
            *([Section("Images shown", shows)] if shows else []),
            Section("Images", blocks, pairs=True),
            *([Section("Not scored", [Table("Images without a verdict", ["path", "reason"], left)])]
              if left else []),
            Section("The attributor", about(facts, names, real)),
        ],
    )  # fmt: skip


def verdict(row: ScoredImage, names: Sequence[str]) -> str:
    """The likeliest source, or `NONE`."""
    if row.none_of_these:
        return NONE
    return names[int(np.argmax(np.asarray(row.probabilities)))]


def reading(facts: Mapping[str, Any]) -> str:
    """The rule, and what the probabilities are."""
    accepted = float(facts.get("accepted", ACCEPTED))
    return (
        "The likeliest source is the verdict, unless the image is too little like all of them. "
        f"The rule: {100 * accepted:.4g} % of further images of known sources shall be accepted. "
        "Held-out images of these set the threshold for that, and an image less like any known "
        f'source is called "{NONE}": about {100 * (1 - accepted):.2g} % of images of known sources '
        "are, too. How many of an unknown generator it finds depends on that generator; others "
        "of its images are taken for a known source's.\n\n"
        "Probabilities are calibrated on held-out images, with as many of each source as there "
        "were: they answer which of the KNOWN sources made an image, if one of them did. "
        "P(generated) is 1 less that of the real source. A generator trained anew, another size or "
        "another treatment of the images than those it was fitted on can make all of this wrong."
    )


EVIDENCE = (
    "Where an image has a row of its own below it: the image; the image in gray with the evidence "
    "for the source that was called, in colours; and Guided Grad-CAM, which draws the edges and "
    "textures that would raise its logit. Orange speaks for that source, blue against it, gray "
    "has no say; the scale is the same for all images of this page. It says what the network went "
    f'by, not whether that was right. There is none for "{NONE}": no logit stands for it.'
)


def _scale(scale: float) -> Picture:
    return scale_picture(scale, "against the called source", "for the called source")


def _verdicts(counts: Mapping[str, int], names: Sequence[str], real: str) -> Table:
    total = max(sum(counts.values()), 1)
    kinds = {real: "real", NONE: "unknown"}
    return Table(
        "Images by verdict",
        ["verdict", "kind", "images", "share"],
        [
            [shown(v), kinds.get(v, "generated"), n, Share(n / total)]
            for v, n in _ordered(counts, names)
        ],
    )


def _ordered(counts: Mapping[str, int], names: Sequence[str]) -> list[tuple[str, int]]:
    """Verdicts that occur, in the order of the sources, "none of these" at the end."""
    return [(v, int(counts[v])) for v in (*names, NONE) if counts.get(v)]


def _image(row: ScoredImage, names: Sequence[str], real: str) -> list[Block]:
    """The image with its verdict, its ranking beside it, and what decided below."""
    assert row.pixels is not None and row.probabilities is not None
    name, said = shown(row.image), verdict_words(row, names, real)
    image = _thumbnail(row.pixels)
    blocks: list[Block] = [
        Picture(image, alt=f"{name}: {said}", caption=f"{name}: {said}", width=SIDE),
        _ranking(row, names, real),
    ]
    if row.base is not None and not row.none_of_these:
        called = shown(verdict(row, names))
        blocks.append(
            Picture(
                row.base,
                alt=f"{name}, evidence for and against {called}, and Guided Grad-CAM",
                caption=f"{name}: what spoke for and against {called}.",
                layer=row.layer,
            )
        )
    return blocks


def verdict_words(row: ScoredImage, names: Sequence[str], real: str) -> str:
    """The verdict in a sentence or two."""
    probabilities = np.asarray(row.probabilities, np.float64)
    if row.none_of_these:
        return (
            f"{NONE}. It is less like every known source than the threshold of held-out images "
            "of them, so the ranking means little, and no map says why."
        )
    generated = generated_probability(probabilities, names, real)
    best = int(np.argmax(probabilities))
    said = "real" if names[best] == real else f"generated by {shown(names[best])}"
    said += f" (probability {format_cell(Share(probabilities[best]))})."
    if names[best] == real and generated > 0.5:
        said += " Yet all generators together are likelier than real."
    return said


def generated_probability(
    probabilities: Float[np.ndarray, " C"], names: Sequence[str], real: str
) -> float:
    """P(generated): of all sources but the real one."""
    place = list(names).index(real)
    return float(np.clip(np.sum(np.delete(probabilities, place)), 0, 1))


def _ranking(row: ScoredImage, names: Sequence[str], real: str) -> Table:
    """Sources from the likeliest on, below P(generated)."""
    probabilities = np.asarray(row.probabilities, np.float64)
    order = np.argsort(-probabilities, kind="stable")
    shows = len(order) if len(order) <= RANKED + 1 else RANKED
    cells: list[list[Any]] = [
        ["P(generated)", Share(generated_probability(probabilities, names, real))]
    ]
    cells += [
        [f"{place}. {shown(names[i])}", Share(probabilities[i])]
        for place, i in enumerate(order[:shows], start=1)
    ]
    if rest := order[shows:].tolist():
        cells.append([f"the other {len(rest)}", Share(min(probabilities[rest].sum(), 1.0))])
    caption = "If it were of a known source" if row.none_of_these else "Ranking"
    return Table(f"{caption}: {shown(row.image)}", ["source", "probability"], cells)


def _thumbnail(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The image itself, or a smaller one that fits the page."""
    factor = SIDE / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    small = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(small)


def about(facts: Mapping[str, Any], names: Sequence[str], real: str) -> list[Block]:
    """What an attributor was fitted on, and how, as a table of images and facts."""
    blocks: list[Block] = []
    images = _object(facts.get("images"))
    counts = {what: _object(images.get(what)) for what in _USES}
    of = {what: words for what, words in _USES.items() if counts[what]}
    if of:
        rows = [
            [shown(name), "real" if name == real else "generated"]
            + [counts[what].get(name) for what in of]
            for name in names
        ]
        columns = ["source", "kind", *of.values()]
        blocks.append(Table("The sources that it knows", columns, rows))
    values = {
        "sources": [shown(name) for name in names],
        "real": shown(real),
        "fitted on": None if facts.get("data") is None else shown(facts["data"]),
        "temperature": facts.get("temperature"),
        f'threshold of "{NONE}"': facts.get("threshold"),
        "share of known sources' images that it accepts": facts.get("accepted"),
        **{
            name.replace("_", " ").replace(".", ": "): shown(format_cell(value))
            for of in ("repeated", "config")
            for name, value in _named(of, flatten(_object(facts.get(of)))).items()
        },
    }
    known = {name: value for name, value in values.items() if value is not None}
    return [*blocks, Facts(known)]


def _named(of: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their own names, other values by what they are of too."""
    return {key if of == "config" else f"{of}.{key}": value for key, value in values.items()}


def _object(fact: Any) -> Mapping[str, Any]:
    """A fact of a file that should be an object, whatever it is."""
    return fact if isinstance(fact, Mapping) else {}


_USES = {"train": "images that trained it", "held_out": "images that calibrated it"}
