# ruff: noqa: E501  # texts as they stand in the files
"""Changes of how processes share data, and of what is no place, that tests must notice."""

from tests.mutations import Mutation

DATA, PIPELINE_TESTS = "gan_forensics/data/", "tests/test_data_pipeline.py"
ADDRESSES, PATHS = "tests/test_files_addresses.py", "gan_forensics/files/paths.py"
TOKENS, TOKEN_TESTS = f"{DATA}token_batches.py", "tests/test_data_token_batches.py"
PIPELINE, AHEAD, SKIP = (f"{DATA}{name}.py" for name in ("pipeline", "ahead", "skip_bad"))

MUTATIONS = [
    Mutation(
        PIPELINE, "{key: array[own] for", "{key: array[: own.stop - own.start] for", PIPELINE_TESTS
    ),
    Mutation(
        PIPELINE,
        "rng((seed, 2, number, 0)), rows)",
        "rng((seed, 2, own.start, number)), rows)",
        PIPELINE_TESTS,
    ),
    Mutation(
        PIPELINE, '* state.pop("processes")', '* (state.pop("processes") and 1)', PIPELINE_TESTS
    ),
    Mutation(
        PIPELINE,
        "random(self.size)[own] < 0.5",
        "random(own.stop - own.start) < 0.5",
        PIPELINE_TESTS,
    ),
    Mutation(PIPELINE, "if batch_size % count:", "if False:", PIPELINE_TESTS),
    Mutation(
        AHEAD,
        "if not result.done.wait(PATIENCE):",
        "if result.done.wait(PATIENCE) and False:",
        PIPELINE_TESTS,
    ),
    Mutation(AHEAD, "except BaseException as error:", "except Exception as error:", PIPELINE_TESTS),
    Mutation(AHEAD, "thread.join(max(", "print(max(", PIPELINE_TESTS),
    Mutation(
        AHEAD,
        "arguments = (self._make, self._asked)",
        "arguments = (lambda n: self._make(n), self._asked)",
        PIPELINE_TESTS,
    ),
    Mutation(
        SKIP, "(self.used + (place + k) % spare for", "((place + k) % self.used for", PIPELINE_TESTS
    ),
    Mutation(SKIP, "place + self.used // 2 + k", "place + 1 + k", PIPELINE_TESTS),
    Mutation(
        SKIP,
        "len({s for s in stand_ins if s.left_out})",
        "sum(s.left_out for s in stand_ins)",
        PIPELINE_TESTS,
    ),
    Mutation(
        f"{DATA}run_data.py",
        "[mine] if alone else gathered",
        "[mine] if True else gathered",
        "tests/test_gans_runs.py -k 'skipped'",
    ),
    Mutation(
        f"{DATA}run_data.py",
        "if not is_first():",
        "if False:",
        "tests/test_gans_runs.py -k 'skipped'",
    ),
    Mutation(TOKENS, "rows[index * size : (index + 1) * size]", "rows[:size]", TOKEN_TESTS),
    Mutation(TOKENS, "or ROWS % count", "", TOKEN_TESTS),
    Mutation(PATHS, "    refuse_remote(path)\n    try:", "    try:", ADDRESSES),
    Mutation(PATHS, "(?:^|[:,=])(([A-Za-z]", "^(([A-Za-z]", ADDRESSES),
    Mutation(PATHS, 'and not os.path.isdir(f"{found[1]}:")', "", ADDRESSES),
    Mutation(
        "gan_forensics/cli/entry.py",
        "    _refuse_remote(arguments)\n    plain",
        "    plain",
        ADDRESSES,
    ),
    Mutation("gan_forensics/files/private.py", "    refuse_remote(folder)\n", "", ADDRESSES),
    Mutation("gan_forensics/data/names.py", "    refuse_remote(name)\n", "", ADDRESSES),
]
