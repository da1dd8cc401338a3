"""GANs of networks that somebody else wrote, and of any terms."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    LOSSES,
    Context,
    Draws,
    Loss,
    Task,
    adversarial,
    generate,
    init,
    load_gan,
    make_gan,
)
from gan_forensics.gans.discriminator_output import DiscriminatorOutput
from gan_forensics.gans.task import loss_of
from gan_forensics.nn.calling import told
from gan_forensics.train import RunFolderError
from gan_forensics.train.run_folder import claim

SIDE, LATENT = 4, 2
HINGE = adversarial("hinge")


class MyG(nn.Module):
    """Noise to images, or to something else."""

    kind: str = "plain"

    @nn.compact
    def __call__(self, z):
        """Linear."""
        x = nn.tanh(nn.Dense(SIDE * SIDE * 3)(z)).reshape(-1, SIDE, SIDE, 3)
        makes = {
            "channels first": lambda: x.transpose(0, 3, 1, 2),
            "small": lambda: x[:, :2],
            "pair": lambda: (x, z),
            "whole": lambda: x.astype(jnp.int32),
            "batch norm": lambda: nn.BatchNorm(use_running_average=False)(x),
            "dropout": lambda: nn.Dropout(0.5, deterministic=False)(x),
            "wrong": lambda: x @ jnp.ones((7,), jnp.float32),
            "nan": lambda: x * self.param("scale", lambda key: jnp.full((), jnp.nan, jnp.float32)),
        }
        return makes[self.kind]() if self.kind in makes else x


class MyD(nn.Module):
    """Images to logits [b, 1] and features, or to something else."""

    kind: str = "plain"

    @nn.compact
    def __call__(self, x):
        """One hidden layer."""
        pooled = nn.relu(nn.Dense(5)(x.reshape(len(x), -1)))
        logits = nn.Dense(1)(pooled)
        if self.kind == "sown":
            self.sow("intermediates", "pooled", pooled)
        returned = {
            "named": {"logits": logits, "pooled": pooled},
            "pair": (logits, pooled),
            "three": (logits, pooled, pooled),
            "no logits": {"score": logits},
            "places": nn.Dense(1)(x),
            "mean": logits.mean(),
            "one": logits.mean(keepdims=True),
            "name": "real",
        }
        return returned.get(self.kind, logits)


class Flagged(nn.Module):
    """A discriminator with dropout, which others would call a classifier."""

    @nn.compact
    def __call__(self, x, *, deterministic=True):
        """The sum of what is left."""
        return nn.Dropout(0.5, deterministic=deterministic)(x).sum((1, 2, 3))


class Labelled(nn.Module):
    """Noise with labels, in an order that nobody else has."""

    @nn.compact
    def __call__(self, z, train, labels):
        """Nothing."""
        return z


class Demanding(nn.Module):
    """Noise and something more."""

    @nn.compact
    def __call__(self, z, alpha):
        """Nothing."""
        return z


class OfNnx(nnx.Module):
    """A module of the other kind."""


def matching(context):
    """Means of features."""
    return 10 * ((context.real.pooled.mean(0) - context.fake.pooled.mean(0)) ** 2).sum()


def each(context):
    """No mean."""
    return context.fake.logits


def nothing(context):
    """A term whose author forgot to return."""


def made(generator=None, discriminator=None, *, tasks=(HINGE,), **options):
    networks = (MyG() if generator is None else generator), discriminator or MyD()
    return make_gan(*networks, tasks=tasks, **{"size": SIDE, "latent": LATENT, **options})


WRONG = {
    "a class": (lambda: made(MyG), "the generator is the class MyG: give an instance of it"),
    "nnx": (lambda: made(OfNnx()), "OfNnx is a Flax NNX module.*nnx.bridge.to_linen"),
    "an array": (lambda: made(np.ones(3)), "the generator is a ndarray of numpy, and a Linen"),
    "no latent": (lambda: made(latent=None), "MyG has no attribute latent.*latent=128"),
    "no labels": (lambda: made(classes=2), r"MyG.__call__\(z\).*noise .* and labels \[b\]"),
    "an order": (lambda: made(Labelled(), classes=2), "z, train, labels.*take them in this order"),
    "labels": (lambda: made(Labelled()), "without classes.*give labels a default"),
    "more": (lambda: made(Demanding()), "give alpha a default"),
    "layout": (lambda: made(MyG("channels first")), r"\[2, 3, 4, 4\] \(channels first, NCHW\)"),
    "size": (lambda: made(MyG("small")), r"makes \[2, 2, 4, 3\] of 2 noises, and \[2, 4, 4, 3\]"),
    "images": (lambda: made(MyG("pair")), "MyG returns a tuple: return the images"),
    "dtype": (lambda: made(MyG("whole")), "makes int32: return floats"),
    "statistics": (lambda: made(MyG("batch norm")), "changes its statistics.*takes none of train"),
    "dropout": (lambda: made(MyG("dropout")), "still draws random numbers when it does not train"),
    "flax": (lambda: made(MyG("wrong")), r"MyG cannot be applied to float32\[2, 2\]: TypeError: "),
    "nan": (lambda: init(made(MyG("nan"))), "MyG starts with numbers .* in params/scale"),
    "three": (lambda: made(None, MyD("three")), "returned a tuple of 3: return logits"),
    "no logits": (
        lambda: made(None, MyD("no logits")),
        "outputs are score: one is called 'logits'",
    ),
    "places": (lambda: made(None, MyD("places")), r"logits \[2, 4, 4, 1\]: one number for each"),
    "mean": (lambda: made(None, MyD("mean")), r"returned logits \[\]"),
    "name": (lambda: made(None, MyD("name")), "MyD: a discriminator returned a str"),
    "one task": (lambda: made(tasks=HINGE), "tasks come in a list, got Task"),
    "a function": (lambda: made(tasks=[matching]), "a task is a Task, got the function matching"),
    "a loss": (lambda: made(tasks=[LOSSES["hinge"]]), "a task is a Task, got AdversarialLoss"),
    "no tuple": (
        lambda: made(tasks=[HINGE, Task(generator=(matching))]),  # pyright: ignore
        r"in a tuple, got the function matching: give Task\(generator=\(my_term,\)\)",
    ),
    "no term": (
        lambda: made(None, MyD("named"), tasks=[Task(generator=(matching,))]),
        "no task has a term for the discriminator: add adversarial",
    ),
    "an output": (
        lambda: made(tasks=[HINGE, Task(generator=(matching,))]),
        "the loss of the generator: a task needs the discriminator's output 'pooled', this one has "
        r"only logits: .*'pooled': .*self.sow.*\(in the term matching\)$",
    ),
    "each": (
        lambda: made(tasks=[HINGE, Task(generator=(each,))]),
        r"returned float32\[2\]: it returns one number.*\(in the term each\)$",
    ),
    "nothing": (
        lambda: made(tasks=[HINGE, Task(generator=(nothing,))]),
        r"returned None: .*\(in the term nothing\)$",
    ),
    "a loss by name": (lambda: adversarial("hinje"), "'hinje': give one of minimax, .*hinge_v1"),
    "range": (lambda: made(range=(0, 255)), r"range is \(-1, 1\) or \(0, 1\)"),
    "rate": (lambda: made(learning_rate=-1), "learning_rate must be positive, got -1"),
    "no moves": (lambda: made(n_dis=0), "n_dis must be a whole number, 1 or more, got 0"),
    "the second rate": (
        lambda: made(discriminator_learning_rate=-1),
        "discriminator_learning_rate must be positive, got -1",
    ),
    "two schedules": (
        lambda: made(learning_rate=lambda step: 1e-4, schedule="linear", decay_steps=4),
        "leave schedule='linear' out",
    ),
    "a list of arrays": (
        lambda: made(nn.Dense(3, dtype=jnp.ones(2))),  # pyright: ignore
        "Dense has a field that cannot be hashed",
    ),
    "one for all": (lambda: made(None, MyD("one")), "returns 1 logits for 2 images: one for each"),
    "prior": (lambda: made(prior="laplace"), "unknown prior 'laplace'; priors are normal, uniform"),
    "precision": (lambda: made(precision="bfloat16"), "the dtype that they choose"),
    "names": (lambda: made(label_names=("a",)), "1 label_names for 0 classes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_work_is_told_in_one_line(case):
    make, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as told:
        make()
    assert "\n" not in str(told.value)


def test_a_term_on_own_networks_moves_them():
    gan = made(None, MyD("sown"), tasks=[HINGE, Task(generator=(matching,))])
    params, stats = init(gan, 0)
    batch = {"image": np.random.default_rng(0).uniform(-1, 1, (4, SIDE, SIDE, 3))}
    batch = jax.tree.map(jnp.float32, batch)
    move = {u.name: u for u in gan.updates}["generator"]
    own, other = ({name: params[name]} for name in ("generator", "discriminator"))
    slope = jax.jit(jax.grad(move.loss, has_aux=True))
    slopes, aux = slope(own, other, stats, batch, jax.random.key(0), 0)
    assert set(aux.metrics) == {"adversarial", "matching"}
    assert float(aux.metrics["matching"]) > 0
    assert np.abs(slopes["generator"]["Dense_0"]["kernel"]).max() > 0


def test_what_make_gan_is_given_is_what_the_game_plays():
    gan = made(latent=5, prior="uniform", betas=(0.0, 0.9), first="discriminator", n_dis=2)
    assert (gan.game.prior.latent, gan.game.prior.name) == (5, "uniform")
    assert [update.name for update in gan.updates] == ["discriminator", "generator"]
    assert gan.config.latent == 5 and gan.config.betas == (0.0, 0.9)


def test_parameters_are_those_of_the_network_itself():
    params, _ = init(made(), 0)
    own = MyG().init(jax.random.key(0), jnp.zeros((1, LATENT), jnp.float32))["params"]
    assert jax.tree.map(jnp.shape, params["generator"]) == jax.tree.map(jnp.shape, own)


def test_images_follow_from_the_seed_alone():
    gan = made()
    state = gan.learner.start(0)
    images = generate(gan, state, 3, seed=1, batch_size=4)
    assert images.shape == (3, SIDE, SIDE, 3)
    assert images.dtype == np.uint8
    assert_array_equal(images[:2], generate(gan, state, 2, seed=1, batch_size=4))


def test_networks_in_zero_to_one_make_the_whole_range():
    def to_ends(z):
        return jnp.broadcast_to(z[:, :1] > 0, (len(z), SIDE * SIDE * 3)).astype(jnp.float32)

    layers = [to_ends, nn.sigmoid, lambda x: (x > 0.6).reshape(-1, SIDE, SIDE, 3) * 1.0]
    gan = made(nn.Sequential(layers), range=(0, 1))
    images = generate(gan, gan.learner.start(0), 8, seed=0, batch_size=8)
    assert set(np.unique(images)) == {0, 255}


def test_lists_among_the_fields_of_a_network_are_no_hindrance():
    gan = made(nn.Sequential([nn.Dense(48), nn.tanh, lambda x: x.reshape(-1, 4, 4, 3)]))
    assert gan.config.generator.startswith("Sequential(layers=(Dense(features=48, ")
    assert hash(gan.generator)


class Merging(nn.Module):
    """Told by its constructor or at the call."""

    deterministic: bool | None = None

    @nn.compact
    def __call__(self, x, deterministic: bool | None = None):
        nn.merge_param("deterministic", self.deterministic, deterministic)
        return x


def test_a_network_is_told_that_it_trains_in_its_own_words():
    assert told(Flagged(), train=True) == {"deterministic": False}
    assert told(Flagged(), train=False) == {"deterministic": True}
    assert told(Labelled(), train=True) == {"train": True}
    assert told(MyG(), train=True) == {}
    assert told(Merging(), train=False) == told(Merging(False), train=False)
    assert told(Merging(), train=False) == {"deterministic": True}
    assert told(Merging(True), train=False) == {}  # its constructor knows, and hears it once


def test_dropout_draws_anew_in_every_pass_and_from_the_key_of_the_move_alone():
    networks = {"generator": MyG(), "discriminator": Flagged()}
    ones = jnp.ones((2, SIDE, SIDE, 3), jnp.float32)

    def passes(seed):
        draws = Draws(jnp.zeros((2, LATENT), jnp.float32), key=jax.random.key(seed))
        empty = {name: {} for name in networks}
        context = Context(networks, empty, empty, batch={"image": ones}, draws=draws, step=0)
        return [np.asarray(context.discriminate(ones, None).logits) for _ in range(2)]

    first, second = passes(0)
    assert (first != second).any()
    assert_array_equal(passes(0)[1], second)
    assert (passes(1)[0] != first).any()


def test_logits_of_one_column_are_taken_as_a_row_of_numbers():
    x = jnp.arange(3, dtype=jnp.float32)
    output = DiscriminatorOutput(None, None, (x[:, None], x[:, None] * jnp.ones((1, 2))))
    assert_array_equal(output.logits, x)
    assert output.features.shape == (3, 2)


def test_outputs_are_attributes_and_items_alike():
    output = DiscriminatorOutput(None, None, {"logits": jnp.zeros(3), "pooled": jnp.ones((3, 2))})
    assert output.pooled is output["pooled"]
    assert not hasattr(output, "local")
    with pytest.raises(AttributeError, match="'local', this one has only logits, pooled"):
        output.local  # noqa: B018


def test_a_plain_number_is_reported_by_the_name_of_its_term():
    assert_allclose(loss_of(matching, 2.5).metrics["matching"], 2.5)
    assert loss_of(matching, Loss(jnp.zeros(()), {"other": jnp.ones(())})).metrics.keys() == {
        "other"
    }
    named = {t.__qualname__: t for t in (*HINGE.generator, lambda context: 1.0)}
    assert [[*loss_of(t, 1.0).metrics] for t in named.values()] == [
        ["adversarial"],
        ["test_a_plain_number_is_reported_by_the_name_of_its_term"],
    ]


def test_the_config_of_own_networks_says_what_they_are_and_is_json(tmp_path):
    gan = made(MyG("dense"), MyD("named"), tasks=[HINGE, Task(generator=(matching,))], n_dis=3)
    config = json.loads(json.dumps(dict(gan.learner.config)))
    assert config["generator"] == "MyG(kind='dense')"
    assert config["terms"] == {
        "generator": ["adversarial", "matching"],
        "discriminator": ["adversarial"],
    }
    assert config["n_dis"] == 3
    assert config["latent"] == LATENT
    claim(tmp_path / "run", {"gan": config}, resume=False)
    with pytest.raises(RunFolderError, match=r"MyG\(kind='dense'\).*make_gan.*load\(run, gan\)"):
        load_gan(tmp_path / "run")
