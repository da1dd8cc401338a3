"""What can be wrong with the repository's documents, as lines of complaint.

Links and names of files must lead somewhere, tables must have one shape, and every command that is
shown must be understood by the parser of its program, which is not run.
"""

import contextlib
import importlib.util
import io
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|<(?:img|a)\s[^>]*(?:src|href)=\"([^\"]+)\"")
_PROGRAM = re.compile(r"(gan-forensics|python -m (experiments|benchmarks)\.\w+|make)( |$)")


def documents() -> list[Path]:
    """The Markdown files of the repository."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    made = re.compile(r"(runs|build|dist|docs/api|docs/papers|\..*)/")
    return sorted(path for path in found if not made.match(path.as_posix()))


def prose(text: str) -> str:
    """A document without its blocks of code, whose lines are left empty."""
    kept, fenced = [""], False
    for line in text.splitlines():
        mark = re.match(r" {0,3}(```|~~~)", line)
        fenced ^= bool(mark)
        indented = line.startswith("    ") and not kept[-1].strip()
        kept.append("" if fenced or mark or indented else line)
    return "\n".join(kept[1:])


def anchors(text: str) -> set[str]:
    """What links to the headings may end in, as GitHub makes it of them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*)$", prose(text), re.MULTILINE):
        base = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names = [base, *(f"{base}-{i}" for i in range(1, len(found) + 1))]
        found.add(next(name for name in names if name not in found))
    return found


def broken_links(text: str, folder: Path) -> Iterator[str]:
    """Links to files and headings that are not there, seen from a document in the folder."""
    for in_text, in_tag in _LINK.findall(re.sub(r"`[^`]*`", "", prose(text))):
        target = in_text or in_tag
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        if name and not (folder / name).exists():
            yield f"link to {target}: no such file"
        elif anchor and anchor not in anchors((folder / name).read_text() if name else text):
            yield f"link to {target}: no such heading"


def missing_files(text: str, folder: Path) -> Iterator[str]:
    """Python files and folders in backticks (`nn/conv*.py`, `data/`) that are not there."""
    places = (folder, ROOT, ROOT / "gan_forensics")
    for name in re.findall(r"`([\w*./-]+(?:\.py|/))`", prose(text)):
        if not any(any(place.glob(name)) for place in places):
            yield f"`{name}`: no such file"


def broken_tables(text: str) -> Iterator[str]:
    """Tables without a header, with a line of another length, or that text runs into."""
    lines = [*prose(text).splitlines(), ""]
    width = None
    for number, line in enumerate(lines[:-1], 1):
        if not line.lstrip().startswith("|"):
            if width is not None and line.strip():
                yield f"line {number}: text runs into the table above"
            width = None
            continue
        if width is None:
            width = _cells(line)
            if not re.fullmatch(r"\s*(\|\s*:?-+:?\s*)+\|\s*", lines[number]):
                yield f"line {number}: a table without a header, or torn by a blank line"
        if _cells(line) != width:
            yield f"line {number}: {_cells(line)} cells where the first line has {width}"


def _cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def commands(text: str) -> Iterator[tuple[str, bool]]:
    """Commands, and whether they are whole: on lines of their own, or mentioned in backticks.

    Behind `$ `, as in docstrings, a command goes on up to the next empty line.
    """
    lines = iter(text.splitlines())
    for line in map(str.strip, lines):
        command = line.removeprefix("$ ")
        if _PROGRAM.match(command):
            while line.startswith("$ ") and (more := next(lines, "").strip()):
                command += f" {more}"
            yield command, True
    for command in re.findall(r"`([^`]+)`", prose(text)):
        if _PROGRAM.match(command):
            yield " ".join(command.split()), False


def broken_commands(text: str) -> Iterator[str]:
    """Commands that their program would not understand.

    Where a command is merely mentioned, words may be missing. In `smoke|cpu` each word is tried.
    """
    for command, whole in commands(text):
        for words in product(*(word.split("|") for word in shlex.split(command, comments=True))):
            program, *arguments = words
            if program == "make":
                said = _unknown_targets(arguments)
            else:
                parse = _parse if program == "gan-forensics" else _parse_module
                said = _refusal(partial(parse, arguments))
            if said and (whole or not said.startswith(("Required options", "Missing subcommand"))):
                yield f"{' '.join(words)}: {said}"


def _refusal(parse: Callable[[], object]) -> str:
    """What a parser says when it ends the program as wrong use."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            parse()
        except SystemExit as exit:
            return " ".join(said.getvalue().split()) or str(exit.code) if exit.code else ""
    return ""


def _parse(arguments: list[str]) -> None:
    from gan_forensics import cli

    with mock.patch.object(sys.modules[cli.guarded.__module__], "guarded", lambda *_, **__: 0):
        cli.main(arguments)


# How scripts in `experiments` begin, and what they then call: experiments, and what fetches or
# prepares data for one, or reads what one left.
_STARTS = (
    ("main", "carry_out"),
    ("fetch", "download"),
    ("detect", "write_landmarks"),
    ("compare", "errors_table"),
)


def _parse_module(words: list[str]) -> None:
    _, name, *arguments = words
    if importlib.util.find_spec(name) is None:
        sys.exit(f"no module {name}")
    module = importlib.import_module(name)
    if name.startswith("experiments."):
        start, work = next(pair for pair in _STARTS if hasattr(module, pair[0]))
        with mock.patch.object(module, work, lambda *_, **__: sys.exit(0)):
            getattr(module, start)(arguments)
    elif unknown := _options(arguments) - _options(_help_of_benchmark(module)):
        sys.exit(f"no option {', '.join(sorted(unknown))}")


def _help_of_benchmark(module) -> list[str]:
    """The words of a benchmark's help; none where it reads no arguments, and would run."""
    if "parse_args" not in Path(module.__file__).read_text():
        return []
    said = io.StringIO()
    with mock.patch.object(sys, "argv", [module.__name__, "--help"]):
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            module.main()
    return re.findall(r"[\w-]+", said.getvalue())


def _options(words) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("-")}


def _unknown_targets(words: list[str]) -> str:
    makefile = (ROOT / "Makefile").read_text()
    known = re.findall(r"^(\w+)(?=:| \?=)", makefile, re.MULTILINE)
    unknown = [word for word in words if word.partition("=")[0] not in known]
    return f"no target {', '.join(unknown)}" if unknown else ""
