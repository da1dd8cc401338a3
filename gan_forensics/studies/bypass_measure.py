"""What the study of last upsamplings measures: spectra, decay exponents and the bypass table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from gan_forensics.forensics.features import FEATURES
from gan_forensics.report.provenance import provenance
from gan_forensics.spectra import SpectrumStatistic, ring_radii
from gan_forensics.studies.bypass_rates import BASELINE, bypass_protocol
from gan_forensics.studies.pages import over_seeds

REAL = "real"
# What the spectra and decay tables are made of, whatever the detectors look at.
CURVE, DECAY = "durall", "dzanic"

Images = UInt8[np.ndarray, "n h w c"]
Features = Float64[np.ndarray, "n d"]


@dataclass(frozen=True)
class StudyConfig:
    """What is trained, measured and compared.

    Attributes:
        data: a source; its train part trains GANs and detectors, its test part tests detectors.
        size: side of the images, a power of two from 16.
        methods: GANs, of dcgan, lsgan, wgan-gp.
        tails: last upsamplings; must contain BASELINE.
        seeds: one GAN is trained for each method, tail and seed.
        steps: training steps of each GAN (a step of wgan-gp has five discriminator moves).
        width: channels of the GANs' widest maps.
        latent: length of the noise.
        batch_size: images a minibatch.
        learning_rate: of all GANs; by default each method's own.
        images: generated images of each GAN, and at most as many real ones of either part.
        features: what the detectors look at.
        classifiers: what decides.
        train_fraction: share of the images that a detector is trained on.
        runs: independent draws of the detectors' training images.
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
    features: tuple[str, ...] = ("durall", "dzanic")
    classifiers: tuple[str, ...] = ("knn", "svm", "mlp", "logistic")
    train_fraction: float = 0.1
    runs: int = 10


def measure(
    config: StudyConfig,
    real_train: Images,
    real_test: Images,
    fakes: Mapping[tuple[str, str, int], Images],
) -> dict[str, Any]:
    """Spectra, decay exponents and the bypass table of images that are there already.

    Args:
        config: names, classifiers and protocol.
        real_train: real images for training detectors.
        real_test: real images for testing them, from elsewhere.
        fakes: generated images by (method, tail, seed).

    Returns:
        `protocol`, `finding`, `spectra` (label -> mean, std and count over images, and
        cycles_per_pixel), `exponents` (a row of the decay per label; first real images) and
        `bypass` (a row per method, features, classifier and tail: means over seeds, their spread,
        and the value of each).
    """
    names = list(dict.fromkeys([*config.features, CURVE, DECAY]))
    real = {name: (_rows(name, real_train), _rows(name, real_test)) for name in names}
    spectra = {REAL: _curve(real[CURVE][1], config.size)}
    exponents = [_decay(REAL, real[CURVE][1], real[DECAY][1])]
    bypass = []
    # A method at a time: the DCT features of all of them would not fit into memory.
    for method in config.methods:
        rows = {
            (name, tail, seed): _rows(
                name, fakes[method, tail, seed], f"{method} {tail}, seed {seed}"
            )
            for name in names
            for tail in config.tails
            for seed in config.seeds
        }
        for tail in config.tails:
            label = f"{method} {tail}"
            curves, decays = (
                np.concatenate([rows[name, tail, seed] for seed in config.seeds])
                for name in (CURVE, DECAY)
            )
            spectra[label] = _curve(curves, config.size)
            exponents.append({"method": method, "tail": tail, **_decay(label, curves, decays)})
        for name in config.features:
            for classifier in config.classifiers:
                of_seed = {
                    seed: {tail: rows[name, tail, seed] for tail in config.tails}
                    for seed in config.seeds
                }
                bypass += _bypass(config, method, name, classifier, of_seed, real[name])
    return {
        "protocol": protocol(config, len(real_train), len(real_test)),
        "finding": finding(bypass),
        "spectra": spectra,
        "exponents": exponents,
        "bypass": bypass,
    }


def _rows(name: str, images: Images, gan: str = "the data") -> Features:
    """Features of the images that have some: an image of one flat colour has no spectrum."""
    values = FEATURES[name](images)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        raise ValueError(f"{gan}: not one of {len(images)} images has a spectrum; it collapsed")
    return values


def _curve(values: Features, size: int) -> dict[str, Any]:
    mean, std, count = SpectrumStatistic.zero(values.shape[1]).update(values).result()
    radii = ring_radii(size, size)
    found = {"cycles_per_pixel": radii, "mean": np.asarray(mean), "std": np.asarray(std)}
    return {name: array.tolist() for name, array in found.items()} | {"count": int(count)}


def _decay(label: str, curves: Features, decays: Features) -> dict[str, Any]:
    """The last value of the curve, and b, first and last magnitude of the decay fit."""
    exponent, start, end = decays.T
    return {
        "images": label,
        "curve_end": float(curves[:, -1].mean()),
        "curve_end_std": float(curves[:, -1].std()),
        "exponent": float(exponent.mean()),
        "exponent_std": float(exponent.std()),
        "start": float(start.mean()),
        "end": float(end.mean()),
        "count": len(decays),
    }


def _bypass(config, method, name, classifier, of_seed, real) -> list[dict[str, Any]]:
    """The rows of one method, features and classifier: means and spreads over GAN seeds."""
    per_seed = [
        bypass_protocol(
            real[0],
            rows[BASELINE],
            {tail: rows[tail] for tail in config.tails if tail != BASELINE},
            features=name,
            classifier=classifier,
            real_test_features=real[1],
            train_fraction=config.train_fraction,
            runs=config.runs,
            seed=seed,
        )
        for seed, rows in of_seed.items()
    ]
    table = []
    for same_tail in zip(*per_seed, strict=True):
        first = same_tail[0]
        row = {"method": method, **{key: first[key] for key in ("tail", "features", "classifier")}}
        for rate in ("detection_rate", "real_accuracy", "auc"):
            row |= over_seeds(rate, [result[rate] for result in same_tail])
            if len(same_tail) == 1:  # Without a spread between GANs, that between detectors.
                row[f"{rate}_std"] = first.get(f"{rate}_std")
        row |= {key: first[key] for key in ("n_real", "n_fake", "n_train", "runs")}
        table.append({**row, "seeds": list(config.seeds)})
    return table


def protocol(config: StudyConfig, n_real_train: int, n_real_test: int) -> dict[str, Any]:
    """What a reader must know to read the numbers, and what made them."""
    return {
        **asdict(config),
        "real_images_to_train_detectors_from": n_real_train,
        "real_images_to_test_detectors_on": n_real_test,
        "detectors_trained_on": f"real images and {BASELINE} images of the same GAN, "
        f"{config.train_fraction:g} of the smaller pool of each",
        "detection_rate": "share of a tail's images called generated",
        "real_accuracy": "share of real test images called real",
        "spread": "standard deviation between seeds; with one seed, between draws of the detector",
        "real_test_images": "the data's test part, which no GAN and no detector was trained on",
        **provenance(),
    }


def finding(bypass: Sequence[Mapping[str, Any]]) -> str:
    """The result in two lines, in numbers, whichever way it came out."""
    first = bypass[0]
    rows = [
        row
        for row in bypass
        if all(row[key] == first[key] for key in ("method", "features", "classifier"))
    ]
    listed = ", ".join(f"{row['tail']} {row['detection_rate']:.0%}" for row in rows)
    what = (
        f"A {first['features']}-{first['classifier']} detector trained on {first['method']} "
        f"{BASELINE} calls generated: {listed} (real images called real: "
        f"{first['real_accuracy']:.0%})."
    )
    escaped = [r["tail"] for r in rows if r["detection_rate"] < rows[0]["detection_rate"] / 2]
    if rows[0]["detection_rate"] < 0.75 or first["real_accuracy"] < 0.75:
        verdict = "The detector does not work well enough here to speak of a bypass."
    elif escaped:
        verdict = f"Changing the last upsampling to {' or '.join(escaped)} halves it or worse."
    else:
        verdict = "No change of the last upsampling halves the detection rate here."
    return f"{what}\n{verdict}"
