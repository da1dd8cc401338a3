"""Attributors: names that travel, held-out images for what they are for, files, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from gan_forensics.cli.attribute_fit import said_repeated
from gan_forensics.data import ArraySource
from gan_forensics.data.copies import copies
from gan_forensics.data.perturbations import RandomCorruption
from gan_forensics.files.archives import read_archive, write_archive
from gan_forensics.forensics.attribution import fit_attributor
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_files import load_attributor
from gan_forensics.forensics.attribution_measure import (
    against_severity,
    groups,
    known_parts,
    measured,
    outputs_after,
    some_of_each,
)
from gan_forensics.forensics.attribution_methods import METHODS
from gan_forensics.forensics.attribution_open_set import measured_open_set, without
from gan_forensics.forensics.attribution_parts import fifths, halves, relabelled, usable
from gan_forensics.forensics.preprocessing import Preprocessing
from tests.attribution_toys import NAMES, planted

PLAIN = AttributionConfig(method="prnu", perturbations=())


def images_of(attributed):
    return [attributed.source[i]["image"] for i in range(len(attributed.labels))]


@pytest.fixture(scope="module")
def fitted():
    return fit_attributor(planted(12, seed=0), planted(16, seed=1), PLAIN)


def test_planted_patterns_are_told_apart_with_probabilities_that_sum_to_one(fitted):
    test = planted(20, seed=2)
    outputs = fitted.outputs(images_of(test))
    probabilities = fitted.probabilities(outputs)
    # Photographs have no pattern in common.
    assert (probabilities.argmax(1) == test.labels)[test.labels != 1].mean() > 0.95
    assert_allclose(probabilities.sum(1), 1, rtol=1e-9)
    assert_allclose(probabilities, softmax(outputs.logits / fitted.temperature, 1), rtol=1e-9)
    assert fitted.real == "photos" and fitted.real_index == 1
    # The rule: as little like a known source as a twentieth of held-out images is.
    assert fitted.none_of_these(outputs).mean() < 0.25
    assert_array_equal(fitted.none_of_these(outputs), probabilities.max(1) < fitted.threshold)


def test_images_that_repeat_others_are_counted_and_said(fitted):
    none = {"train": 0, "held_out": 0, "held_out_also_in_train": 0, "gallery": 0}
    assert fitted.facts["repeated"] == none and said_repeated(none, 36, 48) == []
    train = planted(12, seed=0)
    often = train.part(np.concatenate([np.arange(36), [0, 0, 1]]))
    other = planted(16, seed=1)
    mixed = other._replace(
        source=ArraySource(image=np.stack([*images_of(other), *images_of(train)])),
        labels=np.concatenate([other.labels, train.labels]),
        semantics=other.semantics + train.semantics,
        instances=other.instances + train.instances,
    )
    held = mixed.part(np.concatenate([np.arange(48), [48, 48, 49]]))
    made = fit_attributor(often, held, PLAIN)
    found = made.facts["repeated"]
    # One, or none where the features of copies differ in their last digits.
    again = copies(made.gallery.features).repeated
    assert again in (0, 1) and len(made.gallery.features) == 51
    assert found == {"train": 3, "held_out": 1, "held_out_also_in_train": 3, "gallery": again}
    (said,) = said_repeated(found, 39, 51)
    assert said.startswith("3 of 39 images that train and 1 of 51 that set probabilities repeat an")
    assert "; 3 of the latter train too, " in said


def test_the_order_of_sources_does_not_matter(fitted):
    order = ("photos", "sngan", "dcgan")
    train, held_out = relabelled(planted(12, seed=0), order, "photos"), planted(16, seed=1)
    other, test = fit_attributor(train, held_out, PLAIN), planted(5, seed=2)
    place = [other.names.index(name) for name in fitted.names]
    found = other.outputs(images_of(test)).logits[:, place]
    assert_allclose(found, fitted.outputs(images_of(test)).logits, rtol=1e-4, atol=1e-4)


def test_a_file_holds_all_of_it(fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    again, test = load_attributor(tmp_path / "a.npz"), planted(3, seed=4)
    for name in ("names", "real", "method", "image_shape", "preprocessing", "temperature"):
        assert getattr(again, name) == getattr(fitted, name)
    assert (again.threshold, again.facts) == (
        fitted.threshold,
        json.loads(json.dumps(fitted.facts)),
    )
    for a, b in zip(again.outputs(images_of(test)), fitted.outputs(images_of(test)), strict=True):
        assert_array_equal(a, b)
    assert_array_equal(again.gallery_labels, fitted.gallery_labels)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ["a", "a", "b"]}, "its names are not 2 to 1000 different ones"),
        ({"real": "other"}, "its real source is none of its names"),
        ({"names": ["dcgan", "photos"]}, "gallery do not fit together"),
        ({"temperature": 0.0}, "temperature 0.0 cannot be"),
        ({"threshold": float("nan")}, "threshold nan cannot be"),
        ({"image_shape": [16, 16]}, "is not \\[h, w, 3\\]"),
        ({"method": "unheard"}, "unheard"),
        ({"format": "other"}, "its header is not that of an attributor"),
        ({"version": 99}, "it has version 99"),
        ({"settings": {}}, "levels None"),
        ({"facts": {"known": {"semantics": [1]}}}, "not told by names"),
        ({"facts": {"known": {"instances": [["a", 1]]}}}, "not told by names"),
        ({"facts": {"known": 1}}, "no attribute"),
        ({"format": "gan_forensics detector"}, "it is a detector"),
        ({"names": ["dcgan", 1, "sngan"], "real": "dcgan"}, "its names are not"),
        ({"names": ["dcgan", "", "sngan"], "real": "dcgan"}, "its names are not"),
        ({"names": ["dcgan"], "real": "dcgan"}, "its names are not"),
        ({"names": [str(i) for i in range(1001)], "real": "0"}, "its names are not"),
        ({"names": [str(i) for i in range(1000)], "real": "0"}, "fit|fingerprints"),
        ({"names": "dcgan"}, "no valid 'names'"),
        ({"temperature": -1.0}, "temperature -1.0 cannot be"),
        ({"temperature": float("inf")}, "temperature inf cannot be"),
        ({"accepted": float("inf")}, "accepted inf cannot be"),
        ({"threshold": "0.5"}, "no valid 'threshold'"),
        ({"image_shape": [16, 16, 1]}, "is not \\[h, w, 3\\]"),
        ({"image_shape": [0, 16, 3]}, "is not \\[h, w, 3\\]"),
        ({"preprocessing": {"size": 0}}, "preprocessing|size"),
    ],
)
def test_headers_that_do_not_fit_are_refused_in_one_line(fitted, tmp_path, change, said):
    fitted.save(tmp_path / "a.npz")
    header, arrays = read_archive(tmp_path / "a.npz")
    write_archive(tmp_path / "b.npz", header | change, arrays)
    with pytest.raises(ValueError, match=said) as error:
        load_attributor(tmp_path / "b.npz")
    assert "\n" not in str(error.value) and "b.npz is not a usable attributor" in str(error.value)


def test_arrays_that_do_not_fit_are_refused(fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    header, arrays = read_archive(tmp_path / "a.npz")
    for name, wrong in (
        ("gallery/labels", arrays["gallery/labels"] + 7),
        ("gallery/features", arrays["gallery/features"] * np.nan),
        ("gallery/logits", arrays["gallery/logits"][:-1]),
        ("model/fingerprints", arrays["model/fingerprints"][:2]),
    ):
        write_archive(tmp_path / "b.npz", header, {**arrays, name: np.asarray(wrong)})
        with pytest.raises(ValueError, match="not a usable attributor file"):
            load_attributor(tmp_path / "b.npz")
    write_archive(tmp_path / "b.npz", header, {**arrays, "fitted_on": np.zeros(3)})
    with pytest.raises(ValueError, match="does not tell what images it was fitted on"):
        load_attributor(tmp_path / "b.npz")
    del arrays["gallery/labels"]
    write_archive(tmp_path / "b.npz", header, arrays)
    with pytest.raises(ValueError, match="lacks the arrays"):
        load_attributor(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("gallery/features", lambda a: a[:, 0], "do not fit together"),
        ("gallery/features", lambda a: a[:-1], "do not fit together"),
        ("gallery/logits", lambda a: a[:, :2], "do not fit together"),
        ("gallery/labels", lambda a: a[:, None], "do not fit together"),
        ("gallery/labels", lambda a: a[:-1], "do not fit together"),
        ("gallery/logits", lambda a: a.astype(np.float64), "of other types"),
        ("gallery/features", lambda a: a.astype(np.float16), "of other types"),
        ("gallery/labels", lambda a: a.astype(np.uint8), "of other types"),
        ("gallery/labels", lambda a: a.astype(np.float32), "of other types"),
        ("gallery/logits", lambda a: np.where(a == a[0, 0], np.inf, a), "not finite"),
        ("gallery/features", lambda a: a * np.nan, "not finite"),
        ("gallery/labels", lambda a: a - 1, "out of range"),
        ("gallery/labels", lambda a: a + 1, "out of range"),
        ("fitted_on", lambda a: a[:, None], "does not tell what images"),
        ("fitted_on", lambda a: a.astype(np.int64), "does not tell what images"),
        ("fitted_on", None, "does not tell what images"),
        ("gallery/logits", None, r"lacks the arrays \['gallery/logits'\]"),
    ],
)
def test_each_array_is_checked_by_itself(fitted, tmp_path, name, change, said):
    fitted.save(tmp_path / "a.npz")
    header, arrays = read_archive(tmp_path / "a.npz")
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays.get(name))
    write_archive(tmp_path / "b.npz", header, arrays)
    with pytest.raises(ValueError, match=said):
        load_attributor(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ["a", "a", "b"]}, "its names are not"),
        ({"real": "other"}, "its real source"),
        ({"preprocessing": {"size": 0}}, "preprocessing|size"),
        ({"version": "\x1b[2J\n" * 999}, r"version '\\x1b\[2J\\n.* characters\), this"),
    ],
)
def test_a_header_is_refused_before_an_array_is_read(fitted, tmp_path, monkeypatch, change, said):
    fitted.save(tmp_path / "a.npz")
    header, arrays = read_archive(tmp_path / "a.npz")
    path = tmp_path / "\x1b[2J.npz"
    write_archive(path, header | change, arrays)
    monkeypatch.setattr("gan_forensics.files.archives._chosen", None)
    with pytest.raises(ValueError, match=said) as error:
        load_attributor(path)
    assert str(error.value).isprintable() and len(str(error.value)) < 1500


def test_a_method_judges_heads_before_an_array_is_read(fitted, tmp_path, monkeypatch):
    def check(settings, heads, *, classes):
        raise ValueError(f"{sorted(heads)} for {classes} classes and {sorted(settings)}")

    fitted.save(tmp_path / "a.npz")
    monkeypatch.setattr("gan_forensics.files.archives._chosen", None)
    monkeypatch.setitem(METHODS, "prnu", METHODS["prnu"]._replace(check=check))
    with pytest.raises(ValueError, match=r"\['fingerprints'\] for 3 classes and \['levels"):
        load_attributor(tmp_path / "a.npz")


def test_failures_are_one_line_and_without_words_are_named(tmp_path, monkeypatch):
    error = [RecursionError()]

    def fail(*_, **__):
        raise error[-1]

    (tmp_path / "a.npz").write_bytes(b"")
    monkeypatch.setattr("gan_forensics.forensics.attribution_files.read_archive", fail)
    with pytest.raises(ValueError, match="attributor file: RecursionError"):
        load_attributor(tmp_path / "a.npz")
    error.append(ValueError("a\n\x1b" * 9999))
    with pytest.raises(ValueError, match=r"attributor file: a \\x1ba .* characters") as refused:
        load_attributor(tmp_path / "a.npz")
    assert str(refused.value).isprintable()


def test_headers_that_are_no_objects_are_refused(fitted, tmp_path):
    for header in ([], "gan_forensics attributor", None):
        write_archive(tmp_path / "b.npz", header, {})
        with pytest.raises(ValueError, match="its header is not that of an attributor"):
            load_attributor(tmp_path / "b.npz")


def test_a_file_whose_digests_are_in_another_order_knows_its_images(fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    header, arrays = read_archive(tmp_path / "a.npz")
    write_archive(tmp_path / "b.npz", header, {**arrays, "fitted_on": arrays["fitted_on"][::-1]})
    assert_array_equal(load_attributor(tmp_path / "b.npz").fitted_on, np.sort(fitted.fitted_on))


def test_flat_images_are_left_out_of_a_fit_which_says_so(fitted):
    train, held_out = planted(12, seed=0), planted(16, seed=1)
    images = np.insert(train.source.take(np.arange(36))["image"], 5, 0, axis=0)
    more = train._replace(
        source=ArraySource(image=images), labels=np.insert(train.labels, 5, 0),
        semantics=(*train.semantics[:5], "x", *train.semantics[5:]),
        instances=("0",) * 37,
    )  # fmt: skip
    found = fit_attributor(more, held_out, PLAIN)
    assert found.facts["left_out"]["to learn from"]["flat"] == {"count": 1, "first": ["example 5"]}
    assert found.facts["images"] == fitted.facts["images"] and "left_out" not in fitted.facts
    assert_array_equal(found.model.fingerprints, fitted.model.fingerprints)
    (kept,), _ = usable({"a": more}, Preprocessing())
    assert kept.semantics == train.semantics and len(kept.source) == 36
    assert_array_equal(kept.labels, train.labels)
    (same,), facts = usable({"a": train}, Preprocessing())
    assert same is train and facts == {}
    # A source of which nothing is left is no source.
    rows = np.flatnonzero(train.labels == 2)
    black = train.source.take(np.arange(36))["image"]
    black[rows] = 0
    with pytest.raises(ValueError, match="no images to learn from of sngan"):
        fit_attributor(train._replace(source=ArraySource(image=black)), held_out, PLAIN)


def test_images_that_it_cannot_judge_are_refused(fitted):
    with pytest.raises(ValueError, match="images of 8x8 do not fit an attributor fitted on 16x16"):
        fitted.outputs([np.zeros((8, 8, 3), np.uint8)])
    with pytest.raises(ValueError, match="a flat image has no spectrum to judge"):
        fitted.outputs([np.full((16, 16, 3), 7, np.uint8)])
    with pytest.raises(ValueError, match="pixels are float32"):
        fitted.outputs([np.zeros((16, 16, 3), np.float32)])
    gray = planted(1, seed=0).source[0]["image"][..., :1]
    assert fitted.outputs([gray]).logits.shape == (1, 3)


def test_sources_must_be_the_same_and_have_images():
    train, held_out = planted(4, seed=0), planted(4, seed=1)
    other = held_out._replace(names=("dcgan", "photos", "sagan"))
    with pytest.raises(ValueError, match="the sources differ: dcgan, photos, sngan"):
        fit_attributor(train, other, PLAIN)
    with pytest.raises(ValueError, match="no images held out of sngan"):
        fit_attributor(train, held_out.part(held_out.labels < 2), PLAIN)
    wrong = replace_side(train, 12)
    with pytest.raises(ValueError, match="16x16|12x12|no squares"):
        fit_attributor(wrong, held_out, PLAIN)
    with pytest.raises(ValueError, match="images of sagan, and the model knows"):
        relabelled(other, NAMES, "photos")
    with pytest.raises(ValueError, match="photos is real, of the model dcgan"):
        relabelled(train, NAMES, "dcgan")


def replace_side(images, side):
    from gan_forensics.data import ArraySource

    cut = np.stack([image[:side] for image in images_of(images)])
    return images._replace(source=ArraySource(image=cut))


def test_settings_out_of_range_and_those_that_a_method_does_not_have_are_refused():
    for wrong, said in (
        ({"method": "unheard"}, "unheard"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"level": 7}, "level is 0"),
        ({"flip": 1.5}, "flip must lie between 0 and 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"method": "prnu", "epochs": 3}, "prnu has no epochs"),
        ({"method": "resnet", "level": 2}, "resnet has no level"),
        ({"method": "resnet", "compound": False}, "resnet has no compound"),
        ({"mixed": 1, "level": 2}, "mixed=1 makes none"),
        ({"mixed": 1, "mix_concentration": 1.0}, "mixed=1 makes none"),
    ):
        with pytest.raises(ValueError, match=said):
            AttributionConfig(**wrong)
    assert AttributionConfig(method="resnet").choices["compound"] is False
    assert AttributionConfig().choices["compound"] is True
    # Every setting is either for all methods or read by some.
    read = {name for method in METHODS.values() for name in method.reads}
    everyone = {"method", "perturbations", "perturb_probability", "frost_textures", "seed"}
    assert read | everyone == set(AttributionConfig.__dataclass_fields__)


def test_what_is_new_about_images_is_measured_apart(fitted):
    train = planted(12, seed=0)
    known = known_parts(train)
    test = planted(8, seed=3)
    instances = np.array(["0"] * len(test.labels), object)
    semantics = np.array(test.semantics, object)
    instances[:6], semantics[6:12] = "1", "birds"
    test = test._replace(instances=tuple(instances), semantics=tuple(semantics))
    found = groups(test, known)
    real = test.labels == 1
    assert_array_equal(np.flatnonzero(found["unseen semantics"]), np.arange(6, 12))
    assert_array_equal(np.flatnonzero(found["new seeds"] & ~real), [0, 2, 3, 5])
    assert not (found["seen"] & ~real)[:12].any() and (found["seen"] & ~real)[12:].sum() == 8
    assert_array_equal(found["seen"] & real, found["new seeds"] & real)
    cells = measured(fitted, test, known, most=4)
    assert list(cells) == ["seen", "new seeds", "unseen semantics"]
    for conditions in cells.values():
        assert list(conditions) == ["clean", "trained", "held-out"]
        for cell in conditions.values():
            assert cell["detection_accuracy"] >= cell["attribution_accuracy"] > 0.2
    assert cells["seen"]["clean"]["protocol"]["corruptions"] == []
    assert len(cells["seen"]["trained"]["protocol"]["corruptions"]) == 15
    assert json.dumps(cells)
    seen = measured(fitted, test.part(found["seen"]), known, most=4)
    assert list(seen) == ["seen"]


def test_what_is_measured_goes_by_names_whatever_the_order_of_labels(fitted):
    test, known = planted(8, seed=3), known_parts(planted(12, seed=0))
    other = relabelled(test, ("sngan", "photos", "dcgan"), "photos")
    found, again = (measured(fitted, images, known) for images in (test, other))
    assert found["seen"]["clean"] == again["seen"]["clean"]
    rows = np.arange(9)
    severities = [against_severity(fitted, x, rows, ["contrast"]) for x in (test, other)]
    assert severities[0] == severities[1] and len(severities[0]["contrast"]) == 5


def test_images_that_it_was_fitted_on_are_known_again(fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    again = load_attributor(tmp_path / "a.npz")
    for images, expected in (
        (planted(12, seed=0), 1),
        (planted(16, seed=1), 1),
        (planted(4, seed=2), 0),
    ):
        for image in images_of(images):
            assert again.was_fitted_on(fitted.prepared(image)) == expected
    assert fitted.facts["config"] == {
        "method": "prnu", "perturbations": (), "perturb_probability": 0.95, "frost_textures": None,
        "seed": 0,
    }  # fmt: skip


def test_every_seed_of_a_source_has_an_equal_share(fitted):
    test = planted(10, seed=3)
    test = test._replace(instances=tuple("1" if i < 6 else "0" for i in range(30)))
    rows = some_of_each(test, np.ones(30, bool), most=4, seed=0)
    for label in range(3):
        of = [test.instances[row] for row in rows if test.labels[row] == label]
        assert sorted(of) == ["0", "0", "1", "1"]
    assert_array_equal(rows, some_of_each(test, np.ones(30, bool), most=4, seed=0))
    # What happens to an image depends on its row alone.
    noisy = RandomCorruption(("gaussian_noise",), 1.0)
    both = outputs_after(fitted, test, np.array([3, 8]), noisy)
    assert_allclose(outputs_after(fitted, test, np.array([8]), noisy).logits[0], both.logits[1])


def test_a_generator_that_was_left_out_is_met_as_none_of_these():
    train, held_out, test = planted(12, seed=0), planted(20, seed=1), planted(8, seed=2)
    left = without(train, "photos")
    assert left.names == ("dcgan", "sngan") and set(left.labels) == {0, 1}
    assert len(left.labels) == 24
    asked = []

    def fit(train, held_out, name):
        asked.append((name, train.names))
        return fit_attributor(train, held_out, PLAIN)

    found = measured_open_set(train, held_out, test, fit)
    assert asked == [("dcgan", ("photos", "sngan")), ("sngan", ("dcgan", "photos"))]
    for scores in found.values():
        assert set(scores) == {"probability", "logit", "energy", "neighbours"}
        assert scores["probability"]["n_known"] == 16 and scores["probability"]["n_unknown"] == 8
        assert scores["probability"]["accepted_known"] is not None
        assert scores["energy"]["accepted_known"] is None
    assert json.dumps(found)


def test_images_are_parted_within_every_kind():
    images = planted(20, seed=0)
    parts = fifths(images, np.arange(60) >= 30, seed=0)
    assert [len(part) for part in parts] == [18, 6, 6]
    assert_array_equal(np.sort(np.concatenate(parts)), np.arange(30, 60))
    for part in parts:
        kinds = {(images.labels[row], images.semantics[row]) for row in part}
        assert len(kinds) == 6
    with pytest.raises(ValueError, match="nothing is left to fit on"):
        fifths(images, np.zeros(60, bool), seed=0)
    with pytest.raises(ValueError, match="2 images of dcgan/cats/0 cannot be parted"):
        fifths(images, np.isin(np.arange(60), [0, 6]), seed=0)


def test_the_preprocessing_belongs_to_the_model():
    train, held_out = planted(12, seed=0, side=20), planted(16, seed=1, side=20)
    made = fit_attributor(train, held_out, PLAIN, preprocessing=Preprocessing(crop=16))
    assert made.image_shape == (16, 16, 3)
    image = train.source[0]["image"]
    assert_array_equal(made.prepared(image), image[2:18, 2:18])
    assert replace(made, temperature=2.0).temperature == 2.0


def test_random_crops_of_resized_images_need_others_that_are_resized_too():
    data = planted(4, seed=0), planted(16, seed=1)
    config = AttributionConfig(perturbations=(), crop_from=20)
    with pytest.raises(ValueError, match="crop_from resizes training images"):
        fit_attributor(*data, config, preprocessing=Preprocessing(crop=12))
    with pytest.raises(ValueError, match="crop_from 20 is smaller than the images of 32"):
        fit_attributor(*data, config, preprocessing=Preprocessing(size=32))


def test_labels_go_with_their_names():
    images = planted(2, seed=0)
    other = relabelled(images, ("sngan", "sagan", "dcgan", "photos"), "photos")
    assert [other.names[label] for label in other.labels] == [
        images.names[label] for label in images.labels
    ]
    assert other.names == ("sngan", "sagan", "dcgan", "photos")


def test_held_out_images_are_halved_within_every_source():
    labels = np.repeat([0, 1, 2], [7, 4, 5])
    first, second = halves(labels, np.random.default_rng(0))
    assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(16))
    assert_array_equal(np.bincount(labels[second]), [3, 2, 2])
