"""Training of networks that attribute: what becomes of a batch, what is optimised, resuming."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource, to_float, to_uint8
from gan_forensics.forensics import attribution_networks as networks
from gan_forensics.forensics.attribution import fit_attributor
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_files import load_attributor
from gan_forensics.forensics.attribution_networks import NETWORKS
from gan_forensics.forensics.attribution_training import Mixtures
from gan_forensics.forensics.repmix import compound_loss, gated, mixed_cross_entropy
from gan_forensics.nn.attribution import Attribution, AttributionNetwork
from gan_forensics.nn.resnet import ResNet
from tests.attribution_toys import planted

PLAIN = {"perturbations": (), "flip": 0.0}


@pytest.fixture
def source():
    images = np.random.default_rng(0).integers(0, 256, (7, 10, 10, 3), np.uint8)
    return ArraySource(image=images, label=np.arange(7))


def batch_of(source, rows):
    return {"image": to_float(source.arrays["image"][rows]), "label": source.arrays["label"][rows]}


def mixed(mixtures, batch, rng):
    """A batch of one process."""
    drawn = mixtures.transform.draw(rng, np.arange(len(batch["label"])))
    return mixtures.transform.apply(batch, drawn)


def test_every_anchor_lies_beside_its_partners(source):
    made = Mixtures(source, AttributionConfig(**PLAIN), 10, images=3)
    batch = mixed(made, batch_of(source, [4, 2]), np.random.default_rng(0))
    assert batch["image"].shape == (6, 10, 10, 3) and batch["weight"].shape == (2, 3)
    assert_array_equal(batch["label"][:, 0], [4, 2])
    # Labels are those of the rows: image 3 i + n is the n-th of mixture i.
    expected = source.arrays["image"][batch["label"].reshape(-1)]
    assert_array_equal(to_uint8(batch["image"]), expected)
    again = mixed(made, batch_of(source, [4, 2]), np.random.default_rng(0))
    assert all(np.array_equal(batch[name], again[name]) for name in batch)


def test_partners_are_drawn_from_all_images(source):
    made = Mixtures(source, AttributionConfig(**PLAIN), 10, images=2)
    rng = np.random.default_rng(1)
    labels = np.concatenate(
        [mixed(made, batch_of(source, [3] * 7), rng)["label"] for _ in range(60)]
    )
    counts = np.bincount(labels[:, 1], minlength=7)
    assert counts.min() > 30 and counts.max() < 95  # 60 each; the anchor itself among them


def test_one_image_is_a_mixture_of_weight_one(source):
    made = Mixtures(source, AttributionConfig(**PLAIN), 10, images=1)
    batch = mixed(made, batch_of(source, [4, 2]), np.random.default_rng(0))
    assert_array_equal(batch["weight"], np.ones((2, 1)))
    assert_array_equal(batch["label"], [[4], [2]])


def test_images_are_mirrored_cut_and_perturbed_one_by_one(source):
    config = AttributionConfig(
        perturbations=("brightness",), perturb_probability=1.0, flip=1.0, crop_from=10
    )
    made = Mixtures(source, config, 8, images=1)
    batch = mixed(made, batch_of(source, [4]), np.random.default_rng(0))
    pixels, whole = to_uint8(batch["image"])[0], source.arrays["image"][4][:, ::-1]
    assert pixels.shape == (8, 8, 3)
    # The lowest level of brightness adds a tenth to the value: no crop of it is below the original.
    crops = [whole[t : t + 8, left : left + 8] for t in range(3) for left in range(3)]
    assert min(np.abs(np.argsort(crop.max(-1).ravel()) - np.argsort(crop.max(-1).ravel())).sum()
               for crop in crops) == 0  # fmt: skip
    assert any((pixels.max(-1) >= crop.max(-1)).all() for crop in crops)
    still = Mixtures(source, AttributionConfig(**{**PLAIN, "flip": 1.0}), 10, images=1)
    mirrored = to_uint8(mixed(still, batch_of(source, [4]), np.random.default_rng(0))["image"])[0]
    assert_array_equal(mirrored, whole)


def test_the_loss_and_the_logits_of_repmix_and_of_its_plain_network():
    rng = np.random.default_rng(0)
    said = Attribution(*(jnp.float32(rng.normal(size=(4, k))) for k in (5, 3, 2)))
    batch = {"label": jnp.array([[0, 1]] * 4), "weight": jnp.full((4, 2), 0.5)}
    row, choices = NETWORKS["repmix"], AttributionConfig().choices
    expected = compound_loss(said.sources, said.detection, batch["label"], batch["weight"], real=1)
    value, metrics = row.loss(said, batch, 1, choices)
    assert_allclose(value, expected.total, rtol=1e-6)
    assert_allclose(metrics["detection_loss"], expected.detection, rtol=1e-6)
    assert_allclose(
        row.outputs(said, 1, choices).logits, gated(said.sources, said.detection, real=1)
    )
    plain = AttributionConfig(compound=False).choices
    expected = mixed_cross_entropy(said.sources, batch["label"], batch["weight"])
    assert_allclose(row.loss(said, batch, 1, plain)[0], expected, rtol=1e-6)
    assert_array_equal(row.outputs(said, 1, plain).logits, said.sources)


def test_decay_goes_through_the_moments_of_all_parameters_or_spares_vectors():
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, -3.0)}
    gradient = jax.tree.map(jnp.zeros_like, params)
    steps = {}
    for name in ("adam", "sgd"):
        made = NETWORKS["repmix"].optimizer(0.1, 2, {"optimizer": name, "arch": "resnet50"})
        state = made.init(params)
        for _ in range(3):
            change, state = made.update(gradient, state, params)
            steps.setdefault(name, []).append(change)
    # Without a gradient Adam moves by its rate, in the direction of the decay, biases too.
    assert_allclose(steps["adam"][0]["kernel"], -0.1, rtol=1e-4)
    assert_allclose(steps["adam"][0]["bias"], 0.1, rtol=1e-4)
    # The rate falls by 0.85 at every epoch, here of two steps.
    assert_allclose(steps["adam"][2]["bias"] / steps["adam"][1]["bias"], 0.85, rtol=1e-3)
    assert_allclose(steps["sgd"][0]["kernel"], -0.1 * 5e-4 * 3, rtol=1e-5)
    assert_array_equal(steps["sgd"][0]["bias"], np.zeros(2))
    for arch, rate in (("resnet50", 1e-4), ("resnet_small", 1e-3)):
        own = NETWORKS["repmix"].optimizer(None, 2, {"optimizer": "adam", "arch": arch})
        change, _ = own.update(gradient, own.init(params), params)
        assert_allclose(optax.global_norm(change), rate * np.sqrt(6), rtol=1e-3)


def test_inputs_of_the_networks():
    levels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    images = networks.as_floats(levels)
    arrays = NETWORKS["dct-cnn"].prepare(ArraySource(image=levels))
    spectrum = np.asarray(NETWORKS["dct-cnn"].read(images, arrays))
    assert_allclose(spectrum.mean(0), 0, rtol=0, atol=2e-2)
    assert_allclose(spectrum.std(0), 1, rtol=0, atol=2e-2)
    read = np.asarray(NETWORKS["reverse-engineering"].read(images, {}))
    assert_allclose(read, (levels / 255 - 0.649) / 0.1269, rtol=0, atol=1e-5)
    assert_array_equal(NETWORKS["repmix"].read(images, {}), images)


def tiny(classes, side, settings):
    body = ResNet((1,), (4,), None, 3, 1, stem_pool=False)
    return AttributionNetwork(body, classes, embedding=8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "repmix", NETWORKS["repmix"]._replace(make=tiny))
        config = AttributionConfig(epochs=12, learning_rate=1e-2, batch_size=32, level=2, **PLAIN)
        data = planted(40, seed=0, side=8, strength=60), planted(20, seed=1, side=8, strength=60)
        return fit_attributor(*data, config, run=run, progress=False), run, config, data


@pytest.fixture
def repmix_is_tiny(monkeypatch):
    monkeypatch.setitem(NETWORKS, "repmix", NETWORKS["repmix"]._replace(make=tiny))


def test_repmix_learns_planted_patterns_and_comes_back_from_its_file(
    trained, repmix_is_tiny, tmp_path
):
    made, run, _, _ = trained
    test = planted(20, seed=2, side=8, strength=60)
    images = [test.source[i]["image"] for i in range(60)]
    outputs = made.outputs(images)
    assert outputs.features.shape == (60, 8) and outputs.logits.shape == (60, 3)
    assert (outputs.logits.argmax(1) == test.labels).mean() > 0.5  # 1/3 by chance
    made.save(tmp_path / "a.npz")
    again = load_attributor(tmp_path / "a.npz")
    assert_array_equal(again.outputs(images).logits, outputs.logits)
    # What is scored beside an image does not change its score.
    assert_allclose(made.outputs(images[:1]).logits, outputs.logits[:1], rtol=0, atol=1e-5)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["attributor/loss"] for line in lines if "attributor/loss" in line]
    assert losses[-1] < 0.9 * losses[0]
    parts = [n for n in lines[0] if n.startswith("attributor/")]
    assert {"attributor/attribution_loss", "attributor/detection_loss"} < set(parts)


def test_a_finished_run_is_taken_up_again(trained, repmix_is_tiny):
    made, run, config, data = trained
    again = fit_attributor(*data, config, run=run, resume=True, progress=False)
    for a, b in zip(
        jax.tree.leaves(made.model.arrays), jax.tree.leaves(again.model.arrays), strict=True
    ):
        assert_array_equal(a, b)
    assert again.temperature == made.temperature


def test_images_below_the_networks_minimum_are_refused_before_training():
    data = planted(4, seed=0, side=4), planted(20, seed=1, side=4)
    for method in ("repmix", "yu", "dct-cnn", "reverse-engineering"):
        with pytest.raises(ValueError, match="sides of at least 8|at least 8"):
            fit_attributor(*data, AttributionConfig(method=method, **PLAIN), progress=False)


@pytest.fixture(scope="module")
def dct_cnn():
    """Settings and arrays of a network for three sources, as a file has them."""
    network = NETWORKS["dct-cnn"].make(3, 8, {})
    inputs = {name: np.ones((8, 8, 3), np.float32) for name in ("mean", "std")}
    made = jax.eval_shape(lambda: networks.start(network, 0, 8))
    variables = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), made)
    model = networks.NeuralModel("dct-cnn", 3, 0, 8, {}, variables, inputs)
    return model.settings, model.arrays


def checked(settings, arrays):
    networks.check(settings, arrays, classes=3)
    return networks.assemble(settings, arrays, classes=3, real=0)


def test_a_network_comes_back_from_settings_and_arrays(dct_cnn):
    settings, arrays = dct_cnn
    model = checked(settings, arrays)
    assert model.settings == settings and model.arrays.keys() == arrays.keys()
    assert_array_equal(model.inputs["std"], np.ones((8, 8, 3)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "unheard"}, "unheard"),
        ({"method": 1}, "no valid 'method'"),
        ({"side": 0}, "no valid 'side': a whole number from 1 to 4096"),
        ({"side": 4097}, "no valid 'side'"),
        ({"side": True}, "no valid 'side'"),
        ({"side": 12}, "logits/kernel is float32"),
        ({"choices": []}, "no valid 'choices'"),
        ({"choices": {"width": 0}}, "no valid 'width': a whole number from 1 to 4096"),
        ({"choices": {"width": 4097}}, "no valid 'width'"),
    ],
)
def test_settings_of_a_network_that_do_not_fit_are_refused(dct_cnn, change, said):
    settings, arrays = dct_cnn
    with pytest.raises(ValueError, match=said):
        networks.check({**settings, **change}, arrays, classes=3)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("variables/params/logits/bias", None, "missing .*logits/bias"),
        ("variables/params/more", lambda a: np.zeros(1, np.float32), "unknown .*more"),
        ("variables/params/logits/bias", lambda a: a[:-1], "logits/bias is float32"),
        ("variables/params/logits/bias", lambda a: a.astype(np.float64), "is float64"),
        ("variables/params/logits/bias", lambda a: a * np.nan, "logits/bias .* not finite"),
        ("inputs/mean", lambda a: a * np.inf, "inputs/mean .* not finite"),
        ("inputs/mean", lambda a: a[:-1], "shapes"),
    ],
)
def test_arrays_of_a_network_that_do_not_fit_are_refused(dct_cnn, name, change, said):
    settings, arrays = dct_cnn
    arrays = {n: a for n, a in arrays.items() if n != name or change}
    if change:
        arrays[name] = change(arrays.get(name))
    with pytest.raises((ValueError, TypeError), match=said):
        checked(settings, arrays)


def test_inputs_that_a_network_lacks_are_missed_before_it_is_used(dct_cnn):
    settings, arrays = dct_cnn
    with pytest.raises(KeyError, match="mean"):
        checked(settings, {n: a for n, a in arrays.items() if n != "inputs/mean"})
