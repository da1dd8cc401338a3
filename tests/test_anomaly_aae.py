"""The adversarial autoencoder: its three moves, its seeds, its prior; the plain GAN."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.anomaly import (
    AAEConfig,
    GANConfig,
    aae_learner,
    prior_fit,
    train_autoencoders,
    train_gans,
)
from gan_forensics.anomaly.aae import DECODER, DISCRIMINATOR, ENCODER, with_noise
from gan_forensics.anomaly.minibatches import row_order
from gan_forensics.anomaly.plain_gan import gan_learner
from gan_forensics.nn.mlp import MLP, init_mlp, map_rows
from gan_forensics.train import Cadence, fit, init_state, load_state, make_step, read_config
from gan_forensics.train.loop import NonFiniteLossError
from gan_forensics.train.seeds import train_seeds

TINY = AAEConfig(5, hidden=(8, 8), learning_rate=1e-3, epsilon=1e-8, batch=16, joined=False)


def chain(params, x, last=lambda x: x):
    """A perceptron by hand."""
    layers = [params[f"Dense_{i}"] for i in range(len(params))]
    for i, layer in enumerate(layers):
        x = x @ layer["kernel"] + layer["bias"].reshape(1, -1)
        x = jnp.where(x > 0, x, 0) if i < len(layers) - 1 else last(x)
    return x


def bce(logits, target):
    p = 1 / (1 + jnp.exp(-logits))
    return -(target * jnp.log(p) + (1 - target) * jnp.log(1 - p)).mean()


def rows(rng, n=16, d=5):
    return rng.uniform(size=(n, d))


def initial(config):
    return aae_learner(config).init(0)[0]


def double(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def plain_step(params, opts, x, z):
    """A step as the paper states it, with three Adams."""
    adam = optax.adam(1e-3, eps=1e-8)

    def rec(p):
        made = chain(p[DECODER], chain(p[ENCODER], x), lambda v: 1 / (1 + jnp.exp(-v)))
        return ((made - x) ** 2).mean()

    def dis(q, codes):
        return bce(chain(q, z), 1) + bce(chain(q, codes), 0)

    def enc(e, q):
        return bce(chain(q, chain(e, x)), 1)

    def move(loss, chosen, opt, *fixed):
        value, gradient = jax.value_and_grad(loss)(chosen, *fixed)
        change, opt = adam.update(gradient, opt, chosen)
        return value, optax.apply_updates(chosen, change), opt

    first, moved, o1 = move(rec, {k: params[k] for k in (ENCODER, DECODER)}, opts[0])
    codes = chain(moved[ENCODER], x)
    second, q, o2 = move(dis, params[DISCRIMINATOR], opts[1], codes)
    third, e, o3 = move(enc, moved[ENCODER], opts[2], q)
    params = {ENCODER: e, DECODER: moved[DECODER], DISCRIMINATOR: q}
    return (first, second, third), params, (o1, o2, o3)


def test_three_steps_equal_three_adams_written_out_in_float64(rng, getkey):
    with jax.enable_x64(True):
        params = double(initial(TINY))
        updates = aae_learner(TINY).updates
        state, step = init_state(updates, params, {}), jax.jit(make_step(updates))
        trained = [{k: params[k] for k in (ENCODER, DECODER)}, params[DISCRIMINATOR]]
        trained.append(params[ENCODER])
        opts = tuple(optax.adam(1e-3, eps=1e-8).init(part) for part in trained)
        oracle = jax.jit(plain_step)
        for _ in range(3):
            x, z = jnp.asarray(rows(rng)), jnp.asarray(10 * rng.standard_normal((16, 2)))
            state, metrics = step(state, {"x": x[None], "prior": z[None]}, getkey())
            losses, params, opts = oracle(params, opts, x, z)
            names = ("reconstruction", "discriminator", "encoder")
            ours = [metrics[f"{name}/loss"] for name in names]
            assert_allclose(ours, losses, rtol=1e-12, atol=0)
            for ours, theirs in zip(
                jax.tree.leaves(state.params), jax.tree.leaves(params), strict=True
            ):
                assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_move_leaves_the_other_networks_alone(index, rng, getkey):
    update = aae_learner(TINY).updates[index]
    params = initial(TINY)
    batch = {"x": jnp.asarray(rows(rng), jnp.float32), "prior": 10 * jnp.ones((16, 2))}
    state = init_state((update,), params, {})
    step = jax.jit(make_step((update,)))
    state, _ = step(state, jax.tree.map(lambda x: x[None], batch), getkey())
    moved = {
        name
        for name in params
        if any(
            (a != b).any()
            for a, b in zip(
                jax.tree.leaves(params[name]), jax.tree.leaves(state.params[name]), strict=True
            )
        )
    }
    assert moved == [{ENCODER, DECODER}, {DISCRIMINATOR}, {ENCODER}][index]


def test_a_discriminator_without_an_opinion_pays_two_ln_two_and_the_encoder_ln_two(rng, getkey):
    params = initial(TINY)
    params[DISCRIMINATOR] = jax.tree.map(jnp.zeros_like, params[DISCRIMINATOR])
    batch = {"x": jnp.asarray(rows(rng), jnp.float32), "prior": jnp.ones((16, 2))}
    _, dis, enc = aae_learner(TINY).updates
    assert_allclose(dis.loss(params, params, {}, batch, None, 0)[0], 2 * math.log(2), rtol=1e-6)
    assert_allclose(enc.loss(params, params, {}, batch, None, 0)[0], math.log(2), rtol=1e-6)


def test_the_joined_form_moves_twice_and_its_halves_make_half_the_sum(rng, getkey):
    from dataclasses import replace

    config = replace(TINY, joined=True)
    move, params = aae_learner(config).updates[1], initial(config)
    batch = with_noise(config, {"x": np.float32(rows(rng))[None]}, rng)
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), batch)
    assert move.repeats == 2
    assert_array_equal(np.sort(batch["half"].reshape(-1)), np.arange(32))
    assert_array_equal(batch["prior"][0], batch["prior"][1])
    losses = []
    for half in (0, 1):
        one = jax.tree.map(lambda leaf, half=half: leaf[half], batch)
        value, aux = move.loss(params, params, {}, one, None, 0)
        losses.append(value)
    # Both halves together are all 2b rows: their mean is half the sum of the two means.
    assert_allclose(np.mean(losses), aux.metrics["both"] / 2, rtol=1e-5, atol=0)


def test_the_labelled_prior_puts_anomalies_on_their_sphere(rng):
    from dataclasses import replace

    config = replace(TINY, labelled=True, prior_scale=5.0)
    table = {"x": np.zeros((1, 8000, 5)), "label": np.repeat([1.0, 0.0], 4000)[None]}
    z = with_noise(config, table, rng)["prior"][0, 0]
    assert_allclose(np.linalg.norm(z[4000:], axis=1), 100, rtol=1e-5, atol=0)
    assert_allclose(z[:4000].std(0), 5, rtol=0.05, atol=0)
    assert initial(config)[DISCRIMINATOR]["Dense_0"]["kernel"].shape == (3, 8)


def test_the_label_reaches_the_discriminator(rng, getkey):
    from dataclasses import replace

    config = replace(TINY, labelled=True)
    params = initial(config)
    batch = {"x": jnp.asarray(rows(rng), jnp.float32), "prior": jnp.ones((16, 2))}
    loss = aae_learner(config).updates[2].loss
    values = [
        float(loss(params, params, {}, {**batch, "label": jnp.full(16, y)}, None, 0)[0])
        for y in (0.0, 1.0)
    ]
    assert values[0] != values[1]


def test_the_order_of_rows_wraps_and_shuffles_every_epoch():
    assert_array_equal(
        row_order(5, batch=3, steps=3, rng=None, order="sequential"),
        [[0, 1, 2], [3, 4, 0], [0, 1, 2]],
    )
    shuffled = row_order(70, batch=10, steps=14, rng=np.random.default_rng(1))
    for epoch in (shuffled[:7], shuffled[7:]):
        assert_array_equal(np.sort(epoch.reshape(-1)), np.arange(70))
    assert (shuffled[:7] != shuffled[7:]).any()
    assert_array_equal(row_order(3, batch=8, steps=1, rng=None, order="sequential")[0][:7] % 3,
                       [0, 1, 2, 0, 1, 2, 0])  # fmt: skip


def test_seeds_trained_together_equal_a_seed_trained_alone(rng):
    x = rows(rng, 40)
    alone = train_autoencoders(TINY, x, seeds=[3], steps=20)[0]
    together = train_autoencoders(TINY, x, seeds=[2, 3], steps=20)
    assert_allclose(together[1].encode(x), alone.encode(x), rtol=1e-3, atol=1e-4)
    assert np.abs(together[0].encode(x) - alone.encode(x)).max() > 1e-2
    again = train_autoencoders(TINY, x, seeds=[3], steps=20)[0]
    assert_array_equal(again.encode(x), alone.encode(x))
    assert all(values.shape == (20,) for values in alone.history.values())
    assert {"reconstruction/loss", "discriminator/both"} <= set(alone.history)


class Rows:
    """Endless minibatches for an autoencoder; batch i depends on i alone."""

    def __init__(self):
        self.next = 0

    def __next__(self):
        self.next += 1
        drawn = {"x": rows(np.random.default_rng(self.next))[None].astype(np.float32)}
        drawn = with_noise(TINY, drawn, np.random.default_rng((1, self.next)))
        return {name: leaf[0, 0] for name, leaf in drawn.items()}

    def state(self):
        return self.next

    def restore(self, state):
        self.next = state


def test_an_autoencoder_can_be_trained_into_a_run_folder_and_read_from_it(tmp_path):
    run = {"run": tmp_path, "seed": 3, "progress": False}
    fit(aae_learner(TINY), Rows(), cadence=Cadence(2), **run)
    state = fit(aae_learner(TINY), Rows(), cadence=Cadence(4), resume=True, **run)
    config = AAEConfig(**read_config(tmp_path, "autoencoder"))
    assert config == TINY
    loaded = load_state(tmp_path, aae_learner(config))
    jax.tree.map(assert_array_equal, loaded, state)
    ((alone, _),) = train_seeds(aae_learner(TINY), lambda seed: Rows(), seeds=[3], steps=4)
    for ours, theirs in zip(
        jax.tree.leaves(alone.params), jax.tree.leaves(state.params), strict=True
    ):
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_training_matches_the_prior_and_reconstructs(rng):
    config = AAEConfig(3, hidden=(24, 24), learning_rate=2e-3, joined=False, batch=64)
    plane = rng.uniform(size=(300, 2))
    x = np.column_stack([plane, plane.mean(1)])
    (coder,) = train_autoencoders(config, x, seeds=[0], steps=1500)
    assert np.square(coder.decode(coder.encode(x)) - x).mean() < 0.2 * x.var()
    fit = prior_fit(coder.encode(x), scale=10.0, losses=coder.history["discriminator/both"])
    assert fit.centre < 0.5 and 0.5 < min(fit.spread) and max(fit.spread) < 1.5
    assert 1.2 < fit.loss < 1.5
    made = coder.decode(100 * rng.standard_normal((50, 2)))
    assert made.min() >= 0 and made.max() <= 1


def test_bad_rows_and_configs_are_refused(rng):
    x = rows(rng)
    with pytest.raises(ValueError, match="NaN"):
        train_autoencoders(TINY, np.where(x > 0.9, np.nan, x), seeds=[0], steps=1)
    with pytest.raises(ValueError, match="sigmoid"):
        train_autoencoders(TINY, x * 3, seeds=[0], steps=1)
    with pytest.raises(ValueError, match="rows must be"):
        train_autoencoders(TINY, x[:, :4], seeds=[0], steps=1)
    with pytest.raises(ValueError, match="belong together"):
        train_autoencoders(TINY, x, seeds=[0], steps=1, labels=np.ones(16))
    with pytest.raises(ValueError, match="a seed"):
        train_autoencoders(TINY, x, seeds=[], steps=1)
    with pytest.raises(ValueError, match="1 or more"):
        AAEConfig(0)
    with pytest.raises(ValueError, match="> 0"):
        AAEConfig(3, prior_scale=0.0)


def test_a_diverging_run_names_step_and_seed(rng):
    from dataclasses import replace

    wild = replace(TINY, learning_rate=1e30, output="linear")
    with pytest.raises(NonFiniteLossError, match="step . of seed 7"):
        train_autoencoders(wild, rows(rng), seeds=[7], steps=20)


# --- the prior's fit, the perceptron, the plain GAN -----------------------------------------------


def test_codes_of_the_prior_match_it_and_others_do_not(rng):
    z = 10 * rng.standard_normal((20_000, 3))
    fit = prior_fit(z, scale=10.0, losses=np.full(50, 2 * math.log(2)))
    assert fit.matches and fit.ks < 0.02
    assert_allclose(fit.tails[0.9], 0.1, rtol=0, atol=0.01)
    lengths = np.linalg.norm(z, axis=1) / 10
    levels, steps = scipy.stats.chi.cdf(np.sort(lengths), 3), np.arange(20_001) / 20_000
    gap = max((steps[1:] - levels).max(), (levels - steps[:-1]).max())
    assert_allclose(fit.ks, gap, rtol=1e-12, atol=0)
    assert not prior_fit(z + [5, 0, 0], scale=10.0).matches
    assert not prior_fit(z * [0.5, 1, 1], scale=10.0).matches
    assert not prior_fit(z, scale=10.0, losses=np.full(50, 0.96)).matches


def test_narrow_kernels_are_a_cut_normal_law():
    rng = np.random.default_rng(0)
    kernel = init_mlp(MLP((400,), 400), 400, rng=rng, start="normal")["Dense_1"]["kernel"]
    assert np.abs(kernel).max() <= 0.02
    law = scipy.stats.truncnorm(-2, 2, scale=0.01)
    assert_allclose(kernel.std(), law.std(), rtol=0.02, atol=0)
    wide = init_mlp(MLP((400,), 400), 200, rng=rng)["Dense_0"]["kernel"]
    assert_allclose([np.abs(wide).max(), wide.std()], [0.1, 0.1 / 3**0.5], rtol=0.01, atol=0)


def test_rows_are_mapped_in_chunks_of_any_number(monkeypatch):
    import gan_forensics.nn.mlp as module

    network = MLP((4,), 3)
    rng = np.random.default_rng(0)
    params = init_mlp(network, 2, rng=rng)
    x = rng.standard_normal((11, 2))
    whole = map_rows(network, params, x)
    monkeypatch.setattr(module, "CHUNK", 4)
    assert_allclose(map_rows(network, params, x), whole, rtol=1e-5, atol=1e-6)
    assert map_rows(network, params, x[:0]).shape == (0, 3)
    assert_allclose(whole, chain(params, x), rtol=1e-4, atol=1e-5)


def test_the_moves_of_a_plain_gan_have_noise_of_their_own(rng):
    learner = gan_learner(GANConfig(2, latent=3, hidden=(8,)))
    params = learner.start(0).params
    x, noise = rng.uniform(size=(5, 2)), rng.standard_normal((5, 2, 3))

    def losses(noise):
        batch = {"x": np.float32(x), "noise": np.float32(noise)}
        return [float(u.loss(params, params, {}, batch, None, 0)[0]) for u in learner.updates]

    first, second = noise.copy(), noise.copy()
    first[:, 0] += 1
    second[:, 1] += 1
    (generator, discriminator) = losses(noise)
    assert losses(first)[0] != generator and losses(first)[1] == discriminator
    assert losses(second)[0] == generator and losses(second)[1] != discriminator


def test_a_plain_gan_learns_where_the_rows_are(rng):
    x = np.clip(rng.normal([0.2, 0.7], 0.05, (400, 2)), 0, 1)
    config = GANConfig(2, latent=4, hidden=(16, 16))
    (gan,) = train_gans(config, x, seeds=[0], steps=600)
    made = gan.sample(500, rng=np.random.default_rng(0))
    assert made.shape == (500, 2) and made.min() >= 0 and made.max() <= 1
    assert_allclose(made.mean(0), [0.2, 0.7], rtol=0, atol=0.1)
    assert_array_equal(made, gan.sample(500, rng=np.random.default_rng(0)))
