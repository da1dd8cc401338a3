# ruff: noqa: E501  # texts as they stand in the files
"""Changes of the grid of teachers and temperatures that tests must notice; see `mutations.py`."""

from tests.mutations import Mutation

GRID = "gan_forensics/studies/distillation.py"
FIT = "gan_forensics/studies/distillation_fit.py"
VERDICTS = "gan_forensics/studies/distillation_verdicts.py"
TESTS = "tests/test_studies_distillation.py"

MUTATIONS = [
    Mutation(GRID, "temperature=t / ratio", "temperature=t * ratio", TESTS),
    Mutation(
        GRID,
        "Lesson(teacher=said[HARD], temperature=t / ratio)",
        "Lesson(teacher=said[SMOOTH], temperature=t / ratio)",
        TESTS,
    ),
    Mutation(GRID, "spreads[SMOOTH] / spreads[HARD]", "spreads[HARD] / spreads[SMOOTH]", TESTS),
    Mutation(GRID, "not 0 < self.alpha < 1", "not 0 <= self.alpha < 1", TESTS),
    Mutation(
        FIT,
        "lesson.teacher[rows], 1.0",
        "lesson.teacher[: rows.size].reshape(*rows.shape, classes), 1.0",
        TESTS,
    ),
    Mutation(FIT, "lesson.teacher[rows], 1.0", "lesson.teacher[rows], 0.5", TESTS),
    Mutation(FIT, "round(share * self.steps): 0.1", "round(share * self.steps): 0.2", TESTS),
    Mutation(FIT, "weight_decay=self.weight_decay)", "weight_decay=0.0)", TESTS),
    Mutation(
        FIT, 'part = task.test if name == "test" else task.validation', "part = task.test", TESTS
    ),
    Mutation(
        FIT,
        "seen[-1] > max(seen[:-1], default=-1.0)",
        "seen[-1] < max(seen[:-1], default=2.0)",
        TESTS,
    ),
    Mutation(
        FIT,
        'np.asarray(head["kernel"]) + np.asarray(head["bias"])',
        'np.asarray(head["kernel"])',
        TESTS,
    ),
    Mutation(VERDICTS, "own - other)", "other - own)", TESTS),
    Mutation(VERDICTS, "found.low <= 0 <= found.high", "found.low > 0", TESTS),
    Mutation(VERDICTS, "int(self.low > 0) - int(self.high < 0)", "int(self.low > 0)", TESTS),
    Mutation(
        VERDICTS,
        '["students"][arm][t]["validation"]',
        '["students"][arm][t]["accuracy"]["last"]',
        TESTS,
    ),
    Mutation(VERDICTS, "smooth[:, 0] - hard[:, 0]", "hard[:, 0] - smooth[:, 0]", TESTS),
]
