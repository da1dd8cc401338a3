"""Change what the code means, one place at a time, and see whether a test notices.

    python tests/mutations.py [AREA ...]

Run by hand from the repository root, on a copy of the tree in a temporary folder. An entry is
"killed" when its tests fail, as they should; a survivor is a behaviour that no test holds. Lists
are in `tests/mutations_AREA.py`; a test sees to it that their old texts are still found.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Mutation(NamedTuple):
    """One change of meaning: a wrong sign, axis or set, an option ignored, classes swapped.

    Attributes:
        file: below the root.
        old: text that occurs exactly once in it.
        new: what it becomes.
        tests: what pytest is given, as on a command line: files, tests, `-k 'some or others'`.
    """

    file: str
    old: str
    new: str
    tests: str


def areas() -> list[str]:
    """The areas that have a list."""
    return sorted(p.stem.removeprefix("mutations_") for p in ROOT.glob("tests/mutations_*.py"))


def mutations(area: str) -> list[Mutation]:
    """The list of an area."""
    return import_module(f"tests.mutations_{area}").MUTATIONS


def changed(mutation: Mutation, root: Path) -> str:
    """The file below the root with the change.

    Raises:
        ValueError: unless the old text occurs exactly once and the new one differs.
    """
    text = (root / mutation.file).read_text(encoding="utf-8")
    count = text.count(mutation.old)
    if count != 1 or mutation.old == mutation.new:
        raise ValueError(f"{mutation.file} has {mutation.old!r} {count} times: it must be once")
    return text.replace(mutation.old, mutation.new)


def outcome(mutation: Mutation, copy: Path) -> str:
    """Apply a change to the copy, run its tests, and take it back."""
    file = copy / mutation.file
    before = file.read_text(encoding="utf-8")
    file.write_text(changed(mutation, copy), encoding="utf-8")
    try:
        code = tested(mutation.tests, copy)
    finally:
        file.write_text(before, encoding="utf-8")
    # 1: tests failed. Anything beyond is a crash of the collection, which shows no behaviour.
    return {0: "SURVIVED", 1: "killed"}.get(code, f"BROKEN (exit {code})")


def tested(tests: str, copy: Path) -> int:
    """The exit status of pytest on the copy."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *shlex.split(tests)], cwd=copy, capture_output=True).returncode


def copied(folder: Path) -> Path:
    """A copy of the files that git knows or would add."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    asked = [sys.executable, "-c", "import gan_forensics; print(gan_forensics.__file__)"]
    found = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout
    if not Path(found.strip()).is_relative_to(folder.resolve()):
        raise ValueError(f"the tests would import {found.strip()}, not the copy in {folder}")
    return folder


def main(asked: Sequence[str]) -> int:
    """Run the lists of some areas, all by default; the number of entries that were not killed."""
    if unknown := sorted(set(asked) - set(areas())):
        raise ValueError(f"no list for {', '.join(unknown)}; areas are {', '.join(areas())}")
    left, passed = 0, set()
    with tempfile.TemporaryDirectory(prefix="mutations_") as temporary:
        copy = copied(Path(temporary))
        for area in asked or areas():
            for mutation in mutations(area):
                if mutation.tests not in passed and tested(mutation.tests, copy):
                    raise ValueError(f"{mutation.tests} fail on the unchanged copy already")
                passed.add(mutation.tests)
                start = time.monotonic()
                said = outcome(mutation, copy)
                left += said != "killed"
                seconds = time.monotonic() - start
                old, new = (" ".join(t.split()) for t in (mutation.old, mutation.new))
                print(f"{said:9}{seconds:4.0f} s  {mutation.file}: {old}  ->  {new}", flush=True)
    print(f"{left} not killed")
    return left


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(bool(main(sys.argv[1:])))
