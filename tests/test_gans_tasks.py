"""New tasks on the frame, none of which it knows of: each is written here and nowhere else."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.nn import sigmoid, softplus
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    LOSSES,
    Draws,
    Game,
    Loss,
    Player,
    Prior,
    Recipe,
    Task,
    adversarial,
    gradient_penalty,
    penalised,
)
from gan_forensics.gans.priors import normal
from gan_forensics.train import init_state, make_step, minibatches_per_step
from tests.tiny_gans import (
    BATCH,
    CLASSES,
    LATENT,
    Discriminator,
    Generator,
    passed,
    passes,
    start,
    value_and_gradient,
)

G, D = Generator(), Discriminator()
PLAYERS = Recipe(1e-3, n_dis=2, first="discriminator").players()
NON_SATURATING = adversarial(LOSSES["non_saturating"])


@pytest.fixture
def draws(rng):
    z = jnp.asarray(rng.standard_normal((BATCH, LATENT)), jnp.float32)
    return Draws(z, key=jax.random.key(1))


def judged(beginning, images, name="discriminator"):
    return passed(D, beginning, name, images)


def generated(beginning, draws):
    return passed(G, beginning, "generator", draws.z)


# --- a loss of pairs, with two penalties ----------------------------------------------------------


def relativistic():
    """softplus(D(fake) - D(real)), and the other way round (Jolicoeur-Martineau, ICLR 2019)."""

    def discriminator(context):
        return Loss(softplus(context.fake["logits"] - context.real["logits"]).mean())

    def generator(context):
        return Loss(softplus(context.real["logits"] - context.fake["logits"]).mean())

    return Task((discriminator,), (generator,))


def test_a_paired_loss_with_penalties_on_real_and_on_fake_images(draws):
    penalties = (
        penalised("0-gp", sample="real", weight=0.5, name="r1"),
        penalised("0-gp", sample="fake", weight=0.25, name="r2"),
    )
    game = Game(G, D, (relativistic(), *penalties), PLAYERS)
    beginning = start(G, D)
    real, fake = beginning.batch["image"], generated(beginning, draws)
    r, f = (judged(beginning, x).logits for x in (real, fake))
    r1, r2 = (
        gradient_penalty(lambda x: judged(beginning, x).logits, real, fake, kind="0-gp", sample=s)
        for s in ("real", "fake")
    )
    value, _, aux = value_and_gradient(game, beginning, "discriminator", draws)
    assert_allclose(value, softplus(f - r).mean() + 0.5 * r1 + 0.25 * r2, rtol=1e-5)
    assert_allclose((aux.metrics["r1"], aux.metrics["r2"]), (r1, r2), rtol=1e-5)
    value, gradients, aux = value_and_gradient(game, beginning, "generator", draws)
    assert_allclose(value, softplus(r - f).mean(), rtol=1e-5)
    # The real images were looked at in the generator's move as well, once.
    assert passes(aux.stats) == {"generator": 1, "discriminator": 2}
    assert np.abs(gradients["generator"]["dense"]["kernel"]).max() > 1e-4


def test_two_penalties_of_one_name_are_refused(draws):
    game = Game(G, D, (NON_SATURATING, penalised("0-gp"), penalised("lp")), PLAYERS)
    with pytest.raises(ValueError, match="two tasks report the metric 'penalty'.*name="):
        value_and_gradient(game, start(G, D), "discriminator", draws)


def test_a_penalty_asks_a_conditional_critic_with_the_labels_of_real_images(rng):
    g, d = Generator(classes=CLASSES), Discriminator(classes=CLASSES)
    beginning = start(g, d)
    real, labels = beginning.batch["image"], beginning.batch["label"]
    z = jnp.asarray(rng.standard_normal((BATCH, LATENT)), jnp.float32)
    other = Draws(z, (labels + 1) % CLASSES, key=jax.random.key(1))
    game = Game(g, d, (NON_SATURATING, penalised("1-gp", sample="real", weight=2.0)), PLAYERS)
    expected = gradient_penalty(
        lambda x: passed(d, beginning, "discriminator", x, labels).logits,
        real,
        real,
        kind="1-gp",
        sample="real",
    )
    _, _, aux = value_and_gradient(game, beginning, "discriminator", other)
    assert_allclose(aux.metrics["penalty"], expected, rtol=1e-5)
    # The penalty's own look at the critic leaves its statistics where they were.
    assert passes(aux.stats) == {"generator": 1, "discriminator": 2}


def test_keys_differ_by_purpose_and_by_move_and_are_found_again(draws):
    drawn = {}

    def asks(purpose):
        def term(context):
            drawn.setdefault(purpose, []).append(context.key(purpose))
            return Loss(jnp.zeros(()))

        return term

    game = Game(G, D, (NON_SATURATING, Task((asks("mix"), asks("mix"), asks("crop")))), PLAYERS)
    for key in (1, 2):
        value_and_gradient(
            game, start(G, D), "discriminator", draws._replace(key=jax.random.key(key))
        )
    mix, crop = ([jax.random.key_data(k).tolist() for k in drawn[name]] for name in ("mix", "crop"))
    assert mix[0] == mix[1] and mix[2] == mix[3]
    assert len({str(k) for k in (*mix, *crop)}) == 4
    assert jax.random.key_data(draws.key).tolist() not in (*mix, *crop)


# --- a head of its own on transformed images, in both moves ---------------------------------------


def flipped(images):
    return images[:, :, ::-1]


def flips(weight):
    """A second head tells real from generated images in mirrored copies of them."""

    def logits(context, owner):
        pooled = context.judged(owner, flipped)["pooled"]
        return context.apply("flip_head", pooled)[:, 0]

    def discriminator(context):
        loss = LOSSES["hinge"].discriminator(logits(context, "real"), logits(context, "fake"))
        return Loss(weight * loss, {"flip": loss})

    def generator(context):
        loss = LOSSES["hinge"].generator(logits(context, "fake"))
        return Loss(weight * loss, {"flip": loss})

    return Task((discriminator,), (generator,), {"flip_head": Head()})


class Head(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1, name="logit")(x)


def test_a_head_of_its_own_looks_at_transformed_images_in_both_moves(draws):
    game = Game(G, D, (NON_SATURATING, flips(0.3), flips_again()), PLAYERS)
    batch = start(G, D).batch
    params, stats = game.init(jax.random.key(2), batch)
    assert params["flip_head"]["logit"]["kernel"].shape == (4, 1)
    beginning = start(G, D)._replace(params=params, stats=stats)
    (update,) = [u for u in game.updates if u.name == "discriminator"]
    assert update.trains == ("discriminator", "flip_head")

    def head(images):
        pooled = judged(beginning, flipped(images)).pooled
        return Head().apply({"params": params["flip_head"]}, pooled, train=True)[:, 0]

    real, fake = batch["image"], generated(beginning, draws)
    plain = LOSSES["non_saturating"], LOSSES["hinge"]
    pairs = [(judged(beginning, x).logits, head(x)) for x in (real, fake)]
    expected = sum(
        w * loss.discriminator(r, f) for w, loss, r, f in zip((1, 0.3), plain, *pairs, strict=True)
    )
    value, _, aux = value_and_gradient(game, beginning, "discriminator", draws)
    assert_allclose(value, expected, rtol=1e-5)
    # Two tasks look at the same mirrored images: one pass for both.
    assert passes({n: aux.stats[n] for n in ("generator", "discriminator")}) == {
        "generator": 1,
        "discriminator": 4,
    }
    value, gradients, _ = value_and_gradient(game, beginning, "generator", draws)
    expected = sum(
        w * loss.generator(f) for w, loss, f in zip((1, 0.3), plain, pairs[1], strict=True)
    )
    assert_allclose(value, expected, rtol=1e-5)
    assert gradients.keys() == {"generator"}


def flips_again():
    def look(context):
        return Loss(0.0 * context.judged("real", flipped)["logits"].mean())

    return Task((look,))


def test_an_output_that_the_discriminator_lacks_is_named(draws):
    def term(context):
        return Loss(context.fake["classes"].mean())

    game = Game(G, D, (NON_SATURATING, Task(generator=(term,))), PLAYERS)
    with pytest.raises(ValueError, match="output 'classes', this one has only logits, local"):
        value_and_gradient(game, start(G, D), "generator", draws)


class Mapped(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        y = nn.Dense(3)(x.reshape(len(x), -1))
        return {"logits": y[:, 0], "angle": y[:, 1:]}


def test_owners_and_players_that_do_not_exist_are_named(draws):
    task = Task(generator=(lambda context: Loss(context.images("Real").mean()),))
    game = Game(G, D, (NON_SATURATING, task), PLAYERS)
    with pytest.raises(ValueError, match="unknown owner 'Real': images are real or fake"):
        value_and_gradient(game, start(G, D), "generator", draws)
    with pytest.raises(
        ValueError, match=r"\['encoder'\], who are not in the game: its players are"
    ):
        Game(G, D, (NON_SATURATING, Task(others={"encoder": ()})), PLAYERS)


def test_outputs_of_a_discriminator_may_be_a_mapping(draws):
    task = Task(generator=(lambda context: Loss(context.real["angle"].mean()),))
    game = Game(G, Mapped(), (NON_SATURATING, task), PLAYERS)
    beginning = start(G, D)
    params, stats = game.init(jax.random.key(0), beginning.batch)
    value, _, _ = value_and_gradient(
        game, beginning._replace(params=params, stats=stats), "generator", draws
    )
    assert np.isfinite(value)


# --- real images in the generator's move, and a weight that follows the step ----------------------


def score_distance():
    """|E s(x) - E s(G(z))| in the place of the generator's loss (Dist-GAN)."""

    def generator(context):
        real, fake = (sigmoid(x["logits"]).mean() for x in (context.real, context.fake))
        return Loss(jnp.abs(real - fake), {"distance": jnp.abs(real - fake)})

    return Task(NON_SATURATING.discriminator, (generator,))


def test_a_generators_term_of_real_images(draws):
    game = Game(G, D, (score_distance(),), PLAYERS)
    beginning = start(G, D)
    real, fake = beginning.batch["image"], generated(beginning, draws)
    scores = [sigmoid(judged(beginning, x).logits).mean() for x in (real, fake)]
    value, gradients, _ = value_and_gradient(game, beginning, "generator", draws)
    assert_allclose(value, abs(scores[0] - scores[1]), rtol=1e-4)

    def alone(params):
        of = beginning._replace(params={**beginning.params, "generator": params})
        return sigmoid(judged(of, generated(of, draws)).logits).mean()

    # Only the fakes depend on the generator.
    sign = -np.sign(scores[0] - scores[1])
    expected = jax.grad(alone)(beginning.params["generator"])
    for a, b in zip(*map(jax.tree.leaves, (gradients["generator"], expected)), strict=True):
        assert_allclose(a, sign * b, rtol=1e-4, atol=1e-7)


def test_a_weight_may_follow_the_step(draws):
    ramp = penalised("0-gp", sample="real", weight=lambda step: jnp.minimum(step / 4, 1.0))
    game = Game(G, D, (NON_SATURATING, ramp), PLAYERS)
    beginning = start(G, D)
    values = [
        float(value_and_gradient(game, beginning, "discriminator", draws, step)[0])
        for step in (0, 2, 4, 8)
    ]
    _, _, aux = value_and_gradient(game, beginning, "discriminator", draws)
    penalty, plain = float(aux.metrics["penalty"]), float(aux.metrics["adversarial"])
    assert_allclose(values, plain + penalty * np.array([0, 0.5, 1, 1]), rtol=1e-5)
    # In training it is the step of the state: three steps with the ramp are those written out.
    state = init_state(game.updates, beginning.params, beginning.stats)
    batches = jax.tree.map(lambda x: jnp.stack([x] * 2), beginning.batch)
    step = jax.jit(make_step(game.updates))
    later, _ = step(state.replace(step=jnp.asarray(4, jnp.int32)), batches, jax.random.key(0))
    first, _ = step(state, batches, jax.random.key(0))
    assert any(
        (a != b).any()
        for a, b in zip(*map(jax.tree.leaves, (later.params, first.params)), strict=True)
    )


# --- a third player -----------------------------------------------------------------------------


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(LATENT, name="code")(x.reshape(len(x), -1))


def reconstruction():
    """Mean (x - G(E(x)))^2, minimised by a player who trains encoder and generator."""

    def term(context):
        z = context.apply("encoder", context.images("real"))
        again = context.apply("generator", z)
        return Loss(jnp.square(again - context.images("real")).mean())

    return Task(networks={"encoder": Encoder()}, others={"autoencoder": (term,)})


def three(prior=None):
    autoencoder = Player(
        "autoencoder", optax.sgd(0.1), ("encoder", "generator"), own_minibatches=True
    )
    players = (autoencoder, *(p._replace(own_minibatches=True) for p in PLAYERS))
    return Game(G, D, (NON_SATURATING, reconstruction()), players, prior=prior)


def test_a_third_player_trains_the_network_that_its_task_brings():
    game = three()
    assert [u.trains for u in game.updates] == [
        ("encoder", "generator"), ("discriminator",), ("generator",)
    ]  # fmt: skip
    assert minibatches_per_step(game.updates) == 1 + 2 + 1
    batch = start(G, D).batch["image"]
    params, stats = game.init(jax.random.key(0), {"image": batch})
    state = init_state(game.updates, params, stats)
    batches = {"image": jnp.stack([batch, -batch, 0.5 * batch, -0.5 * batch])}
    after, metrics = make_step(game.updates)(state, batches, jax.random.key(0))
    assert {name.split("/")[0] for name in metrics} == {"autoencoder", "discriminator", "generator"}
    # Each move has minibatches of its own: the autoencoder the first, the discriminator the next
    # two; the generator, which looks at no real images here, the last.
    for place, moved in ((0, "encoder"), (1, "discriminator"), (2, "discriminator")):
        other = {"image": batches["image"].at[place].multiply(1.5)}
        changed, _ = make_step(game.updates)(state, other, jax.random.key(0))
        leaves = (jax.tree.leaves(dict(s.params)[moved]) for s in (after, changed))
        assert any((a != b).any() for a, b in zip(*leaves, strict=True)), place
        if place:
            assert_array_equal(
                changed.params["encoder"]["code"]["kernel"],
                after.params["encoder"]["code"]["kernel"],
            )


def test_networks_and_players_that_nobody_knows_are_named(draws):
    lost = Task(generator=(lambda context: Loss(context.apply("critic", draws.z)),))
    game = Game(G, D, (NON_SATURATING, lost), PLAYERS)
    with pytest.raises(ValueError, match="no network 'critic' in this game, only generator, disc"):
        value_and_gradient(game, start(G, D), "generator", draws)
    idle = Game(G, D, (NON_SATURATING, Task(networks={"idle": Encoder()})), PLAYERS)
    with pytest.raises(ValueError, match=r"no term applies the networks \['idle'\]"):
        idle.init(jax.random.key(0), start(G, D).batch)


class Points(nn.Module):
    latent: int = 2

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(2)(x)


class Score(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1)(jnp.tanh(nn.Dense(4)(x)))[:, 0]


def test_a_game_of_points_reads_them_where_it_is_told():
    tasks = (NON_SATURATING, penalised("1-gp"))
    game = Game(Points(), Score(), tasks, Recipe(1e-3).players(), data="x")
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 16, 2)), jnp.float32)
    state = init_state(game.updates, *game.init(jax.random.key(0), {"x": x[0, :2]}))
    step = jax.jit(make_step(game.updates))
    _, metrics = step(state, {"x": x}, jax.random.key(0))
    _, other = step(state, {"x": x + 1}, jax.random.key(0))
    assert np.isfinite(metrics["discriminator/penalty"])
    assert metrics["discriminator/real_logit"] != other["discriminator/real_logit"]
    with pytest.raises(ValueError, match="looks at 'image', the batch has x"):
        Game(Points(), Score(), tasks, Recipe(1e-3).players()).init(jax.random.key(0), {"x": x[0]})


# --- priors -------------------------------------------------------------------------------------


def test_a_prior_may_be_a_mixture_or_depend_on_the_data():
    centres = jnp.array([[-5.0] * LATENT, [5.0] * LATENT])

    def mixture(key, n, _):
        one, two = jax.random.split(key)
        chosen = jax.random.randint(one, (n,), 0, 2)
        return centres[chosen] + 0.1 * jax.random.normal(two, (n, LATENT))

    def of_data(key, n, batch):
        return batch["image"].reshape(n, -1)[:, :LATENT] + 0 * jax.random.normal(key, (n, LATENT))

    beginning = start(G, D)
    for name, draw in (("mixture", mixture), ("data", of_data)):
        seen = []
        spy = Task(generator=(lambda c, seen=seen: seen.append(c.draws.z) or Loss(jnp.zeros(())),))
        game = Game(G, D, (NON_SATURATING, spy), PLAYERS, prior=Prior(name, LATENT, draw))
        value_and_gradient(game, beginning, "generator", jax.random.key(0))
        (z,) = seen
        if name == "mixture":
            assert set(np.sign(np.asarray(z)[:, 0])) == {-1, 1} and np.abs(z).min() > 4
        else:
            assert_array_equal(z, beginning.batch["image"].reshape(BATCH, -1)[:, :LATENT])


def test_a_prior_that_does_not_fit_the_generator_is_refused():
    with pytest.raises(ValueError, match="normal prior draws 5 numbers, the generator takes 3"):
        Game(G, D, (NON_SATURATING,), PLAYERS, prior=normal(5))
    lies = Prior("short", LATENT, lambda key, n, _: jnp.zeros((n, 2)))
    game = Game(G, D, (NON_SATURATING,), PLAYERS, prior=lies)
    with pytest.raises(ValueError, match=r"short prior drew \[8, 2\]"):
        value_and_gradient(game, start(G, D), "generator", jax.random.key(0))
