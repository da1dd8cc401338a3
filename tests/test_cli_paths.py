"""Paths that cannot serve: said in words, naming the path and the option, before any work."""

import dataclasses
import errno
import os
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from gan_forensics import cli
from gan_forensics.cli.entry import commands
from gan_forensics.experiments import (
    dag,
    doping,
    face_tracking,
    fourier_discrepancies,
    fourier_released,
    fourier_robustness,
    gn_gan,
    infomax_gan,
    label_smoothing_distillation,
    repmix,
    self_supervised_gan,
    spectral_regularisation,
    stargan,
    transferable_features,
    translation_distillation,
)
from gan_forensics.files import check_file_out, check_folder_out, in_words
from gan_forensics.train.run_folder import writing

# Every command that writes, asked for what is not there: the place for results is looked at first.
FOLDERS = {
    "quickstart": "",
    "inspect": "missing --no-browser",
    "train dcgan": "--data folder:missing",
    "train detector": "--real missing --fake missing",
    "train stargan": "--data folder:missing",
    "train classifier": "--data folder:missing",
    "train translator": "--data pair:missing,missing",
    "distill": "--teacher missing --data folder:missing --student small_cnn",
    "sample": "missing",
    "translate": "missing missing",
    "simulate": "missing",
    "collapse": "dcgan",
    "spectrum": "missing",
    "detect robustness": "missing missing --detector missing.npz",
    "detect validate": "missing.npz --real missing --fake missing",
    "attribute evaluate": "missing.npz --data folder:missing",
    "explain": "missing --detector missing.npz",
    "features": "--detector missing.npz --fake missing",
    "anomaly": "missing.csv --label y",
    "benchmark": "build --runs missing --real a=samples:photos",
    "track": "missing.mp4",
}
FILES = {
    "evaluate": "missing --data missing --features random",
    "detect fit": "missing missing",
    "detect score": "missing --detector missing.npz",
    "detect recalibrate": "missing.npz --real missing",
    "attribute fit": "--data folder:missing",
    "attribute score": "missing --model missing.npz",
    "augment": "missing.csv",
    "classify": "missing missing",
    "translate-text": "missing missing",
}
EXPERIMENTS = (
    dag,
    doping,
    face_tracking,
    fourier_discrepancies,
    fourier_released,
    fourier_robustness,
    gn_gan,
    infomax_gan,
    label_smoothing_distillation,
    repmix,
    self_supervised_gan,
    spectral_regularisation,
    stargan,
    transferable_features,
    translation_distillation,
)


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.csv").write_text("kept")
    (tmp_path / "folder.csv").mkdir()


def refused(capsys, *arguments, code=2):
    """Run a command line that must fail; what it says on standard error, as one line."""
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    said = " ".join(capsys.readouterr().err.split())
    assert exit.value.code == code, said
    assert "Errno" not in said and "Traceback" not in said
    return said


def leaves(kind, name=""):
    """The commands below a command, by name, with their dataclass."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if "action" not in fields:
        return {name: kind}
    found = {}
    for below in get_args(get_type_hints(kind, include_extras=True)["action"]):
        command, configuration = get_args(below)
        found |= leaves(command, f"{name} {configuration.name}")
    return found


def test_every_command_with_a_place_for_results_is_tested():
    with_out = set()
    for asked in ("dcgan", "detector", "stargan", "classifier", "translator"):
        for kind in get_args(commands(["train", asked])):
            spelt = re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
            for name, command in leaves(kind, spelt).items():
                if "out" in {field.name for field in dataclasses.fields(command)}:
                    with_out.add(name)
    assert with_out == {*FOLDERS, *FILES}


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_for_results_that_is_a_file_is_refused_first(command, capsys):
    for out in ("file.csv", "file.csv/below/it"):
        said = refused(capsys, *command.split(), *FOLDERS[command].split(), "--out", out)
        assert f"--out {out}: " in said and "is no folder; choose another place" in said
    assert Path("file.csv").read_text() == "kept"


@pytest.mark.parametrize("command", FILES)
def test_a_file_for_results_that_is_a_folder_is_refused_first(command, capsys):
    asked = [*command.split(), *FILES[command].split()]
    said = refused(capsys, *asked, "--out", "folder.csv")
    assert "--out folder.csv: it is a folder, where the name of a file is needed" in said
    said = refused(capsys, *asked, "--out", "file.csv/below.csv")
    assert "--out file.csv/below.csv: file.csv is no folder" in said


@pytest.mark.parametrize("command", {**FOLDERS, **FILES})
def test_a_place_where_one_may_not_write_is_refused_first(command, capsys, monkeypatch):
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: mode & os.W_OK == 0 and allowed(path, mode)
    )
    asked = {**FOLDERS, **FILES}[command]
    said = refused(capsys, *command.split(), *asked.split(), "--out", "folder.csv/new.csv")
    assert "--out folder.csv" in said and "no permission to write to folder.csv" in said


@pytest.mark.parametrize("module", EXPERIMENTS, ids=lambda module: module.__name__)
def test_an_experiment_refuses_its_folder_first(module, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "run", None)
    with pytest.raises(SystemExit) as exit:
        module.main(["smoke", "--out", str(tmp_path / "file.csv")])
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith(f"--out {tmp_path / 'file.csv'}: it is no folder")


def test_every_experiment_is_tested():
    folder = Path(dag.__file__).parent
    scripts = [path.stem for path in folder.glob("*.py") if "def main(" in path.read_text()]
    assert sorted(scripts) == [
        module.__name__.removeprefix("gan_forensics.experiments.") for module in EXPERIMENTS
    ]


def test_a_cache_that_is_a_file_and_a_table_of_another_kind_are_refused_first(capsys):
    evaluate = ["evaluate", "missing", "--data", "missing", "--features", "random"]
    said = refused(capsys, *evaluate, "--cache", "file.csv")
    assert "--cache file.csv: a cache must not lie below the working folder" in said
    assert "such as ~/.cache/" in said
    said = refused(capsys, "augment", "missing.csv", "--out", "rows.txt")
    assert "rows.txt: a table is one of .csv, .npz, .mat" in said


@pytest.mark.parametrize(
    ("arguments", "meaning"),
    [
        ("detect score folder.csv --detector {}", "give a detector file, which"),
        ("detect robustness a b --perturbations fog --detector {}", "give a detector file, which"),
        ("explain folder.csv --detector {}", "give a detector file, which"),
        ("features --fake folder.csv --detector {}", "give a detector file, which"),
        ("augment {} --out new.csv", "give a table: .csv"),
        ("anomaly {} --label y", "give a table: .csv"),
    ],
)
def test_a_file_that_is_not_there_or_is_a_folder_is_named_with_its_meaning(
    arguments, meaning, capsys
):
    said = refused(capsys, *arguments.format("gone.csv").split())
    assert "gone.csv: no such file" in said and meaning in said
    said = refused(capsys, *arguments.format("folder.csv").split())
    assert "folder.csv: it is a folder" in said and meaning in said


@pytest.mark.parametrize(
    "arguments",
    [
        "evaluate {folder} --data {folder} --weights {gone}.npz",
        "train detector --real list:{gone}.csv --fake folder.csv",
        "train dcgan --data list:{gone}.csv",
        "detect fit list:{gone}.csv list:{gone}.csv --out d.npz",
        "spectrum {gone}.csv",
        "sample {gone}.csv",
    ],
)
def test_weights_lists_and_folders_that_are_not_there_are_named(arguments, capsys):
    said = refused(capsys, *arguments.format(gone="gone", folder="samples:lfw").split())
    assert "gone" in said


@pytest.mark.parametrize(
    ("number", "code"),
    [
        *(
            (getattr(errno, name), 2)
            for name in "ENOENT EEXIST EISDIR ENOTDIR EACCES EPERM".split()
        ),
        *((getattr(errno, name), 1) for name in "EROFS ENAMETOOLONG ELOOP ENOSPC EIO".split()),
    ],
)
def test_what_the_system_refuses_is_said_in_words(number, code, capsys):
    def command():
        raise OSError(number, os.strerror(number), "some/where")

    assert cli.guarded(command) == code
    said = capsys.readouterr().err
    assert "some/where" in said and "Errno" not in said


def test_of_a_rename_the_place_that_was_asked_for_is_named():
    with pytest.raises(OSError) as error:
        os.replace("file.csv", "folder.csv")
    assert in_words(error.value) == "folder.csv: is a folder, where a file is needed"
    assert in_words(OSError("plain words")) == "plain words"


def test_places_that_can_be_made_are_taken_and_not_made(tmp_path):
    for path in ("new", "new/deep", "folder.csv", tmp_path / "new"):
        check_folder_out(path)
    for path in ("new.csv", "new/deep.csv", "file.csv", os.devnull):
        check_file_out(path)
    assert sorted(os.listdir()) == ["file.csv", "folder.csv"]


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="link: it is no folder"):
        check_folder_out("link")


def test_a_run_folder_that_is_a_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="run folder .*file.csv: it is no folder"):
        with writing(tmp_path / "file.csv"):
            pass
