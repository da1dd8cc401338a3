"""The GANs of the attribution experiment: sources, semantics and training seeds, and a benchmark.

Part one of `experiments.repmix`. Attribution88 (Bui et al., ECCV 2022) is
not to be had here, so this makes a small benchmark of its kind: sources x semantics, of which some
are never seen in training, and, beyond it, several trainings (instances) of every GAN, one of which
no attributor sees. The generators' networks differ, except for one pair that differs in its loss
alone. Real images are those of dependencies; a part of each semantic trains no GAN. All is resumed
where it stopped: a training is kept when it is done, and goes on from its last checkpoint.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import (
    PHOTO_NAMES,
    image_grid,
    load_image,
    open_source,
    power_law_textures,
    save_png,
    take,
)
from gan_forensics.gans import GanConfig, train_gan
from gan_forensics.studies import runner
from gan_forensics.studies.benchmark import build_benchmark
from gan_forensics.train import Cadence

REAL = "real"


class Maker(NamedTuple):
    """A source of generated images.

    Attributes:
        year: in which its paper was presented, with the venue.
        network: of its generator, for tables.
        loss: for tables.
        config: fields of its `GanConfig`.
        pace: steps of training, relative to those of the strided networks.
    """

    year: int
    network: str
    loss: str
    config: Mapping[str, Any]
    pace: float = 1.0


# Rates and steps were chosen on digits and scenes of one seed, by looking at samples, so that each
# GAN draws something in about half a minute; they are not those of the papers.
_STRIDED = {"width": 16, "learning_rate": 1e-3, "discriminator_learning_rate": 4e-4}
_RESIDUAL = {
    "generator_width": 16,
    "discriminator_width": 16,
    "n_dis": 1,
    "learning_rate": 2e-4,
    "discriminator_learning_rate": 1e-3,
}
# Years are those of the venues: ICLR 2016, ICCV 2017, ICLR 2018, ICML 2019, CVPR 2021, NeurIPS
# 2024. dcgan and lsgan are the control: one network, one recipe, two losses.
MAKERS = {
    "dcgan": Maker(
        2016, "transposed convolutions", "non-saturating", {"method": "dcgan", **_STRIDED}
    ),
    "lsgan": Maker(
        2017, "transposed convolutions", "least squares", {"method": "lsgan", **_STRIDED}
    ),
    "sngan": Maker(
        2018, "residual, bilinear upsampling", "hinge", {"method": "sngan", **_RESIDUAL}, 0.5
    ),
    "sagan": Maker(
        2019,
        "residual, spectral norm and self-attention",
        "hinge",
        {"method": "sagan", **_RESIDUAL, "classes": 1},
        0.4,
    ),
    "nearest-tail": Maker(
        2021,
        "transposed convolutions, last nearest and a 5x5 convolution",
        "non-saturating",
        {"method": "dcgan", **_STRIDED, "tail": "N.1.5"},
    ),
    "r3gan": Maker(
        2024,
        "transposed convolutions, last bilinear and a 5x5 convolution",
        "relativistic, R1 and R2",
        {"method": "r3gan", "width": 16, "learning_rate": 4e-4, "tail": "B.1.5"},
        0.75,
    ),
}
CONTROL = ("dcgan", "lsgan")

Images = UInt8[np.ndarray, "n s s 3"]


def _photographs(names: Sequence[str], split: str, size: int, most: int | None) -> Images:
    """Crops of some photographs; those of "test" are of other regions and do not overlap."""
    crops = open_source("samples:photos", size=size, split=split)
    wanted = [PHOTO_NAMES.index(name) for name in names]
    rows = np.flatnonzero(np.isin(crops.corners[:, 0], wanted))  # pyright: ignore
    return take(crops, _spread(rows, most))["image"]


def _digits(split: str, size: int, most: int | None) -> Images:
    stacks = open_source("stacked:samples:mnist5k", size=size, split=split)
    return take(stacks, _spread(np.arange(len(stacks)), most or 500))["image"]


def _textures(split: str, size: int, most: int | None) -> Images:
    seed = {"train": 0, "test": 1}[split]
    return power_law_textures(most or 500, size, exponent=1.5, seed=seed)


def _spread(rows: np.ndarray, most: int | None) -> np.ndarray:
    """At most so many of the rows, from the first to the last."""
    if most is None or most >= len(rows):
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(int)]


_SCENES = (
    "astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "china", "flower",
)  # fmt: skip
# Each of (split, size, at most so many): real RGB images, of which those of "test" train no GAN.
SEMANTICS = {
    "scenes": partial(_photographs, _SCENES),
    "digits": _digits,
    "medicine": partial(_photographs, ("retina", "ihc")),
    "textures": _textures,
}


@dataclass(frozen=True)
class Gans:
    """Which GANs are trained on what, and what of them is in the benchmark.

    Attributes:
        makers: keys of `MAKERS`.
        seen: semantics that attributors are fitted on.
        unseen: other ones.
        seeds: instances of every source and seen semantic that attributors are fitted on.
        new_seeds: instances that they never see.
        unseen_seeds: instances of unseen semantics.
        size: side of the images.
        steps: of training, of strided networks.
        batch_size: images a minibatch.
        real: images of each semantic that train GANs.
        held_out: others, of which those of the benchmark are.
        train: images of each source and semantic in the benchmark's train split.
        val: in its val split.
        test: in its test split; the new seeds together have as many.
    """

    makers: tuple[str, ...] = tuple(MAKERS)
    seen: tuple[str, ...] = ("scenes", "digits")
    unseen: tuple[str, ...] = ("medicine",)
    seeds: tuple[int, ...] = (0, 1)
    new_seeds: tuple[int, ...] = (2,)
    unseen_seeds: tuple[int, ...] = (0,)
    size: int = 32
    steps: int = 800
    batch_size: int = 32
    real: int = 2000
    held_out: int = 420
    train: int = 120
    val: int = 60
    test: int = 120

    def instances(self) -> list[tuple[str, str, int]]:
        """Source, semantic and instance of every training; those that share a network together."""
        all_seeds = (*self.seeds, *self.new_seeds)
        return [
            (maker, semantic, seed)
            for maker in self.makers
            for semantic in (*self.seen, *self.unseen)
            for seed in (all_seeds if semantic in self.seen else self.unseen_seeds)
        ]

    def config(self, maker: str, semantic: str, instance: int, folder: Path) -> GanConfig:
        """Of one training. Seeds differ between sources: equal ones start equal networks alike."""
        return GanConfig(
            data=f"folder:{real_folder(folder, semantic)}",
            size=self.size,
            channels=3,
            batch_size=self.batch_size,
            latent=64,
            seed=zlib.crc32(f"{maker}/{semantic}/{instance}".encode()) % 2**31,
            **MAKERS[maker].config,
        )


SMOKE = Gans(
    makers=("dcgan", "lsgan", "nearest-tail"),
    unseen=("textures",),
    seeds=(0,),
    new_seeds=(1,),
    size=16,
    steps=2,
    batch_size=8,
    real=32,
    held_out=110,
    train=50,
    val=40,
    test=8,
)


def real_folder(folder: Path, semantic: str) -> Path:
    """Where the real images of a semantic lie, below train/ and test/."""
    return folder / "real" / semantic


def run_folder(folder: Path, maker: str, semantic: str, instance: int) -> Path:
    """Where a training lies."""
    return folder / "runs" / maker / semantic / str(instance)


def write_real(gans: Gans, folder: Path, semantic: str) -> None:
    """Write the real images of a semantic that train GANs, and those that do not."""
    most = {"train": gans.real, "test": gans.held_out}

    def job() -> dict[str, int]:
        counts = {}
        for split, count in most.items():
            images = SEMANTICS[semantic](split, gans.size, count)
            for i, image in enumerate(images):
                # A folder below each split: one class, which conditional GANs ask for.
                save_png(real_folder(folder, semantic) / split / "all" / f"{i:05d}.png", image)
            counts[split] = len(images)
        return counts

    asked = {"semantic": semantic, "size": gans.size, **most}
    runner.stored_part(folder / "parts" / f"real-{semantic}.json", asked, job)


def train_one(gans: Gans, folder: Path, maker: str, semantic: str, instance: int) -> float:
    """Train one GAN, or what is left of it; the seconds that it took in all."""
    run, config = (
        run_folder(folder, maker, semantic, instance),
        gans.config(maker, semantic, instance, folder),
    )
    steps = max(1, round(gans.steps * MAKERS[maker].pace))
    cadence = Cadence(steps, log_every=max(1, steps // 10), sample_every=max(1, steps // 2), keep=1)
    asked = {"config": vars(config), "steps": steps}
    name = f"{maker}-{semantic}-{instance}.json"

    def job() -> dict[str, Any]:
        train_gan(config, run, cadence, resume=True)
        return {}

    return runner.stored_part(folder / "parts" / name, asked, job)[1]


def train_maker(gans: Gans, folder: Path, maker: str) -> dict[str, float]:
    """Train all instances of a source, which share one compilation; seconds by instance."""
    seconds = {}
    for of, semantic, instance in gans.instances():
        if of == maker:
            seconds[f"{maker}/{semantic}/{instance}"] = train_one(
                gans, folder, maker, semantic, instance
            )
    return seconds


def train_all(gans: Gans, folder: Path, *, processes: int | None = None) -> dict[str, float]:
    """Write the real images and train every GAN that is not trained yet; seconds of each."""
    for semantic in (*gans.seen, *gans.unseen):
        write_real(gans, folder, semantic)
    jobs = [(gans, folder, maker) for maker in gans.makers]
    parts = runner.in_processes(train_maker, jobs, processes)
    return {name: seconds for part in parts for name, seconds in part.items()}


def build(gans: Gans, folder: Path) -> Path:
    """Write the benchmark of all GANs, if it is not there; its folder."""
    benchmark = folder / "benchmark"
    build_benchmark(
        benchmark,
        [f"{m}/{s}/{i}={run_folder(folder, m, s, i)}" for m, s, i in gans.instances()],
        {s: f"folder:{real_folder(folder, s)}" for s in (*gans.seen, *gans.unseen)},
        unseen=gans.unseen,
        new_seeds=[str(seed) for seed in gans.new_seeds],
        counts={"train": gans.train, "val": gans.val, "test": gans.test},
        say=print,
    )
    for semantic in (*gans.seen, *gans.unseen):
        write_samples(gans, folder, semantic)
    return benchmark


def write_samples(gans: Gans, folder: Path, semantic: str) -> None:
    """A picture of a semantic: a row of eight images for each source and instance, real first."""
    rows, names = [], [(REAL, "")]
    names += [(m, str(i)) for m, s, i in gans.instances() if s == semantic]
    for source, instance in names:
        paths = sorted((folder / "benchmark" / source / semantic / instance).glob("test-*.png"))
        rows += [load_image(path) for path in paths[:8]]
    save_png(folder / "samples" / f"{semantic}.png", image_grid(np.stack(rows), columns=8))
