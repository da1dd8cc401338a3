import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate

from gan_forensics.forensics import reverse_engineering
from gan_forensics.nn.fingerprint_networks import (
    DctCnn,
    EqualisedConv,
    EqualisedDense,
    ReverseEngineering,
    YuClassifier,
)
from gan_forensics.nn.initial import initial_variables, shapes_of


def kernels(network):
    """Shapes of all kernels by the names of their layers."""
    image = jax.ShapeDtypeStruct((2, network.side, network.side, 3), jnp.float32)
    key = jax.random.key(0)
    variables = shapes_of(lambda x: network.init(key, x, train=False), image)
    layers = variables["params"].items()
    return {name: layer["kernel"].shape for name, layer in layers if "kernel" in layer}


def started(network, images, **options):
    variables = initial_variables(network, jax.random.key(1), images, train=False)
    return variables, jax.jit(network.apply, static_argnames="train")(
        variables, images, train=False, **options
    )


def test_the_published_side_has_the_published_layers():
    yu = kernels(YuClassifier(8, 128))
    widths = [shape[2:] for name, shape in yu.items() if name.startswith("level")]
    assert sorted(widths) == sorted(
        [(3, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256)]
        + [(256, 256), (256, 512)]
    )
    assert yu["last_conv"] == (3, 3, 512, 512) and yu["dense"] == (4 * 4 * 512, 512)
    assert yu["logits"] == (512, 8)
    assert kernels(ReverseEngineering(5, 128, width=4, depth=3))["dense"] == (65536, 512)
    dct = kernels(DctCnn(8, 128))
    assert [dct[f"conv_{i}"][2:] for i in range(4)] == [(3, 3), (3, 8), (8, 16), (16, 32)]
    assert dct["logits"] == (32 * 32 * 32, 8)


def test_smaller_sides_have_fewer_halvings():
    levels = {side: kernels(YuClassifier(8, side, width=64)) for side in (8, 31, 32, 48)}
    assert [sum("level" in name for name in levels[side]) for side in levels] == [2, 4, 6, 6]
    assert levels[48]["dense"] == (6 * 6 * 64, 64) and levels[31]["dense"] == (7 * 7 * 64, 64)
    assert levels[8]["level_1_0"] == (3, 3, 3, 32)
    deep = kernels(ReverseEngineering(8, 16, width=4))
    assert deep["conv_16"] == (3, 3, 4, 3) and "conv_17" not in deep


@pytest.mark.parametrize("network", [DctCnn(3, 10), YuClassifier(3, 10, width=8)])
def test_features_are_what_the_last_layer_reads(rng, network):
    images = rng.normal(size=(2, 10, 10, 3)).astype(np.float32)
    variables, given = started(network, images)
    last = variables["params"]["logits"]
    scale = 1 if isinstance(network, DctCnn) else len(last["kernel"]) ** -0.5
    logits = given.features @ (scale * last["kernel"]) + last["bias"][None]
    np.testing.assert_allclose(given.logits, logits, rtol=2e-5, atol=2e-5)
    with pytest.raises(ValueError, match=r"made for images \[b, 10, 10, 3\], got \[2, 9, 10, 3\]"):
        network.apply(variables, images[:, 1:], train=False)


@pytest.mark.parametrize("network", [DctCnn, YuClassifier, ReverseEngineering])
def test_images_below_the_smallest_side_are_refused(network):
    with pytest.raises(ValueError, match="sides of at least 8, not 7"):
        jax.eval_shape(
            lambda: network(2, 7).init(jax.random.key(0), jnp.zeros((1, 7, 7, 3)), train=False)
        )


def test_equalised_layers_scale_their_weights_when_used(rng):
    x = rng.normal(size=(1, 5, 6, 2)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 2, 1)).astype(np.float32)
    given = EqualisedConv(1).apply(
        {"params": {"kernel": kernel, "bias": np.array([0.5], np.float32)}}, x
    )
    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = correlate(padded, kernel[..., 0], "valid")[..., 0] * np.sqrt(2 / 18) + 0.5
    np.testing.assert_allclose(given[0, ..., 0], expected, atol=1e-5)  # pyright: ignore
    row = np.array([[1.0, 2.0]], np.float32)
    weights = {"kernel": np.ones((2, 1), np.float32), "bias": np.zeros(1, np.float32)}
    found = EqualisedDense(1).apply({"params": weights}, row)
    assert float(found[0, 0]) == pytest.approx(3.0)  # pyright: ignore


def test_reverse_engineering_drops_features_and_moves_statistics_in_training_alone(rng):
    network = ReverseEngineering(3, 8, 4, 3)
    images = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
    variables, tested = started(network, images)
    last = variables["params"]["scores"]
    logits = tested.features @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(tested.logits, 1 / (1 + np.exp(-logits)), rtol=2e-5)
    assert tested.residual.shape == images.shape

    @jax.jit
    def train(variables, key):
        rngs = {"dropout": key}
        return network.apply(variables, images, train=True, mutable=["batch_stats"], rngs=rngs)

    trained, moved = train(variables, jax.random.key(5))
    assert not np.allclose(trained.features, tested.features)
    assert np.abs(moved["batch_stats"]["norm_1"]["mean"]).max() > 0


@pytest.mark.parametrize(("side", "band"), [(16, None), (15, 4)])
def test_losses_are_their_formulas(rng, side, band):
    residual = rng.normal(size=(3, side, side, 3)) + 1  # Its largest frequency is a low one.
    scores, labels = rng.random((3, 5)), np.array([4, 0, 2])
    found = jax.jit(reverse_engineering.losses, static_argnames="band")(
        residual, scores, labels, band=band
    )
    gray = residual @ np.array([0.299, 0.587, 0.114])
    magnitude = np.abs(np.fft.fftshift(np.fft.fft2(gray), axes=(1, 2)))
    # Of 16: round(6.4) = 6 from 8 - 3 on. Of 15: 4 from 7 - 2 on.
    first, last = (5, 11) if band is None else (5, 9)
    low = magnitude[:, first:last, first:last]
    outside = [
        magnitude[:, y, x]
        for y in range(side)
        for x in range(side)
        if not (first <= y < last and first <= x < last)
    ]
    entropy = [np.log(np.exp(s).sum()) - s[y] for s, y in zip(scores, labels, strict=True)]
    expected = {
        "low": 0.05 * np.mean(low**2),
        "peak": -0.001 * np.max(outside),
        "gray": 0.01 * np.mean(gray**2),
        "cross_entropy": 10 * np.mean(entropy),
        "symmetry": 0.1 * np.mean((magnitude - magnitude.transpose(0, 2, 1)) ** 2),
    }
    expected["total"] = sum(expected.values())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-5), name


def test_bands_and_the_zero_residual():
    assert [reverse_engineering.low_band(side) for side in (8, 32, 64, 128, 224)] == [
        *(3, 13, 26, 51, 90)
    ]
    scores, labels = np.ones((2, 4), np.float32), np.array([0, 3])
    residual = np.zeros((2, 8, 8, 3), np.float32)
    value, slope = jax.jit(
        jax.value_and_grad(lambda x: reverse_engineering.losses(x, scores, labels)["total"])
    )(residual)
    assert float(value) == pytest.approx(10 * np.log(4), rel=1e-6)
    assert np.isfinite(slope).all()
    for shape, band in (((1, 8, 9, 3), None), ((1, 8, 8, 3), 8)):
        with pytest.raises(ValueError, match="square residuals and a band within them"):
            reverse_engineering.losses(np.zeros(shape), scores[:1], labels[:1], band=band)


def test_pixels_are_normalised_as_published():
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(3, -1)
    normalised = reverse_engineering.normalise(images)
    expected = [-0.649 / 0.1269, 0.351 / 0.1269]
    np.testing.assert_allclose(normalised[:, 0, 0, 1], expected, rtol=1e-6)
