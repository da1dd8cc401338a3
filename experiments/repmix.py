"""Which GAN made this image, whatever it shows? (Bui, Yu and Collomosse, "RepMix", ECCV 2022)

    python -m experiments.repmix smoke
    python -m experiments.repmix cpu
    python -m experiments.repmix paper --lists DIR --attributors.weights FILE

    preset  hardware      time               what
    smoke   2 CPU cores   1 minute           three sources, two attributors, a few steps
    cpu     2 CPU cores   21 + 41 minutes    six GANs x three semantics, trained here
    paper   GPU or TPU    not run yet        Attribution88 with the recipe of the released code

`paper` reads the lists of Attribution88 from DIR: train.csv, val.csv and test.csv (columns path,
label, dlabel; paths are relative to DIR), whose images have to be got from its authors, and starts
from ImageNet's weights, a PyTorch file. `cpu` first trains GANs and builds a small benchmark of the
same kind (`experiments.repmix_gans`). Both parts are resumed where they were stopped.

Published: RepMix names the source of images of unseen semantics and after perturbations better than
earlier attributors; the numbers of its tables could not be had. What to expect of a small network
that is trained from random weights on a few thousand images: no win for RepMix. What came out
stands in experiments/README.md: read seen instances beside new training seeds of the same GANs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gan_forensics.cli.entry import piped
from gan_forensics.experiments.repmix_arms import (
    ARMS,
    REPMIX,
    Attributors,
    Benchmark,
    measure_arm,
    measure_open_set,
    rows_of,
    tests,
)
from gan_forensics.experiments.repmix_dates import date_rows, measure_date, results_by_date
from gan_forensics.experiments.repmix_gans import MAKERS, SMOKE, Gans, build, train_all
from gan_forensics.experiments.repmix_page import finding, write_pages
from gan_forensics.forensics.attribution_measure import CONDITIONS
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.studies.by_date import periods
from gan_forensics.studies.results import scalars, write_results
from gan_forensics.studies.runner import as_json, carry_out, chosen, in_processes
from gan_forensics.train.run_folder import writing

QUESTION = "Which GAN made this image, whatever it shows?"


@dataclass(frozen=True)
class Experiment:
    """What is trained, and what is measured.

    Attributes:
        out: folder for results.json, report.html and what they are made from.
        gans: part one; without meaning where there are lists.
        attributors: part two.
        lists: folder of the lists of a benchmark that is there already.
        processes: at once; by default as many as cores.
    """

    out: Path
    gans: Gans = field(default_factory=Gans)
    attributors: Attributors = field(default_factory=Attributors)
    lists: Path | None = None
    processes: int | None = None


PRESETS = {
    "smoke": (
        "Three GANs of two steps, two attributors of one epoch: shows that everything runs.",
        Experiment(
            Path("runs/repmix-smoke"),
            gans=SMOKE,
            attributors=Attributors(
                arms=(REPMIX, "prnu"), seeds=(0,), open_arms=(), epochs=1, most=8, pairs=10,
                width=4, dates=(2017,), date_arms=(),
            ),
            processes=1,
        ),
    ),
    "cpu": (
        "Six GANs on three semantics, eleven attributors of three seeds, on a CPU.",
        Experiment(Path("runs/repmix-cpu")),
    ),
    "paper": (
        "Attribution88 from its lists, with the released recipe; needs an accelerator.",
        Experiment(
            Path("runs/repmix-paper"),
            attributors=Attributors(
                arms=tuple(arm for arm in ARMS if arm not in ("eigenface", "neighbours")),
                arch="resnet50", width=None, yu_width=None, residual_width=None, epochs=30,
                learning_rate=None, crop_from=256, size=224, most=500, dates=(),
            ),
            lists=Path("attribution88"),
            processes=1,
        ),
    ),
}  # fmt: skip


def _job(part: str, *arguments: Any) -> tuple[str, tuple[Any, ...], Any, float]:
    """One fit of part two; in a process of its own."""
    keep_scratch_memory()
    keep_compiled()
    result, seconds = PARTS[part](*arguments)
    return part, arguments[2:-1], result, seconds


PARTS = {"arms": measure_arm, "open_set": measure_open_set, "dates": measure_date}


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the experiment out; returns what is in results.json: `tables_of`, and extras.

    Raises:
        ValueError: for unknown arms, and lists that cannot be used.
        RunFolderError: when the folder is in use.
    """
    out, settings = experiment.out, experiment.attributors
    if unknown := sorted({*settings.arms, *settings.open_arms, *settings.date_arms} - {*ARMS}):
        raise ValueError(f"unknown arms {', '.join(unknown)}; they are {', '.join(ARMS)}")
    results: dict[str, Any] = {
        "protocol": {
            "attributors": as_json(asdict(settings)),
            "spread": "standard deviation between attributor seeds (n - 1)",
            **provenance(),
        },
        "seconds": {},
    }
    with writing(out):
        lists = experiment.lists
        if lists is None:
            results["protocol"]["gans"] = as_json(asdict(experiment.gans))
            trained = train_all(experiment.gans, out, processes=experiment.processes)
            results["seconds"]["GANs"] = round(sum(trained.values()), 1)
            lists = build(experiment.gans, out)
            names = (*experiment.gans.makers,)
            results["makers"] = {n: as_json(MAKERS[n]._asdict()) for n in names}
        bench = Benchmark(lists)
        results["benchmark"] = described(bench)
        for group in rows_of(bench, settings):
            for condition in CONDITIONS:
                tests(bench, settings, group, condition, out / "parts")
        jobs: list[tuple[Any, ...]] = [
            ("arms", lists, settings, arm, seed, out)
            for arm in settings.arms
            for seed in settings.seeds
        ]
        generators = [name for name in bench.train.names if name != bench.train.real]
        jobs += [
            ("open_set", lists, settings, arm, seed, left, out)
            for arm in settings.open_arms
            for seed in settings.open_seeds
            for left in generators
        ]
        years = {name: MAKERS[name].year for name in generators if name in MAKERS}
        if settings.dates and experiment.lists is None:
            jobs += [
                ("dates", lists, settings, years, period.until, out)
                for period in periods(years, settings.dates)
            ]
        dates = {}
        for part, which, found, seconds in in_processes(_job, jobs, experiment.processes):
            results["seconds"][part] = round(results["seconds"].get(part, 0) + seconds, 1)
            if part == "dates":
                dates[which[-1]] = found
                continue
            place = results.setdefault(part, {})
            for key in which[:-1]:
                place = place.setdefault(str(key), {})
            place[str(which[-1])] = found
        if dates:
            results["dates"] = as_json(results_by_date(dates))
        results["finding"] = finding(results)
        results = write_results(out, results, tables_of(results))
        write_pages(out, results)
    return results


def described(bench: Benchmark) -> dict[str, Any]:
    """Sources, semantics and numbers of a benchmark's images, JSON-able."""
    parts = {"train": bench.train, "val": bench.held_out, "test": bench.test}
    return {
        "digest": bench.digest(),
        "names": list(bench.train.names),
        "real": bench.train.real,
        "images": {split: len(images.labels) for split, images in parts.items()},
        "seen": bench.known["semantics"],
        "unseen": sorted({*bench.test.semantics} - {*bench.known["semantics"]}),
    }


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: arms and seeds by group and condition; verdicts on pairs; open sets; dates."""
    rows, fits, verdicts, opened = [], [], [], []
    for arm, seeds in results.get("arms", {}).items():
        for seed, found in seeds.items():
            name = {"seed": int(seed), "arm": arm}
            mixtures = {f"mixtures_{k}": v for k, v in found.get("mixtures", {}).items()}
            fits.append({**name, "temperature": found["temperature"], **mixtures})
            for group, conditions in found["cells"].items():
                for condition, cell in conditions.items():
                    which = {**name, "images": group, "condition": condition}
                    rows.append({**which, **scalars(cell)})
            for which, shares in found["verification"].items():
                group, size = which.rsplit(", ", 1)
                verdicts.append({**name, "images": group, "set_size": int(size), **shares})
    for arm, seeds in results.get("open_set", {}).items():
        for seed, sources in seeds.items():
            for left, scores in sources.items():
                name = {"seed": int(seed), "arm": arm, "unknown": left}
                opened += [{**name, "score": s, **scalars(one)} for s, one in scores.items()]
    return {
        "rows": rows,
        "fits": fits,
        "verification": verdicts,
        "open_set": opened,
        "dates": date_rows(results.get("dates", [])),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    carry_out(chosen(PRESETS, "repmix", QUESTION, arguments), run)


if __name__ == "__main__":
    piped(main)
