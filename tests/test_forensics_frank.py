"""Minima by their conditions, the published training by its steps, and detectors of the DCT."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from gan_forensics import cli
from gan_forensics.data import power_law_textures, save_png
from gan_forensics.forensics import FEATURES, frank, load_detector
from gan_forensics.forensics.classifiers import fit_classifier

# The published weight of either penalty, written out a second time.
PENALTY = 0.01


@pytest.fixture
def wide(rng):
    """More features than rows, neighbours of which are correlated; some tell the classes apart."""
    x = rng.normal(size=(90, 120))
    x[:, 1:] += 0.5 * x[:, :-1]
    generated = np.repeat([0.0, 1.0], [50, 40])
    x[:, :6] += 0.7 * generated[:, None]
    return 0.1 + 0.5 * x, generated


def fitted(name, x, generated, seed=0):
    """w, b of a classifier for the features that it sees, and these features."""
    model = fit_classifier(x[generated == 0], x[generated == 1], classifier=name, seed=seed)
    assert model.kind == "linear"
    seen = (x - model.mean) / model.scale
    return model.arrays["weights"], float(model.arrays["intercept"]), seen


@pytest.mark.parametrize("on", ["dct", "pixels"])
@pytest.mark.parametrize("name", ["ridge", "lasso"])
def test_models_with_a_penalty_are_at_the_minimum_of_the_stated_objective(on, name, wide):
    x, generated = wide
    w, b, seen = fitted(f"{on}-{name}", x, generated)
    residual = (expit(seen @ w + b) - generated) / len(seen)
    slope = seen.T @ residual
    assert abs(residual.sum()) < 1e-5
    if name == "ridge":
        assert_allclose(slope, -2 * PENALTY * w, atol=1e-5)
        assert np.abs(w).max() > 0.02
    else:
        used = w != 0
        assert 3 < used.sum() < 90
        assert_allclose(slope[used], -PENALTY * np.sign(w[used]), atol=1e-5)
        assert np.abs(slope[~used]).max() < PENALTY + 1e-5


def test_minima_are_those_that_scikit_learn_finds_by_other_ways(rng):
    x = rng.normal(size=(100, 3)) * [1.0, 2.0, 0.5]
    generated = (x[:, 0] + rng.normal(size=100) > 0.3).astype(float)
    twins = {
        "pixels-ridge": LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-9),
        "pixels-lasso": LogisticRegression(
            C=1.0, l1_ratio=1, solver="saga", tol=1e-9, max_iter=5000
        ),
    }
    for name, twin in twins.items():
        w, b, _ = fitted(name, x, generated)
        twin.fit(x, generated)
        assert_allclose(w, twin.coef_[0], atol=1e-4)
        assert_allclose(b, twin.intercept_[0], atol=1e-4)


def test_classes_that_a_hair_parts_and_rows_far_out_have_a_lasso(rng):
    x = rng.normal(size=(40, 5))
    generated = np.repeat([0.0, 1.0], 20)
    x[:, 0] = 1e4 * (2 * generated - 1)
    w, _, _ = fitted("pixels-lasso", x, generated)
    assert w[0] > 0 and np.isfinite(w).all()


def test_only_those_of_the_dct_standardise(wide):
    for on, same in (("dct", False), ("pixels", True)):
        _, _, seen = fitted(f"{on}-lasso", *wide)
        assert np.array_equal(seen, wide[0]) == same


def test_training_without_a_penalty_starts_with_adams_step_of_one_thousandth(wide, monkeypatch):
    monkeypatch.setattr(frank, "EPOCHS", 1)
    monkeypatch.setattr(frank, "BATCH", 200)
    # No row has a say in which epoch is kept: one is all there is.
    w, b, _ = fitted("pixels-linear", *wide, seed=4)
    rng = np.random.default_rng(4)
    held = [rng.permutation(rows)[: len(rows) // 11] for rows in np.split(np.arange(90), [50])]
    start = rng.uniform(-1, 1, 120) * np.sqrt(6 / 121)
    rows = np.setdiff1d(np.arange(90), np.concatenate(held))
    x, generated = wide[0][rows], wide[1][rows]
    residual = expit(x @ start) - generated
    slopes = x.T @ residual
    clear = np.abs(slopes) > 1
    assert clear.sum() > 60
    assert_allclose((w - start)[clear], -1e-3 * np.sign(slopes[clear]), rtol=1e-3)
    assert_allclose(b, -1e-3 * np.sign(residual.sum()), rtol=1e-3)


def test_the_epoch_of_the_lowest_validation_loss_is_kept_and_five_worse_ones_end(rng, monkeypatch):
    # Labels without a reason: what is learned of the training rows is wrong of others.
    x, y = rng.normal(size=(60, 80)), rng.integers(0, 2, 60).astype(float)
    monkeypatch.setattr(frank, "LEARNING_RATE", 0.03)
    kept = []
    for epochs in range(1, 51):
        monkeypatch.setattr(frank, "EPOCHS", epochs)
        model = frank.EarlyStopped(2)
        model.fit(x, y)
        kept.append(np.append(model.coef_, model.intercept_))
    changes = [i for i in range(1, 50) if not np.array_equal(kept[i], kept[i - 1])]
    last = max(changes, default=0)
    assert last < 40
    # With patience for all epochs a later one may be better, but none of the next five.
    monkeypatch.setattr(frank, "PATIENCE", 1000)
    monkeypatch.setattr(frank, "EPOCHS", last + 1 + 5)
    model = frank.EarlyStopped(2)
    model.fit(x, y)
    assert_array_equal(np.append(model.coef_, model.intercept_), kept[-1])


def test_too_few_rows_to_validate_are_refused_by_name():
    x = np.eye(3)
    with pytest.raises(ValueError, match="needs 2 training images of either class, got 1"):
        fit_classifier(x[:1], x[1:], classifier="dct-linear", seed=0)


def test_pixels_are_scaled_as_published():
    image = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    assert_allclose(FEATURES["pixels"](image), [[-1, -0.6, 1]], rtol=1e-12)


def test_a_ridge_of_the_dct_is_fitted_and_scores_from_the_command_line(tmp_path, capsys):
    for name, exponent in (("real", 1.5), ("fake", 1.0)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(power_law_textures(40, 8, exponent=exponent, seed=len(name))):
            save_png(tmp_path / name / f"{i}.png", image)
    folders = [str(tmp_path / name) for name in ("real", "fake")]
    out = str(tmp_path / "d.npz")
    for words in (
        ["fit", *folders, "--features", "dct", "--classifier", "dct-ridge", "--out", out]
        + ["--false-alarms", "0.2"],
        ["score", folders[1], "--detector", out, "--out", str(tmp_path / "scores.csv")],
    ):
        with pytest.raises(SystemExit) as exit:
            cli.main(["detect", *words])
        assert not exit.value.code
    detector = load_detector(out)
    assert detector.name == "dct-dct-ridge"
    rates = detector.calibration.as_they_are
    assert rates.auc > 0.9
    assert "40 images scored" in capsys.readouterr().out
