import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_forensics.data import (
    ArraySource,
    Batches,
    FileSource,
    ImageError,
    SkipBad,
    Transform,
    ahead,
    save_png,
    to_float,
)
from gan_forensics.data.attributes import open_attributes
from gan_forensics.data.augment import Augmentation
from gan_forensics.data.skip_bad import joined
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_training import Mixtures
from gan_forensics.gans.stargan import with_targets


def _numbered(n, size=4):
    """Images that begin with their number, brighter from left to right; the label says it too."""
    image = np.broadcast_to(np.arange(n)[:, None, None, None], (n, size, size, 3))
    image = image + 20 * np.arange(size)[:, None]
    return ArraySource(image=image.astype(np.uint8), label=np.arange(n))


def _draw(batches, count):
    return [next(batches) for _ in range(count)]


def _labels(batches, count):
    return np.concatenate([batch["label"] for batch in _draw(batches, count)])


def _assert_equal(one, other):
    assert sorted(one) == sorted(other)
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


def test_batch_is_the_source_in_minus_one_to_one():
    source = _numbered(9)
    batch = next(Batches(source, batch_size=4, seed=0))
    assert batch["image"].shape == (4, 4, 4, 3) and batch["image"].dtype == np.float32
    assert batch["label"].dtype == np.int32
    expected = to_float(source.arrays["image"][batch["label"]])
    np.testing.assert_array_equal(batch["image"], expected)


def test_every_epoch_is_a_fresh_permutation_of_everything():
    batches = Batches(_numbered(12), batch_size=4, seed=3)
    epochs = _labels(batches, 9).reshape(3, 12)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(12), (3, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_remainder_is_dropped_and_differs_between_epochs():
    batches = Batches(_numbered(11), batch_size=4, seed=3)
    assert batches.batches_per_epoch == 2
    epochs = _labels(batches, 40).reshape(20, 8)
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert set(epochs.ravel()) == set(range(11))


def test_without_shuffling_epochs_go_in_order():
    labels = _labels(Batches(_numbered(8), batch_size=4, seed=0, shuffle=False), 4)
    np.testing.assert_array_equal(labels, np.tile(np.arange(8), 2))


def test_seed_decides_the_order():
    first, again, other = (
        _labels(Batches(_numbered(50), batch_size=10, seed=s), 5) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


_noisy = Transform(
    lambda batch, drawn: {**batch, "image": batch["image"] + drawn["noise"]},
    lambda rng, rows: {"noise": rng.standard_normal((len(rows), 4, 4, 3))},
)


@settings(deadline=None, max_examples=10)
@given(before=st.integers(0, 9), after=st.integers(0, 5))
def test_restored_iterator_yields_the_very_next_batch(before, after):
    source = _numbered(14)

    def make():
        return Batches(source, batch_size=4, seed=5, flip=True, transform=_noisy)

    uninterrupted = _draw(make(), before + 3)
    first = make()
    _draw(first, before)
    state = json.loads(json.dumps(first.state()))
    resumed = make()
    # Wherever it stands, and whatever it has made ahead.
    _draw(resumed, after)
    resumed.restore(state)
    for expected, batch in zip(uninterrupted[before:], _draw(resumed, 3), strict=True):
        _assert_equal(expected, batch)


def test_points_pass_through_as_they_are_and_resume_to_the_very_batch(rng):
    points, tokens = rng.standard_normal((14, 2)), rng.integers(0, 99, (14, 5))

    def make(**arrays):
        return Batches(ArraySource(x=points, tokens=tokens, **arrays), batch_size=4, seed=5)

    uninterrupted = _draw(make(), 9)
    assert uninterrupted[0]["x"].dtype == points.dtype
    first = make()
    _draw(first, 4)
    resumed = make()
    resumed.restore(json.loads(json.dumps(first.state())))
    for expected, batch in zip(uninterrupted[4:], _draw(resumed, 5), strict=True):
        _assert_equal(expected, batch)
    # Images beside them change neither the order nor the points.
    images = rng.integers(0, 256, (14, 4, 4, 3), dtype=np.uint8)
    for expected, batch in zip(uninterrupted, _draw(make(image=images), 9), strict=True):
        assert batch["image"].dtype == np.float32
        _assert_equal(expected, {key: batch[key] for key in ("x", "tokens")})


def test_what_has_no_images_is_not_mirrored():
    source = ArraySource(x=np.zeros((8, 2)), label=np.zeros(8))
    with pytest.raises(ValueError, match="flip=True mirrors images, .* none, but x, label"):
        Batches(source, batch_size=4, seed=0, flip=True)


def test_state_counts_what_was_taken_not_what_was_made_ahead():
    batches = Batches(_numbered(100), batch_size=4, seed=0)
    _draw(batches, 3)
    assert batches.state()["next_batch"] == 3


def test_position_in_other_data_is_refused_with_the_difference():
    state = Batches(_numbered(20), batch_size=4, seed=0).state()
    with pytest.raises(ValueError, match="examples was 20, is 24; seed was 0, is 1"):
        Batches(_numbered(24), batch_size=4, seed=1).restore(state)
    with pytest.raises(ValueError, match="it has no next_batch|examples was None"):
        Batches(_numbered(24), batch_size=4, seed=1).restore({})


@pytest.mark.parametrize("count", [2, 4])
def test_shards_make_up_the_batches_of_one_process(count):
    source = _numbered(30)
    how = {"batch_size": 8, "seed": 2, "flip": True}
    mixtures = Mixtures(
        source, AttributionConfig(perturbations=("elastic_transform",)), 4, images=2
    )
    for transform in (_noisy, Augmentation(0.5, 0.5, 3, 0.5, 0.5).transform, mixtures.transform):
        whole = Batches(source, transform=transform, **how)
        parts = [
            Batches(source, transform=transform, shard=(index, count), **how)
            for index in range(count)
        ]
        for _ in range(4):
            _assert_equal(next(whole), _joined(parts))


def _joined(parts):
    """The next batch of all processes."""
    pieces = [next(part) for part in parts]
    return {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}


def test_targets_of_stargan_are_drawn_among_the_images_of_all_processes():
    source = open_attributes("toy:domains?n=80", size=16)
    how = {"batch_size": 8, "seed": 2, "transform": with_targets(source)}
    whole, parts = Batches(source, **how), [Batches(source, shard=(k, 2), **how) for k in (0, 1)]
    for _ in range(2):
        batch = next(whole)
        _assert_equal(batch, _joined(parts))
        for name in ("attributes", "targets"):
            batch[name] = np.array(sorted(batch[name].tolist()))
        np.testing.assert_array_equal(batch["targets"], batch["attributes"])


def test_a_position_is_taken_up_by_another_number_of_processes():
    how = {"batch_size": 8, "seed": 2, "flip": True, "transform": _noisy}
    whole = Batches(_numbered(30), **how)
    parts = [Batches(_numbered(30), shard=(index, 4), **how) for index in range(4)]
    _draw(whole, 5)
    state = json.loads(json.dumps(whole.state()))
    assert state["batch_size"] == 8 and "processes" not in state
    for part in parts:
        part.restore(state)
        assert part.state() == state
    expected = next(whole)
    _assert_equal(expected, _joined(parts))
    # Positions of earlier versions, whose batch size was a process's.
    for processes, own in ((1, 8), (2, 4)):
        parts[0].restore({**state, "processes": processes, "batch_size": own})
        _assert_equal({key: array[:2] for key, array in expected.items()}, next(parts[0]))
    with pytest.raises(ValueError, match="batch_size was 16, is 8"):
        parts[0].restore({**state, "processes": 2})


def test_flip_mirrors_about_half_of_the_images_left_to_right(rng):
    images = rng.integers(0, 256, (64, 5, 6, 3), dtype=np.uint8)
    source = ArraySource(image=images, label=np.arange(64))
    flipped = 0
    for batch in _draw(Batches(source, batch_size=32, seed=1, flip=True), 20):
        for image, label in zip(batch["image"], batch["label"], strict=True):
            original = to_float(images[label])
            mirrored = (image != original).any()
            np.testing.assert_array_equal(image, original[:, ::-1] if mirrored else original)
            flipped += mirrored
    assert 270 < flipped < 370  # of 640; six standard deviations are 76


def test_flips_are_drawn_afresh_in_every_epoch():
    batches = Batches(_numbered(32), batch_size=32, seed=0, shuffle=False, flip=True)
    one, other = _draw(batches, 2)
    assert (one["image"] != other["image"]).any()


def test_flipping_leaves_the_source_alone(rng):
    images = rng.integers(0, 256, (8, 5, 6, 3), dtype=np.uint8)

    class Shares:
        """A source whose `take` hands out its own memory."""

        def __len__(self):
            return 8

        def __getitem__(self, index):
            return {"image": images[index]}

        def take(self, indices):
            return {"image": images}

    before = images.copy()
    _draw(Batches(Shares(), batch_size=8, seed=0, flip=True), 3)
    np.testing.assert_array_equal(images, before)


def test_fewer_images_than_a_batch_says_how_many_and_what_batch():
    with pytest.raises(ValueError, match="5 examples are fewer than one batch of 8; .* at most 5"):
        Batches(_numbered(5), batch_size=8, seed=0)
    part = FileSource([Path("a.png")] * 5, among=[Path("a.png")] * 9)
    with pytest.raises(ValueError, match=r"5 examples \(of 9; --split all takes .* of 8;"):
        Batches(part, batch_size=8, seed=0)
    with pytest.raises(ValueError, match="5 examples .* batch of 6; .* at most 4"):
        Batches(_numbered(5), batch_size=6, seed=0, shard=(0, 2))


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        Batches(_numbered(5), batch_size=0, seed=0)
    with pytest.raises(ValueError, match="0 <= index < count"):
        Batches(_numbered(5), batch_size=2, seed=0, shard=(2, 2))
    with pytest.raises(ValueError, match="batch of 3 cannot be split over 2 processes: .* of 2"):
        Batches(_numbered(5), batch_size=3, seed=0, shard=(0, 2))
    with pytest.raises(ValueError, match=r"must be a Transform\(apply, draw\)"):
        Batches(_numbered(5), batch_size=2, seed=0, transform=lambda batch, rng: batch)


def test_unreadable_file_surfaces_with_its_path(tmp_path, rng):
    paths = [tmp_path / f"{k}.png" for k in range(6)]
    for path in paths:
        save_png(path, rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    paths[4].write_bytes(b"")
    batches = Batches(FileSource(paths), batch_size=3, seed=0)
    with pytest.raises(ImageError, match="4.png: the file is empty"):
        _draw(batches, 2)


def test_truncated_file_surfaces_with_its_path_from_the_threads(tmp_path, rng):
    paths = [tmp_path / f"{k}.png" for k in range(30)]
    for path in paths:
        save_png(path, rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    paths[17].write_bytes(paths[17].read_bytes()[:120])
    batches = Batches(FileSource(paths), batch_size=3, seed=0)
    with pytest.raises(ImageError, match="17.png: damaged or truncated"):
        _draw(batches, 10)


def _files(folder, n, *, bad=()):
    """Images of which some are cut off, with their numbers as labels."""
    paths = [folder / f"{k}.png" for k in range(n)]
    for k, path in enumerate(paths):
        save_png(path, np.full((9, 9, 3), k, np.uint8))
        if k in bad:
            path.write_bytes(path.read_bytes()[:60])
    return lambda: SkipBad(FileSource(paths, np.arange(n)))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_what_an_epoch_leaves_out_stands_in_for_images_that_cannot_be_used(tmp_path, count):
    # 22 files make two batches of 8 an epoch, and 6 are left out.
    source, how = _files(tmp_path, 22, bad=(3, 8)), {"batch_size": 8, "seed": 5}
    whole = Batches(source(), **how)
    sources = [source() for _ in range(count)]
    parts = [Batches(each, shard=(k, count), **how) for k, each in enumerate(sources)]
    twice = stood_in = 0
    for epoch in range(12):
        order = np.random.default_rng((5, 0, epoch)).permutation(22)
        labels = np.zeros((0, 2), int)
        for _ in range(2):
            batch = next(whole)
            _assert_equal(batch, _joined(parts))
            made = np.stack([batch["label"], batch["image"][:, 0, 0, 0] * 127.5 + 127.5], 1)
            labels = np.concatenate([labels, made.round().astype(int)])
        np.testing.assert_array_equal(labels[:, 0], labels[:, 1])
        bad = np.isin(order[:16], (3, 8))
        np.testing.assert_array_equal(labels[~bad, 0], order[:16][~bad])
        assert np.isin(labels[bad, 0], order[16:]).all()
        assert not np.isin(labels[:, 0], (3, 8)).any()
        stood_in += bad.sum()
        twice += 16 - len(set(labels[:, 0]))
    found = joined([json.loads(json.dumps(each.account())) for each in sources])
    assert len(found["skipped"]) == 2 and found == joined([whole._source.account()])
    # Two at places that are a multiple of six apart have the same.
    assert found["stood_in"] == {"times": stood_in, "seen_twice": twice} and 0 < twice < 5


def test_where_no_image_is_left_out_one_is_seen_twice_and_counted(tmp_path):
    source = _files(tmp_path, 8, bad=(3,))()
    labels = _labels(Batches(source, batch_size=4, seed=5), 6).reshape(3, 8)
    for epoch in labels:
        assert len(set(epoch)) == 7
        assert len(set(epoch[:4])) == 4 == len(set(epoch[4:]))  # not in one batch
    assert joined([source.account()])["stood_in"] == {"times": 3, "seen_twice": 3}


def test_training_that_skips_bad_files_resumes_to_the_very_batch(tmp_path):
    source = _files(tmp_path, 14, bad=(3, 8))

    def make():
        return Batches(source(), batch_size=4, seed=5, flip=True)

    uninterrupted = _draw(make(), 9)
    first = make()
    _draw(first, 4)
    resumed = make()
    resumed.restore(first.state())
    for expected, batch in zip(uninterrupted[4:], _draw(resumed, 5), strict=True):
        _assert_equal(expected, batch)


def test_files_read_on_threads_come_in_order(tmp_path, rng):
    images = rng.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
    paths = [tmp_path / f"{k:02d}.png" for k in range(12)]
    for path, image in zip(paths, images, strict=True):
        save_png(path, image)
    from_files = Batches(FileSource(paths), batch_size=5, seed=4)
    from_memory = Batches(ArraySource(image=images), batch_size=5, seed=4)
    for _ in range(9):
        _assert_equal(next(from_memory), next(from_files))


class _Failing:
    """A source in which reading example 5 does something else."""

    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            self.fail()
        return {"x": np.zeros(2)}


def _raise(error):
    def fail():
        raise error

    return fail


def test_a_thread_that_fails_ends_the_run_with_its_reason(monkeypatch):
    monkeypatch.setattr(ahead, "PATIENCE", 9.0)
    for error in (OSError(5, "Input/output error"), MemoryError("no room"), RuntimeError("odd")):
        batches = Batches(_Failing(_raise(error)), batch_size=4, seed=0, shuffle=False)
        next(batches)
        for _ in range(2):
            with pytest.raises(type(error), match=str(error.args[-1])):
                next(batches)
        batches.close()
    batches = Batches(_Failing(_raise(SystemExit(3))), batch_size=4, seed=0, shuffle=False)
    next(batches)
    expected = r"made batch 2 \(example 4 and 3 others\) was ended by SystemExit\(3\)"
    with pytest.raises(ahead.WorkerError, match=expected):
        next(batches)


def test_a_thread_that_hangs_is_not_waited_for_without_an_end(monkeypatch):
    monkeypatch.setattr(ahead, "PATIENCE", 0.2)
    answer = threading.Event()
    batches = Batches(_Failing(answer.wait), batch_size=4, seed=0, shuffle=False)
    next(batches)
    with pytest.raises(ahead.WorkerError, match="example 4 and .* did not come within 0.2 seconds"):
        next(batches)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "ahead")
    answer.set()


def test_a_thread_that_hangs_does_not_keep_the_program_from_leaving():
    program = """
import time
from gan_forensics.data import ahead
ahead.PATIENCE = ahead.LEAVING = 0.1
next(ahead.Ahead(lambda number: time.sleep(60), threads=2, describe=str))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)
    assert ended.returncode == 1 and b"0 did not come within 0.1 seconds" in ended.stderr


def test_what_threads_are_at_is_waited_for_when_the_program_ends():
    # Python must not end beneath them: they are in the midst of native code.
    program = """
import os, time
from gan_forensics.data import ahead
def make(number):
    if number:
        time.sleep(0.3)
        os.write(1, b"whole")
next(ahead.Ahead(make, threads=1, describe=str))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (0, b"whole"), ended.stderr


def test_what_nobody_asks_any_more_stops_its_threads():
    def working():
        return {thread for thread in threading.enumerate() if thread.name == "ahead"}

    before = working()
    batches = Batches(_numbered(20), batch_size=4, seed=0)
    next(batches)
    (started,) = working() - before
    del batches
    started.join(timeout=5)
    assert not started.is_alive()


def test_closing_ends_the_threads():
    before = set(threading.enumerate())
    batches = Batches(_numbered(20), batch_size=4, seed=0)
    next(batches)
    started = set(threading.enumerate()) - before
    assert started
    batches.close()
    for thread in started:
        thread.join(timeout=5)
        assert not thread.is_alive()
