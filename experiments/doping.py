"""Does doping the rare normal rows help detectors of anomalies? (Lim et al., "DOPING", ICDM 2018)

    python -m experiments.doping smoke   # shows that everything runs
    python -m experiments.doping cpu --odds FOLDER   # the table in experiments/README.md
    python -m experiments.doping paper --odds FOLDER

    preset  hardware      time         what
    smoke   2 CPU cores   under 60 s   world C, the wine table, two seeds, few steps
    cpu     2 CPU cores   see below    worlds A, B, C; scikit-learn's tables; ODDS files if given
    paper   GPU or TPU    not run      the published widths and rates, 25 seeds, four ODDS files

The cpu preset takes about a quarter of an hour of processor time.

FOLDER holds thyroid.mat, cardio.mat, mammography.mat (ODDS); without it those tables are left out.

Settings are chosen on validation rows; test rows choose nothing, but for the F1 called
best-over-grid, which is the published oracle. Every augmentation is paired with "none" by the seed
of its autoencoder and forests. The paper's own tables have not been compared, since its settings
are not known to us.

Expected (cpu, isolation forest): doping gains little beside its controls. Average precision without
and gain of the published edge: cardio 0.880, +0.008 [-0.012, +0.029]; thyroid 0.712, +0.027
[0.000, +0.054]; mammography 0.270, +0.038 [-0.004, +0.081], where the plain prior gains +0.066.
World C: AUC 0.58 without, 0.60 at radius 10, 0.05 at radius 1, 0.15 at radius 100.

Every setting of a preset can be overridden: `cpu --tables wine --compare.seeds 0 1 --out
runs/short`. A run that was stopped goes on with the next table when it is started again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gan_forensics.anomaly.tasks import Task
from gan_forensics.cli.entry import piped
from gan_forensics.experiments.doping_page import QUESTION, finding, write_pages
from gan_forensics.experiments.doping_tasks import carried_task, odds_task
from gan_forensics.experiments.doping_toys import Toys, sweep
from gan_forensics.studies.doping import CompareConfig, compare
from gan_forensics.studies.results import scalars, seed_rows, write_results
from gan_forensics.studies.runner import carry_out, chosen, stored_part


@dataclass(frozen=True)
class Experiment:
    """Toy worlds and real tables.

    Attributes:
        out: folder for results.json, results.md, report.html and parts/.
        toys: the sweep over radii.
        compare: what the tables are measured with.
        tables: tables that scikit-learn carries.
        odds: folder of ODDS .mat files.
        odds_tables: names of those files; used where `odds` is given.
        epochs: of training on tables, in place of `compare.steps`; 0 for those.
    """

    out: Path
    toys: Toys = field(default_factory=Toys)
    compare: CompareConfig = field(default_factory=CompareConfig)
    tables: tuple[str, ...] = ("breast_cancer", "wine", "digits-0")
    odds: Path | None = None
    odds_tables: tuple[str, ...] = ("thyroid", "cardio", "mammography")
    epochs: int = 0


SMOKE = Experiment(
    Path("runs/doping-smoke"),
    toys=Toys(
        worlds=("C",),
        variants=("unlabelled",),
        radii=(1, 10, 50),
        seeds=(0, 1),
        forests=1,
        hidden=(32, 32),
        steps=600,
    ),
    compare=CompareConfig(
        methods=("none", "duplicate", "interpolation", "plain_gan", "prior", "doping"),
        tuned=("doping",),
        shares=(0.1,),
        edges=("data", ("shell", 2.0)),
        seeds=(0, 1),
        choosing_seeds=(1000,),
        forests=1,
        hidden=(16, 16),
        steps=200,
    ),
    tables=("wine",),
)
CPU = Experiment(
    Path("runs/doping-cpu"),
    toys=Toys(hidden=(64, 64), steps=3000, forests=2),
    compare=CompareConfig(hidden=(64, 64), steps=2000, forests=1),
)
PAPER = Experiment(
    Path("runs/doping-paper"),
    toys=Toys(hidden=(1000, 1000), steps=20_000, start="normal", forests=10),
    compare=CompareConfig(
        hidden=(1000, 1000),
        learning_rate=1e-4,
        joined=True,
        seeds=tuple(range(25)),
        forests=5,
        shares=(0.1, 0.2),
        twins=True,
    ),
    odds_tables=("thyroid", "cardio", "mammography", "lympho"),
    epochs=50,
)
PRESETS = {
    "smoke": ("Under a minute: shows that everything runs.", SMOKE),
    "cpu": ("Toy worlds and real tables on a CPU.", CPU),
    "paper": ("The published widths and rates; needs an accelerator.", PAPER),
}


def tasks(experiment: Experiment) -> dict[str, Callable[[], Task]]:
    """How to get the real tables, by name."""
    found: dict[str, Callable[[], Task]] = {n: partial(carried_task, n) for n in experiment.tables}
    if folder := experiment.odds:
        if not folder.is_dir():
            raise FileNotFoundError(f"--odds {folder} is not a folder")
        found |= {name: partial(odds_task, folder, name) for name in experiment.odds_tables}
    return found


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry an experiment out; returns what is in results.json: `tables_of`, and extras.

    Raises:
        ValueError: for unknown worlds, tables or methods.
        FileNotFoundError: for ODDS files that are not there.
    """
    start, toys, seconds = time.perf_counter(), experiment.toys, {}

    def part(name: str, asked: dict[str, Any], job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        def told() -> dict[str, Any]:
            print(f"{name} ...", flush=True)
            return job()

        result, took = stored_part(experiment.out / "parts" / f"{name}.json", asked, told)
        # Older files hold the seconds in the result itself.
        result = {"seconds": took, **result}
        seconds[name] = result["seconds"]
        return result

    asked = {**asdict(experiment.compare), "epochs": experiment.epochs}
    tables = [
        part(f"table-{name}", asked, partial(_measured, experiment, task))
        for name, task in tasks(experiment).items()
    ]
    sweeps = [
        part(f"toy-{world}-{variant}", asdict(toys), partial(sweep, toys, world, variant))
        for world in toys.worlds
        # Labels matter where anomalies lie inside; A and B show the shell alone.
        for variant in (toys.variants if world == "C" else toys.variants[:1])
    ]
    results = {
        "protocol": {**asdict(experiment), "out": None, "odds": bool(experiment.odds)},
        "toys": sweeps,
        "tasks": tables,
        "seconds": seconds,
        "seconds_of_this_call": time.perf_counter() - start,
    }
    results["finding"] = finding(results)
    results = write_results(experiment.out, results, tables_of(results))
    write_pages(experiment.out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: real tables by detector, augmentation and seed; toy worlds by radius and seed."""
    compared, toys = (results["protocol"][part]["seeds"] for part in ("compare", "toys"))
    rows, settings, priors, points = [], [], [], []
    for task in results["tasks"]:
        name = {"task": task["task"]["name"]}
        found = [{**row, **name, "edge": _word(row["edge"])} for row in task["rows"]]
        columns = ("task", "detector", "augmentation", "share", "edge")
        rows += seed_rows(found, compared, keep=columns)
        settings += [{**name, **row} for row in task["chosen"]]
        priors += [{**name, **scalars(row)} for row in task["prior"]]
    for swept in results["toys"]:
        radii = [{**swept["none"], "radius": None}, *swept["radii"]]
        radii = [{**row, **scalars(swept)} for row in radii]
        points += seed_rows(radii, toys, keep=("world", "variant", "radius"))
    return {"rows": rows, "toys": points, "settings": settings, "priors": priors}


def _word(edge: Any) -> str | None:
    """An edge in one word: `data`, `shell 2.0`."""
    return edge if edge is None or isinstance(edge, str) else " ".join(map(str, edge))


def _measured(experiment: Experiment, task: Callable[[], Task]) -> dict[str, Any]:
    """The comparison on one table."""
    settings, split = experiment.compare, task()
    if experiment.epochs:
        steps = experiment.epochs * -(-len(split.train) // settings.batch)
        settings = replace(settings, steps=steps)
    return compare(settings, split)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = chosen(PRESETS, "doping", QUESTION, arguments)
    carry_out(experiment, run)


if __name__ == "__main__":
    piped(main)
