"""SIFT descriptors at given keypoints: by OpenCV, and the same arithmetic in JAX.

Lowe's histogram (IJCV 2004) as OpenCV computes it when keypoints are given and lie in octave 0: the
keypoint is rounded to a whole pixel, gradients are differences of the blurred image, and the
descriptor is brought to norm 512, rounded and cut off at 255. Both functions agree within 1: one
entry in a thousand rounds otherwise. They serve fidelity and comparison; `faces.observe` has the
variant that can be differentiated.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

# OpenCV takes images to have a blur of .5 px already and brings them to 1.6 px.
BLUR = math.sqrt(1.6**2 - 0.5**2)
_HALF = 6


def opencv_sift(
    image: UInt8[np.ndarray, "h w"],
    points: Float[np.ndarray, "k 2"],
    *,
    size: float,
    angle: float = 0.0,
) -> Float[np.ndarray, "k 128"]:
    """Descriptors by `cv2.SIFT.compute`: whole numbers in 0..255.

    Args:
        image: gray levels.
        points: (u, v), to the right and down, in pixels.
        size: diameter of the keypoints; one of the four bins of a side is 1.5 size wide.
        angle: of the keypoints, in degrees, clockwise.

    Raises:
        ImportError: without OpenCV.
        ValueError: if the image is not uint8, or OpenCV returned another number of descriptors.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"OpenCV's descriptors need OpenCV ({error}): pip install 'gan_forensics[opencv]'"
        ) from error
    if image.dtype != np.uint8:
        raise ValueError(f"OpenCV's SIFT takes uint8 images, got {image.dtype}: round to 0..255")
    # An angle that is left out would mean -1 degree. Octave 0: the image is not enlarged.
    keypoints = [cv2.KeyPoint(float(u), float(v), size, angle, octave=0) for u, v in points]
    if not keypoints:
        return np.zeros((0, 128), np.float32)
    found = cv2.SIFT.create().compute(np.ascontiguousarray(image), keypoints)[1]
    if found is None or found.shape != (len(keypoints), 128):
        raise ValueError(
            f"OpenCV found {0 if found is None else len(found)} descriptors for {len(keypoints)} "
            "points; keep the points near the image"
        )
    return found


def base_blur(image: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """The image under SIFT's base blur, its border reflected without repeating the edge.

    The image must measure at least 7 x 7 pixels.
    """
    taps = np.exp(-(np.arange(_HALF + 1) ** 2) / (2 * BLUR**2))
    taps = taps / (taps.sum() + taps[1:].sum())
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (_HALF, _HALF)
        padded = jnp.pad(image, pad, mode="reflect")
        size = image.shape[axis]
        shifted = [
            jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(2 * _HALF + 1)
        ]
        # In pairs: sums that do not change when the image is mirrored.
        image = float(taps[0]) * shifted[_HALF]
        for i in range(1, _HALF + 1):
            image = image + float(taps[i]) * (shifted[_HALF - i] + shifted[_HALF + i])
    return image


def gradients(image: Float[Array, "h w"]) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    """Differences to the right and upwards across two pixels; none at the outermost pixels."""
    right = jnp.pad(image[1:-1, 2:] - image[1:-1, :-2], 1)
    up = jnp.pad(image[:-2, 1:-1] - image[2:, 1:-1], 1)
    return right, up


def sift(
    image: Float[Array, "h w"],
    points: Float[Array, "k 2"],
    *,
    size: float,
    angle: float = 0.0,
) -> Float[Array, "k 128"]:
    """Descriptors as `opencv_sift` computes them, within 1; arguments alike.

    For `jit` and `vmap`; `size` must be static, since it determines how many pixels are read. The
    layout is 4 rows x 4 columns x 8 orientations. Without gradients: it is a staircase.
    """
    width = 1.5 * size
    radius = round(width * math.sqrt(2) * 2.5)
    right, up = gradients(base_blur(image))
    magnitude = jnp.sqrt(right * right + up * up)
    orientation = jnp.arctan2(up, right) * (4 / math.pi)  # in bins, -4..4
    # Wide enough that windows which have left the image see nothing.
    pad = 2 * radius + 1
    padded = [jnp.pad(a, pad) for a in (magnitude, orientation)]

    turn = jnp.asarray(-angle % 360 * (math.pi / 180), image.dtype)
    side = jnp.arange(-radius, radius + 1, dtype=image.dtype)
    down, across = jnp.meshgrid(side, side, indexing="ij")
    row = (across * jnp.sin(turn) + down * jnp.cos(turn)).ravel() / width
    column = (across * jnp.cos(turn) - down * jnp.sin(turn)).ravel() / width
    bins = jnp.arange(4, dtype=image.dtype) - 1.5
    of_row = jnp.maximum(0, 1 - jnp.abs(row[:, None] - bins[None]))
    of_column = jnp.maximum(0, 1 - jnp.abs(column[:, None] - bins[None]))
    gauss = jnp.exp((row * row + column * column) / -8)
    places = (gauss[:, None, None] * of_row[:, :, None] * of_column[:, None]).reshape(-1, 16)

    def histogram(corner):
        levels, angles = (
            jax.lax.dynamic_slice(a, (corner[1], corner[0]), (2 * radius + 1,) * 2).ravel()
            for a in padded
        )
        away = angles[:, None] - turn * (4 / math.pi) - jnp.arange(8, dtype=angles.dtype)[None]
        away = jnp.abs((away + 4) % 8 - 4)
        return places.T @ (levels[:, None] * jnp.maximum(0, 1 - away))

    extent = jnp.asarray(image.shape[::-1])[None]
    whole = jnp.clip(jnp.round(points).astype(jnp.int32), -radius - 1, extent + radius)
    return quantised(jax.lax.map(histogram, whole + pad - radius).reshape(-1, 128))


def quantised(histograms: Float[Array, "k 128"]) -> Float[Array, "k 128"]:
    """Histograms clipped at .2 of their norm, brought to norm 512, and rounded to 0..255."""
    norm = jnp.linalg.norm(histograms, axis=1, keepdims=True)
    clipped = jnp.minimum(histograms, 0.2 * norm)
    norm = jnp.linalg.norm(clipped, axis=1, keepdims=True)
    return jnp.clip(jnp.round(512 * clipped / jnp.maximum(norm, jnp.finfo(norm.dtype).eps)), 0, 255)
