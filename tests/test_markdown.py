"""Documents say what is there: links, files, tables, commands, extras; and so do docstrings."""

import ast
import re

import pytest

from gan_forensics.cli.train import METHOD_NAMES, _described
from tests.markdown import (
    ROOT,
    anchors,
    broken_commands,
    broken_links,
    broken_tables,
    commands,
    documents,
    missing_files,
)

SCRIPTS = sorted(
    path.relative_to(ROOT)
    for folder in ("gan_forensics/cli", "experiments", "benchmarks")
    for path in (ROOT / folder).glob("*.py")
)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_all_documents_are_found():
    assert {"README.md", "CONTRIBUTING.md", "experiments/README.md"} <= {
        path.as_posix() for path in documents()
    }


@pytest.mark.parametrize("path", documents(), ids=str)
def test_a_document_is_whole(path):
    text, folder = read(path), (ROOT / path).parent
    assert [*broken_links(text, folder), *missing_files(text, folder)] == []
    assert list(broken_tables(text)) == []
    assert list(broken_commands(text)) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_commands_in_docstrings_are_understood(path):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(read(path))) if isinstance(node, kinds)]
    broken = [b for node in nodes for b in broken_commands(ast.get_docstring(node) or "")]
    assert broken == []


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_example_of_every_method_is_understood(method):
    text = _described(method)
    assert list(commands(text)) and list(broken_commands(text)) == []


def test_the_readme_lists_the_extras():
    section = read("README.md").split("## Extras")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    (known,) = re.findall(r"^EXTRAS = (\{.*?^\})", read("setup.py"), re.MULTILINE | re.DOTALL)
    assert listed == [*ast.literal_eval(known), "dev"]


# --- the checks see damage ------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "other.md").write_text("# One *thing*: a\n# Two\n# Two\n```\n# Not\n```\n")
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a](gone.md)", "gone.md: no such file"),
        ("![a](gone.png)", "gone.png: no such file"),
        ('<img src="gone.png">', "gone.png: no such file"),
        ("[a](other.md#three)", "other.md#three: no such heading"),
        ("[a](other.md#not)", "other.md#not: no such heading"),
        ("# Here\n[a](#there)", "#there: no such heading"),
        ("[a](other.md) [b](other.md#two-1) [c](other.md#one-thing-a) [d](data)", None),
        ("# Here\n[a](#here) [b](https://example.org/x) `[c](gone.md)`", None),
        ("    [a](gone.md)", None),
        ("```\n[a](gone.md)\n```", None),
    ],
)
def test_broken_links_are_seen(text, complaint, folder):
    found = list(broken_links(text, folder))
    assert found == ([f"link to {complaint}"] if complaint else [])


def test_headings_are_linked_as_github_does(folder):
    found = anchors((folder / "other.md").read_text())
    assert found == {"one-thing-a", "two", "two-1"}


def test_files_that_are_not_there_are_seen(folder):
    assert list(missing_files("`nn/gone.py` `gone/`", folder)) == [
        "`nn/gone.py`: no such file",
        "`gone/`: no such file",
    ]
    good = "`nn/conv*.py` `data/` `experiments/doping.py` `a/b` `test_<area>.py` `x.csv`"
    assert list(missing_files(good, folder)) == []


TABLE = "| a | b |\n|---|:-:|\n| 1 | x \\| y |\n| 2 | |\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (TABLE, None),
        (f"Text\n\n{TABLE}\nText", None),
        ("    | a |\n    | b | c |", None),
        (TABLE.replace("|---|:-:|\n", ""), "line 1: a table without a header"),
        (TABLE.replace("---", "- -"), "line 1: a table without a header"),
        (TABLE.replace("| 2", "\n| 2"), "line 5: a table without a header, or torn"),
        (TABLE.replace("|---|:-:|", "|---|"), "line 2: 1 cells where the first line has 2"),
        (TABLE + "| 3 |\n", "line 5: 1 cells where the first line has 2"),
        (TABLE + "| 3 | 4 | 5 |\n", "line 5: 3 cells where the first line has 2"),
        (TABLE + "Text\n", "line 5: text runs into the table above"),
    ],
)
def test_broken_tables_are_seen(text, complaint):
    found = list(broken_tables(text))
    assert len(found) == bool(complaint)
    assert not complaint or found[0].startswith(complaint)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("    gan-forensics spectrum a b   # one plot", None),
        ("    gan-forensics detect fit a b --out d.npz", None),
        ("    gan-forensics train infomax-gan --data folder:a --size 32", None),
        ("    gan-forensics spectrums a", "Unrecognized options: spectrums"),
        ("    gan-forensics spectrum a --wdith 4", "--wdith"),
        ("    gan-forensics detect fit a b", "--out"),
        ("    gan-forensics train dcgan --tials Z", "--tials"),
        ("    $ gan-forensics detect fit a b\n    --out d.npz --smooth", "--smooth"),
        ("    gan-forensics sample run --form gif", "gif"),
        ("`gan-forensics detect fit`, `gan-forensics detect fit --features dct`", None),
        ("`gan-forensics detect fits`", "fits"),
        ("`gan-forensics detect fit --features fft`", "fft"),
        ("`gan-forensics detect fit --smooth`", "--smooth"),
        ("    python -m experiments.doping smoke|cpu --odds FOLDER", None),
        ("`python -m experiments.doping smoke`", None),
        ("    python -m experiments.doping smoke|tpu", "tpu"),
        ("`python -m experiments.doping cpu --evens FOLDER`", "--evens"),
        ("    python -m experiments.dooping cpu", "no module experiments.dooping"),
        ("    python -m benchmarks.detector --side 64", None),
        ("    python -m benchmarks.detector --sides 64", "no option --sides"),
        ("    python -m benchmarks.run --fast", "no option --fast"),
        ("    python -m benchmarks.gone", "no module benchmarks.gone"),
        ("    make test  # all\n`make bench`", None),
        ("`make newest PYTHON=python3`", None),
        ("`make tests`", "no target tests"),
        ("`make test PITHON=python3`", "no target PITHON=python3"),
    ],
)
def test_commands_that_are_not_understood_are_seen(text, complaint):
    found = list(broken_commands(text))
    assert len(found) == bool(complaint), found
    assert not complaint or complaint in found[0]
