"""The FID Inception network: against a slow oracle, a PyTorch twin, and TensorFlow's resizing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.nn.inception import InceptionV3, inception_input
from gan_forensics.nn.inception_layout import STAGES, kernel_shapes
from gan_forensics.nn.weights import from_torch
from tests import oracles_quality as oracles


@functools.cache
def state_dict():
    """Random weights by PyTorch's names, of a size that keeps activations of order one."""
    rng = np.random.default_rng(7)
    state = {}
    for path, (kh, kw, channels, features) in kernel_shapes():
        name = ".".join(path)
        kernel = (
            rng.standard_normal((features, channels, kh, kw)) * (2 / (kh * kw * channels)) ** 0.5
        )
        state[f"{name}.conv.weight"] = kernel
        state[f"{name}.bn.weight"] = rng.uniform(0.7, 1.3, features)
        state[f"{name}.bn.bias"] = rng.normal(0, 0.2, features)
        state[f"{name}.bn.running_mean"] = rng.normal(0, 0.2, features)
        state[f"{name}.bn.running_var"] = rng.uniform(0.5, 1.5, features)
        state[f"{name}.bn.num_batches_tracked"] = np.array(0)
    state["fc.weight"] = rng.standard_normal((1008, 2048)) * 0.02
    state["fc.bias"] = rng.standard_normal(1008)
    return {name: np.asarray(array, np.float32) for name, array in state.items()}


@functools.cache
def outputs():
    """Ours on images of 75x107, the smallest height, and an uneven width."""
    x = np.random.default_rng(3).uniform(-1, 1, (2, 75, 107, 3)).astype(np.float32)
    variables = from_torch("inception_v3_fid", state_dict())
    return x, jax.tree.map(np.asarray, jax.jit(InceptionV3().apply)(variables, x))


def assert_close(ours, theirs):
    for name, a, b in zip(("pool3", "logits", "logits_unbiased"), ours, theirs, strict=True):
        b = np.asarray(b)
        assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max(), err_msg=name)


def test_outputs_equal_the_slow_oracle():
    x, ours = outputs()
    assert ours.pool3.shape == (2, 2048) and ours.logits.shape == (2, 1008)
    assert ours.pool3.std() > 0.01
    assert_close(ours, oracles.inception(state_dict(), x.transpose(0, 3, 1, 2)))


def test_outputs_equal_the_pytorch_twin():
    torch = pytest.importorskip("torch")
    from tests.twins_torch import inception_twin

    x, ours = outputs()
    twin = inception_twin(state_dict())
    with torch.no_grad():
        theirs = twin(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    assert_close(ours, [array.numpy() for array in theirs])


def test_torch_fidelity_agrees_from_the_uint8_images_on(tmp_path):
    torch = pytest.importorskip("torch")
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    path = tmp_path / "weights.pth"
    torch.save({name: torch.from_numpy(a) for name, a in state_dict().items()}, path)
    names = ["2048", "logits_unbiased"]
    theirs = module.FeatureExtractorInceptionV3("x", names, feature_extractor_weights_path=path)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), np.uint8)
    pool3, unbiased = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    variables = from_torch("inception_v3_fid", state_dict())
    ours = jax.jit(InceptionV3().apply)(variables, inception_input(images))
    assert_allclose(ours.pool3, pool3, rtol=0, atol=1e-4 * np.abs(pool3.numpy()).max())
    assert_allclose(ours.logits_unbiased, unbiased, rtol=0, atol=1e-4 * unbiased.abs().max())


def test_the_unbiased_logits_lack_the_bias_alone():
    _, ours = outputs()
    bias = state_dict()["fc.bias"]
    assert_allclose(ours.logits - ours.logits_unbiased, np.stack([bias] * 2), rtol=0, atol=1e-5)


def test_the_table_has_the_published_number_of_weights():
    kernels = list(kernel_shapes())
    assert len(kernels) == 94
    weights = sum(int(np.prod(shape)) + 2 * shape[-1] for _, shape in kernels)
    # torchvision 27,161,264, less its auxiliary head of 3,326,696, with 8 classes more.
    assert weights + 2049 * 1008 == 27_161_264 - 3_326_696 + 8 * 2049


def test_variables_from_pytorch_are_those_that_the_network_asks_for():
    x = jax.ShapeDtypeStruct((1, 75, 75, 3), jnp.float32)
    asked = jax.eval_shape(InceptionV3().init, jax.random.key(0), x)
    given = from_torch("inception_v3_fid", state_dict())
    assert jax.tree.map(lambda a: a.shape, asked) == jax.tree.map(lambda a: a.shape, given)


def test_weights_of_another_network_are_refused_with_every_difference():
    state = dict(state_dict())
    del state["Mixed_7c.branch_pool.conv.weight"]
    state["fc.weight"] = np.zeros((1000, 2048), np.float32)
    state["AuxLogits.fc.bias"] = np.zeros(3)
    with pytest.raises(ValueError, match="inception_v3_fid") as error:
        from_torch("inception_v3_fid", state)
    said = str(error.value)
    assert "missing: Mixed_7c.branch_pool.conv.weight" in said
    assert "fc.weight is [1000, 2048], should be [1008, 2048]" in said
    assert "unknown: AuxLogits.fc.bias" in said


def test_images_of_another_kind_are_refused():
    net = InceptionV3()
    for shape in ((2, 74, 75, 3), (2, 75, 75, 1), (75, 75, 3)):
        with pytest.raises(ValueError, match="inception_input"):
            net.apply({}, jnp.zeros(shape))
    with pytest.raises(ValueError, match="to_uint8"):
        inception_input(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="unknown resize 'bicubic'"):
        inception_input(np.zeros((1, 8, 8, 3), np.uint8), resize="bicubic")  # pyright: ignore


@pytest.mark.parametrize("shape", [(32, 25), (310, 299), (1, 1)])
def test_the_resize_is_that_of_tensorflow_1(shape, rng):
    images = rng.integers(0, 256, (1, *shape, 3), np.uint8)
    ours = inception_input(images)
    theirs = oracles.resize_like_tensorflow_1(images[0].astype(np.float64), 299)
    assert ours.shape == (1, 299, 299, 3)
    # Places are float32: 1e-5 of a pixel, and a step of 255 levels between two.
    assert_allclose(ours[0], (theirs - 128) / 128, rtol=0, atol=1e-4)


def test_the_two_resizes_differ_and_both_keep_constants(rng):
    images = rng.integers(0, 256, (1, 8, 8, 3), np.uint8)
    half = inception_input(images, resize="pytorch-fid")
    assert np.abs(np.asarray(inception_input(images)) - np.asarray(half)).max() > 0.1
    # With half-pixel centres a corner is beyond the first centre, and takes its value.
    assert_allclose(half[0, 0, 0], images[0, 0, 0] / 127.5 - 1, rtol=0, atol=1e-6)
    flat = np.full((1, 8, 8, 3), 64, np.uint8)
    assert_allclose(inception_input(flat), np.full((1, 299, 299, 3), -0.5), rtol=0, atol=0)
    whole = inception_input(flat, resize="pytorch-fid")
    assert_allclose(whole, np.full((1, 299, 299, 3), 64 / 127.5 - 1), rtol=0, atol=1e-6)


def test_gray_images_count_as_rgb(rng):
    gray = rng.integers(0, 256, (1, 16, 16, 1), np.uint8)
    assert_allclose(
        inception_input(gray), inception_input(np.repeat(gray, 3, axis=-1)), rtol=0, atol=0
    )


@pytest.mark.slow
def test_bfloat16_stays_near_float32_and_returns_float32():
    x, exact = outputs()
    variables = from_torch("inception_v3_fid", state_dict())
    rough = jax.jit(InceptionV3(dtype=jnp.bfloat16).apply)(variables, x)
    assert rough.pool3.dtype == jnp.float32
    # Eight bits of mantissa through twenty layers of random weights.
    error = np.linalg.norm(rough.pool3 - exact.pool3) / np.linalg.norm(exact.pool3)
    assert error < 0.05


def test_every_stage_has_its_own_name():
    names = [stage.name for stage in STAGES if hasattr(stage, "name")]
    assert len(set(names)) == len(names) == 16
