"""Log-spectrum curves and the classifier features made of them.

The curve of an image is the radial mean of 20 ln|F + 1e-8| over its shifted two-dimensional
spectrum F (Durall et al., CVPR 2020): the log is averaged, not the power, and it is a natural log,
so the unit is not the decibel. The rings are those of frequency (`frequency_bins`), which for
squares are the published ones.

Each function has two paths, chosen by `precision`: "float32" is one jitted JAX function (usable
inside jit), "float64" runs in NumPy on the host. They agree to about 1e-5 of the curve's range
wherever the spectrum stands above the rounding of a float32 transform (1e-7 of its largest value).
"""

import functools
import math
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, UInt8

from gan_forensics.spectra.chunks import over_chunks
from gan_forensics.spectra.gray import as_array, check_images, check_range, in_levels, to_gray
from gan_forensics.spectra.radial import (
    Precision,
    Rings,
    check_precision,
    half_plane_labels,
    segment_mean_matrix,
    segment_means,
    spectrum_bins,
)

Normalise = Literal["min-max", "first", "none"]

# Added to the complex coefficient, not to its magnitude, in all the published code.
EPSILON = 1e-8
# A curve whose span is this small beside its values is that of a constant image plus rounding.
FLAT = 1e-5


def log_spectrum_curve(
    images: Num[Array | np.ndarray, "b h w *c"],
    *,
    normalise: Normalise = "min-max",
    precision: Precision = "float32",
) -> Float[Array | np.ndarray, "b rings"]:
    """Radial mean of the log spectrum of each image (Durall et al., CVPR 2020).

    gray = 0.2989 R + 0.5870 G + 0.1140 B, F = fftshift(fft2(gray)) + 1e-8, curve = radial mean of
    20 ln|F|, then normalised per image.

    Args:
        images: floats [b, h, w, c] in [-1, 1] with c = 1 or 3, or gray maps [b, h, w] of any range;
            or uint8 in [0, 255], or all else that `gan_forensics.data.as_images` takes, where
            colour is rounded to 8-bit gray first.
        normalise: "min-max" maps each curve onto [0, 1] (a flat curve onto 0), "first" divides by
            the first value, "none" leaves 20 ln|F|.
        precision: "float32" in JAX, jitted and differentiable; "float64" in NumPy on the host.

    Returns:
        One curve per image, from low to high frequency: 88 values for 128x128. `ring_radii` says
        at which frequencies.

    Raises:
        ValueError: for other shapes or types, or floats of NumPy in another range (naming the
            mistake), unknown names, or images under 4x4 pixels.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.spectra import ring_radii
        >>> noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
        >>> log_spectrum_curve(noise).shape, ring_radii(16, 16).shape  # a value for each ring
        ((2, 9), (9,))
    """
    images = as_array(images)
    check_images(images)
    check_range(images)
    return curves_of(images, None, normalise, EPSILON, precision, "frequency")


def unmasking_features(
    images: UInt8[Array | np.ndarray, "b h w *c"],
    n: int | None,
    *,
    normalise: Normalise = "first",
    epsilon: float = EPSILON,
    precision: Precision = "float64",
    rings: Rings = "pixels",
) -> Float[Array | np.ndarray, "b n"]:
    """Classifier features of Durall et al. (arXiv 1911.00686): the curve resampled to n values.

    A not-a-knot cubic spline through the curve is read at n equally spaced places, first and last
    included, and the result divided by its first value. The authors take n = 80 for CelebA, 300
    for FaceForensics++ (there without the epsilon on the generated half), and for Faces-HQ neither
    resampling nor normalisation.

    Args:
        images: uint8 [b, h, w] gray or [b, h, w, c]; colour is rounded to 8-bit gray.
        n: number of features, or None to keep the curve's own length.
        normalise: as in `log_spectrum_curve`, applied after resampling.
        epsilon: added to the complex spectrum before the log.
        precision: "float64" in NumPy on the host, "float32" in JAX.
        rings: "pixels" as the authors draw them, which on images that are not square (theirs of
            CelebA are 178x218) are ellipses of frequency; or "frequency". Alike for squares.

    Raises:
        ValueError: for images that are not uint8, n < 1, unknown names, or images with fewer than
            two rings where resampling is asked for.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
        >>> curves = unmasking_features(noise, 4)
        >>> curves.shape, curves[:, 0].tolist()
        ((2, 4), [1.0, 1.0])
    """
    images = in_levels(images, "unmasking features")
    if n is not None and n < 1:
        raise ValueError(f"n is {n}; give a positive number of features, or None for the curve")
    return curves_of(images, n, normalise, epsilon, precision, rings)


def check_normalise(normalise: str) -> None:
    """Refuse an unknown normalisation of curves (ValueError)."""
    if normalise not in get_args(Normalise):
        raise ValueError(f"normalise is {normalise!r}; use 'min-max', 'first' or 'none'")


def curves_of(
    images,
    n: int | None,
    normalise: Normalise,
    epsilon: float,
    precision: Precision,
    rings: Rings,
):
    """`unmasking_features` of images that are known to be right, floats included."""
    check_normalise(normalise)
    check_precision(precision)
    if precision == "float32":
        return _curves_jit(jnp.asarray(images), n, normalise, epsilon, rings)
    curves = _curves_on_host(np.asarray(images), epsilon, rings)
    if n is not None:
        curves = curves @ _resampling(curves.shape[1], n).T
    return normalised(curves, normalise)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _curves_jit(images, n: int | None, normalise: Normalise, epsilon: float, rings: Rings):
    gray = to_gray(images)
    spectrum = jnp.fft.rfft2(gray)
    # 20 ln|F| = 10 ln|F|^2 saves the root; the square stays within float32 for any 8-bit image.
    power = (spectrum.real + epsilon) ** 2 + spectrum.imag**2
    labels = half_plane_labels(spectrum_bins(gray.shape[1], gray.shape[2], rings))
    curves = 10 * segment_means(jnp.log(power).reshape(len(gray), labels[0].size), labels)
    if n is not None:
        curves = curves @ jnp.asarray(_resampling(curves.shape[1], n).T, jnp.float32)
    return normalised(curves, normalise)


def _curves_on_host(images: np.ndarray, epsilon: float, rings: Rings) -> np.ndarray:
    from scipy.fft import rfft2

    check_images(images)
    means = _half_plane_means(*images.shape[1:3], rings)

    def curves(chunk):
        spectrum = np.asarray(rfft2(to_gray(chunk)))
        power = (np.real(spectrum) + epsilon) ** 2 + np.imag(spectrum) ** 2
        return 10 * (means @ np.log(power).reshape(len(chunk), math.prod(power.shape[1:])).T).T

    return over_chunks(curves, images)


@functools.lru_cache(maxsize=16)
def _half_plane_means(h: int, w: int, rings: Rings):
    return segment_mean_matrix(half_plane_labels(spectrum_bins(h, w, rings)))


@functools.lru_cache(maxsize=16)
def _resampling(rings: int, n: int) -> np.ndarray:
    from scipy.interpolate import CubicSpline

    # Interpolation is linear in the values: the splines of the unit vectors are its matrix [n, p].
    if rings < 2:
        raise ValueError("a curve of one ring cannot be resampled; give larger images or n=None")
    spline = CubicSpline(np.linspace(0, n, rings), np.eye(rings))
    return spline(np.linspace(0, n, n))


def normalised(curves: Any, normalise: Normalise) -> Any:
    """Curves [b, rings] of 20 ln|F|, each normalised as `log_spectrum_curve` says."""
    if normalise == "first":
        return curves / curves[:, :1]
    if normalise == "none":
        return curves
    xp = curves.__array_namespace__()
    low, high = curves.min(-1, keepdims=True), curves.max(-1, keepdims=True)
    span = high - low
    flat = span <= FLAT * xp.maximum(xp.abs(low), xp.abs(high))
    scaled = xp.clip((curves - low) / xp.where(flat, 1, span), 0, 1)
    # The ends are set, not computed: a compiler may fuse and round so that the highest value comes
    # out beside 1, and the cross-entropy of two curves weighs an exact 0 or 1 very differently.
    ends = xp.where(curves <= low, 0, xp.where(curves >= high, 1, scaled))
    return xp.where(flat, 0, ends).astype(curves.dtype)
