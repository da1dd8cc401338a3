"""The study: sound numbers from given images, and a folder that can be stopped and gone on with."""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.data import power_law_textures
from gan_forensics.gans import build
from gan_forensics.report import Section
from gan_forensics.studies.bypass import StudyConfig, gan_configs, run_study
from gan_forensics.studies.bypass_measure import finding, measure
from gan_forensics.studies.bypass_page import bypass_table, decay_table
from gan_forensics.train import RunFolderError, read_metrics
from tests.small_experiments import TINY_STUDY as TINY

TAILS = ("BASELINE", "Z.1.5", "N.1.5")
MEASURING = StudyConfig(tails=TAILS, seeds=(0, 1), classifiers=("knn", "svm"), runs=3)


def natural(seed, n=60):
    return power_law_textures(n, 32, exponent=1.5, seed=seed)


def replicated(seed, n=60):
    """Textures with a faint copy of their low frequencies at the corner, as by zero insertion."""
    checkers = (-1.0) ** np.add.outer(np.arange(32), np.arange(32))[:, :, None]
    image = natural(seed, n) + 0.4 * checkers * (natural(seed + 500, n) - 127.5)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def results():
    """Z resembles BASELINE, with a spectrum that rises at its end, and N resembles real images."""
    kinds = zip(TAILS, (replicated, replicated, natural), strict=True)
    fakes = {
        ("dcgan", tail, seed): draw(10 * place + seed + 2)
        for place, (tail, draw) in enumerate(kinds)
        for seed in (0, 1)
    }
    return measure(MEASURING, natural(0, 200), natural(1), fakes)


def test_a_tail_like_the_baseline_is_caught_and_one_like_real_images_passes(results):
    assert [row["tail"] for row in results["bypass"][:3]] == list(TAILS)
    for row in results["bypass"]:
        assert row["real_accuracy"] > 0.9
        rate = row["detection_rate"]
        assert rate < 0.1 if row["tail"] == "N.1.5" else rate > 0.9, row
    assert "N.1.5 halves it" in results["finding"]


def test_there_is_a_row_for_every_method_features_classifier_and_tail(results):
    keys = [(r["features"], r["classifier"], r["tail"]) for r in results["bypass"]]
    expected = [(f, c, t) for f in ("durall", "dzanic") for c in ("knn", "svm") for t in TAILS]
    assert keys == expected
    first = results["bypass"][0]
    assert {"method", "detection_rate", "real_accuracy", "auc", "n_real", "n_fake", "seeds"} <= (
        first.keys()
    )
    # A tenth of 60 images of either class trains; the rest of BASELINE and all of N are tested.
    counts = [(r["n_real"], r["n_fake"], r["n_train"]) for r in results["bypass"][:3]]
    assert counts == [(60, 54, 6), (60, 60, 6), (60, 60, 6)]


def test_means_and_spreads_are_those_of_the_listed_seeds(results):
    for row in results["bypass"]:
        assert row["seeds"] == [0, 1]
        for rate in ("detection_rate", "real_accuracy", "auc"):
            values = row[f"{rate}_by_seed"]
            assert len(values) == 2
            assert_allclose(row[rate], np.mean(values), rtol=1e-12, atol=0)
            assert_allclose(row[f"{rate}_std"], np.std(values, ddof=1), rtol=1e-9, atol=1e-12)


def test_spectra_and_decay_begin_with_real_images_and_order_the_tails_by_their_slope(results):
    assert list(results["spectra"]) == ["real", "dcgan BASELINE", "dcgan Z.1.5", "dcgan N.1.5"]
    assert [curve["count"] for curve in results["spectra"].values()] == [60, 120, 120, 120]
    rows = {row["images"]: row for row in results["exponents"]}
    assert next(iter(rows)) == "real"
    assert rows["dcgan BASELINE"]["exponent"] > rows["real"]["exponent"] + 0.5
    assert rows["dcgan BASELINE"]["curve_end"] > rows["dcgan N.1.5"]["curve_end"] + 0.1
    for label, curve in results["spectra"].items():
        assert_allclose(rows[label]["curve_end"], curve["mean"][-1], rtol=1e-9, atol=0)


def test_results_survive_json(results):
    assert json.loads(json.dumps(results)) == json.loads(json.dumps(results, allow_nan=False))


def test_the_protocol_says_what_made_the_numbers(results):
    facts = results["protocol"]
    assert facts["size"] == 32 and facts["real_images_to_test_detectors_on"] == 60
    for name in ("commit", "gan_forensics", "jax", "hardware", "spread"):
        assert name in facts


def test_the_table_of_the_page_begins_every_detector_with_its_false_alarms(results):
    table = bypass_table(results["bypass"])
    assert [row[0] for row in table.rows[:5]] == ["real images", *TAILS, "real images"]
    assert len(table.rows) == 4 * (len(TAILS) + 1)
    first = results["bypass"][0]
    assert table.rows[0][4].startswith(f"{1 - first['real_accuracy']:.2f} ± ")
    assert len(decay_table(results["exponents"]).rows) == 4


def test_images_without_a_spectrum_are_left_out_and_counted():
    config = StudyConfig(tails=TAILS[:1], features=("durall",), classifiers=("knn",), runs=1)
    real, fake = natural(0), replicated(1)
    fake[:7] = 128
    flat = measure(config, real, real, {("dcgan", "BASELINE", 0): fake})
    usable = flat["exponents"][1]["count"]
    assert usable in (53, 60)  # features of a flat image are either NaN or defined
    assert flat["bypass"][0]["n_fake"] <= 54


@pytest.mark.parametrize(
    ("rates", "accuracy", "says"),
    [
        ((0.9, 0.8, 0.1), 0.95, "to N.1.5 halves it or worse"),
        ((0.9, 0.3, 0.1), 0.95, "to Z.1.5 or N.1.5 halves"),
        ((0.9, 0.8, 0.7), 0.95, "No change of the last upsampling"),
        ((0.5, 0.4, 0.1), 0.95, "does not work well enough"),
        ((1.0, 0.9, 0.1), 0.5, "does not work well enough"),
    ],
)
def test_the_finding_follows_the_numbers_whichever_way(rates, accuracy, says):
    rows = [
        {
            "method": "dcgan",
            "features": "durall",
            "classifier": "knn",
            "tail": tail,
            "detection_rate": rate,
            "real_accuracy": accuracy,
        }
        for tail, rate in zip(TAILS, rates, strict=True)
    ]
    what, verdict = finding(rows).split("\n")
    assert says in verdict
    assert f"N.1.5 {rates[2]:.0%}" in what and f"real images called real: {accuracy:.0%}" in what


# --- the folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tails": ("Z.1.5",)}, "add it to tails"),
        ({"tails": ("BASELINE", "N.2.5")}, "unknown tail 'N.2.5'"),
        ({"methods": ("dcgn",)}, "unknown method 'dcgn'.*dcgan"),
        ({"features": ("durall", "fourier")}, "unknown features 'fourier'"),
        ({"classifiers": ("forest",)}, "unknown classifier 'forest'"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_trained(fields, says, tmp_path):
    def train(config, run):
        raise AssertionError("trained")

    with pytest.raises(ValueError, match=says):
        run_study(replace(TINY, **fields), tmp_path / "out", train=train)


def test_gans_differ_in_nothing_but_method_tail_and_seed():
    config = replace(TINY, methods=("dcgan", "wgan-gp"), seeds=(0, 5))
    gans = gan_configs(config)
    assert len(gans) == 8
    for (method, tail, seed), gan in gans.items():
        assert (gan.method, gan.tail, gan.seed) == (method, tail, seed)
        assert (gan.size, gan.width, gan.latent, gan.batch_size, gan.data) == (
            *(16, 4, 8, 8),
            config.data,
        )


@functools.cache
def untrained(config):
    channels = 1 if "lfw" in config.data else 3
    gan = build(replace(config, channels=channels))
    return gan, gan.learner.start(0)


class Untrained:
    """A trainer that trains nothing, notes what it was asked for, and may be stopped."""

    def __init__(self, stop_at=None):
        self.asked, self.stop_at = [], stop_at

    def __call__(self, config, run):
        if len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append(run.name)
        return untrained(config)


def test_a_study_leaves_results_samples_logs_and_a_page(tmp_path):
    out = tmp_path / "study"
    train = Untrained()
    results = run_study(
        TINY,
        out,
        train=train,
        recipe={"schedule": "none"},
        appendix=lambda r: [Section("Elsewhere", [f"{len(r['bypass'])} rows"])],
    )
    assert train.asked == ["dcgan-BASELINE-seed0", "dcgan-N.1.5-seed0"]
    saved = json.loads((out / "results.json").read_text())
    assert saved == json.loads(json.dumps(results))
    assert set(saved) == {"protocol", "finding", "spectra", "exponents", "bypass", "timings"}
    assert saved["protocol"]["schedule"] == "none"
    assert {p.name for p in (out / "samples").iterdir()} == {
        "real.png",
        "dcgan-BASELINE-seed0.png",
        "dcgan-N.1.5-seed0.png",
    }
    page = (out / "report.html").read_text()
    assert "2 rows" in page and "real images" in page and "false alarms" in page
    assert not list(out.rglob("*.partial*"))


def test_a_stopped_study_writes_no_results_and_goes_on_later(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_study(TINY, tmp_path, train=Untrained(stop_at=1))
    assert not (tmp_path / "results.json").exists()
    run_study(TINY, tmp_path, train=Untrained())
    assert (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("fields", "recipe", "says"),
    [
        ({"steps": 3}, {}, "steps: 2 -> 3"),
        ({}, {"schedule": "plateau"}, "schedule: None -> 'plateau'"),
    ],
)
def test_a_folder_whose_gans_were_trained_otherwise_is_refused(fields, recipe, says, tmp_path):
    run_study(TINY, tmp_path, train=Untrained())
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(RunFolderError, match=says) as refusal:
        run_study(replace(TINY, **fields), tmp_path, train=Untrained(), recipe=recipe)
    assert "choose another folder" in str(refusal.value)
    assert (tmp_path / "results.json").read_bytes() == before


def test_finished_gans_are_not_trained_again_and_new_tails_are_added(tmp_path):
    first = run_study(replace(TINY, tails=("BASELINE",)), tmp_path)
    (manifest,) = tmp_path.glob("gans/*/checkpoints/2/manifest.json")
    before = (manifest.stat().st_mtime_ns, manifest.read_bytes())
    more = run_study(TINY, tmp_path)
    assert (manifest.stat().st_mtime_ns, manifest.read_bytes()) == before
    assert [row["tail"] for row in more["bypass"]] == ["BASELINE", "N.1.5"]
    assert more["bypass"][0] == first["bypass"][0]
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert {line["gan"] for line in lines} == {"dcgan-BASELINE-seed0", "dcgan-N.1.5-seed0"}


def test_gray_images_work_too(tmp_path):
    gray = replace(TINY, data="samples:lfw", tails=("BASELINE",))
    assert run_study(gray, tmp_path / "gray", train=Untrained())["bypass"]
