"""What one call shows of relevance: its top channels, and its picture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import FeatureRelevance, Relevance, composites, rank, relevance
from gan_forensics.forensics.explanations import GENERATED, OPACITY, REAL, common_scale
from gan_forensics.report.figures import MOST_PANELS

DENSE = composites.epsilon_everywhere()


def found(image, **layers):
    return Relevance(np.zeros((len(image), 1)), image, layers, {})


def test_top_channels_are_ranked_as_forensic_features_are(rng):
    layers = {
        name: rng.normal(size=(3, n, n, c)).astype(np.float32)
        for name, n, c in (("a", 4, 5), ("b", 2, 7), ("logit", 2, 1))
    }
    layers["b"][1] = 0  # an image without relevance there counts all the same
    tops = found(np.zeros((3, 8, 8, 3)), **layers).top_channels(4)
    del layers["logit"]
    state = FeatureRelevance.zero({"a": 5, "b": 7}).update(layers)
    assert tops == rank(state.result())[:4] and len(tops) == 4
    best = tops[0]
    share = (
        np.maximum(layers[best.layer], 0).sum((1, 2))
        / np.maximum(abs(layers[best.layer]).sum((1, 2, 3)), 1e-9)[:, None]
    )
    assert best.omega == pytest.approx(share.mean(0)[best.channel], rel=1e-6)


def test_top_channels_are_asked_for_of_a_network_that_has_some():
    layers = {"logit": np.ones((1, 2, 2, 1))}
    for n, maps in ((5, layers), (0, {"a": np.ones((1, 2, 2, 3))})):
        with pytest.raises(ValueError, match=f"the {n} top channels of .* ask for 1 or more"):
            found(np.zeros((1, 4, 4, 3)), **maps).top_channels(n)


def test_the_figure_shows_each_image_beside_its_relevance_on_one_scale():
    relevance = np.zeros((3, 4, 4, 3))
    relevance[0, 0, 0], relevance[1, 1, 1], relevance[2, 2, 2] = 2 / 3, -2 / 3, 1 / 3
    images = np.full((3, 4, 4, 3), 255, np.uint8)
    images[1] = 0
    figure = found(relevance).figure(images)
    shown = [axes.get_images()[0].get_array() for axes in figure.axes[:6]]
    for image, picture in zip(images, shown[::2], strict=True):
        assert_array_equal(picture, image)
    scale = common_scale(list(relevance.sum(-1)))
    for row, (place, colour) in enumerate([(0, GENERATED), (1, REAL), (2, GENERATED)]):
        opacity = OPACITY * min(abs(relevance[row, place, place].sum()) / scale, 1)
        gray = 192 if images[row, 0, 0, 0] else 64
        mixed = (1 - opacity) * gray + opacity * np.array(colour)
        assert_allclose(shown[2 * row + 1][place, place], mixed, atol=2)
        assert (shown[2 * row + 1][3, 3] == gray).all()
    assert figure.axes[-1].get_xlim() == pytest.approx((-scale, scale))


def test_floats_and_gray_images_are_shown_and_a_cap_is_said():
    many = MOST_PANELS // 2 + 3
    gray = np.zeros((many, 4, 4, 1))
    figure = found(gray).figure(gray, range=(-1, 1))
    assert figure.axes[0].get_images()[0].get_array()[0, 0].tolist() == [128] * 3
    assert f"{MOST_PANELS // 2} of {many} images shown" in figure.axes[-1].get_xlabel()
    drawn = [axes for axes in figure.axes if axes.get_images()]
    assert len(drawn) == MOST_PANELS


def test_relevance_remembers_its_range_and_is_said_in_short():
    def network(p, x):
        return (x * 2) @ p["b"] @ p["a"]

    x = np.zeros((2, 3), np.float32)
    x[:, 0] = 1
    made = relevance(
        network, {"b": np.ones((3, 2)), "a": np.ones((2, 1))}, x, range=(-1, 1), composite=DENSE
    )
    assert made.range == (-1, 1) and list(made.lost) == ["b", "a"]  # as they run
    assert repr(made) == "Relevance(logits [2, 1], image [2, 3], layers: none; lost: b, a)"
    floats = np.zeros((1, 4, 4, 3), np.float32)
    told = found(floats)._replace(range=(-1, 1))
    assert told.figure(floats).axes[0].get_images()[0].get_array()[0, 0].tolist() == [128] * 3
    assert told.figure(floats.astype(np.uint8)).axes[0].get_images()[0].get_array().max() == 0
    with pytest.raises(ValueError, match="say which range"):
        told._replace(range=([-1, 0, 0], [1, 1, 1])).figure(floats)


def test_other_images_than_those_that_were_explained_are_refused():
    with pytest.raises(ValueError, match=r"images are \[2, 4, 5\].* their relevance \[2, 4, 4\]"):
        found(np.zeros((2, 4, 4, 3))).figure(np.zeros((2, 4, 5, 3), np.uint8))
