"""The leak meter, the classifier of transforms behind it, and the rotation ambiguity of data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from gan_forensics.data import open_source, take
from gan_forensics.quality import ambiguity, leaks
from gan_forensics.quality.ambiguity import TURNS, rotation_ambiguity
from gan_forensics.quality.leaks import difference_interval, measure_leak
from gan_forensics.quality.transforms import transform_classifier, transformed


def same(images, key):
    return images


def left_right(images, key):
    return images[:, :, ::-1]


def up_down(images, key):
    return images[:, ::-1]


def darker(images, key):
    return images - jax.random.uniform(key, (len(images), 1, 1, 1), minval=0.5)


def noise(rng, n, high=120, side=8):
    return rng.integers(0, high, (n, side, side, 1))


def clear(rng, n):
    """Bright above, so that every turn shows."""
    images = noise(rng, n)
    images[:, :4] += 100
    return images.astype(np.uint8)


def turned(images, quarters=1):
    return np.rot90(images, quarters, axes=(1, 2))


def same_after_half_a_turn(rng, n):
    images = noise(rng, n)
    images = (images + turned(images, 2)) // 2
    images[:, 3:5] += 100
    return images.astype(np.uint8)


def same_after_every_turn(rng, n):
    images = noise(rng, n)
    return (np.sum([turned(images, k) for k in range(4)], axis=0) // 4).astype(np.uint8)


def told_by_brightness(real_train, apply, **options):
    """A classifier of rotations that need not learn: which edge is bright?"""

    def log_probabilities(images):
        edges = [turned(images, -k)[:, :2].mean((1, 2, 3)) for k in range(4)]
        return log_softmax(np.stack(edges, axis=1), axis=1)

    return log_probabilities


# --- leaks ----------------------------------------------------------------------------------------


def test_a_leak_is_the_share_of_samples_that_are_turned(rng, monkeypatch):
    monkeypatch.setattr(leaks, "transform_classifier", told_by_brightness)
    real = clear(rng, 100), clear(rng, 80)
    for share in (0, 30, 100):
        samples = np.concatenate([turned(clear(rng, share)), clear(rng, 100 - share)])
        found = measure_leak("rotation", TURNS, samples, *real)
        assert found.leak == found.rate == share / 100
        assert found.low <= share / 100 <= found.high and found.high - found.low < 0.25
        assert (found.base, found.accuracy, found.seen) == (0, 1, (1, 1, 1))
        assert found.blind == (False,) * 3
        assert (found.name, found.n_samples, found.n_held_out) == ("rotation", 100, 80)


def test_a_transform_that_changes_nothing_is_not_seen_and_the_others_are(rng, monkeypatch):
    monkeypatch.setattr(leaks, "transform_classifier", told_by_brightness)
    half = same_after_half_a_turn(rng, 150)
    half[:, [0, -1]] = 255
    found = measure_leak("rotation", TURNS, half[:50], half[50:100], half[100:])
    assert found.base == found.rate == 0
    assert found.seen == (1, 0, 1) and found.blind == (False, True, False)
    assert found.accuracy == 0.5


@pytest.mark.slow
def test_a_classifier_that_learned_sees_a_leak(rng):
    mixed = np.concatenate([turned(clear(rng, 30)), clear(rng, 70)])
    found = measure_leak("rotation", TURNS, mixed, clear(rng, 100), clear(rng, 80), steps=40)
    assert_allclose(found.leak, 0.3, atol=0.04)
    assert min(found.seen) > 0.9 and found.accuracy > 0.9


@pytest.mark.slow
def test_a_classifier_that_cannot_tell_is_blind(rng):
    images = noise(rng, 260)
    images = ((images + images[:, :, ::-1]) // 2).astype(np.uint8)
    images[:, :4] += 100
    parts = images[:60], images[60:160], images[160:]
    found = measure_leak("flip", [same, left_right, up_down], *parts, steps=100)
    assert found.blind == (True, False)
    assert found.seen[0] == 0 and found.seen[1] > 0.95
    assert found == measure_leak("flip", [same, left_right, up_down], *parts, steps=100)


@pytest.mark.slow
def test_held_out_photographs_leak_nothing_and_shifted_ones_do():
    shift = lambda images, key: jnp.roll(images, 4, axis=2)  # noqa: E731
    train, rest = (open_source("samples:photos", size=16, split=s) for s in ("train", "test"))
    some = take(train, np.arange(0, len(train), len(train) // 300))["image"]
    held_out = take(rest, np.arange(len(rest)))["image"]
    own, other = held_out[::2], held_out[1::2]
    found = measure_leak("shift", [same, shift], own, some, other, steps=300)
    assert found.low <= 0 <= found.high and not found.blind[0]
    moved = np.roll(own, 4, axis=2)
    found = measure_leak("shift", [same, shift], moved, some, other, steps=300)
    assert found.low > 0.2
    assert_allclose(found.leak, found.seen[0], atol=0.04)


@pytest.mark.parametrize(
    ("seen", "blind", "low", "unlike"),
    [
        ((0.88,), (False,), 0.904, True),
        ((0.88,), (False,), 0.85, False),
        # A leak of the transform that shows most is a leak, though others show less.
        ((0.2, 0.9), (False, False), 0.8, False),
        ((0.02,), (True,), 0.5, False),
    ],
)
def test_more_than_transformed_images_show_is_no_leak(seen, blind, low, unlike):
    found = leaks.Leak("x", 0.97, 0.0, 0.97, low, 0.99, 100, 100, 0.9, seen, blind)
    assert found.most == max(seen) and found.unlike == unlike


def test_random_transforms_draw_anew_for_the_held_out(rng):
    images = clear(rng, 40)
    once, labels = transformed(images, [same, darker], seed=0)
    again, _ = transformed(images, [same, darker], seed=0)
    other, _ = transformed(images, [same, darker], seed=1)
    assert_array_equal(once, again)
    assert_array_equal(once[:40], images)
    assert not np.array_equal(once, other)
    assert labels.tolist() == [0] * 40 + [1] * 40


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Newcombe 1998, table II, method 10.
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ],
)
def test_intervals_of_differences_are_the_published_ones(counts, expected):
    assert_allclose(difference_interval(*counts), expected, atol=5e-5)


def test_impossible_leaks_are_refused(rng):
    real = clear(rng, 40)
    with pytest.raises(ValueError, match="19 images of the generator: give at least 20"):
        measure_leak("x", [same, left_right], real[:19], real, real)
    with pytest.raises(ValueError, match="held out are 6x8x1 and real ones 8x8x1"):
        measure_leak("x", [same, left_right], real, real, real[:, 1:7])
    with pytest.raises(ValueError, match=r"transform 1 makes images \[8, 6, 1\] of \[6, 8, 1\]"):
        transform_classifier(real[:, 1:7], TURNS)
    with pytest.raises(ValueError, match="two or more, the identity included; got 1"):
        transform_classifier(real, [same])
    with pytest.raises(ValueError, match="3 of 2"):
        difference_interval(3, 2, 0, 1)


# --- rotation ambiguity ---------------------------------------------------------------------------


@pytest.mark.slow
def test_ambiguity_of_images_that_half_a_turn_leaves_as_they_are(rng):
    found = rotation_ambiguity(same_after_half_a_turn(rng, 160), steps=25)
    assert_allclose(found.nats, -np.log(2), atol=1e-3)
    assert_allclose(found.accuracy, 1 / 2, atol=1e-3)
    assert found.n == 40 and found.error < 1e-3


@pytest.mark.parametrize(
    ("images", "nats", "accuracy"),
    [(clear, 0, 1), (same_after_every_turn, -np.log(4), 1 / 4)],
)
def test_ambiguity_of_clear_and_of_fully_symmetric_images(images, nats, accuracy, rng, monkeypatch):
    monkeypatch.setattr(ambiguity, "transform_classifier", told_by_brightness)
    found = rotation_ambiguity(images(rng, 160))
    assert_allclose(found.nats, nats, atol=1e-6)
    assert_allclose(found.accuracy, accuracy, atol=1e-6)


@pytest.mark.slow
def test_ambiguity_of_a_mixture_is_that_of_its_parts(rng):
    parts = clear(rng, 840), same_after_half_a_turn(rng, 240), same_after_every_turn(rng, 120)
    found = rotation_ambiguity(np.concatenate(parts), steps=100)
    truth = -(0.2 * np.log(2) + 0.1 * np.log(4))
    assert abs(found.nats - truth) < 3 * found.error < 0.1


@pytest.mark.slow
def test_a_classifier_that_learned_noise_by_heart_claims_no_more_than_chance(rng):
    found = rotation_ambiguity(noise(rng, 80, 256).astype(np.uint8), steps=200)
    assert -1.5 < found.nats < -1.2


def test_images_that_cannot_be_turned_are_refused(rng):
    with pytest.raises(ValueError, match="images of 6x8 .* cannot be turned"):
        rotation_ambiguity(clear(rng, 80)[:, 1:7])
    # One minimum, however few they are.
    for count in ("1 image", "3 images", "79 images"):
        with pytest.raises(ValueError, match=rf"^{count} in all \(.*\): give at least 80$"):
            rotation_ambiguity(clear(rng, int(count.split()[0])))
    with pytest.raises(ValueError, match="pixels are float32"):
        rotation_ambiguity(jnp.zeros((80, 8, 8, 1)))  # pyright: ignore[reportArgumentType]
