"""Tiles: where they lie, what they make of photographs of any size, and what their files hold."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from gan_forensics.cli.explain import read_neural
from gan_forensics.forensics import archive, load_detector
from gan_forensics.forensics.detectors import SpectralDetector
from gan_forensics.forensics.format_audit import Seen
from gan_forensics.forensics.neural import NeuralDetector, init_variables, make_network
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.forensics.tiles import (
    MOST_OF_MAP,
    Tiling,
    aggregate,
    all_places,
    fixed_side,
    places,
    tile_scores,
    tile_threshold,
    tiled,
)
from gan_forensics.runtime import random_key
from tests.made_tiles import SIDE, brightness, drawn

PHOTOGRAPHS = [(864, 1152), (3024, 4032), (6048, 8064), (4032, 3024), (9000, 12000), (700, 5000)]


def neural(arch="resnet_small", width=4, **changes):
    settings = {"dct_cnn": {"side": 24}}.get(arch, {"width": width})
    network = make_network(arch, settings)
    variables = jax.tree.map(np.asarray, init_variables(network, random_key(0)))
    return NeuralDetector(arch, variables, settings=settings, **changes)


# --- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [places, all_places])
@pytest.mark.parametrize("side", [64, 100, 256])
def test_tiles_lie_on_blocks_inside_of_the_image_and_apart(where, side):
    for height, width in [*PHOTOGRAPHS, (side, side), (side + 17, 3 * side)]:
        at = where(height, width, Tiling(side))
        assert (at % 16 == 0).all() and (at >= 0).all()
        assert (at + side <= (height, width)).all()
        assert 1 <= len(at) <= (16 if where is places else MOST_OF_MAP)
        apart = np.abs(at[:, None] - at[None]).max(-1) >= side
        assert (apart | np.eye(len(at), dtype=bool)).all()


def test_tiles_are_spread_from_border_to_border_and_one_alone_lies_in_the_middle():
    for height, width in PHOTOGRAPHS:
        at = places(height, width, Tiling(256))
        low, high = at.min(0), at.max(0)
        for axis, length in enumerate((height, width)):
            lines = np.unique(at[:, axis])
            if len(lines) > 1:
                assert low[axis] == 0 and length - 256 - high[axis] < 16
                assert np.ptp(np.diff(lines)) <= 16
    assert places(300, 400, Tiling(256)).tolist() == [[16, 64]]
    # As many as there are, where that is fewer; more for more.
    assert len(places(600, 600, Tiling(256))) == 4
    assert len(places(3024, 4032, Tiling(256, count=100))) > 80
    # A map of a photograph of 12 megapixels covers it.
    assert len(all_places(3024, 4032, Tiling(256))) == 11 * 15


def test_images_smaller_than_a_tile_and_impossible_tilings_are_refused():
    with pytest.raises(ValueError, match="images of 255x400 are smaller than the tiles of 256x256"):
        places(255, 400, Tiling(256))
    for given in ({"side": 0}, {"side": 2.0}, {"side": True}, {"side": 10**6}, {"count": 0},
                  {"count": 10**6}, {"threshold": np.inf}, {"threshold": "x"}):  # fmt: skip
        with pytest.raises(ValueError, match="of tiles is a"):
            Tiling(**{"side": 8, **given})


# --- scores -------------------------------------------------------------------------------------


def test_a_score_is_the_upper_quartile_of_the_tiles_by_themselves(rng):
    for detector in (brightness(), neural(preprocessing=Preprocessing(crop=SIDE * 2))):
        side = fixed_side(detector)
        made = tiled(detector)
        for height, width in ((side, side), (90, 70), (side + 3, 5 * side)):
            image = rng.integers(0, 256, (height, width, 3), np.uint8)
            at = places(height, width, made.tiles)
            alone = [detector.score(image[None, y : y + side, x : x + side])[0] for y, x in at]
            np.testing.assert_allclose(tile_scores(made, image, at), alone, rtol=1e-4, atol=1e-5)
            wanted = np.quantile(alone, 0.75)
            np.testing.assert_allclose(made.score([image]), wanted, rtol=1e-4, atol=1e-5)


def test_flat_tiles_are_left_out_and_an_image_of_them_alone_has_no_score():
    made = tiled(brightness())
    image = drawn([[None, 60, None], [200, None, 60]])
    found = tile_scores(made, image, all_places(*image.shape[:2], made.tiles))
    assert np.isnan(found).tolist() == [True, False, True, False, True, False]
    assert made.score([image])[0] == aggregate(found) == pytest.approx(np.nanquantile(found, 0.75))
    assert np.isnan(made.score([drawn([[None, None]])])).all()
    # What decides whether an image is left out of a calibration is what is scored.
    assert made.view(image).shape == (3 * SIDE, SIDE, 3)
    assert made.view(drawn([[None, None]])).shape == (SIDE, SIDE, 3)


def test_a_letterbox_scores_as_what_is_inside():
    made = tiled(brightness())
    inside = [[60, 200, 60, 200], [200, 60, 200, 60]]
    bars = [[None] * 4]
    assert made.score([drawn([*bars, *inside, *bars])]) == pytest.approx(
        made.score([drawn(inside)]), abs=0.02
    )


def test_half_of_a_picture_decides_and_one_tile_does_not():
    made = tiled(brightness())
    half, one = drawn([[60, 60, 200, 200]] * 4), drawn([[60] * 4] * 3 + [[60, 60, 60, 200]])
    assert made.score([half])[0] > 0.4 and made.score([one])[0] < -0.4


def test_images_of_any_company_and_source_have_the_same_scores(tmp_path):
    from gan_forensics.data import save_png

    made = tiled(brightness())
    images = [drawn([[level, 100]] * rows, seed=level) for level, rows in ((60, 1), (90, 4))]
    for name, image in zip("ab", images, strict=True):
        save_png(tmp_path / f"{name}.png", image)
    both = made.score(images)
    assert both.tolist() == [made.score([image])[0] for image in images]
    assert made.score(str(tmp_path)).tolist() == both.tolist()
    with pytest.raises(ValueError, match="a.png: images of 16x32 are smaller than the tiles"):
        tiled(brightness(40)).score(str(tmp_path))


def test_photographs_of_five_sizes_cost_one_program(caplog, rng):
    made = tiled(neural(width=5, preprocessing=Preprocessing(crop=32)))
    images = [
        rng.integers(0, 256, (*sides, 3), np.uint8)
        for sides in ((40, 40), (64, 96), (200, 90), (333, 222), (500, 600))
    ]
    compiled = []
    for image in images:
        with jax.log_compiles(), caplog.at_level("WARNING"):
            made.score([image])
        said = [r.message for r in caplog.records if "Finished XLA compilation" in r.message]
        compiled.append(sum("jit(logits)" in message for message in said))
        caplog.clear()
    assert compiled == [1, 0, 0, 0, 0]


def test_the_threshold_of_tiles_gives_each_photograph_one_vote():
    few, many = np.array([5.0, 6.0]), np.arange(100.0)
    found = tile_threshold([few] * 18 + [np.append(many, np.nan)], None, false_alarms=0.1)
    # All tiles of the one photograph together have one vote, of the two that a tenth of 19 allows
    # one is that of a new photograph; by tiles it would be 87.
    assert found == 6.0
    assert tile_threshold([many] * 39, np.arange(39) // 2, false_alarms=0.1) == 94.0
    with pytest.raises(ValueError, match="at least 19 are needed"):
        tile_threshold([many] * 18, None, false_alarms=0.05)


# --- which detectors ----------------------------------------------------------------------------


def test_the_side_of_tiles_is_that_of_the_training():
    assert tiled(brightness(24)).tiles == Tiling(24)
    assert tiled(neural()).tiles == Tiling(256)
    assert tiled(neural(preprocessing=Preprocessing(crop=48))).tiles == Tiling(48)
    assert tiled(neural("dct_cnn")).tiles == Tiling(24)
    cropped = brightness(preprocessing=Preprocessing(crop=SIDE, recode=60))
    assert tiled(cropped).tiles == Tiling(SIDE)
    # Of a network that takes any size: as large as what it saw.
    for shorter, side in (((64, 900), 64), ((700, 900), 256)):
        seen = vars(Seen({"PNG": 9}, None, shorter, (900, 999), {"RGB": 9}))
        assert tiled(neural(facts={"seen": seen})).tiles == Tiling(side)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tiled(brightness()), "looks at tiles already .at most 16 tiles of 16x16"),
        (lambda: brightness(preprocessing=Preprocessing(size=SIDE)), "needs no tiles"),
        (lambda: replace(brightness(), image_shape=(16, 8, 3)), "fitted on images of 16x8, and"),
        (lambda: neural("autogan"), "does not tell of which size: train it on squares"),
    ],
)
def test_detectors_that_cannot_look_at_tiles_say_why(make, message):
    with pytest.raises(ValueError, match=message):
        tiled(make())


def test_calibrators_of_single_images_are_dropped():
    from tests.made_detectors import made_detector

    detector = made_detector()
    assert detector.calibrators and not tiled(detector).calibrators
    assert tiled(detector).untiled.tiles is None and isinstance(detector, SpectralDetector)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [brightness, lambda: neural(preprocessing=Preprocessing(crop=32))])
def test_a_file_keeps_the_tiling_and_older_files_have_none(make, tmp_path, monkeypatch):
    made = tiled(make())
    made = replace(made, tiles=replace(made.tiles, count=9, threshold=0.25))
    made.save(tmp_path / "d.npz")
    again = load_detector(tmp_path / "d.npz")
    assert again.tiles == made.tiles and again.sha256 == made.sha256
    image = drawn([[60] * 20] * 20)
    np.testing.assert_array_equal(again.score([image]), made.score([image]))
    monkeypatch.setattr(archive, "VERSION", 4)
    made.save(tmp_path / "old.npz")
    monkeypatch.undo()
    assert load_detector(tmp_path / "old.npz").tiles is None


@pytest.mark.parametrize(
    "tiles",
    [[], {"side": 16}, {"side": 16, "count": 16, "threshold": None, "x": 1},
     {"side": 17, "count": 16, "threshold": None}, {"side": 16, "count": 10**9, "threshold": None},
     {"side": 16, "count": 16, "threshold": "1"}, {"side": -1, "count": 1, "threshold": None}],
)  # fmt: skip
def test_hostile_tilings_are_refused_in_one_line(tiles, tmp_path, monkeypatch):
    import gan_forensics.forensics.detectors as module

    monkeypatch.setattr(module, "asdict", lambda given: tiles if given == Tiling(16) else {})
    tiled(brightness()).save(tmp_path / "d.npz")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="not a usable detector file: .*tiles"):
        load_detector(tmp_path / "d.npz")


def test_explanations_are_of_single_logits_and_refuse_tiles(tmp_path):
    tiled(neural(preprocessing=Preprocessing(crop=32))).save(tmp_path / "d.npz")
    with pytest.raises(ValueError, match="by tiles, of which no single logit is explained.*32x32"):
        read_neural(tmp_path / "d.npz")
