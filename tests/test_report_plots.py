"""Figures: what they draw, where labels lie, and image grids pixel by pixel."""

import math
from typing import get_args

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import image_grid
from gan_forensics.report import (
    Bar,
    bars_figure,
    losses_figure,
    spectra_figure,
    stored_curves,
)
from gan_forensics.report.figures import literal
from gan_forensics.report.plots import COLOURS, curve_style, spread_apart
from gan_forensics.spectra import Curve, log_spectrum_curve, ring_radii
from gan_forensics.spectra.curves import Normalise


def curves(labels, length=20):
    x = np.linspace(1, 0, length)
    return {label: (x + 0.001 * i, np.full(length, 0.05)) for i, label in enumerate(labels)}


def texts(figure):
    figure.draw_without_rendering()
    return [text for axes in figure.axes for text in axes.texts]


def test_spectra_run_over_the_frequency_of_their_rings_with_a_band_each():
    known = {
        label: Curve(mean, deviation, ring_radii(32, 32), 7 + i)
        for i, (label, (mean, deviation)) in enumerate(curves(["real", "BASELINE"]).items())
    }
    figure = spectra_figure(known, title="Spectra")
    axes = figure.axes[0]
    assert_allclose(axes.lines[0].get_xdata(), ring_radii(32, 32))
    assert axes.get_xlim() == (0, pytest.approx(ring_radii(32, 32)[-1]))
    assert axes.lines[0].get_color() == COLOURS[0] == "#000000"
    assert len(axes.collections) == 2
    band = axes.collections[0].get_paths()[0].vertices
    assert_allclose([band[:, 1].min(), band[:, 1].max()], [-0.05, 1.05])
    assert axes.get_title(loc="left") == "Spectra"
    # What is drawn, and from how many images, can be read in the picture.
    assert "cycles per pixel" in axes.get_xlabel()
    assert "one standard deviation over images" in figure.get_supxlabel()
    said = [text.get_text() for text in axes.texts]
    assert "real (n = 7)" in said and "BASELINE (n = 8)" in said


@pytest.mark.parametrize("h, w", [(32, 32), (33, 33), (32, 64)])
def test_noise_that_ends_at_nyquist_ends_at_the_mark_of_the_picture(rng, h, w):
    frequency = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None, :])
    noise = np.fft.fft2(rng.normal(size=(9, h, w))) * np.where(frequency < 0.5, 1, 1e-3)
    images = np.fft.ifft2(noise).real
    mean = log_spectrum_curve(images, normalise="none", precision="float64").mean(0)
    axes = spectra_figure({"noise": (mean, 0 * mean, ring_radii(h, w))}).axes[0]
    (mark,) = {float(x) for x in axes.lines[-1].get_xdata()}
    assert mark == 0.5
    assert "axis Nyquist" in [text.get_text() for text in axes.texts]
    x, y = axes.lines[0].get_data()
    low = (y.max() + y.min()) / 2
    ends = x[y > low].max()
    assert ends < mark + 0.5 / max(h, w) and mark - ends < 1 / max(h, w)


def test_a_curve_of_unknown_frequency_runs_over_the_number_of_its_rings():
    known = {"known": (np.ones(20), np.zeros(20), ring_radii(32, 32))}
    axes = spectra_figure(known | curves(["earlier"])).axes[0]
    assert_array_equal(axes.lines[1].get_xdata(), np.arange(20))
    assert axes.get_xlabel().startswith("ring, ")
    assert "axis Nyquist" not in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("normalise", get_args(Normalise))
def test_the_ordinate_says_how_curves_were_normalised(normalise):
    label = spectra_figure(curves(["real"]), normalise=normalise).axes[0].get_ylabel()
    assert label.startswith("20 ln|F|")
    assert {"min-max": "[0, 1]", "first": "first value", "none": "20 ln|F|"}[normalise] in label
    assert (label == "20 ln|F|") == (normalise == "none")


def test_stored_curves_are_read_with_what_is_known_of_them():
    entry = {"mean": [1, 0], "std": [0, 0]}
    read = stored_curves({"a": entry, "b": {**entry, "cycles_per_pixel": [0.1, 0.2], "count": 3}})
    assert read["a"].frequency is None and read["a"].images is None
    assert (read["b"].frequency, read["b"].images) == ([0.1, 0.2], 3)


def test_curves_of_different_lengths_share_the_abscissa():
    figure = spectra_figure(curves(["real"], 88) | curves(["small"], 20))
    assert [len(line.get_xdata()) for line in figure.axes[0].lines[:2]] == [88, 20]


def test_fourteen_curves_all_look_different_and_their_labels_do_not_overlap():
    names = ["real", *(f"tail {i}" for i in range(13))]
    figure = spectra_figure(curves(names))
    assert len({str(curve_style(index)) for index in range(14)}) == 14
    assert [line.get_color() for line in figure.axes[0].lines[:14]].count("#000000") == 1
    labels = [text for text in texts(figure) if text.get_text() in names]
    boxes = [matplotlib.text.Text.get_window_extent(text) for text in labels]
    assert len(boxes) == 14
    ordered = sorted(boxes, key=lambda box: box.y0)
    assert all(a.y1 <= b.y0 + 1 for a, b in zip(ordered[:-1], ordered[1:], strict=True))
    # Beside the axes, where they cover no data, and within the figure.
    axes_box = figure.axes[0].get_window_extent()
    assert all(box.x0 >= axes_box.x1 and box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no curve"),
        ({"a": (np.zeros(3), np.zeros(4))}, "'a'.* must be of one length"),
        ({"a": (np.zeros(3), np.zeros(3), np.zeros(2))}, "'a': 3 values at 2 frequencies"),
    ],
)
def test_unfit_curves_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        spectra_figure(given)
    with pytest.raises(ValueError, match="normalise is 'max'; use one of min-max, first, none"):
        spectra_figure(curves(["a"]), normalise="max")


places = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(places)
def test_labels_are_spread_apart_in_order_and_from_zero(given):
    moved = spread_apart(given, gap=0.05)
    order = np.argsort(given, kind="stable")
    assert (np.diff(np.array(moved)[order]) >= 0.05 - 1e-9).all()
    assert min(moved) >= 0


@given(places, st.floats(0.06, 1))
def test_labels_far_enough_apart_stay(given, step):
    spaced = list(np.arange(len(given)) * step)
    assert_allclose(spread_apart(spaced, gap=0.05), spaced, atol=1e-12)


def test_labels_at_one_place_spread_evenly_around_it():
    assert_allclose(spread_apart([0.5, 0.5, 0.5], gap=0.1), [0.4, 0.5, 0.6])


def test_bars_carry_values_and_intervals():
    figure = bars_figure([Bar("N.1.5", 0.25, 0.1, 0.4), Bar("BASELINE", 1.0)])
    axes = figure.axes[0]
    assert [patch.get_width() for patch in axes.patches] == [0.25, 1.0]
    assert_array_equal(axes.lines[0].get_xdata(), [0.1, 0.4])
    assert [text.get_text() for text in texts(figure)] == ["0.25", "1.00"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["N.1.5", "BASELINE"]
    # The first row is on top, and numbers stand clear of the intervals.
    assert axes.patches[0].get_y() < axes.patches[1].get_y() and axes.yaxis_inverted()
    assert axes.texts[0].get_position()[0] > 0.4


def test_series_of_bars_are_grouped_with_a_legend_outside_the_axes():
    rows = [Bar(tail, 0.5, series=name) for tail in ("a", "b") for name in ("knn", "svm")]
    figure = bars_figure(rows)
    figure.draw_without_rendering()
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["knn", "svm"]
    assert legend.get_window_extent().x0 >= figure.axes[0].get_window_extent().x1
    tops = sorted((patch.get_y(), patch.get_height()) for patch in figure.axes[0].patches)
    assert all(y + h <= below for (y, h), (below, _) in zip(tops[:-1], tops[1:], strict=True))
    with pytest.raises(ValueError, match="no bar"):
        bars_figure([])


def lines(steps, **metrics):
    return [{"step": step, **{k: v + step for k, v in metrics.items()}} for step in steps]


def test_losses_get_a_panel_each():
    figure = losses_figure(lines(range(9), **{"d/loss": 1.0, "g/loss": 2.0, "rate": 3.0}))
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["d/loss", "g/loss"]
    assert_array_equal(figure.axes[0].lines[0].get_ydata(), np.arange(9) + 1.0)


def test_without_losses_every_number_gets_a_panel_and_chosen_names_win():
    given = [line | {"note": "text"} for line in lines(range(5), a=0.0, b=0.0, c=0.0)]
    assert sum(axes.get_visible() for axes in losses_figure(given).axes) == 3
    assert len(losses_figure(given, names=["b"]).axes) == 1
    with pytest.raises(ValueError, match="metrics x are not among a, b, c"):
        losses_figure(given, names=["x"])


def test_an_evaluation_and_training_logged_at_one_step_are_both_drawn():
    metrics = [{"step": s, name: 1.0} for s in (2, 4) for name in ("validation/loss", "d/loss")]
    figure = losses_figure(metrics)
    assert [list(axes.lines[0].get_xdata()) for axes in figure.axes] == [[2, 4]] * 2


def test_a_step_logged_twice_counts_once_and_the_later_line_wins():
    figure = losses_figure([*lines(range(6), loss=0.0), *lines(range(3, 8), loss=10.0)])
    drawn = figure.axes[0].lines[0]
    assert_array_equal(drawn.get_xdata(), range(8))
    assert_array_equal(drawn.get_ydata(), [0, 1, 2, 13, 14, 15, 16, 17])


def test_a_metric_missing_from_some_lines_is_drawn_where_it_is():
    figure = losses_figure([{"step": 0, "loss": 1}, {"step": 1}, {"step": 2, "loss": math.nan}])
    assert_array_equal(figure.axes[0].lines[0].get_xdata(), [0, 2])
    with pytest.raises(ValueError, match="nothing to draw"):
        losses_figure([])


def test_figures_leave_pyplot_alone():
    before = dict(matplotlib.rcParams)
    spectra_figure(curves(["a"])).savefig("/dev/null", format="svg")
    assert dict(matplotlib.rcParams) == before
    assert matplotlib._pylab_helpers.Gcf.get_num_fig_managers() == 0


def test_image_grid_places_every_image(rng):
    images = rng.integers(0, 255, (5, 4, 3, 3), dtype=np.uint8)
    grid = image_grid(images, 2, gap=1)
    assert grid.shape == (3 * 5 + 1, 2 * 4 + 1, 3) and grid.dtype == np.uint8
    for index, image in enumerate(images):
        top, left = 1 + index // 2 * 5, 1 + index % 2 * 4
        assert_array_equal(grid[top : top + 4, left : left + 3], image)
    assert (grid[11:, 5:] == 255).all() and (grid[0] == 255).all() and (grid[5] == 255).all()


def test_gray_images_become_three_equal_channels(rng):
    grid = image_grid(rng.integers(0, 255, (4, 3, 3, 1), dtype=np.uint8), gap=0)
    assert grid.shape == (6, 6, 3)
    assert_array_equal(grid[..., 0], grid[..., 2])


def test_few_images_leave_no_empty_columns(rng):
    images = rng.integers(0, 255, (2, 3, 3, 3), dtype=np.uint8)
    assert image_grid(images, 8, gap=0).shape == (3, 6, 3)
    for wrong, columns, message in [
        (images / 255, None, "pixels are float64"),
        (images[0], None, "n, h, w, 1 or 3"),
        (images[:0], None, "0 images"),
        (images, 0, "0 columns"),
    ]:
        with pytest.raises(ValueError, match=message):
            image_grid(wrong, columns)


def test_names_with_dollars_are_no_formulas():
    bad = "$x_$"  # As a formula it could not even be drawn.
    figure = bars_figure([Bar(bad, 0.5, series=bad)], title=bad)
    figure.draw_without_rendering()
    lines = spectra_figure(curves([bad, "b"]), title=bad)
    for texts in (figure.findobj(Text), lines.findobj(Text)):
        said = [text.get_text() for text in texts]
        assert bad not in said and said.count(literal(bad)) >= 2
