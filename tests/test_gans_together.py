"""Many sets of images in one pass of the discriminator, as if each had one of its own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans.context import Context, Draws
from gan_forensics.nn.heads import sow_trunk
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.spectral_norm import SNDense
from gan_forensics.runtime import data_mesh, replicated
from tests.tiny_gans import BATCH, CLASSES, SIDE, LogitsOnly


class Normed(nn.Module):
    """With batch norm, and the step of spectral norm beside it."""

    @nn.compact
    def __call__(self, x, *, train):
        x = BatchNorm(name="norm")(x, train=train)
        pooled = jnp.tanh(nn.Dense(4, name="pooled")(x.reshape(len(x), -1)))
        sow_trunk(self, pooled)
        return SNDense(1, name="logit")(pooled, train=train)[:, 0]


class Spectral(nn.Module):
    """With spectral norm alone, and classes."""

    @nn.compact
    def __call__(self, x, labels, *, train):
        pooled = jnp.tanh(SNDense(4, name="pooled")(x.reshape(len(x), -1), train=train))
        projection = (nn.Embed(CLASSES, 4, name="embed")(labels) * pooled).sum(-1)
        sow_trunk(self, pooled, projection)
        return SNDense(1, name="logit")(pooled, train=train)[:, 0] + projection


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def variables_of(network, rng, *inputs):
    """Parameters and statistics of any kind, none of which is at rest."""
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=True))
    drawn = jax.tree.map(lambda x: jnp.asarray(rng.uniform(0.5, 1.5, x.shape)), dict(shapes))
    return drawn.pop("params"), drawn


def context_of(network, params, stats):
    draws = Draws(jnp.zeros((BATCH, 1)))
    batch = {"image": jnp.zeros((BATCH, SIDE, SIDE, 1))}
    options = {"batch": batch, "draws": draws, "step": 0}
    own = {"discriminator": network}, {"discriminator": params}, {"discriminator": stats}
    return Context(*own, **options)


def sets_of(rng, count, labelled=False):
    images = [(k + 1) * rng.standard_normal((BATCH, SIDE, SIDE, 1)) - k for k in range(count)]
    labels = [rng.integers(0, CLASSES, BATCH) if labelled else None for _ in images]
    return [(jnp.asarray(x), y) for x, y in zip(images, labels, strict=True)]


def total(judged):
    """A number that looks at every output of every set, each in its own way."""
    return sum(
        (k + 1) * jnp.square(one["logits"]).mean() + one["trunk"].mean()
        for k, one in enumerate(judged)
    )


def outputs(judged, *more):
    return [{name: one[name] for name in ("logits", "trunk", *more)} for one in judged]


def test_batch_norm_takes_the_statistics_of_each_set_and_moves_by_their_mean(rng):
    network, sets = Normed(), sets_of(rng, 3)
    params, stats = variables_of(network, rng, sets[0][0])

    def together(params):
        context = context_of(network, params, stats)
        judged = context.together(sets)
        assert all(one.images is images for one, (images, _) in zip(judged, sets, strict=True))
        return total(judged), (outputs(judged), context.stats["discriminator"])

    def loop(params):
        judged, moved = [], []
        for images, _ in sets:
            context = context_of(network, params, stats)
            judged.append(context.discriminate(images, None))
            moved.append(context.stats["discriminator"])
        return total(judged), (outputs(judged), moved)

    @jax.jit
    def both(params):
        return [jax.value_and_grad(of, has_aux=True)(params) for of in (together, loop)]

    ((value, (judged, after)), slopes), ((expected, (each, moved)), by_loop) = both(params)
    assert_allclose(value, expected, rtol=1e-12)
    for a, b in zip(*map(jax.tree.leaves, (slopes, by_loop)), strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-12)
    for a, b in zip(*map(jax.tree.leaves, (judged, each)), strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-12)
    averages = after.pop("batch_stats")["norm"]
    for name, running in averages.items():
        expected = sum(one["batch_stats"]["norm"][name] for one in moved) / 3
        assert_allclose(running, expected, rtol=1e-12)
        assert np.abs(running - stats["batch_stats"]["norm"][name]).max() > 1e-2
    # One step of spectral norm, as every single pass makes it.
    (kept,) = after
    for a, b, old in zip(
        *map(jax.tree.leaves, (after[kept], moved[0][kept], stats[kept])), strict=True
    ):
        assert_allclose(a, b, rtol=0, atol=1e-12)
        assert np.abs(a - old).max() > 1e-3


def test_spectral_norm_takes_one_step_and_labels_stay_with_their_images(rng):
    network, sets = Spectral(), sets_of(rng, 3, labelled=True)
    params, stats = variables_of(network, rng, *(x[:2] for x in sets[0]))

    @jax.jit
    def judge(params, stats):
        def made(sets):
            context = context_of(network, params, stats)
            judged = context.together(sets)
            for one, (images, labels) in zip(judged, sets, strict=True):
                assert one.images is images and one.labels is labels
            return outputs(judged, "projection"), context.stats["discriminator"]

        return made(sets), made(sets[::-1]), [made([one]) for one in sets]

    (judged, moved), (again, _), alone = judge(params, stats)
    for one, other, (single, moved_alone) in zip(judged, again[::-1], alone, strict=True):
        for name, value in one.items():
            assert_allclose(value, single[0][name], rtol=0, atol=1e-12)
            # The order does not matter.
            assert_allclose(value, other[name], rtol=0, atol=1e-12)
        for a, b in zip(*map(jax.tree.leaves, (moved, moved_alone)), strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-12)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (moved, stats)), strict=True))


def test_the_trunk_of_a_network_within_another_is_its_own(rng):
    network, sets = LogitsOnly(), sets_of(rng, 2)
    params, stats = variables_of(network, rng, sets[0][0])
    stats = jax.tree.map(lambda x: jnp.zeros((), jnp.int32), stats)

    @jax.jit
    def judge(params):
        context = context_of(network, params, stats)
        judged = context.together(sets)
        assert not any("trunk" in one for one in judged)
        with pytest.raises(ValueError, match="output 'trunk', this one has only logits.*sow_trunk"):
            judged[0].features  # noqa: B018
        return [one["logits"] for one in judged], context.stats

    logits, after = judge(params)
    assert [len(one) for one in logits] == [BATCH] * 2
    # A pass that is made once is counted once.
    assert jax.tree.leaves(after) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("network", [Normed(), Spectral()])
def test_a_batch_over_many_devices_is_judged_as_one(network, rng):
    sets = sets_of(rng, 3, labelled=isinstance(network, Spectral))
    sets = [(x, None if y is None else jnp.asarray(y)) for x, y in sets]
    own = [x for x in sets[0] if x is not None]
    params, stats = variables_of(network, rng, *own)

    def together(params, stats, sets):
        def loss(params):
            context = context_of(network, params, stats)
            judged = context.together(sets)
            return total(judged), ([one["logits"] for one in judged], context.stats)

        return jax.value_and_grad(loss, has_aux=True)(params)

    expected = jax.jit(together)(params, stats, sets)
    mesh = data_mesh(jax.devices()[:8])
    split = jax.device_put(sets, NamedSharding(mesh, PartitionSpec("data")))
    everywhere = jax.device_put((params, stats), replicated(mesh))
    made = jax.jit(together)(*everywhere, split)
    for a, b in zip(*map(jax.tree.leaves, (made, expected)), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    (_, (logits, _)), _ = made
    assert not logits[0].sharding.is_fully_replicated
    assert_array_equal(len(logits), 3)
