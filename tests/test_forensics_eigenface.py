import json

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from gan_forensics.data import ArraySource
from gan_forensics.forensics import eigenface, eigenspace
from gan_forensics.spectra import log_dct


def noisy(rng, marks, each):
    labels = np.repeat(np.arange(len(marks)), each)
    images = 128 + rng.normal(0, 12, (len(labels), 8, 8, 3)) + marks[labels]
    return np.clip(np.round(images), 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(3)
    marks = rng.normal(0, 10, (3, 8, 8, 3))
    return [noisy(rng, marks, each) for each in (20, 8, 8)]


def fitted(fit, sets, **options):
    (images, labels), (held, of), _ = sets
    sources = ArraySource(image=images), labels, ArraySource(image=held), of
    return fit(*sources, classes=3, **options)


@pytest.mark.parametrize("shape", [(9, 30), (40, 12), (12, 12)])
def test_components_equal_scikit_learn(rng, shape):
    values = rng.normal(size=shape) * rng.uniform(0.1, 3, shape[1]) + 5
    for share in (0.25, 0.95):
        found = eigenspace.principal_components(values, share)
        oracle = PCA(share, svd_solver="full").fit(values)
        assert len(found.components) == oracle.n_components_
        np.testing.assert_allclose(found.mean, oracle.mean_)
        np.testing.assert_allclose(found.shares, oracle.explained_variance_ratio_, rtol=1e-9)
        signs = np.sign((found.components * oracle.components_).sum(1, keepdims=True))
        np.testing.assert_allclose(found.components, signs * oracle.components_, atol=1e-8)
        largest = np.abs(found.components).argmax(1)
        assert (np.take_along_axis(found.components, largest[:, None], 1) > 0).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_machines_are_where_the_slope_of_their_objective_vanishes(rng, classes):
    labels = np.arange(60) % classes
    x = rng.normal(size=(60, 5)) + 2 * rng.normal(size=(classes, 5))[labels]
    weights, intercept = eigenface.fit_svm(x, labels, classes=classes, penalty=0.05)
    for c in range(classes):
        y = np.where(labels == c, 1, -1)
        slack = np.maximum(0, 1 - y * (x @ weights[c] + intercept[c]))
        np.testing.assert_allclose(weights[c], 0.1 * (slack * y) @ x, atol=2e-3)
        assert intercept[c] == pytest.approx(0.1 * (slack * y).sum(), abs=2e-3)


@pytest.mark.parametrize("input", eigenspace.INPUTS)
def test_marks_are_recognised_and_the_file_gives_the_same(sets, input):
    model = fitted(eigenface.fit_eigenface, sets, input=input, shares=(0.5, 0.95))
    images, labels = sets[2]
    given = model.outputs(images)
    # A mark moves pixels, and the magnitudes of a spectrum much less.
    assert (given.logits.argmax(1) == labels).mean() > (0.95 if input == "pixels" else 0.4)
    assert model.settings["chosen"]["validation_accuracy"] > 0.4
    settings = json.loads(json.dumps(model.settings))
    again = eigenface.assemble(settings, dict(model.arrays), 3)
    np.testing.assert_array_equal(again.outputs(images).logits, given.logits)
    np.testing.assert_array_equal(again.outputs(images[:0]).logits, given.logits[:0])


def test_features_are_coordinates_and_logits_linear_in_them(sets, monkeypatch):
    model = fitted(eigenface.fit_eigenface, sets, shares=(0.75,), penalties=(0.01,))
    images = sets[2][0]
    given = model.outputs(images)
    rows = images.reshape(len(images), -1) / 127.5 - 1
    train = sets[0][0].reshape(60, -1) / 127.5 - 1
    oracle = PCA(0.75, svd_solver="full").fit(train)
    assert given.features.shape[1] == oracle.n_components_
    np.testing.assert_allclose(np.abs(given.features), np.abs(oracle.transform(rows)), atol=1e-4)
    logits = given.features @ model.weights.T + model.intercept[None]
    np.testing.assert_allclose(given.logits, logits, atol=1e-6)
    monkeypatch.setattr(eigenspace, "PIXELS", 5 * 64)
    np.testing.assert_allclose(model.outputs(images).features, given.features, atol=1e-12)


def test_the_setting_is_the_first_of_the_best_on_validation(sets):
    grid = dict(shares=(0.25, 0.75), penalties=(1e-4, 1e-1))
    best = fitted(eigenface.fit_eigenface, sets, input="dct", **grid).settings["chosen"]
    single = {
        (share, penalty): fitted(
            eigenface.fit_eigenface, sets, input="dct", shares=(share,), penalties=(penalty,)
        ).settings["chosen"]["validation_accuracy"]
        for share in grid["shares"]
        for penalty in grid["penalties"]
    }
    assert (best["share"], best["penalty"]) == max(single, key=single.__getitem__)
    assert best["validation_accuracy"] == max(single.values()) > min(single.values())


def test_components_come_from_a_balanced_subset(sets):
    images, labels = sets[0]
    many = np.concatenate([images, np.repeat(images[:1], 40, 0)])
    of = np.concatenate([labels, np.zeros(40, int)])
    seen = [
        eigenspace.fit_eigenspace(
            ArraySource(image=many), of, classes=3, input="pixels", share=0.9, subset=30
        )[0]
        for _ in range(2)
    ]
    np.testing.assert_array_equal(seen[0].components, seen[1].components)
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(of == c) for c in range(3)]
    rows = np.concatenate([rng.permutation(each)[:10] for each in rows])
    mean = (many[rows] / 127.5 - 1).mean(0).ravel()
    np.testing.assert_allclose(seen[0].mean, mean, atol=1e-6)


def test_spectra_are_standardised_by_all_training_images(sets):
    images, labels = sets[0]
    space, _ = eigenspace.fit_eigenspace(
        ArraySource(image=images), labels, classes=3, input="dct", share=0.5, subset=9
    )
    assert space.dct is not None
    spectra = log_dct(images)
    np.testing.assert_allclose(space.dct, [spectra.mean(0), spectra.std(0)], atol=1e-10)
    rows = eigenspace.input_rows(images, space.dct)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-5)


def test_neighbours_vote_as_scikit_learns(sets):
    model = fitted(eigenface.fit_neighbours, sets, counts=(3, 9, 500))
    images, labels = sets[2]
    given = model.outputs(images)
    k = model.chosen["k"]
    assert k in (3, 9)
    oracle = KNeighborsClassifier(int(k)).fit(model.points.astype(float), sets[0][1])
    np.testing.assert_array_equal(given.logits.argmax(1), oracle.predict(given.features))
    votes = oracle.predict_proba(given.features) * k
    np.testing.assert_allclose(given.logits, np.log((votes + 1) / (k + 3)))
    assert (given.logits.argmax(1) == labels).mean() > 0.6
    again = eigenface.assemble(json.loads(json.dumps(model.settings)), dict(model.arrays), 3)
    np.testing.assert_array_equal(again.outputs(images).logits, given.logits)


def test_nearest_are_in_order(rng, monkeypatch):
    x, points = rng.normal(size=(7, 3)), rng.normal(size=(20, 3))
    monkeypatch.setattr(eigenface, "CHUNK", 40)
    distance = np.square(x[:, None] - points[None]).sum(-1)
    np.testing.assert_array_equal(eigenface.nearest(x, points, 5), distance.argsort(1)[:, :5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(input="waves"), "unknown input 'waves': choose one of pixels, dct"),
        (dict(shares=(1.5,)), "must lie between 0 and 1, got 1.5"),
        (dict(penalties=()), "no penalty to try"),
    ],
)
def test_settings_that_cannot_be_are_refused(sets, options, message):
    with pytest.raises(ValueError, match=message):
        fitted(eigenface.fit_eigenface, sets, **options)


def test_images_and_labels_that_cannot_be_are_refused(sets):
    with pytest.raises(ValueError, match="none of 99, 999 neighbours can be had of 60"):
        fitted(eigenface.fit_neighbours, sets, counts=(99, 999))
    images, labels = sets[0]
    flat = ArraySource(image=np.full_like(images, 7))
    with pytest.raises(ValueError, match="all images are the same"):
        eigenface.fit_eigenface(flat, labels, flat, labels, classes=3)
    source = ArraySource(image=images)
    with pytest.raises(ValueError, match="no training images of class 3"):
        eigenface.fit_eigenface(source, labels, source, labels, classes=4)
    with pytest.raises(ValueError, match="3 classes and 0 validation images"):
        eigenface.fit_neighbours(
            source, labels, ArraySource(image=images[:0]), labels[:0], classes=3
        )


def test_files_that_do_not_fit_are_refused(sets):
    linear = fitted(eigenface.fit_eigenface, sets, shares=(0.5,), penalties=(0.01,))
    near = fitted(eigenface.fit_neighbours, sets, counts=(3,))
    wrong = near.labels.copy()
    wrong[0] = 3
    for model, settings, arrays, message in [
        (linear, {"classifier": "oracle"}, {}, "unknown classifier 'oracle'"),
        (linear, {"input": "dct"}, {}, r"dct \[0\] do not fit images \[8, 8, 3\] shown as dct"),
        (linear, {"side": [8, 9]}, {}, r"do not fit images \[8, 9, 3\]"),
        (linear, {"side": [8, -8]}, {}, "two positive whole numbers"),
        (linear, {"chosen": None}, {}, "must be numbers by name"),
        (linear, {}, {"weights": linear.weights[:2]}, r"weights \[2, \d+\] must be \[3, \d+\]"),
        (linear, {}, {"mean": np.full(192, np.nan)}, "not finite"),
        (near, {}, {"labels": wrong}, "of 3 classes they are 0 to 2"),
        (near, {}, {"points": near.points[1:]}, r"points \[59, \d+\] must be \[60, \d+\]"),
        (near, {"chosen": {"k": 61}}, {}, "k 61 must be 1 to 60"),
    ]:
        with pytest.raises(ValueError, match=message):
            eigenface.assemble({**model.settings, **settings}, {**model.arrays, **arrays}, 3)
    with pytest.raises(ValueError, match=r"cannot show uint8 \[1, 9, 8, 3\]"):
        linear.outputs(np.zeros((1, 9, 8, 3), np.uint8))
