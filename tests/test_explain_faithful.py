"""How faithful maps are: gains on random orders, their intervals, pictures and words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import ttest_1samp

from gan_forensics.explain import composites, faithful
from gan_forensics.explain.faithful import cam_map, faithfulness, map_faithfulness
from gan_forensics.explain.faithful_results import RANDOM, Faithfulness, interval, joined
from gan_forensics.explain.removal import area
from gan_forensics.report.blocks import Picture, Table
from gan_forensics.report.explanations import faithful_section
from gan_forensics.report.faithfulness import area_table, faithfulness_figure, gain_words


@pytest.fixture
def images(rng):
    return rng.uniform(-1, 1, (6, 8, 8, 1))


@pytest.fixture
def weights(rng):
    return rng.normal(size=(8, 8, 1))


def measured(images, weights, maps, signs=None, **options):
    """A linear network's, whose logit is minus the sum where the sign is."""
    signs = np.ones(len(images)) if signs is None else signs
    options = {"patch": 1, "steps": 8, "orders": 4, "at_once": 16, **options}
    logits = lambda x: (x * weights).sum((1, 2, 3))[:, None]  # noqa: E731
    return map_faithfulness(logits, images, maps, weights=signs, **options)


def of_mean(images, weights):
    return ((images - images.mean((1, 2), keepdims=True)) * weights)[..., 0]


def test_the_map_of_a_linear_network_gains_and_its_opposite_loses(images, weights):
    evidence = of_mean(images, weights)
    found = measured(images, weights, {"right": evidence, "wrong": -evidence}, baselines=("mean",))
    assert found.methods == ("right", "wrong", RANDOM) and found.images == 6
    assert found.gain("right").low > 0 > found.gain("wrong").high
    # The opposite order is the same curve mirrored at the straight line between its ends.
    ends = found.deletion[0, 0, :, 0] + found.deletion[0, 0, :, -1]
    both = area(found.deletion[0, 0]) + area(found.deletion[1, 0])
    assert_allclose(both, ends, rtol=0, atol=1e-12)


def test_gains_are_paired_with_random_orders_image_by_image(images, weights):
    found = measured(images, weights, {"map": of_mean(images, weights)})
    chance, gains = len(found.methods) - 1, []
    for a in found.areas():
        better = {"deletion": -1, "insertion": 1}[a.curve]
        place = found.methods.index(a.method), found.baselines.index(a.baseline)
        areas = area(getattr(found, a.curve))
        assert a.value.value == pytest.approx(areas[place].mean())
        gain = better * (areas[place] - areas[chance, place[1]])
        assert a.gain == pytest.approx(interval(gain))
        if a.method == "map":
            gains.append(gain)
    assert len(gains) == 4
    assert found.gain("map") == pytest.approx(interval(np.mean(gains, 0)))
    assert found.areas(level=0.5)[0].value.low > found.areas()[0].value.low


def test_random_curves_are_means_of_several_orders(images, weights):
    one, four = (
        measured(images, weights, {"map": images[..., 0]}, orders=n).deletion[-1] for n in (1, 4)
    )
    straight = np.linspace(one[..., 0], one[..., -1], one.shape[-1], axis=-1)
    assert abs(four - straight).mean() < abs(one - straight).mean()
    seeds = [measured(images, weights, {"map": images[..., 0]}, seed=n).deletion for n in (0, 9)]
    assert (seeds[0][0] == seeds[1][0]).all() and (seeds[0][-1] != seeds[1][-1]).any()


def test_the_explained_logit_has_the_sign_of_each_image(images, weights):
    signs = np.array([1, -1, 1, -1, 1, -1.0])
    evidence = of_mean(images, weights)
    plain = measured(images, weights, {"map": evidence}, baselines=("mean",))
    turned = measured(
        images, weights, {"map": evidence * signs[:, None, None]}, signs, baselines=("mean",)
    )
    assert_allclose(turned.deletion[0, 0, ::2], plain.deletion[0, 0, ::2], rtol=0, atol=1e-12)
    # What speaks against the logit goes first where the sign is minus.
    first = turned.deletion[0, 0, 1::2, 0] + plain.deletion[0, 0, 1::2, 0]
    assert_allclose(first, 0, rtol=0, atol=1e-12)
    assert (area(turned.deletion[0, 0]) < area(turned.deletion[1, 0])).all()


def test_several_logits_are_weighted(images, weights):
    logits = lambda x: np.stack([(x * w).sum((1, 2, 3)) for w in (weights, 3 * weights)], 1)  # noqa: E731
    chosen = np.eye(2)[[0, 1, 0, 1, 0, 1]]
    options = {"patch": 2, "steps": 4, "at_once": 5}
    found = map_faithfulness(logits, images, {"m": images[..., 0]}, weights=chosen, **options)
    whole = (images * weights).sum((1, 2, 3)) * [1, 3, 1, 3, 1, 3]
    assert_allclose(found.deletion[:, :, :, 0], np.broadcast_to(whole, (2, 2, 6)), rtol=1e-12)


def test_the_interval_is_students(rng):
    values = rng.normal(1, 2, 9)
    oracle = ttest_1samp(values, 0).confidence_interval(0.9)
    found = interval(values, level=0.9)
    assert_allclose(found, [values.mean(), oracle.low, oracle.high], rtol=1e-12)
    with pytest.raises(ValueError, match="1 image: an interval over images needs at least two"):
        interval(values[:1])


def test_maps_drawn_at_random_seldom_beat_random_orders(rng):
    """In one trial of twenty at most, either way: an interval of 95 % holds what it promises."""
    signs = []
    for trial in range(100):
        images, weights = rng.normal(size=(8, 4, 4, 1)), rng.normal(size=(4, 4, 1))
        maps = {"map": rng.normal(size=(8, 4, 4))}
        found = measured(images, weights, maps, steps=4, at_once=512, seed=trial).gain("map")
        signs.append(int(found.low > 0) - int(found.high < 0))
    assert np.count_nonzero(signs) <= 12 and abs(sum(signs)) <= 8


def test_sets_of_images_are_joined(images, weights):
    maps = of_mean(images, weights)
    whole = measured(images, weights, {"map": maps}, orders=1)
    parts = [
        measured(images[rows], weights, {"map": maps[rows]}, orders=1)
        for rows in (slice(0, 4), slice(4, 6))
    ]
    together = joined(parts)
    assert together.images == 6
    assert_allclose(together.deletion[0], whole.deletion[0], rtol=0, atol=1e-12)
    assert repr(together).startswith("Faithfulness(6 images; logits gained on a random order: map ")
    assert "\n" not in repr(together)
    assert repr(measured(images[:1], weights, {"map": maps[:1]})) == "Faithfulness(1 image)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m[..., :4], r"maps of 'map' have shape \[6, 8, 4\]: give one number for each"),
        (lambda m: m * [[[0]]] + 2, "map: the map of image 0 is 2 everywhere"),
        (lambda m: np.where(m > 0, np.nan, m), "map: the map of image 0 has .* are no numbers"),
    ],
)
def test_maps_that_do_not_fit_are_refused_by_name(images, weights, change, words):
    with pytest.raises(ValueError, match=words) as error:
        measured(images, weights, {"map": change(images[..., 0])})
    assert "\n" not in str(error.value)


def test_logits_that_are_no_numbers_and_unknown_methods_are_refused(images, weights):
    images[3, 2, 2] = np.inf
    maps = {"map": np.nan_to_num(images[..., 0], posinf=1)}
    with pytest.raises(ValueError, match="logits of image 3 are no finite numbers"):
        measured(images, weights, maps)
    found = measured(images[:3], weights, {"map": maps["map"][:3]})
    with pytest.raises(ValueError, match="no method 'lime' was compared; there are map"):
        found.gain("lime")


def curves(gap):
    """Of four images; the map falls below random order by the gap in the middle."""
    chance = np.linspace(1, 0, 3) * np.ones((1, 2, 4, 1))
    dent = np.array([0, 1, 0]) * np.reshape(gap, (4, 1))
    return Faithfulness(
        ("evidence", RANDOM),
        ("blur", "mean"),
        np.concatenate([chance - dent, chance]),
        np.concatenate([chance + dent, chance]),
        patch=4,
        orders=2,
    )


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        ([1, 1.1, 1, 0.9], "beats a random order: what it marks moves the logit by 0.5 more"),
        ([1, -0.8, 1, -0.8], "does not beat a random order: the difference may be nothing (0.05; "),
        ([-1, -1.1, -1, -0.9], "is worse than a random order: what it marks moves the logit by"),
    ],
)
def test_whether_a_map_beats_chance_is_said_plainly(gap, words):
    said = gain_words(curves(gap), "evidence")
    assert f"On these images the evidence {words}" in said and "4 images" in said
    assert ("Do not read it as the detector's reasons" in said) == (gap[1] != 1.1)


def test_the_figure_has_every_curve_and_its_band():
    found = curves([1, 1.1, 1, 0.9])
    figure = faithfulness_figure(found)
    assert len(figure.axes) == 4
    panel = figure.axes[3]
    assert "insertion, mean" in panel.get_title(loc="left")
    map_line, chance = panel.get_lines()
    assert_allclose(map_line.get_ydata(), [1, 1.5, 0], rtol=0, atol=1e-12)
    assert_allclose(chance.get_ydata(), [1, 0.5, 0], rtol=0, atol=1e-12)
    (band,) = panel.collections
    apart = interval(np.array([1, 1.1, 1, 0.9]))
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(0.5 + apart.high)
    assert found.figure()._repr_png_()[:4] == b"\x89PNG"


def test_the_table_has_a_row_for_every_area():
    table = area_table(curves([1, 1.1, 1, 0.9]))
    assert len(table.rows) == 8
    assert table.rows[0][:3] == ["evidence", "deletion", "blur"] and "[" in table.rows[0][4]
    assert [row[4] for row in table.rows if row[0] == RANDOM] == ["–"] * 4


ROWS = {"composite": composites.epsilon_everywhere(1e-12), "patch": 1, "steps": 8, "orders": 1}


def plane(parameters, x):
    """A linear network of several logits."""
    return x.reshape(len(x), -1) @ parameters


@pytest.fixture
def planes(rng):
    return rng.normal(size=(64, 3)).astype(np.float32)


def test_relevance_of_a_linear_network_is_gradient_times_input_and_has_its_curve(images, planes):
    found = faithfulness(plane, planes[:, :1], images, range=(-1, 1), baselines=("mean",), **ROWS)
    assert found.methods == ("relevance", "gradient", "gradient x input", RANDOM)
    assert_allclose(found.deletion[0], found.deletion[2], rtol=0, atol=1e-5)
    logits = images.reshape(6, 64) @ planes[:, 0]
    assert (logits < 0).any() and (logits > 0).any()
    # The logit counts in its own sign, and what speaks for that goes first.
    assert_allclose(found.deletion[0, 0, :, 0], abs(logits), rtol=1e-5)
    evidence = (images[..., 0] * planes[:, 0].reshape(8, 8)) * np.sign(logits)[:, None, None]
    maps = {"map": evidence}
    own = measured(images, planes[:, 0].reshape(8, 8, 1), maps, np.sign(logits), orders=1,
                   baselines=("mean",))  # fmt: skip
    assert_allclose(found.deletion[0], own.deletion[0], rtol=0, atol=1e-4)


def test_the_largest_logit_or_the_one_that_is_asked_for_is_explained(images, planes):
    logits = images.reshape(6, 64) @ planes
    ask = {"range": (-1, 1), **ROWS}
    largest = faithfulness(plane, planes, images, **ask)
    assert_allclose(largest.deletion[0, 0, :, 0], logits.max(1), rtol=1e-5)
    each = [2, 0, 1, 1, 0, 2]
    for target, expected in ((1, logits[:, 1]), (each, logits[np.arange(6), each])):
        found = faithfulness(plane, planes, images, target=target, **ask)
        assert_allclose(found.deletion[0, 0, :, 0], expected, rtol=1e-4, atol=1e-5)
        # Evidence for the logit goes first also where it is negative.
        assert (area(found.deletion[2, 1]) < area(found.deletion[-1, 1])).all()
    before = faithful._maps.cache_info()
    assert before.hits >= 2  # compiled once, whatever the target
    for target in (3, -1, [0, 1], 0.5):
        with pytest.raises(ValueError, match="target .*: give one number from 0 to 2, or one for"):
            faithfulness(plane, planes, images, target=target, **ask)


def test_maps_of_the_users_own_are_compared_too(images, planes):
    own = {"mine": images[..., 0]}
    found = faithfulness(plane, planes, images, range=(-1, 1), maps=own, **ROWS)
    assert found.methods == ("relevance", "gradient", "gradient x input", "mine", RANDOM)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:1], r"images are \[1, 8, 8, 1\]: give at least two"),
        (lambda x: x.reshape(6, 64), r"images are \[6, 64\]: give at least two, \[b, h, w, c\]"),
        (lambda x: 127.5 * (x + 1), "pixels are from .* outside of the stated range from -1 to 1"),
        (lambda x: np.where(x > 0.9, np.nan, x), "pixels are from nan"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(images, planes, change, words):
    with pytest.raises(ValueError, match=words) as error:
        faithfulness(plane, planes, change(images), range=(-1, 1), **ROWS)
    assert "\n" not in str(error.value)


def test_grad_cam_looks_at_the_last_convolution_with_places(images, rng):
    def convolved(kernel, x):
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def network(parameters, x):
        return jnp.maximum(convolved(parameters["conv"], x), 0).mean((1, 2)) @ parameters["last"]

    shapes = {"conv": (3, 3, 1, 2), "last": (2, 1)}
    parameters = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    x = images.astype(np.float32)
    maps = np.asarray(convolved(parameters["conv"], x))
    slopes = (maps > 0).mean((1, 2), keepdims=True) * parameters["last"][:, 0]
    signs = np.sign(np.asarray(network(parameters, x)))[:, :, None]
    own = {"mine": signs * np.asarray(cam_map((slopes * maps).sum(-1), x))}
    ask = {"patch": 2, "steps": 4, "orders": 1}
    found = faithfulness(network, parameters, x, range=(-1, 1), maps=own, **ask)
    assert found.methods == (
        "relevance",
        "gradient",
        "gradient x input",
        "Grad-CAM",
        "mine",
        RANDOM,
    )
    assert_allclose(found.deletion[3], found.deletion[4], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="nope"):
        faithfulness(network, parameters, x, range=(-1, 1), layer="nope", **ask)


def test_the_page_says_what_was_measured_or_why_it_was_not():
    reason = "1 of 1 images can be measured, and an interval needs two"
    section = faithful_section(reason)
    assert section.blocks == [
        f"Whether the evidence is more than chance was not measured: {reason}."
    ]
    words, picture, table = faithful_section(curves([1, -0.8, 1, -0.8])).blocks
    assert isinstance(words, str) and words.startswith("On these images the evidence does not beat")
    assert "On 4 of the images above" in words and "crops of one photograph are not" in words
    assert isinstance(picture, Picture) and isinstance(table, Table) and len(table.rows) == 8
