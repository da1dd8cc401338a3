"""A clip of few pixels and a tracker that only counts, for tests of what is about them."""

from types import SimpleNamespace

import numpy as np

from gan_forensics.faces import follow, runs
from gan_forensics.faces.candide import DEFAULT_UNITS
from gan_forensics.faces.detectors import Box
from gan_forensics.faces.fit import Fit
from gan_forensics.faces.gates import Gates
from gan_forensics.faces.initial import Found
from gan_forensics.faces.tracker import Estimate
from gan_forensics.faces.video import write_video
from gan_forensics.faces.wireframe import Wireframe

HEIGHT, WIDTH = 48, 64
POINTS = (30, 36, 45)
# Gray values of frames: nothing to find, a face, one that is lost.
EMPTY, FACE, GONE = 0, 128, 255


def wireframe() -> Wireframe:
    """A pyramid whose tip points out of the image."""
    vertices = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [0, 0, 0.5]])
    units = np.zeros((6, 5, 3))
    units[:, 4, 1] = 0.1 * np.arange(1, 7)
    triangles = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    return Wireframe(
        vertices, triangles, units, DEFAULT_UNITS, np.zeros((1, 5, 3)), ("width",),
        landmarks=dict(zip(POINTS, (4, 0, 1), strict=True)), tracked=(0, 1, 2, 3, 4),
        animation_notes=((),) * 6, shape_notes=((),), animation_parameters=np.zeros(6),
        shape_parameters=np.zeros(1), texture=np.full((5, 2), np.nan),
    )  # fmt: skip


def fit(residual: float = 1.5) -> Fit:
    """A face in the middle of the frame."""
    pose = np.array([0.02, -0.1, 0.05, WIDTH / 2, HEIGHT / 2, 10])
    return Fit(pose, np.zeros(1), np.zeros(6), tuple(range(6)), np.full(68, residual))


def estimate(state, energy, **flags) -> Estimate:
    state = np.asarray(state, np.float32)
    landmarks, spread = np.full((68, 2), np.nan), np.full(68, np.nan)
    for k, point in enumerate(POINTS):
        landmarks[point], spread[point] = (state[3] + k, state[4] - k), 0.25 * (k + 1)
    given = {"accepted": True, "lost": False, "found": False, **flags}
    return Estimate(
        state, np.diag(np.full(12, 1e-4)), landmarks, spread, np.full(5, energy), np.ones(5, bool),
        np.array([True] * 4 + [False]), energy, 0.5, **given,
    )  # fmt: skip


class Counting:
    """Sums up what it sees, so that its state tells of every frame since it began."""

    def __init__(self, wireframe, fit, frame, config):
        self.units = wireframe.animation_names
        self.setting = SimpleNamespace(reduction=1, stride=3)
        self.bias = (0.1, -0.2, 0.3)
        self.gates = Gates(400.0, np.inf, np.full(5, 500.0), 200.0, 900.0, 25)
        self.state = np.concatenate([fit.pose, fit.animation]) + 1e-3 * frame.mean()
        self.first = estimate(self.state, 150.0)
        self.lost = False
        self.candidates = []

    def track(self, frame, candidates=()):
        self.candidates.append(len(candidates))
        level = frame.mean()
        self.state = self.state * 0.99 + 1e-3 * np.sin(np.arange(12) + level)
        found = self.lost and level < 200 and len(candidates) > 0
        self.lost = level > 200 or (self.lost and not found)
        return estimate(
            self.state, 150 + level, accepted=not self.lost, lost=self.lost, found=found
        )

    def snapshot(self):
        return {"state": self.state, "lost": np.array(self.lost)}

    def restore(self, arrays):
        self.state, self.lost = arrays["state"], bool(arrays["lost"])


def clip_of(path, levels, fps=25):
    """A video whose frames are gray, each of its level, with a gradient to be seen."""
    ramp = np.linspace(-8, 8, WIDTH)[None, :, None]
    with write_video(path, fps) as video:
        for level in levels:
            video.append(
                np.broadcast_to(np.clip(level + ramp, 0, 255), (HEIGHT, WIDTH, 3)).astype(np.uint8)
            )
    return path


def stand_in(monkeypatch, kind="landmarks"):
    """Put the pyramid and the counting tracker in the places of the real ones."""

    def found(frame, wireframe, camera, detector):
        if frame.mean() < 40:
            return None
        residual = np.nan if kind == "box" else 1.5
        others = (Box(1.0, 2.0, 8.0, 8.0, 0.5),) if kind == "box" else ()
        return Found(fit(residual), kind, Box(20.0, 12.0, 24.0, 24.0, 1.0), others)

    monkeypatch.setattr(runs, "load_wireframe", lambda path=None: wireframe())
    monkeypatch.setattr(follow, "find_face", found)
    monkeypatch.setattr(follow, "candidate_poses", lambda frame, wireframe: [fit().pose])
    monkeypatch.setattr(follow, "Tracker", Counting)
