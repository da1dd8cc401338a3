"""Toy photographs of any size: dead leaves through a lens, a sensor and a demosaicing, and JPEG.

They have what makes photographs of several sizes differ for a detector: one scene model, of which a
larger picture shows more pixels of the same things. Generated ones are scenes of half the size that
a transposed convolution enlarges, whose kernel leaves its grid.
"""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter

# Of the scene: discs, and the smallest and largest radius as shares of the shorter side.
DISCS, RADII = 1500, (0.004, 0.4)
# Deviation of the lens's blur in pixels, noise of the sensor in levels, qualities of JPEG.
LENS, NOISE, QUALITIES = (0.5, 1.0), (1.0, 4.0), (85, 97)
_STRIP = 256


def scene(height: int, width: int, rng: np.random.Generator) -> Image.Image:
    """Discs of all sizes over one another, each pixel with a little texture."""
    picture = Image.new("RGB", (width, height), tuple(rng.integers(40, 216, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    low, high = (share * min(height, width) for share in RADII)
    # As many of each octave of areas: radii fall as 1/r^3, largest first.
    radii = np.sort(1 / np.sqrt(rng.uniform(1 / high**2, 1 / low**2, DISCS)))[::-1]
    places = rng.uniform(0, 1, (DISCS, 2)) * (width, height)
    colours = rng.integers(10, 246, (DISCS, 3))
    for (x, y), radius, colour in zip(places, radii, colours.tolist(), strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colour))
    return picture


def texture(rng: np.random.Generator, side: int = 1024) -> np.ndarray:
    """A field whose amplitude falls as 1/f, of a deviation of 6 levels; it repeats."""
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    f[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) / f)
    return (6 * field / field.std()).astype(np.float32)


def photograph(
    height: int, width: int, rng: np.random.Generator, *, generated: bool = False
) -> bytes:
    """The bytes of a JPEG.

    Args:
        height, width: in pixels, even numbers.
        rng: draws everything.
        generated: enlarge a scene of half the size.
    """
    half = 2 if generated else 1
    picture = scene(height // half, width // half, rng)
    grain = texture(rng)
    lens, noise = rng.uniform(*LENS), rng.uniform(*NOISE)
    strips = []
    if not generated:
        picture = picture.filter(ImageFilter.GaussianBlur(lens))
    pixels = np.asarray(picture)
    for top in range(0, pixels.shape[0], _STRIP):
        part = pixels[max(0, top - 2) : top + _STRIP + 2].astype(np.float32)
        rows = (np.arange(len(part)) + max(0, top - 2)) % len(grain)
        columns = np.arange(part.shape[1]) % len(grain)
        part += grain[rows][:, columns, None]
        part += noise * rng.standard_normal(part.shape, np.float32)
        part = _enlarged(part) if generated else _demosaiced(part, max(0, top - 2) % 2)
        first = half * min(2, top)
        part = part[first : first + half * _STRIP]
        strips.append(np.clip(np.rint(part), 0, 255).astype(np.uint8))
    stream = io.BytesIO()
    made = Image.fromarray(np.concatenate(strips)[:height])
    made.save(stream, "JPEG", quality=int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)))
    return stream.getvalue()


def _demosaiced(part: np.ndarray, odd: int) -> np.ndarray:
    """What is left of colours where each pixel measured one, by the mean of its neighbours."""
    height, width, _ = part.shape
    made = np.empty_like(part)
    rows, columns = (np.arange(height) + odd)[:, None] % 2, np.arange(width)[None] % 2
    for channel, known in enumerate(
        (rows + columns == 0, rows + columns == 1, (rows == 1) & (columns == 1))
    ):
        mask = known.astype(np.float32)
        made[..., channel] = _tent(part[..., channel] * mask) / _tent(mask)
    return made


def _tent(x: np.ndarray) -> np.ndarray:
    """Binomial 3x3 weights, zeros beyond the border."""
    padded = np.pad(x, ((1, 1), (0, 0)))
    x = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    padded = np.pad(x, ((0, 0), (1, 1)))
    return padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]


def _enlarged(part: np.ndarray) -> np.ndarray:
    """Twice the size: zeros between the pixels, then three taps, of which the sums differ."""
    for axis in (0, 1):
        near = 0.5 * (part + np.roll(part, -1, axis))
        part = np.stack([1.03 * part, 0.97 * near], axis + 1).reshape(
            [n * (2 if a == axis else 1) for a, n in enumerate(part.shape)]
        )
    return part


def crops(
    n: int,
    side: int,
    sizes: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    *,
    each: int,
    generated: bool = False,
) -> UInt8[np.ndarray, "k side side 3"]:
    """Squares, k = n * each, of n photographs of several sizes, at corners of JPEG's blocks."""
    found = []
    for number in range(n):
        height, width = sizes[number % len(sizes)]
        content = photograph(height, width, rng, generated=generated)
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as opened:  # our own bytes
            image = np.asarray(opened)
        for _ in range(each):
            top, left = (int(rng.integers(0, n - side + 1)) // 16 * 16 for n in (height, width))
            found.append(image[top : top + side, left : left + side].copy())
    return np.stack(found)
