"""Detectors by date: splits, AUCs and rank correlation against scipy and scikit-learn, samples."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score

from gan_forensics.report import write_report
from gan_forensics.report.blocks import Section
from gan_forensics.studies import by_date as module
from gan_forensics.studies.by_date import Scores, by_date, dates_table, kendall, periods

YEARS = {"d": 2021, "a": 2014, "b": 2016, "c": 2018}


def test_generators_are_split_at_dates():
    assert periods(YEARS, [2016, 2018]) == [
        (2016, ("a", "b"), ("c",)),
        (2018, ("a", "b", "c"), ("d",)),
    ]
    # All later ones follow the last date, and a date with nothing before or after it goes.
    assert periods(YEARS, [2010, 2014, 2030]) == [(2014, ("a",), ("b", "c", "d"))]
    for dates, said in (([], "ascend"), ([2018, 2018], "ascend"), ([2030], "a 2014, b 2016")):
        with pytest.raises(ValueError, match=said):
            periods(YEARS, dates)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9))
def test_the_rank_correlation_is_that_of_scipy(pairs):
    a, b = np.array(pairs, float).T
    assert_allclose(kendall(a, b), kendalltau(a, b).statistic, equal_nan=True, atol=1e-12)


def test_rank_correlations_of_many_samples_are_those_of_each(rng):
    a, b = rng.integers(0, 3, (2, 5, 4))
    assert_allclose(kendall(a, b), [kendall(x, y) for x, y in zip(a, b, strict=True)])


def scores(rng, apart, n=60):
    """Detectors by the distance of their scores of fitted and later images from real ones."""
    kinds = [{}, {}, {}]
    for name, (fitted, later) in apart.items():
        for kind, mean in zip(kinds, (0, fitted, later), strict=True):
            kind[name] = np.round(rng.normal(mean, 1, n), 1)
    return Scores(2018, *kinds)


def test_areas_are_those_of_scikit_learn_and_ranks_of_scipy(rng):
    some = scores(rng, {"x": (3.0, 0.5), "y": (1.5, 1.0), "z": (0.5, 2.0)})
    (found,) = by_date([some], samples=200)
    for name in "xyz":
        for areas, fake in ((found.fitted, some.fitted), (found.later, some.later)):
            labels = np.repeat([0, 1], [60, 60])
            oracle = roc_auc_score(labels, np.concatenate([some.real[name], fake[name]]))
            assert_allclose(areas[name].auc, oracle)
            assert areas[name].interval.low < oracle < areas[name].interval.high
    # The order is reversed, and images drawn anew leave little doubt.
    assert found.ranking == -1
    assert found.ranking_interval.low == -1 and found.ranking_interval.high < 0.5
    assert by_date([some], samples=200) == [found]
    json.dumps(asdict(found))


def test_samples_of_images_are_their_repetition(rng):
    some = scores(rng, {"x": (1.0, 0.5), "y": (1.1, 0.4)}, n=12)
    real, fake = (np.stack(list(kind.values())) for kind in (some.real, some.fitted))
    weights = [rng.multinomial(12, np.full(12, 1 / 12), 3) for _ in range(2)]
    found = module._weighted_areas(real, fake, *weights)
    for sample in range(3):
        r, f = (np.repeat(x, w[sample], 1) for x, w in zip((real, fake), weights, strict=True))
        assert_allclose(found[sample], module._areas(r, f))


def test_ranks_that_images_cannot_tell_are_left_open(rng):
    some = scores(rng, {name: (1.0, 1.0) for name in "wxyz"}, n=40)
    (found,) = by_date([some], samples=300)
    assert found.ranking_interval.low < 0 < found.ranking_interval.high


def test_ties_and_single_detectors_have_no_ranking(rng):
    perfect = {name: np.array([0.0, 1.0]) for name in "xy"}
    tied = Scores(2016, perfect, {n: np.array([2.0, 3.0]) for n in "xy"}, perfect)
    alone = scores(rng, {"x": (1.0, 0.0)})
    for found in by_date([tied, alone], samples=20):
        assert found.ranking is None and found.ranking_interval is None


def test_scores_of_other_images_are_refused():
    two, three = np.zeros(2), np.zeros(3)
    for some, said in (
        (Scores(2016, {"x": two}, {"y": two}, {"x": two}), "detectors x, got those of y"),
        (Scores(2016, {"x": two, "y": three}, {}, {}), "x 2, y 3"),
        (
            Scores(2016, {"x": two}, {"x": two}, {"x": two * np.nan}),
            "2016, x: later scores are NaN",
        ),
        (Scores(2016, {}, {}, {}), "need scores"),
    ):
        with pytest.raises(ValueError, match=said):
            by_date([some])


def test_the_table_has_both_sides_of_every_date(rng, tmp_path):
    results = by_date(
        [scores(rng, {"x": (3.0, 0.0), "y": (1.0, 2.0)}), scores(rng, {"only": (1.0, 1.0)})],
        samples=50,
    )
    table = dates_table(results)
    assert [row[1] for row in table.rows] == [
        *("x", "y", "order of the detectors, Kendall's tau-b"),
        *("only", "order of the detectors, Kendall's tau-b"),
    ]
    assert [row[3] for row in table.rows[:2]] == [1, 2]
    assert [row[5] for row in table.rows[:2]] == [2, 1]
    assert table.rows[2][2].startswith("-1.00 (-1.00 to")
    assert table.rows[4][2] == "not defined: one detector, or all tie"
    write_report(tmp_path / "page.html", title="", lead="", sections=[Section("", [table])])
