"""Thresholds, parts, groups, preprocessing and what is measured after carriers."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.data import ArraySource, center_crop, jpeg, power_law_textures, resize
from gan_forensics.data.carriers import CARRIERS, TIERS
from gan_forensics.forensics import fitting, load_detector, measure
from gan_forensics.forensics.calibration import (
    Calibration,
    calibrated_threshold,
    measured_rate,
    read_calibration,
)
from gan_forensics.forensics.features import FEATURES
from gan_forensics.forensics.fitting import fit_detector
from gan_forensics.forensics.measure import carried, score_carried
from gan_forensics.forensics.metrics import count_scores, roc_auc
from gan_forensics.forensics.partition import own_groups, parted
from gan_forensics.forensics.preprocessing import Preprocessing, recoded

SHARES = {"calibrate": 0.2, "measure": 0.2}


# --- thresholds of groups -----------------------------------------------------------------------


def test_groups_of_one_image_give_the_plain_threshold(rng):
    for n in (19, 40, 99):
        scores = rng.integers(0, 20, n) / 4
        for alarms in (0.05, 0.1, 0.29):
            plain = calibrated_threshold(scores, false_alarms=alarms)
            assert plain == np.sort(scores)[::-1][int(alarms * (n + 1) + 1e-9) - 1]
            names = rng.permutation(n)
            assert calibrated_threshold(scores, false_alarms=alarms, groups=names) == plain


def test_a_large_group_has_one_vote():
    """Nine photographs of one crop score 0 to 8; a tenth has ninety crops, all at 9."""
    scores = np.r_[np.arange(9.0), np.full(90, 9.0)]
    groups = np.r_[np.arange(9), np.full(90, 9)]
    # Of eleven votes, that of the new one counted against it, two may lie above.
    assert calibrated_threshold(scores, false_alarms=0.2, groups=groups) == 8.0
    assert calibrated_threshold(scores, false_alarms=0.2) == 9.0
    # Half a vote above is allowed where a whole one is not.
    half = np.where(np.arange(99) >= 54, 9.0, np.minimum(scores, 8.5))
    assert calibrated_threshold(half, false_alarms=0.15, groups=groups) == 8.5
    with pytest.raises(ValueError, match="10 groups of real images cannot bound .* at least 19"):
        calibrated_threshold(scores, false_alarms=0.05, groups=groups)


def test_new_groups_raise_no_more_false_alarms_than_agreed(rng):
    """Crops of a photograph agree: its level moves all their scores."""

    def draw(n, size=8):
        return (rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=(n, size))).ravel()

    names = np.repeat(np.arange(30), 8)
    by_group, by_crop = [], []
    for _ in range(400):
        scores, new = draw(30), draw(20)
        for found, groups in ((by_group, names), (by_crop, None)):
            t = calibrated_threshold(scores, false_alarms=0.1, groups=groups)
            found.append((new > t).mean())
    assert np.mean(by_group) <= 0.105 < np.mean(by_crop)


def test_a_rate_of_groups_is_the_mean_of_theirs_and_as_uncertain_as_they_are_few():
    happened = [True] * 8 + [False, False]
    groups = ["a"] * 8 + ["b", "c"]
    rate = measured_rate(happened, groups)
    assert (rate.events, rate.n, rate.groups) == (8, 10, 3)
    assert rate.rate == pytest.approx(1 / 3)
    alone = measured_rate(happened)
    assert alone.rate == 0.8 and alone.groups is None
    assert rate.high - rate.low > alone.high - alone.low
    assert "8 of 10 in 3 groups; 95 % interval" in rate.words
    assert measured_rate([False] * 3).high == pytest.approx(1 - 0.025 ** (1 / 3))


# --- parts --------------------------------------------------------------------------------------


def test_images_of_their_own_are_parted_by_shares():
    real, fake = parted(*own_groups(50, 30), shares=SHARES, fake_shares={"measure": 0.2}, seed=1)
    assert [len(real[name]) for name in ("train", "calibrate", "measure")] == [30, 10, 10]
    assert [len(fake[name]) for name in ("train", "calibrate", "measure")] == [24, 0, 6]
    for rows, n in ((real, 50), (fake, 30)):
        assert sorted(np.concatenate(list(rows.values()))) == list(range(n))
    again, _ = parted(*own_groups(50, 30), shares=SHARES, fake_shares={"measure": 0.2}, seed=1)
    other, _ = parted(*own_groups(50, 30), shares=SHARES, fake_shares={"measure": 0.2}, seed=2)
    assert_array_equal(again["measure"], real["measure"])
    assert not np.array_equal(other["measure"], real["measure"])


def test_a_group_of_both_classes_lies_in_one_part():
    real_of, fake_of = np.arange(60) // 3, np.arange(40) // 2
    real, fake = parted(real_of, fake_of, shares=SHARES, fake_shares={"measure": 0.5}, seed=0)
    parts = {name: {*real_of[real[name]]} for name in real}
    assert [len(parts[name]) for name in ("train", "calibrate", "measure")] == [12, 4, 4]
    for name in fake:
        assert {*fake_of[fake[name]]} <= parts[name]


# --- preprocessing ------------------------------------------------------------------------------


def test_a_preprocessing_cuts_or_resizes_and_then_compresses(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert Preprocessing()(image) is image and Preprocessing().words == ""
    assert_array_equal(Preprocessing(crop=8)(image), center_crop(image, 8))
    square = center_crop(image, 20)
    assert_array_equal(Preprocessing(size=10)(image), resize(square, 10))
    both = Preprocessing(crop=8, recode=60)
    assert_array_equal(both(image), recoded(center_crop(image, 8), 60))
    assert both.words == "cut to the central 8x8, compressed as JPEG 60"
    assert both.shape((20, 30, 1)) == (8, 8, 1)
    assert Preprocessing(size=10).shape((2, 3, 3)) == (10, 10, 3)
    for shape in ((7, 30, 3), (30, 7, 3)):
        with pytest.raises(ValueError, match="smaller than the square of 8"):
            both(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "steps", [{"crop": 0}, {"size": -3}, {"recode": 101}, {"size": 2.5}, {"crop": 4, "size": 4}]
)
def test_steps_that_cannot_be_are_refused(steps):
    with pytest.raises(ValueError, match=r"at least 1|1 to 100|one of the two"):
        Preprocessing(**steps)


def test_blocks_of_the_compression_are_half_a_block_off(rng):
    image = power_law_textures(1, 32, exponent=1.0, seed=1)[0]
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="symmetric")
    assert_array_equal(recoded(image, 50), jpeg(padded, 50)[4:-4, 4:-4])
    assert (recoded(image, 50) != jpeg(image, 50)).mean() > 0.3


# --- carriers -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images():
    return power_law_textures(140, 24, exponent=1.5, seed=1), power_law_textures(
        130, 24, exponent=1.0, seed=2
    )


@pytest.fixture(scope="module")
def detector(images):
    return fit_detector(*images, classifier="logistic")


def test_what_is_measured_is_what_score_says(images, detector):
    rows = parted(*own_groups(140, 130), shares=SHARES, fake_shares={"measure": 0.2}, seed=0)
    chosen = [some[part["measure"]] for some, part in zip(images, rows, strict=True)]
    names = [found.carrier for found in detector.calibration.measured]
    assert names == ["none", *CARRIERS, "web", "hard"] and list(TIERS) == ["clean", *names[-2:]]
    for found in detector.calibration.measured:
        scores = [
            detector.score([carried(detector, image, found.carrier) for image in some])
            for some in chosen
        ]
        for rate, of in zip((found.false_alarms, found.detected), scores, strict=True):
            assert (rate.events, rate.n) == ((of > detector.threshold).sum(), len(of))
        assert found.auc == roc_auc(count_scores(*scores))


def test_a_score_at_the_threshold_is_no_alarm(images):
    """Neighbours give sixths, of which many lie at the threshold."""
    detector = fit_detector(*images, classifier="knn", calibration=0.3)
    rows, of_fakes = parted(
        *own_groups(140, 130), shares=SHARES, fake_shares={"measure": 0.2}, seed=0
    )
    plain = detector.calibration.as_they_are
    for rate, scores in (
        (plain.false_alarms, detector.score(images[0][rows["measure"]])),
        (plain.detected, detector.score(images[1][of_fakes["measure"]])),
    ):
        assert (scores == detector.threshold).any()
        assert rate.events == (scores > detector.threshold).sum()


def test_the_threshold_is_that_of_the_calibration_part(images, detector):
    rows, _ = parted(*own_groups(140, 130), shares=SHARES, fake_shares={"measure": 0.2}, seed=0)
    scores = detector.score(images[0][rows["calibrate"]])
    assert detector.threshold == calibrated_threshold(scores, false_alarms=0.05)
    assert len(scores) == detector.calibration.n_calibration == 28


def test_carriers_that_enlarge_are_cut_to_what_the_detector_takes(detector, images):
    image = images[0][0]
    larger = CARRIERS["up-1.5"](image)
    assert larger.shape == (36, 36, 3)
    assert_array_equal(carried(detector, image, "up-1.5"), larger[6:30, 6:30])
    assert_array_equal(carried(detector, image, "none"), image)
    scores = score_carried(detector, list(images[0][:5]), ("none", "jpeg-50"))
    assert_array_equal(scores[0], detector.score(images[0][:5]))
    assert_array_equal(scores[1], detector.score([CARRIERS["jpeg-50"](x) for x in images[0][:5]]))


def test_carriers_are_measured_on_some_of_many_images(images, monkeypatch):
    monkeypatch.setattr(measure, "MOST_CARRIED", 10)
    plain, *after = fit_detector(*images, classifier="logistic").calibration.measured
    assert plain.false_alarms.n == 28 and plain.detected.n == 26
    assert {(found.false_alarms.n, found.detected.n) for found in after} == {(10, 10)}
    # Large images are fewer, though not below a floor.
    monkeypatch.setattr(measure, "PIXELS_CARRIED", 24 * 24 * 7)
    for floor, expected in ((3, 7), (9, 9)):
        monkeypatch.setattr(measure, "FEWEST_CARRIED", floor)
        _, *after = fit_detector(*images, classifier="logistic").calibration.measured
        assert {(found.false_alarms.n, found.detected.n) for found in after} == {(expected,) * 2}


def test_a_robust_detector_trains_and_calibrates_on_carriers(images, monkeypatch):
    rows = []
    fit = fitting.fit_table

    def watched(x, generated, **settings):
        rows.append((x.copy(), generated))
        return fit(x, generated, **settings)

    monkeypatch.setattr(fitting, "fit_table", watched)
    plain = fit_detector(*images, classifier="logistic")
    robust = fit_detector(*images, classifier="logistic", robust=True)
    (before, _), (after, generated) = rows
    assert len(after) == 3 * len(before) and generated.sum() == 3 * plain.calibration.n_fake
    # Every third row is an image as it is.
    assert_array_equal(after[::3], before)
    assert robust.facts["robust"] and not plain.facts["robust"]
    part, _ = parted(*own_groups(140, 130), shares=SHARES, fake_shares={"measure": 0.2}, seed=0)
    some = list(images[0][part["calibrate"]])
    scores = score_carried(robust, some, ("none", *CARRIERS))
    assert robust.threshold == max(calibrated_threshold(of, false_alarms=0.05) for of in scores)
    assert (scores > robust.threshold).mean(1).max() <= 0.05


def test_all_carriers_take_their_turn_in_training(images, monkeypatch):
    seen = []
    real = fitting.carried
    monkeypatch.setattr(
        fitting, "carried", lambda d, x, name: seen.append(name) or real(d, x, name)
    )
    fit_detector(*images, classifier="logistic", robust=True)
    counts = [seen.count(name) for name in CARRIERS]
    assert min(counts) > 0 and max(counts) - min(counts) <= 2 * len(CARRIERS)
    assert sum(counts) == 2 * seen.count("none")


def test_a_detector_carries_its_preprocessing(tmp_path, rng):
    """Images of many sizes: fitted with a size, saved, loaded, and scored as they were."""
    real = [power_law_textures(1, 40 + i % 5, exponent=1.5, seed=i)[0] for i in range(100)]
    fake = [power_law_textures(1, 60 + i % 3, exponent=0.5, seed=i)[0] for i in range(100)]

    class Sized:
        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            return {"image": self.images[index]}

    prepare = Preprocessing(size=32, recode=80)
    made = fit_detector(
        Sized(real), Sized(fake), classifier="logistic", preprocessing=prepare, facts={"a": 1}
    )
    made.save(tmp_path / "d.npz")
    loaded = load_detector(tmp_path / "d.npz")
    assert loaded.preprocessing == prepare and loaded.facts == {
        "a": 1, "robust": False, "generators": {"images in memory": 100}
    }  # fmt: skip
    assert made.image_shape == (32, 32, 3)
    loaded.check_shape((50, 70, 3))
    scores = loaded.score(fake)
    assert_array_equal(scores, made.score(fake))
    plain = fit_detector(
        ArraySource(image=np.stack([prepare(x) for x in real])),
        ArraySource(image=np.stack([prepare(x) for x in fake])), classifier="logistic",
    )  # fmt: skip
    assert_array_equal(plain.score([prepare(x) for x in fake]), scores)
    # Carriers act before the preprocessing, on whole images.
    assert_array_equal(carried(made, real[0], "up-1.5"), CARRIERS["up-1.5"](real[0]))


# --- files of before ----------------------------------------------------------------------------


def test_rates_of_files_of_version_1_are_dropped():
    facts = {
        "n_real": 9, "n_fake": 8, "n_real_held_out": 7, "n_fake_held_out": 6, "target": 0.05,
        "achieved": 0.04, "detection_rate": 0.9, "seed": 3,
    }  # fmt: skip
    assert read_calibration(facts, 1) == Calibration(9, 8, 7, None, 0.05, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"measured": 3}, {"measured": [{"carrier": "none"}]}, {"extra": 1}, {"target": "x"},
        {"n_real": True}, {"groups": 0.5},
    ],
)  # fmt: skip
def test_calibration_facts_of_another_form_are_refused(change):
    facts = {
        "n_real": 9, "n_fake": 8, "n_calibration": 7, "groups": None, "target": 0.05, "seed": 3,
        "measured": [],
    }  # fmt: skip
    read_calibration(facts, 2)
    with pytest.raises(ValueError, match="calibration facts are"):
        read_calibration(facts | change, 2)


def test_images_without_features_are_named_wherever_they_fall(images, monkeypatch):
    def broken(some):
        values = some.reshape(len(some), -1)[:, :5].astype(float)
        return np.where((some[:, :4, 0, 0] == 17).all(1)[:, None], np.nan, values)

    monkeypatch.setitem(FEATURES, "durall", broken)
    for place in range(0, 140, 10):
        real = images[0].copy()
        real[place, :4, 0] = 17
        with pytest.raises(ValueError, match=f"not finite .*example {place}.*leave them out"):
            fit_detector(real, images[1], classifier="logistic")
