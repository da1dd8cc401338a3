"""The one table of perturbations, names for it, and the random corruptions of training."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.data import corruption_frost, perturbations
from gan_forensics.data.carriers import CARRIERS, TIERS
from gan_forensics.data.corruptions import CORRUPTIONS, KINDS, corrupt
from gan_forensics.data.perturbations import (
    PERTURBATIONS,
    RandomCorruption,
    at_hand,
    kind_of,
    names_of,
    perturb,
)
from gan_forensics.data.strengths import FAMILIES, members

CHEAP = ("gaussian_noise", "contrast", "pixelate")


@pytest.fixture
def images(rng):
    return list(rng.integers(0, 256, (5, 16, 20, 3), np.uint8))


def test_the_table_has_the_carriers_and_every_severity_of_every_kind(images):
    others = {name for family in FAMILIES for name in members(family)} - {*CARRIERS}
    assert len(PERTURBATIONS) == len(CARRIERS) + len(TIERS) + len(others) + 5 * 20
    assert {"jpeg-75", "screenshot", "gaussian_noise-1", "saturate-5"} < {*PERTURBATIONS}
    for name, carrier in {**CARRIERS, **TIERS}.items():
        assert_array_equal(perturb(images[0], name), carrier(images[0]))
    found = perturb(images[0], "elastic_transform-2", np.random.RandomState(3))
    expected = corrupt(images[0], "elastic_transform", 2, np.random.RandomState(3))
    assert_array_equal(found, expected)
    assert_array_equal(PERTURBATIONS["contrast-5"](images[0], np.random.default_rng(0)),
                       corrupt(images[0], "contrast", 5, np.random.default_rng(0)))  # fmt: skip
    assert perturb(images[0], "none") is images[0]


def test_without_a_generator_the_draws_follow_from_the_pixels(images):
    made = perturb(images[0], "gaussian_noise-3")
    assert_array_equal(made, perturb(images[0].copy(), "gaussian_noise-3"))
    flat = np.full((16, 16, 3), 128, np.uint8)
    other = flat.copy()
    other[0, 0, 0] += 1
    weak, strong, elsewhere = (
        perturb(image, f"gaussian_noise-{s}").astype(float) - 128
        for image, s in ((flat, 1), (flat, 3), (other, 1))
    )
    assert np.corrcoef(weak.ravel(), strong.ravel())[0, 1] > 0.98
    assert abs(np.corrcoef(weak.ravel(), elsewhere.ravel())[0, 1]) < 0.2


def test_kinds_stand_for_their_severities_and_wrong_names_get_near_ones(images):
    assert names_of(["fog", "jpeg-90", "fog-2"]) == (
        "fog-1", "fog-2", "fog-3", "fog-4", "fog-5", "jpeg-90"
    )  # fmt: skip
    assert kind_of("frost_procedural-4") == ("frost_procedural", 4)
    assert kind_of("down-up-0.75") == ("down-up", 0.75) and kind_of("noise-3") == ("noise", 3)
    assert kind_of("jpeg-75+webp-30") == ("jpeg-75+webp", 30)
    assert kind_of("down-up-lanczos-0.5") == ("down-up-lanczos", 0.5)
    assert kind_of("screenshot") == ("screenshot", 0) and kind_of("up-1.5") == ("up-1.5", 0)
    assert names_of(["blur", "jpeg-75", "jpeg", "screenshot"]) == (
        "blur-0.5", "blur-1", "blur-2", "blur-3",
        "jpeg-75", "jpeg-95", "jpeg-90", "jpeg-50", "jpeg-30", "screenshot",
    )  # fmt: skip
    for wrong, near in (
        ("jpeg-60", "jpeg-90"), ("fgo", "fog"), ("snow-6", "snow-"), ("blur-4", "blur-"),
        ("jpeg-75+jpg-50", "jpeg-50"), ("resize-nearest", "resize-bilinear"),
    ):  # fmt: skip
        with pytest.raises(
            ValueError, match=f"unknown perturbation '{re.escape(wrong)}'; did.*{near}"
        ):
            names_of([wrong])
    with pytest.raises(ValueError, match="unknown perturbation 'fog-0'; did you mean fog-"):
        perturb(images[0], "fog-0")


def test_frost_without_its_textures_is_never_replaced_in_silence(monkeypatch, tmp_path):
    monkeypatch.setattr(corruption_frost, "find_spec", lambda name: None)
    names, said = at_hand(("fog", "frost", "frost-2", "jpeg-75"))
    assert names == ("fog", "frost_procedural", "frost_procedural-2", "jpeg-75")
    assert "frost_procedural" in said and "--frost-textures" in said
    assert at_hand(("fog",)) == (("fog",), "")
    with pytest.raises(FileNotFoundError, match="frost needs its textures"):
        RandomCorruption()
    with pytest.raises(FileNotFoundError, match="has none"):
        at_hand(("frost",), frost_textures=tmp_path)
    (tmp_path / "a.png").touch()
    assert at_hand(("frost-1",), frost_textures=tmp_path) == (("frost-1",), "")


def test_random_corruptions_draw_kind_severity_and_whether_in_this_order(images):
    random = RandomCorruption(CHEAP, probability=0.5)
    applied = 0
    for seed in range(40):
        rng = np.random.RandomState(seed)
        kind, severity = CHEAP[rng.randint(3)], rng.randint(5) + 1
        corrupted = rng.rand() < 0.5
        applied += corrupted
        found = random(images[0], np.random.RandomState(seed))
        expected = corrupt(images[0], kind, severity, rng) if corrupted else images[0]
        assert_array_equal(found, expected)
    assert 10 < applied < 30
    always = RandomCorruption(("contrast",), probability=1.0, severities=(5,))
    assert_array_equal(always(images[1], np.random.default_rng(0)),
                       corrupt(images[1], "contrast", 5, np.random.default_rng(0)))  # fmt: skip


def test_neither_workers_nor_neighbours_change_what_happens_to_an_image(images):
    random = RandomCorruption(("gaussian_noise", "fog", "glass_blur"))

    def each(images, key=7, workers=1):
        with ThreadPoolExecutor(workers) as pool:
            rngs = [np.random.default_rng((key, i)) for i in range(len(images))]
            return list(pool.map(random, images, rngs))

    made = each(images)
    assert_array_equal(made, each(images, workers=3))
    assert_array_equal(made[:2], each(images[:2]))
    others = [images[1], *images[1:]]
    assert_array_equal(made[1:], each(others)[1:])
    assert (np.stack(made) != np.stack(each(images, key=8))).any()


def test_what_a_random_corruption_cannot_be():
    for settings, said in (
        ({"corruptions": ("frog",)}, "unknown corruption 'frog'"),
        ({"corruptions": ()}, "needs kinds"),
        ({"corruptions": CHEAP, "severities": (0,)}, "severities of 1 to 5"),
        ({"corruptions": CHEAP, "probability": 1.5}, "probability is from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=said):
            RandomCorruption(**settings)  # pyright: ignore
    assert len(KINDS) == len(CORRUPTIONS) + 1 and perturbations.PROCEDURAL in KINDS
