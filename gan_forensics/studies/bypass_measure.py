"""What a study of last upsamplings measures: spectra, decay, quality, and what detectors see."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.forensics.calibration import smallest_calibration_set
from gan_forensics.report.provenance import provenance
from gan_forensics.spectra import ring_radii
from gan_forensics.studies.bypass_cells import Cells, Origin, Training
from gan_forensics.studies.bypass_detectors import find_detector, rows_of
from gan_forensics.studies.bypass_quality import quality_rows, said_quality
from gan_forensics.studies.bypass_rates import BASELINE, FALSE_ALARMS, Parts
from gan_forensics.studies.bypass_tables import across_data, across_gans, bypass_rows, finding

REAL = "real"
# What the spectra and decay tables are made of, whatever the detectors look at.
CURVE, DECAY = "durall", "dzanic"
# Of other sources, GANs of these tails alone are trained.
ELSEWHERE_TAILS = (BASELINE, "Z.1.5", "N.1.5", "B.1.5")

Images = UInt8[np.ndarray, "n h w c"]


@dataclass(frozen=True)
class StudyConfig:
    """What is trained, measured and compared.

    Attributes:
        data: a source; its train part trains GANs and detectors. Half of its test part tests
            detectors, the other half sets the thresholds of 5 % false alarms.
        size: side of the images, a power of two from 16.
        methods: GANs, of dcgan, lsgan, wgan-gp.
        tails: last upsamplings; must contain BASELINE.
        seeds: one GAN is trained for each method, tail and seed.
        steps: training steps of each GAN (a step of wgan-gp has five discriminator moves).
        width: channels of the GANs' widest maps.
        latent: length of the noise.
        batch_size: images a minibatch.
        learning_rate: of all GANs; by default each method's own.
        images: generated images of each GAN, and at most as many real ones of each part.
        detectors: FEATURES-CLASSIFIER, such as durall-knn, or networks, such as npr.
        trained_on: sets of tails that detectors are trained on, such as BASELINE+N.1.5; the first
            is BASELINE.
        elsewhere: other sources; detectors of the first method are tested on GANs of these, and
            others trained on these.
        train_fraction: share of the images that a detector is trained on.
        runs: independent draws of the detectors' training images.

    Example:
        >>> StudyConfig(tails=("BASELINE", "N.1.5"), seeds=(0, 1)).methods
        ('dcgan',)
    """

    data: str = "samples:photos"
    size: int = 32
    methods: tuple[str, ...] = ("dcgan",)
    tails: tuple[str, ...] = (BASELINE, "Z.1.5", "N.1.5")
    seeds: tuple[int, ...] = (0,)
    steps: int = 1000
    width: int = 16
    latent: int = 64
    batch_size: int = 32
    learning_rate: float | None = None
    images: int = 1000
    detectors: tuple[str, ...] = (
        *("durall-knn", "durall-svm", "durall-mlp", "durall-logistic"),
        *("dzanic-knn", "dzanic-svm", "dzanic-mlp", "dzanic-logistic", "dct-logistic"),
    )
    trained_on: tuple[str, ...] = (BASELINE,)
    elsewhere: tuple[str, ...] = ()
    train_fraction: float = 0.1
    runs: int = 10


def check_config(config: StudyConfig) -> None:
    """Refuse a study that could not be measured, before anything is trained.

    Raises:
        ValueError: for unknown detectors, training sets of tails that are not there, and data that
            is its own other source.
    """
    for name in config.detectors:
        find_detector(name)
    if not config.detectors:
        raise ValueError("no detectors: give some, such as durall-knn")
    if config.trained_on[:1] != (BASELINE,):
        raise ValueError(
            f"the first set of tails that detectors are trained on must be {BASELINE}, got "
            f"{config.trained_on}"
        )
    missing = {t for tails in config.trained_on for t in tails.split("+")} - set(config.tails)
    if missing:
        raise ValueError(
            f"detectors are to be trained on {', '.join(sorted(missing))}: add it to tails "
            f"{config.tails}"
        )
    if config.data in config.elsewhere:
        raise ValueError(f"{config.data} cannot be elsewhere too: give other sources")


def check_parts(data: str, real: Parts) -> None:
    """Refuse real images that are too few to set a threshold (ValueError)."""
    least = smallest_calibration_set(FALSE_ALARMS)
    if len(real.calibration) < least:
        raise ValueError(
            f"the test part of {data} has {len(real.calibration) + len(real.test)} images; half of "
            f"them, which sets the threshold of {FALSE_ALARMS:.0%} false alarms, must be at least "
            f"{least}: give more data"
        )


def origins(config: StudyConfig) -> list[Origin]:
    """The GANs of a study, those of other sources last."""
    home = [
        Origin(config.data, method, tail, seed)
        for method in config.methods
        for seed in config.seeds
        for tail in config.tails
    ]
    away = [
        Origin(data, config.methods[0], tail, seed)
        for data in config.elsewhere
        for seed in config.seeds
        for tail in config.tails
        if tail in ELSEWHERE_TAILS
    ]
    return home + away


def trainings(config: StudyConfig) -> list[Training]:
    """What detectors are trained on; of other sources, BASELINE of the first method."""
    home = [
        Training(config.data, method, tails, seed)
        for method in config.methods
        for tails in config.trained_on
        for seed in config.seeds
    ]
    away = [
        Training(data, config.methods[0], BASELINE, seed)
        for data in config.elsewhere
        for seed in config.seeds
    ]
    return home + away


def is_tested(training: Training, origin: Origin) -> bool:
    """Whether detectors of a training are tested on a GAN.

    All are on GANs of their own method, and those of BASELINE on GANs of other methods; on other
    data, those of BASELINE are on GANs of their own method with a few tails.
    """
    if training.data != origin.data:
        same = training.method == origin.method and training.tails == BASELINE
        return same and origin.tail in ELSEWHERE_TAILS
    return training.tails == BASELINE or training.method == origin.method


def spectral_facts(images: Images, source: str) -> dict[str, Any]:
    """The curve and the decay fit of some images: means, deviations, counts.

    Raises:
        ValueError: when no image has a spectrum, naming the source.
    """
    curves, decays = rows_of(CURVE, images, source), rows_of(DECAY, images, source)
    values = {"curve": curves, "curve_end": curves[:, -1]}
    values |= dict(zip(("exponent", "start", "end"), decays.T, strict=True))
    return {
        name: {"mean": v.mean(0).tolist(), "std": v.std(0).tolist(), "count": len(v)}
        for name, v in values.items()
    }


def results_of(
    config: StudyConfig,
    real: Mapping[str, Parts],
    facts: Mapping[Any, Mapping[str, Any]],
    quality: Mapping[Origin, Mapping[str, float]],
    cells: Cells,
) -> dict[str, Any]:
    """Everything that was measured, as results.json has it.

    Args:
        config: of the study.
        real: images by data.
        facts: `spectral_facts` by GAN, and of real test images by `REAL`.
        quality: Frechet distances by GAN, then by the features' name.
        cells: of all detectors.

    Returns:
        `protocol`, `finding`, `spectra` (label -> mean, std and count over images, and
        cycles_per_pixel), `exponents` (a row of the decay per label; first real images), `quality`
        (a row per GAN), and the rows of `bypass`, `across_gans` and `across_data`.
    """
    radii = ring_radii(config.size, config.size).tolist()
    spectra = {REAL: {"cycles_per_pixel": radii, **facts[REAL]["curve"]}}
    exponents = [{"images": REAL, **_decay(facts[REAL])}]
    for method in config.methods:
        for tail in config.tails:
            of_seeds = [facts[Origin(config.data, method, tail, seed)] for seed in config.seeds]
            merged = {name: _pooled([f[name] for f in of_seeds]) for name in of_seeds[0]}
            label = f"{method} {tail}"
            spectra[label] = {"cycles_per_pixel": radii, **merged["curve"]}
            exponents.append({"images": label, "method": method, "tail": tail, **_decay(merged)})
    bypass = bypass_rows(cells, data=config.data)
    judged = quality_rows(config.data, facts, quality)
    parts = real[config.data]
    return {
        "protocol": protocol(config, parts),
        "finding": f"{finding(bypass)}\n{said_quality(judged, facts[REAL])}",
        "spectra": spectra,
        "exponents": exponents,
        "quality": judged,
        "bypass": bypass,
        "across_gans": across_gans(cells, data=config.data) if len(config.methods) > 1 else [],
        "across_data": across_data(cells, tails=ELSEWHERE_TAILS) if config.elsewhere else [],
    }


def _pooled(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over the images of all parts."""
    counts = np.array([part["count"] for part in parts], float)
    means, stds = (np.array([part[name] for part in parts]) for name in ("mean", "std"))
    mean = np.tensordot(counts, means, 1) / counts.sum()
    square = np.tensordot(counts, stds**2 + (means - mean) ** 2, 1) / counts.sum()
    return {"mean": mean.tolist(), "std": np.sqrt(square).tolist(), "count": int(counts.sum())}


def _decay(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The last value of the curve, and b, first and last magnitude of the decay fit."""
    row = {}
    for name in ("curve_end", "exponent"):
        row |= {name: facts[name]["mean"], f"{name}_std": facts[name]["std"]}
    row |= {name: facts[name]["mean"] for name in ("start", "end")}
    return {**row, "count": facts["exponent"]["count"]}


def protocol(config: StudyConfig, real: Parts) -> dict[str, Any]:
    """What a reader must know to read the numbers, and what made them."""
    return {
        **asdict(config),
        "real_images_to_train_detectors_from": len(real.train),
        "real_images_to_set_thresholds_by": len(real.calibration),
        "real_images_to_test_detectors_on": len(real.test),
        "detectors_trained_on": "real images and images of GANs of one method and seed, "
        f"{config.train_fraction:g} of the smaller pool of either class; networks half of it, once",
        "threshold": f"at most {FALSE_ALARMS:.0%} of new real images, set on real images of their "
        "own, for each draw; the detectors' own boundary beside it",
        "detection_rate": "share of a GAN's images called generated",
        "gan_seed": "same: the GAN's seed is that of the GANs that trained the detector; new: not",
        "intervals": "95 %, exact, of as many trials as there are GAN seeds, each with one vote",
        "spread": "lowest and highest of all pairs of a detector's and a GAN's seed",
        **provenance(),
    }
