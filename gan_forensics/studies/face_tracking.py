"""Trackers of faces on synthetic clips with exact truth: scenes, variants, and what is measured.

Every method gets the same frames and the same fit of frame 0 from landmarks with errors. A clip is
one seed of one scene: differences between methods are paired by it.
"""

# The camera computes on numpy's arrays as on JAX's; its annotations name only the latter.
# pyright: reportArgumentType=false

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.faces import metrics
from gan_forensics.faces.camera import rotation
from gan_forensics.faces.fit import Fit, fit_landmarks
from gan_forensics.faces.tracker import Tracker
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.faces.wireframe import Wireframe
from gan_forensics.studies.face_baselines import (
    Frames,
    Track,
    fitted_alone,
    flow_and_pnp,
    held,
)
from gan_forensics.studies.face_clips import Clip, ClipConfig
from gan_forensics.studies.face_measures import measured

SCENES = {
    "plain": ClipConfig(),
    "light": ClipConfig(light=60.0, gamma=0.35),
    "occlusion": ClipConfig(occluder=True),
    "fast": ClipConfig(frames=60, turns=(14.0, 30.0, 12.0), period=14.0, shutter=3),
    "long": ClipConfig(frames=200, period=70.0, light=30.0),
    "still": ClipConfig(
        frames=30, turns=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0), activity=0.0, light=0.0,
        gamma=0.0, pan=0.0,
    ),
}  # fmt: skip
FULL, NO_UPDATE, NO_PRIOR = "full method", "no update", "no prior"
ISOTROPIC, KARHUNEN = "isotropic covariance", "eigenvectors updated too"
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    NO_UPDATE: {"update": "none"},
    KARHUNEN: {"update": "full"},
    ISOTROPIC: {"covariance": "isotropic"},
    NO_PRIOR: {"prior": False},
}
HELD, FLOW = "frame 0 held", "optical flow and PnP"
ALONE, DETECTED = (
    "fit of true landmarks ± 2 px, each frame",
    "fit of detected landmarks, each frame",
)
BASELINES = (HELD, FLOW, ALONE)
CHOOSING_SCENE = "plain"
Detect = Callable[[UInt8[np.ndarray, "h w"]], Float[np.ndarray, "68 2"] | None]


@dataclass(frozen=True)
class SyntheticConfig:
    """What is tracked on synthetic clips.

    Attributes:
        scenes: names of `SCENES`.
        variants: names of `VARIANTS`; the first is what the others are compared with.
        baselines: names of `BASELINES`.
        seeds: of the clips.
        choosing_seeds: of other clips, scene "plain", that choose the rate and fit the inflation.
        rates: to choose from.
        frames: of a clip; 0 for those of each scene.
    """

    scenes: tuple[str, ...] = tuple(SCENES)
    variants: tuple[str, ...] = tuple(VARIANTS)
    baselines: tuple[str, ...] = BASELINES
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    choosing_seeds: tuple[int, ...] = (100, 101)
    rates: tuple[float, ...] = (0.0, 0.02, 0.1)
    frames: int = 0

    def __post_init__(self):
        for name, known in (("scenes", SCENES), ("variants", VARIANTS), ("baselines", BASELINES)):
            if unknown := [one for one in getattr(self, name) if one not in known]:
                raise ValueError(
                    f"unknown {name} {', '.join(unknown)}; they are {', '.join(known)}"
                )
        if not self.variants or not self.seeds or not self.choosing_seeds or not self.rates:
            raise ValueError(
                "variants, seeds, choosing_seeds and rates must each have one at least"
            )
        if {*self.seeds} & {*self.choosing_seeds}:
            raise ValueError(
                f"seeds {self.seeds} and choosing_seeds {self.choosing_seeds} have some in common: "
                "what is chosen on a clip cannot be judged by it"
            )


def scene(name: str, frames: int = 0) -> ClipConfig:
    """A scene, with another number of frames where one is given."""
    return replace(SCENES[name], frames=frames) if frames else SCENES[name]


def variant(name: str, tracker: TrackerConfig, rate: float) -> TrackerConfig:
    """The settings of a variant at a rate; without a rate nothing is updated."""
    changed = {"rate": rate, **VARIANTS[name]}
    return replace(tracker, **({**changed, "update": "none"} if rate == 0 else changed))


def tracked(frames: Frames, fit: Fit, wireframe: Wireframe, config: TrackerConfig) -> Track:
    """Frames followed by the tracker, from the fit of the first."""
    begun = time.perf_counter()
    tracker = Tracker(wireframe, fit, frames[0], config)
    start_seconds = time.perf_counter() - begun
    found = [tracker.first]
    begun = time.perf_counter()
    for frame in frames[1:]:
        found.append(tracker.track(frame))
    seconds = (time.perf_counter() - begun) / max(len(frames) - 1, 1)
    state = np.stack([one.state for one in found]).astype(float)
    return Track(
        rotation=rotation(*state[:, :3].T),
        landmarks=np.stack([one.landmarks for one in found]).astype(float),
        seconds=seconds,
        animation=state[:, 6:],
        deviations=np.stack([one.landmark_sd for one in found]).astype(float),
        lost=np.array([one.lost for one in found]),
        start_seconds=start_seconds,
    )


def run_clip(
    clip: Clip,
    wireframe: Wireframe,
    tracker: TrackerConfig,
    *,
    rate: float,
    methods: Sequence[str],
    seed: int,
    detect: Detect | None = None,
) -> dict[str, Any]:
    """`measured` of each method on a clip, by name.

    Args:
        clip: to track.
        wireframe: the trackers'.
        tracker: settings of the full method.
        rate: of the updates of all variants.
        methods: names of `VARIANTS` and `BASELINES`.
        seed: of the landmarks' errors in `ALONE`.
        detect: landmarks of a gray frame, or None; adds `DETECTED`.
    """
    frames = list(clip.frames)
    height, width = frames[0].shape
    fit = fit_landmarks(wireframe, clip.start, image_size=(width, height), camera=tracker.camera)
    found = {}
    for name in methods:
        if name == HELD:
            track = held(frames, fit, wireframe)
        elif name == FLOW:
            track = flow_and_pnp(frames, clip.start, wireframe)
        elif name == ALONE:
            track = fitted_alone(frames, wireframe, with_errors(clip, seed))
        else:
            track = tracked(frames, fit, wireframe, variant(name, tracker, rate))
        found[name] = measured(track, clip)
    if detect is not None:
        track = fitted_alone(frames, wireframe, [detect(frame) for frame in frames])
        if not np.isnan(track.rotation[0]).any():
            found[DETECTED] = measured(track, clip)
    return found


def with_errors(clip: Clip, seed: int) -> list[Float[np.ndarray, "68 2"]]:
    """Landmarks of all frames with errors as those of frame 0 have, which stay what they are."""
    noise = np.random.default_rng((seed, 1)).standard_normal(clip.landmarks.shape)
    noise *= np.nanstd(clip.start - clip.landmarks[0])
    return [clip.start, *(clip.landmarks + noise)[1:]]


def choose(
    config: SyntheticConfig,
    film: Callable[[str, int], Clip],
    wireframe: Wireframe,
    tracker: TrackerConfig,
) -> dict[str, Any]:
    """The rate with the smallest landmark error on the choosing clips, and the inflation there.

    Returns:
        `rate`; `errors`, by rate the mean error in pixels of each clip; `inflation`, of all of
        their landmarks at that rate.
    """
    name = config.variants[0]
    found: dict[float, list[dict[str, Any]]] = {rate: [] for rate in config.rates}
    for seed in config.choosing_seeds:
        clip = film(CHOOSING_SCENE, seed)
        for rate in config.rates:
            result = run_clip(clip, wireframe, tracker, rate=rate, methods=(name,), seed=seed)
            found[rate].append(result[name])
    errors = {rate: [one["landmarks"] for one in some] for rate, some in found.items()}
    rate = min(errors, key=lambda one: float(np.mean(errors[one])))
    return {
        "rate": rate,
        "errors": {f"{one:g}": some for one, some in errors.items()},
        "inflation": inflation_of([one["ratios"] for one in found[rate]]),
    }


def inflation_of(ratios: Sequence[Sequence[float]]) -> float:
    """The inflation of clips, each given by quantiles of its errors by stated deviations."""
    return metrics.inflation(np.concatenate(ratios), np.array(1.0))


def coverage_of(ratios: Sequence[float], inflation: float, level: float) -> float:
    """Share of a clip's errors inside the inflated interval of a level, from its quantiles."""
    return metrics.coverage(np.array(ratios), np.array(inflation), level)
