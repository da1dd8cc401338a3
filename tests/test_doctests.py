"""Examples in docstrings hold, and every exported name has one."""

import doctest
import importlib
import inspect
from typing import get_origin

import pytest

AREAS = ("quality", "forensics", "explain", "anomaly", "distill", "faces", "report", "studies")
# What trains, compiles for seconds, or reads what nobody carries: its example is shown, not run.
SHOWN = set(
    """
    Attributor Autoencoder DopedDetector Doping Estimate NeuralDetector PlainGAN Tracker Translator
    detect_boxes detector_update distill feature_relevance fit_attributor fit_landmarks
    fit_translator frames guided_grad_cam inception_features leak_meter load_attributor
    load_classifier load_features load_landmark_detector load_translator measure_leak open_teacher
    probe probe_colour published_variables random_features rank_features relevance
    rotation_ambiguity run_study silence small_classifier_features teacher_top_logits
    train_autoencoders train_classifier train_detector train_gans train_judge train_translator
    transform_classifier translate_lines unit_relevance write_video
    """.split()
)


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
    lacking, shown, said = [], set(), []
    for name, each in exported(area).items():
        tests = finder.find(each, name, globs=dict(vars(inspect.getmodule(each))))
        if not any(test.examples for test in tests):
            lacking.append(name)
        examples = [example for test in tests for example in test.examples]
        if not any(e.want and not e.options.get(doctest.SKIP) for e in examples):
            shown.add(name)
        for test in tests:
            runner.run(test, out=said.append)
    assert not lacking
    assert shown == SHOWN & {*exported(area)}
    assert runner.failures == 0, "".join(said)
