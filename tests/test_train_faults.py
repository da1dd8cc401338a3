"""Two processes, and what may befall one of them: all end, with a word, and lose little.

Every fault is real: a signal, a limit of the operating system, a damaged file, a process that is
slow or fails alone. After each, the job that is started again ends as one that was left in peace.
"""

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from gan_forensics.train import Checkpoints, Learner, load_state
from tests.games import GAMES
from tests.processes import running

pytestmark = pytest.mark.slow

# Three minibatches a step, a checkpoint every four steps.
STEPS, MOVES, EVERY = 20, 3, 4
SLOWLY = {"seconds": 0.05}


def job(folder, *, run=None, steps=STEPS, prefix=(), count=2, **faults):
    """Processes with four devices together; `run` may give each a folder of its own."""
    runs = run if isinstance(run, list) else [run or folder.parent / "run"] * count
    program = [*prefix, sys.executable, "-m", "tests.process_runs"]
    return running(
        count,
        lambda index, at: [*program, runs[index], steps, json.dumps(faults), at, count, index],
        folder,
        devices=4,
    )


def trained(run, steps, folder):
    """A run folder with its steps made by two processes."""
    with job(folder, run=run, steps=steps) as both:
        assert both.wait() == [0, 0], both.said(0)
    return run


@pytest.fixture(scope="module")
def peaceful(tmp_path_factory):
    """A run that nothing befell."""
    folder = tmp_path_factory.mktemp("peaceful")
    return trained(folder / "run", STEPS, folder / "log")


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A run of eight steps with checkpoints 4 and 8."""
    folder = tmp_path_factory.mktemp("half")
    return trained(folder / "run", 8, folder / "log")


@pytest.fixture
def run(half, tmp_path):
    """A copy of it."""
    return shutil.copytree(half, tmp_path / "run", symlinks=True)


def steps_of(run):
    return Checkpoints(Path(run), read_only=True).steps()


def state_of(run):
    updates, params, stats = GAMES["two"]()
    learner = Learner("toy", {}, updates, lambda _: (params, stats), ("g",))
    return load_state(run, learner)


def goes_on(run, peaceful, folder, *, since):
    """Start the job again: it goes on after step `since` and ends as the peaceful one."""
    with job(folder, run=run) as both:
        assert both.wait() == [0, 0], both.said(0)
        for index in (0, 1):
            first = int(re.search(r"minibatch (\d+)", both.said(index))[1])
            assert first == since * MOVES
    for a, b in zip(
        jax.tree.leaves(state_of(run)), jax.tree.leaves(state_of(peaceful)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("count", [1, 4])
def test_a_run_of_two_goes_on_with_another_number(count, run, peaceful, tmp_path):
    with job(tmp_path / "log", run=run, count=count) as all_of_them:
        assert all_of_them.wait() == [0] * count, all_of_them.said(0)
    for a, b in zip(
        jax.tree.leaves(state_of(run)), jax.tree.leaves(state_of(peaceful)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def errors(both, index):
    """The lines that a process ends with."""
    return [line for line in both.said(index).splitlines() if line.startswith("gan-forensics: ")]


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_is_named_by_the_other_and_the_job_goes_on(killed, peaceful, tmp_path):
    with job(tmp_path / "log", MISSING=4.0, **SLOWLY) as both:
        both.until_said("minibatch 30")  # in step 11
        both.send(signal.SIGKILL, killed)
        codes = both.wait(40)
        assert codes[killed] == -signal.SIGKILL
        assert codes[1 - killed] == 1, both.said(1 - killed)
        (line,) = errors(both, 1 - killed)
        assert f"process {killed}" in line
        assert "Start the whole job again" in line
    goes_on(tmp_path / "run", peaceful, tmp_path / "again", since=8)


def test_a_process_that_is_started_again_alone_is_named_and_the_job_goes_on(peaceful, tmp_path):
    # As Kubernetes does with each container. The new one waits for the others, who come as well.
    address = []

    def command(index, at):
        address.append(at)
        run = [tmp_path / "run", STEPS, json.dumps(SLOWLY), at, 2, index]
        return [sys.executable, "-m", "tests.process_runs", *run]

    with running(2, command, tmp_path / "log", devices=4) as both:
        both.until_said("minibatch 30")
        both.send(signal.SIGKILL, 1)
        time.sleep(4)
        both.start(command(1, address[0]))
        both.processes[0].wait(60)
        assert both.processes[0].returncode == 1, both.said(0)
        (line,) = errors(both, 0)
        assert "process 1" in line and "is gone. Start the whole job again" in line
        both.start(command(0, address[0]))
        assert both.wait(120) == [1, -signal.SIGKILL, 0, 0], both.said(2) + both.said(3)
    for a, b in zip(
        jax.tree.leaves(state_of(tmp_path / "run")),
        jax.tree.leaves(state_of(peaceful)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_a_process_that_froze_is_named_and_ends_when_it_wakes(tmp_path):
    with job(tmp_path / "log", MISSING=4.0, **SLOWLY) as both:
        both.until_said("minibatch 30")
        both.send(signal.SIGSTOP, 1)
        both.processes[0].wait(60)
        both.send(signal.SIGCONT, 1)
        assert both.wait(60) == [1, 1], both.said(0) + both.said(1)
        for index in (0, 1):
            (line,) = errors(both, index)
            assert f"process {1 - index}" in line
    assert steps_of(tmp_path / "run") == [4, 8]


def stopped(both, run, *, name="SIGTERM"):
    """Check that all left together after a step that they agreed on, and saved it; the step."""
    codes = both.wait(60)
    assert codes == [128 + signal.Signals[name]] * 2, both.said(0) + both.said(1)
    said = [re.search(rf"{name} at step (\d+): saved", "\n".join(errors(both, i))) for i in (0, 1)]
    assert all(said), both.said(0) + both.said(1)
    step = int(said[0][1])
    assert said[1][1] == said[0][1]
    assert steps_of(run)[-1] == step
    return step


@pytest.mark.parametrize("asked", [[0], [1], [0, 1], [1, None, 0], [0, None, 1]])
def test_all_stop_at_one_step_when_any_are_asked_to(asked, peaceful, tmp_path):
    with job(tmp_path / "log", **SLOWLY) as both:
        both.until_said("minibatch 30")
        for index in asked:
            if index is None:
                time.sleep(0.2)
            else:
                both.send(signal.SIGTERM, index)
        step = stopped(both, tmp_path / "run")
        assert 10 <= step < STEPS
    goes_on(tmp_path / "run", peaceful, tmp_path / "again", since=step)


def test_an_interrupt_of_one_stops_all(tmp_path):
    with job(tmp_path / "log", **SLOWLY) as both:
        both.until_said("minibatch 30")
        both.send(signal.SIGINT, 0)
        codes = both.wait(60)
        assert codes[0] == 128 + signal.SIGINT
        assert codes[1] in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert steps_of(tmp_path / "run")[-1] > 8


@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize("doing", ["evaluating", "saving"])
def test_asked_while_measuring_or_saving_all_stop_at_one_step(doing, asked, tmp_path):
    faults = {"evaluate": True} if doing == "evaluating" else {"saving": 1.5}
    with job(tmp_path / "log", **faults, **SLOWLY) as both:
        both.until_said(doing, asked if doing == "evaluating" else 0)
        both.send(signal.SIGTERM, asked)
        step = stopped(both, tmp_path / "run")
    assert steps_of(tmp_path / "run") == sorted({4, step})


@pytest.mark.parametrize("asked", [[0], [1], [0, 1]])
def test_asked_while_compiling_all_leave_at_once(asked, tmp_path):
    def command(index, at):
        return [
            *(sys.executable, "-m", "gan_forensics.cli", "train", "dcgan", "--size", 32),
            *("--data", "samples:photos", "--batch-size", 8, "--out", tmp_path / "run"),
            *("--distributed", "--coordinator", at, "--processes", 2, "--process", index),
        ]

    environment = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    with running(2, command, tmp_path / "log", environment=environment, devices=4) as both:
        both.until_said("compiling", 0)
        time.sleep(1)
        both.send(signal.SIGTERM, *asked)
        began = time.monotonic()
        assert both.wait(30) == [143, 143], both.said(0) + both.said(1)
        assert time.monotonic() - began < 20
        for index in (0, 1):
            assert "SIGTERM before the first step" in "".join(errors(both, index))
    assert steps_of(tmp_path / "run") == []


@pytest.mark.parametrize("alone", [0, 1])
def test_asked_while_the_other_has_not_come_a_process_leaves_at_once(alone, tmp_path):
    def command(index, at):
        run = [tmp_path / "run", STEPS, "{}", at, 2, alone]
        return [sys.executable, "-m", "tests.process_runs", *run]

    with running(1, command, tmp_path / "log", devices=2) as one:
        one.until_said("joining")
        time.sleep(2)
        one.send(signal.SIGTERM)
        assert one.wait(10) == [143], one.said(0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("come", [[0, 1], [1, 2], [1, 1]])
def test_processes_that_wait_for_others_in_vain_say_so_and_end(come, tmp_path):
    limits = json.dumps({"START": 10.0, "PATIENCE": 3.0})

    def command(index, at):
        run = [tmp_path / "run", STEPS, limits, at, 3, come[index]]
        return [sys.executable, "-m", "tests.process_runs", *run]

    with running(2, command, tmp_path / "log", devices=4) as both:
        assert both.wait(60) == [1, 1], both.said(0) + both.said(1)
        for index in (0, 1):
            assert "waits for all 3 at 127.0.0.1:" in both.said(index)
            assert "not all of them came within 10 s" in "".join(errors(both, index))
    assert not (tmp_path / "run").exists()


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        run = [tmp_path / "run", STEPS, "{}", at, 2, 0]
        program = [sys.executable, "-m", "tests.process_runs", *run]
        with running(1, lambda *_: program, tmp_path / "log", devices=2) as one:
            assert one.wait(60) == [2], one.said(0)
            (line,) = errors(one, 0)
            assert f"process 0 cannot listen at {at}" in line


def test_a_host_that_is_slow_to_log_is_waited_for_and_named(peaceful, tmp_path):
    with job(tmp_path / "log", NOTICE=2.0, **{"0": {"logging": 5.0}}, steps=8) as both:
        assert both.wait() == [0, 0], both.said(0)
        assert "waiting for process 0" in both.said(0) + both.said(1)
    goes_on(tmp_path / "run", peaceful, tmp_path / "again", since=8)


def test_a_host_that_never_comes_back_ends_the_job(tmp_path):
    faults = {"NOTICE": 2.0, "LIMIT": 8.0, "1": {"late_at": 30}}
    with job(tmp_path / "log", **faults) as both:
        both.until_said("minibatch 29")
        assert both.wait(60) == [1, 1], both.said(0) + both.said(1)
        assert "waiting for process 1" in "".join(errors(both, 0))
    assert steps_of(tmp_path / "run") == [4, 8]


def refused(both, *, codes, first, second):
    """Check that both ended by themselves, each with its line."""
    assert both.wait(60) == codes, both.said(0) + both.said(1)
    for index, says in enumerate((first, second)):
        assert re.search(says, "\n".join(errors(both, index))), both.said(index)


def test_a_full_disk_ends_all_with_the_last_good_checkpoint(run, peaceful, tmp_path):
    says = "could not write the checkpoint of step 12.*newest good checkpoint is step 8"
    with job(tmp_path / "log", run=run, **{"0": {"largest_file": 2000}}) as both:
        refused(both, codes=[1, 1], first=says, second=f"process 0: {says}")
    assert steps_of(run) == [4, 8]
    goes_on(run, peaceful, tmp_path / "again", since=8)


def test_a_folder_that_is_read_only_ends_all_with_the_last_good_checkpoint(run, peaceful, tmp_path):
    says = "could not write the checkpoint of step 12.*newest good checkpoint is step 8"
    # Root may write anywhere, unless it gives that up.
    prefix = ("setpriv", "--bounding-set=-dac_override", "--") if os.geteuid() == 0 else ()
    (run / "checkpoints").chmod(0o555)
    try:
        with job(tmp_path / "log", run=run, prefix=prefix) as both:
            refused(both, codes=[1, 1], first=says, second=f"process 0: {says}")
    finally:
        (run / "checkpoints").chmod(0o755)
    assert steps_of(run) == [4, 8]
    goes_on(run, peaceful, tmp_path / "again", since=8)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "without manifest"])
def test_a_damaged_newest_checkpoint_is_put_aside_by_one_and_passed_by_all(
    damage, run, peaceful, tmp_path
):
    newest = run / "checkpoints" / "8"
    (largest, *_) = sorted(newest.rglob("d/*"), key=lambda path: -path.stat().st_size)
    content = bytearray(largest.read_bytes())
    if damage == "without manifest":
        (newest / "manifest.json").unlink()
    elif damage == "truncated":
        largest.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        largest.write_bytes(content)
    goes_on(run, peaceful, tmp_path / "again", since=4)
    assert (run / "checkpoints" / "damaged-8").is_dir()


def everything(folder):
    return {
        path.relative_to(folder): path.lstat().st_mtime_ns if path.is_file() else 0
        for path in folder.rglob("*")
    }


def test_a_run_folder_with_a_link_is_refused_and_not_written_to(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (run / "samples").symlink_to(tmp_path / "elsewhere")
    before = everything(run)
    with job(tmp_path / "log", run=run) as both:
        refused(both, codes=[2, 1], first="samples", second="process 0: .*samples")
    assert everything(run) == before
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_for_each_process_is_refused_at_the_start(tmp_path):
    runs = [tmp_path / "here", tmp_path / "there"]
    says = "here is not shared between hosts: process 1 cannot read there"
    with job(tmp_path / "log", run=runs) as both:
        refused(both, codes=[2, 2], first=says, second="not shared between hosts: process 1")
    assert not runs[1].exists()
    assert not (runs[0] / "config.json").exists()


def test_a_run_that_is_there_is_not_overwritten(run, tmp_path):
    before = everything(run / "checkpoints")
    with job(tmp_path / "log", run=run, resume=False) as both:
        refused(both, codes=[2, 1], first="holds a run already", second="process 0: .*holds a run")
    assert everything(run / "checkpoints") == before


def test_processes_with_other_settings_are_told_which(tmp_path):
    with job(tmp_path / "log", **{"1": {"config": {"rate": 2}}}) as both:
        assert both.wait(60) == [2, 2]
        for index in (0, 1):
            assert "rate: " in both.said(index)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_nan_on_one_device_ends_all_with_the_player_that_moved_first(run, peaceful, tmp_path):
    says = r"step 11: d/\w+ is nan .update 'd'.*last good checkpoint: step 8"
    with job(tmp_path / "log", run=run, **{"1": {"nan_at": 30}}) as both:
        refused(both, codes=[1, 1], first=says, second=says)
    assert steps_of(run) == [4, 8]
    goes_on(run, peaceful, tmp_path / "again", since=8)


@pytest.mark.parametrize("index", [0, 1])
def test_what_fails_in_one_process_ends_all_and_is_said_by_all(index, run, peaceful, tmp_path):
    with job(tmp_path / "log", run=run, **{str(index): {"unreadable_at": 30}}) as both:
        codes = both.wait(60)
        assert all(code in (1, 2) for code in codes), codes
        assert "minibatch 30 cannot be read" in "".join(errors(both, index))
        (line,) = errors(both, 1 - index)
        assert f"process {index}: minibatch 30 cannot be read" in line
    goes_on(run, peaceful, tmp_path / "again", since=8)
