"""What XLA compiled is kept for the next run, in a folder that only its user can write to.

Entries are machine code that later runs load, so a folder that others can write to is refused, and
every kind of processor has a folder of its own. JAX bounds the size, and lets runs that share the
folder take turns; an entry that cannot be read is removed and compiled again.
"""

import glob
import hashlib
import logging
import os
import platform
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from gan_forensics.files import private_folder, say
from gan_forensics.files.terminal import is_hushed

# A folder in place of the user's cache folder; OFF switches the cache off.
VARIABLE, OFF = "GAN_FORENSICS_CACHE", "off"
MOST_BYTES = 2**30
# Programs that took less are compiled anew: reading them would hardly be faster.
LEAST_SECONDS = 0.1
# An entry is written in less, or its writer was killed.
WRITTEN_AFTER = 600
PATIENCE = 2.0
# How JAX begins its warning.
DAMAGED = "Error reading persistent compilation cache entry"


def keep_compiled() -> Path | None:
    """Have JAX keep what it compiles; call before the first computation of a process.

    Nothing is changed where JAX was told a folder of its own (`JAX_COMPILATION_CACHE_DIR`), or not
    to keep anything. Where the folder cannot be used, a line on standard error says why.

    Returns:
        The folder that is used.

    Example:
        >>> keep_compiled().parent.name  # doctest: +SKIP
        'gan_forensics'
    """
    config = jax.config
    told: str | None = config.jax_compilation_cache_dir  # pyright: ignore
    if told or not config.jax_enable_compilation_cache:  # pyright: ignore
        return Path(told) if told else None
    try:
        folder = cache_folder()
        if folder is None:
            return None
        str(folder).encode()  # as JAX passes it on
        private_folder(folder, chosen=bool(os.environ.get(VARIABLE)))
        _remove_unfinished(folder)
    except UnicodeEncodeError:
        say(f"compiled programs are not kept (a path that is no text in UTF-8); see {VARIABLE}")
        return None
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        path = getattr(error, "filename", None)
        reason = f"{error.strerror}: {path}" if path else str(error)  # pyright: ignore
        say(f"compiled programs are not kept ({reason}); see {VARIABLE}")
        return None
    warnings.filterwarnings("ignore", message="Error writing persistent compilation")
    warnings.filterwarnings("always", message=DAMAGED)
    warnings.showwarning = _mending(folder, warnings.showwarning)
    config.update("jax_compilation_cache_max_size", MOST_BYTES)
    config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    config.update("jax_compilation_cache_dir", str(folder))
    return folder


def cache_folder() -> Path | None:
    """Where compiled programs of this processor belong; None where they are not to be kept."""
    told = os.environ.get(VARIABLE, "")
    if told.lower() == OFF:
        return None
    if told:
        base = Path(told).expanduser().absolute()
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # The standard has relative paths ignored.
        base = (cache if cache.is_absolute() else Path.home() / ".cache") / "gan_forensics"
    return base / f"compiled-{_processor()}"


def _processor() -> str:
    """A short name of the processor's abilities: code for another may not run here."""
    flags = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        pass
    known = f"{platform.system()} {platform.machine()} {platform.processor()} {flags}"
    return hashlib.sha256(known.encode()).hexdigest()[:8]


def _remove_unfinished(folder: Path) -> None:
    """Remove entries whose writers were killed: JAX notes the time of an entry after it."""
    for entry in folder.glob("*-cache"):
        noted = entry.with_name(entry.name.removesuffix("-cache") + "-atime")
        try:
            if not noted.exists() and time.time() - entry.stat().st_mtime > WRITTEN_AFTER:
                entry.unlink()
        except FileNotFoundError:
            pass  # Another run was faster.


def _mending(folder: Path, show: Callable[..., None]) -> Callable[..., None]:
    """How warnings are shown: of an entry that cannot be read nothing; those of its name go.

    JAX compiles such a program again, but would not write over the entry.
    """

    def showwarning(message: Warning | str, *where: Any, **options: Any) -> None:
        if not (found := re.match(f"{DAMAGED} for '(.+?)'", str(message))):
            show(message, *where, **options)
            return
        for entry in folder.glob(f"{glob.escape(found[1])}-*"):
            entry.unlink(missing_ok=True)

    return showwarning


def say_what_compiles() -> None:
    """Print a line on standard error about every program that takes long to compile.

    Example:
        >>> say_what_compiles()  # doctest: +SKIP
    """
    logger = logging.getLogger("jax._src.interpreters.pxla")
    if not any(isinstance(known, _Patience) for known in logger.filters):
        patience = _Patience(logger.getEffectiveLevel())
        logger.addFilter(patience)
        logger.setLevel(logging.DEBUG)
        jax.monitoring.register_event_duration_secs_listener(patience.ended)


class _Patience(logging.Filter):
    """Reads in JAX's own log what begins to compile; says so when that takes `PATIENCE` seconds.

    Records below `level`, which were not logged before, go no further.
    """

    def __init__(self, level: int):
        super().__init__()
        self.level = level
        self.timer: threading.Timer | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Compiling %s with") and isinstance(record.args, tuple):
            self.ended()
            name = str(record.args[0]).removeprefix("jit(").removesuffix(")").removeprefix("jit_")
            self.timer = threading.Timer(PATIENCE, _say, [name])
            self.timer.daemon = True
            self.timer.start()
        return record.levelno >= self.level

    def ended(self, event: str = "backend_compile", duration_secs: float = 0, **_: Any) -> None:
        if self.timer and "backend_compile" in event:
            self.timer.cancel()


def _say(name: str) -> None:
    if is_hushed():
        return
    kept = jax.config.jax_compilation_cache_dir  # pyright: ignore
    tqdm.write(f"compiling {name} ..." + (" (kept for the next run)" if kept else ""), sys.stderr)
