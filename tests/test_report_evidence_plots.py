"""Plots of likelihood ratios: what they draw is what the numbers say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.forensics import likelihood_ratios
from gan_forensics.report import ece_figure, pav_figure, tippett_figure

REAL, FAKE = np.array([-2.0, -1.0, -1.0, 0.3, -np.inf]), np.array([-0.1, 1.0, 2.5, np.inf])
FIGURES = (tippett_figure, pav_figure, ece_figure)


def labels(figure):
    _, found = figure.axes[0].get_legend_handles_labels()
    return found


def test_tippett_curves_are_the_shares_of_lrs_that_are_at_least_so_large():
    figure = tippett_figure(REAL, FAKE, title="Web")
    fake, real = figure.axes[0].lines
    for line, values in ((fake, FAKE), (real, REAL)):
        x, y = line.get_data()
        assert line.get_drawstyle() == "steps-pre" and np.isfinite(x).all()
        for at in (-2.2, -2.0, -1.5, -1.0, 0.0, 0.3, 0.31, 2.5, 2.6):
            assert y[np.searchsorted(x, at)] == pytest.approx((values >= at).mean())
        assert y[0] == 1 and y[-1] == 0
    assert figure.axes[0].get_title(loc="left") == "Web"


def test_misleading_evidence_stands_in_the_legend():
    assert labels(tippett_figure([-1, -1, 0, 0.5], [-0.5, 0, 1, 1, 1]))[:2] == [
        "generated: 20.0% misleading (LR below 1)",
        "photographs: 25.0% misleading (LR above 1)",
    ]
    weights = np.array([1, 1, 1, 3.0]), np.ones(5)
    grouped = tippett_figure([-1, -1, 0, 0.5], [-0.5, 0, 1, 1, 1], weights=weights)
    assert labels(grouped)[1] == "photographs: 50.0% misleading (LR above 1)"
    # Nine ninths add up to a little more than 1.
    assert labels(tippett_figure([-1.0], np.arange(1, 10)))[0].startswith("generated: 0.0% ")


@pytest.mark.parametrize("figure", FIGURES[:2])
def test_bounds_and_the_inconclusive_range_are_drawn(figure):
    axes = figure(REAL, FAKE, bounds=(-1.25, 1.5)).axes[0]
    upright = [line.get_xdata()[0] for line in axes.lines if len({*line.get_xdata()}) == 1]
    assert [x for x in upright if x in (-1.25, 1.5)] == [-1.25, 1.5]
    (band,) = axes.patches
    assert_allclose(sorted({*band.get_corners()[:, 0]}), [-np.log10(2), np.log10(2)])
    assert "bounds of the reference data" in labels(axes.figure)
    assert "bounds of the reference data" not in labels(figure(REAL, FAKE))


def test_a_pav_plot_is_the_map_with_triangles_where_it_is_infinite():
    axes = pav_figure(REAL, FAKE).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    x, y = likelihood_ratios.pav_curve(REAL, FAKE)
    assert_array_equal(lines["after PAV"].get_xdata(), x)
    assert_array_equal(lines["after PAV"].get_ydata(), np.where(np.isfinite(y), y, np.nan))
    edges = {line.get_marker(): line.get_xdata() for line in axes.lines}
    assert_allclose(edges["^"], x[y == np.inf][[0, -1]])
    assert_allclose(edges["v"], x[y == -np.inf][[0, -1]])
    assert_array_equal(lines["photographs"].get_xdata()[:4], REAL[:4])


def test_however_steep_pav_is_beside_a_triangle_the_rest_can_be_seen():
    real, fake = [-1.0, 0.2, -np.inf], [-0.5, 3.0, np.inf]
    x, y = likelihood_ratios.pav_curve(real, fake)
    low, high = pav_figure(real, fake).axes[0].get_ylim()
    assert y[np.isfinite(y)].min() < x[0] - 5  # It has been so.
    assert x[0] - 1.5 < low and high < x[-1] + 1.5


def test_an_ece_plot_is_the_cost_at_every_prior():
    figure = ece_figure(REAL[:4], FAKE[:3])
    stated, best, neutral, _ = figure.axes[0].lines
    curves = likelihood_ratios.ece_curves(REAL[:4], FAKE[:3])
    for line, values in zip((stated, best, neutral), curves[1:], strict=True):
        assert_array_equal(line.get_xdata(), curves.log10_prior_odds)
        assert_array_equal(line.get_ydata(), values)
    cost = likelihood_ratios.cllr(REAL[:4], FAKE[:3])
    middle = np.abs(curves.log10_prior_odds).argmin()
    assert stated.get_ydata()[middle] == pytest.approx(cost, abs=1e-3)
    assert labels(figure)[0] == f"LRs as stated (Cllr {cost:.3f})"


def test_lrs_that_cost_without_end_leave_the_other_curves_to_be_seen():
    assert ece_figure([-1.0, 50.0], [1.0]).axes[0].get_ylim()[1] < 4


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(
    "real, fake, why", [([], [1.0], "real"), ([0.0], [], "generated"), ([np.nan], [1.0], "NaN")]
)
def test_what_has_no_plot_is_refused(figure, real, fake, why):
    with pytest.raises(ValueError, match=why) as error:
        figure(real, fake)
    assert "\n" not in str(error.value)
