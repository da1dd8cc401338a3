"""When does smoothing the teacher help its student? (Chandrasegaran et al., ICML 2022)

    python -m experiments.label_smoothing_distillation smoke
    python -m experiments.label_smoothing_distillation cpu
    python -m experiments.label_smoothing_distillation cpu --parts toy

    preset  hardware      time          what
    smoke   2 CPU cores   half a minute the toy, two seeds, a few epochs
    cpu     2 CPU cores   see experiments/README.md, the toy with 6 seeds, Fashion-MNIST with 5

Published: distil from a teacher trained with label smoothing at T = 1; at higher T its students
lose more, since their features drift towards similar classes. Parts:

    toy      twenty groups of five classes, perceptrons: fine-grained, where this was seen
    fashion  Fashion-MNIST, 1,000 and 10,000 training images, a small student of a small CNN

Beside every student stand one without a teacher, and one of the hard teacher read at T / c, c the
ratio of the teachers' logit spreads. Nothing is augmented, so teachers' logits are computed once.
The test part is read once a cell, at the end and at the epoch that a validation part chose;
`--fashion.select last test` reports the best look on the test part, as the authors do.

What `fashion` does was fixed before any of its results: data, sizes, similar classes, seeds, alpha
and temperatures by the task's description; images of 14x14, networks, 3000 steps of 64 for both
sizes and the rate by what a core can do in about 40 minutes and by the validation accuracy of one
hard teacher of a seed that is not among them (at the end .88 with 10,000 images, unchanged over the
last third). Which numbers to expect stands in experiments/README.md. Every seed is kept when it is
done, so that a run that was stopped goes on when it is started again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from experiments.label_smoothing_distillation_page import QUESTION, finding, write_pages
from experiments.label_smoothing_distillation_toy import (
    HIERARCHY,
    TOY_TRIO,
    Toy,
    drawn,
    perceptron,
    toy_recipe,
)
from gan_forensics.cli.main import piped
from gan_forensics.data import ArraySource, open_source
from gan_forensics.data.files import write_json
from gan_forensics.data.images import to_float
from gan_forensics.distill import make_classifier
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.studies.distillation import Grid, follow_grid
from gan_forensics.studies.distillation_fit import (
    Classifier,
    Examples,
    Recipe,
    Selection,
    Task,
)
from gan_forensics.studies.runner import (
    as_json,
    carry_out,
    chosen,
    in_processes,
    stored_part,
)
from gan_forensics.train.run_folder import writing

Part = Literal["toy", "fashion"]
FASHION = "/usr/share/datasets/fashion-mnist"  # of Debian's package dataset-fashion-mnist
CLASSES = 10
# T-shirt, pullover, dress, coat, shirt; pictures of pullover, shirt, and ankle boot.
SIMILAR, TRIO = (0, 2, 3, 4, 6), (2, 6, 9)
# Of MNIST-5k, which stands in: 4, 7, 9; pictures of 4, 9, and 0.
DIGITS, DIGITS_TRIO = (4, 7, 9), (4, 9, 0)


@dataclass(frozen=True)
class Fashion:
    """How Fashion-MNIST is learnt.

    Attributes:
        data: folder of its IDX files; where it is absent, MNIST-5k stands in.
        images: sizes of the training part.
        validation: images that choose epochs and temperatures, of the train split too.
        seeds: of images, networks and order.
        size: of the images' sides, in pixels.
        teacher: width of the teachers' first layer.
        student: of the students'.
        steps: of every network.
        batch_size: images a minibatch.
        learning_rate: at the start.
        alpha: smoothing.
        temperatures: of distillation, with 1 among them.
        select: which accuracies are reported.
    """

    data: Path = Path(FASHION)
    images: tuple[int, ...] = (1000, 10_000)
    validation: int = 2000
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    size: int = 14
    teacher: int = 16
    student: int = 8
    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 0.05
    alpha: float = 0.1
    temperatures: tuple[float, ...] = (1, 2, 3, 64)
    select: tuple[Selection, ...] = ("last", "validation")


@dataclass(frozen=True)
class Experiment:
    """Which parts, and how each is trained.

    Attributes:
        out: folder for results.json, report.html and what they are made from.
        parts: of the experiment.
        toy: groups of classes.
        fashion: small images.
        processes: seeds that are trained at once; by default as many as cores.
    """

    out: Path
    parts: tuple[Part, ...] = ("toy", "fashion")
    toy: Toy = field(default_factory=Toy)
    fashion: Fashion = field(default_factory=Fashion)
    processes: int | None = None


PRESETS = {
    "smoke": (
        "The toy with two seeds and a few epochs: shows that everything runs.",
        Experiment(
            Path("runs/label-smoothing-distillation-smoke"),
            parts=("toy",),
            toy=Toy(seeds=(0, 1), teacher_epochs=6, student_epochs=6),
            processes=1,
        ),
    ),
    "cpu": (
        "The toy with 6 seeds and Fashion-MNIST with 5, on a CPU.",
        Experiment(Path("runs/label-smoothing-distillation-cpu")),
    ),
}


def source_of(settings: Fashion) -> tuple[str, str]:
    """The name of the source, and what is to be said where it stands in for another."""
    if settings.data.exists():
        return f"idx:{settings.data}", ""
    return "samples:mnist5k", (
        f"{settings.data} is absent (Debian: dataset-fashion-mnist): MNIST-5k stands in."
    )


@cache
def _part(name: str, size: int, split: str) -> Examples:
    source = open_source(name, size=size, split=split)
    assert isinstance(source, ArraySource)
    return Examples(to_float(source.arrays["image"]), source.arrays["label"].astype(int))


def drawn_images(settings: Fashion, images: int, seed: int) -> Task:
    """The task of a seed: its own training and validation images, and the whole test split."""
    name, _ = source_of(settings)
    whole, test = (_part(name, settings.size, split) for split in ("train", "test"))
    rows = np.random.default_rng((seed, 2022)).permutation(len(whole.label))
    parts = {"train": rows[:images], "validation": rows[len(rows) - settings.validation :]}
    drawn = {name: Examples(whole.image[some], whole.label[some]) for name, some in parts.items()}
    return Task(**drawn, test=test, classes=CLASSES)


def sizes_of(settings: Fashion) -> list[int]:
    """The numbers of training images that the source has beside the validation part.

    Raises:
        ValueError: when it has none of them.
    """
    name, _ = source_of(settings)
    have = len(_part(name, settings.size, "train").label) - settings.validation
    if not (sizes := [n for n in settings.images if n <= have]):
        raise ValueError(
            f"{name} has {have} images beside {settings.validation} for validation: ask for fewer "
            f"than {min(settings.images, default=0)}"
        )
    return sizes


def _small_cnn(width: int) -> Classifier:
    network, trunk = (make_classifier("small_cnn", k, width=width) for k in (CLASSES, None))
    return Classifier(network, trunk)


def followed_toy(settings: Toy, seed: int) -> dict[str, Any]:
    """The toy's grid of a seed."""
    return follow_grid(
        Grid(HIERARCHY, TOY_TRIO, settings.alpha, settings.temperatures, select=settings.select),
        drawn(seed),
        teacher=(perceptron(settings.teacher), toy_recipe(settings, settings.teacher_epochs)),
        student=(perceptron(settings.student), toy_recipe(settings, settings.student_epochs)),
        seed=seed,
        batched=True,
        pictures=seed == settings.seeds[0],
    )


def followed_fashion(settings: Fashion, images: int, seed: int) -> dict[str, Any]:
    """The grid of a seed and a number of training images."""
    recipe = Recipe(
        settings.steps, batch_size=settings.batch_size, learning_rate=settings.learning_rate
    )
    digits = source_of(settings)[1]
    return follow_grid(
        Grid(
            (DIGITS if digits else SIMILAR,),
            DIGITS_TRIO if digits else TRIO,
            settings.alpha,
            settings.temperatures,
            select=settings.select,
        ),
        drawn_images(settings, images, seed),
        teacher=(_small_cnn(settings.teacher), recipe),
        student=(_small_cnn(settings.student), recipe),
        seed=seed,
        batched=False,
        pictures=seed == settings.seeds[0],
    )


def _job(
    title: str, settings: Toy | Fashion, images: int, seed: int, out: Path
) -> tuple[str, dict[str, Any], float]:
    """One seed, from its file where it is finished; in a process of its own."""
    keep_scratch_memory()
    keep_compiled()
    asked = {k: v for k, v in asdict(settings).items() if k not in ("images", "seeds")}
    asked |= {"images": images, "seed": seed, "pictures": seed == settings.seeds[0]}
    stem = "-".join(title.lower().replace(",", "").split())
    if isinstance(settings, Toy):
        follow = partial(followed_toy, settings, seed)
    else:
        asked["data"] = source_of(settings)[0]
        follow = partial(followed_fashion, settings, images, seed)
    found, seconds = stored_part(out / "parts" / f"{stem}-seed{seed}.json", asked, follow)
    print(f"{title}, seed {seed}: {seconds:.0f} s", flush=True)
    return title, found, seconds


def _jobs(experiment: Experiment) -> list[tuple[Any, ...]]:
    jobs = []
    if "toy" in experiment.parts:
        settings = experiment.toy
        jobs += [("Toy", settings, 0, seed, experiment.out) for seed in settings.seeds]
    if "fashion" in experiment.parts:
        settings = experiment.fashion
        name = "MNIST-5k" if source_of(settings)[1] else "Fashion-MNIST"
        jobs += [
            (f"{name}, {n:,} images", settings, n, seed, experiment.out)
            for n in sizes_of(settings)
            for seed in settings.seeds
        ]
    return jobs


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the experiment out; returns what is in results.json.

    Raises:
        ValueError: for no parts, and settings that cannot be judged.
        RunFolderError: when the folder is in use.
    """
    if not experiment.parts:
        raise ValueError(f"no parts to carry out: choose from {', '.join(get_args(Part))}")
    settings = {part: getattr(experiment, part) for part in experiment.parts}
    results: dict[str, Any] = {
        "protocol": {
            **{part: as_json(asdict(each)) for part, each in settings.items()},
            "teacher's logits": "computed once for each teacher: nothing is augmented",
            "spread": "standard deviation between training seeds (n - 1)",
            "intervals": "Student's 95 % of the mean of differences in pairs of one seed's cells",
            **provenance(),
        },
        "notes": _notes(experiment),
        "tasks": {},
        "seconds": {},
    }
    with writing(experiment.out):
        tasks, seconds = results["tasks"], results["seconds"]
        for title, found, took in in_processes(_job, _jobs(experiment), experiment.processes):
            tasks.setdefault(title, []).append(found)
            seconds[title] = round(seconds.get(title, 0.0) + took, 1)
        results["finding"] = finding(results)
        write_json(experiment.out / "results.json", results)
        write_pages(experiment.out, results)
    return results


def _notes(experiment: Experiment) -> list[str]:
    """What was not done as asked."""
    if "fashion" not in experiment.parts:
        return []
    settings = experiment.fashion
    notes = [note] if (note := source_of(settings)[1]) else []
    if left := sorted({*settings.images} - {*sizes_of(settings)}):
        notes.append(f"Left out, since there are fewer: {', '.join(map(str, left))} images.")
    return notes


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    carry_out(chosen(PRESETS, "label_smoothing_distillation", QUESTION, arguments), run)


if __name__ == "__main__":
    piped(main)
