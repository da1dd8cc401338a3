"""Features in another precision: nearly the same numbers, under another fingerprint."""

import numpy as np
import pytest

from gan_forensics.data import ArraySource
from gan_forensics.quality import fid, random_features, small_classifier_features
from gan_forensics.quality.inception import inception_features


def images(rng, n=64):
    return rng.integers(0, 256, (n, 16, 16, 1), np.uint8)


def test_bfloat16_features_differ_by_its_rounding_and_say_so(rng):
    x, y = images(rng), images(rng) // 2
    plain, half = (random_features(1, precision=p) for p in (None, "bfloat16"))
    assert plain.fingerprint != half.fingerprint
    assert "precision" not in plain.protocol and half.protocol["precision"] == "bfloat16"
    a, b = plain(x), half(x)
    assert b.dtype == np.float32
    error = np.linalg.norm(a - b) / np.linalg.norm(a)
    assert 1e-5 < error < 2e-2  # bfloat16 keeps 8 bits
    assert float(fid(b, half(y))) == pytest.approx(float(fid(a, plain(y))), rel=0.05)


def test_products_of_float32_change_nothing_on_cpus(rng):
    x = images(rng)
    found = [random_features(1, precision=p)(x) for p in (None, "float32", "tf32")]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_small_classifier_is_trained_alike_and_read_in_the_precision(rng, tmp_path):
    source = ArraySource(image=images(rng), label=np.arange(64) % 2)
    made = [
        small_classifier_features(source, tmp_path / "run", steps=3, precision=p)
        for p in (None, "bfloat16")
    ]
    assert made[1].protocol["precision"] == "bfloat16"
    assert "accuracy_on_training_images" in made[1].protocol
    np.testing.assert_allclose(made[0](images(rng)), made[1](images(rng)), rtol=0.5, atol=0.1)


@pytest.mark.parametrize(
    "make", [random_features, lambda precision: inception_features("none.npz", precision=precision)]
)
def test_an_unknown_precision_is_refused(make):
    with pytest.raises(ValueError, match="float32, tf32, bfloat16"):
        make(precision="half")
