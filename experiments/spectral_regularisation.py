"""Is it the spectral loss or the tail that mends the spectrum? (Durall et al., CVPR 2020)

    python -m experiments.spectral_regularisation smoke
    python -m experiments.spectral_regularisation cpu

    preset  hardware      time        what
    smoke   2 CPU cores   not timed   textures, 1 seed, few steps
    cpu     2 CPU cores   not run     photographs 32x32, 3 seeds

"Watch your Up-Convolution" replaces the last upsampling *and* adds a spectral loss; its released
code only weights the generator's loss by 1 + lambda l with lambda = 1e-5. Compared are DCGANs with
the BASELINE tail, with that weight, with a differentiable spectral loss, and with the tail alone
(N.3.5), by the distance of their mean spectrum curve from that of held-out real images.

Expected, not measured yet at `cpu`: the released weight changes nothing, the tail brings the end of
the curve down to that of real images, and the differentiable loss brings the curve nearer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.cli.main import piped
from gan_forensics.data import open_source, take
from gan_forensics.data.files import write_json
from gan_forensics.forensics import FEATURES
from gan_forensics.gans import LOSSES, Gan, GanConfig, generate, spectral_task, train_gan
from gan_forensics.gans.spectral_regularisation import Mode
from gan_forensics.report import (
    Facts,
    Picture,
    Section,
    spectra_figure,
    stored_curves,
    table_of,
    write_report,
)
from gan_forensics.spectra import ring_radii
from gan_forensics.studies.runner import carry_out, chosen
from gan_forensics.train import Cadence, TrainState


@dataclass(frozen=True)
class Variant:
    """A generator's tail and what its spectrum costs it."""

    tail: str = "BASELINE"
    weight: float = 0.0
    mode: Mode = "differentiable"


@dataclass(frozen=True)
class Experiment:
    """The comparison.

    Attributes:
        gan: what all have in common; `tail` and `seed` are replaced.
        out: folder for results.json, report.html and the GANs.
        seeds: one GAN of every variant for each.
        steps: training steps of each.
        images: generated, and at most as many real ones.
        weight: lambda of the differentiable loss.
    """

    gan: GanConfig
    out: Path
    seeds: tuple[int, ...] = (0,)
    steps: int = 1000
    images: int = 500
    weight: float = 1.0


QUESTION = "Is it the spectral loss or the tail that mends the spectrum?"
PRESETS = {
    "smoke": (
        "Shows that everything runs.",
        Experiment(
            GanConfig(
                data="toy:powerlaw?n=800",
                size=16,
                width=8,
                latent=16,
                batch_size=16,
                learning_rate=1e-3,
            ),
            out=Path("runs/regularisation-smoke"),
            steps=60,
            images=200,
        ),
    ),
    "cpu": (
        "Real photographs at 32x32 on a CPU.",
        Experiment(
            GanConfig(size=32, width=16, latent=64, batch_size=32, learning_rate=4e-4),
            out=Path("runs/regularisation-cpu"),
            seeds=(0, 1, 2),
        ),
    ),
}


def variants(weight: float) -> dict[str, Variant]:
    """What is compared, by name."""
    return {
        "BASELINE": Variant(),
        "BASELINE, released weight 1e-5": Variant(weight=1e-5, mode="released"),
        f"BASELINE, differentiable, lambda {weight:g}": Variant(weight=weight),
        "N.3.5": Variant(tail="N.3.5"),
    }


def train_variant(
    variant: Variant, config: GanConfig, run: Path, steps: int
) -> tuple[Gan, TrainState]:
    """Train a variant in its run folder, going on from what is there."""
    tasks = ()
    if variant.weight:
        loss = LOSSES["non_saturating"]
        tasks = (spectral_task(loss, weight=variant.weight, mode=variant.mode),)
    return train_gan(
        config,
        run,
        Cadence(steps, log_every=max(1, steps // 50)),
        tasks=tasks,
        facts={"regularisation": asdict(variant), "steps": steps},
        resume=True,
    )


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the comparison out; returns what is in results.json.

    `variants` holds a row each: the mean absolute distance of the mean min-max curve from the real
    one, and the curve's last value, as means and values by seed.
    """
    if experiment.gan.method != "dcgan":
        raise ValueError(f"the comparison is of dcgan alone, got {experiment.gan.method!r}")
    source = open_source(experiment.gan.data, size=experiment.gan.size, split="test")
    chosen = np.random.default_rng(0).permutation(len(source))[: experiment.images]
    real = FEATURES["durall"](take(source, chosen)["image"])
    spectra = {"real": _curve(real, experiment.gan.size)}
    rows = []
    for name, variant in variants(experiment.weight).items():
        curves = []
        for seed in experiment.seeds:
            config = replace(experiment.gan, tail=variant.tail, seed=seed)
            folder = f"{variant.tail}-{variant.mode}-{variant.weight:g}-seed{seed}"
            gan, state = train_variant(
                variant, config, experiment.out / "gans" / folder, experiment.steps
            )
            images = generate(gan, state, experiment.images, seed=1000 + seed)
            curves.append(FEATURES["durall"](images))
        spectra[name] = _curve(np.concatenate(curves), experiment.gan.size)
        distances = [float(np.abs(c.mean(0) - real.mean(0)).mean()) for c in curves]
        ends = [float(c[:, -1].mean()) for c in curves]
        rows.append(
            {
                "variant": name,
                "curve_distance": float(np.mean(distances)),
                "curve_distance_by_seed": distances,
                "curve_end": float(np.mean(ends)),
                "curve_end_by_seed": ends,
                "images": len(curves[0]),
                "seeds": list(experiment.seeds),
            }
        )
    protocol = {
        **asdict(experiment.gan),
        "steps": experiment.steps,
        "real_images": len(real),
        "curve_end_of_real_images": float(real[:, -1].mean()),
        "curve_distance": "mean over radii of the absolute difference of mean min-max curves, "
        "generated against held-out real images",
    }
    del protocol["tail"], protocol["seed"]
    results = {"protocol": protocol, "spectra": spectra, "variants": rows}
    write_json(experiment.out / "results.json", results)
    _write_page(experiment.out, results)
    return results


def _curve(values: np.ndarray, size: int) -> dict[str, Any]:
    found = {
        "cycles_per_pixel": ring_radii(size, size),
        "mean": values.mean(0),
        "std": values.std(0),
    }
    return {name: array.tolist() for name, array in found.items()} | {"count": len(values)}


def _write_page(out: Path, results: dict[str, Any]) -> None:
    curves = stored_curves(results["spectra"])
    spectra = Picture(
        spectra_figure(curves, title="Mean radial log spectrum"),
        alt="Radial spectra of real images and of every variant",
        caption="Min-max curves; bands: one standard deviation over images.",
    )
    distances = table_of(results["variants"], caption="Distance from the real curve")
    write_report(
        out / "report.html",
        title=QUESTION,
        lead="DCGANs that differ in their last upsampling or in what their spectrum costs them.",
        sections=[
            Section("Spectra", [spectra, distances]),
            Section("Protocol", [Facts({k: str(v) for k, v in results["protocol"].items()})]),
        ],
    )


def said(results: Mapping[str, Any]) -> str:
    """A line for each variant."""
    return "\n".join(
        f"{row['variant']}: distance {row['curve_distance']:.3f}, end {row['curve_end']:.3f}"
        for row in results["variants"]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = chosen(PRESETS, "spectral_regularisation", QUESTION, arguments, omit_prefixes=True)
    carry_out(experiment, run, say=said)


if __name__ == "__main__":
    piped(main)
