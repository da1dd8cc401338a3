"""The experiment on last upsamplings: its presets, its schedule, its tables, its smoke run."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose

from gan_forensics.data import power_law_textures
from gan_forensics.experiments import (
    fourier_discrepancies,
    fourier_published,
    spectral_regularisation,
)
from gan_forensics.experiments.fourier_discrepancies import PAPER, Experiment
from gan_forensics.experiments.plateau_schedule import (
    EPOCHS,
    pixel_frechet,
    plateau_rule,
    train_by_plateau,
)
from gan_forensics.gans import GanConfig
from gan_forensics.nn import TAILS
from gan_forensics.studies.bypass import gan_configs
from gan_forensics.studies.pages import over_seeds
from gan_forensics.train import read_metrics
from tests.small_experiments import TINY_STUDY as TINY
from tests.small_experiments import command, step_fits_together

# --- presets ------------------------------------------------------------------------------------


def test_paper_is_thirty_nine_gans_of_the_published_recipe():
    gans = gan_configs(PAPER.study)
    assert len(gans) == 39
    assert {tail for _, _, tail, _ in gans} == set(TAILS) and len(TAILS) == 13
    for gan in gans.values():
        assert (gan.size, gan.width, gan.latent, gan.batch_size) == (128, 32, 128, 64)
    assert PAPER.schedule == "plateau"
    assert EPOCHS == {"dcgan": 50, "lsgan": 50, "wgan-gp": 100}


def check_paper_gan(config):
    count = step_fits_together(config)["generator"]
    published = {"BASELINE": 3_837_379, "N.1.5": 3_838_243, "N.3.5": 3_889_507}
    assert count == published.get(config.tail, count)


PAPER_GANS = gan_configs(PAPER.study)
# Every tail and every method, but not every pair; the pairs are slow.
SOME = [key for i, key in enumerate(PAPER_GANS) if i % 13 % 3 == i // 13]


@pytest.mark.parametrize("key", SOME, ids=lambda key: f"{key.method}-{key.tail}")
def test_a_step_of_the_paper_fits_together(key):
    check_paper_gan(PAPER_GANS[key])


@pytest.mark.slow
def test_a_step_of_every_gan_of_the_paper_fits_together():
    for config in PAPER_GANS.values():
        check_paper_gan(config)


def test_a_constant_schedule_without_steps_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--steps"):
        fourier_discrepancies.run(Experiment(replace(TINY, steps=0), tmp_path))


# --- the schedule -------------------------------------------------------------------------------


def test_rates_fall_as_published():
    assert round(plateau_rule(1e-4, 50).factor, 3) == 0.912
    assert round(plateau_rule(2e-4, 100).factor, 3) == 0.948
    rule = plateau_rule(1e-4, 50)
    assert (rule.patience, rule.threshold, rule.floor, rule.stop_after) == (1, 1.0, 1e-6, 5)
    # After as many reductions as epochs the rate has come down to its floor.
    assert_allclose(1e-4 * rule.factor**50, 1e-6, rtol=1e-9, atol=0)


def test_pixel_frechet_is_zero_for_equal_sets_and_100_for_the_mean_image():
    real = power_law_textures(300, 16, exponent=1.5, seed=0)
    assert_allclose(pixel_frechet(real, real[::-1]), 0, rtol=0, atol=1e-5)
    mean = np.broadcast_to(np.round(real.mean(0)).astype(np.uint8), (4, 16, 16, 3))
    assert_allclose(pixel_frechet(real, mean), 100, rtol=0, atol=0.1)


def test_pixel_frechet_equals_the_formula_with_a_matrix_root():
    real = power_law_textures(400, 16, exponent=1.0, seed=0)
    fake = power_law_textures(400, 16, exponent=0.6, seed=1) // 2
    a, b = (
        x.reshape(-1, 8, 2, 8, 2, 3).astype(float).mean((2, 4)).reshape(-1, 192)
        for x in (real, fake)
    )
    ca, cb = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(ca @ cb)
    distance = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root.real)
    assert_allclose(pixel_frechet(real, fake), 100 * distance / np.trace(ca), rtol=1e-6, atol=0)


def test_pixel_frechet_refuses_images_that_are_all_alike():
    flat = np.full((5, 16, 16, 3), 9, np.uint8)
    with pytest.raises(ValueError, match="all alike"):
        pixel_frechet(flat, flat)


def test_the_plateau_schedule_evaluates_every_epoch_lowers_the_rate_and_stops(tmp_path):
    config = GanConfig(
        "dcgan", "toy:powerlaw?n=21", size=16, width=4, latent=8, batch_size=8, seed=0
    )
    calls = []

    def distance(real, fake):
        calls.append((real.shape, fake.shape))
        return 3.0

    _, state = train_by_plateau(config, tmp_path / "run", distance=distance, images=12)
    lines = [
        line for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "distance" in line
    ]
    # The first evaluation is the best; five without a fall follow and end the run.
    assert len(lines) == len(calls) == 6
    assert {shape for shapes in calls for shape in shapes} == {(12, 16, 16, 3)}
    per_epoch = int(state.step) // 6
    assert [line["step"] for line in lines] == [per_epoch * i for i in range(1, 7)]
    rate = 1e-4 * plateau_rule(1e-4, 50).factor ** 2
    for opt in state.opt.values():
        assert_allclose(opt.hyperparams["learning_rate"], rate, rtol=1e-5, atol=0)


def test_a_small_experiment_of_the_papers_schedule_says_that_its_distance_is_not_the_fid(tmp_path):
    study = replace(TINY, tails=("BASELINE",), methods=("wgan-gp",))
    experiment = replace(PAPER, study=study, out=tmp_path, distance_images=20)
    results = fourier_discrepancies.run(experiment)
    assert "pixel_frechet" in results["protocol"]["distance"]
    assert "published runs used FID" in (tmp_path / "report.html").read_text()


# --- published numbers --------------------------------------------------------------------------


def test_published_tables_cover_every_tail_and_keep_apart_what_cannot_be_compared():
    assert set(fourier_published.FID) == set(TAILS)
    row = {"exponent": 1.25, "exponent_std": 0.5, "curve_end": 0.125}
    results = {
        "protocol": {"data": "samples:photos", "size": 32},
        "exponents": [
            {"images": "real", **row},
            {"images": "dcgan N.1.5", "method": "dcgan", "tail": "N.1.5", **row},
            {"images": "dcgan N.3.5", "method": "dcgan", "tail": "N.3.5", **row},
        ],
    }
    rows = {line[0]: line[1:] for line in fourier_published.decay_beside(results).rows}
    assert rows["dcgan N.1.5"] == ["-1.9 ± 0.8", "1.2 ± 0.5", "0.02", "0.12"]
    assert rows["dcgan N.3.5"] == [None, "1.2 ± 0.5", None, "0.12"]
    assert rows["lsgan BASELINE"] == ["7.3 ± 0.8", None, "0.17", None]
    assert rows["real"] == [None, "1.2 ± 0.5", None, "0.12"]
    (section,) = fourier_published.published_sections(results)
    assert "samples:photos at 32x32" in section.blocks[0]
    assert "no column of ours" in section.blocks[2].caption


# --- runs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("smoke") / "run"
    said = command("fourier_discrepancies", "smoke", "--out", out)
    return out, json.loads((out / "results.json").read_text()), said


@pytest.mark.slow
def test_the_smoke_preset_leaves_results_and_a_page(smoke):
    out, results, said = smoke
    assert "report.html" in said and results["finding"].split("\n")[0] in said
    page = (out / "report.html").read_text()
    assert "Published numbers" in page and "88.6" in page
    # Four detectors, two sets of training tails, three tails.
    assert len(results["bypass"]) == 4 * 2 * 3
    for row in results["bypass"]:
        assert 0 <= row["detected"] <= 1 and 0 <= row["real_accuracy"] <= 1
        assert row["n_real"] > 0 and row["n_fake"] > 0 and row["gan_seed"] == "same"
    gans = {line["gan"] for line in read_metrics(out / "metrics.jsonl")}
    assert gans == {f"dcgan-{tail}-seed0" for tail in ("BASELINE", "Z.1.5", "N.1.5")}


@pytest.mark.slow
def test_after_so_little_training_baseline_spectra_already_end_higher_than_nearest_ones(smoke):
    end = {row["images"]: row["curve_end"] for row in smoke[1]["exponents"]}
    assert end["dcgan BASELINE"] > end["dcgan N.1.5"] + 0.05
    assert end["dcgan Z.1.5"] > end["dcgan N.1.5"] + 0.05


@pytest.mark.slow
def test_the_smoke_run_has_the_papers_direction(smoke):
    """Curves and neighbours see BASELINE and Z and let N pass, until they are trained on N too."""
    rows = {
        (row["trained_on"], row["tail"]): row
        for row in smoke[1]["bypass"]
        if row["detector"] == "durall-knn"
    }
    rates = {key: row["detected"] for key, row in rows.items()}
    assert rows["BASELINE", "BASELINE"]["real_accuracy"] > 0.9
    assert rates["BASELINE", "BASELINE"] > 0.9
    assert rates["BASELINE", "Z.1.5"] > 0.7 > 0.3 > rates["BASELINE", "N.1.5"]
    assert rates["BASELINE+N.1.5", "N.1.5"] > 0.5


@pytest.mark.slow
def test_the_regularisation_experiment_compares_its_four_variants(tmp_path):
    name, preset = "smoke", spectral_regularisation.PRESETS["smoke"][1]
    arguments = ["--steps", 2, "--images", 40, "--processes", 1, "--out", tmp_path / "run"]
    said = command("spectral_regularisation", name, *arguments)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    rows = {row["variant"]: row for row in results["variants"]}
    assert list(rows) == list(spectral_regularisation.variants(preset))
    # Two steps apart by a factor 1 + 1e-5: the released weight is the plain GAN.
    released, plain = rows["released, lambda 1e-05"], rows["BASELINE"]
    assert_allclose(released["curve_distance"], plain["curve_distance"], rtol=0.02, atol=0)
    assert rows["N.3.5"]["curve_distance"] != plain["curve_distance"]
    assert set(plain["frechet"]) == {"random-network features"}
    assert (tmp_path / "run" / "report.html").exists() and "report.html" in said


def test_regularised_variants_are_compared_with_the_baseline_of_the_same_seed():
    """One is nearer for every seed, the other as much nearer as farther."""

    def row(name, values):
        return {
            "variant": name,
            **over_seeds("curve_distance", values),
            **over_seeds("curve_end", values),
            "frechet": {"toy features": over_seeds("distance", values)},
        }

    rows = [row("BASELINE", [0.5, 0.3, 0.4]), row("N.3.5", [0.4, 0.21, 0.3])]
    rows.append(row("released", [0.6, 0.2, 0.4]))
    said = spectral_regularisation.finding(rows)
    assert "N.3.5 -0.097 (nearer)" in said
    assert "released +0.000 (no direction is shown)" in said
    assert "too few seeds" in spectral_regularisation.finding(
        [row("BASELINE", [0.5]), row("N.3.5", [0.4])]
    )
    lines = spectral_regularisation.variants_table(rows).rows
    assert lines[0][2] is None and lines[1][2].startswith("-0.097 [-0.1")
