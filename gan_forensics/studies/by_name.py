"""Experiments by name, from a script or a notebook; what `python -m experiments.NAME` does."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from multiprocessing import current_process
from pathlib import Path
from typing import Any

from gan_forensics.files import listed
from gan_forensics.studies.overrides import overridden
from gan_forensics.studies.results import Results, read_results
from gan_forensics.studies.runner import prepare

# What can be run, by the name of its script in `experiments`.
EXPERIMENTS: Mapping[str, str] = {
    "dag": "data augmentation of GANs (Tran et al., TIP 2021)",
    "doping": "anomaly detection with doped rows (Lim et al., ICDM 2018)",
    "face_tracking": "3-D face tracking (Tran et al., ISVC 2013)",
    "fourier_discrepancies": "last upsamplings and detectors (Chandrasegaran et al., CVPR 2021)",
    "fourier_released": "released sheets and checkpoints of the same; setting `folder`, no presets",
    "fourier_robustness": "whether an escape survives compression and resizing",
    "gn_gan": "neighbour embedding and gradient matching (Tran et al., AAAI 2019)",
    "infomax_gan": "InfoMax-GAN (Lee et al., WACV 2021)",
    "label_smoothing_distillation": "smoothing and distillation (Chandrasegaran et al., ICML 2022)",
    "repmix": "attribution of GAN images (Bui et al., ECCV 2022)",
    "self_supervised_gan": "SSGAN and MS-GAN (Tran et al., NeurIPS 2019)",
    "spectral_regularisation": "the spectral loss (Durall et al., CVPR 2020) beside the upsampling",
    "stargan": "StarGAN's second upsampling (Choi et al., CVPR 2018)",
    "transferable_features": "transferable forensic features (Chandrasegaran et al., ECCV 2022)",
    "translation_distillation": "distillation of translators (Tan et al., ICLR 2019)",
}


def run(
    name: str,
    preset: str | None = None,
    *,
    out: Path | str | None = None,
    **overrides: Any,
) -> Results:
    """Carry out an experiment, or go on where it was stopped, and return what it found.

    It says what it does as the command does, and leaves results.json and report.html in its folder.
    Some start processes of their own: a script calls this below `if __name__ == "__main__":`.

    Args:
        name: a key of `EXPERIMENTS`.
        preset: such as "smoke" (about a minute), "cpu", "paper".
        out: the folder; by default `runs/NAME-PRESET`, as the preset has it. Parts that were asked
            for alike are taken from it, and its results.json is written anew.
        overrides: settings of the preset: `tables=("wine",)`; those of its parts by a dict or
            by a dotted name, `compare={"seeds": (0, 1)}` or `**{"compare.seeds": (0, 1)}`.

    Raises:
        ValueError: for a name, preset or setting that is not there, naming those that are, for a
            setting of another type, and for a folder that cannot be written to.
        RunFolderError: when a run in the folder is in use, or was asked for otherwise.

    Example:
        >>> results = run("doping", "smoke", out="runs/d", tables=("wine",))  # doctest: +SKIP
        >>> results.table("rows").groupby("augmentation")["auc"].mean()  # doctest: +SKIP
        >>> run("doping", "smok")
        Traceback (most recent call last):
            ...
        ValueError: no preset of doping 'smok'; did you mean 'smoke'? There are smoke, cpu, paper
    """
    # Set while a spawned process reads the script that started it.
    if getattr(current_process(), "_inheriting", False):
        raise RuntimeError('call run below `if __name__ == "__main__":`: it starts processes')
    module = import_module(f"gan_forensics.experiments.{_known(name, EXPERIMENTS, 'experiment')}")
    changes = overrides if out is None else {**overrides, "out": out}
    if hasattr(module, "PRESETS"):
        if preset is None:
            raise ValueError(f"{name} needs a preset: {listed(module.PRESETS)}")
        _, chosen = module.PRESETS[_known(preset, module.PRESETS, f"preset of {name}")]
        experiment = overridden(chosen, changes)
    else:
        experiment = overridden(_without_presets(name, module.Experiment, preset, changes), changes)
    prepare(experiment.out, "out")
    module.run(experiment)
    return read_results(experiment.out)


def _known(asked: str, known: Collection[str], what: str) -> str:
    if asked not in known:
        near = difflib.get_close_matches(str(asked), known, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no {what} {asked!r}; {meant}There are {listed(known)}")
    return asked


def _without_presets(name: str, kind: Any, preset: str | None, changes: Mapping[str, Any]) -> Any:
    """An experiment with its defaults; what has none must be among the changes."""
    if preset is not None:
        raise ValueError(f"{name} has no presets, got {preset!r}")
    needed = [
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    ]
    if missing := [each for each in needed if each not in changes]:
        raise ValueError(f"{name} needs {listed(missing)}")
    return kind(**dict.fromkeys(needed))
