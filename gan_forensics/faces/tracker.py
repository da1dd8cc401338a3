"""Follow a face through a video: pose and animation of every frame, with their uncertainty.

The first frame is fitted and rendered under nearby poses; the descriptors of its tracked vertices
make a Gaussian each; every further frame is the maximum of a posterior whose likelihood is updated
by the frame before (Tran, Ababsa, Charbit, Feldmar, Petrovska-Delacretaz and Chollet, "3D Face Pose
and Animation Tracking via Eigen-Decomposition based Bayesian Approach", 2013). The body of that
paper could not be read: beyond its abstract everything here is this project's reconstruction.

Frames are gray uint8 [h, w]; positions are (u, v) in their pixels, angles radians.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from gan_forensics.faces import gates, views
from gan_forensics.faces.camera import camera, euler_angles, geodesic_angle, rotation
from gan_forensics.faces.crops import Crop, crop_about, cut
from gan_forensics.faces.fit import Fit
from gan_forensics.faces.gaussian import Gaussian, isotropic, learn, merge, update
from gan_forensics.faces.map_estimate import Posterior, Prior, gauss_newton, nelder_mead
from gan_forensics.faces.observe import orientation_maps, smooth_sift, smooth_sift_with_jacobian
from gan_forensics.faces.render import render_views, vertex_normals
from gan_forensics.faces.sift import sift
from gan_forensics.faces.wireframe import LANDMARKS, Wireframe, deform

# Outer corners of the eyes: the ruler of a face.
EYES = (36, 45)
# A vertex faces the camera when its normal has at least this much of the camera's direction.
FACING = 0.2


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
        rate: share of the new frame in an update.
        prior: let the state before hold the next one near it.
        views: synthetic views of the first frame; odd.
        components: eigenpairs of a landmark's covariance; the rest is one variance.
        iterations: steps of Gauss-Newton a frame at most.
        evaluations: of the energy by the simplex, a frame.
        deviations: median absolute deviations of the clip's own energies that its gates lie above
            their median.
        patience: frames beyond the gate in a row before the face is lost.
        inflation: factor from the standard deviations of the posterior to calibrated ones.
        seed: of the views' draws.
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
    inflation: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if self.descriptor == "sift" and self.solver == "gauss-newton":
            raise ValueError(
                "descriptor sift has steps and no derivatives, which gauss-newton needs; give "
                "solver nelder-mead, or descriptor smooth"
            )
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate:g}; give a share from 0 to 1")
        if self.views < 3 or self.views % 2 == 0:
            raise ValueError(f"views is {self.views}; give an odd number of at least 3")
        for name in ("components", "iterations", "evaluations", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give at least 1")
        for name in ("deviations", "inflation"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; give more than 0")


# Standard deviations of a state about the one before (25 to 30 frames per second): degrees, then
# for a face whose outer eye corners are 80 pixels apart, pixels, the scale's share, units.
PRIOR_DEGREES = (2.0, 3.0, 2.0)
PRIOR_PIXELS = 3.0
PRIOR_SCALE = 0.01
PRIOR_ANIMATION = 0.12


class Face(NamedTuple):
    """The person of a clip: arrays that stay as they are.

    Attributes:
        vertices: neutral face with its shape.
        animation: units that move.
        triangles: of the mesh.
        tracked: vertices that are compared.
        landmarks: vertices of the landmarks that the model has.
    """

    vertices: Float[Array, "n 3"]
    animation: Float[Array, "m n 3"]
    triangles: Int[Array, "t 3"]
    tracked: Int[Array, "k"]
    landmarks: Int[Array, "l"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known of one frame.

    Attributes:
        state: pitch, yaw, roll, t_x, t_y, scale, then the animation parameters.
        covariance: of the state, by Laplace, not calibrated.
        landmarks: (u, v) of the 68 points; NaN for those that the model lacks.
        landmark_sd: their standard deviation in pixels along one axis, not calibrated.
        energies: of the tracked vertices.
        visible: those of them that count.
        energy: mean over the visible ones.
        confidence: from 1, as usual for the clip, to 0, as for a wrong place.
        accepted: the energy lies within the clip's gate.
        updated: tracked vertices that the appearance learned from.
        lost: the face is lost; the state is the last that was accepted.
        found: it was lost before, and found again in this frame.
        iterations: of the search.
    """

    state: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    landmarks: Float[np.ndarray, "68 2"]
    landmark_sd: Float[np.ndarray, "68"]
    energies: Float[np.ndarray, " k"]
    visible: Bool[np.ndarray, " k"]
    energy: float
    confidence: float
    accepted: bool
    updated: Bool[np.ndarray, " k"]
    lost: bool
    found: bool
    iterations: int
