"""Mode counts, and what they say of real stacks of known modes."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource, open_source, take
from gan_forensics.data.stacked import Stacked
from gan_forensics.quality import Extracted, FeatureExtractor, modes
from gan_forensics.quality.modes import (
    Judge,
    calibration,
    count_modes,
    mode_scores,
    train_judge,
)

# --- counts -------------------------------------------------------------------------------------


def test_counts_of_one_mode_and_of_uniform_modes():
    one = count_modes(np.full(7, 423))
    assert one == (1, 1, 1.0, pytest.approx(math.log(1000), rel=1e-12), 7)
    every = count_modes(np.repeat(np.arange(1000, dtype=np.int16), 3))
    assert every == (1000, 1000, pytest.approx(1000, rel=1e-12), pytest.approx(0, abs=1e-12), 3000)


def test_counts_of_a_histogram_by_hand():
    found = count_modes(np.array([0, 0, 0, 1]), 2)
    assert (found.seen, found.half_share, found.n) == (2, 2, 4)
    assert_allclose(found.effective, 16 / 10, rtol=1e-12, atol=0)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert_allclose(found.kl, expected, rtol=1e-12, atol=0)


def test_half_of_the_share_counts_and_less_does_not():
    # Of 2000 samples of 100 modes the share is 20.
    sizes = [10, 9, 1] + [1980]
    found = count_modes(np.repeat(np.arange(4), sizes), 100)
    assert (found.seen, found.half_share) == (4, 2)
    # Of 25,600 samples of 1000 modes half of the share is 12.8.
    found = count_modes(np.repeat(np.arange(3), [12, 13, 25_575]))
    assert (found.seen, found.half_share) == (3, 2)


def test_counts_do_not_depend_on_order_or_names(rng):
    some = rng.integers(0, 300, 4000)
    renamed = rng.permutation(1000)[rng.permutation(some)]
    one, other = count_modes(some), count_modes(renamed)
    assert one[:2] == other[:2]
    assert_allclose(one[2:], other[2:], rtol=1e-12, atol=0)


def test_a_perfect_generator_has_these_counts():
    draws = [
        count_modes(np.random.default_rng(seed).integers(0, 1000, 25_600)) for seed in range(20)
    ]
    kl = [found.kl for found in draws]
    # The mean of a chi-square of 999 degrees of freedom by 2 n, and three of its deviations.
    assert_allclose(np.mean(kl), 999 / 51_200, rtol=0, atol=3 * 0.0009 / 20**0.5)
    assert_allclose(
        np.mean([f.effective for f in draws]), 1000 / (1 + 1 / 25.6), rtol=0.002, atol=0
    )
    assert {found.seen for found in draws} == {1000}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros(0, int), "n >= 1"),
        (np.zeros(3), "integers"),
        (np.zeros((2, 3), int), r"got int64 \[2, 3\]"),
        (np.array([0, -1]), "range from -1 to 0"),
        (np.array([0, 1000]), "between 0 and 999"),
    ],
)
def test_what_are_no_modes_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        count_modes(given)


# --- the judge ----------------------------------------------------------------------------------


def flat_run(images):
    """ "Digits" are flat images of ten times their value."""
    values = images[:, 0, 0, 0] // 10
    return Extracted(values[:, None].astype(np.float32), np.eye(10, dtype=np.float32)[values])


def judge_of(truth, guesses):
    return Judge(FeatureExtractor("flat features", "0123456789", flat_run), truth, guesses)


def perfect(each=5):
    digits = np.repeat(np.arange(10), each)
    return judge_of(digits, digits)


def test_a_judge_reads_channels_in_their_order():
    images = np.broadcast_to(np.array([70, 0, 30], np.uint8), (2, 4, 4, 3))
    features, found = perfect()(images)
    assert found.tolist() == [703, 703]
    assert features.tolist() == [[7, 0, 3], [7, 0, 3]]
    assert "flat features of three channels" in perfect().features
    with pytest.raises(ValueError, match="three channels, these images 1"):
        perfect()(images[..., :1])


def test_a_judge_is_asked_about_held_out_digits(monkeypatch):
    level = np.repeat(np.arange(10), 4)
    image = np.broadcast_to((10 * level).astype(np.uint8)[:, None, None, None], (40, 4, 4, 1))
    monkeypatch.setattr(modes, "small_classifier_features", lambda *a, **k: perfect().digits)
    label = np.where(np.arange(40) == 0, 9, level)
    by = train_judge(ArraySource(image=image), ArraySource(image=image, label=label))
    assert by.accuracy == 39 / 40
    assert_array_equal(by.guesses, level)


def test_calibration_of_a_perfect_classifier_counts_the_true_modes():
    table = calibration(perfect(), 20_000)
    assert list(table) == [1, 10, 50, 100, 300, 600, 1000]
    for true, found in table.items():
        assert found.seen == true and found.n == 20_000
        assert_allclose(found.effective, true / (1 + true / 20_000), rtol=0.02, atol=0)
        # With 20 a mode, some fall short of 10 by chance.
        assert true == 1000 or found.half_share == true
    assert 990 < table[1000].half_share < 1000


def test_mistakes_are_further_modes_seen_but_hardly_effective_ones():
    # Of every digit 1 of 28 is taken for the next: 96.4 % are right.
    truth = np.repeat(np.arange(10), 28)
    guesses = np.where(np.arange(280) % 28 == 0, (truth + 1) % 10, truth)
    by = judge_of(truth, guesses)
    assert_allclose(by.accuracy, 27 / 28, rtol=1e-12, atol=0)
    table = calibration(by, 25_600)
    # One mode and its neighbours: 2^3, of which the one with three mistakes has 1.2 samples.
    assert table[1].seen in (7, 8) and table[1].half_share == 7 and table[1].effective < 1.3
    assert 40 < table[10].seen <= 80 and table[10].effective < 13
    assert table[300].seen > 600 and 280 < table[300].half_share < 360
    assert table[1000].half_share > 990


def test_calibration_says_what_the_judge_says_of_the_images_themselves():
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(10), 20)
    level = np.where(rng.random(200) < 0.1, (truth + 3) % 10, truth)
    image = np.broadcast_to((10 * level).astype(np.uint8)[:, None, None, None], (200, 2, 2, 1))
    digits = ArraySource(image=image, label=truth)
    by = judge_of(truth, level)
    stacks = take(Stacked(digits, split="test"), np.arange(25_600))
    direct, table = count_modes(by(stacks["image"])[1]), calibration(by, 25_600)[1000]
    assert direct.seen == table.seen == 1000
    assert_allclose(direct.effective, table.effective, rtol=0.01, atol=0)
    # The spread of a perfect generator's is .0009.
    assert_allclose(direct.kl, table.kl, rtol=0, atol=0.004)


def test_scores_are_the_counts_and_a_distance_under_its_own_name():
    levels = np.array([[70, 0, 30], [70, 0, 30], [0, 0, 10], [0, 0, 10]], np.uint8)
    images = np.broadcast_to(levels[:, None, None], (4, 2, 2, 3))
    by = perfect()
    real = by(images[::-1])[0]
    found = {score.name: score for score in mode_scores(images, real, by)}
    assert found["modes seen"].value == found["modes with half their share"].value == 2
    assert_allclose(found["effective modes"].value, 2, rtol=1e-12, atol=0)
    assert_allclose(found["KL to uniform, nats"].value, math.log(500), rtol=1e-12, atol=0)
    assert found["modes seen"].protocol["of"] == 1000
    (distance,) = [score for name, score in found.items() if "Frechet" in name]
    assert "flat features of three channels" in distance.name
    assert_allclose(distance.value, 0, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_trained_judge_is_calibrated_on_digits():
    train, test = (
        open_source("samples:digits", size=16, split=split) for split in ("train", "test")
    )
    by = train_judge(train, test, steps=400)
    assert by.accuracy > 0.9
    table = calibration(by, 4000)
    assert table[1].seen > 1 and table[1].effective < 2
    assert table[1000].effective > table[300].effective > table[100].effective > 80
