"""The Dist-GAN and GN-GAN experiment: its arms, its presets, and a small run."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.experiments import gn_gan
from gan_forensics.experiments.gn_gan import ALL, FOUR, PRESETS, Plane, Stacks, run
from gan_forensics.experiments.gn_gan_arms import (
    ALONE,
    DISTANCE,
    GAN,
    NE_GM,
    NE_GRADIENT,
    RELEASED,
    groups,
)
from gan_forensics.gans import Draws, GanConfig
from gan_forensics.gans.context import WEIGHTS
from gan_forensics.train import make_step, minibatches_per_step

TOY = GanConfig("dist-gan", data="toy:grid9", width=8, n_dis=1, batch_size=8)


@pytest.fixture(scope="module")
def all_groups():
    return groups(TOY)


def losses(gan, weights):
    """Every player's loss at the initial state, for fixed points and noise."""
    params, stats = gan.game.init(jax.random.key(0), {"point": np.zeros((2, 2), np.float32)})
    params[WEIGHTS] = {**params.get(WEIGHTS, {}), **weights}
    rng = np.random.default_rng(0)
    batch = {"point": rng.normal(size=(8, 2)).astype(np.float32)}
    draws = Draws(
        rng.uniform(-1, 1, (8, 2)).astype(np.float32),
        alpha=np.linspace(0, 1, 8, dtype=np.float32),
        key=jax.random.key(1),
    )
    values = {}
    for update in gan.updates:
        own = {name: params[name] for name in update.trains}
        rest = {name: value for name, value in params.items() if name not in own}
        value, aux = update.loss(own, rest, stats, batch, draws, 0)
        values[update.name] = (float(value), {k: float(v) for k, v in aux.metrics.items()})
    return values


def test_every_arm_stands_in_one_group_and_all_groups_are_of_a_preset(all_groups):
    arms = [name for group in all_groups.values() for name in group.arms]
    assert len(set(arms)) == len(arms) == 14
    assert tuple(all_groups) == ALL and set(FOUR) < set(ALL)


def test_arms_differ_in_what_they_are_named_after_alone(all_groups):
    seen = {
        name: losses(group.gan, weights)
        for key, group in all_groups.items()
        for name, weights in group.arms.items()
        if key in ("gan", "distance", "neighbours_matching", "released")
    }
    # The autoencoder alone leaves the distance out, and nothing else.
    value, metrics = seen[DISTANCE]["autoencoder"]
    assert_allclose(seen[ALONE]["autoencoder"][0], value - 0.1 * metrics["distance"], rtol=1e-6)
    assert seen[ALONE]["discriminator"] == seen[DISTANCE]["discriminator"]
    # Neighbours change the autoencoder's move, gradients the generator's.
    value, metrics = seen[NE_GM]["autoencoder"]
    assert_allclose(value, seen[ALONE]["autoencoder"][0] + 0.1 * metrics["neighbours"], rtol=1e-6)
    value, metrics = seen[NE_GM]["generator"]
    assert_allclose(
        value,
        metrics["score_distance"] + metrics["gradient_gap"] + metrics["product_gap"],
        rtol=1e-6,
    )
    value, metrics = seen[NE_GRADIENT]["generator"]
    assert_allclose(value, metrics["score_distance"] + metrics["gradient_gap"], rtol=1e-6)
    assert seen[DISTANCE]["generator"][0] == metrics["score_distance"]
    # The released losses are the discriminator's alone; a plain GAN has two players.
    assert seen[RELEASED]["autoencoder"] == seen[DISTANCE]["autoencoder"]
    assert seen[RELEASED]["discriminator"] != seen[DISTANCE]["discriminator"]
    assert set(seen[GAN]) == {"discriminator", "generator"}


def test_a_step_of_the_paper_preset_fits_together():
    plane = PRESETS["paper"][1].grid25
    config = replace(TOY, data="toy:grid25", width=plane.width, n_dis=plane.n_dis)
    assert plane.steps % plane.every == 0 and plane.seeds == tuple(range(8))
    for name in plane.groups:
        gan = groups(config)[name].gan
        count, b = minibatches_per_step(gan.updates), plane.batch_size
        state = jax.eval_shape(lambda gan=gan: gan.learner.start(0))
        batch = {"point": jax.ShapeDtypeStruct((count, b, 2), np.float32)}
        key = jax.eval_shape(lambda: jax.random.key(0))
        after, _ = jax.eval_shape(make_step(gan.updates), state, batch, key)
        shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (state, after)]
        assert shapes[0] == shapes[1]
        # R 1 and G 1 beside the discriminator's five, each on its own points.
        assert count == (6 if name == "gan" else 7)


def test_the_smoke_run_leaves_results_and_a_page_and_is_not_run_again(tmp_path, monkeypatch):
    experiment = replace(
        PRESETS["smoke"][1],
        out=tmp_path / "run",
        grid9=Plane(("gan",), seeds=(0, 1), steps=2, every=1, width=4, batch_size=8),
    )
    results = run(experiment)
    assert set(results["grid9"]) == {GAN} and "The 9-mode grid" in results["finding"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "modes by seed" in page and "a perfect generator" in page
    assert json.loads((tmp_path / "run" / "results.json").read_text())["grid9"] == results["grid9"]
    monkeypatch.setattr(gn_gan, "trained", None)
    assert run(experiment)["grid9"] == results["grid9"]
    with pytest.raises(ValueError, match="no parts"):
        run(replace(experiment, parts=()))


@pytest.mark.slow
def test_groups_run_in_processes_of_their_own(tmp_path):
    small = Plane(("gan", "neighbours"), seeds=(0,), steps=2, every=1, width=4, batch_size=8)
    shared = replace(PRESETS["smoke"][1], out=tmp_path / "one", grid9=small)
    one = run(shared)
    two = run(replace(shared, out=tmp_path / "two", processes=2))
    assert one["grid9"] == two["grid9"]


@pytest.mark.slow
def test_stacks_are_followed_and_calibrated(tmp_path):
    small = Stacks(
        ("gan", "neighbours_matching"),
        seeds=(0,),
        steps=2,
        every=1,
        batch_size=8,
        digits="samples:digits",
        images=64,
        classifier_steps=20,
    )
    base = replace(PRESETS["smoke"][1], out=tmp_path / "run", parts=("stacked",), stacked=small)
    results = run(base)
    assert set(results["stacked"]) == {GAN, NE_GM}
    followed = results["stacked"][NE_GM]
    assert set(followed["measures"]) == {"seen", "half_share", "effective", "kl"}
    assert [row["true"] for row in followed["calibration"]] == [1, 10, 50, 100, 300, 600, 1000]
    assert "Real stacks of held-out digits" in (tmp_path / "run" / "report.html").read_text()
