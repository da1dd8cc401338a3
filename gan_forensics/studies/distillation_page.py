"""The grid of one task as tables, figures and sentences."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gan_forensics.report import Picture, Section, Table
from gan_forensics.studies import distillation_verdicts as verdicts
from gan_forensics.studies.distillation import ARMS, HARD, MATCHED, PLANES, SMOOTH
from gan_forensics.studies.distillation_figures import (
    accuracy_figure,
    diffusion_figure,
    plane_figure,
)
from gan_forensics.studies.distillation_fit import Selection
from gan_forensics.studies.distillation_verdicts import (
    ONE,
    TAUGHT_BY,
    Seeds,
    accuracies,
    others,
    paired,
    temperatures,
)
from gan_forensics.studies.pages import plus_minus

AT: dict[Selection, str] = {
    "last": "at the last step",
    "validation": "at the look that validation chose",
    "test": "at the best look on the test part (optimistic: the authors' choice)",
}
PLANE_SAID = {
    "qr_pca": "Plane of QR and PCA, fitted to training samples of each model",
    "template_plane": "Plane through the three classes' rows of the last layer",
}


def said_mean(values: Sequence[float] | np.ndarray, form: str = ".2f") -> str:
    """Mean ± deviation of seeds."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return plus_minus(float(np.mean(values)), deviation, form)


def selections_of(seeds: Seeds) -> list[Selection]:
    """Which accuracies were measured, those at the last step first."""
    return [selection for selection in AT if selection in seeds[0]["teachers"][HARD]["accuracy"]]


def networks_table(seeds: Seeds) -> Table:
    """Teachers, and students without one."""
    selections = selections_of(seeds)
    rows = []
    for kind, said in (("teachers", "teacher"), ("alone", "student without a teacher")):
        for labels in (HARD, SMOOTH):
            cells = [seed[kind][labels] for seed in seeds]
            rows.append(
                [
                    f"{said}, {labels} labels",
                    *(said_mean(others(seeds, kind, labels, s)) for s in selections),
                    said_mean([cell["ece"] for cell in cells], ".3f"),
                    said_mean([cell["spread"] for cell in cells]),
                ]
            )
    ratio = said_mean([seed["ratio"] for seed in seeds], ".3f")
    return Table(
        f"Networks that learnt from labels: test accuracy in percent, expected calibration error "
        f"and the logits' spread on the test part. On training images the teachers' spreads have "
        f"the ratio c = {ratio}. {_seeds(seeds)}",
        ["network", *(f"accuracy {AT[s]}" for s in selections), "ECE", "spread"],
        rows,
    )


def students_table(seeds: Seeds, selection: Selection) -> Table:
    """Accuracy of every student, with those without a teacher beside it."""
    grid = temperatures(seeds)
    rows = [
        [TAUGHT_BY[arm], *(said_mean(accuracies(seeds, arm, t, selection)) for t in grid)]
        for arm in ARMS
    ]
    for labels in (HARD, SMOOTH):
        alone = said_mean(others(seeds, "alone", labels, selection))
        rows.append([f"no teacher, {labels} labels", *[alone] * len(grid)])
    return Table(
        f"Students {AT[selection]}: test accuracy in percent; those without a teacher know no T. "
        f"{_seeds(seeds)}",
        ["taught by", *(f"T = {t}" for t in grid)],
        rows,
    )


def paired_table(seeds: Seeds) -> Table:
    """Differences of cells, seed by seed."""

    def alone(labels: str) -> Callable[[str], np.ndarray]:
        return lambda t: others(seeds, "alone", labels)

    def arm(name: str) -> Callable[[str], np.ndarray]:
        return lambda t: accuracies(seeds, name, t)

    pairs = {
        "smoothed, hard": (SMOOTH, arm(HARD)),
        "smoothed, hard at T / c": (SMOOTH, arm(MATCHED)),
    }
    names = {HARD: "hard", SMOOTH: "smoothed", MATCHED: "hard at T / c"}
    for own in ARMS:
        for labels in (HARD, SMOOTH):
            pairs[f"{names[own]}, none ({labels})"] = (own, alone(labels))
    grid = temperatures(seeds)
    rows = [
        [name, *(paired(accuracies(seeds, own, t) - other(t)).short() for t in grid)]
        for name, (own, other) in pairs.items()
    ]
    return Table(
        "Students of one teacher less those of another, or of none but labels (hard or smoothed): "
        "points of a percent at the last step, in pairs of one seed's cells, with the 95 % "
        "interval of their mean.",
        ["taught by, less", *(f"T = {t}" for t in grid)],
        rows,
    )


def calibration_table(seeds: Seeds) -> Table:
    """Expected calibration error of every student."""
    grid = temperatures(seeds)
    rows = [
        [
            TAUGHT_BY[arm],
            *(said_mean([seed["students"][arm][t]["ece"] for seed in seeds], ".3f") for t in grid),
        ]
        for arm in ARMS
    ]
    for labels in (HARD, SMOOTH):
        value = said_mean([seed["alone"][labels]["ece"] for seed in seeds], ".3f")
        rows.append([f"no teacher, {labels} labels", *[value] * len(grid)])
    return Table(
        "Expected calibration error of students on the test part at the last step, 15 bins, each "
        "read at temperature 1 whatever it was taught at.",
        ["taught by", *(f"T = {t}" for t in grid)],
        rows,
    )


def chosen_table(seeds: Seeds) -> Table:
    """Each teacher at the temperature that validation chose."""
    rows = []
    for name, arms in (
        ("smoothed teacher", [SMOOTH]),
        ("hard teacher", [HARD]),
        ("hard teacher, T or T / c", [HARD, MATCHED]),
    ):
        picks = [
            t if arm != MATCHED else f"{t} / c"
            for arm, t in verdicts.chosen_temperatures(seeds, arms)
        ]
        rows.append([name, said_mean(verdicts.at_chosen(seeds, arms)), ", ".join(picks)])
    return Table(
        "The best temperature of each teacher, chosen by the accuracy on the validation part at "
        "the last step: test accuracy in percent, and the choice of every seed.",
        ["teacher", "accuracy", "T by seed"],
        rows,
    )


def diffusion_table(seeds: Seeds) -> Table:
    """The mean diffusion indices."""
    grid = [t for t in temperatures(seeds) if t != ONE]
    rows = []
    for part in ("train", "validation"):
        for arm in ARMS:
            for side, other in ((0, "similar classes"), (1, "all others")):
                cells = [
                    said_mean(verdicts.diffusion(seeds, arm, t, part)[:, side], "+.3f")
                    for t in grid
                ]
                rows.append([f"{TAUGHT_BY[arm]}, to {other}, {part}", *cells])
    return Table(
        "Diffusion index of the students' features, by this project's own definition (that of the "
        "paper is not known here): by how much of their distance, which is measured in mean "
        "distances of all pairs of classes, classes came closer from T = 1 on; means over the "
        "classes that have similar ones. Which ones are similar is fixed and the same for all.",
        ["taught by", *(f"1 to {t}" for t in grid)],
        rows,
    )


def directions_table(seeds: Seeds, caption: str) -> Table:
    """The four expected directions."""
    rows = [[row["expected"], row["verdict"], row["found"]] for row in verdicts.directions(seeds)]
    return Table(caption, ["expected", "verdict", "found"], rows)


def sentences(seeds: Seeds) -> list[str]:
    """All verdicts in words."""
    said = [verdicts.said_rule(seeds)]
    for selection in selections_of(seeds):
        for against in (HARD, MATCHED):
            steeper = verdicts.said_steeper(seeds, against, selection)
            said.append(f"{AT[selection].capitalize()}. {steeper}")
    return [*said, verdicts.said_chosen(seeds), verdicts.said_alone(seeds)]


def task_section(title: str, seeds: Seeds, names: Sequence[str], expected: str) -> Section:
    """All that is shown of a task.

    Args:
        title: of the task.
        seeds: their grids.
        names: of the trio of classes in pictures.
        expected: what the four directions are to this task.
    """
    blocks: list[Any] = [
        *sentences(seeds),
        networks_table(seeds),
        *(students_table(seeds, selection) for selection in selections_of(seeds)),
        Picture(
            accuracy_figure(seeds),
            alt=f"{title}: test accuracy of students over the temperature, by teacher",
            caption="Students at the last step; bars: one standard deviation of seeds.",
        ),
        paired_table(seeds),
        chosen_table(seeds),
        directions_table(seeds, expected),
        calibration_table(seeds),
        diffusion_table(seeds),
        Picture(
            diffusion_figure(seeds),
            alt=f"{title}: diffusion index over the temperature, by teacher",
            caption="Diffusion index (this project's) from T = 1 on; bars: one standard deviation "
            "of seeds.",
        ),
    ]
    first = seeds[0]
    for plane in PLANES if first["planes"] else ():
        blocks.append(
            Picture(
                plane_figure(first["planes"][plane], names),
                alt=f"{title}: features of three classes in a plane, a column for each network",
                caption=f"{PLANE_SAID[plane]}; seed {first['seed']}. The first two classes are "
                "similar, the third is not.",
            )
        )
    return Section(title, blocks)


def _seeds(seeds: Seeds) -> str:
    return f"{len(seeds)} seed{'s' * (len(seeds) > 1)}, mean ± standard deviation."
