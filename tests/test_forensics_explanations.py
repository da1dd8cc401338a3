"""What is explained of a network with a front end, and how faithful explanations are."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain.removal import area
from gan_forensics.forensics import explanations, faithful_explanations
from gan_forensics.forensics.explanations import Explanation, explain
from gan_forensics.forensics.faithful_explanations import measured_faithfulness
from gan_forensics.forensics.neural import NeuralDetector, preprocess
from gan_forensics.nn.npr import nearest_residual


def test_of_npr_the_residual_is_explained_and_odd_borders_are_left_out(rng, monkeypatch):
    image = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    asked = {}

    def explained(network, variables, images, **options):
        asked.update(options, network=network)
        others = {"gradient": np.ones((8, 8))}
        return [Explanation(1.0, np.ones((8, 8)), np.ones((8, 8, 3)), others)]

    monkeypatch.setattr(explanations, "explain_network", explained)
    (found,) = explain(NeuralDetector("npr", {}), [image])
    assert asked["network"].front is None and asked["stage"] == "layer2"
    batch = image[None, :8]
    assert_array_equal(asked["read"](batch), nearest_residual(preprocess(batch)))
    assert found.relevance.shape == (9, 8) and found.guided.shape == (9, 8, 3)
    assert found.relevance[:8].all() and not found.relevance[8].any()
    assert found.others["gradient"].shape == (9, 8)


def test_the_box_at_the_residual_holds_the_difference_of_any_two_pixels():
    extreme = np.zeros((1, 2, 2, 3), np.uint8)
    extreme[:, ::2, ::2] = 255
    # The bounds of pixels are of all channels together, and so wider than those of each.
    darkest = float(np.min(nearest_residual(preprocess(extreme))))
    low, high = explanations.RESIDUAL
    assert low < darkest < 0.9 * low
    assert_allclose(low, -high)


@pytest.fixture
def darkness(monkeypatch):
    """A detector of dark pixels: its logit is how much darker than half the red is, place by place.

    Its threshold is -9, so that what is called real has a logit well below 0.
    """
    network: Any = SimpleNamespace()
    monkeypatch.setattr(
        faithful_explanations,
        "logits_of",
        lambda network: lambda variables, images: (127.5 - images[..., 0]).mean((1, 2)),
    )
    return SimpleNamespace(network=network, variables={}, threshold=-9.0)


def explained(images, sign=1):
    """Right evidence, beside the same without its order and the right one with a wrong sign."""
    red = [(127.5 - image[..., 0].astype(float)) for image in images]
    return [
        Explanation(
            r.mean(),
            sign * r,
            np.zeros((*r.shape, 3)),
            {"gradient": np.abs(r), "Grad-CAM": -sign * r},
        )
        for r in red
    ]


def test_the_verdict_is_what_evidence_is_measured_for(rng, darkness):
    """Of several sizes, gray or not; below the threshold the evidence for "real" goes first."""
    sizes = [(16, 24), (16, 16), (16, 24), (16, 16)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    images[1], images[2] = images[1][..., :1] // 2 + 128, images[2] // 4  # light, dark
    found = measured_faithfulness(darkness, images, explained(images))
    assert found.images == 4 and found.patch == 4
    assert found.methods == ("evidence", "gradient", "Grad-CAM", "random order")
    deletion = area(found.deletion)
    assert (deletion[0] < deletion[-1]).all() and (deletion[2] > deletion[-1]).all()
    assert found.gain("evidence").low > 0 > found.gain("Grad-CAM").high
    # By size, in the order of their first images: 0 and 2, 1 and 3.
    logits = [e.score for e in explained(images)]
    assert logits[1] < darkness.threshold < logits[0]
    expected = [logits[0], logits[2], -logits[1], logits[3] * (1 if logits[3] > -9 else -1)]
    assert_allclose(found.deletion[0, 0, :, 0], expected, rtol=1e-6)


def test_images_without_an_order_or_too_large_are_not_measured(rng, darkness, monkeypatch):
    images = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(5)]
    given = explained(images)
    given[0] = given[0]._replace(relevance=np.ones((16, 16)))
    given[1] = given[1]._replace(others={})  # as of large images
    assert measured_faithfulness(darkness, images, given).images == 3
    monkeypatch.setattr(faithful_explanations, "MOST_MEASURED", 2)
    assert measured_faithfulness(darkness, images, given).images == 2
    monkeypatch.setattr(faithful_explanations, "SCORED_PIXELS", 5 * 4 * 6 * 256)
    with pytest.raises(ValueError, match="1 of 5 images can be measured, and an interval needs"):
        measured_faithfulness(darkness, images, given)
