"""Do images that escape a spectral detector still escape after what happens to pictures?

    python -m experiments.fourier_robustness smoke   # shows that everything runs
    python -m experiments.fourier_robustness cpu     # the tables in experiments/README.md
    python -m experiments.fourier_robustness cpu --gans FOLDER   # with GANs that are there

    preset  hardware      time         what
    smoke   2 CPU cores   under 60 s   16 pixels, 2 tails, 6 perturbations
    cpu     2 CPU cores   7 minutes    DCGAN, 5 tails, 3 seeds, photographs 32x32, 46 perturbations

Chandrasegaran et al. (CVPR 2021) let images of the N and B tails pass detectors that were trained
on BASELINE. Here such detectors, plain and robust (trained on images after carriers too), score
five tails after recompression once and twice, shrinking by three resizers, blur and noise. A
detector is fitted on BASELINE of one seed; "new" are GANs of the next seed.

Expected (cpu), share of N.1.5 called generated less that of real images, as they are and at most
after a perturbation, means over three seeds: `durall-knn` -0.01 and 0.00, `dzanic-knn` -0.03 and
0.00, `dct-logistic` 0.20 and 0.47, robust `dct-logistic` 0.90 and 0.90. Share of BASELINE called
generated as it is, plain and robust: `durall-knn` 0.99 and 0.33, `dzanic-knn` 0.98 and 0.32,
`dct-logistic` 1.00 and 1.00.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from gan_forensics.cli.entry import piped
from gan_forensics.data import open_source, take
from gan_forensics.data.perturbations import kind_of, names_of, perturb
from gan_forensics.experiments.fourier_robustness_page import finding, write_pages
from gan_forensics.forensics import CLASSIFIERS, FEATURES, SpectralDetector, fit_detector
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.metrics import count_scores, roc_auc
from gan_forensics.gans import GanConfig, generate, load_gan, train_gan
from gan_forensics.nn import parse_tail
from gan_forensics.report.provenance import provenance
from gan_forensics.studies.bypass_rates import BASELINE
from gan_forensics.studies.pages import over_seeds
from gan_forensics.studies.results import seed_rows, write_results
from gan_forensics.studies.runner import carry_out, chosen
from gan_forensics.train import Cadence
from gan_forensics.train.run_folder import writing

Images = UInt8[np.ndarray, "n h w c"]
# Real images, or those of a tail and a seed.
REAL = "real"
# (tail, seed), or REAL -> perturbation -> scores of its images.
Scores = dict[Any, dict[str, Float64[np.ndarray, " n"]]]


@dataclass(frozen=True)
class Experiment:
    """What is trained, perturbed and scored.

    Attributes:
        gan: what all GANs have in common; `tail` and `seed` are replaced.
        out: folder for results.json, results.md, report.html and the GANs.
        gans: folder with finished GANs, `<method>-<tail>-seed<seed>/`, as the experiment
            `fourier_discrepancies` leaves them; those that it lacks are trained in `out`.
        tails: last upsamplings; must contain BASELINE.
        seeds: a GAN of each tail and two detectors of each kind for each; at least two.
        steps: training steps of the GANs.
        train_images: of either class, that detectors are fitted and their threshold is set on.
        images: of each GAN, and real ones of the test part, that are perturbed and scored.
        perturbations: families or names of `data.perturbations` that keep the size.
        detectors: features and classifier, FEATURES-CLASSIFIER.
        false_alarms: share of real images that the thresholds accept.
    """

    gan: GanConfig
    out: Path
    gans: Path | None = None
    tails: tuple[str, ...] = (BASELINE, "Z.1.5", "N.1.5", "B.1.5", "N.3.5")
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 300
    train_images: int = 1000
    images: int = 300
    perturbations: tuple[str, ...] = (
        "jpeg", "webp", "jpeg-75+jpeg", "jpeg-75+webp", "webp-75+jpeg",
        "down-up", "down-up-opencv", "down-up-lanczos", "blur", "noise",
    )  # fmt: skip
    detectors: tuple[str, ...] = ("durall-knn", "dzanic-knn", "dct-logistic")
    false_alarms: float = 0.05


QUESTION = "Do images that escape a spectral detector still escape after what happens to pictures?"
PRESETS = {
    "smoke": (
        "Under a minute: shows that everything runs.",
        Experiment(
            GanConfig(
                data="toy:powerlaw?n=800",
                size=16,
                width=8,
                latent=16,
                batch_size=16,
                learning_rate=1e-3,
            ),
            out=Path("runs/fourier-robustness-smoke"),
            tails=(BASELINE, "N.1.5"),
            seeds=(0, 1),
            steps=40,
            train_images=150,
            images=60,
            perturbations=("jpeg", "noise-3"),
            detectors=("durall-knn", "dct-logistic"),
        ),
    ),
    "cpu": (
        "Real photographs at 32x32 on a CPU.",
        Experiment(
            GanConfig(size=32, width=16, latent=64, batch_size=32, learning_rate=4e-4),
            out=Path("runs/fourier-robustness-cpu"),
        ),
    ),
}


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the experiment out; returns what is in results.json.

    `rates` holds a row for each detector, whether it is robust, the GANs ("same" or "new" seed),
    tail and perturbation: the share called generated, the AUC against real images that went
    through the same, as means over seeds with their spread and values; `real` the shares of real
    images called real.

    Raises:
        ValueError: for names or sizes that do not fit, before anything is trained.
    """
    names = ("none", *names_of(experiment.perturbations))
    _check(experiment, names)
    started = time.monotonic()
    with writing(experiment.out):
        real, test = _real_images(experiment)
        of_seed = {seed: _generated(experiment, BASELINE, seed, "fit") for seed in experiment.seeds}
        fitted = {
            (name, robust, seed): _fitted(experiment, name, robust, real, of_seed[seed])
            for name in experiment.detectors
            for robust in (False, True)
            for seed in experiment.seeds
        }
        scores: dict[tuple[str, bool, int], Scores] = {key: {} for key in fitted}
        seconds = {"GANs to fit on, and detectors": time.monotonic() - started}
        for group in (REAL, *product(experiment.tails, experiment.seeds)):
            images = test if group == REAL else _generated(experiment, *group, "measure")
            for name in names:
                made = np.stack([perturb(image, name) for image in images])
                tables = {kind: FEATURES[kind](made) for kind in _features(experiment)}
                for key, detector in fitted.items():
                    if group == REAL or key[2] in _scored_by(experiment, group[1]):
                        found = detector.model.decide(tables[detector.features])
                        scores[key].setdefault(group, {})[name] = found
            print(f"{group if group == REAL else '{}, seed {}'.format(*group)}: scored", flush=True)
        seconds["in all"] = time.monotonic() - started
        results = _results(experiment, names, fitted, scores, len(real), len(test))
        results["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
        results = write_results(experiment.out, results, tables_of(results))
        write_pages(experiment.out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: rates by detector, perturbation, tail and seed of the detector; real images."""
    seeds = results["protocol"]["seeds"]
    keep = ("detector", "robust", "perturbation", "family", "strength")
    return {
        "rows": seed_rows(results["rates"], seeds, keep=(*keep, "gans", "tail")),
        "real": seed_rows(results["real"], seeds, keep=keep),
    }


def _check(experiment: Experiment, names: Sequence[str]) -> None:
    """Refuse names that do not exist, too few seeds, and perturbations that change the size."""
    if BASELINE not in experiment.tails:
        raise ValueError(f"detectors are trained on {BASELINE}: add it to {experiment.tails}")
    for tail in experiment.tails:
        parse_tail(tail)
    if len(set(experiment.seeds)) < 2:
        raise ValueError(f"a new seed needs --seeds of two or more, got {experiment.seeds}")
    for name in experiment.detectors:
        features, _, classifier = name.partition("-")
        lookup(FEATURES, features, "features")
        lookup(CLASSIFIERS, classifier, "classifier")
    blank = np.zeros((experiment.gan.size, experiment.gan.size, 3), np.uint8)
    for name in names:
        if perturb(blank, name).shape != blank.shape:
            raise ValueError(f"{name} changes the size of images: leave it out")


def _features(experiment: Experiment) -> list[str]:
    return list(dict.fromkeys(name.partition("-")[0] for name in experiment.detectors))


def _after(experiment: Experiment, seed: int) -> int:
    """The seed that is new to a detector of a seed."""
    place = experiment.seeds.index(seed)
    return experiment.seeds[(place + 1) % len(experiment.seeds)]


def _scored_by(experiment: Experiment, seed: int) -> list[int]:
    """The seeds of the detectors that score GANs of a seed: its own, and that before it."""
    return [s for s in experiment.seeds if seed in (s, _after(experiment, s))]


def _real_images(experiment: Experiment) -> tuple[Images, Images]:
    """Real images to fit on, of the train part, and to measure on, of the test part."""
    parts = []
    for split, most in (("train", experiment.train_images), ("test", experiment.images)):
        source = open_source(experiment.gan.data, size=experiment.gan.size, split=split)
        order = np.random.default_rng(0).permutation(len(source))[:most]
        parts.append(take(source, np.sort(order))["image"])
    return parts[0], parts[1]


def _generated(experiment: Experiment, tail: str, seed: int, purpose: str) -> Images:
    """Images of a GAN, which is trained where it is not there yet; other noise to measure on."""
    name = f"{experiment.gan.method}-{tail}-seed{seed}"
    config = replace(experiment.gan, tail=tail, seed=seed)
    there = experiment.gans and experiment.gans / name
    if there and there.is_dir():
        gan, state = load_gan(there)
        # What a config leaves open is filled in when a GAN is built.
        asked = {"steps": experiment.steps, **asdict(config)}
        has = {"steps": int(state.step), **asdict(gan.config)}
        if other := [k for k, v in asked.items() if v is not None and v != has[k]]:
            raise ValueError(
                f"{there}: this GAN is another than asked for: "
                + ", ".join(f"{name} {has[name]}, not {asked[name]}" for name in other)
            )
    else:
        cadence = Cadence(experiment.steps, log_every=max(1, experiment.steps // 50))
        gan, state = train_gan(config, experiment.out / "gans" / name, cadence, resume=True)
    count, start = {
        "fit": (experiment.train_images, 1000), "measure": (experiment.images, 2000)
    }[purpose]  # fmt: skip
    return generate(gan, state, count, seed=start + seed)


def _fitted(
    experiment: Experiment, name: str, robust: bool, real: Images, fake: Images
) -> SpectralDetector:
    features, _, classifier = name.partition("-")
    return fit_detector(
        real, fake, features=features, classifier=classifier, robust=robust,
        calibration=experiment.false_alarms, reference=0,
    )  # fmt: skip


def _results(experiment, names, fitted, scores, n_fit: int, n_test: int) -> dict[str, Any]:
    """Rates over the seeds, with the protocol and the finding."""
    rates, real = [], []
    for detector in experiment.detectors:
        for robust in (False, True):
            some = {s: (fitted[detector, robust, s], scores[detector, robust, s])
                    for s in experiment.seeds}  # fmt: skip
            kind = {"detector": detector, "robust": robust}
            for name in names:
                place = dict(zip(("family", "strength"), kind_of(name), strict=True))
                row = {**kind, "perturbation": name, **place}
                kept = [1 - _above(model, found[REAL][name]) for model, found in some.values()]
                real.append(row | over_seeds("real_accuracy", kept))
                rates += [
                    row | {"gans": gans, "tail": tail} | _over(some, tail, name, seeds)
                    for gans, seeds in _pairs(experiment)
                    for tail in experiment.tails
                ]
    protocol = {
        **{k: v for k, v in asdict(experiment.gan).items() if k not in ("tail", "seed")},
        **{k: v for k, v in asdict(experiment).items() if k not in ("gan", "out", "gans")},
        "real_images_to_fit_on": n_fit,
        "real_images_to_measure_on": n_test,
        "detectors_fitted_on": f"real images against {BASELINE} of one seed; three fifths train, "
        "a fifth of the real ones sets the threshold",
        "robust": "also trained on images after the standing carriers, the threshold bounding "
        "false alarms under each of them",
        "thresholds": [
            {"detector": name, "robust": robust, "seed": seed, "threshold": d.threshold,
             "strictest": d.facts.get("strictest")}
            for (name, robust, seed), d in fitted.items()
        ],
        "new": "GANs of the seed after the one that the detector knows; the last one's is the "
        "first",
        "spread": "standard deviation (n - 1) over seeds",
        **provenance(),
    }  # fmt: skip
    results = {"protocol": protocol, "rates": rates, "real": real}
    return {"finding": finding(results), **results}


def _pairs(experiment: Experiment) -> Iterator[tuple[str, dict[int, int]]]:
    """What GANs are called -> the seed of a detector -> that of the GAN it scores."""
    yield "same", {seed: seed for seed in experiment.seeds}
    yield "new", {seed: _after(experiment, seed) for seed in experiment.seeds}


def _over(some: Mapping[int, tuple[SpectralDetector, Scores]], tail, name, seeds):
    """Detection and AUC of a tail after a perturbation, over the seeds of detectors."""
    detected, aucs = [], []
    for seed, (model, found) in some.items():
        fake, real = found[tail, seeds[seed]][name], found[REAL][name]
        detected.append(_above(model, fake))
        known = [x[~np.isnan(x)] for x in (real, fake)]
        aucs.append(float(roc_auc(count_scores(*known))) if all(map(len, known)) else np.nan)
    return over_seeds("detection_rate", detected) | over_seeds("auc", aucs)


def _above(model: SpectralDetector, scores: Float64[np.ndarray, " n"]) -> float:
    """The share above the threshold; an image without a spectrum is not called generated."""
    return float((scores > model.threshold).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = chosen(PRESETS, "fourier_robustness", QUESTION, arguments, omit_prefixes=True)
    carry_out(experiment, run)


if __name__ == "__main__":
    piped(main)
