"""What a face tracker is to beat: doing nothing, optical flow with PnP, a fit of each frame alone.

All begin with the same fit of frame 0 as the tracker, and return what it returns.
"""

# The camera computes on numpy's arrays as on JAX's; its annotations name only the latter.
# pyright: reportArgumentType=false

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gan_forensics.faces.camera import camera as camera_named
from gan_forensics.faces.camera import euler_angles, rotation
from gan_forensics.faces.candide import default_units
from gan_forensics.faces.fit import Fit, fit_landmarks
from gan_forensics.faces.wireframe import Wireframe, deform
from gan_forensics.studies.face_raster import rasterise

Frames = Sequence[UInt8[np.ndarray, "h w"]]
# Optical flow: corners that are followed, fewest before new ones are sought, farthest in pixels
# that following a corner there and back again may end from where it began.
CORNERS, FEWEST, ASTRAY = 150, 40, 1.0


@dataclass(frozen=True, eq=False)
class Track:
    """What was found in n frames, the first of which is the fit.

    Attributes:
        rotation: [n, 3, 3] of the head; NaN where there is no estimate.
        landmarks: [n, 68, 2] in pixels; NaN where there is none.
        seconds: a frame, without start-up.
        animation: [n, m] parameters of the units, where the method has them.
        deviations: [n, 68] stated standard deviations in pixels, where the method has them.
        lost: [n] frames that the method itself calls lost.
        start_seconds: from the fit until the second frame can be looked at.
    """

    rotation: Float[np.ndarray, "n 3 3"]
    landmarks: Float[np.ndarray, "n 68 2"]
    seconds: float
    animation: Float[np.ndarray, "n m"] | None = None
    deviations: Float[np.ndarray, "n 68"] | None = None
    lost: Bool[np.ndarray, " n"] | None = None
    start_seconds: float = 0.0


def fitted_vertices(
    wireframe: Wireframe, fit: Fit, animation: Float[np.ndarray, " a"] | None = None
) -> Float[np.ndarray, "n 3"]:
    """The mesh with the shape of a fit, and its animation or another one of the same units."""
    animation = fit.animation if animation is None else animation
    units = wireframe.animation[list(fit.units)]
    return deform(wireframe.vertices, wireframe.shape, units, fit.shape, animation)


def projected_landmarks(
    wireframe: Wireframe, vertices: Float[np.ndarray, "n 3"], pose: Float[np.ndarray, "6"], project
) -> Float[np.ndarray, "68 2"]:
    """Where the 68 points of a mesh appear; NaN for those that the model lacks."""
    points = np.full((68, 2), np.nan)
    uv, _ = project(vertices[list(wireframe.landmarks.values())], pose)
    points[list(wireframe.landmarks)] = uv
    return points


def held(frames: Frames, fit: Fit, wireframe: Wireframe) -> Track:
    """The fit of frame 0 in all frames: what a frozen model scores."""
    height, width = frames[0].shape
    project = camera_named("weak-perspective", width=width, height=height)
    points = projected_landmarks(wireframe, fitted_vertices(wireframe, fit), fit.pose, project)
    turn = _turn(fit.pose)
    count = len(frames)
    return Track(
        rotation=np.broadcast_to(turn, (count, 3, 3)),
        landmarks=np.broadcast_to(points, (count, 68, 2)),
        seconds=0.0,
        animation=np.broadcast_to(fit.animation, (count, len(fit.animation))),
    )


def fitted_alone(
    frames: Frames, wireframe: Wireframe, points: Sequence[Float[np.ndarray, "68 2"] | None]
) -> Track:
    """A fit of each frame's landmarks, knowing nothing of the others; the first gives the shape.

    Args:
        frames: for their size.
        wireframe: with landmarks.
        points: landmarks of each frame; None where there is no face.
    """
    height, width = frames[0].shape
    project = camera_named("weak-perspective", width=width, height=height)
    person, units = wireframe, default_units(wireframe)
    turns = np.full((len(frames), 3, 3), np.nan)
    landmarks = np.full((len(frames), 68, 2), np.nan)
    animation = np.full((len(frames), len(units)), np.nan)
    start = time.perf_counter()
    for index, places in enumerate(points):
        if places is None:
            continue
        fit = fit_landmarks(person, places, image_size=(width, height))
        vertices = fitted_vertices(person, fit)
        if person is wireframe:
            person = _with_shape(wireframe, fit)
        turns[index] = _turn(fit.pose)
        landmarks[index] = projected_landmarks(wireframe, vertices, fit.pose, project)
        animation[index] = fit.animation
    seconds = (time.perf_counter() - start) / len(frames)
    return Track(turns, landmarks, seconds, animation)


def _turn(pose: Float[np.ndarray, "6"]) -> Float[np.ndarray, "3 3"]:
    return np.asarray(rotation(*pose[:3]))


def _with_shape(wireframe: Wireframe, fit: Fit) -> Wireframe:
    """The person of a fit, whose shape moves no more."""
    vertices = wireframe.vertices + np.tensordot(fit.shape, wireframe.shape, 1)
    return replace(wireframe, vertices=vertices, shape=wireframe.shape[:0], shape_names=())


def flow_and_pnp(frames: Frames, start: Float[np.ndarray, "68 2"], wireframe: Wireframe) -> Track:
    """Corners of the face followed by pyramidal Lucas-Kanade, and the rigid pose from them by PnP.

    A corner is tied to the place of the mesh that it lies on where it is first seen; the face keeps
    the expression of frame 0. The camera has a focal length of 1.2 times the longer side. Needs the
    `opencv` extra.

    Args:
        frames: gray.
        start: landmarks of frame 0.
        wireframe: with landmarks.
    """
    import cv2

    height, width = frames[0].shape
    focal = 1.2 * max(width, height)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    flip = np.diag([1.0, -1.0, -1.0])
    project = camera_named("pinhole", width=width, height=height)
    fit = fit_landmarks(wireframe, start, image_size=(width, height), camera="pinhole")
    vertices = fitted_vertices(wireframe, fit)
    pose = fit.pose.copy()

    def sown(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Corners [k, 2] on the face of a frame, and their places [k, 3] on the mesh."""
        uv, depth = project(vertices, pose)
        surface = rasterise(uv, depth, wireframe.triangles, vertices, height, width)
        mask = np.where(np.isnan(surface[..., 0]), 0, 255).astype(np.uint8)
        corners = cv2.goodFeaturesToTrack(frame, CORNERS, 0.005, 4, mask=mask)
        corners = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
        columns, rows = np.round(corners).astype(int).T
        return corners, surface[rows, columns]

    rotations = [_turn(pose)]
    landmarks = [projected_landmarks(wireframe, vertices, pose, project)]
    begun = time.perf_counter()
    corners, places = sown(frames[0])
    for before, frame in zip(frames[:-1], frames[1:], strict=True):
        if len(corners):
            corners, places = _followed(before, frame, corners, places)
        solved = len(corners) >= 6
        if solved:
            turn = cv2.Rodrigues(flip @ _turn(pose))[0]
            away = focal / pose[5]
            shift = np.array([*(pose[3:5] - matrix[:2, 2]) * away / focal, away])
            solved, turn, shift, _ = cv2.solvePnPRansac(
                places, corners.astype(float), matrix, None, turn, shift[:, None], True,
                reprojectionError=3.0, flags=cv2.SOLVEPNP_ITERATIVE,
            )  # fmt: skip
        if solved:
            angles = euler_angles(flip @ cv2.Rodrigues(turn)[0])
            x, y, z = shift.ravel()
            pose = np.array([*angles, *(focal * np.array([x, y]) / z + matrix[:2, 2]), focal / z])
            rotations.append(_turn(pose))
            landmarks.append(projected_landmarks(wireframe, vertices, pose, project))
        else:
            rotations.append(np.full((3, 3), np.nan))
            landmarks.append(np.full((68, 2), np.nan))
        if len(corners) < FEWEST:
            corners, places = sown(frame)
    seconds = (time.perf_counter() - begun) / max(len(frames) - 1, 1)
    return Track(np.stack(rotations), np.stack(landmarks), seconds)


def _followed(
    before: np.ndarray, frame: np.ndarray, corners: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Corners where they are in the next frame, of those that lead back to where they were."""
    import cv2

    window = {"winSize": (15, 15), "maxLevel": 3}
    ahead, found, _ = cv2.calcOpticalFlowPyrLK(before, frame, corners, corners.copy(), **window)
    back, again, _ = cv2.calcOpticalFlowPyrLK(frame, before, ahead, corners.copy(), **window)
    kept = (found.ravel() == 1) & (again.ravel() == 1)
    kept &= np.linalg.norm(back - corners, axis=1) < ASTRAY
    return ahead[kept], places[kept]
