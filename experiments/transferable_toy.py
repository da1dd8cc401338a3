"""A synthetic world whose forensic cue is known: a checkerboard of pure colour, or none.

Real images are smooth random colour fields with a texture shared by the three channels. Generated
ones carry a +-1 pixel checkerboard along a direction without luma, which gray images lose up to
rounding, and are mixed with their own 2x2 nearest-neighbour upsampling, a cue that gray images
keep. Three generators differ in how strong both cues are.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

SIZE = 32
# Luma 0.299 R + 0.587 G + 0.114 B of this direction is 0.
DIRECTION = np.array([1.0, -0.5, -0.048])


class Cue(NamedTuple):
    """Of a generator: amplitude of the colour checkerboard, share of the upsampled image."""

    colour: float
    upsampled: float


GENERATORS = {"A": Cue(0.05, 0.35), "B": Cue(0.04, 0.15), "C": Cue(0.07, 0.25)}
LUMA_ONLY = {name: cue._replace(colour=0.0) for name, cue in GENERATORS.items()}


def real_images(n: int, *, seed: int) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Draw n real images."""
    return _quantised(_scenes(n, np.random.default_rng(seed)))


def generated_images(n: int, cue: Cue, *, seed: int) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Draw n images of a generator; `cue.colour` 0 leaves out the checkerboard."""
    rng = np.random.default_rng(seed)
    x = _scenes(n, rng)
    rows, columns = np.indices((SIZE, SIZE))
    board = np.where((rows + columns) % 2 == 0, 1.0, -1.0)[None, :, :, None]
    strength = rng.uniform(0.6, 1.4, (n, 1, 1, 1))
    x = x + cue.colour * strength * board * DIRECTION.reshape(1, 1, 1, 3)
    coarse = x[:, ::2, ::2].repeat(2, axis=1).repeat(2, axis=2)
    return _quantised((1 - cue.upsampled) * x + cue.upsampled * coarse)


def _scenes(n: int, rng: np.random.Generator) -> Float[np.ndarray, "n 32 32 3"]:
    from scipy.ndimage import gaussian_filter

    shape = (n, SIZE, SIZE)
    mean = rng.uniform(0.3, 0.7, (n, 1, 1, 3))
    fields = gaussian_filter(rng.standard_normal((*shape, 3)), (0, 5, 5, 0), mode="wrap")
    fields *= 0.12 / fields.std()
    texture = gaussian_filter(rng.standard_normal(shape), (0, 1, 1), mode="wrap")
    texture *= 0.06 / texture.std()
    luma = texture + 0.02 * rng.standard_normal(shape)
    return mean + fields + luma[..., None]


def _quantised(x: np.ndarray) -> UInt8[np.ndarray, "*shape"]:
    return np.floor(255 * np.clip(x, 0, 1) + 0.5).astype(np.uint8)
