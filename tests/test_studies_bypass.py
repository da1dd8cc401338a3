"""The study: sound numbers from given images, and a folder that can be stopped and gone on with."""

import functools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.data import power_law_textures
from gan_forensics.gans import build
from gan_forensics.report import Section
from gan_forensics.studies import bypass
from gan_forensics.studies.bypass import StudyConfig, gan_configs, gan_name, real_parts, run_study
from gan_forensics.studies.bypass_cells import Origin, measure_cells
from gan_forensics.studies.bypass_measure import (
    REAL,
    is_tested,
    origins,
    results_of,
    spectral_facts,
    trainings,
)
from gan_forensics.studies.bypass_page import decay_table, interval_table, rates_table
from gan_forensics.studies.bypass_rates import Parts
from gan_forensics.train import RunFolderError, read_metrics
from tests.small_experiments import TINY_STUDY as TINY
from tests.small_experiments import tidy

TAILS = ("BASELINE", "Z.1.5", "N.1.5")
MEASURING = StudyConfig(tails=TAILS, seeds=(0, 1), detectors=("durall-knn", "durall-svm"), runs=2)


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
    kinds: dict[str, Any] = dict(zip(TAILS, (replicated, replicated, natural), strict=True))
    fakes = {
        origin: kinds[origin.tail](10 * TAILS.index(origin.tail) + origin.seed + 2)
        for origin in origins(MEASURING)
    }
    real = {MEASURING.data: Parts(natural(0, 200), natural(50), natural(1))}
    cells = measure_cells(
        MEASURING.detectors,
        trainings(MEASURING),
        is_tested,
        real,
        fakes,
        train_fraction=0.1,
        runs=2,
    )
    facts: dict[Any, Any] = {
        origin: spectral_facts(images, "toy") for origin, images in fakes.items()
    }
    facts[REAL] = spectral_facts(real[MEASURING.data].test, "toy")
    quality = {origin: {"toy features": 1.0 + origin.seed} for origin in fakes}
    return results_of(MEASURING, real, facts, quality, cells)


def test_a_tail_like_the_baseline_is_caught_and_one_like_real_images_passes(results):
    assert {row["tail"] for row in results["bypass"]} == set(TAILS)
    for row in results["bypass"]:
        assert row["real_accuracy"] > 0.9
        rate = row["detected"]
        assert rate < 0.1 if row["tail"] == "N.1.5" else rate > 0.9, row
    assert "N.1.5 (all)" in results["finding"]


def test_there_is_a_row_for_every_detector_tail_and_gan_seed(results):
    keys = {(r["detector"], r["tail"], r["gan_seed"]) for r in results["bypass"]}
    assert len(keys) == len(results["bypass"]) == 2 * 3 * 2
    # A tenth of 60 images of either class trains; of the GAN that trained, the rest is tested.
    counts = {(r["tail"], r["gan_seed"]): (r["n_real"], r["n_fake"]) for r in results["bypass"]}
    assert counts["BASELINE", "same"] == (60, 54)
    assert counts["BASELINE", "new"] == counts["N.1.5", "same"] == (60, 60)
    assert {row["n_train"] for row in results["bypass"]} == {6}


def test_spectra_and_decay_begin_with_real_images_and_order_the_tails_by_their_slope(results):
    assert list(results["spectra"]) == ["real", "dcgan BASELINE", "dcgan Z.1.5", "dcgan N.1.5"]
    assert [curve["count"] for curve in results["spectra"].values()] == [60, 120, 120, 120]
    rows = {row["images"]: row for row in results["exponents"]}
    assert next(iter(rows)) == "real"
    assert rows["dcgan BASELINE"]["exponent"] > rows["real"]["exponent"] + 0.5
    assert rows["dcgan BASELINE"]["curve_end"] > rows["dcgan N.1.5"]["curve_end"] + 0.1
    for label, curve in results["spectra"].items():
        assert_allclose(rows[label]["curve_end"], curve["mean"][-1], rtol=1e-9, atol=0)


def test_deviations_over_seeds_are_those_of_all_their_images(results):
    both = np.concatenate([replicated(2), replicated(3)])
    found, expected = results["spectra"]["dcgan BASELINE"], spectral_facts(both, "toy")["curve"]
    for name in ("mean", "std"):
        assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-9)


def test_results_survive_json(results):
    assert json.loads(json.dumps(results)) == json.loads(json.dumps(results, allow_nan=False))


def test_the_protocol_says_what_made_the_numbers(results):
    facts = results["protocol"]
    assert facts["size"] == 32 and facts["real_images_to_test_detectors_on"] == 60
    for name in ("commit", "gan_forensics", "jax", "hardware", "intervals", "threshold"):
        assert name in facts


def test_tables_of_the_page_show_false_alarms_and_both_seeds(results):
    table = rates_table(results["bypass"], "dcgan")
    assert [row[0] for row in table.rows] == list(MEASURING.detectors)
    assert table.columns[3:] == list(TAILS)
    assert all(len(cell.split(" / ")) == 2 for row in table.rows for cell in row[3:])
    assert len(interval_table(results["bypass"], "dcgan").rows) == 12
    assert len(decay_table(results["exponents"]).rows) == 4


def test_detectors_of_other_data_meet_a_few_tails_of_the_first_method():
    config = replace(MEASURING, methods=("dcgan", "lsgan"), elsewhere=("toy:powerlaw?n=9",))
    away = [origin for origin in origins(config) if origin.data != config.data]
    assert {o.method for o in away} == {"dcgan"} and len(away) == 3 * 2
    (other, *_) = (t for t in trainings(config) if t.data != config.data)
    home = Origin(config.data, "dcgan", "N.1.5", 1)
    assert is_tested(other, home) and not is_tested(other, home._replace(tail="N.3.5"))
    assert not is_tested(other, home._replace(method="lsgan"))
    assert gan_name(home, config.data) == "dcgan-N.1.5-seed1"
    assert gan_name(away[0], config.data) == "dcgan-BASELINE-seed0-on-toy-powerlaw-n-9"


def test_thresholds_are_set_on_other_real_images_than_those_that_test():
    parts = real_parts(replace(TINY, data="toy:powerlaw?n=160"), "toy:powerlaw?n=160")
    assert len(parts.calibration) == len(parts.test) > 18
    every = [image.tobytes() for part in parts for image in part]
    assert len(set(every)) == len(every)
    with pytest.raises(ValueError, match="at least 19"):
        real_parts(TINY, "toy:powerlaw?n=80")


# --- the folder ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_feature_networks(monkeypatch):
    """Distances have tests of their own; every network would be compiled anew."""
    monkeypatch.setattr(bypass, "feature_networks", lambda *_: [])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tails": ("Z.1.5",)}, "add it to tails"),
        ({"tails": ("BASELINE", "N.2.5")}, "unknown tail 'N.2.5'"),
        ({"methods": ("dcgn",)}, "unknown method 'dcgn'.*dcgan"),
        ({"detectors": ("durall-knn", "fourier-knn")}, "unknown features 'fourier'"),
        ({"trained_on": ("BASELINE", "BASELINE+B.1.5")}, "B.1.5: add it to tails"),
        ({"trained_on": ("N.1.5",)}, "must be BASELINE"),
        ({"elsewhere": (TINY.data,)}, "cannot be elsewhere too"),
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
    for origin, gan in gans.items():
        assert (gan.data, gan.method, gan.tail, gan.seed) == origin
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
        appendix=lambda r: [Section("Appended", [f"{len(r['bypass'])} rows"])],
    )
    assert train.asked == ["dcgan-BASELINE-seed0", "dcgan-N.1.5-seed0"]
    saved = json.loads((out / "results.json").read_text())
    assert saved == json.loads(json.dumps(results))
    assert {"finding", "spectra", "exponents", "quality", "bypass", "timings"} <= set(saved)
    assert saved["protocol"]["schedule"] == "none"
    keys = "seed detector_seed detector trained_on_method trained_on_tails data method tail"
    tidy(saved["tables"]["rows"], keys)
    assert len(saved["tables"]["false_alarms"]) == 1
    assert [row["tail"] for row in saved["tables"]["quality"]] == ["BASELINE", "N.1.5"]
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
    train = Untrained()
    run_study(TINY, tmp_path, train=train)
    assert (tmp_path / "results.json").exists()
    # What was drawn is kept: the first GAN is not asked for again, unless its images are gone.
    assert train.asked == ["dcgan-N.1.5-seed0"]
    (tmp_path / "images" / "dcgan-BASELINE-seed0.npy").unlink()
    run_study(TINY, tmp_path, train=train)
    assert train.asked == ["dcgan-N.1.5-seed0", "dcgan-BASELINE-seed0"]


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
    gray = replace(TINY, data="samples:lfw", tails=("BASELINE",), detectors=("dct-logistic",))
    assert run_study(gray, tmp_path / "gray", train=Untrained())["bypass"]
