import doctest
import json
from dataclasses import asdict
from importlib import import_module

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, normalized_mutual_info_score

from gan_forensics.forensics import class_metrics
from gan_forensics.forensics.class_evaluation import evaluate_classes, severity_table
from gan_forensics.forensics.class_metrics import (
    confusion_counts,
    frechet_ratio,
    mutual_information,
    purity,
    retrieve,
    retrieve_others,
)


@pytest.fixture
def labelled(rng):
    labels = rng.integers(0, 5, 300)
    return labels, np.where(rng.random(300) < 0.6, labels, rng.integers(0, 5, 300))


def test_information_and_counts_equal_scikit_learn(labelled):
    labels, predicted = labelled
    counts = confusion_counts(labels, predicted, 5)
    np.testing.assert_array_equal(counts, confusion_matrix(labels, predicted))
    expected = normalized_mutual_info_score(labels, predicted)
    assert mutual_information(counts) == pytest.approx(expected, abs=1e-12)


def test_information_of_a_relabelling_is_1_and_of_a_constant_0(labelled):
    labels, _ = labelled
    renamed = confusion_counts(labels, (labels + 2) % 5, 5)
    assert mutual_information(renamed) == pytest.approx(1, abs=1e-12) and purity(renamed) == 1
    constant = confusion_counts(labels, np.full(300, 3), 5)
    assert mutual_information(constant) == 0
    assert purity(constant) == np.bincount(labels).max() / 300
    assert mutual_information(np.array([[4, 0], [0, 0]])) == 1


def test_purity_by_hand():
    # Columns: 5 of 6, 3 of 5, none.
    assert purity(np.array([[5, 2, 0], [1, 0, 0], [0, 3, 0]])) == 8 / 11


def slow_average_precision(distance, relevant, at):
    order = sorted(range(len(distance)), key=lambda i: (distance[i], i))
    found, precisions = 0, []
    for rank, i in enumerate(order, 1):
        found += relevant[i]
        if relevant[i]:
            precisions.append(found / rank)
    near = sum(relevant[i] for i in order[:at]) / at
    return (sum(precisions) / len(precisions) if precisions else 0.0), near


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_average_precision_equals_a_loop_over_ranks(rng, metric, monkeypatch):
    queries, database = rng.normal(size=(9, 4)), rng.integers(-1, 2, (40, 4)).astype(float)
    database[[3, 9]] = database[0]  # Ties, which go to the first.
    of, labels = rng.integers(0, 4, 9), rng.integers(0, 3, 40)  # Of class 3 there is none.
    of[0] = 3
    monkeypatch.setattr(class_metrics, "CHUNK", 40 * 4)
    average, near = retrieve(queries, of, database, labels, metric=metric, at=7)
    for q in range(9):
        distance = np.round(np.square(queries[q] - database).sum(1), 12)
        if metric == "cosine":
            lengths = np.linalg.norm(queries[q]) * np.linalg.norm(database, axis=1)
            distance = np.round(1 - database @ queries[q] / (lengths + 1.1920929e-7), 12)
        expected = slow_average_precision(distance, labels == of[q], 7)
        assert (average[q], near[q]) == pytest.approx(expected, abs=1e-12)
    assert average[0] == 0


def test_metrics_of_retrieval_differ_by_length():
    queries, database = np.array([[1.0, 0]]), np.array([[9.0, 0], [0, 1.0]])
    labels = np.array([0, 1])
    assert retrieve(queries, np.array([0]), database, labels, metric="l2")[0] == 0.5
    assert retrieve(queries, np.array([0]), database, labels, metric="cosine")[0] == 1


def test_an_image_does_not_find_itself():
    features = np.array([[0.0], [1.0], [0.1], [1.1], [7.0]])
    labels = np.array([0, 0, 1, 1, 2])  # The last has nothing to find.
    # Ranks of the only partner: of 0 behind 2; of 1 behind 3 and 2; of 2 behind 0 and 1; of 3
    # behind 1.
    expected = [1 / 2, 1 / 3, 1 / 3, 1 / 2]
    np.testing.assert_allclose(retrieve_others(features, labels, metric="l2"), expected)


def test_frechet_ratio_in_one_dimension():
    """Between N(m, s^2) and N(n, t^2) the distance is (m - n)^2 + (s - t)^2."""
    pairs = np.array([[0, 2], [1, 3], [10, 14], [12, 16], [0, 8], [0, 8]], float)
    features, labels = pairs.reshape(-1, 1), np.repeat([5, 7, 9], 4)
    found = frechet_ratio(features, labels, rule="released")

    def distance(a, b):
        return (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2

    a, b, c = features.reshape(3, 4)
    intra = [distance(x[:2], x[2:]) for x in (a, b, c)]
    inter = [distance(a, b), distance(a, c), distance(b, c)]
    np.testing.assert_allclose(found.intra, intra, atol=1e-9)
    np.testing.assert_allclose(found.inter, inter, rtol=1e-9)
    assert found.ratio == pytest.approx(np.mean(intra) / (sum(inter) / 6))


def test_shuffled_halves_do_not_depend_on_the_order_of_images(rng):
    labels = np.repeat([0, 1, 2], 60)
    features = rng.normal(size=(180, 3)) + 3 * labels[:, None]
    drifting = np.sort(features.reshape(3, 60, 3), axis=1).reshape(180, 3)
    released = frechet_ratio(drifting, labels, rule="released").ratio
    shuffled = [frechet_ratio(drifting, labels, seed=seed).ratio for seed in range(3)]
    assert released > 0.2 and max(shuffled) < 0.05 and len(set(shuffled)) == 3
    same = np.tile(features[:60], (2, 1))
    assert frechet_ratio(np.concatenate([same, same + 1]), np.repeat([0, 1], 120), rule="released")[
        1
    ] == pytest.approx(0, abs=1e-9)


def test_what_has_no_ratio_is_refused(rng):
    with pytest.raises(ValueError, match="got 2 with 3 at the least"):
        frechet_ratio(rng.normal(size=(8, 2)), np.array([0] * 5 + [1] * 3))
    with pytest.raises(ValueError, match="unknown metric 'hamming': choose one of l2, cosine"):
        retrieve_others(np.eye(2), np.array([0, 0]), metric="hamming")


def evaluated(labels, predicted, names=("a", "b", "photos", "d"), real="photos", **more):
    logits = np.eye(len(names))[np.asarray(predicted)]
    return evaluate_classes(logits, np.asarray(labels), names=names, real=real, **more)


def test_rates_by_hand_with_the_real_class_in_the_middle():
    labels = [0, 0, 0, 1, 2, 2, 3, 3]
    result = evaluated(labels, [0, 1, 2, 1, 2, 0, 0, 3])
    assert result.attribution_accuracy == 4 / 8
    assert result.recall == {"a": 1 / 3, "b": 1, "photos": 1 / 2, "d": 1 / 2}
    assert result.macro_attribution_accuracy == pytest.approx((1 / 3 + 1 + 1 / 2 + 1 / 2) / 4)
    # Wrong about being real: the third image and the sixth.
    assert result.detection_accuracy == 6 / 8
    assert result.balanced_detection_accuracy == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert result.confusion[0] == (1, 1, 1, 0) and result.n == 8
    assert result.map_l2 is result.map_cosine is None
    interval = result.intervals["recall/b"]
    assert interval.low == pytest.approx(0.025) and interval.high == 1
    assert json.loads(json.dumps(asdict(result)))["real"] == "photos"


def test_the_place_of_the_real_class_does_not_matter(labelled):
    labels, predicted = labelled
    names = ("real", "v", "w", "x", "y")
    first = evaluated(labels, predicted, names, "real")
    order = np.array([2, 4, 0, 1, 3])
    moved = evaluated(order[labels], order[predicted], ("w", "x", "real", "y", "v"), "real")
    for field in ("detection_accuracy", "balanced_detection_accuracy", "attribution_accuracy"):
        assert getattr(moved, field) == getattr(first, field)
    assert moved.recall == first.recall
    assert moved.intervals == first.intervals
    assert first.detection_accuracy >= first.attribution_accuracy


def test_always_generated_is_worth_half(labelled):
    labels, _ = labelled
    result = evaluated(labels, np.full(300, 1), ("real", "v", "w", "x", "y"), "real")
    assert result.detection_accuracy > 0.7 and result.balanced_detection_accuracy == 0.5
    only = evaluated([0, 1], [0, 2])
    assert only.balanced_detection_accuracy is None
    assert "balanced_detection_accuracy" not in only.intervals


def test_features_are_retrieved_by_both_distances(rng):
    features = np.array([[1.0, 0], [5, 0], [0, 1], [0, 5.0]])
    result = evaluated([0, 0, 1, 1], [0, 0, 1, 1], features=features)
    assert result.map_cosine == 1 and result.map_l2 == pytest.approx((0.5 + 1) / 2)
    assert evaluated([0, 1], [0, 1], features=np.eye(2)).map_l2 is None


def test_severity_table():
    right = {("fog", 3): [True, False], ("fog", 1): [True] * 4, ("blur", 5): [False]}
    rows = severity_table({key: np.array(hits) for key, hits in right.items()})
    assert [(row.name, row.severity, row.accuracy, row.n) for row in rows] == [
        ("blur", 5, 0.0, 1),
        ("fog", 1, 1.0, 4),
        ("fog", 3, 0.5, 2),
    ]
    assert rows[1].interval.low == pytest.approx(0.025**0.25)
    with pytest.raises(ValueError, match="fog at severity 1 has no images"):
        severity_table({("fog", 1): np.zeros(0, bool)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(real="nature"), "'nature' was given as the real one"),
        (dict(names=("a", "a")), "must be different names"),
        (dict(labels=np.array([0, 2])), "labels go from 0 to 2; of 2 sources"),
        (dict(labels=np.array([0.0, 1])), "labels must be integers"),
        (dict(labels=np.zeros(0, int)), "labels must be integers"),
        (dict(logits=np.zeros((2, 3))), r"logits must be \[2, 2\], got \[2, 3\]"),
        (dict(logits=np.array([[0, 1], [np.nan, 0]])), "logits of 1 of 2 images are not finite"),
        (dict(features=np.zeros((3, 1)), labels=np.array([0, 0])), r"features must be \[2, d\]"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = dict(logits=np.eye(2), labels=np.array([0, 1]), names=("a", "b"), real="b") | change
    with pytest.raises(ValueError, match=message):
        evaluate_classes(given.pop("logits"), given.pop("labels"), **given)


def test_examples():
    module = import_module(evaluate_classes.__module__)  # Its name is the function's, too.
    assert doctest.testmod(module).failed == 0
