"""Samples nearer to training than to held-out examples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.quality import memorisation


def test_the_share_is_counted_by_hand_and_ties_are_half():
    train, held_out = np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[4.0, 0.0], [0.0, 4.0]])
    #                  at 1 and 3   at 3 and 1   tie of 2    at sqrt(2) and sqrt(10)
    samples = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [9.0, 1.0]])
    found = memorisation(samples, train, held_out)
    assert found.value == 2.5 / 4
    assert found.counts == {"fake": 4, "train": 2, "held out": 2}
    assert_allclose(found.protocol["standard error over samples"], np.sqrt(0.171875 / 4))
    # The other way round it is what is missing to one.
    assert memorisation(samples, held_out, train).value == 1 - found.value


def test_the_larger_set_is_thinned_to_the_smaller_one():
    rng = np.random.default_rng(0)
    samples, train, held_out = (rng.normal(size=(n, 3)) for n in (3000, 2000, 200))
    found = memorisation(samples, train, held_out)
    assert found.counts == {"fake": 3000, "train": 200, "held out": 200}
    # All of the larger set would be nearer for nine of ten samples.
    assert abs(found.value - 0.5) < 0.08
    assert memorisation(samples, train, held_out, seed=1).value != found.value
    assert memorisation(samples, train, held_out).value == found.value


def test_copies_are_found():
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(2, 300, 4))
    assert memorisation(train, train, held_out).value == 1.0
    half = np.concatenate([train[:150], held_out[:150]])
    assert memorisation(half, train, held_out).value == 0.5


def test_repeats_of_either_set_do_not_bring_the_other_nearer():
    rng = np.random.default_rng(0)
    samples, train, held_out = rng.normal(size=(3, 400, 3))
    often = np.repeat(train[:40], 10, axis=0)
    found = memorisation(samples, often, held_out)
    assert found.counts == {"fake": 400, "train": 40, "held out": 40}
    assert abs(found.value - 0.5) < 0.1  # .1 where 400 rows of 40 are held against 400
    assert found.protocol["repeated"] == {"fake": 0, "train": 360, "held out": 0}
    assert found.warning == "360 of 400 train examples repeat another"
    again = memorisation(np.repeat(samples, 2, axis=0), train, held_out)
    once = memorisation(samples, train, held_out)
    assert again.value == once.value and once.warning == ""
    assert again.warning == "400 of 800 fake examples repeat another"


def test_features_of_other_widths_are_refused():
    with pytest.raises(ValueError, match="features"):
        memorisation(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 4)))
