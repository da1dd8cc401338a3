"""Changes of parallel text and translation scores that tests must notice; see `mutations.py`."""

from tests.mutations import Mutation

DATA = "gan_forensics/data/"
CATALOGUES, CATALOGUE_TESTS = f"{DATA}catalogues.py", "tests/test_data_catalogues.py"
TEXT, TEXT_TESTS = f"{DATA}text.py", "tests/test_data_text.py"
NUMBERS, VOCABULARY = f"{DATA}number_words.py", f"{DATA}vocabulary.py"
BATCHES, BATCH_TESTS = f"{DATA}token_batches.py", "tests/test_data_token_batches.py"
SCORES = "gan_forensics/studies/translation_scores.py"
SCORE_TESTS = "tests/test_studies_translation_scores.py"
PAGE = "experiments/translation_distillation_page.py"
TASKS = "experiments/translation_distillation_tasks.py"
EXPERIMENT_TESTS = "tests/test_experiments_translation.py"

MUTATIONS = [
    Mutation(CATALOGUES, "pairs.append((source[1], target[-1]))", "pass", CATALOGUE_TESTS),
    Mutation(
        CATALOGUES, "sum(sum(span[::2]) for span in spans) > len(data)", "False", CATALOGUE_TESTS
    ),
    Mutation(CATALOGUES, "if offset + length > len(data):", "if False:", CATALOGUE_TESTS),
    Mutation(CATALOGUES, '"\\r\\n", "\\n") + "\\n\\n"', '"\\r\\n", "\\n")', CATALOGUE_TESTS),
    Mutation(CATALOGUES, "and member.isreg()", "", CATALOGUE_TESTS),
    Mutation(CATALOGUES, "if total > most:", "if False:", CATALOGUE_TESTS),
    Mutation(CATALOGUES, " and not file.is_symlink()", "", CATALOGUE_TESTS),
    Mutation(TEXT, 'f"{seed} {normalised(source)}"', 'f"{seed} {source}"', TEXT_TESTS),
    Mutation(TEXT, "if len(source) != len(target):", "if False:", TEXT_TESTS),
    Mutation(NUMBERS, "if part_of_number(number) == split:", "if True:", TEXT_TESTS),
    Mutation(VOCABULARY, '_rule_name="identity"', '_rule_name="nmt_nfkc"', TEXT_TESTS),
    Mutation(BATCHES, "            waiting = pool[full:]\n", "", BATCH_TESTS),
    Mutation(BATCHES, '(self._order["seed"], epoch)', '(self._order["seed"],)', BATCH_TESTS),
    Mutation(BATCHES, "lengths <= longest", "lengths < longest + 9", BATCH_TESTS),
    Mutation(SCORES, 'smooth_method="none", ', "", SCORE_TESTS),
    Mutation(SCORES, "Tokenizer13a()(line.lower())", "Tokenizer13a()(line)", SCORE_TESTS),
    Mutation(SCORES, "if difference else 1.0", "", SCORE_TESTS),
    Mutation(PAGE, '1 if arm[0] == "+" else -1', "1", EXPERIMENT_TESTS),
    Mutation(PAGE, 'arm, "validation")))', 'arm)))', EXPERIMENT_TESTS),
    Mutation(PAGE, 'name, "validation") for', 'name) for', EXPERIMENT_TESTS),
    Mutation(TASKS, "elif normalised(source) in known:", "elif False:", EXPERIMENT_TESTS),
    Mutation(TASKS, "package.name == held_out)", "package.name != held_out)", EXPERIMENT_TESTS),
]  # fmt: skip
