"""Why there is no result for an image: any failure is its own, and no other image's."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from gan_forensics.data import ImageError
from gan_forensics.files import shown

T = TypeVar("T")
R = TypeVar("R")
# Kinds of failures of images that were read; those of files that are not are in `data.packed`.
UNREADABLE, UNFIT, MEMORY, FAILED, KILLED = "unreadable", "unfit", "memory", "failed", "killed"


class Failure(NamedTuple):
    """Why an image has no result.

    Attributes:
        kind: a word for tables: "unreadable" (it cannot be decoded), "unfit" (of a size that is
            refused, or flat), "memory", "failed" (in any other way), "killed" (it ended the worker
            twice), "refused" (it is not read), "archive" (the rest of the file cannot be read).
        text: a line that names it.

    Example:
        >>> failure_of("a.png", MemoryError()).text
        'a.png: it needs more memory than there is; crop or shrink it'
    """

    kind: str
    text: str


def failure_of(name: object, error: Exception) -> Failure:
    """Why there is no result for an image, in a line that names it."""
    if isinstance(error, ImageError):
        return Failure(UNREADABLE, str(error))
    reason = shown(error) or type(error).__name__
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in reason:
        return Failure(
            MEMORY, f"{shown(name)}: it needs more memory than there is; crop or shrink it"
        )
    kind = UNFIT if isinstance(error, ValueError) else FAILED
    return Failure(kind, f"{shown(name)}: {reason}")


def halved(judge: Callable[[list[T]], Sequence[R]], images: Sequence[T]) -> list[R | Exception]:
    """What `judge` says of images, or the error with which it fails, for each.

    Where a batch fails its halves are tried: it may be too large, or one image the reason.
    """
    try:
        found = list(judge(list(images)))
        if len(found) != len(images):
            raise RuntimeError(f"{len(found)} results for {len(images)} images")
        return found  # pyright: ignore[reportReturnType]
    # Whatever it is, the other images have nothing to do with it.
    except Exception as error:
        if len(images) == 1:
            return [error]
    half = len(images) // 2
    return [*halved(judge, images[:half]), *halved(judge, images[half:])]
