"""Verdicts at the page: those of `detect score`, when they come, what they rest on, and regions."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data.carriers import RESHIPPED, TIERS
from gan_forensics.data.packed import Member
from gan_forensics.forensics import tiled
from gan_forensics.forensics.calibration import Alarms, Calibration, Tier, measured_rate
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.detector_scorer import DetectorScorer
from gan_forensics.forensics.format_audit import Seen
from gan_forensics.forensics.measure import score_carried
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.forensics.score_stream import results
from gan_forensics.forensics.tiles import Tiling
from gan_forensics.forensics.verdicts import OUTSIDE, TURNED, basis_of
from gan_forensics.inspector import stages_verdict
from gan_forensics.inspector.findings import Tools
from gan_forensics.inspector.opening import open_bytes
from gan_forensics.inspector.rendering import fragment
from gan_forensics.inspector.stages_verdict import (
    NONE,
    NONE_GIVEN,
    carriers,
    score_region,
    tiles,
    verdict,
)
from gan_forensics.inspector.tile_map import tile_map
from tests.made_tiles import SIDE, brightness, drawn

SEEN = Seen({"PNG": 9}, None, (20, 200), (20, 200), {"RGB": 9}, by_class=True)
RECORD = {"sources": {"photographs": "mine", "a": "theirs", "b": "others"}, "how": "refitted"}
DARK, LIGHT = 60, 200


def detector(**changes):
    """Tiled and calibrated: an image is generated where a quarter of it is lighter than gray."""
    rng = np.random.default_rng(0)
    calibrator = fit_calibrator(rng.normal(-0.5, 0.2, 50), rng.normal(0.5, 0.2, 60))
    alarms = tuple(
        Alarms("clean", among, measured_rate([True] * events + [False] * (n - events)))
        for among, events, n in (("", 2, 60), ("up to 256 pixels", 1, 40))
    )
    made = tiled(brightness())
    given = {
        "calibrators": dict.fromkeys(TIERS, calibrator),
        "calibration": Calibration(9, 9, 60, None, 0.05, 0, alarms=alarms),
        "facts": {"seen": vars(SEEN), "recalibrated": [RECORD],
                  "generators": {"toy": 12}},
        "tiles": replace(made.tiles, threshold=0.3),
    }  # fmt: skip
    return replace(made, **(given | changes))


def opened(picture, kind="PNG", name="a.png", **options):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return open_bytes(file.getvalue(), name)


def tools(*detectors):
    return Tools(detectors=tuple((f"{k}.npz", one) for k, one in enumerate(detectors)))


def shown(finding, final=None):
    return fragment(
        finding, picture=lambda name: f"{name}.png", served=True, id="i", private=False, final=final
    )


def scored(judge, file, *, carriers):
    """As `detect score` does."""
    scorer = DetectorScorer(judge, basis_of(judge), carriers=carriers)
    (result,) = results([Member(file.name, None, file.content)], scorer)
    return scorer.image(file.name, "", result)


PICTURES = {
    "photograph": drawn([[DARK] * 5] * 4),
    "generated": drawn([[LIGHT] * 5] * 4),
    "splice": drawn([[DARK, DARK, LIGHT, LIGHT]] * 4),
    "letterbox": drawn([[None] * 4, [LIGHT] * 4, [LIGHT] * 4, [None] * 4]),
    "collage": drawn([[DARK, LIGHT, DARK, DARK], [DARK, DARK, DARK, LIGHT]]),
    "screenshot": drawn([[None] * 5, [None, DARK, DARK, DARK, None], [None] * 5]),
    "near": drawn([[130] * 4] * 4),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_verdict_is_that_of_detect_score(name):
    file, judge = opened(PICTURES[name]), detector()
    for stage, after in ((verdict, False), (carriers, True)):
        found = stage(file, tools(judge))
        (row,) = found.facts["detectors"]
        wanted = scored(judge, file, carriers=after)
        assert (row["verdict"], row["why"]) == wanted.verdict[:2]
        assert row["score"] == round(wanted.score, 4) and row["tier"] == wanted.tier
        assert row["log10_lr"] == round(wanted.verdict.log10_lr, 4)
        bounds = [round(bound, 4) for bound in (wanted.verdict.lower, wanted.verdict.upper)]
        assert row["log10_lr_bounds"] == bounds and bounds[0] < bounds[1]
        assert [one["carrier"] for one in row["after"]] == [*wanted.after]
        assert row["verdict"].capitalize() in shown(found)
        # The same file and tools give the same facts.
        assert stage(file, tools(judge)).facts == found.facts


def test_splices_letterboxes_collages_and_borders():
    said = {
        name: verdict(opened(picture), tools(detector())).facts["detectors"][0]
        for name, picture in PICTURES.items()
    }
    assert said["splice"]["verdict"] in ("generated", "unsure")
    assert said["letterbox"]["verdict"] == "generated"
    # Two of eight squares are no upper quartile.
    assert said["collage"]["verdict"] == said["screenshot"]["verdict"] == "photograph"


def test_the_map_shows_the_half_and_leaves_flat_squares_out():
    found = tiles(opened(PICTURES["splice"]), tools(detector()))
    (one,) = found.facts["detectors"]
    places, scores = np.array(one["places"]), np.array(one["scores"])
    assert ((scores > one["threshold"]) == (places[:, 1] >= 2 * SIDE)).all()
    assert (one["above"], one["scored"], one["flat"]) == (8, 16, 0)
    layer = found.pictures["map-1"]
    assert (layer[8, 8, :3] == (0, 120, 255)).all() and (layer[8, -8, :3] == (255, 112, 0)).all()
    page = shown(found)
    assert "8 of 16" in page and "no verdict" in page and "about 1 of 16" in page
    boxed = tiles(opened(PICTURES["letterbox"]), tools(detector())).facts["detectors"][0]
    assert (boxed["above"], boxed["scored"], boxed["flat"]) == (8, 8, 8)
    assert boxed["scores"][0] is None
    assert tiles(opened(PICTURES["splice"]), tools(brightness())) is None
    # Between the threshold of images and that of tiles: not above.
    some = tiles(opened(drawn([[150] * 4] * 4)), tools(detector()))
    assert some.facts["detectors"][0]["above"] == 0
    assert (some.pictures["map-1"][..., 0] == 0).all()


def test_squares_are_the_fuller_the_further_from_the_threshold():
    at, scores = np.array([[0, 0], [0, 16], [0, 32]]), np.array([1.0, 0.1, -0.5])
    _, layer = tile_map(np.zeros((16, 48, 3), np.uint8), at, scores, 16, 0.0)
    strong, weak, below = layer[8, [8, 24, 40], 3].tolist()
    assert strong == 170 and 40 < weak < below < strong


@pytest.mark.parametrize(("squares", "gaps"), [(16, False), (21, True)])
def test_a_map_with_gaps_says_so(squares, gaps):
    found = tiles(opened(drawn([[DARK] * squares] * squares)), tools(detector()))
    assert found.facts["detectors"][0]["spread"] == gaps
    assert ("with gaps" in shown(found)) == gaps


def test_what_is_outside_of_what_it_saw_is_unsure_with_the_reason():
    file = opened(PICTURES["generated"], "JPEG", quality=95)
    (row,) = verdict(file, tools(detector())).facts["detectors"]
    assert (row["verdict"], row["why"], row["outside"]) == (
        "unsure",
        OUTSIDE,
        "JPEG (fitted on PNG)",
    )
    page = shown(verdict(file, tools(detector())))
    assert "JPEG (fitted on PNG)" in page and "rests on images unlike this one" in page
    # Of the tier web there is a calibrator, which was fitted on such JPEGs.
    web = opened(PICTURES["generated"], "JPEG", quality=60)
    (row,) = verdict(web, tools(detector())).facts["detectors"]
    assert (row["verdict"], row["tier"], row["outside"]) == ("generated", "web", "")
    (row,) = verdict(web, tools(detector(calibrators={}))).facts["detectors"]
    assert row["verdict"] == "unsure"
    large = opened(np.tile(PICTURES["generated"], (5, 5, 1)))
    (row,) = verdict(large, tools(detector())).facts["detectors"]
    assert row["outside"] == "longer side 400 (fitted on up to 256 pixels)"


def test_a_verdict_that_turns_over_is_unsure_in_the_end():
    fine = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    plain, *after = score_carried(detector(), [fine], ("none", *RESHIPPED))[:, 0].tolist()
    other = max(after, key=lambda score: abs(score - plain))
    judge = detector(threshold=(plain + other) / 2, calibrators={})
    file = opened(fine)
    first, last = (stage(file, tools(judge)) for stage in (verdict, carriers))
    said = "generated" if plain > other else "photograph"
    assert first.facts["detectors"][0]["verdict"] == said
    (row,) = last.facts["detectors"]
    assert row["verdict"] == "unsure" and row["why"].startswith(TURNED)
    assert (row["verdict"], row["why"]) == scored(judge, file, carriers=True).verdict[:2]
    assert last.facts["summary"] == f"unsure: {row['why']}"
    assert shown(last).count(": turned over") == row["why"].count(",") + 2
    # Whoever reads the first section alone, or its JSON, reads that it is not the last word.
    assert (first.facts["final"], last.facts["final"]) == (False, True)
    assert "is looked at next" in shown(first) and f"<strong>{said.title()}</strong>" in shown(
        first
    )
    page = shown(first, last)
    assert "<strong>Unsure</strong>: turned over" in page and "is looked at next" not in page
    assert f"Of the picture as it is: {said}, which does not hold" in page
    assert "Of the picture as it is" not in shown(
        first, replace(last, facts={"detectors": [], "disagree": False})
    )


def test_without_tiles_a_large_photograph_waits_and_a_small_one_does_not(monkeypatch):
    judge = brightness(80)
    file = opened(drawn([[LIGHT] * 5] * 5))
    assert verdict(file, tools(judge)).facts["detectors"][0]["verdict"] == "generated"
    monkeypatch.setattr(stages_verdict, "AT_ONCE", 80 * 80 - 1)
    found = verdict(file, tools(judge))
    assert found.facts["detectors"][0]["follows"] and found.facts["summary"].startswith("verdict f")
    assert "Follows." in shown(found) and "--tiles" in shown(found)
    row = carriers(file, tools(judge)).facts["detectors"][0]
    assert row["verdict"] == scored(judge, file, carriers=True).verdict.verdict
    assert "False alarms" in shown(carriers(file, tools(judge)))  # all of it, which came late


def test_of_a_cut_or_of_squares_the_page_tells_how_much_they_are_and_does_not_wait(monkeypatch):
    monkeypatch.setattr(stages_verdict, "AT_ONCE", 1)
    file = opened(drawn([[LIGHT] * 5] * 5))
    cut = brightness(preprocessing=Preprocessing(crop=SIDE))
    for judge, words in (
        (cut, f"cut to the central {SIDE}x{SIDE}: 4 % of the picture"),
        (tiled(brightness()), f"16 tiles of {SIDE}x{SIDE} pixels: 64 % of the picture"),
    ):
        found = verdict(file, tools(judge))
        assert found.facts["detectors"][0]["verdict"] and words in shown(found)
        assert "does not count" in shown(found)
    whole = verdict(file, tools(brightness(80)))
    assert whole.facts["detectors"][0]["looks_at"] == "the whole picture"


def test_false_alarms_come_with_counts_and_interval_and_whose_they_are():
    found = verdict(opened(PICTURES["generated"]), tools(detector()))
    known = found.facts["detectors"][0]["false_alarms"]
    assert (known["events"], known["n"], known["among"]) == (1, 40, "up to 256 pixels")
    page = shown(found)
    assert (
        "on YOUR photographs" in page
        and "1 of 40 called generated (95 % interval 0.1 to 13.2 %)" in page
    )
    assert "photographs: not told; generators: toy 12" in page
    # What its likelihood ratios rest on is told apart from what it was fitted on.
    assert "photographs from mine; generated images from theirs, others" in page
    assert "rest on these images alone" in page and "9 real and 9 generated images" in page
    assert "was unsure are not among the called" in page
    judge = detector()
    untaught = replace(judge, calibration=replace(judge.calibration, n_real=0, n_fake=0))
    page = shown(verdict(opened(PICTURES["generated"]), tools(untaught)))
    assert "no image: its weights are as they were given" in page and "Fitted on" not in page
    every = replace(judge.calibration, alarms=judge.calibration.alarms[:1])
    page = shown(verdict(opened(PICTURES["generated"]), tools(replace(judge, calibration=every))))
    assert "2 of 60 called generated" in page and "of all sizes" in page
    # Of the way that the image came, which the two of sixty that are clean are not.
    web = shown(verdict(opened(PICTURES["generated"], "JPEG", quality=60), tools(judge)))
    assert "not measured" in web and "1 of 40" not in web
    none = replace(judge.calibration, alarms=())
    page = shown(verdict(opened(PICTURES["generated"]), tools(replace(judge, calibration=none))))
    assert "not measured" in page
    assert "times more probable if the image was generated" in page
    earlier = {"sources": {"photographs": "of another archive"}}
    both = {"recalibrated": [earlier, *judge.facts["recalibrated"]]}
    page = shown(verdict(opened(PICTURES["generated"]), tools(detector(facts=both))))
    assert "photographs from mine;" in page


def test_without_a_detector_that_takes_it_there_is_no_verdict_and_a_way_to_one():
    file = opened(PICTURES["photograph"])
    for judges in ((), (brightness(64),), (detector(tiles=replace(detector().tiles, side=16)),)):
        small = file if len(judges) < 1 or judges[0].tiles is None else opened(drawn([[9]])[:9])
        found = verdict(small, tools(*judges))
        assert found.facts["summary"] == (NONE if judges else NONE_GIVEN)
        assert not found.facts["any"]
        page = shown(found)
        for words in (
            "no detector that knows such images", "detect recalibrate", "--tiles",
            "train detector --real photographs --fake generated --arch resnet50 --weights",
        ):  # fmt: skip
            assert words in page
        assert carriers(small, tools(*judges)) is None
        assert ("No verdict by" in page or "failed" in page) == bool(judges)
    assert verdict(open_bytes(b"no image", "x"), tools(detector())) is None


def test_detectors_that_disagree_are_said_to_and_not_averaged():
    strict = detector(threshold=0.9, calibrators={})
    found = verdict(opened(PICTURES["generated"]), tools(detector(), strict))
    assert found.facts["disagree"]
    assert found.facts["summary"] == "0.npz: generated; 1.npz: photograph (the detectors disagree)"
    assert "The detectors disagree." in shown(found)
    agreed = verdict(opened(PICTURES["generated"]), tools(detector(), detector()))
    assert not agreed.facts["disagree"] and "disagree" not in agreed.facts["summary"]


# --- regions ------------------------------------------------------------------------------------


def test_a_region_is_scored_at_its_own_pixels():
    file, both = opened(PICTURES["splice"]), tools(detector(), brightness(32))
    light = score_region(file, both, left=32, top=0, width=32, height=64)
    assert light["0.npz"].startswith("8 tiles of 16 × 16 pixels: scores from 0.5")
    assert "8 of 8 above the threshold of 0.3" in light["0.npz"]
    assert light["1.npz"].startswith("2 tiles of 32 × 32")
    dark = score_region(file, both, left=0, top=0, width=32, height=32)
    assert "0 of 4 above" in dark["0.npz"] and "one tile of 32 × 32" in dark["1.npz"]
    assert (
        "pixels, 16 from the left, 0 from the top: score"
        in score_region(file, both, left=16, top=0, width=40, height=40)["1.npz"]
    )
    assert "not calibrated" in dark["Beware"]
    point = score_region(file, both, left=62, top=62, width=2, height=2)
    assert (
        "and 16 × 16 pixels around it were judged" in point["0.npz"]
        and ", above the thresh" in point["0.npz"]
    )
    # It grows around its middle: what lies there is light, and dark beside it.
    stripe = opened(drawn([[DARK, DARK, LIGHT, DARK]] * 4))
    found = score_region(stripe, tools(detector()), left=34, top=0, width=14, height=64)
    assert "4 of 4 above" in found["0.npz"]
    bars = opened(PICTURES["letterbox"])
    assert "nothing to judge" in score_region(bars, both, 0, 0, 20, 16)["0.npz"]


@pytest.mark.parametrize(
    ("box", "message"),
    [((0, 0, 65, 4), "does not lie in an image of 64x64"), ((-1, 0, 4, 4), "does not lie in"),
     ((0, 63, 4, 4), "does not lie"), ((0, 0, 0, 4), "does not lie")],
)  # fmt: skip
def test_a_region_lies_in_the_image(box, message):
    with pytest.raises(ValueError, match=message):
        score_region(opened(PICTURES["splice"]), tools(detector()), *box)


def test_a_region_needs_pixels_and_a_detector_that_takes_it():
    with pytest.raises(ValueError, match="no detector that could score a region"):
        score_region(opened(PICTURES["splice"]), tools(), 0, 0, 9, 9)
    with pytest.raises(ValueError, match="no pixels"):
        score_region(open_bytes(b"x", "x"), tools(detector()), 0, 0, 9, 9)
    said = score_region(opened(PICTURES["splice"]), tools(brightness(80)), 0, 0, 9, 9)
    assert "not scored: images of 64x64 are smaller than the tiles of 80x80" in said["0.npz"]


def test_why_there_is_no_likelihood_ratio_is_told():
    made = replace(detector(), calibrators={})
    page = shown(verdict(opened(PICTURES["generated"]), tools(made)))
    assert "calibrated without generated images" in page
    few = replace(made.calibration, tiers=(Tier("clean", 0, 0, without="9 images are too few"),))
    page = shown(verdict(opened(PICTURES["generated"]), tools(replace(made, calibration=few))))
    assert "9 images are too few" in page and "without generated images" not in page


def test_of_several_detectors_the_line_of_an_image_names_each():
    small, fits = detector(tiles=Tiling(SIDE, threshold=0.0)), brightness(64)
    found = verdict(opened(PICTURES["generated"]), tools(fits, small))
    assert found.facts["summary"] == "0.npz: no verdict; 1.npz: generated"
