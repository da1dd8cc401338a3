"""The augmentation experiment: its subsets, points, measures, arms, presets, and a small run."""

import json
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource
from gan_forensics.experiments import dag, dag_measures
from gan_forensics.experiments.dag import PRESETS, run
from gan_forensics.experiments.dag_limited import (
    DAG_CROP,
    DAG_ROTATION,
    LIMITED,
    PLAIN,
    R3GAN,
    Limited,
    limited_config,
)
from gan_forensics.experiments.dag_measures import Reals, judged, references, stratified, subset
from gan_forensics.experiments.dag_page import by_fraction, finding, sections_of
from gan_forensics.experiments.dag_plane import (
    CENTRES,
    DAG,
    ROTATIONS,
    TURN,
    drawn,
    masses,
    plane_gan,
    turned,
)
from gan_forensics.experiments.dag_published import POLICIES, policy_config
from gan_forensics.gans.dag import HEADS
from gan_forensics.gans.task import DISCRIMINATOR
from gan_forensics.report import Table
from gan_forensics.train import make_step
from tests.small_experiments import step_fits_together

LABELS = np.repeat(np.arange(3), (50, 30, 7))


def test_a_subset_has_its_share_of_every_class_and_is_a_part_of_larger_ones():
    tenth, half, whole = (stratified(LABELS, fraction) for fraction in (0.1, 0.5, 1.0))
    assert np.bincount(LABELS[tenth]).tolist() == [5, 3, 1]
    assert np.bincount(LABELS[half]).tolist() == [25, 15, 4]
    assert set(tenth) < set(half) < set(whole) and len(whole) == len(LABELS)
    assert_array_equal(stratified(LABELS, 0.1), tenth)
    assert set(stratified(LABELS, 0.1, seed=1)) != set(tenth)
    # Of a class so small that nothing would be left, one example is.
    assert np.bincount(LABELS[stratified(LABELS, 0.01)]).tolist() == [1, 1, 1]
    for fraction in (0, 1.5):
        with pytest.raises(ValueError, match="fraction"):
            stratified(LABELS, fraction)


def test_a_subset_keeps_images_and_labels_together():
    images = np.arange(87, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 4, 4, 1), np.uint8)
    some = subset(ArraySource(image=images, label=LABELS), 0.1)
    assert_array_equal(LABELS[some.arrays["image"][:, 0, 0, 0]], some.arrays["label"])


def test_rotations_of_points_are_quarters_counter_clockwise_and_can_be_undone():
    points = np.array([[2.0, 0.5], [0.0, 1.0]], np.float32)
    assert_allclose(
        turned(jnp.asarray(points), jnp.array([1, 2])), [[-0.5, 2.0], [0.0, -1.0]], atol=1e-6
    )
    for k, transform in enumerate(ROTATIONS.transforms):
        there = transform.apply(jnp.asarray(points), None)
        assert_allclose(there, points @ TURN[k], atol=1e-6)
        assert transform.inverse is not None
        assert_allclose(transform.inverse(there), points, atol=1e-6)


def test_masses_say_on_which_copy_the_points_lie():
    points = drawn(np.random.default_rng(0), 4000)
    own = masses(points)
    assert own["original"] > 0.999 and own["turned"] == 0 and own["copy"] == 0
    moved = masses(np.concatenate([points[:1000], points[:3000] @ TURN[3]]))
    assert_allclose([moved["original"], moved["turned"]], [0.25, 0.75], atol=2e-3)
    assert moved["copy"] == 3
    # No copy of a mode is near another.
    centres = (CENTRES @ TURN).reshape(-1, 2)
    apart = np.linalg.norm(centres[:, None] - centres, axis=-1) + 9 * np.eye(len(centres))
    assert apart.min() > 1


def reals(train, held_out):
    extractor = SimpleNamespace(name="pixels")
    images = np.zeros((1, 4, 4, 1), np.uint8)
    return Reals(images, images, train, held_out, extractor)  # pyright: ignore[reportArgumentType]


def test_references_read_the_measures_on_real_images():
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(400, 3)), rng.normal(size=(300, 3))
    read = references(reals(train, held_out))
    assert abs(read["memorisation"] - 0.5) < 0.15 and 0 < read["frechet"] < 0.2
    # Features that know the sets apart.
    assert references(reals(train + 9, held_out))["memorisation"] == 0


def test_logits_are_of_the_images_in_their_order(monkeypatch):
    monkeypatch.setattr(dag_measures, "BATCH", 4)

    def apply(variables, images, *, train):
        assert not train
        return {"logits": images.mean((1, 2, 3)) * variables["params"] + variables["b"]}

    gan = SimpleNamespace(discriminator=SimpleNamespace(apply=apply))
    state = SimpleNamespace(params={DISCRIMINATOR: 2.0}, stats={DISCRIMINATOR: {"b": 1.0}})
    images = np.arange(0, 255, 25, dtype=np.uint8).reshape(-1, 1, 1, 1)
    found = judged(gan, state, images)  # pyright: ignore[reportArgumentType]
    assert_allclose(found, 2 * (images[:, 0, 0, 0] / 127.5 - 1) + 1, atol=1e-6)


SMALL = {"data": "samples:mnist5k", "size": 16, "channels": 1, "width": 4, "batch_size": 8}


def test_points_have_heads_for_their_own_transforms():
    gan = plane_gan(DAG, batch_size=4)
    state = jax.eval_shape(lambda: gan.learner.start(0))
    shapes = [x.shape for x in jax.tree.leaves(state.params[HEADS])]
    assert shapes.count((64, 1)) == 3
    batch = {"point": jax.ShapeDtypeStruct((1, 4, 2), np.float32)}
    key = jax.eval_shape(lambda: jax.random.key(0))
    _, metrics = jax.eval_shape(make_step(gan.updates), state, batch, key)
    assert {"discriminator/dag", "generator/dag", "discriminator/penalty"} < set(metrics)


def test_a_step_of_an_arm_fits_together():
    config = limited_config(DAG_CROP, **SMALL, learning_rate=1e-3, steps=100, gamma=1.0)
    assert config.norm == "none"
    step_fits_together(config)


@pytest.mark.slow
@pytest.mark.parametrize("arm", LIMITED)
def test_a_step_of_every_arm_fits_together(arm):
    step_fits_together(limited_config(arm, **SMALL, learning_rate=1e-3, steps=100, gamma=1.0))


def test_the_time_constant_of_ada_is_a_share_of_the_run():
    config = limited_config("ADA", **SMALL, learning_rate=1e-3, steps=1000, gamma=1.0)
    assert config.ada_kimg == 0.02 * 1000 * 8 / 1000


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_a_step_of_the_paper_preset_fits_together(policy):
    step_fits_together(policy_config(policy, data="tfds:cifar10"))


def test_runs_are_named_by_arm_fraction_and_penalty():
    assert Limited((PLAIN, R3GAN)).runs() == {
        "none, 10%": (PLAIN, 0.1, 1.0),
        "R3GAN, 10%": (R3GAN, 0.1, 1.0),
        "none, 100%": (PLAIN, 1.0, 1.0),
        "R3GAN, 100%": (R3GAN, 1.0, 1.0),
    }
    tried = PRESETS["cpu"][1].gammas.runs()
    assert list(tried) == [f"R3GAN, gamma {g}, 10%" for g in ("0.1", "1", "10")]
    names = ["DAG, rotation, 10%", "none, 10%", "none, 100%"]
    grouped = by_fraction({name: {"name": name} for name in names})
    assert {f: list(arms) for f, arms in grouped.items()} == {
        "10%": ["DAG, rotation", "none"],
        "100%": ["none"],
    }


def followed(**measures):
    """What was followed of an arm with two looks, by the measures' values at the end."""
    return {
        "world": "images",
        "seeds": [0, 1],
        "steps": [0, 2],
        "samples": 60,
        "measures": {n: [[0.5, end] for end in ends] for n, ends in measures.items()},
        "kept": {"2": np.zeros((10, 4, 4, 1), int).tolist()},
        "stopped": {},
    }


def test_the_page_has_every_fraction_with_its_references():
    shared = {"memorisation": [0.5, 0.7], "gap": [1.0, 2.0], "gap_deviations": [0.1, 0.2]}
    arms = {
        "none, 10%": followed(frechet=[4.0, 6.0], **shared, **{"leak, crop": [0.0, 0.1]}),
        "DAG, rotation, 10%": followed(frechet=[3.0, 4.0], **shared, **{"leak, crop": [0.2, 0.4]}),
    }
    read = {"images": 12, "frechet": 1.5, "memorisation": 0.55}
    references = {"features": "some", "accuracy": 0.9, "held_out": 40, "fractions": {"10%": read}}
    results = {"limited": arms, "references": {"limited": references}}
    assert "Frechet distance, settled by 2 seeds in 0 of 1 pairs." in finding(results)
    (section,) = sections_of(results)
    tables = [block for block in section.blocks if isinstance(block, Table)]
    own = next(table for table in tables if "held-out ones;" in table.caption)
    assert own.columns[-1] == "leak, crop"
    assert own.rows[0] == [
        *("none", "5.0 ± 1.4", "5.0 ± 1.4", "0.60 ± 0.14", "1.50 ± 0.71", "0.15 ± 0.07"),
        "0.05 ± 0.07",
    ]
    assert own.rows[-1] == ["real", "1.5", "–", "0.55", "–", "–", "–"]
    what = next(table for table in tables if "The arms" in table.caption)
    guaranteed = {row[0]: "no guarantee" in row[2] for row in what.rows}
    assert guaranteed[DAG_CROP] and not guaranteed[DAG_ROTATION]
    assert any("paired by seed" in table.caption for table in tables)


def test_the_page_says_on_which_copy_the_points_of_every_seed_are():
    arm = followed(original=[1.0, 0.0], turned=[0.0, 0.9], copy=[0.0, 3.0])
    arm["kept"] = {"0": [[0.0, 0.0]], "2": [[2.0, 0.5]]}
    results = {"leak2d": {"DiffAugment, rotations": arm}}
    (section,) = sections_of(results)
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert table.rows[0][0] == "DiffAugment, rotations" and table.rows[0][-1] == "0° 270°"
    assert "0.50 ± 0.71 (copies 0.45 ± 0.64)" in finding(results)


# The rest trains: marked slow.


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("dag") / "run"
    return out, run(replace(PRESETS["smoke"][1], out=out))


@pytest.mark.slow
def test_the_smoke_run_leaves_results_and_a_page(smoke):
    out, results = smoke
    assert json.loads((out / "results.json").read_text()) == json.loads(json.dumps(results))
    assert all(row["holds"] for row in results["theory"]["claims"])
    followed = results["leak2d"][DAG]
    assert followed["seeds"] == [0, 1] and followed["steps"] == [0, 2, 4]
    assert set(followed["measures"]) == {"original", "turned", "copy"}
    followed = results["limited"][f"{DAG_ROTATION}, 10%"]
    assert np.isfinite(followed["measures"]["frechet"]).all()
    assert np.shape(followed["measures"]["gap"]) == (2, 3)
    assert results["references"]["limited"]["fractions"]["10%"]["images"] == 134
    page = (out / "report.html").read_text()
    for said in ("on copies", "Frechet distance less those of none", "gap in deviations"):
        assert said in page


@pytest.mark.slow
def test_what_is_finished_is_not_trained_again(smoke, monkeypatch):
    out, results = smoke
    for name in ("followed_points", "followed_images"):
        monkeypatch.setattr(dag, name, lambda *arguments: None)
    monkeypatch.setattr(dag, "read_reals", None)
    again = run(replace(PRESETS["smoke"][1], out=out))
    assert again["limited"] == results["limited"] and again["leak2d"] == results["leak2d"]
    with pytest.raises(ValueError, match="no parts"):
        run(replace(PRESETS["smoke"][1], out=out, parts=()))
