"""A process that reads damaged files under limits and tells what came out that should not.

    python -m tests.fuzz_worker KIND NUMBER     # replay one input, with its traceback
    python -m tests.fuzz_worker                 # list the kinds

`tests.test_fuzz` runs it with more arguments. What is wrong: an exception of another type than the
documented ones, or whose message is not one printable line; a time above `SECONDS`; memory far
above the size of the input; a program started; a file opened in the home folder, or written,
removed or left anywhere but where it should be.
"""

import argparse
import contextlib
import faulthandler
import functools
import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests import fuzz_corpus, fuzz_images, fuzz_mutators, fuzz_readers

SECONDS = 10.0  # for an input
STARTING = 300.0  # for imports and good files
PATIENCE = 60.0  # seconds that a process may hang for in what Python cannot interrupt
MEMORY = 2 << 30  # that the process may ask for, beyond what it has after importing
FLOOD = 1 << 30  # that an input may use
GROWTH = 200 << 20  # of the process between 500 inputs and the last
LARGEST_FILE = 64 << 20
LONGEST = 4000  # characters of a message
COMMAND = [sys.executable, "-m", "tests.fuzz_worker"]
SECRET = "what nobody may read or write"


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
        seeds: makes good files; where there are none, a package is missing.
        mutate: damages them.
        name: of the file, below a folder.
        read: reads it, as the package does.
        beside: puts further files into the folder.
        share: of the inputs that are made of others; what is slow gets fewer.
    """

    seeds: Callable[[], Sequence[bytes]]
    mutate: fuzz_mutators.Mutator
    name: str
    read: Callable[[Path], Any]
    beside: Callable[[Path], None] = lambda folder: None
    share: float = 1.0


_m, _c, _r = fuzz_mutators, fuzz_corpus, fuzz_readers
KINDS: dict[str, Kind] = {
    **{
        name: Kind(seeds, _m.of_png if name == "png" else _m.of_bytes, "input.img", _r.picture)
        for name, seeds in fuzz_images.SEEDS.items()
    },
    "npz-source": Kind(_c.sources, _m.of_npz, "input.npz", _r.source),
    "tar": Kind(_c.tars, _m.of_bytes, "input.tar", _r.packed),
    "zip": Kind(_c.zips, _m.of_zip, "input.zip", _r.packed),
    "parquet": Kind(_c.parquets, _m.of_bytes, "input.parquet", _r.packed),
    "npz-weights": Kind(_c.weights, _m.of_npz, "input.npz", _r.weights),
    "npz-table": Kind(_c.table_archives, _m.of_npz, "input.npz", _r.table),
    "safetensors": Kind(_c.safetensors, _m.of_safetensors, "input.safetensors", _r.weights),
    "torch": Kind(_c.torch, _m.of_zip, "input.pth", _r.weights),
    "detector": Kind(_c.detectors, _m.of_npz, "input.npz", _r.detector),
    "attributor": Kind(_c.attributors, _m.of_npz, "input.npz", _r.attributor),
    "bands": Kind(_c.bands, _m.of_npz, "input.npz", _r.bands),
    "mat": Kind(_c.mats, _m.of_mat, "input.mat", _r.table),
    "idx": Kind(_c.idx, _m.of_gzip, "input-images-idx3-ubyte.gz", _r.idx),
    "csv-table": Kind(_c.tables, _m.of_text, "input.csv", _r.table),
    "csv-list": Kind(_c.lists, _m.of_text, "input.csv", _r.listed, _c.beside_list),
    "csv-sources": Kind(_c.attributed, _m.of_text, "input.csv", _r.attributed, _c.beside_list),
    "csv-landmarks": Kind(_c.landmarks, _m.of_text, "input.csv", _r.landmarks),
    "csv-track": Kind(_c.tracks, _m.of_text, "input.csv", _r.track),
    "config": Kind(_c.configs, _m.of_json, "run/config.json", _r.run),
    "results": Kind(_c.results, _m.of_json, "run/results.json", _r.run),
    "data": Kind(_c.data_records, _m.of_json, "run/data.json", _r.run),
    "metrics": Kind(_c.metrics, _m.of_json, "run/metrics.jsonl", _r.metrics),
    "manifest": Kind(
        _c.manifests, _m.of_json, "run/manifest.json", _r.manifest, _c.beside_manifest
    ),
    "links": Kind(_c.links, _m.of_links, "input.json", _r.links, share=0.25),
    "checkpoint": Kind(_c.runs, _m.of_run, "input.zip", _r.whole_run, share=0.1),
    "benchmark": Kind(_c.benchmarks, _m.of_json, "run/benchmark.json", _r.benchmark),
    "face-weights": Kind(
        _c.face_weights, _m.of_json, "input.json", _r.face_weights, _c.beside_face_weights
    ),
    "wfm": Kind(_c.faces, _m.of_text, "input.wfm", _r.face),
    "mo": Kind(_c.catalogues_mo, _m.of_bytes, "input.mo", _r.parallel),
    "po": Kind(_c.catalogues_po, _m.of_text, "input.po", _r.parallel),
    "sentences": Kind(_c.parallel, _m.of_text, "input.txt", _r.sentences),
    "vocabulary": Kind(_c.vocabularies, _m.of_bytes, "run/vocabulary.model", _r.vocabulary),
    "video": Kind(_c.videos, _m.of_bytes, "input.mp4", _r.video),
}  # fmt: skip


class TooSlow(BaseException):
    """Raised inside of a reader whose time is up; no `except Exception` stops it."""


class Damage(BaseException):
    """Something that no reader may do: raised at the place where it is done."""


@functools.cache
def seeds_of(kind: str) -> Sequence[bytes]:
    """The good files of a kind."""
    return KINDS[kind].seeds()


def made(kind: str, number: int) -> bytes:
    """The input of a number: always the same bytes."""
    return KINDS[kind].mutate(Random(f"{kind} {number}"), seeds_of(kind))


# Folders ----------------------------------------------------------------------------------------


def furnish(folder: Path, kind: str) -> Path:
    """Make the folders of a run: home, work, temporary files, and that of the input."""
    for name in ("home/.ssh", "work", "tmp", "in"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("home/notes.txt", "home/.ssh/authorized_keys"):
        (folder / name).write_text(SECRET)
    shutil.rmtree(folder / "in")
    (folder / "in").mkdir()
    path = folder / "in" / KINDS[kind].name
    path.parent.mkdir(exist_ok=True)
    KINDS[kind].beside(path.parent)
    return path


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with its size and the time of its last change."""
    found = {}
    for path, _, files in os.walk(folder):
        for name in files:
            status = os.lstat(os.path.join(path, name))
            found[os.path.join(path, name)] = status.st_size, status.st_mtime_ns
    return found


# Limits -----------------------------------------------------------------------------------------

_STARTS = ("subprocess.Popen", "os.exec", "os.system", "os.posix_spawn", "os.fork", "os.forkpty",
           "pty.spawn", "socket.connect", "socket.getaddrinfo", "urllib.Request")  # fmt: skip
# By which libraries look at the machine that they run on, once.
_OF_THE_MACHINE = ("uname", "lscpu")
# Which of the arguments are the names of what is changed.
_WRITES = {"os.remove": (0,), "os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,),
           "os.truncate": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.chmod": (0,)}  # fmt: skip
# Those whose last argument is the folder that a name is in.
_INSIDE = ("os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.chmod")


class Watch:
    """An audit hook: what is opened, written and started while an input is read."""

    def __init__(self, folder: Path):
        self.on = False
        self.where = ""
        self._home, self._in = str(folder / "home"), str(folder / "in")
        self._may_write = (self._in, str(folder / "tmp"), "/dev/null")
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        """Note what is forbidden, and stop it."""
        if not self.on:
            return
        if event in _STARTS and arguments[0] not in _OF_THE_MACHINE:
            self._stop(f"{event} {arguments[0]!r}")
        elif event == "open":
            path, mode, flags = arguments
            if not isinstance(path, str | bytes | os.PathLike):
                return
            path = os.path.realpath(os.fsdecode(path))
            if path.startswith((self._home, "/etc/passwd", "/etc/shadow")):
                self._stop(f"opened {path}")
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND)
            if writes and not path.startswith(self._may_write):
                self._stop(f"wrote {path}")
        elif event in _WRITES:
            for at in _WRITES[event]:
                path = arguments[at]
                if isinstance(path, str | bytes | os.PathLike):
                    inside = arguments[-1] if event in _INSIDE else -1
                    # Of a link itself, not of what it leads to.
                    start = "" if inside == -1 else os.readlink(f"/proc/self/fd/{inside}")
                    folder, name = os.path.split(
                        os.path.abspath(os.path.join(start, os.fsdecode(path)))
                    )
                    path = os.path.join(os.path.realpath(folder), name)
                    if not path.startswith(self._may_write):
                        self._stop(f"{event} {path}")

    def _stop(self, what: str) -> None:
        self.where = what
        raise Damage(what)


def limit_process(most: int = MEMORY) -> None:
    """Bound memory, in bytes beyond what there is now, and the size of files."""
    most += memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` in the block after some seconds."""

    def stop(*_: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def memory(name: str) -> int:
    """A number of bytes in /proc/self/status: VmRSS now, VmHWM at most since `forget_most`."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(name.encode()):
                return 1024 * int(line.split()[1])
    return 0


def forget_most() -> None:
    """Begin the highest memory anew."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


# One input --------------------------------------------------------------------------------------


def problem_of(error: BaseException, path: Path) -> str | None:
    """What is wrong with an exception that a damaged file led to; None for a documented one."""
    from gan_forensics.files import in_words

    kind = f"{type(error).__module__}.{type(error).__name__}"
    named = type(error).__module__.startswith("gan_forensics.")
    if not (named or type(error) in (ValueError, ImportError) or isinstance(error, OSError)):
        return f"an undocumented {kind}: {str(error)[:300]!r}"
    text = in_words(error) if isinstance(error, OSError) else str(error)
    if not text.strip():
        return f"a {kind} without words"
    if len(text) > LONGEST:
        return f"a message of {len(text)} characters: {text[:300]!r}"
    if "\n" in text or not text.isprintable():
        return f"a message that is not one printable line: {text[:300]!r}"
    if "weights_only=False" in text or "allow_pickle=True" in text:
        return f"bad advice: {text[:300]!r}"
    if "Traceback" in text or "File too large" in text:
        return f"a strange message: {text[:300]!r}"
    if path.name not in text and path.parent.name not in text:
        return f"a message that does not name the file: {text[:300]!r}"
    return None


def attempt(kind: str, path: Path, data: bytes) -> tuple[str | None, BaseException | None]:
    """Read an input: what is wrong with what came out, and the exception, where there was one."""
    path.write_bytes(data)
    try:
        with time_limit(SECONDS):
            KINDS[kind].read(path)
    except TooSlow as error:
        return f"more than {SECONDS:g} seconds", error
    except MemoryError as error:
        return f"memory: {len(data)} bytes asked for more than {MEMORY >> 20} MiB", error
    except Damage as error:
        return str(error), error
    except Exception as error:
        return problem_of(error, path), error
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]!r}", error
    return None, None


def batch(folder: Path, kind: str, numbers: range, tell: Callable[..., None]) -> dict[str, Any]:
    """Read inputs one after another, tell of those that went wrong, and count.

    Args:
        folder: an empty one, for all that is read and written.
        kind: a key of `KINDS`.
        numbers: of the inputs.
        tell: gets the `number` of an input and its `problem`: None before it is read.
    """
    path = furnish(folder, kind)
    seeds_of(kind)
    watch = _watch(folder)
    counts = {"inputs": 0, "read": 0, "refused": 0, "wrong": 0, "slowest": 0.0, "most_MiB": 0}
    expected, early, begin = listing(folder), 0, time.monotonic()
    for number in numbers:
        data = made(kind, number)
        tell(number=number, problem=None)
        forget_most()
        base, start = memory("VmRSS"), time.monotonic()
        watch.on, watch.where = True, ""
        problem, error = attempt(kind, path, data)
        watch.on = False
        seconds, used = time.monotonic() - start, memory("VmHWM") - base
        # What was stopped may have been caught and called something else.
        problem = watch.where or problem
        if problem is None and used > FLOOD:
            problem = f"memory: {len(data)} bytes used {used >> 20} MiB"
        counts["inputs"] += 1
        counts["refused" if error else "read"] += 1
        counts["slowest"] = max(counts["slowest"], round(seconds, 2))
        counts["most_MiB"] = max(counts["most_MiB"], used >> 20)
        if problem:
            counts["wrong"] += 1
            tell(number=number, problem=problem)
        del error
        if counts["inputs"] % 500 == 0 or number == numbers[-1]:
            gc.collect()
            if early and memory("VmRSS") - early > GROWTH:
                tell(number=number, problem=f"grew by {(memory('VmRSS') - early) >> 20} MiB")
            early = early or memory("VmRSS")
            now = listing(folder)
            shown = _r.WRITTEN | {path.name}
            odd = sorted(
                name for name in expected.keys() | now.keys()
                if expected.get(name) != now.get(name) and Path(name).name not in shown
            )  # fmt: skip
            if odd:
                tell(number=number, problem=f"files changed or left: {odd[:5]}")
                expected = now
    return {**counts, "seconds": round(time.monotonic() - begin, 1)}


@functools.cache
def _watch(folder: Path) -> Watch:
    return Watch(folder)


# Processes --------------------------------------------------------------------------------------


def warm_up(kind: str) -> None:
    """Read the good files, so that what is imported for them is not the first input's doing."""
    for seed in seeds_of(kind):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / KINDS[kind].name
            path.parent.mkdir(exist_ok=True)
            KINDS[kind].beside(path.parent)
            path.write_bytes(seed)
            with contextlib.suppress(ValueError, ImportError, OSError):
                KINDS[kind].read(path)


def prepare(folder: Path) -> None:
    """Make this process one that reads strangers' files in a folder."""
    scratch = folder / "tmp"
    os.environ.update(HOME=str(folder / "home"), TMPDIR=str(scratch), MPLBACKEND="Agg")
    os.environ.update(MPLCONFIGDIR=str(scratch / "mpl"), XDG_CACHE_HOME=str(scratch / "cache"))
    os.environ.update(JAX_PLATFORMS="cpu", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false")
    for name in ("home", "work", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(scratch)
    warnings.simplefilter("ignore")


def read_all(
    kinds: Sequence[str], count: int, folder: Path
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Read inputs of some kinds in processes of their own; one that dies is followed by another.

    Returns:
        What `batch` counted, by kind, and what was wrong, in words.
    """
    report = folder / "report.jsonl"
    left, counts, wrong = list(kinds), {}, []
    while left:
        report.write_text("")
        command = [*COMMAND, "--count", str(count)]
        command += ["--folder", str(folder / "files"), "--report", str(report), *left]
        with (folder / "said.txt").open("w") as said:
            worker = subprocess.Popen(command, stdout=said, stderr=said)
            size, quiet = 0, time.monotonic()
            while worker.poll() is None:
                time.sleep(0.2)
                if report.stat().st_size != size:
                    size, quiet = report.stat().st_size, time.monotonic()
                elif time.monotonic() - quiet > (PATIENCE if size else STARTING):
                    worker.kill()
        last = None
        for record in map(json.loads, report.read_text().splitlines()):
            if "counts" in record:
                counts[record["kind"]], last = record["counts"], None
            elif record["problem"]:
                wrong.append(f"{record['kind']} {record['number']}: {record['problem']}")
            else:
                last = record
        if worker.returncode == 0:
            break
        ended = f"ended with {worker.returncode}"
        if last is None:
            tail = (folder / "said.txt").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the worker {ended} before its first input: {tail}")
        wrong.append(f"{last['kind']} {last['number']}: the process {ended}")
        place = [kind.partition(":")[0] for kind in left].index(last["kind"])
        left = [f"{last['kind']}:{last['number'] + 1}", *left[place + 1 :]]
    return counts, wrong


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", nargs="*", help="KIND NUMBER, or with --count KIND[:FIRST] ...")
    parser.add_argument("--count", type=int, help="inputs of each kind, up to this number")
    parser.add_argument("--folder", type=Path, help="where files are read and written")
    parser.add_argument("--report", type=Path, help="a file for JSON lines")
    asked = parser.parse_args()
    if not asked.kind:
        print("\n".join(KINDS))
        return
    faulthandler.enable()
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="fuzz_"))).resolve()
    prepare(folder)
    if asked.count is None:
        _replay(folder, asked.kind[0], int(asked.kind[1]))
        return
    kinds = [kind.partition(":")[::2] for kind in asked.kind]
    for name, _ in kinds:
        warm_up(name)
    os.chdir(folder / "work")
    with asked.report.open("a", encoding="utf-8") as report:
        limit_process()
        for name, first in kinds:

            def write(name: str = name, **record: Any) -> None:
                report.write(json.dumps({"kind": name, **record}) + "\n")
                report.flush()

            if not seeds_of(name):
                write(counts={"skipped": "a package is missing"})
                continue
            last = max(1, round(asked.count * KINDS[name].share))
            write(counts=batch(folder, name, range(int(first or 0), last), write))


def _replay(folder: Path, kind: str, number: int) -> None:
    """Read one input; show what came out, and keep it."""
    path = furnish(folder, kind)
    data = made(kind, number)
    warm_up(kind)
    os.chdir(folder / "work")
    limit_process()
    watch = _watch(folder)
    watch.on = True
    start = time.monotonic()
    problem, error = attempt(kind, path, data)
    watch.on = False
    if error:
        traceback.print_exception(error)
    print(f"\n{path}: {len(data)} bytes, {time.monotonic() - start:.2f} s")
    print(f"wrong: {watch.where or problem}" if watch.where or problem else "as it should be")


if __name__ == "__main__":
    main()
