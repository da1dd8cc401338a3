import numpy as np
import pytest

from gan_forensics.data.toy_domains import ATTRIBUTES, domains
from gan_forensics.spectra import radial_mean


@pytest.fixture(scope="module")
def drawn():
    return domains(600, 32, seed=1)


def _split(drawn, attribute):
    has = drawn["attributes"][:, ATTRIBUTES.index(attribute)] == 1
    images = drawn["image"].astype(np.float64)
    return images[has], images[~has]


def test_every_image_has_one_colour_and_all_domains_occur(drawn):
    labels = drawn["attributes"]
    np.testing.assert_array_equal(labels[:, :3].sum(1), 1)
    assert len(np.unique(labels, axis=0)) == 12
    share = labels.mean(0)
    np.testing.assert_allclose(share, [1 / 3] * 3 + [1 / 2] * 2, rtol=0, atol=0.08)


def test_stripes_differ_from_spots_by_direction_not_by_tint_or_radial_power(drawn):
    """The two classes share colour, contrast and radial spectrum; their gradients do not agree."""
    striped, spotted = _split(drawn, "striped")
    # Levels out of 255; the disc's colour is drawn anew in every image.
    np.testing.assert_allclose(striped.mean((0, 1, 2)), spotted.mean((0, 1, 2)), rtol=0, atol=5)
    curves = []
    for images in (striped, spotted):
        gray = images.mean(-1)
        power = np.abs(np.fft.fftshift(np.fft.fft2(gray))) ** 2
        curves.append(radial_mean(power.mean(0)))
    np.testing.assert_allclose(np.log(curves[0]), np.log(curves[1]), rtol=0, atol=0.35)

    def coherence(images):
        dy, dx = np.gradient(images.mean(-1), axis=(1, 2))
        yy, xx, xy = (dy * dy).mean((1, 2)), (dx * dx).mean((1, 2)), (dx * dy).mean((1, 2))
        return np.hypot(yy - xx, 2 * xy) / (yy + xx)

    assert np.median(coherence(striped)) > 2 * np.median(coherence(spotted))


def test_warm_grounds_are_redder_than_cool_ones(drawn):
    warm, cool = (images[:, :3].mean((0, 1, 2)) for images in _split(drawn, "warm"))
    assert warm[0] > cool[0] + 40 and warm[2] < cool[2] - 40


def test_a_longer_draw_begins_with_the_shorter_one_and_images_vary(drawn):
    short = domains(5, 32, seed=1)
    for key, array in short.items():
        np.testing.assert_array_equal(drawn[key][:5], array)
    assert len(np.unique(drawn["image"].reshape(600, -1), axis=0)) == 600


@pytest.mark.parametrize(("n", "size", "seed"), [(0, 32, 0), (4, 8, 0), (4, 32, -1)])
def test_unfit_draws_are_refused(n, size, seed):
    with pytest.raises(ValueError, match=f"n={n}, size={size}"):
        domains(n, size, seed=seed)
