"""Changes of what keeps strangers' files in bounds that tests must notice; see `mutations.py`."""

from tests.mutations import Mutation

FILES, DATA = "gan_forensics/files/", "gan_forensics/data/"
WRITER, WRITER_TESTS = f"{FILES}writer.py", "tests/test_files_writer.py"
READER, READER_TESTS = f"{FILES}reader.py", "tests/test_files_reader.py"
PRIVATE, TABLES = f"{FILES}private.py", f"{FILES}tables.py"
DIALECTS = f"{FILES}dialects.py"
ARCHIVES, ARCHIVE_TESTS = f"{FILES}archives.py", "tests/test_files_archives.py"
TERMINAL, TERMINAL_TESTS = f"{FILES}terminal.py", "tests/test_files_terminal.py"
BUDGET, BUDGET_TESTS = f"{DATA}budget.py", "tests/test_data_budget.py"
CHECKPOINT, RUN_TESTS = "gan_forensics/train/checkpoint.py", "tests/test_train_strangers.py"

MUTATIONS = [
    Mutation(WRITER, "os.O_CREAT | os.O_EXCL |", "os.O_CREAT |", WRITER_TESTS),
    Mutation(WRITER, "flags | os.O_NOFOLLOW", "flags", WRITER_TESTS),
    Mutation(f"{FILES}paths.py", "if stat.S_ISLNK(mode):", "if False:", WRITER_TESTS),
    Mutation(READER, "if len(data) > most:", "if False:", READER_TESTS),
    Mutation(READER, "if not stat.S_ISREG(", "if 0 and (", READER_TESTS),
    Mutation(PRIVATE, "stat.S_IWGRP | stat.S_IWOTH", "stat.S_IWOTH", READER_TESTS),
    Mutation(PRIVATE, "if status.st_uid != os.geteuid():", "if False:", READER_TESTS),
    Mutation(PRIVATE, "is_relative_to(Path.cwd()) and not own", "is_dir() and 0", READER_TESTS),
    Mutation(TABLES, '_FORMULA.sub(r"\\1\'", text)', "text", READER_TESTS),
    Mutation(DIALECTS, 'if b"\\0" in data:', "if False:", "tests/test_files_dialects.py"),
    Mutation(ARCHIVES, "MOST_RATIO, ALWAYS = 100,", "MOST_RATIO, ALWAYS = 10_000,", ARCHIVE_TESTS),
    Mutation(TERMINAL, 'module=r"PIL\\."', 'module=r"LIP\\."', TERMINAL_TESTS),
    Mutation(
        BUDGET, "if width * height > (most or _most_pixels(kind)):", "if False:", BUDGET_TESTS
    ),
    Mutation(BUDGET, '"WEBP": 0.4,', '"WEBP": 1,', BUDGET_TESTS),
    Mutation(CHECKPOINT, "if name not in record:", "if False:", RUN_TESTS),
    Mutation(CHECKPOINT, "if sha256_of(path) != record[name][1]:", "if False:", RUN_TESTS),
    Mutation(CHECKPOINT, "run.resolve() / ", "run.absolute() / ", RUN_TESTS),
]
