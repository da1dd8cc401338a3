"""Toy photographs of any size: dead leaves through a lens, a sensor and a demosaicing, and JPEG.

They have what makes photographs of several sizes differ for a detector: one scene model, of which a
larger picture shows more pixels of the same things. Generated ones are scenes of half the size that
a transposed convolution enlarges, whose kernel leaves its grid. Any part of a picture is made by
itself, with the pixels that it has in the whole: a picture of 48 megapixels of which a few tiles
are looked at costs these tiles.
"""

import io
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter

# Of the scene: discs, and the smallest and largest radius as shares of the shorter side.
DISCS, RADII = 1500, (0.004, 0.4)
# Deviation of the lens's blur in pixels, noise of the sensor in levels, qualities of JPEG.
LENS, NOISE, QUALITIES = (0.5, 1.0), (1.0, 4.0), (85, 97)
# What surrounds a part while it is made: more than blur, demosaicing and JPEG reach.
_MARGIN = 16
# Noise is drawn for squares of this side, each from a seed of its own.
_BLOCK = 64


def _texture(side: int = 1024) -> np.ndarray:
    """A field whose amplitude falls as 1/f, of a deviation of 6 levels; it repeats."""
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    f[0, 0] = np.inf
    noise = np.random.default_rng(0).standard_normal((side, side))
    field = np.fft.irfft2(np.fft.rfft2(noise) / f)
    return (6 * field / field.std()).astype(np.float32)


GRAIN = _texture()


@dataclass(frozen=True, eq=False)
class ToyPhotograph:
    """A picture of which any part can be made.

    Attributes:
        height, width: in pixels, multiples of 16.
        seed: of all that is drawn.
        generated: whether it is enlarged from a scene of half the size.
    """

    height: int
    width: int
    seed: int
    generated: bool = False
    discs: np.ndarray = field(init=False, repr=False)
    colours: np.ndarray = field(init=False, repr=False)
    rest: dict = field(init=False, repr=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        half = 2 if self.generated else 1
        height, width = self.height // half, self.width // half
        low, high = (share * min(height, width) for share in RADII)
        # As many of each octave of areas: radii fall as 1/r^3, largest first.
        radii = np.sort(1 / np.sqrt(rng.uniform(1 / high**2, 1 / low**2, DISCS)))[::-1]
        places = rng.uniform(0, 1, (DISCS, 2)) * (width, height)
        boxes = np.concatenate([places - radii[:, None], places + radii[:, None]], 1)
        object.__setattr__(self, "discs", np.rint(boxes).astype(int))
        object.__setattr__(self, "colours", rng.integers(10, 246, (DISCS + 1, 3)))
        rest = {
            "lens": rng.uniform(*LENS), "noise": rng.uniform(*NOISE),
            "quality": int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)),
            "grain": rng.integers(0, len(GRAIN), 2),
        }  # fmt: skip
        object.__setattr__(self, "rest", rest)

    def whole(self) -> bytes:
        """The file."""
        return self._jpeg(0, 0, self.height, self.width)

    def part(self, top: int, left: int, side: int) -> UInt8[np.ndarray, "side side 3"]:
        """A square as it is in the file, at multiples of 16."""
        y, x = max(0, top - _MARGIN), max(0, left - _MARGIN)
        bottom = min(self.height, top + side + _MARGIN)
        right = min(self.width, left + side + _MARGIN)
        with Image.open(io.BytesIO(self._jpeg(y, x, bottom, right)), formats=["JPEG"]) as opened:
            pixels = np.asarray(opened)  # our own bytes
        return pixels[top - y : top - y + side, left - x : left - x + side]

    def _jpeg(self, top: int, left: int, bottom: int, right: int) -> bytes:
        half = 2 if self.generated else 1
        # A margin is made and cut off again, but at the borders of the picture.
        box = [
            max(0, top // half - _MARGIN), max(0, left // half - _MARGIN),
            min(self.height // half, bottom // half + _MARGIN),
            min(self.width // half, right // half + _MARGIN),
        ]  # fmt: skip
        pixels = self._scene(*box)
        grain = self._grain(*box)
        pixels = pixels + grain[..., None] + self.rest["noise"] * self._noise(*box)
        made = _enlarged(pixels) if self.generated else _demosaiced(pixels, box[0], box[1])
        y, x = top - half * box[0], left - half * box[1]
        made = made[y : y + bottom - top, x : x + right - left]
        stream = io.BytesIO()
        picture = Image.fromarray(np.clip(np.rint(made), 0, 255).astype(np.uint8))
        picture.save(stream, "JPEG", quality=self.rest["quality"])
        return stream.getvalue()

    def _scene(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """Discs over one another, blurred by the lens."""
        more = _MARGIN
        picture = Image.new(
            "RGB", (right - left + 2 * more, bottom - top + 2 * more),
            tuple(self.colours[-1].tolist()),
        )  # fmt: skip
        draw = ImageDraw.Draw(picture)
        moved = self.discs - np.array([left - more, top - more] * 2)
        seen = (moved[:, 2:] >= 0).all(1) & (moved[:, :2] < picture.size).all(1)
        for box, colour in zip(moved[seen].tolist(), self.colours[:-1][seen].tolist(), strict=True):
            draw.ellipse(box, fill=tuple(colour))
        if not self.generated:
            picture = picture.filter(ImageFilter.GaussianBlur(self.rest["lens"]))
        return np.asarray(picture)[more:-more, more:-more].astype(np.float32)

    def _grain(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        rows, columns = (
            (np.arange(*span) + start) % len(GRAIN)
            for span, start in zip(((top, bottom), (left, right)), self.rest["grain"], strict=True)
        )
        return GRAIN[rows][:, columns]

    def _noise(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """Of every block the same, whatever part is made."""
        y, x = top // _BLOCK, left // _BLOCK
        rows = [
            np.concatenate(
                [self._block(row, column) for column in range(x, -(-right // _BLOCK))], 1
            )
            for row in range(y, -(-bottom // _BLOCK))
        ]
        every = np.concatenate(rows)
        y, x = top - y * _BLOCK, left - x * _BLOCK
        return every[y : y + bottom - top, x : x + right - left]

    def _block(self, row: int, column: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, row, column])
        return rng.standard_normal((_BLOCK, _BLOCK, 3), np.float32)


def _demosaiced(pixels: np.ndarray, top: int, left: int) -> np.ndarray:
    """What is left of colours where each pixel measured one, by the mean of its neighbours."""
    height, width, _ = pixels.shape
    rows = (np.arange(height) + top)[:, None] % 2
    columns = (np.arange(width) + left)[None] % 2
    made = np.empty_like(pixels)
    for channel, known in enumerate(
        (rows + columns == 0, rows + columns == 1, (rows == 1) & (columns == 1))
    ):
        mask = known.astype(np.float32)
        made[..., channel] = _tent(pixels[..., channel] * mask) / _tent(mask)
    return made


def _tent(x: np.ndarray) -> np.ndarray:
    """Binomial 3x3 weights, zeros beyond the border."""
    padded = np.pad(x, ((1, 1), (0, 0)))
    x = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    padded = np.pad(x, ((0, 0), (1, 1)))
    return padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """Twice the size: a pixel, and the mean of it and the next one, of which the gains differ."""
    for axis in (0, 1):
        following = np.concatenate(
            [np.take(pixels, range(1, pixels.shape[axis]), axis), np.take(pixels, [-1], axis)], axis
        )
        both = np.stack([1.03 * pixels, 0.97 * 0.5 * (pixels + following)], axis + 1)
        pixels = both.reshape([n * (2 if a == axis else 1) for a, n in enumerate(pixels.shape)])
    return pixels
