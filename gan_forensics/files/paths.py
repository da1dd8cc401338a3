"""Paths that cannot serve are refused in words, before any work."""

import errno
import os
import re
import stat
from pathlib import Path

from gan_forensics.files.showing import shown

_IN_WORDS = {
    errno.ENOENT: "no such file or folder",
    errno.EEXIST: "a file of that name is in the way",
    errno.EISDIR: "is a folder, where a file is needed",
    errno.ENOTDIR: "leads through a file, where a folder is needed",
    errno.EACCES: "you have no permission for it",
    errno.EPERM: "you have no permission for it",
    errno.EROFS: "lies where nothing can be written",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "links that lead in a circle",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is full",
    errno.EFBIG: "larger than files may be here (ulimit -f)",
}
# How what an address names comes to a folder of this machine.
_MEND = {
    "gs gcs": "mount the bucket (gcsfuse BUCKET FOLDER) or copy it (gcloud storage cp -r)",
    "s3 s3a s3n r2": "mount the bucket (mount-s3 BUCKET FOLDER) or copy it (aws s3 sync)",
    "az abfs abfss adl wasb wasbs": "mount the container (blobfuse2) or copy it (azcopy copy)",
    "hdfs webhdfs viewfs": "mount it (hadoop-fuse-dfs) or copy it (hdfs dfs -get)",
    "http https ftp ftps": "download it (curl -LO)",
    "memory": "write it to a folder",
    "file": "leave out file://",
}
_MEND = {scheme: mend for schemes, mend in _MEND.items() for scheme in schemes.split()}
_ADDRESS = re.compile(r"(?:^|[:,=])(([A-Za-z][A-Za-z0-9+.-]+)://[^\s,]*)")
# What a `Path` makes of one.
_CUT = re.compile(rf"({'|'.join(_MEND)}):/(?!/)")
# What a shell's `>` writes to as it is: the system's own names of open files.
_OPEN_FILE = re.compile(r"/dev/(stdout|stderr|fd/[0-9]+)|/proc/self/fd/[0-9]+")


def in_words(error: OSError) -> str:
    """What the system refused, in words: the path and what is wrong with it, without its number.

    Example:
        >>> in_words(FileNotFoundError(2, "No such file or directory", "a.png"))
        'a.png: no such file or folder'
    """
    # Of a rename the second name is the one that was asked for.
    path = error.filename2 or error.filename
    words = _IN_WORDS.get(error.errno or 0, error.strerror or str(error))
    return f"{shown(path)}: {words}" if path else words


def refuse_remote(place: str | os.PathLike, option: str = "") -> None:
    """Refuse the address of a store, such as gs://bucket/run, where a place on this machine serves.

    Nothing is fetched, and a local folder of that name is never made. One that is there, `gs:`, can
    be given as ./gs:/run.

    Args:
        place: a path, or the name of data that holds one.
        option: that names it.

    Raises:
        ValueError: naming the address, and how it comes to a folder.

    Example:
        >>> refuse_remote("runs/mine"), refuse_remote("folder:photos")
        (None, None)
        >>> refuse_remote("s3://bucket/run", "--out")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: --out s3://bucket/run: only folders and files of this machine are read ...
    """
    text = str(place)
    if found := _ADDRESS.search(text):
        address, scheme = found[1], found[2]
    elif (found := _CUT.match(text)) and not os.path.isdir(f"{found[1]}:"):
        address, scheme = text.replace(":/", "://", 1), found[1]
    else:
        return
    mend = _MEND.get(scheme.lower(), "mount or copy it")
    raise ValueError(
        f"{option + ' ' * bool(option)}{shown(address)}: only folders and files of this machine "
        f"are read and written: {mend}, and give the local path"
    )


def open_file(path: Path | str) -> int | None:
    """The number of the open file that a path such as /dev/stdout names; None for others."""
    match = _OPEN_FILE.fullmatch(os.path.abspath(path))
    if match is None:
        return None
    return {"stdout": 1, "stderr": 2}.get(str(match[1])) or int(match[0].rpartition("/")[2])


def is_stream(path: Path | str) -> bool:
    """Whether a path is a device, a pipe or an open file, which gets the bytes and stays.

    Raises:
        ValueError: for a link, since nothing is written through one, for a disk, and an address.

    Example:
        >>> is_stream("/dev/null"), is_stream("scores.csv")
        (True, False)
    """
    if open_file(path) is not None:
        return True
    refuse_remote(path)
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    if stat.S_ISLNK(mode):
        raise ValueError(
            f"{shown(path)}: it is a link, and nothing is written through one; give the file that "
            "it leads to, or remove it"
        )
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise ValueError(f"{shown(path)}: no file, pipe or terminal; choose another name")
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def check_folder_out(
    path: Path | str, option: str = "--out", *, given: Path | str | None = None
) -> None:
    """Refuse a folder for results that cannot be made, or not be written to.

    Args:
        path: the folder.
        option: that names it.
        given: what the option says, where that is a file in the folder.

    Raises:
        ValueError: naming the option and what is in the way.

    Example:
        >>> check_folder_out("/dev/null/runs")
        Traceback (most recent call last):
        ValueError: --out /dev/null/runs: /dev/null is no folder; choose another place
    """
    refuse_remote(path, option)
    path, given = Path(path), path if given is None else given
    # lexists: a link that leads nowhere is in the way too.
    there = next((some for some in (path, *path.parents) if os.path.lexists(some)), Path())
    if not there.is_dir():
        what = "it" if there == Path(given) else shown(there)
        raise ValueError(f"{option} {shown(given)}: {what} is no folder; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f"{option} {shown(given)}: you have no permission to write to {shown(there)}"
        )


def check_file_out(path: Path | str, option: str = "--out") -> None:
    """Refuse a file for results that is a folder or a link, or whose folder cannot be written to.

    Devices, pipes and open files (/dev/stdout) serve.

    Raises:
        ValueError: naming the option and what is in the way.

    Example:
        >>> check_file_out("-", "--png")
        Traceback (most recent call last):
        ValueError: --png -: for standard output give /dev/stdout
    """
    refuse_remote(path, option)
    path = Path(path)
    if str(path) == "-":
        raise ValueError(f"{option} -: for standard output give /dev/stdout")
    if path.is_dir():
        raise ValueError(
            f"{option} {shown(path)}: it is a folder, where the name of a file is needed"
        )
    try:
        stream = is_stream(path)
    except ValueError as error:
        raise ValueError(f"{option} {error}") from None
    if stream:
        if not os.access(path, os.W_OK):
            raise ValueError(f"{option} {shown(path)}: you have no permission to write to it")
        return
    check_folder_out(path.parent, option, given=path)


def check_file_in(path: Path | str, what: str) -> None:
    """Refuse a file to read that is not there, or is no regular file; `what` it must be.

    Raises:
        FileNotFoundError: when there is nothing.
        ValueError: when there is a folder, a pipe or a device.

    Example:
        >>> check_file_in("missing.csv", "a table of scores")
        Traceback (most recent call last):
        FileNotFoundError: missing.csv: no such file; give a table of scores
    """
    refuse_remote(path)
    if os.path.isdir(path):
        raise ValueError(f"{shown(path)}: it is a folder; give {what}")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{shown(path)}: no such file; give {what}")
    if not os.path.isfile(path):
        raise ValueError(f"{shown(path)}: it is not a regular file; give {what}")
