# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of translation: the Transformer, beam search, training, translating lines."""

from tests.mutations import Mutation

DISTILL = "gan_forensics/distill/"
NETWORK = "gan_forensics/nn/transformer.py", "tests/test_nn_transformer.py"
DECODE = f"{DISTILL}decode.py", "tests/test_distill_decode.py"
TRANSLATOR = f"{DISTILL}translator.py", "tests/test_distill_translator.py"
FIT = f"{DISTILL}translator_fit.py", "tests/test_distill_translator.py"
LINES = f"{DISTILL}translate.py", "tests/test_distill_translator.py"
TEXT = "gan_forensics/cli/translate_text.py", "tests/test_cli_translate_text.py"

CHANGES = [
    (NETWORK, "jnp.tril(jnp.ones((1, 1, length, length), bool))", "jnp.tril(jnp.ones((1, 1, length, length), bool), 1)"),
    (NETWORK, "jnp.where(mask, scores, _MASKED)", "jnp.where(mask, scores, 0)"),
    (NETWORK, "rows = jnp.sqrt(self.width) * jnp.take", "rows = jnp.take"),
    (NETWORK, "(self.width // self.heads) ** -0.5", "self.width**-0.5"),
    (NETWORK, "seen = (jnp.arange(length) <= place)", "seen = (jnp.arange(length) < place)"),
    (NETWORK, "sinusoids(length, self.width), place, 1)", "sinusoids(length, self.width), 0, 1)"),
    (NETWORK, "normal(self.width**-0.5)(key, shape, dtype)", "normal(1.0)(key, shape, dtype)"),
    (NETWORK, "one_of_three = glorot(0.5**0.5)", "one_of_three = glorot()"),
    (DECODE, "jnp.asarray(length, jnp.float32) ** length_penalty", "jnp.asarray(length, jnp.float32)"),
    (DECODE, "ripe = ends[:, :beam] & ~search.done[:, None]", "ripe = ends[:, :beam]"),
    (DECODE, "(token == PAD) | (token == BEGIN) | (last & (token != END))", "(token == PAD) | (token == BEGIN)"),
    (DECODE, "jnp.where(ripe, normalised(best[:, :beam], place + 1), _NEVER)", "jnp.where(ripe, normalised(best[:, :beam], place), _NEVER)"),
    (DECODE, "lambda leaf: _rows_of(leaf, kept_parent), cache", "lambda leaf: leaf, cache"),
    (DECODE, "        ~wanted,\n", "        jnp.zeros_like(wanted),\n"),
    (TRANSLATOR, "return jnp.where(real, values, 0).sum() / count", "return values.mean()"),
    (TRANSLATOR, "falling = learning_rate * jnp.sqrt(warm_up / jnp.maximum(step, 1))", "falling = learning_rate * warm_up / jnp.maximum(step, 1)"),
    (TRANSLATOR, "if teacher.vocabulary.model != student.model", "if len(teacher.vocabulary) != len(student) and False"),
    (FIT, '"soft_weight": 1 - config.hard_weight', '"soft_weight": config.hard_weight'),
    (FIT, "if 0 < patience <= unimproved:", "if 0 < patience < unimproved:"),
    (FIT, "kept = jax.device_get(state.params[NETWORK])", "kept = kept or jax.device_get(state.params[NETWORK])"),
    (FIT, "index[pair - 1], logit[pair - 1] = (x[row", "index[row], logit[row] = (x[row"),
    (LINES, "found[number] = [", "found[chunk[0]] = ["),
    (LINES, 'return "".join(" " if unicodedata.category(c) in controls else c for c in text)', "return text"),
    (TEXT, "for number, hypotheses in enumerate(found, 1)", "for number, hypotheses in enumerate(found)"),
]  # fmt: skip
MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
