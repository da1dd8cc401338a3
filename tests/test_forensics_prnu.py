import numpy as np
import pytest

from gan_forensics.data import ArraySource
from gan_forensics.data.images import pillow_resize
from gan_forensics.forensics import noise_residuals as residuals
from gan_forensics.forensics import prnu


def planted(rng, marks, each, side=32):
    """Smooth random scenes in colour, `each` of every class, with the mark of the class added."""
    labels = np.repeat(np.arange(len(marks)), each)
    coarse = rng.uniform(60, 190, (len(labels), 4, 4, 3)).astype(np.uint8)
    scenes = np.stack([pillow_resize(image, side, side) for image in coarse]).astype(float)
    noise = rng.normal(0, 2, scenes.shape)
    images = scenes + noise + marks[labels][..., None]
    return np.clip(np.round(images), 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(7)
    marks = rng.normal(0, 4, (3, 32, 32))
    (images, labels), (held, of), test = (planted(rng, marks, each) for each in (24, 8, 20))
    model = prnu.fit_prnu(
        *(ArraySource(image=images), labels, ArraySource(image=held), of),
        classes=3,
        sigmas=(0.25, 0.95),
    )
    return model, (images, labels), test


def test_planted_fingerprints_are_found_and_lost_under_resizing(fitted):
    model, _, (images, labels) = fitted
    found = model.outputs(images).logits.argmax(1) == labels
    assert found.mean() > 0.95
    enlarged = np.stack([pillow_resize(x[3:-3, 3:-3], 32, 32) for x in images])
    kept = model.outputs(enlarged).logits.argmax(1) == labels
    assert kept.mean() < 0.6  # Chance is a third.


def test_the_model_is_the_best_of_its_grid_and_its_file_gives_the_same(fitted):
    model, (images, labels), (test, _) = fitted
    assert model.levels <= 2 and model.sigma in (0.25, 0.95) and model.validation_accuracy > 0.9
    for c in range(3):
        np.testing.assert_allclose(
            model.fingerprints[c],
            residuals.fingerprint(images[labels == c], model.levels, model.sigma),
            atol=1e-5,
        )
    again = prnu.assemble(dict(model.settings), dict(model.arrays), 3)
    np.testing.assert_array_equal(again.outputs(test).logits, model.outputs(test).logits)


def test_outputs_do_not_depend_on_the_batch_and_are_correlations(fitted, monkeypatch):
    model, _, (test, _) = fitted
    whole = model.outputs(test)
    assert np.abs(whole.features).max() <= 1
    np.testing.assert_allclose(whole.logits, 32 * whole.features)
    single = residuals.residual(test[4], model.levels, model.sigma)
    for mark, feature in zip(model.fingerprints, whole.features[4], strict=True):
        cosine = (mark * single).sum() / np.linalg.norm(mark) / np.linalg.norm(single)
        assert feature == pytest.approx(cosine, abs=1e-6)
    monkeypatch.setattr(prnu, "PIXELS", 7 * 32 * 32)
    np.testing.assert_allclose(model.outputs(test).features, whole.features, atol=1e-12)
    assert model.outputs(test[:0]).logits.shape == (0, 3)


def test_an_image_of_one_colour_leaves_nothing_and_is_like_nobody(fitted):
    flat = np.full((1, 32, 32, 3), 200, np.uint8)
    np.testing.assert_allclose(residuals.noise_extract(flat, 2, 0.5), 0, atol=1e-10)
    np.testing.assert_array_equal(fitted[0].outputs(flat).features, 0)


def test_correlation_of_a_map_with_itself_and_its_negative(rng):
    maps = rng.normal(size=(2, 16, 16))
    products = residuals.normalised_correlation(maps, np.stack([maps[0], -3 * maps[1]]))
    np.testing.assert_allclose(products.diagonal(), [1, -1])
    assert residuals.inner_products(maps, maps)[0, 1] == pytest.approx((maps[0] * maps[1]).sum())


def test_lattice_means_vanish(rng):
    freed = residuals.zero_mean_total(rng.normal(size=(2, 9, 12)) + 5)
    for a in (0, 1):
        for b in (0, 1):
            part = freed[:, a::2, b::2]
            np.testing.assert_allclose(part.mean(1), 0, atol=1e-12)
            np.testing.assert_allclose(part.mean(2), 0, atol=1e-12)


def slow_wiener(maps, variance):
    filtered = np.zeros_like(maps)
    for y, x in np.ndindex(*maps.shape):
        beyond = []
        for window in (3, 5, 7, 9):
            r = window // 2
            near = maps[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1]
            beyond.append(max(0.0, (near**2).sum() / window**2 - variance))
        filtered[y, x] = maps[y, x] * variance / (min(beyond) + variance)
    return filtered


def test_the_wiener_filter_is_its_formula(rng):
    maps = rng.normal(0, 8, (6, 11))
    np.testing.assert_allclose(
        residuals.wiener_adaptive(maps, 25), slow_wiener(maps, 25), rtol=1e-10
    )


def test_the_fourier_filter_shrinks_magnitudes_and_keeps_phases(rng):
    wave = 8 * np.cos(2 * np.pi * np.arange(16) * 5 / 16)
    maps = rng.normal(size=(14, 16)) + wave
    spectrum = np.fft.fft2(maps)
    shrunk = slow_wiener(np.abs(spectrum) / np.sqrt(14 * 16), maps.var(ddof=1))
    filtered = shrunk * np.sqrt(14 * 16) * np.exp(1j * np.angle(spectrum))
    after = residuals.wiener_dft(maps)
    np.testing.assert_allclose(after, np.fft.ifft2(filtered).real, atol=1e-10)
    assert abs(np.fft.fft2(after)[0, 5]) < 0.8 * abs(spectrum[0, 5])


def test_intensity_and_saturation_by_hand():
    levels = np.array([0, 126, 251, 252, 255], np.uint8)
    expected = [0, 0.5, 251 / 252, 1, np.exp(-1.5)]
    np.testing.assert_allclose(residuals.inten_scale(levels[:, None, None]).ravel(), expected)

    image = (np.arange(48, dtype=np.uint8) * 5 + 1).reshape(4, 4, 3)  # No two neighbours are equal.
    assert image.max() == 236 and residuals.saturation(image).all()
    image[1, 1:3, 0] = 255  # Saturated: highest of its channel, and beside an equal one.
    image[3, 0, 1] = 251  # Highest of its channel, but alone.
    image[0, :2, 2] = 9  # Equal neighbours in a channel that is nowhere bright.
    kept = residuals.saturation(image)
    assert np.argwhere(kept[..., 0] == 0).tolist() == [[1, 1], [1, 2]]
    assert kept[..., 1].all()
    assert np.argwhere(kept[..., 2] == 1).tolist() == [[0, 0], [0, 1]]  # The quirk.


def test_a_fingerprint_is_found_at_another_place(rng):
    mark = rng.normal(size=(24, 24))
    aligned = residuals.cross_correlation(mark, mark)
    assert residuals.peak_to_correlation_energy(aligned)[1] == (23, 23)
    piece = mark[5:19, 3:21]
    height, place = residuals.peak_to_correlation_energy(residuals.cross_correlation(mark, piece))
    assert place == (4, 2) and height > 60
    centred = mark - mark.mean(), np.pad(piece - piece.mean(), [(5, 5), (3, 3)])
    peak = residuals.cross_correlation(mark, piece)[4, 2]
    assert peak == pytest.approx((centred[0] * centred[1]).sum())


def test_peak_to_energy_by_hand():
    correlation = np.ones((8, 8))
    correlation[4, 3] = 5
    # 16 of 64 places are zeroed: rows 2 to 5, columns 1 to 4.
    assert residuals.peak_to_correlation_energy(correlation) == (25 / 0.75, (4, 3))
    correlation = np.roll(correlation, -3, 0)  # Now row 1: the block would begin before the map.
    assert residuals.peak_to_correlation_energy(correlation)[0] == pytest.approx(25 / (88 / 64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(labels=[0, 0]), "no training images of class 1"),
        (dict(labels=[0, 2]), "labels go from 0 to 2; of 2 classes"),
        (dict(labels=[0]), "2 training images need as many integer labels"),
        (dict(side=12), "12x12 are too small for PRNU: sides of 14 or more"),
        (dict(levels=(3, 4)), "levels .3, 4. must hold one of 1 to 1"),
        (dict(sigmas=(0.0,)), "sigmas .* be positive"),
        (dict(held=0), "no validation images"),
        (dict(held_side=18), "fingerprints of 16x16 cannot be compared with images of 18x18"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    settings = (
        dict(labels=[0, 1], side=16, levels=(1,), sigmas=(0.5,), held=1, held_side=16) | change
    )
    images = np.zeros((2, settings["side"], settings["side"], 3), np.uint8)
    labels, held, side = np.array(settings["labels"]), settings["held"], settings["held_side"]
    with pytest.raises(ValueError, match=message):
        prnu.fit_prnu(
            *(ArraySource(image=images), labels),
            *(ArraySource(image=np.zeros((held, side, side, 3), np.uint8)), np.zeros(held, int)),
            classes=2,
            levels=settings["levels"],
            sigmas=settings["sigmas"],
        )


def test_files_and_images_that_do_not_fit_are_refused(fitted):
    model = fitted[0]
    good, arrays = dict(model.settings), dict(model.arrays)
    broken = np.where(np.arange(3)[:, None, None] == 1, np.nan, model.fingerprints)
    for settings, given, classes, message in [
        (good, arrays, 2, "2 classes need fingerprints"),
        (good, {}, 3, "3 classes need fingerprints"),
        (good, {"fingerprints": broken}, 3, "not finite"),
        ({**good, "levels": 0}, arrays, 3, "levels 0 and sigma"),
        ({**good, "sigma": "1"}, arrays, 3, "sigma '1'"),
        ({**good, "validation_accuracy": None}, arrays, 3, "validation_accuracy None"),
    ]:
        with pytest.raises(ValueError, match=message):
            prnu.assemble(settings, given, classes)
    with pytest.raises(ValueError, match="fingerprints of 32x32 cannot be compared .* 40x40"):
        model.outputs(np.zeros((1, 40, 40, 3), np.uint8))
    for shape in ((1, 32, 32, 1), (32, 32, 3)):
        with pytest.raises(ValueError, match="uint8 RGB"):
            model.outputs(np.zeros(shape, np.uint8))
