"""The grid of smoothed teachers and temperatures: training in memory, controls, verdicts."""

import functools
from collections import Counter

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.distill import logit_spread
from gan_forensics.experiments.label_smoothing_distillation_toy import Perceptron
from gan_forensics.report import Picture, Table
from gan_forensics.runtime import jit
from gan_forensics.studies import distillation, distillation_fit
from gan_forensics.studies import distillation_verdicts as verdicts
from gan_forensics.studies.distillation import ARMS, HARD, MATCHED, SMOOTH, Grid, follow_grid
from gan_forensics.studies.distillation_fit import (
    Classifier,
    Examples,
    Lesson,
    Recipe,
    Task,
    fit_cells,
    read,
)
from gan_forensics.studies.distillation_page import task_section

CLASSES, DIMENSIONS = 4, 6
SMALL = Recipe(8, looks=2, batch_size=8, learning_rate=0.1)
GRID = Grid(((0, 1),), (0, 1, 2), temperatures=(1, 3))


NETWORK = Classifier(Perceptron(CLASSES, (5,)), Perceptron(None, (5,)))


def task(n=40, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, DIMENSIONS))

    def part(count):
        label = np.arange(count) % CLASSES
        noise = 0.5 * rng.normal(size=(count, DIMENSIONS))
        return Examples((centres[label] + noise).astype(np.float32), label)

    return Task(part(n), part(24), part(32), CLASSES)


def logits(n=40, seed=1):
    return np.random.default_rng(seed).normal(size=(n, CLASSES)).astype(np.float32)


LESSONS = [Lesson(), Lesson(0.1), Lesson(teacher=logits(), temperature=3.0)]


@pytest.fixture(scope="module")
def grid():
    """The grids of two seeds, how often programs were traced for them, what was taught."""
    shared = {"teacher": (NETWORK, SMALL), "student": (NETWORK, SMALL), "batched": False}
    traced, asked = Counter(), []

    def recorded(*arguments, **options):
        asked.append((arguments[3], options["seed"]))
        return fit_cells(*arguments, **options)

    def counted(function, **options):
        @functools.wraps(function)
        def traces(*arguments):
            traced[function.__qualname__] += 1
            return function(*arguments)

        return jit(traces, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distillation_fit, "jit", counted)
        patch.setattr(distillation, "fit_cells", recorded)
        found = [
            follow_grid(GRID, task(seed=seed), seed=seed, pictures=seed == 0, **shared)
            for seed in (0, 1)
        ]
        fit_cells(NETWORK, SMALL, task(n=64), [Lesson(0.3, logits(64), 5.0)], seed=2)
    return found, traced, asked


def test_one_step_and_one_reading_are_compiled_for_the_whole_grid(grid):
    """Teachers, students with and without one, every T and T / c, seeds, numbers of images."""
    _, traced, _ = grid
    assert traced == {"_program.<locals>.advance": 1, "_reader.<locals>.<lambda>": 1}


def test_students_are_taught_by_the_logits_of_the_hard_the_smoothed_and_the_matched_teacher(grid):
    (first, _), _, ((teachers, drawn), (students, start), *_) = grid
    assert [lesson.alpha for lesson in teachers] == [0.0, 0.1] and drawn != start
    assert [lesson.alpha for lesson in students[:2]] == [0.0, 0.1]
    hard, smoothed = (students[k].teacher for k in (2, 3))
    assert_allclose(logit_spread(hard), first["spreads"][HARD], rtol=1e-6)
    assert_allclose(logit_spread(smoothed), first["spreads"][SMOOTH], rtol=1e-6)
    c = first["ratio"]
    expected = [(hard, 1), (smoothed, 1), (hard, 1 / c), (hard, 3), (smoothed, 3), (hard, 3 / c)]
    for lesson, (teacher, t) in zip(students[2:], expected, strict=True):
        assert lesson.teacher is teacher and lesson.temperature == t and lesson.alpha == 0


def test_cells_are_what_a_plain_loop_makes_of_the_formulas(grid):
    del grid  # It has compiled the step.
    data, (_, smoothed, taught) = task(), fit_cells(NETWORK, SMALL, task(), LESSONS, seed=0)
    order = distillation_fit._order(40, SMALL, 0)
    assert sorted(order[:5].ravel()) == list(range(40))  # Each image once an epoch.
    for cell, lesson in ((smoothed, LESSONS[1]), (taught, LESSONS[2])):
        start = distillation_fit._start(NETWORK.network, SMALL, data, 0)
        params = jax.tree.map(lambda x: np.asarray(x, np.float64), start.params["classifier"])
        momentum = jax.tree.map(np.zeros_like, params)
        for step, rows in enumerate(order):
            gradient = slow_gradient(params, data.train, rows, lesson)
            decayed = jax.tree.map(lambda g, p: g + 1e-4 * p, gradient, params)
            momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, decayed)
            rate = 0.1 * 0.1 ** sum(step >= fall for fall in (3, 6))  # 40 and 80 % of 8 steps
            params = jax.tree.map(lambda p, m, r=rate: p - r * m, params, momentum)
        found = cell.variables["last"]["params"]
        jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, params)


def slow_gradient(params, part, rows, lesson):
    """Back-propagation by hand, of p - y' for labels and T (p - q) for a teacher."""
    x, (hidden, head) = part.image[rows].astype(float), (params["Dense_0"], params["fc"])
    z = x @ hidden["kernel"] + hidden["bias"]
    h = np.maximum(z, 0)
    s = h @ head["kernel"] + head["bias"]
    if lesson.teacher is None:
        target = (1 - lesson.alpha) * np.eye(CLASSES)[part.label[rows]] + lesson.alpha / CLASSES
        t = 1.0
    else:
        t = lesson.temperature
        target = softmax(lesson.teacher[rows] / t)
    by_s = t * (softmax(s / t) - target) / len(rows)
    by_z = by_s @ head["kernel"].T * (z > 0)
    return {
        "Dense_0": {"kernel": x.T @ by_z, "bias": by_z.sum(0)},
        "fc": {"kernel": h.T @ by_s, "bias": by_s.sum(0)},
    }


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_reading_gives_the_networks_own_logits_of_any_number_of_images():
    data = task(n=distillation_fit.CHUNK + 8)
    start = distillation_fit._start(NETWORK.network, SMALL, data, 3)
    params = jax.tree.map(lambda x: x + 0.1, start.params["classifier"])  # Biases start at 0.
    variables = {"params": params}
    said, features = read(NETWORK, variables, data.train.image)
    own = NETWORK.network.apply(variables, data.train.image, train=False)
    assert_allclose(said, np.asarray(own), rtol=1e-5, atol=1e-5)
    assert features.shape == (len(said), 5)


def test_the_test_part_chooses_nothing_unless_it_is_asked_to():
    data = task()
    spoiled = data._replace(test=Examples(data.test.image * np.nan, data.test.label))
    clean, other = (fit_cells(NETWORK, SMALL, d, LESSONS[:1], seed=0)[0] for d in (data, spoiled))
    for name in ("last", "validation"):
        jax.tree.map(assert_array_equal, clean.variables[name], other.variables[name])
    assert set(clean.accuracy) == {"validation"}
    authors = fit_cells(NETWORK, SMALL, data, LESSONS[:1], seed=0, select=("last", "test"))[0]
    reached = (read(NETWORK, authors.variables["test"], data.test.image)[0]).argmax(-1)
    assert (reached == data.test.label).mean() == max(authors.accuracy["test"])


@pytest.mark.parametrize(
    ("recipe", "lesson", "said"),
    [
        (Recipe(9, looks=2), Lesson(), "2 looks"),
        (Recipe(8, looks=2, batch_size=41), Lesson(), "40 training examples"),
        (SMALL, Lesson(teacher=logits(39)), r"\[40, 4\].*\[39, 4\]"),
        (SMALL, Lesson(teacher=logits()[:, :3]), r"\[40, 4\].*\[40, 3\]"),
    ],
)
def test_what_does_not_fit_together_is_refused(recipe, lesson, said):
    with pytest.raises(ValueError, match=said):
        fit_cells(NETWORK, recipe, task(), [lesson], seed=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"temperatures": (2, 3), "shown": ()}, "1 among them"),
        ({"temperatures": (0, 1), "shown": ()}, "above 0"),
        ({"temperatures": (1, 1), "shown": ()}, "differ"),
        ({"temperatures": (1, 2)}, "shown temperatures .3."),
        ({"alpha": 0}, "alpha"),
        ({"alpha": 1.0}, "alpha"),
        ({"select": ("validation",)}, "last"),
    ],
)
def test_a_grid_that_cannot_be_judged_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Grid(((0, 1),), (0, 1, 2), **changes).check()


def test_the_grid_has_every_cell_its_controls_and_its_pictures(grid):
    (first, second), _, _ = grid
    assert set(first["teachers"]) == set(first["alone"]) == {HARD, SMOOTH}
    assert {arm: list(cells) for arm, cells in first["students"].items()} == {
        arm: ["1", "3"] for arm in ARMS
    }
    assert list(first["diffusion"][MATCHED]) == ["3"]
    assert first["ratio"] == first["spreads"][SMOOTH] / first["spreads"][HARD]
    assert second["planes"] is None
    assert set(first["planes"]) == {"qr_pca", "template_plane"}
    shapes = [np.shape(points) for points in first["planes"]["qr_pca"]["hard teacher"]["train"]]
    assert shapes == [(10, 2)] * 3


def test_a_teacher_scaled_by_c_is_the_hard_one_at_t_over_c():
    """The same targets, so a matched cell's teacher is read as it would be if LS only scaled."""
    hard, c, t = logits(), 0.4, 3.0
    assert_allclose(softmax(c * hard / t), softmax(hard / (t / c)), rtol=1e-6)
    assert_allclose(logit_spread(c * hard) / logit_spread(hard), c, rtol=1e-6)


# From here on nothing is trained: seeds with given accuracies.


def cell(accuracy, validation=0.5):
    both = {"last": accuracy, "validation": accuracy}
    return {"accuracy": both, "validation": validation, "ece": 0.1, "spread": 1.0}


def made(hard, smooth, matched, *, teachers=(0.9, 0.91), alone=(0.88, 0.89), eta=(0.0, 0.1)):
    """A seed by the accuracies of its students at T = 1, 2, 3."""
    names = ("1", "2", "3")
    rows = dict(zip(ARMS, (hard, smooth, matched), strict=True))
    index = dict(zip(ARMS, (eta[0], eta[1], eta[1]), strict=True))
    parts = ("train", "validation")
    return {
        "seed": 0,
        "ratio": 0.4,
        "planes": None,
        "teachers": dict(zip((HARD, SMOOTH), map(cell, teachers), strict=True)),
        "alone": dict(zip((HARD, SMOOTH), map(cell, alone), strict=True)),
        "students": {
            arm: {t: cell(a, validation=a) for t, a in zip(names, row, strict=True)}
            for arm, row in rows.items()
        },
        "diffusion": {
            arm: {t: dict.fromkeys(parts, (index[arm], 0.001)) for t in names[1:]} for arm in ARMS
        },
    }


def falling(shift):
    """Falls faster than the hard teacher's at equal T, slower at T / c."""
    return made((0.90 + shift, 0.90, 0.89), (0.89, 0.87, 0.85 + shift), (0.90, 0.87 - shift, 0.83))


SEEDS = [falling(shift) for shift in (0.0, 0.002, -0.002, 0.001)]


def test_falls_are_compared_at_equal_and_at_effective_temperature():
    values = np.array([s["students"][SMOOTH]["1"]["accuracy"]["last"] for s in SEEDS])
    own = values - [s["students"][SMOOTH]["3"]["accuracy"]["last"] for s in SEEDS]
    hard = [s["students"][HARD] for s in SEEDS]
    less = own - [h["1"]["accuracy"]["last"] - h["3"]["accuracy"]["last"] for h in hard]
    found = verdicts.steeper(SEEDS, HARD, "3")
    assert_allclose(found.mean, 100 * less.mean(), rtol=1e-9)
    reach = 3.182446 * 100 * less.std(ddof=1) / 2  # Student's t of 3 degrees, 97.5 %
    assert_allclose([found.low, found.high], 100 * less.mean() + [-reach, reach], rtol=1e-5)
    equal, effective = (verdicts.said_steeper(SEEDS, arm) for arm in (HARD, MATCHED))
    assert f"T = 3: {found.said()}, it falls faster" in equal and equal.count("falls faster") == 2
    assert "effective temperature" in effective and effective.count("falls SLOWER") == 2
    short = verdicts.said_in_short(SEEDS)
    assert f"{found.short()} points more" in short and "(LESS)" in short


def test_the_rule_of_thumb_is_judged_by_the_interval_of_the_best_less_it():
    said = verdicts.said_rule(SEEDS)
    assert "did NOT hold" in said and "the hard teacher, T = 1; less" in said
    assert "of the smoothed teacher's own students is the smoothed teacher, T = 1 itself" in said
    same = [made((0.9, 0.8, 0.8), (0.9 - d, 0.8, 0.7), (0.9, 0.8, 0.8)) for d in (-0.01, 0.02)]
    assert "it is not refuted." in verdicts.said_rule(same)
    best = [made((0.8, 0.8, 0.8), (0.9, 0.8, 0.7), (0.8, 0.8, 0.8))] * 2
    assert "it held." in verdicts.said_rule(best)
    # The best cell of few seeds may be far from settled while the hard teacher wins at T = 1.
    behind = [made((0.84, 0.85 + d, 0.8), (0.8, 0.79, 0.7), (0.8, 0.8, 0.8)) for d in (-0.15, 0.15)]
    assert "did NOT hold, since at T = 1 the hard teacher's" in verdicts.said_rule(behind)
    assert "cannot be judged by one seed" in verdicts.said_rule(SEEDS[:1])


def test_temperatures_are_chosen_on_validation_and_read_on_test():
    seed = made((0.90, 0.95, 0.85), (0.8, 0.7, 0.6), (0.5, 0.5, 0.5))
    seed["students"][HARD]["3"]["validation"] = 0.99
    assert verdicts.chosen_temperatures([seed], [HARD]) == [(HARD, "3")]
    assert_allclose(verdicts.at_chosen([seed], [HARD]), [85.0])
    assert "WORSE" in verdicts.said_chosen(
        [seed, made((0.90, 0.95, 0.85), (0.8, 0.7, 0.6), (0.5,) * 3)] * 3
    )


def test_students_without_a_teacher_stand_beside_the_best_cell():
    better = [made((0.9, 0.8, 0.7), (0.8, 0.8, 0.8), (0.9,) * 3, alone=(0.95, 0.85))] * 2
    said = verdicts.said_alone(better)
    assert "hard labels: -5.00" in said and "WORSE" in said
    assert "smoothed labels: +5.00" in said and "better" in said


def test_directions_are_judged_whichever_way_they_went():
    verdict = {row["expected"][:12]: row["verdict"] for row in verdicts.directions(SEEDS)}
    assert verdict["(a) the smoo"] == "yes" and verdict["(b) T = 1 to"] == "yes"
    assert verdict["(c) its stud"] == "yes" and verdict["(d) index to"] == "yes"
    turned = [
        made((0.9, 0.8, 0.5), (0.9, 0.91, 0.9), (0.9,) * 3, teachers=(0.9, 0.8), eta=(0.1, 0.0))
    ] * 2
    rows = verdicts.directions(turned)
    assert [row["verdict"] for row in rows[:4]] == [
        "NO, reversed",
        "NO, reversed",
        "NO",
        "NO, reversed",
    ]


def test_the_page_of_a_task_has_every_table_and_verdict():
    section = task_section("Toy", SEEDS, ("a", "b", "c"), "The four directions.")
    captions = " ".join(b.caption for b in section.blocks if isinstance(b, Table))
    for part in ("no teacher", "in pairs", "calibration", "Diffusion index", "chose"):
        assert part in captions + str(section.blocks)
    said = " ".join(b for b in section.blocks if isinstance(b, str))
    assert "equal T" in said and "equal effective temperature" in said and "Rule of thumb" in said
    assert sum(isinstance(b, Picture) for b in section.blocks) == 2
