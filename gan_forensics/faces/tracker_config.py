"""How a face is tracked: every choice, and its default."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrackerConfig:
    """How to track.

    Attributes:
        camera: "weak-perspective", or "pinhole" with a focal length of 1.2 times the longer side.
        solver: "gauss-newton", or "nelder-mead" as published relatives of the method have it.
        descriptor: "smooth", or "sift" as OpenCV rounds it (nelder-mead only: it has steps).
        covariance: "learned" from the views, or "isotropic": of the same mean and total variance.
        update: what a tracked frame changes: mean and "eigenvalues", "none", or "full", where the
            eigenvectors move as well.
        rate: share of the new frame in an update; of a "full" one above 0, up to 0.5.
        prior: let the state before hold the next one near it.
        views: synthetic views of the first frame; odd.
        components: eigenpairs of a landmark's covariance; the rest is one variance.
        iterations: steps of Gauss-Newton a frame at most.
        evaluations: of the energy by the simplex, a frame.
        deviations: from the median of the clip's own energies, in median absolute deviations, up to
            which a frame is learned from.
        patience: frames beyond the gate in a row before the face is lost.
        inflation: factor from the standard deviations of the posterior to calibrated ones; the
            default covers 90 % of the landmark errors of a real clip of 1337 frames.
        seed: of the views' draws.

    Example:
        >>> TrackerConfig(camera="pinhole", rate=0.05).camera
        'pinhole'
    """

    camera: Literal["weak-perspective", "pinhole"] = "weak-perspective"
    solver: Literal["gauss-newton", "nelder-mead"] = "gauss-newton"
    descriptor: Literal["smooth", "sift"] = "smooth"
    covariance: Literal["learned", "isotropic"] = "learned"
    update: Literal["eigenvalues", "none", "full"] = "eigenvalues"
    rate: float = 0.02
    prior: bool = True
    views: int = 101
    components: int = 24
    iterations: int = 5
    evaluations: int = 260
    deviations: float = 10.0
    patience: int = 5
    inflation: float = 30.0
    seed: int = 0

    def __post_init__(self):
        if self.descriptor == "sift" and self.solver == "gauss-newton":
            raise ValueError(
                "descriptor sift has steps and no derivatives, which gauss-newton needs; give "
                "solver nelder-mead, or descriptor smooth"
            )
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate:g}; give a share from 0 to 1")
        if self.update == "full" and not 0 < self.rate <= 0.5:
            raise ValueError(
                f"rate is {self.rate:g}; update full weighs one frame against at least another and "
                "needs a share above 0, up to 0.5"
            )
        if self.views < 3 or self.views % 2 == 0:
            raise ValueError(f"views is {self.views}; give an odd number of at least 3")
        for name in ("components", "iterations", "evaluations", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give at least 1")
        for name in ("deviations", "inflation"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; give more than 0")
