"""SIFT against OpenCV; the smooth variant against it, its symmetries, limits and Jacobian."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import data

from gan_forensics.faces.observe import (
    Maps,
    orientation_maps,
    rounded_sift,
    smooth_sift,
    smooth_sift_with_jacobian,
)
from gan_forensics.faces.sift import BLUR, base_blur, opencv_sift, sift

cv2 = pytest.importorskip("cv2")
STRIDE, SIZE = 4, 9
# Upright descriptors in a mirrored image: columns from the other side, and right becomes left.
MIRRORED = np.arange(128).reshape(4, 4, 8)[:, ::-1, (4 - np.arange(8)) % 8].ravel()
# The image turned a quarter anticlockwise: up becomes left, the right column the top row.
TURNED = np.arange(128).reshape(4, 4, 8)[:, ::-1, (np.arange(8) - 2) % 8].swapaxes(0, 1).ravel()

jit_sift = jax.jit(sift, static_argnames="size")
jit_maps = jax.jit(orientation_maps, static_argnames="stride")
jit_smooth = jax.jit(smooth_sift, static_argnames="stride")
jit_slopes = jax.jit(smooth_sift_with_jacobian, static_argnames="stride")
jit_rounded = jax.jit(rounded_sift)
jit_blur = jax.jit(base_blur)


def astronaut(side=256):
    return np.round(data.astronaut()[:side, 100 : 100 + side] @ [0.299, 0.587, 0.114])


IMAGES = {
    "astronaut": astronaut(),
    "noise": np.random.default_rng(3).integers(0, 256, (96, 96)),
    "wide": astronaut()[40:105, :171],
}


def described(image, points, size=SIZE, stride=STRIDE):
    maps = jit_maps(jnp.asarray(image, jnp.float32), stride=stride)
    return np.asarray(jit_smooth(maps, jnp.asarray(points, jnp.float32), size=size, stride=stride))


def inner_points(rng, image, k=24, margin=0):
    h, w = image.shape
    return rng.uniform(margin, [w - 1 - margin, h - 1 - margin], (k, 2))


@pytest.mark.parametrize(
    ("name", "size"), [("astronaut", 6), ("astronaut", 16), ("noise", 6), ("noise", 10)]
)
def test_the_port_is_within_one_of_opencv_also_near_borders_and_between_pixels(rng, name, size):
    image = IMAGES[name].astype(np.uint8)
    h, w = image.shape
    points = inner_points(rng, image, k=18)
    corners = [[0, 0], [1, h - 1], [w - 1, 3], [w - 0.5, h - 0.5], [20.5, 21.5], [-3, 40]]
    points = np.concatenate([points, corners]).astype(np.float32)
    for angle in (0.0, 45.0, 300.0):
        wanted = opencv_sift(image, points, size=size, angle=angle)
        found = jit_sift(jnp.asarray(image, jnp.float32), points, size=size, angle=angle)
        away = np.abs(found - wanted)
        assert away.max() <= 1 and (away > 0).mean() < 0.005
        assert wanted[:18].max() > 100


@pytest.mark.parametrize("name", ["noise", "wide"])
def test_maps_of_single_pixels_give_the_upright_port_for_a_size_that_is_traced(rng, name):
    image = IMAGES[name].astype(np.uint8)
    points = np.concatenate([inner_points(rng, image, k=22), [[20.5, 21.5], [-3, 40]]])
    maps = jit_maps(image.astype(np.float32), stride=1)
    for size in (6, 9.7):
        away = np.abs(jit_rounded(maps, points, size=size) - opencv_sift(image, points, size=size))
        assert away.max() <= 1 and (away > 0).mean() < 0.005


def test_the_base_blur_is_opencvs():
    for image in IMAGES.values():
        image = image.astype(np.float32)
        wanted = cv2.GaussianBlur(image, (0, 0), BLUR)
        np.testing.assert_allclose(jit_blur(image), wanted, atol=2e-4)


def test_turning_image_and_keypoint_leaves_the_port_as_it_was(rng):
    image = IMAGES["noise"].astype(np.float32)
    points = np.round(inner_points(rng, image, margin=10)).astype(np.float32)
    turned = np.stack([points[:, 1], 95 - points[:, 0]], 1)  # a quarter anticlockwise
    upright = jit_sift(image, points, size=6, angle=0.0)
    found = jit_sift(np.rot90(image).copy(), turned, size=6, angle=270.0)
    np.testing.assert_allclose(found, upright, atol=1)


def test_the_port_is_zero_on_constants_and_outside_and_ignores_brightness_and_contrast(rng):
    points = np.tile(np.float32([[50, 50], [500, 50], [50, -1e6]]), (8, 1))
    assert not np.asarray(jit_sift(jnp.full((96, 96), 117.0), points, size=6, angle=0.0)).any()
    image = IMAGES["noise"].astype(np.float32)
    found = jit_sift(image, points, size=6, angle=0.0)
    assert found[0].any() and not found[1:3].any()
    np.testing.assert_allclose(jit_sift(0.5 * image + 40, points, size=6, angle=0.0), found, atol=1)


def test_opencv_wants_bytes_and_gives_every_point_its_descriptor():
    image = IMAGES["noise"].astype(np.uint8)
    with pytest.raises(ValueError, match="takes uint8 images, got float32: round to 0..255"):
        opencv_sift(image.astype(np.float32), np.zeros((1, 2)), size=9)
    assert opencv_sift(image, np.zeros((0, 2)), size=9).shape == (0, 128)
    twice = opencv_sift(image, np.array([[50, 50], [300, 300], [50, 50]]), size=9)
    np.testing.assert_array_equal(twice[0], twice[2])
    assert not twice[1].any()


@pytest.mark.parametrize("name", IMAGES)
def test_the_smooth_variant_is_as_good_as_opencvs_at_whole_pixels(rng, name):
    image = IMAGES[name].astype(np.uint8)
    points = np.round(inner_points(rng, image, margin=2))
    wanted = opencv_sift(image, points, size=SIZE)
    wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    cosines = (described(image, points) * wanted).sum(1)
    assert cosines.min() > 0.99 and np.median(cosines) > 0.999


def test_the_smooth_variant_is_as_good_as_opencvs_on_a_real_clip(rng):
    path = os.environ.get("GAN_FORENSICS_TALKING_FACE")
    if not path:
        pytest.skip("GAN_FORENSICS_TALKING_FACE names no clip")
    read, frame = cv2.VideoCapture(path).read()
    assert read
    image = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    points = np.round(inner_points(rng, image, k=100, margin=2))
    wanted = opencv_sift(image, points, size=SIZE)
    wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    cosines = (described(image, points) * wanted).sum(1)
    assert cosines.min() > 0.99 and np.median(cosines) > 0.999


def test_maps_add_up_to_the_magnitude_of_the_gradient_and_hold_its_direction():
    image = IMAGES["wide"].astype(np.float32)
    maps = jit_maps(image, stride=STRIDE)
    blurred = np.asarray(jit_blur(image))
    magnitude = np.hypot(
        blurred[1:-1, 2:] - blurred[1:-1, :-2], blurred[:-2, 1:-1] - blurred[2:, 1:-1]
    )
    np.testing.assert_allclose(maps.cells.sum(), magnitude.sum(), rtol=1e-5)
    v, u = np.mgrid[:65, :171]
    for degrees in (0, 45, 90, 170, 200, 315, 340):
        # A slope that rises towards this angle, anticlockwise from the right.
        angle = np.deg2rad(degrees)
        slope = jnp.asarray(u * np.cos(angle) - v * np.sin(angle), jnp.float32)
        inner = np.asarray(jit_maps(slope, stride=STRIDE).cells)[6:-6, 6:-6]
        share = np.maximum(0, 1 - np.abs((degrees / 45 - np.arange(8) + 4) % 8 - 4))
        # Two pixels apart, sixteen pixels in a cell.
        wanted = np.broadcast_to(2 * 16 * share, inner.shape)
        np.testing.assert_allclose(inner, wanted, atol=2e-3)


def test_the_grid_lies_symmetrically_about_the_centre_of_an_image_of_any_size():
    for h, w in ((65, 171), (96, 96), (256, 256)):
        maps = jit_maps(jnp.zeros((h, w)), stride=STRIDE)
        last = np.asarray(maps.first) + STRIDE * (np.array(maps.cells.shape[1::-1]) - 1)
        np.testing.assert_allclose(maps.first + last, [w - 1, h - 1])
        assert (np.asarray(maps.first) <= 0).all() and (np.asarray(maps.first) > -STRIDE / 2).all()


@pytest.mark.parametrize("name", ["noise", "wide"])
def test_a_mirrored_image_has_the_same_descriptors_with_their_bins_exchanged(rng, name):
    image = IMAGES[name].astype(np.float32)
    points = inner_points(rng, image)
    mirrored = np.stack([image.shape[1] - 1 - points[:, 0], points[:, 1]], 1)
    found = described(image[:, ::-1].copy(), mirrored)
    np.testing.assert_allclose(found, described(image, points)[:, MIRRORED], atol=3e-6)
    maps, other = jit_maps(image, stride=4), jit_maps(image[:, ::-1].copy(), stride=4)
    reflected = other.cells[:, ::-1, (4 - np.arange(8)) % 8]
    np.testing.assert_allclose(reflected, maps.cells, atol=2e-2, rtol=1e-5)


def test_an_image_turned_by_a_quarter_has_the_same_descriptors_with_their_bins_turned(rng):
    image = IMAGES["noise"].astype(np.float32)
    points = inner_points(rng, image)
    turned = np.stack([points[:, 1], image.shape[1] - 1 - points[:, 0]], 1)
    found = described(np.rot90(image).copy(), turned)
    np.testing.assert_allclose(found, described(image, points)[:, TURNED], atol=3e-6)


def test_brightness_and_contrast_do_not_matter(rng):
    image = IMAGES["wide"].astype(np.float32)
    points = inner_points(rng, image)
    wanted = described(image, points)
    for gain, offset in ((0.25, 100), (2, -40), (1, 30)):
        np.testing.assert_allclose(described(gain * image + offset, points), wanted, atol=2e-5)


def test_descriptors_have_norm_one_and_no_entry_far_above_the_clip(rng):
    found = described(IMAGES["wide"], inner_points(rng, IMAGES["wide"]))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert found.min() >= -1e-6 and 0.2 < found.max() < 0.5


def test_constant_patches_and_points_outside_give_zeros_and_finite_gradients():
    image = np.full((65, 171), 117.0, np.float32)
    image[:, 110:] = IMAGES["wide"][:, :61]
    points = np.tile(np.float32([[30, 50], [-400, 50], [30, 1e6], [140, 50]]), (6, 1))
    maps = jit_maps(image, stride=STRIDE)
    d, slopes = jit_slopes(maps, points, size=SIZE, stride=STRIDE)
    # Zero but for rounding: JAX 0.10 and 0.12 differ in the last bits of a constant image's blur.
    assert np.isfinite(slopes).all() and np.abs(d[:3]).max() < 1e-8 and not slopes[:3].any()
    assert d[3].any() and slopes[3].any()
    total = jax.jit(jax.grad(lambda p: smooth_sift(maps, p, size=SIZE, stride=STRIDE).sum()))
    gradient = total(points)
    assert np.isfinite(gradient).all() and not gradient[:3].any()


def test_the_jacobian_is_that_of_finite_differences_and_of_forward_mode(rng):
    image = IMAGES["wide"]
    with jax.enable_x64(True):
        maps = jit_maps(jnp.asarray(image, jnp.float64), stride=STRIDE)
        points = jnp.asarray(inner_points(rng, image))

        @jax.jit
        def describe(points):
            return smooth_sift(maps, points, size=SIZE, stride=STRIDE)

        d, slopes = jit_slopes(maps, points, size=SIZE, stride=STRIDE)
        np.testing.assert_allclose(d, describe(points), rtol=1e-12, atol=1e-14)
        assert (np.asarray(d) > 0.2).any(), "some entries are clipped"
        for axis, step in enumerate(1e-6 * jnp.eye(2)):
            difference = (describe(points + step[None]) - describe(points - step[None])) / 2e-6
            np.testing.assert_allclose(slopes[..., axis], difference, atol=1e-8)
        forward = jax.jit(jax.vmap(jax.jacfwd(lambda point: describe(point[None])[0])))(points)
        np.testing.assert_allclose(slopes, forward, rtol=1e-10, atol=1e-13)


def test_descriptors_move_without_steps_where_opencvs_jump(rng):
    image = IMAGES["wide"].astype(np.uint8)
    line = np.stack([np.linspace(60, 64, 401), np.full(401, 33.2)], 1)
    away = np.abs(np.diff(described(image, line), axis=0)).max(1)
    assert away.max() < 2e-3
    jumps = np.abs(np.diff(opencv_sift(image, line, size=SIZE) / 512, axis=0)).max(1)
    assert jumps.max() > 2e-2


def test_points_and_images_of_a_batch_are_described_as_one_by_one(rng):
    images = jnp.asarray(np.stack([IMAGES["wide"], IMAGES["wide"][::-1]]), jnp.float32)
    points = jnp.asarray(np.stack([inner_points(rng, IMAGES["wide"], k=5) for _ in images]))
    maps = jax.jit(jax.vmap(lambda image: orientation_maps(image, STRIDE)))(images)
    both = jax.jit(
        jax.vmap(lambda m, p: smooth_sift_with_jacobian(m, p, size=SIZE, stride=STRIDE))
    )(maps, points)
    for i in range(2):
        np.testing.assert_allclose(
            maps.cells[i], jit_maps(images[i], stride=STRIDE).cells, rtol=1e-4, atol=1e-3
        )
        one = Maps(maps.cells[i], maps.first[i])
        for j in range(5):
            alone = jit_slopes(one, points[i, j : j + 1], size=SIZE, stride=STRIDE)
            for found, wanted in zip(both, alone, strict=True):
                np.testing.assert_allclose(found[i, j], wanted[0], atol=2e-6)
