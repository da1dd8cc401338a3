"""When does smoothing the teacher help its student? (Chandrasegaran et al., ICML 2022)

    python -m experiments.label_smoothing_distillation smoke
    python -m experiments.label_smoothing_distillation cpu
    python -m experiments.label_smoothing_distillation cpu --parts toy

    preset  hardware      time          what
    smoke   2 CPU cores   half a minute the toy, two seeds, a few epochs
    cpu     2 CPU cores   45 minutes    the toy with 6 seeds, Fashion-MNIST with 5
    paper   GPU or TPU    not run yet   the published recipes on ImageNet and CUB-200-2011

Published: distil from a teacher trained with label smoothing at T = 1; at higher T its students
lose more, since their features drift towards similar classes. Parts:

    toy        twenty groups of five classes, perceptrons: fine-grained, where this was seen
    fashion    Fashion-MNIST, 1,000 and 10,000 training images, a small student of a small CNN
    published  the published recipes, standard, fine-grained and compact (only in `paper`)

Beside every student stand one without a teacher, and one of the hard teacher read at T / c, c the
ratio of the teachers' logit spreads. Nothing is augmented, so teachers' logits are computed once.
The test part is read once a cell, at the end and at the epoch that a validation part chose;
`--fashion.select last test` reports the best look on the test part, as the authors do.

What `fashion` does was fixed before any of its results: data, sizes, similar classes, seeds, alpha
and temperatures by the task's description; images of 14x14, networks, 3000 steps of 64 for both
sizes and the rate by what a core can do in about 40 minutes and by the validation accuracy of one
hard teacher of a seed that is not among them (at the end .88 with 10,000 images, unchanged over the
last third).

Expected of `cpu`: on the toy T = 1 to 3 costs students of the smoothed teacher 3.6 points more than
those of the hard one at equal T, and at T / c (c .34) no difference is shown; on Fashion-MNIST no
such loss is shown at either, with 10,000 images it is less at T / c. In none of the three is the
smoothed teacher at T = 1 among the best students. Published, single seeds: ResNet-18 of
ImageNet loses 3.9 points from T = 1 to 3 after the smoothed, 1.8 after the hard teacher. All
numbers stand in experiments/README.md. Every seed is kept when it is done, so that a run that was
stopped goes on when it is started again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from gan_forensics.cli.entry import piped
from gan_forensics.experiments.label_smoothing_distillation_fashion import (
    Fashion,
    followed_fashion,
    sizes_of,
    source_of,
)
from gan_forensics.experiments.label_smoothing_distillation_page import (
    QUESTION,
    everything,
    finding,
    write_pages,
)
from gan_forensics.experiments.label_smoothing_distillation_published import Published, reproduce
from gan_forensics.experiments.label_smoothing_distillation_toy import Toy, followed_toy
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.studies.results import write_results
from gan_forensics.studies.runner import (
    as_json,
    carry_out,
    chosen,
    in_processes,
    stored_part,
)
from gan_forensics.train.run_folder import writing

Part = Literal["toy", "fashion", "published"]


@dataclass(frozen=True)
class Experiment:
    """Which parts, and how each is trained.

    Attributes:
        out: folder for results.json, report.html and what they are made from.
        parts: of the experiment.
        toy: groups of classes.
        fashion: small images.
        published: the published recipes.
        processes: seeds that are trained at once; by default as many as cores.
    """

    out: Path
    parts: tuple[Part, ...] = ("toy", "fashion")
    toy: Toy = field(default_factory=Toy)
    fashion: Fashion = field(default_factory=Fashion)
    published: Published = field(default_factory=Published)
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
    "paper": (
        "The published recipes on ImageNet and CUB-200-2011; needs an accelerator.",
        Experiment(Path("runs/label-smoothing-distillation-paper"), parts=("published",)),
    ),
}


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
    """Carry the experiment out; returns what is in results.json: `tables_of`, and extras.

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
        if "published" in experiment.parts:
            results["published"] = reproduce(experiment.published, experiment.out)
        results["finding"] = finding(results)
        results = write_results(experiment.out, results, tables_of(results))
        write_pages(experiment.out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: every teacher and student of a task and seed; diffusion; ratios; published."""
    rows, moved, ratios = [], [], []
    for task, seeds in results["tasks"].items():
        for found in seeds:
            name = {"seed": found["seed"], "task": task}
            ratios.append({**name, "ratio": found["ratio"]})
            networks = [("teacher", arm, None, one) for arm, one in found["teachers"].items()]
            networks += [("alone", arm, None, one) for arm, one in found["alone"].items()]
            networks += [
                ("student", arm, float(temperature), one)
                for arm, cells in found["students"].items()
                for temperature, one in cells.items()
            ]
            for network, arm, temperature, one in networks:
                row = {**name, "network": network, "arm": arm, "temperature": temperature}
                accuracy = {f"test_accuracy_{at}": value for at, value in one["accuracy"].items()}
                on_validation = {"validation_accuracy": one["validation"]}
                more = {"ece": one["ece"], "logit_spread": one["spread"]}
                rows.append({**row, **accuracy, **on_validation, **more})
            for arm, temperatures in found["diffusion"].items():
                for temperature, parts in temperatures.items():
                    for part, (similar, others) in parts.items():
                        row = {**name, "arm": arm, "temperature": float(temperature), "part": part}
                        moved.append({**row, "to_similar": similar, "to_others": others})
    published = results.get("published", [])
    return {"rows": rows, "diffusion": moved, "ratios": ratios, "published": published}


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
    carry_out(
        chosen(PRESETS, "label_smoothing_distillation", QUESTION, arguments), run, say=everything
    )


if __name__ == "__main__":
    piped(main)
