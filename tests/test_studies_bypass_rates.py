"""The bypass protocol: sound sampling, and rates that mean what they say."""

import numpy as np
import pytest

from gan_forensics.studies import bypass_rates
from gan_forensics.studies.bypass_rates import bypass_protocol


@pytest.fixture
def pools(rng):
    """Features in which BASELINE differs from real, one variant resembles each of them."""
    return {
        "real": rng.normal(size=(200, 3)),
        "BASELINE": rng.normal(size=(200, 3)) + 6,
        "Z.1.5": rng.normal(size=(90, 3)) + 6,
        "N.1.5": rng.normal(size=(80, 3)),
    }


def run(pools, **settings):
    variants = {name: pools[name] for name in ("Z.1.5", "N.1.5")}
    settings = {"features": "toy", "classifier": "knn", "seed": 1} | settings
    return bypass_protocol(pools["real"], pools["BASELINE"], variants, **settings)


@pytest.mark.parametrize("classifier", ["knn", "svm", "logistic"])
def test_a_variant_like_the_baseline_is_detected_and_one_like_real_images_passes(pools, classifier):
    rows = run(pools, classifier=classifier, runs=3)
    rates = {row["tail"]: row["detection_rate"] for row in rows}
    assert list(rates) == ["BASELINE", "Z.1.5", "N.1.5"]
    assert rates["BASELINE"] > 0.98 and rates["Z.1.5"] > 0.98 and rates["N.1.5"] < 0.02
    assert rows[2]["auc"] == pytest.approx(0.5, abs=0.12)
    assert all(row["real_accuracy"] > 0.98 for row in rows)
    assert {row["classifier"] for row in rows} == {classifier}
    assert {row["features"] for row in rows} == {"toy"}


def test_rows_count_the_test_images(pools):
    rows = run(pools, runs=2)
    assert [row["n_fake"] for row in rows] == [180, 90, 80]
    assert [(row["n_real"], row["n_train"], row["runs"]) for row in rows] == [(180, 20, 2)] * 3


def test_training_and_test_images_are_disjoint_and_drawn_without_replacement(pools, monkeypatch):
    """Every row carries its index as a feature, so that a spy can see who served for what."""
    real, fake = np.arange(50.0)[:, None], np.arange(100.0, 160.0)[:, None]
    seen = []

    class Spy:
        boundary = 0.0

        def decide(self, features):
            seen[-1]["tests"].append(set(features[:, 0]))
            return features[:, 0]

    def fit(real_features, fake_features, **_):
        seen.append({"real": real_features[:, 0], "fake": fake_features[:, 0], "tests": []})
        return Spy()

    monkeypatch.setattr(bypass_rates, "fit_classifier", fit)
    bypass_protocol(real, fake, {}, features="toy", classifier="knn", runs=4, seed=0)
    for draw in seen:
        real_test, fake_test = draw["tests"]
        assert len(set(draw["real"])) == len(set(draw["fake"])) == 5
        assert real_test | set(draw["real"]) == set(real[:, 0]) and len(real_test) == 45
        assert fake_test | set(draw["fake"]) == set(fake[:, 0]) and len(fake_test) == 55
    assert len({tuple(draw["real"]) for draw in seen}) == 4
    # The two classes are drawn independently (the released script shared the indices).
    assert any(set(draw["real"]) != set(draw["fake"] - 100) for draw in seen)


def test_real_images_may_come_from_two_places(pools):
    """Test images unlike the training images show in the real accuracy alone."""
    rows = run(pools, real_test_features=pools["BASELINE"][:70] + 0.0, runs=2)
    assert rows[0]["n_real"] == 70 and rows[0]["n_train"] == 20
    assert rows[0]["real_accuracy"] < 0.05
    assert rows[0]["detection_rate"] > 0.98


def test_a_constant_detector_shows_in_the_real_accuracy(pools, monkeypatch):
    class Constant:
        boundary = 0.0

        def decide(self, features):
            return np.ones(len(features))

    monkeypatch.setattr(bypass_rates, "fit_classifier", lambda *_, **__: Constant())
    for row in run(pools, runs=2):
        assert row["detection_rate"] == 1.0 and row["real_accuracy"] == 0.0 and row["auc"] == 0.5


def test_rates_are_means_over_runs_with_their_sample_deviation(rng):
    pools = rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 1
    rows = bypass_protocol(*pools, {}, features="toy", classifier="knn", runs=8, seed=3)
    assert rows[0]["detection_rate_std"] > 0 and rows[0]["real_accuracy_std"] > 0
    single = bypass_protocol(*pools, {}, features="toy", classifier="knn", runs=1, seed=3)
    assert single[0]["detection_rate_std"] is None


def test_the_protocol_is_seeded(rng):
    pools = rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 1
    settings = {"features": "toy", "classifier": "knn", "runs": 3}
    first = bypass_protocol(*pools, {}, seed=1, **settings)
    assert first == bypass_protocol(*pools, {}, seed=1, **settings)
    assert first != bypass_protocol(*pools, {}, seed=2, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_fraction": 1.0}, "0 < train_fraction < 1"),
        ({"runs": 0}, "runs >= 1"),
        ({"train_fraction": 0.001}, "leave 0 per class for training"),
        ({"train_fraction": 0.999}, "and 0 for test"),
        ({"classifier": "forest"}, "unknown classifier"),
    ],
)
def test_impossible_protocols_are_refused(pools, settings, message):
    with pytest.raises(ValueError, match=message):
        run(pools, **settings)


def test_the_baseline_must_not_be_among_the_variants(pools):
    with pytest.raises(ValueError, match="leave it out of variants"):
        bypass_protocol(
            pools["real"], pools["BASELINE"], {"BASELINE": pools["BASELINE"]},
            features="toy", classifier="knn",
        )  # fmt: skip
