"""Neighbour embedding: its formula, its limits, and that it may be had in any GAN."""

import functools
import itertools
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    LOSSES,
    METHODS,
    Draws,
    Game,
    GanConfig,
    Player,
    Recipe,
    Task,
    adversarial,
    build,
    infomax_task,
    init,
    neighbour_embedding,
    neighbour_task,
    neighbours,
    similarities,
)
from gan_forensics.gans.autoencoder import AUTOENCODER, ENCODER
from gan_forensics.runtime import data_mesh
from gan_forensics.train import init_state, make_step
from tests.tiny_gans import BATCH, LATENT, SIDE, Critics, Discriminator, Generator, passed, start

N = 8
OFF_DIAGONAL = ~np.eye(N, dtype=bool)
ALIKE = OFF_DIAGONAL / (N * (N - 1))


@functools.cache
def measured(power=2, form="differences"):
    """Compiled (latents, samples) -> (Q, KL, slopes), distances taken as of few or many numbers."""

    def everything(z, x):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(neighbours, "_DIFFERENCES_AT_ONCE", 2**20 if form == "differences" else 0)

            loss = partial(neighbour_embedding, power=power)
            return similarities(x, power=power), *jax.value_and_grad(loss, (0, 1))(z, x)

    return jax.jit(everything)


all_forms = pytest.mark.parametrize(
    ("power", "form"), list(itertools.product((2, 1), ("differences", "product")))
)


@pytest.fixture
def pairs(rng):
    """Latents and samples: all tests have the same shapes, that are compiled for once."""
    return rng.standard_normal((N, 2)).astype("f"), rng.standard_normal((N, 40)).astype("f")


# --- the formula, pair by pair ------------------------------------------------------------------


def slow_similarities(points, power):
    """P in float64, or in complex numbers for a slope."""
    n = len(points)
    distance = [[np.sqrt(((a - b) ** 2).sum()) for b in points] for a in points]
    if power == 2:
        entries = [distance[i][j] for i in range(n) for j in range(n) if i != j]
        divisor = len(entries)
    else:
        entries = [d for row in distance for d in row]
        divisor = len(entries) - 1
    mean = sum(entries) / len(entries)
    variance = sum((d - mean) ** 2 for d in entries) / divisor
    kernel = np.zeros((n, n), points.dtype)
    for i, j in itertools.permutations(range(n), 2):
        kernel[i, j] = 1 / (1 + distance[i][j] ** power / (2 * variance))
    p = np.zeros_like(kernel)
    for i, j in itertools.permutations(range(n), 2):
        p[i, j] = (kernel[i, j] / sum(kernel[i]) + kernel[j, i] / sum(kernel[j])) / (2 * n)
    return p


def slow_loss(z, x, power):
    """KL in float64; the third party has the machine's epsilon within the logarithm."""
    p, q = (slow_similarities(points, power) for points in (z, x))
    epsilon = np.finfo(np.float64).eps if power == 1 else 0.0
    every = itertools.permutations(range(len(p)), 2)
    return sum(p[i, j] * np.log((p[i, j] + epsilon) / (q[i, j] + epsilon)) for i, j in every)


def slope(function, x, step=1e-30):
    """Gradient by complex steps: exact to rounding."""
    result = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        moved = np.asarray(x, complex)
        moved[place] += 1j * step
        result[place] = function(moved).imag / step
    return result


@all_forms
def test_value_and_gradient_are_the_formula_in_double_precision(power, form, rng):
    z, x = rng.standard_normal((5, 2)), rng.standard_normal((5, 3))
    with jax.enable_x64(True):
        q, value, slopes = measured(power, form)(z, x)
    assert value.dtype == np.float64
    assert_allclose(q, slow_similarities(x, power), rtol=1e-10)
    assert_allclose(value, slow_loss(z, x, power), rtol=1e-10)
    for found, expected in zip(
        slopes,
        (slope(lambda z: slow_loss(z, x, power), z), slope(lambda x: slow_loss(z, x, power), x)),
        strict=True,
    ):
        assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# --- what similarities are ----------------------------------------------------------------------


@all_forms
def test_similarities_are_a_law_of_pairs_that_moving_and_turning_leaves(power, form, rng):
    z, points = rng.standard_normal((5, 2)), rng.standard_normal((5, 3))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    order = rng.permutation(5)
    with jax.enable_x64(True):

        def similar(x):
            return np.asarray(measured(power, form)(z, x)[0])

        p = similar(points)
        assert_allclose(p, p.T, rtol=1e-14)
        assert_array_equal(p > 0, ~np.eye(5, dtype=bool))
        assert_allclose(p.sum(), 1, rtol=1e-12)
        assert_allclose(similar(points[order]), p[np.ix_(order, order)], rtol=1e-12)
        assert_allclose(similar(points @ turn + 5), p, rtol=1e-11)
        stretched = similar(100 * points)
    if power == 2:
        assert_allclose(stretched, p, rtol=1e-11)
    else:
        assert np.abs(stretched - p).max() > 0.1 * p.max()


def test_the_divergence_is_0_for_similar_figures_and_positive_otherwise(rng):
    latents, others = rng.standard_normal((5, 2)), rng.standard_normal((6, 5, 3))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0][:2]
    with jax.enable_x64(True):
        assert abs(float(measured()(latents, 3 * latents @ turn - 1)[1])) < 1e-14
        assert min(float(measured()(latents, x)[1]) for x in others) > 1e-3


@pytest.mark.parametrize("power", [2, 1])
def test_collapse_is_seen(power, pairs, rng):
    latents = pairs[0]
    healthy = (latents @ np.linalg.qr(rng.standard_normal((40, 2)))[0].T).astype("f")
    collapsed = np.repeat(healthy[:2], 4, axis=0) + 1e-3 * pairs[1]
    seen, kept = (float(measured(power)(latents, x)[1]) for x in (collapsed, 0.5 * healthy))
    assert seen > 0.1 and kept < 0.02


# --- limits -------------------------------------------------------------------------------------


@all_forms
def test_equidistant_points_are_all_as_similar(power, form, pairs):
    """s^2 = 0: the corners of a simplex, also where rounding is not 0."""
    for corners in (np.eye(N, 40, dtype="f"), 7 * np.eye(N, 40, dtype="f") + np.float32(1 / 3)):
        q, value, (_, of_x) = measured(power, form)(pairs[0], corners)
        assert_allclose(q, ALIKE, rtol=1e-4)
        assert value > 0.01 and np.isfinite(of_x).all() and np.abs(of_x).max() > 1e-4


def test_two_points_have_no_choice_and_one_has_no_neighbour(pairs):
    z, x = pairs
    for samples in (x[:2], 0 * x[:2]):
        q, value, slopes = measured()(z[:2], samples)
        assert_array_equal(q, [[0, 0.5], [0.5, 0]])
        assert value == 0
        for part in slopes:
            assert_allclose(part, 0, atol=1e-6)
    q, value, slopes = measured()(z[:1], x[:1])
    assert value == 0 and q.tolist() == [[0]]
    assert not any(part.any() for part in slopes)


@all_forms
def test_equal_samples_have_a_finite_value_and_gradient(power, form, pairs):
    """Two alike, all in two places, all alike; and a spread whose powers leave float32."""
    z, x = pairs
    two, alike = x.copy(), np.repeat(x[:1], N, axis=0)
    two[3] = two[0]
    cases = [(z, two), (z, np.repeat(x[:2], 4, axis=0)), (z, alike), (z, 1e-12 * x)]
    for latents, samples in (*cases, (z[[0] * N], x)):
        _, value, slopes = measured(power, form)(latents, samples)
        assert np.isfinite(value) and value > 0
        assert all(np.isfinite(part).all() for part in slopes)
        # As a slope of distances in units of their spread, whatever rounding made of a root.
        assert np.abs(slopes[1]).max() * samples.std(0).max() < 1
    q, _, (_, of_x) = measured(power, form)(z, alike)
    assert_allclose(q, ALIKE, rtol=1e-6)
    assert_array_equal(of_x, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@all_forms
def test_points_that_are_no_numbers_are_not_hidden(power, form, bad, pairs):
    z, x = pairs
    x[2, 1] = bad
    assert np.isnan(measured(power, form)(z, x)[1])


@pytest.mark.parametrize("power", [2, 1])
def test_the_product_is_the_differences_far_from_the_origin_as_well(power, pairs):
    z, x = pairs
    (_, value, slopes), (_, by_product, others) = (
        measured(power, form)(z, x + 100) for form in ("differences", "product")
    )
    assert_allclose(by_product, value, rtol=1e-4)
    assert_allclose(others[1], slopes[1], rtol=1e-3, atol=1e-4 * np.abs(slopes[1]).max())


def test_images_take_no_memory_for_all_differences():
    z, x = jnp.zeros((256, 8)), jax.ShapeDtypeStruct((256, 32, 32, 3), jnp.float32)
    compiled = jax.jit(jax.grad(neighbour_embedding, 1)).lower(z, x).compile()
    # The images take 3 MB, a product of pairs 0.3 MB, all differences 805 MB.
    assert compiled.memory_analysis().temp_size_in_bytes < 30e6


def test_it_is_float32_for_networks_that_are_not(pairs):
    z, x = (jnp.asarray(points, jnp.bfloat16) for points in pairs)
    q, value, slopes = measured()(z, x)
    assert q.dtype == value.dtype == jnp.float32 and slopes[1].dtype == jnp.bfloat16
    exact = measured()(*(np.asarray(points, np.float32) for points in (z, x)))
    assert_allclose(value, exact[1], rtol=1e-6)


def test_pairs_of_a_split_batch_are_those_of_the_whole(pairs):
    """By the product; a game has them by differences below."""
    whole, parts = (measured(2, "product")(*x) for x in (pairs, jax.device_put(pairs, SPLIT)))
    for a, b in zip(*map(jax.tree.leaves, (parts, whole)), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="4 latents and 3 samples do not belong together"):
        neighbour_embedding(np.zeros((4, 1)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="unknown power 3 of the distance"):
        similarities(np.zeros((4, 1)), power=3)
    with pytest.raises(ValueError, match="unknown place 'encoder'; places are autoencoder, gen"):
        neighbour_task(place="encoder")
    with pytest.raises(ValueError, match="unknown space 'image'; spaces are data, feature"):
        neighbour_task(place="generator", space="image")


# --- in games -----------------------------------------------------------------------------------


class Featured(nn.Module):
    """The tiny discriminator with its pooled features under the name that is asked for."""

    @nn.compact
    def __call__(self, x, *, train):
        seen = Discriminator(name="inner")(x, train=train)
        return {"logits": seen.logits, "features": seen.pooled}


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(LATENT, name="code")(x.reshape(len(x), -1))


G, D, C, FEATURED = Generator(), Discriminator(), Critics(), Featured()
NON_SATURATING = adversarial(LOSSES["non_saturating"])
PLAYERS = Recipe(1e-3).players()
TIED = (Player(AUTOENCODER, optax.sgd(1.0), (ENCODER, "generator")), *PLAYERS)
SPLIT = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))


@functools.cache
def begun(discriminator=D, critics=None):
    """Networks, one of which is an encoder, and a batch."""
    beginning = start(G, discriminator, critics)
    kernel = np.random.default_rng(5).standard_normal((SIDE * SIDE, LATENT)).astype("f")
    code = {"code": {"kernel": jnp.asarray(kernel), "bias": jnp.full(LATENT, 0.1)}}
    params, stats = {**beginning.params, ENCODER: code}, {**beginning.stats, ENCODER: {}}
    return beginning._replace(params=params, stats=stats)


def tied(task, discriminator=D):
    """A game with an encoder."""
    return Game(G, discriminator, (NON_SATURATING, Task(networks={ENCODER: Encoder()}), task), TIED)


def loss_of(game, player):
    (loss,) = [u.loss for u in game.updates if u.name == player]
    return loss


def paid(game, beginning, player, z, step=0):
    """Value and metrics of a player's loss."""
    loss = jax.jit(loss_of(game, player))
    value, aux = loss(beginning.params, {}, beginning.stats, beginning.batch, Draws(z), step)
    return value, aux.metrics


def moves(game, beginning, player, z):
    """A player's loss and its slopes for all networks; then of a batch on four devices."""
    function = jax.jit(jax.value_and_grad(loss_of(game, player), has_aux=True))
    inputs = beginning.batch, Draws(z)
    for batch, draws in (inputs, jax.device_put(inputs, SPLIT)):
        yield function(beginning.params, {}, beginning.stats, batch, draws, 0)


def reached(slopes):
    """The networks whose slopes are not 0."""
    return {n for n, s in slopes.items() if any(np.any(x) for x in jax.tree.leaves(s))}


def generated(beginning, z):
    dense = beginning.params["generator"]["dense"]
    return np.tanh(z @ np.asarray(dense["kernel"], float) + np.asarray(dense["bias"])[None])


def features(beginning, images):
    images = jnp.asarray(images, jnp.float32).reshape(-1, SIDE, SIDE, 1)
    return np.asarray(passed(FEATURED, beginning, "discriminator", images)["features"], float)


@pytest.fixture
def z(rng):
    return rng.standard_normal((BATCH, LATENT)).astype("f")


@pytest.mark.parametrize("options", [{"power": 1}, {"space": "feature"}], ids=str)
def test_the_autoencoder_answers_for_noise_and_codes_together(options, z):
    featured = "space" in options
    task = neighbour_task(weight=lambda step: 0.25 * step, place="autoencoder", **options)
    discriminator = FEATURED if featured else D
    game, beginning = tied(task, discriminator), begun(discriminator)
    code = jax.tree.map(partial(np.asarray, dtype=float), beginning.params[ENCODER]["code"])
    images = np.asarray(beginning.batch["image"]).reshape(BATCH, -1)
    latents = np.concatenate([z, images @ code["kernel"] + code["bias"][None]])
    samples = generated(beginning, latents)
    if featured:
        samples = features(beginning, samples)
    expected = slow_loss(latents, samples, options.get("power", 2))
    value, metrics = paid(game, beginning, AUTOENCODER, z, step=2)
    assert_allclose(metrics["neighbours"], expected, rtol=1e-4)
    assert_allclose(value, 0.5 * expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["dcgan", "infomax-gan", "features"])
def test_the_generator_answers_without_an_encoder_in_any_gan(kind, z):
    featured, infomax = kind == "features", kind == "infomax-gan"
    discriminator = FEATURED if featured else D
    tasks = [neighbour_task(weight=0.5, place="generator", space="feature" if featured else "data")]
    tasks += [infomax_task(C, weight=0.2)] if infomax else []
    method = METHODS["sngan" if infomax else "dcgan"]["resgan"]
    game, beginning = method.game(G, discriminator, tasks=tasks), begun(discriminator)
    if infomax:
        beginning = begun(D, C)
    samples = generated(beginning, z)
    expected = slow_loss(z, features(beginning, samples) if featured else samples, 2)
    value, metrics = paid(game, beginning, "generator", z)
    assert_allclose(metrics["neighbours"], expected, rtol=1e-4)
    others = metrics["adversarial"] + (0.2 * metrics["infomax"] if infomax else 0)
    assert_allclose(value, others + 0.5 * expected, rtol=1e-4)
    # The discriminator, that is looked through, does not learn it.
    assert {u.name: u.trains for u in game.updates}["generator"] == ("generator",)


def test_samples_reach_the_generator_alone_or_with_the_encoder(z):
    """And pairs are of a split batch as a whole."""
    game = Game(G, D, (neighbour_task(place="generator"),), PLAYERS)
    _, slopes = next(moves(game, begun(), "generator", z))
    assert reached(slopes) == {"generator"}
    whole, parts = moves(tied(neighbour_task(place="autoencoder")), begun(), AUTOENCODER, z)
    assert reached(whole[1]) == {"generator", ENCODER}
    for a, b in zip(*map(jax.tree.leaves, (parts, whole)), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_task_holds_latents_constant_if_it_is_told(z):
    """Where all samples are alike, nothing but the codes that are compared would have a slope."""
    beginning = begun()
    still = jax.tree.map(jnp.zeros_like, beginning.params["generator"])
    beginning = beginning._replace(params={**beginning.params, "generator": still})
    game = tied(neighbour_task(place="autoencoder", stop_gradient=True))
    (value, _), slopes = next(moves(game, beginning, AUTOENCODER, z))
    assert value > 0.01 and reached(slopes) == set()


def test_an_autoencoder_has_to_be_in_the_game_and_features_in_the_discriminator(z):
    with pytest.raises(ValueError, match=r"\['autoencoder'\], who are not in the game"):
        Game(G, D, (NON_SATURATING, neighbour_task(place="autoencoder")), PLAYERS)
    game = Game(G, D, (neighbour_task(place="generator", space="feature"),), PLAYERS)
    with pytest.raises(ValueError, match="output 'features', this one has only logits, local"):
        paid(game, begun(), "generator", z)


@pytest.mark.slow
def test_a_dcgan_takes_a_step_with_neighbours():
    config = GanConfig("dcgan", size=16, width=2, latent=4, batch_size=4)
    gan = build(config, tasks=[neighbour_task(place="generator")])
    params, stats = init(gan)
    images = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (1, 4, 16, 16, 3)), jnp.float32)
    state = init_state(gan.updates, params, stats)
    after, metrics = jax.jit(make_step(gan.updates))(state, {"image": images}, jax.random.key(0))
    assert metrics["generator/neighbours"] > 0 and "discriminator/neighbours" not in metrics
    for name in ("generator", "discriminator"):
        leaves = (jax.tree.leaves(p[name]) for p in (params, dict(after.params)))
        assert any((a != b).any() for a, b in zip(*leaves, strict=True))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.params))
