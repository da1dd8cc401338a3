"""Images packed into tar, zip and Parquet files, one after the other, in constant memory.

Nothing is unpacked to the disk, and no link in an archive is followed. Whatever makes one member
unusable is said of that member; what makes the rest of an archive unusable ends it.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from gan_forensics.data.budget import MOST_BYTES
from gan_forensics.data.sniff import HEADER, why_not
from gan_forensics.files import open_regular, shown
from gan_forensics.files.archives import MOST_RATIO, most_unpacked, open_zip
from gan_forensics.files.parquet import binary_cells

# What the name of an image ends with: what ends so and is none has to be told of.
SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .j2k .avif "
    ".heic .heif .jxl".split()
)
# Of a tar archive, a header that describes another one.
MOST_TAR_HEADER = 2**20
# A member that unpacks to less need not be well packed.
ALWAYS = 2**20
# The column of image bytes, where a Parquet file has several of bytes.
COLUMN = "image"
NO_IMAGE = "not an image"
REFUSED, ARCHIVE = "refused", "archive"


class Member(NamedTuple):
    """One file that may be an image.

    Attributes:
        input: path of the file that it lies in, or its own.
        member: its name in that file, the number of a row; None for a file of its own.
        content: the file or its bytes; None where it is not read.
        kind: why it is not read: "not an image" is only counted; "refused"; "archive" ends the
            archive, and is said of it and not of a member.
        reason: the same in words.

    Example:
        >>> Member("a.tar", "1.jpg", b"...").name
        'a.tar/1.jpg'
    """

    input: str
    member: str | None
    content: Path | bytes | None
    kind: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.input if self.member is None else f"{self.input}/{self.member}"


def packed_members(path: Path) -> Iterator[Member]:
    """The members of a .tar, .zip or .parquet file, in the order in which they lie there.

    Members of a tar archive whose names are alike up to the first point in the last part (the key
    of webdataset) lie side by side. Nothing is raised: what ends the archive is the last member.
    """
    read = PACKED[path.suffix.lower()]
    try:
        with open_regular(path) as file:
            yield from read(path, file)
    # A damaged archive raises errors of tarfile, zipfile, zlib, struct, Arrow or the system.
    except Exception as error:
        reason = shown(" ".join(str(error).split()) or type(error).__name__, most=300)
        yield Member(str(path), None, None, ARCHIVE, f"the rest of it cannot be read: {reason}")


def is_named_as_image(name: str) -> bool:
    """Whether a name ends as those of images do."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _usable(path: Path, name: str, size: int, read: Callable[[int], bytes], bad: str) -> Member:
    """A member as far as it can be used; `read` gives its next bytes, `bad` says what it is."""
    parts = PurePosixPath(name).parts
    if not bad and (name.startswith(("/", "\\")) or ".." in parts):
        bad = "its name leads out of the archive"
    if not bad and size > MOST_BYTES:
        bad = f"it has {size} bytes, more than the {MOST_BYTES} that are read"
    if bad:
        kind = REFUSED if is_named_as_image(name) else NO_IMAGE
        return Member(str(path), name, None, kind, bad)
    start = read(min(size, HEADER))
    if (why := why_not(start, name)) and not is_named_as_image(name):
        # What has no bytes and is not named so is none either.
        kind = NO_IMAGE if why == NO_IMAGE or not size else REFUSED
        return Member(str(path), name, None, kind, why)
    # Not trusting what it says of its size.
    content = start + read(size - len(start))
    if len(content) != size:
        raise ValueError(f"{shown(name)} ends too early")
    return Member(str(path), name, content)


class _TarInfo(tarfile.TarInfo):
    """A header of a tar archive; those that describe another one are read into memory whole."""

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        described = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        long = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if self.type in described + long and self.size > MOST_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tarfile_)  # pyright: ignore[reportAttributeAccessIssue]


def _tar(path: Path, file: BinaryIO) -> Iterator[Member]:
    whole = file.seek(0, 2)
    file.seek(0)
    names: set[int] = set()
    keys: set[int] = set()
    last = None
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_TarInfo) as archive:
        for info in _each(archive):
            if info.isdir():
                continue
            name = info.name
            _once(names, name)
            if (key := key_of(name)) != last:
                if hash(key) in keys:
                    raise ValueError(
                        f"members of the key {shown(key)!r} lie in two places: pack it again with "
                        "them side by side (tar --sort=name)"
                    )
                keys.add(hash(key))
                last = key
            bad = "" if info.isreg() and not info.issparse() else f"it is {_what(info)}"
            stream = None if bad else archive.extractfile(info)
            if stream and info.offset_data + info.size > whole:
                raise ValueError(f"{shown(name)} ends too early")
            yield _usable(path, name, info.size, stream.read if stream else file.read, bad)
        # Python takes a damaged header, or none, for the end.
        file.seek(archive.offset)  # pyright: ignore[reportAttributeAccessIssue]
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise ValueError("it is cut off, or damaged, before its end")


def _each(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The headers, none of which is kept."""
    while (info := archive.next()) is not None:
        yield info
        archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue]


def _what(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link, which is not followed"
    return "a sparse file, which is not read" if info.issparse() else "a device or a pipe"


def key_of(name: str) -> str:
    """The key of a member as webdataset has it: up to the first point in the last part.

    Example:
        >>> key_of("a.b/0001.seg.png")
        'a.b/0001'
    """
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition('.')[0] if last[:1] != '.' else last}"


def _once(names: set[int], name: str) -> None:
    if hash(name) in names:
        raise ValueError(f"there are two members called {shown(name)!r}")
    names.add(hash(name))


def _zip(path: Path, file: BinaryIO) -> Iterator[Member]:
    left = most_unpacked(file.seek(0, 2))
    names: set[int] = set()
    with open_zip(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            _once(names, info.filename)
            bad = _bad_zip(info)
            try:
                with nullcontext() if bad else archive.open(info) as stream:
                    read = stream.read if stream else file.read
                    member = _usable(path, info.filename, info.file_size, read, bad)
                left -= len(member.content) if isinstance(member.content, bytes) else HEADER
            # The directory tells where the next one is.
            except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
                reason = f"damaged: {shown(' '.join(str(error).split()), most=300)}"
                member = Member(str(path), info.filename, None, REFUSED, reason)
                left -= info.file_size
            if left < 0:
                raise ValueError(
                    f"it unpacks to more than {MOST_RATIO} times its size, and more than is read"
                )
            yield member


def _bad_zip(info: zipfile.ZipInfo) -> str:
    """Why a member is not opened."""
    mode = info.external_attr >> 16
    if mode & 0o170000 == 0o120000:
        return "it is a link, which is not followed"
    if info.flag_bits & 1:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed in a way that is not read"
    if info.file_size > max(ALWAYS, MOST_RATIO * info.compress_size):
        return f"it unpacks to {info.file_size} bytes, more than {MOST_RATIO} times its packed size"
    return ""


def _parquet(path: Path, file: BinaryIO) -> Iterator[Member]:
    for row, cell in enumerate(binary_cells(path, COLUMN)):
        if cell is None:
            yield Member(str(path), str(row), None, REFUSED, "it has no bytes (null)")
        elif len(cell) > MOST_BYTES:
            bad = f"it has {len(cell)} bytes, more than the {MOST_BYTES} that are read"
            yield Member(str(path), str(row), None, REFUSED, bad)
        else:
            yield Member(str(path), str(row), cell)


PACKED: dict[str, Callable[[Path, BinaryIO], Iterator[Member]]] = {
    ".tar": _tar,
    ".zip": _zip,
    ".parquet": _parquet,
}
