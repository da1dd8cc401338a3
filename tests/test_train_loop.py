"""`fit`: exact resume after any interruption, clear stops, one writer, nothing lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from gan_forensics.report import report_run
from gan_forensics.train import (
    Cadence,
    CheckpointError,
    Checkpoints,
    Learner,
    NonFiniteLossError,
    Plateau,
    RunFolderError,
    fit,
    load_state,
    read_metrics,
)
from gan_forensics.train.update import Update
from tests.games import GAMES, Gaussians, two_players

ROOT = Path(__file__).parent.parent


def _fit(run, steps, game="two", *, data=None, config=None, **options):
    updates, params, stats = GAMES[game]()
    options = {"resume": True, "progress": False, "average": list(params)[:1], **options}
    cadence = Cadence(steps, log_every=3, checkpoint_every=4)
    average = tuple(options.pop("average"))
    config = {"game": game} if config is None else config
    learner = Learner("toy", config, updates, lambda _: (params, stats), average)
    return fit(
        learner,
        data or Gaussians(),
        run=run,
        cadence=options.pop("cadence", cadence),
        seed=1,
        **options,
    )


def _assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("game", GAMES)
def test_n_plus_m_steps_are_n_steps_and_m_steps_bit_for_bit(game, tmp_path):
    whole = _fit(tmp_path / "whole", 11, game)
    _fit(tmp_path / "parts", 4, game)
    parts = _fit(tmp_path / "parts", 11, game)
    _assert_same(whole, parts)


def test_a_gan_with_batch_statistics_resumes_bit_for_bit(tmp_path):
    from gan_forensics.gans import GanConfig, train_gan

    config = GanConfig("dcgan", "samples:lfw", size=16, width=4, latent=8, channels=1, batch_size=8)
    states = []
    for parts in ((6,), (2, 6)):
        for steps in parts:
            _, state = train_gan(
                config, tmp_path / str(parts), Cadence(steps), resume=True, progress=False
            )
        states.append(state)
    _assert_same(*states)
    assert len(jax.tree.leaves(states[0].stats)) > 4


SCRIPT = """
import sys, time
from pathlib import Path
from gan_forensics.train import InterruptedRunError
from tests.test_train_loop import _fit
from tests.games import Gaussians

class Slow(Gaussians):
    def __next__(self):
        time.sleep(0.02)
        return super().__next__()

try:
    _fit(Path(sys.argv[1]), int(sys.argv[2]), data=Slow())
except InterruptedRunError as error:
    print(error)
    sys.exit(128 + error.signal)
"""


def _start(run, steps):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, str(run), str(steps)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _wait_for_checkpoints(process, run, count):
    for _ in range(1200):
        if len(list((run / "checkpoints").glob("*/manifest.json"))) >= count:
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise AssertionError("no checkpoint within a minute")


def test_a_run_that_was_killed_resumes_bit_for_bit(tmp_path):
    process = _start(tmp_path / "killed", 100_000)
    _wait_for_checkpoints(process, tmp_path / "killed", 2)
    process.kill()
    process.communicate()
    saved = max(
        int(p.parent.name) for p in (tmp_path / "killed").glob("checkpoints/*/manifest.json")
    )
    killed = _fit(tmp_path / "killed", saved + 5)
    whole = _fit(tmp_path / "whole", saved + 5)
    _assert_same(killed, whole)
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("killed", "whole")]
    assert [line["step"] for line in lines[0]] == sorted({line["step"] for line in lines[0]})
    assert lines[0] == lines[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_say_so(number, tmp_path):
    process = _start(tmp_path / "run", 100_000)
    _wait_for_checkpoints(process, tmp_path / "run", 1)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number, output
    assert f"{number.name} at step" in output and "resume" in output
    step = int(output.split("at step ")[1].split(":")[0])
    assert (tmp_path / "run/checkpoints" / str(step) / "manifest.json").exists()
    _assert_same(_fit(tmp_path / "run", step + 3), _fit(tmp_path / "whole", step + 3))


def test_a_second_writer_is_refused_with_the_process_that_writes(tmp_path):
    process = _start(tmp_path / "run", 100_000)
    try:
        _wait_for_checkpoints(process, tmp_path / "run", 1)
        with pytest.raises(RunFolderError, match=f"another process .pid {process.pid}. is writing"):
            _fit(tmp_path / "run", 5)
    finally:
        process.kill()
        process.communicate()


def _damage(run, how):
    newest = max((run / "checkpoints").glob("[0-9]*"), key=lambda p: int(p.name))
    largest = max((p for p in newest.rglob("d/*") if p.is_file()), key=lambda p: p.stat().st_size)
    if how == "a flipped byte":
        content = bytearray(largest.read_bytes())
        content[len(content) // 2] ^= 0xFF
        largest.write_bytes(content)
    elif how == "cut off":
        largest.write_bytes(largest.read_bytes()[:-3])
    elif how == "missing":
        largest.unlink()
    else:
        (newest / "manifest.json").unlink()


@pytest.mark.parametrize(
    "how, words",
    [
        ("a flipped byte", "checksum differs"),
        ("cut off", "bytes instead of"),
        ("missing", "is missing"),
        ("half-written", "half-written"),
    ],
)
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_used(
    how, words, tmp_path, capsys
):
    whole = _fit(tmp_path / "whole", 12)
    _fit(tmp_path / "run", 8)
    _damage(tmp_path / "run", how)
    resumed = _fit(tmp_path / "run", 12)
    assert words in capsys.readouterr().err
    _assert_same(whole, resumed)
    assert (tmp_path / "run/checkpoints/damaged-8").is_dir()


class _Lying(Gaussians):
    """Minibatches of data that lie somewhere."""

    def __init__(self, **told):
        super().__init__()
        self.told = {"examples": 8, "names": "n", "bytes": "b"} | told

    def fingerprint(self):
        return self.told


def _resumed(run, steps, data="old", **told):
    return _fit(
        run, steps, data=_Lying(**told), config={"data": data, "width": told.pop("width", 1)}
    )


def test_data_are_told_apart_only_for_a_run_folder(tmp_path):
    class Asked(_Lying):
        def fingerprint(self):
            raise AssertionError("a whole folder would be read")

    _fit(None, 1, data=Asked())
    with pytest.raises(AssertionError, match="whole folder"):
        _fit(tmp_path / "run", 1, data=Asked())


def test_data_that_have_moved_are_the_same_and_the_run_knows_where(tmp_path, capsys):
    whole = _resumed(tmp_path / "whole", 8)
    _resumed(tmp_path / "run", 4)
    assert json.loads((tmp_path / "run/fingerprint.json").read_text()) == _Lying().told
    assert not capsys.readouterr().err
    _assert_same(whole, _resumed(tmp_path / "run", 8, data="new"))
    said = capsys.readouterr().err
    assert f"{tmp_path / 'run'}: its data have moved, and are the same: " in said
    assert "toy.data: 'old' -> 'new'" in said
    assert json.loads((tmp_path / "run/config.json").read_text())["toy"]["data"] == "new"
    moved = {"until_step": 4, "places": "toy.data: 'old' -> 'new'"}
    assert json.loads((tmp_path / "run/fingerprint.json").read_text())["moved"] == [moved]
    _resumed(tmp_path / "run", 8, data="new")
    assert not capsys.readouterr().err
    _resumed(tmp_path / "run", 8, data="new", bytes="c")
    assert json.loads((tmp_path / "run/fingerprint.json").read_text())["moved"] == [moved]
    _resumed(tmp_path / "run", 8, data="old", bytes="c")
    kept = json.loads((tmp_path / "run/fingerprint.json").read_text())
    assert len(kept["moved"]) == 2 and len(kept["before"]) == 1
    capsys.readouterr()


def test_the_page_of_a_run_tells_that_its_data_changed(tmp_path):
    _resumed(tmp_path, 4)
    _resumed(tmp_path, 6, bytes="c")
    _resumed(tmp_path, 8, bytes="c", data="new")
    page = report_run(tmp_path).read_text()
    for name, step in (("replaced", 4), ("moved", 6)):
        assert f"<dt>{name}_after_step</dt><dd>{step}</dd>" in page


def test_other_data_elsewhere_or_other_settings_are_refused(tmp_path):
    _resumed(tmp_path, 4)
    with pytest.raises(RunFolderError, match=r"(?s)'new'.*others: their bytes differ. Put"):
        _resumed(tmp_path, 8, data="new", bytes="c")
    with pytest.raises(RunFolderError, match=r"(?s)'old' -> 'new'\n.*width: 1 -> 2$"):
        _resumed(tmp_path, 8, data="new", width=2)
    with pytest.raises(RunFolderError, match=r"trained on 8 examples, and its data have 9 now"):
        _resumed(tmp_path, 8, examples=9)
    (tmp_path / "fingerprint.json").unlink()
    with pytest.raises(RunFolderError, match=r"'old' -> 'new'$"):
        _resumed(tmp_path, 8, data="new")


def test_other_data_under_the_same_name_are_said_and_kept_in_mind(tmp_path, capsys):
    _resumed(tmp_path, 4)
    for steps, old, new in ((6, "b", "c"), (8, "c", "d")):
        _resumed(tmp_path, steps, bytes=new)
        assert "on so far (their bytes differ); it goes on" in capsys.readouterr().err
        kept = json.loads((tmp_path / "fingerprint.json").read_text())
        until = {"until_step": steps - 2}
        assert kept["bytes"] == new and kept["before"][-1] == {**_Lying(bytes=old).told, **until}
    assert len(kept["before"]) == 2
    _resumed(tmp_path, 8, bytes="d")
    assert not capsys.readouterr().err


@pytest.mark.parametrize("content", ["3", "[]"])
def test_a_fingerprint_that_is_none_is_an_error_and_odd_ones_are_others(content, tmp_path, capsys):
    _resumed(tmp_path, 4)
    (tmp_path / "fingerprint.json").write_text(content)
    with pytest.raises(RunFolderError, match="fingerprint.json: it is no JSON object"):
        _resumed(tmp_path, 6)
    (tmp_path / "fingerprint.json").write_text('{"examples": 8, "names": [], "before": 3}')
    _resumed(tmp_path, 6)
    assert "names and bytes differ" in capsys.readouterr().err


def test_what_is_saved_under_any_name_can_be_read_again(tmp_path):
    whole = _fit(tmp_path / "whole", 8)
    run = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gs:runs [64px]\\*\n\xe9"))
    _fit(run, 4)
    _assert_same(whole, _fit(run, 8))
    updates, params, stats = GAMES["two"]()
    learner = Learner("toy", {}, updates, lambda _: (params, stats), tuple(params)[:1])
    _assert_same(whole, load_state(run, learner))


def test_what_was_saved_is_opened_before_it_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_forensics.train.checkpoint._misfit", lambda *_: "an array is gone")
    with pytest.raises(CheckpointError, match="cannot be read again: an array is gone"):
        _fit(tmp_path, 4)
    assert not Checkpoints(tmp_path).steps()


@pytest.mark.parametrize("name, copied", [("20231128", True), ("9" * 30, False)])
def test_folders_with_numbers_for_names_are_no_steps(name, copied, tmp_path, capsys):
    whole = _fit(tmp_path / "whole", 8)
    _fit(tmp_path / "run", 4)
    other = tmp_path / "run" / "checkpoints" / name
    if copied:
        shutil.copytree(other.with_name("4"), other)
    else:
        other.mkdir()
    _assert_same(whole, _fit(tmp_path / "run", 8))
    words = "it is a copy of step 4" if copied else "half-written"
    assert f"{name}: {words}" in capsys.readouterr().err
    assert other.with_name(f"damaged-{name}").is_dir()
    assert Checkpoints(tmp_path / "run").steps() == [4, 8]


def test_when_all_checkpoints_are_damaged_nothing_is_overwritten(tmp_path, capsys):
    _fit(tmp_path, 4)
    _damage(tmp_path, "cut off")
    with pytest.raises(CheckpointError, match="none of the checkpoints"):
        _fit(tmp_path, 8)


@pytest.mark.parametrize("host", [{}, {"data": {}, "plateau": {}}, {"data": 3, "plateau": None}])
def test_a_checkpoint_that_does_not_say_where_it_was_is_refused(host, tmp_path):
    from gan_forensics.train import checkpoint

    _fit(tmp_path, 4)
    folder = tmp_path / "checkpoints" / "4"
    (folder / "host" / "metadata").write_text(json.dumps(host))
    (folder / "manifest.json").unlink()
    checkpoint._write_manifest(folder)
    with pytest.raises(CheckpointError, match="does not say where it was"):
        _fit(tmp_path, 8)


def test_resuming_with_a_changed_config_is_refused_with_the_difference(tmp_path):
    _fit(tmp_path, 4, config={"gan": {"tail": "BASELINE", "width": 8}})
    with pytest.raises(RunFolderError, match="gan.tail: 'BASELINE' -> 'N.1.5'"):
        _fit(tmp_path, 8, config={"gan": {"tail": "N.1.5", "width": 8}})


def test_a_run_is_not_overwritten_unless_resumed(tmp_path):
    _fit(tmp_path, 4)
    with pytest.raises(RunFolderError, match="holds a run already"):
        _fit(tmp_path, 4, resume=False)


def test_other_networks_than_the_checkpoints_are_refused(tmp_path):
    _fit(tmp_path, 4, "one", config={})
    with pytest.raises(CheckpointError, match="does not fit this game"):
        _fit(tmp_path, 8, "three", config={})


def test_a_nan_stops_with_step_update_and_last_good_checkpoint(tmp_path):
    # Minibatch 18 is the first of step 7: three discriminator moves a step.
    with pytest.raises(NonFiniteLossError, match="step 7: d/.* is nan .update 'd'.*step 4"):
        _fit(tmp_path, 20, data=Gaussians(spoil_at=18))
    assert _fit(tmp_path, 6).step == 6
    for leaf in jax.tree.leaves(_fit(tmp_path, 6)):
        assert np.isfinite(leaf).all()


def test_a_nan_is_never_saved_even_when_the_checkpoint_is_due_at_its_step(tmp_path):
    with pytest.raises(NonFiniteLossError, match="step 8"):
        _fit(tmp_path, 8, data=Gaussians(spoil_at=21))
    assert Checkpoints(tmp_path).steps() == [4]


def test_a_full_disk_while_saving_loses_nothing(tmp_path, monkeypatch):
    _fit(tmp_path, 4)

    from gan_forensics.train import checkpoint

    def no_space(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write_manifest", no_space)
    with pytest.raises(CheckpointError, match="No space left.*newest good checkpoint is step 4"):
        _fit(tmp_path, 8)
    monkeypatch.undo()
    assert Checkpoints(tmp_path).steps() == [4]
    _assert_same(_fit(tmp_path, 8), _fit(tmp_path / "whole", 8))


def test_files_that_cannot_grow_stop_the_run_with_the_last_good_checkpoint(tmp_path):
    # A real limit of the operating system in place of a full disk: no file above 1000 bytes.
    run = tmp_path / "run"
    _fit(run, 4)
    script = (
        "import resource; from pathlib import Path\n"
        "from gan_forensics.train import CheckpointError\n"
        "import tests.test_train_loop as t\n"
        "def sample(state, path):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try:\n"
        f"    t._fit(Path({str(run)!r}), 8, sample=sample, cadence=t.Cadence(8, log_every=0))\n"
        "except CheckpointError as error: print('STOPPED', error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "STOPPED could not write the checkpoint of step 8" in result.stdout, result.stderr
    assert "newest good checkpoint is step 4" in result.stdout
    assert Checkpoints(run).steps() == [4]


def test_the_newest_and_the_best_checkpoints_are_kept(tmp_path):
    values = iter([5.0, 1.0, 3.0, 4.0, 2.5, 6.0])
    _fit(
        tmp_path,
        12,
        cadence=Cadence(12, checkpoint_every=2, evaluate_every=2, keep=2),
        evaluate=lambda state: {"distance": next(values)},
        best="distance",
    )
    assert Checkpoints(tmp_path).steps() == [4, 10, 12]
    template = _fit(tmp_path / "other", 1)
    best = Checkpoints(tmp_path, best="distance", read_only=True).restore(template)
    assert best is not None and int(best[0].step) == 4


def test_reading_leaves_a_run_alone_that_another_process_may_be_writing(tmp_path, capsys):
    state = _fit(tmp_path, 8)
    _damage(tmp_path, "half-written")
    unfinished = tmp_path / "checkpoints" / "12.orbax-checkpoint-tmp"
    unfinished.mkdir()
    before = sorted(tmp_path.rglob("*"))
    restored = Checkpoints(tmp_path, read_only=True).restore(state)
    assert restored is not None and int(restored[0].step) == 4
    assert "passed over" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_plateau_lowers_the_rates_to_the_floor_and_then_stops(tmp_path):
    updates, params, stats = two_players()
    tuned = optax.inject_hyperparams(optax.sgd)(learning_rate=0.01)
    updates = tuple(Update(u.name, u.trains, u.loss, tuned, u.repeats) for u in updates)
    rule = Plateau("distance", factor=0.1, patience=1, threshold=1.0, floor=2e-4, stop_after=5)
    rates = []

    def evaluate(state):
        rates.append(float(state.opt["g"].hyperparams["learning_rate"]))
        return {"distance": 10.0 - 0.1 * len(rates)}  # better, but by less than the threshold

    state = fit(
        Learner("toy", {}, updates, lambda _: (params, stats)),
        Gaussians(),
        run=tmp_path,
        cadence=Cadence(100, evaluate_every=1),
        seed=0,
        evaluate=evaluate,
        plateau=rule,
        progress=False,
    )
    # Evaluation 1 is the best; 2 and 3 are tolerated and lower the rate, 4 and 5 again; 6 stops.
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.01, 1e-3, 1e-3, 2e-4], rtol=1e-5)
    assert int(state.step) == 6


def test_metrics_are_means_over_the_steps_between_lines(tmp_path):
    _fit(tmp_path, 8, "one", cadence=Cadence(8, log_every=4, checkpoint_every=0))
    _fit(tmp_path / "fine", 8, "one", cadence=Cadence(8, log_every=1, checkpoint_every=0))
    coarse, fine = (read_metrics(p / "metrics.jsonl") for p in (tmp_path, tmp_path / "fine"))
    assert [line["step"] for line in coarse] == [4, 8]
    expected = np.mean([line["fit/loss"] for line in fine[:4]])
    np.testing.assert_allclose(coarse[0]["fit/loss"], expected, rtol=1e-6)


def test_where_no_bar_can_be_drawn_the_losses_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr("gan_forensics.files.progress._DUE", (0.0, 1e9))
    _fit(tmp_path / "said", 4, progress=True)
    first, last = (line for line in capsys.readouterr().err.splitlines() if "steps" in line)
    losses = {
        record["step"]: {n.split("/")[0]: v for n, v in record.items() if n.endswith("/loss")}
        for record in read_metrics(tmp_path / "said" / "metrics.jsonl")
    }
    numbers = ", ".join(f"{name} {value:.3g}" for name, value in losses[4].items())
    assert first == "said: 1 of 4 steps (25%)"
    assert last.startswith("said: 4 of 4 steps (100%)") and last.endswith(f"; {numbers}")
    _fit(tmp_path / "quiet", 4, progress=False)
    assert capsys.readouterr().err == ""


def test_a_half_written_log_line_is_left_out(tmp_path):
    _fit(tmp_path, 8)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 9, "g/lo')
    assert [line["step"] for line in read_metrics(path)][-1] == 8
    _fit(tmp_path, 12)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_the_best_checkpoint_is_loaded_where_it_is_asked_for(tmp_path):
    updates, params, stats = two_players()
    learner = Learner("toy", {}, updates, lambda _: (params, stats))
    values = iter([3.0, 1.0, 2.0, 4.0])
    fit(
        learner,
        Gaussians(),
        run=tmp_path,
        cadence=Cadence(4, evaluate_every=1, keep=1),
        seed=0,
        evaluate=lambda state: {"distance": next(values)},
        best="distance",
        progress=False,
    )
    assert int(load_state(tmp_path, learner).step) == 4
    assert int(load_state(tmp_path, learner, best="distance").step) == 2
