"""Teachers and students as one move: what moves, what stays, what is compiled once."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_forensics.distill import (
    ARCHITECTURES,
    classifier_update,
    inputs_of,
    make_classifier,
    sgd,
    student_update,
)
from gan_forensics.distill.classifier_learner import NETWORK, TEACHER
from gan_forensics.nn.imagenet import MEAN, STD
from gan_forensics.nn.initial import initial_variables, shapes_of
from gan_forensics.train import init_state, make_step

ARCH, CLASSES = "small_cnn", 3
NET = make_classifier(ARCH, CLASSES, width=2)
OPTIMIZER = sgd(0.1)
UPDATES = {
    "cached": classifier_update(ARCH, NET, OPTIMIZER),
    "recomputed": student_update(ARCH, NET, ARCH, NET, OPTIMIZER),
}


def variables(seed):
    return initial_variables(NET, jax.random.key(seed), jnp.zeros((2, 8, 8, 1)), train=False)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(3)
    return {
        "image": rng.uniform(-1, 1, (8, 8, 8, 1)).astype(np.float32),
        "label": rng.integers(CLASSES, size=8),
        "alpha": np.full(8, 0.1, np.float32),
        "temperature": np.full(8, 2.0, np.float32),
        "soft_weight": np.ones(8, np.float32),
    }


def state_of(update):
    params, stats = {}, {}
    for name, seed in ((NETWORK, 0), (TEACHER, 1)):
        if name == NETWORK or update is UPDATES["recomputed"]:
            v = dict(variables(seed))
            params[name], stats[name] = v.pop("params"), v
    return init_state((update,), params, stats)


@pytest.fixture(scope="module")
def stepped(batch):
    """State after a step, its metrics and the traced-once step, by how the teacher is asked."""
    teacher = variables(1)
    said = NET.apply(teacher, batch["image"], train=False)
    found = {}
    for name, update in UPDATES.items():
        given = {**batch, "teacher": said} if name == "cached" else batch
        step = jax.jit(make_step((update,)))
        stacked = jax.tree.map(lambda x: jnp.asarray(x)[None], given)
        found[name] = (*step(state_of(update), stacked, jax.random.key(0)), step, stacked)
    return found


def test_a_frozen_teacher_equals_its_cached_logits_and_does_not_move(stepped):
    (cached, one, *_), (recomputed, other, *_) = stepped["cached"], stepped["recomputed"]
    chex.assert_trees_all_close(
        cached.params[NETWORK], recomputed.params[NETWORK], rtol=1e-5, atol=1e-6
    )
    chex.assert_trees_all_close(cached.stats[NETWORK], recomputed.stats[NETWORK], rtol=1e-6)
    assert float(one["classifier/loss"]) == pytest.approx(float(other["classifier/loss"]), rel=1e-5)
    before = dict(variables(1))
    chex.assert_trees_all_equal(recomputed.params[TEACHER], before.pop("params"))
    chex.assert_trees_all_equal(recomputed.stats[TEACHER], before)


def test_the_student_s_parameters_and_statistics_move(stepped):
    state = stepped["cached"][0]
    before = dict(variables(0))
    moved = jax.tree.map(
        lambda a, b: bool(np.any(a != b)), before.pop("params"), state.params[NETWORK]
    )
    assert all(jax.tree.leaves(moved))
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.any(a != b)), before,
                                            state.stats[NETWORK])))  # fmt: skip


def test_smoothing_temperature_and_weight_are_data_of_one_compiled_step(stepped):
    *_, step, stacked = stepped["cached"]
    losses = []
    for alpha, temperature, weight in ((0.0, 1.0, 0.0), (0.1, 1.0, 0.0), (0.1, 3.0, 1.0)):
        said = {"alpha": alpha, "temperature": temperature, "soft_weight": weight}
        given = {k: jnp.full((1, 8), v, jnp.float32) for k, v in said.items()}
        _, metrics = step(state_of(UPDATES["cached"]), {**stacked, **given}, jax.random.key(0))
        losses.append(float(metrics["classifier/loss"]))
    assert len(set(losses)) == 3 and step._cache_size() == 1
    assert losses[0] == pytest.approx(float(metrics["classifier/cross_entropy"]), rel=1e-5)


def test_decay_joins_the_gradient_before_momentum():
    params, optimizer = jnp.array([2.0, -1.0]), sgd(0.1, momentum=0.9, weight_decay=0.5)
    state, velocity = optimizer.init(params), 0.0
    for gradient in (jnp.array([1.0, 0.0]), jnp.array([0.0, 3.0])):
        velocity = 0.9 * velocity + gradient + 0.5 * params
        changes, state = optimizer.update(gradient, state, params)
        np.testing.assert_allclose(changes, -0.1 * velocity, rtol=1e-6)
        params = optax.apply_updates(params, changes)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_without_classes_a_network_gives_what_its_last_layer_reads(arch):
    image = jnp.zeros((1, 64, 64, 3))

    def shapes(image):
        whole, features = make_classifier(arch, 7), make_classifier(arch, None)
        v = whole.init(jax.random.key(0), image, train=False)
        return v, whole.apply(v, image, train=False), features.apply(v, image, train=False)

    found, logits, features = shapes_of(shapes, image)
    kernel = found["params"][ARCHITECTURES[arch].head]["kernel"]
    assert logits.shape == (1, 7) and kernel.shape == (features.shape[1], 7)


def test_networks_read_their_images_as_their_weights_expect():
    gray = jnp.linspace(-1, 1, 4).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(inputs_of("small_cnn", gray), gray)
    found = inputs_of("resnet18", gray)
    np.testing.assert_allclose(found[0, 0, 0], -np.array(MEAN) / STD, rtol=1e-5)
    np.testing.assert_allclose(found[0, 1, 1], (1 - np.array(MEAN)) / STD, rtol=1e-5)


def test_unknown_names_and_widths_that_are_no_choice_are_refused():
    with pytest.raises(ValueError, match="unknown arch 'vgg'; choose one of"):
        make_classifier("vgg", 3)
    with pytest.raises(ValueError, match="resnet50 has its own width"):
        make_classifier("resnet50", 3, width=4)
