"""`DetectorClassifier`: what scikit-learn asks of a classifier, and our detector inside of it."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing

from gan_forensics.forensics import DetectorClassifier, Preprocessing, fit_detector, load_detector
from gan_forensics.forensics import estimator as its_module
from gan_forensics.forensics.estimator import _generated

QUICK = {"features": "pixels", "classifier": "logistic", "calibration": 0.3}


@pytest.fixture(scope="module")
def images():
    """[60, 8, 8, 1], of which the first 30 are real: the others have a brighter corner."""
    x = np.random.default_rng(0).integers(0, 100, (60, 8, 8, 1), np.uint8)
    x[30:, :2, :2] += 150
    return x


@pytest.fixture(scope="module")
def labels():
    return np.repeat(["real", "fake"], 30)


def test_it_is_the_detector_that_fit_detector_fits(images, labels, tmp_path):
    fitted = DetectorClassifier(**QUICK, random_state=3).fit(images[::-1], labels[::-1])
    same = fit_detector(images[29::-1], images[:29:-1], **QUICK, seed=3)
    fitted.detector_.save(tmp_path / "d.npz")
    read = load_detector(tmp_path / "d.npz")
    assert_array_equal(read.score(images), same.score(images))
    assert read.threshold == same.threshold and read.calibration == same.calibration
    assert read.facts["labels"] == {"real": "real", "generated": "fake"}


def test_groups_stay_together_in_its_parts(images, labels):
    groups = np.arange(60) // 2
    fitted = DetectorClassifier(**QUICK).fit(images, labels, groups=groups)
    assert fitted.detector_.calibration.groups == 3
    assert DetectorClassifier(**QUICK).fit(images, labels).detector_.calibration.groups is None
    # Real images of few groups, generated ones of many.
    groups = np.r_[np.arange(30) // 2, np.arange(30, 60)]
    same = fit_detector(
        images[:30], images[30:], **QUICK, seed=0, groups=(groups[:30], groups[30:])
    )
    fitted = DetectorClassifier(**QUICK).fit(images, labels, groups=groups).detector_
    assert fitted.calibration == same.calibration and fitted.threshold == same.threshold


@pytest.mark.parametrize(
    ("names", "sign"), [(("real", "fake"), -1), (("a real one", "fake"), 1), ((0, 1), 1)]
)
def test_decisions_are_positive_for_the_second_class_and_agree_with_labels(names, sign, images):
    fitted = DetectorClassifier(**QUICK, generated=names[1]).fit(images, np.repeat(names, 30))
    above = fitted.detector_.score(images) - fitted.detector_.threshold
    assert list(fitted.classes_) == sorted(names)
    assert_array_equal(fitted.decision_function(images), sign * above)
    assert_array_equal(fitted.predict(images) == names[1], above > 0)


def test_a_score_on_the_threshold_is_that_of_a_real_image(images, labels):
    fitted = DetectorClassifier(**QUICK).fit(images, labels)
    score = float(fitted.detector_.score(images[:1])[0])
    object.__setattr__(fitted.detector_, "threshold", score)
    assert fitted.predict(images[:1]).tolist() == ["real"]


def test_it_is_cloned_pickled_and_fitted_again(images, labels):
    given = DetectorClassifier(**QUICK, preprocessing=Preprocessing(crop=6), random_state=1)
    before = given.get_params()
    assert set(before) == {
        "features", "classifier", "generated", "calibration", "held_out", "reference",
        "preprocessing", "robust", "random_state",
    }  # fmt: skip
    first = given.fit(images, labels).decision_function(images)
    assert given.get_params() == before and given.n_features_in_ == 36
    assert_array_equal(given.fit(images, labels).decision_function(images), first)
    assert_array_equal(clone(given).fit(images, labels).decision_function(images), first)
    assert_array_equal(pickle.loads(pickle.dumps(given)).decision_function(images), first)
    other = clone(given).set_params(random_state=2).fit(images, labels)
    assert np.abs(other.decision_function(images) - first).max() > 1e-6
    drawn = [clone(given).set_params(random_state=np.random.RandomState(5)) for _ in range(2)]
    assert_array_equal(*(each.fit(images, labels).decision_function(images) for each in drawn))


def test_before_it_is_fitted_it_says_so(images):
    fresh = DetectorClassifier()
    for ask in (fresh.predict, fresh.decision_function):
        with pytest.raises(NotFittedError):
            ask(images)
    assert not hasattr(fresh, "n_features_in_") and not hasattr(fresh, "predict_proba")
    tags = fresh.__sklearn_tags__()
    assert not tags.input_tags.two_d_array and tags.classifier_tags.multi_class is False
    assert tags.estimator_type == "classifier"


def test_scikit_learn_splits_scores_searches_and_calibrates_it(images, labels):
    groups = np.arange(60) % 10
    given = DetectorClassifier(**QUICK)
    splits = {"cv": GroupKFold(2), "groups": groups, "scoring": "roc_auc"}
    assert cross_val_score(given, images, labels, **splits).min() > 0.9
    asked = {"classifier": ["logistic", "svm"], "features": ["pixels"]}
    found = GridSearchCV(given, asked, cv=2, error_score="raise").fit(images, labels)
    assert len(found.cv_results_["params"]) == 2 and found.best_score_ > 0.7
    step = make_pipeline(FunctionTransformer(np.flip, kw_args={"axis": 2}), clone(given))
    assert step.fit(images, labels).score(images, labels) > 0.7
    fitted = FrozenEstimator(given.fit(images, labels))
    shares = CalibratedClassifierCV(fitted).fit(images, labels).predict_proba(images)
    assert shares[:30, 1].mean() > 0.7 > 0.3 > shares[30:, 1].mean()


@pytest.mark.parametrize("kind", [str, Image.open, np.asarray, "column"])
def test_images_of_any_kind_are_rows(kind, images, labels, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(60)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image[..., 0]).save(path)
    if kind == "column":
        given = np.array([str(path) for path in paths], object)
    else:
        given = [
            np.array(Image.open(p))[..., None] if kind is np.asarray else kind(p) for p in paths
        ]
    fitted = DetectorClassifier(**QUICK)
    # As scikit-learn takes rows: it knows lists and columns.
    some = _safe_indexing(given, np.arange(1, 60))
    found = fitted.fit(some, labels[1:]).decision_function(given)
    assert_array_equal(found, fitted.fit(images[1:], labels[1:]).decision_function(images))


@pytest.mark.parametrize(
    ("labels", "generated"),
    [
        (("real", "fake"), "fake"), (("Photos", "stylegan"), "stylegan"), (("GAN", "x"), "GAN"),
        ((False, True), True), ((0, 1), 1), ((0.0, 1.0), 1.0),
    ],
)  # fmt: skip
def test_usual_labels_say_which_is_generated(labels, generated):
    assert _generated(np.unique(labels), None) == generated
    assert all(_generated(np.unique(labels), label) == label for label in labels)


@pytest.mark.parametrize(
    ("labels", "asked", "said"),
    [
        ([-1, 1], None, r"labels -1, 1 do not say .*DetectorClassifier\(generated=1\), or -1"),
        (["a", "b"], None, "labels 'a', 'b' do not say which means generated"),
        (["fake", "gan"], None, "labels 'fake', 'gan' do not say"),
        (["real", "photo"], None, "labels 'photo', 'real' do not say"),
        ([1, 2], None, "do not say"),
        (["real"], None, r"1 label \('real'\): two are needed"),
        (["a", "b", "real"], None, r"3 labels \('a', 'b', 'real'\): two"),
        (["real", "fake"], "Fake", r"generated='Fake' is no label of y \('fake', 'real'\)"),
    ],
)
def test_labels_that_do_not_say_which_are_generated_are_refused(labels, asked, said):
    with pytest.raises(ValueError, match=said):
        _generated(np.unique(labels), asked)


def test_what_1_is_taken_for_is_said_once(capsys):
    its_module._say_once.cache_clear()
    for _ in range(3):
        _generated(np.array([0, 1]), None)
        _generated(np.array([0, 1]), 0)
        _generated(np.array(["fake", "real"]), None)
    assert capsys.readouterr().err == ("label 1 is taken to mean generated (generated=1)\n")


@pytest.mark.parametrize(
    ("x", "y", "groups", "said"),
    [
        (lambda x: x.reshape(60, -1), None, None, r"rows of pixels \[60, 64\] have lost"),
        (lambda x: x / 255, None, None, "say which range they have"),
        (lambda x: x[:50], None, None, "60 labels for 50 images: one for each"),
        (lambda x: x, None, [1, 2], "2 groups for 60 images"),
        (lambda x: x, np.linspace(0, 1, 60), None, "continuous"),
        (lambda x: x[20:40], np.repeat(["real", "fake"], 10), None,
         r"needs at least 3: give 15 real images, or accept more .*in Python calibration=0.34\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_line(x, y, groups, said, images, labels):
    with pytest.raises(ValueError, match=said) as raised:
        DetectorClassifier(**QUICK).fit(x(images), labels if y is None else y, groups)
    assert "\n" not in str(raised.value)


def test_flat_images_have_no_label(images, labels):
    fitted = DetectorClassifier(**QUICK).fit(images, labels)
    with pytest.raises(ValueError, match="1 of 3 images are flat .*first example 2"):
        fitted.predict(np.concatenate([images[:2], np.zeros_like(images[:1])]))
