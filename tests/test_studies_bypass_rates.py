"""The bypass protocol: sound sampling, and rates that mean what they say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.studies.bypass_detectors import find_detector
from gan_forensics.studies.bypass_rates import (
    FALSE_ALARMS,
    Parts,
    alarms_of,
    draw_detectors,
    rates_of,
)


@pytest.fixture
def pools(rng):
    """Features in which BASELINE differs from real, one variant resembles each of them."""
    return {
        "BASELINE": rng.normal(size=(200, 3)) + 6,
        "Z.1.5": rng.normal(size=(90, 3)) + 6,
        "N.1.5": rng.normal(size=(80, 3)),
    }


@pytest.fixture
def real(rng):
    return Parts(*(rng.normal(size=(n, 3)) for n in (200, 100, 150)))


class Column:
    """A detector whose score is the first number of a row."""

    boundary = 0.0

    def decide(self, rows):
        return rows[:, 0]


def draw(real, pools, classifier="knn", **settings):
    fit = find_detector(f"durall-{classifier}").fit
    return draw_detectors(real, pools, **{"fit": fit, "runs": 2, "seed": 1, **settings})


@pytest.mark.parametrize("classifier", ["knn", "svm", "logistic"])
def test_a_variant_like_the_baseline_is_detected_and_one_like_real_images_passes(
    real, pools, classifier
):
    drawn = draw(real, {"BASELINE": pools["BASELINE"]}, classifier)
    rates = {tail: rates_of(drawn, tail, rows) for tail, rows in pools.items()}
    for tail in ("BASELINE", "Z.1.5"):
        assert min(rates[tail]) > 0.98
    assert rates["N.1.5"].detected < 0.02 and rates["N.1.5"].detected_at_5 < 0.15
    assert rates["N.1.5"].auc == pytest.approx(0.5, abs=0.12)
    assert alarms_of(drawn).false_alarms < 0.02


def test_who_is_trained_on_a_tail_too_sees_it(real, pools):
    """A tail on the other side of real images passes one detector and is seen by the other."""
    pools = {**pools, "N.1.5": pools["N.1.5"] - 6}
    alone = draw(real, {"BASELINE": pools["BASELINE"]}, "svm")
    both = draw(real, {name: pools[name] for name in ("BASELINE", "N.1.5")}, "svm")
    assert rates_of(alone, "N.1.5", pools["N.1.5"]).detected < 0.1
    assert rates_of(both, "N.1.5", pools["N.1.5"]).detected > 0.9
    assert rates_of(both, "BASELINE", pools["BASELINE"]).detected > 0.9
    # As many images of either class, the generated ones in equal parts.
    assert [each.n_train for each in both] == [8, 8]
    assert [len(rest) for rest in both[0].left.values()] == [196, 76]


def test_training_and_test_images_are_disjoint_and_drawn_without_replacement():
    """Every row carries its index as a feature, so that a spy can see who served for what."""
    parts = Parts(np.arange(50.0)[:, None], np.arange(200.0, 230)[:, None], np.ones((9, 1)))
    fake = {"a": np.arange(100.0, 160.0)[:, None], "b": np.arange(300.0, 340.0)[:, None]}
    seen = []

    def fit(real, fake, seed):
        seen.append((set(real[:, 0]), set(fake[:, 0])))
        return Column()

    drawn = draw_detectors(parts, fake, fit=fit, train_fraction=0.2, runs=4, seed=0)
    for (real, made), each in zip(seen, drawn, strict=True):
        assert len(real) == len(made) == each.n_train == 8
        left = {name: set(pool[each.left[name], 0]) for name, pool in fake.items()}
        assert {len(left["a"]), len(left["b"])} == {56, 36}
        assert left["a"] | left["b"] | made == {*fake["a"][:, 0], *fake["b"][:, 0]}
        assert not made & (left["a"] | left["b"])
    assert len({tuple(sorted(real)) for real, _ in seen}) == 4
    # The two classes are drawn independently (the released script shared the indices).
    assert any(real != {x - 100 for x in made} for real, made in seen)


def test_the_threshold_bounds_false_alarms_and_is_set_on_the_calibration_part_alone(rng):
    calibration, test = rng.normal(size=(199, 1)), rng.normal(size=(5000, 1))
    parts = Parts(np.full((40, 1), 99.0), calibration, test)
    pools = {"BASELINE": rng.normal(size=(50, 1)) + 2}
    (drawn,) = draw_detectors(parts, pools, fit=lambda *_: Column(), runs=1)
    # The tenth largest of 199: a new real image lies above it with a probability of 10 / 200.
    assert drawn.threshold == np.sort(calibration[:, 0])[-10]
    alarms, rates = alarms_of([drawn]), rates_of([drawn], "N", test + 1)
    assert_allclose(alarms.false_alarms, (test > 0).mean(), rtol=1e-12, atol=0)
    assert_allclose(alarms.false_alarms_at_5, (test > drawn.threshold).mean(), rtol=1e-12, atol=0)
    assert alarms.false_alarms_at_5 < 2 * FALSE_ALARMS
    assert_allclose(rates.detected_at_5, (test + 1 > drawn.threshold).mean(), rtol=1e-12, atol=0)


def test_real_images_of_elsewhere_are_what_the_auc_and_the_alarms_are_against(real, pools):
    drawn = draw(real, {"BASELINE": pools["BASELINE"]})
    away = [each.decide(pools["Z.1.5"]) for each in drawn]
    assert rates_of(drawn, "N.1.5", pools["N.1.5"], real_scores=away).auc < 0.05
    assert alarms_of(drawn, real_scores=away).false_alarms > 0.95


def test_the_protocol_is_seeded(real, rng):
    pools = {"BASELINE": rng.normal(size=(60, 3)) + 1}

    def rates(seed):
        return rates_of(draw(real, pools, runs=3, seed=seed), "BASELINE", pools["BASELINE"])

    assert rates(1) == rates(1) != rates(2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_fraction": 1.0}, "0 < train_fraction < 1"),
        ({"runs": 0}, "runs >= 1"),
        ({"train_fraction": 0.001}, "leave 0 per class for training"),
        ({"train_fraction": 0.999}, "and 0 for test"),
    ],
)
def test_impossible_protocols_are_refused(real, pools, settings, message):
    with pytest.raises(ValueError, match=message):
        draw(real, {"BASELINE": pools["BASELINE"]}, **settings)


def test_too_few_real_images_to_set_a_threshold_are_refused(real, pools):
    few = real._replace(calibration=real.calibration[:18])
    with pytest.raises(ValueError, match="at least 19"):
        draw(few, {"BASELINE": pools["BASELINE"]})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("forest", "unknown detector 'forest': give FEATURES-CLASSIFIER.*npr"),
        ("durall-forest", "unknown classifier 'forest'"),
        ("fourier-knn", "unknown features 'fourier'"),
    ],
)
def test_unknown_detectors_are_refused_with_those_that_there_are(name, message):
    with pytest.raises(ValueError, match=message):
        find_detector(name)
