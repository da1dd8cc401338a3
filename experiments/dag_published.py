"""CIFAR-10 with a part of its training images: policies, published numbers, and ours beside them.

The host is the residual SN-GAN of mimicry (Adam 2e-4 (0, 0.9), five discriminator moves a step,
rates to 0 over 100,000 steps); BigGAN, the authors' host, is not in this project. DAG's weight is
0.2. The tables of the paper itself are not known here: what stands beside is from the README files
of its repository (BigGAN, FID of 10,000 images) and of DiffAugment's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import open_source
from gan_forensics.experiments.dag_measures import subset
from gan_forensics.experiments.infomax_published import train_and_measure
from gan_forensics.files import written_beside
from gan_forensics.gans import GanConfig
from gan_forensics.report import Section, Table

SOURCE = "tfds:cifar10"
STEPS = 100_000
FRACTIONS = (1.0, 0.25, 0.2, 0.1)
# Fields of the config by policy.
POLICIES: dict[str, dict[str, str]] = {
    "none": {},
    "classical": {"augment": "classical", "transforms": "rotation,crop"},
    "diffaugment": {"augment": "diffaugment", "transforms": "translation,cutout"},
    "cr": {"augment": "cr"},
    "dag-rotation": {"augment": "dag", "transforms": "rotation"},
    "dag-fliprot": {"augment": "dag", "transforms": "fliprot"},
    "dag-rotation-crop": {"augment": "dag", "transforms": "rotation,crop"},
    "dag-all": {"augment": "dag", "transforms": "rotation,crop,random-translation,cutout"},
}
# Model -> inception score and FID with 10 %, with 20 %. In the repository's row "rotation" the
# code holds flips and rotations, and crops.
REPOSITORY = {
    "BigGAN": (7.03, 48.3, 8.51, 22.3),
    "+ DiffAugment translation, cutout": (8.40, 23.9, 8.79, 14.6),
    '+ DAG "rotation" (really fliprot and crop)': (7.87, 36.9, 8.98, 17.6),
    "+ DAG rotation, crop": (8.63, 23.6, 8.83, 14.1),
    "+ DAG rotation, crop, translation, cutout": (8.65, 21.3, 8.84, 13.1),
}
# Model -> FID with 100 %, 20 %, 10 %.
DIFFAUGMENT = {
    "BigGAN": (9.59, 21.58, 39.78),
    "BigGAN + DiffAugment": (8.70, 14.04, 22.40),
    "CR-BigGAN": (9.06, 20.62, 37.45),
    "CR-BigGAN + DiffAugment": (8.49, 12.84, 18.70),
}


@dataclass(frozen=True)
class Published:
    """What is run, and how the GANs are measured.

    Attributes:
        fractions: of the training images.
        policies: keys of `POLICIES`.
        seeds: of training.
        inception: file with the FID Inception weights; needed as soon as something is run.
        images: real (of all training images) and generated ones that are compared.
        draws: of generated images of one model.
        steps: of training.
    """

    fractions: tuple[float, ...] = FRACTIONS
    policies: tuple[str, ...] = tuple(POLICIES)
    seeds: tuple[int, ...] = (0, 1, 2)
    inception: Path | None = None
    images: int = 10_000
    draws: int = 3
    steps: int = STEPS


def policy_config(policy: str, *, data: str, seed: int = 0, steps: int = STEPS) -> GanConfig:
    """The GAN of a policy, on all images of a source.

    Raises:
        ValueError: for an unknown policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"unknown policy {policy!r}; policies are {', '.join(POLICIES)}")
    return GanConfig(
        "sngan",
        data=data,
        split="all",
        size=32,
        channels=3,
        architecture="resgan",
        schedule="linear",
        decay_steps=steps,
        seed=seed,
        **POLICIES[policy],  # pyright: ignore[reportArgumentType]
    )


def reproduce(config: Published, out: Path) -> list[dict[str, Any]]:
    """Train and measure, in run folders `out/published/FRACTION-POLICY-seedN`.

    Raises:
        ValueError: without Inception weights, before anything is trained.
    """
    runs = {}
    for fraction in config.fractions:
        path = out / f"cifar10-{100 * fraction:.0f}-percent.npz"
        for policy in config.policies:
            for seed in config.seeds:
                gan = policy_config(policy, data=f"npz:{path}", seed=seed, steps=config.steps)
                runs[f"{fraction:.0%}", policy, seed] = (gan, config.steps)
        if config.inception is not None and not path.exists():
            whole = open_source(SOURCE, size=32, split="train")
            with written_beside(path) as partial:
                np.savez(partial, **subset(whole, fraction).arrays)  # pyright: ignore
    return train_and_measure(
        runs,
        out,
        inception=config.inception,
        images=config.images,
        draws=config.draws,
        real=SOURCE,
    )


def published_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Published numbers, and ours where something was measured."""
    ours: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["name"] == "FID":
            ours.setdefault((row["recipe"], row["method"]), []).append(row["value"])
    names = [f"{fraction:.0%}" for fraction in FRACTIONS]
    beside = [
        [
            policy,
            *(
                float(np.mean(ours[name, policy])) if (name, policy) in ours else None
                for name in names
            ),
        ]
        for policy in POLICIES
    ]
    return Section(
        "Limited CIFAR-10",
        [
            Table(
                "Ours: FID of the residual SN-GAN against training images of the whole set, means "
                "over training seeds. Empty: not run.",
                ["policy", *names],
                beside,
            ),
            Table(
                "BigGAN, from the README files of DAG's repository: inception score and FID with "
                "10,000 images, DiffAugment run anew by its authors.",
                ["model", "IS, 10%", "FID, 10%", "IS, 20%", "FID, 20%"],
                [[name, *values] for name, values in REPOSITORY.items()],
            ),
            Table(
                "BigGAN, from the README file of DiffAugment: FID with 10,000 images. The "
                "baselines of the two sources differ (48.3 and 39.78 with 10 %): compare within.",
                ["model", "100%", "20%", "10%"],
                [[name, *values] for name, values in DIFFAUGMENT.items()],
            ),
        ],
    )
