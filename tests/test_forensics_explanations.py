"""What is explained of a network with a front end."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.forensics import explanations
from gan_forensics.forensics.explanations import Explanation, explain
from gan_forensics.forensics.neural import NeuralDetector, preprocess
from gan_forensics.nn.npr import nearest_residual


def test_of_npr_the_residual_is_explained_and_odd_borders_are_left_out(rng, monkeypatch):
    image = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    asked = {}

    def explained(network, variables, images, **options):
        asked.update(options, network=network)
        return [Explanation(1.0, np.ones((8, 8)), np.ones((8, 8, 3)))]

    monkeypatch.setattr(explanations, "explain_network", explained)
    (found,) = explain(NeuralDetector("npr", {}), [image])
    assert asked["network"].front is None and asked["stage"] == "layer2"
    batch = image[None, :8]
    assert_array_equal(asked["read"](batch), nearest_residual(preprocess(batch)))
    assert found.relevance.shape == (9, 8) and found.guided.shape == (9, 8, 3)
    assert found.relevance[:8].all() and not found.relevance[8].any()


def test_the_box_at_the_residual_holds_the_difference_of_any_two_pixels():
    extreme = np.zeros((1, 2, 2, 3), np.uint8)
    extreme[:, ::2, ::2] = 255
    # The bounds of pixels are of all channels together, and so wider than those of each.
    darkest = float(np.min(nearest_residual(preprocess(extreme))))
    low, high = explanations.RESIDUAL
    assert low < darkest < 0.9 * low
    assert_allclose(low, -high)
