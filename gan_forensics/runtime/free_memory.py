"""How much memory a process may still take: of the machine, its container, and its own limit."""

import contextlib
import sys
from pathlib import Path

# Address space beside what is used: the heap that `keep_scratch_memory` sets apart, and libraries.
_SET_APART = 2**31
_GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Bytes that may still be used; very many where the system does not tell (not Linux)."""
    if not sys.platform.startswith("linux"):
        return sys.maxsize
    import resource

    free = [sys.maxsize]
    with contextlib.suppress(OSError, ValueError, KeyError):
        free.append(_kilobytes("/proc/meminfo", "MemAvailable"))
    with contextlib.suppress(OSError, ValueError):
        limit = int((_GROUP / "memory.max").read_text())  # a word where there is none
        free.append(limit - int((_GROUP / "memory.current").read_text()))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError, KeyError):
            free.append(limit - _kilobytes("/proc/self/status", "VmRSS") - _SET_APART)
    return max(0, min(free))


def _kilobytes(file: str, name: str) -> int:
    lines = dict(line.split(":", 1) for line in Path(file).read_text().splitlines() if ":" in line)
    return 1024 * int(lines[name].split()[0])
