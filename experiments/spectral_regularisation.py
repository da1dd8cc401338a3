"""Is it the spectral loss or the tail that mends the spectrum? (Durall et al., CVPR 2020)

    python -m experiments.spectral_regularisation smoke
    python -m experiments.spectral_regularisation cpu

    preset  hardware      time         what
    smoke   2 CPU cores   not timed    textures 16x16, 1 seed, 60 steps
    cpu     2 CPU cores   50 minutes*  photographs 32x32, 3 seeds, 600 steps

"Watch your Up-Convolution" replaces the last upsampling *and* adds a spectral loss; its released
code only weights the generator's loss by 1 + lambda l with lambda = 1e-5. Compared are DCGANs with
the BASELINE tail, with that weight, with a differentiable spectral loss over a grid of lambda, and
with the tail alone (N.3.5), by the distance of their mean spectrum curve from that of held-out real
images, and by Frechet distances on named features, which are no FIDs. Differences from BASELINE are
taken seed by seed.

Expected (cpu), distance of the mean curve, three seeds: BASELINE 0.140, released lambda 1e-5 0.155
and 1 0.153 (no difference is shown), differentiable lambda 0.1, 1, 10 0.125, 0.102, 0.092, N.3.5
0.043. N.3.5 is the only one whose difference from BASELINE is settled by three seeds; at lambda 10
the images are lost.

* beside much other work on both cores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.cli.entry import piped
from gan_forensics.data import open_source, take
from gan_forensics.files import written_beside
from gan_forensics.forensics import FEATURES
from gan_forensics.gans import LOSSES, Gan, GanConfig, generate, spectral_task, train_gan
from gan_forensics.gans.spectral_regularisation import Mode
from gan_forensics.report import Picture, Section, Table, spectra_figure, stored_curves
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.spectra import ring_radii
from gan_forensics.studies import pages
from gan_forensics.studies.bypass_quality import distances, feature_networks
from gan_forensics.studies.collapse_page import student_interval
from gan_forensics.studies.pages import over_seeds, plus_minus
from gan_forensics.studies.results import seed_rows, write_results
from gan_forensics.studies.runner import (
    carry_out,
    chosen,
    in_processes,
    stored_part,
    write_samples,
)
from gan_forensics.train import Cadence, TrainState
from gan_forensics.train.run_folder import writing

BASELINE = "BASELINE"


@dataclass(frozen=True)
class Variant:
    """A generator's tail and what its spectrum costs it."""

    tail: str = BASELINE
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
        images: generated, and at most as many real ones of either part.
        weights: lambdas of the differentiable loss.
        released: lambdas of the released weight on the update.
        processes: GANs at a time; by default as many as cores.
    """

    gan: GanConfig
    out: Path
    seeds: tuple[int, ...] = (0,)
    steps: int = 600
    images: int = 500
    weights: tuple[float, ...] = (1.0,)
    released: tuple[float, ...] = (1e-5,)
    processes: int | None = None


QUESTION = "Is it the spectral loss or the tail that mends the spectrum?"
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
            weights=(0.1, 1.0, 10.0),
            released=(1e-5, 1.0),
        ),
    ),
}


def variants(experiment: Experiment) -> dict[str, Variant]:
    """What is compared, by name."""
    released = {
        f"released, lambda {weight:g}": Variant(weight=weight, mode="released")
        for weight in experiment.released
    }
    differentiable = {
        f"differentiable, lambda {weight:g}": Variant(weight=weight)
        for weight in experiment.weights
    }
    return {BASELINE: Variant(), **released, **differentiable, "N.3.5": Variant(tail="N.3.5")}


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


def _job(experiment: Experiment, variant: Variant, seed: int) -> tuple[str, float]:
    """Train a GAN and keep its images; where they lie, and the seconds that it took."""
    keep_scratch_memory()
    keep_compiled()
    name = f"{variant.tail}-{variant.mode}-{variant.weight:g}-seed{seed}"
    config = replace(experiment.gan, tail=variant.tail, seed=seed)
    asked = {"gan": asdict(config), "variant": asdict(variant)}
    asked |= {"steps": experiment.steps, "images": experiment.images}
    images = experiment.out / "images" / f"{name}.npy"

    def job() -> None:
        gan, state = train_variant(
            variant, config, experiment.out / "gans" / name, experiment.steps
        )
        with written_beside(images) as partial:
            np.save(partial, generate(gan, state, experiment.images, seed=1000 + seed))

    _, seconds = stored_part(experiment.out / "parts" / f"{name}.json", asked, job)
    return str(images), seconds


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the comparison out; returns what is in results.json.

    `variants` holds a row each: the mean absolute distance of the mean min-max curve from the real
    one, the curve's last value, and the Frechet distances, as means, deviations and values by seed.
    """
    if experiment.gan.method != "dcgan":
        raise ValueError(f"the comparison is of dcgan alone, got {experiment.gan.method!r}")
    compared = variants(experiment)
    jobs = [(experiment, v, seed) for v in compared.values() for seed in experiment.seeds]
    with writing(experiment.out):
        done = iter(in_processes(_job, jobs, experiment.processes))
        train, test = (_real(experiment, split) for split in ("train", "test"))
        real = FEATURES["durall"](test)
        networks = feature_networks(experiment.gan.data, experiment.gan.size, experiment.out)
        spectra, rows, shown = {"real": _curve(real, experiment.gan.size)}, [], {"real": test}
        seconds = 0.0
        for name in compared:
            curves, qualities = [], []
            for _ in experiment.seeds:
                path, took = next(done)
                images = np.load(path)
                seconds += took
                curves.append(FEATURES["durall"](images))
                qualities.append(distances(train, images, networks))
                shown.setdefault(name, images)
            spectra[name] = _curve(np.concatenate(curves), experiment.gan.size)
            far = [float(np.abs(c.mean(0) - real.mean(0)).mean()) for c in curves]
            row = {"variant": name, **over_seeds("curve_distance", far)}
            row |= over_seeds("curve_end", [float(c[:, -1].mean()) for c in curves])
            row["frechet"] = {
                network: over_seeds("distance", [each[network] for each in qualities])
                for network in qualities[0]
            }
            rows.append({**row, "images": len(curves[0]), "seeds": list(experiment.seeds)})
        results = {
            "protocol": _protocol(experiment, len(real), float(real[:, -1].mean())),
            "finding": finding(rows),
            "spectra": spectra,
            "variants": rows,
            "seconds": {"training, processes added": round(seconds, 1)},
        }
        some = np.random.default_rng(1).permutation(min(map(len, shown.values())))[:32]
        shown = {name: images[some] for name, images in shown.items()}
        write_samples(experiment.out / "samples", shown, columns=8)
        results = write_results(experiment.out, results, tables_of(results))
        _write_page(experiment.out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: every variant and seed."""
    rows = []
    for row in results["variants"]:
        by_name = {f"frechet, {n}": each["distance_by_seed"] for n, each in row["frechet"].items()}
        named = {**row, **{f"{name}_by_seed": values for name, values in by_name.items()}}
        rows += seed_rows([named], row["seeds"], keep=("variant", "images"))
    return {"rows": rows}


def _real(experiment: Experiment, split: str) -> np.ndarray:
    source = open_source(experiment.gan.data, size=experiment.gan.size, split=split)
    drawn = np.random.default_rng(0).permutation(len(source))[: experiment.images]
    return take(source, np.sort(drawn))["image"]


def _protocol(experiment: Experiment, real: int, end: float) -> dict[str, Any]:
    facts = {
        **asdict(experiment.gan),
        "steps": experiment.steps,
        "real_images": real,
        "curve_end_of_real_images": end,
        "curve_distance": "mean over radii of the absolute difference of mean min-max curves, "
        "generated against held-out real images",
        "frechet": "against as many real images of the train part; features as named, no FID",
        "differences": "from BASELINE of the same seed; 95 % of the mean by Student over seeds",
        **provenance(),
    }
    del facts["tail"], facts["seed"]
    return facts


def finding(rows: Sequence[Mapping[str, Any]]) -> str:
    """What each variant does to the curve's distance, against BASELINE of the same seeds."""
    baseline = rows[0]
    said = []
    for row in rows[1:]:
        gain, ends = _less(row["curve_distance_by_seed"], baseline["curve_distance_by_seed"])
        verdict = "too few seeds to tell"
        if ends:
            settled = not ends[0] <= 0 <= ends[1]
            verdict = ("nearer" if gain < 0 else "farther") if settled else "no direction is shown"
        said.append(f"{row['variant']} {gain:+.3f} ({verdict})")
    return (
        f"BASELINE's mean curve is {baseline['curve_distance']:.3f} from that of real images. The "
        f"others less BASELINE of the same seeds: {'; '.join(said)}."
    )


def _less(values: Sequence[float], of: Sequence[float]):
    """Mean difference in pairs of seeds, and its interval of 95 %, None for one seed."""
    gains = [a - b for a, b in zip(values, of, strict=True)]
    return float(np.mean(gains)), student_interval(gains)


def _curve(values: np.ndarray, size: int) -> dict[str, Any]:
    found = {
        "cycles_per_pixel": ring_radii(size, size),
        "mean": values.mean(0),
        "std": values.std(0),
    }
    return {name: array.tolist() for name, array in found.items()} | {"count": len(values)}


def variants_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Spectrum and quality of every variant, and the difference of its curve from BASELINE's."""
    networks = list(rows[0]["frechet"])
    lines = []
    for row in rows:
        difference = None
        if row is not rows[0]:
            gain, ends = _less(row["curve_distance_by_seed"], rows[0]["curve_distance_by_seed"])
            difference = f"{gain:+.3f}" + (f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else "")
        lines.append(
            [
                row["variant"],
                plus_minus(row["curve_distance"], row["curve_distance_std"], ".3f"),
                difference,
                plus_minus(row["curve_end"], row["curve_end_std"], ".3f"),
                *(
                    plus_minus(each["distance"], each["distance_std"], ".3g")
                    for each in row["frechet"].values()
                ),
            ]
        )
    return Table(
        "Distance of the mean min-max curve from that of held-out real images, its difference from "
        "BASELINE of the same seeds with the interval of 95 % of its mean, the curve's last value, "
        "and Frechet distances (smaller is better; no FIDs). Means over GAN seeds ± deviations.",
        [
            *("variant", "curve distance", "less BASELINE", "end of curve"),
            *(f"Frechet on {network}" for network in networks),
        ],
        lines,
    )


def _write_page(out: Path, results: dict[str, Any]) -> None:
    spectra = Picture(
        spectra_figure(stored_curves(results["spectra"]), title="Mean radial log spectrum"),
        alt="Radial spectra of real images and of every variant",
        caption="Min-max curves; bands: one standard deviation over images.",
    )
    sections = [
        Section("Spectra", [spectra, variants_table(results["variants"])]),
        Section("Images", pages.samples(out, results["spectra"])),
    ]
    pages.write_markdown(out, results, sections)
    pages.write_page(out, results, title=QUESTION, sections=sections)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = chosen(PRESETS, "spectral_regularisation", QUESTION, arguments, omit_prefixes=True)
    carry_out(experiment, run)


if __name__ == "__main__":
    piped(main)
