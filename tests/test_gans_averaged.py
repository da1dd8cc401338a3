"""The averaged generator: statistics of its own, and what is told of it."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.cli.evaluate import Evaluate
from gan_forensics.gans import Game, Gan, GanConfig, about_average, generate, interpolate
from gan_forensics.gans.averaged import PASSES, is_young, own_statistics, with_average
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.spectral_norm import SNDense
from gan_forensics.studies.benchmark import Run, _generated
from gan_forensics.train import TrainState
from tests.tiny_gans import Discriminator

LATENT = 3
KERNEL = np.random.default_rng(0).normal(size=(LATENT, 16)).astype(np.float32)


class Normed(nn.Module):
    """Noise to images of 4x4x1: a layer with spectral norm, and batch norm after it."""

    latent: int = LATENT

    @nn.compact
    def __call__(self, z, *, train):
        """Each pixel a channel of its own until the end."""
        x = SNDense(16, name="dense")(z, train=train)[:, None, None, :]
        x = BatchNorm(name="norm")(x, train=train)
        return jnp.tanh(x).reshape(-1, 4, 4, 1)


def made(**settings):
    """A GAN, and its state with an average of another kernel and bias."""
    gan = Gan(
        GanConfig("sngan", latent=LATENT, **settings), Game(Normed(), Discriminator(), (), ())
    )
    z = jax.ShapeDtypeStruct((2, LATENT), jnp.float32)
    first = initial_variables(gan.generator, jax.random.key(0), z, train=True)
    params, stats = first["params"], {k: v for k, v in first.items() if k != "params"}
    bias = np.linspace(-1, 1, 16, dtype=np.float32)
    average = {**params, "dense": {"kernel": 2 * KERNEL, "bias": bias}}
    state = TrainState(jnp.int32(9), {"generator": params}, {"generator": stats}, {}, {})
    return gan, dataclasses.replace(state, average={"generator": average})


def test_the_statistics_are_those_that_the_average_makes_of_noise():
    """z is N(0, I): W z + b with W of largest singular value 1 has mean b, variances |w|^2."""
    gan, state = made()
    settled = with_average(gan, state)
    stats = settled.stats["generator"]
    weight = KERNEL / np.linalg.svd(KERNEL, compute_uv=False)[0]
    norm = stats["batch_stats"]["norm"]
    assert_allclose(norm["mean"], state.average["generator"]["dense"]["bias"], atol=0.1)
    assert_allclose(norm["var"], (weight**2).sum(0), rtol=0.2)
    u = stats["spectral_norm"]["dense"]["u"]
    # The left vector of the average, which is not that of the weights that were trained last.
    assert_allclose(np.abs(np.linalg.svd(KERNEL.T)[0][:, 0] @ u), 1, rtol=1e-4)
    assert state.stats["generator"] is not stats
    assert_array_equal(state.stats["generator"]["batch_stats"]["norm"]["mean"], 0)


def test_a_settled_state_draws_as_the_one_that_it_is_of_and_keeps_no_average():
    gan, state = made()
    settled = with_average(gan, state)
    assert settled.average == {} and int(settled.step) == 9
    assert with_average(gan, settled) is settled
    assert_array_equal(generate(gan, state, 5, seed=1), generate(gan, settled, 5, seed=1))
    assert_array_equal(
        interpolate(gan, state, 1, 3, seed=1), interpolate(gan, settled, 1, 3, seed=1)
    )
    live = dataclasses.replace(state, average={})
    mixed = dataclasses.replace(live, params=state.average)
    for other in (live, mixed):
        assert (generate(gan, state, 5, seed=1) != generate(gan, other, 5, seed=1)).any()


def test_statistics_are_the_same_at_every_call_and_whatever_they_began_with():
    gan, state = made()
    params, stats = state.average["generator"], state.stats["generator"]
    once, again = own_statistics(gan, params, stats), own_statistics(gan, params, stats)
    jax.tree.map(assert_array_equal, once, again)
    # A thousandth of them is left.
    far = {**stats, "batch_stats": jax.tree.map(lambda x: x + 1.0, stats["batch_stats"])}
    gap = own_statistics(gan, params, far)["batch_stats"]["norm"]["mean"]
    gap -= once["batch_stats"]["norm"]["mean"]
    assert_allclose(gap, np.full(16, 0.9**PASSES), rtol=1e-2)
    assert 0.9**PASSES < 2e-3


def test_a_generator_without_statistics_needs_none():
    class Plain(nn.Module):
        latent: int = LATENT

        @nn.compact
        def __call__(self, z, *, train):
            return nn.Dense(16)(z).reshape(-1, 4, 4, 1)

    config = GanConfig("sngan", latent=LATENT)
    gan = Gan(config, Game(Plain(), Discriminator(), (), ()))
    params = gan.generator.init(jax.random.key(0), jnp.zeros((2, LATENT)), train=False)["params"]
    state = TrainState(
        jnp.int32(1), {"generator": {}}, {"generator": {}}, {}, {"generator": params}
    )
    settled = with_average(gan, state)
    assert settled.params["generator"] is params and settled.stats["generator"] == {}


def test_an_average_is_young_until_it_spans_its_steps():
    gan, _ = made(average=0.999)
    assert is_young(gan, 999) and not is_young(gan, 1000)
    long = "images are drawn with an average of the generator over about its last 1,000 steps"
    assert about_average(gan, 1000) == f"{long} (decay 0.999)"
    young = about_average(gan, 400)
    assert young and young.startswith(f"{long} (decay 0.999); after 400 steps it is young")
    assert "from step 1,000 on" in young
    assert about_average(made()[0], 400) is None and not is_young(made()[0], 400)


def test_what_is_judged_and_what_a_benchmark_holds_say_that_an_average_drew_it():
    gan, state = made(average=0.9)
    line = about_average(gan, 9)
    assert line and "young" in line
    command = SimpleNamespace(seed=3, draws=2, n=4)
    draws, said = Evaluate.drawn(command, Path("run"), gan, state)
    assert said == f"run, sngan, step 9, {line}"
    assert_array_equal(draws[1], generate(gan, state, 4, seed=4))
    place = Run("sngan", "all", "0", Path("run"))
    assert _generated(place, {"test": 4}, gan, state, 0).facts["average"] == line
    other = made()[0]
    assert Evaluate.drawn(command, Path("run"), other, state)[1] == "run, sngan, step 9"
    assert "average" not in _generated(place, {"test": 4}, other, state, 0).facts
