"""Doping among its users' libraries: scikit-learn's checks, pipelines, grid searches."""

import numpy as np
import pandas
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils.estimator_checks import (
    check_estimators_overwrite_params,
    parametrize_with_checks,
)

from gan_forensics.anomaly import DopedDetector, Doping

QUICK = {"hidden": (8,), "steps": 15, "batch_size": 16, "random_state": 0}
FEW = {"hidden": (8,), "steps": 2}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.slow
@parametrize_with_checks([Doping(**FEW), DopedDetector(doping=Doping(**FEW))])
# scikit-learn's labels are drawn evenly, and tell no anomaly.
@pytest.mark.filterwarnings("ignore:which label is the anomaly")
def test_scikit_learns_checks_pass_and_none_is_excused(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:which label is the anomaly")
def test_one_of_scikit_learns_checks_passes_where_there_is_no_time_for_all():
    """The one that finds parameters changed by `fit`; the others are slow tests."""
    for estimator in (Doping(**FEW), DopedDetector(doping=Doping(**FEW))):
        check_estimators_overwrite_params(type(estimator).__name__, estimator)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [Doping(), DopedDetector()], ids=["Doping", "DopedDetector"])
@pytest.mark.filterwarnings("ignore:which label is the anomaly")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_checks_pass_by_default(estimator):
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(estimator)


@pytest.fixture
def data(rng):
    """A frame of 60 normal rows and 12 anomalies, and their labels."""
    x = rng.standard_normal((72, 3))
    x[60:] += 6
    frame = pandas.DataFrame(x, columns=list("abc"))
    return frame, pandas.Series(np.repeat(["ok", "odd"], [60, 12]), name="state")


class Noting(IsolationForest):
    """An isolation forest that keeps what it was fitted on."""

    def fit(self, X, y=None):
        self.seen_ = X, y
        return super().fit(X, y)


def test_a_pipeline_of_imbalanced_learn_adds_normal_rows_while_fitting(data):
    imblearn = pytest.importorskip("imblearn.pipeline")
    x, y = data
    steps = StandardScaler(), Doping(n_samples=20, **QUICK), Noting(random_state=0)
    pipeline = imblearn.make_pipeline(*steps).set_output(transform="pandas").fit(x, y)
    rows, labels = pipeline[-1].seen_
    assert list(rows.columns) == list("abc") and len(rows) == 92
    # Anomalies stand at 2 and above, once scaled; no new row is near them.
    scaled = StandardScaler().fit(x).transform(x)
    assert rows.iloc[72:].to_numpy().max() <= scaled[:60].max() + 1e-6
    assert (labels.iloc[72:] == "ok").all() and labels.name == "state"
    assert pipeline.score_samples(x[:9]).shape == (9,)
    # One-class use: all rows train.
    assert len(imblearn.make_pipeline(*steps).fit(x)[1].codes_) == 72


def test_a_grid_search_of_its_parameters_uses_the_labels(data):
    imblearn = pytest.importorskip("imblearn.pipeline")
    x, y = data
    pipeline = imblearn.Pipeline(
        [("doping", Doping(**QUICK)), ("forest", RandomForestClassifier(5, random_state=0))]
    )
    edges = ["data", ("shell", 2.0)]
    grid = {"doping__edge": edges, "doping__share": [0.1, 0.5], "doping__anomaly": ["odd"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(x, y)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_["doping"]
    assert best.normal_label_ == "ok" and len(best.codes_) == 60


def test_a_detector_on_doped_rows_is_the_pipeline_of_both(data):
    imblearn = pytest.importorskip("imblearn.pipeline")
    x, y = data
    doping = Doping(n_samples=20, **QUICK)
    doped = DopedDetector(Noting(random_state=0), doping).fit(x, y)
    rows, labels = doped.detector_.seen_
    assert len(rows) == 92 and len(doped.doping_.codes_) == 60 and (labels[72:] == "ok").all()
    both = imblearn.make_pipeline(doping, Noting(random_state=0)).fit(x, y)
    for method in ("score_samples", "decision_function", "predict"):
        assert_array_equal(getattr(doped, method)(x), getattr(both, method)(x))
    alone = DopedDetector(IsolationForest(random_state=0), doping.set_params(n_samples=0)).fit(x)
    plain = IsolationForest(random_state=0).fit(x)
    assert_array_equal(alone.score_samples(x), plain.score_samples(x))


@pytest.mark.parametrize("detector", [OneClassSVM(), LocalOutlierFactor(novelty=True)])
def test_a_pipeline_of_scikit_learn_takes_it_as_its_last_step(detector, data):
    x, _ = data
    pipeline = make_pipeline(StandardScaler(), DopedDetector(detector, Doping(**QUICK)))
    pipeline.fit(x)
    assert set(pipeline.predict(x)) == {-1, 1}
    assert pipeline.decision_function(x).shape == (72,)


def test_a_pipeline_that_hands_frames_on_keeps_their_names(data):
    x, _ = data
    pipeline = make_pipeline(StandardScaler(), DopedDetector(doping=Doping(**QUICK)))
    pipeline.set_output(transform="pandas").fit(x)
    assert list(pipeline[-1].feature_names_in_) == list("abc")
    assert pipeline.predict(x).shape == (72,)


def test_one_seed_may_rule_both_parts(data):
    x, _ = data
    unseeded = {**QUICK, "random_state": None}
    scores = [
        DopedDetector(doping=Doping(**unseeded), random_state=seed).fit(x).score_samples(x)
        for seed in (0, 0, 1)
    ]
    assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()
    # A detector without draws of its own takes no seed.
    DopedDetector(OneClassSVM(), Doping(**unseeded), random_state=0).fit(x)


def test_methods_are_those_of_the_detector():
    assert not hasattr(DopedDetector(LocalOutlierFactor()), "predict")
    for detector in (None, IsolationForest(), OneClassSVM()):
        doped = DopedDetector(detector)
        assert all(hasattr(doped, m) for m in ("predict", "score_samples", "decision_function"))
