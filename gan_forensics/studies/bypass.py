"""Do GAN images betray themselves in the spectrum? The whole study, from photographs to numbers.

Chandrasegaran et al. (CVPR 2021): train GANs that differ only in the generator's last upsampling,
measure the spectra of their images, train detectors on real images against those of the BASELINE
tail, and count which tails they still see. Every GAN, detector draw and figure follows from the
config. A study that was stopped goes on where it was, and one that is asked for more methods,
tails or seeds trains only those that it lacks.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import image_grid, open_source, save_png, take
from gan_forensics.forensics.classifiers import CLASSIFIERS
from gan_forensics.forensics.features import FEATURES, pick
from gan_forensics.gans import METHODS, GanConfig, build, generate, train_gan
from gan_forensics.nn import parse_tail
from gan_forensics.report import Section
from gan_forensics.studies.bypass_measure import REAL, StudyConfig, measure
from gan_forensics.studies.bypass_page import write_page
from gan_forensics.studies.bypass_rates import BASELINE
from gan_forensics.train import Cadence, RunFolderError, TrainState, read_metrics
from gan_forensics.train.run_folder import differences, writing

Images = UInt8[np.ndarray, "n h w c"]
Trainer = Callable[[GanConfig, Path], TrainState]


def gan_configs(config: StudyConfig) -> dict[tuple[str, str, int], GanConfig]:
    """The GANs of a study by (method, tail, seed).

    Raises:
        ValueError: when BASELINE is missing, or a method or tail is unknown.
    """
    if BASELINE not in config.tails:
        raise ValueError(f"detectors are trained on {BASELINE}: add it to tails {config.tails}")
    for method in config.methods:
        pick(METHODS, method, "method")
    for tail in config.tails:
        parse_tail(tail)
    return {
        (method, tail, seed): GanConfig(
            method=method,
            data=config.data,
            size=config.size,
            tail=tail,
            width=config.width,
            latent=config.latent,
            channels=config.channels,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            seed=seed,
        )
        for method in config.methods
        for seed in config.seeds
        for tail in config.tails
    }


def run_study(
    config: StudyConfig,
    out: Path,
    *,
    train: Trainer | None = None,
    recipe: Mapping[str, Any] | None = None,
    appendix: Callable[[Mapping[str, Any]], Sequence[Section]] | None = None,
) -> dict[str, Any]:
    """Carry out a study into a folder.

    Args:
        config: what to do.
        out: gets `gans/<method>-<tail>-seed<seed>/` (run folders), `results.json`,
            `metrics.jsonl`, `samples/` and `report.html`. GANs that are finished there are used,
            one that was stopped goes on.
        train: trains (or finishes, or merely loads) a GAN in its run folder; by default
            `config.steps` steps at a constant learning rate.
        recipe: JSON-able facts about `train`, which go into the protocol; a folder whose GANs
            were trained by another recipe is refused.
        appendix: sections for the end of the page, made from the results.

    Returns:
        What is in results.json: `protocol`, `finding`, `spectra`, `exponents`, `bypass` and
        `timings` (seconds of this call; a GAN that was there already took only its loading).

    Raises:
        ValueError: for names or sizes that do not fit, before anything is trained.
        RunFolderError: when the folder is in use, or belongs to a study that trains otherwise.
    """
    started = time.monotonic()
    recipe = dict(recipe or {})
    gans = gan_configs(config)
    real_train, real_test = _real_images(config)
    with writing(out):
        # What the GANs' own configs do not hold: those are compared when the GANs are resumed.
        # Measuring is done anew every time, so that what it is told may change.
        _claim(out, {"steps": config.steps} | recipe)
        train = train or (lambda gan, run: _train_steadily(gan, run, config.steps))
        timings: dict[str, float] = {}
        fakes: dict[tuple[str, str, int], Images] = {}
        for (method, tail, seed), gan_config in gans.items():
            begun = time.monotonic()
            name = gan_name(method, tail, seed)
            state = train(gan_config, out / "gans" / name)
            fakes[method, tail, seed] = generate(
                build(gan_config), state, config.images, seed=1000 + seed
            )
            timings[name] = round(time.monotonic() - begun, 1)
        begun = time.monotonic()
        results = measure(config, real_train, real_test, fakes)
        results["protocol"] |= recipe
        timings["spectra and detectors"] = round(time.monotonic() - begun, 1)
        timings["in all"] = round(time.monotonic() - started, 1)
        results["timings"] = timings
        _write_samples(real_train, fakes, out / "samples")
        _write_log([gan_name(*key) for key in gans], out)
        _write_json(out / "results.json", results)
        write_page(out, results, appendix(results) if appendix else ())
    return results


def gan_name(method: str, tail: str, seed: int) -> str:
    """The name of a GAN's run folder, log lines and sample grid in a study."""
    return f"{method}-{tail}-seed{seed}"


# --- files ------------------------------------------------------------------------------------


def _real_images(config: StudyConfig) -> tuple[Images, Images]:
    """Up to `config.images` images of each part, drawn at random but always the same."""
    for name in config.features:
        pick(FEATURES, name, "features")
    for name in config.classifiers:
        pick(CLASSIFIERS, name, "classifier")
    parts = []
    for split in ("train", "test"):
        source = open_source(config.data, size=config.size, split=split)
        order = np.random.default_rng(0).permutation(len(source))[: config.images]
        parts.append(take(source, np.sort(order))["image"])
    return parts[0], parts[1]


def _train_steadily(config: GanConfig, run: Path, steps: int) -> TrainState:
    cadence = Cadence(steps, log_every=max(1, steps // 50), checkpoint_every=max(1, steps // 2))
    return train_gan(config, run, cadence, resume=True)


def _claim(out: Path, recipe: dict[str, Any]) -> None:
    """Refuse a folder whose GANs were trained otherwise; note how they are in a new one."""
    path = out / "study.json"
    recipe = json.loads(json.dumps(recipe))
    if not path.exists():
        _write_json(path, recipe)
    elif changes := differences(json.loads(path.read_text(encoding="utf-8")), recipe):
        listed = "".join(f"\n  {line}" for line in changes)
        raise RunFolderError(
            f"the GANs in {out} were trained otherwise (there -> now):{listed}\n"
            "choose another folder, or the settings of this one"
        )


def _write_json(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _write_log(names: Sequence[str], out: Path) -> None:
    """The logs of all GANs as one metrics.jsonl, each line with the name of its GAN."""
    partial = out / ".metrics.jsonl.partial"
    with partial.open("w", encoding="utf-8") as file:
        for name in names:
            for line in read_metrics(out / "gans" / name / "metrics.jsonl"):
                file.write(json.dumps({"gan": name, **line}) + "\n")
    os.replace(partial, out / "metrics.jsonl")


def _write_samples(real: Images, fakes: Mapping[tuple[str, str, int], Images], folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    grids = {REAL: real} | {gan_name(*key): images for key, images in fakes.items()}
    for name, images in grids.items():
        some = np.random.default_rng(1).permutation(len(images))[:32]
        save_png(folder / f"{name}.png", image_grid(images[some], columns=8))
