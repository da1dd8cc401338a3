"""Gaussian, defocus, glass, motion and zoom blur of ImageNet-C (Hendrycks and Dietterich, 2019).

uint8 [h, w, c] in and out, severities 1 to 5. Lengths follow `corruption_scale`.
"""

import math

import numpy as np
from jaxtyping import Float

from gan_forensics.data.corruption_scale import Pixels, Rng, integers, levels, scale_of, unit

GAUSSIAN = (1, 2, 3, 4, 6)
# Radius of the disk, and the deviation of the Gaussian that smooths its rim.
DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
# Deviation of the blurs, reach of the shuffling, rounds of it.
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
# Radius and deviation.
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
# One past the largest factor, and the steps that lead there from 1.
ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
# What a sum of rounded shares may lack of a whole level.
ROUNDING = 1e-9


def gaussian_blur(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """A Gaussian, cut off at four deviations, the border's pixels repeated outside."""
    return levels(_gaussian(unit(image), GAUSSIAN[severity - 1] * scale_of(image.shape)))


def _gaussian(x: Float[np.ndarray, "h w c"], sigma: float) -> Float[np.ndarray, "h w c"]:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(x, (sigma, sigma, 0), mode="nearest", truncate=4.0)


def defocus_blur(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """A disk with a smoothed rim, mirrored at the border's pixels."""
    from scipy.signal import oaconvolve

    kernel = scaled_kernel(disk(*DEFOCUS[severity - 1]), scale_of(image.shape))
    reach = len(kernel) // 2
    x = np.pad(unit(image), ((reach, reach), (reach, reach), (0, 0)), "reflect")
    return levels(oaconvolve(x, kernel[..., None], mode="valid", axes=(0, 1)) + ROUNDING)


def disk(radius: int, alias: float) -> Float[np.ndarray, "k k"]:
    """The disk of a lens out of focus, Gaussian-smoothed with 3 taps, beyond a radius of 8 with 5.

    Its sum is 1, but where the disk touches the rim of its grid the published smoothing mirrors
    some of it back: 1.013 for a radius of 8, 1.011 for 10. The two strongest brighten by as much.
    """
    from scipy.ndimage import correlate1d

    reach = max(8, radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    flat = (x**2 + y**2 <= radius**2).astype(float)
    flat /= flat.sum()
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    rim = np.exp(-(taps**2) / (2 * alias**2))
    for axis in (0, 1):
        flat = correlate1d(flat, rim / rim.sum(), axis, mode="mirror")
    return flat


def scaled_kernel(kernel: Float[np.ndarray, "k k"], scale: float) -> Float[np.ndarray, "m m"]:
    """A kernel on a grid `scale` times as fine as its own; what lies in a cell stays together."""
    if scale == 1:
        return kernel
    reach = len(kernel) // 2
    wide = math.ceil((reach + 0.5) * scale - 0.5)
    cells = np.arange(-wide, wide + 1)[:, None]
    given = np.arange(-reach, reach + 1)
    high = np.minimum(cells + 0.5, (given + 0.5) * scale)
    low = np.maximum(cells - 0.5, (given - 0.5) * scale)
    share = np.maximum(high - low, 0) / scale
    return share @ kernel @ share.T


def glass_blur(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """Blurred, its pixels shuffled near by, and blurred again.

    The published exchange of two pixels copies one over the other; so does this. Steps are drawn
    in pixels of the published size and then scaled and rounded: in small images few pixels move.
    """
    sigma, reach, rounds = GLASS[severity - 1]
    scale = scale_of(image.shape)
    blurred = levels(_gaussian(unit(image), sigma * scale))
    height, width = image.shape[:2]
    border = math.ceil(reach * scale)
    rows, columns = np.meshgrid(
        np.arange(height - border, border, -1), np.arange(width - border, border, -1),
        indexing="ij",
    )  # fmt: skip
    came_from = list(range(height * width))
    to = (rows * width + columns).ravel().tolist()
    for _ in range(rounds):
        steps = integers(rng, -reach, reach, (rows.size, 2)).reshape(*rows.shape, 2)
        right, down = np.moveaxis(np.rint(steps * scale).astype(int), -1, 0)
        source = np.clip(rows + down, 0, height - 1) * width
        source += np.clip(columns + right, 0, width - 1)
        # Pixel after pixel: what was copied may be copied on.
        for there, here in zip(to, source.ravel().tolist(), strict=True):
            came_from[there] = came_from[here]
    shuffled = blurred.reshape(height * width, -1)[came_from].reshape(image.shape)
    return levels(_gaussian(unit(shuffled), sigma * scale))


def motion_blur(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """One-sided Gaussian weights along a line of -45 to 45 degrees."""
    radius, sigma = MOTION[severity - 1]
    scale = scale_of(image.shape)
    return moved(image, radius * scale, sigma * scale, rng.uniform(-45, 45))


def moved(image: Pixels, radius: float, sigma: float, angle: float) -> Pixels:
    """Motion blur as ImageMagick does it, rounded to whole levels.

    2 ceil(radius) + 1 taps of weight exp(-i^2 / (2 sigma^2)); tap i is the image shifted by
    (ceil(i sin - 0.5), ceil(i cos - 0.5)) pixels, the border's pixels repeated outside.

    Args:
        image: uint8.
        radius: in pixels.
        sigma: deviation in pixels.
        angle: in degrees; 0 is along the rows.
    """
    taps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    weights /= weights.sum()
    radians = math.radians(angle)
    down = np.ceil(taps * math.sin(radians) - 0.5).astype(int)
    right = np.ceil(taps * math.cos(radians) - 0.5).astype(int)
    height, width = image.shape[:2]
    reach = len(taps)
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), "edge")
    total = np.zeros(image.shape)
    for weight, y, x in zip(weights, reach + down, reach + right, strict=True):
        total += weight * padded[y : y + height, x : x + width]
    return np.floor(total + 0.5).astype(np.uint8)


def zoom_blur(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """The mean of the image and of its middle, enlarged more and more."""
    end, step = ZOOM[severity - 1]
    factors = np.arange(1, end, step)
    x = unit(image).astype(np.float32)
    total = x.copy()
    for factor in factors:
        total += zoomed(x, factor)
    return levels(total / (len(factors) + 1))


def zoomed(x: Float[np.ndarray, "h w c"], factor: float) -> Float[np.ndarray, "h w c"]:
    """The middle enlarged by a factor of at least 1, linearly, its corners kept, and cut."""
    for axis in (0, 1):
        first, second, weight = zoom_places(x.shape[axis], factor)
        weight = weight.astype(x.dtype).reshape((-1, 1, 1) if axis == 0 else (-1, 1))
        low = np.take(x, first, axis)
        x = low + weight * (np.take(x, second, axis) - low)
    return x


def zoom_places(side: int, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the pixels of an enlarged side come from: two indices, and the weight of the second."""
    part = math.ceil(side / factor)
    size = round(part * factor)
    cut = (size - side) // 2
    place = np.arange(cut, cut + side) * ((part - 1) / max(size - 1, 1))
    first = np.minimum(place.astype(int), part - 1)
    start = (side - part) // 2
    return start + first, start + np.minimum(first + 1, part - 1), place - first
