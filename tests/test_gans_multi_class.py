"""Self-supervision with a class for fakes: what each form pays, and who learns from it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from gan_forensics.gans import LOSSES, Draws, Game, Recipe, adversarial, rotation_task
from gan_forensics.gans.context import Context
from gan_forensics.gans.multi_class import (
    FAKE,
    cross_entropy,
    fake_log_ratio,
    label_augmented_task,
    label_log_ratio,
    matching_task,
    mixed_pool,
    multi_class_task,
    multi_hinge,
)
from gan_forensics.gans.rotation import drawn_from_pool
from gan_forensics.nn.heads import ClassHead
from tests.dist_games import differences
from tests.tiny_gans import (
    BATCH,
    CLASSES,
    LATENT,
    SIDE,
    Discriminator,
    Generator,
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
SLOW = pytest.mark.slow
QUARTERS = np.array([0, 0, 1, 1, 2, 2, 3, 3])


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def draws(rng):
    z = jnp.asarray(rng.standard_normal((BATCH, LATENT)))
    return Draws(z, key=jax.random.key(1))


# --- losses of logits ---------------------------------------------------------------------------


def slow_multi_hinge(logits, labels):
    total = 0.0
    for c, y in zip(logits, labels, strict=True):
        margins = [max(0, 1 - c[y] + c[j]) for j in range(len(c)) if j != y]
        total += sum(margins) / len(margins)
    return total / len(logits)


def slopes_of_multi_hinge(logits, labels):
    slopes = np.zeros_like(logits)
    for i, (c, y) in enumerate(zip(logits, labels, strict=True)):
        for j in range(len(c)):
            if j != y and 1 - c[y] + c[j] > 0:
                slopes[i, j] += 1
                slopes[i, y] -= 1
    return slopes / ((logits.shape[1] - 1) * len(logits))


def entropy(logits, labels):
    return -log_softmax(logits, axis=1)[np.arange(len(logits)), labels].mean()


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def slopes_of_entropy(logits, labels):
    return (softmax(logits, axis=1) - one_hot(labels, logits.shape[1])) / len(logits)


def difference(of, wanted, others):
    return lambda logits, turns: of(logits, wanted(turns)) - of(logits, others(turns))


def fakes(turns):
    return np.full_like(turns, FAKE)


# Function, number of classes, its formula, and its slopes.
FORMULAS = {
    "cross entropy": (cross_entropy, 5, entropy, slopes_of_entropy),
    "multi hinge": (multi_hinge, 8, slow_multi_hinge, slopes_of_multi_hinge),
    "MS": (
        fake_log_ratio,
        5,
        difference(entropy, lambda k: k, fakes),
        difference(slopes_of_entropy, lambda k: k, fakes),
    ),
    "LA": (
        label_log_ratio,
        8,
        difference(entropy, lambda k: 2 * k, lambda k: 2 * k + 1),
        difference(slopes_of_entropy, lambda k: 2 * k, lambda k: 2 * k + 1),
    ),
}


def test_losses_and_slopes_are_their_formulas_in_double_precision(rng):
    logits = {
        name: 2 * rng.standard_normal((BATCH, classes))
        for name, (_, classes, *_) in FORMULAS.items()
    }

    @jax.jit
    def paid(logits):
        return {n: jax.value_and_grad(FORMULAS[n][0])(x, QUARTERS) for n, x in logits.items()}

    made, moved = paid(logits), paid({name: x + 1e3 for name, x in logits.items()})
    for name, (_, _, formula, slopes) in FORMULAS.items():
        assert_allclose(made[name][0], formula(logits[name], QUARTERS), rtol=0, atol=1e-12)
        assert_allclose(made[name][1], slopes(logits[name], QUARTERS), rtol=0, atol=1e-12)
        assert_allclose(moved[name][0], made[name][0], rtol=0, atol=1e-10)


def test_the_generators_terms_are_means_of_two_logits(rng):
    logits = rng.standard_normal((BATCH, 8))
    own = [logits[i, k] for i, k in enumerate(QUARTERS)]
    assert_allclose(fake_log_ratio(jnp.asarray(logits), QUARTERS), np.mean(logits[:, 4] - own))
    pairs = [logits[i, 2 * k + 1] - logits[i, 2 * k] for i, k in enumerate(QUARTERS)]
    assert_allclose(label_log_ratio(jnp.asarray(logits), QUARTERS), np.mean(pairs))


# --- what is drawn ------------------------------------------------------------------------------


def test_the_mixed_pool_is_turned_real_images_and_then_upright_fakes(rng):
    real, fake = rng.standard_normal((2, 3, 4, 4, 1))
    images, labels = jax.jit(mixed_pool)(real, fake, np.arange(15))
    for index in range(15):
        label, place = index // 3, index % 3
        assert labels[index] == label
        expected = fake[place] if label == FAKE else np.rot90(real[place], label)
        assert_array_equal(images[index], expected)


def context_of(key):
    """With a key and a batch, and no networks."""
    draws = Draws(jnp.zeros((BATCH, LATENT)), key=key)
    batch = {"image": np.zeros((BATCH, SIDE, SIDE, 1))}
    return Context({}, {}, {}, batch=batch, draws=draws, step=0)


def test_no_member_of_a_pool_is_drawn_twice():
    @jax.vmap
    def indices(move):
        context = context_of(jax.random.key(move))
        return {sets: drawn_from_pool(context, sets) for sets in (4, 5)}

    drawn = jax.jit(indices)(np.arange(40))
    found = {sets: np.asarray(members) for sets, members in drawn.items()}
    assert all(len(set(one)) == BATCH for members in found.values() for one in members)
    # All members come, about equally often, of one set as of another.
    for sets, members in found.items():
        assert members.max() < sets * BATCH and len(np.unique(members)) > 0.9 * sets * BATCH
        shares = np.bincount(members.ravel() // BATCH) / members.size
        assert_allclose(shares, 1 / sets, atol=0.1)


# --- the tasks, against networks in NumPy ---------------------------------------------------------


def turned(images, turns):
    return np.stack([np.rot90(x, k) for x, k in zip(images, turns, strict=True)])


class Slow:
    """What the head says of images, and what was drawn."""

    def __init__(self, params, batch, draws, head):
        self.params, self.head = params, params[head]["linear"]
        self.real = batch["image"]
        self.fake = slow_generator(params["generator"], np.asarray(draws.z))
        self.pool = {sets: pool(draws, sets) for sets in (4, 5)}

    def logits(self, images):
        pooled = slow_discriminator(self.params["discriminator"], images)[1]
        return pooled @ self.head["kernel"] + self.head["bias"]

    def turned(self, owner):
        return self.logits(turned(getattr(self, owner), QUARTERS))


def pool(draws, sets):
    data = tuple(np.asarray(jax.random.key_data(draws.key)).tolist())
    return _pool(data, sets)


@functools.cache
def _pool(data, sets):
    key = jax.random.wrap_key_data(jnp.array(data, jnp.uint32))
    return np.array(drawn_from_pool(context_of(key), sets))


def ms(s, player):
    fake = s.turned("fake")
    if player == "discriminator":
        return entropy(s.turned("real"), QUARTERS) + entropy(fake, fakes(QUARTERS))
    return entropy(fake, QUARTERS) - entropy(fake, fakes(QUARTERS))


def matching(s, player):
    if player == "discriminator":
        labels, places = s.pool[5] // BATCH, s.pool[5] % BATCH
        images = [
            s.fake[i] if k == FAKE else np.rot90(s.real[i], k)
            for k, i in zip(labels, places, strict=True)
        ]
        return entropy(s.logits(np.stack(images)), labels)
    return abs(gap(s))


def gap(s):
    """CE of turned fakes less that of the real images at the same places of the pool."""
    turns, places = s.pool[4] // BATCH, s.pool[4] % BATCH
    fake, real = (entropy(s.logits(turned(x[places], turns)), turns) for x in (s.fake, s.real))
    return fake - real


def la(s, player):
    fake = s.turned("fake")
    if player == "discriminator":
        return entropy(s.turned("real"), 2 * QUARTERS) + entropy(fake, 2 * QUARTERS + 1)
    return entropy(fake, 2 * QUARTERS) - entropy(fake, 2 * QUARTERS + 1)


def la_hinge(s, player):
    """The generator's margins are not cut at 0."""
    fake = s.turned("fake")
    if player == "discriminator":
        real = slow_multi_hinge(s.turned("real"), 2 * QUARTERS)
        return real + slow_multi_hinge(fake, 2 * QUARTERS + 1)
    own = [fake[np.arange(BATCH), 2 * QUARTERS + k][:, None] for k in (0, 1)]
    real, made = (((1 - one + fake).sum(1) - 1).mean() / 7 for one in own)
    return real - made


def ss(s, player):
    return entropy(s.turned("real" if player == "discriminator" else "fake"), QUARTERS)


def ss_of_pool(s, player):
    images = s.real if player == "discriminator" else s.fake
    turns, places = s.pool[4] // BATCH, s.pool[4] % BATCH
    return entropy(s.logits(turned(images[places], turns)), turns)


WEIGHTS = {"discriminator_weight": 0.7, "generator_weight": 0.3}
# The metric, the task, what it adds, and its head.
TASKS = {
    "MS": ("multi_class", multi_class_task, ms, "class_head"),
    "matching": ("matching", matching_task, matching, "class_head"),
    "LA": ("label_augmented", label_augmented_task, la, "class_head"),
    "LA hinge": (
        "label_augmented",
        functools.partial(label_augmented_task, loss="multi-hinge"),
        la_hinge,
        "class_head",
    ),
    "SS": (
        "rotation",
        functools.partial(rotation_task, head=ClassHead(4)),
        ss,
        "rotation_head",
    ),
    "SS of the pool": (
        "rotation",
        functools.partial(rotation_task, head=ClassHead(4), sampler="pool"),
        ss_of_pool,
        "rotation_head",
    ),
}
CHANCE = {"MS": 2 * np.log(5), "matching": np.log(5), "LA": 2 * np.log(8), "LA hinge": 2.0}


FAST = ("MS",)


@pytest.mark.parametrize(
    "name", [*FAST, *(pytest.param(n, marks=SLOW) for n in TASKS if n not in FAST)]
)
def test_players_pay_the_formula_and_learn_from_it(name, draws):
    metric, task, formula, head = TASKS[name]
    game = Game(G, D, (task(**WEIGHTS),), PLAYERS)
    beginning, moves = drawn(game), moving(game)
    # The head joins the discriminator; the generator trains itself alone.
    trains = {u.name: u.trains for u in game.updates}
    assert trains == {"generator": ("generator",), "discriminator": ("discriminator", head)}
    (moved,) = moves(beginning, draws)
    for player, (value, slopes, aux) in moved.items():
        # One pass of the discriminator, and the generated images are made once, if at all.
        counts = passes(aux.stats | {head: {"passes": {"count": 1}}})
        assert set(counts.values()) == {1} and "discriminator" in counts

        def slow(params, player=player):
            return formula(Slow(params, beginning.batch, draws, head), player)

        weight = WEIGHTS[f"{player}_weight"]
        assert_allclose(aux.metrics[metric], slow(beginning.params), rtol=0, atol=1e-12)
        assert_allclose(value, weight * slow(beginning.params), rtol=0, atol=1e-12)
        expected = differences(slow, beginning.params, trains[player])
        for network, own in slopes.items():
            assert max(np.abs(x).max() for x in jax.tree.leaves(expected[network])) > 1e-4
            for a, b in zip(*map(jax.tree.leaves, (own, expected[network])), strict=True):
                assert_allclose(a, weight * b, rtol=0, atol=1e-8)

    if name in CHANCE:
        beginning.params[head] = jax.tree.map(np.zeros_like, beginning.params[head])
        _, _, aux = moves(beginning, draws)[0]["discriminator"]
        assert_allclose(aux.metrics[metric], CHANCE[name], rtol=0, atol=1e-12)


def test_matching_pulls_by_the_sign_of_the_gap(draws):
    game = Game(G, D, (matching_task(generator_weight=1.0),), PLAYERS)
    beginning, signs = drawn(game), set()
    moves = moving(game, players=("generator",))

    def slow(params):
        return gap(Slow(params, beginning.batch, draws, "class_head"))

    for sign in (1, -1):
        # The head the other way round finds the fakes the easier ones.
        beginning.params["class_head"]["linear"]["kernel"] *= sign
        signs.add(np.sign(slow(beginning.params)))
        _, slopes, _ = moves(beginning, draws)[0]["generator"]
        expected = differences(slow, beginning.params, ("generator",))
        for a, b in zip(*map(jax.tree.leaves, (slopes, expected)), strict=True):
            assert_allclose(a, np.sign(slow(beginning.params)) * b, rtol=0, atol=1e-8)
    assert signs == {-1, 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MS", "matching", "LA", "SS"])
def test_weights_of_zero_leave_the_base_bit_for_bit(name, draws):
    task = TASKS[name][1](discriminator_weight=0.0, generator_weight=0.0)
    base, game = Game(G, D, (HINGE,), PLAYERS), Game(G, D, (HINGE, task), PLAYERS)
    beginning = drawn(game)
    made, plain = moving(game, base)(beginning, draws)
    for player, (value, slopes, _) in made.items():
        assert value == plain[player][0]
        pairs = zip(*map(jax.tree.leaves, (slopes[player], plain[player][1][player])), strict=True)
        for a, b in pairs:
            assert_array_equal(a, b)


@pytest.mark.slow
def test_the_head_of_a_conditional_discriminator_sees_no_labels(rng, draws):
    networks = Generator(classes=CLASSES), Discriminator(classes=CLASSES)
    game = Game(*networks, (HINGE, multi_class_task()), PLAYERS)
    beginning = drawn(game)
    own = draws._replace(labels=jnp.asarray(rng.integers(0, CLASSES, BATCH), jnp.int32))
    other = beginning._replace(
        batch={**beginning.batch, "label": (beginning.batch["label"] + 1) % CLASSES}
    )
    one, two = (
        value_and_gradient(game, of, "discriminator", own)[2].metrics for of in (beginning, other)
    )
    assert one["multi_class"] == two["multi_class"] and one["real_logit"] != two["real_logit"]


def test_an_unknown_loss_of_label_augmentation_is_refused():
    with pytest.raises(ValueError, match="unknown loss 'hinge'; losses are cross-entropy and mul"):
        label_augmented_task(loss="hinge")  # pyright: ignore[reportArgumentType]
