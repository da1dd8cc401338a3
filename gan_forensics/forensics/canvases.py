"""Batches of images of any sizes, in few shapes: what decides how often a network is compiled.

One size is one program, which a network of 50 layers takes longer to compile than to run on many
images. So a few sizes, those of which there are most, have programs of their own; all others share
canvases (`gan_forensics.nn.canvas`), whose sides are 1 or 1.5 times a power of two.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Int, UInt8

from gan_forensics.nn.canvas import fits_canvas
from gan_forensics.runtime.free_memory import free_memory

# Sizes with programs of their own, for one network.
OWN_SIZES = 4
# Batches are as large as this many pixels allow, and at most so many images.
PIXELS, MOST = 2**22, 64
LENGTHS = (1, 4, 16, 64)
# Images that wait for others to fill a batch, at most.
WAITING = 2**24
# What a network takes for a pixel on a CPU: measured at 1 and 4 megapixels, resnet_small 890,
# resnet50 470.
BYTES = 1000
# And what its explanation takes: resnet_small 3400.
BYTES_EXPLAINED = 4000
# Less is not looked at.
_LITTLE = 2**31

Shape = tuple[int, int]
Group = list[tuple[int, UInt8[np.ndarray, "_h _w c"]]]


class Batch(NamedTuple):
    """Images to be scored together; copies of the first image fill the batch up.

    Attributes:
        places: which images they are.
        images: each at the top left.
        sides: height and width of each on a canvas; None where images fill theirs.
    """

    places: Int[np.ndarray, " k"]
    images: UInt8[np.ndarray, "b h w 3"]
    sides: Int[np.ndarray, "b 2"] | None


def few_shapes(network: nn.Module, images: Iterable[np.ndarray]) -> Iterator[Batch]:
    """Batches of all images (uint8 [h, w, 1 or 3]), in one pass, with few of them in memory."""
    waiting: dict[Shape, Group] = {}
    seen: set[Shape] = set()
    pixels = 0
    for place, image in enumerate(images):
        shape = image.shape[:2]
        seen.add(shape)
        group = waiting.setdefault(shape, [])
        group.append((place, image))
        pixels += image.shape[0] * image.shape[1]
        if len(group) == room(*shape):
            pixels -= len(group) * shape[0] * shape[1]
            yield from _batches(network, {shape: waiting.pop(shape)}, own=True)
        elif pixels > WAITING:
            yield from _batches(network, waiting, own=False)
            waiting, pixels = {}, 0
    yield from _batches(network, waiting, own=len(seen) == 1)


def room(height: int, width: int, most: int = MOST) -> int:
    """The largest batch of images of a size, of `LENGTHS`."""
    allowed = max(1, min(most, min(PIXELS, _pixels_that_fit()) // (height * width)))
    return max(n for n in LENGTHS if n <= allowed)


def in_batches(count: int, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where the batches of so many images begin, and how long each is; copies fill the last.

    Of two programs at most: the largest length as often as it is filled, and of the rest the one
    that holds it, unless half of that or more were copies.

    Example:
        >>> list(in_batches(70, (1, 4, 16, 64))), list(in_batches(21, (1, 4, 16, 64)))
        ([(0, 64), (64, 4), (68, 4)], [(0, 16), (16, 16)])
    """
    whole = count - count % lengths[-1]
    yield from ((start, lengths[-1]) for start in range(0, whole, lengths[-1]))
    if rest := count - whole:
        fitting = (n for n in lengths if rest <= n < 2 * rest)
        length = next(fitting, None) or max(n for n in lengths if n <= rest)
        yield from ((start, length) for start in range(whole, count, length))


@functools.cache
def _pixels_that_fit() -> int:
    """Pixels of a batch for which a CPU's memory suffices; the same ones all through a process."""
    return PIXELS if jax.default_backend() != "cpu" else free_memory() // BYTES


def check_memory(
    network: nn.Module, height: int, width: int, *, bytes_a_pixel: int = BYTES
) -> None:
    """Refuse (ValueError) an image for which a CPU's memory does not suffice.

    The system would end the process otherwise, and all other images with it.
    """
    sides = height, width
    if fits_canvas(network):
        sides = canvas(height, width, network.stride)  # pyright: ignore
    needed = bytes_a_pixel * sides[0] * sides[1]
    if needed < _LITTLE or jax.default_backend() != "cpu":
        return
    if needed > (free := free_memory()):
        raise ValueError(
            f"{height}x{width} pixels take the network some {needed / 2**30:.0f} GiB, and "
            f"{free / 2**30:.1f} GiB of memory are free: crop or shrink it"
        )


def canvas(height: int, width: int, stride: int) -> Shape:
    """The canvas of an image: square unless that were large, or four times the image.

    Example:
        >>> canvas(300, 500, 32), canvas(100, 1000, 32), canvas(3000, 4000, 32)
        ((512, 512), (128, 1024), (3072, 4096))
    """

    def rounded(side: int) -> int:
        steps = -(-side // stride)
        power = 1 << (steps - 1).bit_length()  # the least that is not below
        return stride * (3 * power // 4 if power > 2 and 3 * power // 4 >= steps else power)

    sides = rounded(height), rounded(width)
    if max(sides) ** 2 <= min(PIXELS, 4 * height * width):
        return max(sides), max(sides)
    return sides


def _batches(network: nn.Module, groups: dict[Shape, Group], *, own: bool) -> Iterator[Batch]:
    """Batches of images by size; `own` asks for programs of their own for sizes without one.

    On canvases images go one by one, which is one program for each canvas. What filled a batch up
    would cost as much as images do, and reading files of many sizes takes longer than what a batch
    of them would gain.
    """
    for shape, group in groups.items():
        if _has_own(network, shape, ask=own):
            lengths = [n for n in LENGTHS if n <= room(*shape)]
            for start, length in in_batches(len(group), lengths):
                places, images = zip(*group[start : start + length], strict=True)
                filled = [*images, *images[:1] * (length - len(images))]
                drawn = [np.repeat(image, 3 // image.shape[-1], -1) for image in filled]
                yield Batch(np.array(places), np.stack(drawn), None)
        else:
            drawn = np.zeros((1, *canvas(*shape, network.stride), 3), np.uint8)  # pyright: ignore
            for place, image in group:
                drawn[:, : shape[0], : shape[1]] = image  # gray is repeated
                yield Batch(np.array([place]), drawn, np.array([shape], np.int32))


def _has_own(network: nn.Module, shape: Shape, *, ask: bool) -> bool:
    """Whether images of a size are scored at it; always for networks that know no canvas."""
    if not fits_canvas(network):
        return True
    sizes = _own_sizes(network)  # pyright: ignore[reportArgumentType]
    if ask and len(sizes) < OWN_SIZES:
        sizes.add(shape)
    return shape in sizes


@functools.cache
def _own_sizes(network: nn.Module) -> set[Shape]:
    """The sizes that a network has programs for, of this process."""
    return set()
