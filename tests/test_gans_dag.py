"""DAG: transformed pairs for heads of their own, against one pass for each transform in NumPy."""

import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import LOSSES, Draws, Game, Recipe, adversarial, dag_task, penalised
from gan_forensics.gans.context import Context
from gan_forensics.gans.dag import HEADS
from gan_forensics.gans.dist_gan import Setting, dist_gan_task
from gan_forensics.gans.task import PairLoss
from gan_forensics.gans.transforms import POLICIES, Policy, Transform, policies_of
from gan_forensics.nn.heads import sow_trunk
from tests.dist_games import differences, sigmoid
from tests.tiny_gans import (
    BATCH,
    CLASSES,
    LATENT,
    SIDE,
    Discriminator,
    Generator,
    counted,
    drawn,
    moving,
    passes,
    slow_discriminator,
    slow_generator,
    value_and_gradient,
)

G, D = Generator(), Discriminator()
PLAYERS = Recipe(1e-3).players()
HINGE = adversarial(LOSSES["hinge"])
ROTATION = policies_of("rotation")
BOTH = policies_of("rotation,flip")
IDENTITY = (Policy("identity", POLICIES["rotation"].transforms[:1]),)
SLOW = pytest.mark.slow
# By hand: how images are turned, the identity first.
TURNS = [lambda x, k=k: np.rot90(x, k, axes=(1, 2)) for k in range(4)]
FLIPS = [
    lambda x: x,
    lambda x: x[:, :, ::-1],
    lambda x: x[:, ::-1],
    lambda x: x[:, ::-1, ::-1],
]


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def draws(rng):
    return Draws(jnp.asarray(rng.standard_normal((BATCH, LATENT))), key=jax.random.key(1))


def game_of(*tasks, networks=(G, D)):
    return Game(*networks, tasks, PLAYERS)


def dag(policies=ROTATION, pair=HINGE.pair, **options):
    return dag_task(policies, pair, **options)


def hinge(real, fake):
    return np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()


def slow_dag(player, normalisation, weights, draws, batch, labels=(None, None)):
    """A_D or A_G of parameters, each pair in its own pass by its own head; what the base pays."""

    def pair(params, images, k):
        found = []
        for x, y in zip(images, labels, strict=True):
            logits, pooled, projection = slow_discriminator(params["discriminator"], x, y)
            if k is not None:
                head = params[HEADS][f"head_{k}"]
                logits = (pooled @ head["kernel"] + head["bias"])[:, 0] + projection
            found.append(logits)
        return hinge(*found) if player == "discriminator" else -found[1].mean()

    def images_of(params):
        return batch["image"], slow_generator(params["generator"], np.asarray(draws.z), labels[1])

    def added(params):
        images, value, k = images_of(params), 0.0, 0
        for transforms, weight in zip((TURNS, FLIPS), weights, strict=False):
            for place, transform in enumerate(transforms):
                if place == 0 and normalisation == "non_identity":
                    continue
                main = place == 0 and normalisation == "shared_identity"
                share = 1 / (3 if normalisation == "non_identity" else 4)
                copies = [transform(x) for x in images]
                value += weight * share * pair(params, copies, None if main else k)
                k += not main
        return value

    return added, lambda params: pair(params, images_of(params), None)


def compare(game, beginning, draws, slow, lam):
    """A game's values, slopes and passes with what the base pays and what the task adds."""
    (moved,) = moving(game)(beginning, draws)
    for player, (value, slopes, aux) in moved.items():
        # One more pass of the discriminator than the base makes.
        count = {"discriminator": 3, "generator": 2}[player]
        assert passes({n: aux.stats[n] for n in moved}) == {"discriminator": count, "generator": 1}
        added, main = slow(player)
        assert_allclose(aux.metrics["dag"], added(beginning.params), rtol=0, atol=1e-12)

        def whole(params, added=added, main=main):
            return main(params) + lam * added(params)

        assert_allclose(value, whole(beginning.params), rtol=0, atol=1e-12)
        expected = differences(whole, beginning.params, slopes)
        assert all(x["kernel"].any() for x in expected[player].values() if "kernel" in x)
        for a, b in zip(*map(jax.tree.leaves, (slopes, expected)), strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "normalisation",
    ["non_identity", *(pytest.param(n, marks=SLOW) for n in ("module", "shared_identity"))],
)
def test_copies_in_one_pass_are_a_loop_over_transforms(normalisation, draws):
    weights = (1.0, 2.5)
    task = dag(BOTH, weight=0.3, policy_weights=weights, normalisation=normalisation)
    game = game_of(HINGE, task)
    assert [u.trains for u in game.updates] == [("generator",), ("discriminator", HEADS)]
    beginning = drawn(game)
    assert len(beginning.params[HEADS]) == (8 if normalisation == "module" else 6)

    def slow(player):
        return slow_dag(player, normalisation, weights, draws, beginning.batch)

    compare(game, beginning, draws, slow, 0.3)


@pytest.mark.slow
def test_heads_of_a_conditional_discriminator_share_the_projection(draws, rng):
    networks = Generator(classes=CLASSES), Discriminator(classes=CLASSES)
    own = draws._replace(labels=jnp.asarray(rng.integers(0, CLASSES, BATCH), jnp.int32))
    game = game_of(HINGE, dag(), networks=networks)
    beginning = drawn(game)
    labels = beginning.batch["label"], np.asarray(own.labels)

    def slow(player):
        return slow_dag(player, "non_identity", (1.0,), own, beginning.batch, labels)

    compare(game, beginning, own, slow, 0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        dag(weight=0.0),
        dag(IDENTITY),
        dag(weight=0.0, normalisation="module"),
        dag(weight=0.0, normalisation="shared_identity"),
    ],
)
def test_without_weight_or_transforms_it_is_the_base_bit_for_bit(task, draws):
    game, base = game_of(HINGE, task), game_of(HINGE)
    beginning = drawn(game)
    made, plain = moving(game, base)(beginning, draws)
    for player, (value, slopes, _) in made.items():
        assert value == plain[player][0]
        pairs = zip(*map(jax.tree.leaves, (slopes[player], plain[player][1][player])), strict=True)
        for a, b in pairs:
            assert_array_equal(a, b)


@pytest.mark.slow
def test_every_head_learns_from_its_own_pairs_and_teaches_the_generator(draws):
    """A head of zeros says nothing of images, so that what is left is one head's."""
    games = game_of(dag()), game_of(dag(detached_generator=True))
    beginning, moves = drawn(games[0]), moving(*games, players=("generator",))
    heads = beginning.params[HEADS]
    for k in heads:
        alone = {n: h if n == k else jax.tree.map(np.zeros_like, h) for n, h in heads.items()}
        of = beginning._replace(params={**beginning.params, HEADS: alone})
        (value, slopes, _), (same, none, _) = (m["generator"] for m in moves(of, draws))
        assert all(np.abs(x).max() > 1e-5 for x in jax.tree.leaves(slopes))
        assert value == same and not any(x.any() for x in jax.tree.leaves(none))


@pytest.mark.slow
def test_only_the_own_pair_moves_a_head(draws):
    calls = []

    def judge(logits, context):
        calls.append(None)
        return logits["real"].mean() * context.batch["share"][(len(calls) - 1) % 3]

    game = game_of(dag(pair=PairLoss(judge, lambda logits, context: 0.0)))
    moves = moving(game, players=("discriminator",))
    beginning = drawn(game)
    for place in range(3):
        batch = {**beginning.batch, "share": np.eye(3)[place]}
        (moved,) = moves(beginning._replace(batch=batch), draws)
        heads = moved["discriminator"][1][HEADS]
        assert {k for k, h in heads.items() if h["kernel"].any()} == {f"head_{place}"}
    assert len(calls) == 3


def test_a_logit_of_the_hinge_generator_weighs_its_share_of_the_batch(draws):
    beginning = drawn(game_of(dag(BOTH)))
    probes = np.zeros((6, BATCH))

    def term(probes):
        calls = iter(probes)

        def judge(logits, context):
            return HINGE.pair.generator({"fake": logits["fake"] + next(calls)}, context)

        pair = HINGE.pair._replace(generator=judge)
        task = dag(BOTH, pair, weight=0.3, policy_weights=(1.0, 2.0))
        whole = Game(G, D, (task,), PLAYERS)
        (update,) = [u for u in whole.updates if u.name == "generator"]
        return update.loss(beginning.params, {}, beginning.stats, beginning.batch, draws, 0)[0]

    slopes = jax.jit(jax.grad(term))(probes)
    shares = np.repeat([1 / 3, 2 / 3], 3)[:, None]
    assert_allclose(slopes, np.broadcast_to(-0.3 * shares / BATCH, slopes.shape), rtol=1e-12)


class Linear(nn.Module):
    """Pixels are the trunk: slopes of heads are their kernels."""

    @nn.compact
    def __call__(self, x, *, train):
        counted(self, train=train)
        pixels = x.reshape(len(x), -1)
        sow_trunk(self, pixels)
        return nn.Dense(1, name="logit")(pixels)[:, 0]


@pytest.mark.parametrize("norm", ["l2", pytest.param("rms", marks=SLOW)])
def test_the_penalty_of_a_linear_head_is_exact(norm, draws, rng):
    penalty = penalised("1-gp", weight=4.0, norm=norm).penalty
    wasserstein = adversarial(LOSSES["wasserstein"])
    task = dag(BOTH, wasserstein.pair, penalty=penalty, policy_weights=(1.0, 2.0))
    game = game_of(task, networks=(G, Linear()))
    beginning = drawn(game_of(HINGE, networks=(G, Linear())))
    kernels = rng.standard_normal((6, SIDE * SIDE, 1))
    beginning.params[HEADS] = {
        f"head_{k}": {"kernel": w, "bias": np.zeros(1)} for k, w in enumerate(kernels)
    }
    beginning.stats[HEADS] = {}
    real = beginning.batch["image"]
    fake = slow_generator(beginning.params["generator"], np.asarray(draws.z))
    expected = 0.0
    for kernel, transform, share in zip(
        kernels[..., 0], [*TURNS[1:], *FLIPS[1:]], [1 / 3] * 3 + [2 / 3] * 3, strict=True
    ):
        means = [(transform(x).reshape(BATCH, -1) @ kernel).mean() for x in (real, fake)]
        length = np.linalg.norm(kernel) / (1 if norm == "l2" else SIDE)
        expected += share * (means[1] - means[0] + 4 * (length - 1) ** 2)
    (moved,) = moving(game)(beginning, draws)
    value, _, aux = moved["discriminator"]
    assert_allclose(aux.metrics["dag"], expected, rtol=0, atol=1e-12)
    assert_allclose(value, 0.2 * expected, rtol=0, atol=1e-12)
    # The look at slopes leaves statistics where they were.
    assert passes({"d": aux.stats["discriminator"]}) == {"d": 1}
    # The generator pays no penalty.
    plain = 0.0
    for (kernel,), transform, share in zip(
        kernels.swapaxes(1, 2), [*TURNS[1:], *FLIPS[1:]], [1 / 3] * 3 + [2 / 3] * 3, strict=True
    ):
        plain -= share * (transform(fake).reshape(BATCH, -1) @ kernel).mean()
    assert_allclose(moved["generator"][0], 0.2 * plain, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("normalisation", ["non_identity", "module"])
def test_penalties_are_taken_between_the_images_of_each_pair(normalisation, draws):
    penalty = penalised("1-gp", weight=4.0).penalty
    options = {"normalisation": normalisation}
    game, plain = game_of(dag(penalty=penalty, **options)), game_of(dag(**options))
    beginning = drawn(game)
    key = jax.random.fold_in(draws.key, zlib.crc32(b"dag penalty"))
    alpha = np.asarray(jax.random.uniform(key, (BATCH,), jnp.float64)).reshape(-1, 1, 1, 1)
    real = beginning.batch["image"]
    transforms = TURNS if normalisation == "module" else TURNS[1:]

    def slow(params):
        fake, total = slow_generator(params["generator"], np.asarray(draws.z)), 0.0
        for k, transform in enumerate(transforms):
            points = (1 - alpha) * transform(real) + alpha * transform(fake)
            head, trunk = params[HEADS][f"head_{k}"], params["discriminator"]
            slopes = np.zeros((BATCH, SIDE, SIDE, 1))
            for place in np.ndindex(SIDE, SIDE):
                step = np.zeros((SIDE, SIDE, 1))
                step[place] = 1e-5
                ends = [
                    (slow_discriminator(trunk, points + s * step)[1] @ head["kernel"])[:, 0]
                    for s in (1, -1)
                ]
                slopes[(slice(None), *place, 0)] = (ends[0] - ends[1]) / 2e-5
            lengths = np.sqrt((slopes**2).sum((1, 2, 3)))
            total += ((lengths - 1) ** 2).mean() / len(transforms)
        return total

    (_, slopes, aux), (_, without, before) = (
        value_and_gradient(g, beginning, "discriminator", draws) for g in (game, plain)
    )
    added = aux.metrics["dag"] - before.metrics["dag"]
    assert_allclose(added, 4 * slow(beginning.params), rtol=0, atol=1e-8)
    expected = differences(slow, beginning.params, (HEADS,), h=1e-4)[HEADS]
    for k, head in expected.items():
        own = slopes[HEADS][k]["kernel"] - without[HEADS][k]["kernel"]
        assert_allclose(own, 0.2 * 4 * head["kernel"], rtol=0, atol=1e-6)


class Encoder(nn.Module):
    """Images to codes."""

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(LATENT, name="dense")(x.reshape(len(x), -1))


@pytest.mark.slow
def test_dist_gans_reconstructions_are_transformed_too(draws, rng):
    setting = Setting(LOSSES["non_saturating"], share=0.25, space="data")
    host = dist_gan_task(Encoder(), setting)
    players = Recipe(1e-3).players({"autoencoder": ("encoder", "generator")})
    game = Game(G, D, (host, dag(FLIP_ONCE, host.pair)), players)
    beginning = drawn(game_of(dag(FLIP_ONCE)))
    encoder = {"kernel": rng.standard_normal((16, LATENT)), "bias": np.zeros(LATENT)}
    beginning.params["encoder"], beginning.stats["encoder"] = {"dense": encoder}, {}
    params, real = beginning.params, beginning.batch["image"]
    images = {
        "real": real,
        "reconstruction": slow_generator(
            params["generator"], real.reshape(BATCH, -1) @ encoder["kernel"]
        ),
        "fake": slow_generator(params["generator"], np.asarray(draws.z)),
    }
    head = params[HEADS]["head_0"]
    r, m, f = (
        (slow_discriminator(params["discriminator"], x[:, :, ::-1])[1] @ head["kernel"])[:, 0]
        + head["bias"]
        for x in images.values()
    )
    expected = {
        "discriminator": -0.75 * np.log(sigmoid(r)).mean()
        - 0.25 * np.log(sigmoid(m)).mean()
        - np.log(sigmoid(-f)).mean(),
        "generator": abs(sigmoid(r).mean() - sigmoid(f).mean()),
    }
    for player, value in expected.items():
        _, _, aux = value_and_gradient(game, beginning, player, draws)
        assert_allclose(aux.metrics["dag"], value, rtol=0, atol=1e-12)


FLIP_ONCE = (Policy("mirror", POLICIES["flip"].transforms[:2]),)


# --- what transforms get, and what is refused -----------------------------------------------------


def seen_by_transforms(names, unit, images):
    """What the discriminator is shown of transformed real images, without a network."""

    class Stop(Exception):
        pass

    def together(copies):
        raise Stop(copies)

    context = context_of(images)
    context.together = together
    context._images["fake"] = images
    with pytest.raises(Stop) as stopped:
        dag(policies_of(names), unit=unit).discriminator[0](context)
    return [np.asarray(made) for made, _ in stopped.value.args[0]]


def context_of(images):
    draws = Draws(jnp.zeros((len(images), LATENT)), key=jax.random.key(0))
    options = {"batch": {"image": jnp.asarray(images)}, "draws": draws, "step": 0}
    return Context({}, {}, {}, **options)


def test_made_up_pixels_are_the_middle_grey_of_networks_in_the_unit_range(rng):
    images = rng.uniform(0.1, 0.4, (2, 4, 4, 1))
    right = seen_by_transforms("translation", True, images)[3]
    assert_allclose(right[:, :, 1:], images[:, :, :3], atol=1e-12)
    assert_allclose(right[:, :, 0], 0.5)
    assert_array_equal(seen_by_transforms("translation", False, images)[3][:, :, 0], 0)


@pytest.mark.slow
def test_random_transforms_draw_for_the_real_and_for_the_generated_images(rng):
    images = rng.uniform(-1, 1, (2, 4, 4, 1))
    real, fake = seen_by_transforms("colour", False, images)
    assert np.abs(real - fake).max() > 1e-3


@pytest.mark.parametrize(
    ("policies", "side", "message"),
    [
        (ROTATION, 6, r"'rotation' change the size of images of 4 x 6 pixels .*square, or choose"),
        (
            (
                Policy(
                    "half",
                    (
                        POLICIES["flip"].transforms[0],
                        Transform("halved", lambda x, key: x[:, ::2], None),
                    ),
                ),
            ),
            4,
            r"'half' change the size .*\(halved\)",
        ),
        (ROTATION, 3, "4 x 4 pixels at least, got 4 x 3"),
    ],
)
def test_transforms_that_change_the_size_are_named(policies, side, message):
    term = dag(policies).discriminator[0]
    with pytest.raises(ValueError, match=message):
        term(context_of(np.zeros((2, 4, side, 1))))


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="unknown normalisation 'mean'; there are non_identity, m"):
        dag(normalisation="mean")
    for policies, weights in (((), None), (BOTH, (1.0,))):
        with pytest.raises(ValueError, match="a weight for each, got . and ."):
            dag(policies, policy_weights=weights)
