"""What seeds of the face tracking study allow to be said, in words, whichever way it came out.

Differences are of one clip's errors, which share frames and fit; intervals are Student's, 95 %, of
their mean over seeds. An interval that leaves 0 out is settled, any other shows nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from gan_forensics.studies.distillation_verdicts import Interval, paired
from gan_forensics.studies.face_tracking import (
    FLOW,
    FULL,
    HELD,
    ISOTROPIC,
    KARHUNEN,
    NO_PRIOR,
    NO_UPDATE,
)

# Scene -> seed -> method -> measures.
Clips = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
QUESTIONS = {
    NO_UPDATE: "the update of mean and eigenvalues",
    KARHUNEN: "leaving the eigenvectors as they were",
    ISOTROPIC: "the learned covariance, at equal rate",
    NO_PRIOR: "the prior",
    FLOW: "the whole method, against optical flow and PnP",
    HELD: "tracking at all",
}
MEASURES = {"landmarks": "px", "geodesic": "degrees"}


def values(clips: Clips, scene: str, method: str, measure: str) -> Float[np.ndarray, " seeds"]:
    """A measure of a method by seed; NaN where it has none."""
    found = [by_method[method].get(measure) for by_method in clips[scene].values()]
    return np.array([np.nan if value is None else value for value in found], float)


def gain(clips: Clips, scene: str, other: str, measure: str) -> Interval:
    """By how much the error of another method is above that of the full one."""
    own = values(clips, scene, FULL, measure)
    return paired(values(clips, scene, other, measure) - own)


def verdict(found: Interval) -> str:
    """ "helps", "HARMS", "not shown", or that one seed cannot tell."""
    if found.count < 2:
        return "one seed cannot tell"
    return {1: "helps", -1: "HARMS", 0: "not shown"}[found.side]


def methods_of(clips: Clips) -> list[str]:
    """Methods that all clips have."""
    all_of = [list(by_method) for scene in clips.values() for by_method in scene.values()]
    return [name for name in all_of[0] if all(name in some for some in all_of)]


def settled(clips: Clips, other: str, measure: str = "landmarks") -> str:
    """In which scenes something that the full method has helps, in words."""
    by_verdict: dict[str, list[str]] = {}
    for scene in moving(clips):
        by_verdict.setdefault(verdict(gain(clips, scene, other, measure)), []).append(scene)
    return "; ".join(f"{said} ({', '.join(scenes)})" for said, scenes in by_verdict.items())


def moving(clips: Clips) -> list[str]:
    """The scenes in which something moves."""
    return [scene for scene in clips if scene != "still"]


def finding(clips: Clips, chosen: Mapping[str, Any]) -> str:
    """What came out on synthetic clips: errors, and what each part of the method is worth."""
    scenes = moving(clips)
    first = scenes[0]
    seeds = len(clips[first])
    said = []
    for scene in scenes:
        pixels = values(clips, scene, FULL, "landmarks").mean()
        degrees = values(clips, scene, FULL, "geodesic").mean()
        said.append(f"{scene} {pixels:.1f} px and {degrees:.1f}°")
    parts = [
        f"{QUESTIONS[other]}: {settled(clips, other)}"
        for other in methods_of(clips)
        if other in QUESTIONS and other != HELD
    ]
    return (
        f"Full method at rate {chosen['rate']:g} (chosen on other clips), means over "
        f"{seeds} seed{'s' if seeds > 1 else ''}, landmarks absolute and head pose after alignment "
        f"on frame 0: {', '.join(said)}.\n"
        f"By landmark error, paired over seeds: {'. '.join(parts)}."
    )


def finding_real(real: Mapping[str, Any]) -> str:
    """What came out on the real clip: one clip, so that nothing is settled by it."""
    found = real["methods"]
    said = [
        f"{name} {one['landmarks']:.2f} px absolute, {one['relative']:.2f} px with the offsets of "
        "frame 0 removed"
        for name, one in found.items()
    ]
    return (
        f"Real clip, {real['frames']} frames, against another method's landmarks, rate "
        f"{real['chosen']['rate']:g} chosen on another clip: {'; '.join(said)}. One clip settles "
        "nothing between methods."
    )
