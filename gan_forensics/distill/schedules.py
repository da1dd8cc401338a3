"""Learning rates of the released training code, by the step.

Teachers: the rate falls to a tenth every 30 of 90 epochs. Students: every 80 of 200, on ImageNet
after five epochs in which it grows from (almost) nothing. Rates are not scaled by the batch.
"""

import optax

TEACHER_EVERY, STUDENT_EVERY, WARM_UP = 30, 80, 5
FACTOR = 0.1


def step_schedule(
    base: float, steps_per_epoch: int, *, every: int, factor: float = FACTOR, warm_up: int = 0
) -> optax.Schedule:
    """base factor^floor(epoch / every), and base (1 + step) / (warm_up steps) before.

    Args:
        base: the rate after the warm-up.
        steps_per_epoch: of training.
        every: epochs between reductions.
        factor: of a reduction.
        warm_up: epochs of linear growth; reductions are counted from the first step all the same.

    Raises:
        ValueError: for no step, and a warm-up that is longer than the first stage.
    """
    if steps_per_epoch < 1 or every < 1:
        raise ValueError(f"need a step an epoch and an epoch, got {steps_per_epoch} and {every}")
    if not 0 <= warm_up <= every:
        raise ValueError(f"warm_up must be 0 to {every} epochs, the first stage, got {warm_up}")
    falling = optax.exponential_decay(base, every * steps_per_epoch, factor, staircase=True)
    if not warm_up:
        return falling
    ends = warm_up * steps_per_epoch
    growing = optax.linear_schedule(base / ends, base, max(ends - 1, 1))
    # The part after the boundary is told steps since it; stages are counted from the start.
    return optax.join_schedules([growing, lambda step: falling(step + ends)], [ends])


def teacher_schedule(base: float, steps_per_epoch: int) -> optax.Schedule:
    """Of teachers, 90 epochs.

    Example:
        >>> schedule = teacher_schedule(0.1, steps_per_epoch=10)
        >>> [round(float(schedule(step)), 6) for step in (0, 300, 600)]
        [0.1, 0.01, 0.001]
    """
    return step_schedule(base, steps_per_epoch, every=TEACHER_EVERY)


def student_schedule(base: float, steps_per_epoch: int, *, warm_up: int = 0) -> optax.Schedule:
    """Of students, 200 epochs; `warm_up` is 5 on ImageNet.

    Example:
        >>> schedule = student_schedule(0.1, steps_per_epoch=10)
        >>> round(float(schedule(0)), 6)
        0.1
    """
    return step_schedule(base, steps_per_epoch, every=STUDENT_EVERY, warm_up=warm_up)
