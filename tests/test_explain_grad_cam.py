import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import bounding_box, guided_grad_cam, heat_map
from gan_forensics.nn.conv import Conv


class Two(nn.Module):
    """Two 1x1 convolutions with ReLU, a mean and two logits: all derivatives by hand."""

    activation: str = "relu"

    @nn.compact
    def __call__(self, x, *, train):
        activate = getattr(jax.nn, self.activation)
        x = activate(Conv(3, 1, use_bias=False, name="stage.0")(x))
        x = activate(Conv(2, 1, use_bias=False, name="stage.1")(x))
        return nn.Dense(2, name="fc")(x.mean((1, 2)))


def by_hand(variables, x, index):
    first, second = (variables["params"][f"stage.{i}"]["kernel"][0, 0] for i in (0, 1))
    head = variables["params"]["fc"]["kernel"][:, index]
    a = np.maximum(x @ first, 0)
    z = a @ second
    slope = np.where(z > 0, head, 0) / (x.shape[1] * x.shape[2])
    cam = (slope.mean((1, 2), keepdims=True) * z).sum(-1)
    back = np.where(z > 0, np.maximum(slope, 0), 0) @ second.T
    guided = np.where(a > 0, np.maximum(back, 0), 0) @ first.T
    return cam, guided


@pytest.fixture
def two(rng):
    x = rng.normal(size=(2, 3, 4, 3)).astype(np.float32)
    shapes = jax.eval_shape(lambda: Two().init(jax.random.key(0), x, train=False))
    return jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), shapes), x


@pytest.mark.parametrize("index", [0, 1])
def test_grad_cam_and_guided_backpropagation_are_their_formulas(two, index):
    variables, x = two
    found = guided_grad_cam(Two(), variables, x, layer="stage", class_index=index)
    cam, guided = by_hand(variables, x, index)
    assert_allclose(found.weighted, cam, rtol=1e-4, atol=1e-6)
    assert_allclose(found.guided, guided, rtol=1e-4, atol=1e-6)
    # The map has the size of the input here, so that nothing is resized.
    cam = np.maximum(cam, 0)
    cam = cam - cam.min((1, 2), keepdims=True)
    cam = cam / (1e-7 + cam.max((1, 2), keepdims=True))
    assert_allclose(found.map, cam, rtol=1e-4, atol=1e-6)
    assert_allclose(found.product, cam[..., None] * guided, rtol=1e-4, atol=1e-6)


def test_a_network_without_relus_has_its_gradient_in_the_place_of_guided_backpropagation(two):
    variables, x = two
    module = Two("silu")
    found = guided_grad_cam(module, variables, x, layer="stage.1")
    slope = jax.grad(lambda x: module.apply(variables, x, train=False)[:, 0].sum())(jnp.asarray(x))
    assert_allclose(found.guided, slope, rtol=1e-4, atol=1e-7)


class Pooled(nn.Module):
    """A map of means over cells, and its mean as the logit."""

    cell: int = 2

    @nn.compact
    def __call__(self, x, *, train):
        x = Conv(1, self.cell, self.cell, "VALID", use_bias=False, name="conv")(x)
        return nn.Dense(1, name="fc")(x.mean((1, 2)))

    @property
    def variables_of_means(self):
        kernel = np.full((self.cell, self.cell, 1, 1), self.cell**-2, np.float32)
        head = {"kernel": np.ones((1, 1), np.float32), "bias": np.zeros(1, np.float32)}
        return {"params": {"conv": {"kernel": kernel}, "fc": head}}


def test_maps_are_resized_to_the_input_with_half_pixel_centres():
    x = np.repeat([0.0, 0.0, 4.0, 4.0], 2).reshape(1, 4, 2, 1).astype(np.float32)
    found = guided_grad_cam(Pooled(), Pooled().variables_of_means, x, layer="conv")
    assert_allclose(found.map[0, :, 0], [0, 0.25, 0.75, 1], atol=1e-5)


def published_map(cam, width, height):
    """The steps of pytorch-grad-cam 1.3.7 for one layer: scale, resize, scale again."""
    cv2 = pytest.importorskip("cv2")

    def scaled(image):
        image = image - image.min()
        return image / (1e-7 + image.max())

    return scaled(cv2.resize(np.float32(scaled(np.maximum(cam, 0))), (width, height)))


@pytest.mark.parametrize(("rows", "columns", "cell"), [(3, 3, 8), (3, 3, 3), (4, 7, 6), (2, 2, 7)])
def test_maps_are_scaled_again_after_resizing_as_published(rows, columns, cell, rng):
    """A peak between two pixels of the input is cut off: the map would not reach 1."""
    module, means = Pooled(cell), rng.normal(size=(2, rows, columns))
    x = means.repeat(cell, 1).repeat(cell, 2)[..., None].astype(np.float32)
    found = guided_grad_cam(module, module.variables_of_means, x, layer="conv")
    height, width = x.shape[1:3]
    expected = np.stack([published_map(cam, width, height) for cam in means])
    assert_allclose(found.map, expected, rtol=0, atol=2e-6)
    assert_allclose(found.map.max((1, 2)), 1, rtol=0, atol=1e-6)
    assert_allclose(found.product, expected[..., None] * found.guided, rtol=0, atol=1e-7)


def test_what_is_not_there_is_refused(two):
    variables, x = two
    with pytest.raises(ValueError, match="no layer 'layer4'.*stage.0, stage.1, fc"):
        guided_grad_cam(Two(), variables, x, layer="layer4")
    with pytest.raises(ValueError, match="the network has 2"):
        guided_grad_cam(Two(), variables, x, layer="stage", class_index=2)


class Placed(nn.Module):
    """A convolution whose places count differently: no pooling makes their slopes equal."""

    @nn.compact
    def __call__(self, x, *, train):
        """Images to one logit."""
        maps = Conv(2, (1, 1), name="conv")(x)
        return nn.Dense(1, name="head")(maps.reshape(len(x), -1))


def test_a_map_weighs_its_channels_by_their_mean_slope(rng):
    x = jnp.asarray(rng.normal(size=(2, 3, 3, 3)), jnp.float32)
    variables = Placed().init(jax.random.key(0), x, train=False)
    found = guided_grad_cam(Placed(), variables, x, layer="conv")
    maps = Conv(2, (1, 1)).apply({"params": variables["params"]["conv"]}, x)
    slopes = variables["params"]["head"]["kernel"].reshape(3, 3, 2)
    by_hand = (np.asarray(slopes).mean((0, 1)) * np.asarray(maps)).sum(-1)
    assert_allclose(found.weighted, by_hand, rtol=1e-4, atol=1e-6)
    assert np.abs(by_hand - (np.asarray(slopes) * np.asarray(maps)).sum(-1)).max() > 0.1


def test_a_heat_map_is_the_positive_part_over_its_maximum():
    image = np.zeros((2, 2, 2, 3))
    image[0, 0, 0], image[0, 1, 1], image[0, 0, 1] = (1, 1, 2), (3, -1, 0), (-3, 1, 1)
    assert_array_equal(heat_map(image)[0], [[1, 0], [0, 0.5]])
    assert_array_equal(heat_map(jnp.asarray(image))[1], np.zeros((2, 2)))
    # Each image has a maximum of its own.
    assert_array_equal(heat_map(np.stack([image[0], 8 * image[0]]))[0], heat_map(image)[0])


def test_the_box_holds_all_hot_pixels():
    heat = np.zeros((6, 7))
    heat[1, 2] = heat[3, 5] = 1
    box = bounding_box(heat)
    assert box == (1, 3, 2, 5)
    image = np.arange(42).reshape(6, 7)
    assert_array_equal(box.crop(image), image[1:4, 2:6])
    assert_array_equal(box.crop(image, drop_last=True), image[1:3, 2:5])


def test_the_box_is_the_whole_image_where_no_pixel_is_hotter_than_the_rest():
    box = bounding_box(np.ones((4, 5)))
    assert box == (0, 3, 0, 4)
    assert box.crop(np.ones((4, 5))).shape == (4, 5)


def test_the_percentile_is_linearly_interpolated():
    # Of 0, 1, 2, 3 the 75th percentile is 2.25, and the 60th 1.8.
    heat = np.arange(4.0).reshape(2, 2)
    assert bounding_box(heat) == (1, 1, 1, 1)
    assert bounding_box(heat, percentile=60) == (1, 1, 0, 1)
