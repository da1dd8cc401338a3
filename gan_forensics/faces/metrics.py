"""How far a track is from the truth: pose, landmarks, time until loss, and stated uncertainty.

Rotations are [n, 3, 3] in the convention of `faces.camera`, points [n, k, 2] in pixels, NaN for
what is not known. A frame without an estimate is left out of means and counted by shares, so the
share of tracked frames belongs beside every mean.
"""

# The camera computes on numpy's arrays as on JAX's; its annotations name only the latter.
# pyright: reportArgumentType=false

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gan_forensics.faces.camera import euler_angles, geodesic_angle, rotation
from gan_forensics.files import check_file_in, is_missing, listed, read_csv, shown, whole_number

# Outer corners of the eyes, 0-based iBUG order: the distance that errors are normalised by.
OUTER_CORNERS = (36, 45)
LEVELS = (0.5, 0.9)
_MOST_FRAMES = 2**31


def aligned(
    estimated: Float[np.ndarray, "n 3 3"], truth: Float[np.ndarray, "n 3 3"]
) -> Float[np.ndarray, "n 3 3"]:
    """Estimates in the truth's axes of the head, by the constant rotation seen in frame 0.

    A sensor is fixed to the head in an orientation of its own, so truth_t = R_t B with B unknown;
    B = R_0' truth_0 makes the errors those of motion since frame 0, and that of frame 0 zero.
    """
    return estimated @ (estimated[0].T @ truth[0])


def pose_errors(
    estimated: Float[np.ndarray, "n 3 3"], truth: Float[np.ndarray, "n 3 3"]
) -> Float[np.ndarray, "n 4"]:
    """Estimate less truth in pitch, yaw, roll (-180 to 180), and the angle between them; degrees.

    The first three depend on the order of the Euler angles, the last on no convention.
    """
    difference = np.degrees(euler_angles(estimated) - euler_angles(truth))
    wrapped = (difference + 180) % 360 - 180
    between = np.degrees(geodesic_angle(estimated, truth))
    return np.concatenate([wrapped, between[:, None]], 1)


def pose_summary(errors: Float[np.ndarray, "n 4"], *, below: float = 5.0) -> dict[str, float]:
    """Mean absolute and RMS errors by axis, their means, the mean angle, and shares of all frames.

    Args:
        errors: of `pose_errors`, in degrees; NaN for frames without an estimate.
        below: the angle that a frame's geodesic error is to be below, in degrees.

    Returns:
        `pitch_mae`, `pitch_rms` and so on, `mae` and `rms` (means over the three axes),
        `geodesic`, in degrees; `below` and `tracked`, shares in [0, 1].

    Raises:
        ValueError: when there is no frame with an estimate.
    """
    known = ~np.isnan(errors).any(1)
    if not known.any():
        raise ValueError(f"none of {len(errors)} frames has an estimate: there is no error to tell")
    some = errors[known]
    summary = {}
    for axis, name in enumerate(("pitch", "yaw", "roll")):
        summary[f"{name}_mae"] = float(np.abs(some[:, axis]).mean())
        summary[f"{name}_rms"] = float(np.sqrt((some[:, axis] ** 2).mean()))
    for kind in ("mae", "rms"):
        summary[kind] = float(np.mean([summary[f"{a}_{kind}"] for a in ("pitch", "yaw", "roll")]))
    return {
        **summary,
        "geodesic": float(some[:, 3].mean()),
        "below": float((some[:, 3] < below).sum() / len(errors)),
        "tracked": float(known.mean()),
    }


def landmark_errors(
    points: Float[np.ndarray, "n k 2"], truth: Float[np.ndarray, "n k 2"], *, relative: bool = False
) -> Float[np.ndarray, " n"]:
    """Mean Euclidean distance of each frame's landmarks in pixels; NaN where none is known.

    Args:
        points: estimated.
        truth: landmarks in the same order.
        relative: subtract each landmark's offset in frame 0, since a vertex of a model is not
            exactly the point that an annotator means. This hides a bad start: give both.
    """
    difference = points - truth
    if relative:
        difference = difference - difference[:1]
    distance = np.linalg.norm(difference, axis=-1)
    known = ~np.isnan(distance)
    count = known.sum(1)
    total = np.where(known, distance, 0).sum(1)
    return np.divide(total, count, out=np.full(len(points), np.nan), where=count > 0)


def inter_ocular(truth: Float[np.ndarray, "*b 68 2"]) -> Float[np.ndarray, "*b"]:
    """Distance of the outer corners of the eyes (iBUG points 36 and 45), in pixels."""
    first, second = OUTER_CORNERS
    return np.linalg.norm(truth[..., first, :] - truth[..., second, :], axis=-1)


def cumulative(
    errors: Float[np.ndarray, " n"], thresholds: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k"]:
    """Share of all frames whose error is at most each threshold; NaN is above all of them."""
    return (errors[None, :] <= thresholds[:, None]).mean(1)


def frames_to_loss(errors: Float[np.ndarray, " n"], limit: float, *, patience: int = 5) -> int:
    """The first frame of the first `patience` in a row with an error above `limit`, or without one.

    Returns:
        Its index; the number of frames where the track is never lost.
    """
    bad = ~(errors <= limit)
    for start in range(len(bad) - patience + 1):
        if bad[start : start + patience].all():
            return start
    return len(bad)


def coverage(
    residuals: Float[np.ndarray, "*s"], deviations: Float[np.ndarray, "*s"], level: float
) -> float:
    """Share of residuals within the central Gaussian interval of a level; NaN pairs are left out.

    Args:
        residuals: of single coordinates, in the unit of the deviations.
        deviations: stated standard deviations.
        level: what share should lie inside, in (0, 1).
    """
    from scipy.stats import norm

    ratio = _ratios(residuals, deviations)
    return float((ratio <= norm.ppf(0.5 + level / 2)).mean())


def inflation(residuals: Float[np.ndarray, "*s"], deviations: Float[np.ndarray, "*s"]) -> float:
    """The factor on stated deviations that does most justice to both levels of `LEVELS`.

    The geometric mean of the two factors that make the 50 % and the 90 % interval hold their share
    exactly: with heavy tails the one is too small, the other too large. Fit it on one clip and
    tell the coverage on another.
    """
    from scipy.stats import norm

    ratio = _ratios(residuals, deviations)
    factors = [np.quantile(ratio, level) / norm.ppf(0.5 + level / 2) for level in LEVELS]
    return float(np.sqrt(np.prod(factors)))


def _ratios(residuals: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    residuals, deviations = np.broadcast_arrays(residuals, deviations)
    known = ~(np.isnan(residuals) | np.isnan(deviations))
    if not known.any():
        raise ValueError("no residual with a deviation: there is no coverage to tell")
    if not (deviations[known] > 0).all():
        raise ValueError("standard deviations must be positive; leave out what is exactly known")
    return np.abs(residuals[known]) / deviations[known]


class Poses(NamedTuple):
    """Head poses by frame.

    Attributes:
        frames: [n] frame numbers, ascending.
        rotation: [n, 3, 3], NaN where the file has no angle.
    """

    frames: np.ndarray
    rotation: np.ndarray


def read_poses(path: Path | str) -> Poses:
    """Poses of a CSV file with the columns frame, yaw, pitch, roll, in degrees; others are ignored.

    Angles are taken as those of `faces.camera.CONVENTION`: R = Rz(roll) Ry(yaw) Rx(pitch). Whoever
    has angles in another order or with other signs converts them first. An empty cell is a frame
    without an estimate; the files that `gan-forensics track` writes are read as they are.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: naming the line, for missing columns, for what is no number, and for a frame
            that comes twice; when there is no row.
    """
    path = Path(path)
    check_file_in(path, "a table of poses (frame,yaw,pitch,roll)")
    found: dict[int, list[float]] = {}
    table = read_csv(path)
    names = table.lines[0][1] if table.lines else []
    if missing := {"frame", "yaw", "pitch", "roll"} - {*names}:
        raise ValueError(
            f"{shown(path)}, line 1: no column {listed(sorted(missing))}; a table of poses "
            "has the columns frame, yaw, pitch, roll (degrees)"
        )
    for where, row in table.rows():
        try:
            frame = whole_number(row["frame"])
            if abs(frame) >= _MOST_FRAMES:
                raise ValueError("no frame of a video")
            angles = [
                math.nan if is_missing(row[name]) else table.number(row[name])
                for name in ("pitch", "yaw", "roll")
            ]
        except ValueError:
            raise ValueError(
                f"{where}: frame must be a whole number and yaw, pitch, roll numbers in "
                "degrees or empty"
            ) from None
        if frame in found:
            raise ValueError(f"{where}: frame {frame} came before; every frame has one row")
        found[frame] = angles
    if not found:
        raise ValueError(f"{shown(path)}: no row below the heading")
    frames = np.array(sorted(found))
    angles = np.radians([found[frame] for frame in frames.tolist()])
    return Poses(frames, rotation(angles[:, 0], angles[:, 1], angles[:, 2]))


def compare_poses(track: Poses, truth: Poses) -> tuple[Sequence[int], np.ndarray]:
    """Errors of a track in the frames that both have, after `aligned` on the first of them.

    The first common frame that has an estimate is the one that the constant rotation comes from.

    Returns:
        The frames, and `pose_errors` [n, 4] in degrees.

    Raises:
        ValueError: when there is no such frame.
    """
    common, own, other = np.intersect1d(track.frames, truth.frames, return_indices=True)
    estimated, expected = track.rotation[own], truth.rotation[other]
    known = ~np.isnan(expected).any((1, 2))
    common, estimated, expected = common[known], estimated[known], expected[known]
    usable = ~np.isnan(estimated).any((1, 2))
    if not usable.any():
        raise ValueError(
            f"the track has frames {_range(track)}, the truth {_range(truth)}: none in common that "
            "both have angles for; frame numbers must count from the same frame"
        )
    first = int(np.argmax(usable))
    return common[first:].tolist(), pose_errors(
        aligned(estimated[first:], expected[first:]), expected[first:]
    )


def _range(poses: Poses) -> str:
    return f"{poses.frames[0]} to {poses.frames[-1]}"
