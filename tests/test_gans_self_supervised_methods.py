"""The rows of self-supervised GANs, on any base, and their published weights."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from gan_forensics.gans import METHODS, GanConfig, augment, build, methods, self_supervised_methods
from gan_forensics.gans.methods import method_of, rows_of
from gan_forensics.gans.self_supervised_methods import SUPERVISED
from gan_forensics.nn.initial import shapes_of
from gan_forensics.train import make_step, minibatches_per_step

# What has images, one config of each architecture.
BASES = {
    (name, architecture): GanConfig(
        "ms-gan",
        base=name,
        architecture=architecture,
        size=28 if architecture == "stacked" else 32,
        classes=3 if row.conditional else None,
        decay_steps=10 if row.timed or row.recipe.schedule in ("linear", "half-linear") else None,
    )
    for name, rows in METHODS.items()
    if name not in (*SUPERVISED, "ms-dist-gan")
    for architecture, row in rows.items()
    if "perceptron" not in architecture
}


def weights(method, **config):
    config = GanConfig(method, **config)
    of = method_of(config).supervision.weights
    return of and of(config)


@pytest.mark.parametrize(
    ("architecture", "size", "widths", "ss", "matching"),
    [
        ("resnet", 32, {}, (0.5, 0.0), (0.5, 0.1)),
        ("resnet", 48, {}, (1.0, 0.0), (1.0, 0.01)),
        ("sngan", 32, {}, (1.0, 0.0), (1.0, 0.01)),
        ("sngan", 48, {}, (0.5, 0.0), (0.5, 0.05)),
        ("dcgan", 28, {}, (1.0, 0.0), (1.0, 0.1)),
        ("dcgan", 32, {}, (1.0, 0.0), (1.0, 0.1)),
        ("dcgan", 64, {}, (1.0, 0.0), (1.0, 0.1)),
        ("stacked", 28, {}, (0.5, 0.0), (0.5, 0.2)),
        ("stacked", 28, {"discriminator_width": 2}, (0.5, 0.0), (0.5, 0.2)),
        ("stacked", 28, {"discriminator_width": 4}, (1.0, 0.0), (1.0, 1.0)),
    ],
)
def test_weights_on_dist_gan_are_the_released_ones(architecture, size, widths, ss, matching):
    config = {"architecture": architecture, "size": size, **widths}
    assert weights("ms-dist-gan", **config) == matching
    for base in ("dist-gan", "gn-gan"):
        assert weights("ssgan", base=base, **config) == ss
        assert weights("ss-adversarial", base=base, **config) == matching
        assert weights("ms-gan", base=base, **config) == (1.0, 0.2)


def test_weights_elsewhere_are_those_of_the_papers():
    own = {name: weights(name, base="dcgan", size=32) for name in SUPERVISED}
    assert own == {
        "ssgan": (1.0, 0.2),
        "ss-adversarial": (1.0, 0.1),
        "ms-gan": (1.0, 0.2),
        "ssgan-la": (1.0, 1.0),
        "ssgan-la-plus": (1.0, 0.2),
        "multi-head-da": None,
    }
    # Without a base, and with the own one by name, it is the same row.
    for name in SUPERVISED:
        assert rows_of(GanConfig(name)) is rows_of(GanConfig(name, base="sngan"))


def heads_of(config):
    game = build(config).game
    return {name: network for name, network in game.networks.items() if "head" in name}


def test_heads_have_spectral_norm_where_the_discriminator_has():
    small = {"size": 32, "generator_width": 8, "discriminator_width": 8}
    assert heads_of(GanConfig("ms-gan", **small))["class_head"].spectral_norm
    dcgan = {"size": 32, "width": 8, "base": "dcgan"}
    assert not heads_of(GanConfig("ms-gan", **dcgan))["class_head"].spectral_norm
    classes = {
        name: network.classes
        for method in ("ssgan", "ss-adversarial", "ms-gan", "ssgan-la", "ssgan-la-plus")
        for name, network in ((method, next(iter(heads_of(GanConfig(method, **dcgan)).values()))),)
    }
    assert classes == {
        "ssgan": 4,
        "ss-adversarial": 5,
        "ms-gan": 5,
        "ssgan-la": 8,
        "ssgan-la-plus": 8,
    }
    # Every quarter turn, and the upright pair, has a head; on its own base ssgan has it inside.
    assert heads_of(GanConfig("multi-head-da", **dcgan))["dag_heads"].heads == 4
    assert not heads_of(GanConfig("ssgan", **small))


def test_a_task_in_the_place_of_the_adversarial_loss_needs_one_that_stands_alone():
    with pytest.raises(
        ValueError, match="ssgan-la stands in the place of .*dist-gan moves further"
    ):
        build(GanConfig("ssgan-la", base="dist-gan", size=32, decay_steps=10))


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES, ids="-".join)
def test_ms_gan_goes_on_every_base(base):
    config = BASES[base]
    gan = build(config)
    state = shapes_of(lambda: gan.learner.start(0))
    count = minibatches_per_step(gan.updates)
    batch = {"image": jax.ShapeDtypeStruct((count, 8, config.size, config.size, 3), jnp.float32)}
    if config.classes:
        batch["label"] = jax.ShapeDtypeStruct((count, 8), jnp.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, metrics = shapes_of(make_step(gan.updates), state, batch, key)
    assert {"discriminator/multi_class", "generator/multi_class"} <= metrics.keys()
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert "class_head" in dict(after.params)
    assert method_of(replace(config)).supervision is not None


# --- every setting arrives ------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """What the makers of tasks are asked for, by their names."""
    calls = {}

    def noted(module, name):
        real = getattr(module, name)

        def made(*arguments, **options):
            calls[name] = options
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, made)

    noted(augment, "dag_task")
    noted(self_supervised_methods, "label_augmented_task")
    noted(methods, "relativistic_task")
    noted(methods, "rotation_task")
    return calls


SMALL = GanConfig("dcgan", size=32, width=4)


def test_settings_of_dag_and_r3gan_reach_their_tasks(asked):
    build(replace(SMALL, augment="dag", dag_weight=0.7, dag_normalisation="module"))
    assert asked["dag_task"]["weight"] == 0.7 and asked["dag_task"]["normalisation"] == "module"
    build(replace(SMALL, augment="dag"))
    assert asked["dag_task"]["weight"] == 0.2
    assert asked["dag_task"]["normalisation"] == "non_identity"
    build(replace(SMALL, method="r3gan", gamma=3.0))
    assert asked["relativistic_task"]["gamma"] == 3.0
    build(replace(SMALL, method="r3gan"))
    assert asked["relativistic_task"]["gamma"] == 1.0


def test_settings_of_self_supervision_reach_their_tasks(asked):
    own = {"task_discriminator_weight": 0.3, "task_generator_weight": 0.0}
    given = {"discriminator_weight": 0.3, "generator_weight": 0.0}
    config = replace(SMALL, method="ssgan-la-plus", base="dcgan", **own)
    build(replace(config, label_augmented_loss="multi-hinge"))
    asked_for = asked["label_augmented_task"]
    assert asked_for == {**given, "loss": "multi-hinge", "spectral_norm": False}
    build(replace(config, method="ssgan-la"))
    assert asked["label_augmented_task"]["loss"] == "cross-entropy"
    # On its own base the rotation head is the discriminator's.
    build(GanConfig("ssgan", size=32, generator_width=4, discriminator_width=4, **own))
    assert asked["rotation_task"] == given


def test_settings_of_ada_and_of_norms_reach_their_networks():
    assert build(replace(SMALL, augment="ada", ada_kimg=3.0)).game.networks["augment"].kimg == 3
    assert build(replace(SMALL, augment="ada")).game.networks["augment"].kimg == 500
    for norm in ("layer", "none"):
        assert build(replace(SMALL, norm=norm)).discriminator.norm == norm
    assert build(replace(SMALL, method="r3gan")).discriminator.norm == "none"
    assert build(SMALL).discriminator.norm == "batch"


def test_heads_in_the_place_of_a_critic_are_penalised_as_it_was(monkeypatch):
    """The critic's own logit is trained by nobody then, so that its penalty would hold nothing."""
    seen = {}
    real = self_supervised_methods.dag_task

    def made(*arguments, **options):
        seen.update(options)
        return real(*arguments, **options)

    monkeypatch.setattr(self_supervised_methods, "dag_task", made)
    config = replace(SMALL, method="multi-head-da", base="wgan-gp")
    built = build(config)
    assert (seen["penalty"].kind, seen["penalty"].weight) == ("0-gp", 10.0)
    metrics = shapes_of(
        make_step(built.updates),
        *(_state_and_batch(built)),
        jax.random.key(0),
    )[1]
    assert "discriminator/dag" in metrics and "discriminator/penalty" not in metrics
    plain = build(replace(config, base="dcgan"))
    assert seen["penalty"] is None and plain.game.networks["dag_heads"].heads == 4


def _state_and_batch(gan):
    state = jax.eval_shape(lambda: gan.learner.start(0))
    shape = (minibatches_per_step(gan.updates), 4, 32, 32, 3)
    return state, {"image": jax.ShapeDtypeStruct(shape, jnp.float32)}
