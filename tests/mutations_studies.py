"""Changes of the studies of modes that tests must notice; see `mutations.py`."""

from tests.mutations import Mutation

COLLAPSE = "gan_forensics/studies/collapse.py"
PAGE = "gan_forensics/studies/collapse_page.py"
RUN = "gan_forensics/studies/collapse_run.py"
TESTS = "tests/test_studies_collapse.py"

MUTATIONS = [
    Mutation(COLLAPSE, "value >= modes", "value > modes", TESTS),
    Mutation(COLLAPSE, "values[-looks:]", "values[:looks]", TESTS),
    Mutation(COLLAPSE, "if None in values else", "if False else", TESTS),
    Mutation(
        COLLAPSE,
        "return {**params, WEIGHTS: {**params[WEIGHTS], **named}}",
        "return {**params, WEIGHTS: params[WEIGHTS]}",
        TESTS,
    ),
    Mutation(
        COLLAPSE,
        "[None] * (len(looks) - len(rows[seed]))",
        "[0] * (len(looks) - len(rows[seed]))",
        TESTS,
    ),
    Mutation(PAGE, "[a - b for a, b in pairs", "[b - a for a, b in pairs", TESTS),
    Mutation(PAGE, "stats.t.ppf(0.975, len(values) - 1)", "stats.norm.ppf(0.975)", TESTS),
    Mutation(RUN, 'place="autoencoder" if encoder else "generator"', 'place="generator"', TESTS),
    Mutation(RUN, "        _check_kept(study.out, paths, asked)\n", "", TESTS),
    # Translations.
    Mutation(
        "gan_forensics/studies/translation.py",
        "moved = (targets != labels).any(1)",
        "moved = (targets == targets).any(1)",
        "tests/test_studies_translation.py",
    ),
    Mutation(
        "gan_forensics/studies/translation.py",
        "told[:, group] = np.arange(group.sum()) == likeliest[:, None]",
        "likeliest += 0",
        "tests/test_studies_translation.py",
    ),
    Mutation(
        "gan_forensics/studies/released.py",
        ".transpose(0, 2, 1, 3, 4)",
        ".transpose(2, 0, 1, 3, 4)",
        "tests/test_studies_released.py",
    ),
    Mutation(
        "gan_forensics/studies/released.py",
        "np.floor(255 * (0.5 * images + 0.5))",
        "np.round(255 * (0.5 * images + 0.5))",
        "tests/test_studies_released.py",
    ),
]
