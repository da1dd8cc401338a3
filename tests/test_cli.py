"""The command line: every command on small things, every misuse answered in one clear line."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from gan_forensics import cli, report
from gan_forensics.data import load_image, power_law_textures, save_png
from gan_forensics.forensics import verdicts
from gan_forensics.spectra import log_spectrum_curve, ring_radii

TRAIN = ["--data", "samples:lfw", "--size", "16", "--width", "4"]
TRAIN += ["--latent", "8", "--batch-size", "8"]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*arguments):
    """Run a command line in this process; its exit code."""
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


def refused(capsys, *arguments, code=2):
    """Run a command line that must fail; what it says on standard error, as one line."""
    assert run(*arguments) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.split())


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_images(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        save_png(folder / f"{i:03d}.png", image)
    return folder


def textures(exponent, seed, n=120, size=32):
    return power_law_textures(n, size, exponent=exponent, seed=seed)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of real and of generated images that a detector tells apart."""
    root = tmp_path_factory.mktemp("images")
    return (
        write_images(root / "photographs", textures(1.5, 0)),
        write_images(root / "generated", textures(0.5, 1)),
    )


@pytest.fixture(scope="module")
def detector(folders):
    path = folders[0].parent / "detector.npz"
    assert run("detect", "fit", *folders, "--out", path) == 0
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder that the command `train` made."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert run("train", "dcgan", *TRAIN, "--steps", 2, "--sample-every", 2, "--out", out) == 0
    return out


# --- help ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["quickstart", "train", "train classifier", "train translator", "distill", "classify",
     "translate-text", "sample", "translate", "evaluate", "spectrum", "detect fit",
     "detect score", "detect robustness", "track"],
)  # fmt: skip
def test_help_of_every_command_shows_how_to_use_it(command, capsys):
    assert run(*command.split(), "--help") == 0
    said = capsys.readouterr().out
    assert f"$ gan-forensics {command}" in " ".join(said.split())


def test_help_lists_the_commands(capsys):
    assert run("--help") == 0
    said = capsys.readouterr().out
    for name in ("quickstart", "train", "sample", "evaluate", "spectrum", "detect", "--debug"):
        assert name in said
    assert run("detect", "--help") == 0
    said = capsys.readouterr().out
    assert "fit" in said and "score" in said and "robustness" in said


@pytest.mark.parametrize(
    "command",
    [
        *("gan_forensics.cli " + name for name in (
            "", "quickstart", "train", "train dcgan", "train detector", "train stargan",
            "train classifier", "train translator", "distill", "classify", "translate-text",
            "sample", "translate", "simulate", "evaluate", "spectrum", "detect", "detect fit",
            "detect score", "detect robustness", "explain", "features", "augment", "anomaly",
            "benchmark", "track",
        )),
        "experiments.doping cpu",
    ],
)  # fmt: skip
def test_help_that_nobody_reads_to_its_end_ends_quietly(command):
    command = [sys.executable, "-m", *command.split(), "--help"]
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


def test_help_loads_neither_jax_nor_numerics():
    """So that it is there in under a second."""
    script = (
        "import sys\nfrom gan_forensics.cli import main\n"
        "for command in ('train', 'distill', 'classify', 'track'):\n"
        "    try:\n        main([command, '--help'])\n"
        "    except SystemExit as exit:\n        assert not exit.code\n"
        "heavy = {'jax', 'flax', 'sklearn', 'scipy', 'matplotlib', 'orbax'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert "LOADED []" in result.stdout


def test_wrong_words_are_answered_with_usage(capsys):
    assert run("trian") == 2
    assert run("train", "vae") == 2
    assert run("train", "dcgan", "--wdith", "4") == 2
    assert run("detect") == 2


def test_choices_are_the_names_that_the_areas_know(capsys):
    """They stand in the commands once more, so that --help need not load the areas."""
    from gan_forensics.anomaly import DETECTORS, RESAMPLERS
    from gan_forensics.cli import anomaly, augment, detect, evaluate, spectrum
    from gan_forensics.forensics import CLASSIFIERS, FEATURES
    from gan_forensics.forensics.frozen import FROZEN
    from gan_forensics.nn.inception import Resize
    from gan_forensics.quality.evaluate import METRICS
    from gan_forensics.spectra.curves import Normalise

    assert {*get_args(augment.Method), "none"} == set(RESAMPLERS)
    assert set(get_args(anomaly.DetectorName)) == set(DETECTORS)
    assert set(get_args(detect.Features)) == {*FEATURES, *FROZEN}
    assert set(get_args(detect.Classifier)) < set(CLASSIFIERS)  # without those of one paper
    assert evaluate.Evaluate.__annotations__["resize"] == Resize | None
    assert run("evaluate", "--help") == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    listed = said.split("Some of ")[1].split(", such as")[0]
    assert re.sub(r" \(.*?\)", "", listed) == ", ".join(METRICS)
    assert spectrum.Spectrum.__annotations__["normalise"] == Normalise


def test_debug_shows_where_an_error_came_from(tmp_path, capsys):
    assert run("sample", tmp_path / "missing", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_exit_codes_tell_misuse_from_failure(capsys):
    def failing(error):
        def command():
            raise error

        return command

    class InterruptedError_(RuntimeError):
        signal = 15

    assert cli.guarded(lambda: None) == 0
    assert cli.guarded(failing(ValueError("bad"))) == 2
    assert cli.guarded(failing(FileNotFoundError("gone"))) == 2
    assert cli.guarded(failing(ImportError("extra"))) == 2
    assert cli.guarded(failing(RuntimeError("disk"))) == 1
    assert cli.guarded(failing(InterruptedError_("stop"))) == 143
    assert cli.guarded(failing(KeyboardInterrupt())) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["gan-forensics: bad", "gan-forensics: gone"]


# --- quickstart -----------------------------------------------------------------------------------


def test_quickstart_runs_the_study_and_says_where_to_look(monkeypatch, tmp_path, capsys):
    from gan_forensics.studies import bypass

    seen = {}

    def study(config, out):
        seen.update(config=config, out=out)
        return {"finding": "first line\nsecond line"}

    monkeypatch.setattr(bypass, "run_study", study)
    assert run("quickstart", "--out", tmp_path / "q", "--steps", 7, "--seed", 3) == 0
    said = capsys.readouterr().out
    assert "first line\nsecond line" in said
    assert "report.html" in said and "results.json" in said
    assert seen["out"] == tmp_path / "q"
    assert (seen["config"].steps, seen["config"].seeds) == (7, (3,))
    assert {"BASELINE", "N.1.5"} <= set(seen["config"].tails)
    assert seen["config"].data == "samples:photos"


# --- train and sample -----------------------------------------------------------------------------


def test_train_leaves_a_run_folder_with_a_page(trained):
    for name in ("config.json", "metrics.jsonl", "report.html", "checkpoints", "samples"):
        assert (trained / name).exists(), name
    assert json.loads((trained / "config.json").read_text())["gan"]["tail"] == "BASELINE"


def test_train_goes_on_with_resume(trained, capsys):
    assert run("train", "dcgan", *TRAIN, "--steps", 3, "--out", trained, "--resume") == 0
    assert (trained / "checkpoints" / "3").is_dir()
    said = capsys.readouterr().out
    assert "is trained up to step 3" in said and "gan-forensics sample" in said


def test_train_does_not_write_over_a_run(trained, capsys):
    said = refused(capsys, "train", "dcgan", *TRAIN, "--steps", 2, "--out", trained)
    assert "holds a run already" in said and "resume" in said


def test_train_refuses_to_resume_with_other_options_and_shows_the_difference(trained, capsys):
    options = [*TRAIN, "--steps", 4, "--tail", "N.1.5", "--out", trained, "--resume"]
    said = refused(capsys, "train", "dcgan", *options)
    assert "cannot resume" in said and "gan.tail: 'BASELINE' -> 'N.1.5'" in said


def test_train_says_what_is_wrong_with_data_and_options(tmp_path, capsys):
    def train(*options):
        return refused(capsys, "train", "dcgan", *options, "--steps", 1, "--out", tmp_path / "run")

    assert "no such file or folder" in train("--data", f"folder:{tmp_path / 'missing'}")
    (tmp_path / "empty").mkdir()
    assert "no images" in train("--data", f"folder:{tmp_path / 'empty'}")
    assert "samples:photos" in train("--data", "samples:photo")
    few = write_images(tmp_path / "few", textures(1.5, 0, n=16))
    assert "fewer than one batch" in train("--data", f"folder:{few}", "--size", "32")
    assert "leave channels out" in train(*"--data samples:lfw --size 16 --channels 3".split())
    assert "power of two" in train("--size", "24")
    assert "did you mean 'N.1.5'" in train("--tail", "N15", "--size", "16")
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_text("not a picture"), "not an image"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "truncated"),
    ],
)
def test_train_names_the_file_that_cannot_be_read(spoil, says, tmp_path, capsys):
    folder = write_images(tmp_path / "images", textures(1.5, 0, n=40, size=16))
    for path in folder.glob("*.png"):
        spoil(path)
    options = ["--data", f"folder:{folder}", "--size", 16, "--width", 4, "--batch-size", 8]
    said = refused(capsys, "train", "dcgan", *options, "--out", tmp_path / "run")
    assert says in said and ".png" in said


@pytest.mark.parametrize("form", ["grid", "png", "npz"])
def test_sample_writes_the_asked_for_form(trained, form, tmp_path, capsys):
    out = tmp_path / "samples"
    assert run("sample", trained, "-n", 5, "--out", out, "--form", form) == 0
    assert "5 images of step" in capsys.readouterr().out
    names = sorted(path.name for path in out.iterdir())
    if form == "grid":
        assert names == ["grid.png"]
    elif form == "npz":
        assert names == ["images.npz"]
        assert np.load(out / "images.npz")["image"].shape == (5, 16, 16, 1)
    else:
        assert names == [f"{i:06d}.png" for i in range(5)]
        with Image.open(out / names[0]) as image:
            assert image.size == (16, 16)


def test_sample_of_what_is_no_run_is_refused(trained, tmp_path, capsys):
    assert "not a run folder" in refused(capsys, "sample", tmp_path)
    assert "-n 0: it must be at least 1" in refused(capsys, "sample", trained, "-n", 0)


# --- spectrum -------------------------------------------------------------------------------------


def test_spectrum_writes_a_plot_and_a_line_for_every_folder_and_ring(folders, tmp_path):
    assert run("spectrum", *folders, "--out", tmp_path / "out") == 0
    lines = read_csv(tmp_path / "out" / "spectrum.csv")
    assert len(lines) == 2 * 20
    assert {line["images"] for line in lines} == {"120"}
    real, fake = lines[:20], lines[20:]
    assert real[0]["folder"] == str(folders[0])
    assert float(real[0]["mean"]) > 0.9 and float(real[-1]["mean"]) < 0.3
    # White-ish images fall less from the first ring to the last.
    assert float(fake[10]["mean"]) != float(real[10]["mean"])
    assert [int(line["ring"]) for line in real] == list(range(20))
    assert_allclose([float(line["cycles_per_pixel"]) for line in real], ring_radii(32, 32))
    with Image.open(tmp_path / "out" / "spectrum.png") as image:
        assert image.width > 300


@pytest.mark.parametrize("normalise", ["min-max", "first", "none"])
def test_spectrum_normalises_each_curve_as_it_is_told(normalise, folders, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    paths = sorted(folders[0].rglob("*.png"))[:3]
    for path in paths:
        shutil.copy(path, few)
    assert run("spectrum", few, "--normalise", normalise, "--out", tmp_path / "out") == 0
    lines = read_csv(tmp_path / "out" / "spectrum.csv")
    images = np.stack([load_image(path) for path in paths])
    curves = np.asarray(log_spectrum_curve(images, normalise=normalise, precision="float64"))
    assert_allclose([float(line["mean"]) for line in lines], curves.mean(0), rtol=1e-6, atol=1e-9)
    assert_allclose([float(line["std"]) for line in lines], curves.std(0), rtol=1e-6, atol=1e-9)


def test_spectrum_follows_links_only_when_asked(folders, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    inside, outside = sorted(folders[0].rglob("*.png"))[:2]
    shutil.copy(inside, few)
    (few / "link.png").symlink_to(outside)
    for option, count in (([], "1"), (["--follow-links"], "2")):
        assert run("spectrum", few, *option, "--out", tmp_path / "out") == 0
        assert read_csv(tmp_path / "out" / "spectrum.csv")[0]["images"] == count


def test_spectrum_of_wide_images_is_over_rings_of_frequency_and_named_as_it_is(
    tmp_path, rng, monkeypatch
):
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(128)[None, :])
    noise = np.fft.fft2(rng.normal(size=(3, 64, 128))) * (np.abs(frequency - 0.16) < 0.01)
    band = np.fft.ifft2(noise).real
    images = np.clip(128 + 40 * band / band.std(), 0, 255).astype(np.uint8)
    folder = write_images(tmp_path / "wide", np.repeat(images[..., None], 3, -1))
    drawn = {}
    draw = report.spectra_figure
    monkeypatch.setattr(
        report, "spectra_figure", lambda *args, **kw: (drawn.update(kw), draw(*args, **kw))[1]
    )
    assert run("spectrum", folder, "--normalise", "none", "--out", tmp_path / "out") == 0
    lines = read_csv(tmp_path / "out" / "spectrum.csv")
    means = np.array([float(line["mean"]) for line in lines])
    cycles = np.array([float(line["cycles_per_pixel"]) for line in lines])
    assert abs(cycles[means.argmax()] - 0.16) < 0.01
    height = means - np.median(means)
    above = cycles[height > height.max() / 2]
    assert np.ptp(above) < 0.025
    assert drawn["normalise"] == "none"


def test_spectrum_refuses_mixed_sizes_and_says_how_to_bring_them_to_one(folders, tmp_path, capsys):
    small = write_images(tmp_path / "small", textures(1.5, 0, n=3, size=16))
    said = refused(capsys, "spectrum", folders[0], small, "--out", tmp_path / "out")
    assert "16x16" in said and "32x32" in said and "--resize N" in said
    mixed = write_images(tmp_path / "mixed", textures(1.5, 0, n=3, size=16))
    save_png(mixed / "large.png", textures(1.5, 0, n=1)[0])
    said = refused(capsys, "spectrum", mixed, "--out", tmp_path / "out")
    assert "different sizes" in said and "--resize N" in said
    assert not (tmp_path / "out" / "spectrum.csv").exists()
    assert run("spectrum", mixed, folders[0], "--resize", 16, "--out", tmp_path / "out") == 0
    assert len(read_csv(tmp_path / "out" / "spectrum.csv")) == 2 * 9


def test_spectrum_of_missing_empty_or_broken_folders_is_refused(tmp_path, capsys):
    assert "no such file or folder" in refused(capsys, "spectrum", tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    assert "no images" in refused(capsys, "spectrum", tmp_path / "empty")
    broken = write_images(tmp_path / "broken", textures(1.5, 0, n=2))
    (broken / "bad.png").write_bytes((broken / "000.png").read_bytes()[:300])
    (broken / "worse.png").write_bytes((broken / "000.png").read_bytes()[:200])
    said = refused(capsys, "spectrum", broken, "--out", tmp_path / "out")
    assert "2 of 4 images" in said and "bad.png" in said and "worse.png" in said
    assert "truncated" in said
    skip = ("--on-bad-image", "skip", "--out", tmp_path / "out")
    assert run("spectrum", broken, *skip) == 0
    assert "2 of 4 left out (they cannot be read)" in capsys.readouterr().err
    assert read_csv(tmp_path / "out" / "spectrum.csv")[0]["images"] == "2"


def test_spectrum_leaves_flat_images_out_of_the_mean_and_says_so(folders, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    few = sorted(folders[0].iterdir())[:5]
    for path in few:
        (mixed / path.name).write_bytes(path.read_bytes())
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert run("spectrum", mixed, "--out", plain) == 0
    assert json.loads((plain / "spectrum.json").read_text())["images"] == {str(mixed): 5}
    save_png(mixed / "white.png", np.full((32, 32, 3), 255, np.uint8))
    # Red and green of one luma are flat in the gray levels that the curve is of.
    luma = np.zeros((32, 32, 3), np.uint8)
    luma[::2, :, 0], luma[1::2, :, 1] = 255, 130
    save_png(mixed / "luma.png", luma)
    capsys.readouterr()
    assert run("spectrum", mixed, "--out", out) == 0
    said = capsys.readouterr().err
    assert "2 of 7 left out (a flat image has no spectrum to judge): " in said
    assert "luma.png" in said and "white.png; the mean is of the others" in said
    assert (out / "spectrum.csv").read_text() == (plain / "spectrum.csv").read_text()
    told = json.loads((out / "spectrum.json").read_text())
    assert told["images"] == {str(mixed): 5}
    assert told["left_out"][str(mixed)]["flat"]["count"] == 2
    for path in few:
        (mixed / path.name).unlink()
    assert "none of 2 images can be used: 2 are flat" in refused(capsys, "spectrum", mixed)


# --- detect ---------------------------------------------------------------------------------------


def test_detect_fit_refuses_images_that_are_real_and_generated(folders, tmp_path, capsys):
    out = ("--out", tmp_path / "d.npz")
    said = refused(capsys, "detect", "fit", folders[0], folders[0], *out)
    assert "is given for real and for generated images" in said
    both = tmp_path / "both"
    both.symlink_to(folders[0])
    said = refused(capsys, "detect", "fit", folders[0], both, *out)
    assert "120 files are in " in said and "real and generated at once" in said
    assert not out[1].exists()


def test_detect_fit_reports_both_error_kinds(folders, tmp_path, capsys):
    out = tmp_path / "new" / "detector.npz"
    assert run("detect", "fit", *folders, "--classifier", "svm", "--out", out) == 0
    said = capsys.readouterr().out
    assert "durall-svm" in said and "false alarms" in said and "detected" in said
    assert out.exists()


def test_detect_fit_says_what_is_wrong(folders, tmp_path, capsys):
    real, fake = folders
    out = ["--out", tmp_path / "d.npz"]
    assert "no such file or folder" in refused(
        capsys, "detect", "fit", real, f"folder:{tmp_path / 'missing'}", *out
    )
    small = write_images(tmp_path / "small", textures(0.5, 0, n=20, size=16))
    assert "must have one size" in refused(capsys, "detect", "fit", real, small, *out)
    few = write_images(tmp_path / "few", textures(1.5, 0, n=20))
    said = refused(capsys, "detect", "fit", few, fake, *out)
    assert "real images leave" in said and "give" in said
    assert not (tmp_path / "d.npz").exists()


def test_detect_score_has_a_line_for_every_image_and_both_errors(detector, tmp_path, capsys):
    folder = tmp_path / "suspects"
    write_images(folder / "real", textures(1.5, 7, n=20))
    write_images(folder / "fake", textures(0.5, 8, n=15))
    out = tmp_path / "scores.csv"
    assert run("detect", "score", folder, "--detector", detector, "--out", out) == 0
    lines = read_csv(out)
    assert len(lines) == 35
    words = {"real": "photograph", "generated": "generated"}
    told = [line for line in lines if line["verdict"] != "unsure"]
    wrong = [line for line in told if words[line["label"]] != line["verdict"]]
    assert len(told) > 30 and len(wrong) < 5
    said = capsys.readouterr().out
    assert "20 real images" in said and "15 generated images" in said
    assert "called generated" in said and "missed" in said and "95 % interval" in said


def test_detect_score_puts_unreadable_images_into_the_error_column(detector, tmp_path, capsys):
    folder = write_images(tmp_path / "suspects", textures(1.5, 7, n=2))
    whole = (folder / "000.png").read_bytes()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("hello")
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    save_png(folder / "large.png", textures(1.5, 3, n=1, size=64)[0])
    save_png(folder / "flat.png", np.full((32, 32, 3), 128, np.uint8))
    Image.new("CMYK", (32, 32)).save(folder / "press.jpg")
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(folder / "deep.png")
    out = tmp_path / "scores.csv"
    assert run("detect", "score", folder, "--detector", detector, "--out", out) == 0
    lines = {line["path"].rsplit(os.sep, 1)[-1]: line for line in read_csv(out)}
    assert len(lines) == 9
    expected = {
        "empty.png": "0 bytes",
        "text.png": "not an image",
        "truncated.png": "truncated",
        "large.png": "64x64",
        "deep.png": "8 bits",
    }
    for name, says in expected.items():
        assert says in lines[name]["error"], name
        assert lines[name]["score"] == lines[name]["verdict"] == ""
        assert "\n" not in lines[name]["error"]
    for name in ("000.png", "001.png"):
        assert lines[name]["error"] == "" and lines[name]["verdict"] in verdicts.VERDICTS
    assert "error column" in capsys.readouterr().err


def test_detect_score_takes_a_single_image(detector, folders, tmp_path):
    out = tmp_path / "one.csv"
    image = folders[1] / "000.png"
    assert run("detect", "score", image, "--detector", detector, "--out", out) == 0
    (line,) = read_csv(out)
    assert line["path"] == str(image) and line["verdict"] == "generated"


def test_detect_score_refuses_what_is_no_detector_or_no_folder(detector, folders, tmp_path, capsys):
    def score(images, file):
        return refused(capsys, "detect", "score", images, "--detector", file)

    assert "no such file" in score(folders[0], tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("hello")
    assert "not a usable detector file" in score(folders[0], tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", image=np.zeros(3))
    assert "not a usable detector file" in score(folders[0], tmp_path / "other.npz")
    assert "no such file or folder" in score(tmp_path / "missing", detector)
    (tmp_path / "empty").mkdir()
    assert "no images" in score(tmp_path / "empty", detector)


def test_a_detector_file_cannot_run_code(tmp_path, folders, capsys):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "trapped"),))

    file = tmp_path / "trap.npz"
    np.savez(file, header=np.array([Trap()], dtype=object), allow_pickle=True)
    said = refused(capsys, "detect", "score", folders[0], "--detector", file)
    assert "not a usable detector file" in said
    assert not (tmp_path / "trapped").exists()
