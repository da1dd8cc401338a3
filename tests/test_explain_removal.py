"""Deletion and insertion curves against closed forms."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain.removal import (
    SIGMA,
    area,
    baseline_images,
    patch_places,
    random_ranks,
    removal_curves,
    removal_ranks,
    removed_counts,
)


def linear(weights):
    return lambda images, rows: (images * weights).sum((1, 2, 3))


def test_the_curves_of_a_linear_model_are_sums_of_its_largest_terms(rng):
    x, weights = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(3, 4, 2))
    filled = np.stack([baseline_images(x, "mean"), np.zeros_like(x)])
    for baseline in range(2):
        terms = ((x - filled[baseline]) * weights).sum(-1)
        deletion, insertion = removal_curves(
            linear(weights),
            x,
            filled[baseline, None],
            removal_ranks(terms)[None],
            patch=1,
            steps=12,
            at_once=5,
        )[:, 0, 0]
        largest = np.sort(terms.reshape(2, 12), 1)[:, ::-1].cumsum(1)
        whole, empty = (linear(weights)(images, None) for images in (x, filled[baseline]))
        assert_allclose(deletion, np.c_[whole, whole[:, None] - largest], rtol=0, atol=1e-12)
        assert_allclose(insertion, np.c_[empty, empty[:, None] + largest], rtol=0, atol=1e-12)


def test_random_orders_of_a_linear_model_fall_on_a_straight_line_on_average(rng):
    x, weights = rng.normal(size=(1, 2, 2, 1)), rng.normal(size=(2, 2, 1))
    every = np.array(list(permutations(range(4))))[:, None]
    filled = baseline_images(x, "mean")[None]
    curves = removal_curves(linear(weights), x, filled, every, patch=1, steps=4, at_once=64)
    ends = [float(linear(weights)(images, None)[0]) for images in (x, filled[0])]
    straight = np.linspace(*ends, 5)
    assert_allclose(curves[0].mean(0)[0, 0], straight, rtol=0, atol=1e-12)
    assert_allclose(curves[1].mean(0)[0, 0], straight[::-1], rtol=0, atol=1e-12)
    assert_allclose(area(curves).mean((1, 2, 3)), np.mean(ends), rtol=0, atol=1e-12)


def test_an_insertion_is_the_deletion_of_the_baseline_and_batches_do_not_matter(rng):
    x = rng.normal(size=(3, 5, 4, 1))
    filled, ranks = baseline_images(x, "blur"), random_ranks(3, 6, seed=0)[None]
    score = lambda images, rows: np.tanh(images).max((1, 2, 3)) * (1 + rows)  # noqa: E731
    ask = {"patch": 2, "steps": 4}
    _, insertion = removal_curves(score, x, filled[None], ranks, at_once=1, **ask)
    deletion, _ = removal_curves(score, filled, x[None], ranks, at_once=7, **ask)
    assert_array_equal(insertion, deletion)


def test_patches_cover_the_image_and_the_evidence_in_each_is_summed():
    places = patch_places(3, 5, 2)
    assert_array_equal(places, [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]])
    evidence = np.zeros((1, 3, 5))
    evidence[0, 2, 4], evidence[0, :2, :2], evidence[0, 0, 3] = 3, 1, 3.5
    assert removal_ranks(evidence, patch=2)[0, [0, 1, 5]].tolist() == [0, 1, 2]


def test_ranks_are_those_of_any_increasing_function_of_the_evidence(rng):
    evidence = rng.normal(size=(3, 4, 5)).round(1)  # with ties
    ranks = removal_ranks(evidence, seed=3)
    assert (np.sort(ranks, 1) == np.arange(20)).all()
    for function in (np.exp, lambda e: 7 * e - 2, lambda e: e**3):
        assert_array_equal(removal_ranks(function(evidence), seed=3), ranks)
    ordered = np.take_along_axis(evidence.reshape(3, 20), np.argsort(ranks, 1), 1)
    assert (np.diff(ordered, axis=1) <= 0).all()


def test_patches_of_equal_evidence_go_in_one_drawn_order_that_favours_no_place():
    half = np.zeros((1, 2, 4))
    half[0, 0, 1] = 1
    first = [removal_ranks(half, seed=seed)[0] for seed in range(400)]
    assert (np.array([ranks[1] for ranks in first]) == 0).all()
    second = np.bincount([int(np.argmin(np.delete(ranks, 1))) for ranks in first], minlength=7)
    assert (abs(second - 400 / 7) < 5 * (400 / 7) ** 0.5).all()
    other = -np.eye(8)[1].reshape(1, 2, 4)  # the same ties, with the odd one last
    seven = np.delete(np.arange(8), 1)
    order = [np.argsort(removal_ranks(e, seed=5)[0, seven]) for e in (half, other)]
    assert_array_equal(*order)
    # Images are drawn for one by one, so that more of them change nothing.
    assert_array_equal(random_ranks(1, 9, seed=1), random_ranks(4, 9, seed=1)[:1])
    assert (random_ranks(2, 9, seed=1)[0] != random_ranks(2, 9, seed=1)[1]).any()


def test_baselines_keep_what_they_should():
    x = np.zeros((1, 41, 41, 2))
    x[0, 20, 20, 0] = 1
    blurred = baseline_images(x, "blur")
    assert blurred[..., 1].max() == 0 and blurred.sum() == pytest.approx(1)
    across = np.exp(-(np.arange(-8, 9) ** 2) / (2 * SIGMA**2))
    assert_allclose(
        blurred[0, 20, 12:29, 0] / blurred[0, 20, 20, 0], across, rtol=1e-12, atol=1e-12
    )
    flat = np.full((1, 6, 7, 3), 200, np.uint8)
    for baseline in ("blur", "mean"):
        assert_array_equal(baseline_images(flat, baseline), flat)  # also along the edges
        assert baseline_images(flat, baseline).dtype == np.uint8
    assert (
        baseline_images(np.array([[[[1], [2], [2]]]], np.uint8), "mean").ravel().tolist() == [2] * 3
    )
    with pytest.raises(ValueError, match="unknown baseline 'zero'; baselines are blur, mean"):
        baseline_images(x, "zero")  # pyright: ignore[reportArgumentType]


def test_steps_remove_all_patches_evenly():
    assert removed_counts(8, 4).tolist() == [0, 2, 4, 6, 8]
    assert removed_counts(6, 4).tolist() == [0, 2, 3, 5, 6]
    with pytest.raises(ValueError, match="5 steps and 4 patches: give 1 to 4 steps, or smaller"):
        removed_counts(4, 5)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "map of image 1 is 0.5 everywhere, so that no place comes first"),
        (np.nan, "map of image 1 has 6 values that are no numbers"),
    ],
)
def test_maps_without_an_order_are_refused(rng, value, words):
    evidence = rng.normal(size=(2, 2, 3))
    evidence[1] = value
    with pytest.raises(ValueError, match=words):
        removal_ranks(evidence)


def test_the_area_is_the_mean_along_the_curve():
    shares = np.linspace(0, 1, 11)
    assert area(np.stack([shares, 0 * shares + 3])) == pytest.approx([0.5, 3])
    assert area(shares**2) == pytest.approx(1 / 3 + 1 / 600)  # what the trapezoids lie above
