"""The latent edge: weights, shells, neighbours."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.anomaly import (
    annulus_weights,
    chi_scale,
    codes_at_edge,
    edge_weights,
    empirical_weights,
    neighbours,
    quantile_shell,
    shell,
)
from gan_forensics.anomaly.edge import parse_edge, weights_of


def plain_edge_weights(z):
    """The published rule, one code at a time."""
    c, s = z.mean(0), z.std(0)
    sigma = scipy.stats.chi.std(2, 0, np.linalg.norm(s))
    d = [float(np.linalg.norm(row - c)) for row in z]
    d = [0.0 if value > 3 * sigma else value for value in d]
    tau = sorted(d)[int(0.9 * len(d))]
    d = [0.0 if value < tau else value for value in d]
    return np.array(d) / sum(d)


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [10, 20, 71, 500])
def test_edge_weights_equal_the_published_rule(n, rng):
    z = rng.standard_t(4, (n, 2)) * [3.0, 8.0] + [1.0, -9.0]
    assert_allclose(edge_weights(z), plain_edge_weights(z), rtol=0, atol=1e-14)
    assert_allclose(chi_scale(z), 0.65513638 * np.linalg.norm(z.std(0)), rtol=1e-7, atol=0)


def test_band_weights_keep_the_band_and_grow_with_distance(rng):
    z = rng.standard_normal((800, 2))
    d, p = np.linalg.norm(z - z.mean(0), axis=1) / chi_scale(z), weights_of(z, ("band", 2.3, 2.7))
    inside = (d >= 2.3) & (d <= 2.7)
    assert_array_equal(p > 0, inside)
    assert_allclose(p[inside], d[inside] / d[inside].sum(), rtol=1e-12, atol=0)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(12, 200),
    angle=st.floats(0, 6.28),
    scale=st.floats(0.01, 100),
)
def test_edge_weights_do_not_depend_on_place_turn_or_size(seed, n, angle, scale):
    z = np.random.default_rng(seed).standard_normal((n, 2))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    p = edge_weights(z)
    assert_allclose(edge_weights(z @ turn * scale + [5.0, -3.0]), p, rtol=0, atol=1e-9)
    assert_allclose(p.sum(), 1, rtol=0, atol=1e-12)
    d = np.linalg.norm(z - z.mean(0), axis=1)
    assert (d[p > 0] <= 3 * chi_scale(z) * (1 + 1e-12)).all()
    assert (p > 0).sum() <= math.ceil(0.1 * n)


def test_empirical_weights_keep_the_asked_share(rng):
    z = rng.standard_normal((1000, 5))
    p = empirical_weights(z, low=0.9, high=0.99)
    d = np.linalg.norm(z - z.mean(0), axis=1)
    assert (p > 0).sum() == 90
    assert d[p > 0].min() >= np.sort(d)[900] and d[p > 0].max() <= np.sort(d)[989]


@pytest.mark.parametrize(
    "call",
    [
        lambda z: edge_weights(np.ones((20, 2))),
        lambda z: weights_of(z, ("band", 50, 60)),
        lambda z: annulus_weights(z, low=1e6, high=2e6),
        lambda z: codes_at_edge(
            z, 5, edge=("annulus", 90, 99), scale=1.0, rng=np.random.default_rng(0)
        ),
    ],
)
def test_an_edge_that_selects_no_code_is_refused(call, rng):
    with pytest.raises(ValueError, match="selects no code"):
        call(rng.standard_normal((50, 2)))


@pytest.mark.parametrize("edge", [("quantile", 1.0, 1.0), ("quantile", 0.9, 0.9)])
def test_a_tail_without_mass_is_refused(edge, rng):
    with pytest.raises(ValueError, match="select nothing"):
        codes_at_edge(np.eye(3), 4, edge=edge, scale=1.0, rng=rng)


@pytest.mark.parametrize("edge", ["rim", ("shell",), ("quantile", 0.9), ("data", 0.8, 0.9)])
def test_an_unknown_or_ill_formed_edge_names_the_forms(edge):
    with pytest.raises(ValueError, match="is none of: data with 0 or 1"):
        parse_edge(edge)


def test_other_misuse_of_edges_is_told(rng):
    z = rng.standard_normal((9, 2))
    with pytest.raises(ValueError, match="numbers after its name"):
        parse_edge(("shell", "far"))
    with pytest.raises(ValueError, match="no weights"):
        weights_of(z, "prior")
    with pytest.raises(ValueError, match="finite"):
        edge_weights(z * np.nan)
    with pytest.raises(ValueError, match=r"\[n, m\]"):
        edge_weights(z[0])
    with pytest.raises(ValueError, match="low < high"):
        annulus_weights(z, low=2, high=1)
    with pytest.raises(ValueError, match="quantile in"):
        edge_weights(z, start=1.0)
    with pytest.raises(ValueError, match="radius"):
        shell(3, radius=0, centre=np.zeros(2), rng=rng)


# --- shells -------------------------------------------------------------------------------------


def test_shell_points_have_the_radius_and_uniform_directions(rng):
    centre = np.array([3.0, -7.0])
    z = shell(4000, radius=12.5, centre=centre, rng=rng) - centre
    assert_allclose(np.linalg.norm(z, axis=1), 12.5, rtol=1e-12, atol=0)
    # Rayleigh's test: 2 n R^2 of uniform angles is chi squared with two degrees of freedom.
    resultant = np.linalg.norm(z.mean(0) / 12.5)
    assert 2 * len(z) * resultant**2 < scipy.stats.chi2.ppf(0.999, 2)


@pytest.mark.parametrize("latent", [1, 2, 7])
def test_a_quantile_shell_holds_the_asked_mass_of_the_prior(latent, rng):
    low, high = scipy.stats.chi.ppf([0.9, 0.997], latent, scale=4.0)
    length = np.linalg.norm(4.0 * rng.standard_normal((200_000, latent)), axis=1)
    assert_allclose(((length > low) & (length < high)).mean(), 0.097, rtol=0, atol=0.003)
    z = quantile_shell(5000, low=0.9, high=0.997, scale=4.0, centre=np.ones(latent), rng=rng) - 1
    reach = np.linalg.norm(z, axis=1)
    assert reach.min() >= low * (1 - 1e-9) and reach.max() <= high * (1 + 1e-9)
    # Within the range the quantile is uniform.
    level = (scipy.stats.chi.cdf(reach / 4.0, latent) - 0.9) / 0.097
    assert scipy.stats.kstest(level, "uniform").pvalue > 1e-3


def test_in_the_plane_the_radii_are_rayleighs(rng):
    for tail in (0.5, 0.1, 0.01, 1e-6):
        low, high = 1 - tail * (1 + 1e-9), 1 - tail
        z = quantile_shell(9, low=low, high=high, scale=10.0, centre=np.zeros(2), rng=rng)
        radius = 10 * math.sqrt(-2 * math.log(tail))
        assert_allclose(np.linalg.norm(z, axis=1), radius, rtol=1e-8, atol=0)
    # Also in the last of the tail that can be told from one, without the loss of its digits.
    z = quantile_shell(9, low=1 - 2.0**-53, high=1, scale=10.0, centre=np.zeros(2), rng=rng)
    least = 10 * math.sqrt(2 * 53 * math.log(2))
    assert np.linalg.norm(z, axis=1).min() >= least * (1 - 1e-12)


def test_edges_draw_what_they_say(rng):
    z = 10 * rng.standard_normal((300, 2))
    centre = z.mean(0)

    def draw(edge):
        codes = codes_at_edge(z, 400, edge=edge, scale=10.0, rng=np.random.default_rng(1))
        return np.linalg.norm(codes - centre, axis=1)

    assert_allclose(draw(("shell", 1.5)), 15, rtol=1e-12, atol=0)
    low, high = scipy.stats.chi.ppf([0.9, 0.99], 2, scale=10.0)
    assert draw(("quantile", 0.9, 0.99)).min() >= low * (1 - 1e-9)
    assert draw(("quantile", 0.9, 0.99)).max() <= high * (1 + 1e-9)
    d = np.linalg.norm(z - centre, axis=1)
    support = d[edge_weights(z) > 0]
    assert np.isin(np.round(draw("data"), 9), np.round(support, 9)).all()
    assert (draw(("annulus", 10, 20)) >= 10).all() and (draw(("annulus", 10, 20)) <= 20).all()
    assert draw(("data", 0.5)).min() < support.min()
    assert draw("prior").min() < 5


def test_codes_at_hand_are_drawn_by_their_weights(rng):
    z = np.concatenate([rng.standard_normal((50, 2)), 2.5 * rng.standard_normal((50, 2))])
    drawn = codes_at_edge(z, 40_000, edge=("data", 0.0), scale=1.0, rng=rng)
    _, counts = np.unique(np.concatenate([z, drawn]), axis=0, return_counts=True)
    weights = edge_weights(z, start=0.0)[np.lexsort((z[:, 1], z[:, 0]))]
    assert_allclose((counts - 1) / 40_000, weights, rtol=0, atol=5 * np.sqrt(0.03 / 40_000))
    assert (counts - 1)[weights == 0].sum() == 0


# --- neighbours ---------------------------------------------------------------------------------


def test_neighbours_leave_a_row_out_and_equal_brute_force(rng):
    z = rng.standard_normal((40, 3))
    index, distance = neighbours(z, k=4)
    gaps = np.linalg.norm(z[:, None] - z[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    assert_allclose(distance, np.sort(gaps, axis=1)[:, :4], rtol=0, atol=1e-12)
    assert_array_equal(index, np.argsort(gaps, axis=1)[:, :4])
    with pytest.raises(ValueError, match=r"at least 6 rows that differ, got 5 \(of 5\)"):
        neighbours(z[:5], k=5)


def test_copies_are_neighbours_only_where_that_is_asked_for(rng):
    z = rng.standard_normal((40, 3))
    z[7] = z[3]
    z[30:] = z[0]
    index, distance = neighbours(z, k=4)
    gaps = np.linalg.norm(z[:, None] - z[None], axis=2)
    places = np.where(gaps[:, [*range(7), *range(8, 30)]] > 0, gaps[:, [*range(7), *range(8, 30)]],
                      np.inf)  # fmt: skip
    assert_allclose(distance, np.sort(places, axis=1)[:, :4], rtol=0, atol=1e-12)
    assert_allclose(np.take_along_axis(gaps, index, 1), distance, rtol=0, atol=1e-12)
    assert not np.isin(index, [7, *range(30, 40)]).any()
    index, distance = neighbours(z, twins=True)
    assert index[7, 0] == 3 and index[3, 0] == 7 and distance[3, 0] == 0
    assert (distance[30:] == 0).all() and (index[:, 0] != np.arange(40)).all()
    with pytest.raises(ValueError, match=r"at least 2 rows that differ, got 1 \(of 5\)"):
        neighbours(np.ones((5, 2)))
