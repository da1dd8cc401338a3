"""Shards as units of work: rows of one schema, deaths and errors, and all of them together."""

import errno
import io
import json
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest
from PIL import Image

from gan_forensics.data import decode_image
from gan_forensics.data.input_shards import shards_of
from gan_forensics.files import read_csv, sha256_of
from gan_forensics.files.parquet import read_parquet, write_parquet
from gan_forensics.forensics import DetectorScorer, attempts, basis_of, neural, shard_results
from gan_forensics.forensics.attempts import Busy, attempted
from gan_forensics.forensics.score_stream import score_shard
from gan_forensics.forensics.shard_merge import merge
from gan_forensics.forensics.shard_results import (
    attempts_path,
    columns,
    open_results,
    plan,
    planned,
    result_path,
)
from gan_forensics.nn.resnet import ResNet


class Mean:
    """Scores by the mean of the pixels; the batches that it is given are noted."""

    identity = {"detector": "mean", "detector_sha256": "ab12"}
    columns = {"score": "double"}

    def __init__(self):
        self.batches = []

    def check(self, header):
        if header.width > 100:
            raise ValueError("too wide")

    def prepared(self, image):
        return image

    def judge(self, given):
        self.batches.append(len(given))
        return [None if np.ptp(image) == 0 else float(image.mean()) for image, _ in given]

    def cells(self, found, header):
        return {"score": found}


def picture(seed, **options):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    Image.fromarray(pixels).save(stream, **{"format": "PNG", **options})
    return stream.getvalue()


def folder_of(path, n, first=0):
    path.mkdir(parents=True, exist_ok=True)
    for k in range(first, first + n):
        (path / f"{k:03d}.png").write_bytes(picture(k))
    return path


def tar_of(path, members):
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def one(path):
    (shard,) = shards_of([path]).shards
    return shard


# --- a shard --------------------------------------------------------------------------------------


def test_every_image_of_a_shard_has_a_row_of_typed_cells(tmp_path):
    folder = folder_of(tmp_path / "photos", 2)
    (folder / "a.jpg").write_bytes(picture(7, format="JPEG", quality=60))
    (folder / "bad.png").write_bytes(b"<html>")
    Image.new("RGB", (101, 4), "red").save(folder / "c.png")
    Image.new("RGB", (8, 4), "black").save(folder / "d.png")
    path = score_shard(one(folder), Mean(), tmp_path / "out")
    rows = list(read_parquet(path))
    assert list(rows[0]) == [
        "input", "member", "sha256", "width", "height", "codec", "quality", "score",
        "detector_sha256", "error_kind", "error",
    ]  # fmt: skip
    assert rows[0] == {
        "input": str(folder / "000.png"), "member": None, "width": 6, "height": 4,
        "sha256": sha256_of(folder / "000.png"), "codec": "PNG", "quality": None,
        "score": float(np.asarray(Image.open(folder / "000.png")).mean()),
        "detector_sha256": "ab12", "error_kind": None, "error": None,
    }  # fmt: skip
    assert (rows[2]["codec"], rows[2]["quality"]) == ("JPEG", 60)
    assert [row["error_kind"] for row in rows[3:]] == ["unreadable", "unfit", "unfit"]
    assert [row["score"] for row in rows[3:]] == [None] * 3
    assert rows[4]["error"] == f"{folder / 'c.png'}: too wide" and rows[4]["width"] == 101
    read = pandas.read_parquet(path, dtype_backend="pyarrow")
    assert str(read["score"].dtype) == "double[pyarrow]" and read["score"].isna().sum() == 3
    scorer, written = Mean(), path.stat().st_mtime_ns
    assert score_shard(one(folder), scorer, tmp_path / "out") == path
    assert scorer.batches == [] and path.stat().st_mtime_ns == written
    # A table that was cut off is made again.
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert score_shard(one(folder), scorer, tmp_path / "out").read_bytes() == whole


def test_members_of_an_archive_have_their_names_and_what_is_none_is_counted(tmp_path):
    tar = tar_of(tmp_path / "a.tar", [("1.png", picture(1)), ("1.txt", b"x"), ("2.png", b"")])
    path = score_shard(one(tar), Mean(), tmp_path / "out")
    rows = list(read_parquet(path))
    assert [(row["input"], row["member"]) for row in rows] == [
        (str(tar), "1.png"), (str(tar), "2.png"),
    ]  # fmt: skip
    assert rows[1]["error"].startswith(f"{tar}/2.png: the file is empty")
    # Another file of the name is scored again.
    tar_of(tar, [(f"{k}.png", picture(k)) for k in range(30)])
    assert len(list(read_parquet(score_shard(one(tar), Mean(), tmp_path / "out")))) == 30


def test_images_at_which_a_worker_died_are_taken_alone_then_passed_over(tmp_path, monkeypatch):
    limits = []
    monkeypatch.setattr(attempts.signal, "setitimer", lambda which, s: limits.append(s))
    shard = one(folder_of(tmp_path / "photos", 70))
    out = tmp_path / "out"
    open_results(out, Mean.identity)
    told = attempts_path(out, shard)
    told.parent.mkdir()
    died = '{"run": 1}\n{"from": 0, "to": 64}\n'
    told.write_text(died + '{"fr')
    told.write_text(died)
    scorer = Mean()
    rows = list(read_parquet(score_shard(shard, scorer, out, seconds=9)))
    assert scorer.batches == [1] * 64 + [6] and len(rows) == 70 and not told.exists()
    assert set(limits) == {9, 0} and limits[-1] == 0
    result_path(out, shard).unlink()
    # It was told to end in the meantime, which blames nobody; then it died at an image alone.
    ended = '{"run": 1}\n{"from": 7, "to": 8}\n{"ended": 1}\n'
    told.write_text(f'{died}{ended}{{"run": 1}}\n{{"from": 5, "to": 6}}\n')
    scorer = Mean()
    rows = list(read_parquet(score_shard(shard, scorer, out)))
    assert scorer.batches == [1] * 63 + [6]
    assert [row["error_kind"] for row in rows].index("killed") == 5
    assert "killed or stalled the worker twice" in rows[5]["error"]
    assert [row["score"] is None for row in rows].count(True) == 1
    # When it is tried again, it is tried alone, and killing once more is enough.
    scorer = Mean()
    rows = list(read_parquet(score_shard(shard, scorer, out, again=True)))
    assert scorer.batches == [1] and rows[5]["score"] is not None


@pytest.mark.parametrize("lines", ['{"from": -1, "to": 0}', '{"from": 1, "to": 2}'])
def test_an_archive_whose_reading_kills_workers_is_passed_over(lines, tmp_path):
    shard, out = one(tar_of(tmp_path / "a.tar", [("1.png", picture(1))])), tmp_path / "out"
    open_results(out, Mean.identity)
    told = attempts_path(out, shard)
    told.parent.mkdir()
    told.write_text(f'{{"run": 1}}\n{lines}\n' * (2 if "-1" in lines else 3))
    (row,) = read_parquet(score_shard(shard, Mean(), out))
    assert (row["input"], row["member"], row["error_kind"]) == (shard.uri, None, "archive")
    assert "reading it killed or stalled the worker twice" in row["error"]
    # It is given another chance when that is asked for.
    (row,) = read_parquet(score_shard(shard, Mean(), out, again=True))
    assert row["score"] is not None


def test_a_worker_that_is_told_to_stop_leaves_no_rows_and_blames_nobody(tmp_path):
    shard = one(folder_of(tmp_path / "photos", 3))
    stopped = Mean()
    stopped.judge = lambda given: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        score_shard(shard, stopped, tmp_path / "out")
    assert not result_path(tmp_path / "out", shard).exists()
    scorer = Mean()
    score_shard(shard, scorer, tmp_path / "out")
    assert scorer.batches == [3]


def test_a_shard_that_another_worker_is_at_is_left_to_it(tmp_path, monkeypatch):
    shard = one(folder_of(tmp_path / "photos", 1))
    open_results(tmp_path / "out", Mean.identity)
    with attempted(attempts_path(tmp_path / "out", shard)):
        with pytest.raises(Busy, match="another worker is at photos-000000"):
            score_shard(shard, Mean(), tmp_path / "out")

    def no_locks(*given):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(attempts.fcntl, "flock", no_locks)
    assert score_shard(shard, Mean(), tmp_path / "out").exists()


def test_errors_alone_are_tried_again(tmp_path):
    folder, out = folder_of(tmp_path / "photos", 5), tmp_path / "out"
    (folder / "002.png").write_bytes(b"<html>")
    shard, scorer = one(folder), Mean()
    first = list(read_parquet(score_shard(shard, scorer, out)))
    (folder / "002.png").write_bytes(picture(2))
    assert list(read_parquet(score_shard(shard, scorer, out))) == first
    second = list(read_parquet(score_shard(shard, scorer, out, again=True)))
    assert scorer.batches == [4, 1] and second[2]["score"] is not None
    assert [*first[:2], *first[3:]] == [*second[:2], *second[3:]]
    # Of an archive that ended early all is read again.
    members = [(f"{k}.png", picture(k)) for k in (1, 2, 3)]
    tar = tar_of(tmp_path / "a.tar", [*members, ("1.txt", b"")])
    rows = list(read_parquet(score_shard(one(tar), Mean(), out)))
    assert [row["error_kind"] for row in rows] == [None] * 3 + ["archive"]
    assert rows[3]["member"] is None and "the key '1' lie in two places" in rows[3]["error"]
    size = tar.stat().st_size
    more = ("4.png", b""), ("5.png", b"")
    assert tar_of(tar, [*members, *more]).stat().st_size == size
    rows = list(read_parquet(score_shard(one(tar), Mean(), out, again=True)))
    assert [row["member"] for row in rows] == [f"{k}.png" for k in (1, 2, 3, 4, 5)]


def test_rows_of_an_archive_that_is_gone_are_kept_and_those_of_a_changed_one_are_not(tmp_path):
    tar, out, scorer = tmp_path / "a.tar", tmp_path / "out", Mean()
    bad = tar_of(tar, [("1.png", picture(1)), ("2.png", b"x")]).read_bytes()
    open_results(out, scorer.identity)
    plan(out, [tar])
    (shard,) = planned(out)

    def rows(**options):
        score_shard(shard, scorer, out, **options)
        merge(out, tmp_path / "all.parquet", scorer.columns, scorer.identity)
        return [row["error_kind"] for row in read_parquet(tmp_path / "all.parquet")]

    tar.unlink()
    assert rows() == ["archive"]
    tar.write_bytes(bad)
    assert rows() == [None, "unreadable"]
    tar.unlink()
    assert rows() == rows(again=True) == [None, "unreadable"]
    tar_of(tar, [(f"{k}.png", picture(k)) for k in range(20)])
    with pytest.raises(RuntimeError, match=r"no results \(1: of a file that has changed, or damag"):
        merge(out, tmp_path / "all.parquet", scorer.columns, scorer.identity)
    assert rows() == [None] * 20


# --- a folder of results --------------------------------------------------------------------------


def test_results_of_another_detector_are_refused(tmp_path):
    out = tmp_path / "out"
    open_results(out, Mean.identity)
    open_results(out, Mean.identity)
    with pytest.raises(ValueError, match="its results have detector sha256 ab12, and cd is asked"):
        open_results(out, {**Mean.identity, "detector_sha256": "cd"})
    with pytest.raises(ValueError, match="its results have prior None, and 0.5 is asked for"):
        open_results(out, {**Mean.identity, "prior": 0.5})
    with pytest.raises(ValueError, match="it holds other files"):
        open_results(folder_of(tmp_path / "photos", 1), Mean.identity)
    (out / "scoring.json").write_text("{}")
    with pytest.raises(ValueError, match="is not of results of shards"):
        open_results(out, Mean.identity)


def test_new_inputs_are_added_and_workers_that_start_at_once_agree(tmp_path, monkeypatch):
    photos, out = folder_of(tmp_path / "photos", 3), tmp_path / "out"
    open_results(out, Mean.identity)
    plan(out, [photos])
    plan(out, [photos])
    folder_of(photos, 2, first=3)
    real = shards_of

    def another_is_quicker(inputs, **options):
        found = real(inputs, **options)
        if len(list(out.glob("shards-*"))) == 1:
            (out / "shards-0002.jsonl").write_text(json.dumps(found.shards[0]._asdict()) + "\n")
            folder_of(photos, 1, first=9)
        return found

    monkeypatch.setattr(shard_results, "shards_of", another_is_quicker)
    plan(out, [photos])
    names = [[Path(name).stem for name in shard.members] for shard in planned(out)]
    assert names == [["000", "001", "002"], ["003", "004"], ["009"]]
    (photos / "b.tar").symlink_to("/etc")
    (out / "link").symlink_to("/etc")
    with pytest.raises(ValueError, match="it is a link"):
        plan(out, [photos])


def test_merge_takes_every_image_once_or_says_why_not(tmp_path):
    photos, out = folder_of(tmp_path / "photos", 3), tmp_path / "out"
    tar = tar_of(tmp_path / "a.tar", [("=1.png", picture(1)), ("2.txt", b"x"), ("3.png", b"x")])
    scorer = Mean()
    open_results(out, scorer.identity)
    plan(out, [photos, tar])

    def merged(table="all.parquet"):
        return merge(out, tmp_path / table, scorer.columns, scorer.identity)

    loose, packed = planned(out)
    score_shard(packed, scorer, out)
    with pytest.raises(RuntimeError, match=rf"1 of 2 shards \(3 .*: {loose.name}; start the"):
        merged()
    score_shard(loose, scorer, out)
    whole = merged()
    assert whole == (2, 5, Counter(unreadable=1), Counter({"not an image": 1}))
    rows = list(read_parquet(tmp_path / "all.parquet"))
    assert [row["member"] for row in rows] == [None] * 3 + ["=1.png", "3.png"]
    assert merged("all.csv") == whole
    cells = [line for _, line in read_csv(tmp_path / "all.csv").rows()]
    assert [line["score"] for line in cells] == [
        "" if row["score"] is None else repr(row["score"]) for row in rows
    ]
    assert cells[3]["member"] == "'=1.png"  # no formula

    def damaged(shard, rows, says):
        path = result_path(out, shard)
        whole = path.read_bytes()
        facts = shard_results.facts_of(shard, scorer.identity)
        write_parquet(path, columns(scorer.columns), rows, {**facts, "left_out": "{}"})
        (tmp_path / "all.parquet").unlink(missing_ok=True)
        with pytest.raises(ValueError, match=says):
            merged()
        assert not (tmp_path / "all.parquet").exists()
        path.write_bytes(whole)

    damaged(loose, [*rows[:2], rows[1]], "row 3: .*001.png has a row already")
    damaged(loose, rows[:2], "1 images have no row, the first is .*002.png")
    damaged(loose, [rows[0], rows[2]], "002.png is not the next of its shard")
    damaged(packed, [rows[3]] * 2, "row 2: =1.png has a row already")
    damaged(packed, [{**rows[3], "detector_sha256": "cd"}], "of another detector or file")
    path = result_path(out, loose)
    (path.parent / "more.parquet").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="1 files are of no shard: more.parquet"):
        merged()


# --- many images ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compilations():
    """Names of programs that were compiled since the test began."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **of: (
            compiled.append(of.get("fun_name")) if "backend_compile" in event else None
        )
    )
    return compiled


# Canvases of sides 20 to 119 have sides 24, 32, 48, 64, 96 and 128.
@pytest.mark.parametrize(("sides", "most"), [(5, 4), pytest.param(100, 36, marks=pytest.mark.slow)])
def test_any_number_of_sizes_costs_few_compilations(
    sides, most, tmp_path, compilations, monkeypatch
):
    def tiny(classes=1, width=2):
        return ResNet((1,), (width,), classes, 3, 2, stem_pool=False, name=f"of_{sides}")

    monkeypatch.setitem(neural.ARCHITECTURES, "tiny", tiny)
    variables = jax.jit(lambda key, x: tiny().init(key, x, train=False))(
        jax.random.key(1), jnp.zeros((1, 8, 8, 3))
    )
    detector = neural.NeuralDetector("tiny", variables)
    rng = np.random.default_rng(0)

    def picture_of(height, width):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)).save(stream, "BMP")
        return stream.getvalue()

    shapes = [(h, w) for h in range(20, 20 + sides) for w in range(20, 20 + sides)]
    members = [(f"{h}x{w}.bmp", picture_of(h, w)) for h, w in shapes]
    tar = tar_of(tmp_path / "a.tar", members)
    compilations.clear()
    start = time.perf_counter()
    path = score_shard(one(tar), DetectorScorer(detector, basis_of(detector)), tmp_path / "out")
    took = time.perf_counter() - start
    rows = list(read_parquet(path))
    assert [(row["height"], row["width"]) for row in rows] == shapes
    assert not any(row["error"] for row in rows)
    print(f"{len(rows)} sizes, {len(compilations)} compilations, {len(rows) / took:.0f} images/s")
    assert 1 <= len(compilations) <= most
    some = range(0, len(shapes), len(shapes) // 5)
    each = [detector.score([decode_image(members[k][1], name="")])[0] for k in some]
    np.testing.assert_allclose([rows[k]["score"] for k in some], each, rtol=1e-4, atol=1e-5)


# Peak memory, in KiB, when a quarter of the shards is done, and at the end.
MEASURED = """if True:
    import resource, sys, time
    from pathlib import Path
    from gan_forensics.data import shards_of
    from gan_forensics.forensics import DetectorScorer, basis_of, score_shard
    from tests.made_detectors import made_detector

    detector = made_detector()
    detector.save(sys.argv[3])
    scorer = DetectorScorer(detector, basis_of(detector))
    shards = shards_of([sys.argv[1]]).shards
    start = time.perf_counter()
    for place, shard in enumerate(shards, start=1):
        score_shard(shard, scorer, sys.argv[2])
        if place in (len(shards) // 4, len(shards)):
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(sum(shard.count for shard in shards) / (time.perf_counter() - start))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for k in range(20_000):
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{k}.png")
    arguments = tmp_path / "photos", tmp_path / "out", tmp_path / "d.npz"
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    quarter, whole, rate = map(float, ran.stdout.split())
    print(f"{rate:.0f} images/s; {quarter / 1024:.0f} MiB, then {whole / 1024:.0f} MiB")
    assert whole - quarter < 20 * 1024
