"""Slow, plain references in float64: each formula as the paper states it, one pixel at a time."""

import math
from fractions import Fraction

import numpy as np
import scipy.interpolate
import scipy.optimize


def radial_mean(image, center=None):
    """Mean per ring floor(distance), innermost and outermost occupied ring left out."""
    h, w = image.shape
    x0, y0 = ((w - 1) / 2, (h - 1) / 2) if center is None else center
    rings = {}
    for y in range(h):
        for x in range(w):
            ring = int(np.floor(np.hypot(x - x0, y - y0)))
            rings.setdefault(ring, []).append(float(image[y, x]))
    return np.array([np.mean(rings[ring]) for ring in sorted(rings)[1:-1]])


def frequency_mean(image):
    """Mean per ring of one frequency step of the longer side; first and last ring left out.

    The map is no square, its zero frequency at the pixel (h // 2, w // 2).
    """
    h, w = image.shape
    rings = {}
    for y in range(h):
        for x in range(w):
            down, across = Fraction(y - h // 2, h), Fraction(x - w // 2, w)
            ring = math.isqrt(math.floor((down**2 + across**2) * max(h, w) ** 2))
            rings.setdefault(ring, []).append(float(image[y, x]))
    return np.array([np.mean(rings[ring]) for ring in sorted(rings)[1:-1]])


def raw_log_curve(gray, epsilon=1e-8, mean=radial_mean):
    """Radial mean of 20 ln|fftshift(fft2(gray)) + epsilon| of one gray image."""
    spectrum = np.fft.fftshift(np.fft.fft2(np.asarray(gray, np.float64))) + epsilon
    return mean(20 * np.log(np.abs(spectrum)))


def min_max(curve):
    """The curve mapped onto [0, 1]."""
    return (curve - curve.min()) / (curve.max() - curve.min())


def resample(curve, n):
    """Not-a-knot cubic spline through the curve, read at n equally spaced places."""
    places = np.linspace(0, n, len(curve))
    return scipy.interpolate.CubicSpline(places, curve)(np.linspace(0, n, n))


def cross_entropy(predicted, target):
    """Binary cross-entropy with logs clamped at -100, averaged."""

    def log(value):
        return max(np.log(value), -100.0) if value > 0 else -100.0

    pairs = zip(np.ravel(predicted), np.ravel(target), strict=True)
    return np.mean([-(t * log(p) + (1 - t) * log(1 - p)) for p, t in pairs])


def dzanic_tail(gray):
    """Radii and smoothed magnitudes of the last 60 of 200 bins (Dzanic et al., released code)."""
    h, w = gray.shape
    magnitude = np.abs(np.fft.fftshift(np.fft.fft2(np.asarray(gray, np.float64))))
    n_y, n_x = int(np.floor(h / 2 + 0.5)), int(np.floor(w / 2 + 0.5))
    y, x = np.mgrid[1 : h + 1, 1 : w + 1]
    radius = np.sqrt((y - n_y) ** 2.0 + (x - n_x) ** 2.0)
    kept = radius > 0.5 * np.sqrt(n_y**2 + n_x**2)
    radius, magnitude = radius[kept], magnitude[kept]
    edges = np.linspace(radius.min(), radius.max(), 201)
    centres, values = [], []
    for j in range(200):
        inside = (radius > edges[j]) & (radius <= edges[j + 1])
        if j == 0:
            inside |= radius == edges[0]
        centres.append((edges[j] + edges[j + 1]) / 2)
        values.append(magnitude[inside].mean() if inside.any() else np.nan)
    smoothed = smooth(np.array(values))
    return np.array(centres)[140:] / centres[-1], smoothed[140:]


def smooth(values):
    """MATLAB's smooth(y, 5): moving average, or local regression everywhere if a value is NaN."""
    n = len(values)
    if not np.isnan(values).any():
        reach = [min(i, n - 1 - i, 2) for i in range(n)]
        return np.array([values[i - r : i + r + 1].mean() for i, r in enumerate(reach)])
    known = np.flatnonzero(~np.isnan(values))
    result = []
    for i in range(n):
        five = sorted(known, key=lambda k: abs(k - i))[:5]
        d = np.abs(np.array(five) - i)
        weight = (1 - (d / d.max()) ** 3) ** 3
        slope, level = np.polyfit(np.array(five) - i, values[five], 1, w=np.sqrt(weight))
        result.append(level)
    return np.array(result)


def dzanic_objective(b, x, y, fit):
    """Norm of y - y_i (x/x_i)^b: of the broadcast matrix ("released") or of the vector."""
    f = y[0] * (x / x[0]) ** b
    if fit == "released":
        return np.linalg.svd(y[:, None] - f[None, :], compute_uv=False)[0]
    return np.linalg.norm(y - f)


def dzanic_exponent(x, y, fit):
    """Minimiser of the objective: a grid, then a bounded search around its best point."""
    grid = np.arange(-30, 30, 0.5)
    best = grid[np.argmin([dzanic_objective(b, x, y, fit) for b in grid])]
    found = scipy.optimize.minimize_scalar(
        dzanic_objective,
        bounds=(best - 0.6, best + 0.6),
        args=(x, y, fit),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return found.x


def dct2(image):
    """Orthonormal DCT-II of a square or rectangular map by its cosine sums."""

    def basis(n):
        k, i = np.mgrid[:n, :n]
        rows = np.cos(np.pi * (2 * i + 1) * k / (2 * n)) * np.sqrt(2 / n)
        rows[0] /= np.sqrt(2)
        return rows

    return basis(image.shape[0]) @ image @ basis(image.shape[1]).T


def autogan_spectrum(image):
    """AutoGAN's input of one uint8 image [h, w, c] with h, w >= 224."""
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    channels = []
    for c in range(image.shape[2]):
        crop = image[top : top + 224, left : left + 224, c] / 255.0
        log = np.log(np.abs(np.fft.fft2(crop)) + 1e-3)
        low, high = np.percentile(log, 5), np.percentile(log, 95)
        channels.append(np.clip(((log - low) / (high - low) - 0.5) * 2, -1, 1))
    return np.stack(channels, -1)


def bilinear_line(values):
    """Linear interpolation n -> 2n with aligned end points."""
    n = len(values)
    return np.interp(np.linspace(0, n - 1, 2 * n), np.arange(n), values)
