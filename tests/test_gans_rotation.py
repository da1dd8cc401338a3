import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from gan_forensics.gans import rotated, rotation_labels, rotation_loss
from gan_forensics.runtime import data_mesh


@pytest.mark.parametrize(
    ("n", "labels"), [(8, "00112233"), (6, "001223"), (5, "00123"), (1, "0"), (3, "012")]
)
def test_labels_are_the_published_ones(n, labels):
    assert "".join(map(str, rotation_labels(n).tolist())) == labels


def test_images_turn_counter_clockwise():
    # What is top right is top left after a quarter turn.
    image = jnp.zeros((1, 3, 3, 1)).at[0, 0, 2, 0].set(1)
    for turns, corner in ((1, (0, 0)), (2, (2, 0)), (3, (2, 2)), (4, (0, 2))):
        turned = rotated(image, jnp.array([turns]))
        assert turned[(0, *corner, 0)] == 1 and turned.sum() == 1


def test_every_image_turns_by_its_own_number(rng):
    images = rng.standard_normal((5, 4, 4, 3)).astype(np.float32)
    turns = np.array([0, 3, 1, 2, 3])
    expected = [np.rot90(x, t) for x, t in zip(images, turns, strict=True)]
    assert_array_equal(rotated(images, turns), np.stack(expected))


def test_four_quarter_turns_are_none(rng):
    images = rng.standard_normal((8, 4, 4, 2)).astype(np.float32)
    turned = images
    for _ in range(4):
        turned = rotated(turned, np.ones(8, int))
    assert_array_equal(turned, images)


def test_gradients_turn_back(rng):
    images, weights = rng.standard_normal((2, 6, 4, 4, 2)).astype(np.float32)
    turns = rotation_labels(6)
    slopes = jax.grad(lambda x: (rotated(x, turns) * weights).sum())(images)
    assert_array_equal(slopes, rotated(weights, 4 - turns))


def test_loss_is_the_cross_entropy(rng):
    logits, turns = rng.standard_normal((6, 4)), np.array(rotation_labels(6))
    with jax.enable_x64(True):
        expected = -log_softmax(logits, axis=1)[np.arange(6), turns].mean()
        assert_allclose(rotation_loss(logits, turns), expected, rtol=1e-12)
    assert_allclose(rotation_loss(np.zeros((6, 4)), turns), np.log(4), rtol=1e-6)
    assert rotation_loss(jnp.zeros((6, 4), jnp.bfloat16), turns).dtype == jnp.float32


def test_a_split_batch_turns_like_a_whole_one(rng):
    images = rng.standard_normal((8, 4, 4, 3)).astype(np.float32)
    sharding = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))
    split = jax.jit(rotated)(jax.device_put(images, sharding), rotation_labels(8))
    assert_array_equal(split, rotated(images, rotation_labels(8)))
    assert split.sharding.is_equivalent_to(sharding, 4)


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"only square images .* got \[2, 4, 3, 1\]"):
        rotated(np.zeros((2, 4, 3, 1)), np.zeros(2, int))
