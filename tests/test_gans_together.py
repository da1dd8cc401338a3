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
from tests.tiny_gans import BATCH, CLASSES, SIDE, Discriminator, LogitsOnly, passes


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


def outputs(judged):
    return [{name: one[name] for name in ("logits", "trunk")} for one in judged]


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
    context = context_of(network, params, stats)
    judged = context.together(sets)
    for one, (images, labels) in zip(judged, sets, strict=True):
        alone = context_of(network, params, stats)
        other = alone.discriminate(images, labels)
        for name in ("logits", "trunk", "projection"):
            assert_allclose(one[name], other[name], rtol=0, atol=1e-12)
        assert one.images is images and one.labels is labels
        for a, b in zip(*map(jax.tree.leaves, (context.stats, alone.stats)), strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-12)
    moved = context.stats["discriminator"]
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (moved, stats)), strict=True))

    # The order does not matter.
    again = context_of(network, params, stats).together(sets[::-1])
    for one, other in zip(judged, again[::-1], strict=True):
        assert_allclose(one["logits"], other["logits"], rtol=0, atol=1e-12)


def test_passes_are_counted_once_and_the_trunk_of_a_network_within_another_is_its_own(rng):
    for network, known in ((Discriminator(), True), (LogitsOnly(), False)):
        sets = sets_of(rng, 2)
        params, stats = variables_of(network, rng, sets[0][0])
        stats = jax.tree.map(lambda x: jnp.zeros((), jnp.int32), stats)
        context = context_of(network, params, stats)
        judged = context.together(sets)
        assert [("trunk" in one) for one in judged] == [known] * 2
        counts = jax.tree.leaves(context.stats)
        assert counts == [1]
        # One set alone is one plain pass.
        (single,) = context.together(sets[:1])
        assert_allclose(single["logits"], judged[0]["logits"], rtol=0, atol=1e-12)
        assert jax.tree.leaves(context.stats) == [2]
    with pytest.raises(ValueError, match="output 'trunk', this one has only logits.*sow_trunk"):
        single.features  # noqa: B018
    assert passes({"d": {"passes": {"count": 2}}}) == {"d": 2}


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
