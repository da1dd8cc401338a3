"""Images with their sources in parts: which train, which are held out, which are measured on."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt64

from gan_forensics.data import Rgb, Source
from gan_forensics.data.attributed import Attributed
from gan_forensics.data.survey import OnBadImage, surveyed
from gan_forensics.files import listed
from gan_forensics.forensics.calibration import smallest_calibration_set
from gan_forensics.forensics.open_set import ACCEPTED
from gan_forensics.forensics.preprocessing import Preprocessing

Rows = Int[np.ndarray, " k"]


def digest(image: UInt8[np.ndarray, "h w 3"]) -> np.uint64:
    """What tells an image from all others: 64 bits of BLAKE2b of its pixels."""
    found = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8)
    return np.uint64(int.from_bytes(found.digest(), "little"))


def digests(source: Source) -> UInt64[np.ndarray, " n"]:
    """The `digest` of every image in RGB."""
    rgb = Rgb(source)
    return np.array([digest(rgb[i]["image"]) for i in range(len(rgb))], np.uint64)


def usable(
    parts: Mapping[str, Attributed],
    preprocessing: Preprocessing,
    *,
    on_bad_image: OnBadImage | None = None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> tuple[list[Attributed], dict[str, Any]]:
    """Images, by use, without those that are flat after the preprocessing, and what was left out.

    Args:
        parts: by what messages call them.
        preprocessing, on_bad_image, progress: as for `data.survey.surveyed`, as is what it raises.
    """
    surveys, _, left_out = surveyed(
        {name: Rgb(images.source) for name, images in parts.items()},
        view=preprocessing, on_bad_image=on_bad_image, progress=progress,
    )  # fmt: skip
    found = [
        images.part(one.rows) if one.facts else images
        for images, one in zip(parts.values(), surveys, strict=True)
    ]
    return found, left_out


def counts(images: Attributed) -> dict[str, int]:
    """How many images there are of each source."""
    found = np.bincount(images.labels, minlength=len(images.names))
    return {name: int(n) for name, n in zip(images.names, found, strict=True)}


def check_sources(train: Attributed, other: Attributed) -> None:
    """Refuse images of other sources than those to learn, and sources without images.

    Raises:
        ValueError: naming them.
    """
    if set(train.names) != set(other.names) or train.real != other.real:
        raise ValueError(
            f"the sources differ: {listed(train.names)} (real: {train.real}) and "
            f"{listed(other.names)} (real: {other.real})"
        )
    for what, images in (("to learn from", train), ("held out", other)):
        if empty := [name for name, n in counts(images).items() if not n]:
            raise ValueError(f"no images {what} of {listed(empty)}: give some, or leave it out")


def check_enough(held_out: Attributed) -> None:
    """Refuse held-out images too few for the threshold of "none of these", which half of them set.

    Raises:
        ValueError: saying how many are needed.
    """
    least = smallest_calibration_set(1 - ACCEPTED)
    if len(halves(held_out.labels, np.random.default_rng(0))[1]) < least:
        raise ValueError(
            f"{len(held_out.labels)} held-out images of {listed(held_out.names)} are too few "
            f"for the threshold of none of these: give {2 * least + len(held_out.names)} or more "
            "(a fifth of all images, where they have no split of their own: about "
            f"{5 * (2 * least + len(held_out.names))} in all)"
        )


def relabelled(images: Attributed, names: Sequence[str], real: str) -> Attributed:
    """Images with the labels of these names, whatever the order of their own.

    Raises:
        ValueError: for sources that are not among the names, or another real one.
    """
    if unknown := sorted(set(images.names) - set(names)):
        raise ValueError(
            f"images of {listed(unknown)}, and the model knows {listed(names)}: give images "
            "of its sources, or another model"
        )
    if images.real != real:
        raise ValueError(f"of the images {images.real} is real, of the model {real}")
    place = np.array([list(names).index(name) for name in images.names], np.int32)
    return images._replace(names=tuple(names), labels=place[images.labels])


def halves(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows in two halves, each with half of every source, ascending."""
    parts: tuple[list, list] = ([], [])
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        for part, some in zip(parts, np.array_split(rows, 2), strict=True):
            part.append(some)
    first, second = (np.sort(np.concatenate(part)) for part in parts)
    return first, second


def fifths(
    images: Attributed, mask: Bool[np.ndarray, " n"], *, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train on, held out, and to measure on: 3, 1 and 1 of five of each kind of images.

    A kind is a source, semantic and instance.

    Raises:
        ValueError: for a kind of fewer than five images.
    """
    kinds: dict[tuple, list[int]] = {}
    for row in np.flatnonzero(mask):
        kind = (int(images.labels[row]), images.semantics[row], images.instances[row])
        kinds.setdefault(kind, []).append(int(row))
    if not kinds:
        raise ValueError("every image is held out, and nothing is left to fit on: hold out less")
    rng, parts = np.random.default_rng((seed, 12)), ([], [], [])
    for (label, *which), rows in kinds.items():
        if len(rows) < 5:
            name = "/".join(filter(None, (images.names[label], *which)))
            raise ValueError(f"{len(rows)} images of {name} cannot be parted: give 5 or more")
        order, fifth = rng.permutation(rows), round(len(rows) / 5)
        for part, some in zip(
            parts, np.split(order, [len(rows) - 2 * fifth, len(rows) - fifth]), strict=True
        ):
            part.append(some)
    return tuple(np.sort(np.concatenate(part)) for part in parts)  # pyright: ignore
