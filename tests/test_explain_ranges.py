"""The range that pixels may have: needed, checked at every door, and of consequence."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.explain import (
    composites,
    faithfulness,
    feature_relevance,
    relevance,
    unit_relevance,
)
from gan_forensics.nn.dcgan import Discriminator


def network(parameters, x):
    """What no door reaches with pixels that are refused."""
    raise AssertionError("pixels were not checked first")


DOORS = {
    "relevance": relevance,
    "unit_relevance": partial(unit_relevance, layer="conv", channel=0),
    "feature_relevance": lambda f, p, x, **ask: feature_relevance(f, p, [x], **ask),
    "faithfulness": faithfulness,
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_pixels_outside_of_the_range_are_one_clear_error_at_every_door(door, rng):
    levels = rng.integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    levels[0, 0, 0], levels[1, 0, 0] = 255, 0
    with pytest.raises(ValueError, match="pixels are from 0 to 255, outside of .* from -1 to 1"):
        door(network, None, levels, range=(-1, 1))
    per_channel = ([-1, 0, -1], [1, 1, 1])  # one of three channels goes below its own bound
    words = "pixels of channel 1 are from -1 to 1, outside of the stated range from 0 to 1"
    with pytest.raises(ValueError, match=words):
        door(network, None, levels / 127.5 - 1, range=per_channel)
    for wrong in ((1, -1), (-1, 0, 1), ([-1, -1], [1, 1]), (-np.inf, np.inf), "-1,1"):
        words = rf"range {re.escape(str(wrong))}: give the least .* or 3 of them each"
        with pytest.raises(ValueError, match=words):
            door(network, None, levels / 255, range=wrong)


@pytest.mark.parametrize("door", list(DOORS.values())[:3], ids=list(DOORS)[:3])
def test_the_range_is_asked_for_where_it_is_not_given(door):
    with pytest.raises(ValueError, match=r"give range=\(-1, 1\) for .* range=composites.IMAGENET"):
        door(network, None, np.zeros((2, 4, 4, 3), np.float32))


def test_relevance_of_a_gans_discriminator_differs_with_the_bounds_of_other_data(rng):
    """Those of ImageNet's normalisation, for images in [-1, 1]: a mistake that nobody sees."""
    module = Discriminator(16, width=2)
    x = np.repeat(np.repeat(rng.uniform(-1, 1, (2, 4, 4, 3)), 4, 1), 4, 2).astype(np.float32)

    @jax.jit
    def maps(x):
        variables = module.init(jax.random.key(0), x, train=False)
        ranges = (-1, 1), composites.IMAGENET
        return [relevance(module, variables, x, range=each).image.sum(-1) for each in ranges]

    right, wrong = (np.asarray(found, np.float64).reshape(2, -1) for found in maps(jnp.asarray(x)))
    np.testing.assert_allclose(right.sum(1), wrong.sum(1), rtol=1e-4)
    alike = [np.corrcoef(*pair)[0, 1] for pair in zip(right, wrong, strict=True)]
    assert 0.5 < min(alike) and max(alike) < 0.9995
