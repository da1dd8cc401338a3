"""Drawn images: what each depends on, classes, truncation, averages and strips."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import to_uint8
from gan_forensics.gans import Game, Gan, GanConfig, generate, interpolate
from gan_forensics.gans.priors import normal, uniform
from gan_forensics.gans.sampling import _noise, slerp
from gan_forensics.train import TrainState
from tests.tiny_gans import CLASSES, LATENT, Discriminator, Generator, start


def made(classes=0):
    """A tiny GAN without updates, and its state."""
    generator = Generator(classes=classes)
    discriminator = Discriminator(classes=classes)
    config = GanConfig("cgan-pd" if classes else "sngan", latent=LATENT, classes=classes)
    gan = Gan(config, Game(generator, discriminator, (), ()))
    beginning = start(generator, discriminator)
    return gan, TrainState(jnp.zeros((), jnp.int32), beginning.params, beginning.stats, {}, {})


def test_an_image_depends_on_the_seed_its_place_and_its_label_alone():
    gan, state = made(CLASSES)
    labels = np.array([3, 1, 0, 2, 2])
    some = generate(gan, state, 5, seed=3, labels=labels, batch_size=2)
    more = generate(gan, state, 9, seed=3, labels=np.r_[labels, 0, 0, 0, 1], batch_size=16)
    assert some.dtype == np.uint8 and some.shape == (5, 4, 4, 1)
    assert_array_equal(some, more[:5])
    assert (generate(gan, state, 5, seed=4, labels=labels) != some).any()
    other = generate(gan, state, 5, seed=3, labels=[3, 0, 0, 2, 2])
    assert (other != some).any((1, 2, 3)).tolist() == [False, True, False, False, False]


def test_one_label_is_that_of_all_images():
    gan, state = made(CLASSES)
    assert_array_equal(
        generate(gan, state, 3, seed=0, labels=2), generate(gan, state, 3, seed=0, labels=[2] * 3)
    )


def test_classes_are_asked_for_by_name_or_else_by_number():
    gan, state = made(CLASSES)
    named = gan._replace(config=dataclasses.replace(gan.config, label_names=("a", "b", "cat", "1")))
    by_name = generate(named, state, 4, seed=0, labels=["cat", "1", "0", "b"])
    assert_array_equal(by_name, generate(gan, state, 4, seed=0, labels=[2, 3, 0, 1]))
    assert_array_equal(
        generate(named, state, 2, seed=0, labels="cat"), generate(gan, state, 2, seed=0, labels=2)
    )
    with pytest.raises(
        ValueError, match=r"called 'cats'; there are a, b, cat, 1. Did you mean cat"
    ):
        generate(named, state, 2, seed=0, labels="cats")
    with pytest.raises(ValueError, match="no class is called 'cat': .* no names, they are 0 to 3"):
        generate(gan, state, 2, seed=0, labels="cat")
    with pytest.raises(ValueError, match="must lie in 0 ... 3, got 7"):
        generate(named, state, 2, seed=0, labels="7")
    with pytest.raises(ValueError, match="sngan has no classes"):
        generate(*made(), 2, seed=0, labels="cat")


def test_without_labels_classes_are_drawn_image_by_image():
    gan, state = made(CLASSES)
    images = generate(gan, state, 40, seed=1, batch_size=7)
    of_class = [generate(gan, state, 40, seed=1, labels=c) for c in range(CLASSES)]
    chosen = [[c for c in range(CLASSES) if (images[i] == of_class[c][i]).all()] for i in range(40)]
    assert all(len(c) == 1 for c in chosen)
    # 40 draws: a class has 10 +- 2.7 of them.
    counts = np.bincount([c[0] for c in chosen], minlength=CLASSES)
    assert (counts >= 2).all()
    assert_array_equal(generate(gan, state, 5, seed=1), images[:5])


def test_truncated_noise_is_normal_within_its_bound():
    key = jax.random.key(0)
    z = np.asarray(_noise(key, jnp.arange(2000), normal(4), 0.5))
    assert np.abs(z).max() < 0.5 and len(np.unique(z)) > 7000
    # The normal distribution within +-0.5 has the standard deviation 0.2842.
    assert_allclose(z.std(), 0.2842, rtol=0.02)
    free = np.asarray(_noise(key, jnp.arange(2000), normal(4), None))
    assert_allclose(free.std(), 1, rtol=0.03)


def test_truncated_images_are_more_alike():
    gan, state = made()
    spread = [
        generate(gan, state, 64, seed=0, truncation=t).astype(float).std(0).mean()
        for t in (0.2, 1.0, None)
    ]
    assert spread[0] < 0.5 * spread[1] < 0.5 * spread[2]


def test_images_are_drawn_with_the_average_where_there_is_one():
    gan, state = made()
    halved = {
        "generator": {
            "dense": {name: 0.5 * x for name, x in state.params["generator"]["dense"].items()}
        }
    }
    averaged = dataclasses.replace(state, average=halved)
    live = dataclasses.replace(state, params={**state.params, **halved}, average={})
    assert_array_equal(generate(gan, averaged, 4, seed=0), generate(gan, live, 4, seed=0))
    assert (generate(gan, averaged, 4, seed=0) != generate(gan, state, 4, seed=0)).any()
    assert_array_equal(
        interpolate(gan, averaged, 1, 3, seed=0), interpolate(gan, live, 1, 3, seed=0)
    )


def test_wishes_that_cannot_be_met_are_refused():
    plain, conditional = made(), made(CLASSES)
    with pytest.raises(ValueError, match="sngan has no classes"):
        generate(*plain, 2, seed=0, labels=1)
    with pytest.raises(ValueError, match=r"must lie in 0 ... 3, got 1 ... 4"):
        generate(*conditional, 2, seed=0, labels=[1, 4])
    with pytest.raises(ValueError, match="must lie in 0 ... 3"):
        generate(*conditional, 2, seed=0, labels=-1)
    with pytest.raises(ValueError, match="one integer or 2"):
        generate(*conditional, 2, seed=0, labels=[1, 2, 3])
    with pytest.raises(ValueError, match="one integer or 2"):
        generate(*conditional, 2, seed=0, labels=[0.5, 1.0])
    with pytest.raises(ValueError, match="truncation must be positive, got 0"):
        generate(*plain, 2, seed=0, truncation=0)
    with pytest.raises(ValueError, match="at least one row and two columns"):
        interpolate(*plain, 2, 1, seed=0)


# --- strips -------------------------------------------------------------------------------------


def test_slerp_turns_evenly_and_meets_its_ends(rng):
    a, b = rng.standard_normal((2, 6)).astype(np.float32)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    points = np.stack([slerp(a, b, t) for t in np.linspace(0, 1, 5)])
    assert_allclose(points[[0, -1]], [a, b], rtol=1e-5, atol=1e-6)
    assert_allclose(np.linalg.norm(points, axis=1), np.ones(5), rtol=1e-5)
    cosines = (points[1:] * points[:-1]).sum(1)
    assert_allclose(cosines, np.full(4, cosines[0]), rtol=1e-5)
    assert_allclose(slerp(2 * a, 6 * a, 0.25), 3 * a, rtol=1e-3)


def test_strips_run_between_noises_of_their_own():
    gan, state = made()
    strips = interpolate(gan, state, 2, 4, seed=5)
    assert strips.shape == (8, 4, 4, 1) and strips.dtype == np.uint8
    ends = _noise(jax.random.key(5), jnp.arange(4), normal(LATENT), None)
    variables = {"params": state.params["generator"], **state.stats["generator"]}
    expected = gan.generator.apply(variables, ends, train=False)
    assert_array_equal(strips[[0, 3, 4, 7]], to_uint8(np.asarray(expected)))
    # A row is the same however many others there are.
    assert_array_equal(interpolate(gan, state, 1, 4, seed=5), strips[:4])
    assert len({image.tobytes() for image in strips}) == 8


def test_a_strip_keeps_its_class():
    gan, state = made(CLASSES)
    apart = [interpolate(gan, state, 2, 3, seed=5, labels=c) for c in (1, 2)]
    both = interpolate(gan, state, 2, 3, seed=5, labels=[1, 2])
    assert_array_equal(both, np.concatenate([apart[0][:3], apart[1][3:]]))
    with pytest.raises(ValueError, match="one integer or 2"):
        interpolate(gan, state, 2, 3, seed=5, labels=[1, 2, 3])
    assert interpolate(gan, state, 1, 2, seed=5).shape == (2, 4, 4, 1)


def test_images_are_drawn_from_the_generators_own_prior():
    gan, state = made()
    game = Game(gan.generator, gan.discriminator, (), (), prior=uniform(LATENT))
    other = gan._replace(game=game)
    z = np.asarray(_noise(jax.random.key(2), jnp.arange(500), uniform(LATENT), None))
    assert -1 <= z.min() < -0.98 and 0.98 < z.max() < 1
    variables = {"params": state.params["generator"], **state.stats["generator"]}
    expected = gan.generator.apply(variables, z[:3], train=False)
    assert_array_equal(generate(other, state, 3, seed=2), to_uint8(np.asarray(expected)))
    with pytest.raises(ValueError, match="truncation is for normal noise, this GAN's is uniform"):
        generate(other, state, 3, seed=2, truncation=1.0)
