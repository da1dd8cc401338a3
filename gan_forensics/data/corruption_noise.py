"""Noise of ImageNet-C (Hendrycks and Dietterich, ICLR 2019): Gaussian, shot, impulse, speckle.

uint8 [h, w, c] in and out, severities 1 to 5; every value of a channel has a draw of its own.
"""

import numpy as np
from jaxtyping import Bool

from gan_forensics.data.corruption_scale import Pixels, Rng, levels, unit

GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)
SHOT = (60, 25, 12, 5, 3)
IMPULSE = (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)


def gaussian_noise(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """x + N(0, deviation)."""
    return levels(unit(image) + rng.normal(scale=GAUSSIAN[severity - 1], size=image.shape))


def shot_noise(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """Poisson(c x) / c: c photons for the brightest level."""
    photons = SHOT[severity - 1]
    return levels(rng.poisson(unit(image) * photons) / photons)


def impulse_noise(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """A share of all values becomes black or white, one as often as the other."""
    struck = rng.random(image.shape) <= IMPULSE[severity - 1]
    return struck_by(image, struck, rng.random(image.shape) <= 0.5)


def struck_by(
    image: Pixels, struck: Bool[np.ndarray, "h w c"], white: Bool[np.ndarray, "h w c"]
) -> Pixels:
    """The image with values struck: white or else black."""
    return np.where(struck, np.where(white, 255, 0), image).astype(np.uint8)


def speckle_noise(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """x + x N(0, deviation)."""
    x = unit(image)
    return levels(x + x * rng.normal(scale=SPECKLE[severity - 1], size=image.shape))
