"""FID, KID, inception score and PRDC: closed forms, slow oracles, invariances, bad input."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.quality import (
    FeatureMoments,
    fid,
    frechet_distance,
    inception_score,
    kernel_distance,
    kid,
    manifolds,
    over_processes,
    polynomial_mmd2,
    prdc,
    quantise,
)
from gan_forensics.quality import frechet as frechet_module
from gan_forensics.quality.order import content_order
from tests import oracles_quality as oracles


def features(rng, n, d, shift=0.0):
    mixing = rng.standard_normal((d, d))
    return rng.standard_normal((n, d)) @ mixing + shift


def streamed(values, batch):
    state = FeatureMoments.zero(values.shape[1])
    for first in range(0, len(values), batch):
        state = state.update(values[first : first + batch])
    return state


# --- moments --------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 40), max_size=6), offset=st.sampled_from([0.0, 1e6]))
def test_moments_are_the_same_for_every_split_into_batches(cuts, offset):
    values = np.random.default_rng(1).standard_normal((40, 3)) + offset
    edges = [0, *sorted(cuts), 40]
    parts = [values[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    left = right = FeatureMoments.zero(3)
    for i, part in enumerate(parts):
        left, right = (left.update(part), right) if i % 2 else (left, right.update(part))
    mean, covariance, count = left.merge(right).result()
    assert count == 40
    assert_allclose(mean, values.mean(0), rtol=1e-14, atol=1e-14)
    assert_allclose(covariance, np.cov(values.T), rtol=0, atol=1e-9 if offset else 1e-14)


def test_masked_rows_do_not_count_even_if_they_are_nan():
    values = np.array([[1.0, 2.0], [np.nan, 0.0], [3.0, 6.0]])
    state = FeatureMoments.zero(2).update(values, np.array([True, False, True]))
    assert_allclose(state.result().mean, [2, 4], rtol=0, atol=0)
    assert_allclose(state.result().covariance, [[2, 4], [4, 8]], rtol=0, atol=0)


def test_moments_take_jax_arrays_and_keep_float64():
    state = FeatureMoments.zero(2).update(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    assert state.mean.dtype == state.scatter.dtype == np.float64


def test_moments_refuse_what_does_not_fit():
    state = FeatureMoments.zero(2)
    with pytest.raises(ValueError, match=r"give \[b, 2\]"):
        state.update(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="row 1, column 0"):
        state.update(np.array([[0.0, 1.0], [np.inf, 0.0]]))
    with pytest.raises(ValueError, match="mask has shape"):
        state.update(np.zeros((3, 2)), np.ones(2, bool))
    with pytest.raises(ValueError, match="no examples"):
        state.result()


def test_over_processes_of_one_process_is_the_state_itself(rng):
    state = streamed(features(rng, 9, 3), 4)
    assert over_processes(state) is state


def test_over_processes_merges_what_others_send_without_losing_digits(rng, monkeypatch):
    from jax.experimental import multihost_utils

    values = features(rng, 20, 3)
    first, second = streamed(values[:13], 5), streamed(values[13:], 5)
    sent = []

    def allgather(packed):
        sent.append(packed)
        return np.stack(sent) if len(sent) == 2 else np.stack([packed])

    monkeypatch.setattr("jax.process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "process_allgather", allgather)
    over_processes(first)
    mean, covariance, count = over_processes(second).result()
    assert count == 20
    assert_allclose(mean, values.mean(0), rtol=1e-14, atol=0)
    assert_allclose(covariance, np.cov(values.T), rtol=1e-13, atol=1e-13)


# --- Frechet distance -----------------------------------------------------------------------------


def test_frechet_distance_of_diagonal_gaussians_has_a_closed_form():
    m1, m2 = np.array([1.0, 2.0, 0.0]), np.array([0.0, 4.0, 0.0])
    a, b = np.array([4.0, 1.0, 9.0]), np.array([1.0, 1.0, 0.0])
    expected = 5 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert_allclose(frechet_distance(m1, np.diag(a), m2, np.diag(b)), expected, rtol=1e-14)


@pytest.mark.parametrize("limit", [0, 512])
def test_frechet_distance_equals_the_general_matrix_square_root(rng, limit, monkeypatch):
    monkeypatch.setattr(frechet_module, "SVD_LIMIT", limit)
    a, b = features(rng, 60, 8), features(rng, 90, 8, shift=0.5)
    moments = [(x.mean(0), np.cov(x.T)) for x in (a, b)]
    expected = oracles.frechet_by_sqrtm(*moments[0], *moments[1])
    # Through eigenvalues of a squared matrix half of the digits of small ones are lost.
    tolerance = 1e-10 if limit else 1e-8
    assert_allclose(frechet_distance(*moments[0], *moments[1]), expected, rtol=tolerance)
    assert_allclose(fid(a, b).value, expected, rtol=tolerance)
    assert_allclose(fid(streamed(a, 7), streamed(b, 7)).value, expected, rtol=tolerance)


@pytest.mark.parametrize(("n", "m"), [(5, 6), (5, 40), (30, 4), (2, 2)])
def test_rank_deficient_sets_are_exact(rng, n, m):
    """In a basis of few dimensions that hold everything, the covariances are what they are."""
    a, b = features(rng, n, 12), features(rng, m, 12, shift=1)
    joined = np.concatenate([a - a.mean(0), b - b.mean(0)])
    basis = np.linalg.svd(joined, full_matrices=False)[2]
    s1, s2 = (np.cov((x @ basis.T).T) for x in (a, b))
    roots = np.linalg.svd(_root(s1) @ _root(s2), compute_uv=False).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1 + s2) - 2 * roots
    assert_allclose(fid(a, b).value, expected, rtol=1e-7)
    assert_allclose(fid(streamed(a, 3), streamed(b, 3)).value, expected, rtol=1e-7)


def _root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))[None, :]) @ vectors.T


def test_fid_of_a_set_with_itself_is_zero_and_fid_is_symmetric(rng):
    a, b = features(rng, 40, 6), features(rng, 30, 6, shift=2)
    assert fid(a, a).value == 0
    assert abs(fid(streamed(a, 3), streamed(a, 11)).value) < 1e-12
    assert_allclose(fid(a, b).value, fid(b, a).value, rtol=1e-12)


def test_fid_does_not_feel_rotations_and_shifts(rng):
    a, b = features(rng, 40, 6), features(rng, 30, 6, shift=2)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    assert_allclose(fid(a @ turn + 5, b @ turn + 5).value, fid(a, b).value, rtol=1e-10)


def test_constant_features_have_the_distance_of_their_means():
    a, b = np.zeros((5, 3)), np.tile([1.0, 2.0, 2.0], (4, 1))
    assert_allclose(fid(a, b).value, 9, rtol=1e-14)
    assert_allclose(fid(streamed(a, 2), streamed(b, 2)).value, 9, rtol=1e-14)


def test_only_inception_features_make_a_fid(rng):
    a, b = features(rng, 40, 6), features(rng, 30, 6)
    assert fid(a, b, features="inception-2015-12-05").name == "FID"
    assert fid(a, b, features="digit features").name == "Frechet distance on digit features"
    assert "FID" not in fid(a, b).name


def test_too_few_samples_for_the_rank_are_said_in_the_result(rng):
    a, b = features(rng, 6, 6), features(rng, 7, 6)
    assert "6 real examples for 6 features" in fid(a, b).warning
    assert "that takes 7" in fid(a, b).warning
    assert fid(b, b + 1).warning == ""
    assert "3 real and 4 fake" in fid(a[:3], b[:4]).warning
    with pytest.raises(ValueError, match="needs two of each"):
        fid(a[:1], b)


def test_scores_carry_their_protocol_as_plain_json(rng):
    a, b = features(rng, 40, 6), features(rng, 30, 6)
    for score in (
        fid(a, b),
        kid(a, b, seed=3),
        *prdc(a, b).values(),
        inception_score(np.full((20, 4), 0.25)),
    ):
        written = json.loads(json.dumps(score.to_dict()))
        assert written["counts"] and written["features"] == "unnamed features"
    assert fid(a, b).counts == {"real": 40, "fake": 30}
    assert kid(a, b, seed=3).seed == 3
    assert float(fid(a, b)) == fid(a, b).value


@pytest.mark.parametrize("metric", [fid, kid, prdc])
def test_features_that_cannot_be_are_refused_with_their_place(metric, rng):
    good = features(rng, 30, 4)
    bad = good.copy()
    bad[17, 2] = np.nan
    with pytest.raises(ValueError, match="fake features hold nan at row 17, column 2"):
        metric(good, bad)
    with pytest.raises(ValueError, match="real features hold nan"):
        metric(bad, good)
    with pytest.raises(ValueError, match="differ in length"):
        metric(good, good[:, :3])
    with pytest.raises(ValueError, match=r"must be numbers \[n, d\]"):
        metric(good[0], good)
    with pytest.raises(ValueError, match="at least one row"):
        metric(good[:0], good)


def test_frechet_distance_refuses_what_is_no_covariance():
    mean, unit = np.zeros(2), np.eye(2)
    with pytest.raises(ValueError, match="eigenvalue -1"):
        frechet_distance(mean, np.diag([1.0, -1.0]), mean, unit)
    with pytest.raises(ValueError, match="not symmetric"):
        frechet_distance(mean, np.array([[1.0, 0.5], [0.0, 1.0]]), mean, unit)
    with pytest.raises(ValueError, match=r"give \[d\] and \[d, d\]"):
        frechet_distance(mean, np.eye(3), mean, unit)
    with pytest.raises(ValueError, match="means of 2 and 3 features"):
        frechet_distance(mean, unit, np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="not one of each"):
        fid(np.zeros((3, 2)), FeatureMoments.zero(2))


# --- KID ------------------------------------------------------------------------------------------


def test_mmd_equals_the_sum_over_pairs(rng, monkeypatch):
    monkeypatch.setattr(kernel_distance, "CHUNK", 5)
    x, y = rng.standard_normal((13, 4)), rng.standard_normal((11, 4)) + 0.3
    assert_allclose(polynomial_mmd2(x, y), oracles.mmd2(x, y), rtol=1e-12)


def test_the_u_statistic_leaves_out_pairs_of_one_row(rng):
    x, y = rng.standard_normal((9, 3)), rng.standard_normal((9, 3))

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    h = sum(
        k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
        for i in range(9)
        for j in range(9)
        if i != j
    )
    ours = polynomial_mmd2(x, y, estimator="u-statistic")
    assert_allclose(ours, h / 72, rtol=1e-12)
    assert polynomial_mmd2(x, x, estimator="u-statistic") == pytest.approx(0, abs=1e-12)


def test_kid_is_unbiased_under_equal_distributions(rng):
    values = [
        kid(rng.standard_normal((60, 4)), rng.standard_normal((60, 4)), subsets=3, subset_size=20)
        for _ in range(40)
    ]
    means = np.array([value.value for value in values])
    assert means.min() < 0 < means.max()
    assert abs(means.mean()) < 3 * means.std() / np.sqrt(len(means))


def test_kid_is_the_mean_over_its_subsets_with_their_spread_and_error(rng):
    real, fake = features(rng, 50, 4), features(rng, 40, 4, shift=1)
    found = kid(real, fake, subsets=4, subset_size=10, seed=9, order="given")
    draws = np.random.default_rng(9)
    rows = [(draws.choice(50, 10, False), draws.choice(40, 10, False)) for _ in range(4)]
    scores = np.array([polynomial_mmd2(real[r], fake[f]) for r, f in rows])
    assert_allclose([found.value, found.spread], [scores.mean(), scores.std()], rtol=1e-12)
    assert_allclose(found.protocol["standard_error"], scores.std(ddof=1) / 2, rtol=1e-12)
    assert found.protocol["subset_size"] == 10
    assert kid(real, fake).protocol["subset_size"] == 4  # a tenth of the smaller set
    assert kid(real, fake, seed=1).value != kid(real, fake, seed=2).value
    # Without replacement: a subset of all is all.
    whole = kid(real, real + 1, subsets=2, subset_size=50)
    assert_allclose(whole.value, polynomial_mmd2(real, real + 1), rtol=1e-10)
    assert_allclose(whole.spread, 0, rtol=0, atol=1e-6)


def test_the_content_order_is_that_of_whole_rows(rng):
    rows = rng.integers(0, 3, (60, 4)).astype(np.float32)  # with rows that are alike
    assert_array_equal(rows[content_order(rows)], np.array(sorted(map(list, rows))))
    shuffled = rows[rng.permutation(60)]
    assert_array_equal(shuffled[content_order(shuffled)], rows[content_order(rows)])


@pytest.mark.parametrize("metric", [fid, kid, prdc])
def test_one_pair_of_sets_has_one_score_in_any_order(metric, rng):
    real, fake = features(rng, 50, 4), features(rng, 60, 4, shift=1)
    first, again = metric(real, fake), metric(real[rng.permutation(50)], fake[::-1])
    for one, other in zip(
        *([s] if metric is not prdc else s.values() for s in (first, again)), strict=True
    ):
        assert_allclose([other.value], [one.value], rtol=1e-11)
        assert other.spread is None or other.spread == one.spread


def test_kid_draws_from_the_rows_as_given_where_that_is_asked_for(rng):
    real, fake = features(rng, 50, 4), features(rng, 40, 4, shift=1)
    assert kid(real, fake, order="given").value != kid(real[::-1], fake, order="given").value
    assert "sorted" in kid(real, fake).protocol["order"]
    assert kid(real, fake, order="given").protocol["order"] == "as given"
    with pytest.raises(ValueError, match="unknown order 'file': choose 'content' or 'given'"):
        kid(real, fake, order="file")  # pyright: ignore


def test_kid_refuses_subsets_that_cannot_be_drawn(rng):
    real, fake = features(rng, 50, 4), features(rng, 40, 4)
    for size in (1, 41):
        with pytest.raises(ValueError, match="subset size from 2 to 40"):
            kid(real, fake, subset_size=size)
    with pytest.raises(ValueError, match="at least one"):
        kid(real, fake, subsets=0)
    with pytest.raises(ValueError, match="unknown estimator"):
        polynomial_mmd2(real, fake, estimator="biased")  # pyright: ignore
    with pytest.raises(ValueError, match="pairs rows"):
        polynomial_mmd2(real, fake, estimator="u-statistic")


# --- inception score ------------------------------------------------------------------------------


def test_inception_score_lies_between_one_and_the_number_of_classes():
    sure = np.tile(np.eye(5), (8, 1))
    assert_allclose(inception_score(sure, splits=1).value, 5, rtol=1e-12)
    assert_allclose(inception_score(sure, splits=4, order="given").value, 5, rtol=1e-12)
    same = np.tile([[0.2, 0.5, 0.3]], (40, 1))
    assert_allclose(inception_score(same).value, 1, rtol=1e-12)


@pytest.mark.parametrize(("n", "splits"), [(40, 10), (43, 10), (7, 7), (9, 1)])
def test_inception_score_equals_the_loop_over_splits(rng, n, splits):
    p = rng.dirichlet(np.full(4, 0.3), n)
    found = inception_score(p, splits=splits, order="given")
    value, spread = oracles.inception_score(p, splits)
    assert_allclose([found.value, found.spread], [value, spread], rtol=1e-12, atol=1e-14)


def test_one_set_has_one_inception_score_in_any_order(rng):
    """Ten classes stored one after the other: contiguous splits of one class each score 1."""
    logits = 8 * np.repeat(np.eye(10), 30, axis=0) + rng.standard_normal((300, 10))
    logits[5] = logits[7]
    orders = [rng.permutation(300) for _ in range(20)]
    contiguous = [inception_score(logits=logits[o], order="given").value for o in orders]
    assert inception_score(logits=logits, order="given").value < 1.1
    found = inception_score(logits=logits)
    assert min(contiguous) <= found.value <= max(contiguous)
    for order in orders:
        again = inception_score(logits=logits[order])
        assert (again.value, again.spread) == (found.value, found.spread)
    assert "permuted" in found.protocol["order"]
    with pytest.raises(ValueError, match="unknown order"):
        inception_score(logits=logits, order="sorted")  # pyright: ignore


def test_logits_and_their_probabilities_give_the_same_score(rng):
    logits = 5 * rng.standard_normal((40, 6))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert_allclose(inception_score(logits=logits).value, inception_score(p).value, rtol=1e-12)


def test_inception_score_refuses_what_are_no_probabilities(rng):
    with pytest.raises(ValueError, match="give logits="):
        inception_score(rng.standard_normal((40, 6)))
    with pytest.raises(ValueError, match="either"):
        inception_score()
    with pytest.raises(ValueError, match="4 examples cannot be cut into 10 splits"):
        inception_score(np.full((4, 2), 0.5))
    with pytest.raises(ValueError, match="row 2"):
        inception_score(logits=np.where(np.arange(20)[:, None] == 2, np.nan, np.zeros((20, 3))))


# --- precision, recall, density, coverage ---------------------------------------------------------


def four(real, fake, **settings):
    """The four numbers by name."""
    return {name: score.value for name, score in prdc(real, fake, **settings).items()}


@pytest.mark.parametrize("k", [1, 3, 5])
def test_prdc_equals_the_loop_over_points(rng, k, monkeypatch):
    monkeypatch.setattr(manifolds, "CHUNK", 7)
    real, fake = rng.standard_normal((40, 3)), 0.7 * rng.standard_normal((30, 3)) + 0.8
    found = four(real, fake, k=k)
    expected = oracles.prdc(real, fake, k)
    assert 0.1 < expected["recall"] < 0.95
    assert found == pytest.approx(expected, rel=1e-12)


def test_prdc_of_a_set_with_itself_is_one(rng):
    """Of each point, itself and k others lie inside its ball: the k-th is on its closed border."""
    real = rng.standard_normal((50, 6)) + 100
    assert four(real, real) == {"precision": 1, "recall": 1, "density": 6 / 5, "coverage": 1}
    assert prdc(real, real)["precision"].protocol["zero_radii"] == {"real": 0, "fake": 0}
    assert prdc(real, real)["precision"].warning == ""


@pytest.mark.parametrize("noise", [0.0, 1e-7])
@pytest.mark.parametrize("centre", [0, 30])
def test_a_set_of_copies_has_precision_one_against_itself_and_its_zero_radii_are_told(
    rng, noise, centre
):
    """Also where features of one image differ in their last digits, as they may by batch."""
    seven = np.tile(rng.standard_normal((10, 6)) + centre, (7, 1))

    def once_more():
        return (seven * (1 + noise * rng.uniform(-1, 1, seven.shape))).astype(np.float32)

    scores = prdc(once_more(), once_more())
    assert {name: score.value for name, score in scores.items()} == {
        "precision": 1, "recall": 1, "density": 7 / 5, "coverage": 1,
    }  # fmt: skip
    for score in scores.values():
        assert score.protocol["zero_radii"] == {"real": 70, "fake": 70}
        assert score.protocol["balls"] == "closed"
        assert "70 of 70 real radii and 70 of 70 fake ones are zero: 5 or more" in score.warning
    # Five copies have none: each has but four others.
    assert prdc(seven[:50], seven[20:])["recall"].protocol["zero_radii"] == {"real": 0, "fake": 0}
    some = prdc(np.concatenate([seven[:50], seven[:1], seven[:1]]), seven[:52])["recall"]
    assert some.protocol["zero_radii"] == {"real": 7, "fake": 12}
    assert "7 of 52 real radii and 12 of 52 fake" in some.warning
    others = prdc(rng.standard_normal((70, 6)), once_more())["recall"]
    assert others.warning.startswith("0 of 70 real radii and 70 of 70 fake ones are zero")


def test_features_that_are_all_alike_lie_in_their_balls():
    """Around them there is no rounding either: only a closed ball holds its centre."""
    alike = np.full((8, 3), 7.0)
    assert four(alike, alike, k=2) == {"precision": 1, "recall": 1, "density": 4, "coverage": 1}


def test_points_of_double_precision_far_from_the_origin_keep_their_distances(rng):
    """A ball holds what ties with its border within rounding, and nothing farther."""
    real = np.arange(8.0)[:, None] + 1e6
    assert four(real, real + 1e-5 - 100, k=1)["recall"] == 0
    assert four(real, np.append(real[:-1] - 99, 1e6 + 8 + 1e-5)[:, None], k=1)["precision"] == 0
    assert four(real, np.append(real[:-1] - 99, 1e6 + 8 + 1e-9)[:, None], k=1)["precision"] == 1 / 8


def test_prdc_of_distant_sets_is_zero_and_of_one_repeated_image_shows_missing_modes(rng):
    real = rng.standard_normal((50, 6))
    assert set(four(real, real + 100).values()) == {0.0}
    collapsed = np.repeat(real[:1], 40, axis=0) + 1e-3 * rng.standard_normal((40, 6))
    found = four(real, collapsed)
    assert found["precision"] == 1 and found["recall"] < 0.1 and found["coverage"] < 0.3


def test_prdc_does_not_feel_shifts_and_scales(rng):
    real, fake = rng.standard_normal((40, 3)), rng.standard_normal((30, 3))
    assert four(real, fake) == four(3 * real + 1000, 3 * fake + 1000)


def test_prdc_refuses_k_that_a_set_is_too_small_for(rng):
    real = rng.standard_normal((40, 3))
    with pytest.raises(ValueError, match="choose k from 1 to 4"):
        prdc(real, real[:5], k=5)
    with pytest.raises(ValueError, match="k = 0"):
        prdc(real, real, k=0)
    assert "depend on the counts" in prdc(real, real[:20])["recall"].warning


# --- quantisation ---------------------------------------------------------------------------------


def test_quantisation_is_fixed_unless_stretching_is_asked_for():
    images = np.array([-0.5, 0.0, 0.5], np.float32).reshape(3, 1, 1, 1)
    assert quantise(images).ravel().tolist() == [64, 128, 191]
    assert quantise(images, protocol="stretch").ravel().tolist() == [0, 127, 255]


def test_stretching_uses_the_range_of_the_whole_set(rng):
    images = rng.uniform(-0.3, 0.6, (4, 3, 3, 3)).astype(np.float32)
    stretched = quantise(images, protocol="stretch")
    assert stretched.min() == 0 and stretched.max() == 255
    exact = (images - images.min()) / (images.max() - images.min()) * 255
    assert np.abs(stretched - exact).max() <= 0.51
    assert set(quantise(np.zeros((2, 1, 1, 3)), protocol="stretch").ravel()) == {0}


def test_quantisation_refuses_integers_and_nan():
    for images in (np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), np.nan)):
        for protocol in ("fixed", "stretch"):
            with pytest.raises(ValueError, match="float|NaN"):
                quantise(images, protocol=protocol)
    with pytest.raises(ValueError, match="unknown quantisation"):
        quantise(np.zeros((1, 2, 2, 3)), protocol="dither")  # pyright: ignore
