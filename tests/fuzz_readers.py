"""What the package does with each kind of file from outside: the readers that fuzzing calls."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np

# Files that a reader may leave beside its input: it was asked for them.
WRITTEN = {"report.html"}


def _proper(error: Exception) -> None:
    """Assert that an error which is not raised on is a documented one, in one line."""
    assert not isinstance(error, UnicodeError), str(error)
    assert len(str(error)) < 4000 and str(error).isprintable(), str(error)[:300]


def picture(path: Path) -> None:
    from gan_forensics.data.decoding import ImageError, load_image, read_header

    try:
        header = read_header(path)
    except ImageError:
        header = None
    image = load_image(path)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert header is not None and header[:2] == image.shape[:2], (header, image.shape)


def source(path: Path) -> None:
    _first_of(f"npz:{path}")


def idx(path: Path) -> None:
    _first_of(f"idx:{path}")


def listed(path: Path) -> None:
    _first_of(f"list:{path}")


def _first_of(name: str) -> None:
    from gan_forensics.data import has_points, open_source

    has_points(name)
    opened = open_source(name)
    for row in range(min(3, len(opened))):
        example = opened[row]
        if "image" in example:
            assert example["image"].dtype == np.uint8


def packed(path: Path) -> None:
    from gan_forensics.data.packed import packed_members

    for member in packed_members(path):
        assert member.content is None or isinstance(member.content, bytes)
        assert (member.content is None) == bool(member.kind)
        _proper(ValueError(member.reason))


def attributed(path: Path) -> None:
    from gan_forensics.data.attributed import open_attributed

    found = open_attributed(f"list:{path}")
    found.source[0]


def weights(path: Path) -> None:
    from gan_forensics.nn import load_weights
    from gan_forensics.nn.weights import from_torch

    state = load_weights(path)
    assert all(isinstance(array, np.ndarray) for array in state.values())
    for arch in ("resnet50", "dcgan_generator", "mobilenet_v2"):
        try:
            from_torch(arch, state)
        except ValueError as error:
            # Names of arrays are listed, one a line; the file is named by who calls.
            assert all(line.isprintable() for line in str(error).splitlines()), str(error)[:300]
            assert len(str(error)) < 100_000, len(str(error))


def table(path: Path) -> None:
    from gan_forensics.anomaly import read_table

    for label in ("label", None):
        try:
            read_table(path, label=label)
        except ValueError as error:
            _proper(error)
            if label is None:
                raise


def detector(path: Path) -> None:
    from gan_forensics.forensics.detectors import load_detector

    found = load_detector(path)
    assert found.name and isinstance(found.threshold, float)


def attributor(path: Path) -> None:
    from gan_forensics.forensics.attribution_files import load_attributor

    load_attributor(path).described()


def bands(path: Path) -> None:
    from gan_forensics.forensics.spectrum_bands import load_bands

    found = load_bands(path)
    assert found.kinds and len(found.frequency) == len(found.bands[0].mean)


def landmarks(path: Path) -> None:
    from gan_forensics.faces.detectors import read_landmarks_csv

    read_landmarks_csv(path)


def track(path: Path) -> None:
    from gan_forensics.faces.metrics import read_poses
    from gan_forensics.faces.rows import read_track

    try:
        read_track(path)
    except ValueError as error:
        _proper(error)
    read_poses(path)


def run(path: Path) -> None:
    from gan_forensics.report.run import report_run
    from gan_forensics.train.run_folder import RunFolderError, read_config

    if path.name == "config.json":
        for kind in (None, "gan", "detector"):
            try:
                read_config(path.parent, kind)
            except RunFolderError as error:
                _proper(error)
        gan(path.parent)
    page = report_run(path.parent)
    try:
        assert page.stat().st_size < 50 << 20
    finally:
        page.unlink()


def gan(folder: Path) -> None:
    from gan_forensics.gans.runs import load_gan
    from gan_forensics.train import CheckpointError, RunFolderError

    try:
        load_gan(folder)
    except (RunFolderError, CheckpointError, FileNotFoundError) as error:
        _proper(error)


def whole_run(path: Path) -> None:
    folder = path.with_name("run")
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        gan(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def links(path: Path) -> None:
    """A run folder in which files are links, pipes or folders: read, shown, and written to."""
    from gan_forensics.files import write_json
    from gan_forensics.report.run import report_run
    from gan_forensics.train import CheckpointError
    from gan_forensics.train.run_folder import read_config, writing

    folder = path.with_name("run")

    def written() -> None:
        with writing(folder):
            write_json(folder / "results.json", {})

    try:
        (folder / "samples").mkdir(parents=True)
        (folder / "config.json").write_text('{"gan": {}}')
        for place, kind, target in json.loads(path.read_bytes()):
            _place(folder / place, kind, target)
        for use in (
            lambda: read_config(folder, "gan"),
            lambda: report_run(folder),
            lambda: gan(folder),
            written,
        ):
            try:
                use()
            except (ValueError, OSError, CheckpointError) as error:
                _proper(error)
        page = folder / "report.html"
        if page.is_file() and not page.is_symlink():
            assert "what nobody may read" not in page.read_text(), "a page shows a secret"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(path: Path, kind: str, target: str) -> None:
    """Put a link, a pipe, a folder or a text where a run folder has a file."""
    if not path.parent.is_dir() or path.parent.is_symlink():
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("{}")


def metrics(path: Path) -> None:
    from gan_forensics.train.log import read_metrics

    read_metrics(path)


def manifest(path: Path) -> None:
    from gan_forensics.train.checkpoint import manifest_problem

    problem = manifest_problem(path.parent)
    assert problem is None or (problem.isprintable() and len(problem) < 4000), problem[:300]


def benchmark(path: Path) -> None:
    from gan_forensics.data.attributed import read_benchmark

    read_benchmark(path.parent)


def face_weights(path: Path) -> None:
    from gan_forensics.faces.faceapi import read_weights

    read_weights(path)


def face(path: Path) -> None:
    from gan_forensics.faces.wfm import read_wfm

    read_wfm(path)


def parallel(path: Path) -> None:
    from gan_forensics.data.text import open_parallel

    open_parallel(f"po:{path}", split="all")


def sentences(path: Path) -> None:
    from gan_forensics.data.text import open_parallel

    other = path.with_name("other.txt")
    try:
        other.write_text("a\nb\nc\n")
        open_parallel(f"pair:{path},{other}", split="all")
    finally:
        other.unlink()


def vocabulary(path: Path) -> None:
    from gan_forensics.distill.translator import read_vocabulary

    found = read_vocabulary(path.parent)
    found.decode(found.encode("three blind mice"))


def video(path: Path) -> None:
    from gan_forensics.faces.video import frames

    for frame in frames(path):
        assert frame.image.dtype == np.uint8
