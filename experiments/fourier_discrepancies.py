"""Does the last upsampling decide whether GAN images are detected? (Chandrasegaran et al. 2021)

    python -m experiments.fourier_discrepancies smoke   # shows that everything runs
    python -m experiments.fourier_discrepancies cpu
    python -m experiments.fourier_discrepancies full    # the tables in experiments/README.md
    python -m experiments.fourier_discrepancies paper --data tfds:celeb_a

    preset  hardware            time         what
    smoke   2 CPU cores         under 60 s   DCGAN, 3 tails, 1 seed, textures with a power law
    cpu     2 CPU cores         not timed    DCGAN and LSGAN, 5 tails, 3 seeds, photographs 32x32
    full    2 CPU cores         overnight    3 GANs, 15 tails, 3 seeds, photographs 32x32, textures
    paper   GPU or TPU          not run yet  3 GANs, 13 tails, CelebA 128x128, 50 to 100 epochs each

Detectors are features with a classifier, and networks trained on pixels; each is trained on real
images and GANs of one seed and tested on GANs of the same and of new seeds, at its own boundary and
at the threshold of 5 % false alarms.

Expected (full, DCGAN), share called generated at 5 % false alarms, same / new GAN seeds: durall-knn
BASELINE 0.99 / 0.95, Z.1.5 0.99 / 0.97, N.1.5 and B.1.5 0.00; dct-logistic N.1.5 0.09 / 0.14; npr
BASELINE 1.00 / 0.74, N.1.5 0.54 / 0.71 (at its own boundary 1.00 / 0.28, 0.03 / 0.08). Trained on
four tails, dct-logistic sees N.1.5 at 1.00, durall-knn at 0.34 / 0.29.

Expected (paper): detectors trained on real against BASELINE images flag BASELINE and Z and let
N and B pass, for all three GANs. Released samples, mean exponent b of the decay fit, DCGAN /
LSGAN / WGAN-GP: BASELINE 7.1 / 7.3 / 4.8, Z.1.5 5.2 / 5.0 / 6.5, N.1.5 -1.9 / -1.8 / -2.0, B.1.5
-1.1 / -0.3 / -1.1; curves end at 0.12 to 0.21 (BASELINE, Z) and 0.01 to 0.03 (N, B). Published FID
of BASELINE 88.60 / 73.26 / 60.60; the schedule's distance here is another (`plateau_schedule`).

Every setting of a preset can be overridden: `cpu --steps 200 --seeds 0 --out runs/short`. A run
that was stopped goes on when it is started again; more seeds, tails or detectors cost only
themselves. GANs that were trained elsewhere by the same recipe are used from OUT/gans.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from gan_forensics.cli.entry import piped
from gan_forensics.experiments.fourier_published import published_sections
from gan_forensics.experiments.plateau_schedule import (
    EPOCHS,
    Distance,
    pixel_frechet,
    train_by_plateau,
)
from gan_forensics.nn import ANTIALIASED, TAILS
from gan_forensics.studies.bypass import StudyConfig, run_study
from gan_forensics.studies.runner import carry_out, chosen


@dataclass(frozen=True)
class Experiment:
    """A study and how its GANs are trained.

    Attributes:
        study: what is trained, measured and compared.
        out: folder for results.json, report.html and the GANs.
        schedule: constant learning rates for `steps` steps, or the published schedule, which
            lowers them and stops by a distance after every epoch (`steps` 0: the published number
            of epochs).
        distance_images: of the plateau schedule: images of either kind to compare.
        threshold: of the plateau schedule: the smallest fall of the distance that counts.
        processes: GANs and measurements at a time; by default as many as cores.
    """

    study: StudyConfig
    out: Path
    schedule: Literal["constant", "plateau"] = "constant"
    distance_images: int = 10_000
    threshold: float = 1.0
    processes: int | None = None


# A detector for each of what can be looked at: curve, decay fit, all frequencies, pixels.
DETECTORS = (*StudyConfig().detectors, "npr")
SEVERAL = "BASELINE+Z.1.5+N.1.5+B.1.5"

SMOKE = Experiment(
    StudyConfig(
        data="toy:powerlaw?n=1200",
        tails=("BASELINE", "Z.1.5", "N.1.5"),
        steps=120,
        width=8,
        latent=16,
        batch_size=16,
        learning_rate=1e-3,
        images=300,
        detectors=("durall-knn", "durall-logistic", "dzanic-knn", "dct-logistic"),
        trained_on=("BASELINE", "BASELINE+N.1.5"),
        train_fraction=0.2,
        runs=3,
    ),
    out=Path("runs/fourier-smoke"),
    processes=1,
)
CPU = Experiment(
    StudyConfig(
        data="samples:photos",
        methods=("dcgan", "lsgan"),
        tails=("BASELINE", "Z.1.5", "N.1.5", "B.1.5", "N.3.5"),
        seeds=(0, 1, 2),
        steps=300,
        learning_rate=4e-4,
        detectors=DETECTORS,
        trained_on=("BASELINE", SEVERAL),
        runs=5,
    ),
    out=Path("runs/fourier-cpu"),
)
FULL = Experiment(
    replace(
        CPU.study,
        methods=("dcgan", "lsgan", "wgan-gp"),
        tails=(*TAILS, *ANTIALIASED),
        trained_on=("BASELINE", "N.1.5", "BASELINE+N.1.5", SEVERAL),
        elsewhere=("toy:powerlaw?n=4000",),
    ),
    out=Path("runs/fourier-full"),
)
PAPER = Experiment(
    StudyConfig(
        data="tfds:celeb_a",
        size=128,
        methods=("dcgan", "lsgan", "wgan-gp"),
        tails=TAILS,
        seeds=(2021,),
        steps=0,
        width=32,
        latent=128,
        batch_size=64,
        detectors=DETECTORS,
    ),
    out=Path("runs/fourier-paper"),
    schedule="plateau",
)
QUESTION = "Does the last upsampling decide whether GAN images are detected?"
PRESETS = {
    "smoke": ("Under a minute: shows that everything runs.", SMOKE),
    "cpu": ("Real photographs at 32x32 on a CPU.", CPU),
    "full": ("147 GANs at 32x32 and all tables; overnight on a CPU.", FULL),
    "paper": ("39 GANs at 128x128; needs an accelerator.", PAPER),
}


def run(experiment: Experiment, *, distance: Distance = pixel_frechet) -> dict[str, Any]:
    """Carry an experiment out; returns what is in results.json.

    Args:
        experiment: a preset, or a changed one.
        distance: of the plateau schedule, such as an FID of your own.

    Raises:
        ValueError: for a constant schedule without steps.
    """
    study = experiment.study
    if experiment.schedule == "constant":
        if study.steps < 1:
            raise ValueError("the constant schedule needs --steps of 1 or more")
        recipe = {"schedule": "constant"}
        train = None
    else:
        recipe = {
            "schedule": "plateau",
            "distance": f"{getattr(distance, '__name__', 'own')} (the published runs used FID)",
            "distance_images": experiment.distance_images,
            "threshold": experiment.threshold,
            "epochs": EPOCHS,
        }
        train = partial(
            train_by_plateau,
            steps=study.steps,
            distance=distance,
            images=experiment.distance_images,
            threshold=experiment.threshold,
        )
    return run_study(
        study,
        experiment.out,
        train=train,
        recipe=recipe,
        processes=experiment.processes,
        appendix=published_sections,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = chosen(PRESETS, "fourier_discrepancies", QUESTION, arguments, omit_prefixes=True)
    carry_out(experiment, run)


if __name__ == "__main__":
    piped(main)
