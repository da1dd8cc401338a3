"""Command lines of the experiments: presets, and every setting of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from gan_forensics.experiments import (
    dag,
    doping,
    face_tracking,
    fourier_discrepancies,
    fourier_robustness,
    gn_gan,
    infomax_gan,
    label_smoothing_distillation,
    self_supervised_gan,
    spectral_regularisation,
    stargan,
    transferable_features,
    translation_distillation,
)

EXPERIMENTS = (
    dag,
    doping,
    face_tracking,
    fourier_discrepancies,
    fourier_robustness,
    gn_gan,
    infomax_gan,
    label_smoothing_distillation,
    self_supervised_gan,
    spectral_regularisation,
    stargan,
    transferable_features,
    translation_distillation,
)


def parsed(module, line, monkeypatch):
    """The experiment that a command line asks for."""
    seen = []

    def run(experiment):
        seen.append(experiment)
        return {"finding": "", "variants": [], "notes": [], "tasks": {}}

    monkeypatch.setattr(module, "run", run)
    module.main(line.split())
    return seen[0]


@pytest.mark.parametrize(("module", "name"), [(m, name) for m in EXPERIMENTS for name in m.PRESETS])
def test_a_preset_is_taken_as_it_is(module, name, monkeypatch):
    assert parsed(module, name, monkeypatch) == module.PRESETS[name][1]


@pytest.mark.parametrize(
    ("module", "line", "changes"),
    [
        (
            dag,
            "--data idx:x --parts limited leak2d --limited.arms none ADA --leak2d.seeds 4",
            {
                "data": "idx:x",
                "parts": ("limited", "leak2d"),
                "limited": {"arms": ("none", "ADA")},
                "leak2d": {"seeds": (4,)},
            },
        ),
        (
            doping,
            "--tables wine digits-7 --compare.seeds 4 5 --toys.radii 2 3 --odds data",
            {
                "tables": ("wine", "digits-7"),
                "odds": Path("data"),
                "compare": {"seeds": (4, 5)},
                "toys": {"radii": (2, 3)},
            },
        ),
        (
            face_tracking,
            "--synthetic.scenes plain fast --synthetic.seeds 4 --tracker.rate 0.1 --model x.wfm "
            "--stills a.png b.png",
            {
                "synthetic": {"scenes": ("plain", "fast"), "seeds": (4,)},
                "tracker": {"rate": 0.1},
                "model": Path("x.wfm"),
                "stills": (Path("a.png"), Path("b.png")),
            },
        ),
        (
            fourier_discrepancies,
            "--steps 200 --seeds 4 5 --tails BASELINE Z.1.7 --width 8",
            {"study": {"steps": 200, "seeds": (4, 5), "tails": ("BASELINE", "Z.1.7"), "width": 8}},
        ),
        (
            fourier_robustness,
            "--steps 200 --seeds 4 5 --width 8 --gans x --perturbations jpeg blur-2",
            {
                "steps": 200,
                "seeds": (4, 5),
                "gan": {"width": 8},
                "gans": Path("x"),
                "perturbations": ("jpeg", "blur-2"),
            },
        ),
        (
            gn_gan,
            "--parts grid9 line --grid9.groups gan fake --grid9.seeds 4 --line.steps 7",
            {
                "parts": ("grid9", "line"),
                "grid9": {"groups": ("gan", "fake"), "seeds": (4,)},
                "line": {"steps": 7},
            },
        ),
        (
            infomax_gan,
            "--parts modes --modes.seeds 3 4 --modes.steps 7",
            {"parts": ("modes",), "modes": {"seeds": (3, 4), "steps": 7}},
        ),
        (
            label_smoothing_distillation,
            "--parts toy --toy.seeds 4 --toy.temperatures 1 4 --fashion.data x --fashion.images 7 "
            "--fashion.select last test",
            {
                "parts": ("toy",),
                "toy": {"seeds": (4,), "temperatures": (1, 4)},
                "fashion": {"data": Path("x"), "images": (7,), "select": ("last", "test")},
            },
        ),
        (
            self_supervised_gan,
            "--parts stacked --digits.widths 2 4 --stacked.seeds 3 --stacked.steps 7",
            {
                "parts": ("stacked",),
                "digits": {"widths": (2, 4)},
                "stacked": {"seeds": (3,), "steps": 7},
            },
        ),
        (
            spectral_regularisation,
            "--seeds 4 --width 8 --steps 9",
            {"seeds": (4,), "steps": 9, "gan": {"width": 8}},
        ),
        (
            stargan,
            "--seeds 4 --upsamplings N B --steps 9 --width 8 --data toy:domains?n=90",
            {
                "seeds": (4,),
                "upsamplings": ("N", "B"),
                "steps": 9,
                "gan": {"width": 8, "data": "toy:domains?n=90"},
            },
        ),
        (
            transferable_features,
            "--seeds 4 5 --gans dcgan sngan --steps 9",
            {"seeds": (4, 5), "gans": ("dcgan", "sngan"), "steps": 9},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_setting_of_a_preset_can_be_overridden(module, line, changes, monkeypatch):
    expected = replace(module.PRESETS["cpu"][1], out=Path("/x"))
    for name, value in changes.items():
        new = replace(getattr(expected, name), **value) if isinstance(value, dict) else value
        expected = replace(expected, **{name: new})
    assert parsed(module, f"cpu --out /x {line}", monkeypatch) == expected
