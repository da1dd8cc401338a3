"""Whether the processes of a job are there, and what becomes of one when another is not.

A thread of every process says once a second where that is, on the board of JAX's coordinator, and
reads what became of the others. Process 0 looks after all of them, and they after process 0. Who
fails, or is asked to stop before the first step, leaves word for all; they have a moment to end by
themselves, and are ended then, since nothing else ends a wait for a process that does not come.
"""

import atexit
import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import threading
import time
from typing import Any

import jax

from gan_forensics.files import say
from gan_forensics.runtime.board import Board

# Seconds till all processes of a job must have come, and till it is said that one waits for them.
START, PATIENCE = 300.0, 15.0
# Seconds: between signs of life, till a process without one is missed, till it is said for whom a
# step waits, and till that is given up; what others have to end by themselves, and to be seen off.
BEAT, MISSING, NOTICE, LIMIT = 1.0, 30.0, 60.0, 600.0
GRACE, SEEN_OFF = 5.0, 10.0
# When JAX ends this process: seconds till one that was not heard of is gone, and that process 0 has
# to answer a call.
UNHEARD, ANSWER = 3.0, 3.0
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)


class Presence:
    """The thread of this process.

    Attributes:
        board: where it reads and writes; None till the coordinator answers.
        stepping: whether the first step was begun, after which all stop at the end of a step.
    """

    def __init__(self):
        self.board: Board | None = None
        self.stepping = False
        self._doing, self._since, self._said = "starting", time.monotonic(), 0.0
        self._beats, self._step = 0, 0
        self._seen: dict[int, tuple[Any, float]] = {}
        self._leaving = threading.Event()
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        # Told of signals at once, where Python's own handlers wait for the end of what XLA does.
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            # Which needs a handler; commands have one.
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()
        # While Python ends, no thread may wait for the coordinator.
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the thread."""
        self._leaving.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def at(self, doing: str) -> str:
        """Say what this process does from now on; returns what it did."""
        before, self._doing, self._since, self._said = self._doing, doing, time.monotonic(), 0.0
        return before

    def at_step(self, step: int) -> None:
        """Say that this process begins a step, which waits for all others."""
        self._step = step
        self.at(f"step {step}")

    def word(self, code: int, why: str) -> None:
        """Leave word to all that this process ends, and why; the first word stands."""
        if self.board:
            self.board.put_first("word", {"process": self.board.index, "code": code, "why": why})

    def left(self, *, limit: float) -> bool:
        """Say that this process ends, and wait so many seconds for the others to say so too.

        Returns:
            Whether all have.
        """
        assert self.board
        self.stop()
        self.board.put(f"left/{self.board.index}", 0)
        end = time.monotonic() + limit
        while len(self.board.all("left")) < self.board.count:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def seen_off(self) -> None:
        """Say that this process ends; process 0, whose board all read, lets the others go first."""
        assert self.board
        self.left(limit=SEEN_OFF if self.board.index == 0 else 0)

    def describe(self, index: int) -> str:
        """A process by its number, host, and where it was last."""
        return _described(index, self.board.now(f"at/{index}") if self.board else None)

    def silent(self, seconds: float) -> list[int]:
        """The processes that give no sign of life for so long, looked at for as long."""
        assert self.board
        first = self.board.all("at")
        time.sleep(seconds)
        then = self.board.all("at")
        return [i for i in range(self.board.count) if first.get(i) == then.get(i)]

    def _run(self) -> None:
        while not self._leaving.is_set():
            ready, _, _ = select.select([self._pipe[0]], [], [], BEAT)
            try:
                if ready:
                    self._signalled(os.read(self._pipe[0], 64))
                if self.board:
                    self._beat(self.board)
                    self._look(self.board)
                else:
                    self._await_others()
            except jax.errors.JaxRuntimeError:
                pass  # The coordinator is gone: JAX ends this process.

    def _await_others(self) -> None:
        """Before the coordinator answers, which it does when all have come."""
        waited = time.monotonic() - self._since
        if waited > START:
            self._end(
                1,
                f"{self._doing}: not all of them came within {START:.0f} s. Each needs the same "
                "address and count, and a number of its own",
            )
        if waited > (self._said or PATIENCE):
            self._said = START
            say(f"{self._doing} ...", always=True)

    def _signalled(self, numbers: bytes) -> None:
        asked = [number for number in numbers if number in (signal.SIGINT, signal.SIGTERM)]
        if self.stepping or not asked:
            return
        name = signal.Signals(asked[0]).name
        why = f"{name} before the first step: nothing was trained"
        self.word(128 + asked[0], why)
        self._end(128 + asked[0], why)

    def _beat(self, board: Board) -> None:
        self._beats += 1
        board.put(
            f"at/{board.index}",
            {
                "beat": self._beats,
                "doing": self._doing,
                "step": self._step,
                "host": socket.gethostname(),
            },
        )

    def _look(self, board: Board) -> None:
        if word := board.now("word"):
            if word["process"] == board.index:
                return
            signalled = word["code"] >= 128
            # This process may be about to end by itself, for the same reason.
            if not signalled and self._leaving.wait(GRACE):
                return
            self._end(word["code"] if signalled else 1, f"process {word['process']}: {word['why']}")
        now = time.monotonic()
        others = range(1, board.count) if board.index == 0 else [0]
        there = board.all("at") if board.index == 0 else {0: board.now("at/0")}
        gone = board.all("left") if board.index == 0 else {}
        for index in others:
            known = there.get(index)
            if known != self._seen.get(index, (None, 0.0))[0] or index not in self._seen:
                self._seen[index] = known, now
            elif now - self._seen[index][1] > MISSING and index not in gone:
                why = (
                    f"{self.describe(index)} has given no sign of life for {MISSING:.0f} s: it is "
                    "dead or cannot be reached. Start the whole job again to go on from the "
                    "newest checkpoint"
                )
                self.word(1, why)
                self._end(1, why)
        waited = now - self._since
        if not self._step or waited < (self._said or NOTICE):
            return
        # Who measures or saves does it at its step; only who has not begun one is waited for.
        begun = {index: at["step"] for index, at in board.all("at").items()}
        late = [index for index in begun if begun[index] < max(begun.values())]
        if not late:
            return
        whom = "; ".join(self.describe(index) for index in late)
        line = f"{self._doing} takes {waited:.0f} s so far: waiting for {whom}"
        if waited > LIMIT:
            self.word(1, line)
            self._end(1, line)
        self._said = waited + NOTICE
        say(line)

    def _end(self, code: int, why: str) -> None:
        """End this process, whatever its main thread waits for."""
        with contextlib.suppress(OSError):  # such as a full disk, which keeps nobody here
            say(f"gan-forensics: {why}", always=True)
        if self.board:
            with contextlib.suppress(jax.errors.JaxRuntimeError):
                self.seen_off()
        end_now(code)

    def speak_when_aborted(self, coordinator: str | None) -> None:
        """Say who is gone when JAX ends this process.

        JAX does so at once where the coordinator is gone, or another process was started again, in
        C, with words of its own and no way to hear of it but the signal.
        """
        libc = ctypes.CDLL(None)
        libc.signal.restype, libc.signal.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]

        def aborted(number: int) -> None:
            now = time.monotonic()
            gone = [i for i, (_, heard) in self._seen.items() if now - heard > UNHEARD]
            if self.board and self.board.index and coordinator and not _answers(coordinator):
                gone = [0]
            if gone:
                last = [_described(i, self._seen.get(i, (None, 0.0))[0]) for i in gone]
                with contextlib.suppress(OSError):
                    say(
                        f"gan-forensics: {' and '.join(last)} is gone. Start the whole job again "
                        "to go on from the newest checkpoint",
                        always=True,
                    )
                end_now(1)
            libc.signal(number, before)
            getattr(libc, "raise")(number)

        self._aborted = _Handler(aborted)  # C has no other hold of it.
        before = libc.signal(signal.SIGABRT, ctypes.cast(self._aborted, ctypes.c_void_p))


def _answers(coordinator: str) -> bool:
    """Whether somebody listens at HOST:PORT."""
    host, _, port = coordinator.rpartition(":")
    with contextlib.suppress(OSError):
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
        return True
    return False


def _described(index: int, known: Any) -> str:
    """A process by its number and what it last said of itself."""
    if known is None:
        return f"process {index}"
    return f"process {index} ({known['host']}; last at {known['doing']})"


def end_now(code: int) -> None:
    """End the process without JAX's farewell, which waits for all the others."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()
    os._exit(code)
