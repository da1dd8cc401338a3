"""One face from frame to frame: found, tracked, lost, looked for and found again.

The tracker knows gray frames alone. Here are the rest of its life: which face of a frame is taken,
how a clip begins that does not begin with a face, and what to tell about it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_forensics.faces.detectors import SMALLEST, LandmarkDetector
from gan_forensics.faces.fit import Fit
from gan_forensics.faces.initial import (
    FROM_BEHIND,
    Found,
    candidate_poses,
    find_face,
    given_face,
)
from gan_forensics.faces.tracker import EYES, Estimate, Tracker
from gan_forensics.faces.video import Frame

if TYPE_CHECKING:
    from gan_forensics.faces.tracker_config import TrackerConfig
    from gan_forensics.faces.wireframe import Wireframe

# Frames that are looked at before a clip is said to have no face.
LOOK_FOR = 250
# Pixels between the outer corners of the eyes, below which a face is said to be small.
SMALL = 30
# A lost face is looked for in every so-manieth frame: finding one takes as long as many frames.
LOOK_AGAIN_EVERY = 5


@dataclass
class Follower:
    """A face that is followed through a clip.

    Attributes:
        wireframe: that is fitted.
        config: of the tracker.
        points: landmarks in the first frame, where they were given.
        detector: of landmarks, where there is one.
        say: told, a line at a time, what was found.
        tracker: None before there is a face.
        begun: the frame that it began with, in gray, and the fit of that.
        init: what the face was initialised by: landmarks, detector, box, or none yet.
        lost_for: frames since the face was lost; 0 while it is held.
        looked: frames that were looked at until there was a face, that frame included.
        facts: of the initialisation, for results.json.
        start_up: seconds that it took, with the first frame that was tracked, which compiles.
        compiled: whether a frame was tracked in this process.
        timed: frames that were tracked after that.
        seconds: that they took.
    """

    wireframe: "Wireframe"
    config: "TrackerConfig"
    points: np.ndarray | None
    detector: LandmarkDetector | None
    say: Callable[[str], None]
    tracker: Tracker | None = None
    begun: tuple[np.ndarray, Fit] | None = None
    init: str = "none"
    lost_for: int = 0
    looked: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    start_up: float = 0.0
    compiled: bool = False
    timed: int = 0
    seconds: float = 0.0

    def follow(self, frame: Frame) -> Estimate | None:
        """The estimate of the next frame; None as long as there is no face.

        Raises:
            ValueError: when no face is found in the first `LOOK_FOR` frames, or landmarks that were
                given cannot be used.
        """
        gray = gray_of(frame.image)
        if self.tracker is None:
            return self._begin(frame, gray)
        began = time.perf_counter()
        look = self.lost_for and self.lost_for % LOOK_AGAIN_EVERY == 0
        candidates = candidate_poses(frame.image, self.wireframe) if look else []
        estimate = self.tracker.track(gray, candidates)
        self.lost_for = self.lost_for + 1 if estimate.lost else 0
        took = time.perf_counter() - began
        if self.compiled:
            self.timed += 1
            self.seconds += took
        else:
            self.compiled = True
            self.start_up += took
        return estimate

    def saved(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What to go on from, as values for JSON and arrays.

        Raises:
            ValueError: before there is a face.
        """
        if self.tracker is None or self.begun is None:
            raise ValueError("nothing is tracked yet: there is nothing to go on from")
        gray, fit = self.begun
        first = {"frame": gray, **{name: np.asarray(value) for name, value in vars(fit).items()}}
        arrays = {f"first_{name}": array for name, array in first.items()}
        return {name: getattr(self, name) for name in _SAVED}, arrays | self.tracker.snapshot()

    def restore(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what was saved: the tracker begins anew, and then goes where it was.

        Raises:
            ValueError, KeyError: for what was not saved so.
        """
        for name in _SAVED:
            setattr(self, name, header[name])
        first = {name[6:]: array for name, array in arrays.items() if name.startswith("first_")}
        gray, units = first.pop("frame"), tuple(first.pop("units").tolist())
        self._start(gray, Fit(units=units, **first)).restore(arrays)

    def _start(self, gray: np.ndarray, fit: Fit) -> Tracker:
        self.begun = gray, fit
        self.tracker = Tracker(self.wireframe, fit, gray, self.config)
        return self.tracker

    def _begin(self, frame: Frame, gray: np.ndarray) -> Estimate | None:
        self.looked += 1
        began = time.perf_counter()
        found = (
            self._find(frame)
            if self.points is None
            else given_face(frame.image, self.points, self.wireframe, self.config.camera)
        )
        if found is None:
            if self.looked >= LOOK_FOR:
                raise no_face(self.looked)
            return None
        try:
            tracker = self._start(gray, found.fit)
        except ValueError as error:
            # Of points that were given it is they that may be wrong, rather than the frame.
            why = (
                str(error) if self.points is None else f"{str(error).split(';')[0]}; {FROM_BEHIND}"
            )
            raise ValueError(f"frame {frame.index}: {why}") from error
        self.init = found.init
        apart = np.subtract(*tracker.first.landmarks[list(EYES)])
        begin = [] if self.points is None else np.isfinite(self.points[:2, 0]).tolist()
        self.facts = {
            **_facts_of(found, frame, self.config.camera),
            "point_0_missing": begin == [False, True],
            "outer_eye_corners_px": float(np.hypot(*apart)),
        }
        self.start_up += time.perf_counter() - began
        for line in sentences(self.facts, self.looked - 1):
            self.say(line)
        return tracker.first

    def _find(self, frame: Frame) -> Found | None:
        return find_face(frame.image, self.wireframe, self.config.camera, self.detector)


# What changes of a `Follower`, beside its tracker.
_SAVED = ("init", "lost_for", "looked", "facts", "start_up", "timed", "seconds")


def gray_of(image: np.ndarray) -> np.ndarray:
    """RGB as gray, uint8, by the weights of ITU-R BT.601."""
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def no_face(looked: int) -> ValueError:
    """The error of a clip without a face."""
    many = f"any of the {looked} frames" if looked > 1 else "the frame"
    return ValueError(
        f"no face was found in {many} that were looked at: one is found when it looks into the "
        f"camera, stands upright and is {SMALLEST} pixels wide or more (4 % of the longer side "
        "where that is more than 640). Is the video turned by 90 degrees, with no tag in its "
        "container that says so? Then turn it. Else begin with --start where a face is seen, or "
        "give its landmarks in the first frame with --init"
    )


def _facts_of(found: Found, frame: Frame, camera: str) -> dict[str, Any]:
    residual = found.fit.residual
    known = bool(np.isfinite(residual).any())

    def sides(box) -> list[float]:
        return [round(float(side), 1) for side in box[:4]]

    return {
        "init": found.init,
        "frame": frame.index,
        "box": None if found.box is None else sides(found.box),
        "other_faces": [sides(box) for box in found.others],
        "box_the_points_miss": None if found.missed is None else sides(found.missed),
        "fit_residual_px": float(np.nanmedian(residual)) if known else None,
        "camera": camera,
        "shape": np.asarray(found.fit.shape, float).tolist(),
    }


def sentences(facts: Mapping[str, Any], before: int) -> Iterator[str]:
    """What to say of how a clip began, `before` frames of which had no face."""
    number = facts["frame"]
    if before:
        yield f"no face in the {before} frames before frame {number}: their rows are empty"
    if others := facts["other_faces"]:
        yield (
            f"{len(others) + 1} faces in frame {number}: the largest is tracked, in the box "
            f"{facts['box']} (x, y, width, height); the others: {', '.join(map(str, others))}"
        )
    if facts["init"] == "box":
        yield (
            f"WARNING: frame {number} has a face box {facts['box']} and no landmarks: the mean "
            "face is laid on it, which is no initialisation. Every position is off by several "
            "pixels, and no later frame mends it. Give --init or --landmarks"
        )
    else:
        yield (
            f"frame {number}: the model fits the points to {facts['fit_residual_px']:.1f} px "
            "(median), which says nothing of how the points fit the picture"
        )
    if box := facts["box_the_points_miss"]:
        x, y, w, h = (round(side) for side in box)
        yield (
            f"WARNING: the points do not lie on the face box found at x {x}, y {y}, {w} wide and "
            f"{h} high: are they of this frame, in its pixels?"
        )
    if facts["point_0_missing"]:
        yield (
            "WARNING: the points have a 1 and no 0: should they count from 1, take 1 from each, "
            "as the first is point 0"
        )
    if (eyes := facts["outer_eye_corners_px"]) < SMALL:
        yield (
            f"the face is small: {eyes:.0f} px between the outer corners of its eyes, so that a "
            "pixel is many degrees"
        )
