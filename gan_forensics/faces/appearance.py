"""What a face looks like, learned from synthetic views of one frame."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.faces.camera import camera
from gan_forensics.faces.crops import Crop, cut
from gan_forensics.faces.gaussian import Gaussian, isotropic, learn
from gan_forensics.faces.render import render_views
from gan_forensics.faces.step import Face, Setting, describe_views
from gan_forensics.faces.views import draw_states


def learn_appearance(
    setting: Setting,
    face: Face,
    crop: Crop,
    first: tuple[int, int],
    frame: UInt8[np.ndarray, "h w"],
    state: Float[np.ndarray, " d"],
) -> Gaussian:
    """A Gaussian of descriptors for every tracked vertex.

    The frame is its own texture, and the background of every view: windows near the outline of the
    face then see what surrounds it, and not black.

    Args:
        setting: of the tracker.
        face: the person.
        crop: of the clip.
        first: where the crop of this frame begins.
        frame: gray.
        state: pose and animation in it.

    Raises:
        ValueError: when a tracked vertex is seen in fewer than two views.
    """
    config = setting.config
    random = np.random.default_rng(config.seed)
    states = draw_states(state.astype(np.float64), views=config.views, random=random)
    pixels = cut(frame, crop, first)
    uv, depth = _projected(setting, face, np.concatenate([state[None], states]))
    uv = (uv - np.array(first) - 0.5 * (setting.reduction - 1)) / setting.reduction
    # In float64: whether a pixel lies inside an outline must not hang on rounding, or the views of
    # a mirrored frame are not the mirrored views.
    with jax.enable_x64(True):
        image, places, depths = jnp.asarray(pixels), jnp.asarray(uv), jnp.asarray(depth[1:])
        triangles = np.asarray(face.triangles)
        drawn = render_views(image, places[1:], depths, image, places[0], triangles)
        views = np.asarray(drawn, np.float32)
    found, seen = describe_views(
        setting,
        face,
        jnp.asarray(views),
        jnp.asarray(first, jnp.float32),
        jnp.asarray(states, jnp.float32),
        jnp.asarray(state[5], jnp.float32),
    )
    seen = np.asarray(seen)
    rare = np.flatnonzero(seen.sum(0) < 2)
    if len(rare):
        vertices = ", ".join(str(vertex) for vertex in np.asarray(face.tracked)[rare])
        raise ValueError(
            f"tracked vertices {vertices} are seen in fewer than 2 of {config.views} views of the "
            "first frame: the head is turned too far away; begin at another frame"
        )
    # In float64: which eigenvectors come last must not hang on rounding.
    with jax.enable_x64(True):
        learned = jax.vmap(
            lambda samples, weights: learn(samples, weights, components=config.components),
            in_axes=(1, 1),
        )(jnp.asarray(found, jnp.float64), jnp.asarray(seen, jnp.float64))
        if config.covariance == "isotropic":
            learned = isotropic(learned)
        parts = [np.asarray(part, np.float32) for part in learned]
    return Gaussian(*(jnp.asarray(part) for part in parts))


def _projected(setting: Setting, face: Face, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and depths of all vertices in every state, in float64."""
    width, height = setting.frame
    project = camera(setting.config.camera, width=width, height=height)
    vertices, units = (np.asarray(part, np.float64) for part in (face.vertices, face.animation))
    moved = vertices + np.einsum("vm,mnc->vnc", states[:, 6:], units)
    return project(moved, states[:, :6])
