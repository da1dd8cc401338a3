"""The self-supervision experiment: its networks, arms, presets, and a small run."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.experiments import self_supervised_gan
from gan_forensics.experiments.self_supervised_arms import (
    DIGITS,
    GAN,
    MS,
    SNGAN,
    SS,
    STACKED,
    tiny_gan,
)
from gan_forensics.experiments.self_supervised_gan import PRESETS, run
from gan_forensics.experiments.self_supervised_page import comparisons, sections_of
from gan_forensics.experiments.self_supervised_published import (
    PUBLISHED,
    RECIPES,
    pairs,
    recipe_config,
)
from gan_forensics.experiments.small_networks import (
    PlaneDiscriminator,
    TinyDiscriminator,
    TinyGenerator,
)
from gan_forensics.gans import init
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR
from gan_forensics.nn.initial import initial_variables
from gan_forensics.report import Table
from gan_forensics.train import init_state, make_step, minibatches_per_step
from tests.small_experiments import step_fits_together

SMALL = {
    "data": "stacked:samples:digits",
    "batch_size": 8,
    "learning_rate": 1e-3,
    "discriminator_learning_rate": 4e-3,
}


def test_a_tiny_generator_draws_images_of_8x8():
    images = jax.eval_shape(
        lambda z: TinyGenerator(5).init_with_output(jax.random.key(0), z, train=True)[0],
        np.zeros((3, 5), np.float32),
    )
    assert images.shape == (3, 8, 8, 3)


@pytest.mark.parametrize(
    ("network", "shape", "width"),
    [(TinyDiscriminator((4, 6)), (8, 8, 3), 24), (PlaneDiscriminator((7,)), (2,), 7)],
)
def test_logits_are_linear_in_the_trunk(network, shape, width):
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    variables = initial_variables(network, jax.random.key(0), x, train=True)
    judged = jax.jit(lambda v, x: network.apply(v, x, train=True))(variables, x)
    weights = jax.tree.map(np.asarray, variables["params"]["logit"])
    assert judged.trunk.shape == (3, width)
    logits = np.asarray(judged.trunk) @ weights["kernel"] + weights["bias"]
    assert_allclose(judged.logits, logits[:, 0], rtol=1e-5, atol=1e-6)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match="8, 8"):
        TinyDiscriminator().init(jax.random.key(0), np.zeros((2, 16, 16, 3)), train=True)


def fits_together(gan):
    """The step of a GAN by shapes alone, and the losses that it reports."""
    params, stats = jax.eval_shape(lambda: init(gan))
    state = jax.eval_shape(lambda: init_state(gan.updates, params, stats))
    count, b = minibatches_per_step(gan.updates), gan.config.batch_size
    batch = {"image": jax.ShapeDtypeStruct((count, b, 8, 8, 3), np.float32)}
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, metrics = jax.eval_shape(make_step(gan.updates), state, batch, key)
    shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (state, after)]
    assert shapes[0] == shapes[1]
    return params, metrics


@pytest.mark.parametrize("arm", [GAN, MS, SNGAN])
def test_arms_have_the_same_networks_and_moves(arm):
    gan = tiny_gan(DIGITS[arm], widths=(8, 16), **SMALL)
    params, metrics = fits_together(gan)
    plain = tiny_gan(DIGITS[GAN], widths=(8, 16), **SMALL)
    shapes = [jax.tree.map(np.shape, init(each)[0]) for each in (gan, plain)]
    for network in (GENERATOR, DISCRIMINATOR):
        assert shapes[0][network] == shapes[1][network]
    assert [p.name for p in gan.game.players] == [GENERATOR, DISCRIMINATOR]
    assert minibatches_per_step(gan.updates) == 1
    assert "discriminator/loss" in metrics and params


@pytest.mark.slow
@pytest.mark.parametrize("arm", DIGITS)
def test_a_step_of_every_arm_fits_together(arm):
    fits_together(tiny_gan(DIGITS[arm], widths=(2, 4), **SMALL))


@pytest.mark.slow
@pytest.mark.parametrize("arm", STACKED)
@pytest.mark.parametrize("part", ["stacked", "stacked_k2"])
def test_a_step_of_stacked_digits_in_the_paper_preset_fits_together(part, arm):
    settings = getattr(PRESETS["paper"][1], part)
    assert settings.steps == 200_000 and settings.images == 25_600
    found = step_fits_together(settings.gan(arm).config)
    assert found[DISCRIMINATOR] > 0


def test_published_recipes_are_those_of_the_authors_code():
    assert {name: (r.ss, r.ms) for name, r in RECIPES.items()} == {
        "cifar10": ((0.5, 0.0), (0.5, 0.1)),
        "cifar100": ((0.5, 0.0), (0.5, 0.1)),
        "imagenet32": ((0.5, 0.0), (0.5, 0.1)),
        "stl10": ((1.0, 0.0), (1.0, 0.01)),
        "celeba": ((1.0, 0.0), (1.0, 0.1)),
    }
    assert PUBLISHED == {("cifar10", "dist-gan-ms"): 11.40} and set(PUBLISHED) < set(pairs())
    config = recipe_config("stl10", "dist-gan-ms", seed=3)
    weights = config.task_discriminator_weight, config.task_generator_weight
    assert (config.method, config.size, config.seed) == ("ms-dist-gan", 48, 3)
    assert weights == (1.0, 0.01)
    with pytest.raises(ValueError, match="celeba dist-gan-ms"):
        recipe_config("celeba", "ssgan")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arm"), pairs())
def test_a_step_of_every_published_recipe_fits_together(name, arm):
    step_fits_together(recipe_config(name, arm))


def followed(**measures):
    """What was followed of an arm with two looks, by the measures' values at the end."""
    return {
        "world": "stacked",
        "seeds": [0, 1],
        "steps": [0, 2],
        "samples": 60,
        "measures": {n: [[0.5, end] for end in ends] for n, ends in measures.items()},
        "kept": {"2": np.zeros((10, 8, 8, 3), int).tolist()},
        "stopped": {},
        "accuracy": 0.9,
        "calibration": [{"true": 10, "seen": 12, "half_share": 11, "effective": 9.5, "kl": 4.6}],
    }


def test_the_page_has_arms_modes_and_what_pairs_of_seeds_allow():
    of = {"half_share": [1, 2], "effective": [5.0, 7.0]}
    arms = {
        GAN: followed(seen=[10, 20], kl=[1.0, 2.0], **of),
        SS: followed(seen=[5, 9], kl=[3.0, 3.5], **of),
        MS: followed(seen=[11, 21], kl=[1.0, 1.5], **of),
    }
    said = comparisons(arms)
    assert [line.split(", ")[0] for line in said[::3]] == [
        f"{MS} less {SS}",
        f"{SS} less {GAN}",
        f"{MS} less {GAN}",
    ]
    assert said[0].startswith(f"{MS} less {SS}, modes seen: +9 (95 % of the mean")
    (section,) = sections_of({"digits": arms})
    tables = {b.caption: b for b in section.blocks if isinstance(b, Table)}
    what = tables["The arms."]
    assert what.columns[1:3] == ["loss", "norm of D"]
    assert [row[0] for row in what.rows] == [GAN, SS, MS]
    assert any(caption.startswith("Real stacks of held-out digits") for caption in tables)
    assert any(f"less those of {GAN}, paired by seed" in caption for caption in tables)
    assert any(f"less those of {SS}, paired by seed" in caption for caption in tables)


# The rest trains: marked slow.


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("self_supervised") / "run"
    return out, run(replace(PRESETS["smoke"][1], out=out))


@pytest.mark.slow
def test_the_smoke_run_leaves_results_and_a_page(smoke):
    out, results = smoke
    assert json.loads((out / "results.json").read_text()) == json.loads(json.dumps(results))
    assert all(row["holds"] for row in results["theory"]["claims"])
    followed = results["digits"][MS]
    assert followed["seeds"] == [0, 1] and followed["steps"] == [0, 2, 4]
    assert {name: np.shape(v) for name, v in followed["measures"].items()} == {
        name: (2, 3) for name in ("seen", "half_share", "effective", "kl")
    }
    assert [row["true"] for row in followed["calibration"]] == [1, 10, 50, 100, 300, 600, 1000]
    assert "Stacks of 8x8 digits" in results["finding"]
    page = (out / "report.html").read_text()
    for said in ("norm of D", f"less those of {SS}, paired by seed", "modes seen", "holds"):
        assert said in page


@pytest.mark.slow
def test_what_is_finished_is_not_trained_again(smoke, monkeypatch):
    out, results = smoke
    monkeypatch.setattr(self_supervised_gan, "trained", lambda *arguments: None)
    monkeypatch.setattr(self_supervised_gan, "_calibrated", None)
    assert run(replace(PRESETS["smoke"][1], out=out))["digits"] == results["digits"]
    with pytest.raises(ValueError, match="no parts"):
        run(replace(PRESETS["smoke"][1], out=out, parts=()))
