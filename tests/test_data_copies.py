"""Rows that are there more than once."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.data.copies import copies, copies_said


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
@pytest.mark.parametrize("shape", [(3,), (2, 2, 3), ()])
def test_copies_lead_back_to_the_rows_and_count_them(dtype, shape, rng):
    rows = rng.integers(0, 2, (40, *shape)).astype(dtype)
    found = copies(rows)
    assert_array_equal(rows[found.first][found.of], rows)
    assert_array_equal(np.bincount(found.of), found.counts)
    assert len(found.first) == len({row.tobytes() for row in rows}) < 40
    assert (np.diff(found.first) > 0).all() and found.repeated == 40 - len(found.first)
    for place, first in enumerate(found.first):  # none stands earlier
        assert found.of.tolist().index(place) == first


def test_zero_has_no_sign_and_what_differs_in_a_bit_differs():
    assert copies(np.array([[0.0, 1.0], [-0.0, 1.0]])).repeated == 1
    assert copies(np.array([[1.0], [np.nextafter(1.0, 2)]])).repeated == 0
    assert copies(np.zeros((0, 3))).repeated == 0
    two, three = np.zeros((2, 1)), np.zeros((3, 1))
    assert copies_said(copies(two), "rows") == "1 of 2 rows repeats another"
    assert copies_said(copies(three), "images") == "2 of 3 images repeat another"
