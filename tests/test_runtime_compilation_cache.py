"""What XLA compiled is kept, in a folder of the user's own; what is wrong with it is not felt."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_forensics.runtime import compilation_cache
from gan_forensics.runtime.compilation_cache import cache_folder

PROGRAM = """
import jax, jax.numpy as jnp
from gan_forensics.runtime import compilation_cache, keep_compiled, say_what_compiles
compilation_cache.LEAST_SECONDS = 0
compilation_cache.PATIENCE = {patience}
print(keep_compiled())
say_what_compiles()
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event) if event.endswith("/cache_hits") else None)
def long_sum(x):
    for i in range({length}):
        x = jnp.sort(x * i) + jnp.cumsum(x)
    return x
print(float(jax.jit(long_sum)(jnp.ones(8)).sum()))
print(len(hits))
"""


def start(cache, *, length=2, patience=60.0, **environment):
    """A process that keeps what it compiles."""
    unset = ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME", compilation_cache.VARIABLE)
    own = {name: value for name, value in os.environ.items() if name not in unset}
    named = {} if cache is None else {compilation_cache.VARIABLE: str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(length=length, patience=patience)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**own, **named, **environment},
    )


def ended(process):
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    folder, value, hits = out.split()
    return folder, value, int(hits), errors


def run(*arguments, **options):
    return ended(start(*arguments, **options))


def test_a_second_run_takes_what_the_first_has_compiled_and_damage_does_no_harm(tmp_path):
    folder, value, hits, errors = run(None, XDG_CACHE_HOME=str(tmp_path))
    assert Path(folder).parent == tmp_path / "gan_forensics" and errors == ""
    assert os.stat(folder).st_mode & 0o777 == 0o700
    entries = sorted(Path(folder).glob("*long_sum*-cache"))
    assert hits == 0 and len(entries) == 1
    everything = len(list(Path(folder).glob("*-cache")))
    assert run(None, XDG_CACHE_HOME=str(tmp_path)) == (folder, value, everything, "")
    entries[0].write_bytes(entries[0].read_bytes()[:100])
    damaged = run(None, XDG_CACHE_HOME=str(tmp_path))
    assert damaged[1] == value and damaged[2] < everything and damaged[3] == ""
    assert run(None, XDG_CACHE_HOME=str(tmp_path)) == (folder, value, everything, "")


def test_two_runs_share_it(tmp_path):
    both = [start(tmp_path, length=20) for _ in range(2)]
    first, second = map(ended, both)
    assert first[:2] == second[:2] and first[3] == second[3] == ""


def test_what_takes_long_to_compile_is_said(tmp_path):
    errors = run(tmp_path, length=60, patience=0.05)[3]
    assert "compiling long_sum ... (kept for the next run)\n" in errors
    assert "Compiling" not in errors and "shapes" not in errors


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path, monkeypatch, mode):
    monkeypatch.setenv(compilation_cache.VARIABLE, str(tmp_path))
    cache_folder().mkdir()
    cache_folder().chmod(mode)
    folder, _, hits, errors = run(tmp_path)
    assert (folder, hits) == ("None", 0)
    assert "others could have written" in errors and str(cache_folder()) in errors
    assert errors.count("\n") == 1 and not list(cache_folder().iterdir())


def test_a_link_in_its_place_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(compilation_cache.VARIABLE, str(tmp_path / "named"))
    (tmp_path / "named").mkdir()
    (tmp_path / "other").mkdir(mode=0o700)
    cache_folder().symlink_to(tmp_path / "other")
    assert run(tmp_path / "named")[0] == "None"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_entries_of_others_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(compilation_cache.VARIABLE, str(tmp_path))
    cache_folder().mkdir(mode=0o700)
    (cache_folder() / "x-cache").write_bytes(b"")
    os.chown(cache_folder() / "x-cache", 12345, 12345)
    folder, _, _, errors = run(tmp_path)
    assert folder == "None" and "somebody else" in errors


def test_a_place_that_cannot_be_made_is_said_and_the_run_goes_on(tmp_path):
    (tmp_path / "file").touch()
    folder, _, _, errors = run(tmp_path / "file" / "below")
    assert folder == "None"
    assert errors.startswith("compiled programs are not kept (") and "GAN_FORENSICS_CACHE" in errors


def test_it_can_be_switched_off_and_jax_s_own_variable_comes_first(tmp_path):
    assert run("off", XDG_CACHE_HOME=str(tmp_path))[0] == "None"
    assert not list(tmp_path.iterdir())
    own = tmp_path / "own"
    assert run(tmp_path / "ours", JAX_COMPILATION_CACHE_DIR=str(own))[0] == str(own)
    assert not (tmp_path / "ours").exists()


def test_what_a_killed_run_left_is_removed(tmp_path):
    for name in ("whole-cache", "whole-atime", "half-cache", "fresh-cache"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("whole-cache", "half-cache"):
        os.utime(tmp_path / name, (0, 0))
    compilation_cache._remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fresh-cache", "whole-atime", "whole-cache",
    ]  # fmt: skip


def test_relative_cache_homes_are_ignored(monkeypatch, tmp_path):
    monkeypatch.delenv(compilation_cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder().parent == tmp_path / ".cache" / "gan_forensics"
