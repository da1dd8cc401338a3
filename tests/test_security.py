"""SECURITY.md says what the code does; requirements.txt is constraints.txt with hashes."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_UNITS = {"": 1, "MiB": 2**20, "GiB": 2**30, "deep": 1, "characters": 1}
_ROWS = re.findall(
    r"^\| .+ \| ([\d,]+) ?(\w*) \| `([\w.]+)` \|$",
    (ROOT / "SECURITY.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("number", "unit", "name"), _ROWS)
def test_limits_are_those_of_the_code(number, unit, name):
    module, _, constant = name.rpartition(".")
    module = module if module.startswith("PIL.") else f"gan_forensics.{module}"
    value = getattr(importlib.import_module(module), constant)
    assert value == int(number.replace(",", "")) * _UNITS[unit]


def test_all_limits_are_compared():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("### Limits")[2].partition("\n\nWithin")[0]
    assert len(_ROWS) == table.count("\n|") - 2 > 15


def _pins(name):
    pins = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([\w.-]+)==([^\s;\\]+)", line):
            pins[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return pins


def test_requirements_are_the_constraints_with_hashes():
    wanted, found = _pins("constraints.txt"), _pins("requirements.txt")
    assert {name: wanted.get(name) for name in found} == found
    assert {"jax", "numpy", "pillow", "flax", "setuptools", "wheel"} <= found.keys()


def test_every_requirement_has_hashes_and_no_address():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text and "--find" not in text
    parts = re.split(r"\n(?=\S)", text.strip())
    assert len(parts) == len(_pins("requirements.txt"))
    assert all(re.search(r"\\\n +--hash=sha256:[0-9a-f]{64}", part) for part in parts)
