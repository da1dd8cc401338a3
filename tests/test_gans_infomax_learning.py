"""What InfoMax is for: it tells diverse batches from collapsed ones, and drives these apart."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_forensics.gans import infomax_loss
from tests.tiny_gans import LATENT, Critics, Discriminator, Generator, passed, start

G, D, C = Generator(), Discriminator(), Critics()


def patterns(rng, classes, n):
    """Images of some of four patterns, with noise of half their height."""
    base = np.random.default_rng(1).choice([-0.8, 0.8], (4, 4, 4, 1))
    images = base[rng.choice(classes, n)] + 0.4 * rng.standard_normal((n, 4, 4, 1))
    return jnp.asarray(images, jnp.float32)


def infomax_of(beginning, params, images):
    of = beginning._replace(params={**beginning.params, **params})
    seen = passed(D, of, "discriminator", images)
    return infomax_loss(*passed(C, of, "critics", seen.local, seen.pooled))


@pytest.fixture(scope="module")
def tellers():
    """Discriminators and critics trained on InfoMax alone, from three seeds of the data."""
    beginning = start(G, D, C)
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(params, opt, images):
        gradients = jax.grad(lambda params: infomax_of(beginning, params, images))(params)
        changes, opt = optimizer.update(gradients, opt)
        return optax.apply_updates(params, changes), opt

    trained = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        params = {name: beginning.params[name] for name in ("discriminator", "critics")}
        opt = optimizer.init(params)
        for _ in range(800):
            params, opt = step(params, opt, patterns(rng, 4, 16))
        trained.append(params)
    return beginning, trained


def test_infomax_tells_diverse_batches_from_collapsed_ones(tellers):
    """Diverse < one class < one image, no less than chance. Margins: half of what is measured."""
    beginning, trained = tellers
    loss = jax.jit(lambda params, images: infomax_of(beginning, params, images))
    for params in trained:
        rng = np.random.default_rng(99)
        diverse, one_class, one_image = (
            np.mean([loss(params, draw()) for _ in range(16)])
            for draw in (
                lambda rng=rng: patterns(rng, 4, 16),
                lambda rng=rng: patterns(rng, [rng.integers(4)], 16),
                lambda rng=rng: patterns(rng, 4, 1).repeat(16, 0),
            )
        )
        assert diverse + 0.25 < one_class
        assert one_class + 0.04 < one_image
        assert one_image > np.log(1 + 15 * 4)


def test_infomax_drives_a_collapsed_generator_apart(tellers):
    """From images that are nearly all alike, against what hinge alone does of the same start."""
    beginning, (trained, *_) = tellers
    collapsed = jax.tree.map(lambda x: 0.05 * x, beginning.params["generator"])

    def images_of(params, key, n=16):
        of = beginning._replace(params={"generator": params})
        return passed(G, of, "generator", jax.random.normal(key, (n, LATENT)))

    def spread(params):
        return float(images_of(params, jax.random.key(99), 64).std(0).mean())

    def infomax(params, key):
        return infomax_of(beginning, trained, images_of(params, key))

    def hinge(params, key):
        of = beginning._replace(params=trained)
        return -passed(D, of, "discriminator", images_of(params, key)).logits.mean()

    spreads, losses = [], []
    for loss in (infomax, hinge):
        params, optimizer = collapsed, optax.adam(1e-2)
        opt = optimizer.init(params)

        @jax.jit
        def step(params, opt, key, loss=loss, optimizer=optimizer):
            value, gradients = jax.value_and_grad(loss)(params, key)
            changes, opt = optimizer.update(gradients, opt)
            return optax.apply_updates(params, changes), opt, value

        for i in range(100):
            params, opt, value = step(params, opt, jax.random.key(i))
        spreads.append(spread(params))
        losses.append(float(value))
    assert spreads[0] > 5 * spread(collapsed)
    assert spreads[0] > 1.3 * spreads[1]
    assert losses[0] < np.log(1 + 15 * 4) - 0.5
