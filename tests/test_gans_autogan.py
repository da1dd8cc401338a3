"""AutoGAN's simulator: its losses, its training, its copies."""

from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics import cli
from gan_forensics.data import ArraySource, load_image, power_law_textures
from gan_forensics.gans import autogan
from gan_forensics.gans.autogan import SimulatorConfig, simulator_learner, train_simulator
from gan_forensics.runtime import data_mesh

TINY = SimulatorConfig(steps=40, width=4, blocks=1, layers=1, batch_size=4, learning_rate=1e-2)


@pytest.fixture(scope="module")
def images():
    return power_law_textures(24, 8, exponent=2.0, seed=0)


def test_each_player_has_the_published_loss(images, monkeypatch):
    class Halved:
        def apply(self, variables, x, train):
            return variables["params"] * x

    class Judge:
        def apply(self, variables, x, train):
            return variables["params"] + x

    monkeypatch.setattr(autogan, "networks", lambda config, channels: (Halved(), Judge()))
    generator, discriminator = simulator_learner(TINY, (8, 8, 3)).updates
    x = np.float32(images[:2]) / 127.5 - 1
    a, d = 0.5, 0.25
    call = {"stats": {}, "batch": {"image": x}, "key": None, "step": 0}
    value, aux = generator.loss({"generator": a}, {"discriminator": d}, **call)
    copied = np.abs(a * x - x).mean()
    assert_allclose(value, ((d + a * x - 1) ** 2).mean() + 0.5 * copied, rtol=1e-5)
    assert_allclose(aux.metrics["difference"], copied, rtol=1e-5)
    value, _ = discriminator.loss({"discriminator": d}, {"generator": a}, **call)
    assert_allclose(value, ((d + x - 1) ** 2).mean() + ((d + a * x) ** 2).mean(), rtol=1e-5)


def test_every_image_has_its_copy_in_order(images, monkeypatch):
    class Inverted(NamedTuple):
        def apply(self, variables, x, train):
            return -x

    monkeypatch.setattr(autogan, "networks", lambda config, channels: (Inverted(), None))
    copies = autogan.Simulator(TINY, 3, {})(images)
    assert len(images) > autogan.AT_ONCE
    assert_array_equal(copies, 255 - images)


@pytest.mark.slow
def test_copies_come_to_resemble_their_images():
    images = power_law_textures(200, 16, exponent=2.0, seed=0)
    config = replace(TINY, steps=300, width=8, batch_size=8, copying=10.0, learning_rate=2e-3)
    options = {"mesh": data_mesh(jax.devices()[:1]), "progress": False}
    trained = train_simulator(ArraySource(image=images), config, **options)
    shown = images[:50].astype(float)
    error = np.abs(trained(images[:50]) - shown).mean()
    # Nearer than the best that knows the mean colour alone.
    assert error < 0.7 * np.abs(shown - shown.mean((1, 2), keepdims=True)).mean()


def test_the_rate_stays_and_then_falls_to_nothing():
    (update, _) = simulator_learner(TINY, (8, 8, 3)).updates
    state = update.optimizer.init({"w": np.zeros(1)})
    rates = []
    for _ in range(TINY.steps):
        _, state = update.optimizer.update({"w": np.ones(1)}, state)
        rates.append(float(state.hyperparams["learning_rate"]))
    assert_allclose(rates[: TINY.steps // 2], TINY.learning_rate, rtol=1e-6)
    assert_allclose(rates[30], TINY.learning_rate / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 0}, "steps must be positive"), ({"copying": -1.0}, "copying must be 0 or more")],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


def test_images_that_do_not_fit_are_refused_before_training(images):
    with pytest.raises(ValueError, match="that 4 divides, got 8x6"):
        train_simulator(ArraySource(image=images[:, :, :6]), TINY)
    with pytest.raises(ValueError, match="too small for 3 layers"):
        train_simulator(ArraySource(image=images), SimulatorConfig(steps=1, width=2, blocks=1))
    simulator = autogan.Simulator(TINY, 3, {})
    with pytest.raises(ValueError, match="copies images of 3 channels"):
        simulator(images[..., :1])


def test_the_command_writes_a_copy_of_each_image(images, tmp_path, monkeypatch, capsys):
    asked = []

    def trained(source, config):
        asked.append(config)
        return lambda images: 255 - images

    monkeypatch.setattr(autogan, "train_simulator", trained)
    out = tmp_path / "copies"
    with pytest.raises(SystemExit) as exit:
        cli.main(["simulate", "toy:powerlaw?n=20", "--size", "8", "--steps", "7", "--width", "3",
                  "--upsampling", "nearest", "--blocks", "2", "--batch-size", "5", "--seed", "4",
                  "--learning-rate", "0.5", "--out", str(out)])  # fmt: skip
    assert not exit.value.code
    assert asked == [
        SimulatorConfig(steps=7, width=3, blocks=2, upsampling="nearest", batch_size=5, seed=4,
                        learning_rate=0.5)
    ]  # fmt: skip
    said = capsys.readouterr()
    assert "20 copies in" in said.out and "levels in the mean" in said.err
    first = power_law_textures(1, 8, exponent=1.0, seed=0)[0]
    assert load_image(out / "000000.png").shape == first.shape and len(list(out.iterdir())) == 20


def test_a_simulator_is_refused_before_its_images_are_read(capsys):
    for options, message in (
        (["--steps", "0"], "steps must be positive"),
        (["--seed", "-1"], "--seed -1"),
        (["--size", "0"], "--size 0"),
    ):
        with pytest.raises(SystemExit) as exit:
            cli.main(["simulate", "nowhere", *options])
        assert exit.value.code == 2 and message in capsys.readouterr().err
