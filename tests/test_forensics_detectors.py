"""Detectors from images to file and back; calibration; files that are no detectors."""

import io
import json
import weakref
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.files import archives
from gan_forensics.files.archives import write_archive
from gan_forensics.forensics import archive, canvases, fitting, measure
from gan_forensics.forensics.archive import (
    FORMAT,
    check_fields,
    check_image_shape,
    read_detector,
    write_detector,
)
from gan_forensics.forensics.calibration import measured_rate
from gan_forensics.forensics.classifiers import CLASSIFIERS
from gan_forensics.forensics.detectors import load_detector, needs_weights
from gan_forensics.forensics.features import FEATURES
from gan_forensics.forensics.fitting import fit_detector
from gan_forensics.report.detector_fit import fitted_page, sentences


def roughness(images):
    """Stand-in features: mean absolute differences along rows and columns, and their ratio."""
    x = images.astype(np.float64)
    down, across = (np.abs(np.diff(x, axis=axis)).mean((1, 2, 3)) for axis in (1, 2))
    return np.stack([down, across, down / (across + 1)], axis=1) / 100


@pytest.fixture(autouse=True)
def stand_in_features(monkeypatch):
    monkeypatch.setitem(FEATURES, "durall", roughness)
    # What carriers do is measured elsewhere (test_forensics_calibration.py).
    monkeypatch.setattr(measure, "MOST_CARRIED", 3)


def make_images(rng, n, contrast):
    """Noise images of 6x6 whose contrast varies a little from image to image."""
    scale = contrast + 6 * rng.normal(size=(n, 1, 1, 1))
    return np.clip(128 + scale * rng.normal(size=(n, 6, 6, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def images(rng):
    return make_images(rng, 120, 30), make_images(rng, 110, 45)


def test_flat_images_have_no_score_and_are_left_out_of_a_fit_which_says_so(images):
    """Their stand-in features are finite: pixels decide, not what features make of them."""
    real, fake = images
    plain = fit_detector(real, fake, classifier="svm")
    assert "left_out" not in plain.facts and sentences(plain)[0].startswith("durall-svm")
    black = np.insert(real, [3, 3, 40], 0, axis=0)
    found = fit_detector(black, fake, classifier="svm")
    left = found.facts["left_out"]
    assert left == {
        "real": {
            "images": 123, "flat": {"count": 3, "first": ["example 3", "example 4", "example 42"]},
            "unread": {"count": 0, "first": []},
        }
    }  # fmt: skip
    said = "real: 3 of 123 left out (a flat image has no spectrum to judge): example 3, example 4"
    assert sentences(found)[0].startswith(said)
    # As if they had not been there, the split and the threshold included.
    assert found.threshold == plain.threshold and found.calibration == plain.calibration
    scores = found.score(black)
    assert_array_equal(np.flatnonzero(np.isnan(scores)), [3, 4, 42])
    # In another place of a batch a score may differ in its last bit.
    assert_allclose(scores[~np.isnan(scores)], plain.score(real), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="generated: none of 4 images can be used: 4 are flat"):
        fit_detector(real, np.zeros((4, 6, 6, 3), np.uint8))


def test_a_detector_of_gray_levels_finds_an_image_flat_that_is_flat_in_gray(images, monkeypatch):
    """Red and green of one luma: nothing for a spectrum of gray levels, and all for the pixels."""
    coloured = np.zeros((1, 6, 6, 3), np.uint8)
    coloured[:, ::2, :, 0], coloured[:, 1::2, :, 1] = 255, 130
    assert np.isnan(fit_detector(*images).score(coloured)).all()
    monkeypatch.setitem(FEATURES, "pixels", roughness)
    assert np.isfinite(fit_detector(*images, features="pixels").score(coloured)).all()


def test_groups_stay_with_their_images_where_flat_ones_are_left_out(images, monkeypatch):
    real, fake = images
    monkeypatch.setattr(fitting, "parted", lambda *groups, **shares: _stop(groups))
    real[1] = 0
    groups = np.arange(len(real)) // 2, 1000 + np.arange(len(fake))
    with pytest.raises(StopIteration) as found:
        fit_detector(real, fake, groups=groups)
    assert_array_equal(found.value.value[0], np.delete(groups[0], 1))
    assert_array_equal(found.value.value[1], groups[1])


def _stop(value):
    raise StopIteration(value)


@pytest.fixture
def saved(images, tmp_path):
    """A saved detector as (path, header, arrays), to be taken apart."""
    path = tmp_path / "detector.npz"
    fit_detector(*images, classifier="svm").save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    return path, json.loads(str(arrays.pop("header"))), arrays


def rewrite(path, header, arrays):
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


@pytest.fixture
def wide(rng, monkeypatch, tmp_path):
    """A saved detector of images that are not square, by features that are taken over rings."""
    monkeypatch.setitem(FEATURES, "unmasking", roughness)
    real, fake = (make_images(rng, 120, contrast)[:, :5] for contrast in (30, 45))
    fit_detector(real, fake, features="unmasking").save(tmp_path / "wide.npz")
    return tmp_path / "wide.npz", fake


def test_a_file_of_wide_images_from_before_rings_were_of_frequency_is_refused(wide):
    path, fake = wide
    assert load_detector(path).score(fake).shape == (120,)
    with np.load(path) as opened:
        arrays = dict(opened)
    header = json.loads(str(arrays.pop("header")))
    assert header.pop("rings") == "frequency"
    rewrite(path, header, arrays)
    with pytest.raises(ValueError, match="images of 5x6 by a version whose rings were ellipses"):
        load_detector(path)
    # Neither squares nor features without rings have changed.
    rewrite(path, header | {"features": "dct"}, arrays)
    load_detector(path)
    rewrite(path, header | {"image_shape": [6, 6, 3]}, arrays)
    load_detector(path)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_loaded_detector_scores_bit_for_bit_the_same(classifier, images, tmp_path):
    detector = fit_detector(*images, classifier=classifier, seed=5)
    detector.save(tmp_path / "detector.npz")
    loaded = load_detector(tmp_path / "detector.npz")
    assert_array_equal(loaded.score(images[1]), detector.score(images[1]))
    for field in (
        "features", "classifier", "image_shape", "threshold", "calibration", "name",
        "preprocessing", "facts",
    ):  # fmt: skip
        assert getattr(loaded, field) == getattr(detector, field)


def test_generated_images_score_higher_and_are_detected(images, rng):
    detector = fit_detector(*images, classifier="svm")
    real, fake = detector.score(make_images(rng, 200, 30)), detector.score(images[1])
    assert (fake > detector.threshold).mean() > 0.5 > 0.2 > (real > detector.threshold).mean()
    assert real.dtype == np.float64 and real.shape == (200,)


def test_calibration_facts_describe_the_split_and_the_threshold(images):
    facts = fit_detector(*images, classifier="logistic", seed=7).calibration
    assert (facts.n_real, facts.n_calibration, facts.n_fake) == (48, 24, 66)
    assert {(tier.n_real, tier.n_fake) for tier in facts.tiers} == {(24, 22)}
    assert facts.target == 0.05 and facts.seed == 7 and facts.groups is None
    plain = facts.as_they_are
    assert (plain.false_alarms.n, plain.detected.n) == (24, 22)
    assert plain.detected.rate == plain.detected.events / 22 > 0.3
    assert plain.detected.low < plain.detected.rate < plain.detected.high


@pytest.fixture
def used(monkeypatch):
    """Features that the classifier was fitted on, and scores that set and met the threshold."""
    found = {}

    def watched(name, function):
        def call(*arguments, **settings):
            if name == "fit_table":
                found["trained"] = arguments[0].copy(), arguments[1]
            elif name == "thresholds_of":
                found["calibrated"] = np.asarray(arguments[2])
            else:
                _, reference, held = arguments
                found["measured"] = [source.rows for source in held.sources]
                found["reference"] = reference and [source.rows for source in reference.sources]
            return function(*arguments, **settings)

        monkeypatch.setattr(fitting, name, call)

    for name in ("fit_table", "thresholds_of", "weighed"):
        watched(name, getattr(fitting, name))
    return found


def places(rows, images):
    """Which images some rows of features are of."""
    every = {tuple(row): place for place, row in enumerate(roughness(images))}
    return [every[tuple(row)] for row in rows]


def test_what_trains_what_calibrates_and_what_is_measured_on_are_disjoint(images, used):
    facts = fit_detector(*images, held_out=0.25, calibration=0.1, classifier="knn").calibration
    x, generated = used["trained"]
    assert [len(x) - generated.sum(), generated.sum()] == [facts.n_real, facts.n_fake]
    trained = places(x[: facts.n_real], images[0]), places(x[facts.n_real :], images[1])
    real = [*trained[0], *used["calibrated"], *used["reference"][0], *used["measured"][0]]
    assert sorted(real) == list(range(120)) and len(used["calibrated"]) == 30
    assert sorted([*trained[1], *used["reference"][1], *used["measured"][1]]) == list(range(110))
    assert list(map(len, used["reference"])) == [24, 22]


def test_neighbours_say_how_many_training_rows_are_copies(images, tmp_path):
    real, fake = images
    plain = fit_detector(real, fake, classifier="knn")
    rows = plain.calibration.n_real + plain.calibration.n_fake
    assert plain.facts["repeated"] == {"rows": rows, "repeated": 0, "in_both_classes": 0}
    assert not any("repeat another" in line for line in sentences(plain))
    # More false alarms than the target are told, where chance does not explain them.
    known = plain.calibration
    for events, warned in ((6, True), (3, False)):
        rate = measured_rate([True] * events + [False] * (20 - events))
        of = replace(known.as_they_are, false_alarms=rate)
        told = sentences(replace(plain, calibration=replace(known, measured=(of,))))
        assert any(line.startswith("WARNING: more false alarms") for line in told) == warned
    assert "repeated" not in fit_detector(real, fake, classifier="svm").facts
    real, fake = real.copy(), fake.copy()
    real[:60], fake[:50] = real[0], real[0]
    found = fit_detector(real, fake, classifier="knn")
    repeated, both = (found.facts["repeated"][key] for key in ("repeated", "in_both_classes"))
    assert both == repeated + 1 and 50 < repeated < 110
    said = f"{repeated} of {rows} rows that trained it repeat another, {both} are of both classes"
    assert any(said in line for line in sentences(found))
    page = fitted_page(tmp_path / "d.html", found).read_text()
    assert f"<dt>training rows that repeat another</dt><dd>{repeated}</dd>" in page


def test_a_group_lies_in_one_part_and_has_one_vote(images, used):
    """Every third real image is of one photograph, as is the generated one of its number."""
    groups = np.arange(120) // 3, np.arange(110) // 3
    detector = fit_detector(*images, calibration=0.15, groups=groups, classifier="knn")
    facts, of = detector.calibration, {}
    x, _ = used["trained"]
    of["train"] = {*groups[0][places(x[: facts.n_real], images[0])]}
    assert {*groups[1][places(x[facts.n_real :], images[1])]} <= of["train"]
    of["calibrate"] = {*groups[0][used["calibrated"]]}
    of["measure"] = {*groups[0][used["measured"][0]]}
    assert [len(some) for some in of.values()] == [24, 8, 8]
    assert len(set.union(*of.values())) == 40
    assert {*groups[1][used["measured"][1]]} <= of["measure"]
    # Eight groups would be too few for likelihood ratios: they train.
    assert (
        used["reference"] is None
        and "8 groups of photographs are too few" in facts.tiers[0].without
    )
    assert facts.groups == 8 and facts.as_they_are.false_alarms.groups == 8
    with pytest.raises(ValueError, match="40 groups of real images leave 8 .* at least 19"):
        fit_detector(*images, groups=groups)


class Watched:
    """A source of images that counts how many of them are alive."""

    def __init__(self, images):
        self.images, self.alive, self.most = images, 0, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index].copy()
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(image, self._gone)
        return {"image": image}

    def _gone(self):
        self.alive -= 1


@pytest.mark.parametrize("classifier", ["knn", "svm", "logistic"])
def test_a_source_gives_the_same_detector_and_no_more_than_a_batch_is_in_memory(rng, classifier):
    real, fake = make_images(rng, 300, 30), make_images(rng, 290, 45)
    whole = fit_detector(real, fake, classifier=classifier)
    sources = Watched(real), Watched(fake)
    streamed = fit_detector(*sources, classifier=classifier)
    assert_array_equal(streamed.score(fake), whole.score(fake))
    assert streamed.calibration == whole.calibration
    assert all(0 < source.most <= 65 for source in sources)


def test_large_images_of_a_source_are_read_a_few_at_a_time(monkeypatch):
    monkeypatch.setitem(FEATURES, "durall", lambda images: images[:, :2, 0, 0].astype(float))
    monkeypatch.setattr(canvases, "PIXELS", 2**16)
    images = np.random.default_rng(0).integers(0, 256, (30, 128, 128, 1), np.uint8)
    sources = Watched(images), Watched(images)
    fit_detector(*sources, calibration=0.2)
    assert all(source.most <= 5 for source in sources)


def test_images_of_a_source_that_differ_in_size_are_named(rng):
    images = list(make_images(rng, 120, 30))
    other = images[:70] + [image[:5] for image in images[:30]]
    with pytest.raises(ValueError, match="real images of 5x6 .* among images of 6x6 .*--size N"):
        fit_detector(Watched(other[:64] + other[70:]), Watched(images))
    with pytest.raises(ValueError, match="images of 5x6 .*example .*--match-sizes"):
        fit_detector(Watched(other), Watched(images))
    with pytest.raises(ValueError, match="is empty: give at least one image"):
        fit_detector(Watched([]), Watched(images))


def test_real_images_rarely_raise_an_alarm(rng):
    """Over many fits, new real images exceed the threshold no more often than agreed."""
    alarms = []
    for seed in range(30):
        detector = fit_detector(
            make_images(rng, 60, 30), make_images(rng, 60, 45),
            classifier="logistic", calibration=0.2, held_out=0.4, reference=0, seed=seed,
        )  # fmt: skip
        alarms.append((detector.score(make_images(rng, 60, 30)) > detector.threshold).mean())
    # 24 held-out images: rank 5 of 25 promises 0.2 on average; 1800 images and 30 thresholds vary.
    assert np.mean(alarms) == pytest.approx(0.2, abs=0.05)


def test_fitting_is_seeded(images):
    first, again, other = (fit_detector(*images, seed=seed) for seed in (1, 1, 2))
    assert_array_equal(first.model.arrays["points"], again.model.arrays["points"])
    assert not np.array_equal(first.model.arrays["points"], other.model.arrays["points"])


def test_images_of_another_size_are_refused(images):
    detector = fit_detector(*images)
    with pytest.raises(ValueError, match="images of 6x5 with 3 channels .* fitted on 6x6 with 3"):
        detector.score(images[0][:, :, :5])
    gray = images[0][..., :1]
    assert_array_equal(detector.score(gray), detector.score(np.repeat(gray, 3, -1)))
    of_gray = fit_detector(gray, images[1][..., :1])
    with pytest.raises(ValueError, match="6x6 with 3 channels .* fitted on 6x6 with 1"):
        of_gray.score(images[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda real, fake: (real / 255, fake), "pixels are float64"),
        (lambda real, fake: (real[0], fake), "axis of images is missing"),
        (lambda real, fake: (real[..., :2], fake), "1 or 3"),
        (lambda real, fake: (real[:0], fake), "at least one image"),
        (lambda real, fake: (real, fake[:, :5]), "must have one size"),
        (lambda real, fake: (real[:20], fake), "at least 19: give 95 real images"),
        (lambda real, fake: (real, fake[:1]), "1 generated images cannot be parted"),
    ],
)
def test_unfit_images_are_refused(images, change, message):
    with pytest.raises(ValueError, match=message):
        fit_detector(*change(*images))


def test_the_advice_for_too_few_images_works(images):
    real, fake = images
    with pytest.raises(ValueError, match="--false-alarms 0.2"):
        fit_detector(real[:20], fake)
    fit_detector(real[:20], fake, calibration=0.2)
    fit_detector(real[:95], fake)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": "duralll"}, "unknown features 'duralll': choose one of dct, durall"),
        ({"classifier": "tree"}, "unknown classifier 'tree'"),
        ({"calibration": 5}, "calibration is a share"),
        ({"held_out": 0}, "held_out is a share"),
        ({"held_out": 0.5}, "held_out is a share between 0 and 0.5"),
        (
            {"held_out": 0.4},
            "reference is a share from 0 to 0.2 .*held_out=0.4 .*got 0.2: .* 0 for",
        ),
        ({"reference": -0.1}, "reference is a share from 0 to 0.6"),
    ],
)
def test_unknown_settings_are_refused(images, settings, message):
    with pytest.raises(ValueError, match=message):
        fit_detector(*images, **settings)


def test_images_without_finite_features_are_refused_in_training_and_nan_in_scoring(
    images, monkeypatch
):
    real, fake = images
    real[4, 0, 0] = 17
    monkeypatch.setitem(
        FEATURES,
        "durall",
        lambda images: np.where(
            (images[:, :1, 0, :1] == 17).any(-1) & (images[:, :1, 0, 1:2] == 17).any(-1),
            np.nan, roughness(images),
        ),
    )  # fmt: skip
    with pytest.raises(ValueError, match="1 of .* features that are not finite .* 4.: leave them"):
        fit_detector(real, fake)
    scores = fit_detector(np.delete(real, 4, 0), fake).score(real)
    assert_array_equal(np.flatnonzero(np.isnan(scores)), [4])


def test_a_file_holds_no_pickle_and_one_json_header(saved):
    path, header, arrays = saved
    assert header["format"] == archive.FORMAT and header["version"] == 5
    assert all(array.dtype == np.float64 for array in arrays.values())
    with zipfile.ZipFile(path) as opened:
        assert not any(b"pickle" in opened.read(name)[:200] for name in opened.namelist())


def test_a_failed_save_leaves_the_old_file_and_no_debris(images, saved, monkeypatch):
    path, before = saved[0], saved[0].read_bytes()

    def full_disk(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        fit_detector(*images).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_missing_file_is_reported_as_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_detector(tmp_path / "none.npz")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00", b"\x80\x04N."]
)
def test_files_that_are_no_archives_are_refused(tmp_path, content):
    path = tmp_path / "detector.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a usable detector file: .*no.* zip"):
        load_detector(path)


class Bomb:
    """Unpickling this would leave a trace."""

    exploded = False

    def __reduce__(self):
        return setattr, (Bomb, "exploded", True)


def test_pickled_arrays_are_refused_and_not_executed(saved):
    path, header, arrays = saved
    bomb = np.empty(1, object)
    bomb[0] = Bomb()
    rewrite(path, header, {**arrays, "model/dual": bomb})
    with pytest.raises(ValueError, match="'dual' must be float64, got object"):
        load_detector(path)
    np.savez(path, header=bomb, **arrays)
    with pytest.raises(ValueError, match="its header is no text"):
        load_detector(path)
    assert not Bomb.exploded


HEADER_DAMAGE = {
    "another format": ({"format": "x"}, "its header is not that of a detector"),
    "earlier format": (
        {"format": "gan_forensics spectral detector"},
        "written by an earlier version: fit or train it again",
    ),
    "newer version": ({"version": 6}, "version 6, this gan_forensics reads version 5"),
    "unknown features": ({"features": "x"}, "unknown features"),
    "unknown kind": ({"kind": "x"}, "kind of detector 'x': choose one of frozen, neural, spectral"),
    "no kind": ({"kind": ["x"]}, "no valid 'kind'"),
    "kind of other arrays": ({"kind": "neural"}, "no valid 'arch'"),
    "unknown decision": ({"decision": "x"}, "unknown kind 'x'"),
    "shape of text": ({"image_shape": ["a", 1, 1]}, "image shape"),
    "negative shape": ({"image_shape": [6, -6, 3]}, "image shape"),
    "no threshold": ({"threshold": None}, "no valid 'threshold'"),
    "infinite threshold": ({"threshold": float("inf")}, "not finite"),
    "no calibration": ({"calibration": {}}, "calibration facts are incomplete"),
    "calibration of text": ({"calibration": "x"}, "no valid 'calibration'"),
    "calibration unknown": ({"calibration": None}, "no valid 'calibration'"),
    "preprocessing of text": ({"preprocessing": "x"}, "no valid 'preprocessing'"),
    "unknown preprocessing": ({"preprocessing": {"blur": 3}}, "no valid 'preprocessing'"),
    "endless preprocessing": ({"preprocessing": {"size": 10**6}}, "size is at most 2048"),
    "endless shape": ({"image_shape": [10**9, 10**9, 3]}, "image shape"),
    "impossible preprocessing": ({"preprocessing": {"size": -1}}, "size must be a whole number"),
    "facts of text": ({"facts": "x"}, "no valid 'facts'"),
    "other decision": ({"decision": "linear"}, "has the arrays"),
}


@pytest.mark.parametrize("damage", HEADER_DAMAGE)
def test_damaged_headers_are_refused_in_one_line(saved, damage):
    path, header, arrays = saved
    change, message = HEADER_DAMAGE[damage]
    rewrite(path, header | change, arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_detector(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


ARRAY_DAMAGE = {
    "missing array": (lambda a: a.pop("model/dual"), "has the arrays"),
    "missing mean": (lambda a: a.pop("mean"), r"lacks the arrays \['mean'\]"),
    "extra array": (lambda a: a.update({"model/x": np.ones(1)}), "has the arrays"),
    "wrong shape": (lambda a: a.update({"model/dual": np.ones(2)}), "'dual' has shape"),
    "wrong type": (lambda a: a.update({"mean": np.array(["a", "b", "c"])}), "must be float64"),
    "not finite": (lambda a: a.update({"mean": np.full(3, np.nan)}), "not finite"),
    "zero scale": (lambda a: a.update({"scale": np.zeros(3)}), "scale must be positive"),
}


@pytest.mark.parametrize("damage", ARRAY_DAMAGE)
def test_damaged_arrays_are_refused_in_one_line(saved, damage):
    path, header, arrays = saved
    change, message = ARRAY_DAMAGE[damage]
    change(arrays)
    rewrite(path, header, arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_detector(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_real", -1),
        ("n_fake", 10**20),
        ("target", float("nan")),
        ("target", 2),
        ("seed", "x" * 99),
    ],
)
def test_impossible_facts_of_a_calibration_are_refused(saved, name, value):
    path, header, arrays = saved
    rewrite(path, header | {"calibration": header["calibration"] | {name: value}}, arrays)
    with pytest.raises(ValueError, match=f"calibration facts are wrong: {name} is"):
        load_detector(path)


def test_arrays_that_do_not_fit_are_not_read(saved, monkeypatch):
    path, header, arrays = saved
    rewrite(path, header, {**arrays, "model/dual": np.zeros((9, 9))})
    read = []
    array = archives._array
    monkeypatch.setattr(archives, "_array", lambda *given: read.append(given[1]) or array(*given))
    with pytest.raises(ValueError, match=r"'dual' has shape \[9, 9\]"):
        load_detector(path)
    assert read == ["header"]
    assert not needs_weights(path)


def test_a_file_without_header_or_with_broken_json_is_refused(saved):
    path, _, arrays = saved
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="it has no header"):
        load_detector(path)
    np.savez(path, header=np.array('{"format": '), **arrays)
    with pytest.raises(ValueError, match="not a usable detector file"):
        load_detector(path)
    np.savez(path, header=np.array("[" * 100_000), **arrays)
    with pytest.raises(ValueError, match="not a usable detector file"):
        load_detector(path)


def test_truncated_and_flipped_files_are_refused(saved):
    path, content = saved[0], saved[0].read_bytes()
    for end in range(0, len(content), len(content) // 23):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match="not a usable detector file"):
            load_detector(path)
    middle = bytearray(content)
    middle[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(middle))
    with pytest.raises(ValueError, match="not a usable detector file"):
        load_detector(path)


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(saved, monkeypatch):
    path = saved[0]
    monkeypatch.setattr(archive, "LARGEST_FILE", 1000)
    with pytest.raises(ValueError, match="bytes that unpack to 4.5e-06 GiB"):
        load_detector(path)


def test_an_array_that_claims_a_huge_shape_is_refused(saved):
    path, header, arrays = saved
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        claim, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    )
    rewrite(path, header, {k: v for k, v in arrays.items() if k != "mean"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("mean.npy", claim.getvalue())
    with pytest.raises(ValueError, match="not a usable detector file"):
        load_detector(path)


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "said"),
    [
        (range(1, 5), (1, 4), (0, 5, 2.0, True, "2", None), ": a whole number from 1 to 4$"),
        ((0, 8), (0.1, 1, 8), (0, 8.1, True, "1", float("nan")), "above 0 and at most 8$"),
        (str, ("", "a"), (1, None), "its header has no valid 'a'$"),
        (dict | None, ({}, None), ([], 0), "its header has no valid 'a'$"),
    ],
    ids=str,
)
def test_fields_of_a_header_are_of_their_types(kind, right, wrong, said):
    for value in right:
        check_fields({"a": value}, {"a": kind})
    for header in ({}, *({"a": value} for value in wrong)):
        with pytest.raises(ValueError, match=said):
            check_fields(header, {"a": kind})


def test_shapes_of_images_are_three_sides_of_a_size_and_channels():
    for shape in ([1, 1, 3], [2**16, 2**16, 3]):
        check_image_shape({"image_shape": shape}, (3,))
    check_image_shape({"image_shape": [8, 8, 1]}, (1, 3))
    for shape in (
        [0, 8, 3], [8, 2**16 + 1, 3], [8, 8], [8, 8, 3, 1], [8.0, 8, 3], [True, 8, 3], [8, 8, 1],
        ["\x1b"] * 999,
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"image shape .* is not \[h, w, 3\]") as refused:
            check_image_shape({"image_shape": shape}, (3,))
        assert str(refused.value).isprintable() and len(str(refused.value)) < 500
    with pytest.raises(ValueError, match=r"is not \[h, w, 1 or 3\]"):
        check_image_shape({"image_shape": [8, 8, 2]}, (1, 3))
    with pytest.raises(ValueError, match="no valid 'image_shape'"):
        check_image_shape({"image_shape": "883"}, (3,))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": float("nan")}, "threshold nan is not finite"),
        ({"threshold": float("-inf")}, "threshold -inf is not finite"),
        ({"threshold": 1}, "no valid 'threshold'"),
        ({"version": "\x1b" * 999}, "it has version"),
        ({"version": 0}, "it has version 0"),
        ({"format": "gan_forensics attributor"}, "it is an attributor"),
        ({"format": "gan_forensics neural detector"}, "written by an earlier version"),
    ],
)
def test_a_header_of_a_detector_is_judged_before_what_is_in_it(tmp_path, change, said):
    def choose(header, heads):
        raise AssertionError("it was believed")

    header = {"format": FORMAT, "version": 2, "kind": "x", "threshold": 0.5, "calibration": None}
    write_archive(tmp_path / "a.npz", header | change, {})
    with pytest.raises(ValueError, match=said) as refused:
        read_detector(tmp_path / "a.npz", choose)
    assert str(refused.value).isprintable()
    for other in ([], "x", None):
        write_archive(tmp_path / "a.npz", other, {})
        with pytest.raises(ValueError, match="its header is not that of a detector"):
            read_detector(tmp_path / "a.npz", choose)


def test_a_detector_has_at_most_so_many_bytes(tmp_path, monkeypatch):
    header = {"kind": "x", "threshold": 0.5, "calibration": None, "calibrators": {}}
    write_detector(tmp_path / "a.npz", header, {"a": np.zeros(2)})
    monkeypatch.setattr("gan_forensics.forensics.archive.LARGEST_FILE", 16)
    assert read_detector(tmp_path / "a.npz", lambda header, heads: heads)[1]["a"].size == 2
    monkeypatch.setattr("gan_forensics.forensics.archive.LARGEST_FILE", 15)
    with pytest.raises(ValueError, match="unpack to"):
        read_detector(tmp_path / "a.npz", lambda header, heads: heads)


@pytest.mark.parametrize("seen", [{"containers": None}, [1], {"containers": {"PNG": float("nan")}}])
def test_odd_facts_about_the_files_that_were_seen_are_refused_by_the_name_of_the_file(
    seen, images, tmp_path
):
    fit_detector(*images).save(tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz") as opened:
        arrays = dict(opened)
    header = json.loads(str(arrays.pop("header")))
    rewrite(tmp_path / "d.npz", header | {"facts": {"seen": seen}}, arrays)
    with pytest.raises(
        ValueError, match=r"d\.npz is not a usable detector file: .*files that it saw"
    ):
        load_detector(tmp_path / "d.npz")
