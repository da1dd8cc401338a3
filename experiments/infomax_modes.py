"""Stacked digits, whose modes can be counted, and the GANs that are measured on them.

Three digits drawn independently are the red, green and blue channel of an image (Metz et al., ICLR
2017): 1000 modes, all equally likely. A classifier of single digits, trained here, says which mode
an image shows and supplies the features of a Frechet distance, those of the three channels side by
side. That distance is no FID.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from gan_forensics.data import ArraySource, open_source, rows_of_split, take
from gan_forensics.data.files import written_beside
from gan_forensics.gans import GanConfig, generate, train_gan
from gan_forensics.quality import FeatureExtractor, extract, fid, small_classifier_features
from gan_forensics.studies.runner import write_samples
from gan_forensics.train import Cadence, read_metrics

METHODS = ("sngan", "ssgan", "infomax-gan")
MODES = 1000
SIDE = 32
Images = UInt8[np.ndarray, "n h w c"]


@dataclass(frozen=True)
class Stacks:
    """The data, the GANs, and how they are measured; everything is the same for every method.

    Attributes:
        digits: source of single digits.
        count: stacked images in the file, a quarter of them of held-out digits.
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
    count: int = 16_000
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


def stacks(digits: str, rows: int, *, split: str) -> dict[str, np.ndarray]:
    """That many stacks of the digits of a split: "image" uint8 [n, 32, 32, 3], "label" the mode.

    The mode of the digits r, g, b is 100 r + 10 g + b. Always the same for the same arguments.
    """
    source = open_source(digits, size=SIDE, split=split)
    found = take(source, np.arange(len(source)))
    chosen = np.random.default_rng((split == "test", 3)).integers(len(source), size=(rows, 3))
    image = np.moveaxis(found["image"][chosen][..., 0], 1, -1)
    return {"image": image, "label": found["label"][chosen] @ np.array([100, 10, 1])}


def stack_file(path: Path, config: Stacks) -> Path:
    """Write the stacks where they are not there yet.

    The rows that a source holds out for "test" are stacks of held-out digits, so that
    `npz:PATH` with its splits serves every command.
    """
    if path.exists():
        return path
    parts = {}
    for split in ("train", "test"):
        rows = rows_of_split(range(config.count), split)
        for name, values in stacks(config.digits, len(rows), split=split).items():
            whole = parts.setdefault(
                name, np.zeros((config.count, *values.shape[1:]), values.dtype)
            )
            whole[rows] = values
    with written_beside(path) as partial:
        np.savez(partial, **parts)
    return path


@dataclass(frozen=True)
class Judge:
    """A classifier of single digits, and what it says of stacks.

    Attributes:
        digits: features and logits of single digits.
        accuracy: share of held-out digits that it gets right.
    """

    digits: FeatureExtractor
    accuracy: float

    @property
    def features(self) -> str:
        """What its features are called in results."""
        return f"{self.digits.name} of three channels ({self.digits.fingerprint[:8]})"

    def __call__(self, images: Images) -> tuple[Float[np.ndarray, "n d"], Int[np.ndarray, " n"]]:
        """Features and mode of every stack."""
        single = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3], 1)
        found = extract(self.digits, single)
        assert found.logits is not None  # a classifier has some
        modes = found.logits.argmax(1).reshape(-1, 3) @ np.array([100, 10, 1])
        return found.features.reshape(len(images), -1), modes


def judge(digits: str, run: Path, *, steps: int) -> Judge:
    """Train the classifier on the digits of the train split, once."""
    train, test = (open_source(digits, size=SIDE, split=split) for split in ("train", "test"))
    extractor = small_classifier_features(train, run, steps=steps)
    held_out = take(test, np.arange(len(test)))
    found = extract(extractor, ArraySource(image=held_out["image"]))
    assert found.logits is not None
    return Judge(extractor, float((found.logits.argmax(1) == held_out["label"]).mean()))


def coverage(modes: Int[np.ndarray, " n"], count: int = MODES) -> tuple[int, float]:
    """Modes that occur, and the KL divergence of their frequencies from uniform, in nats.

    KL(p, uniform) = sum_m p_m log(p_m count), from 0 (all alike) to log(count) (one alone). With n
    images of a uniform distribution it is about (count - 1) / (2 n) for n well above count, not 0.
    """
    p = np.bincount(modes, minlength=count) / len(modes)
    seen = p[p > 0]
    return len(seen), float((seen * np.log(seen * count)).sum())


def measure(images: Images, real: Images, by: Judge) -> dict[str, float]:
    """Modes, KL and Frechet distance of images against real ones."""
    features, modes = by(images)
    covered, divergence = coverage(modes)
    distance = fid(by(real)[0], features, features=by.features)
    return {"modes": covered, "kl": divergence, "frechet": distance.value}


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
        `rows`: method, seed, modes, kl, frechet; `real`: the same of held-out real stacks, against
        the same ones; `classifier`, `features`, `counts`.
    """
    data = f"npz:{stack_file(out / 'stacks.npz', config)}"
    by = judge(config.digits, out / "classifier", steps=config.classifier_steps)
    train, test = (open_source(data, size=SIDE, split=split) for split in ("train", "test"))
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
        "classifier": {"accuracy": by.accuracy, **by.digits.protocol},
        "features": by.features,
        "counts": {"real": len(held_out), "fake": config.images},
    }


def metrics_of(out: Path, method: str, seed: int) -> list[dict[str, Any]]:
    """The log of one GAN."""
    return read_metrics(out / "gans" / f"{method}-seed{seed}" / "metrics.jsonl")


def _some(source, count: int) -> Images:
    return take(source, np.arange(min(count, len(source))))["image"]
