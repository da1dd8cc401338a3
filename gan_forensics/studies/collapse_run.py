"""Any GAN, with any task on top, on every world whose modes are known: one folder, one page."""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gan_forensics.data import open_source
from gan_forensics.data.stacked import Stacked
from gan_forensics.data.toy_points import WORLDS
from gan_forensics.files import write_json
from gan_forensics.gans import (
    METHODS,
    Gan,
    GanConfig,
    Task,
    build,
    gradient_matching_task,
    neighbour_task,
)
from gan_forensics.gans.autoencoder import AUTOENCODER, ENCODER
from gan_forensics.gans.building import spans_run
from gan_forensics.gans.config import POINTS
from gan_forensics.gans.methods import architecture_of
from gan_forensics.quality.modes import calibration, train_judge
from gan_forensics.report import Section, Table
from gan_forensics.report.provenance import provenance
from gan_forensics.studies.collapse import Followed, at_end, follow_points, follow_stacks, modes_of
from gan_forensics.studies.collapse_page import (
    calibration_table,
    said_interval,
    said_mean,
    world_pictures,
    world_table,
)
from gan_forensics.studies.pages import write_markdown, write_page
from gan_forensics.studies.runner import as_json, read_part, stored_part
from gan_forensics.train.run_folder import RunFolderError, differences, in_lines, writing

STACKED = "stacked"
# Steps after which the differences between methods are to be seen, and looks on the way.
STEPS = {"grid9": 8000, "plus": 16_000, "sine": 16_000, "grid25": 24_000, STACKED: 1000}
WORLD_NAMES = tuple(STEPS)
LOOKS = 20
QUESTION = "Which modes does it keep?"


@dataclass(frozen=True)
class Collapse:
    """What is trained on which worlds.

    Attributes:
        method: a key of `METHODS`.
        out: folder of results.json, report.html and the parts.
        tasks: names of tasks on top of the method: gradient-matching, neighbour-embedding, or
            MODULE:NAME of a `Task`, or of a function that returns one.
        worlds: some of `WORLD_NAMES`; by default all that the method has networks for.
        seeds: of every world.
        steps: of training, in the place of `STEPS`.
        width: of the perceptrons' hidden layers.
        n_dis: moves of the discriminator a step.
        batch_size: points or images a minibatch.
        digits: source of the digits that are stacked.
        images: measured at every look on stacks.
    """

    method: str
    out: Path
    tasks: tuple[str, ...] = ()
    worlds: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int | None = None
    width: int = 64
    n_dis: int = 1
    batch_size: int = 128
    digits: str = "samples:digits"
    images: int = 2000


def worlds_of(study: Collapse) -> tuple[tuple[str, ...], dict[str, str]]:
    """The worlds to train on, and, by name, why others are left out.

    Raises:
        ValueError: for a method that is not known, is told the modes, or lacks what is asked for.
    """
    rows = METHODS[study.method] if study.method in METHODS else {}
    architecture_of(GanConfig(study.method))  # Says what an unknown method might have been.
    if any(row.conditional for row in rows.values()):
        raise ValueError(
            f"{study.method} is told the classes, which are the modes here: choose a method "
            "without classes"
        )
    if unknown := sorted(set(study.worlds or ()) - set(WORLD_NAMES)):
        raise ValueError(
            f"unknown worlds {', '.join(unknown)}: choose from {', '.join(WORLD_NAMES)}"
        )
    lost = {}
    for world in study.worlds or WORLD_NAMES:
        if not _fits(world, rows):
            kind = "no networks for points" if world != STACKED else "networks for points alone"
            lost[world] = f"{study.method} has {kind}"
    if study.worlds and lost:
        left = ", ".join(world for world in WORLD_NAMES if _fits(world, rows))
        why = "; ".join(f"{world}: {why}" for world, why in lost.items())
        raise ValueError(f"{why}: choose from {left}")
    return tuple(w for w in study.worlds or WORLD_NAMES if w not in lost), lost


def _fits(world: str, rows: Iterable[str]) -> bool:
    """Whether a method that comes in these architectures has networks for a world."""
    return bool(set(rows) - set(POINTS)) if world == STACKED else "perceptron" in rows


def task_named(name: str, *, encoder: bool) -> tuple[Task, str]:
    """A task by its name, and what it depends on beside that.

    Args:
        name: gradient-matching, neighbour-embedding (in the autoencoder's move where there is one,
            else in the generator's), or MODULE:NAME, found as Python finds it from here.
        encoder: whether the method has an encoder.

    Raises:
        ValueError: for a name that leads to no task.
    """
    own: dict[str, Callable[[], Task]] = {
        "gradient-matching": gradient_matching_task,
        "neighbour-embedding": lambda: neighbour_task(
            place="autoencoder" if encoder else "generator"
        ),
    }
    if name in own:
        return own[name](), ""
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(
            f"unknown task {name!r}: choose {' or '.join(own)}, or give MODULE:NAME of your own, "
            "as in my_tasks:repulsion"
        )
    # Behind all others: what lies here takes the place of no module that is imported later.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
        found = getattr(module, attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--task {name}: {error}; it is looked for from {os.getcwd()}") from error
    except Exception as error:  # Whatever a module of the user's own raises.
        raise ValueError(
            f"--task {name}: {module_name} raises {type(error).__name__}: {error} (--debug shows "
            "where)"
        ) from error
    task = found() if callable(found) and not isinstance(found, Task) else found
    if not isinstance(task, Task):
        raise ValueError(
            f"--task {name} leads to {type(task).__name__}, not to a gan_forensics.gans.Task, nor "
            "to a function that returns one"
        )
    with suppress(OSError, TypeError):
        return task, hashlib.sha256(Path(module.__file__ or "").read_bytes()).hexdigest()[:16]
    return task, ""


def gan_of(study: Collapse, world: str) -> tuple[Gan, list[str]]:
    """The GAN that a study trains on a world, and what its tasks' files were."""
    rows = METHODS[study.method]
    config = GanConfig(
        study.method, data=f"toy:{world}", batch_size=study.batch_size, n_dis=study.n_dis
    )
    if world == STACKED:
        own = {"size": 28, "architecture": STACKED} if STACKED in rows else {"size": 32}
        config = replace(config, data=f"stacked:{study.digits}", **own)
        if architecture_of(config) == "resgan":
            config = replace(config, generator_width=16, discriminator_width=16)
        elif architecture_of(config) == "dcgan":
            config = replace(config, width=8)
    else:
        config = replace(config, width=study.width)
    if spans_run(config):
        config = replace(config, decay_steps=_steps(study, world))
    plain = build(config)
    encoder = ENCODER in plain.game.networks and any(
        update.name == AUTOENCODER for update in plain.updates
    )
    tasks = [task_named(name, encoder=encoder) for name in study.tasks]
    return build(config, tasks=[task for task, _ in tasks]), [digest for _, digest in tasks]


def _steps(study: Collapse, world: str) -> int:
    return study.steps or STEPS[world]


def _followed(study: Collapse, world: str, gan: Gan) -> Followed:
    steps = _steps(study, world)
    shared: dict[str, Any] = {"seeds": study.seeds, "steps": steps, "progress": True}
    shared["every"] = max(1, steps // (LOOKS if world != STACKED else 4))
    if world != STACKED:
        return follow_points(gan, WORLDS[f"toy:{world}"], **shared)
    size = gan.config.size
    train, test = (
        open_source(gan.config.data, size=size, split=split) for split in ("train", "test")
    )
    assert isinstance(train, Stacked) and isinstance(test, Stacked)
    judge = train_judge(train.inner, test.inner, study.out / f"judge-{size}")
    found = follow_stacks(gan, train, judge, images=study.images, **shared)
    found["accuracy"] = judge.accuracy
    found["calibration"] = [
        {"true": true, **count._asdict()}
        for true, count in calibration(judge, study.images).items()
    ]
    return found


def run(study: Collapse, *, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Train and measure; returns what is in results.json. Worlds that are finished are kept.

    Raises:
        ValueError: for a method, world or task that cannot be.
        RunFolderError: when the folder is in use.
    """
    worlds, lost = worlds_of(study)
    for world, why in lost.items():
        say(f"left out {world}: {why}")
    gans = {world: gan_of(study, world) for world in worlds}
    found: dict[str, Followed] = {}
    seconds: dict[str, float] = {}
    with writing(study.out):
        asked = {
            world: {
                "config": asdict(gan.config),
                "tasks": [*study.tasks],
                "digests": digests,
                "seeds": study.seeds,
                "steps": _steps(study, world),
                "images": study.images if world == STACKED else None,
            }
            for world, (gan, digests) in gans.items()
        }
        paths = {world: study.out / "parts" / f"{world}.json" for world in gans}
        _check_kept(study.out, paths, asked)
        for world, (gan, _) in gans.items():
            if paths[world].exists():
                say(f"{world}: kept from before")
            else:
                count = f"{len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}"
                say(f"{world}: {_steps(study, world):,} steps for each of {count}")
            job = partial(_followed, study, world, gan)
            found[world], seconds[world] = stored_part(paths[world], asked[world], job)
        name = " + ".join([study.method, *study.tasks])
        results: dict[str, Any] = {
            "protocol": {**as_json(asdict(study)), **provenance()},
            "worlds": found,
            "left_out": lost,
            "seconds": {world: round(took, 1) for world, took in seconds.items()},
            "finding": f"{name}: " + "; ".join(_said(f) for f in found.values()) + ".",
        }
        write_json(study.out / "results.json", results)
        _write_pages(study.out, name, results)
    return results


def _check_kept(out: Path, paths: Mapping[str, Path], asked: Mapping[str, Any]) -> None:
    """Refuse to put other results in the place of finished ones."""
    for world, path in paths.items():
        if not path.exists():
            continue
        if changes := differences(read_part(path)["asked"], as_json(asked[world])):
            raise RunFolderError(
                f"{out} holds {world} with other settings (there -> now):{in_lines(changes)}\n"
                "choose another folder (--out), or the settings of this one"
            )


def _said(followed: Followed) -> str:
    world = followed["world"].removeprefix("toy:")
    if world == STACKED:
        effective = said_mean(at_end(followed, "effective"), ".1f")
        return f"{effective} effective modes of 1000 on stacks"
    modes = said_mean(at_end(followed, "modes"), ".1f")
    return f"{modes} of {modes_of(followed['world'])} modes on {world}"


def _write_pages(out: Path, name: str, results: Mapping[str, Any]) -> None:
    sections: list[Section] = [Section("At the end of training", [_overview(results["worlds"])])]
    for world, followed in results["worlds"].items():
        arms = {name: followed}
        blocks: list[Any] = [world_table(arms), *world_pictures(arms)]
        if followed["stopped"]:
            stopped = "; ".join(f"seed {s}: {why}" for s, why in followed["stopped"].items())
            blocks.insert(1, f"Stopped: {stopped}")
        if "calibration" in followed:
            blocks.append(calibration_table(followed))
        sections.append(Section(world, blocks))
    if results["left_out"]:
        left = [f"{world}: {why}" for world, why in results["left_out"].items()]
        sections.append(Section("Left out", left))
    write_markdown(out, results, sections)
    write_page(
        out,
        results,
        title=f"{name}: {QUESTION.lower()}",
        sections=sections,
        timed="Training and looking, all seeds of a world.",
    )


def _overview(worlds: Mapping[str, Followed]) -> Table:
    rows = []
    for world, followed in worlds.items():
        measure = "effective" if world == STACKED else "modes"
        values: Sequence[float | None] = at_end(followed, measure)
        counted = "effective modes" if world == STACKED else "modes covered"
        rows.append(
            [
                world,
                modes_of(followed["world"]),
                counted,
                said_mean(values, ".1f"),
                said_interval(values, ".1f", low=0, high=modes_of(followed["world"]) or 0),
            ]
        )
    columns = ["world", "modes", "counted", "mean ± deviation", "95 % of the mean"]
    return Table("Modes kept, over seeds.", columns, rows)
