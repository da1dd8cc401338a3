"""The experiment on StarGAN: its presets, its tables, that it goes on, its smoke run."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gan_forensics.experiments import stargan
from gan_forensics.experiments.stargan import PRESETS, Experiment, finding, run
from gan_forensics.gans import StarGanConfig, build_stargan
from tests.small_experiments import command


def test_paper_is_the_published_recipe_with_four_upsamplings():
    paper = PRESETS["paper"][1]
    gan = build_stargan(replace(paper.gan, decay_steps=paper.steps))
    config = gan.config
    assert (config.size, config.width, config.blocks, config.layers) == (128, 64, 6, 6)
    assert (config.batch_size, config.learning_rate, config.n_dis) == (16, 1e-4, 5)
    assert paper.steps * config.n_dis == 200_000 and config.schedule == "released"
    assert paper.upsamplings == ("BASELINE", "N", "Z", "B")
    assert len(config.attributes) == 5 and config.exclusive == config.attributes[:3]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """The experiment with stand-ins: a classifier that knows nothing, GANs that copy or invert."""
    trained = []

    def measured(experiment, config, name, classifier, real, labels):
        trained.append(name)
        (experiment.out / "samples").mkdir(exist_ok=True)
        stargan.save_png(experiment.out / "samples" / f"{name}.png", real[0])
        made = real if config.upsampling == "N" else 255 - real
        rows, made = stargan.success(
            classifier, lambda x, c: made[: len(x)], real, labels, ("warm", "striped")
        )
        curve, decay = stargan._spectrum(made, config.size)
        return {"translations": rows, "curve": curve, "decay": decay}

    def reads_brightness(*_, **__):
        return lambda images: np.repeat(images.mean((1, 2, 3))[:, None] > 127.5, 2, axis=1)

    def loaded(run):
        return build_stargan(replace(gan, upsampling=run.name.partition("-")[0])), None

    def translated(made, state, images, labels):
        return images if made.config.upsampling == "N" else 255 - images

    monkeypatch.setattr(stargan, "load_stargan", loaded)
    monkeypatch.setattr(stargan, "translate", translated)
    monkeypatch.setattr(stargan, "DETECTORS", (("durall-knn",), ("pixels-logistic",)))
    monkeypatch.setattr(stargan, "_trained_and_measured", measured)
    monkeypatch.setattr(stargan, "domain_classifier", reads_brightness)
    gan = StarGanConfig(data="toy:domains?n=240", size=16, attributes=("warm", "striped"))
    experiment = Experiment(gan, tmp_path / "out", ("BASELINE", "N"), (0, 1), steps=3, images=20)
    return experiment, trained


def test_tables_have_every_upsampling_and_target_and_a_second_call_trains_what_is_missing(quick):
    experiment, trained = quick
    results = run(experiment)
    assert trained == ["BASELINE-seed0", "N-seed0", "BASELINE-seed1", "N-seed1"]
    rows = {(row["upsampling"], row["target"]): row for row in results["translations"]}
    assert list(rows) == [
        (u, t) for u in ("BASELINE", "N") for t in ("warm turned", "striped turned")
    ]
    for row in rows.values():
        assert row["images"] == 20 and len(row["landed_by_seed"]) == 2
        # Inverting turns what this classifier tells, which a copy does not.
        copied = row["copy"] if row["upsampling"] == "N" else 1 - row["copy"]
        assert row["landed"] == pytest.approx(copied)
    assert [row["images"] for row in results["exponents"]] == ["real", "BASELINE", "N"]
    assert set(results["spectra"]) == {"real", "BASELINE", "N"}
    bypass = {(r["detector"], r["tail"], r["gan_seed"]): r for r in results["bypass"]}
    assert len(bypass) == 2 * 2 * 2
    for (_, upsampling, _), row in bypass.items():
        if upsampling == "N":  # copies of the real test images: a hit is a false alarm
            assert row["detected_at_5"] == pytest.approx(row["false_alarms_at_5"])
        assert row["n_real"] == 20 and row["n_train"] == 4
    of_pixels = {t: bypass["pixels-logistic", t, "new"]["detected"] for t in ("BASELINE", "N")}
    assert of_pixels["BASELINE"] > of_pixels["N"] + 0.1
    stored = json.loads((experiment.out / "results.json").read_text())
    assert stored["finding"] == results["finding"] == finding(stored)
    page = (experiment.out / "report.html").read_text()
    assert "striped turned" in page and "N-seed0" in page
    assert "| BASELINE | warm turned |" in (experiment.out / "results.md").read_text()
    run(replace(experiment, seeds=(0, 1, 2)))
    assert trained[4:] == ["BASELINE-seed2", "N-seed2"]


@pytest.mark.slow
def test_the_smoke_run_tells_the_upsamplings_apart_by_their_spectra(tmp_path):
    said = command("stargan", "smoke", "--out", tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    ends = {row["images"]: row["curve_end"][0] for row in results["exponents"]}
    assert ends["BASELINE"] > 0.3 > ends["N"] and ends["real"] < 0.1
    assert results["finding"].split("\n")[0] in said and "report.html" in said
