"""An option acts or is refused, and what cannot be is told before anything is read.

Nothing that these commands name is there, so that a message about a setting comes first or not at
all.
"""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from gan_forensics.cli.checks import at_least, listed, not_given, spelt, within
from gan_forensics.cli.train import METHOD_NAMES
from gan_forensics.distill import ClassifierConfig, TranslatorConfig
from gan_forensics.faces import TrackerConfig
from gan_forensics.train import Cadence
from tests.test_cli import plain_terminal, refused, run  # noqa: F401

ROOT = Path(__file__).parent.parent
DETECTOR = ["train", "detector", "--real", "nowhere", "--fake", "nowhere", "--arch", "resnet_small"]

ROBUSTNESS = ["detect", "robustness", "nowhere", "nowhere", "--detector", "nowhere"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quickstart", "--steps", 0], "--steps 0: it must be at least 1"),
        (["quickstart", "--seed", -1], "--seed -1: it must be at least 0"),
        (["sample", "nowhere", "-n", 0], "-n 0: it must be at least 1"),
        (["sample", "nowhere", "--seed", -1], "--seed -1"),
        (["sample", "nowhere", "--truncation", 0], "--truncation 0: it must be positive"),
        (["sample", "nowhere", "--truncation", -1], "--truncation -1: it must be positive"),
        (["sample", "nowhere", "-n", 2, "--labels", 0, 1, 2], "3 --labels for 2 images"),
        (["sample", "nowhere", "--interpolate", 1, "--labels", 0, 1], "2 --labels for 1 rows"),
        (["evaluate", "nowhere", "--data", "nowhere", "-n", -3], "-n -3"),
        (["evaluate", "nowhere", "--data", "nowhere", "--metrics", "fd"], "give the weights"),
        (
            ["evaluate", "nowhere", "--data", "nowhere", "--metrics", "fd", "--features", "small"],
            "unknown metrics fd",
        ),
        (["detect", "fit", "nowhere", "nowhere", "--out", "d", "--false-alarms", 1], "between 0"),
        (["detect", "fit", "nowhere", "nowhere", "--out", "d", "--seed", -1], "--seed -1"),
        ([*ROBUSTNESS, "--images", 0], "--images 0: it must be at least 1"),
        ([*ROBUSTNESS, "--seed", -1], "--seed -1"),
        ([*ROBUSTNESS, "--perturbations", "jpg-75"], "unknown perturbation 'jpg-75'; did you mean"),
        (
            [*ROBUSTNESS, "--perturbations", "fog", "--frost-textures", "nowhere"],
            "--frost-textures: no perturbation is frost",
        ),
        ([*ROBUSTNESS, "--perturbations", "frost-2", "--frost-textures", "no"], "no has none"),
        (["explain", "nowhere", "--detector", "nowhere", "--patches", 0], "--patches 0"),
        (
            ["benchmark", "build", "--runs", "n", "--real", "a=n", "--out", "b", "--val", 0],
            "--val 0",
        ),
        (["features", "--detector", "nowhere", "--fake", "nowhere", "--draws", 0], "--draws 0"),
        (["features", "--detector", "nowhere", "--fake", "nowhere", "--seed", -1], "--seed -1"),
        (
            ["features", "--detector", "nowhere", "--fake", "nowhere", "--confidence", 2],
            "--confidence 2: a probability from 0 to 1",
        ),
        (["track", "nowhere", "--out", "o", "--every", 0], "--every 0: it must be at least 1"),
        (["track", "nowhere", "--out", "o", "--start", -1], "--start -1"),
        (["track", "nowhere", "--out", "o", "--start", 9, "--end", 9], "--end 9: it must lie"),
        (["track", "nowhere", "--out", "o", "--init", "a", "--landmarks", "b"], "--landmarks: the"),
        (["track", "nowhere", "--out", "o", "--descriptor", "sift"], "give solver nelder-mead"),
        (["track", "nowhere", "--out", "o", "--update", "none", "--rate", 0.1], "--rate: nothing"),
        (["track", "nowhere", "--out", "o", "--views", 100], "give an odd number of at least 3"),
        (["track", "nowhere", "--out", "o", "--seed", -1], "--seed -1"),
    ],
)
def test_settings_are_checked_before_anything_is_read(arguments, message, capsys):
    assert message in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", 0], "--steps 0: it must be at least 1"),
        (["--steps", -1], "--steps -1: it must be at least 1"),
        (["--checkpoint-every", -1], "--checkpoint-every -1: it must be at least 0"),
        (["--sample-every", -2], "--sample-every -2: it must be at least 0"),
        (["--seed", -1], "--seed -1"),
        (["--batch-size", 0], "batch_size must be positive, got 0"),
        (["--learning-rate", 0], "learning_rate must be positive"),
        (["--n-dis", 0], "n_dis must be positive"),
        (["--average", 1], "average is a decay between 0 and 1"),
        (["--size", 40], "40"),
        (["--decay-steps", 9], "decay_steps are of the schedules linear and half-linear"),
        (["--decay-steps", 0, "--schedule", "linear"], "decay_steps must be positive"),
    ],
)
@pytest.mark.parametrize("method", ["dcgan", "sagan"])
def test_settings_of_a_gan_are_checked_before_its_data(method, options, message, tmp_path, capsys):
    out = ["--data", "nowhere", "--out", tmp_path / "run"]
    assert message in refused(capsys, "train", method, *out, *options)
    assert not (tmp_path / "run").exists()


def test_networks_of_a_gan_are_checked_before_its_data(capsys):
    for method, options, message in (
        ("sngan", ["--tail", "N.1.5"], "tail and width are of dcgan networks"),
        ("sngan", ["--width", 8], "tail and width are of dcgan networks"),
        ("dcgan", ["--generator-width", 8], "dcgan networks have one width"),
        ("dcgan", ["--tail", "X.1.5"], "X.1.5"),
        ("sngan", ["--generator-width", 9], "9"),
        ("dcgan", ["--classes", 3], "knows no classes"),
        ("sagan", ["--classes", 0], "classes must be positive"),
        ("sngan", ["--architecture", "dcgan"], "does not come in the architecture"),
        ("sagan", [], "exist for sizes 32 and 128, got size 64"),
        ("sagan", ["--size", 32], "unknown source 'nowhere'"),
    ):
        assert message in refused(capsys, "train", method, "--data", "nowhere", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", -1], "--steps -1: it must be at least 0"),
        (["--seed", -1], "--seed -1"),
        (["--size", 0], "--size 0"),
        (["--false-alarms", 1.5], "false_alarms is a share between 0 and 1 (exclusive), got 1.5"),
        (["--false-alarms", 0], "false_alarms is a share"),
        (["--batch-size", 0], "batch_size must be at least 1"),
        (["--learning-rate", 0], "learning_rate must be positive"),
        (["--flip", 2], "flip must lie between 0 and 1"),
        (["--probability", -0.1], "probability must lie between 0 and 1"),
        (["--arch", "resnet51"], "unknown architecture"),
        (["--arch", "resnet50", "--width", 8], "resnet50 cannot be made with"),
        (["--arch", "dct_cnn", "--width", 8], "dct_cnn cannot be made with"),
        (["--arch", "dct_cnn", "--crop", 8], "dct_cnn takes whole images of one size"),
        (["--arch", "npr", "--width", 8], "unknown source 'nowhere'"),
        (["--steps", 0, "--optimizer", "sgd"], "--optimizer: it is of training"),
        (["--augment", "noise"], "unknown augmentations ['noise']"),
        (["--augment", "none", "--probability", 0.3], "--probability: it is of the augmentations"),
        (["--augment", "blur", "--gray-probability", 0.3], "--gray-probability: it is of the"),
        (["--augment", "jpeg", "--rounding", "round"], "--rounding: it is of the augmentation"),
        (["--steps", 0, "--learning-rate", 0.1], "--learning-rate: it is of training, and"),
        (["--steps", 0, "--epoch", 9], "--epoch: it is of training, and --steps 0 only"),
        (["--steps", 0, "--probability", 0.3], "unknown source 'nowhere'"),
        (["--augment", "jpeg", "--probability", 0.3, "--width", 9], "unknown source 'nowhere'"),
    ],
)
def test_settings_of_a_detector_are_checked_before_its_images(options, message, capsys):
    assert message in refused(capsys, *DETECTOR, *options)


def test_what_is_not_there_to_train_is_answered_with_the_nearest_name(capsys):
    said = refused(capsys, "train", "infomaxgan", "--steps", 3)
    assert "'infomaxgan'; did you mean infomax-gan? There are " in said
    assert all(name in said for name in (*METHOD_NAMES, "stargan", "detector"))
    assert "did you mean dcgan?" in refused(capsys, "train", "dc-gan")
    assert run("train", "--help") == 0


def test_a_cadence_of_negative_steps_is_refused():
    for name in ("steps", "log_every", "checkpoint_every", "sample_every", "evaluate_every"):
        with pytest.raises(ValueError, match=f"{name} must be 0 or more, got -1"):
            Cadence(**{"steps": 1, name: -1})
    with pytest.raises(ValueError, match="keep must be 1 or more, got 0"):
        Cadence(1, keep=0)
    assert Cadence(0).steps == 0


def test_checks_name_options_as_they_are_spelt():
    assert (spelt("n"), spelt("batch_size")) == ("-n", "--batch-size")
    assert (listed("a"), listed("ab"), listed("abc")) == ("a", "a and b", "a, b and c")
    at_least(1, steps=1, k=None)
    within(0, 1, false_alarms=0.5, other=None)
    not_given("why", edge=None)
    for wrong in (0, float("nan")):
        with pytest.raises(ValueError, match=f"--log-every {wrong}: it must be at least 1"):
            at_least(1, steps=1, log_every=wrong)
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            within(0, 1, false_alarms=wrong)
    with pytest.raises(ValueError, match="--edge and -n: why; leave"):
        not_given("why", edge="data", n=0, m=None)


def _commands():
    for path in sorted((ROOT / "gan_forensics" / "cli").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and "dataclass" in map(_called, node.decorator_list):
                yield node


def _called(node):
    return ast.unparse(node).partition("(")[0]


# Options that reach a config by the name they share with its fields.
BY_NAME = {"Distill": ClassifierConfig, "Track": TrackerConfig, "TrainTranslator": TranslatorConfig}


def test_every_option_is_looked_at_by_its_command():
    seen = 0
    for command in _commands():
        options = {
            ast.unparse(part.target) for part in command.body if isinstance(part, ast.AnnAssign)
        }
        read = {part.attr for part in ast.walk(command) if isinstance(part, ast.Attribute)}
        config = BY_NAME.get(command.name)
        read |= {field.name for field in fields(config)} if config else set()
        seen += len(options)
        # `what` holds the command of `benchmark` that is called.
        assert options - read <= {"what"}, command.name
    assert seen > 200


@pytest.mark.parametrize(
    "command",
    [
        "train dcgan",
        "train stargan",
        "train detector --real a --fake b",
        "train classifier",
        "train translator",
        "distill --teacher a --student small_cnn --data c",
    ],
)
def test_commands_that_train_take_part_in_a_job_of_many_processes(command, capsys):
    said = refused(capsys, *command.split(), "--processes", 2)
    assert "say who the processes of --distributed are: add that, or leave them" in said
