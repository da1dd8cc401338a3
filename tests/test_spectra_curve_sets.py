"""Mean curves of sets of images with their frequency axis, and the figure and command of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ImageError, save_png
from gan_forensics.report import spectra_figure
from gan_forensics.spectra import Curve, log_spectrum_curve, mean_curves, ring_radii


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 12, 16, 3), np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    for row, image in enumerate(images):
        save_png(tmp_path / "photos" / f"{row}.png", image)
    return tmp_path / "photos"


@pytest.mark.parametrize("normalise", ["min-max", "none"])
def test_a_curve_is_the_mean_over_images_at_the_frequency_of_its_rings(images, folder, normalise):
    each = np.asarray(log_spectrum_curve(images, normalise=normalise, precision="float64"))
    for given in (images, folder, str(folder)):
        (curve,) = mean_curves({"a": given}, normalise=normalise).values()
        assert_allclose(curve.mean, each.mean(0), rtol=1e-12)
        assert_allclose(curve.deviation, each.std(0), rtol=1e-10)
        assert_array_equal(curve.frequency, ring_radii(12, 16))
        assert (curve.images, curve.left_out) == (6, {})


def test_flat_images_are_left_out_counted_and_said_in_the_figure(images, folder):
    save_png(folder / "black.png", np.zeros((12, 16, 3), np.uint8))
    curve = mean_curves({"a": folder})["a"]
    assert curve.images == 6
    assert curve.left_out["flat"] == {"count": 1, "first": [str(folder / "black.png")]}
    assert_allclose(curve.mean, mean_curves({"a": images})["a"].mean)
    assert "1 flat ones left out" in spectra_figure({"a": folder}).get_supxlabel()
    with pytest.raises(ValueError, match="none of 2 images can be used: 2 are flat"):
        mean_curves({"a": np.zeros((2, 12, 16, 3), np.uint8)})


def test_sizes_that_differ_are_named_with_what_mends_them(images, folder):
    square = images[:, :, :12]
    with pytest.raises(ValueError, match="b holds images of 12x12, a of 12x16: .*size=N"):
        mean_curves({"a": folder, "b": square})
    assert {len(c.mean) for c in mean_curves({"a": folder, "b": square}, size=8).values()} == {
        len(ring_radii(8, 8))
    }
    save_png(folder / "wide.png", images[0].repeat(2, 1))
    with pytest.raises(ValueError, match=r"wide\.png is 12x32 .*size=N") as error:
        mean_curves({"a": folder})
    assert "\n" not in str(error.value)
    assert mean_curves({"a": folder}, size=8)["a"].images == 7


def test_mistakes_are_said_of_the_set_that_has_them(images):
    with pytest.raises(ValueError, match="^fakes: pixels are float64"):
        mean_curves({"photos": images, "fakes": images / 255})
    with pytest.raises(ValueError, match="normalise is 'max'"):
        mean_curves({"photos": "no/such/folder"}, normalise="max")  # pyright: ignore
    for make in (mean_curves, spectra_figure):
        for given in (images, "photos", [images], Curve(np.ones(3), np.zeros(3))):
            with pytest.raises(ValueError, match=r"^give label -> images, .*, got \w+$"):
                make(given)


def test_what_cannot_be_read_stops_or_is_left_out(images, folder):
    (folder / "damaged.png").write_bytes((folder / "0.png").read_bytes()[:-60])
    for make in (mean_curves, spectra_figure):
        with pytest.raises(ImageError, match=r"on_bad_image='skip' in Python; --on-bad-image skip"):
            make({"a": folder})
        with pytest.raises(ValueError, match="^on_bad_image is 'stop' or 'skip', got 'skipp'$"):
            make({"a": folder}, on_bad_image="skipp")
        assert make({"a": folder}, on_bad_image="skip")
    curve = mean_curves({"a": folder}, on_bad_image="skip")["a"]
    assert (curve.images, curve.left_out["unread"]["count"]) == (6, 1)


def test_a_figure_draws_paths_images_and_curves(images, folder):
    given = {"photos": folder, "fakes": images[:4], "known": mean_curves({"a": images})["a"]}
    figure = spectra_figure(given)
    lines = figure.axes[0].lines[:3]
    for line in lines:
        assert_array_equal(line.get_xdata(), ring_radii(12, 16))
    assert_allclose(lines[1].get_ydata(), mean_curves({"a": images[:4]})["a"].mean)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert {"photos (n = 6)", "fakes (n = 4)", "known (n = 6)"} <= set(said)
    assert spectra_figure({"a": folder}, size=8).axes[0].lines[0].get_xdata().size == len(
        ring_radii(8, 8)
    )
    # A tuple of images is no curve, and one of a mean and a deviation is one.
    for curve in (tuple(images), Curve(np.ones(3), np.zeros(3)), ([1, 2], [0, 0])):
        spectra_figure({"a": curve})


def test_what_is_beyond_the_most_curves_is_not_read(images):
    figure = spectra_figure({**{f"{i}": images for i in range(40)}, "last": "no/such/folder"})
    assert "of 41 curves" in figure.get_supxlabel()
