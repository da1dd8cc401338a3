"""Do GAN images betray themselves in the spectrum? The whole study, from photographs to numbers.

Chandrasegaran et al. (CVPR 2021): train GANs that differ only in the generator's last upsampling,
measure the spectra of their images, train detectors on real images against those of the BASELINE
tail, and count which tails they still see. Every GAN, detector draw and figure follows from the
config. A study that was stopped goes on where it was, and one that is asked for more methods,
tails, seeds or detectors carries out only what it lacks.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import open_source, take
from gan_forensics.files import write_text, written_beside
from gan_forensics.forensics.features import lookup
from gan_forensics.gans import METHODS, Gan, GanConfig, generate, train_gan
from gan_forensics.nn import parse_tail
from gan_forensics.quality import images_digest
from gan_forensics.report import Section
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.studies.bypass_cells import (
    Origin,
    Training,
    joined,
    measure_cells,
    restored,
    stored,
)
from gan_forensics.studies.bypass_detectors import find_detector
from gan_forensics.studies.bypass_measure import (
    REAL,
    StudyConfig,
    check_config,
    check_parts,
    is_tested,
    origins,
    results_of,
    spectral_facts,
    trainings,
)
from gan_forensics.studies.bypass_page import write_page
from gan_forensics.studies.bypass_quality import distances, feature_networks
from gan_forensics.studies.bypass_rates import BASELINE, Parts
from gan_forensics.studies.bypass_tables import cell_rows
from gan_forensics.studies.results import scalars, write_results
from gan_forensics.studies.runner import claim_recipe, in_processes, stored_part, write_samples
from gan_forensics.train import Cadence, TrainState, read_metrics
from gan_forensics.train.run_folder import writing

Images = UInt8[np.ndarray, "n h w c"]
Trainer = Callable[[GanConfig, Path], tuple[Gan, TrainState]]


def gan_configs(config: StudyConfig) -> dict[Origin, GanConfig]:
    """The GANs of a study by their origin.

    Raises:
        ValueError: when BASELINE is missing, or a method or tail is unknown.
    """
    if BASELINE not in config.tails:
        raise ValueError(f"detectors are trained on {BASELINE}: add it to tails {config.tails}")
    for method in config.methods:
        lookup(METHODS, method, "method")
    for tail in config.tails:
        parse_tail(tail)
    names = ("size", "width", "latent", "batch_size", "learning_rate")
    shared = {name: getattr(config, name) for name in names}
    return {origin: GanConfig(**origin._asdict(), **shared) for origin in origins(config)}


def run_study(
    config: StudyConfig,
    out: Path,
    *,
    train: Trainer | None = None,
    recipe: Mapping[str, Any] | None = None,
    processes: int | None = 1,
    appendix: Callable[[Mapping[str, Any]], Sequence[Section]] | None = None,
) -> dict[str, Any]:
    """Carry out a study into a folder.

    Args:
        config: what to do.
        out: gets `gans/<method>-<tail>-seed<seed>/` (run folders), `images/` (what they drew),
            `parts/` (what was measured), `results.json`, `metrics.jsonl`, `samples/` and
            `report.html`. What is finished there is used, a GAN that was stopped goes on.
        train: trains (or finishes, or merely loads) a GAN in its run folder; by default
            `config.steps` steps at a constant learning rate. With several processes it must be a
            function of a module, or a partial one.
        recipe: JSON-able facts about `train`, which go into the protocol; a folder whose GANs
            were trained by another recipe is refused.
        processes: GANs and measurements at a time; None for as many as cores.
        appendix: sections for the end of the page, made from the results.

    Returns:
        What is in results.json: that of `bypass_measure.results_of`, and `timings`, seconds of
        every GAN and measurement when it was carried out.

    Raises:
        ValueError: for names or sizes that do not fit, before anything is trained.
        RunFolderError: when the folder is in use, or belongs to a study that trains otherwise.

    Example:
        >>> config = StudyConfig(tails=("BASELINE", "N.1.5"), steps=300)
        >>> run_study(config, Path("runs/study"))["bypass"]  # doctest: +SKIP
    """
    started = time.monotonic()
    recipe = {"steps": config.steps} | dict(recipe or {})
    gans = gan_configs(config)
    check_config(config)
    real = {data: real_parts(config, data) for data in (config.data, *config.elsewhere)}
    with writing(out):
        # What the GANs' own configs do not hold: those are compared when the GANs are resumed.
        claim_recipe(out / "study.json", recipe)
        jobs = [(config, out, origin, gan, train, recipe) for origin, gan in gans.items()]
        made = dict(zip(gans, in_processes(_make, jobs, processes), strict=True))
        timings = {gan_name(o, config.data): round(s, 1) for o, (_, s) in made.items()}
        digests = {origin: kept["digest"] for origin, (kept, _) in made.items()}
        groups = _groups(config)
        jobs = [(config, out, names, some, digests) for names, some in groups]
        parts = in_processes(_measure, jobs, processes)
        for (names, _), (_, seconds) in zip(groups, parts, strict=True):
            what = f"detectors: {_features(names[0])}"
            timings[what] = round(timings.get(what, 0.0) + seconds, 1)
        quality, seconds = _quality(config, out, real[config.data].train, digests)
        timings["Frechet distances"] = round(seconds, 1)
        facts: dict[Any, Any] = {origin: kept["facts"] for origin, (kept, _) in made.items()}
        facts[REAL] = spectral_facts(real[config.data].test, "the real images")
        cells = joined([restored(kept) for kept, _ in parts])
        results = results_of(config, real, facts, quality, cells)
        results["protocol"] |= recipe
        timings["in all, of this call"] = round(time.monotonic() - started, 1)
        results["timings"] = timings
        some = {gan_name(o, config.data): _drawn(_images(out, o, config.data)) for o in gans}
        write_samples(out / "samples", {REAL: _drawn(real[config.data].train)} | some, columns=8)
        _write_log([gan_name(o, config.data) for o in gans], out)
        fake, real_images = cell_rows(cells)
        tables = {"rows": fake, "false_alarms": real_images}
        tables["quality"] = [
            {**scalars(row), **{f"frechet, {name}": d for name, d in row["distances"].items()}}
            for row in results["quality"]
        ]
        for name in ("exponents", "bypass", "across_gans", "across_data"):
            tables[name] = [scalars(row) for row in results[name]]
        results = write_results(out, results, tables)
        write_page(out, results, appendix(results) if appendix else ())
    return results


def gan_name(origin: Origin, home: str) -> str:
    """The name of a GAN's run folder, log lines and sample grid in a study of the data `home`."""
    data, method, tail, seed = origin
    name = f"{method}-{tail}-seed{seed}"
    return name if data == home else f"{name}-on-{re.sub('[^a-z0-9]+', '-', data.lower())}"


def real_parts(config: StudyConfig, data: str) -> Parts:
    """Up to `config.images` images of each part, drawn at random but always the same.

    Raises:
        ValueError: when they are too few to set a threshold.
    """

    def some(split: str) -> tuple[Any, np.ndarray]:
        source = open_source(data, size=config.size, split=split)
        return source, np.random.default_rng(0).permutation(len(source))

    source, order = some("train")
    train = take(source, np.sort(order[: config.images]))["image"]
    source, order = some("test")
    half = min(config.images, len(order) // 2)
    halves = (np.sort(order[first : first + half]) for first in (half, 0))
    parts = Parts(train, *(take(source, places)["image"] for places in halves))
    check_parts(data, parts)
    return parts


# --- parts, each in a process -----------------------------------------------------------------


def _make(
    config: StudyConfig,
    out: Path,
    origin: Origin,
    gan_config: GanConfig,
    train: Trainer | None,
    recipe: Mapping[str, Any],
) -> tuple[dict[str, Any], float]:
    """Train a GAN and keep its images: their digest and spectral facts, and the seconds."""
    _begin()
    name, path = gan_name(origin, config.data), _path(out, origin, config.data)
    part = out / "parts" / f"gan-{name}.json"
    if not path.exists():
        part.unlink(missing_ok=True)

    def job() -> dict[str, Any]:
        run = out / "gans" / name
        trained = (
            train(gan_config, run) if train else _train_steadily(gan_config, run, config.steps)
        )
        images = generate(*trained, config.images, seed=1000 + origin.seed)
        with written_beside(path) as partial:
            np.save(partial, images)
        return {"digest": images_digest([images]), "facts": spectral_facts(images, name)}

    asked = {"gan": asdict(gan_config), "images": config.images, **recipe}
    return stored_part(part, asked, job)


def _groups(config: StudyConfig) -> list[tuple[list[str], list[Training]]]:
    """Detectors and trainings that are measured together: by features, networks one by one."""
    by_features: dict[str, list[str]] = {}
    for name in config.detectors:
        by_features.setdefault(_features(name), []).append(name)
    groups = []
    for names in by_features.values():
        all_of = trainings(config)
        network = find_detector(names[0]).features is None
        groups += [(names, [each]) for each in all_of] if network else [(names, all_of)]
    # Networks first: they take longest.
    return sorted(groups, key=lambda group: len(group[1]) > 1)


def _measure(
    config: StudyConfig,
    out: Path,
    names: list[str],
    some: list[Training],
    digests: Mapping[Origin, str],
) -> tuple[dict[str, Any], float]:
    """The cells of some detectors and trainings, as they are kept, and the seconds."""
    _begin()
    asked_of = [o for o in digests if any(is_tested(training, o) for training in some)]
    datas = dict.fromkeys([t.data for t in some] + [o.data for o in asked_of])
    real = {data: real_parts(config, data) for data in datas}
    draws = find_detector(names[0]).draws(config.train_fraction, config.runs)
    asked = {
        "detectors": names,
        "trainings": some,
        "real": {data: [images_digest([part]) for part in parts] for data, parts in real.items()},
        "images": {gan_name(o, config.data): digests[o] for o in asked_of},
        **draws,
    }

    def job() -> dict[str, Any]:
        images = {o: _images(out, o, config.data) for o in asked_of}
        return stored(measure_cells(names, some, is_tested, real, images, **draws))

    file = _features(names[0])
    if find_detector(names[0]).features is None:
        (training,) = some
        file += f"-{gan_name(Origin(*training), config.data)}"
    return stored_part(out / "parts" / f"rates-{file}.json", asked, job)


def _quality(
    config: StudyConfig, out: Path, real: Images, digests: Mapping[Origin, str]
) -> tuple[dict[Origin, dict[str, float]], float]:
    """Frechet distances of every GAN of the study's own data, and the seconds."""
    own = [origin for origin in digests if origin.data == config.data]
    asked = {"real": images_digest([real]), "images": [digests[origin] for origin in own]}

    def job() -> list[dict[str, float]]:
        networks = feature_networks(config.data, config.size, out)
        return [distances(real, _images(out, o, config.data), networks) for o in own]

    kept, seconds = stored_part(out / "parts" / "quality.json", asked, job)
    return dict(zip(own, kept, strict=True)), seconds


def _begin() -> None:
    """What a process of `in_processes` does first; this one's is its user's."""
    if parent_process() is not None:
        keep_scratch_memory()
        keep_compiled()


def _features(detector: str) -> str:
    return find_detector(detector).features or detector


# --- files ------------------------------------------------------------------------------------


def _path(out: Path, origin: Origin, home: str) -> Path:
    return out / "images" / f"{gan_name(origin, home)}.npy"


def _images(out: Path, origin: Origin, home: str) -> Images:
    return np.load(_path(out, origin, home), mmap_mode="r")


def _drawn(images: Images) -> Images:
    return images[np.random.default_rng(1).permutation(len(images))[:32]]


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
