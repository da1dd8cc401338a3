"""Feature extractors, their cache, the small networks, and all metrics together."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from gan_forensics.data import ArraySource, open_source, save_png
from gan_forensics.files.archives import read_archive, write_archive
from gan_forensics.quality import (
    METRICS,
    Extracted,
    FeatureExtractor,
    computable,
    evaluate_images,
    extract,
    fid,
    images_digest,
    inception_features,
    kid,
    load_features,
    random_features,
    small_classifier_features,
)
from gan_forensics.quality.digests import arrays_digest
from gan_forensics.quality.evaluate import over_draws
from gan_forensics.quality.extraction import batched
from gan_forensics.quality.score import Score
from tests.test_data_given_images import Tensor
from tests.test_nn_inception import state_dict


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (21, 8, 8, 3), np.uint8)


def counting(calls, **changes):
    """Mean colours, noting how many images it was given."""

    def run(images):
        calls.append(len(images))
        return Extracted(images.mean((1, 2)).astype(np.float32), None)

    fields = {"name": "mean colours", "fingerprint": "a" * 64, "run": run, "protocol": {"v": 1}}
    return FeatureExtractor(**(fields | changes))


def test_features_are_the_same_for_every_chunk_and_kind_of_source(images):
    extractor = counting([])
    whole = extract(extractor, images).features
    assert_array_equal(extract(extractor, images, chunk=4).features, whole)
    assert_array_equal(extract(extractor, ArraySource(image=images), chunk=5).features, whole)
    assert_array_equal(extractor(images), whole)


def test_a_network_runs_in_whole_batches_over_all_devices(images):
    traced = []

    def apply(scale, images):
        traced.append(images.shape)
        return scale * images.astype(jnp.float32).mean((1, 2)), None

    run = batched(apply, jnp.float32(2), batch_size=5)
    assert_allclose(run(images).features, 2 * images.mean((1, 2)), rtol=1e-6, atol=1e-5)
    assert traced == [(8, 8, 8, 3)]  # the eight devices of the tests
    assert run(images[:3]).features.shape == (3, 3)


def test_cached_features_are_not_computed_again(images, tmp_path):
    calls = []
    extractor = counting(calls)
    first = extract(extractor, images, cache=tmp_path)
    again = extract(extractor, ArraySource(image=images), cache=tmp_path, chunk=2)
    assert sum(calls) == len(images)
    assert_array_equal(first.features, again.features)
    assert again.logits is None
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_does_not_serve_other_images_weights_or_protocols(images, tmp_path):
    calls = []
    extract(counting(calls), images, cache=tmp_path)
    changed = images.copy()
    changed[20, 7, 7, 2] ^= 1
    found = extract(counting(calls), changed, cache=tmp_path)
    assert_array_equal(found.features, changed.mean((1, 2)).astype(np.float32))
    extract(counting(calls), images[::-1], cache=tmp_path)
    extract(counting(calls, fingerprint="b" * 64), images, cache=tmp_path)
    assert sum(calls) == 4 * len(images)


def test_a_cache_file_of_another_kind_is_not_believed(images, tmp_path, capsys):
    calls = []
    extractor = counting(calls)
    right = extract(extractor, images, cache=tmp_path).features
    (path,) = tmp_path.iterdir()
    digest, n = images_digest([images]), len(images)
    assert load_features(path, digest, extractor, n)[0].shape == (21, 3)
    with pytest.raises(ValueError, match="its images differ"):
        load_features(path, images_digest([images[:5]]), extractor, n)
    with pytest.raises(ValueError, match="its protocol differ"):
        load_features(path, digest, dataclasses.replace(extractor, protocol={"v": 2}), n)
    with pytest.raises(ValueError, match="extractor, weights differ"):
        load_features(path, digest, counting([], name="x", fingerprint="c"), n)
    header, arrays = read_archive(path)

    def rewritten(features):
        header["arrays"] = arrays_digest({"features": features})
        write_archive(path, header, {"features": features})

    def swapped():
        write_archive(path, header, {"features": arrays["features"][::-1].copy()})

    broken = {
        "is not a readable file": lambda: path.write_bytes(path.read_bytes()[:100]),
        "its arrays differ": swapped,
        "no finite row": lambda: rewritten(arrays["features"][:5]),
        "no finite row of": lambda: rewritten(arrays["features"].astype(np.float64)),
        "no finite row of features": lambda: rewritten(arrays["features"] * np.float32(np.nan)),
    }
    for said, damage in broken.items():
        damage()
        calls.clear()
        assert_array_equal(extract(extractor, images, cache=tmp_path).features, right)
        error = capsys.readouterr().err
        assert said in error and "computed again" in error and sum(calls) == n
        assert_array_equal(extract(extractor, images, cache=tmp_path).features, right)
        assert sum(calls) == n and not capsys.readouterr().err


def test_a_cache_is_the_user_s_alone(images, tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "else")
    monkeypatch.chdir(tmp_path / "run")
    for name in ("open", "run/features", "link"):
        with pytest.raises(ValueError, match="give a folder of your own"):
            extract(counting([]), images, cache=tmp_path / name)
    assert not (tmp_path / "else").exists()
    extract(counting([]), images, cache=tmp_path / "own")
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


def test_the_digest_of_images_depends_on_content_order_and_shape_but_not_on_batches(images):
    whole = images_digest([images])
    assert images_digest([images[:4], images[4:]]) == whole
    assert images_digest([images[::-1]]) != whole
    assert images_digest([images.reshape(21, 4, 16, 3)]) != whole


def test_features_that_are_not_finite_are_refused_with_the_image(images):
    def run(images):
        values = images.mean((1, 2)).astype(np.float32)
        return Extracted(np.where(images.max((1, 2)) == 7, np.nan, values), None)

    images[13] = 7
    with pytest.raises(ValueError, match="image 13 are not finite"):
        extract(counting([], run=run), images, chunk=5)

    def logits(images):
        return Extracted(np.zeros((len(images), 2), np.float32), run(images).features)

    with pytest.raises(ValueError, match="image 13 are not finite"):
        extract(counting([], run=logits), images, chunk=5)


def test_what_are_no_images_is_refused(images):
    with pytest.raises(ValueError, match="say which range"):
        extract(counting([]), images / 255)
    with pytest.raises(ValueError, match="no images"):
        extract(counting([]), images[:0])


# --- our own networks -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return open_source("samples:digits")


@pytest.fixture(scope="module")
def classifier(digits, tmp_path_factory):
    run = tmp_path_factory.mktemp("classifier")
    return run, small_classifier_features(digits, run, steps=150, width=8)


def test_the_small_classifier_learns_the_labels_and_says_what_it_is(classifier, digits):
    _, extractor = classifier
    assert extractor.name == "small-classifier features"
    assert extractor.protocol["accuracy_on_training_images"] > 0.7  # chance is 0.1
    found = extract(extractor, digits.arrays["image"][:10])
    assert found.features.shape == (10, 32) and found.logits.shape == (10, 10)


def test_a_finished_classifier_is_used_as_it_is_and_no_other_is(classifier, digits):
    run, extractor = classifier
    again = small_classifier_features(digits, run, steps=150, width=8)
    assert again.fingerprint == extractor.fingerprint
    with pytest.raises(ValueError, match=r"classifier\.seed: 0 -> 1"):
        small_classifier_features(digits, run, steps=150, width=8, seed=1)
    fewer = ArraySource(**digits.take(np.arange(500)))
    with pytest.raises(ValueError, match=r"classifier\.images"):
        small_classifier_features(fewer, run, steps=150, width=8)


def test_a_classifier_needs_labels_of_two_classes(digits, tmp_path):
    image = digits.arrays["image"][:70]
    with pytest.raises(ValueError, match="no labels"):
        small_classifier_features(ArraySource(image=image), tmp_path)
    one = ArraySource(image=image, label=np.zeros(70, int))
    with pytest.raises(ValueError, match="two classes"):
        small_classifier_features(one, tmp_path)


def test_random_features_follow_from_the_seed(images):
    a, b = random_features(seed=1, width=4), random_features(seed=1, width=4)
    assert a.fingerprint == b.fingerprint
    assert_array_equal(a(images), b(images))
    other = random_features(seed=2, width=4)
    assert other.fingerprint != a.fingerprint
    assert np.abs(other(images) - a(images)).max() > 1e-3


def test_metrics_together_tell_digits_from_noise(classifier, digits, rng, tmp_path):
    _, extractor = classifier
    image = digits.arrays["image"]
    real, near = image[:400], image[400:800]
    noise = rng.integers(0, 256, near.shape, np.uint8)
    good, bad = (
        {s.name: s for s in evaluate_images(real, [fake], extractor, cache=tmp_path)}
        for fake in (near, noise)
    )
    on = "on small-classifier features"
    assert list(good) == [
        f"Frechet distance {on}",
        f"kernel distance {on}",
        "inception score by small-classifier features",
        "precision",
        "recall",
        "density",
        "coverage",
    ]
    assert 10 * good[f"Frechet distance {on}"].value < bad[f"Frechet distance {on}"].value
    assert 10 * good[f"kernel distance {on}"].value < bad[f"kernel distance {on}"].value
    assert good["precision"].value > 0.7 > 0.1 > bad["precision"].value
    assert good["coverage"].value > 0.7 > 0.1 > bad["coverage"].value


def test_several_draws_give_means_with_their_spread(classifier, digits):
    _, extractor = classifier
    image = digits.arrays["image"]
    fakes = [image[400:600], image[600:800]]
    (both,) = evaluate_images(image[:400], fakes, extractor, metrics=["fid"])
    each = [evaluate_images(image[:400], [f], extractor, metrics=["fid"])[0].value for f in fakes]
    assert_allclose([both.value, both.spread], [np.mean(each), np.std(each)], rtol=1e-12)
    assert both.protocol["draws"] == 2


def test_metrics_that_cannot_be_are_refused_before_any_feature_is_computed(images):
    calls = []

    def evaluate(n, metrics, m=21):
        evaluate_images(images[:n], [images[:m]], counting(calls), metrics=metrics)

    with pytest.raises(ValueError, match="unknown metrics fd: choose from fid,kid,is,prdc"):
        evaluate(21, ["fd"])
    with pytest.raises(ValueError, match="unknown metrics .none given."):
        evaluate(21, [])
    with pytest.raises(ValueError, match="cannot compute .is.: these features have no classifier"):
        evaluate(21, ["is", "fid"])
    with pytest.raises(ValueError, match="cannot compute .prdc.: it needs at least 6 real images"):
        evaluate(5, ["prdc", "fid"])
    with pytest.raises(ValueError, match="at least 6 generated images, there are 5"):
        evaluate(21, ["prdc"], 5)
    with pytest.raises(ValueError, match="fid.: .* .kid.: .* .is.: .* .prdc.: "):
        evaluate(1, None)
    with pytest.raises(ValueError, match="at least one set"):
        evaluate_images(images, [], counting([]))
    assert calls == []


def test_by_default_all_metrics_are_computed_that_can_be(images):
    scores = evaluate_images(images, [images], counting([]))
    assert [score.name for score in scores][2:] == ["precision", "recall", "density", "coverage"]
    assert len(evaluate_images(images[:5], [images], counting([]))) == 2
    assert len(evaluate_images(images, [images[:2], images[:5]], counting([]))) == 2
    # The smallest set decides, wherever it stands.
    assert len(evaluate_images(images, [images, images[:5]], counting([]))) == 2


def mean_colour(images):
    assert images.dtype == np.uint8
    return images.mean((1, 2))


def test_a_plain_function_gives_the_features_and_their_name(images, tmp_path):
    fake = images[5:]
    scores = evaluate_images(images, fake, mean_colour, metrics=("fid", "kid"))
    assert evaluate_images(images, fake, mean_colour, metrics="fid") == scores[:1]
    with pytest.raises(ValueError, match="^unknown metrics fed: choose"):
        evaluate_images(images, fake, mean_colour, metrics="fed")
    with pytest.raises(ValueError, match=r"real images are \[.*fakes \[.*: bring both to one size"):
        evaluate_images(images, [fake, fake[:, :4]], mean_colour, metrics="fid")
    on = "on mean_colour"
    assert [score.name for score in scores] == [f"Frechet distance {on}", f"kernel distance {on}"]
    assert scores[0].value == fid(mean_colour(images), mean_colour(fake)).value
    assert f"Score(Frechet distance {on}: {scores[0].value:.5g}; 21 real, 16 fake)" in repr(scores)
    assert "±" in repr(scores[1])
    # As PyTorch gives them, on a device and with gradients.
    (same,) = evaluate_images(images, fake, lambda x: Tensor(mean_colour(x)), metrics=["fid"])
    assert same.value == scores[0].value
    # Whatever a function is called, its distance is no FID.
    for name in ("inception-2015-12-05", "inception-v3"):
        mean_colour.__name__, keep = name, mean_colour.__name__
        try:
            scores = evaluate_images(images, fake, functools.partial(mean_colour), metrics=("fid",))
        finally:
            mean_colour.__name__ = keep
        assert scores[0].name.startswith("Frechet distance on inception_")
    with pytest.raises(ValueError, match="function mean_colour cannot be cached"):
        evaluate_images(images, fake, mean_colour, cache=tmp_path)
    for bad in (lambda x: x.mean((1, 2))[:-1], lambda x: x.mean((1, 2, 3)), lambda x: x.mean()):
        with pytest.raises(ValueError, match=r"lambda made .* must return numbers \[n, d\]"):
            evaluate_images(images, fake, bad)
    with pytest.raises(
        ValueError, match="features are a FeatureExtractor or a function .* got str"
    ):
        evaluate_images(images, fake, "inception")


def test_one_set_of_fakes_is_told_from_several(images, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, some in zip(folders, (images[:6], images[6:]), strict=True):
        for row, image in enumerate(some):
            save_png(folder / f"{row}.png", image)

    def counts(fake):
        (score,) = evaluate_images(images, fake, mean_colour, metrics=["fid"])
        return score.counts["fake"], score.protocol.get("draws", 1)

    assert counts(folders[0]) == counts(sorted(folders[0].iterdir())) == (6, 1)
    assert counts(list(images[:6])) == counts([Image.fromarray(x) for x in images[:6]]) == (6, 1)
    assert counts(folders) == counts([str(folder) for folder in folders]) == (6, 2)
    assert counts([images[:6]]) == (6, 1) and counts((images[:6], folders[1])) == (6, 2)


def test_settings_and_warnings_of_several_draws_are_those_of_each():
    def draw(zero, warning):
        protocol = {"k": 5, "zero": zero, "standard_error": 0.1}
        return [Score("recall", float(zero), None, {}, protocol=protocol, warning=warning)]

    (score,) = over_draws([draw(3, "three"), draw(4, ""), draw(4, "four"), draw(4, "four")])
    assert score.warning == "three; four"
    assert (score.protocol["k"], score.protocol["zero"]) == (5, [3, 4, 4, 4])
    assert "standard_error" not in score.protocol


def test_the_seed_draws_the_subsets_of_the_kernel_distance(images):
    extractor = counting([])
    real, fake = extract(extractor, images), extract(extractor, images[5:])
    found = []
    for seed in (1, 2):
        (score,) = evaluate_images(images, [images[5:]], extractor, metrics=["kid"], seed=seed)
        assert score.value == kid(real.features, fake.features, seed=seed).value
        assert score.seed == seed
        found.append(score.value)
    assert found[0] != found[1]


@pytest.mark.parametrize("logits", [False, True])
def test_what_can_be_computed_is_what_the_metrics_do(logits, rng):
    """The table of needs beside the metrics themselves, at every count."""
    for real, fake in [(1, 1), (1, 30), (2, 2), (30, 1), (5, 30), (30, 5), (6, 6), (9, 9), (3, 10)]:
        a, b = (
            Extracted(rng.normal(size=(n, 3)), rng.normal(size=(n, 4)) if logits else None)
            for n in (real, fake)
        )
        for name, metric in METRICS.items():
            try:
                names, _ = computable([name], real=real, fake=fake, logits=logits)
            except ValueError:
                with pytest.raises(ValueError):
                    metric.scores(a, b, "features", 0)
            else:
                assert names == (name,) and metric.scores(a, b, "features", 0)


def test_images_in_another_order_have_the_same_scores(classifier, digits):
    """Digits sorted by class against the same ones shuffled: splits must not be single classes."""
    _, extractor = classifier
    image = digits.arrays["image"][np.argsort(digits.arrays["label"], kind="stable")]
    real, fake = image[::3], image[1::6]
    shuffled = np.random.default_rng(3).permutation(len(fake))
    one, other = (
        [score.value for score in evaluate_images(real, [fakes], extractor)]
        for fakes in (fake, fake[shuffled])
    )
    assert_allclose(other, one, rtol=1e-5)
    assert one[2] > 3


# --- Inception ------------------------------------------------------------------------------------


def test_inception_features_from_a_file_state_their_protocol(tmp_path, images):
    path = tmp_path / "inception.npz"
    np.savez(path, **state_dict())
    extractor = inception_features(path, batch_size=8)
    assert extractor.name == "inception-2015-12-05"
    assert extractor.protocol["resize"] == "tensorflow, to 299x299"
    assert "byte for byte" in extractor.warning
    other = inception_features(path, resize="pytorch-fid")
    assert other.fingerprint != extractor.fingerprint
    with pytest.raises(ValueError, match="unknown resize"):
        inception_features(path, resize="lanczos")  # pyright: ignore


def test_inception_features_refuse_weights_of_another_network(tmp_path):
    np.savez(tmp_path / "other.npz", **{"conv1.weight": np.zeros((8, 3, 7, 7))})
    with pytest.raises(ValueError, match="not those of a inception_v3_fid"):
        inception_features(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError, match="no weights"):
        inception_features(tmp_path / "missing.npz")


@pytest.mark.slow
def test_inception_features_of_images_are_those_of_the_network(tmp_path, images):
    from gan_forensics.nn.inception import InceptionV3, inception_input
    from gan_forensics.nn.weights import from_torch

    path = tmp_path / "inception.npz"
    np.savez(path, **state_dict())
    found = extract(inception_features(path, batch_size=8), images[:3])
    variables = from_torch("inception_v3_fid", state_dict())
    direct = jax.jit(InceptionV3().apply)(variables, inception_input(images[:3]))
    assert_allclose(found.features, direct.pool3, rtol=0, atol=1e-5)  # pyright: ignore
    assert_allclose(found.logits, direct.logits_unbiased, rtol=0, atol=1e-4)  # pyright: ignore
