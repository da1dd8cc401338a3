"""The images of a session: one thread looks at them, the first stages of all before later ones.

Everything is in memory, within limits; where they are reached the oldest image goes, and that is
said.
"""

import contextlib
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from gan_forensics.data.budget import MOST_BYTES
from gan_forensics.files import shown
from gan_forensics.forensics.failures import failure_of
from gan_forensics.inspector.findings import Opened, Tools
from gan_forensics.inspector.inspection import (
    LAST_WORD,
    Inspection,
    encoded,
    opened,
    received,
    work_off,
)
from gan_forensics.inspector.opening import open_bytes
from gan_forensics.inspector.stages import FIRST, LATER

# Images of a session, bytes of them and of their pictures, images that wait, and lines.
MOST_IMAGES, MOST_CONTENT, MOST_WAITING, MOST_NOTICES = 200, 2**30, 16, 20
# Bytes of pixels that are kept while nothing is done.
MOST_IDLE = 2**28
# What is waited for at the page comes first.
_REGION, _FIRST, _LATER = range(3)
# Height and width of what is looked at before the first image: as many tiles as any has.
_WARMED = (1024, 1536)


def _is_large(file: Opened) -> bool:
    """Whether pixels take so much memory that they are decoded again when they are asked for."""
    return file.pixels is not None and file.pixels.nbytes > MOST_IDLE


@dataclass(frozen=True)
class Limits:
    """What a session holds at most.

    Attributes:
        images: their number.
        file: bytes of one of them.
        content: bytes of all, and of the pictures that were made of them.
        waiting: images that were received and not looked at; more of them are not taken in.
        notices: lines that are kept.
    """

    images: int = MOST_IMAGES
    file: int = MOST_BYTES
    content: int = MOST_CONTENT
    waiting: int = MOST_WAITING
    notices: int = MOST_NOTICES


@dataclass(eq=False)
class Held:
    """An image of the session.

    Attributes:
        inspection: what is known of it.
        content: its bytes.
        changed: the version of the session at which each part of its HTML changed last.
        worked: how many stages that accounts for.
    """

    inspection: Inspection
    content: bytes
    changed: dict[str, int] = field(default_factory=dict)
    worked: int = 0

    @property
    def bytes(self) -> int:
        """Its own and those of its pictures."""
        pictures = [p for made in [*self.inspection.pictures.values()] for p in made.values()]
        return len(self.content) + sum(map(len, pictures))


class Now(NamedTuple):
    """Where a session stands.

    Attributes:
        version: of all that a page shows.
        images: that it holds.
        newest: the number of the last one that was received; 0 before.
        first: of how many all first stages are done.
        done: of how many all stages are done.
    """

    version: int
    images: list[Held]
    newest: int
    first: int
    done: int


class Jobs:
    """The images of a session, and the thread that looks at them.

    Attributes:
        version: grows with every change that a page shows.
        newest: the number of the image that was received last.
        coming: files of folders that are still to be read.

    Example:
        >>> jobs = Jobs(Tools())
        >>> jobs.receive(b"no image", "a.png"), [held.inspection.name for held in jobs.all()]
        (1, ['a.png'])
    """

    def __init__(self, tools: Tools, limits: Limits = Limits()):  # noqa: B008
        self.tools, self.limits = tools, limits
        self.version, self.newest, self.coming = 1, 0, 0
        self.notices: deque[tuple[int, str]] = deque(maxlen=limits.notices)
        self._held: dict[int, Held] = {}
        self._numbers, self._order = itertools.count(1), itertools.count()
        self._queue: queue.PriorityQueue[tuple[int, int, Callable[[], None]]]
        self._queue = queue.PriorityQueue()
        self._lock = threading.RLock()
        self._open: tuple[int, Opened] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="inspector", daemon=True)

    def start(self) -> None:
        """Begin to look at images; what the first of them would wait for is compiled before."""
        self._thread.start()
        if self.tools.detectors:
            self._put(_REGION, self._warm_up)

    def stop(self) -> None:
        """End once the stage that is worked on is done, which is waited for, but not for long."""
        self._stopped = True
        self._put(-1, lambda: None)
        if self._thread.is_alive():
            self._thread.join(2)

    def receive(self, content: bytes, name: str, *, pasted: bool = False) -> int:
        """Take in an image; where that makes too many, the oldest go.

        Returns:
            Its number.
        """
        number = next(self._numbers)
        held = Held(received(content, name, number=number, pasted=pasted), content)
        with self._lock:
            self._held[number] = held
            self.newest = max(self.newest, number)
            self._changed(held, "all")
            self._make_room()
        self._put(_FIRST, lambda: self._look_first(number))
        return number

    def full(self) -> bool:
        """Whether so many images wait that no more should be taken in for now."""
        waiting = sum(not held.inspection.worked for held in self.all())
        return waiting >= self.limits.waiting

    def all(self) -> list[Held]:
        """All images, in the order in which they were received."""
        with self._lock:
            return [*self._held.values()]

    def now(self) -> "Now":
        """Where the session stands at one moment."""
        with self._lock:
            worked = [held.worked for held in self._held.values()]
            first = sum(many >= max(len(FIRST), 1) for many in worked)
            done = sum(many == len(FIRST) + len(LATER) for many in worked)
            return Now(self.version, self.all(), self.newest, first, done)

    def expect(self, files: int) -> None:
        """Count files that are still to be read; fewer by a negative number."""
        with self._lock:
            self.version += 1
            self.coming += files

    def get(self, number: int) -> Held | None:
        """The image of a number."""
        with self._lock:
            return self._held.get(number)

    def inspections(self, number: int | None = None) -> list[Inspection]:
        """What is known of all images, or of one, at this moment: it changes no more."""
        chosen = [h for h in self.all() if number is None or h.inspection.number == number]
        names = ("findings", "pictures", "errors", "worked")
        return [
            replace(
                held.inspection, **{name: getattr(held.inspection, name).copy() for name in names}
            )
            for held in chosen
        ]

    def remove(self, number: int | None = None) -> None:
        """Forget an image, or all of them."""
        with self._lock:
            for each in [number] if number else [*self._held]:
                self._held.pop(each, None)
            if self._open and self._open[0] not in self._held:
                self._open = None
            if number is None:
                self.notices.clear()
            self.version += 1

    def notice(self, line: str) -> None:
        """Have the page say a line."""
        with self._lock:
            self.version += 1
            self.notices.append((self.version, line))

    def region(self, number: int, score: Callable[[Opened], dict[str, Any]]) -> Future:
        """Have the thread score a region of an image, before whatever else it has to do.

        Args:
            number: of the image.
            score: gets it opened.

        Returns:
            What `score` will have returned; KeyError where the image is gone.
        """
        future: Future = Future()

        def work() -> None:
            try:
                future.set_result(score(self._opened(self._held[number])))
            except Exception as error:
                future.set_exception(error)

        self._put(_REGION, work)
        return future

    def _put(self, rank: int, work: Callable[[], None]) -> None:
        self._queue.put((rank, next(self._order), work))

    def _run(self) -> None:
        while True:
            _, _, work = self._queue.get()
            if self._stopped:
                return
            try:
                work()
            except Exception as error:  # The others are looked at all the same.
                self.notice(failure_of("inspector", error).text)
            last = self._open
            if self._queue.empty() and last and _is_large(last[1]):
                self._open = None

    def _warm_up(self) -> None:
        """Look at noise as at the first image; what is found is forgotten."""
        noise = np.random.default_rng(0).integers(0, 256, (*_WARMED, 3), np.uint8)
        file = open_bytes(encoded(noise), "noise")
        for stage in FIRST.values():
            with contextlib.suppress(Exception):  # which the image will hear of
                stage(file, self.tools)

    def _look_first(self, number: int) -> None:
        if held := self.get(number):
            self._work_off(held, FIRST)
            for name in LATER:
                self._put(_LATER, lambda name=name: self._look_later(number, name))

    def _look_later(self, number: int, name: str) -> None:
        if held := self.get(number):
            self._work_off(held, {name: LATER[name]})

    def _work_off(self, held: Held, stages: dict) -> None:
        file = self._opened(held)
        for name in work_off(held.inspection, file, self.tools, stages):
            with self._lock:
                held.worked += 1
                # What has the last word is told where the first was, too.
                told = LAST_WORD[1:] if name == LAST_WORD[0] else ()
                self._changed(held, "summary", "look", name, *told)
                self._make_room()

    def _opened(self, held: Held) -> Opened:
        """An image opened: the pixels of one at a time are kept."""
        number, last = held.inspection.number, self._open
        if last is None or last[0] != number:
            self._open = last = None  # before the next one takes its memory
            self._open = last = number, opened(held.inspection, held.content)
        return last[1]

    def _changed(self, held: Held, *parts: str) -> None:
        self.version += 1
        held.changed |= dict.fromkeys(parts, self.version)

    def _make_room(self) -> None:
        """Let the oldest images go until the rest is within the limits; the last one stays."""
        gone = []
        while len(self._held) > 1 and (
            len(self._held) > self.limits.images
            or sum(held.bytes for held in self._held.values()) > self.limits.content
        ):
            gone.append(self._held.pop(next(iter(self._held))).inspection)
        for inspection in gone:
            self.notice(
                f"{shown(inspection.name)} was removed, the oldest of too many: the page holds "
                f"{self.limits.images} images and {self.limits.content // 2**20} MiB of them; for "
                "more there is gan-forensics inspect --no-browser"
            )
