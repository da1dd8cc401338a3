"""The InfoMax-GAN experiment: its presets, measures, published recipes, and its smoke run."""

import json
import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.experiments import infomax_gan, infomax_page, infomax_published
from gan_forensics.experiments.infomax_diversity import KINDS, Diversity, asked, diversity
from gan_forensics.experiments.infomax_encoder import Labelled
from gan_forensics.experiments.infomax_forgetting import Forgetting, accuracies, forgetting, summary
from gan_forensics.experiments.infomax_gan import PAPER, PRESETS, Experiment
from gan_forensics.experiments.infomax_modes import METHODS, Stacks, gan_config
from gan_forensics.experiments.infomax_published import (
    PUBLISHED,
    RECIPES,
    Published,
    published_section,
    recipe_config,
)
from gan_forensics.gans import build, init
from gan_forensics.studies.pages import markdown
from gan_forensics.train import RunFolderError, minibatches_per_step
from tests.small_experiments import command, step_fits_together

# --- presets ------------------------------------------------------------------------------------


def test_an_experiment_without_parts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no parts"):
        infomax_gan.run(Experiment(tmp_path, parts=()))


def test_gans_of_one_seed_differ_in_nothing_but_their_method():
    one, *others = (gan_config(Stacks(), method, 3, "stacked:x") for method in METHODS)
    assert one.seed == 3 and one.architecture == "resgan"
    for other in others:
        assert replace(other, method=one.method) == one


@pytest.mark.slow
def test_gans_of_one_seed_start_from_the_same_generator_and_discriminator():
    config = Stacks(generator_width=8, discriminator_width=8, latent=8)
    one, *others = (init(build(gan_config(config, m, 3, "stacked:x")))[0] for m in METHODS)
    for other in others:
        jax.tree.map(np.testing.assert_array_equal, one["generator"], other["generator"])
        shared = {name: other["discriminator"][name] for name in one["discriminator"]}
        jax.tree.map(np.testing.assert_array_equal, one["discriminator"], shared)


# --- forgetting ---------------------------------------------------------------------------------


def test_accuracies_are_balanced_between_the_class_and_the_rest():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    # Everything is called one of the class, or nothing: chance for every task.
    assert_allclose(accuracies(np.ones(8, bool), labels, 3), [0.5, 0.5, 0.5], rtol=0, atol=0)
    assert_allclose(accuracies(np.zeros(8, bool), labels, 3), [0.5, 0.5, 0.5], rtol=0, atol=0)
    # Class 0 is known: right for 0; for 1, none of 2 found and 2 of 6 of the rest left alone.
    found = accuracies(labels == 0, labels, 3)
    assert_allclose(found, [1, 2 / 6 / 2, 2 / 6 / 2], rtol=1e-12, atol=0)


def test_the_summary_reads_the_right_looks_and_classes():
    # Two classes, two cycles, two looks a task: row 0 is before the first step.
    accuracy = np.array(
        [
            [0.1, 0.2],  # before
            [0.5, 0.3],  # task 0
            [0.9, 0.4],
            [0.6, 0.7],  # task 1
            [0.2, 0.8],
            [0.3, 0.6],  # task 0
            [1.0, 0.0],
            [0.5, 0.5],  # task 1
            [0.1, 0.9],
        ]
    )
    found = summary(accuracy, np.array([0, 1, 0, 1]), 2)
    assert_allclose(found["current_before"], np.mean([0.9, 0.8, 1.0]), rtol=1e-12, atol=0)
    assert_allclose(found["current_after"], np.mean([0.7, 0.3, 0.5]), rtol=1e-12, atol=0)
    # Before the first switch only class 0 was seen, then both.
    assert_allclose(found["seen_before"], np.mean([0.9, 0.5, 0.5]), rtol=1e-12, atol=0)
    assert_allclose(found["seen_after"], np.mean([0.6, 0.45, 0.5]), rtol=1e-12, atol=0)
    assert_allclose(found["worst"], 0.3, rtol=0, atol=0)
    own = [0.5, 0.9, 0.7, 0.8, 0.3, 1.0, 0.5, 0.9]
    assert_allclose(found["current"], np.mean(own), rtol=1e-12, atol=0)


def test_looks_that_do_not_divide_a_task_are_refused():
    with pytest.raises(ValueError, match="--forgetting.looks"):
        forgetting(Forgetting(steps=10, looks=3))


# --- diversity ----------------------------------------------------------------------------------


def test_batches_are_of_the_kind_that_was_asked_for(rng):
    data = Labelled(np.zeros((40, 1, 1, 1), np.float32), np.repeat(np.arange(4), 10))
    one_class = asked("one class", data, 6, 4, rng)
    assert [len(set(data.labels[rows])) for rows in one_class] == [1, 1, 1, 1]
    assert set(data.labels[one_class[:, 0]]) == {0, 1, 2, 3}
    assert all(len(set(rows)) == 6 for rows in one_class)
    assert all(len(set(rows)) == 1 for rows in asked("one image", data, 6, 4, rng))
    every = asked("all classes", data, 40, 1, rng)
    assert set(every[0]) == set(range(40))


def test_a_class_with_too_few_images_is_named(rng):
    data = Labelled(np.zeros((5, 1, 1, 1), np.float32), np.array([0, 0, 0, 1, 1]))
    with pytest.raises(ValueError, match="class 1 has 2 held-out images, a batch 3"):
        asked("one class", data, 3, 2, rng)
    with pytest.raises(ValueError, match="kinds are all classes"):
        asked("no class", data, 1, 1, rng)


def test_looks_that_do_not_divide_the_training_are_refused():
    with pytest.raises(ValueError, match="--diversity.looks"):
        diversity(Diversity(steps=10, looks=3))


# --- tables and words ---------------------------------------------------------------------------

ROWS: list[dict[str, Any]] = [
    dict(
        zip(
            ("method", "seed", "seen", "half_share", "effective", "kl", "frechet"), row, strict=True
        )
    )
    for row in (
        ("sngan", 0, 800, 300, 250.0, 0.5, 2.0),
        ("sngan", 1, 820, 310, 255.0, 0.6, 3.0),
        ("infomax-gan", 0, 810, 310, 249.0, 0.4, 1.0),
        ("infomax-gan", 1, 800, 310, 254.0, 0.5, 3.5),
    )
]
REAL = {"seen": 980, "half_share": 900, "effective": 800.0, "kl": 0.1}
MODES = {
    "rows": ROWS,
    "real": {**REAL, "frechet": 0.25},
    "calibration": [{"true": 1000, **REAL}],
    "features": "own features",
    "counts": {"real": 40, "fake": 50},
}


def test_differences_are_paired_by_seed():
    assert infomax_page.paired(ROWS, "seen", "method", "sngan", "infomax-gan") == [10, -20]
    assert infomax_page.paired(ROWS, "seen", "method", "ssgan", "infomax-gan") == []


def test_the_finding_says_for_how_many_seeds_it_holds():
    said = infomax_page.finding({"modes": MODES})
    assert "modes seen -5 ± 21 against sngan (better for 1 of 2 seeds)" in said
    # What does not change is not better.
    assert "half share +5 ± 7 against sngan (better for 1 of 2 seeds)" in said
    assert "effective modes -1 ± 0 against sngan (better for 0 of 2 seeds)" in said
    assert "Frechet -0.25 ± 1.06 against sngan (better for 1 of 2 seeds)" in said
    assert "KL, nats -0.10 ± 0.00 against sngan (better for 2 of 2 seeds)" in said
    assert "ssgan" not in said and "FID" not in said


def test_tables_render_with_spread_and_without_calling_the_distance_fid():
    table = infomax_page.modes_table(MODES)
    text = markdown(table)
    assert "| sngan | 810 ± 14 | 305 ± 7 | 252 ± 4 | 0.55 ± 0.07 | 2.50 ± 0.71 |" in text
    assert "| real, other stacks | 980 | 900 | 800 | 0.10 | 0.25 |" in text
    assert "| 1000 | 980 | 900 | 800 | 0.10 |" in markdown(infomax_page.calibration_table(MODES))
    assert "own features, not FID" in table.caption
    rows = [
        {"arm": arm, "seed": seed, **dict.fromkeys(infomax_page.SWITCH, value)}
        for arm, seed, value in (("without", 0, 0.5), ("without", 1, 0.6), ("with", 0, 0.7))
    ]
    lines = infomax_page.forgetting_table(rows).rows
    assert lines[0][1:] == ["0.550 ± 0.071", "0.700", "+0.200"]


def test_a_bound_that_is_broken_is_said_aloud():
    runs = {kind: [[8.0, loss]] for kind, loss in zip(KINDS, (6.0, 6.5, 7.0), strict=True)}
    result = {"loss": runs, "steps": [0, 5], "bound": 7.295, "above_bound": -0.295}
    assert "SOMETIMES pays less" in infomax_page.finding({"diversity": result})
    assert "in this order for 1 of 1" in infomax_page.finding({"diversity": result})


# --- published ----------------------------------------------------------------------------------


def test_every_recipe_has_published_numbers_of_every_method():
    assert [name for name, method in PUBLISHED if method == "sngan"] == list(RECIPES)
    assert {(name, m) for name in RECIPES for m in infomax_published.METHODS} <= set(PUBLISHED)
    assert PUBLISHED["celeba128", "infomax-gan"] == (9.50, 0.04, 0.0063, 2.84)
    assert {r.n_dis for n, r in RECIPES.items() if n in ("celeba128", "lsun128")} == {2}
    assert [n for n, r in RECIPES.items() if r.schedule == "none"] == ["celeba128", "imagenet128"]
    assert RECIPES["imagenet128"].steps == 450_000


def test_our_numbers_stand_beside_the_published_ones():
    rows = [
        {"recipe": "stl10", "method": "ssgan", "name": name, "value": value}
        for name, value in (("FID", 40.0), ("FID", 42.0), ("KID", 0.25), ("inception score", 7.0))
    ]
    section = published_section(rows)
    assert "None of these has been run" not in str(section.blocks[0])
    assert "None of these has been run" in str(published_section([]).blocks[0])
    lines = {tuple(line[:2]): line[2:] for line in infomax_published.beside(rows).rows}
    assert lines["stl10", "ssgan"] == ["37.06 ± 0.19", 41.0, "0.0332", 0.25, "8.25", 7.0]
    assert lines["stl10", "sngan"][1::2] == [None, None, None]


def test_recipes_without_inception_weights_are_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="--published.inception"):
        infomax_gan.run(replace(PAPER, parts=("published",), out=tmp_path))
    with pytest.raises(ValueError, match="unknown recipe 'cifar'"):
        recipe_config("cifar", "sngan", 0)


# Published parameters: all sizes' generators; discriminators of SNGAN, SSGAN, InfoMax-GAN with
# critics (Lee and Town, as counted from their networks).
GENERATOR = {32: 4_276_739, 48: 4_878_083, 64: 12_220_675, 128: 32_150_787}
DISCRIMINATOR = {
    "sngan": {32: 1_053_825, 48: 10_141_441, 64: 10_141_441, 128: 29_017_857},
    "ssgan": {32: 1_054_341, 48: 10_145_541, 64: 10_145_541, 128: 29_021_957},
    "infomax-gan": {32: 1_615_233, 48: 14_603_521, 64: 14_603_521, 128: 35_315_457},
}


def check_recipe(name, method):
    config = recipe_config(name, method, 0)
    recipe = RECIPES[name]
    assert (config.size, config.n_dis, config.batch_size) == (recipe.size, recipe.n_dis, 64)
    sizes = step_fits_together(config)
    assert sizes.pop("generator") == GENERATOR[recipe.size]
    assert sum(sizes.values()) == DISCRIMINATOR[method][recipe.size]


@pytest.mark.parametrize("method", infomax_published.METHODS)
def test_a_step_of_the_cifar_recipe_fits_together(method):
    check_recipe("cifar10", method)


def test_a_step_of_the_largest_recipe_fits_together():
    check_recipe("imagenet128", "infomax-gan")


def test_every_recipe_can_be_built():
    for name, recipe in RECIPES.items():
        for method in infomax_published.METHODS:
            gan = build(recipe_config(name, method, 0))
            assert gan.generator.size == gan.discriminator.size == recipe.size
            assert minibatches_per_step(gan.updates) == recipe.n_dis


@pytest.mark.slow
def test_a_step_of_every_recipe_fits_together():
    for name in RECIPES:
        for method in infomax_published.METHODS:
            check_recipe(name, method)


# --- runs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("smoke") / "run"
    said = command("infomax_gan", "smoke", "--out", out)
    return out, json.loads((out / "results.json").read_text()), said


@pytest.mark.slow
def test_the_smoke_preset_leaves_results_and_a_page(smoke):
    out, results, said = smoke
    assert "report.html" in said and results["finding"].split("\n")[0] in said
    page = (out / "report.html").read_text()
    for title in ("forget less", "see collapse", "images better", "Published recipes"):
        assert title in page
    assert [row["method"] for row in results["modes"]["rows"]] == ["sngan", "infomax-gan"]
    for row in results["modes"]["rows"]:
        assert 1 <= row["half_share"] <= row["seen"] <= 100 and row["frechet"] > 0
        assert 1 <= row["effective"] <= row["seen"] and 0 <= row["kl"] <= math.log(1000)
    assert [row["true"] for row in results["modes"]["calibration"]][-1] == 1000
    assert np.shape(results["forgetting"]["curves"]["with"]) == (2, 10 * 2 + 1, 10)
    assert {"commit", "spread", "modes"} <= set(results["protocol"])
    tables = (out / "results.md").read_text()
    for line in ("| current task, after a switch |", "| one image |", "| infomax-gan |"):
        assert line in tables


@pytest.mark.slow
def test_a_repeated_image_never_pays_less_than_the_bound(smoke):
    result = smoke[1]["diversity"]
    assert_allclose(result["bound"], math.log(1 + 7 * 64), rtol=1e-12, atol=0)
    assert result["above_bound"] > -1e-4
    assert min(result["loss"]["one image"][0]) > result["bound"] - 1e-4
    # Of the 64 places at most the best one wins, by rounding.
    assert max(result["accuracy"]["one image"][0]) <= 1 / 64


@pytest.mark.slow
def test_a_finished_part_is_not_done_again_and_gans_of_other_settings_are_refused(
    smoke, monkeypatch
):
    out, results, _ = smoke
    experiment = replace(PRESETS["smoke"][1], out=out, parts=("diversity", "modes"))
    monkeypatch.setattr(infomax_gan, "compare", None)
    monkeypatch.setattr(infomax_gan, "diversity", None)
    again = infomax_gan.run(experiment)
    assert again["modes"] == results["modes"] and again["diversity"] == results["diversity"]
    other = replace(experiment, modes=replace(experiment.modes, steps=3))
    with pytest.raises(RunFolderError, match="steps: 2 -> 3"):
        infomax_gan.run(other)


def test_recipes_that_are_asked_for_reach_the_page(tmp_path, monkeypatch):
    row = {"recipe": "cifar10", "method": "sngan", "name": "FID", "value": 123.5}
    monkeypatch.setattr(infomax_gan, "reproduce", lambda config, out: [row])
    experiment = Experiment(tmp_path, parts=("published",), published=Published(("cifar10",)))
    results = infomax_gan.run(experiment)
    assert results["published"] == [row]
    assert "123.5" in (tmp_path / "report.html").read_text()
