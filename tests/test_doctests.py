"""Examples in docstrings hold, and every exported name has one."""

import doctest
import importlib
import inspect
from typing import get_origin

import pytest

AREAS = ("quality", "forensics", "explain", "anomaly", "distill", "faces", "report", "studies")


def exported(area):
    """The classes and functions of an area, by name; constants, aliases, protocols need none."""
    package = importlib.import_module(f"gan_forensics.{area}")
    names = getattr(package, "__all__", None) or [n for n in vars(package) if not n.startswith("_")]
    found = {name: getattr(package, name) for name in names}
    return {
        name: each
        for name, each in found.items()
        if (inspect.isclass(each) or inspect.isfunction(each))
        and get_origin(each) is None
        and each.__module__.startswith("gan_forensics")
        and not getattr(each, "_is_protocol", False)
        and not (inspect.isclass(each) and issubclass(each, Exception))
    }


@pytest.mark.parametrize("area", AREAS)
def test_exported_names_have_an_example_that_holds(area):
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    lacking, said = [], []
    for name, each in exported(area).items():
        tests = finder.find(each, name, globs=dict(vars(inspect.getmodule(each))))
        if not any(test.examples for test in tests):
            lacking.append(name)
        for test in tests:
            runner.run(test, out=said.append)
    assert not lacking
    assert runner.failures == 0, "".join(said)
