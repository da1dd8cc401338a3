"""Augmentations by name: which images each transforms for whom, and what it refuses."""

import json
import shutil
import zlib
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    AUGMENTATIONS,
    LOSSES,
    METHODS,
    Draws,
    Game,
    GanConfig,
    Recipe,
    adversarial,
    augment,
    build,
    load_gan,
    train_gan,
)
from gan_forensics.gans.augment import augmentation, described
from gan_forensics.gans.diff_augment import diff_augment
from gan_forensics.train import Cadence, CheckpointError, RunFolderError, read_metrics
from tests.dist_games import differences
from tests.tiny_gans import (
    BATCH,
    LATENT,
    SIDE,
    Discriminator,
    Generator,
    drawn,
    moving,
    passes,
    slow_discriminator,
    slow_generator,
)

G, D = Generator(), Discriminator()
PLAYERS = Recipe(1e-3).players()
HINGE = adversarial(LOSSES["hinge"])
SLOW = pytest.mark.slow
CONFIG = GanConfig(
    "dcgan", data="samples:digits", size=SIDE, channels=1, latent=LATENT, batch_size=16
)


def game_of(name=None, *, unit=False, networks=(G, D), **config):
    """The plain game, augmented as a config says."""
    config = GanConfig("sngan", size=SIDE, augment=name, **config)
    further, shown = augmentation(config, (HINGE,), unit=unit)
    return Game(*networks, (HINGE, *further), PLAYERS, augment=shown)


@pytest.fixture
def draws(rng):
    with jax.enable_x64(True):
        yield Draws(jnp.asarray(rng.standard_normal((BATCH, LATENT))), key=jax.random.key(1))


# --- the table ------------------------------------------------------------------------------------


class Recorder:
    """A discriminator that notes what it is shown."""

    def __init__(self):
        self.shown = []

    def apply(self, variables, images, **options):
        self.shown += list(np.asarray(images))
        return {"logits": images.mean((1, 2, 3)), "trunk": images.reshape(len(images), -1)}, {}


REAL = np.random.default_rng(0).uniform(50, 100, (BATCH, SIDE, SIDE, 1)).astype(np.float32)
FAKE = -1000 * REAL


def shown(name, player):
    """Whose images a player's move shows the discriminator, plain or moved."""
    recorder = Recorder()
    generator = SimpleNamespace(
        latent=LATENT, apply=lambda variables, z, **options: (jnp.asarray(FAKE), {})
    )
    game = game_of(name, networks=(generator, recorder))
    params = {network: {} for network in game.networks}
    if "dag_heads" in params:
        head = {"kernel": jnp.zeros((SIDE * SIDE, 1)), "bias": jnp.zeros(1)}
        params["dag_heads"] = {f"head_{k}": head for k in range(3)}
    stats = {network: {} for network in game.networks}
    if "augment" in stats:
        kept = {"p": 1.0, "r": 0.0, "signs": 0.0, "count": 0, "batches": 0}
        stats["augment"] = {"adaptive": {n: jnp.asarray(x) for n, x in kept.items()}}
    (update,) = [u for u in game.updates if u.name == player]
    draws = Draws(jnp.zeros((BATCH, LATENT)), key=jax.random.key(3))
    update.loss(params, {}, stats, {"image": jnp.asarray(REAL)}, draws, 0)
    found = set()
    for owner, images in (("real", REAL), ("generated", FAKE)):
        own = [x for x in recorder.shown if (np.abs(x).max() > 2000) == (owner == "generated")]
        plain = sum((x == images).all((1, 2, 3)).any() for x in own)
        assert len(own) % BATCH == 0
        # Of some transforms a few images come out as they went in.
        found |= {(owner, "moved")} if plain < len(own) else set()
        found |= {(owner, "plain")} if plain >= BATCH else set()
    return found


def shift(images, *_):
    return images + 1


@pytest.mark.parametrize("published", [False, pytest.param(True, marks=SLOW)])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[SLOW] if n == "dag" else []) for n in AUGMENTATIONS]
)
def test_the_table_says_which_images_are_transformed_for_whom(name, published, monkeypatch):
    if not published:
        for function in ("adaptive_augment", "diff_augment", "random_flip_and_shift"):
            monkeypatch.setattr(augment, function, shift)
        monkeypatch.setattr(augment, "random_of", lambda policies, images, key: images + 1)
    beside = name in ("cr", "bcr", "dag")
    table = AUGMENTATIONS[name]
    for player, sees in (("discriminator", ("real", "generated")), ("generator", ("generated",))):
        moved = getattr(table, player)
        expected = {(owner, "moved") for owner in moved}
        expected |= {(owner, "plain") for owner in sees if beside or owner not in moved}
        assert shown(name, player) == expected
    line = described(GanConfig("sngan", size=SIDE, augment=name))
    assert (line is None) == (name == "none")
    if line:
        assert ("beside the images" in line) == beside
        assert ("generator" in line) == bool(table.generator)
        assert ("generated" in line) == ("generated" in table.discriminator)


def test_the_documented_table_is_that_of_the_code():
    rows = augment.__doc__.split("G: fake\n")[1].split("\n\n")[0].splitlines()
    for row in rows:
        name, *cells = row.split()
        said = [cell in ("yes", "beside") for cell in (cells + ["-"] * 3)[:3]]
        table = AUGMENTATIONS[name]
        of_generated = "generated" in table.discriminator, "generated" in table.generator
        assert said == ["real" in table.discriminator, *of_generated]
    assert len(rows) == len(AUGMENTATIONS)


def test_what_is_guaranteed_is_said():
    line = described(GanConfig("dcgan", augment="dag", transforms="rotation,crop,cutout"))
    assert "no guarantee for crop, cutout" in line and "(rotation,crop,cutout)" in line
    assert "all can be undone" in described(GanConfig("dcgan", augment="dag"))


def test_networks_in_the_unit_range_get_it_back(monkeypatch, draws):
    """Transforms are of images in [-1, 1]; pixels that they leave stay equal to the last bit."""
    seen = []

    def half(images, key, policy):
        seen.append(images)
        return images.at[:, :2].set(-0.5)

    monkeypatch.setattr(augment, "diff_augment", half)
    _, shows = augmentation(GanConfig(size=SIDE, augment="diffaugment"), (HINGE,), unit=True)
    # So small that 2 x - 1 rounds them.
    images = jnp.asarray(np.random.default_rng(0).uniform(0, 1e-3, (2, SIDE, SIDE, 1)))
    context = SimpleNamespace(key=lambda purpose: jax.random.key(0))
    made = shows(context, "real", images)
    assert_allclose(seen[0], 2 * images - 1)
    assert_allclose(made[:, :2], 0.25)
    assert_array_equal(made[:, 2:], images[:, 2:])


# --- nothing to do is nothing done ----------------------------------------------------------------


def same_bits(game, beginning, draws):
    made, plain = moving(game, game_of())(beginning, draws)
    for player, (value, slopes, _) in made.items():
        assert value == plain[player][0]
        pairs = zip(*map(jax.tree.leaves, (slopes[player], plain[player][1][player])), strict=True)
        for a, b in pairs:
            assert_array_equal(a, b)


@pytest.mark.slow
def test_diff_augment_without_transforms_is_the_base_bit_for_bit(draws):
    game = Game(
        *(G, D, (HINGE,), PLAYERS),
        augment=lambda context, owner, images: diff_augment(images, context.key(owner), ()),
    )
    same_bits(game, drawn(game_of()), draws)


@pytest.mark.slow
def test_ada_at_zero_is_the_base_bit_for_bit(draws):
    game = game_of("ada")
    same_bits(game, drawn_ada(game), draws)


def drawn_ada(game, p=0.0):
    beginning = drawn(game_of())
    kept = {"p": p, "r": 0.0, "signs": 0.0}
    counts = {"count": jnp.int32(0), "batches": jnp.int32(0)}
    kept = {name: jnp.float32(x) for name, x in kept.items()} | counts
    return beginning._replace(
        params={**beginning.params, "augment": {}},
        stats={**beginning.stats, "augment": {"adaptive": kept}},
    )


# --- ADA ------------------------------------------------------------------------------------------


def paid(game, beginning, player, draws):
    """Value and aux of a player's loss, operation by operation."""
    (update,) = [u for u in game.updates if u.name == player]
    return update.loss(beginning.params, {}, beginning.stats, beginning.batch, draws, 0)


def test_ada_counts_real_logits_and_uses_the_probability_of_before(monkeypatch, draws):
    used = []

    def noted(images, key, p):
        used.append(float(p))
        return images

    monkeypatch.setattr(augment, "adaptive_augment", noted)
    # Four batches of 8 images, of 160 in which p may go from 0 to 1.
    game = game_of("ada", ada_kimg=0.16)
    beginning = drawn_ada(game, p=0.5)
    # Some real images on either side of 0, and others of the generated ones.
    params, fake = (
        beginning.params["discriminator"],
        slow_generator(beginning.params["generator"], np.asarray(draws.z)),
    )
    real, made = (slow_discriminator(params, x)[0] for x in (beginning.batch["image"], fake))
    middle = (np.sort(real)[5] + np.sort(real)[6]) / 2
    params["logit"]["bias"] -= middle
    real, made = real - middle, made - middle
    assert np.sign(real).sum() == -4 != np.sign(made).sum()
    for move in range(1, 5):
        _, aux = paid(game, beginning, "discriminator", draws)
        beginning = beginning._replace(stats={**beginning.stats, **aux.stats})
        kept = aux.stats["augment"]["adaptive"]
        if move < 4:
            assert kept["count"] == 8 * move and kept["p"] == 0.5
            assert_allclose(kept["signs"], move * np.sign(real).sum())
    r = np.sign(real).mean()
    assert_allclose(kept["r"], r, rtol=1e-6)
    assert_allclose(kept["p"], 0.5 + 0.2 * np.sign(r - 0.6), rtol=1e-6)
    assert aux.metrics["ada_p"] == kept["p"] and aux.metrics["ada_r"] == kept["r"]
    paid(game, beginning, "generator", draws)
    assert_allclose(used, [0.5] * 8 + [float(kept["p"])], rtol=1e-6)


@pytest.mark.parametrize(("method", "size"), [("r3gan", 32), ("wgan-gp", 32), ("lsgan", 32)])
def test_ada_needs_a_zero_between_real_and_fake(method, size):
    message = f"the loss of {method} has no such zero .*: choose diffaugment, or a method with"
    with pytest.raises(ValueError, match=message):
        build(GanConfig(method, size=size, width=8, augment="ada"))
    with pytest.raises(ValueError, match=message):
        build(GanConfig("ms-gan", base=method, size=size, width=8, augment="ada"))


# --- CR and bCR -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bcr", pytest.param("cr", marks=SLOW)])
def test_consistency_is_ten_times_the_mean_squared_gap(name, draws, monkeypatch):
    def mirrored(images, key):
        return images[:, :, ::-1] * jax.random.uniform(key)

    # Owners have draws of their own.
    purposes = (f"consistency {owner}".encode() for owner in ("real", "fake"))
    factors = [
        float(jax.random.uniform(jax.random.fold_in(draws.key, zlib.crc32(one))))
        for one in purposes
    ]
    monkeypatch.setattr(augment, "random_flip_and_shift", mirrored)
    game, beginning = game_of(name), drawn(game_of())

    def gaps(params):
        images = [
            beginning.batch["image"],
            slow_generator(params["generator"], np.asarray(draws.z)),
        ]
        judged = [
            [slow_discriminator(params["discriminator"], y)[0] for y in (x, u * x[:, :, ::-1])]
            for x, u in zip(images, factors, strict=True)
        ]
        (r, _), (f, _) = judged
        hinge = np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()
        return [((a - b) ** 2).mean() for a, b in judged[: 1 + (name == "bcr")]], hinge, -f.mean()

    def slow(params):
        of_images, hinge, _ = gaps(params)
        return hinge + 10 * sum(of_images)

    (moved,) = moving(game)(beginning, draws)
    value, slopes, aux = moved["discriminator"]
    of_images, _, generator = gaps(beginning.params)
    assert_allclose(aux.metrics["consistency"], sum(of_images), rtol=0, atol=1e-12)
    assert_allclose(value, slow(beginning.params), rtol=0, atol=1e-11)
    # One pass for all copies; the images as they are were judged already.
    assert passes(aux.stats)["discriminator"] == 3
    expected = differences(slow, beginning.params, ("discriminator",))
    for a, b in zip(*map(jax.tree.leaves, (slopes, expected)), strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-7)
    # The generator knows nothing of it.
    assert_allclose(moved["generator"][0], generator, rtol=0, atol=1e-12)


# --- what does not go together --------------------------------------------------------------------

REFUSED = [
    ({"transforms": "flip"}, "transforms flip are chosen for classical, diffaugment, dag, n"),
    ({"augment": "cr", "transforms": "flip"}, "not for cr: leave them out"),
    ({"augment": "dagg"}, "unknown augmentation 'dagg'; did you mean 'dag'"),
    ({"augment": "dag", "transforms": "rotatoin"}, "unknown .*'rotatoin'; did you mean 'rotation'"),
    ({"augment": "classical", "transforms": "shifts"}, "did you mean 'shift'"),
    ({"augment": "diffaugment", "transforms": "flip"}, "diffaugment has no transform 'flip': it h"),
    ({"augment": "diffaugment", "transforms": ","}, "no transforms given, got ','"),
    ({"augment": "dag", "transforms": " "}, "transforms is empty: leave it out for rotation"),
    ({"ada_kimg": 3.0}, "ada_kimg is of augment ada, not of none"),
    ({"augment": "ada", "dag_weight": 1.0}, "dag_weight is of augment dag, not of ada"),
    ({"augment": "cr", "dag_normalisation": "module"}, "dag_normalisation is of augment dag"),
    ({"augment": "dag", "dag_weight": -1.0}, "dag_weight must be positive"),
    ({"gamma": 1.0}, "gamma is of r3gan, not of dcgan"),
    ({"base": "sngan"}, "dcgan goes on no base: leave base out, or choose ssgan"),
    ({"method": "ms-gan", "base": "dist"}, "unknown base 'dist'; did you mean 'dist-gan'"),
    (
        {"method": "ms-gan", "base": "ssgan"},
        "ssgan is self-supervised itself and no base: bases are dcgan, ",
    ),
    ({"method": "ms-gan", "base": "mdgan"}, "mdgan is for points, and ms-gan turns images"),
    ({"method": "ms-gan", "base": "dcgan", "data": "toy:grid9"}, "ms-gan has no networks for p"),
    ({"augment": "dag", "data": "toy:grid9"}, "augment dag is for images, and toy:grid9 has point"),
    ({"architecture": "resgan", "norm": "none"}, "norm none is of strided discriminators alone"),
    ({"method": "r3gan", "norm": "batch"}, "r3gan's penalties need a discriminator that does not"),
    ({"method": "ms-gan", "base": "r3gan", "norm": "batch"}, "r3gan's penalties need"),
    ({"task_generator_weight": 1.0}, "task_generator_weight is of self-supervised methods, and dc"),
    (
        {"method": "ms-gan", "base": "dcgan", "task_discriminator_weight": -1.0},
        "task_discriminator_weight must be 0 or more, got -1.0",
    ),
    (
        {"method": "multi-head-da", "base": "dcgan", "task_generator_weight": 0.5},
        "multi-head-da has no weights: leave task_discriminator_weight and task_generator_weight",
    ),
    (
        {"method": "ssgan-la", "base": "r3gan", "gamma": 3.0},
        "with which r3gan's penalties would go",
    ),
    ({"method": "multi-head-da", "base": "r3gan"}, "with which r3gan's penalties would go"),
    (
        {"method": "ms-gan", "base": "dcgan", "label_augmented_loss": "multi-hinge"},
        "label_augmented_loss is of ssgan-la and ssgan-la-plus, not of ms-gan",
    ),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build(GanConfig(**{"size": 32, **settings}))


# --- run folders ----------------------------------------------------------------------------------


@pytest.fixture
def tiny_networks(monkeypatch):
    row = METHODS["dcgan"]["dcgan"]._replace(networks=lambda config: (G, D))
    monkeypatch.setitem(METHODS, "dcgan", {"dcgan": row})


def equal(one, other):
    for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        assert_array_equal(a, b)


@pytest.mark.slow
def test_adas_probability_is_kept_and_a_stopped_run_goes_on_bit_for_bit(
    tmp_path, tiny_networks, monkeypatch
):
    # A target below any r, so that p moves.
    rising = partial(augment.AdaptiveProbability, target=-2.0)
    monkeypatch.setattr(augment, "AdaptiveProbability", rising)
    config = replace(CONFIG, augment="ada", ada_kimg=0.2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    _, expected = train_gan(config, whole, Cadence(10, log_every=1), progress=False)
    train_gan(config, parts, Cadence(6, log_every=1), progress=False)
    _, stopped = load_gan(parts)
    kept = dict(stopped.stats)["augment"]["adaptive"]
    assert kept["batches"] == 2 and kept["count"] == 32  # in the middle of an adjustment
    _, resumed = train_gan(config, parts, Cadence(10, log_every=1), resume=True, progress=False)
    equal(resumed, expected)
    probabilities = [line["discriminator/ada_p"] for line in read_metrics(whole / "metrics.jsonl")]
    again = [line["discriminator/ada_p"] for line in read_metrics(parts / "metrics.jsonl")]
    assert again == probabilities and len(set(probabilities)) > 1
    # By 4 batches of 16 of 200 images.
    assert_allclose(probabilities, [0.0] * 3 + [0.32] * 4 + [0.64] * 3, rtol=1e-5)


@pytest.mark.slow
def test_other_transforms_are_named_when_resuming_and_do_not_load(tmp_path, tiny_networks):
    config, run = replace(CONFIG, augment="dag", transforms="rotation"), tmp_path / "run"
    _, state = train_gan(config, run, Cadence(1), progress=False)
    assert len(dict(state.params)["dag_heads"]) == 3
    equal(load_gan(run)[1], state)
    for other in ("rotation,flip", "flip"):
        with pytest.raises(RunFolderError, match="gan.transforms: .*rotation.* -> .*" + other):
            train_gan(
                replace(config, transforms=other), run, Cadence(2), resume=True, progress=False
            )
    # A folder whose config was changed by hand.
    for other in ("rotation,flip", "cutout"):
        copy = shutil.copytree(run, tmp_path / other)
        saved = json.loads((copy / "config.json").read_text())
        saved["gan"]["transforms"] = other
        (copy / "config.json").write_text(json.dumps(saved))
        with pytest.raises(CheckpointError, match="does not fit this game"):
            load_gan(copy)
