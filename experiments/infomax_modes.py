"""The GANs that are measured on stacked digits, whose 1000 modes can be counted.

A classifier of single digits, trained here, says which mode an image shows and supplies the
features of a Frechet distance, those of the three channels side by side. That distance is no FID.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import open_source, take
from gan_forensics.data.stacked import Stacked
from gan_forensics.gans import GanConfig, generate, train_gan
from gan_forensics.quality import fid
from gan_forensics.quality.modes import Judge, ModeCount, calibration, count_modes, train_judge
from gan_forensics.studies.runner import write_samples
from gan_forensics.train import Cadence, read_metrics

METHODS = ("sngan", "ssgan", "infomax-gan")
SIDE = 32
Images = UInt8[np.ndarray, "n h w c"]


@dataclass(frozen=True)
class Stacks:
    """The data, the GANs, and how they are measured; everything is the same for every method.

    Attributes:
        digits: source of single digits.
        methods: GANs of `gan_forensics.gans.METHODS`.
        seeds: of training: initialisation, order and noise.
        steps: of the generator.
        n_dis: the discriminator's steps before each.
        batch_size: images a step.
        learning_rate: of both players.
        generator_width: channels of the generator's maps.
        discriminator_width: features of the discriminator.
        latent: length of the noise.
        images: images of every GAN that are measured.
        classifier_steps: training of the classifier.
    """

    digits: str = "samples:digits"
    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 500
    n_dis: int = 1
    batch_size: int = 32
    learning_rate: float = 1e-3
    generator_width: int = 16
    discriminator_width: int = 16
    latent: int = 64
    images: int = 4000
    classifier_steps: int = 800


def stacks(digits: str, split: str) -> Stacked:
    """Stacks of the digits of a split."""
    source = open_source(f"stacked:{digits}", size=SIDE, split=split)
    assert isinstance(source, Stacked)
    return source


def measure(images: Images, real: Images, by: Judge) -> dict[str, float]:
    """Mode counts and Frechet distance of images against real ones."""
    features, modes = by(images)
    distance = fid(by(real)[0], features, features=by.features)
    return {**_counted(count_modes(modes)), "frechet": distance.value}


def _counted(found: ModeCount) -> dict[str, float]:
    return {name: value for name, value in found._asdict().items() if name != "n"}


def gan_config(config: Stacks, method: str, seed: int, data: str) -> GanConfig:
    """The GAN of a method and seed; only these two differ between the GANs of an experiment."""
    names = ("latent", "batch_size", "learning_rate", "n_dis")
    names += ("generator_width", "discriminator_width")
    shared = {name: getattr(config, name) for name in names}
    return GanConfig(
        method=method, data=data, size=SIDE, architecture="resgan", seed=seed, **shared
    )


def compare(config: Stacks, out: Path) -> dict[str, Any]:
    """Train and measure every method with every seed, into run folders `out/gans/METHOD-seedN`.

    GANs that are finished there are used, one that was stopped goes on.

    Returns:
        `rows`: method, seed, counts (seen, half_share, effective, kl), frechet; `real`: the same of
        real stacks of the digits of training, against held-out ones as all are; `calibration`:
        counts of real stacks of known modes; `classifier`, `features`, `counts`.
    """
    data = f"stacked:{config.digits}"
    train, test = (stacks(config.digits, split) for split in ("train", "test"))
    by = train_judge(train.inner, test.inner, out / "classifier", steps=config.classifier_steps)
    held_out = _some(test, config.images)
    every, rows, shown = max(1, config.steps // 4), [], {"real": held_out}
    cadence = Cadence(
        config.steps,
        log_every=max(1, config.steps // 50),
        checkpoint_every=every,
        sample_every=every,
        keep=1,
    )
    for seed in config.seeds:
        for method in config.methods:
            name, gan = f"{method}-seed{seed}", gan_config(config, method, seed, data)
            trained = train_gan(gan, out / "gans" / name, cadence, resume=True)
            shown[name] = generate(*trained, config.images, seed=1000 + seed)
            rows.append({"method": method, "seed": seed, **measure(shown[name], held_out, by)})
    write_samples(out / "samples", {n: images[:40] for n, images in shown.items()}, columns=10)
    return {
        "rows": rows,
        "real": measure(_some(train, config.images), held_out, by),
        "calibration": [
            {"true": true, **_counted(found)}
            for true, found in calibration(by, config.images).items()
        ],
        "classifier": {"accuracy": by.accuracy, **by.digits.protocol},
        "features": by.features,
        "counts": {"real": len(held_out), "fake": config.images},
    }


def metrics_of(out: Path, method: str, seed: int) -> list[dict[str, Any]]:
    """The log of one GAN."""
    return read_metrics(out / "gans" / f"{method}-seed{seed}" / "metrics.jsonl")


def _some(source: Stacked, count: int) -> Images:
    return take(source, np.arange(min(count, len(source))))["image"]
