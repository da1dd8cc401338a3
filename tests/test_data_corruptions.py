"""The corruptions of ImageNet-C: published values, sizes, determinism, properties, bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy import ndimage

from gan_forensics.data import (
    corruption_blur,
    corruption_frost,
    corruption_noise,
    corruption_scale,
)
from gan_forensics.data.corruption_elastic import smoothed
from gan_forensics.data.corruption_scale import at_own_size, published_shape
from gan_forensics.data.corruption_weather import fractal
from gan_forensics.data.corruptions import (
    CORRUPTIONS,
    HELD_OUT_CORRUPTIONS,
    KINDS,
    TRAIN_CORRUPTIONS,
    corrupt,
)
from gan_forensics.data.images import pillow_resize
from tests import oracles_corruptions as oracles

DRAWN = {
    "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur", "motion_blur",
    "snow", "frost", "frost_procedural", "fog", "elastic_transform", "spatter",
}  # fmt: skip

NO_DRAWS = np.random.RandomState(0)


def picture(height=224, width=224, seed=0):
    """Smooth colours, edges, stripes and a little noise: uint8 [h, w, 3]."""
    y, x = np.mgrid[:height, :width] / min(height, width)
    rng = np.random.RandomState(seed)
    image = np.stack([120 + 100 * np.sin(3 * x), 90 + 80 * y, 60 + 60 * np.cos(4 * y + x)], -1)
    image[(x - 0.4) ** 2 + (y - 0.4) ** 2 < 0.04] = 220, 60, 40
    image[height // 2 :, -width // 4 :: 3] = 40, 200, 60
    image[-height // 10 :] = 255
    return np.clip(image + 4 * rng.randn(*image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """A folder of textures, one smaller than the published side, and a file that is never drawn."""
    folder = tmp_path_factory.mktemp("frost")
    for number, (height, width) in enumerate([(300, 260), (240, 180)], start=1):
        Image.fromarray(picture(height, width, number)).save(folder / f"frost{number}.png")
    Image.fromarray(np.zeros((230, 230, 3), np.uint8)).save(folder / "frost6.jpg")
    (folder / "README").write_text("no picture")
    return folder


def test_there_are_nineteen_in_the_published_order():
    assert list(CORRUPTIONS)[3:10] == [
        "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog"
    ]  # fmt: skip
    assert len(CORRUPTIONS) == 19 and len(TRAIN_CORRUPTIONS) == 15
    assert (
        {*TRAIN_CORRUPTIONS} | {*HELD_OUT_CORRUPTIONS}
        == {*CORRUPTIONS}
        == {*KINDS} - {"frost_procedural"}
    )


@pytest.mark.parametrize(
    ("name", "severity", "most", "mean"),
    [
        pytest.param("defocus_blur", 3, 1, 0.05, marks=pytest.mark.slow),
        ("defocus_blur", 5, 1, 0.05),
        ("motion_blur", 1, 0, 0),
        ("zoom_blur", 3, 1, 0.01),
        ("snow", 3, 1, 0.001),
        ("fog", 1, 0, 0),
        ("spatter", 1, 20, 0.01),
        pytest.param("spatter", 3, 20, 0.01, marks=pytest.mark.slow),
        ("spatter", 4, 0, 0),
        # OpenCV's versions round the coordinates of the affine map differently.
        pytest.param("elastic_transform", 2, 6, 0.1, marks=pytest.mark.slow),
        ("elastic_transform", 4, 6, 0.1),
    ],
)
def test_at_224_pixels_a_corruption_is_the_published_one(name, severity, most, mean):
    image, seed = picture(), 7 * severity
    found = corrupt(image, name, severity, np.random.RandomState(seed)).astype(int)
    apart = np.abs(found - getattr(oracles, name)(image, severity, np.random.RandomState(seed)))
    assert apart.max() <= most and apart.mean() <= mean
    assert np.abs(found - image).mean() > 0.5


def test_glass_shuffles_pixel_after_pixel(monkeypatch):
    monkeypatch.setattr(corruption_scale, "PUBLISHED_SIDE", 64)
    image = picture(64, 64)
    for severity in (3, 4):
        found = corrupt(image, "glass_blur", severity, np.random.RandomState(severity))
        expected = oracles.glass_blur(image, severity, np.random.RandomState(severity))
        assert_array_equal(found, expected)


def test_noises_are_their_formulas_of_the_published_draws():
    image = picture(20, 30)
    x = image / 255

    def draws():
        return np.random.RandomState(5)

    def found(name):
        return corrupt(image, name, 3, draws())

    cut = oracles.cut
    noise = draws().standard_normal(image.shape)
    assert_array_equal(found("gaussian_noise"), cut(x + 0.18 * noise))
    assert_array_equal(found("speckle_noise"), cut(x + x * (0.35 * noise)))
    assert_array_equal(found("shot_noise"), cut(draws().poisson(x * 12) / 12))
    struck = np.indices(image.shape).sum(0) % 3 == 0
    made = corruption_noise.struck_by(image, struck, struck[::-1])
    assert_array_equal(made[~struck], image[~struck])
    assert_array_equal(made[struck], np.where(struck[::-1][struck], 255, 0))


def test_impulses_are_as_many_as_told_and_half_of_them_white(rng):
    image = np.full((100, 100, 3), 99, np.uint8)
    made = corrupt(image, "impulse_noise", 5, rng)
    black, white = (made == 0).mean(), (made == 255).mean()
    assert abs(black + white - 0.27) < 0.01 and abs(white - black) < 0.01
    assert (made == 99).mean() == 1 - black - white


@pytest.mark.parametrize("name", KINDS)
def test_shape_and_type_stay_and_the_same_draws_give_the_same_image(name, textures):
    for kind, shape in (
        (np.random.RandomState, (16, 16, 1)), (np.random.default_rng, (24, 40, 3))
    ):  # fmt: skip
        image = np.ascontiguousarray(picture(*shape[:2])[..., : shape[2]])
        before = image.copy()
        rngs = kind(3), kind(3), kind(4)
        first, again, other = (corrupt(image, name, 4, r, frost_textures=textures) for r in rngs)
        assert first.shape == shape and first.dtype == np.uint8
        assert_array_equal(image, before)
        assert_array_equal(first, again)
        # Who draws nothing leaves the generator alone; what is drawn small images may round away.
        assert (rngs[0].random() != kind(3).random()) == (name in DRAWN)
        assert name in DRAWN or (first == other).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_severity_at_every_size(name, textures):
    shapes = [(16, 16, 1), (17, 33, 3), (32, 32, 3), (300, 64, 1), (16, 200, 3), (512, 512, 3)]
    for shape in shapes:
        image = np.ascontiguousarray(picture(*shape[:2])[..., : shape[2]])
        for severity in (1, 2, 3, 4, 5) if max(shape) < 300 else (1, 5):
            rng = np.random.default_rng(0)
            made = corrupt(image, name, severity, rng, frost_textures=textures)
            assert made.shape == shape and made.dtype == np.uint8
            assert np.ptp(made) > 0


@pytest.mark.parametrize(
    "name",
    ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "gaussian_blur",
     "defocus_blur", "motion_blur", "brightness", "contrast"],
)  # fmt: skip
def test_a_higher_severity_changes_more(name):
    image = picture(64, 64)
    changes = [
        np.abs(corrupt(image, name, s, np.random.default_rng(1)).astype(float) - image).mean()
        for s in (1, 2, 3, 4, 5)
    ]
    assert (np.diff(changes) > 0).all(), changes


@pytest.mark.parametrize(
    "name",
    ["gaussian_blur", "defocus_blur", "motion_blur", "fog", "spatter", "elastic_transform",
     "zoom_blur", "frost_procedural"],
)  # fmt: skip
def test_at_another_size_the_same_happens_to_the_same_picture(name):
    """Corrupting and shrinking is shrinking and corrupting, where the picture is smooth."""
    y, x = np.mgrid[:224, :224] / 224
    smooth = np.stack([120 + 90 * np.sin(9 * x + 2), 100 + 90 * np.cos(8 * y), 255 * x * y], -1)
    large = smooth.astype(np.uint8)
    small = pillow_resize(large, 56, 56)
    made = corrupt(large, name, 3, np.random.default_rng(2)).astype(float)
    expected = made.reshape(56, 4, 56, 4, 3).mean((1, 3))
    found = corrupt(small, name, 3, np.random.default_rng(2))
    # Against what happens to it: lengths that did not scale would be off by as much.
    change = np.abs(expected - small).mean()
    assert np.abs(found - expected).mean() < 0.35 * change + 0.5


def test_lengths_scale_with_the_shorter_side():
    image = picture(112, 150)
    expected = ndimage.gaussian_filter(image / 255, (1.5, 1.5, 0), mode="nearest")
    assert_array_equal(corrupt(image, "gaussian_blur", 3, NO_DRAWS), oracles.cut(expected))
    assert published_shape(image.shape) == (224, 300)
    layer = np.random.RandomState(0).rand(224, 300)
    assert at_own_size(layer, (224, 300, 3)) is layer
    assert abs(at_own_size(layer, image.shape).mean() - layer.mean()) < 1e-3
    for scale in (0.5, 1.7):
        kernel = corruption_blur.scaled_kernel(corruption_blur.disk(6, 0.5), scale)
        assert_allclose(kernel.sum(), 1, rtol=1e-12)
        wide = np.arange(len(kernel)) - len(kernel) // 2
        spread = np.sqrt((kernel.sum(0) * wide**2).sum())
        # A disk's deviation is half its radius; the cells that it is told in add theirs.
        assert abs(spread / np.sqrt((3 * scale) ** 2 + 1 / 12) - 1) < 0.1


def test_flat_images_stay_flat_and_means_are_kept(rng):
    flat = np.full((40, 40, 3), 77, np.uint8)
    for name in ("gaussian_blur", "zoom_blur", "motion_blur", "glass_blur", "pixelate", "contrast"):
        made = corrupt(flat, name, 5, rng)
        assert np.ptp(made) == 0 and abs(int(made[0, 0, 0]) - 77) <= 1, name
    for severity in (1, 2, 3):
        assert_array_equal(corrupt(flat, "defocus_blur", severity, rng), flat)
    image = picture(40, 40)
    for severity, kept in zip((1, 5), (0.4, 0.05), strict=True):
        made = corrupt(image, "contrast", severity, rng).astype(float)
        # Cut off and not rounded: half a level less.
        assert_allclose(made.mean((0, 1)), image.mean((0, 1)) - 0.5, atol=0.1)
        assert_allclose(made.std((0, 1)), kept * image.std((0, 1)), rtol=0.05)
    black = np.zeros((8, 8, 3), np.uint8)
    assert_array_equal(corrupt(black, "brightness", 3, rng), np.full_like(black, 76))


def test_fog_is_a_torus_in_0_to_1_and_keeps_the_brightest_level(rng):
    field = fractal(2.0, rng, 64)
    assert field.min() == 0 and field.max() == 1
    assert np.abs(field[0] - field[-1]).max() < 0.5
    white = np.full((32, 32, 3), 255, np.uint8)
    made = corrupt(white, "fog", 1, rng)
    assert 101 <= made.min() and made.max() <= 255


def test_a_wide_gaussian_by_cosines_is_the_filter(rng):
    field = rng.uniform(-1, 1, (40, 56))
    for sigma in (0.7, 3.0, 60.0):
        slow = ndimage.gaussian_filter(field, sigma, mode="reflect", truncate=3)
        assert_allclose(smoothed(field, sigma), slow, atol=1e-12)


def test_channels_are_reversed_before_and_after_where_asked():
    image = picture(64, 64)
    for name in ("jpeg_compression", "spatter", "defocus_blur"):
        reversed_ = corrupt(image[..., ::-1], name, 3, np.random.RandomState(2))[..., ::-1]
        found = corrupt(image, name, 3, np.random.RandomState(2), channel_order="bgr")
        assert_array_equal(found, reversed_)
        plain = corrupt(image, name, 3, np.random.RandomState(2))
        assert (found == plain).all() == (name == "defocus_blur")


def test_gray_images_are_corrupted_as_three_equal_channels():
    gray = picture(48, 48)[..., :1]
    three = np.repeat(gray, 3, -1)
    for name in ("brightness", "saturate", "contrast", "spatter", "fog", "snow", "zoom_blur"):
        made = corrupt(gray, name, 1, np.random.RandomState(1))[..., 0].astype(int)
        colour = corrupt(three, name, 1, np.random.RandomState(1)) @ [0.299, 0.587, 0.114]
        assert np.abs(made - colour).max() <= 1, name


def test_the_resizing_to_224_and_back_is_a_mode_of_its_own():
    image = picture(32, 32)
    large = pillow_resize(image, 224, 224)
    expected = pillow_resize(corrupt(large, "contrast", 2, NO_DRAWS), 32, 32)
    assert_array_equal(corrupt(image, "contrast", 2, NO_DRAWS, at="published"), expected)
    own = corrupt(large, "contrast", 2, NO_DRAWS)
    assert_array_equal(corrupt(large, "contrast", 2, NO_DRAWS, at="published"), own)


def test_frost_draws_a_texture_and_a_part_of_it(textures):
    image = picture(224, 224)
    draws = np.random.RandomState(1)
    files = sorted(textures.glob("*.png"))
    assert corruption_frost.texture_files(textures) == files
    file = files[draws.randint(2)]
    texture = np.array(Image.open(file))
    padded = np.pad(texture, ((0, 0), (0, max(0, 224 - texture.shape[1])), (0, 0)), "symmetric")
    top = draws.randint(0, padded.shape[0] - 224)
    left = draws.randint(0, max(1, padded.shape[1] - 224))
    part = padded[top : top + 224, left : left + 224]
    expected = np.clip(0.7 * image + 0.7 * part, 0, 255).astype(np.uint8)
    found = corrupt(image, "frost", 3, np.random.RandomState(1), frost_textures=textures)
    assert_array_equal(found, expected)


def test_frost_finds_the_files_of_a_package_without_importing_it(textures, tmp_path, monkeypatch):
    monkeypatch.setattr(corruption_frost, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="--no-deps imagecorruptions.*frost_procedural"):
        corrupt(picture(16, 16), "frost", 1, NO_DRAWS)
    monkeypatch.undo()
    package = tmp_path / "imagecorruptions"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('too old')")
    (package / "frost").symlink_to(textures)
    monkeypatch.syspath_prepend(tmp_path)
    assert [path.name for path in corruption_frost.texture_files()] == ["frost1.png", "frost2.png"]
    with pytest.raises(FileNotFoundError, match="has none"):
        corruption_frost.texture_files(tmp_path)


def test_what_is_no_corruption_is_refused():
    image = picture(16, 16)
    with pytest.raises(ValueError, match="did you mean gaussian_blur"):
        corrupt(image, "gausian_blur", 1, NO_DRAWS)
    with pytest.raises(ValueError, match="choose of gaussian_noise, shot"):
        corrupt(image, "xxxxxxxx", 1, NO_DRAWS)
    for severity in (0, 6, 1.5, "1"):
        with pytest.raises(ValueError, match="severity of a corruption is 1, 2"):
            corrupt(image, "fog", severity, NO_DRAWS)
    with pytest.raises(ValueError, match="must be uint8"):
        corrupt(image / 255, "fog", 1, NO_DRAWS)
    with pytest.raises(ValueError, match="channel_order is 'gbr'; choose rgb or bgr"):
        corrupt(image, "fog", 1, NO_DRAWS, channel_order="gbr")
    with pytest.raises(ValueError, match="at is 'own size'"):
        corrupt(image, "fog", 1, NO_DRAWS, at="own size")
