"""Fingerprints of data: the same wherever they lie, others when anything is replaced."""

import os
import shutil

import numpy as np
import pytest

from gan_forensics.data import ArraySource, Batches, FileSource, Rows, SkipBad, fingerprint
from gan_forensics.data.identity import _BYTES, _SAMPLED
from gan_forensics.data.sources import Rgb
from gan_forensics.forensics.neural_parts import RealAndFake


@pytest.fixture
def folder(tmp_path):
    for name in ("a/0", "a/1", "b/0"):
        path = tmp_path / "data" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() + bytes(3 * _BYTES) + name.encode())
    return tmp_path / "data"


def _of(folder, labels=(0, 0, 1)):
    return fingerprint(FileSource(sorted(folder.rglob("*.png")), np.array(labels)))


def _changed(a, b):
    assert a.keys() == b.keys()
    return {name for name in a if a[name] != b[name]}


def test_a_folder_that_moves_keeps_its_fingerprint(folder, tmp_path, monkeypatch):
    before = _of(folder)
    assert before["examples"] == 3 and before.keys() == {
        "examples", "names", "labels", "sizes", "bytes"
    }  # fmt: skip
    shutil.copytree(folder, tmp_path / "elsewhere" / "deep" / "x")
    assert _of(tmp_path / "elsewhere" / "deep" / "x") == before
    monkeypatch.chdir(tmp_path)
    assert fingerprint(FileSource([p.relative_to(tmp_path) for p in sorted(folder.rglob("*.png"))],
                                  np.array([0, 0, 1]))) == before  # fmt: skip


def test_paths_may_be_absolute_and_not(folder, tmp_path, monkeypatch):
    before = _of(folder)
    monkeypatch.chdir(tmp_path)
    first, *others = sorted(folder.rglob("*.png"))
    mixed = [first, *(path.relative_to(tmp_path) for path in others)]
    assert fingerprint(FileSource(mixed, np.array([0, 0, 1]))) == before


@pytest.mark.parametrize(
    "change, names",
    [
        (lambda f: (f / "a/1.png").rename(f / "a/2.png"), {"names"}),
        (lambda f: (f / "b/0.png").write_bytes(b"b/1" + bytes(3 * _BYTES) + b"b/0"), {"bytes"}),
        (lambda f: (f / "b/0.png").write_bytes(b"b/0" + bytes(3 * _BYTES) + b"b/1"), {"bytes"}),
        (lambda f: os.truncate(f / "a/0.png", 5), {"sizes", "bytes"}),
        (lambda f: (f / "a/0.png").unlink(), {"examples", "names", "sizes", "bytes", "labels"}),
    ],
)
def test_what_is_replaced_is_told(change, names, folder):
    before = _of(folder)
    change(folder)
    labels = (0, 0, 1) if "examples" not in names else (0, 1)
    assert _changed(before, _of(folder, labels)) == names


def test_labels_count_and_files_without_are_told(folder):
    before = _of(folder)
    assert _changed(before, _of(folder, (0, 1, 1))) == {"labels"}
    unlabelled = fingerprint(FileSource(sorted(folder.rglob("*.png"))))
    assert _changed(before, unlabelled) == {"labels"}


def test_sizes_of_all_files_count_and_the_bytes_of_many(tmp_path):
    paths = [tmp_path / f"{n:04}" for n in range(2 * _SAMPLED)]
    for path in paths:
        path.write_bytes(b"0")
    before = fingerprint(FileSource(paths))
    for path in paths[:5]:  # one of two is looked into
        path.write_bytes(b"1")
    assert _changed(before, fingerprint(FileSource(paths))) == {"bytes"}
    paths[1].write_bytes(b"01")
    assert "sizes" in _changed(before, fingerprint(FileSource(paths)))


def test_every_value_of_arrays_in_memory_counts(rng):
    images = rng.integers(0, 255, (2100, 2, 2, 1), dtype=np.uint8)
    before = fingerprint(ArraySource(image=images, label=np.zeros(2100, int)))
    assert before.keys() == {"examples", "values"}
    assert fingerprint(ArraySource(image=images.copy(), label=np.zeros(2100, int))) == before
    for row in (0, 1023, 1024, 2099):
        other = images.copy()
        other[row, 1, 1, 0] ^= 1
        found = fingerprint(ArraySource(image=other, label=np.zeros(2100, int)))
        assert _changed(before, found) == {"values"}
    found = fingerprint(ArraySource(image=images.reshape(2100, 4, 1, 1), label=np.zeros(2100, int)))
    assert _changed(before, found) == {"values"}
    found = fingerprint(ArraySource(image=images, label=np.ones(2100, int)))
    assert _changed(before, found) == {"values"}


def test_other_sources_are_told_by_examples():
    class Numbers:
        def __init__(self, spoilt=None):
            self.spoilt = spoilt

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"x": np.array([index, index == self.spoilt])}

    before = fingerprint(Numbers())
    assert fingerprint(Numbers()) == before
    for spoilt in range(3):
        assert _changed(before, fingerprint(Numbers(spoilt))) == {"values"}


def test_what_wraps_a_source_has_its_fingerprint_and_two_are_both_told(rng):
    first, second = (
        ArraySource(image=rng.integers(0, 255, (4, 2, 2, 3), dtype=np.uint8)) for _ in range(2)
    )
    for wrapped in (Rows(first, [3, 2, 1, 0]), Rgb(first), SkipBad(first), Rgb(Rgb(first))):
        assert fingerprint(wrapped) == fingerprint(first)
    found = [
        fingerprint(RealAndFake(real, fake))["values"]
        for real in (first, second)
        for fake in (first, second)
    ]
    assert len(set(found)) == 4
    batches = Batches(Rgb(first), batch_size=2, seed=0)
    assert batches.fingerprint() == fingerprint(first)
    batches.close()
