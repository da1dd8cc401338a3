import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_forensics.spectra import SpectrumStatistic


def assert_same(statistic, values, rtol=1e-12, atol=1e-12):
    summary = statistic.result()
    assert summary.count == len(values)
    np.testing.assert_allclose(summary.mean, values.mean(0), rtol=rtol, atol=atol)
    np.testing.assert_allclose(summary.std, values.std(0), rtol=rtol, atol=atol)


def test_one_update_gives_mean_and_population_std(rng):
    values = rng.normal(size=(11, 5))
    assert_same(SpectrumStatistic.zero(5).update(values), values)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 30), max_size=6), st.randoms())
def test_result_depends_on_neither_order_nor_split(seed, cuts, random):
    values = np.random.default_rng(seed).normal(3, 2, size=(30, 4))
    parts = np.split(values, sorted(cuts))
    random.shuffle(parts)
    statistic = SpectrumStatistic.zero(4)
    for part in parts:
        statistic = statistic.update(part)
    assert_same(statistic, values)


def test_merged_halves_equal_the_whole(rng):
    values = rng.normal(size=(20, 3, 2))
    halves = [SpectrumStatistic.zero((3, 2)).update(part) for part in (values[:13], values[13:])]
    assert_same(halves[0].merge(halves[1]), values)
    assert_same(halves[1].merge(halves[0]), values)


def test_a_large_offset_does_not_cancel(rng):
    values = 1e8 + rng.normal(size=(1000, 2))
    statistic = SpectrumStatistic.zero(2)
    for part in np.split(values, 10):
        statistic = statistic.update(part)
    np.testing.assert_allclose(statistic.result().std, values.std(0), rtol=1e-6)


def test_masked_rows_are_ignored_even_if_they_hold_nan(rng):
    values = rng.normal(size=(6, 3))
    padded = np.concatenate([values, np.full((2, 3), np.nan)])
    mask = np.arange(8) < 6
    assert_same(SpectrumStatistic.zero(3).update(padded, mask), values)


def test_a_fully_masked_batch_changes_nothing(rng):
    values = rng.normal(size=(6, 3))
    statistic = SpectrumStatistic.zero(3).update(values)
    assert_same(statistic.update(np.full((4, 3), np.inf), np.zeros(4, bool)), values)


def test_an_empty_statistic_is_zero_and_neutral(rng):
    values = rng.normal(size=(6, 3))
    empty = SpectrumStatistic.zero(3)
    assert empty.result().count == 0 and (empty.result().std == 0).all()
    assert_same(empty.merge(SpectrumStatistic.zero(3).update(values)).merge(empty), values)


def test_scan_inside_jit_equals_numpy(rng):
    values = rng.normal(size=(8, 16, 5)).astype(np.float32)
    mask = rng.random((8, 16)) < 0.7

    @jax.jit
    def stream(values, mask):
        zero = jax.tree.map(jnp.asarray, SpectrumStatistic.zero(5))
        step = lambda statistic, batch: (statistic.update(*batch), None)  # noqa: E731
        return jax.lax.scan(step, zero, (values, mask))[0]

    assert_same(stream(values, mask), values[mask].astype(np.float64), rtol=1e-5, atol=1e-6)


def test_float64_values_stay_float64_on_the_host(rng):
    assert SpectrumStatistic.zero(2).update(rng.normal(size=(3, 2))).mean.dtype == np.float64


def test_values_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"values of shape \(4, 2\)"):
        SpectrumStatistic.zero(3).update(np.ones((4, 2)))


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"mask has shape \(3,\) for 4 values"):
        SpectrumStatistic.zero(2).update(np.ones((4, 2)), np.ones(3, bool))
