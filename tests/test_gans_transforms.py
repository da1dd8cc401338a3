import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans.transforms import (
    CORNERS,
    POLICIES,
    Policy,
    Transform,
    check_images,
    crop_weights,
    policies_of,
)
from gan_forensics.runtime import data_mesh

INVERTIBLE = ["rotation", "flip", "fliprot", "fliprot-tf", "shift"]
FIXED = [
    (name, k)
    for name, policy in POLICIES.items()
    for k, transform in enumerate(policy.transforms)
    if not transform.random
]


def images_of(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def results(name, images):
    """What each transform of a policy without draws makes of images."""
    return [np.asarray(t.apply(images, None)) for t in POLICIES[name].transforms]


def test_policies_are_those_of_the_table():
    sizes = {name: len(policy.transforms) for name, policy in POLICIES.items()}
    assert sizes == dict.fromkeys(["rotation", "flip", "fliprot", "fliprot-tf"], 4) | dict.fromkeys(
        ["crop", "crop-nearest", "crop-biggan", "crop-align", "translation", "shift"], 5
    ) | dict.fromkeys(["random-translation", "cutout", "colour"], 2)
    assert [name for name, policy in POLICIES.items() if policy.invertible] == INVERTIBLE
    for name, policy in POLICIES.items():
        assert policy.name == name and policy.note
        assert policy.transforms[0].name == "identity"
        assert len({transform.name for transform in policy.transforms}) == len(policy.transforms)


def test_the_identity_returns_the_images_themselves(rng):
    images = images_of(rng, 2, 4, 4, 1)
    for policy in POLICIES.values():
        assert policy.transforms[0].apply(images, None) is images


def test_rotations_turn_counter_clockwise_and_add_up(rng):
    images = images_of(rng, 2, 8, 8, 3)
    for k, turned in enumerate(results("rotation", images)):
        assert_array_equal(turned, np.rot90(images, k, (1, 2)))
        for j, twice in enumerate(results("rotation", turned)):
            assert_array_equal(twice, np.rot90(images, (j + k) % 4, (1, 2)))


def test_flips_are_what_their_code_says(rng):
    x = images_of(rng, 2, 8, 8, 3)
    rows, columns, both = x[:, ::-1], x[:, :, ::-1], x[:, ::-1, ::-1]
    turned = np.rot90(x, 1, (1, 2))
    assert_array_equal(results("flip", x), [x, columns, rows, both])
    assert_array_equal(results("fliprot-tf", x), [x, columns, rows, both])
    assert_array_equal(results("fliprot", x), [x, rows, columns, turned])


def test_flips_form_a_group(rng):
    images = images_of(rng, 2, 8, 8, 3)
    once = results("flip", images)
    for a in range(4):
        for b, twice in enumerate(results("flip", once[a])):
            assert_array_equal(twice, once[a ^ b])


@pytest.mark.parametrize(("n", "channels"), [(7, 1), (8, 3)])
def test_inverses_undo_and_are_undone(rng, n, channels):
    images = images_of(rng, 2, n, n, channels)
    for name in INVERTIBLE:
        for transform in POLICIES[name].transforms:
            assert_array_equal(transform.inverse(transform.apply(images, None)), images)
            assert_array_equal(transform.apply(transform.inverse(images), None), images)


@functools.cache
def linear_parts():
    """What all transforms without draws make of 16 images, their gradients, and their matrices."""
    images, slopes = images_of(np.random.default_rng(1), 2, 16, 16)

    def of(transform):
        def apply(images):
            return transform.apply(images.reshape(-1, 4, 4, 1), None).reshape(-1, 16)

        made, back = jax.vjp(apply, images)
        return made, back(slopes)[0], apply(jnp.eye(16)).T

    made = jax.jit(lambda: [of(POLICIES[name].transforms[k]) for name, k in FIXED])()
    return images, slopes, dict(zip(FIXED, jax.device_get(made), strict=True))


@pytest.mark.parametrize(("name", "k"), FIXED)
def test_transforms_are_matrices_of_their_kind(name, k):
    """Each image by itself; gradients by the transpose; inverses for permutations only."""
    images, slopes, parts = linear_parts()
    made, gradients, matrix = parts[name, k]
    assert_allclose(made, images @ matrix.T, rtol=0, atol=1e-6)
    assert_allclose(gradients, slopes @ matrix, rtol=0, atol=1e-6)
    if POLICIES[name].transforms[k].inverse is None:
        assert np.linalg.matrix_rank(matrix) < 16
    else:
        assert set(np.unique(matrix)) == {0, 1}
        assert (matrix.sum(0) == 1).all() and (matrix.sum(1) == 1).all()


@pytest.mark.parametrize(("n", "edges"), [(8, (2, 6)), (7, (1, 5))])
def test_crops_are_the_released_corners(rng, n, edges):
    images = images_of(rng, 2, n, n, 3)
    low, high = edges

    def along(axis, places, x):
        whole = range(x.shape[axis])
        return np.apply_along_axis(lambda line: np.interp(places, whole, line), axis, x)

    parts = {"first": slice(0, high), "last": slice(low, n)}
    for k, (rows, columns) in enumerate(CORNERS.values(), start=1):
        box = images[:, parts[rows], parts[columns]]
        h, w = box.shape[1:3]

        nearest = [[box[:, i * h // n, j * w // n] for j in range(n)] for i in range(n)]
        got = results("crop-nearest", images)[k]
        assert_array_equal(got, np.moveaxis(np.array(nearest), 2, 0))
        for name, places in (
            ("crop", lambda length: (np.arange(n) + 0.5) * length / n - 0.5),
            ("crop-align", lambda length: np.linspace(0, length - 1, n)),
        ):
            down = along(1, places(h), box)
            expected = along(2, places(w), down)
            assert_allclose(results(name, images)[k], expected, rtol=0, atol=1e-6)


def test_crops_come_in_the_published_order():
    # One bright corner of 8 pixels is in one crop: top left, top right, bottom left, bottom right.
    for corner, (i, j) in enumerate([(0, 0), (0, 7), (7, 0), (7, 7)]):
        image = np.zeros((1, 8, 8, 1), np.float32)
        image[0, i, j] = 1
        bright = [crop.max() > 0.5 for crop in results("crop", image)[1:]]
        assert bright == [k == corner for k in range(4)]


@pytest.mark.parametrize("resize", ["nearest", "bilinear", "align"])
def test_crops_of_a_constant_are_constant(resize):
    for n in (4, 7, 8, 32):
        for part in ("first", "last"):
            assert_allclose(crop_weights(n, part, resize).sum(1), 1, rtol=1e-12)
    constant = np.full((1, 7, 7, 3), 0.3, np.float32)
    name = {"nearest": "crop-nearest", "bilinear": "crop", "align": "crop-align"}[resize]
    assert_allclose(results(name, constant), np.full((5, 1, 7, 7, 3), 0.3), rtol=1e-6)


def test_shifts_move_by_a_quarter_and_lose_or_keep_the_border(rng):
    x = images_of(rng, 2, 8, 8, 3)
    up, down = np.zeros_like(x), np.zeros_like(x)
    up[:, :6], down[:, 2:] = x[:, 2:], x[:, :6]
    left, right = np.zeros_like(x), np.zeros_like(x)
    left[:, :, :6], right[:, :, 2:] = x[:, :, 2:], x[:, :, :6]
    assert_array_equal(results("translation", x), [x, up, down, left, right])
    kept = [np.roll(x, *to) for to in ((-2, 1), (2, 1), (-2, 2), (2, 2))]
    assert_array_equal(results("shift", x), [x, *kept])


def test_a_split_batch_is_transformed_like_a_whole_one(rng):
    images = images_of(rng, 8, 8, 8, 3)
    names = ["rotation", "flip", "crop", "translation", "shift"]

    def all_of(images):
        return [POLICIES[name].transforms[3].apply(images, None) for name in names]

    sharding = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))
    split = jax.jit(all_of)(jax.device_put(images, sharding))
    for got, expected in zip(split, all_of(images), strict=True):
        assert_allclose(got, expected, rtol=0, atol=1e-6)
        assert got.sharding.is_equivalent_to(sharding, 4)


def test_random_transforms_need_a_key():
    for name in ("random-translation", "cutout", "colour"):
        transform = POLICIES[name].transforms[1]
        assert transform.random and transform.inverse is None
        with pytest.raises(ValueError, match="is random: pass a PRNG key"):
            transform.apply(np.zeros((1, 8, 8, 1), np.float32), None)


def test_policies_are_asked_for_by_name():
    for names in ("rotation, crop", ["rotation", "crop"]):
        assert policies_of(names) == (POLICIES["rotation"], POLICIES["crop"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("rotation,crops", r"unknown transforms 'crops'; did you mean 'crop'\? Policies are rota"),
        (["color"], "unknown transforms 'color'; did you mean 'colour'"),
        ("rotation,,crop", "unknown transforms ''; did you mean"),
        ("", "no transforms given, got ''. Policies are rotation, flip"),
        ([], "no transforms given"),
        ("crop,flip,crop", "transforms 'crop' are given 2 times"),
    ],
)
def test_names_that_are_none_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        policies_of(names)


def test_images_must_keep_their_size():
    check_images(tuple(POLICIES.values()), (2, 8, 8, 3))
    check_images(policies_of("flip,crop,colour"), (2, 8, 12, 3))
    for name, turn in (("rotation", "rotation by 270 degrees"), ("fliprot", "by 90 degrees")):
        message = rf"transforms '{name}' change the size of images of 8 x 12 .*{turn}.* flip, crop"
        with pytest.raises(ValueError, match=message.replace("flip,", "flip, fliprot-tf,")):
            check_images(policies_of(["flip", name]), (8, 12, 1))
    smaller = Transform("every other row", lambda images, key: images[:, ::2], None)
    with pytest.raises(ValueError, match="'mine' change the size .* 8 x 8 .*every other row"):
        check_images([Policy("mine", (smaller,))], (2, 8, 8, 3))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((64, 2), r"of images \[b, h, w, c\], got \[64, 2\]"), ((2, 3, 3, 1), "4 x 4 .* got 3 x 3")],
)
def test_what_cannot_be_cut_in_quarters_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        check_images(policies_of("flip"), shape)


def test_images_keep_their_dtype():
    images = jnp.ones((2, 4, 4, 3), jnp.bfloat16)
    for policy in POLICIES.values():
        for transform in policy.transforms:
            made = jax.eval_shape(transform.apply, images, jax.random.key(0))
            assert made.dtype == jnp.bfloat16
