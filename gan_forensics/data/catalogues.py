"""Translations of software: gettext catalogues (.po, .mo), as files or inside Python packages.

A catalogue comes from a stranger: it is read, never executed, within limits that come before any
allocation; of an archive nothing is unpacked to disk. Placeholders ("%s", "{name}", "<b>") stay in
the sentences as they are.
"""

import codecs
import re
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gan_forensics.files import open_regular, shown, unpacked
from gan_forensics.files.archives import most_unpacked, open_zip

Pairs = list[tuple[str, str]]

# Bytes of a catalogue, and of all members of an archive together; how many catalogues a folder has.
LARGEST, LARGEST_ARCHIVE, MOST = 64 * 2**20, 4 * 2**30, 10_000
_MAGIC = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}
_CHARSET = re.compile(rb"Content-Type:[^\n\\]*charset=([\w.:-]+)", re.IGNORECASE)
# %s, %(name)d, %1$s, {name}, {0:.2f}, {{ name }}, ${name}, <tag>, &entity;, addresses.
_PLACEHOLDER = re.compile(
    r"%(?:\(\w*\)|\d+\$)?[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]|\$?\{[^{}]*\}|<[^<>]*>|&\w{1,32};|\w{1,32}://\S+"
)
_WORD = re.compile(r"[^\W\d_]+")


def read_catalogue(data: bytes, name: str) -> tuple[Pairs, Counter]:
    """Messages and translations of a catalogue, and how many entries were left out by reason.

    Of a message with plural forms the singular goes with the first form, the plural with the last.

    Args:
        data: the bytes of a .po or .mo file.
        name: for messages; its suffix decides on the format.

    Raises:
        ValueError: too large, damaged, or in another encoding than it says.
    """
    if len(data) > LARGEST:
        raise ValueError(f"{name}: {len(data)} bytes are more than the {LARGEST} of a catalogue")
    found = _CHARSET.search(data[:65536])
    charset = found[1].decode() if found and found[1] != b"CHARSET" else "utf-8"
    try:
        codecs.lookup(charset)
        return (_read_mo if name.endswith(".mo") else _read_po)(data, charset)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1 if name.endswith(".po") else None
        where = f", line {line}" if line else ""
        raise ValueError(f"{name}{where}: it is not in {charset}, as it says: {error}") from error
    except (LookupError, ValueError, struct.error, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{name}: damaged, or no gettext catalogue ({reason})") from error


def _read_po(data: bytes, charset: str) -> tuple[Pairs, Counter]:
    # A text of one line could be the name of a file to polib.
    entries: Any = _polib().pofile(data.decode(charset).replace("\r\n", "\n") + "\n\n")
    pairs, left_out = [], Counter()
    for entry in entries:
        if entry.obsolete or "fuzzy" in entry.flags:
            left_out["obsolete" if entry.obsolete else "fuzzy"] += 1
        elif entry.msgid_plural:
            forms = [entry.msgstr_plural[key] for key in sorted(entry.msgstr_plural)]
            pairs += [(entry.msgid, forms[0]), (entry.msgid_plural, forms[-1])] if forms else []
        else:
            pairs.append((entry.msgid, entry.msgstr))
    return pairs, left_out


def _read_mo(data: bytes, charset: str) -> tuple[Pairs, Counter]:
    # The standard library's reader drops the plural's own message and compiles the file's plural
    # rule; both tables of (length, offset) are all that is needed.
    order = _MAGIC.get(data[:4])
    if order is None:
        raise ValueError("the first four bytes are not those of a .mo file")
    version, count, *tables = struct.unpack_from(f"{order}4I", data, 4)
    if version >> 16 > 1 or max(tables) + 8 * count > len(data):
        raise ValueError(f"version {version >> 16}, {count} entries in {len(data)} bytes")
    spans = [struct.unpack_from(f"{order}{2 * count}I", data, table) for table in tables]
    # Entries that all point at one long text would unpack to more than the file.
    if sum(sum(span[::2]) for span in spans) > len(data):
        raise ValueError("its entries are longer than the file")
    pairs = []
    for entry in range(0, 2 * count, 2):
        sides = []
        for span in spans:
            length, offset = span[entry : entry + 2]
            if offset + length > len(data):
                raise ValueError("an entry lies beyond the end")
            sides.append(data[offset : offset + length].decode(charset).split("\0"))
        source, target = sides
        source[0] = source[0].partition("\4")[2] or source[0]  # a context stands before \4
        if source[0]:
            pairs.append((source[0], target[0]))
        if len(source) > 1:
            pairs.append((source[1], target[-1]))
    return pairs, Counter()


def _polib() -> Any:
    try:
        import polib
    except ImportError as error:
        raise ImportError(
            f".po needs polib ({error}): pip install 'gan_forensics[text]'"
        ) from error
    return polib


def normalised(text: str) -> str:
    """A sentence for comparison: compatibility forms, case and blanks made equal."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def without_placeholders(text: str) -> str:
    """A message's own words."""
    return _PLACEHOLDER.sub(" ", text)


def translations(pairs: Iterable[tuple[str, str]]) -> tuple[Pairs, Counter]:
    """The pairs that translate a sentence, each once, blanks and line breaks made one blank.

    Left out and counted: "untranslated" (or blank), "identical", "only placeholders", "one word",
    "repeated".
    """
    kept, left_out = {}, Counter()
    for source, target in pairs:
        source, target = " ".join(source.split()), " ".join(target.split())
        words = len(_WORD.findall(without_placeholders(source)))
        if not source or not target:
            left_out["untranslated"] += 1
        elif normalised(source) == normalised(target):
            left_out["identical"] += 1
        elif words < 2:
            left_out["one word" if words else "only placeholders"] += 1
        elif (source, target) in kept:
            left_out["repeated"] += 1
        else:
            kept[source, target] = None
    return list(kept), left_out


def catalogue_files(path: Path) -> list[Path]:
    """A catalogue, or those below a folder; of a .po and a .mo of one stem the .po. No links.

    Raises:
        ValueError: there is none, or too many.
    """
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in (".po", ".mo") and file.is_file() and not file.is_symlink()
    )
    if not 0 < len(files) <= MOST:
        raise ValueError(f"{path}: {len(files)} .po or .mo files; 1 to {MOST} are allowed")
    return [file for file in files if file.suffix == ".po" or file.with_suffix(".po") not in files]


class Package(NamedTuple):
    """The translations in one Python package.

    Attributes:
        name: of its archive, up to the version.
        pairs: that are translations (`translations`).
        facts: "file", "license", "catalogues", "read", "left_out" by reason; JSON-able.
    """

    name: str
    pairs: Pairs
    facts: dict


def read_package(path: Path, language: str) -> Package:
    """Read the catalogues of a language inside a wheel (.whl) or source archive (.tar.gz).

    Args:
        path: the archive.
        language: "de" takes folders named de, de_DE and de-DE.

    Raises:
        ValueError: no such archive, or beyond the limits, or without such catalogues.
    """
    folder = re.compile(rf"(?:^|/){re.escape(language)}(?:[_-][A-Za-z]{{2}})?/")
    contents, license_lines = {}, []
    try:
        for name, data in _members(path, lambda name: _is_wanted(name, folder)):
            if name.endswith(("/METADATA", "/PKG-INFO")):
                license_lines += _license(data)
            else:
                contents[name] = data
    except (
        *(zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, MemoryError),
        *(RuntimeError, NotImplementedError),  # an entry that is encrypted, or of another packing
    ) as error:
        reason = shown(error, most=200)
        raise ValueError(f"{shown(path)}: no archive that can be read ({reason})") from error
    contents = {
        name: data
        for name, data in contents.items()
        if name.endswith(".po") or f"{name[:-3]}.po" not in contents
    }
    if not contents:
        raise ValueError(f"{path}: no catalogue of {language!r} inside")
    pairs, left_out = [], Counter()
    for name, data in sorted(contents.items()):
        found, gone = read_catalogue(data, name)
        pairs, left_out = pairs + found, left_out + gone
    read = len(pairs) + left_out.total()
    pairs, gone = translations(pairs)
    facts = {
        "file": path.name,
        "license": "; ".join(dict.fromkeys(license_lines)) or "not stated",
        "catalogues": sorted(contents),
        "read": read,
        "left_out": dict(left_out + gone),
    }
    return Package(re.split(r"-\d", path.name)[0], pairs, facts)


def read_packages(folder: Path, language: str) -> list[Package]:
    """Read every archive of a folder, in the order of their names.

    Raises:
        FileNotFoundError: there is no archive.
    """
    paths = sorted(
        path for path in folder.glob("*") if path.name.endswith((".whl", ".zip", ".tar.gz"))
    )
    if not paths:
        raise FileNotFoundError(f"{folder}: no .whl or .tar.gz; fetch some with pip download")
    return [read_package(path, language) for path in paths]


def _is_wanted(name: str, folder: re.Pattern) -> bool:
    if name.endswith((".dist-info/METADATA", "/PKG-INFO")):
        return name.count("/") == 1
    return name.endswith((".po", ".mo")) and folder.search(name) is not None


def _license(metadata: bytes) -> list[str]:
    """What a package's metadata say of its licence."""
    head = metadata.decode("utf-8", "replace").partition("\n\n")[0].splitlines()
    pattern = re.compile(
        r"(?:License(?:-Expression)?|Classifier: License ::(?: OSI Approved ::)?): ?"
    )
    lines = [
        re.sub(r"^Classifier: License :: (OSI Approved :: )?", "License: ", one) for one in head
    ]
    return [pattern.sub("", one, count=1).strip()[:100] for one in lines if pattern.match(one)]


def _members(path: Path, wanted) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the regular files in an archive that are wanted, within the limits."""
    total, most = 0, min(LARGEST_ARCHIVE, most_unpacked(path.stat().st_size))

    def check(name: str, size: int) -> bool:
        nonlocal total
        total += size
        if total > most:
            raise ValueError(f"{shown(path)}: unpacks to more than {most} bytes")
        if not wanted(name):
            return False
        if size > LARGEST:
            raise ValueError(f"{path}: {name} claims {size} bytes, more than {LARGEST}")
        return True

    if path.name.endswith(".tar.gz"):
        with (
            unpacked(path, most=most) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            for member in archive:
                if check(member.name, member.size) and member.isreg():
                    file = archive.extractfile(member)
                    yield member.name, file.read() if file else b""
    else:
        with open_regular(path) as opened, open_zip(opened) as archive:
            for member in archive.infolist():
                if check(member.filename, member.file_size):
                    # Not trusting the claim: one byte more than it is an error.
                    with archive.open(member) as file:
                        data = file.read(member.file_size + 1)
                    if len(data) != member.file_size:
                        raise ValueError(f"{path}: {member.filename} has another size than it says")
                    yield member.filename, data
