"""The published corruptions written out the slow way, for pictures of 224 pixels, with OpenCV.

Each takes uint8 [h, w, 3], a severity, and a `RandomState`; the tables of strengths are those of
the tested code.
"""

import cv2
import numpy as np
from scipy import ndimage

from gan_forensics.data import corruption_blur as blur
from gan_forensics.data.corruption_elastic import ELASTIC
from gan_forensics.data.corruption_spatter import SPATTER
from gan_forensics.data.corruption_weather import FOG, SNOW


def cut(x):
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def gaussian(x, sigma):
    return ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest", truncate=4)


def glass_blur(image, severity, rng):
    """Every pixel in its turn, the later ones first."""
    sigma, d, rounds = blur.GLASS[severity - 1]
    x = cut(gaussian(image / 255, sigma))
    for _ in range(rounds):
        for h in range(x.shape[0] - d, d, -1):
            for w in range(x.shape[1] - d, d, -1):
                dx, dy = rng.randint(-d, d, size=(2,))
                x[h, w] = x[h + dy, w + dx]
    return cut(gaussian(x / 255, sigma))


def defocus_blur(image, severity, rng):
    radius, alias = blur.DEFOCUS[severity - 1]
    reach = max(8, radius)
    x, y = np.meshgrid(*2 * [np.arange(-reach, reach + 1)])
    kernel = np.array(x**2 + y**2 <= radius**2, np.float32)
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), 2 * (3 if radius <= 8 else 5,), sigmaX=alias)
    return cut(cv2.filter2D(image / 255, -1, kernel))


def motion(image, radius, sigma, angle):
    """Tap by tap and pixel by pixel, rounded."""
    taps = range(2 * radius + 1)
    weights = np.exp([-(i**2) / (2 * sigma**2) for i in taps])
    h, w = image.shape[:2]
    total = np.zeros(image.shape)
    for i, weight in zip(taps, weights / weights.sum(), strict=True):
        down, right = (np.ceil(i * f(np.deg2rad(angle)) - 0.5) for f in (np.sin, np.cos))
        rows = np.clip(np.arange(h) + down, 0, h - 1).astype(int)
        columns = np.clip(np.arange(w) + right, 0, w - 1).astype(int)
        total += weight * image[rows][:, columns]
    return np.floor(total + 0.5).astype(np.uint8)


def motion_blur(image, severity, rng):
    return motion(image, *blur.MOTION[severity - 1], rng.uniform(-45, 45))


def zoomed(x, factor):
    side = len(x)
    part = int(np.ceil(side / factor))
    top = (side - part) // 2
    x = ndimage.zoom(x[top : top + part, top : top + part], (factor, factor, 1), order=1)
    trim = (len(x) - side) // 2
    return x[trim : trim + side, trim : trim + side]


def zoom_blur(image, severity, rng):
    x = (image / 255).astype(np.float32)
    end, step = blur.ZOOM[severity - 1]
    factors = np.arange(1, end, step)
    return cut((x + sum(zoomed(x, factor) for factor in factors)) / (len(factors) + 1))


def snow(image, severity, rng):
    mean, deviation, zoom, threshold, radius, sigma, kept = SNOW[severity - 1]
    x = (image / 255).astype(np.float32)
    layer = zoomed(rng.normal(mean, deviation, x.shape[:2])[..., None], zoom)
    layer[layer < threshold] = 0
    layer = motion(cut(layer), radius, sigma, rng.uniform(-135, -45)) / 255
    gray = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    return cut(kept * x + (1 - kept) * np.maximum(x, gray * 1.5 + 0.5) + layer + layer[::-1, ::-1])


def fog(image, severity, rng):
    """The fractal point by point: squares, then diamonds above and beside their middles."""
    strength, decay = FOG[severity - 1]
    size, step, wobble = 256, 256, 100.0
    field = np.zeros((size, size))
    while step > 1:
        half, n = step // 2, size // step
        places = [(half, half), (0, half), (half, 0)]
        around = [
            ((-half, -half), (-half, half), (half, -half), (half, half)),
            *2 * [((-half, 0), (half, 0), (0, -half), (0, half))],
        ]
        for (top, left), beside in zip(places, around, strict=True):
            noise = rng.uniform(-wobble, wobble, (n, n))
            for i in range(n):
                for j in range(n):
                    y, x = top + i * step, left + j * step
                    near = [field[(y + a) % size, (x + b) % size] for a, b in beside]
                    field[y, x] = sum(near) / 4 + wobble * noise[i, j]
        step, wobble = half, wobble / decay
    field = (field - field.min()) / (field.max() - field.min())
    x = image / 255
    x, most = x + strength * field[: x.shape[0], : x.shape[1], None], x.max()
    return cut(x * most / (most + strength))


def spatter(image, severity, rng):
    mean, deviation, sigma, threshold, strength, kind = SPATTER[severity - 1]
    x = (image / 255).astype(np.float32)
    liquid = rng.normal(mean, deviation, x.shape[:2])
    liquid = ndimage.gaussian_filter(liquid, sigma, mode="nearest")
    liquid[liquid < threshold] = 0
    if kind == "mud":
        mask = ndimage.gaussian_filter((liquid > 0).astype(np.float32), strength, mode="nearest")
        mask[mask < 0.8] = 0
        return cut(x * (1 - mask[..., None]) + mask[..., None] * np.array([63, 42, 20]) / 255)
    layer = (liquid * 255).astype(np.uint8)
    mask = layer * relief(layer).astype(np.float32)
    return cut(x + strength * (mask / mask.max())[..., None] * np.array([175, 238, 238]) / 255)


def relief(layer):
    near = cv2.distanceTransform(255 - cv2.Canny(layer, 50, 150), cv2.DIST_L2, 5)
    near = cv2.equalizeHist(cv2.blur(np.minimum(near, 20), (3, 3)).astype(np.uint8))
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    return cv2.blur(cv2.filter2D(near, cv2.CV_8U, kernel), (3, 3))


def elastic_transform(image, severity, rng):
    amplitude, sigma, jitter = ELASTIC[severity - 1]
    x = (image / 255).astype(np.float32)
    side = len(x)
    middle, third = np.full(2, side // 2, np.float32), side // 3
    points = np.array([middle + third, middle + [third, -third], middle - third], np.float32)
    moved = points + rng.uniform(-jitter, jitter, (3, 2)).astype(np.float32)
    matrix = cv2.getAffineTransform(points, moved)
    x = cv2.warpAffine(x, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    right, down = (
        amplitude
        * ndimage.gaussian_filter(rng.uniform(-1, 1, (side, side)), sigma, truncate=3)
        for _ in range(2)
    )  # fmt: skip
    rows, columns = np.indices((side, side))
    place = [rows + down.astype(np.float32), columns + right.astype(np.float32)]
    x = [ndimage.map_coordinates(x[..., c], place, order=1, mode="reflect") for c in range(3)]
    return cut(np.stack(x, -1))
