"""Fog and snow of ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

uint8 [h, w, c] in and out, severities 1 to 5. Maps are made and scaled as in `corruption_scale`.
"""

import numpy as np

from gan_forensics.data.corruption_blur import moved, zoomed
from gan_forensics.data.corruption_scale import (
    Map,
    Pixels,
    Rng,
    at_own_size,
    levels,
    published_shape,
    unit,
)

# Strength, and the decay of the fractal.
FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
FOG_MAP = 256
# Mean, deviation, zoom and threshold of the flakes; radius and deviation of their motion; share of
# the image that is not whitened.
SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def fog(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """A fractal is added; then all is scaled so that the brightest level could stay."""
    strength, decay = FOG[severity - 1]
    x = unit(image)
    field = fractal(decay, rng)
    height, width = published_shape(image.shape)
    # The fractal repeats itself: it goes on where an image is longer than the map.
    field = field[np.arange(height)[:, None] % FOG_MAP, np.arange(width) % FOG_MAP]
    brightest = x.max()
    x = x + strength * at_own_size(field, image.shape)[..., None]
    return levels(x * brightest / (brightest + strength))


def fractal(decay: float, rng: Rng, size: int = FOG_MAP) -> Map:
    """The diamond-square fractal of a torus, [size, size] in [0, 1].

    Args:
        decay: by which the wobble falls from octave to octave. What is added is wobble times
            U(-wobble, wobble): it falls by the square of the decay.
        rng: of the draws.
        size: a power of two.
    """
    field = np.zeros((size, size))
    step, wobble = size, 100.0
    while step >= 2:
        half = step // 2
        corners, centres = field[::step, ::step], field[half::step, half::step]

        def drawn(total: Map, wobble: float = wobble) -> Map:
            return total / 4 + wobble * rng.uniform(-wobble, wobble, total.shape)

        sides = corners + np.roll(corners, -1, 0)
        centres[:] = drawn(sides + np.roll(sides, -1, 1))
        across, down = corners + np.roll(corners, -1, 1), corners + np.roll(corners, -1, 0)
        field[::step, half::step] = drawn(centres + np.roll(centres, 1, 0) + across)
        field[half::step, ::step] = drawn(centres + np.roll(centres, 1, 1) + down)
        step, wobble = half, wobble / decay
    field -= field.min()
    return field / field.max()


def snow(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """The image whitened, and flakes that fall at -135 to -45 degrees, twice."""
    mean, deviation, zoom, threshold, radius, sigma, kept = SNOW[severity - 1]
    flakes = zoomed(rng.normal(mean, deviation, published_shape(image.shape))[..., None], zoom)
    flakes = np.where(flakes < threshold, 0, flakes)
    fallen = moved(levels(flakes), radius, sigma, rng.uniform(-135, -45))
    layer = at_own_size(unit(fallen)[..., 0], image.shape)[..., None]
    x = unit(image).astype(np.float32)
    gray = x @ LUMA if image.shape[-1] == 3 else x[..., 0]
    whitened = kept * x + (1 - kept) * np.maximum(x, gray[..., None] * 1.5 + 0.5)
    return levels(whitened + layer + np.rot90(layer, 2))
