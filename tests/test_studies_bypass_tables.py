"""Tables of the study: who is paired with whom, votes of seeds, and what is said of it."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.quality import Extracted, FeatureExtractor
from gan_forensics.studies import bypass_quality
from gan_forensics.studies.bypass_cells import (
    Cell,
    Cells,
    Origin,
    RealCell,
    Training,
    restored,
    stored,
)
from gan_forensics.studies.bypass_figures import rates_figure
from gan_forensics.studies.bypass_quality import said_quality
from gan_forensics.studies.bypass_tables import across_data, across_gans, bypass_rows, finding

TAILS = ("BASELINE", "Z.1.5", "N.1.5")


def cells(rates, seeds=(0, 1, 2), methods=("dcgan",), datas=("here",)):
    """Detectors of every method and data on GANs of all; rates(detector, training, origin)."""
    trainings = [Training(d, m, "BASELINE", s) for d in datas for m in methods for s in seeds]
    origins = [Origin(d, m, t, s) for d in datas for m in methods for t in TAILS for s in seeds]
    names = ("curve", "all")
    return Cells(
        [
            Cell(name, training, origin, 100, *(rates(name, training, origin),) * 3)
            for name in names
            for training in trainings
            for origin in origins
        ],
        [
            RealCell(name, training, data, 50, 10, 0.02, 0.04 + 0.01 * training.seed)
            for name in names
            for training in trainings
            for data in datas
        ],
    )


def escapes(name, training, origin):
    """N passes the curve; who looks at all sees it, less so of a new seed."""
    if origin.tail != "N.1.5":
        return 0.9
    if name == "curve":
        return 0.0
    return 0.8 if training.seed == origin.seed else 0.4


def test_same_and_new_seeds_are_apart_and_every_seed_has_one_vote():
    rows = bypass_rows(cells(escapes), data="here")
    of = {(r["detector"], r["tail"], r["gan_seed"]): r for r in rows}
    assert len(of) == len(rows) == 2 * 3 * 2
    same, new = of["all", "N.1.5", "same"], of["all", "N.1.5", "new"]
    assert len(same["detected_pairs"]) == 3 and len(new["detected_pairs"]) == 6
    assert_allclose([same["detected"], new["detected"]], [0.8, 0.4], rtol=1e-12, atol=0)
    # Six pairs, but three GANs: not one vote more.
    interval = rate_interval(0.4 * 3, 3)
    assert_allclose(
        [new["detected_at_5_low"], new["detected_at_5_high"]],
        [interval.low, interval.high],
        rtol=1e-9,
        atol=0,
    )
    assert new["votes"] == 3
    assert_allclose(new["false_alarms_at_5"], 0.05, rtol=1e-12, atol=0)
    assert_allclose(new["real_accuracy"], 0.98, rtol=1e-12, atol=0)


def test_one_seed_has_no_new_ones():
    rows = bypass_rows(cells(escapes, seeds=(4,)), data="here")
    assert {row["gan_seed"] for row in rows} == {"same"}
    assert finding(rows).count("new") == 0


def test_the_finding_says_that_the_escape_depends_on_the_detector():
    what, verdict = finding(bypass_rows(cells(escapes), data="here")).split("\n")
    assert "curve: BASELINE 90% and 90%, Z.1.5 90% and 90%, N.1.5 0% and 0%" in what
    _, at_5, own = verdict.split(". ")
    assert at_5.startswith("At 5 %") and own.startswith("At the detectors' own")
    same, new = at_5.split(", of ")[-2:]
    assert "2 detectors that see BASELINE of a same seed" in same
    assert "N.1.5 (1: curve)" in same and "N.1.5 (all)" in new and "Z.1.5" not in verdict


@pytest.mark.parametrize(
    ("rate", "says"), [(0.9, "worse for: none"), (0.5, "of 0 detectors that see BASELINE")]
)
def test_the_finding_follows_the_numbers_whichever_way(rate, says):
    assert says in finding(bypass_rows(cells(lambda *_: rate), data="here"))


def test_tables_across_gans_and_data_hold_every_pair():
    many = cells(escapes, seeds=(0, 1), methods=("dcgan", "lsgan"), datas=("here", "there"))
    rows = across_gans(many, data="here")
    assert {(r["trained_on"], r["tested_on"]) for r in rows} == {
        (a, b) for a in ("dcgan", "lsgan") for b in ("dcgan", "lsgan")
    }
    moved = across_data(many, tails=("BASELINE", "N.1.5"))
    assert {(r["trained_on"], r["tested_on"]) for r in moved} == {
        (a, b) for a in ("here", "there") for b in ("here", "there")
    }
    assert {r["tail"] for r in moved} == {"BASELINE", "N.1.5"}
    assert not across_data(cells(escapes), tails=TAILS)


def test_cells_come_back_from_a_file():
    some = cells(escapes, seeds=(0,))
    assert restored(json.loads(json.dumps(stored(some)))) == some


def test_zero_insertion_is_compared_with_what_differs_in_it_alone():
    """Better distance and worse spectrum for one seed, neither for the other; B.1.3 has no pair."""

    def row(tail, seed, distance, end):
        return {
            "method": "dcgan", "tail": tail, "seed": seed,
            "distances": {"toy features": distance}, "curve_end": end,
        }  # fmt: skip

    rows = [row("Z.1.5", 0, 1.0, 0.2), row("N.1.5", 0, 2.0, 0.04), row("BASELINE", 0, 0.1, 0.3)]
    rows += [row("Z.1.5", 1, 3.0, 0.05), row("N.1.5", 1, 2.0, 0.4), row("B.1.3", 1, 9.0, 0.4)]
    said = said_quality(rows, {"curve_end": {"mean": 0.03}})
    assert "Of 2 pairs" in said and "the worse spectrum in 1" in said
    assert "distance on toy features in 1 (1 of these" in said
    assert "not asked" in said_quality(rows[2:3], {"curve_end": {"mean": 0.03}})


def test_distances_go_by_the_names_of_their_features_and_labels_bring_a_classifier(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(bypass_quality, "random_features", lambda channels: channels)
    monkeypatch.setattr(bypass_quality, "small_classifier_features", lambda *_: "classifier")
    assert bypass_quality.feature_networks("toy:powerlaw?n=40", 16, tmp_path) == [3]
    # Of which photograph a crop is.
    photos = bypass_quality.feature_networks("samples:photos", 64, tmp_path)
    assert photos == [3, "classifier"]

    def means(images):
        return Extracted(images.reshape(len(images), 4, -1).mean(-1, dtype=np.float32), None)

    toy = FeatureExtractor("toy features", "0", means, {}, False)
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), np.uint8)
    assert bypass_quality.distances(images, images, [toy]) == {"toy features": 0.0}
    assert bypass_quality.distances(images, images // 2, [toy])["toy features"] > 1000


def test_cells_of_the_figure_have_the_colours_of_their_rates():
    figure = rates_figure(np.array([[0.0, 1.0], [np.nan, 0.5]]), ["a", "b"], ["x", "y"], breaks=[1])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0", "100", "–", "50"]
    assert len(axes.images) == 2
    with pytest.raises(ValueError, match="as the names are"):
        rates_figure(np.zeros((2, 2)), ["a"], ["x", "y"])
