"""Results of a function of 0, 1, 2 ..., made ahead on threads and handed out in order.

Nothing is waited for without an end: what a thread raises is raised to who asks, and so is a
thread that neither answers nor fails. The threads are daemons, so that one that hangs in a read
does not keep the program from leaving; the others are waited for then, since libraries crash where
Python ends beneath them.
"""

import atexit
import contextlib
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Made = TypeVar("Made")

# Seconds that a result may take; a batch takes milliseconds, a cold network drive some seconds.
PATIENCE = 600.0
# And those that threads have, all together, to end when the program does.
LEAVING = 5.0

_all: "weakref.WeakSet[Ahead]" = weakref.WeakSet()
_threads: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()


class WorkerError(RuntimeError):
    """A thread that makes results ahead hangs, or was ended by what is no error."""


class Ahead(Generic[Made]):
    """The results of `make(number)` from a number on, some of them made before they are asked for.

    Attributes:
        number: of the next result.

    Example:
        >>> squares = Ahead(lambda number: number**2, threads=2, describe=str)
        >>> next(squares), next(squares), squares.number
        (0, 1, 2)
        >>> squares.go_to(5)
        >>> next(squares)
        25
        >>> squares.close()
    """

    def __init__(
        self, make: Callable[[int], Made], *, threads: int, describe: Callable[[int], str]
    ):
        """Start at 0; the threads start when the first result is asked for.

        Args:
            make: called from the threads.
            threads: how many; twice as many results are made ahead.
            describe: names a number, for the error where its result does not come.
        """
        self.number = 0
        self._make, self._threads, self._describe = make, threads, describe
        self._asked: queue.SimpleQueue[_Result | None] = queue.SimpleQueue()
        self._waiting: deque[_Result] = deque()
        self._stop: Callable[[], object] = lambda: None
        _all.add(self)

    def __next__(self) -> Made:
        """The next result.

        Raises:
            WorkerError: after `PATIENCE` seconds without it, and when its thread was ended.
            Exception: what `make` raised.
        """
        if not self._waiting:
            self._start()
        while len(self._waiting) <= 2 * self._threads:
            self._waiting.append(_Result(self.number + len(self._waiting)))
            self._asked.put(self._waiting[-1])
        result = self._waiting[0]
        if not result.done.wait(PATIENCE):
            raise WorkerError(
                f"{self._describe(result.number)} did not come within {PATIENCE:g} seconds: does "
                "the disk, or the network drive, that it is read from still answer? Look, then "
                "resume"
            )
        if isinstance(result.error, Exception):
            raise result.error
        if result.error is not None:
            raise WorkerError(
                f"the thread that made {self._describe(result.number)} was ended by "
                f"{result.error!r}"
            ) from result.error
        self._waiting.popleft()
        self.number += 1
        return result.value

    def go_to(self, number: int) -> None:
        """Make the result of `number` the next one."""
        self.close()
        self.number = number

    def close(self) -> None:
        """Stop the threads, each when it has made what it is at."""
        self._waiting.clear()
        self._stop()
        self._stop = lambda: None

    def _start(self) -> None:
        self._asked = queue.SimpleQueue()
        for _ in range(self._threads):
            # Without a reference to this object, which stops them when nobody has it any more.
            arguments = (self._make, self._asked)
            thread = threading.Thread(target=_work, args=arguments, name="ahead", daemon=True)
            _threads.add(thread)
            thread.start()
        self._stop = weakref.finalize(self, _end, self._asked, self._threads)


class _Result:
    """A result to be made, and then made."""

    def __init__(self, number: int):
        self.number, self.done = number, threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None


def _work(make: Callable[[int], Any], asked: "queue.SimpleQueue[_Result | None]") -> None:
    while (result := asked.get()) is not None:
        try:
            result.value = make(result.number)
        # Whatever it is, who asked hears of it.
        except BaseException as error:
            result.error = error
        result.done.set()


def _end(asked: "queue.SimpleQueue[_Result | None]", threads: int) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            asked.get_nowait()
    for _ in range(threads):
        asked.put(None)


@atexit.register
def _leave() -> None:
    for each in list(_all):
        each.close()
    until = time.monotonic() + LEAVING
    for thread in list(_threads):
        thread.join(max(0.0, until - time.monotonic()))
