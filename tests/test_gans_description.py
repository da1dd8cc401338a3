"""What a GAN is in numbers, without a network being drawn."""

import jax
import pytest

from gan_forensics.gans import METHODS, GanConfig, build, describe, init, make_gan
from gan_forensics.gans.building import recipe_of, spans_run
from gan_forensics.gans.config import POINTS
from gan_forensics.gans.settings import settings_of
from gan_forensics.nn import resgan
from tests.test_cli import plain_terminal, run  # noqa: F401
from tests.test_gans_make import HINGE, MyD, MyG

ROWS = [(name, architecture) for name, rows in METHODS.items() for architecture in rows]


def built(method, architecture, **options):
    """A GAN of a row of the table, on whatever it is for."""
    sizes = {"stacked": 28, "dcgan": 32, "resgan": 32, "sngan": 32, "resnet": 32}
    world = "toy:line" if architecture == "small-perceptron" else "toy:grid9"
    points = {"data": world} if architecture in POINTS else {"size": sizes[architecture]}
    classes = 3 if METHODS[method][architecture].conditional else None
    config = GanConfig(method, architecture=architecture, classes=classes, **points, **options)
    return build(GanConfig(**{**vars(config), "decay_steps": 100}) if spans_run(config) else config)


@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_no_setting_stands_for_another(row):
    settings = settings_of(built(*row))
    hollow = {n: v for n, v in settings.items() if v is None or v == "" or v == ()}
    assert not hollow
    assert not [n for n, v in settings.items() if v == 0 and type(v) is int]
    assert settings["learning_rate"] > 0
    widths = {"width", "generator_width", "discriminator_width"} & settings.keys()
    assert widths
    assert all(settings[name] > 0 for name in widths)


def test_widths_are_those_that_make_the_same_networks():
    for method, architecture in ROWS:
        gan = built(method, architecture)
        settings = settings_of(gan)
        widths = {n: settings[n] for n in settings if n.endswith("width")}
        again = built(method, architecture, **widths)
        assert maps(again) == maps(gan), (method, architecture)


def maps(gan):
    """The networks; where None is a width, the channels of their maps in its place."""
    residual = resgan.Generator | resgan.Discriminator
    return {
        name: resgan.channels_of(network) if isinstance(network, residual) else network
        for name, network in gan.game.networks.items()
    }


def test_settings_of_an_augmentation_stand_where_it_acts():
    ada = settings_of(build(GanConfig(augment="ada")))
    assert ada["ada_kimg"] == 500
    assert "dag_weight" not in ada
    dag = settings_of(build(GanConfig(augment="dag")))
    assert (dag["dag_weight"], dag["dag_normalisation"]) == (0.2, "non_identity")
    assert dag["transforms"] == "rotation"


def test_the_recipe_of_a_config_is_how_its_players_move():
    gan = build(GanConfig("wgan-gp", n_dis=2, learning_rate=0.5))
    recipe = recipe_of(gan.config)
    assert (recipe.n_dis, recipe.learning_rate, recipe.betas) == (2, 0.5, (0.5, 0.999))
    assert [u.repeats for u in gan.updates] == [p.repeats for p in recipe.players()]


def test_a_description_counts_what_is_drawn():
    gan = build(GanConfig(size=16, width=2, latent=4, batch_size=8))
    about = describe(gan)
    params, _ = init(gan, 0)
    counts = {name: sum(x.size for x in jax.tree.leaves(p)) for name, p in params.items()}
    assert {row.name: row.parameters for row in about.networks} == counts
    assert about.parameters == sum(counts.values())
    outputs = {row.name: row.outputs for row in about.networks}
    assert outputs == {"generator": {"": (8, 16, 16, 3)}, "discriminator": {"logits": (8,)}}
    assert "  learning_rate                0.0001\n" in str(about)
    assert about.moves == {"generator": 1, "discriminator": 1}


def test_own_networks_are_described_as_well():
    about = describe(make_gan(MyG(), MyD("named"), tasks=[HINGE], size=4, latent=2, n_dis=3))
    assert about.networks[1].outputs == {"logits": (64,), "pooled": (64, 5)}
    assert about.settings["generator"] == "MyG(kind='plain')"
    assert about.settings["discriminator_learning_rate"] == 2e-4
    assert about.moves == {"generator": 1, "discriminator": 3}


def test_a_dry_run_prints_what_would_be_trained_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--data", "samples:digits", "--size", 16, "--width", 2, "--steps", 30]
    run("train", "dcgan", *options, "--dry-run")
    said = capsys.readouterr().out
    assert "samples:digits: 1349 of 1797 images train, 448 are held out" in said
    assert "30 steps; 21.1 minibatches of 64 go through them once" in said
    assert "generator" in said
    assert "FLOP" in said
    assert "\n  channels                     1\n" in said
    assert not list(tmp_path.iterdir())
