"""Head pose and cameras: rotations, and where the points of a model appear in an image.

Model axes are right-handed: +x towards the person's left, which is to the right of an image that is
not mirrored, +y up, +z out of the face. Image coordinates are (u to the right, v down) in pixels,
(0, 0) being the centre of the first pixel. Angles are radians.

A pose is (pitch, yaw, roll, t_x, t_y, s): angles about the model's x, y and z, the place of the
model's origin in the image, and pixels per model unit there. Both cameras read the same pose. The
rotation is R = Rz(roll) Ry(yaw) Rx(pitch): about the fixed axes, x first. So a positive pitch
lowers the face, a positive yaw turns it towards the person's left (the right of the image), and a
positive roll leans it to the person's right (anticlockwise in the image).

Everything here is arithmetic on the last axes with any axes before them, on numpy arrays (in their
precision) as on JAX's.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    # NumPy's arrays as well as JAX's: what comes out is of the kind that went in.
    Array = Any
else:
    from jaxtyping import Array

POSE = ("pitch", "yaw", "roll", "t_x", "t_y", "scale")
CAMERAS = ("weak-perspective", "pinhole")
# What signs and order of the angles mean, for whoever reads numbers of a track.
CONVENTION = (
    "R = Rz(roll) Ry(yaw) Rx(pitch), about fixed axes: x to the person's left, y up, z out of the "
    "face; positive pitch looks down, positive yaw to the person's left (the right of the image), "
    "positive roll turns anticlockwise in the image"
)


def _numbers(*values) -> ModuleType:
    """JAX's functions where any of the values is JAX's, else numpy's."""
    return jnp if any(isinstance(value, jax.Array) for value in values) else np


def rotation(
    pitch: Float[Array, "*b"], yaw: Float[Array, "*b"], roll: Float[Array, "*b"]
) -> Float[Array, "*b 3 3"]:
    """R = Rz(roll) Ry(yaw) Rx(pitch), for column vectors; angles in radians."""
    xp = _numbers(pitch, yaw, roll)
    cx, cy, cz = xp.cos(pitch), xp.cos(yaw), xp.cos(roll)
    sx, sy, sz = xp.sin(pitch), xp.sin(yaw), xp.sin(roll)
    rows = (
        (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
        (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
        (-sy, cy * sx, cy * cx),
    )
    return xp.stack([xp.stack(row, -1) for row in rows], -2)


def euler_angles(rotation: Float[Array, "*b 3 3"]) -> Float[Array, "*b 3"]:
    """Pitch, yaw and roll of R = Rz(roll) Ry(yaw) Rx(pitch).

    Yaw lies in [-pi/2, pi/2]; at its ends, where only the sum or the difference of the other two is
    determined, they are not meaningful.

    Example:
        >>> bool((euler_angles(jnp.eye(3)) == 0).all())
        True
    """
    xp = _numbers(rotation)
    pitch = xp.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
    level = xp.hypot(rotation[..., 2, 1], rotation[..., 2, 2])
    yaw = xp.arctan2(-rotation[..., 2, 0], level)
    roll = xp.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return xp.stack([pitch, yaw, roll], -1)


def geodesic_angle(
    first: Float[Array, "*b 3 3"], second: Float[Array, "*b 3 3"]
) -> Float[Array, "*b"]:
    """Angle in radians, 0 to pi, of the rotation that leads from one rotation to another.

    Example:
        >>> half_turn = jnp.diag(jnp.array([-1.0, -1.0, 1.0]))
        >>> round(float(geodesic_angle(jnp.eye(3), half_turn)), 4)
        3.1416
    """
    xp = _numbers(first, second)
    between = xp.einsum("...ji,...jk->...ik", first, second)
    # By sine and cosine: the arc cosine of the trace loses half of the digits of a small angle.
    sine = xp.stack(
        [
            between[..., 2, 1] - between[..., 1, 2],
            between[..., 0, 2] - between[..., 2, 0],
            between[..., 1, 0] - between[..., 0, 1],
        ],
        -1,
    )
    trace = between[..., 0, 0] + between[..., 1, 1] + between[..., 2, 2]
    return xp.arctan2(xp.sqrt((sine**2).sum(-1)), trace - 1)


def mirrored(pose: Float[Array, "*b 6"], width: float) -> Float[Array, "*b 6"]:
    """The pose that a mirror-symmetric face has in the mirrored image, `width` pixels wide."""
    xp = _numbers(pose)
    signs = xp.asarray([1, -1, -1, -1, 1, 1], dtype=pose.dtype)
    shifts = xp.asarray([0, 0, 0, width - 1, 0, 0], dtype=pose.dtype)
    # The axes before the last are spelt out: arrays of lower rank are not stretched silently.
    one = (1,) * (pose.ndim - 1)
    return pose * signs.reshape(*one, 6) + shifts.reshape(*one, 6)


def _turned(points: Float[Array, "*b n 3"], pose: Float[Array, "*b 6"]) -> Float[Array, "*b n 3"]:
    turn = rotation(pose[..., 0], pose[..., 1], pose[..., 2])
    return points @ turn.swapaxes(-1, -2)


def weak_perspective(
    points: Float[Array, "*b n 3"], pose: Float[Array, "*b 6"]
) -> tuple[Float[Array, "*b n 2"], Float[Array, "*b n"]]:
    """Where points appear without perspective: u = s q_x + t_x, v = t_y - s q_y with q = R p.

    Args:
        points: of the model, in model units.
        pose: pitch, yaw, roll, t_x, t_y, s.

    Returns:
        (u, v) in pixels, and the depth in model units, larger for what is nearer to the camera.

    Example:
        >>> point, pose = jnp.zeros((1, 3)), jnp.array([0.0, 0, 0, 30, 40, 2])
        >>> seen, depth = weak_perspective(point, pose)
        >>> seen.shape
        (1, 2)
    """
    xp = _numbers(points, pose)
    q = _turned(points, pose)
    scale = pose[..., 5, None]
    u = pose[..., 3, None] + scale * q[..., 0]
    v = pose[..., 4, None] - scale * q[..., 1]
    return xp.stack([u, v], -1), q[..., 2]


def pinhole(
    points: Float[Array, "*b n 3"],
    pose: Float[Array, "*b 6"],
    *,
    focal: float,
    centre: tuple[float, float],
) -> tuple[Float[Array, "*b n 2"], Float[Array, "*b n"]]:
    """Where points appear in a pinhole camera that has the model's origin where the pose says.

    u = f X / Z + c_u, v = f Y / Z + c_v with (X, Y, Z) = diag(1, -1, -1) R p + T, and T such that
    the origin lies at (t_x, t_y), as far away as makes one model unit there s pixels: Z = f / s.

    Args:
        points: of the model, in model units.
        pose: pitch, yaw, roll, t_x, t_y, s.
        focal: focal length in pixels.
        centre: (c_u, c_v), the principal point, in pixels.

    Returns:
        (u, v) in pixels, and the depth in model units, larger for what is nearer to the camera.

    Example:
        >>> point, pose = jnp.zeros((1, 3)), jnp.array([0.0, 0, 0, 0, 0, 5])
        >>> seen, depth = pinhole(point, pose, focal=100.0, centre=(50.0, 40.0))
        >>> seen.shape, depth.shape
        ((1, 2), (1,))
    """
    xp = _numbers(points, pose)
    q = _turned(points, pose)
    distance = focal / pose[..., 5, None]
    left = (pose[..., 3, None] - centre[0]) * distance / focal
    down = (pose[..., 4, None] - centre[1]) * distance / focal
    z = distance - q[..., 2]
    u = focal * (q[..., 0] + left) / z + centre[0]
    v = focal * (down - q[..., 1]) / z + centre[1]
    return xp.stack([u, v], -1), q[..., 2]


def camera(name: str, *, width: int, height: int, focal: float | None = None):
    """The camera of that name for images of that size: points, pose -> (u, v), depth.

    Args:
        name: "weak-perspective" or "pinhole".
        width: of the images, in pixels.
        height: of the images, in pixels.
        focal: focal length in pixels, of the pinhole camera; by default 1.2 times the longer side.

    Raises:
        ValueError: for another name, or a focal length for weak perspective, which has none.
    """
    if name not in CAMERAS:
        raise ValueError(f"camera {name!r}: give {' or '.join(CAMERAS)}")
    if name == "weak-perspective":
        if focal is not None:
            raise ValueError(
                f"a focal length of {focal:g} was given for weak perspective, which has none; "
                "leave it out, or take the pinhole camera"
            )
        return weak_perspective
    focal = 1.2 * max(width, height) if focal is None else focal
    centre = (0.5 * (width - 1), 0.5 * (height - 1))

    def project(points, pose):
        return pinhole(points, pose, focal=focal, centre=centre)

    return project
