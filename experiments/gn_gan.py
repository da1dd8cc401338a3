"""What keeps a GAN's modes: an encoder, distances, neighbours, gradients? (Tran et al., 2018, 2019)

    python -m experiments.gn_gan smoke
    python -m experiments.gn_gan cpu

    preset  hardware      time          what
    smoke   2 CPU cores   half a minute two arms on the 9-mode grid, a few steps
    cpu     2 CPU cores   see experiments/README.md, toys of 5 seeds and stacked digits of 3
    paper   GPU or TPU    not run yet   the published lengths on the 25-mode grid, 8 seeds

"Dist-GAN" (ECCV 2018) ties a GAN to its data by an encoder and a latent-data distance, "GN-GAN"
(AAAI 2019) by neighbour embedding (NE) and gradient matching (GM). Parts:

    line      densities on a line over training, six GANs (the published VAEGAN has no established
              formula and is left out)
    grid9     3x3 modes, all arms, the released code's peculiarities one at a time
    grid25    5x5 modes, four arms
    stacked   stacked digits, whose 1000 modes are counted, four arms
    images    single digits, four arms

Arms of one part have the same networks, penalty, rates, seeds and points. Which numbers to expect
stands in experiments/README.md. A run that was stopped goes on when it is started again: groups of
arms that are finished are kept. Groups run in processes of their own, one for each core.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from gan_forensics.cli.entry import piped
from gan_forensics.data import open_source
from gan_forensics.data.stacked import Stacked
from gan_forensics.data.toy_points import WORLDS
from gan_forensics.experiments.gn_gan_arms import ALONE, NE_GRADIENT, NE_PRODUCT, groups
from gan_forensics.experiments.gn_gan_page import QUESTION, finding, write_pages
from gan_forensics.gans import GanConfig, build
from gan_forensics.quality import small_classifier_features
from gan_forensics.quality.modes import calibration, train_judge
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.studies.collapse import end_rows, follow_images, follow_points, follow_stacks
from gan_forensics.studies.results import write_results
from gan_forensics.studies.runner import (
    as_json,
    carry_out,
    chosen,
    in_processes,
    stored_part,
)
from gan_forensics.train.run_folder import writing

Part = Literal["line", "grid9", "grid25", "stacked", "images"]
LINE_METHODS = ("dcgan", "wgan-gp", "mdgan", "rgan", "dist-gan", "gn-gan")


@dataclass(frozen=True)
class Plane:
    """Arms on a world of points in the plane.

    Attributes:
        groups: of arms (`experiments.gn_gan_arms.groups`).
        seeds: of every arm.
        steps: of training.
        every: steps between looks.
        width: of the hidden layers.
        n_dis: moves of the discriminator a step.
        batch_size: points a minibatch.
    """

    groups: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 8000
    every: int = 400
    width: int = 64
    n_dis: int = 1
    batch_size: int = 128


@dataclass(frozen=True)
class Line:
    """Methods on N(4, 1); fields as those of `Plane`."""

    methods: tuple[str, ...] = LINE_METHODS
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 10_000
    every: int = 500
    batch_size: int = 64


@dataclass(frozen=True)
class Stacks:
    """Arms on stacked digits; fields as those of `Plane`, and

    Attributes:
        digits: source of single digits.
        images: measured at every look.
        classifier_steps: training of the judge.
    """

    groups: tuple[str, ...] = ("gan", "distance", "neighbours", "neighbours_matching")
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1000
    every: int = 250
    batch_size: int = 32
    digits: str = "samples:mnist5k"
    images: int = 5000
    classifier_steps: int = 3000


@dataclass(frozen=True)
class Images:
    """Arms on single digits; fields as those of `Stacks`, and

    Attributes:
        width: of the discriminator's first map.
    """

    groups: tuple[str, ...] = ("gan", "distance", "neighbours", "neighbours_matching")
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 600
    every: int = 150
    batch_size: int = 32
    width: int = 8
    digits: str = "samples:mnist5k"
    images: int = 2000
    classifier_steps: int = 3000


ALL = (
    "gan",
    "distance",
    "neighbours",
    "neighbours_matching",
    "distance_matching",
    "released",
    "rms",
    "fake",
    "unsquared",
    "in_generator",
    "gan_neighbours",
)
FOUR = ("gan", "distance", "neighbours", "neighbours_matching")
# Arms that the groups have beside those that a part is about.
ONLY_ON_GRID9 = (ALONE, NE_GRADIENT, NE_PRODUCT)


@dataclass(frozen=True)
class Experiment:
    """Which parts, and how each is trained.

    Attributes:
        out: folder for results.json, report.html and what they are made from.
        parts: of the experiment.
        line: densities on a line.
        grid9: the 9-mode grid.
        grid25: the 25-mode grid.
        stacked: stacked digits.
        images: single digits.
        processes: groups of arms that are trained at once; by default as many as cores.
    """

    out: Path
    parts: tuple[Part, ...] = ("line", "grid9", "grid25", "stacked", "images")
    line: Line = field(default_factory=Line)
    grid9: Plane = field(default_factory=lambda: Plane(ALL))
    grid25: Plane = field(default_factory=lambda: Plane(FOUR, steps=24_000, every=800))
    stacked: Stacks = field(default_factory=Stacks)
    images: Images = field(default_factory=Images)
    processes: int | None = None


PRESETS = {
    "smoke": (
        "Two arms on the 9-mode grid in a few steps: shows that everything runs.",
        Experiment(
            Path("runs/gn-gan-smoke"),
            parts=("grid9",),
            grid9=Plane(
                ("gan", "neighbours"), seeds=(0, 1), steps=40, every=20, width=16, batch_size=32
            ),
            processes=1,
        ),
    ),
    "cpu": ("Toys of 5 seeds and stacked digits on a CPU.", Experiment(Path("runs/gn-gan-cpu"))),
    "paper": (
        "The published lengths on the 25-mode grid and stacked MNIST; needs an accelerator.",
        Experiment(
            Path("runs/gn-gan-paper"),
            parts=("grid25", "stacked"),
            grid25=Plane(
                FOUR,
                seeds=tuple(range(8)),
                steps=195_500,
                every=391,
                width=128,
                n_dis=5,
            ),
            stacked=Stacks(
                seeds=(0,),
                steps=200_000,
                every=10_000,
                digits="tfds:mnist",
                images=25_600,
                classifier_steps=50_000,
            ),
        ),
    ),
}


def trained(part: Part, group: str, settings: Any, out: Path) -> dict[str, Any]:
    """The arms of a group on a part's data: name -> what was seen of them."""
    if part == "line":
        gan = build(GanConfig(group, data="toy:line", batch_size=settings.batch_size))
        shared = {"seeds": settings.seeds, "steps": settings.steps, "every": settings.every}
        return {group: follow_points(gan, WORLDS["toy:line"], **shared)}
    if part == "stacked":
        return _trained_on_stacks(group, settings, out)
    if part == "images":
        return _trained_on_images(group, settings, out)
    config = GanConfig(
        "dist-gan",
        data=f"toy:{part}",
        width=settings.width,
        n_dis=settings.n_dis,
        batch_size=settings.batch_size,
    )
    follow = partial(follow_points, world=WORLDS[f"toy:{part}"])
    return _arms(follow, config, group, settings, all_arms=part == "grid9")


def _arms(
    follow: Callable[..., Any], config: GanConfig, group: str, settings: Any, *, all_arms=False
) -> dict[str, Any]:
    """Follow the arms of a group."""
    gan, arms = groups(config)[group]
    shared = {"seeds": settings.seeds, "steps": settings.steps, "every": settings.every}
    return {
        name: follow(gan, weights=weights, **shared)
        for name, weights in arms.items()
        if all_arms or name not in ONLY_ON_GRID9
    }


def _trained_on_stacks(group: str, settings: Stacks, out: Path) -> dict[str, Any]:
    train, test = (_stacks(settings, split) for split in ("train", "test"))
    judge = train_judge(
        train.inner, test.inner, out / f"judge-{group}", steps=settings.classifier_steps
    )
    config = GanConfig(
        "dist-gan",
        data=f"stacked:{settings.digits}",
        size=28,
        architecture="stacked",
        batch_size=settings.batch_size,
    )
    follow = partial(follow_stacks, source=train, judge=judge, images=settings.images)
    found = _arms(follow, config, group, settings)
    for followed in found.values():
        followed["accuracy"] = judge.accuracy
        followed["calibration"] = [
            {"true": true, **count._asdict()}
            for true, count in calibration(judge, settings.images).items()
        ]
    return found


def _trained_on_images(group: str, settings: Images, out: Path) -> dict[str, Any]:
    train, test = (open_source(settings.digits, size=28, split=s) for s in ("train", "test"))
    classifier = small_classifier_features(
        train, out / f"classifier-{group}", steps=settings.classifier_steps
    )
    config = GanConfig(
        "dist-gan",
        data=settings.digits,
        size=28,
        channels=1,
        width=settings.width,
        batch_size=settings.batch_size,
        decay_steps=settings.steps,
    )
    follow = partial(
        follow_images,
        train=train,
        held_out=test,
        extractor=classifier,
        images=settings.images,
    )
    return _arms(follow, config, group, settings)


def _stacks(settings: Stacks, split: str) -> Stacked:
    source = open_source(f"stacked:{settings.digits}", size=28, split=split)
    assert isinstance(source, Stacked)
    return source


def _job(part: Part, group: str, settings: Any, out: Path) -> tuple[str, str, Any, float]:
    """One group, from its file where it is finished; in a process of its own."""
    keep_scratch_memory()
    keep_compiled()
    asked = {**as_json(asdict(settings)), "group": group}
    asked.pop("groups" if "groups" in asked else "methods")
    path = out / "parts" / f"{part}-{group}.json"
    result, seconds = stored_part(path, asked, lambda: trained(part, group, settings, out))
    return part, group, result, seconds


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the experiment out; returns what is in results.json: `tables_of`, and extras.

    Raises:
        ValueError: for no parts.
        RunFolderError: when the folder is in use.
    """
    if not experiment.parts:
        raise ValueError("no parts to carry out: choose from line, grid9, grid25, stacked, images")
    jobs = []
    for part in experiment.parts:
        settings = getattr(experiment, part)
        names = settings.methods if part == "line" else settings.groups
        jobs += [(part, name, settings, experiment.out) for name in names]
    with writing(experiment.out):
        done = in_processes(_job, jobs, experiment.processes)
        results: dict[str, Any] = {
            "protocol": {
                **{part: as_json(asdict(getattr(experiment, part))) for part in experiment.parts},
                "spread": "standard deviation between training seeds (n - 1)",
                **provenance(),
            }
        }
        seconds: dict[str, float] = dict.fromkeys(experiment.parts, 0.0)
        for part, _, found, took in done:
            results.setdefault(part, {}).update(found)
            seconds[part] = round(seconds[part] + took, 1)
        results["seconds"] = seconds
        results["finding"] = finding(results)
        results = write_results(experiment.out, results, tables_of(results))
        write_pages(experiment.out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: the end of every part, arm and seed; counts of real stacks of known modes."""
    parts = {part: results[part] for part in get_args(Part) if part in results}
    rows = [
        row
        for part, arms in parts.items()
        for arm, followed in arms.items()
        for row in end_rows(followed, part=part, arm=arm)
    ]
    stacked = parts.get("stacked", {}).items()
    counts = [{"arm": arm, **row} for arm, found in stacked for row in found["calibration"]]
    return {"rows": rows, "calibration": counts}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    carry_out(chosen(PRESETS, "gn_gan", QUESTION, arguments), run)


if __name__ == "__main__":
    piped(main)
