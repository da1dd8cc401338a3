import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from gan_forensics.explain import colour_conditional, gray_drop, median_test

SAMPLE = arrays(float, st.integers(1, 30), elements=st.integers(-4, 4).map(float))


@settings(max_examples=100, deadline=None)
@given(a=SAMPLE, b=SAMPLE, correction=st.booleans())
def test_median_test_is_scipys(a, b, correction):
    ours = median_test(a, b, correction=correction)
    try:
        theirs = stats.median_test(a, b, correction=correction)
    except ValueError:  # nothing above the median: scipy refuses
        assert (ours.statistic, ours.pvalue) == (0, 1)
        return
    assert_allclose(ours.statistic, theirs.statistic, rtol=1e-12, atol=1e-12)
    assert_allclose(ours.pvalue, theirs.pvalue, rtol=1e-10)
    assert ours.median == theirs.median
    assert_array_equal(ours.table, theirs.table)


def test_median_test_is_symmetric_and_knows_ranks_only(rng):
    a, b = rng.normal(size=41), rng.normal(0.6, size=50)
    p = median_test(a, b).pvalue
    assert median_test(b, a).pvalue == p
    # With an odd number of values the median is one of them, and any increasing map keeps it.
    assert median_test(np.exp(a), np.exp(b)).pvalue == p
    assert median_test(np.arange(8.0)[::2], np.arange(8.0)[1::2]).pvalue == 1


def test_many_median_tests_are_done_at_once(rng):
    a, b = rng.normal(size=(20, 3)), rng.normal(1.0, size=(30, 3))
    together = median_test(a, b)
    for i in range(3):
        one = median_test(a[:, i], b[:, i])
        assert (one.pvalue, one.median) == (together.pvalue[i], together.median[i])
        assert_array_equal(one.table, together.table[..., i])


def test_samples_that_cannot_be_tested_are_refused():
    with pytest.raises(ValueError, match="at least one value"):
        median_test(np.zeros(0), np.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        median_test(np.array([np.nan, 1.0]), np.zeros(3))


def test_colour_conditional_channels_are_those_that_gray_moves(rng):
    colour = rng.normal(size=(200, 4))
    moved = colour + np.array([0.0, 0.0, 3.0, -3.0])[None]
    found = colour_conditional(colour, moved)
    assert_array_equal(found.conditional, [False, False, True, True])
    assert found.share == 0.5


def test_the_level_decides_which_channels_count(rng):
    colour = rng.normal(size=(60, 8))
    gray = colour + np.linspace(0, 0.8, 8)[None]
    found = [colour_conditional(colour, gray, level=level) for level in (1e-9, 0.05, 1.0)]
    for one, level in zip(found, (1e-9, 0.05, 1.0), strict=True):
        assert_array_equal(one.conditional, one.pvalue <= level)
        assert one.share == (one.pvalue <= level).mean()
    assert found[0].share < found[1].share < found[2].share == 1.0


def test_the_fall_of_scores_is_of_medians_over_images_recognised_in_colour():
    drop = gray_drop(np.array([0.9, 0.8, 0.1, 1.0]), np.array([0.5, 0.2, 1.0, 0.4]))
    assert (drop.colour, drop.gray, drop.count) == (0.9, 0.4, 3)
    assert_allclose(drop.points, 50)


def test_scores_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="recognises none"):
        gray_drop(np.array([0.1]), np.array([0.1]))
    with pytest.raises(ValueError, match="one of each"):
        gray_drop(np.array([0.9]), np.array([0.1, 0.2]))
