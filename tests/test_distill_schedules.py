"""Learning rates of teachers and students, by the epoch."""

import numpy as np
import pytest

from gan_forensics.distill import student_schedule, teacher_schedule
from gan_forensics.distill.schedules import step_schedule


def test_a_teacher_s_rate_falls_at_30_and_60_and_a_student_s_at_80_and_160():
    teacher, student = teacher_schedule(0.1, 7), student_schedule(0.01, 7)
    found = [float(teacher(7 * epoch + last)) for epoch in (0, 29, 30, 59, 60) for last in (0, 6)]
    np.testing.assert_allclose(found, [0.1] * 4 + [0.01] * 4 + [0.001] * 2, rtol=1e-6)
    found = [float(student(7 * epoch)) for epoch in (0, 79, 80, 159, 160)]
    np.testing.assert_allclose(found, [0.01, 0.01, 0.001, 0.001, 0.0001], rtol=1e-6)


def test_the_warm_up_grows_by_the_step_and_stages_count_from_the_start():
    schedule = student_schedule(0.1, 10, warm_up=5)
    growing = [float(schedule(step)) for step in range(50)]
    np.testing.assert_allclose(growing, 0.1 * (1 + np.arange(50)) / 50, rtol=1e-5)
    after = [float(schedule(step)) for step in (50, 799, 800, 1599, 1600)]
    np.testing.assert_allclose(after, [0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-6)


def test_impossible_schedules_are_refused():
    with pytest.raises(ValueError, match="need a step an epoch"):
        teacher_schedule(0.1, 0)
    with pytest.raises(ValueError, match="warm_up must be 0 to 30 epochs"):
        step_schedule(0.1, 10, every=30, warm_up=31)
