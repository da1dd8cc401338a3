"""The attribution experiment: its sources, semantics, arms and tables, and a small run."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.data import ArraySource
from gan_forensics.data.attributed import Attributed
from gan_forensics.experiments import repmix_page as page
from gan_forensics.experiments.repmix import PRESETS, run
from gan_forensics.experiments.repmix_arms import (
    ARMS,
    COMPOUND,
    MIXING,
    REPMIX,
    RESNET,
    Attributors,
    tracked,
)
from gan_forensics.experiments.repmix_arms import _verdicts as verdicts
from gan_forensics.experiments.repmix_dates import read_dates, results_by_date, some_sources
from gan_forensics.experiments.repmix_gans import CONTROL, MAKERS, SEMANTICS, Gans
from gan_forensics.forensics.attribution_measure import CONDITIONS, NEW_SEEDS, SEEN, UNSEEN
from gan_forensics.forensics.attribution_networks import NETWORKS, start
from gan_forensics.forensics.class_evaluation import evaluate_classes
from gan_forensics.gans import build
from gan_forensics.studies.by_date import dates_table, periods

CPU = PRESETS["cpu"][1]


# --- sources ------------------------------------------------------------------------------------


def test_generator_networks_differ_except_for_the_control(tmp_path):
    gans = Gans()
    made = {m: build(gans.config(m, "scenes", 0, tmp_path)) for m in MAKERS}
    same = {(a, b) for a in made for b in made if a < b and made[a].generator == made[b].generator}
    assert same == {CONTROL}
    a, b = (made[name] for name in CONTROL)
    assert a.discriminator == b.discriminator
    differs = {f for f, v in asdict(a.config).items() if asdict(b.config)[f] != v}
    assert differs == {"method", "seed"}


def test_every_source_has_the_seeds_that_are_asked_for():
    gans = CPU.gans
    assert len(gans.seeds) == 2 and len(gans.new_seeds) >= 1
    assert not {*gans.seeds} & {*gans.new_seeds} and not {*gans.seen} & {*gans.unseen}
    assert len(gans.seen) >= 2 and len(gans.seen) + len(gans.unseen) >= 3
    runs = gans.instances()
    assert len({*runs}) == len(runs)
    for maker in gans.makers:
        for semantic in gans.seen:
            own = [i for m, s, i in runs if (m, s) == (maker, semantic)]
            assert own == [*gans.seeds, *gans.new_seeds]
    seeds = [gans.config(*run, folder=CPU.out).seed for run in runs]
    assert len({*seeds}) == len(seeds)


def test_years_have_generators_on_either_side_of_each_date():
    years = {name: maker.year for name, maker in MAKERS.items()}
    assert [p.until for p in periods(years, CPU.attributors.dates)] == [*CPU.attributors.dates]


@pytest.mark.parametrize(
    "semantic",
    [pytest.param(s, marks=[] if s == "textures" else pytest.mark.slow) for s in SEMANTICS],
)
def test_real_images_that_are_held_out_train_no_gan(semantic):
    train, test = (SEMANTICS[semantic](split, 32, 60) for split in ("train", "test"))
    assert train.shape == test.shape == (60, 32, 32, 3)
    assert not {x.tobytes() for x in train} & {x.tobytes() for x in test}
    assert len({x.tobytes() for x in test}) == 60


# --- arms ---------------------------------------------------------------------------------------


def test_arms_of_one_network_differ_in_what_they_are_named_for():
    settings = Attributors()
    configs = {arm: asdict(settings.config(arm, 0)) for arm in ARMS}

    def changed(a, b):
        return {f for f, v in configs[a].items() if configs[b][f] != v}

    assert changed(REPMIX, MIXING) == {"compound"}
    # As many mixtures or images a minibatch, so that epochs have as many updates.
    assert changed(REPMIX, COMPOUND) == {"mixed", "batch_size"}
    assert changed(COMPOUND, RESNET) == {"method", "mixed"}
    assert changed(RESNET, page.CLEAN) == {"perturbations"}
    assert configs[REPMIX]["batch_size"] == 2 * configs[RESNET]["batch_size"]
    assert len(CPU.attributors.seeds) >= 3


def test_the_published_setting_is_that_of_the_released_code():
    settings = PRESETS["paper"][1].attributors
    configs = {arm: settings.config(arm, 0) for arm in settings.arms}
    assert all(config.learning_rate is None for config in configs.values())
    repmix = configs[REPMIX]
    assert (repmix.arch, repmix.batch_size, repmix.level, repmix.epochs) == ("resnet50", 64, 5, 30)
    assert (repmix.mix_concentration, repmix.perturb_probability) == (0.4, 0.95)
    assert (settings.size, repmix.crop_from, repmix.flip) == (224, 256, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("arm", [arm for arm, of in ARMS.items() if of["method"] in NETWORKS])
def test_networks_of_the_published_setting_are_made_for_its_size(arm):
    settings = PRESETS["paper"][1].attributors
    config = settings.config(arm, 0)
    network = NETWORKS[config.method].make(8, settings.size, config.choices)
    assert jax.tree.leaves(jax.eval_shape(lambda: start(network, 0, settings.size)))


def test_the_posterior_of_a_mixture_is_that_of_the_heads():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    model = SimpleNamespace(
        variables={"params": {
            "sources": {"kernel": np.zeros((3, 3)), "bias": np.zeros(3)},
            "detect": {"kernel": np.zeros((3, 2)), "bias": np.array([0.0, 50.0])},
        }},
        choices={"compound": False}, real=0,
    )  # fmt: skip
    flat = tracked(model, rng.normal(size=(60, 3)), labels)
    b = 0.138889**0.5
    assert flat["error"] < flat["constant"] + 0.2 and abs(flat["constant"] - 0.363) < b / 10
    # Embeddings of log-odds that grow with the weight are tracked better than a constant.
    model.variables["params"]["sources"]["kernel"] = 4 * np.eye(3)
    features = np.eye(3)[labels]
    near = tracked(model, features, labels)
    assert near["error"] < 0.5 * near["constant"]
    # A gate that says "generated" sets the real logit to 0: other posteriors.
    model.choices["compound"] = True
    assert tracked(model, features, labels)["error"] > near["error"]


def test_verdicts_are_counted_by_what_is_true():
    class Verifier:
        def compare(self, a, b):
            same = np.allclose(a.mean(0), b.mean(0))
            return SimpleNamespace(verdict="same" if same else "unsure")

    sides = {0: np.zeros((9, 2)), 1: np.ones((9, 2))}
    found = verdicts(Verifier(), (sides, sides), 4, 20)
    assert found["same: same"] == 1 and found["different: unsure"] == 1
    assert found["different: same"] == found["same: different"] == 0


def test_some_sources_are_labelled_by_their_names():
    labels = np.array([0, 1, 2, 3, 1], np.int32)
    source = ArraySource(image=np.zeros((5, 2, 2, 3), np.uint8), label=labels)
    names = ("dcgan", "lsgan", "real", "sngan")
    images = Attributed(source, names, "real", labels, ("a",) * 5, tuple("01234"))
    part = some_sources(images, ("real", "lsgan"))
    assert part.names == ("lsgan", "real") and part.labels.tolist() == [0, 1, 0]
    assert part.instances == ("1", "2", "4")


# --- tables -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results():
    """What a run leaves, of random logits."""
    rng, names = np.random.default_rng(0), ("dcgan", "lsgan", "real")

    def cell():
        labels = np.arange(30) % 3
        logits = np.eye(3)[labels] + rng.normal(size=(30, 3))
        found = evaluate_classes(logits, labels, names=names, real="real", features=logits)
        return {**asdict(found), "calibration_error": 0.1, "none_of_these": 0.1}

    kinds = {"seen, 1": dict.fromkeys(
        f"{kind}: {verdict}"
        for kind in ("same", "different") for verdict in ("same", "different", "unsure")
    )}  # fmt: skip
    kinds = {kind: {key: 1 / 3 for key in of} for kind, of in kinds.items()}
    arms = {
        arm: {
            seed: {
                "cells": {g: {c: cell() for c in CONDITIONS} for g in (SEEN, NEW_SEEDS, UNSEEN)},
                "verification": kinds,
                "mixtures": {"error": 0.2, "constant": 0.36},
            }
            for seed in ("0", "1")
        }
        for arm in (REPMIX, RESNET)
    }
    benchmark = {"names": list(names), "real": "real", "seen": ["a"], "unseen": ["b"]}
    return json.loads(json.dumps({"arms": arms, "benchmark": benchmark}))


def test_seen_instances_never_stand_alone(results):
    for measure in page.MEASURES:
        columns = page.cells_table(results, measure).columns
        for condition in CONDITIONS:
            assert {f"{g}, {condition}" for g in (SEEN, NEW_SEEDS, UNSEEN)} <= {*columns}
    said = page.finding(results)
    assert said.count(SEEN) >= 1 and said.count(NEW_SEEDS) == said.count(UNSEEN) == 6
    assert [*page.control_table(results).columns[1:]] == [SEEN, NEW_SEEDS, UNSEEN]


def test_differences_are_taken_seed_by_seed(results):
    (row,) = page.differences(results).rows
    a, b = (
        page.values(results, arm, SEEN, "clean", "attribution_accuracy") for arm in (REPMIX, RESNET)
    )
    assert row[1].startswith(f"{np.mean(np.subtract(a, b)):+.3f}")


def test_the_control_counts_swaps_among_images_given_to_the_pair(results):
    cell = results["arms"][REPMIX]["0"]["cells"][SEEN]["clean"]
    table = np.array(cell["confusion"])[:2, :2]
    other = np.array(results["arms"][REPMIX]["1"]["cells"][SEEN]["clean"]["confusion"])[:2, :2]
    share = np.mean([(t[0, 1] + t[1, 0]) / t.sum() for t in (table, other)])
    assert page.control_table(results).rows[0][1].startswith(f"{share:.2f}")


def test_dates_come_back_from_json():
    rng = np.random.default_rng(0)
    kinds = {
        k: {d: rng.normal(size=20).tolist() for d in "ab"} for k in ("real", "fitted", "later")
    }
    found = json.loads(json.dumps(results_by_date({2017: kinds})))
    (result,) = read_dates(found)
    assert result.until == 2017 and result.n_real == 20
    assert_allclose(result.fitted["a"].auc, found[0]["fitted"]["a"][0])
    assert len(dates_table([result]).rows) == 3


# --- the whole ----------------------------------------------------------------------------------


def test_unknown_arms_are_refused(tmp_path):
    experiment = replace(PRESETS["smoke"][1], out=tmp_path, attributors=Attributors(arms=("x",)))
    with pytest.raises(ValueError, match="unknown arms x; they are repmix"):
        run(experiment)


@pytest.mark.slow
def test_smoke_runs_and_is_resumed(tmp_path):
    experiment = replace(PRESETS["smoke"][1], out=tmp_path)
    first = run(experiment)
    assert {*first} >= {"arms", "dates", "makers", "finding"}
    assert (tmp_path / "report.html").exists() and (tmp_path / "samples" / "digits.png").exists()
    parts = {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").iterdir()}
    again = run(experiment)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").iterdir()} == parts
    assert again["arms"] == first["arms"]
