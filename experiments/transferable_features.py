"""Which channels carry evidence from one GAN to the next? (Chandrasegaran et al., ECCV 2022)

    python -m experiments.transferable_features smoke   # shows that everything runs
    python -m experiments.transferable_features cpu     # five GANs, a synthetic world, 3 seeds
    python -m experiments.transferable_features paper --forensynths DIR --progan-val DIR
        --weights blur_jpg_prob0.5.pth

    preset  hardware      time         what
    smoke   2 CPU cores   not timed    two GANs of a few steps, one seed, a tiny network
    cpu     2 CPU cores   18 minutes   five GANs on photographs and the synthetic world, 3 seeds
    paper   GPU or TPU    not run      published weights on ForenSynths, whole images

A detector is trained on real photographs and images of the first GAN, and tested on all. Its
channels are ranked by relevance on images of the first GAN; the best 3 % are silenced, against as
many random ones (five draws) and the last ones; images are made gray. "robust" detectors saw gray
images in training. The synthetic world has a cue of pure colour, so that the answer is known: base
detectors must fail in gray, robust ones must not, and those of the world without colour must not.

Published (ResNet-50, 114 of 26,560 channels silenced): AP on unseen GANs falls from 90-99 to
55-73 per cent, with random channels to 88-99; in gray to 75-98, with robust detectors to 88-100.
Expected of `cpu` (36 of 1208 silenced): from 71-88 to 50-60, with random channels to 70-85; in
gray to 53-85, with robust detectors, from 68-89, to 63-96. In the synthetic world gray leaves
36-42 per cent to base detectors and 97-100 to the others.

Every setting of a preset can be overridden: `cpu --seeds 0 1 --out runs/short`. A run that was
stopped goes on with the next detector when it is started again.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.cli.entry import piped
from gan_forensics.data import ArraySource, open_source, take
from gan_forensics.experiments import transferable_toy as toy
from gan_forensics.experiments.transferable_folders import measure_folders
from gan_forensics.experiments.transferable_page import QUESTION, finding, write_page
from gan_forensics.forensics.neural_parts import part
from gan_forensics.forensics.neural_training import DetectorConfig, train_detector
from gan_forensics.gans import GanConfig, generate, train_gan
from gan_forensics.report.provenance import provenance
from gan_forensics.studies.results import scalars, write_results
from gan_forensics.studies.runner import (
    as_json,
    carry_out,
    chosen,
    stored_part,
    write_samples,
)
from gan_forensics.studies.transferable import probe_colour, rank_features, silence
from gan_forensics.train import Cadence

Array = UInt8[np.ndarray, "n h w 3"]
VARIANTS = ("base", "robust")


@dataclass(frozen=True)
class Experiment:
    """What is trained and measured.

    Attributes:
        out: folder for results.json, report.html, the GANs and the detectors.
        data: source of real images, with a train and a test split.
        size: side of the images.
        gans: method, or method:tail; detectors are trained on the first. None of them: no GANs.
        gan_steps: of each GAN.
        gan_width: of strided networks' largest maps; residual networks have twice as many.
        gan_batch: images a minibatch.
        n_dis: moves of the discriminator a step; by default each method's own.
        gan_rate: learning rate of strided GANs.
        images: of each source to test on; detectors are trained on four times as many.
        seeds: of detectors; the GANs have one seed.
        width: of the detector, resnet_small.
        steps: of each detector on photographs.
        probability: of blur and JPEG, each.
        learning_rate: of detectors.
        toy_steps: of each detector of the synthetic world; 0 leaves it out.
        toy_images: of each kind to train on there.
        draws: random sets of channels.
        confidence: probability from which generated images count for the ranking; below 1/2 only
            to show that everything runs.
        forensynths: folder of the ForenSynths test sets, for `paper`.
        progan_val: folder of ProGAN's validation images, for `paper`.
        weights: a published detector (.pth), or a detector file of ours, for `paper`.
        arch: of these weights.
        robust_weights: the colour-robust one, if there is one.
    """

    out: Path
    data: str = "samples:photos"
    size: int = 32
    gans: tuple[str, ...] = ("dcgan", "dcgan:N.1.5", "lsgan:Z.1.5", "wgan-gp", "sngan")
    gan_steps: int = 400
    gan_width: int = 16
    gan_batch: int = 32
    n_dis: int | None = 2
    gan_rate: float = 4e-4
    images: int = 300
    seeds: tuple[int, ...] = (0, 1, 2)
    width: int = 8
    steps: int = 240
    probability: float = 0.1
    learning_rate: float = 1e-3
    toy_steps: int = 200
    toy_images: int = 1500
    draws: int = 5
    confidence: float = 0.9
    forensynths: Path | None = None
    progan_val: Path | None = None
    weights: Path | None = None
    arch: str = "resnet50"
    robust_weights: Path | None = None


SMOKE = Experiment(
    Path("runs/transferable-smoke"),
    data="toy:powerlaw?n=400",
    gans=("dcgan", "lsgan"),
    gan_steps=10,
    gan_width=4,
    gan_batch=8,
    images=40,
    seeds=(0,),
    width=4,
    steps=8,
    toy_steps=8,
    toy_images=100,
    draws=2,
    confidence=0.0,
)
CPU = Experiment(Path("runs/transferable-cpu"))
PAPER = Experiment(Path("runs/transferable-paper"), gans=(), toy_steps=0)
PRESETS = {
    "smoke": ("Shows that everything runs.", SMOKE),
    "cpu": ("Five GANs on photographs and a synthetic world, on a CPU.", CPU),
    "paper": ("Published weights on ForenSynths; needs an accelerator.", PAPER),
}


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry an experiment out; returns what is in results.json.

    Raises:
        ValueError: for unknown GANs, a single one, and settings that do not fit.
        FileNotFoundError: for folders or weights that are not there.
    """
    start = time.perf_counter()
    # Its GANs and detectors are found from anywhere.
    experiment = replace(experiment, out=experiment.out.absolute())
    protocol = as_json({**asdict(experiment), **provenance()})
    results: dict[str, Any] = {"protocol": protocol, "seconds": {}}
    if experiment.gans:
        results["photographs"] = photographs(experiment, results["seconds"])
    if experiment.toy_steps:
        results["toy"] = synthetic(experiment, results["seconds"])
    if experiment.forensynths:
        results["forensynths"] = measure_folders(experiment)
    if results.keys() == {"protocol", "seconds"}:
        raise ValueError(
            "nothing to do: give --gans, --toy-steps, or --forensynths with --progan-val and "
            "--weights"
        )
    results["seconds"]["this call"] = time.perf_counter() - start
    results["finding"] = finding(results)
    results = write_results(experiment.out, results, tables_of(results))
    write_page(experiment.out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: silenced channels by detector, seed and source; colour; detectors."""
    tables: dict[str, list[dict[str, Any]]] = {"rows": [], "colour": [], "detectors": []}
    for world in ("photographs", "toy", "forensynths"):
        for found in results.get(world, ()):
            name = {"seed": found["seed"], "world": world, "variant": found["variant"]}
            tables["rows"] += [{**name, **row} for row in found["silenced"]]
            tables["colour"] += [{**name, **row} for row in found["colour"]]
            tables["detectors"].append({**name, **scalars(found)})
    return tables


class World(NamedTuple):
    """Images, and how detectors learn from them.

    Attributes:
        real: to train on, and to stop, choose and calibrate by.
        fake: the same of the first generator.
        tested: real images, and generated ones by source.
        split: in words, how these are kept apart.
        steps: of training.
        augment: augmentations beside the one that takes the colour of robust detectors.
    """

    real: tuple[Array, Array]
    fake: tuple[Array, Array]
    tested: tuple[Array, dict[str, Array]]
    split: str
    steps: int
    augment: tuple[str, ...] = ()


def photographs(experiment: Experiment, seconds: dict[str, float]) -> list[dict[str, Any]]:
    """Detectors trained on the first GAN, for every variant and seed."""
    if len(experiment.gans) < 2:
        raise ValueError(f"need two GANs at least, one to train on, got {list(experiment.gans)}")
    n = experiment.images
    real_train, real_held = real_images(experiment)
    fakes: dict[str, Array] = {}
    for place, name in enumerate(experiment.gans):
        begun = time.perf_counter()
        # Of the first: 4 n to train on, n to stop and calibrate by, n to test.
        fakes[name] = gan_images(experiment, name, 6 * n if place == 0 else n)
        seconds[f"gan {name}"] = time.perf_counter() - begun
    first = fakes[experiment.gans[0]]
    pictures = {"real": real_held, **fakes}
    pictures = {name.replace(":", "-"): some[:24] for name, some in pictures.items()}
    write_samples(experiment.out / "samples", pictures, columns=12)
    half = len(real_held) // 2
    world = World(
        (real_train, real_held[:half]),
        (first[: 4 * n], first[4 * n : 5 * n]),
        (real_held[half:], {**fakes, experiment.gans[0]: first[5 * n :]}),
        f"real: crops of the train regions to train on, half of the crops of the test regions to "
        f"stop, choose and calibrate by, the other half to test; {experiment.gans[0]}: "
        f"{4 * n} + {n} + {n} images of different noise",
        experiment.steps,
        ("blur", "jpeg"),
    )
    return detectors(experiment, "photographs", dict.fromkeys(VARIANTS, world), seconds)


def synthetic(experiment: Experiment, seconds: dict[str, float]) -> list[dict[str, Any]]:
    """Detectors of the synthetic world: base, robust, and one without the cue of colour."""
    full, luma = (toy_world(experiment, cues) for cues in (toy.GENERATORS, toy.LUMA_ONLY))
    worlds = {**dict.fromkeys(VARIANTS, full), "luma-only": luma}
    return detectors(experiment, "toy", worlds, seconds)


def toy_world(experiment: Experiment, cues: dict[str, toy.Cue]) -> World:
    """Images of the synthetic world, and of generators with these cues."""
    count, n, held = experiment.toy_images, experiment.images, max(80, experiment.images)
    return World(
        (toy.real_images(count, seed=10), toy.real_images(held, seed=11)),
        (
            toy.generated_images(count, cues["A"], seed=20),
            toy.generated_images(held, cues["A"], seed=21),
        ),
        (
            toy.real_images(n, seed=12),
            {name: toy.generated_images(n, cues[name], seed=30 + i) for i, name in enumerate(cues)},
        ),
        "all parts drawn anew from the synthetic world",
        experiment.toy_steps,
    )


def detectors(
    experiment: Experiment, kind: str, worlds: dict[str, World], seconds: dict[str, float]
) -> list[dict[str, Any]]:
    """A detector for every seed and variant, trained and measured in the variant's world.

    What is done already is read from its files.
    """
    rows = []
    for seed in experiment.seeds:
        for variant, world in worlds.items():
            name = f"{kind}-{variant}-seed{seed}"
            config = detector_config(experiment, variant, seed, augment=world.augment)
            row, _ = stored_part(
                experiment.out / "parts" / f"{name}.json",
                {**asdict(config), "steps": world.steps, "split": world.split},
                partial(measured, experiment, config, world, name, variant),
            )
            seconds[name] = sum(row["seconds"])
            rows.append(row)
    return rows


def measured(
    experiment: Experiment, config: DetectorConfig, world: World, name: str, variant: str
) -> dict[str, Any]:
    """Train one detector in its folder and measure it."""
    print(f"{name} ...", flush=True)
    begun, folder = time.perf_counter(), experiment.out / "detectors" / name
    real, fake = (
        (ArraySource(image=train), ArraySource(image=held))
        for train, held in (world.real, world.fake)
    )
    # The tables of this study measure on images of their own.
    parts = part(real, fake, split=world.split, seed=config.seed, measure=False)
    trained = train_detector(
        parts, config, folder, steps=world.steps, resume=True, progress=sys.stderr.isatty()
    )
    trained.save(folder / "detector.npz")
    middle = time.perf_counter()
    # On held-out images of the GAN that it was trained on, whatever it is tested on.
    ranking = rank_features(trained, world.fake[1], confidence=experiment.confidence)
    tested, seed = (trained, ranking, *world.tested), config.seed
    return {
        "variant": variant,
        "seed": seed,
        "validation": trained.facts["validation"],
        "step": trained.facts["step"],
        **ranking.summary(),
        "silent": ranking.silent,
        "silenced": silence(*tested, draws=experiment.draws, seed=seed),
        "colour": probe_colour(*tested, seed=seed),
        "n_real": len(world.tested[0]),
        "seconds": [middle - begun, time.perf_counter() - middle],
    }


def detector_config(
    experiment: Experiment, variant: str, seed: int, *, augment: tuple[str, ...]
) -> DetectorConfig:
    """The recipe at small scale; robust ones lose their colour half of the time."""
    return DetectorConfig(
        arch="resnet_small",
        width=experiment.width,
        augment=(*augment, "grayscale") if variant == "robust" else augment,
        probability=experiment.probability,
        learning_rate=experiment.learning_rate,
        batch_size=64 if experiment.images >= 100 else 16,
        epoch=max(1, min(experiment.steps, experiment.toy_steps or experiment.steps) // 4),
        seed=seed,
    )


def real_images(experiment: Experiment) -> tuple[Array, Array]:
    """Real images to train on, and others of which one half is for testing."""
    parts = []
    for split, count in (("train", 4 * experiment.images), ("test", 2 * experiment.images)):
        source = open_source(experiment.data, size=experiment.size, split=split)
        order = np.random.default_rng(0).permutation(len(source))[:count]
        parts.append(take(source, order)["image"])
    return parts[0], parts[1]


def gan_images(experiment: Experiment, name: str, n: int) -> Array:
    """Images of a GAN that is trained, or finished, or merely loaded."""
    method, _, tail = name.partition(":")
    if method in ("dcgan", "lsgan", "wgan-gp"):
        networks = {"width": experiment.gan_width, "learning_rate": experiment.gan_rate}
    else:
        wide = 2 * experiment.gan_width
        networks = {"generator_width": wide, "discriminator_width": wide}
    config = GanConfig(
        method=method,
        data=experiment.data,
        size=experiment.size,
        tail=tail or "BASELINE",
        latent=64,
        batch_size=experiment.gan_batch,
        seed=0,
        n_dis=experiment.n_dis if method not in ("dcgan", "lsgan") else None,
        **networks,
    )
    steps = experiment.gan_steps
    cadence = Cadence(steps, log_every=max(1, steps // 20), checkpoint_every=max(1, steps // 2))
    folder = experiment.out / "gans" / name.replace(":", "-")
    print(f"gan {name} ...", flush=True)
    trained = train_gan(config, folder, cadence, resume=True, progress=sys.stderr.isatty())
    return generate(*trained, n, seed=1000)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = chosen(PRESETS, "transferable_features", QUESTION, arguments)
    carry_out(experiment, run)


if __name__ == "__main__":
    piped(main)
