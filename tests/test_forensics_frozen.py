"""Detectors of frozen features: what a file keeps, and that the same weights are asked for."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics import cli
from gan_forensics.data import power_law_textures, save_png
from gan_forensics.forensics import FEATURES, fit_detector, load_detector
from gan_forensics.forensics.detectors import needs_weights
from gan_forensics.forensics.frozen import FROZEN, Frozen, described, frozen_features, the_same
from gan_forensics.quality import Extracted, FeatureExtractor
from gan_forensics.quality.digests import arrays_digest


def projections(path):
    """A stand-in for a network: random projections of differences, from a file of weights."""
    with np.load(path) as file:
        weights = file["weights"]

    def run(images):
        rows = np.abs(np.diff(images.astype(np.float32), axis=1)).mean((2, 3)) @ weights
        return Extracted(rows.astype(np.float32), None)

    protocol = {"weights": Path(path).name}
    return FeatureExtractor("projections", arrays_digest(weights), run, protocol)


@pytest.fixture
def weights(tmp_path, rng, monkeypatch):
    """Two files of weights, of what --features inception then stands for."""
    for name in ("these", "others"):
        np.savez(tmp_path / f"{name}.npz", weights=rng.normal(size=(7, 5)).astype(np.float32))
    monkeypatch.setitem(FROZEN, "inception", Frozen("projections", projections, "a file"))
    return tmp_path / "these.npz", tmp_path / "others.npz"


@pytest.fixture
def images():
    return tuple(power_law_textures(60, 8, exponent=e, seed=i) for i, e in enumerate((1.6, 0.6)))


@pytest.mark.parametrize("classifier", ["logistic", "knn"])
def test_a_probe_is_fitted_calibrated_kept_without_weights_and_read_again(
    classifier, weights, images, tmp_path
):
    extractor = projections(weights[0])
    detector = fit_detector(*images, features=extractor, classifier=classifier, calibration=0.1)
    assert detector.name == f"projections-{classifier}"
    assert detector.calibration.as_they_are.auc > 0.9
    detector.save(tmp_path / "probe.npz")
    with np.load(tmp_path / "probe.npz") as file:
        assert sum(file[name].size for name in file if name != "header") < 60 * 2 * 7
        header = json.loads(str(file["header"]))
    assert header["kind"] == "frozen"
    assert header["frozen"] == {
        "digest": extractor.fingerprint, "protocol": {"weights": "these.npz"}
    }  # fmt: skip
    expected = detector.model.decide(extractor(images[1]).astype(np.float64))
    for given in (extractor, weights[0], str(weights[0])):
        loaded = load_detector(tmp_path / "probe.npz", frozen=given)
        assert_array_equal(loaded.score(images[1]), expected)
        assert loaded.threshold == detector.threshold


def test_other_weights_none_and_weights_for_nothing_are_refused(weights, images, tmp_path):
    path = tmp_path / "probe.npz"
    fit_detector(
        *images, features=projections(weights[0]), classifier="logistic", calibration=0.1
    ).save(path)
    assert needs_weights(path) and not needs_weights(tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"weights \(these.npz\) are not in it: give that file"):
        load_detector(path)
    with pytest.raises(ValueError, match="of these.npz .digest .*, and others.npz gives others"):
        load_detector(path, frozen=weights[1])
    with pytest.raises(ValueError, match="gives others"):
        load_detector(path, frozen=projections(weights[1]))
    with pytest.raises(FileNotFoundError, match="none.npz"):
        load_detector(path, frozen=tmp_path / "none.npz")
    fit_detector(*images, features="dct", classifier="dct-ridge", calibration=0.1).save(path)
    assert not needs_weights(path)
    with pytest.raises(ValueError, match="without frozen features .dct-dct-ridge. and takes no"):
        load_detector(path, frozen=weights[0])


def test_features_of_ones_own_are_read_again_in_python(images, tmp_path):
    own = FeatureExtractor("colours", "f" * 64, lambda x: Extracted(x.mean((1, 2)), None))
    fit_detector(*images, features=own, classifier="logistic", calibration=0.1).save(
        tmp_path / "own.npz"
    )
    with pytest.raises(ValueError, match="maker's own, colours: load it in Python"):
        load_detector(tmp_path / "own.npz")
    assert load_detector(tmp_path / "own.npz", frozen=own).features == "colours"


def test_a_file_that_says_nothing_of_its_features_is_no_detector(weights, images, tmp_path):
    path = tmp_path / "probe.npz"
    fit_detector(
        *images, features=projections(weights[0]), classifier="logistic", calibration=0.1
    ).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(str(arrays.pop("header")))
    for broken in ({}, {"digest": 3, "protocol": {}}, {"digest": "a"}, None):
        np.savez(path, header=np.array(json.dumps(header | {"frozen": broken})), **arrays)
        with pytest.raises(ValueError, match="not a usable detector file"):
            load_detector(path, frozen=weights[0])


@pytest.fixture
def folders(images, tmp_path):
    for name, some in zip(("real", "fake"), images, strict=True):
        (tmp_path / name).mkdir()
        for i, image in enumerate(some):
            save_png(tmp_path / name / f"{i:03d}.png", image)
    return tmp_path / "real", tmp_path / "fake"


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main(["detect", *map(str, arguments)])
    return exit.value.code or 0


def test_the_commands_ask_for_the_weights_and_take_no_others(weights, folders, tmp_path, capsys):
    out, scores = tmp_path / "probe.npz", ("--out", tmp_path / "scores.csv")
    fit = ("fit", *folders, "--features", "inception", "--classifier", "logistic", "--out", out)
    fit += ("--false-alarms", "0.1")
    assert run(*fit) == 2
    assert "inception features need weights: a file" in capsys.readouterr().err
    assert run(*fit, "--weights", weights[0]) == 0
    said = capsys.readouterr().out
    assert "projections-logistic" in said and f"--detector {out} --weights {weights[0]}" in said
    score = ("score", folders[1], "--detector", out, *scores)
    assert run(*score) == 2
    assert "with --weights FILE" in capsys.readouterr().err
    assert run(*score, "--weights", weights[1]) == 2
    assert "others.npz gives others" in capsys.readouterr().err
    assert run(*score, "--weights", weights[0]) == 0
    assert "60 images scored" in capsys.readouterr().out
    robust = ("robustness", *folders, "--detector", out, "--perturbations", "jpeg-75")
    robust += ("--images", 10, "--out", tmp_path / "robustness")
    assert run(*robust) == 2
    assert run(*robust, "--weights", weights[0]) == 0
    assert run("fit", *folders, "--out", tmp_path / "d.npz", "--weights", weights[0]) == 2
    assert "--weights: durall features have none; leave it out" in capsys.readouterr().err


def test_features_without_weights_refuse_them():
    with pytest.raises(ValueError, match="random features have none"):
        frozen_features("random", "file.npz")
    assert not FROZEN.keys() & FEATURES.keys()


@pytest.mark.slow
def test_random_features_are_known_by_the_name_of_their_extractor():
    extractor = frozen_features("random")
    assert extractor.name == FROZEN["random"].extractor
    assert the_same("d.npz", extractor.name, described(extractor), None).name == extractor.name
