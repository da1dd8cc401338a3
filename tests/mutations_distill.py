# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of distillation: losses, planes, index, schedules, learners."""

from tests.mutations import Mutation

DISTILL = "gan_forensics/distill/"
LOSSES = f"{DISTILL}losses.py", "tests/test_distill_losses.py"
GEOMETRY = f"{DISTILL}geometry.py", "tests/test_distill_geometry.py"
INDEX = f"{DISTILL}diffusion.py", "tests/test_distill_diffusion_index.py"
SCHEDULES = f"{DISTILL}schedules.py", "tests/test_distill_schedules.py"
LEARNER = f"{DISTILL}classifier_learner.py", "tests/test_distill_classifier_learner.py"
ARCHITECTURES = f"{DISTILL}architectures.py", "tests/test_distill_classifier_learner.py"
DATA = f"{DISTILL}classifier_data.py", "tests/test_distill_classifier_data.py"
TEACHERS = f"{DISTILL}teachers.py", "tests/test_distill_teachers.py"
CLASSIFY = f"{DISTILL}classify.py", "tests/test_distill_classifier_runs.py"
BUILD = f"{DISTILL}classifier_build.py", "tests/test_distill_classifier_runs.py"
CROPS = "gan_forensics/data/crops.py", "tests/test_data_crops.py"

CHANGES = [
    (LOSSES, "(1 - alpha) * hard - alpha * log_p.mean(-1)", "(1 - alpha) * hard - alpha * log_p.sum(-1)"),
    (LOSSES, "return jnp.asarray(temperature) ** 2 * (jnp.exp", "return jnp.asarray(temperature) * (jnp.exp"),
    (LOSSES, "student / t if temper_student else student", "student / t"),
    (LOSSES, "teacher = jax.lax.stop_gradient(_at_least_float32(teacher))", "teacher = _at_least_float32(teacher)"),
    (LOSSES, "loss = (1 - weight) * loss + weight * soft", "loss = loss + weight * soft"),
    (LOSSES, "jax.nn.softmax(jax.lax.stop_gradient(_at_least_float32(top_logit)) / t)", "jax.nn.softmax(jax.lax.stop_gradient(_at_least_float32(top_logit)))"),
    (LOSSES, "log_p = jax.nn.log_softmax(_at_least_float32(logits) / t)", "log_p = jax.nn.log_softmax(_at_least_float32(logits))"),
    (LOSSES, "soft_weight * jnp.asarray(temperature) ** 2 * soft", "soft_weight * soft"),
    (LOSSES, "np.log1p(classes * (1 - alpha) / alpha)", "np.log1p((classes - 1) * (1 - alpha) / alpha)"),
    (LOSSES, "x.astype(jnp.promote_types(x.dtype, jnp.float32))", "x"),
    (LOSSES, "np.asarray(logits, np.float64).std(-1).mean()", "np.asarray(logits, np.float64).std(0).mean()"),
    (GEOMETRY, "np.stack([group.mean(0) for group in groups])", "np.stack([group[0] for group in groups])"),
    (GEOMETRY, "np.column_stack([rows, biases]).T", "np.column_stack([rows, 0 * biases]).T"),
    (GEOMETRY, "np.sign(farthest).T", "np.sign(axes[:, :1])"),
    (GEOMETRY, "rest = second - (second @ u1) * u1", "rest = second"),
    (INDEX, "(len(c) * (len(c) - 1))", "len(c) ** 2"),
    (INDEX, "return float((near - far) / near)", "return float((near - far) / far)"),
    (INDEX, "outside = [k for k in range(len(before)) if k not in group]", "outside = [k for k in range(len(before)) if k != group[0]]"),
    (INDEX, "unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)", "unit = rows"),
    (SCHEDULES, "lambda step: falling(step + ends)", "falling"),
    (SCHEDULES, "optax.linear_schedule(base / ends, base, max(ends - 1, 1))", "optax.linear_schedule(0.0, base, ends)"),
    (LEARNER, "said = teacher.apply(variables, inputs, train=False)", "said, _ = teacher.apply(variables, inputs, train=True, mutable=True)"),
    (LEARNER, "        optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum=momentum)\n", "        optax.sgd(learning_rate, momentum=momentum), optax.add_decayed_weights(weight_decay)\n"),
    (ARCHITECTURES, "return normalise(0.5 * image + 0.5)", "return normalise(image)"),
    (DATA, "chosen, rows = np.sort(rows[:count]), np.sort(rows[count:])", "chosen, rows = np.sort(rows[:count]), np.sort(rows)"),
    (DATA, "labels.max() >= (config.classes or 0)", "labels.max() > (config.classes or 0)"),
    (TEACHERS, '"soft_weight": 1 - how.hard_weight', '"soft_weight": how.hard_weight'),
    (TEACHERS, 'if smoothing and facts["temperature"] > 1', 'if facts["temperature"] > 1'),
    (TEACHERS, '"teacher": logits[rows]}', '"teacher": logits[: len(rows)]}'),
    (CLASSIFY, "rank = ((logits > own) | ((logits == own) & before)).sum(1)", "rank = (logits > own).sum(1)"),
    (BUILD, "label_smoothing=config.label_smoothing,", "label_smoothing=None,"),
    (CROPS, "math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))", "rng.uniform(*ratio)"),
]  # fmt: skip
MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
