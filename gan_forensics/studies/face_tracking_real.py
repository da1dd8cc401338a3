"""Trackers of faces on real clips, against landmarks that another method found in every frame.

Such landmarks are no truth: they jitter, and a detector's point is not exactly a model's vertex.
So errors are told absolute, and with each landmark's offset in the first frame removed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from gan_forensics.faces import video
from gan_forensics.faces.fit import fit_landmarks
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.faces.wireframe import Wireframe
from gan_forensics.files import check_file_in, is_missing, read_csv, shown, whole_number
from gan_forensics.studies.face_baselines import Track, fitted_alone, flow_and_pnp, held
from gan_forensics.studies.face_measures import landmark_measures
from gan_forensics.studies.face_tracking import (
    DETECTED,
    FLOW,
    FULL,
    HELD,
    ISOTROPIC,
    KARHUNEN,
    NO_PRIOR,
    NO_UPDATE,
    VARIANTS,
    inflation_of,
    tracked,
    variant,
)

COLUMNS = ("frame", *(f"{axis}{point}" for point in range(68) for axis in "xy"))


@dataclass(frozen=True)
class RealConfig:
    """A clip to report on, another one to choose on, and landmarks of both.

    Attributes:
        talking_face: video to report on.
        talking_face_landmarks: CSV of its landmarks, by `experiments.face_landmarks`.
        choosing: video on which the rate is chosen and the inflation is fitted.
        choosing_landmarks: CSV of its landmarks.
        frames: of each video at most, from its first.
        methods: names of variants and baselines; the first is what the others are compared with.
        rates: to choose from.
    """

    talking_face: Path | None = None
    talking_face_landmarks: Path | None = None
    choosing: Path | None = None
    choosing_landmarks: Path | None = None
    frames: int = 750
    methods: tuple[str, ...] = (
        FULL, NO_UPDATE, KARHUNEN, ISOTROPIC, NO_PRIOR, HELD, FLOW, DETECTED,
    )  # fmt: skip
    rates: tuple[float, ...] = (0.0, 0.02, 0.1)

    def __post_init__(self):
        given = [
            self.talking_face, self.talking_face_landmarks, self.choosing, self.choosing_landmarks
        ]  # fmt: skip
        if any(given) and not all(given):
            raise ValueError(
                "a real clip needs four files: --real.talking-face and "
                "--real.talking-face-landmarks to report on, --real.choosing and "
                "--real.choosing-landmarks to choose the rate and fit the inflation on"
            )


class RealClip(NamedTuple):
    """Frames [h, w], and landmarks [n, 68, 2] of another method, NaN where it saw no face."""

    frames: list[UInt8[np.ndarray, "h w"]]
    landmarks: Float[np.ndarray, "n 68 2"]


def read_video_landmarks(path: Path | str) -> dict[int, Float[np.ndarray, "68 2"]]:
    """Landmarks by frame, of a CSV file with the columns frame, x0, y0 ... x67, y67.

    Coordinates are pixels, points 0-based iBUG. Frames without a face have empty cells.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: naming the line, for other columns, or for what is no number.
    """
    path = Path(path)
    check_file_in(path, "a table of landmarks by frame (frame,x0,y0,...,x67,y67)")
    found = {}
    table = read_csv(path)
    if not table.lines or tuple(table.lines[0][1]) != COLUMNS:
        raise ValueError(
            f"{shown(path)}, line 1: the columns must be frame,x0,y0,...,x67,y67; "
            "experiments.face_landmarks writes such a file"
        )
    for line, (frame, *cells) in table.lines[1:]:
        try:
            values = [math.nan if is_missing(cell) else table.number(cell) for cell in cells]
            found[whole_number(frame)] = np.array(values).reshape(68, 2)
        except ValueError:
            raise ValueError(
                f"{shown(path)}, line {line}: give a whole number and 136 numbers or empty cells"
            ) from None
    return found


def read_clip(path: Path, landmarks: Path, frames: int) -> RealClip:
    """The first frames of a video, gray, with the landmarks of a CSV file.

    Raises:
        ValueError: when the file has no landmarks of frame 0, which all methods begin from.
    """
    points = read_video_landmarks(landmarks)
    if 0 not in points or np.isnan(points[0]).any():
        raise ValueError(f"{shown(landmarks)}: no landmarks of frame 0, where tracks begin")
    gray, known = [], []
    for frame in video.frames(path, end=frames):
        gray.append(np.asarray(Image.fromarray(frame.image).convert("L")))
        known.append(points.get(frame.index, np.full((68, 2), np.nan)))
    return RealClip(gray, np.stack(known))


def run_real(
    clip: RealClip,
    wireframe: Wireframe,
    tracker: TrackerConfig,
    *,
    rate: float,
    methods: Sequence[str],
) -> dict[str, Any]:
    """`landmark_measures` of each method, by name."""
    height, width = clip.frames[0].shape
    first = clip.landmarks[0]
    fit = fit_landmarks(wireframe, first, image_size=(width, height), camera=tracker.camera)
    found: dict[str, Any] = {}
    for name in methods:
        track: Track
        if name == HELD:
            track = held(clip.frames, fit, wireframe)
        elif name == FLOW:
            track = flow_and_pnp(clip.frames, first, wireframe)
        elif name == DETECTED:
            points = [None if np.isnan(each).any() else each for each in clip.landmarks]
            track = fitted_alone(clip.frames, wireframe, points)
        else:
            track = tracked(clip.frames, fit, wireframe, variant(name, tracker, rate))
        found[name] = landmark_measures(track, clip.landmarks)
    return found


def choose_real(
    clip: RealClip, wireframe: Wireframe, tracker: TrackerConfig, config: RealConfig
) -> Mapping[str, Any]:
    """The rate with the smallest absolute error on the choosing clip, and the inflation there."""
    name = next(one for one in config.methods if one in VARIANTS)
    found = {
        rate: run_real(clip, wireframe, tracker, rate=rate, methods=(name,))[name]
        for rate in config.rates
    }
    rate = min(found, key=lambda one: found[one]["landmarks"])
    return {
        "rate": rate,
        "errors": {f"{one:g}": [each["landmarks"]] for one, each in found.items()},
        "inflation": inflation_of([found[rate]["ratios"]]),
    }
