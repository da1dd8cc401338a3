from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource
from gan_forensics.data.attributes import AttributeSource
from gan_forensics.gans import stargan
from gan_forensics.gans.stargan import (
    build_stargan,
    classification_loss,
    discriminator_loss,
    generator_loss,
    rate_after,
)
from gan_forensics.gans.stargan_config import StarGanConfig
from gan_forensics.gans.stargan_targets import labels_of, target_labels

NAMES = ("black", "blond", "brown", "male", "young")
HAIR = NAMES[:3]
CONFIG = StarGanConfig(
    size=16, width=2, blocks=1, layers=2, batch_size=8, n_dis=2, attributes=("warm", "striped")
)


def test_targets_are_each_colour_of_hair_alone_and_the_opposite_of_the_others():
    # As released for two faces: black-haired, male, young; and brown-haired, female, young.
    labels = np.float32([[1, 0, 0, 1, 1], [0, 0, 1, 0, 1]])
    targets = target_labels(labels, NAMES, HAIR)
    expected = [
        [[1, 0, 0, 1, 1], [1, 0, 0, 0, 1]],
        [[0, 1, 0, 1, 1], [0, 1, 0, 0, 1]],
        [[0, 0, 1, 1, 1], [0, 0, 1, 0, 1]],
        [[1, 0, 0, 0, 1], [0, 0, 1, 1, 1]],
        [[1, 0, 0, 1, 0], [0, 0, 1, 0, 0]],
    ]
    assert_array_equal(targets, expected)
    assert_array_equal(labels, [[1, 0, 0, 1, 1], [0, 0, 1, 0, 1]])


def test_classification_is_summed_over_labels_and_a_mean_over_images():
    zero = jnp.zeros((4, 5))
    assert float(classification_loss(zero, zero)) == pytest.approx(5 * np.log(2))
    logits, labels = jnp.array([[2.0, -1.0]]), jnp.array([[1.0, 1.0]])
    expected = np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))
    assert float(classification_loss(logits, labels)) == pytest.approx(expected, rel=1e-6)


@pytest.fixture
def linear(rng):
    """A judge whose patches are a product with w; and images and labels."""
    w = rng.normal(size=(4, 4, 3)).astype(np.float32)

    def judge(x):
        whole = (x * w[None]).sum((1, 2, 3))
        # Two patches: the penalty is of their sum, the losses of their mean.
        patches = jnp.stack([whole, whole], axis=1)[:, None]
        return {"logits": patches, "labels": jnp.stack([whole, -whole], axis=1)}

    x, y = rng.uniform(-1, 1, (2, 3, 4, 4, 3)).astype(np.float32)
    return judge, w, x, y, np.float32([[1, 0], [0, 1], [1, 1]])


def test_discriminator_loss_of_a_linear_judge_is_in_closed_form(linear):
    judge, w, x, y, labels = linear
    loss = discriminator_loss(
        judge, x, y, labels, classification_weight=0.5, penalty_weight=3, alpha=jnp.zeros(3)
    )
    real, fake = ((images * w).sum((1, 2, 3)) for images in (x, y))
    logits = np.stack([real, -real], 1)
    classification = (np.log1p(np.exp(logits)) - labels * logits).sum(1).mean()
    penalty = (2 * np.linalg.norm(w) - 1) ** 2
    assert_allclose(loss.metrics["penalty"], penalty, rtol=1e-5)
    expected = fake.mean() - real.mean() + 0.5 * classification + 3 * penalty
    assert_allclose(loss.value, expected, rtol=1e-5)


def test_penalty_is_taken_between_the_images_alpha_at_the_real_one(linear):
    _, _, x, y, labels = linear

    def judge(x):  # its slope at x is x
        return {"logits": 0.5 * (x**2).sum((1, 2, 3)), "labels": jnp.zeros((3, 2))}

    alpha = np.float32([0, 0.25, 1])
    loss = discriminator_loss(judge, x, y, labels, alpha=jnp.asarray(alpha))
    points = alpha[:, None, None, None] * x + (1 - alpha)[:, None, None, None] * y
    norms = np.sqrt((points**2).sum((1, 2, 3)))
    assert_allclose(loss.metrics["penalty"], ((norms - 1) ** 2).mean(), rtol=1e-5)


def test_discriminator_loss_has_no_gradient_to_the_translations(linear):
    judge, _, x, y, labels = linear
    slope = jax.grad(lambda y: discriminator_loss(judge, x, y, labels, alpha=jnp.ones(3)).value)(y)
    assert not np.asarray(slope).any()


def test_generator_loss_goes_there_with_the_targets_and_back_with_the_labels(linear):
    judge, w, x, _, labels = linear
    targets = np.float32([[1, 0.5], [0, 0.25], [1, 0]])

    def move(x, labels):  # by the second label
        return x + labels[:, 1:, None, None]

    loss = generator_loss(
        move, judge, x, labels, targets, classification_weight=2, reconstruction_weight=7
    )
    made = np.asarray(move(x, targets))
    logit = (made * w).sum((1, 2, 3))
    logits = np.stack([logit, -logit], 1)
    classification = (np.log1p(np.exp(logits)) - targets * logits).sum(1).mean()
    reconstruction = np.abs(targets[:, 1] + labels[:, 1]).mean()
    assert_allclose(loss.metrics["reconstruction"], reconstruction, rtol=1e-5)
    expected = -logit.mean() + 2 * classification + 7 * reconstruction
    assert_allclose(loss.value, expected, rtol=1e-4)


def test_released_schedule_takes_a_thousandth_away_and_the_linear_one_everything():
    at = [0, 100_000, 101_000, 150_000, 200_000]
    released = [float(rate_after(m, 1.0, 200_000, "released")) for m in at]
    assert_allclose(released, [1, 1, 1 - 1e-5, 1 - 5e-4, 1 - 1e-3], rtol=1e-6)
    linear = [float(rate_after(m, 1.0, 200_000, "linear")) for m in at]
    assert_allclose(linear, [1, 1, 0.99, 0.5, 0], atol=1e-6)


def test_both_players_have_one_rate_at_the_same_time():
    gan = build_stargan(replace(CONFIG, schedule="linear", decay_steps=10, learning_rate=1.0))
    rates = []
    for update, moves in zip(gan.updates, (14, 7), strict=True):
        state = update.optimizer.init({"x": jnp.zeros(1)})
        for _ in range(moves + 1):
            _, state = update.optimizer.update({"x": jnp.zeros(1)}, state)
        rates.append(float(state.hyperparams["learning_rate"]))
    assert rates == pytest.approx([0.6, 0.6])


def test_targets_of_training_are_the_labels_of_other_images(rng):
    labels = np.eye(8, dtype=np.float32)
    images = ArraySource(image=np.zeros((8, 4, 4, 3), np.uint8))
    source = AttributeSource(images, list("abcdefgh"), columns=np.arange(8), table=labels)
    made = stargan.with_targets(source)
    batch = made.apply({"attributes": labels}, made.draw(rng, np.arange(8)))
    assert_array_equal(batch["attributes"], np.eye(8))
    assert_array_equal(batch["targets"].sum(0), np.ones(8))
    assert_array_equal(batch["targets"].sum(1), np.ones(8))
    assert np.abs(batch["targets"] - labels).any()


@pytest.mark.parametrize(("size", "layers"), [(128, 6), (64, 5), (32, 4), (48, 4), (256, 6)])
def test_depth_leaves_a_small_map(size, layers):
    assert build_stargan(replace(CONFIG, size=size, layers=None)).config.layers == layers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attributes": ()}, "no attributes"),
        ({"exclusive": ("cold", "warm")}, "'cold' is not among the attributes, warm, striped"),
        ({"exclusive": ("warm",)}, "two attributes or more"),
        ({"size": 20, "layers": 3}, "20 cannot be halved 3 times.*multiple of 8"),
        ({"size": 18, "layers": 1}, "multiple of 4, got 18"),
        ({"upsampling": "n"}, "did you mean 'N'"),
        ({"n_dis": 0}, "n_dis must be at least 1"),
        ({"learning_rate": 0}, "learning_rate must be positive"),
        ({"penalty_weight": -1}, "penalty_weight must be 0 or more"),
        ({"schedule": "linear"}, "needs decay_steps"),
        ({"decay_steps": 5}, "this one is constant"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        build_stargan(replace(CONFIG, **change))


def test_attributes_are_asked_for_by_name_and_number():
    assert labels_of(["warm", "striped=0.5"], CONFIG.attributes) == {"warm": 1, "striped": 0.5}
    for text, message in (
        (["worm"], "did you mean 'warm'. There are warm, striped"),
        (["warm=2"], "warm=0 to warm=1"),
        (["warm=nan"], "warm=0 to warm=1"),
        (["warm", "warm=0"], "named twice"),
    ):
        with pytest.raises(ValueError, match=message):
            labels_of(text, CONFIG.attributes)


def test_settings_reach_the_networks_and_the_data():
    gan = build_stargan(
        replace(CONFIG, upsampling="Z", blocks=2, channels=1, precision="bfloat16", width=3)
    )
    made = gan.generator
    assert (made.width, made.blocks, made.upsampling, made.channels) == (3, 2, "Z", 1)
    assert (gan.discriminator.width, gan.discriminator.layers) == (3, 2)
    assert (gan.discriminator.size, gan.discriminator.labels) == (16, 2)
    assert made.dtype == gan.discriminator.dtype == jnp.bfloat16
    assert gan.learner.precision == "bfloat16"
    assert [update.repeats for update in gan.updates] == [2, 1]


def test_weights_of_the_config_weigh_the_terms_of_both_players(started):
    gan = build_stargan(
        replace(CONFIG, classification_weight=2, penalty_weight=3, reconstruction_weight=5)
    )
    state = started[1]
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32),
        "attributes": np.eye(2, dtype=np.float32)[[0, 1, 0, 1]],
        "targets": np.eye(2, dtype=np.float32)[[1, 1, 0, 0]],
    }
    weights = {"adversarial": 1, "classification": 2, "penalty": 3, "reconstruction": 5}
    for update in gan.updates:
        frozen = {n: p for n, p in state.params.items() if n not in update.trains}
        trainable = {n: state.params[n] for n in update.trains}
        loss = jax.jit(update.loss)
        value, aux = loss(trainable, frozen, state.stats, batch, jax.random.key(0), 0)
        terms = [weights[name] * term for name, term in aux.metrics.items() if name in weights]
        assert len(terms) == 3
        assert_allclose(value, sum(terms), rtol=1e-5)


@pytest.fixture(scope="module")
def started():
    gan = build_stargan(CONFIG)
    return gan, gan.learner.start(0)


def test_translating_does_not_depend_on_the_company_an_image_keeps(started):
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    labels = np.float32([[0, 1], [1, 0], [1, 1], [0, 0], [0.5, 0.5]])
    whole = stargan.translate(*started, images, labels, batch_size=4)
    assert whole.dtype == np.uint8 and whole.shape == images.shape
    assert_array_equal(stargan.translate(*started, images[4:], labels[4:], batch_size=4), whole[4:])
    assert len(stargan.translate(*started, images[:0], labels[:0])) == 0


def test_translating_refuses_what_does_not_fit(started):
    images, labels = np.zeros((2, 16, 16, 3), np.uint8), np.zeros((2, 2), np.float32)
    for changed, message in (
        ((images[:, :8], labels), r"must be \[n, 16, 16, 3\], got \[2, 8, 16, 3\]"),
        ((images.astype(np.float32), labels), "pixels are float32"),
        ((images, labels[:1]), r"\[2, 2\], a row for each image of warm, striped"),
        ((images, labels[:, :1]), r"got \[2, 1\]"),
        ((images, labels + 2), "from 0 to 1, got 2 to 2"),
        ((images, labels * np.nan), "from 0 to 1, got nan"),
    ):
        with pytest.raises(ValueError, match=message):
            stargan.translate(*started, *changed)
