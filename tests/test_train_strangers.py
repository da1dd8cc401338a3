"""Run folders that others made: links, configs, manifests and arrays that are not what they say."""

import fcntl
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import tensorstore

from gan_forensics.gans import GanConfig, build, init, load_gan
from gan_forensics.report import report_run
from gan_forensics.train import (
    CheckpointError,
    Checkpoints,
    RunFolderError,
    checkpoint,
    init_state,
    read_config,
    read_metrics,
)
from gan_forensics.train import log as logs
from gan_forensics.train.checkpoint import MANIFEST, UNRANKED, manifest_problem
from gan_forensics.train.log import MetricLog
from gan_forensics.train.run_folder import claim, in_lines, writing
from tests.test_cli import plain_terminal, refused, run  # noqa: F401

CONFIG = GanConfig("dcgan", size=16, channels=1, latent=8, width=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder of two checkpoints, as `train` leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "made"
    gan = build(CONFIG)
    state = init_state(gan.updates, *init(gan))
    checkpoints = Checkpoints(folder, keep=2)
    for step in (1, 2):
        checkpoints.save(state.replace(step=state.step + step), {"data": {}, "plateau": {}})
    checkpoints.close()
    (folder / "config.json").write_text(json.dumps({"gan": asdict(gan.config)}))
    (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    return folder


@pytest.fixture
def sent(made, tmp_path):
    """A copy that a stranger may change."""
    return shutil.copytree(made, tmp_path / "sent")


def _everything(folder):
    """All of a folder with what changes when it is written to."""
    found = [folder, *sorted(folder.rglob("*"))]
    return [(path, (s := path.lstat()).st_mode, s.st_size, s.st_mtime_ns) for path in found]


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["config.json", "checkpoints/2/state/d/link", "samples", ".report.html.partial", "a/b"]
)
def test_a_link_at_any_depth_is_refused_for_reading_and_for_writing(name, sent, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("secret")
    (sent / name).parent.mkdir(exist_ok=True)
    (sent / name).unlink(missing_ok=True)
    (sent / name).symlink_to(precious)
    for reads in (load_gan, read_config, report_run):
        with pytest.raises(ValueError, match=f"{name}: it is a link; run folders hold plain"):
            reads(sent)
    with pytest.raises(ValueError, match="it is a link"), writing(sent):
        pass
    assert precious.read_text() == "secret" and not (sent / "report.html").exists()


def test_a_pipe_is_refused_at_once(sent):
    (sent / "config.json").unlink()
    os.mkfifo(sent / "config.json")
    for reads in (load_gan, report_run):
        with pytest.raises(ValueError, match="config.json: it is a pipe or a device"):
            reads(sent)


def test_a_folder_that_is_reached_by_a_link_is_read(sent, tmp_path):
    (tmp_path / "link").symlink_to(sent)
    assert int(load_gan(tmp_path / "link")[1].step) == 2


# --- nothing is written into it -------------------------------------------------------------------


def test_reading_a_run_folder_and_a_page_about_it_elsewhere_leave_it_alone(sent, tmp_path):
    before = _everything(sent)
    load_gan(sent)
    results = tmp_path / "results.json"
    results.write_text('{"finding": "of another place"}')
    page = report_run(sent, results=results, page=tmp_path / "page.html")
    assert "of another place" in page.read_text()
    assert _everything(sent) == before


@pytest.mark.slow
def test_sample_and_evaluate_with_out_leave_a_run_folder_alone(sent, tmp_path, capsys):
    before = _everything(sent)
    assert run("sample", sent, "-n", 2, "--out", tmp_path / "s") == 0
    out = tmp_path / "page" / "mine.json"
    options = ["--data", "samples:digits", "--size", 16, "--features", "random", "-n", 8]
    assert run("evaluate", sent, *options, "--metrics", "fid", "--out", out) == 0
    assert "mine.html" in capsys.readouterr().out
    assert sorted(path.name for path in out.parent.iterdir()) == ["mine.html", "mine.json"]
    assert "Frechet distance" in out.with_suffix(".html").read_text()
    assert _everything(sent) == before


# --- config ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"width": 100_000},
        {"width": 10**30},
        {"latent": 10**9},
        {"size": 2**16},
        {"size": 2**40},
        {"size": "64"},
        {"tail": {"a": 1}},
        {"method": 5},
        {"augment": "dag", "transforms": "rotation,rotation"},
        {"depth": 3},
    ],
    ids=str,
)
def test_a_config_that_asks_for_other_networks_is_refused_before_any_is_made(
    change, sent, monkeypatch
):
    saved = json.loads((sent / "config.json").read_text())
    saved["gan"] |= change
    (sent / "config.json").write_text(json.dumps(saved))
    monkeypatch.setattr("orbax.checkpoint.StandardCheckpointHandler.restore", None)
    with pytest.raises((RunFolderError, CheckpointError), match="sent") as error:
        load_gan(sent)
    assert "\n" not in str(error.value) and len(str(error.value)) < 900


@pytest.mark.parametrize("content", [b"[" * 5000, b"\xff", b"3", b"[]", b'{"gan": 3}', b""])
def test_a_damaged_config_is_one_line_that_names_it(content, sent):
    (sent / "config.json").write_bytes(content)
    with pytest.raises(RunFolderError, match="sent"):
        load_gan(sent)


# --- manifest -------------------------------------------------------------------------------------


def _rewritten(sent, change):
    path = sent / "checkpoints/2/manifest.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def _passed_over(sent, capsys):
    assert int(load_gan(sent)[1].step) == 1
    told = capsys.readouterr().err
    assert "checkpoints/2: " in told and "passed over" in told and "\x1b" not in told
    return told


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "file _CHECKPOINT_METADATA is not in its manifest"),
        (b"[[1, 2]]", "no list of files"),
        (b"\xff\xfe", "its manifest is unreadable"),
        (b"[" * 50_000, "its manifest is unreadable"),
        (b'{"_CHECKPOINT_METADATA": 5}', "no list of files"),
        (b'{"_CHECKPOINT_METADATA": [true, "' + b"0" * 64 + b'"]}', "no list of files"),
    ],
)
def test_what_is_no_manifest_means_damaged_and_the_one_before_is_taken(content, said, sent, capsys):
    (sent / "checkpoints/2/manifest.json").write_bytes(content)
    assert said in _passed_over(sent, capsys)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc/passwd", "file /etc/passwd is missing"),
        ("../1/host/metadata", "file ../1/host/metadata is missing"),
        ("\x1b[2J", r"file \x1b[2J is missing"),
    ],
)
def test_a_manifest_names_files_of_its_folder_alone(name, said, sent, capsys):
    _rewritten(sent, lambda record: record.update({name: [1, "0" * 64]}))
    told = _passed_over(sent, capsys)
    assert said in told and "bytes" not in told


def test_files_beyond_the_manifest_and_too_many_bytes_mean_damaged(sent, capsys, monkeypatch):
    extra = sent / "checkpoints/2/state/d/extra"
    extra.write_bytes(b"x")
    assert "file state/d/extra is not in its manifest" in _passed_over(sent, capsys)
    extra.unlink()
    assert int(load_gan(sent)[1].step) == 2
    monkeypatch.setattr(checkpoint, "_MOST_BYTES", 0)
    monkeypatch.setattr(checkpoint, "_MORE_BYTES", 10)
    with pytest.raises(CheckpointError, match="none of the checkpoints"):
        load_gan(sent)
    assert "far more than its arrays need" in capsys.readouterr().err


def test_files_may_have_as_many_bytes_as_they_are_allowed_and_those_that_they_say(sent):
    folder = sent / "checkpoints/2"
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    assert manifest_problem(folder, most=size) is None
    assert "far more than its arrays" in str(manifest_problem(folder, most=size - 1))
    path = folder / "_CHECKPOINT_METADATA"
    there = path.stat().st_size
    path.write_bytes(path.read_bytes() + b" ")
    said = f"_CHECKPOINT_METADATA has {there + 1} bytes instead of {there}"
    assert said in str(manifest_problem(folder))
    path.write_bytes(b"{" * there)
    assert "_CHECKPOINT_METADATA is damaged" in str(manifest_problem(folder))
    (folder / MANIFEST).unlink()
    assert manifest_problem(folder) == "half-written (no manifest)"
    checkpoint._write_manifest(folder)
    assert "_CHECKPOINT_METADATA is not readable as JSON" in str(manifest_problem(folder))
    path.unlink()
    os.mkfifo(path)
    assert "_CHECKPOINT_METADATA is no regular file" in str(manifest_problem(folder))


@pytest.mark.parametrize(
    "entry",
    [[-1, "0" * 64], [2**63, "0" * 64], [1, "0" * 63], [1, "0" * 65], [1], [1.0, "0" * 64], [1, 2]],
    ids=str,
)
def test_entries_of_a_manifest_that_cannot_be_are_refused(entry, sent):
    _rewritten(sent, lambda record: record.update(_CHECKPOINT_METADATA=entry))
    assert "no list of files" in str(manifest_problem(sent / "checkpoints/2"))


def test_an_entry_may_be_of_any_size_that_files_have():
    assert checkpoint._is_entry([0, "0" * 64]) and checkpoint._is_entry([2**63 - 1, "0" * 64])


def test_files_may_have_so_many_times_the_bytes_of_their_arrays():
    assert (checkpoint._MOST_BYTES, checkpoint._MORE_BYTES) == (4, 2**26)


def test_a_metric_that_is_no_number_ranks_last(sent):
    checkpoints = Checkpoints(sent, best="fid", read_only=True)
    (sent / "checkpoints/2/metrics").mkdir()
    for content, rank in (
        ('{"fid": 3.5}', 3.5), ('{"fid": "x"}', UNRANKED), ('{"fid": NaN}', UNRANKED),
        ("{}", UNRANKED), ("[1]", UNRANKED), ("{", UNRANKED),
    ):  # fmt: skip
        (sent / "checkpoints/2/metrics/metrics").write_text(content)
        assert checkpoints._rank(2) == (rank, -2)
    assert checkpoints._rank(1) == (UNRANKED, -1)


def test_steps_are_folders_that_are_named_as_numbers_are_written(sent):
    for name in ("7", "007", "8.tmp", "9" * 30, "1\u0664", "+3", "5"):
        (sent / "checkpoints" / name).mkdir()
    (sent / "checkpoints" / "6").write_text("")
    assert Checkpoints(sent).steps() == [1, 2, 5, 7, int("9" * 30)]


# --- arrays ---------------------------------------------------------------------------------------


def _with_manifest(sent):
    """Whoever changes a checkpoint makes a manifest to it."""
    (sent / "checkpoints/2/manifest.json").unlink()
    checkpoint._write_manifest(sent / "checkpoints/2")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"shape": [10**12], "chunks": [10**12]}, r"bias is \[1000000000000\] in the checkpoint"),
        ({"chunks": [10**12]}, "kept in parts that are larger than itself"),
        ({"dtype": "<f8"}, "is float64 .* in the checkpoint"),
        ({"shape": "x"}, "cannot be read"),
    ],
)
def test_arrays_are_compared_before_one_is_read(changed, said, sent, monkeypatch):
    base = {"driver": "file", "path": f"{sent / 'checkpoints/2/state'}/"}
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
    key = "params.discriminator.conv_0.bias/.zarray"
    told = json.loads(store[key]) | changed
    store[key] = json.dumps(told).encode()
    _with_manifest(sent)
    monkeypatch.setattr("orbax.checkpoint.StandardCheckpointHandler.restore", None)
    with pytest.raises(CheckpointError, match=said) as error:
        load_gan(sent)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record.update(use_ocdbt=False), "kept in another way"),
        (lambda record: record.pop("tree_metadata"), "cannot be read"),
        (lambda record: record["tree_metadata"].popitem(), "in the game alone|does not fit"),
        (lambda record: record["tree_metadata"].update(
            x={"key_metadata": [{"key": "../../x"}],
               "value_metadata": {"skip_deserialize": False}}), r"\.\./x is in the checkpoint"),
    ],
)  # fmt: skip
def test_names_of_arrays_are_compared_before_one_is_opened(change, said, sent, monkeypatch):
    path = sent / "checkpoints/2/state/_METADATA"
    record = json.loads(path.read_text())
    entries = record["tree_metadata"]
    for name in [n for n, e in entries.items() if e["value_metadata"]["skip_deserialize"]]:
        del entries[name]
    change(record)
    path.write_text(json.dumps(record))
    _with_manifest(sent)
    monkeypatch.setattr("orbax.checkpoint.StandardCheckpointHandler.metadata", None)
    with pytest.raises(CheckpointError, match=said):
        load_gan(sent)


def test_few_bytes_do_not_become_many(sent, monkeypatch):
    monkeypatch.setattr(checkpoint, "ALWAYS", 10)
    monkeypatch.setattr(checkpoint, "MOST_RATIO", 0)
    with pytest.raises(CheckpointError, match="bytes would become"):
        load_gan(sent)
    wanted = []
    monkeypatch.setattr(checkpoint, "_bytes", lambda arrays: wanted.append(arrays) or 10)
    assert int(load_gan(sent)[1].step) == 2 and wanted


def _crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)
    return (value ^ 0xFFFFFFFF).to_bytes(4, "little")


def test_what_reads_arrays_never_leaves_the_folder(tmp_path):
    # TensorStore's own file names files by their paths; it takes none that lead out of the folder.
    inside, outside = "xx/yyyyyyyyyy/", "../xxxxxxxxxx/"
    base = {"driver": "file", "path": f"{tmp_path / 'folder'}/"}
    prefixes = ("value_data_prefix", "btree_node_data_prefix", "version_tree_node_data_prefix")
    plain = {"compression": None, "max_inline_value_bytes": 0}
    spec = {"driver": "ocdbt", "base": base, "config": plain, **dict.fromkeys(prefixes, inside)}
    tensorstore.KvStore.open(spec).result()["key"] = b"value" * 100
    manifest = tmp_path / "folder" / "manifest.ocdbt"
    body = manifest.read_bytes()[:-4].replace(inside.encode(), outside.encode())
    manifest.write_bytes(body + _crc32c(body))
    (tmp_path / "folder" / inside).rename(tmp_path / "xxxxxxxxxx")
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
    with pytest.raises(ValueError, match="Invalid key: .*/folder/../xxxxxxxxxx"):
        store["key"]


# --- log ------------------------------------------------------------------------------------------


def test_a_log_is_read_within_limits_and_says_what_is_left_out(sent, monkeypatch, capsys):
    path = sent / "metrics.jsonl"
    path.write_text("".join(f'{{"step": {n}}}\n' for n in range(9)))
    monkeypatch.setattr(logs, "MOST_LINES", 5)
    assert [line["step"] for line in read_metrics(path)] == [0, 1, 2, 3, 4]
    assert "the first 5 lines are read" in capsys.readouterr().err
    monkeypatch.setattr(logs, "MOST_LINES", 9)
    assert len(read_metrics(path)) == 9 and not capsys.readouterr().err
    monkeypatch.setattr(logs, "MOST_BYTES", 9 * 11)
    assert len(read_metrics(path)) == 9 and not capsys.readouterr().err
    monkeypatch.setattr(logs, "MOST_BYTES", 9 * 11 - 1)
    assert len(read_metrics(path)) == 8
    monkeypatch.setattr(logs, "MOST_BYTES", 30)
    assert len(read_metrics(path)) == 2
    # A run that goes on keeps all of them.
    MetricLog(sent, last_step=7).close()
    assert len(path.read_text().splitlines()) == 8


@pytest.mark.parametrize(
    "line",
    ["[" * 5000, "{}", '{"step": "x"}', '{"step": 1' + "0" * 5000 + "}", '{"step": 2, "a' * 900],
    ids=["deep", "empty", "text", "large", "long"],
)
def test_a_line_that_is_none_is_an_error_that_names_it(line, sent, monkeypatch):
    monkeypatch.setattr(logs, "MOST_LINE", 6000)
    path = sent / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}x\n{{"step": 2}}\n')
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 2"):
        read_metrics(path)
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 2"):
        MetricLog(sent, last_step=9)


def test_a_run_is_reached_by_two_dots_and_of_many_damaged_checkpoints_little_is_said(
    sent, capsys, monkeypatch
):
    for step in range(10, 30):
        (sent / f"checkpoints/{step}").mkdir()
    (sent / "inside").mkdir()
    monkeypatch.chdir(sent / "inside")
    assert int(load_gan(Path("..") / ".." / sent.name)[1].step) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 5 and told[-1].endswith("of further ones nothing is said")


def test_a_last_line_that_is_half_written_is_left_out_and_blank_ones_are_none(sent, monkeypatch):
    path = sent / "metrics.jsonl"
    path.write_text('\n{"step": 1}\n  \n{"step": 2}\n{"step": 3')
    assert [line["step"] for line in read_metrics(path)] == [1, 2]
    MetricLog(sent, last_step=1).close()
    assert path.read_text() == '{"step": 1}\n'
    assert read_metrics(sent / "none.jsonl") == []
    # A line as long as one may be has no end that could be missing.
    monkeypatch.setattr(logs, "MOST_LINE", 20)
    path.write_text('{"step": 1, "' + "a" * 90)
    with pytest.raises(ValueError, match="line 1"):
        read_metrics(path)
    path.write_text('{"step": 1}\n[1]')
    with pytest.raises(ValueError, match="line 2 is no JSON object with a step"):
        read_metrics(path)


def test_a_run_folder_that_is_written_to_says_by_whom(sent):
    with writing(sent):
        assert (sent / ".lock").read_text() == f"pid {os.getpid()}"
        with pytest.raises(RunFolderError, match=rf"another process \(pid {os.getpid()}\)"):
            with writing(sent):
                pass
    (sent / ".lock").write_text("\x1b[2J" * 999)
    with open(sent / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunFolderError) as error, writing(sent):
            pass
    assert str(error.value).isprintable() and len(str(error.value)) < 1000


def test_differences_of_configs_are_lines_of_which_the_first_are_shown(sent):
    config = json.loads((sent / "config.json").read_text())
    other = {"gan": config["gan"] | {"seed\x1b": 1, "width": "\n"}}
    with pytest.raises(RunFolderError, match="holds a run already"):
        claim(sent, config, resume=False)
    claim(sent, config, resume=True)
    with pytest.raises(RunFolderError) as error:
        claim(sent, other, resume=True)
    assert "\n  gan.seed\\x1b: None -> 1\n  gan.width: 4 -> '\\n'" in str(error.value)
    (sent / "config.json").unlink()
    with pytest.raises(RunFolderError, match="holds checkpoints but no config.json"):
        claim(sent, config, resume=True)
    assert in_lines([str(i) for i in range(20)]).count("\n") == 20
    assert in_lines([str(i) for i in range(21)]).endswith("\n  19\n  ... and 1 more")
