"""Crops: where they lie, what is beyond the frame, and the mirror."""

import numpy as np
import pytest

from gan_forensics.faces.crops import Crop, crop_about, cut

FRAME = np.random.default_rng(0).integers(0, 256, (60, 81), dtype=np.uint8)


@pytest.mark.parametrize("reduction", [1, 3])
def test_a_crop_has_its_centre_within_half_a_cell_of_the_place_asked_for(reduction):
    crop = Crop(21, 20, reduction, 4, (81, 60))
    for place in np.random.default_rng(1).uniform(-5, 90, (50, 2)):
        first = crop_about(crop, place)
        centre = np.array(first) + 0.5 * (np.array([21, 20]) * reduction - 1)
        assert (np.abs(centre - place) <= 2 * reduction + 1e-9).all()
        # On one lattice of whole cells, whatever the place.
        assert not ((np.array(first) - crop_about(crop, np.zeros(2))) % (4 * reduction)).any()


def test_a_crop_is_the_frame_inside_and_its_edge_repeated_outside():
    crop = Crop(21, 20, 1, 4, (81, 60))
    np.testing.assert_array_equal(cut(FRAME, crop, (10, 7)), FRAME[7:27, 10:31])
    beyond = cut(FRAME, crop, (-5, 50))
    np.testing.assert_array_equal(beyond[:10, 5:], FRAME[50:, :16])
    np.testing.assert_array_equal(beyond[:, :5], np.repeat(beyond[:, 5:6], 5, 1))
    np.testing.assert_array_equal(beyond[10:], np.repeat(beyond[9:10], 10, 0))


def test_working_pixels_are_means_of_squares():
    crop = Crop(20, 10, 3, 4, (81, 60))
    found = cut(FRAME, crop, (6, 9))
    assert found.shape == (10, 20) and found.dtype == np.float32
    assert found[2, 5] == pytest.approx(FRAME[15:18, 21:24].mean())


def test_the_crop_of_a_mirrored_frame_is_the_mirrored_crop():
    crop = Crop(21, 20, 1, 4, (81, 60))
    for u, v in np.random.default_rng(2).uniform(0, 60, (50, 2)):
        here = cut(FRAME, crop, crop_about(crop, np.array([u, v])))
        there = cut(FRAME[:, ::-1], crop, crop_about(crop, np.array([80 - u, v])))
        np.testing.assert_array_equal(here, there[:, ::-1])


def test_a_place_that_moves_less_than_a_cell_keeps_its_crop_unless_it_passes_a_middle():
    crop = Crop(21, 20, 1, 4, (81, 60))
    assert crop_about(crop, np.array([41.9, 30.0])) == crop_about(crop, np.array([38.1, 31.4]))
    assert (
        crop_about(crop, np.array([42.1, 30.0]))[0] == crop_about(crop, np.array([41.9, 30]))[0] + 4
    )
