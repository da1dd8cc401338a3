"""Gradient matching: the three gaps, their second derivatives, and that any GAN may have them."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import sigmoid
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    METHODS,
    Draws,
    Game,
    GanConfig,
    Recipe,
    build,
    gradient_matching_task,
    taylor_coefficients,
    taylor_gaps,
)
from gan_forensics.nn.spectral_norm import SNDense
from gan_forensics.runtime import data_mesh
from gan_forensics.train import make_step
from tests.tiny_gans import BATCH, CLASSES, LATENT, Discriminator, Generator, passed, start

B, SHAPE, NOISE, HIDDEN = 5, (2, 3), 3, 4


def gaps(score, real, fake):
    return taylor_gaps(taylor_coefficients(score, real), taylor_coefficients(score, fake))


@pytest.fixture
def toy(rng):
    """Real samples, noise, and weights: D(x) = tanh(x W + b) v, G(z) = sigmoid(z W_g)."""
    size = SHAPE[0] * SHAPE[1]
    return {
        "x": rng.standard_normal((B, *SHAPE)),
        "z": rng.standard_normal((B, NOISE)),
        "W": rng.standard_normal((size, HIDDEN)),
        "b": rng.standard_normal(HIDDEN),
        "v": rng.standard_normal(HIDDEN),
        "Wg": rng.standard_normal((NOISE, size)),
    }


def logits(toy, x, *, normalised):
    """Of samples [b, size]; with `normalised` the hidden units are, over the batch."""
    h = jnp.tanh(x @ toy["W"] + toy["b"].reshape(1, -1))
    if normalised:
        h = h - h.mean(0, keepdims=True)
        h = h / (jnp.square(h).mean(0, keepdims=True) + 0.1) ** 0.5
    return h @ toy["v"]


def slow_coefficients(toy, x, of, normalised):
    """Mean score, slope, and slope times sample, from one number of one sample after the other."""

    def scores(x):
        h = np.tanh(x @ toy["W"] + toy["b"])
        if normalised:
            h = h - h.mean(0)
            h = h / ((h**2).mean(0) + 0.1) ** 0.5
        own = h @ toy["v"]
        return 1 / (1 + np.exp(-own)) if of == "score" else own

    n, size = x.shape
    slopes = np.zeros((n, size))
    for i in range(n):
        for j in range(size):
            moved = x.astype(complex)
            moved[i, j] += 1e-30j
            slopes[i, j] = scores(moved).sum().imag / 1e-30
    product = sum(slopes[i] @ x[i] for i in range(n)) / n
    return scores(x).mean(), slopes.mean(0), product


@pytest.mark.parametrize(
    ("of", "normalised"), [("score", False), ("logit", False), ("score", True)]
)
def test_gaps_and_second_derivatives_are_those_of_finite_differences(of, normalised, toy):
    """In float64: slopes by complex steps, what they do as G moves by central differences."""

    def slow(weights):
        fake = 1 / (1 + np.exp(-toy["z"] @ weights))
        pair = [slow_coefficients(toy, x, of, normalised) for x in (toy["x"].reshape(B, -1), fake)]
        (s, g, p), (s_, g_, p_) = pair
        return np.array([abs(s - s_), ((g - g_) ** 2).sum(), (p - p_) ** 2])

    def fast(weights):
        fake = sigmoid(toy["z"] @ weights).reshape(B, *SHAPE)

        def score(x):
            own = logits(toy, x.reshape(B, -1), normalised=normalised)
            return sigmoid(own) if of == "score" else own

        return jnp.stack(gaps(score, toy["x"], fake))

    weights, step = toy["Wg"], 1e-5
    with jax.enable_x64(True):
        values, slopes = jax.jit(lambda w: (fast(w), jax.jacrev(fast)(w)))(weights)
    assert_allclose(values, slow(weights), rtol=1e-10)
    assert (np.abs(slopes).max((1, 2)) > 1e-6).all()
    for place in np.ndindex(weights.shape):
        moved = np.zeros(weights.shape)
        moved[place] = step
        expected = (slow(weights + moved) - slow(weights - moved)) / (2 * step)
        assert_allclose(slopes[:, *place], expected, rtol=1e-6, atol=1e-11)


def test_a_linear_score_has_one_slope_and_a_quadratic_one_the_slope_of_the_mean(rng):
    x, g = rng.standard_normal((2, 6, 4)).astype("f")
    w, a = rng.standard_normal(4).astype("f"), rng.standard_normal((4, 4)).astype("f")
    a = a + a.T
    linear, quadratic = jax.jit(
        lambda x, g: (gaps(lambda x: x @ w + 3, x, g), gaps(lambda x: _half_form(x, a), x, g))
    )(x, g)
    assert linear.gradient < 1e-12
    assert_allclose(linear.score, abs((x @ w).mean() - (g @ w).mean()), rtol=1e-4)
    assert_allclose(linear.product, linear.score**2, rtol=1e-4)
    expected = (((x.mean(0) - g.mean(0)) @ a) ** 2).sum()
    assert_allclose(quadratic.gradient, expected, rtol=1e-4)
    expected = ((2 * _half_form(x, a)).mean() - (2 * _half_form(g, a)).mean()) ** 2
    assert_allclose(quadratic.product, expected, rtol=1e-4)


def _half_form(x, a):
    return (x @ a * x).sum(-1) / 2


def test_one_batch_beside_itself_has_no_gap_nor_slope(rng):
    x, w = rng.standard_normal((6, 4)).astype("f"), rng.standard_normal(4).astype("f")

    def total(g):
        found = gaps(lambda x: sigmoid(x @ w), x, g)
        return found.gradient + found.product, found

    (_, found), slope = jax.jit(jax.value_and_grad(total, has_aux=True))(x)
    assert_allclose(found, 0, atol=1e-6)
    assert_allclose(slope, 0, atol=1e-6)


def test_the_slopes_of_relu_logits_do_not_move_the_generator(rng):
    x, g = rng.standard_normal((2, 6, 4)).astype("f")
    w = rng.standard_normal((4, 5)).astype("f")

    def gap(g, squash):
        return gaps(lambda x: squash(nn.relu(x @ w).sum(-1)), x, g).gradient

    slopes = jax.jit(lambda g: [jax.grad(gap)(g, squash) for squash in (lambda s: s, sigmoid)])(g)
    assert_array_equal(slopes[0], 0)
    assert np.abs(slopes[1]).max() > 1e-4


def test_means_are_float32_for_networks_that_are_not(rng):
    x = jnp.asarray(rng.standard_normal((4, 3)), jnp.bfloat16)
    squares = partial(taylor_coefficients, lambda x: (x.astype(jnp.bfloat16) ** 2).sum(-1))
    found = jax.jit(squares)(x)
    assert {part.dtype for part in found[1:]} == {jnp.dtype("float32")}
    exact = np.asarray(x, float)
    assert_allclose(found.product, 2 * (exact**2).sum() / 4, rtol=1e-2)


# --- in games -----------------------------------------------------------------------------------


class Spectral(nn.Module):
    """Images to logits through spectrally normalised layers."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(SNDense(6, name="first")(x.reshape(len(x), -1), train=train))
        return SNDense(1, name="logit")(x, train=train)[:, 0]


GAMES = {
    "sngan": (Generator(), Spectral()),
    "cgan-pd": (Generator(classes=CLASSES), Discriminator(classes=CLASSES)),
}


@pytest.mark.parametrize(("method", "of"), [("sngan", "score"), ("cgan-pd", "logit")])
def test_the_generator_answers_for_both_gaps_in_any_gan(method, of, rng):
    generator, discriminator = GAMES[method]
    weights = {"gradient_weight": lambda step: 2.0 + step, "product_weight": 7.0}
    task = gradient_matching_task(of=of, **weights)
    beginning = start(generator, discriminator)
    z = jnp.asarray(rng.standard_normal((BATCH, LATENT)), jnp.float32)
    y_real, y_fake = beginning.batch["label"], (beginning.batch["label"] + 1) % CLASSES
    classes = bool(generator.classes)
    draws = Draws(z, y_fake if classes else None)
    game = Game(generator, discriminator, (task,), Recipe(1e-3).players())
    frozen = {"discriminator": beginning.params["discriminator"]}
    (loss,) = [u.loss for u in game.updates if u.name == "generator"]
    rest = frozen, beginning.stats

    def directly(own):
        network = beginning._replace(params={**frozen, "generator": own})
        fake = passed(generator, network, "generator", z, *([y_fake] if classes else []))

        def score(x, y):
            variables = {"params": frozen["discriminator"], **beginning.stats["discriminator"]}
            found, _ = discriminator.apply(
                variables, x, *([y] if classes else []), train=True,
                mutable=list(beginning.stats["discriminator"]),
            )  # fmt: skip
            found = found.logits if classes else found
            return sigmoid(found) if of == "score" else found

        pair = (
            taylor_coefficients(partial(score, y=y), x)
            for x, y in ((beginning.batch["image"], y_real), (fake, y_fake))
        )
        found = taylor_gaps(*pair)
        return 5.0 * found.gradient + 7.0 * found.product, found

    both = jax.jit(
        lambda own: (
            jax.value_and_grad(loss, has_aux=True)(
                {"generator": own}, *rest, beginning.batch, draws, 3
            ),
            jax.value_and_grad(directly, has_aux=True)(own),
        )
    )
    ((value, aux), slopes), ((expected, found), direct) = both(beginning.params["generator"])
    assert_allclose(value, expected, rtol=1e-5)
    assert_allclose(aux.metrics["gradient_gap"], found.gradient, rtol=1e-5)
    assert_allclose(aux.metrics["product_gap"], found.product, rtol=1e-5)
    assert found.gradient > 1e-4 and found.product > 1e-6
    for a, b in zip(*map(jax.tree.leaves, (slopes["generator"], direct)), strict=True):
        assert np.abs(b).max() > 1e-5
        assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())
    # It is looked through, and neither its statistics nor its parameters are moved.
    assert set(aux.stats) == {"generator"}
    assert {u.name: u.trains for u in game.updates}["generator"] == ("generator",)


def test_means_are_of_a_split_batch_as_a_whole(rng):
    generator, discriminator = Generator(), Discriminator()
    task = gradient_matching_task(gradient_weight=30.0, product_weight=30.0)
    game = METHODS["sngan"]["resgan"].game(generator, discriminator, tasks=[task])
    beginning = start(generator, discriminator)
    (loss,) = [u.loss for u in game.updates if u.name == "generator"]
    function = jax.jit(jax.value_and_grad(loss, has_aux=True))
    draws = Draws(jnp.asarray(rng.standard_normal((BATCH, LATENT)), jnp.float32))
    inputs = {"image": beginning.batch["image"]}, draws
    split = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))
    whole, parts = (
        function(beginning.params, {}, beginning.stats, *given, 0)
        for given in (inputs, jax.device_put(inputs, split))
    )
    for a, b in zip(*map(jax.tree.leaves, (parts, whole)), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_an_output_that_is_not_scored_is_refused():
    with pytest.raises(ValueError, match="unknown output 'logits': gradients are of the score or"):
        gradient_matching_task(of="logits")


@pytest.mark.slow
def test_a_residual_gan_takes_a_step_with_gradient_matching():
    config = GanConfig(
        "sngan", size=32, latent=6, generator_width=4, discriminator_width=4, n_dis=1
    )
    gan = build(config, tasks=[gradient_matching_task()])
    images = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (1, 4, 32, 32, 3)), jnp.float32)
    step = jax.jit(make_step(gan.updates))
    after, metrics = step(gan.learner.start(0), {"image": images}, jax.random.key(0))
    assert metrics["generator/gradient_gap"] > 0 and metrics["generator/product_gap"] > 0
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.params))
