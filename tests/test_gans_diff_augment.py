import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans.diff_augment import (
    DIFF_AUGMENT,
    brightness,
    contrast,
    cutout,
    diff_augment,
    random_colour,
    random_cutout,
    random_flip_and_shift,
    random_of,
    random_translation,
    saturation,
    translate,
)
from gan_forensics.gans.transforms import policies_of
from gan_forensics.runtime import data_mesh


def images_of(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def translated_slowly(images, rows, columns):
    made = np.zeros_like(images)
    _, h, w, _ = images.shape
    for b, i, j in np.ndindex(images.shape[:3]):
        r, c = i + rows[b], j + columns[b]
        if 0 <= r < h and 0 <= c < w:
            made[b, i, j] = images[b, r, c]
    return made


def cut_slowly(images, rows, columns, side):
    """As DiffAugment: places of the square are clipped to the image."""
    made = images.copy()
    _, h, w, _ = images.shape
    for b, i, j in np.ndindex(len(images), side, side):
        r, c = rows[b] + i - side // 2, columns[b] + j - side // 2
        made[b, min(max(r, 0), h - 1), min(max(c, 0), w - 1)] = 0
    return made


@pytest.fixture
def batch(rng):
    return images_of(rng, 8, 8, 6, 3)


SPLIT = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))
SHIFTS = np.array([0, 1, -1, 3, -8, 2, -4, 0]), np.array([0, -2, 1, 5, 0, 6, 0, -1])


def test_translation_moves_each_image_by_its_own_shift(batch):
    assert_array_equal(jax.jit(translate)(batch, *SHIFTS), translated_slowly(batch, *SHIFTS))


@pytest.mark.parametrize("side", [3, 4])
def test_cutout_is_a_square_around_its_place(batch, side):
    rows = np.array([0, 7, 3, 2, 8 - side % 2, 5, 1, 4])
    columns = np.array([0, 5, 3, 6 - side % 2, 1, 4, 2, 0])
    made = jax.jit(cutout, static_argnums=3)(batch, rows, columns, side)
    assert_array_equal(made, cut_slowly(batch, rows, columns, side))


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_is_diff_augments(batch, rng, channels):
    batch, amount = batch[..., :channels], np.array([0, 1, 0.5, 1.7, 0.2, 2, 1.1, 0.9], np.float32)
    each = amount.reshape(-1, 1, 1, 1)
    assert_array_equal(brightness(batch, amount), batch + each)
    for change, axes in ((saturation, 3), (contrast, (1, 2, 3))):
        mean = batch.mean(axes, keepdims=True)
        assert_allclose(change(batch, amount), mean + each * (batch - mean), rtol=0, atol=1e-6)
    if channels == 1:
        assert_array_equal(saturation(batch, amount), batch)


def test_gradients_are_transposes(batch, rng):
    slopes = images_of(rng, *batch.shape)
    amount = rng.uniform(0.5, 2, 8).astype(np.float32)
    back = jax.jit(lambda x: jax.vjp(lambda x: translate(x, *SHIFTS), x)[1](slopes)[0])(batch)
    assert_array_equal(back, translated_slowly(slopes, *(-shift for shift in SHIFTS)))

    def both(change):
        made, back = jax.vjp(change, batch)
        return made - change(jnp.zeros_like(batch)), back(slopes)[0]

    for change in (
        lambda x: cutout(x, *map(abs, SHIFTS), 4),
        lambda x: contrast(saturation(brightness(x, amount), amount), amount),
    ):
        # <A x, y> = <x, A' y> for the linear part A of each change, image by image.
        linear, back = jax.jit(both, static_argnums=0)(change)
        products = [(a * b).sum((1, 2, 3)) for a, b in ((linear, slopes), (batch, back))]
        assert_allclose(*products, rtol=1e-4, atol=1e-4)


def test_random_shifts_are_uniform_up_to_an_eighth(getkey):
    # The one bright pixel of 16 x 16 tells the shift: 5 x 5 of them, 1/25 of 2,000 images each.
    image = np.zeros((2000, 16, 16, 1), np.float32)
    image[:, 8, 8] = 1
    made = np.asarray(jax.jit(random_translation)(image, getkey()))
    assert (made.sum((1, 2, 3)) == 1).all()
    counts = made.sum((0, 3))
    inside = counts[6:11, 6:11]
    assert inside.sum() == 2000
    assert 45 < inside.min() and inside.max() < 120


def test_random_squares_are_half_a_side(getkey):
    holes = np.asarray(jax.jit(random_cutout)(jnp.ones((2000, 8, 8, 1)), getkey()))[..., 0] == 0
    # Centres 0, ..., 8: of rows 2, 3, 4, ..., 4, 3, 2 remain inside, 30 / 9 on average.
    heights, widths = holes.any(2).sum(1), holes.any(1).sum(1)
    assert_array_equal(holes.sum((1, 2)), heights * widths)
    for lengths in (heights, widths):
        assert set(lengths) == {2, 3, 4}
        assert_allclose(lengths.mean(), 30 / 9, atol=0.1)


def test_random_colours_have_the_published_ranges(getkey):
    # Red and green of 1 and 0: what is left of their distance is saturation times contrast.
    images = np.zeros((2000, 2, 2, 3), np.float32)
    images[:, 0, :, 0] = 1
    made = np.asarray(jax.jit(random_colour)(images, getkey()))
    shift = made.mean((1, 2, 3)) - 1 / 6
    assert_allclose([shift.min(), shift.mean(), shift.max()], [-0.5, 0, 0.5], atol=0.03)
    # Gray differences between rows are not changed by saturation.
    gray = made.mean(3)
    factor = (gray[:, 0, 0] - gray[:, 1, 0]) * 3
    assert_allclose([factor.min(), factor.mean(), factor.max()], [0.5, 1, 1.5], atol=0.03)
    colour = (made[:, 0, 0, 0] - made[:, 0, 0, 1]) / factor
    assert_allclose([colour.min(), colour.mean(), colour.max()], [0, 1, 2], atol=0.05)


def test_an_empty_policy_returns_the_images_themselves(batch, getkey):
    assert diff_augment(batch, getkey(), ()) is batch


def test_the_policy_is_done_in_its_order(batch, getkey):
    """What is outside of holes is the shifted image; what is in them stays zero."""
    key = getkey()
    assert DIFF_AUGMENT == ("colour", "translation", "cutout")
    shifted, both, cut_first = (
        np.asarray(diff_augment(batch, key, policy))
        for policy in (("translation",), ("translation", "cutout"), ("cutout", "translation"))
    )
    hole = both == 0
    assert hole.any((1, 2, 3)).all()
    assert_array_equal(both, np.where(hole, 0, shifted))
    assert (cut_first != both).any()
    with pytest.raises(ValueError, match="unknown change 'color' .* did you mean 'colour'"):
        diff_augment(batch, key, ("color",))


def test_consistency_mirrors_half_and_shifts_with_reflection(rng, getkey):
    """Every result is one of the 2 x 3 x 3 images that there can be, and all of them come."""
    image = images_of(rng, 1, 8, 8, 1)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    possible = np.concatenate(
        [
            shifted[:, :, ::step]
            for i, j in np.ndindex(3, 3)
            for shifted in [padded[:, i : i + 8, j : j + 8]]
            for step in (1, -1)
        ]
    )
    images, key = np.repeat(image, 900, 0), getkey()
    made = np.asarray(jax.jit(random_flip_and_shift)(images, key))
    same = (made[:, None] == possible[None]).all((2, 3, 4))
    assert (same.sum(1) == 1).all()
    counts = same.sum(0)
    assert 25 < counts.min() and counts.max() < 85
    assert abs(counts[::2].sum() - 450) < 75

    split = jax.jit(random_flip_and_shift)(jax.device_put(images, SPLIT), key)
    assert_array_equal(split, made)
    assert split.sharding.is_equivalent_to(SPLIT, 4)


def test_classical_augmentation_draws_one_transform_of_all(rng, getkey):
    image = images_of(rng, 1, 8, 8, 3)
    policies = policies_of("rotation,flip")
    possible = [t.apply(image, None) for p in policies for t in p.transforms]
    del possible[4]  # the identity again
    draw = jax.jit(lambda images, key: random_of(policies, images, key))
    made = np.asarray(draw(np.repeat(image, 700, 0), getkey()))
    same = (made[:, None] == np.concatenate(possible)[None]).all((2, 3, 4))
    # Rotation by 180 degrees is both flips.
    assert_array_equal(same[:, 2], same[:, 6])
    assert_array_equal(same.sum(1), 1 + same[:, 2])
    counts = same.sum(0)
    others = np.delete(counts, [2, 6])
    assert 65 < others.min() and others.max() < 140 and 150 < counts[2] < 250


@pytest.mark.slow
def test_a_split_batch_is_augmented_like_a_whole_one(rng, getkey):
    images, key = images_of(rng, 8, 8, 8, 3), getkey()
    split = jax.jit(diff_augment)(jax.device_put(images, SPLIT), key)
    assert_allclose(split, jax.jit(diff_augment)(images, key), rtol=0, atol=1e-6)
    assert split.sharding.is_equivalent_to(SPLIT, 4)
