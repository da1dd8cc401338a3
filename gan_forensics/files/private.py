"""Folders that nobody else may have written to, and folders in which nothing leads elsewhere."""

import os
import stat
from pathlib import Path

from gan_forensics.files.paths import refuse_remote
from gan_forensics.files.showing import shown


def private_folder(folder: Path, *, chosen: bool = True) -> None:
    """Make a folder for what later runs trust, or check that it is the user's alone.

    Args:
        folder: an absolute path.
        chosen: whether somebody named it. It must not lie below the working folder then, where
            what strangers send is unpacked (the user's own ~/.cache apart), nor in a run folder.

    Raises:
        PermissionError: when it is a link, others own it or an entry, or can write to it, or it
            lies where it must not.
        OSError: when it cannot be made or written to.

    Example:
        >>> from pathlib import Path  # doctest: +SKIP
        >>> cache = Path.home() / ".cache" / "gan-forensics"  # doctest: +SKIP
        >>> private_folder(cache)  # doctest: +SKIP
        >>> oct(cache.stat().st_mode)  # doctest: +SKIP
        '0o40700'
    """
    folder = Path(os.path.abspath(folder))
    if chosen:
        own = folder.is_relative_to(os.path.expanduser("~/.cache"))
        if folder.is_relative_to(Path.cwd()) and not own:
            raise PermissionError(1, "a cache must not lie below the working folder", str(folder))
        if any((above / "config.json").exists() for above in folder.parents):
            raise PermissionError(1, "a cache must not lie in a run folder", str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "geteuid"):
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(1, "a link, or others could have written to", str(folder))
        for path in (folder, *folder.iterdir()):
            status = path.lstat()
            if status.st_uid != os.geteuid():
                raise PermissionError(1, "it belongs to somebody else", str(path))
            if stat.S_ISLNK(status.st_mode):
                raise PermissionError(1, "it is a link", str(path))
        folder.chmod(0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(1, "cannot write to", str(folder))


def refuse_links(folder: Path | str) -> None:
    """Refuse a run folder that holds links, pipes or devices, at any depth.

    Whoever sends one chooses where they lead: reads and writes would leave the folder, or wait
    without an end. The folder itself may be reached through a link.

    Raises:
        ValueError: naming the first one.

    Example:
        >>> refuse_links("runs/mine")  # doctest: +SKIP
        Traceback (most recent call last):
        ValueError: runs/mine/last: it is a link; run folders hold plain files ...
    """
    refuse_remote(folder)
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(path, name)).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                what = "a link" if stat.S_ISLNK(mode) else "a pipe or a device"
                raise ValueError(
                    f"{shown(os.path.join(path, name))}: it is {what}; run folders hold plain "
                    "files and folders alone: remove it, or put what it leads to in its place"
                )
