"""The experiment on perturbed images: rates by hand, what is refused, what the page says."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.data import power_law_textures
from gan_forensics.data.perturbations import perturb
from gan_forensics.experiments import fourier_robustness as script
from gan_forensics.experiments.fourier_robustness_page import (
    finding,
    margins,
    middle_of,
    rates_table,
    summary,
)
from gan_forensics.forensics import fit_detector
from gan_forensics.gans import GanConfig
from tests.small_experiments import command

TINY = replace(
    script.PRESETS["smoke"][1],
    perturbations=("noise-3",),
    detectors=("durall-knn",),
    train_images=150,
    images=20,
)


def textures(experiment, tail, seed, purpose):
    """In place of GANs: each tail has an exponent, each seed and purpose its own images."""
    n = experiment.train_images if purpose == "fit" else experiment.images
    exponent = {"BASELINE": 0.2, "N.1.5": 0.9}[tail]
    return power_law_textures(n, 16, exponent=exponent, seed=10 * seed + (purpose == "fit"))


def test_rates_are_those_of_the_detector_on_the_images_of_the_pair(monkeypatch, tmp_path):
    monkeypatch.setattr(script, "_generated", textures)
    experiment = replace(TINY, out=tmp_path)
    results = script.run(experiment)
    real, test = script._real_images(experiment)
    models = [
        fit_detector(real, textures(experiment, "BASELINE", s, "fit"), reference=0) for s in (0, 1)
    ]
    written = json.loads((tmp_path / "results.json").read_text())
    assert (written["rates"], written["real"]) == (results["rates"], results["real"])
    rows = {(r["robust"], r["gans"], r["tail"], r["perturbation"]): r for r in results["rates"]}
    assert len(rows) == len(results["rates"]) == 2 * 2 * 2 * 2
    for gans, seeds in (("same", (0, 1)), ("new", (1, 0))):
        for name in ("none", "noise-3"):
            expected = [
                (m.score([perturb(x, name) for x in textures(experiment, "N.1.5", s, "measure")])
                 > m.threshold).mean()
                for m, s in zip(models, seeds, strict=True)
            ]  # fmt: skip
            row = rows[False, gans, "N.1.5", name]
            assert_allclose(row["detection_rate_by_seed"], expected)
            assert_allclose(row["detection_rate"], np.mean(expected))
    kept = next(r for r in results["real"] if r["perturbation"] == "noise-3" and not r["robust"])
    noisy = [perturb(x, "noise-3") for x in test]
    assert_allclose(
        kept["real_accuracy_by_seed"], [(m.score(noisy) <= m.threshold).mean() for m in models]
    )
    assert (kept["family"], kept["strength"]) == ("noise", 3)
    page = (tmp_path / "report.html").read_text()
    assert "durall-knn, robust" in page and "Margin, as images are / mean after" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tails": ("N.1.5",)}, "detectors are trained on BASELINE"),
        ({"tails": ("BASELINE", "N.2.x")}, "N.2.x"),
        ({"seeds": (0,)}, "a new seed needs --seeds of two or more"),
        ({"detectors": ("dury-knn",)}, "unknown features 'dury'"),
        ({"detectors": ("dct",)}, "unknown classifier ''"),
        ({"perturbations": ("resize-bilinear-0.5",)}, "resize-bilinear-0.5 changes the size"),
        ({"perturbations": ("screenshot",)}, "screenshot changes the size"),
        ({"perturbations": ("jpg",)}, "unknown perturbation 'jpg'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(changes, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        script.run(replace(TINY, out=tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_a_finished_gan_of_other_settings_is_refused(tmp_path, monkeypatch):
    config = replace(TINY.gan, tail="N.1.5", seed=1, width=32)

    class Other:
        def __init__(self):
            self.config, self.step = config, 7

    (tmp_path / "dcgan-N.1.5-seed1").mkdir()
    monkeypatch.setattr(script, "load_gan", lambda run: (Other(), Other()))
    with pytest.raises(ValueError, match="steps 7, not 40, width 32, not 8"):
        script._generated(replace(TINY, gans=tmp_path), "N.1.5", 1, "fit")
    assert isinstance(config, GanConfig)


def results_of(rates):
    """Results of a plain and a robust detector, from (plain, robust) rates."""
    kinds = [("none", "none", 0), ("jpeg-90", "jpeg", 90), ("jpeg-50", "jpeg", 50),
             ("noise-3", "noise", 3)]  # fmt: skip
    made = {"protocol": {"tails": ["BASELINE", "N.1.5"]}, "rates": [], "real": []}
    for robust in (False, True):
        for name, family, strength in kinds:
            row = {"detector": "d-c", "robust": robust, "perturbation": name, "family": family,
                   "strength": strength}  # fmt: skip
            real, detected = rates[robust, name]
            made["real"].append({**row, "real_accuracy": real, "real_accuracy_std": 0.01})
            made["rates"] += [
                {**row, "gans": gans, "tail": tail, "detection_rate": value, "auc": value,
                 "detection_rate_std": None}
                for gans in ("same", "new")
                for tail, value in zip(made["protocol"]["tails"], detected, strict=True)
            ]  # fmt: skip
    return made


def test_margins_average_strengths_then_families():
    rates = {
        (robust, name): (0.9, (base, escaped))
        for robust, shift in ((False, 0.0), (True, 0.1))
        for name, base, escaped in (
            ("none", 0.8 - shift, 0.1), ("jpeg-90", 0.7 + shift, 0.1),
            ("jpeg-50", 0.5 + shift, 0.3), ("noise-3", 0.2 + shift, 0.2),
        )
    }  # fmt: skip
    results = results_of(rates)
    margin = margins(results, "d-c, plain", "new", "BASELINE")
    assert_allclose([margin["none"], margin["noise-3"]], [0.7, 0.1])
    margin, auc = (table.rows for table in summary(results))
    # Families: jpeg (.6 + .4) / 2, noise .1.
    assert margin[0] == ["d-c, plain", "same", "0.70 / 0.30", "0.00 / 0.10"]
    assert margin[3] == ["d-c, robust", "new", "0.60 / 0.40", "0.00 / 0.10"]
    assert auc[1] == ["d-c, plain", "new", "0.80 / 0.40", "0.10 / 0.20"]
    said = finding(results)
    assert "N.1.5, same seed: d-c, plain 0.00 as is, at most 0.20 (jpeg-50)" in said
    assert "same seed 0.70 -> 0.60 as is, 0.30 -> 0.40 after" in said
    assert middle_of(results) == ["none", "jpeg-50", "noise-3"]
    assert rates_table(results, "d-c, plain").rows[0][:3] == ["none", "0.90 ± 0.01", "0.80"]


@pytest.mark.slow
def test_the_smoke_preset_leaves_results_and_a_page(tmp_path):
    said = command("fourier_robustness", "smoke", "--out", tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert "report.html" in said and results["finding"].split("\n")[0] in said
    assert len(results["rates"]) == 2 * 2 * 2 * 2 * 7
    assert (tmp_path / "results.md").exists() and (tmp_path / "report.html").exists()
