"""Fitting a wireframe face to the landmarks of one image, or to a face box.

Pose b, shape sigma and animation alpha minimise

    sum_i w_i |y_i - pi(g(sigma, alpha)_v(i); b)|^2 + lambda^2 (|sigma|^2 + |alpha|^2)

over the points i that the model has a vertex v(i) for, with lambda = 2 pixels (this project's
reconstruction of the first step of Tran et al. 2013). Gauss-Newton with a trust region, in float64,
from the pose that a scaled orthographic fit of the neutral face gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import least_squares

from gan_forensics.faces.camera import camera as camera_named
from gan_forensics.faces.camera import euler_angles
from gan_forensics.faces.candide import default_units
from gan_forensics.faces.wireframe import LANDMARKS, Wireframe, deform

# Pixels that a unit of a parameter costs.
DAMPING = 2.0
# The outline of the jaw: its points slide along the cheek as the head turns, no vertex does.
CONTOUR = range(17)
CONTOUR_WEIGHT = 0.05
# Fewer points leave the shape to the damping alone; a pose needs four that are not in a line.
_FEWEST = 6


@dataclass(frozen=True, eq=False)
class Fit:
    """A face fitted to one image.

    Attributes:
        pose: [6] pitch, yaw, roll in radians, place of the model's origin in pixels, pixels per
            model unit there.
        shape: [s] parameters of all shape units.
        animation: [a] parameters of the chosen animation units, in the order of `units`.
        units: their indices among the model's animation units.
        residual: [68] distance in pixels of each point from where the fit has it; NaN where the
            model has no vertex or the point was missing.
    """

    pose: Float64[np.ndarray, "6"]
    shape: Float64[np.ndarray, " s"]
    animation: Float64[np.ndarray, " a"]
    units: tuple[int, ...]
    residual: Float64[np.ndarray, "68"]


def fit_landmarks(
    wireframe: Wireframe,
    points: Float64[np.ndarray, "68 2"],
    *,
    image_size: tuple[int, int],
    units: Sequence[int] | None = None,
    weights: Float64[np.ndarray, "68"] | None = None,
    camera: str = "weak-perspective",
    damping: float = DAMPING,
) -> Fit:
    """Fit pose, shape and animation to 68 points of one image.

    Args:
        wireframe: from `load_wireframe`.
        points: (u, v) in pixels in the order of the 68-point scheme; NaN where a point is missing.
        image_size: width and height in pixels, for the pinhole camera's centre and focal length.
        units: indices of the animation units that may move; by default `DEFAULT_UNITS`.
        weights: of the points' squared distances, 0 or more; by default 1, and `CONTOUR_WEIGHT`
            for the outline of the jaw.
        camera: "weak-perspective" or "pinhole".
        damping: lambda, in pixels per unit of a parameter; more than 0.

    Raises:
        ValueError: for points of another shape, too few points that the model has, points that all
            lie in one place, negative weights, no damping, an unknown camera or unit.
    """
    points = np.asarray(points, np.float64)
    if points.shape != (LANDMARKS, 2):
        raise ValueError(
            f"points have shape {list(points.shape)}; give {LANDMARKS} rows of (u, v), with NaN "
            "for those that are missing"
        )
    if not damping > 0:
        raise ValueError(f"damping is {damping:g}; give pixels per unit, more than 0")
    if weights is None:
        weights = np.ones(LANDMARKS)
        weights[list(CONTOUR)] = CONTOUR_WEIGHT
    weights = np.asarray(weights, np.float64)
    if weights.shape != (LANDMARKS,) or not (weights >= 0).all() or np.isinf(weights).any():
        raise ValueError(f"weights must be {LANDMARKS} finite numbers of at least 0")
    used = np.array(
        [
            point
            for point in sorted(wireframe.landmarks)
            if np.isfinite(points[point]).all() and weights[point] > 0
        ],
        int,
    )
    if len(used) < _FEWEST:
        raise ValueError(
            f"{len(used)} of the points can be used, a fit needs {_FEWEST}: the model has vertices "
            f"for {len(wireframe.landmarks)} of the {LANDMARKS}, "
            f"{int(np.isfinite(points).all(1).sum())} of those given are numbers"
        )
    units = default_units(wireframe) if units is None else tuple(units)
    if not all(0 <= unit < len(wireframe.animation) for unit in units):
        raise ValueError(
            f"units {list(units)}: animation units are counted from 0 to "
            f"{len(wireframe.animation) - 1}"
        )
    project = camera_named(camera, width=image_size[0], height=image_size[1])
    parts = _Parts(wireframe, np.array([wireframe.landmarks[point] for point in used]), units)
    y, w = points[used], np.sqrt(weights[used])[:, None]

    def residuals(parameters):
        pose, sigma, alpha = parts.split(parameters)
        uv, _ = project(deform(*parts.mesh, sigma, alpha), pose)  # pyright: ignore[reportArgumentType]
        return np.concatenate([(w * (uv - y)).ravel(), damping * sigma, damping * alpha])

    start = np.zeros(6 + len(wireframe.shape) + len(units))
    start[:6] = _orthographic(parts.mesh[0], y, w)
    # Steps of a size that moves a face of any size by about as many pixels.
    scale = np.ones_like(start)
    scale[3:6] = start[5]
    solved = least_squares(
        residuals, start, x_scale=scale, xtol=1e-12, ftol=1e-12, gtol=1e-12, max_nfev=200
    )
    pose, sigma, alpha = parts.split(solved.x)
    pose = pose.copy()
    pose[:3] = np.remainder(pose[:3] + np.pi, 2 * np.pi) - np.pi
    return Fit(
        pose, sigma, alpha, units, _residual(wireframe, points, project, pose, sigma, alpha, units)
    )


class _Parts:
    """The mesh at chosen vertices and units, and how one vector holds all parameters."""

    def __init__(self, wireframe: Wireframe, vertices: np.ndarray, units: tuple[int, ...]):
        self.shapes = len(wireframe.shape)
        self.mesh = (
            wireframe.vertices[vertices],
            wireframe.shape[:, vertices],
            wireframe.animation[list(units)][:, vertices],
        )

    def split(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pose, sigma, alpha = np.split(parameters, [6, 6 + self.shapes])
        return pose, sigma, alpha


def _residual(wireframe, points, project, pose, sigma, alpha, units) -> np.ndarray:
    """Distance of each point from its vertex, in pixels."""
    residual = np.full(LANDMARKS, np.nan)
    animation = wireframe.animation[list(units)]
    mesh = deform(wireframe.vertices, wireframe.shape, animation, sigma, alpha)
    uv, _ = project(mesh, pose)
    named = list(wireframe.landmarks)
    residual[named] = np.hypot(*(uv[list(wireframe.landmarks.values())] - points[named]).T)
    return residual


def _orthographic(model: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pose whose scaled orthographic projection of the model [k, 3] comes near to points [k, 2]."""
    share = weights**2 / (weights**2).sum()
    centre, place = (share * model).sum(0), (share * y).sum(0)
    spread = y - place
    if not (share * spread**2).sum() > 0:
        raise ValueError("the points all lie in one place; give those of a face")
    # Two rows of s R, from least squares with v upwards; then the nearest pair of equally long,
    # perpendicular rows.
    rows, *_ = np.linalg.lstsq(weights * (model - centre), weights * spread * [1, -1], rcond=None)
    left, lengths, right = np.linalg.svd(rows.T, full_matrices=False)
    scale, first_two = lengths.mean(), left @ right
    rotation = np.vstack([first_two, np.cross(*first_two)])
    moved = scale * (rotation @ centre)
    angles = euler_angles(rotation)  # pyright: ignore[reportArgumentType]
    return np.array([*angles, place[0] - moved[0], place[1] + moved[1], scale])


# Centre of the detector's box and its side, against the face: see `fit_box`.
BOX_CENTRE = (0.5, 0.5)
BOX_WIDTHS = 1.2


def fit_box(wireframe: Wireframe, box: Sequence[float]) -> Fit:
    """The mean, neutral, frontal face in a box (x, y, w, h) of the face detector.

    Raises:
        ValueError: for a box without an area.
    """
    x, y, width, height = (float(value) for value in box)
    if not (width > 0 and height > 0):
        raise ValueError(f"box {tuple(box)} has no area; give x, y, width and height in pixels")
    inner = wireframe.vertices[
        [wireframe.landmarks[point] for point in range(17, 68) if point in wireframe.landmarks]
    ]
    low, high = inner.min(0), inner.max(0)
    scale = 0.6 * width / (high[0] - low[0])
    centre = (low + high) / 2
    pose = np.array(
        [0, 0, 0, x + width / 2 - scale * centre[0], y + 0.55 * height + scale * centre[1], scale]
    )
    return Fit(
        pose,
        np.zeros(len(wireframe.shape)),
        np.zeros(len(default_units(wireframe))),
        default_units(wireframe),
        np.full(LANDMARKS, np.nan),
    )
