"""Damage, seeded: what becomes of good files in the hands of the careless and of the hostile.

Every mutator takes `random.Random` and seeds, and returns bytes. `of_bytes` knows no format; the
others keep checksums and lengths true, or damage would end at the first checksum.
"""

import ast
import functools
import gzip
import hashlib
import io
import itertools
import json
import math
import warnings
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutator = Callable[[Random, Sequence[bytes]], bytes]
LENGTHS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
MOST = 1 << 20  # bytes of an input


def _flip(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _cut(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[draw.randrange(len(data)) :]


def _splice(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = draw.choice(others)
    data[draw.randrange(len(data)) :] = other[draw.randrange(len(other)) :]


def _length(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """A number of 1, 2, 4 or 8 bytes, such as a length, becomes another; mostly near the start."""
    width, number = draw.choice((1, 2, 4, 4, 8)), draw.choice(LENGTHS)
    at = draw.randrange(min(len(data), draw.choice((64, 512, len(data)))))
    order = draw.choice(("little", "big"))
    data[at : at + width] = (number & (256**width - 1)).to_bytes(width, order)


def _repeat(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = draw.randrange(len(data))
    block = data[start : start + draw.choice((1, 4, 12, 64, 1024))]
    data[start:start] = block * draw.choice((1, 1, 10, 1000))


def _insert(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = draw.randrange(len(data) + 1)
    data[start:start] = draw.randbytes(draw.choice((1, 2, 4, 100)))


def _remove(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = draw.randrange(len(data))
    del data[start : start + draw.choice((1, 2, 4, 64))]


def _fill(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = draw.randrange(len(data))
    count = min(draw.choice((1, 4, 64, 4096)), len(data) - start)
    data[start : start + count] = draw.choice((b"\0", b"\xff", b"0", b"9")) * count


_OF_BYTES = (_flip, _flip, _cut, _splice, _length, _length, _repeat, _insert, _remove, _fill)


def of_bytes(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """One to four damages of one of the seeds."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 2, 4))):
        if data:
            draw.choice(_OF_BYTES)(draw, data, seeds)
    return bytes(data[:MOST])


def of_png(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """As `of_bytes`; half of them with lengths or pixels damaged inside of true checksums."""
    if draw.random() < 0.4:
        return of_bytes(draw, seeds)
    chunks = _chunks(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 3))):
        at = draw.randrange(len(chunks))
        kind, content = chunks[at]
        if kind in (b"IDAT", b"fdAT") and draw.random() < 0.5:
            try:
                content = zlib.compress(of_bytes(draw, [zlib.decompress(content)]))
            except zlib.error:
                content = of_bytes(draw, [content])
        else:
            content = of_bytes(draw, [content or b"\0"])
        what = draw.randrange(8)
        if what == 0:
            del chunks[at]
        elif what == 1:
            chunks[at:at] = [(kind, content)] * draw.choice((1, 2, 300))
        elif what == 2:
            chunks.insert(draw.randrange(len(chunks)), (kind, content))
        else:
            chunks[at] = kind, content
        if not chunks:
            break
    whole = b"".join(
        len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
        for kind, content in chunks
    )
    return (b"\x89PNG\r\n\x1a\n" + whole)[:MOST]


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


@functools.cache
def _zeros() -> bytes:
    """64 MiB of them, packed by gzip."""
    return gzip.compress(bytes(1 << 26), mtime=0)


def of_gzip(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """Damage inside of gzip, and outside of it; some unpack to far more than they weigh."""
    what = draw.randrange(8)
    if what == 0:
        return gzip.compress(draw.choice(seeds), mtime=0) + _zeros()
    if what < 3:
        return of_bytes(draw, [gzip.compress(seed, mtime=0) for seed in seeds])
    return gzip.compress(of_bytes(draw, seeds), mtime=0) if what < 6 else of_bytes(draw, seeds)


# JSON -------------------------------------------------------------------------------------------

_STRINGS = (
    *("", "../../home/notes.txt", "/etc/passwd", "a" * 50_000, "\x1b[2J\x1b]0;x\x07", "two\nlines"),
    *("\ud800", "=1+1", "$x^{$b", "<script>alert(1)</script>", "\u202eabc", "9" * 5000, "%s{}\\"),
    *("samples:digits", "resnet50", "float32", "nan", "layer1.999999999.conv1.weight", "os.system"),
)
_NUMBERS = (
    *(0, 1, -1, 2, 3, 255, 65536, 10**6, 10**8, 2**31 - 1, 2**31, 2**63, 2**64, 10**30, 10**400),
    *(-(2**31), -(2**63), 0.5, -0.5, 1e-308, 1e308, math.nan, math.inf, -math.inf, True, False),
)


def _value(draw: Random) -> Any:
    what = draw.randrange(10)
    if what < 4:
        return draw.choice(_NUMBERS)
    if what < 7:
        return draw.choice(_STRINGS)
    deep: Any = draw.choice(_NUMBERS)
    for _ in range(draw.choice((1, 5, 100))):
        deep = {"a": deep} if draw.random() < 0.5 else [deep]
    return draw.choice((
        None, [], {}, deep, [draw.choice(_NUMBERS)] * 3000, {str(i): i for i in range(500)},
        [[1.0] * 4] * 20, [{"a": 1, "b": 2.5}] * 200, [{str(i): i} for i in range(300)],
    ))  # fmt: skip


def _places(value: Any) -> list[tuple]:
    """The ways to the parts of a value, of which there may be many; the first ones."""
    found, left = [], deque([((), value)])
    while left and len(found) < 20_000:
        at, value = left.popleft()
        found.append(at)
        pairs = value.items() if isinstance(value, dict) else ()
        pairs = enumerate(value) if isinstance(value, list) else pairs
        left += [((*at, key), part) for key, part in itertools.islice(pairs, 3000)]
    return found


def other_json(draw: Random, value: Any, others: Sequence[Any]) -> Any:
    """A JSON value, or one of the same kind, of which some parts are others."""
    value = json.loads(json.dumps(value))
    for _ in range(draw.choice((1, 1, 2, 5))):
        *way, last = draw.choice([place for place in _places(value) if place] or [(None,)])
        if last is None:
            return _value(draw)
        holder = value
        for key in way:
            holder = holder[key]
        what = draw.randrange(12)
        if what == 0:
            del holder[last]
        elif what == 1 and isinstance(holder, dict):
            holder[draw.choice(_STRINGS)] = holder.pop(last)
        elif what == 2 and isinstance(holder, list):
            holder += [holder[last]] * draw.choice((1, 300))
        elif what == 3 and isinstance(holder, dict):
            holder.update({f"{draw.choice(_STRINGS)[:99]}{i}": _value(draw) for i in range(60)})
        elif what == 4:
            other = draw.choice(others)
            places = [place for place in _places(other) if place]
            for key in draw.choice(places) if places else ():
                other = other[key]
            holder[last] = json.loads(json.dumps(other))
        else:
            holder[last] = _value(draw)
        if _too_large(value):
            return _value(draw)
    return value


def _too_large(value: Any) -> bool:
    """Whether a value is longer than an input may be: repeated parts multiply."""
    left, size = [value], 0
    while left and size < MOST:
        part = left.pop()
        size += len(part) if isinstance(part, str) else 2
        if isinstance(part, dict):
            size += sum(map(len, part))
            left += part.values()
        elif isinstance(part, list):
            left += part
    return size >= MOST


def of_json(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """Damage of JSON by its structure, and of its bytes; of a file of lines, of some lines."""
    what = draw.randrange(10)
    if what == 0:
        return draw.choice(
            (b"[" * 200_000, b'{"a":' * 100_000, b'{"x": ' + b"9" * 9999 + b"}", b"")
        )
    if what == 1:
        return of_bytes(draw, seeds)
    seed = draw.choice(seeds)
    values = [json.loads(line) for line in seed.splitlines()] if b"}\n{" in seed else None
    others = [json.loads(one.splitlines()[0] if b"}\n{" in one else one) for one in seeds]
    ascii = draw.random() < 0.7
    if values is None:
        text = json.dumps(other_json(draw, json.loads(seed), others), ensure_ascii=ascii)
    else:
        for _ in range(draw.choice((1, 1, 4))):
            at = draw.randrange(len(values))
            values[at] = other_json(draw, values[at], others)
        text = "\n".join(json.dumps(value, ensure_ascii=ascii) for value in values) + "\n"
    data = text.encode("utf-8", "surrogatepass")
    return of_bytes(draw, [data]) if what == 2 and data else data[:MOST]


# Text -------------------------------------------------------------------------------------------

_CELLS = (
    *("", "0", "-1", "1e999", "-inf", "nan", "2000000000", "10000000000", "99999999999999999999"),
    *("9" * 5000, "x" * 200_000, "1_000", "\x1b[31m", "=1+1", '"', '""', "\ufeff", "\0", "\r", "٣"),
    *("/etc/passwd", "../home/notes.txt", "#", "1,2", "path", "label", "0x10", "1e308", "-1e308"),
)


def of_text(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """Damage of text by its lines and cells, and of its bytes."""
    if draw.random() < 0.3:
        return of_bytes(draw, seeds)
    seed = draw.choice(seeds)
    lines = seed.split(b"\n")
    separator = b"," if seed.count(b",") > 2 else b" "
    for _ in range(draw.choice((1, 1, 2, 5))):
        at, what = draw.randrange(len(lines)), draw.randrange(10)
        if what == 0 and len(lines) > 1:
            del lines[at]
        elif what == 1:
            lines[at:at] = [lines[at]] * draw.choice((1, 1, 3000))
        elif what == 2:
            lines.insert(draw.randrange(len(lines) + 1), lines[at])
        else:
            cells = lines[at].split(separator)
            place = draw.randrange(len(cells))
            if what == 3:
                del cells[place]
            elif what == 4:
                cells[place:place] = [cells[place]] * draw.choice((1, 1, 20_000))
            else:
                cells[place] = draw.choice(_CELLS).encode()
            lines[at] = separator.join(cells)
    return b"\n".join(lines)[: 4 * MOST]


# Archives of arrays -----------------------------------------------------------------------------

_DESCR = (
    *("<f4", "<f8", ">f8", "<i8", "|u1", "|b1", "<c16", "|O", "<U9", "<U100000000", "|S0", "|V8"),
    *("<M8[s]", "<f2", "<i1000", "f", "", 3, [["a", "<f4"]], [("a", "<f8"), ("b", "|O")], "<g16"),
)
_SHAPES = (
    *((), (0,), (1,), (10**9,), (3 * 10**9,), (2**62, 4), (2**63,), (10**30,), (-1,), (1.5,)),
    *((0, 2**60), (1,) * 70, (4, 4), (2, 3, 4, 5), (True,), ("1",), (100_000, 100_000), None),
)


def parts_of(data: bytes) -> dict[str, bytes]:
    """The members of a zip archive by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def zipped(parts: Sequence[tuple[str, bytes]], *, compressed: bool) -> bytes:
    """A zip archive with true checksums, maybe with names that come twice."""
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in parts:
            archive.writestr(zipfile.ZipInfo(name), content, kind)
    return file.getvalue()


def npy(descr: Any, shape: Any, data: bytes, *, fortran: Any = False) -> bytes:
    """An array file whose header says what it is told."""
    head = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode()[:60_000]
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + data


def _array(draw: Random, content: bytes) -> bytes:
    """An array of another type or shape, or of other values."""
    start = 10 + int.from_bytes(content[8:10], "little")
    try:
        head = ast.literal_eval(content[10:start].decode())
        descr, shape, data = head["descr"], head["shape"], content[start:]
    except (ValueError, SyntaxError, KeyError, TypeError):  # damaged before
        return of_bytes(draw, [content or b"\0"])
    what = draw.choice((*(0, 1, 2, 3, 4, 6) * 4, 5))
    if what == 0:
        descr = draw.choice(_DESCR)
    elif what == 1:
        shape = draw.choice(_SHAPES)
    elif what == 2 and shape and isinstance(shape, tuple):
        sides = list(shape)
        sides[draw.randrange(len(sides))] = draw.choice((0, 1, 2, -1, 10**6, 10**9, 2**40))
        shape = tuple(sides)
    elif what == 3:
        data = draw.choice((b"\0", b"\xff", b"\x7f", b"\xf0\x7f")) * len(data)
        data = data[: len(content) - start]
    elif what == 4:
        return of_bytes(draw, [content])
    elif what == 5:
        # As many zeros as the shape asks for, which pack to next to nothing.
        descr, shape = "|u1", draw.choice(((1 << 24,), (4096, 4096), (1 << 22, 1, 1, 3)))
        data = bytes(math.prod(shape))
    else:
        return npy(descr, shape, data, fortran=draw.choice((True, 2, None)))
    return npy(descr, shape, data)


def of_npz(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """Archives of arrays with other headers, shapes, names and values, and damaged archives."""
    seed = draw.choice(seeds)
    if draw.random() < 0.2:
        return of_bytes(draw, [seed])
    parts = list(parts_of(seed).items())
    for _ in range(draw.choice((1, 1, 2))):
        at, what = draw.randrange(len(parts)), draw.randrange(14)
        names = [name for name, _ in parts]
        if "header.npy" in names and draw.random() < 0.5:
            at, what = names.index("header.npy"), 9
        name, content = parts[at]
        if what == 0 and len(parts) > 1:
            del parts[at]
        elif what == 1:
            parts.append((name, content))
        elif what == 2:
            new = draw.choice((*_STRINGS[:7], "header", "X", "x", "image", "label", "point", "y"))
            parts[at] = f"{new.encode('utf-8', 'replace').decode()[:9999]}.npy", content
        elif what == 3:
            parts.append(draw.choice(list(parts_of(draw.choice(seeds)).items())))
        elif what == 4:
            parts += [(f"{name[:-4]}{i}.npy", content) for i in range(draw.choice((3, 300)))]
        elif what < 10 and name == "header.npy":
            parts[at] = name, _header(draw, content, seeds)
        else:
            parts[at] = name, _array(draw, content)
    return zipped(parts, compressed=draw.random() < 0.7)


def _text_of(content: bytes) -> Any:
    start = 10 + int.from_bytes(content[8:10], "little")
    return json.loads(content[start:].decode("utf-32-le"))


def _header(draw: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """A header of JSON in an archive of ours, with other values."""
    try:
        others = [_text_of(parts_of(seed)["header.npy"]) for seed in seeds]
        value = _text_of(content)
    except (KeyError, ValueError):  # no archive with a header, or damaged before
        return of_bytes(draw, [content or b"\0"])
    text = json.dumps(other_json(draw, value, others))[:MOST] or " "
    return npy(f"<U{len(text)}", (), text.encode("utf-32-le", "surrogatepass"))


def of_zip(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """Zip archives with damaged members and true checksums, such as PyTorch's."""
    if draw.random() < 0.3:
        return of_bytes(draw, seeds)
    try:
        parts = list(parts_of(draw.choice(seeds)).items())
    except zipfile.BadZipFile:
        return of_bytes(draw, seeds)
    at = draw.randrange(len(parts))
    name, content = parts[at]
    parts[at] = name, of_bytes(draw, [content or b"\0"])
    return zipped(parts, compressed=draw.random() < 0.3)


def of_safetensors(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """Headers with other shapes, offsets and types before the same bytes."""
    seed = draw.choice(seeds)
    if draw.random() < 0.3:
        return of_bytes(draw, [seed])
    end = 8 + int.from_bytes(seed[:8], "little")
    header = json.loads(seed[8:end])
    text = json.dumps(other_json(draw, header, [header])).encode()
    return (len(text).to_bytes(8, "little") + text + seed[end:])[:MOST]


def of_mat(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """MATLAB files, of which some elements are packed, damaged inside of that and outside."""
    seed = draw.choice(seeds)
    if draw.random() < 0.5:
        return of_bytes(draw, [seed])
    whole, at = bytearray(seed[:128]), 128
    while at + 8 <= len(seed):
        kind, size = (int.from_bytes(seed[i : i + 4], "little") for i in (at, at + 4))
        content = seed[at + 8 : at + 8 + size]
        if kind == 15:
            inside = zlib.decompress(content)
            more = bytes(1 << 26) if draw.random() < 0.02 else b""
            content = zlib.compress(of_bytes(draw, [inside]) + more)
        else:
            content = of_bytes(draw, [content or b"\0"])
        whole += kind.to_bytes(4, "little") + len(content).to_bytes(4, "little") + content
        at += 8 + size
    return bytes(whole[:MOST])


# Run folders ------------------------------------------------------------------------------------


def of_run(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """A run folder whose settings or arrays are others, under a manifest that is true."""
    parts = parts_of(draw.choice(seeds))
    folder = next(name for name in parts if name.endswith("/manifest.json"))[
        : -len("manifest.json")
    ]
    if draw.random() < 0.5:
        parts["config.json"] = of_json(draw, [parts["config.json"]])
    else:
        name = draw.choice([name for name in parts if name != "config.json"])
        try:
            json.loads(parts[name])
            parts[name] = of_json(draw, [parts[name]])
        except ValueError:
            parts[name] = of_bytes(draw, [parts[name] or b"\0"])
    record = {
        name.removeprefix(folder): [len(data), hashlib.sha256(data).hexdigest()]
        for name, data in parts.items()
        if name.startswith(folder) and not name.endswith("/manifest.json")
    }
    if draw.random() < 0.9:
        parts[f"{folder}manifest.json"] = json.dumps(record).encode()
    return zipped(list(parts.items()), compressed=False)


_IN_RUNS = (
    *("config.json", "data.json", "results.json", "metrics.jsonl", "report.html", ".lock"),
    *("samples", "samples/1.png", "checkpoints", "checkpoints/4", "checkpoints/4/manifest.json"),
    *(".report.html.partial", ".results.json.partial", ".metrics.jsonl.partial", "tensorboard"),
    *("manifest.json", ".config.json.partial", "checkpoints/4/state", "vocabulary.model", "odd"),
)
_TARGETS = (
    *("../../home/notes.txt", "../../home/.ssh/authorized_keys", "../../home", "/etc/passwd", "."),
    *("/dev/zero", "..", "nowhere", "config.json", "../../home/new.txt", "/proc/self/environ"),
)


def of_links(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """What lies where in a run folder: JSON rows of a place, a kind, and where it leads."""
    kinds = ("link", "link", "link", "pipe", "folder", "text")
    places = draw.sample(_IN_RUNS, draw.choice((1, 1, 2, 5)))
    return json.dumps([[at, draw.choice(kinds), draw.choice(_TARGETS)] for at in places]).encode()
