"""Neural detectors: scores of whole images, files, training, stopping, thresholds."""

import json
import weakref
from dataclasses import asdict, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_curve

from gan_forensics.data import ArraySource, power_law_textures
from gan_forensics.data.carriers import CARRIERS
from gan_forensics.forensics import canvases, neural, neural_training
from gan_forensics.forensics.calibration import (
    Calibration,
    Measured,
    calibrated_threshold,
    measured_rate,
    rates_of,
)
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.detectors import load_detector
from gan_forensics.forensics.fitting import fit_detector
from gan_forensics.forensics.metrics import geometric_mean_threshold, inclusive
from gan_forensics.forensics.neural import ARCHITECTURES, NeuralDetector, preprocess, size_batches
from gan_forensics.forensics.neural_parts import OnDemand, RealAndFake, part, part_by_groups
from gan_forensics.forensics.neural_training import (
    METRIC,
    NETWORK,
    STOPPER,
    DetectorConfig,
    detector_update,
    initial_variables,
    train_detector,
)
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.nn import imagenet
from gan_forensics.nn.resnet import ResNet
from gan_forensics.report.detector_fit import sentences
from gan_forensics.train import Plateau, read_metrics
from gan_forensics.train.plateau import PlateauState, observe


def tiny(classes=1, width=2):
    """One bottleneck on a stem of stride 2: five convolutions."""
    return ResNet((1,), (width,), classes, 3, 2, stem_pool=False)


@pytest.fixture(autouse=True)
def tiny_architecture(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny)


@pytest.fixture(scope="module")
def variables():
    found = jax.jit(lambda key, x: tiny().init(key, x, train=False))(
        jax.random.key(1), jnp.zeros((1, 8, 8, 3))
    )
    rng = np.random.default_rng(0)

    def moved(array):  # So that batch norms do something.
        return np.asarray(array) + 0.3 * np.abs(rng.normal(size=array.shape)).astype(np.float32)

    return jax.tree.map(moved, found)


@pytest.fixture
def detector(variables):
    return NeuralDetector("tiny", variables, facts={"augment": ["blur", "jpeg"]})


def textures(n, exponent, seed, size=16):
    return power_law_textures(n, size, exponent=exponent, seed=seed)


# --- scores -------------------------------------------------------------------------------------


def test_images_of_all_sizes_are_scored_whole_and_in_order(detector, variables, rng):
    shapes = [(8, 8), (9, 12), (8, 8), (12, 9), (9, 12), (8, 8), (8, 8), (8, 8)]
    images = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    mean, std = np.array(imagenet.MEAN), np.array(imagenet.STD)
    apply = jax.jit(lambda x: tiny().apply(variables, x, train=False))
    expected = [apply(((x / 255 - mean) / std).astype(np.float32)[None]) for x in images]
    scores = detector.score(images)
    assert scores.dtype == np.float64
    assert_allclose(scores, np.concatenate(expected)[:, 0], rtol=1e-4, atol=1e-5)
    assert np.ptp(scores) > 1e-3


def compiled(caplog):
    return sum("Finished XLA compilation" in record.message for record in caplog.records)


def test_a_hundred_sizes_cost_a_handful_of_compilations_with_equal_scores(variables, rng, caplog):
    # A network of its own: what is compiled already would not count.
    detector = NeuralDetector("tiny", variables, settings={"width": 2})
    network = tiny(width=2).clone(dtype="float32")
    detector.__dict__["network"] = network
    sides = rng.permutation([(h, w) for h in range(20, 30) for w in range(20, 30)])
    images = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in sides]
    with jax.log_compiles(), caplog.at_level("WARNING"):
        scores = detector.score(images)
        # One by one as well, and in chunks of other lengths.
        alone = [detector.score([image])[0] for image in images[:20]]
        chunks = [detector.score(images[i : i + 7]) for i in range(0, 70, 7)]
    assert 1 <= compiled(caplog) <= 8
    mean, std = np.array(imagenet.MEAN, np.float32), np.array(imagenet.STD, np.float32)
    # Every size that is not batched compiles again, so that a few must do.
    expected = [
        network.apply(variables, ((x / np.float32(255) - mean) / std)[None], train=False)[0, 0]
        for x in images[::8]
    ]
    assert_allclose(scores[::8], expected, rtol=1e-4, atol=1e-5)
    assert_allclose(alone, scores[:20], rtol=1e-4, atol=1e-5)
    assert_allclose(np.concatenate(chunks), scores[:70], rtol=1e-4, atol=1e-5)


def test_images_of_a_sequence_are_read_once_and_few_are_kept(detector, rng, monkeypatch):
    monkeypatch.setattr(canvases, "WAITING", 20 * 64)
    read, alive = [], []

    def image(i):
        read.append(i)
        made = np.full((8, 8 + i % 3, 3), i, np.uint8)
        weakref.finalize(made, alive.remove, i)
        alive.append(i)
        assert len(alive) <= 64
        return made

    detector.score(OnDemand(range(200), image))
    assert read == list(range(200))


@pytest.mark.parametrize(
    ("sides", "stride", "expected"),
    [
        ((8, 8), 8, (8, 8)),
        ((9, 8), 8, (16, 16)),
        ((17, 20), 8, (24, 24)),
        ((25, 20), 8, (32, 32)),
        ((300, 500), 32, (512, 512)),
        ((100, 1000), 32, (128, 1024)),  # a square would be ten times the image
        ((3000, 4000), 32, (3072, 4096)),  # and here sixteen million pixels
    ],
)
def test_canvases_hold_their_images_in_few_shapes(sides, stride, expected):
    assert canvases.canvas(*sides, stride) == expected


@pytest.mark.parametrize("lengths", [(1,), (1, 4), (1, 4, 16, 64)])
def test_batches_are_of_two_lengths_at_most_and_half_full_on_the_whole(lengths):
    for count in range(1, 200):
        starts, made = zip(*canvases.in_batches(count, lengths), strict=True)
        assert starts == tuple(np.cumsum((0, *made[:-1])))
        assert starts[-1] < count <= sum(made) < 2 * count
        assert set(made) <= set(lengths) and len(set(made)) <= 2


def test_an_array_of_either_library_and_gray_images_are_scored_alike(detector, rng):
    images = rng.integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    expected = detector.score(np.repeat(images, 3, -1))
    assert_array_equal(detector.score(images), expected)
    assert_array_equal(detector.score(jnp.asarray(images)), expected)
    assert detector.score(images[:0]).shape == (0,)


@given(st.lists(st.sampled_from([(8, 8), (8, 9), (300, 9)]), max_size=90), st.sampled_from([4, 64]))
def test_sizes_make_batches_of_a_few_lengths_and_every_image_has_a_place(shapes, most):
    images = [np.full((*shape, 3), i, np.uint8) for i, shape in enumerate(shapes)]
    seen, kinds = [], set()
    for rows, batch in size_batches(images, most=most):
        assert len(rows) <= len(batch) <= most
        assert all((batch[k] == row).all() for k, row in enumerate(rows))
        seen += rows.tolist()
        kinds.add(batch.shape)
    assert sorted(seen) == list(range(len(shapes)))
    assert {shape[0] for shape in kinds} <= {1, 4, 16, 64}


def test_large_images_come_a_few_at_a_time():
    images = np.zeros((5, 2048, 1024, 1), np.uint8)
    assert [len(rows) for rows, _ in size_batches(images)] == [1] * 5


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), "float32"),
        (np.zeros((1, 8, 8, 4), np.uint8), "4 channels"),
        (np.zeros((8, 8, 3), np.uint8), "axis of images is missing"),
        (np.zeros((1, 1, 8, 3), np.uint8), "at least 2 pixels"),
    ],
)
def test_images_that_cannot_be_scored_are_refused(detector, images, message):
    with pytest.raises(ValueError, match=message):
        detector.score(images)


def test_an_unknown_architecture_or_setting_is_named():
    with pytest.raises(ValueError, match="unknown architecture 'vgg'.*resnet50"):
        neural.make_network("vgg")
    with pytest.raises(ValueError, match="tiny cannot be made with {'depth': 3}"):
        neural.make_network("tiny", {"depth": 3})


# --- files --------------------------------------------------------------------------------------


def test_a_loaded_detector_is_the_same(detector, rng, tmp_path):
    detector = replace(
        detector, threshold=0.25, settings={"width": 2}, preprocessing=Preprocessing(size=9),
        calibration=Calibration(9, 8, 7, None, 0.05, 0, (
            Measured("none", measured_rate([True, False]), measured_rate([True], [3]), 0.5),
        )),
        calibrators={"web": fit_calibrator(rng.normal(0, 1, 20), rng.normal(2, 1, 20))},
    )  # fmt: skip
    detector.save(tmp_path / "detector.npz")
    loaded = load_detector(tmp_path / "detector.npz")
    assert isinstance(loaded, NeuralDetector)
    images = rng.integers(0, 256, (5, 9, 10, 3), dtype=np.uint8)
    scores = detector.score(images)
    assert_array_equal(loaded.score(images), scores)
    assert_array_equal(loaded.log10_lr(scores, "web"), detector.log10_lr(scores, "web"))
    assert loaded.sha256 == detector.sha256 is not None and "(web))" in repr(loaded)
    for field in (
        "sha256", "name", "threshold", "calibration", "settings", "facts", "arch", "preprocessing",
    ):  # fmt: skip
        assert getattr(loaded, field) == getattr(detector, field)
    assert loaded.name == "tiny-blur-jpeg"


def test_a_spectral_detector_is_loaded_by_the_same_function(tmp_path):
    real, fake = textures(40, 1.5, 0), textures(40, 0.5, 1)
    fit_detector(real, fake, calibration=0.2).save(tmp_path / "detector.npz")
    assert load_detector(tmp_path / "detector.npz").name == "durall-knn"


def damaged(path, change):
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays.pop("header")))
    change(header, arrays)
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def lengthen(header, arrays):
    arrays["params/fc/bias"] = np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, a: a.pop("params/conv1/kernel"), r"missing params/conv1/kernel \[3, 3, 3, 2\]"),
        (lambda h, a: a.update(extra=np.zeros(2)), "unknown extra"),
        (lengthen, r"params/fc/bias is float32 \[2\], not float32 \[1\]"),
        (lambda h, a: a["params/fc/bias"].fill(np.nan), "params/fc/bias holds values"),
        (lambda h, a: h.update(arch="resnet50"), r"missing .* more"),
        (lambda h, a: h.update(arch="vgg"), "unknown architecture 'vgg'"),
        (lambda h, a: h.update(version=9), "version 9"),
        (lambda h, a: h.update(threshold=float("nan")), "not finite"),
        (lambda h, a: h.update(settings=None), "no valid 'settings'"),
        (lambda h, a: h.update(calibration={"n_real": 3}), "calibration facts are incomplete"),
        (lambda h, a: h.update(preprocessing={"crop": 0}), "crop must be a whole number"),
        (lambda h, a: h.update(settings={"width": 10**9}), "no valid 'width': .* at most 4096"),
        (lambda h, a: h.update(settings={"width": "a"}), "no valid 'width'"),
        (lambda h, a: h.update(settings={"depth": 1e8}), "no valid 'depth': .* at most 8"),
        (lambda h, a: h.update(settings={"dtype": "x"}), "settings have an unknown 'dtype'"),
        (lambda h, a: h["facts"].update(augment=3), "no valid 'augment'"),
        (
            lambda h, a: h.update(arch="dct_cnn", settings={"side": 4096}),
            "arrays are not those of images of 4096x4096",
        ),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused(detector, tmp_path, change, message):
    path = tmp_path / "detector.npz"
    detector.save(path)
    damaged(path, change)
    with pytest.raises(ValueError, match=message) as error:
        load_detector(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_file_of_few_arrays_makes_no_deep_network(tmp_path, monkeypatch):
    path = tmp_path / "detector.npz"
    arrays = {f"params/{i}": np.zeros(1, np.float32) for i in range(20)}
    settings = {"width": 0.1, "depth": 7.5, "divisor": 2}
    NeuralDetector("efficientnet", arrays, settings=settings).save(path)
    monkeypatch.setattr("jax.eval_shape", None)
    with pytest.raises(ValueError, match="its 20 arrays are too few for"):
        load_detector(path)


# --- thresholds ---------------------------------------------------------------------------------

SCORES = st.lists(st.integers(0, 12).map(lambda n: n / 8), min_size=1, max_size=30)


@given(SCORES, SCORES)
@settings(max_examples=100, deadline=None)
def test_the_calibrated_threshold_is_that_of_sklearns_curve(real, fake):
    labels = np.r_[np.zeros(len(real)), np.ones(len(fake))]
    alarms, found, thresholds = roc_curve(labels, np.r_[real, fake])
    means = np.sqrt(found * (1 - alarms))
    best = geometric_mean_threshold(real, fake)
    if means.max() > 0:
        assert best == thresholds[np.argmax(means)]
    at_best = np.mean(np.array(fake) >= best) * np.mean(np.array(real) < best)
    assert_allclose(np.sqrt(at_best), means.max(), rtol=1e-12, atol=0)


def test_the_sample_that_defines_the_threshold_is_lost_unless_it_is_made_inclusive():
    real, fake = np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.8, 0.9])
    best = geometric_mean_threshold(real, fake)
    assert best == 0.5
    assert np.mean(fake > best) == pytest.approx(2 / 3)
    assert np.mean(fake > inclusive(best)) == 1
    assert np.mean(real > inclusive(best)) == 0


# --- the schedule -------------------------------------------------------------------------------


def published_stopper(accuracies, rate=1e-4, patience=5):
    """Rates after each validation, None when training ends: written from the published recipe."""
    best, waited, needed, rates = None, 0, 0.001, []
    for accuracy in accuracies:
        if best is None or accuracy >= best + needed:
            best, waited = accuracy, 0
        else:
            waited += 1
            if waited >= patience:
                rate /= 10
                if rate < 0.99e-6:
                    return [*rates, None]
                best, waited, needed = None, 0, 0.002
        rates.append(rate)
    return rates


def observed(accuracies, rate=1e-4):
    state, rates = PlateauState(), []
    for accuracy in accuracies:
        state, reduce, stop = observe(STOPPER, state, -accuracy)
        state = PlateauState(**json.loads(json.dumps(asdict(state))))
        if stop:
            assert state.stopped
            return [*rates, None]
        rate = rate / 10 if reduce else rate
        rates.append(rate)
    return rates


@given(st.lists(st.integers(0, 40).map(lambda n: 0.5 + n / 2000), max_size=60))
@settings(max_examples=100, deadline=None)
def test_rates_follow_the_published_stopper(accuracies):
    expected = published_stopper(accuracies)
    found = observed(accuracies)
    assert [r is None for r in found] == [r is None for r in expected]
    assert_allclose(
        [r for r in found if r is not None], [r for r in expected if r is not None], rtol=1e-9
    )


def test_a_constant_accuracy_ends_after_eighteen_validations():
    rates = observed([0.9] * 40)
    assert len(rates) == 18 and rates[-1] is None
    assert [round(-np.log10(r)) for r in rates[:-1]] == [4] * 5 + [5] * 6 + [6] * 6


def test_the_ordinary_plateau_rule_is_not_changed_by_restarts():
    rule, state = Plateau("x", 0.5, patience=1, threshold=0.0, stop_after=4), PlateauState()
    seen = []
    for value in (1.0, 1.0, 1.0, 1.0, 1.0):
        state, reduce, stop = observe(rule, state, value)
        seen.append((reduce, stop))
    assert seen == [(False, False), (False, False), (True, False), (False, False), (True, True)]


# --- training -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts():
    def source(n, exponent, seed):
        # The last one is black, and of no use.
        images = textures(n, exponent, seed)
        return ArraySource(image=np.concatenate([images, 0 * images[:1]]))

    return part(
        (source(64, 1.5, 0), source(60, 1.5, 1)),
        (source(48, 0.3, 2), source(60, 0.3, 3)),
        split="x",
    )


def test_flat_images_are_left_out_of_every_part(parts):
    assert [len(images) for images in parts.train] == [64, 48]
    assert sum(len(images) for images in (parts.validation[0], parts.calibration)) == 40
    for name, count in (("real", 65), ("generated", 49), ("real, held out", 61)):
        found = parts.left_out["left_out"][name]
        assert found["images"] == count and found["flat"]["count"] == 1
        assert found["flat"]["first"] == [f"example {count - 1}"]


def test_groups_stay_with_the_images_of_their_parts_where_flat_ones_are_left_out():
    images = textures(60, 1.0, 0)
    images[3] = 7
    source, groups = ArraySource(image=images), np.arange(60)
    made = part_by_groups(source, source, (groups, 100 + groups), split="")
    assert sum(map(len, (made.train[0], made.validation[0], made.calibration))) + 5 == 59
    for kept, of in ((made.calibration, made.groups[0]), (made.measurement[0], made.groups[1][0])):
        for row, group in enumerate(of):
            assert_array_equal(kept[row]["image"], images[group])
    # A crop may be flat where the image is not.
    images[5, 4:-4, 4:-4] = 0
    small = part_by_groups(
        source, source, (groups, 100 + groups), split="", preprocessing=Preprocessing(crop=4)
    )
    assert small.left_out["left_out"]["real"]["flat"]["first"] == ["example 3", "example 5"]


def test_a_flat_image_has_no_score_whatever_its_company(trained):
    detector, _ = trained
    images = textures(4, 1.0, 7)
    flat = np.full_like(images[0], 90)
    scores = detector.score([images[0], flat, images[1][:24], flat[:24]])
    assert_array_equal(np.isnan(scores), [False, True, False, True])
    # What was left out of its fit stands in its file, and is not compared when a run goes on.
    assert detector.facts["left_out"]["generated"]["images"] == 49


CONFIG = DetectorConfig(
    "tiny", augment=("blur", "grayscale"), probability=0.2, batch_size=16, learning_rate=1e-2,
    epoch=12, encoders=("pillow",),
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(parts, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", tiny)
        return train_detector(
            parts, CONFIG, run, steps=48, facts={"real": "r"}, progress=False
        ), run


def test_the_loss_is_the_cross_entropy_of_one_logit(variables, rng):
    update = detector_update(tiny())
    assert update.trains == (NETWORK,) and update.repeats == 1
    image = rng.uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)
    label = np.array([0, 1, 1, 0])
    params, stats = variables["params"], {"batch_stats": variables["batch_stats"]}
    batch = {"image": image, "label": label}
    loss, aux = jax.jit(update.loss)(
        {NETWORK: params}, {}, {NETWORK: stats}, batch, jax.random.key(0), 0
    )
    apply = jax.jit(lambda v, x: tiny().apply(v, x, train=True, mutable=["batch_stats"]))
    logits, moved = apply(variables, imagenet.normalise(jnp.asarray(0.5 * image + 0.5)))
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)[:, 0]))
    expected = -np.mean(np.where(label == 1, np.log(p), np.log(1 - p)))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-5), dict(moved), aux.stats[NETWORK])
    assert float(aux.metrics["accuracy"]) == np.mean((p > 0.5) == (label == 1))


def test_pixels_are_normalised_as_imagenets_are():
    """By the numbers that the bodies of published detectors were trained with, red first."""
    pixels = np.array([[[[255, 0, 51]]]], np.uint8)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    assert_allclose(preprocess(pixels)[0, 0, 0], expected, rtol=1e-6)


def test_pixels_of_files_and_of_batches_are_normalised_alike(rng):
    pixels = rng.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    inside = jnp.asarray(pixels, jnp.float32) / 127.5 - 1
    assert_allclose(preprocess(pixels), imagenet.normalise(0.5 * inside + 0.5), atol=1e-5)


def test_training_tells_the_classes_apart_and_keeps_the_best_checkpoint(trained):
    detector, run = trained
    real, fake = (detector.score(textures(100, e, 50 + i)) for i, e in enumerate((1.5, 0.3)))
    assert np.mean(fake > np.median(real)) > 0.9
    lines = [line for line in read_metrics(run / "metrics.jsonl") if METRIC in line]
    assert [line["step"] for line in lines] == [12, 24, 36, 48]
    best = max(lines, key=lambda line: line["validation/accuracy"])
    assert detector.facts["validation"]["validation/accuracy"] == best["validation/accuracy"]
    assert detector.facts["step"] in [
        line["step"] for line in lines if line[METRIC] == best[METRIC]
    ]
    assert detector.facts["real"] == "r" and detector.facts["split"] == "x"


def test_the_threshold_is_set_on_images_that_trained_nothing(trained, parts):
    detector, _ = trained
    facts = detector.calibration
    assert (facts.n_real, facts.n_fake) == (64, 48)
    assert (facts.n_calibration, facts.target, facts.groups) == (20, 0.05, None)
    images = np.stack([parts.calibration[i]["image"] for i in range(20)])
    scores = detector.score(images)
    assert detector.threshold == calibrated_threshold(scores, false_alarms=0.05)
    plain = facts.as_they_are
    images = [np.stack([s[i]["image"] for i in range(len(s))]) for s in parts.measurement]
    for rate, scores in zip(rates_of(plain), map(detector.score, images), strict=True):
        assert (rate.events, rate.n) == ((scores > detector.threshold).sum(), len(scores))
    assert [found.carrier for found in facts.measured] == [*("none", *CARRIERS), "web", "hard"]
    both = (*parts.train, *parts.validation, parts.calibration, *parts.measurement)
    every = [source[i]["image"].tobytes() for source in both for i in range(len(source))]
    assert len(set(every)) == len(every) == 64 + 48 + 60 + 60


def test_a_finished_run_is_loaded_and_not_trained_again(trained, parts, monkeypatch):
    detector, run = trained
    monkeypatch.setattr(neural_training, "EPOCHS", 0)
    again = train_detector(
        parts, CONFIG, run, steps=48, facts={"real": "r"}, resume=True, progress=False
    )
    jax.tree.map(assert_array_equal, again.variables, detector.variables)
    assert again.threshold == detector.threshold


def test_no_steps_calibrate_the_weights_as_they_are(parts, tmp_path):
    reference = [textures(20, exponent, seed) for exponent, seed in ((1.5, 8), (0.3, 9))]
    parts = parts._replace(
        reference=tuple(ArraySource(image=images) for images in reference),
        reference_groups=(np.arange(20), np.arange(20) // 2),
    )
    detector = train_detector(parts, CONFIG, tmp_path / "run", steps=0, progress=False)
    params, stats = initial_variables(CONFIG)
    jax.tree.map(assert_array_equal, detector.variables, {"params": params, **stats})
    assert detector.facts["step"] == 0
    clean, tier = detector.calibrators["clean"], detector.calibration.tiers[0]
    assert_allclose(clean.real_scores, detector.score(reference[0]), rtol=1e-5, atol=1e-6)
    assert set(clean.real_weights) == {1.0} and set(clean.fake_weights) == {0.5}
    assert (tier.n_real, tier.n_fake, tier.measured_fake) == (20, 20, 30)
    # Those that calibrated and measured it: the others were of no use.
    assert detector.facts["generators"] == {"images in memory": 20 + 30}
    said = f"{detector.name}: trained on no image: its weights are"
    assert any(line.startswith(said) for line in sentences(detector))


def test_the_stopper_ends_training(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(neural_training, "_validation", lambda *a: lambda state: {METRIC: -0.5})
    config = replace(CONFIG, augment=(), epoch=1)
    run = tmp_path / "run"
    train_detector(parts, config, run, progress=False)
    assert read_metrics(run / "metrics.jsonl")[-1]["step"] == 18
    train_detector(parts, config, run, resume=True, progress=False)
    assert read_metrics(run / "metrics.jsonl")[-1]["step"] == 18


def test_real_images_come_first_and_gray_ones_get_three_channels(rng):
    real = ArraySource(image=rng.integers(0, 256, (2, 4, 4, 1), dtype=np.uint8))
    fake = ArraySource(image=rng.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8))
    both = RealAndFake(real, fake)
    assert [int(both[i]["label"]) for i in range(len(both))] == [0, 0, 1, 1, 1]
    assert_array_equal(both[1]["image"], np.repeat(real[1]["image"], 3, -1))
    assert_array_equal(both[4]["image"], fake[2]["image"])


def test_augmentations_are_those_that_are_named():
    config = DetectorConfig(augment=("jpeg", "grayscale"), probability=0.1, encoders=("pillow",))
    made = config.augmentation
    assert (made.blur, made.jpeg, made.grayscale, made.flip) == (0, 0.1, 0.5, 0.5)
    with pytest.raises(ValueError, match=r"unknown augmentations \['noise'\]"):
        _ = replace(config, augment=("noise",)).augmentation


def test_too_few_images_are_refused_before_training(parts, tmp_path):
    few = ArraySource(image=textures(30, 1.0, 0))
    with pytest.raises(ValueError, match="10 real images .* too few: 0.05 false alarms need 19"):
        train_detector(part((few, few), (few, few), split=""), CONFIG, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    one = ArraySource(image=textures(1, 1.0, 0))
    with pytest.raises(ValueError, match="1 held-out generated images"):
        part((few, few), (few, one), split="")


def published_file(variables, path, logits):
    """The same arrays under PyTorch's names and in its layout, with so many logits."""
    state = {}
    for name, array in flatten_dict(variables, sep="/").items():
        *layer, leaf = name.split("/")[1:]
        if layer == ["fc"]:
            array = np.repeat(np.asarray(array), logits, -1)
        turned = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, (0,))
        leaf = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"
                }.get(leaf, leaf)  # fmt: skip
        state[".".join([*layer, leaf])] = np.transpose(array, turned)
    np.savez(path, **state)
    return str(path)


@pytest.mark.parametrize("logits", [1, 10])
def test_published_weights_are_read_and_a_last_layer_of_other_logits_is_made_anew(
    logits, variables, tmp_path, monkeypatch
):
    monkeypatch.setitem(ARCHITECTURES, "resnet50", tiny)
    weights = published_file(variables, tmp_path / "weights.npz", logits)
    params, stats = initial_variables(DetectorConfig("resnet50", weights=weights))
    same = jax.tree.map(np.array_equal, {"params": params, **stats}, variables)
    assert same["params"].pop("fc") == {"bias": logits == 1, "kernel": logits == 1}
    assert all(jax.tree.leaves(same))
    assert params["fc"]["bias"].shape == (1,)


def test_training_goes_on_from_the_body_of_another_classifier(
    parts, variables, tmp_path, monkeypatch
):
    monkeypatch.setitem(ARCHITECTURES, "resnet50", tiny)
    weights = published_file(variables, tmp_path / "weights.npz", 10)
    config = replace(CONFIG, arch="resnet50", weights=weights, augment=(), epoch=1)
    detector = train_detector(parts, config, tmp_path / "run", steps=1, progress=False)
    assert detector.facts["step"] == 1


def test_sgd_is_dampened_and_decays_the_weights():
    optimizer = neural_training.dampened_sgd(0.1)
    w, v = np.array([1.0, -2.0]), np.zeros(2)
    state = optimizer.init(jnp.asarray(w))
    for gradient in (np.array([0.5, 1.0]), np.array([-1.0, 0.0])):
        change, state = optimizer.update(jnp.asarray(gradient), state, jnp.asarray(w))
        v = 0.9 * v + 0.1 * (gradient + 1e-4 * w)
        assert_allclose(change, -0.1 * v, rtol=1e-5)
        w = w - 0.1 * v


@pytest.mark.parametrize("name", ["width", "crop", "epoch"])
def test_what_is_left_out_is_none_and_not_zero(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        replace(CONFIG, **{name: 0})


def test_there_are_published_weights_of_two_architectures_only(tmp_path):
    with pytest.raises(ValueError, match="no published weights of tiny"):
        initial_variables(replace(CONFIG, weights=str(tmp_path / "x.npz")))


def test_training_in_bfloat16_leaves_a_float32_detector(parts, tmp_path):
    config = replace(CONFIG, precision="bfloat16")
    detector = train_detector(parts, config, tmp_path / "run", steps=1, progress=False)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved[NETWORK]["precision"] == "bfloat16"
    assert detector.network.dtype is None
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(dict(detector.variables)))
    plain = train_detector(parts, CONFIG, tmp_path / "plain", steps=1, progress=False)
    moved = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max()), detector.variables, plain.variables
    )
    # Adam's first step is the rate, either way; statistics show the rounding.
    assert 0 < max(jax.tree.leaves(moved)) < 0.1


def test_an_unknown_precision_of_training_is_refused():
    with pytest.raises(ValueError, match="float32, tf32, bfloat16"):
        replace(CONFIG, precision="double")


def test_an_image_for_which_memory_does_not_suffice_is_refused_by_its_size(detector, monkeypatch):
    detector.check_shape((64, 64, 3))
    monkeypatch.setattr(canvases, "_LITTLE", 0)
    monkeypatch.setattr(canvases, "free_memory", lambda: 1000)
    with pytest.raises(ValueError, match="64x64 pixels take the network some .* crop or shrink"):
        detector.check_shape((64, 64, 3))
