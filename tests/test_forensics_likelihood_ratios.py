"""Likelihood ratios and what is measured on them, against lir, the field's library."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.forensics import likelihood_ratios as lr
from gan_forensics.forensics.calibrators import KINDS, Pav

# Written by lir; how, tests/golden/README.md tells.
GOLDEN = json.loads((Path(__file__).with_name("golden") / "lir.json").read_text())
CASES = {
    name: {key: np.asarray(value) for key, value in case.items()}
    for name, case in GOLDEN["cases"].items()
}
FINITE = [name for name in CASES if name != "infinite"]


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(params=FINITE)
def finite(request):
    return CASES[request.param]


@pytest.mark.parametrize("name", ["cllr", "cllr_min", "cllr_cal", "devpav"])
def test_costs_are_those_of_lir(case, name):
    found = getattr(lr, name)(case["real"], case["fake"])
    assert_allclose(found, case[name], rtol=1e-9, atol=1e-12)


def test_bounds_are_those_of_lir(case):
    assert_allclose(lr.elub_bounds(case["real"], case["fake"]), case["elub"], atol=1e-12)


def test_adjacent_violators_are_pooled_as_by_lir(case):
    assert_allclose(np.concatenate(lr.pav(case["real"], case["fake"])), case["pav"], atol=1e-9)


def test_the_map_between_its_knots_is_that_of_lir(finite):
    found = lr.fit_pav(finite["real"], finite["fake"])(finite["grid"])
    assert_allclose(found, finite["pav_grid"], atol=1e-9)


def test_the_curve_of_a_plot_is_the_map(finite):
    x, y = lr.pav_curve(finite["real"], finite["fake"])
    both = np.concatenate([finite["real"], finite["fake"]])
    assert_allclose(x, np.arange(both.min() - 0.5, both.max() + 0.5, 0.01))
    assert_allclose(y, lr.fit_pav(finite["real"], finite["fake"])(x))


def test_cross_entropies_are_those_of_lir(case):
    found = lr.ece_curves(
        case["real"], case["fake"], log10_prior_odds=np.array(GOLDEN["log10_prior_odds"])
    )
    assert_allclose(found.stated, case["ece"], rtol=1e-9)
    assert_allclose(found.pav, case["ece_pav"], rtol=1e-9, atol=1e-12)
    prior = 1 / (1 + 10**-found.log10_prior_odds)
    entropy = -prior * np.log2(prior) - (1 - prior) * np.log2(1 - prior)
    assert_allclose(found.neutral, entropy, rtol=1e-9)


def test_cross_entropy_at_even_odds_is_the_cost(finite):
    found = lr.ece_curves(finite["real"], finite["fake"], log10_prior_odds=np.zeros(1))
    assert_allclose(found.stated, lr.cllr(finite["real"], finite["fake"]))


def test_tippett_curves_are_those_of_lir(finite):
    found = lr.tippett(finite["real"], finite["fake"])
    for at, expected, curve in zip(
        finite["tippett_at"], finite["tippett"], (found.real, found.fake), strict=True
    ):
        # At or above a threshold is at or above the next LR that occurs.
        place = np.searchsorted(found.log10_lr, at, side="left")
        assert_allclose(np.append(curve, 0)[place], expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["logistic", "kernel density"])
def test_calibrators_are_those_of_lir(finite, kind):
    weights = np.ones(len(finite["real"])), np.ones(len(finite["fake"]))
    model = KINDS[kind].fit(finite["real"], finite["fake"], weights)
    at, name = ("grid", "logistic") if kind == "logistic" else ("inside", "density")
    # Logistic regression is a minimum that both find by iteration.
    tolerance = 1e-5 if kind == "logistic" else 1e-9
    assert_allclose(KINDS[kind].log10_lr(model, finite[at]), finite[name], atol=tolerance)


def test_perfect_and_neutral_and_inverted_ratios():
    assert lr.cllr([-np.inf], [np.inf]) == 0
    assert lr.cllr([0, 0], [0, 0, 0]) == 1
    assert lr.cllr([np.inf], [np.inf]) == np.inf
    assert lr.cllr_min([1.0, 2.0], [-1.0, -2.0]) == 1
    assert_allclose(lr.cllr([1.0], [1.0]), (np.log2(11) + np.log2(1.1)) / 2)


def test_a_map_that_keeps_the_order_leaves_cllr_min(finite):
    bent = [np.arctan(finite[name]) for name in ("real", "fake")]
    assert_allclose(lr.cllr_min(*bent), lr.cllr_min(finite["real"], finite["fake"]))


def test_pooled_ratios_are_calibrated(finite):
    pooled = lr.pav(finite["real"], finite["fake"])
    assert_allclose(lr.cllr_cal(*pooled), 0, atol=1e-12)
    found = lr.devpav(*pooled)
    assert np.isnan(found) or abs(found) < 1e-12


def test_an_area_that_crosses_the_identity_by_hand():
    # Two points of the map, at (0, log10 2/1) and ... : distances d1 and -d2 over a step of 1.
    assert_allclose(lr.devpav([0.0, 1.0], [0.0, 1.0]), 0.5)
    real, fake = [-1.0, 0.0], [0.0, 1.0]
    # Alone at the ends (infinite), the tie in the middle has an LR of 1: on the identity.
    assert lr.devpav(real, fake) == 0


def test_bounds_grow_with_the_images_that_support_them():
    upper = [lr.elub_bounds([-5.0] * n, [5.0] * 50)[1] for n in (10, 100, 1000)]
    assert upper[0] < upper[1] < upper[2]
    for n, bound in zip((10, 100, 1000), upper, strict=True):
        assert bound <= np.log10(n + 1)


def test_ratios_on_the_wrong_side_are_bounded_by_one():
    assert lr.elub_bounds([2.0] * 50, [-2.0] * 50) == (0, 0)


@pytest.mark.parametrize("name", ["cllr", "cllr_min", "devpav", "elub_bounds"])
def test_crops_of_a_photograph_count_as_one_image(name):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(-1, 1, 30), rng.normal(1, 1, 20)
    groups = np.repeat(np.arange(30), 4)
    weights = lr.group_weights(groups), np.ones(20)
    found = getattr(lr, name)(np.repeat(real, 4), fake, weights=weights)
    assert_allclose(found, getattr(lr, name)(real, fake), atol=1e-12)


def test_weights_move_curves_as_copies_do():
    rng = np.random.default_rng(1)
    real, fake = rng.normal(-1, 1, 8), rng.normal(1, 1, 8)
    twice = np.concatenate([real, real[:4]])
    weights = np.where(np.arange(8) < 4, 1.0, 0.5), np.ones(8)
    for name in ("tippett", "ece_curves"):
        weighted = getattr(lr, name)(real, fake, weights=weights)
        copied = getattr(lr, name)(twice, fake)
        for one, other in zip(weighted, copied, strict=True):
            assert_allclose(one, other, atol=1e-12)
    for one, other in zip(
        lr.pav_curve(real, fake, weights=weights), lr.pav_curve(twice, fake), strict=True
    ):
        assert_allclose(one, other, atol=1e-12)


def test_a_posterior_is_odds_times_the_ratio():
    assert_allclose(lr.posterior([1.0, -1.0], 0.5), [10 / 11, 1 / 11])
    odds = 0.2 / 0.8 * 100
    assert_allclose(lr.posterior([2.0], 0.2), odds / (1 + odds))
    assert np.isnan(lr.posterior([np.nan], 0.5))


@pytest.mark.parametrize("prior", [0, 1, -0.1, np.nan])
def test_a_prior_that_leaves_nothing_to_learn_is_refused(prior):
    with pytest.raises(ValueError, match="prior is"):
        lr.posterior([0.0], prior)


@pytest.mark.parametrize(
    "log10_lr, words",
    [
        (0.0, "inconclusive"),
        (0.3, "inconclusive"),
        (-0.3, "inconclusive"),
        (np.log10(2), "weak support for generated"),
        (-0.99, "weak support for photograph"),
        (1.0, "moderate support for generated"),
        (1 - 1e-12, "moderate support for generated"),
        (0.9999, "weak support for generated"),
        (2.0, "moderately strong support for generated"),
        (-3.5, "strong support for photograph"),
        (4, "very strong support for generated"),
        (6, "extremely strong support for generated"),
        (np.nan, ""),
    ],
)
def test_ratios_have_the_words_of_the_scale(log10_lr, words):
    assert lr.verbal(log10_lr) == words


@pytest.mark.parametrize(
    "real, fake, message",
    [([], [0.0], "real scores must be"), ([0.0], [np.nan], "1 of 1 generated scores are NaN")],
)
def test_classes_without_ratios_are_refused(real, fake, message):
    for name in ("cllr", "cllr_min", "devpav", "elub_bounds", "tippett", "pav_curve", "ece_curves"):
        with pytest.raises(ValueError, match=message):
            getattr(lr, name)(real, fake)


def test_a_map_without_a_finite_ratio_is_not_drawn():
    with pytest.raises(ValueError, match="no LR is finite"):
        lr.pav_curve([-np.inf], [np.inf])


def test_the_map_is_constant_beyond_its_knots():
    found = Pav(np.array([0.0, 1.0]), np.array([0.25, 0.75]))
    assert_allclose(found(np.array([-9.0, 9.0, np.nan])), [-np.log10(3), np.log10(3), np.nan])
