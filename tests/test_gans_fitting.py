"""Training from memory, from a state, with a schedule and callbacks; states saved and loaded."""

import signal
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest

from gan_forensics.data import ArraySource, save_png, take
from gan_forensics.gans import GanConfig, Task, build, fit, fitting, generate, load, load_gan, save
from gan_forensics.gans.optimizers import check_rate
from gan_forensics.train import (
    CheckpointError,
    InterruptedRunError,
    NonFiniteLossError,
    RunFolderError,
)

TINY = dict(size=16, width=2, latent=4, channels=1, batch_size=8)
POINTS = dict(
    data="toy:grid9", architecture="small-perceptron", dimensions=2, width=4, batch_size=8
)
DOTS = np.random.default_rng(1).normal(size=(16, 2)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), np.uint8)


def quiet(gan, images=DOTS, **options):
    return fit(gan, images, progress=False, **options)


def equal(a, b) -> bool:
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.fixture(scope="module")
def gan():
    return build(GanConfig(**POINTS))


@pytest.fixture(scope="module")
def of_images():
    return build(GanConfig(**TINY))


@pytest.fixture(scope="module")
def three(gan):
    return quiet(gan, steps=3)


def test_going_on_from_a_state_is_one_training_bit_for_bit(gan, three):
    two = quiet(gan, steps=2)
    before = jax.tree.map(np.array, two)
    assert equal(quiet(gan, steps=1, state=two), three)
    assert equal(two, before), "the state that was given is left as it is"
    assert not equal(two.params, three.params)


def test_a_saved_state_goes_on_as_the_one_in_memory(gan, three, tmp_path):
    save(quiet(gan, steps=2), tmp_path / "mine[1]")
    state = load(str(tmp_path / "mine[1]"), gan)
    assert equal(quiet(gan, steps=1, state=state), three)
    save(three, str(tmp_path / "mine[1]"))
    save(state, tmp_path / "mine[1]")
    assert int(load(tmp_path / "mine[1]", gan).step) == 2, "the state that was saved last"
    assert [path.name for path in tmp_path.iterdir()] == ["mine[1]"]


def test_a_run_folder_is_an_option_and_goes_on_with_its_state(gan, three, tmp_path):
    run = tmp_path / "run"
    quiet(gan, steps=2, run=str(run))
    assert (run / "samples" / "step_00000002.png").exists()
    assert equal(quiet(gan, steps=1, run=run, state=load(run, gan)), three)
    with pytest.raises(RunFolderError, match="is at step 3, and the state at step 0"):
        quiet(gan, steps=1, run=run, state=gan.learner.start(0))
    with pytest.raises(RunFolderError, match="holds a run already"):
        quiet(gan, steps=1, run=run)
    with pytest.raises(ValueError, match=r"holds \.lock, and so no state"):
        save(three, run)
    same, state = load_gan(str(run))
    assert equal(state, three)
    assert same.config == replace(gan.config, data="given in Python")


def test_callbacks_are_given_a_state_to_keep_and_the_means_since_the_last_call(gan, three):
    kept, seen = [], {1: [], 2: []}

    def every_step(state, metrics):
        kept.append(state)
        seen[1].append(metrics["generator/loss"])

    quiet(gan, steps=3, every={1: every_step, 2: lambda s, m: seen[2].append((int(s.step), m))})
    assert [int(state.step) for state in kept] == [1, 2, 3]
    assert equal(kept[-1], three) and not equal(kept[0], kept[1])
    ((step, means),) = seen[2]
    assert step == 2
    assert means["generator/loss"] == pytest.approx(np.mean(seen[1][:2]))
    assert {"discriminator/loss", "generator/gradient_norm"} <= means.keys()
    for wrong in (0, -1, "50", 1.5):
        with pytest.raises(ValueError, match="every maps a number of steps, 1 or more"):
            quiet(gan, steps=1, every={wrong: every_step})


def test_a_schedule_rules_both_players_by_the_step():
    schedule = optax.piecewise_constant_schedule(2e-4, {1: 0.5, 2: 0.0})
    gan = build(GanConfig(**POINTS, learning_rate=schedule, n_dis=2))
    rates = []
    quiet(
        gan,
        DOTS,
        steps=3,
        every={1: lambda state, _: rates.append({
            name: float(opt.hyperparams["learning_rate"]) for name, opt in state.opt.items()
        })},
    )  # fmt: skip
    for name in ("generator", "discriminator"):
        assert [rate[name] for rate in rates] == pytest.approx([2e-4, 1e-4, 0])


def test_a_schedule_of_the_discriminator_is_its_own_and_its_run_is_loaded_with_its_gan(tmp_path):
    def still():
        return build(GanConfig(**POINTS, discriminator_learning_rate=lambda step: 0.0 * step))

    gan, run = still(), tmp_path / "run"
    start = gan.learner.start(gan.config.seed)
    state = quiet(gan, DOTS, steps=1, run=run)
    assert equal(state.params["discriminator"], start.params["discriminator"])
    assert not equal(state.params["generator"], start.params["generator"])
    assert equal(load(run, gan), state)
    lost, same = load_gan(run)
    assert equal(same, state) and generate(lost, same, 2, seed=0).shape == (2, 2)
    with pytest.raises(ValueError, match="was a schedule: 0 at 0, .* build it with that schedule"):
        quiet(lost, DOTS, steps=1, state=same)
    assert gan.learner.config == still().learner.config, "equal schedules go on in one folder"
    other = build(GanConfig(**POINTS, discriminator_learning_rate=lambda step: 1e-4))
    with pytest.raises(RunFolderError, match="discriminator_learning_rate"):
        quiet(other, DOTS, steps=1, run=run, state=load(run, other))


@pytest.mark.parametrize(
    "rate, words",
    [
        (0, "must be positive, got 0"),
        (True, "must be positive, got True"),
        ("1e-4", "must be positive, got '1e-4'"),
        (lambda step: -1.0, "is -1.0 at step 0"),
        (lambda step: float("nan"), "is nan at step 0"),
        (lambda: 1.0, "is no schedule"),
        (lambda step: [1.0, 2.0], "is no schedule"),
        (lambda step: 1.0 if step > 3 else 2.0, "that JAX can trace"),
    ],
)
def test_what_is_no_rate_is_refused(rate, words):
    with pytest.raises(ValueError, match=words) as error:
        build(GanConfig(**TINY, learning_rate=rate))
    assert "\n" not in str(error.value) and "learning_rate" in str(error.value)
    check_rate("learning_rate", lambda step: 0.0)


def test_a_schedule_beside_a_named_one_is_refused_and_a_built_config_is_not():
    rate = optax.constant_schedule(1e-4)
    with pytest.raises(ValueError, match="leave schedule='linear' out"):
        build(GanConfig(**TINY, learning_rate=rate, schedule="linear", decay_steps=4))
    assert build(build(GanConfig(**TINY, learning_rate=rate)).config).config.schedule == "none"


def test_images_of_another_size_are_resized_and_said(of_images, tmp_path, capsys):
    for row in range(2):
        save_png(tmp_path / f"{row}.png", np.repeat(IMAGES[row], 2, axis=1))
    for given, ends, said in (
        (str(tmp_path), None, "2 images of 32x16 (width x height) are centre-cropped and resized"),
        (np.zeros((8, 20, 16, 1)), (0, 1), "8 images of 16x20 (width x height) are cut to their"),
        (IMAGES, None, ""),
    ):
        source = fitting._source(of_images, given, None, ends)
        assert source[0]["image"].shape == (16, 16, 1)
        assert capsys.readouterr().err.startswith(said) and (said or source[0])
    assert capsys.readouterr().err == ""


def test_images_and_labels_that_do_not_fit_are_refused(of_images):
    colour = np.repeat(IMAGES, 3, -1)
    for images, options, words in (
        (colour, {}, r"of 3 channels, and the GAN makes 1: build it with channels=3"),
        (IMAGES[:3], {}, "3 examples are fewer than one batch of 8"),
        (IMAGES / 255, {}, "say which range"),
        (IMAGES, {"labels": np.zeros(20, int)}, "has no classes: leave labels out"),
        (IMAGES, {"steps": 0}, "steps must be a whole number, 1 or more"),
        (IMAGES, {"state": build(GanConfig(**POINTS)).learner.start(0)}, "not fit"),
    ):
        with pytest.raises(ValueError, match=words):
            quiet(of_images, images, **{"steps": 1, **options})


def test_a_conditional_gan_takes_labels_beside_images_or_of_a_source():
    gan = build(GanConfig("cgan-pd", size=32, classes=2, channels=1))
    images, labels = np.zeros((4, 32, 32, 1), np.uint8), np.array([0, 1, 0, 1])
    for source in (
        fitting._source(gan, images, labels, None),
        fitting._source(gan, ArraySource(image=images, label=labels), None, None),
    ):
        assert [int(source[row]["label"]) for row in range(4)] == [0, 1, 0, 1]
        assert take(source, [1, 2])["label"].tolist() == [1, 0]
    for labels, words in (
        (None, "has 2 classes: give labels="),
        ([0, 1, 2, 0], "must lie in 0 ... 1, got 0 ... 2"),
        ([0, 1], "labels must be 4 integers"),
        ([0.0, 1, 0, 1], "labels must be 4 integers"),
    ):
        with pytest.raises(ValueError, match=words):
            fit(gan, images, labels=labels, steps=1)


def test_what_is_no_gan_state_or_callback_is_named(gan, three, tmp_path):
    config = GanConfig(**POINTS)
    for call, words in (
        (lambda: fit(config, DOTS, steps=1), r"a Gan is needed, got GanConfig: build\(config\)"),
        (lambda: fit(DOTS, gan, steps=1), "a Gan is needed, got ndarray: give what build"),
        (lambda: load("mine", config), "a Gan is needed, got GanConfig"),
        (lambda: save("mine", three), "a TrainState is needed, .* got str"),
        (lambda: generate(three, gan, 1, seed=0), "a Gan is needed, got TrainState"),
        (lambda: generate(gan, three, 0, seed=0), "n must be a whole number, 1 or more, got 0"),
        (lambda: generate(gan, three, 1, seed=2**32), r"seed must be .* from 0 to 2\*\*32 - 1"),
        (lambda: fit(gan, DOTS, steps=1, state="mine"), "a TrainState is needed, .* got str"),
        (lambda: fit(gan, DOTS, steps=2.0), "steps must be a whole number, 1 or more, got 2.0"),
        (lambda: fit(gan, DOTS, steps=1, every=2), "every maps a number of steps to a function, s"),
        (lambda: fit(gan, DOTS, steps=1, every={1: "x"}), "every maps .* got 'x'"),
        (lambda: build("dcgan"), "a GanConfig is needed, got str"),
        (lambda: build(GanConfig), "got the class GanConfig"),
        (lambda: build(GanConfig(batch_size=8.0)), "batch_size must be a whole number, got 8.0"),
        (lambda: build(GanConfig(channels=4)), "channels must be 1 or 3, got 4"),
        (lambda: build(GanConfig(seed=-1)), "seed must be a whole number from 0"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_a_folder_of_other_things_is_no_run_folder(gan, tmp_path):
    save_png(tmp_path / "photos" / "a.png", IMAGES[0])
    with pytest.raises(RunFolderError, match="holds a.png, and is no run folder"):
        quiet(gan, steps=1, run=tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.png"]


def test_a_gan_of_points_is_fitted_on_points():
    gan, points = build(GanConfig(**POINTS)), DOTS
    assert np.array_equal(fitting._source(gan, points, None, None)[3]["point"], points[3])
    source = ArraySource(point=points)
    assert np.array_equal(fitting._source(gan, source, None, None)[3]["point"], points[3])
    for given, options, words in (
        (points[:, :1], {}, "points of 1 numbers, and the GAN's have 2"),
        (points, {"range": (0, 1)}, "neither a range nor labels"),
        (points, {"labels": [0] * 16}, "neither a range nor labels"),
    ):
        with pytest.raises(ValueError, match=words):
            quiet(gan, given, steps=1, **options)


def test_an_interrupted_training_gives_its_state(gan):
    def stop(state, metrics):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError, match=r"sys\.last_value\.state") as error:
        quiet(gan, steps=5, every={2: stop})
    assert int(error.value.state.step) == 2
    rest = quiet(gan, steps=1, state=error.value.state)
    assert int(rest.step) == 3


def test_what_cannot_be_loaded_or_saved_is_refused_and_loses_nothing(gan, three, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load(tmp_path / "none", gan)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load(tmp_path / "empty", gan)
    save(three, tmp_path / "mine")
    with pytest.raises(CheckpointError, match="does not fit this game"):
        load(tmp_path / "mine", build(GanConfig(**{**POINTS, "width": 8})))
    (tmp_path / "photos").mkdir()
    save_png(tmp_path / "photos" / "a.png", IMAGES[0])
    with pytest.raises(ValueError, match="holds a.png, and so no state"):
        save(three, tmp_path / "photos")
    assert (tmp_path / "photos" / "a.png").exists()
    with pytest.raises(ValueError):
        save(three, tmp_path / "photos" / "a.png")


def test_nan_is_blamed_on_who_moved_first():
    gan = build(
        GanConfig(**POINTS), tasks=[Task(generator=(lambda c: c.fake.logits.sum() * np.nan,))]
    )
    with pytest.raises(NonFiniteLossError, match=r"step 1: generator/.*\(update 'generator'\)"):
        quiet(gan, steps=1)


def test_a_state_of_a_schedule_says_so_to_a_gan_with_a_number(gan, three, tmp_path):
    save(three, tmp_path / "mine")
    other = build(GanConfig(**POINTS, learning_rate=optax.constant_schedule(1e-4)))
    with pytest.raises(CheckpointError, match="rates are of another kind, a number or a schedule"):
        load(tmp_path / "mine", other)


def test_seed_size_and_mirroring_of_minibatches_are_the_configs(monkeypatch):
    config = GanConfig(**TINY, seed=7, flip=True)
    asked = {}

    def batches(source, **options):
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "process_batches", batches)
    with pytest.raises(KeyboardInterrupt):
        fit(build(config), IMAGES, steps=1)
    assert asked == {"batch_size": 8, "seed": 7, "flip": True}
