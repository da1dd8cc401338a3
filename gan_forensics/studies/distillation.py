"""Smoothing of the teacher against the temperature of distillation: the grid of one seed.

Two teachers, with hard and with smoothed labels, teach the same student at every temperature, by
their logits alone. Beside it, from the same start on the same minibatches: the student without a
teacher, and the student of the hard teacher read at T / c, where c is the ratio of the teachers'
logit spreads. If smoothing did nothing but scale logits by c, the two would be taught the same, up
to the scale of the student's own logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, PyTree

from gan_forensics.distill.diffusion import centroids, mean_diffusion
from gan_forensics.distill.geometry import qr_pca, template_plane
from gan_forensics.distill.losses import logit_spread
from gan_forensics.forensics.temperature import calibration_error
from gan_forensics.studies.distillation_fit import (
    SELECTIONS,
    Classifier,
    Examples,
    Lesson,
    Recipe,
    Selection,
    Task,
    Trained,
    fit_cells,
    read,
)

# Arms of the grid: by which teacher a student is taught; MATCHED is the hard one at T / c.
HARD, SMOOTH, MATCHED = "hard", "smoothed", "matched"
ARMS = (HARD, SMOOTH, MATCHED)
PLANES = ("qr_pca", "template_plane")
# Samples of a class in pictures: those of the published ones.
SHOWN = {"train": 150, "validation": 50}


@dataclass(frozen=True)
class Grid:
    """What is compared.

    Attributes:
        groups: classes that resemble one another, fixed before anything is trained.
        trio: two classes that do, and one that does not, for pictures.
        alpha: smoothing of the smoothed teacher's labels.
        temperatures: of distillation, with 1 among them.
        shown: temperatures whose students are in pictures.
        select: which accuracies are reported.
    """

    groups: tuple[tuple[int, ...], ...]
    trio: tuple[int, int, int]
    alpha: float = 0.1
    temperatures: tuple[float, ...] = (1, 2, 3, 64)
    shown: tuple[float, ...] = (1, 3)
    select: tuple[Selection, ...] = ("last", "validation")

    def check(self) -> None:
        """Raise ValueError for a grid that cannot be judged."""
        if 1 not in self.temperatures or min(self.temperatures) <= 0:
            raise ValueError(
                f"temperatures must be above 0 and 1 among them, got {self.temperatures}"
            )
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError(f"temperatures must differ, got {self.temperatures}")
        if missing := sorted({*self.shown} - {*self.temperatures}):
            raise ValueError(f"shown temperatures {missing} are none of {self.temperatures}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha of the smoothed teacher must be in (0, 1), got {self.alpha}")
        if "last" not in self.select:
            raise ValueError(f"select must have 'last', at which is judged, got {self.select}")


def named(temperature: float) -> str:
    """A temperature as a key of results."""
    return f"{temperature:g}"


def follow_grid(
    grid: Grid,
    task: Task,
    *,
    teacher: tuple[Classifier, Recipe],
    student: tuple[Classifier, Recipe],
    seed: int,
    batched: bool,
    pictures: bool,
) -> dict[str, Any]:
    """Train and measure all cells of a seed.

    Args:
        grid: what is compared.
        task: its data.
        teacher: network and recipe of both teachers.
        student: of all students.
        seed: of start and order, those of the teachers apart from the students'.
        batched: as for `fit_cells`.
        pictures: whether the points of planes are returned too.

    Returns:
        `ratio` (c), `teachers` and `alone` (by HARD and SMOOTH), `students` (by arm and
        temperature, that of the smoothed teacher), each with what `_measured` gives; `diffusion`
        (by arm, temperature and part: towards similar classes and towards all others, from T = 1
        on); and `planes`.

    Raises:
        ValueError: for a grid that cannot be judged, and as `fit_cells`.
    """
    grid.check()
    labels = {HARD: Lesson(), SMOOTH: Lesson(grid.alpha)}
    fit = {"select": grid.select, "batched": batched}
    taught = fit_cells(*teacher, task, list(labels.values()), seed=seed + 1000, **fit)
    teachers = dict(zip(labels, taught, strict=True))
    # Nothing is augmented: what a teacher says of the images is computed once.
    said = {
        name: read(teacher[0], cell.variables["last"], task.train.image)[0]
        for name, cell in teachers.items()
    }
    spreads = {name: logit_spread(logits) for name, logits in said.items()}
    ratio = spreads[SMOOTH] / spreads[HARD]
    lessons = {("alone", name): lesson for name, lesson in labels.items()}
    for t in grid.temperatures:
        lessons[HARD, named(t)] = Lesson(teacher=said[HARD], temperature=t)
        lessons[SMOOTH, named(t)] = Lesson(teacher=said[SMOOTH], temperature=t)
        lessons[MATCHED, named(t)] = Lesson(teacher=said[HARD], temperature=t / ratio)
    fitted = fit_cells(*student, task, list(lessons.values()), seed=seed, **fit)
    trained = dict(zip(lessons, fitted, strict=True))
    measured = {name: _measured(student[0], cell, task) for name, cell in trained.items()}
    students = {arm: {named(t): trained[arm, named(t)] for t in grid.temperatures} for arm in ARMS}
    return {
        "seed": seed,
        "ratio": ratio,
        "spreads": spreads,
        "teachers": {name: _measured(teacher[0], cell, task) for name, cell in teachers.items()},
        "alone": {name: measured["alone", name] for name in labels},
        "students": {arm: {t: measured[arm, t] for t in cells} for arm, cells in students.items()},
        "diffusion": {
            arm: _diffusion(student[0], cells, task, grid) for arm, cells in students.items()
        },
        "planes": _planes(grid, task, teacher[0], teachers, student[0], students)
        if pictures
        else None,
    }


def _measured(classifier: Classifier, cell: Trained, task: Task) -> dict[str, Any]:
    """Accuracies on the test part (0 to 1) by selection, and what else is said of a cell.

    At the last step: the expected calibration error on the test part, the logits' spread there, and
    the accuracy on the validation part, by which temperatures are chosen.
    """
    from scipy.special import softmax

    said = {
        name: read(classifier, cell.variables[name], task.test.image)[0]
        for name in SELECTIONS
        if name in cell.variables
    }
    right = {name: logits.argmax(-1) == task.test.label for name, logits in said.items()}
    return {
        "accuracy": {name: float(called.mean()) for name, called in right.items()},
        "validation": cell.accuracy["validation"][-1],
        "looks": cell.accuracy["validation"],
        "ece": calibration_error(softmax(said["last"], axis=1), task.test.label),
        "spread": logit_spread(said["last"]),
    }


def _parts(task: Task) -> dict[str, Examples]:
    return {"train": task.train, "validation": task.validation}


def _diffusion(
    student: Classifier, cells: Mapping[str, Trained], task: Task, grid: Grid
) -> dict[str, Any]:
    """Temperature -> part -> mean index (to similar classes, to all others), against T = 1."""
    found: dict[str, Any] = {t: {} for t in cells if t != named(1)}
    for name, part in _parts(task).items():
        centres = {
            t: centroids(
                read(student, cell.variables["last"], part.image)[1], part.label, task.classes
            )
            for t, cell in cells.items()
        }
        for t, moved in found.items():
            moved[name] = mean_diffusion(centres[named(1)], centres[t], grid.groups)
    return found


def _planes(
    grid: Grid,
    task: Task,
    teacher: Classifier,
    teachers: Mapping[str, Trained],
    student: Classifier,
    students: Mapping[str, Mapping[str, Trained]],
) -> dict[str, Any]:
    """Plane -> model -> part -> the points of each class of the trio [3][m][2]."""
    models = {
        f"{name} teacher": (teacher, cell.variables["last"]) for name, cell in teachers.items()
    }
    for arm in (HARD, SMOOTH):
        for t in map(named, grid.shown):
            models[f"{arm} teacher's student, T = {t}"] = (
                student,
                students[arm][t].variables["last"],
            )
    found: dict[str, Any] = {plane: {} for plane in PLANES}
    for name, (classifier, variables) in models.items():
        for plane, points in _points(classifier, variables, task, grid.trio).items():
            found[plane][name] = points
    return found


def _points(
    classifier: Classifier, variables: PyTree, task: Task, trio: Sequence[int]
) -> dict[str, dict[str, list]]:
    """Plane -> part -> points of the first samples of each class."""
    features = {
        name: [
            read(classifier, variables, part.image[part.label == k][: SHOWN[name]])[1] for k in trio
        ]
        for name, part in _parts(task).items()
    }
    head = variables["params"][classifier.head]
    rows = np.asarray(head["kernel"]).T[list(trio)]
    fitted = qr_pca(features["train"], rows, np.asarray(head["bias"])[list(trio)])
    return {
        "qr_pca": {n: [_listed(fitted.points(h)) for h in some] for n, some in features.items()},
        "template_plane": {
            n: [_listed(template_plane(h, rows)) for h in some] for n, some in features.items()
        },
    }


def _listed(points: Float[np.ndarray, "m 2"]) -> list[list[float]]:
    return np.round(points, 4).tolist()
