"""Domains that can be translated into each other, drawn: nothing is downloaded.

A soft disc lies on a textured ground. The disc is red, green or blue; the ground is tinted warm or
cool, and striped (upright, more or less) or spotted. Stripes and spots have the same contrast, mean
colour and radial power spectrum in expectation: what tells them apart is texture, no tint and no
frequency.
"""

import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.data.formats import part_of
from gan_forensics.data.sources import ArraySource

EXCLUSIVE = ("red", "green", "blue")
ATTRIBUTES = (*EXCLUSIVE, "warm", "striped")

# Colours from mid-gray, on the scale of [-1, 1]: of discs in the order of `EXCLUSIVE`, and of warm
# grounds; cool ones have the opposite.
_DISC = np.array([[0.75, -0.45, -0.30], [-0.55, 0.60, -0.05], [-0.35, -0.15, 0.50]])
_WARM = np.array([0.28, 0.0, -0.28])
# Amplitude falls as 1/f^1.5 in the shading of everything, as in `toy:powerlaw`.
_SHADING, _EXPONENT = 0.18, 1.5
# Cycles per pixel of the texture, by its log-normal middle and spread, and its contrast.
_FREQUENCY, _SPREAD, _CONTRAST = 0.15, 0.12, 0.25
# In radians: how far the power of stripes spreads around their direction, and that around upright.
_ANGLES, _TILT = 0.16, 0.25


def domains(n: int, size: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw images of all domains, each as likely as the others.

    Args:
        n: how many.
        size: side in pixels, at least 16.
        seed: of numpy's default generator.

    Returns:
        "image" uint8 [n, size, size, 3] and "attributes" float32 [n, 5], in the order of
        `ATTRIBUTES`.

    Raises:
        ValueError: for n < 1, a size below 16 or a negative seed.
    """
    if n < 1 or size < 16 or seed < 0:
        raise ValueError(
            f"toy:domains needs n of at least 1, size of at least 16 and seed of at least 0, got "
            f"n={n}, size={size}, seed={seed}"
        )
    images = np.empty((n, size, size, 3), np.uint8)
    attributes = np.zeros((n, len(ATTRIBUTES)), np.float32)
    for row, child in enumerate(np.random.SeedSequence(seed).spawn(n)):
        rng = np.random.default_rng(child)
        colour, warm, striped = rng.integers(3), rng.integers(2), rng.integers(2)
        attributes[row, colour], attributes[row, 3:] = 1, (warm, striped)
        images[row] = _draw(rng, size, _DISC[colour], bool(warm), bool(striped))
    return {"image": images, "attributes": attributes}


def _draw(
    rng: np.random.Generator, size: int, disc: Float[np.ndarray, "3"], warm: bool, striped: bool
) -> UInt8[np.ndarray, "s s 3"]:
    f_y, f_x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    f = np.hypot(f_y, f_x)
    f[0, 0] = np.inf  # nothing at the mean
    shading = _field(rng, f**-_EXPONENT)
    band = np.exp(-0.5 * (np.log(f / _FREQUENCY) / _SPREAD) ** 2)
    angle = rng.normal(0, _TILT)
    if striped:
        off = np.angle(np.exp(2j * (np.arctan2(f_y, f_x) - angle))) / 2
        band = band * np.exp(-0.5 * (off / _ANGLES) ** 2)
    texture = _field(rng, band)
    centre, radius = rng.uniform(0.35, 0.65, 2) * size, rng.uniform(0.18, 0.3) * size
    y, x = np.arange(size)[:, None] + 0.5 - centre[0], np.arange(size) + 0.5 - centre[1]
    cover = 1 / (1 + np.exp(1.5 * (np.hypot(y, x) - radius)))
    tint = (1 if warm else -1) * _WARM * rng.uniform(0.7, 1.3) + rng.normal(0, 0.05, 3)
    ground = tint + (_CONTRAST * texture)[..., None]
    inside = disc * rng.uniform(0.8, 1.2) + rng.normal(0, 0.05, 3)
    pixels = ground + cover[..., None] * (inside - ground) + (_SHADING * shading)[..., None]
    return np.clip(np.floor(127.5 * (pixels + 1) + 0.5), 0, 255).astype(np.uint8)


def _field(
    rng: np.random.Generator, amplitude: Float[np.ndarray, "s r"]
) -> Float[np.ndarray, "s s"]:
    """A Gaussian field of an amplitude spectrum, of unit variance."""
    size = len(amplitude)
    field = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((size, size))) * amplitude, s=(size, size)
    )
    return field / field.std()


def open_domains(*, size: int, split: str, n: int = 4000, seed: int = 0) -> ArraySource:
    """The source `toy:domains`: `domains` divided at random, with the names of its attributes."""
    source = part_of(domains(n, size, seed=seed), split)
    source.attributes, source.exclusive = ATTRIBUTES, EXCLUSIVE  # pyright: ignore
    return source
