"""Do GAN images betray themselves in the spectrum? The whole study, from photographs to numbers.

Chandrasegaran et al. (CVPR 2021): train GANs that differ only in the generator's last upsampling,
measure the spectra of their images, train detectors on real images against those of the BASELINE
tail, and count which tails they still see. Every GAN, detector draw and figure follows from the
config. A study that was stopped goes on where it was, and one that is asked for more methods,
tails or seeds trains only those that it lacks.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import open_source, take
from gan_forensics.data.files import write_json, write_text
from gan_forensics.forensics.classifiers import CLASSIFIERS
from gan_forensics.forensics.features import FEATURES, lookup
from gan_forensics.gans import METHODS, Gan, GanConfig, generate, train_gan
from gan_forensics.nn import parse_tail
from gan_forensics.report import Section
from gan_forensics.studies.bypass_measure import REAL, StudyConfig, measure
from gan_forensics.studies.bypass_page import write_page
from gan_forensics.studies.bypass_rates import BASELINE
from gan_forensics.studies.runner import claim_recipe, write_samples
from gan_forensics.train import Cadence, TrainState, read_metrics
from gan_forensics.train.run_folder import writing

Images = UInt8[np.ndarray, "n h w c"]
Trainer = Callable[[GanConfig, Path], tuple[Gan, TrainState]]


def gan_configs(config: StudyConfig) -> dict[tuple[str, str, int], GanConfig]:
    """The GANs of a study by (method, tail, seed).

    Raises:
        ValueError: when BASELINE is missing, or a method or tail is unknown.
    """
    if BASELINE not in config.tails:
        raise ValueError(f"detectors are trained on {BASELINE}: add it to tails {config.tails}")
    for method in config.methods:
        lookup(METHODS, method, "method")
    for tail in config.tails:
        parse_tail(tail)
    names = ("data", "size", "width", "latent", "batch_size", "learning_rate")
    shared = {name: getattr(config, name) for name in names}
    return {
        (method, tail, seed): GanConfig(method=method, tail=tail, seed=seed, **shared)
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
        claim_recipe(out / "study.json", {"steps": config.steps} | recipe)
        train = train or (lambda gan, run: _train_steadily(gan, run, config.steps))
        timings: dict[str, float] = {}
        fakes: dict[tuple[str, str, int], Images] = {}
        for (method, tail, seed), gan_config in gans.items():
            begun = time.monotonic()
            name = gan_name(method, tail, seed)
            gan, state = train(gan_config, out / "gans" / name)
            fakes[method, tail, seed] = generate(gan, state, config.images, seed=1000 + seed)
            timings[name] = round(time.monotonic() - begun, 1)
        begun = time.monotonic()
        results = measure(config, real_train, real_test, fakes)
        results["protocol"] |= recipe
        timings["spectra and detectors"] = round(time.monotonic() - begun, 1)
        timings["in all"] = round(time.monotonic() - started, 1)
        results["timings"] = timings
        named = {REAL: real_train} | {gan_name(*key): images for key, images in fakes.items()}
        some = {name: _drawn(images, 32) for name, images in named.items()}
        write_samples(out / "samples", some, columns=8)
        _write_log([gan_name(*key) for key in gans], out)
        write_json(out / "results.json", results)
        write_page(out, results, appendix(results) if appendix else ())
    return results


def gan_name(method: str, tail: str, seed: int) -> str:
    """The name of a GAN's run folder, log lines and sample grid in a study."""
    return f"{method}-{tail}-seed{seed}"


# --- files ------------------------------------------------------------------------------------


def _real_images(config: StudyConfig) -> tuple[Images, Images]:
    """Up to `config.images` images of each part, drawn at random but always the same."""
    for name in config.features:
        lookup(FEATURES, name, "features")
    for name in config.classifiers:
        lookup(CLASSIFIERS, name, "classifier")
    parts = []
    for split in ("train", "test"):
        source = open_source(config.data, size=config.size, split=split)
        order = np.random.default_rng(0).permutation(len(source))[: config.images]
        parts.append(take(source, np.sort(order))["image"])
    return parts[0], parts[1]


def _drawn(images: Images, count: int) -> Images:
    return images[np.random.default_rng(1).permutation(len(images))[:count]]


def _train_steadily(config: GanConfig, run: Path, steps: int) -> tuple[Gan, TrainState]:
    cadence = Cadence(steps, log_every=max(1, steps // 50), checkpoint_every=max(1, steps // 2))
    return train_gan(config, run, cadence, resume=True)


def _write_log(names: Sequence[str], out: Path) -> None:
    """The logs of all GANs as one metrics.jsonl, each line with the name of its GAN."""
    lines = [
        json.dumps({"gan": name, **line}) + "\n"
        for name in names
        for line in read_metrics(out / "gans" / name / "metrics.jsonl")
    ]
    write_text(out / "metrics.jsonl", "".join(lines))
