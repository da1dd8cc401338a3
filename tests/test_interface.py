"""What a package offers: its `__all__`, its modules beside it, and its pages of help."""

import ast
import importlib
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import gan_forensics
from gan_forensics import nn

ROOT = Path(gan_forensics.__file__).parent
AREAS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
AREAS = [area for area in AREAS if area != "experiments"]


def exported(area):
    return importlib.import_module(f"gan_forensics.{area}").__all__


@pytest.mark.parametrize("area", AREAS)
def test_all_names_what_the_package_imports(area):
    tree = ast.parse((ROOT / area / "__init__.py").read_text(encoding="utf-8"))
    blocks = [tree, *(node for node in tree.body if isinstance(node, ast.If))]
    imported = [
        alias.asname or alias.name
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gan_forensics")
        for alias in node.names
    ]
    names = exported(area)
    assert names == sorted(imported, key=lambda name: (name.lower(), name))
    module = importlib.import_module(f"gan_forensics.{area}")
    assert set(names) <= set(dir(module)) and all(hasattr(module, name) for name in names)


@pytest.mark.parametrize("area", AREAS)
def test_no_module_has_the_name_of_an_exported_function(area):
    modules = {path.stem for path in (ROOT / area).glob("*.py")}
    for name in modules.intersection(exported(area)):
        package = importlib.import_module(f"gan_forensics.{area}")
        assert getattr(package, name) is importlib.import_module(f"gan_forensics.{area}.{name}")


def test_areas_are_attributes_and_load_when_they_are_asked_for():
    script = """if True:
        import sys
        import gan_forensics
        assert not {"jax", "numpy"} & sys.modules.keys()
        assert "spectra" in dir(gan_forensics)
        print(gan_forensics.spectra.radial_mean.__name__, hasattr(gan_forensics, "spectre"))
    """
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout == "radial_mean False\n", result.stderr
    areas = {area for area in AREAS if area != "cli"}
    assert areas == {name for name in dir(gan_forensics) if name in AREAS} - {"cli"}
    assert all(f"    {area} " in (gan_forensics.__doc__ or "") for area in areas)


def test_the_page_of_the_package_names_calls_that_there_are():
    first = (gan_forensics.__doc__ or "").split("The areas")[0]
    calls = [line.split("(")[0].strip() for line in first.splitlines() if line.startswith("    ")]
    assert len(calls) == 10
    for call in calls:
        area, name = call.split(".")
        assert name in exported(area)


def test_types_are_told_to_checkers():
    assert (ROOT / "py.typed").exists()
    assert '"py.typed"' in (ROOT.parent / "setup.py").read_text(encoding="utf-8")


def test_the_page_of_networks_begins_with_all_of_them():
    from gan_forensics import nn

    table = (nn.__doc__ or "").split("Flax's own.")[1]
    names = re.findall(r"^    (\w+(?:, \w+)*)", table, flags=re.MULTILINE)
    assert sorted(", ".join(names).split(", ")) == sorted(nn.__all__)


def test_the_help_of_a_network_is_about_itself_alone():
    networks = [each for each in vars(nn).values() if isinstance(each, type(nn.Generator))]
    assert len(networks) > 15
    for network in networks:
        page = pydoc.render_doc(network, renderer=pydoc.plaintext)
        assert "inherited from flax" not in page and len(page.splitlines()) < 130
        assert "__call__(self" in page
    generator = nn.Generator(32)
    assert {"apply", "init", "tabulate"} <= set(dir(generator)) and nn.Generator.apply


def test_a_run_folder_may_be_given_as_text():
    found = {}
    for area in AREAS:
        for name in exported(area):
            value = getattr(importlib.import_module(f"gan_forensics.{area}"), name)
            if inspect.isfunction(value) and (
                run := inspect.signature(value).parameters.get("run")
            ):
                found[name] = str in get_args(run.annotation)
    assert {"fit", "load_gan", "train_stargan", "read_config", "distill"} <= found.keys()
    assert [name for name, text in found.items() if not text] == []
