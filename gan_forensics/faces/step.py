"""One frame of the tracker, compiled: maps, search, uncertainty and update, without the host.

Everything that belongs to a person or a clip is an argument, so that clips of one size share their
compiled code and can be batched by `vmap`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gan_forensics.faces.camera import camera, rotation
from gan_forensics.faces.gaussian import Gaussian, merge, update
from gan_forensics.faces.map_estimate import Posterior, Prior, gauss_newton, nelder_mead
from gan_forensics.faces.observe import (
    orientation_maps,
    rounded_sift,
    smooth_sift,
    smooth_sift_with_jacobian,
)
from gan_forensics.faces.render import vertex_normals
from gan_forensics.faces.tracker_config import TrackerConfig

# A vertex faces the camera when the cosine between its normal and the way there is above this.
FACING = 0.2


class Face(NamedTuple):
    """The person of a clip.

    Attributes:
        vertices: neutral face with its shape, in model units.
        animation: units that move.
        triangles: of the mesh.
        tracked: vertices that are compared.
        landmarks: vertices of the landmarks that the model has.
        window: diameter of the SIFT keypoints in working pixels, per pixel of the pose's scale.
    """

    vertices: Float[Array, "n 3"]
    animation: Float[Array, "m n 3"]
    triangles: Int[Array, "t 3"]
    tracked: Int[Array, "k"]
    landmarks: Int[Array, "l"]
    window: Float[Array, ""]


class Setting(NamedTuple):
    """What shapes the compiled code.

    Attributes:
        config: of the tracker.
        frame: width and height of the frames.
        reduction: frame pixels along a side of a working pixel.
        stride: working pixels between the cells of the orientation maps.
    """

    config: TrackerConfig
    frame: tuple[int, int]
    reduction: int
    stride: int


class Cut(NamedTuple):
    """What is looked at of a frame: working pixels, and the frame's pixel (u, v) they begin at."""

    pixels: Float[Array, "h w"]
    first: Float[Array, "2"]


class Bounds(NamedTuple):
    """Energies up to which the appearance learns: mean of the frame, and of each landmark."""

    frame: Float[Array, ""]
    landmarks: Float[Array, "k"]


class Found(NamedTuple):
    """What is known of a frame.

    Attributes:
        posterior: of the search.
        visible: tracked vertices that counted.
        energy: mean of their squared distances.
        places: of the landmarks in the frame, in pixels.
        deviations: of the landmarks along one axis, in pixels, by the posterior's covariance.
        learned: tracked vertices whose Gaussians were updated.
    """

    posterior: Posterior
    visible: Bool[Array, "k"]
    energy: Float[Array, ""]
    places: Float[Array, "l 2"]
    deviations: Float[Array, "l"]
    learned: Bool[Array, "k"]


def places(
    setting: Setting, face: Face, which: Int[Array, "k"], state: Float[Array, "d"]
) -> Float[Array, "k 2"]:
    """Where vertices of a face in that state appear in the frame, in pixels."""
    moved = face.vertices[which] + jnp.einsum("m,mnc->nc", state[6:], face.animation[:, which])
    return _camera(setting)(moved, state[:6])[0]


def visible(setting: Setting, face: Face, state: Float[Array, "d"]) -> Bool[Array, "k"]:
    """Tracked vertices that face the camera, and lie a bin of their descriptor inside the frame."""
    whole = face.vertices + jnp.einsum("m,mnc->nc", state[6:], face.animation)
    normals = vertex_normals(whole, face.triangles)[face.tracked]
    at = places(setting, face, face.tracked, state)
    last = jnp.asarray(setting.frame, at.dtype)[None] - 1
    # Nearer to the border, more of a descriptor would be of what the frame does not show.
    margin = 1.5 * face.window * state[5] * setting.reduction
    inside = ((at >= margin) & (at <= last - margin)).all(-1)
    return inside & (normals @ rotation(state[0], state[1], state[2])[2] > FACING)


def described(
    setting: Setting, cut: Cut, size: Float[Array, ""]
) -> Callable[[Float[Array, "k 2"]], Float[Array, "k 128"]]:
    """Of one frame: descriptors of norm 1 at any places in it."""
    if setting.config.descriptor == "sift":
        fine = orientation_maps(cut.pixels, 1)
        return lambda at: rounded_sift(fine, _to_cut(setting, cut, at), size=size) / 512
    maps = orientation_maps(cut.pixels, setting.stride)
    return lambda at: smooth_sift(maps, _to_cut(setting, cut, at), size=size, stride=setting.stride)


@partial(jax.jit, static_argnames="setting")
def describe_views(
    setting: Setting,
    face: Face,
    pixels: Float[Array, "v h w"],
    first: Float[Array, "2"],
    states: Float[Array, "v d"],
    scale: Float[Array, ""],
) -> tuple[Float[Array, "v k 128"], Bool[Array, "v k"]]:
    """Descriptors of the tracked vertices in every view, as they would be seen by a tracker.

    Args:
        setting: shared by all.
        face: shared by all.
        pixels: the cuts of the views, all beginning at `first`.
        first: as in `Cut`.
        states: of the views.
        scale: that the size of the keypoints goes by, since a tracker knows the last frame's only.
    """

    def view(pair):
        seen, state = pair
        cut = Cut(seen, first)
        at = places(setting, face, face.tracked, state)
        found = described(setting, cut, face.window * scale)(at)
        return found, visible(setting, face, state)

    return jax.lax.map(view, (pixels, states))


def search(
    setting: Setting,
    face: Face,
    appearance: Gaussian,
    cut: Cut,
    prior: Prior,
) -> tuple[Bool[Array, "k"], Posterior, Float[Array, ""]]:
    """What is visible at the prior's mean, the posterior from there on, and its mean energy."""
    maps = orientation_maps(cut.pixels, setting.stride)
    seen = visible(setting, face, prior.mean)
    points = partial(places, setting, face, face.tracked)
    size = face.window * prior.mean[5]

    def slopes(at):
        found, by_point = smooth_sift_with_jacobian(
            maps, _to_cut(setting, cut, at), size=size, stride=setting.stride
        )
        return found, by_point / setting.reduction

    config = setting.config
    if config.solver == "gauss-newton":
        posterior = gauss_newton(
            slopes,
            points,
            appearance,
            seen,
            prior,
            iterations=config.iterations,
        )
    else:
        posterior = nelder_mead(
            described(setting, cut, size),
            points,
            appearance,
            seen,
            prior,
            evaluations=config.evaluations,
            slopes=slopes,
        )
    energy = jnp.where(seen, posterior.energies, 0).sum() / seen.sum()
    return seen, posterior, jnp.where(seen.any(), energy, jnp.inf)


@partial(jax.jit, static_argnames="setting")
def advance(
    setting: Setting, face: Face, appearance: Gaussian, cut: Cut, prior: Prior, bounds: Bounds
) -> tuple[Gaussian, Found]:
    """A frame from the prior's mean on: the appearance that learned from it, and what is found."""
    seen, posterior, energy = search(setting, face, appearance, cut, prior)
    config = setting.config
    learned = seen & (posterior.energies <= bounds.landmarks) & (energy <= bounds.frame)
    if config.update == "none":
        learned = jnp.zeros_like(learned)
    else:
        at = places(setting, face, face.tracked, posterior.state)
        new = described(setting, cut, face.window * prior.mean[5])(at)
        if config.update == "eigenvalues":
            appearance = update(appearance, new, config.rate * learned.astype(new.dtype))
        else:
            appearance = _merged(appearance, new, learned, config.rate)
    return appearance, _found(setting, face, seen, posterior, energy, learned)


def _merged(appearance: Gaussian, new, learned, rate: float) -> Gaussian:
    """Sequential Karhunen-Loeve of each landmark with one observation, which counts for `rate`."""
    # As many observations before as leave a share of `rate` to the new one.
    count = jnp.asarray(1 / rate - 1)
    merged = jax.vmap(lambda old, one: merge(old, one[None], count=count)[0])(appearance, new)

    def chosen(fresh, old):
        return jnp.where(learned.reshape(-1, *(1,) * (old.ndim - 1)), fresh, old)

    return jax.tree.map(chosen, merged, appearance)


def _found(setting, face, seen, posterior, energy, learned) -> Found:
    at = partial(places, setting, face, face.landmarks)
    slopes = jax.jacfwd(at)(posterior.state)
    variances = jnp.einsum("lci,ij,lcj->l", slopes, posterior.covariance, slopes) / 2
    return Found(posterior, seen, energy, at(posterior.state), jnp.sqrt(variances), learned)


def _camera(setting: Setting):
    width, height = setting.frame
    return camera(setting.config.camera, width=width, height=height)


def _to_cut(setting: Setting, cut: Cut, at: Float[Array, "k 2"]) -> Float[Array, "k 2"]:
    """Frame pixels as working pixels of a cut; a working pixel is the mean of a square of them."""
    middle = 0.5 * (setting.reduction - 1)
    return (at - cut.first[None] - middle) / setting.reduction
