"""The option `precision`: what it changes in the program of a step, and that training goes on."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.gans import GanConfig, build, generate, train_gan
from gan_forensics.runtime import products
from gan_forensics.train import Cadence, make_step, minibatches_per_step

DCGAN = GanConfig("dcgan", size=16, width=4, latent=8, batch_size=8)
SNGAN = GanConfig(
    "sngan", size=32, generator_width=8, discriminator_width=8, latent=8, batch_size=8, n_dis=1
)


def program(config):
    """A step as JAX sees it, its inputs, and the pure function."""
    gan = build(config)
    state = gan.learner.start(0)
    shape = (minibatches_per_step(gan.updates), 8, config.size, config.size, 3)
    batches = {"image": jnp.asarray(np.random.default_rng(0).uniform(-1, 1, shape), jnp.float32)}
    step = make_step(gan.updates)
    with products(config.precision):
        return str(jax.make_jaxpr(step)(state, batches, jax.random.key(0))), state, batches, step


@pytest.mark.parametrize("config", [DCGAN, SNGAN], ids=["dcgan", "sngan"])
@pytest.mark.parametrize(("precision", "named"), [("float32", "HIGHEST"), ("tf32", "HIGH")])
def test_all_products_of_a_step_are_of_the_precision(config, precision, named):
    text = program(replace(config, precision=precision))[0]
    found = set(re.findall(r"precision=(?:\(Precision\.)?(\w+)", text))
    # The fan-outs of XLA's own shape rules name none; products and convolutions all do.
    assert found == {named}
    assert "bf16" not in text


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(DCGAN, id="dcgan"),
        # Its residual networks compile for half a minute.
        pytest.param(SNGAN, id="sngan", marks=pytest.mark.slow),
    ],
)
def test_a_step_in_bfloat16_moves_float32_parameters_nearly_as_one_in_float32(config):
    moved = {}
    for precision in (None, "bfloat16"):
        text, state, batches, step = program(replace(config, precision=precision))
        assert ("bf16" in text) == (precision == "bfloat16")
        new, metrics = jax.jit(step)(state, batches, jax.random.key(0))
        for leaf in jax.tree.leaves((new.params, new.stats)):
            assert leaf.dtype == jnp.float32
        moved[precision] = {name: float(value) for name, value in metrics.items()}
    for name, value in moved[None].items():
        assert moved["bfloat16"][name] == pytest.approx(value, rel=0.2, abs=0.02), name


def test_the_precision_is_trained_with_stored_and_sampled_with(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.zeros((16, 16, 16, 3), np.uint8))
    config = replace(DCGAN, data=f"npz:{tmp_path / 'x.npz'}", precision="bfloat16")
    gan, state = train_gan(config, tmp_path / "run", Cadence(2), progress=False)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["gan"]["precision"] == "bfloat16"
    assert gan.generator.dtype == gan.discriminator.dtype == jnp.bfloat16
    assert generate(gan, state, 2, seed=0).shape == (2, 16, 16, 3)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="float32, tf32, bfloat16"):
        build(replace(DCGAN, precision="float16"))


def test_on_cpus_only_bfloat16_differs():
    if jax.default_backend() != "cpu":
        pytest.skip("other backends have such products")
    results = []
    for precision in (None, "float32", "tf32"):
        _, state, batches, step = program(replace(DCGAN, precision=precision))
        with products(precision):
            results.append(jax.jit(step)(state, batches, jax.random.key(0))[0].params)
    for other in results[1:]:
        jax.tree.map(np.testing.assert_array_equal, results[0], other)
