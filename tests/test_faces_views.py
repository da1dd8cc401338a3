"""The views that a tracker learns from: how they are drawn, and what is made of them."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.faces import appearance
from gan_forensics.faces.camera import pinhole, weak_perspective
from gan_forensics.faces.crops import Crop
from gan_forensics.faces.gaussian import Gaussian
from gan_forensics.faces.step import Face, Setting
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.faces.views import draw_states

STATE = np.array([0.1, -0.2, 0.3, 120.0, 90.0, 50.0, 0.4, -0.1], np.float32)
HALF = [*np.radians([15, 25, 15]), 0, 0, 0.08, 0.5, 0.5]


def offsets(states):
    found = states - STATE
    found[:, 5] = np.log(states[:, 5] / STATE[5])
    return found


def test_the_first_view_is_the_frames_own_and_the_others_are_pairs_in_the_mirror():
    found = offsets(draw_states(STATE, views=201, random=np.random.default_rng(0)))
    assert found.shape == (201, 8)
    np.testing.assert_allclose(found[0], 0, atol=1e-7)
    here, there = found[1:101], found[101:]
    np.testing.assert_allclose(there, here * [1, -1, -1, 1, 1, 1, 1, 1], rtol=0, atol=1e-6)


def test_draws_fill_their_ranges_evenly_and_keep_the_place():
    found = offsets(draw_states(STATE, views=2001, random=np.random.default_rng(0)))
    farthest = np.abs(found).max(0)
    assert (farthest <= np.array(HALF) + 1e-6).all()
    moving = np.array(HALF) > 0
    assert (farthest[moving] > 0.99 * np.array(HALF)[moving]).all()
    # Of a uniform distribution, over the root of three.
    spread = found[1:1001].std(0)[moving] * np.sqrt(3)
    np.testing.assert_allclose(spread, np.array(HALF)[moving], rtol=0.06)


@pytest.mark.parametrize("number", [1, 10])
def test_numbers_of_views_that_make_no_pairs_are_refused(number):
    with pytest.raises(ValueError, match=f"views is {number}; give an odd number of at least 3"):
        draw_states(STATE, views=number, random=np.random.default_rng(0))


RANDOM = np.random.default_rng(0)
FACE = Face(
    jnp.asarray(RANDOM.normal(size=(5, 3)), jnp.float32),
    jnp.asarray(RANDOM.normal(size=(2, 5, 3)), jnp.float32),
    jnp.asarray([[0, 1, 2], [2, 3, 4]]),
    jnp.asarray([4, 1, 2]),
    jnp.asarray([0]),
    jnp.asarray(0.2, jnp.float32),
)
FRAME = RANDOM.integers(0, 256, (200, 240), dtype=np.uint8)
FIRST = (30, 20)
CONFIG = TrackerConfig(views=41, components=3)


@pytest.fixture
def learned(monkeypatch):
    """`learn_appearance` without pictures: what it asks for, and what it makes of the answers."""
    asked = {}

    def render_views(background, uv, depth, texture, texture_uv, triangles):
        asked["drawn"] = (background, uv, depth, texture, texture_uv, triangles)
        return np.zeros((len(uv), *background.shape))

    def describe_views(setting, face, pixels, first, states, scale):
        asked["described"] = (pixels.shape, np.asarray(first), np.asarray(states), float(scale))
        random = np.random.default_rng(1)
        asked["samples"] = random.normal(size=(len(states), 3, 8)) * np.arange(1, 9)
        seen = random.random((len(states), 3)) < asked.get("share", 0.5)
        asked["seen"] = seen
        return asked["samples"], seen

    monkeypatch.setattr(appearance, "render_views", render_views)
    monkeypatch.setattr(appearance, "describe_views", describe_views)

    def learn(config=CONFIG, **answers):
        asked.update(answers)
        setting = Setting(config, (240, 200), 2, 4)
        crop = Crop(60, 50, 2, 4, (240, 200))
        return appearance.learn_appearance(setting, FACE, crop, FIRST, FRAME, STATE), asked

    return learn


def test_views_are_drawn_of_the_frame_itself_in_states_that_the_seed_chooses(learned):
    _, asked = learned()
    states = draw_states(STATE.astype(float), views=41, random=np.random.default_rng(0))
    pixels, first, described, scale = asked["described"]
    assert pixels == (41, 50, 60) and scale == STATE[5]
    np.testing.assert_array_equal(first, FIRST)
    np.testing.assert_allclose(described, states, rtol=1e-6)
    background, uv, depth, texture, texture_uv, _ = asked["drawn"]
    for image in (background, texture):
        np.testing.assert_allclose(image[3, 7], FRAME[26:28, 44:46].mean())
    moved = FACE.vertices[None] + np.einsum("vm,mnc->vnc", states[:, 6:], FACE.animation)
    places, depths = weak_perspective(np.asarray(moved, float), states[:, :6])
    # Of a working pixel of two by two the centre lies half a pixel after that of its first.
    np.testing.assert_allclose(uv, (places - [30.5, 20.5]) / 2, atol=1e-4)
    np.testing.assert_allclose(depth, depths, atol=1e-5)
    np.testing.assert_allclose(texture_uv, uv[0], atol=1e-5)
    _, other = learned(replace(CONFIG, seed=1))
    assert np.abs(other["described"][2] - described)[1:].max() > 0.1
    _, other = learned(replace(CONFIG, camera="pinhole"))
    places, _ = pinhole(np.asarray(moved, float), states[:, :6], focal=288.0, centre=(119.5, 99.5))
    np.testing.assert_allclose(other["drawn"][1], (places - [30.5, 20.5]) / 2, atol=1e-3)


def test_each_vertex_has_the_gaussian_of_the_views_that_show_it(learned):
    found, asked = learned()
    assert found.vectors.shape == (3, 3, 8)
    for k in range(3):
        samples = asked["samples"][asked["seen"][:, k], k]
        np.testing.assert_allclose(found.mean[k], samples.mean(0), rtol=1e-5, atol=1e-6)
        trace = np.trace(np.cov(samples.T))
        np.testing.assert_allclose(
            found.values[k].sum() + 5 * found.residual[k], 1.01 * trace, rtol=1e-4
        )
    assert (found.values[:, 0] > 2 * found.residual).all()
    alike, _ = learned(replace(CONFIG, covariance="isotropic"))
    np.testing.assert_allclose(alike.values, np.repeat(alike.residual[:, None], 3, 1), rtol=1e-6)
    assert isinstance(alike, Gaussian)


def test_a_vertex_that_is_hardly_seen_is_named(learned):
    with pytest.raises(ValueError, match="vertices 4, 1, 2 are seen in fewer than 2 of 41 views"):
        learned(share=0.0)
