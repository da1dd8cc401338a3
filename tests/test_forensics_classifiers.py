"""Our decision functions against scikit-learn's, and what the classifiers refuse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gan_forensics.forensics.classifiers import CLASSIFIERS, fit_classifier, fit_table
from gan_forensics.forensics.decisions import Classifier

# The published settings, written out a second time.
TWINS = {
    "knn": make_pipeline(StandardScaler(), KNeighborsClassifier(5, algorithm="kd_tree")),
    "svm": make_pipeline(StandardScaler(), SVC()),
    "mlp": make_pipeline(
        StandardScaler(),
        MLPClassifier((10, 10), activation="logistic", max_iter=2000, random_state=3),
    ),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "unmasking-linear-svm": SVC(kernel="linear"),
    "unmasking-rbf-svm": SVC(C=6.37, gamma=0.86),
    "unmasking-poly-svm": SVC(kernel="poly", gamma="auto"),
    "unmasking-logistic": LogisticRegression(solver="liblinear", max_iter=1000),
}


@pytest.fixture
def world(rng):
    """Two overlapping classes of 80 training rows, and 60 test rows; unequal feature scales."""
    scale = np.array([1.0, 20.0, 0.05, 3.0])
    real = rng.normal(size=(80, 4)) * scale + 5
    fake = (rng.normal(size=(80, 4)) + [1, 1, -1, 0]) * scale + 5
    return real, fake, (rng.normal(size=(60, 4)) + 0.4) * scale + 5


def logit(estimator, x):
    probability = estimator.predict_proba(x)
    return np.log(probability[:, 1]) - np.log(probability[:, 0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", TWINS)
def test_decisions_equal_those_of_scikit_learn(name, world):
    real, fake, test = world
    if not CLASSIFIERS[name].standardise:
        # Cubes of large features cancel in the kernel sum beyond ten digits.
        real, fake, test = (part / part.max(0) for part in world)
    # The published labels: 1 is real, but generated in the unmasking set.
    real_is_one = not name.startswith("unmasking")
    labels = np.repeat([1, 0] if real_is_one else [0, 1], 80)
    twin = TWINS[name].fit(np.concatenate([real, fake]), labels)
    sign = -1 if real_is_one else 1
    model = fit_classifier(real, fake, classifier=name, seed=3)
    ours = model.decide(test)
    if name == "knn":
        assert_array_equal(ours, twin.predict_proba(test)[:, 0])
    elif name == "mlp":
        assert_allclose(ours, sign * logit(twin, test), rtol=1e-10, atol=1e-10)
    else:
        assert_allclose(ours, sign * twin.decision_function(test), rtol=1e-10, atol=1e-10)
    assert_array_equal(ours > model.boundary, twin.predict(test) == (sign > 0))


def test_every_classifier_has_a_twin_here_or_conditions_of_its_own():
    of_frank = {f"{on}-{name}" for on in ("dct", "pixels") for name in ("linear", "ridge", "lasso")}
    assert TWINS.keys() | of_frank == CLASSIFIERS.keys()  # test_forensics_frank.py


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_generated_images_score_higher(name, world):
    real, fake, _ = ((part - 5) / world[0].std(0) for part in world)
    model = fit_classifier(real, fake, classifier=name, seed=0)
    assert model.decide(fake).mean() > model.decide(real).mean()
    assert (model.decide(fake) > model.boundary).mean() > 0.5


@pytest.mark.parametrize("name", ["knn", "svm"])
def test_standardised_classifiers_ignore_affine_changes_of_features(name, world):
    real, fake, test = world
    plain = fit_classifier(real, fake, classifier=name, seed=0).decide(test)
    scale, shift = np.array([3.0, 0.01, 70.0, 1.0]), np.array([-5.0, 2.0, 0.0, 100.0])
    moved = fit_classifier(
        real * scale + shift, fake * scale + shift, classifier=name, seed=0
    ).decide(test * scale + shift)
    assert_allclose(moved, plain, rtol=1e-6, atol=1e-6)


def test_unmasking_classifiers_do_not_standardise(world):
    real, fake, _ = world
    model = fit_classifier(real, fake, classifier="unmasking-rbf-svm", seed=0)
    assert_array_equal(model.mean, np.zeros(4))
    assert_array_equal(model.scale, np.ones(4))


def test_mlp_depends_on_its_seed_alone(world):
    real, fake, test = world
    first, again, other = (
        fit_classifier(real, fake, classifier="mlp", seed=seed).decide(test) for seed in (1, 1, 2)
    )
    assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_mlp_that_has_not_converged_is_kept_without_a_warning(rng, recwarn):
    # Noise without structure: 2000 epochs are not enough.
    real, fake = rng.normal(size=(100, 3)), rng.normal(size=(100, 3))
    fit_classifier(real, fake, classifier="mlp", seed=0)
    assert not [w for w in recwarn if issubclass(w.category, ConvergenceWarning)]


def test_a_fit_that_does_not_converge_is_refused(world):
    with pytest.raises(ValueError, match="'unmasking-poly-svm' does not converge"):
        fit_classifier(*world[:2], classifier="unmasking-poly-svm", seed=0)


def test_constant_features_do_not_divide_by_zero(world):
    real, fake, test = (np.concatenate([part, np.ones((len(part), 1))], 1) for part in world)
    assert np.isfinite(fit_classifier(real, fake, classifier="svm", seed=0).decide(test)).all()
    alike = np.ones((10, 2))
    model = fit_classifier(alike, alike, classifier="svm", seed=0)
    assert np.isfinite(model.decide(alike)).all()


def test_rows_that_are_not_finite_score_nan_and_leave_the_others_alone(world):
    real, fake, test = world
    broken = test.copy()
    broken[7, 2] = np.nan
    for name in ("knn", "logistic"):
        model = fit_classifier(real, fake, classifier=name, seed=0)
        scores = model.decide(broken)
        assert_array_equal(np.flatnonzero(np.isnan(scores)), [7])
        assert_array_equal(np.delete(scores, 7), np.delete(model.decide(test), 7))


def test_broken_training_rows_are_refused(world):
    real, fake, _ = world
    real[3, 0] = np.inf
    with pytest.raises(ValueError, match="1 of 80 real images .* index 3"):
        fit_classifier(real, fake, classifier="knn", seed=0)


@pytest.mark.parametrize(
    ("real", "fake", "name", "message"),
    [
        (np.ones((9, 2)), np.ones((9, 2)), "kn", "unknown classifier 'kn'.*knn"),
        (np.ones((9, 2)), np.ones((9, 3)), "knn", "differ in width"),
        (np.ones((2, 2)), np.ones((2, 2)), "knn", "at least 5"),
        (np.ones((0, 2)), np.ones((2, 2)), "svm", "real features must be"),
        (np.ones((2, 2)), np.ones(2), "svm", "generated features must be"),
    ],
)
def test_unfit_training_sets_are_refused(real, fake, name, message):
    with pytest.raises(ValueError, match=message):
        fit_classifier(real, fake, classifier=name, seed=0)


def test_features_of_another_width_are_refused(world):
    real, fake, test = world
    model = fit_classifier(real, fake, classifier="knn", seed=0)
    with pytest.raises(ValueError, match="do not fit a classifier of 4 values"):
        model.decide(test[:, :3])


def test_arrays_that_do_not_fit_together_are_refused():
    ones = np.ones(3)
    Classifier("linear", ones, ones, {"weights": ones, "intercept": np.array(0.0)})
    for arrays, message in [
        ({"weights": np.ones(4), "intercept": np.array(0.0)}, "'weights' has shape"),
        ({"weights": ones}, "has the arrays"),
        ({"weights": ones * np.nan, "intercept": np.array(0.0)}, "not finite"),
        ({"weights": ones.astype(np.float32), "intercept": np.array(0.0)}, "float64"),
        ({"weights": ones, "intercept": np.zeros(1)}, "'intercept' has shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            Classifier("linear", ones, ones, arrays)
    points = {"points": np.ones((4, 3)), "generated": np.ones(4), "k": np.array(5.0)}
    with pytest.raises(ValueError, match="k = 5"):
        Classifier("neighbours", ones, ones, points)
    with pytest.raises(ValueError, match="scale must be positive"):
        Classifier("neighbours", ones, 0 * ones, {**points, "k": np.array(1.0)})
    with pytest.raises(ValueError, match="unknown kind"):
        Classifier("forest", ones, ones, {})


def test_a_wide_table_is_standardised_in_place_as_scikit_learn_does_it(rng):
    x = np.exp(rng.normal(size=(30, 70_000)))  # Two blocks of columns.
    twin = StandardScaler().fit(x)
    expected = twin.transform(x)
    generated = np.repeat([0.0, 1.0], 15)
    model = fit_table(x, generated, classifier="knn", seed=0)
    assert_array_equal(model.mean, twin.mean_)
    assert_array_equal(model.scale, twin.scale_)
    assert_array_equal(x, expected)
    assert model.arrays["points"] is x
