"""Does StarGAN translate, and what does its second upsampling leave in the spectrum?

    python -m experiments.stargan smoke   # shows that everything runs
    python -m experiments.stargan cpu     # the tables in experiments/README.md
    python -m experiments.stargan paper --data celeba:DIR   # or tfds:celeb_a

    preset  hardware      time         what
    smoke   2 CPU cores   43 s         drawn domains 16x16, 2 upsamplings, few steps
    cpu     2 CPU cores   1 hour       drawn domains 32x32, 4 upsamplings, 3 seeds
    paper   GPU or TPU    not run yet  CelebA 128x128, 5 attributes, 4 upsamplings

Chandrasegaran et al. (CVPR 2021) replace the second of the generator's two upsamplings: transposed
convolution (BASELINE), nearest (N), zero insertion (Z), bilinear (B), the latter three with a
convolution of 5x5. Here a convolution of 7x7 follows, so that scaling is not the last thing done.
The drawn domains (`toy:domains`) need no download: a disc of one of three colours, a ground that is
warm or cool, and striped or spotted, which differ in texture alone.

Held-out images are translated to the targets of the paper, and a classifier of real images tells
whether they land; beside it stands what it tells if the image itself is handed back. Then the
spectra of the translations, beside those of held-out real images, and whether detectors that were
trained on real images and translations of BASELINE see the others, of the same and of new seeds.

Works: at least 80 % of held-out translations land, by a classifier that is right on 95 % of
held-out real images. Expected of the spectra, as the paper has it for CelebA: BASELINE and Z keep
an upturn at the highest frequencies, N and B lose it. `cpu`, means over three
seeds: 99 % or more of colours and tints land, and 86 % (B) to 91 % of textures; curves end at .08
(BASELINE), .07 (Z), .02 (N), .02 (B), those of real images at .02; detectors of BASELINE see Z and
let N and B pass.

Every setting of a preset can be overridden: `cpu --steps 200 --seeds 0 --out runs/short`. A run
that was stopped goes on when it is started again; more seeds or upsamplings train what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.cli.entry import piped
from gan_forensics.data import open_attributes, save_png, take
from gan_forensics.experiments.stargan_page import write_page
from gan_forensics.forensics import FEATURES
from gan_forensics.gans import (
    StarGanConfig,
    load_stargan,
    target_labels,
    train_stargan,
    translate,
)
from gan_forensics.gans.stargan_runs import translation_grid
from gan_forensics.report.provenance import provenance
from gan_forensics.spectra import ring_radii
from gan_forensics.studies.bypass_cells import Origin, Training, joined, measure_cells
from gan_forensics.studies.bypass_rates import BASELINE, Parts
from gan_forensics.studies.bypass_tables import bypass_rows
from gan_forensics.studies.pages import over_seeds
from gan_forensics.studies.results import scalars, seed_rows, write_results
from gan_forensics.studies.runner import carry_out, chosen, stored_part
from gan_forensics.studies.translation import as_asked, domain_classifier, success
from gan_forensics.train import Cadence
from gan_forensics.train.run_folder import writing

# By the features that they share.
DETECTORS = (
    ("durall-knn", "durall-logistic"),
    ("dzanic-knn", "dzanic-logistic"),
    ("dct-logistic",),
)
TRAIN_FRACTION, RUNS = 0.1, 5
# How a spectrum ends: the mean last value of the curves, the median exponent, the end resampled.
ENDS = ("curve_end", "exponent", "resampled_end")
# Rows of the pictures of translations.
_SHOWN = 8


@dataclass(frozen=True)
class Experiment:
    """The comparison.

    Attributes:
        gan: what all StarGANs have in common; `upsampling` and `seed` are replaced.
        out: folder for results.json, report.html and the runs.
        upsamplings: of which one StarGAN is trained for each seed.
        seeds: of training.
        steps: of training, each with `n_dis` moves of the discriminator.
        images: held-out images to translate, and to compare spectra with.
        classifier_images: real images that the classifier is trained on.
        classifier_steps: of its training.
    """

    gan: StarGanConfig
    out: Path
    upsamplings: tuple[str, ...] = ("BASELINE", "N", "Z", "B")
    seeds: tuple[int, ...] = (0,)
    steps: int = 600
    images: int = 500
    classifier_images: int = 20_000
    classifier_steps: int = 500


QUESTION = "Does StarGAN translate, and what does its second upsampling leave in the spectrum?"
PRESETS = {
    "smoke": (
        "Under a minute: shows that everything runs.",
        Experiment(
            StarGanConfig(
                data="toy:domains?n=600",
                size=16,
                width=4,
                blocks=1,
                layers=2,
                batch_size=8,
                n_dis=2,
                learning_rate=1e-3,
            ),
            out=Path("runs/stargan-smoke"),
            upsamplings=("BASELINE", "N"),
            steps=20,
            images=60,
            classifier_steps=40,
        ),
    ),
    "cpu": (
        "Drawn domains at 32x32 on a CPU.",
        Experiment(
            StarGanConfig(size=32, width=16, blocks=2, learning_rate=1e-3, schedule="linear"),
            out=Path("runs/stargan-cpu"),
            seeds=(0, 1, 2),
            steps=800,
        ),
    ),
    "paper": (
        "CelebA at 128x128; needs an accelerator.",
        Experiment(
            StarGanConfig(
                data="tfds:celeb_a",
                attributes=("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"),
                exclusive=("Black_Hair", "Blond_Hair", "Brown_Hair"),
                schedule="released",
            ),
            out=Path("runs/stargan-paper"),
            seeds=(2021,),
            steps=40_000,
            images=1999,
            classifier_steps=5000,
        ),
    ),
}


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry an experiment out; returns what is in results.json.

    `classifier` has its accuracy on held-out real images, `translations` a row for each upsampling
    and target, `spectra` and `exponents` those of held-out images and of all translations.
    """
    gan, out = experiment.gan, experiment.out
    with writing(out):
        real, labels, names, exclusive = _images(experiment, "test", experiment.images)
        train, train_labels, *_ = _images(experiment, "train", experiment.classifier_images)
        classifier = domain_classifier(
            train, train_labels, out / "classifier", steps=experiment.classifier_steps
        )
        right = as_asked(classifier(real), labels, names, exclusive)
        accuracy = dict(zip(names, right.mean(0).tolist(), strict=True))
        found: dict[str, list[dict[str, Any]]] = {}
        seconds = {}
        for seed in experiment.seeds:
            for upsampling in experiment.upsamplings:
                name = f"{upsampling}-seed{seed}"
                config = replace(gan, upsampling=upsampling, seed=seed)
                part = partial(
                    _trained_and_measured,
                    *(experiment, config, name, classifier, real, labels),
                )
                asked = {**asdict(experiment), "gan": asdict(config), "accuracy": accuracy}
                for elsewhere in ("out", "upsamplings", "seeds"):
                    del asked[elsewhere]
                result, seconds[name] = stored_part(out / "parts" / f"{name}.json", asked, part)
                found.setdefault(upsampling, []).append(result)
        curve, decay = _spectrum(real, gan.size)
        asked = {"experiment": {**asdict(experiment), "out": None}, "detectors": DETECTORS}
        bypass, seconds["detectors"] = stored_part(
            out / "parts" / "bypass.json", asked, lambda: _bypass(experiment, train, real, labels)
        )
        results = {
            "protocol": _protocol(experiment, names, exclusive, len(real), len(train)),
            "classifier": accuracy,
            "translations": _translations(found),
            "spectra": {"real": curve, **{u: _mean_curve(r) for u, r in found.items()}},
            "exponents": [
                {"images": "real", **{key: [value] for key, value in decay.items()}},
                *(
                    {"images": u, **{key: [r["decay"][key] for r in rows] for key in decay}}
                    for u, rows in found.items()
                ),
            ],
            "bypass": bypass,
            "seconds": {name: round(value) for name, value in seconds.items()},
        }
        results["finding"] = finding(results)
        results = write_results(out, results, tables_of(results))
        write_page(out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: translations by upsampling, target and seed; ends of spectra; detectors."""
    seeds = results["protocol"]["seeds"]
    keep = ("upsampling", "target", "images")
    ends = [
        {"images": row["images"], "seed": seed, **{k: row[k][place] for k in ENDS}}
        for row in results["exponents"]
        for place, seed in enumerate([None] if row["images"] == "real" else seeds)
    ]
    return {
        "rows": seed_rows(results["translations"], seeds, keep=keep),
        "spectra": ends,
        "detectors": [scalars(row) for row in results["bypass"]],
    }


def _images(experiment: Experiment, split: str, most: int, *, rest: bool = False):
    """Images of a split, drawn at random but always the same, with what they are and may be.

    With `rest` those that are otherwise left.
    """
    gan = experiment.gan
    source = open_attributes(gan.data, attributes=gan.attributes, size=gan.size, split=split)
    order = np.random.default_rng(0).permutation(len(source))
    rows = np.sort(order[most:] if rest else order[:most])
    batch = take(source, rows)
    exclusive = source.exclusive if gan.exclusive is None else gan.exclusive
    return batch["image"], batch["attributes"], source.attributes, exclusive


def _trained_and_measured(experiment, config, name, classifier, real, labels) -> dict[str, Any]:
    """Train one StarGAN, or finish it; what its translations of held-out images are."""
    cadence = Cadence(
        experiment.steps,
        log_every=max(1, experiment.steps // 50),
        checkpoint_every=max(1, experiment.steps // 4),
        sample_every=experiment.steps,
    )
    run = experiment.out / "gans" / name
    gan, state = train_stargan(config, run, cadence, say=print, resume=True)
    few = {"image": real[:_SHOWN], "attributes": labels[:_SHOWN]}
    save_png(experiment.out / "samples" / f"{name}.png", translation_grid(gan, state, **few))
    rows, made = success(
        classifier,
        partial(translate, gan, state),
        real,
        labels,
        gan.config.attributes,
        gan.config.exclusive or (),
    )
    curve, decay = _spectrum(made, config.size)
    return {"translations": rows, "curve": curve, "decay": decay}


def _bypass(experiment: Experiment, train, real, labels) -> list[dict[str, Any]]:
    """Rates of detectors of BASELINE on the translations of every upsampling and seed."""
    if BASELINE not in experiment.upsamplings:
        return []
    gan = experiment.gan
    others, *_ = _images(experiment, "test", experiment.images, rest=True)
    images = {}
    for upsampling in experiment.upsamplings:
        for seed in experiment.seeds:
            made, state = load_stargan(experiment.out / "gans" / f"{upsampling}-seed{seed}")
            names, exclusive = made.config.attributes, made.config.exclusive or ()
            targets = target_labels(labels, names, exclusive)
            every = [translate(made, state, real, wanted) for wanted in targets]
            images[Origin(gan.data, "stargan", upsampling, seed)] = np.concatenate(every)
    trainings = [Training(gan.data, "stargan", BASELINE, seed) for seed in experiment.seeds]
    parts = {gan.data: Parts(train, others, real)}
    cells = [
        measure_cells(
            detectors, trainings, lambda training, origin: True, parts, images,
            train_fraction=TRAIN_FRACTION, runs=RUNS,
        )
        for detectors in DETECTORS
    ]  # fmt: skip
    return bypass_rows(joined(cells), data=gan.data)


def _spectrum(images: np.ndarray, size: int) -> tuple[dict[str, Any], dict[str, float]]:
    """The mean curve of images, and how their spectra end."""
    durall, dzanic, resampled = (
        rows[np.isfinite(rows).all(1)]
        for rows in (FEATURES[name](images) for name in ("durall", "dzanic", "unmasking"))
    )
    curve = {
        "cycles_per_pixel": ring_radii(size, size).tolist(),
        "mean": durall.mean(0).tolist(),
        "std": durall.std(0).tolist(),
        "count": len(durall),
    }
    found = (durall[:, -1].mean(), np.median(dzanic[:, 0]), resampled[:, -1].mean())
    return curve, dict(zip(ENDS, map(float, found), strict=True))


def _mean_curve(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The curve of all seeds together, whose images are as many."""
    mean = np.array([result["curve"]["mean"] for result in results])
    std = np.array([result["curve"]["std"] for result in results])
    spread = np.sqrt((std**2 + mean**2).mean(0) - mean.mean(0) ** 2)
    count = sum(result["curve"]["count"] for result in results)
    same = {"cycles_per_pixel": results[0]["curve"]["cycles_per_pixel"], "count": count}
    return {**same, "mean": mean.mean(0).tolist(), "std": spread.tolist()}


def _translations(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rows = []
    for upsampling, results in found.items():
        for of_target in zip(*(result["translations"] for result in results), strict=True):
            row = {"upsampling": upsampling, "target": of_target[0]["target"]}
            for name in ("landed", "as_asked", "copy"):
                row |= over_seeds(name, [one[name] for one in of_target])
            rows.append({**row, "images": of_target[0]["images"]})
    return rows


def _protocol(experiment: Experiment, names, exclusive, n_real: int, n_train: int):
    gan = {k: v for k, v in asdict(experiment.gan).items() if k not in ("upsampling", "seed")}
    return {
        **gan,
        "attributes": names,
        "exclusive": exclusive,
        "upsamplings": experiment.upsamplings,
        "seeds": experiment.seeds,
        "steps": experiment.steps,
        "discriminator_steps": experiment.steps * experiment.gan.n_dis,
        "classifier_steps": experiment.classifier_steps,
        "real_images_to_train_the_classifier": n_train,
        "held_out_images": n_real,
        "targets": "of exclusive attributes each in the place of the others, any other turned; "
        "images that are there already are left out",
        "landed": "share of held-out translations that have the attribute asked for, by a "
        "classifier of real images; as asked: that are right in all attributes",
        "copy": "what landed is if the image itself is handed back",
        "spectra": "of all translations of held-out images, beside the held-out images",
        "detectors": f"trained on real training images and translations of BASELINE of one seed "
        f"({TRAIN_FRACTION:g} of the smaller pool, {RUNS} draws), their 5 % thresholds set on "
        "held-out images that are not translated, tested on all translations and on the images "
        "that these are of",
        **provenance(),
    }


def finding(results: dict[str, Any]) -> str:
    """The result in numbers, whichever way it came out."""
    rows, ends = results["translations"], results["exponents"]
    worst = min(rows, key=lambda row: row["landed"])
    accuracy = min(results["classifier"].values())
    landed = np.mean([row["landed"] for row in rows])
    copy = np.mean([row["copy"] for row in rows])
    listed = ", ".join(
        f"{row['images']} {np.mean(row['curve_end']):.3f} (b {np.mean(row['exponent']):.1f})"
        for row in ends
    )
    return (
        f"{landed:.0%} of held-out translations land in the domain asked for (a copy of the image: "
        f"{copy:.0%}), at worst {worst['landed']:.0%} ({worst['upsampling']}, {worst['target']}), "
        f"by a classifier that is right on {accuracy:.1%} or more of held-out real images.\n"
        f"Ends of the spectrum curves, and median exponents: {listed}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    carry_out(chosen(PRESETS, "stargan", QUESTION, arguments, omit_prefixes=True), run)


if __name__ == "__main__":
    piped(main)
