"""Fitting a wireframe face to the landmarks of one image, or to a face box.

Pose b, shape sigma and animation alpha minimise

    sum_i w_i |y_i - pi(g(sigma, alpha)_v(i); b)|^2 + lambda^2 (|sigma|^2 + |alpha|^2)

over the points i that the model has a vertex v(i) for, with lambda = 2 pixels (this project's
reconstruction of the first step of Tran et al. 2013). Gauss-Newton with a trust region, in float64,
from the pose that a scaled orthographic fit of the neutral face gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from gan_forensics.faces.camera import camera as camera_named
from gan_forensics.faces.camera import euler_angles, rotation
from gan_forensics.faces.candide import default_units
from gan_forensics.faces.wireframe import LANDMARKS, Wireframe

# Pixels that a unit of a parameter costs.
DAMPING = 2.0
# The outline of the jaw: its points slide along the cheek as the head turns, no vertex does.
CONTOUR = slice(17)
CONTOUR_WEIGHT = 0.05
# Fewer points leave the shape to the damping alone; a pose needs four that are not in a line.
_FEWEST = 6
_MOST_STEPS = 200


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

    Example:
        >>> from gan_forensics.faces import load_wireframe
        >>> fit = fit_box(load_wireframe(), (10, 20, 110, 140))
        >>> fit.pose.shape, fit.residual.shape
        ((6,), (68,))
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

    Example:
        >>> points = read_landmarks_csv("face.csv")  # doctest: +SKIP
        >>> fit = fit_landmarks(load_wireframe(), points, image_size=(512, 512))  # doctest: +SKIP
    """
    from scipy.optimize import least_squares

    points = _checked_points(points)
    weights = _checked_weights(weights)
    if not damping > 0:
        raise ValueError(f"damping is {damping:g}; give pixels per unit, more than 0")
    units = default_units(wireframe) if units is None else tuple(units)
    if not all(0 <= unit < len(wireframe.animation) for unit in units):
        raise ValueError(
            f"units {list(units)}: animation units are counted from 0 to "
            f"{len(wireframe.animation) - 1}"
        )
    named = np.array(sorted(wireframe.landmarks))
    used = named[np.isfinite(points[named]).all(1) & (weights[named] > 0)]
    if len(used) < _FEWEST:
        raise ValueError(
            f"a fit needs {_FEWEST} points, {len(used)} can be used: the model has vertices for "
            f"{len(named)} of the {LANDMARKS}, {np.isfinite(points).all(1).sum()} of those given "
            f"are numbers, {(weights > 0).sum()} have a weight"
        )
    project: Callable = camera_named(camera, width=image_size[0], height=image_size[1])
    vertices = [wireframe.landmarks[point] for point in used]
    moves = np.concatenate([wireframe.shape, wireframe.animation[list(units)]])
    mesh, mesh_moves = wireframe.vertices[vertices], moves[:, vertices]
    y, w = points[used], np.sqrt(weights[used])[:, None]

    def residuals(parameters):
        uv, _ = project(mesh + np.tensordot(parameters[6:], mesh_moves, 1), parameters[:6])
        return np.concatenate([(w * (uv - y)).ravel(), damping * parameters[6:]])

    def jacobian(parameters):
        shaped = mesh + np.tensordot(parameters[6:], mesh_moves, 1)
        by_pose, by_point = _derivatives(project, shaped, parameters[:6])
        by_unit = np.einsum("xki,ukx->uki", by_point, mesh_moves)
        of_points = (w * np.concatenate([by_pose, by_unit])).reshape(len(parameters), -1)
        return np.vstack([of_points.T, damping * np.eye(len(parameters))[6:]])

    start = np.zeros(6 + len(moves))
    start[:6] = _orthographic(mesh, y, w)
    # The place and the scale are in pixels, all else of the order of 1.
    sizes = np.where(np.isin(np.arange(len(start)), (3, 4, 5)), start[5], 1.0)
    accuracy: dict[str, Any] = {
        "xtol": 1e-12,
        "ftol": 1e-12,
        "gtol": 1e-12,
        "max_nfev": _MOST_STEPS,
    }
    solved = least_squares(residuals, start, jacobian, x_scale=sizes, **accuracy).x  # pyright: ignore[reportArgumentType]
    uv, _ = project(wireframe.vertices + np.tensordot(solved[6:], moves, 1), solved[:6])
    residual = np.full(LANDMARKS, np.nan)
    residual[named] = np.hypot(*(uv[[wireframe.landmarks[p] for p in named]] - points[named]).T)
    # Angles beyond half a turn, which the search may reach, are the same pose.
    solved[:3] = euler_angles(rotation(*solved[:3]))
    pose, shape, animation = np.split(solved, [6, 6 + len(wireframe.shape)])
    return Fit(pose, shape, animation, units, residual)


def _checked_points(points) -> Float64[np.ndarray, "68 2"]:
    points = np.asarray(points, np.float64)
    if points.shape != (LANDMARKS, 2):
        raise ValueError(
            f"points have shape {list(points.shape)}; give {LANDMARKS} rows of (u, v), with NaN "
            "for those that are missing"
        )
    return points


def _checked_weights(weights) -> Float64[np.ndarray, "68"]:
    if weights is None:
        weights = np.ones(LANDMARKS)
        weights[CONTOUR] = CONTOUR_WEIGHT
    weights = np.asarray(weights, np.float64)
    if weights.shape != (LANDMARKS,) or not ((weights >= 0) & np.isfinite(weights)).all():
        raise ValueError(f"weights must be {LANDMARKS} finite numbers of at least 0")
    return weights


def _derivatives(project, points, pose) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of image points [k, 2] by the pose [6, k, 2], by the model's points [3, k, 2].

    By complex steps, which lose no digits: cameras are analytic functions.
    """
    step = 1e-30
    poses, shifts = pose + 1j * step * np.eye(6), 1j * step * np.eye(3)[:, None]
    by_pose, _ = project(np.broadcast_to(points, (6, *points.shape)), poses)
    by_point, _ = project(points + shifts, np.broadcast_to(pose, (3, 6)))
    return by_pose.imag / step, by_point.imag / step


def _orthographic(model: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pose whose scaled orthographic projection of the model [k, 3] comes near to points [k, 2]."""
    share = weights**2 / (weights**2).sum()
    centre, place = (share * model).sum(0), (share * y).sum(0)
    spread = y - place
    if not np.ptp(y, axis=0).any():
        raise ValueError("the points all lie in one place; give those of a face")
    # Two rows of s R, from least squares with v upwards; then the nearest pair of equally long,
    # perpendicular rows.
    rows, *_ = np.linalg.lstsq(weights * (model - centre), weights * spread * [1, -1], rcond=None)
    left, lengths, right = np.linalg.svd(rows.T, full_matrices=False)
    scale, first_two = lengths.mean(), left @ right
    turn = np.vstack([first_two, np.cross(*first_two)])
    moved = scale * (turn @ centre)
    angles = euler_angles(turn)  # pyright: ignore[reportArgumentType]
    return np.array([*angles, place[0] - moved[0], place[1] + moved[1], scale])


# Where corners of eyes and mouth lie in a face box, in its widths from the left and heights from
# the top: means over 91 pictures and frames of clips with dlib's points, in the boxes of
# `detect_boxes`, made symmetric. They spread by .02 (eyes) and .03 (mouth).
BOX_POINTS = {
    36: (0.258, 0.404),
    39: (0.397, 0.404),
    42: (0.603, 0.404),
    45: (0.742, 0.404),
    48: (0.349, 0.787),
    54: (0.651, 0.787),
}


def fit_box(wireframe: Wireframe, box: Sequence[float]) -> Fit:
    """The mean, neutral, frontal face where a face box (x, y, w, h) has the eyes and the mouth.

    A box says neither where the head looks nor whose face it is: the error is several times that
    of a fit to landmarks.

    Raises:
        ValueError: for a box without an area, or a model without corners of eyes and mouth.

    Example:
        >>> from gan_forensics.faces import load_wireframe
        >>> fit_box(load_wireframe(), (10, 20, 110, 140)).pose.shape
        (6,)
    """
    if not all(np.isfinite(box)) or not min(box[2:4]) > 0:
        raise ValueError(f"box {tuple(box)} has no area; give x, y, width and height in pixels")
    named = [point for point in BOX_POINTS if point in wireframe.landmarks]
    if len(named) < 2:
        raise ValueError(
            f"the model has {len(named)} of the points {', '.join(map(str, BOX_POINTS))}; a box is "
            "fitted by these"
        )
    x, y, width, height = box[:4]
    places = [x, y] + np.array([BOX_POINTS[point] for point in named]) * [width, height]
    model = wireframe.vertices[[wireframe.landmarks[point] for point in named], :2] * [1, -1]
    spread = model - model.mean(0)
    scale = (spread * (places - places.mean(0))).sum() / (spread**2).sum()
    place = places.mean(0) - scale * model.mean(0)
    units = default_units(wireframe)
    return Fit(
        pose=np.array([0, 0, 0, *place, scale]),
        shape=np.zeros(len(wireframe.shape)),
        animation=np.zeros(len(units)),
        units=units,
        residual=np.full(LANDMARKS, np.nan),
    )
