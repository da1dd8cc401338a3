"""Changes of what strangers' files are taken for, that tests must notice; see `mutations.py`.

Splits and classes told from the names of folders, pictures without content, dialects of tables,
and what is said and kept of all that was left out.
"""

from tests.mutations import Mutation

DATA, FILES, CLI = "gan_forensics/data/", "gan_forensics/files/", "gan_forensics/cli/"
FOLDERS, FOLDER_TESTS = f"{DATA}split_folders.py", "tests/test_data_split_folders.py"
SURVEY, FLAT, FLAT_TESTS = f"{DATA}survey.py", f"{DATA}flat.py", "tests/test_data_flat.py"
DIALECTS, TABLES = f"{FILES}dialects.py", f"{FILES}tables.py"
DIALECT_TESTS = "tests/test_files_dialects.py"

MUTATIONS = [
    Mutation(
        FOLDERS,
        'held = "test" if "test" in places.parts else "validation"',
        'held = "validation" if "validation" in places.parts else "test"',
        FOLDER_TESTS,
    ),
    Mutation(FOLDERS, "all(len(names) == 1 for", "any(len(names) == 1 for", FOLDER_TESTS),
    Mutation(
        FOLDERS,
        "numbers = numbers and len(set(map(int, known))) == len(known)",
        "",
        FOLDER_TESTS,
    ),
    Mutation(FOLDERS, "taken = None if len(without) else labels", "taken = labels", FOLDER_TESTS),
    Mutation(
        SURVEY,
        'if bad and on_bad_image != "skip":',
        'if bad and on_bad_image == "stop":',
        FLAT_TESTS,
    ),
    Mutation(SURVEY, "list(names[:KEPT])", "list(names[:NAMED])", FLAT_TESTS),
    Mutation(FLAT, "SHARE = 1 / 200", "SHARE = 1 / 180", FLAT_TESTS),
    Mutation(FLAT, "return not any(", "return not all(", FLAT_TESTS),
    Mutation(
        DIALECTS,
        "all(len(row) >= names and not any(row[names:]) for row in rows)",
        "all(len(row) >= names for row in rows)",
        DIALECT_TESTS,
    ),
    Mutation(DIALECTS, "if len(first) == 2:", "if False:", DIALECT_TESTS),
    Mutation(
        f"{FILES}numbers.py",
        'if decimals == "," and "." not in plain:',
        'if decimals == ",":',
        DIALECT_TESTS,
    ),
    Mutation(TABLES, 'separator == ";" or any(', "any(", DIALECT_TESTS),
    Mutation(TABLES, "if start and told_separator(start[0]):", "if False:", DIALECT_TESTS),
    Mutation(TABLES, 'f"text in {encoding}" if encoding else "",', "", DIALECT_TESTS),
    Mutation(
        f"{FILES}terminal.py",
        "for stream in (sys.stdout, sys.stderr):",
        "for stream in (sys.stdout,):",
        "tests/test_files_terminal.py -k lacks",
    ),
    Mutation(
        f"{CLI}evaluate_files.py",
        'if not hasattr(source, "take")}',
        "}",
        "tests/test_cli_evaluate.py -k in_memory",
    ),
    Mutation(
        f"{CLI}spectrum.py",
        '**({"left_out": left_out} if left_out else {}),',
        "",
        "tests/test_cli.py -k spectrum_leaves",
    ),
    Mutation(
        "gan_forensics/forensics/neural_parts.py",
        "groups = groups[0][surveys[0].rows], groups[1][surveys[1].rows]",
        "pass",
        "tests/test_forensics_neural.py -k groups_stay",
    ),
    Mutation(
        f"{FILES}matlab.py",
        "return rows[:count], columns, values[:count]",
        "return rows, columns, values",
        "tests/test_anomaly_tables.py -k contradict",
    ),
    Mutation(
        f"{FILES}matlab.py",
        "if kind % 10 == 2 and columns == 3 and rows:",
        "if kind % 10 == 2 and rows:",
        "tests/test_anomaly_tables.py -k contradict",
    ),
    Mutation(
        "gan_forensics/quality/manifolds.py",
        "inside = distances <= real_radii",
        "inside = distances < real_radii",
        "tests/test_quality_metrics.py -k alike",
    ),
]
