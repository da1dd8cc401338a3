"""What a track is worth on a clip whose truth is known: numbers that go into a JSON file."""

from typing import Any

import numpy as np
from jaxtyping import Float

from gan_forensics.faces import metrics
from gan_forensics.faces.camera import euler_angles
from gan_forensics.studies.face_baselines import Track
from gan_forensics.studies.face_clips import Clip

# A track is lost where the mean error is above this share of the distance of the eyes.
LOST = 0.15
# Landmarks under the occluder that make a frame one with an occlusion.
HIDDEN = 8
THRESHOLDS = tuple(k / 100 for k in range(31))


def measured(track: Track, clip: Clip) -> dict[str, Any]:
    """What a track is worth on a clip; frame 0, which is the fit, counts nowhere.

    Returns:
        All of `landmark_measures`, and `pose_summary` after alignment on frame 0, in degrees;
        `unaligned`, the mean angle without alignment; `degrees_by_frame`; `units`, the mean
        correlation of animation parameters with the clip's own of the same name, where both move;
        `jitter_degrees` and `jitter_px`, RMS departures of angles and of landmarks' coordinates
        from their means over frames, which is jitter in a still; `geodesic_hidden`,
        `landmarks_hidden`, `geodesic_after` and `landmarks_after`, means over the frames with an
        occlusion and over those after the last of them.
    """
    aligned = metrics.aligned(track.rotation, clip.rotation)
    errors = metrics.pose_errors(aligned, clip.rotation)
    plain = metrics.pose_errors(track.rotation, clip.rotation)[1:, 3]
    return {
        **landmark_measures(track, clip.landmarks),
        **metrics.pose_summary(errors[1:]),
        **_occlusion(errors[:, 3], "geodesic", clip),
        **_occlusion(metrics.landmark_errors(track.landmarks, clip.landmarks), "landmarks", clip),
        "unaligned": _mean(plain),
        "degrees_by_frame": _rounded(errors[:, 3]),
        "units": _correlation(track.animation, clip.animation),
        "jitter_degrees": _jitter(np.degrees(euler_angles(track.rotation))[1:]),  # pyright: ignore[reportArgumentType]
        "jitter_px": _jitter(track.landmarks[1:]),
    }


def landmark_measures(track: Track, truth: Float[np.ndarray, "n 68 2"]) -> dict[str, Any]:
    """What the landmarks of a track are worth; frame 0 counts nowhere but in `lost_at`.

    Returns:
        `landmarks` and `relative` (offsets of frame 0 removed), mean errors in pixels;
        `normalised`, absolute and by the distance of the outer corners of the eyes; `first` and
        `last`, the absolute error in the first and last third of the clip; `lost_at`, frames until
        the loss, and `lost_share`, frames that the method calls lost; `cumulative`, shares of
        frames up to each of `THRESHOLDS`; `ratios`, quantiles of coordinates' errors by stated
        deviations; `by_frame`; `seconds` and `start_seconds`.
    """
    absolute = metrics.landmark_errors(track.landmarks, truth)
    relative = metrics.landmark_errors(track.landmarks, truth, relative=True)
    normalised = absolute / metrics.inter_ocular(truth)
    thirds = np.array_split(absolute[1:], 3)
    found = {
        "landmarks": _mean(absolute[1:]),
        "relative": _mean(relative[1:]),
        "normalised": _mean(normalised[1:]),
        "first": _mean(thirds[0]),
        "last": _mean(thirds[-1]),
        "lost_at": metrics.frames_to_loss(normalised, LOST),
        "lost_share": None if track.lost is None else float(track.lost[1:].mean()),
        "cumulative": _rounded(metrics.cumulative(normalised[1:], np.array(THRESHOLDS))),
        "by_frame": _rounded(absolute),
        "seconds": track.seconds,
        "start_seconds": track.start_seconds,
    }
    if track.deviations is not None:
        error = np.abs(track.landmarks - truth)[1:] / track.deviations[1:, :, None]
        found["ratios"] = _rounded(np.nanquantile(error, np.linspace(0, 1, 201)))
    return found


def _occlusion(errors: np.ndarray, name: str, clip: Clip) -> dict[str, float | None]:
    """The mean error while something hides the face, and afterwards."""
    covered = np.flatnonzero(clip.hidden.sum(1) >= HIDDEN)
    if not len(covered) or covered[-1] + 1 == len(errors):
        return {}
    return {
        f"{name}_hidden": _mean(errors[covered]),
        f"{name}_after": _mean(errors[covered[-1] + 1 :]),
    }


def _mean(values: np.ndarray) -> float | None:
    """Mean of what is known; JSON knows no NaN."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _jitter(values: Float[np.ndarray, "n *s"]) -> float:
    """Root mean square departure of coordinates from their means over frames."""
    columns = values.reshape(len(values), -1)
    columns = columns[:, ~np.isnan(columns).all(0)]
    return float(np.sqrt(np.nanmean((columns - np.nanmean(columns, 0)) ** 2)))


def _correlation(own: np.ndarray | None, other: np.ndarray) -> float | None:
    if own is None or not own.shape == other.shape:
        return None
    moving = (np.nanstd(own, 0) > 0) & (np.std(other, 0) > 0)
    pairs = zip(own.T[moving], other.T[moving], strict=True)
    found = [np.corrcoef(a[~np.isnan(a)], b[~np.isnan(a)])[0, 1] for a, b in pairs]
    return float(np.mean(found)) if found else None


def _rounded(values: np.ndarray) -> list[float | None]:
    """Four digits, and None where nothing is known."""
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
