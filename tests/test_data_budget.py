"""What a stranger's picture may cost, and pictures of which a part is missing."""

import io
import re
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan_forensics
from gan_forensics.data import box_files, budget, jpeg_scans, png_chunks
from gan_forensics.data.decoding import ImageError, decode_image, load_image, read_header
from gan_forensics.data.refusal import Refusal
from gan_forensics.data.tiff_tags import check_tags, only_orientation


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, packed, *, before=b"", colours=2, interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", packed)
        + chunk(b"IEND", b"")
    )


def segment(marker, data):
    return bytes([255, marker]) + struct.pack(">H", len(data) + 2) + data


def noise(size=(64, 64), kind="JPEG", **options):
    """A noisy picture, as bytes."""
    stream = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(stream, kind, **options)
    return stream.getvalue()


def exif(entries, size):
    """Entries that all point to the same bytes."""
    one = (struct.pack(">HHII", 0x8000 + k, 7, size - 99, 10) for k in range(entries))
    return b"MM\0*" + struct.pack(">IH", 8, entries) + b"".join(one) + bytes(size)


def gif(width, height, *, pictures=1, before=b""):
    picture = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x07\3\x80\0\x81\0"
    start = b"GIF89a" + struct.pack("<HH", width, height) + b"\xf6\0\0" + bytes(384)
    return start + before + picture * pictures + b";"


def tiff(*tags, after=b""):
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + after


def jpeg2000(width, height, tile=None, *, layers=1, block=4, channels=1):
    size = struct.pack(
        ">H8IH", 0, width, height, 0, 0, tile or width, tile or height, 0, 0, channels
    )
    coding = struct.pack(">BBHBBBBBB", 0, 0, layers, 0, 5, block, block, 0, 1)
    start = b"\xff\x4f" + segment(0x51, size + b"\7\1\1" * channels) + segment(0x52, coding)
    return start + segment(0x5C, bytes([0x40]) + bytes([64] * 16)) + b"\xff\xd9"


def with_tiles(width, height):
    """A JPEG 2000 whose second tile says that its blocks are small."""
    start = jpeg2000(width, height)[:-2]
    tile = lambda size: segment(0x90, struct.pack(">HIBB", 0, size, 0, 1))  # noqa: E731
    coding = segment(0x52, struct.pack(">BBHBBBBBB", 0, 0, 1, 0, 5, 0, 0, 0, 1))
    return start + tile(18) + b"\xff\x93" + b"\xff\x52\0\0" + tile(0) + coding + b"\xff\xd9"


def webp_of(kind, width, height):
    """A WebP, lossy or of more parts."""
    head = {
        b"VP8 ": b"\x30\x01\0\x9d\x01\x2a" + struct.pack("<HH", width, height),
        b"VP8X": bytes(4) + b"".join((n - 1).to_bytes(3, "little") for n in (width, height)),
    }[kind]
    return b"RIFF\x1a\0\0\0WEBP" + kind + struct.pack("<I", len(head)) + head + bytes(8)


def webp(width, height):
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + bits + bytes(8)


SCAN = segment(0xDA, b"\1\1\0\1\5\x20")
JPEG, PROGRESSIVE = noise(), noise(progressive=True)
ZEROS = zlib.compress(bytes(8 * 25))
HOSTILE = {
    "webp": (webp(9400, 9400), "88360000 pixels, more than the"),
    "webp, lossy": (webp_of(b"VP8 ", 9400, 9400), "88360000 pixels, more than the"),
    "webp of parts": (webp_of(b"VP8X", 9400, 9400), "88360000 pixels, more than the"),
    "gif": (gif(65535, 65535), "4294836225 pixels"),
    "jpeg": (JPEG.replace(struct.pack(">HH", 64, 64), b"\xff\xff\xff\xff"), "4294836225 pixels"),
    "tall": (png(1, 89478485, ZEROS), "sides of at most 65535"),
    "jp2": (jpeg2000(9400, 9400), "88360000 pixels"),
    "tiles": (jpeg2000(4000, 4000, 8), "250000 tiles"),
    "layers": (jpeg2000(64, 64, layers=65535), "layers"),
    "blocks": (jpeg2000(6000, 6000, block=0), "code blocks"),
    "blocks of a component": (
        jpeg2000(6000, 6000)[:-2] + segment(0x53, bytes([0, 0, 5, 0, 0, 0, 1])) + b"\xff\xd9",
        "code blocks",
    ),
    "blocks of a tile": (with_tiles(6000, 6000), "code blocks"),
    "channels": (jpeg2000(64, 64, channels=16000), "16000 channels"),
    "scans": (PROGRESSIVE[:-2] + SCAN * 100 + b"\xff\xd9", "more than 64 scans"),
    "segments": (JPEG[:2] + segment(0xFE, b"") * 3000 + JPEG[2:], "very many segments"),
    "photoshop": (JPEG[:2] + segment(0xED, b"") * 80 + JPEG[2:], "very many segments"),
    "exif in jpeg": (
        JPEG[:2] + segment(0xE1, b"Exif\0\0" + bytes(60000)) * 3 + JPEG[2:],
        "bytes of Exif",
    ),
    "exif in avif": (noise(kind="AVIF", exif=b"Exif\0\0" + exif(1, 200_000)), "bytes of Exif"),
    "chunks": (png(8, 8, ZEROS, before=chunk(b"prIv", b"") * 100_000), "more than 100000 chunks"),
    "frames": (gif(1, 1, pictures=100_000), "animated or multi-page"),
    "extensions": (gif(1, 1, before=b"!\xfe\0" * 2000), "more than 1000 extensions"),
    "comment": (gif(1, 1, before=b"!\xfe" + b"\1a" * 9000 + b"\0"), "very many blocks"),
    "pages": (noise(kind="TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]), "multi"),
    "tags": (tiff(*[(40000, 7, 9000, 8)] * 300, after=bytes(9000)), "claim more than it holds"),
    "many tags": (tiff(*[(40000, 7, 1, 8)] * 3000), "more than 2000 tags"),
    "strips": (
        tiff((273, 4, 70_000, 99), (279, 4, 70_000, 99), after=bytes(600_000)),
        "claim more",
    ),
    "tile": (
        tiff((256, 4, 1, 8), (257, 4, 1, 8), (322, 4, 1, 60000), (323, 4, 1, 60000)),
        "tiles far larger",
    ),
    "fax": (tiff((256, 4, 1, 8), (257, 4, 1, 8), (259, 3, 1, 4)), "packed in a way"),
    "text": (b"P3 9400 9400 255\n1 1 1", "more than is read of PPM as text"),
    "range": (b"P6 9400 9400 200\n", "more than is read of PPM"),
    "comments": (b"P6\n#" + b"x" * 9000 + b"\n8 8 255\n" + bytes(192), "comments of more than"),
    "rle": (
        b"BM" + struct.pack("<IHHIIiiHHI", 0, 0, 0, 54, 40, 9400, 9400, 1, 8, 1) + bytes(99),
        "more than is read of BMP in RLE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_pictures_that_cost_too_much_are_refused_by_their_headers(name, tmp_path, monkeypatch):
    data, says = HOSTILE[name]

    def load(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ImageError, match=says) as caught:
        load_image(tmp_path / "a")
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: ") and "\n" not in str(caught.value)


class Long(io.BytesIO):
    """Bytes that say that they are more."""

    def __init__(self, data, size):
        super().__init__(data)
        self.size = size

    def seek(self, offset, whence=0):
        return self.size if whence == 2 else super().seek(offset, whence)


def bmp(width, height, packed, header=40):
    size = struct.pack("<IiiHHI", header, width, height, 1, 8, packed)
    return b"BM" + bytes(12) + size + bytes(99)


@pytest.mark.parametrize(
    ("kind", "data", "most"),
    [
        ("PPM", b"P6 8 8 255\n", 2**29),
        ("PPM", b"P4 8 8\n1", 2**29),
        ("PPM", b"P1 8 8\n1", 2**24),
        ("PPM", b"P3 8 8 255\n", 2**24),
        ("PPM", b"P5 8 8 200\n", 2**24),
        ("BMP", bmp(8, 8, 0), 2**29),
        ("BMP", bmp(8, 8, 1), 2**22),
        ("BMP", bmp(8, 8, 2), 2**22),
        ("JPEG", JPEG, 2**28),
        ("JPEG2000", jpeg2000(8, 8), 2**27),
        ("WEBP", webp(8, 8), 2**27),
        ("AVIF", noise(kind="AVIF"), 2**27),
    ],
)
def test_files_may_have_so_many_bytes_and_no_more(kind, data, most):
    budget.check_budget(Long(data, most), kind)
    with pytest.raises(Refusal, match=f"{most + 1} bytes"):
        budget.check_budget(Long(data, most + 1), kind)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("PPM", lambda width, height: f"P1 {width} {height}\n1".encode()),
        ("PPM", lambda width, height: f"P6 {width} {height} 65535\n".encode()),
        ("BMP", lambda width, height: bmp(width, -height, 1)),
        ("BMP", lambda width, height: bmp(-width, height, 2)),
    ],
)
def test_what_is_unpacked_slowly_may_have_so_many_pixels_and_no_more(kind, make):
    budget.check_budget(io.BytesIO(make(1024, 1024)), kind)
    with pytest.raises(Refusal, match="1049600 pixels"):
        budget.check_budget(io.BytesIO(make(1024, 1025)), kind)


def test_what_is_no_slow_way_of_packing_may_be_large():
    for kind, data in (
        ("PPM", b"P5 9400 9400 255\n"),
        ("PPM", b"P4 9400 9400\n"),
        ("BMP", bmp(9400, 9400, 0)),
        # Of another header, at whose end something else stands.
        ("BMP", bmp(9400, 9400, 1, header=12)),
    ):
        budget.check_budget(io.BytesIO(data), kind)


def test_pixels_and_sides_of_each_format(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    for kind, most in (("PNG", 10**6), ("WEBP", 4 * 10**5), ("JPEG2000", 5 * 10**5)):
        budget.check_pixels(1000, most // 1000, kind)
        with pytest.raises(Refusal, match=f"more than the {most} that are decoded of {kind}"):
            budget.check_pixels(1000, most // 1000 + 1, kind)
    with pytest.raises(Refusal, match="more than the 600000 that"):
        budget.check_pixels(1000, 601, "AVIF")
    budget.check_pixels(65535, 1, "PNG")
    with pytest.raises(Refusal, match="sides of at most 65535"):
        budget.check_pixels(1, 65536, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    budget.check_pixels(10**6, 10**6, "WEBP")
    assert decode_image(noise(kind="WEBP"), name="a").shape == (64, 64, 3)


def test_gif_may_have_so_many_blocks_and_palettes_of_its_own():
    extension = b"!\xfe\0"
    budget.check_budget(io.BytesIO(gif(1, 1, before=extension * 1000)), "GIF")
    with pytest.raises(Refusal, match="extensions"):
        budget.check_budget(io.BytesIO(gif(1, 1, before=extension * 1001)), "GIF")
    comment = lambda n: b"!\xfe" + b"\1a" * n + b"\0"  # noqa: E731
    budget.check_budget(io.BytesIO(gif(1, 1, before=comment(4095))), "GIF")
    with pytest.raises(Refusal, match="very many blocks"):
        budget.check_budget(io.BytesIO(gif(1, 1, before=comment(4096))), "GIF")
    own = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0x80 | 1) + b",!,;" * 3 + b"\x07\1a\0"
    start = b"GIF89a" + struct.pack("<HH", 1, 1) + b"\0\0\0"
    budget.check_budget(io.BytesIO(start + own + b";"), "GIF")
    with pytest.raises(Refusal, match="animated"):
        budget.check_budget(io.BytesIO(start + own * 2 + b";"), "GIF")
    budget.check_budget(io.BytesIO(gif(1, 1)[:-1] + b"\0,"), "GIF")  # behind its end


def test_boxes_are_walked_as_far_as_they_go():
    box = lambda size, kind: size.to_bytes(4) + kind  # noqa: E731
    found = lambda data, end: list(box_files.boxes(io.BytesIO(data), 0, end))  # noqa: E731
    two = box(10, b"free") + b"ab" + box(1, b"mdat") + (18).to_bytes(8) + b"cd"
    assert found(two + box(0, b"last") + b"ef", 38) == [
        (b"free", 8, 10), (b"mdat", 26, 28), (b"last", 36, 38)
    ]  # fmt: skip
    assert found(box(8, b"free"), 8) == [(b"free", 8, 8)]
    assert found(two, 17) == [(b"free", 8, 10)]
    assert found(box(4, b"free") * 9, 72) == []  # smaller than its own head
    assert found(box(99, b"free") + bytes(9), 17) == [(b"free", 8, 17)]
    many = io.BytesIO(box(8, b"free") * 10_001)
    with pytest.raises(Refusal, match="more than 10000 boxes"):
        list(box_files.boxes(many, 0, 8 * 10_001))


def test_jpeg2000_at_its_limits():
    check = lambda data: box_files.check_jpeg2000(io.BytesIO(data))  # noqa: E731
    assert check(jpeg2000(1, 1)) == (1, 1)
    assert check(jpeg2000(64, 64, 1)) == (64, 64)
    assert check(jpeg2000(64, 64, layers=200, channels=4)) == (64, 64)
    assert check(jpeg2000(64, 64)[:-2]) == (64, 64)
    for data, said in (
        (jpeg2000(64, 65, 1), "4160 tiles"),
        (jpeg2000(64, 64, channels=5), "5 channels"),
        (jpeg2000(64, 64, layers=201), "more than 200 layers"),
        (jpeg2000(64, 64)[:-2] + b"\xff\x64\0\2" * 40_000, "very many parts"),
    ):
        with pytest.raises(Refusal, match=said):
            check(data)
    for data in (jpeg2000(64, 0, 8), jpeg2000(64, 64)[1:], b"\0\0\0\x10jp2c" + bytes(8)):
        with pytest.raises(ValueError, match="its header"):
            check(data)
    sizes = struct.pack(">BBHBBBBBB", 0, 0, 1, 0, 32, 4, 4, 0, 1)
    assert check(jpeg2000(64, 64)[:-2] + segment(0x52, sizes) + b"\xff\xd9") == (64, 64)
    sizes = struct.pack(">BBHBBBBBB", 0, 0, 1, 0, 33, 4, 4, 0, 1)
    with pytest.raises(Refusal, match="code blocks"):
        check(jpeg2000(64, 64)[:-2] + segment(0x52, sizes) + b"\xff\xd9")
    # Precincts of one code block each, in pixels.
    sizes = struct.pack(">BBHBBBBBB", 1, 0, 1, 0, 0, 4, 4, 0, 1) + b"\0"
    with pytest.raises(Refusal, match="code blocks"):
        check(jpeg2000(2000, 2000)[:-2] + segment(0x52, sizes) + b"\xff\xd9")


def avif(sizes, *, table=0, names=0, entry=2):
    """Boxes of an AVIF whose second item is Exif data in parts of these sizes; their versions."""
    box = lambda kind, data: struct.pack(">I", len(data) + 8) + kind + data  # noqa: E731
    number = lambda n, wide: n.to_bytes(4 if wide else 2)  # noqa: E731
    items = b"".join(
        box(b"infe", bytes([entry, 0, 0, 0]) + number(item, entry == 3) + b"\0\0" + kind + b"\0")
        for item, kind in ((1, b"av01"), (2, b"Exif"))
    )
    places = b""
    for item, parts in ((1, [10**6]), (2, sizes)):
        places += number(item, table == 2) + b"\0\0" * (1 + bool(table)) + bytes(4)
        places += struct.pack(">H", len(parts))
        places += b"".join(bytes(4 * bool(table)) + struct.pack(">II", 0, n) for n in parts)
    index = 4 if table else 0
    head = bytes([table, 0, 0, 0, 0x44, 0x40 | index]) + number(2, table == 2)
    infos = bytes([names, 0, 0, 0]) + number(2, names == 1) + items
    meta = bytes(4) + box(b"iinf", infos) + box(b"iloc", head + places)
    return box(b"ftyp", b"avif") + box(b"meta", bytes(4)) + box(b"meta", meta) + box(b"mdat", b"")


@pytest.mark.parametrize("versions", [(0, 0, 2), (1, 1, 3), (2, 1, 2)], ids=str)
def test_exif_data_of_an_avif_are_those_of_its_table(versions):
    options = dict(zip(("table", "names", "entry"), versions, strict=True))
    for sizes in ([], [2**17], [2**16, 2**16]):
        box_files.check_exif(io.BytesIO(avif(sizes, **options)))
    for sizes in ([2**17 + 1], [2**16, 2**16 + 1]):
        with pytest.raises(Refusal, match="more than 131072 bytes of Exif"):
            box_files.check_exif(io.BytesIO(avif(sizes, **options)))
    whole = avif([9], **options)
    for name in (b"iinf", b"iloc"):
        box_files.check_exif(io.BytesIO(whole.replace(name, b"free")))
    with pytest.raises((ValueError, IndexError)):
        box_files.check_exif(io.BytesIO(whole[:-22]))


def test_jpeg_at_its_limits():
    comment = segment(0xFE, b"")
    count = lambda data: len(jpeg_scans.segments(io.BytesIO(data)))  # noqa: E731
    own = count(JPEG)
    assert count(JPEG[:2] + comment * (2000 - own) + JPEG[2:]) == 2000
    assert count(JPEG[:2] + b"\xff" * 7 + JPEG[2:]) == own
    assert count(JPEG[:2] + segment(0xED, b"") * 64 + JPEG[2:]) == own + 64
    exif_of = lambda size: segment(0xE1, b"Exif" + bytes(size - 6))  # noqa: E731
    assert count(JPEG[:2] + exif_of(2**15) * 4 + JPEG[2:]) == own + 4
    other = segment(0xE1, b"http" + bytes(60000)) * 3
    assert count(JPEG[:2] + other + JPEG[2:]) == own + 3
    for data, said in (
        (JPEG[:2] + exif_of(2**15) * 3 + exif_of(2**15 + 1) + JPEG[2:], "bytes of Exif"),
        (JPEG[:2] + comment * (2001 - own) + JPEG[2:], "very many segments"),
        (JPEG[:2] + segment(0xED, b"") * 65 + JPEG[2:], "very many segments"),
        (JPEG[:2] + b"\xff" * 8 + JPEG[2:], "no marker where one must be"),
        (JPEG[:2] + b"\0" + JPEG[2:], "no marker where one must be"),
        (JPEG[:2], "no marker where one must be"),
        (JPEG[:2] + b"\xff\xff", "no marker where one must be"),
        (JPEG[:2] + b"\xff\xfe\0\1" + JPEG[2:], "a segment of no length"),
        (JPEG[:2] + b"\xff\xfe\5", "a segment of no length"),
    ):
        with pytest.raises(ValueError, match=said):
            jpeg_scans.segments(io.BytesIO(data))
    of_scans = PROGRESSIVE.count(b"\xff\xda")
    full = PROGRESSIVE[:-2] + SCAN * (64 - of_scans) + b"\xff\xd9"
    assert jpeg_scans.only_scan(io.BytesIO(full), full) is None
    assert jpeg_scans.only_scan(io.BytesIO(JPEG), JPEG[:-2]) is None
    for marker in (0xC3, 0xC5, 0xC7, 0xC9, 0xCB, 0xCD, 0xCF):
        data = JPEG.replace(b"\xff\xc0", bytes([255, marker]))
        with pytest.raises(Refusal, match="arithmetic coding or without loss"):
            jpeg_scans.only_scan(io.BytesIO(data), data)


def test_png_at_its_limits(monkeypatch):
    find = lambda data: [c.kind for c in png_chunks.chunks(io.BytesIO(data))]  # noqa: E731
    data = png(8, 8, ZEROS, before=chunk(b"eXIf", bytes(2**18)))
    assert find(data + chunk(b"IDAT", b"behind")) == [b"IHDR", b"eXIf", b"IDAT", b"IEND"]
    assert len(find(png(8, 8, bytes(2**17 + 1)))) == 3
    monkeypatch.setattr(png_chunks, "MOST_CHUNKS", 4)
    assert len(find(data)) == 4
    monkeypatch.setattr(png_chunks, "MOST_CHUNKS", 3)
    with pytest.raises(Refusal, match="more than 3 chunks"):
        find(data)
    assert len(find(data[:-12][: -len(ZEROS) - 12])) == 2
    assert len(find(data[:-16])) == 3
    with pytest.raises(ValueError, match="it ends in its pixels"):
        find(data[:-17])


@pytest.mark.parametrize(("colours", "bands"), [(0, 1), (2, 3), (3, 1), (4, 2), (6, 4)])
def test_rows_of_png_are_missing_where_one_byte_is(colours, bands):
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
    steps += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for width, height in ((1, 1), (2, 5), (5, 1), (4, 4), (9, 7), (16, 17)):
        for interlaced in (0, 1):
            size = 0
            for left, top, across, down in steps if interlaced else [(0, 0, 1, 1)]:
                pixels = len(range(left, width, across))
                size += len(range(top, height, down)) * (1 + pixels * bands) * bool(pixels)
            for less in (0, 1):
                packed = zlib.compress(bytes(size - less))
                data = png(width, height, packed, colours=colours, interlaced=interlaced)
                assert png_chunks.rows_missing(io.BytesIO(data)) == bool(less)


def test_tiff_at_its_limits():
    check = lambda *tags, **more: check_tags(io.BytesIO(tiff(*tags, **more)))  # noqa: E731
    check(*[(40000, 7, 1, 8)] * 2000)
    for kind, size in {
        1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
        17: 8, 18: 8,
    }.items():  # fmt: skip
        after = bytes(1000 * size - 26)  # with head and tag as many as the values
        check((40000, kind, 1000, 8), after=after)
        with pytest.raises(Refusal, match="claim more"):
            check((40000, kind, 1001, 8), after=after)
    for packed in (1, 5, 7, 8, 32946, 32773):
        check((259, 3, 1, packed))
    for packed in (2, 3, 4, 6, 34712):
        with pytest.raises(Refusal, match="packed in a way"):
            check((259, 3, 1, packed))
    check((273, 4, 2**16, 8), after=bytes(2**18))
    check((273, 7, 2**16 + 1, 8), after=bytes(2**18))
    with pytest.raises(Refusal, match="claim more"):
        check((273, 4, 2**16 + 1, 8), after=bytes(2**18 + 9))
    sides = ((256, 4, 1, 1024), (257, 4, 1, 1024))
    check(*sides, (322, 4, 1, 2048), (323, 4, 1, 2048))
    with pytest.raises(Refusal, match="tiles far larger"):
        check(*sides, (322, 4, 1, 2048), (323, 4, 1, 2049))
    check((256, 4, 1, 8), (257, 4, 1, 8), (322, 4, 1, 1024), (323, 4, 1, 1024))
    with pytest.raises(Refusal, match="tiles far larger"):
        check((256, 4, 1, 8), (257, 4, 1, 8), (322, 4, 1, 1024), (323, 4, 1, 1025))


@pytest.mark.parametrize("further", [34665, 34853, 40965])
def test_further_folders_of_a_tiff_share_its_bytes(further):
    inner = struct.pack("<H", 1) + struct.pack("<HHII", 40000, 7, 100, 8)
    tags = ((further, 4, 1, 8 + 2 + 24 + 4), (40000, 7, 100, 8))
    check_tags(io.BytesIO(tiff(*tags, after=inner + bytes(200))))
    with pytest.raises(Refusal, match="claim more"):
        check_tags(io.BytesIO(tiff(*tags, after=inner + bytes(140))))


def test_a_tiff_of_the_other_order_and_a_big_one_are_looked_at():
    big = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1)
    for kind, data in (("fax", 4), ("plain", 1)):
        for file in (
            b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHH", 1, 259, 3, 1, data, 0) + bytes(4),
            big + struct.pack("<HHQQ", 259, 3, 1, data),
        ):
            if kind == "plain":
                check_tags(io.BytesIO(file))
                continue
            with pytest.raises(Refusal, match="packed in a way"):
                check_tags(io.BytesIO(file))


def large_exif(order="<", *, turned=6, size=10**6):
    """Exif data of a long description, as generators write them, and of an orientation."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, 2)
    start += struct.pack(f"{order}HHLL", 0x010E, 2, size, 38)
    return start + struct.pack(f"{order}HHLHHL", 274, 3, 1, turned, 0, 0) + b"s" * size


def in_a_text(exif):
    return b"Raw profile type exif\0\nexif\n%d\n" % len(exif) + exif.hex().encode()


@pytest.mark.parametrize("size", [10, 2**17 - 50, 10**6])
def test_long_exif_data_turn_an_image_and_cost_nothing_else(size, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    webp = io.BytesIO()
    exif = large_exif(size=size)
    Image.fromarray(pixels).save(webp, "WEBP", lossless=True, exif=b"Exif\0\0" * 2 + exif)
    read, load = [], Image.Exif.load
    monkeypatch.setattr(Image.Exif, "load", lambda s, data: read.append(len(data)) or load(s, data))
    for data in (
        webp.getvalue(),
        png(3, 2, rows, before=chunk(b"eXIf", exif)),
        png(3, 2, rows, before=chunk(b"eXIf", large_exif(">", size=size))),
        png(3, 2, rows)[:-12] + chunk(b"eXIf", exif) + chunk(b"IEND", b""),
        png(3, 2, rows, before=chunk(b"tEXt", in_a_text(exif))),
    ):
        np.testing.assert_array_equal(decode_image(data, name="a"), np.rot90(pixels, -1))
    assert len(read) >= 5 and max(read) <= 2**17


def test_exif_data_that_cannot_be_read_turn_nothing(tmp_path):
    for data in (b"", b"II", b"Exif\0\0II*\0" + b"\xff" * 99, exif(9, 200), b"xx" * 99):
        assert only_orientation(data) == only_orientation(large_exif(turned=1))
    # Of tags that end too early what stands before the end.
    assert only_orientation(large_exif()[:32]) == only_orientation(large_exif())
    assert only_orientation(large_exif()[:31]) == only_orientation(b"")
    (tmp_path / "a.png").write_bytes(png(8, 8, ZEROS, before=chunk(b"eXIf", exif(9, 200_000))))
    assert read_header(tmp_path / "a.png").width == 8
    text = chunk(b"tEXt", b"Raw profile type exif\0" + b"\n0" * 300_000 + b"x")
    assert not decode_image(png(8, 8, ZEROS, before=text), name="a").any()


def test_more_bytes_than_are_read_are_refused(monkeypatch):
    monkeypatch.setitem(budget._MOST_BYTES, "JPEG", 1000)
    with pytest.raises(ImageError, match=f"a: {len(JPEG)} bytes, more than the 1000"):
        decode_image(JPEG, name="a")


def test_limit_of_pixels_can_be_raised_and_formats_that_cost_more_have_a_lower_one(monkeypatch):
    data = noise((30, 30), "WEBP", lossless=True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match="900 pixels, more than the 400 that are decoded of WEBP"):
        decode_image(data, name="a")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    assert decode_image(data, name="a").shape == (30, 30, 3)


def test_memory_that_does_not_suffice_is_said(monkeypatch):
    def load(self):
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(ImageError, match="a: its pixels do not fit into memory"):
        decode_image(noise(kind="BMP"), name="a")


def test_drawings_start_no_program(tmp_path, monkeypatch):
    def start(*arguments, **options):
        raise AssertionError(f"a program was started: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", start)
    for start_of in (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"8BPS\0\1",
        b"SIMPLE  =",
    ):
        (tmp_path / "a.jpg").write_bytes(start_of + bytes(99))
        with pytest.raises(ImageError, match="not an image|not read"):
            load_image(tmp_path / "a.jpg")


# --- what is missing ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 3}, {"subsampling": 0}])
@pytest.mark.parametrize("left", [1 / 64, 1 / 2, 63 / 64])
def test_jpeg_that_ends_before_its_last_row_is_refused_whatever_end_it_has(options, left):
    data = noise((160, 160), **options)
    cut = data[: int(len(data) * left)]
    for end in (b"", b"\xff\xd9", b"\xff\xfe\0\2\xff\xd9"):
        with pytest.raises(ImageError, match="damaged or truncated"):
            decode_image(cut + end, name="a")
    with pytest.raises(ImageError, match="its last rows are missing"):
        decode_image(data[:-4] + b"\xff\xd9", name="a")


def test_jpeg_whose_pixels_end_before_its_data_is_refused():
    first = noise((160, 160))
    at = first.index(b"\xff\xda") + 14
    with pytest.raises(ImageError, match="its pixels end before its data"):
        decode_image(first[:-2] + first[at:], name="a")
    # Bytes that fill up a file are no pixels.
    filled = decode_image(first[:-2] + bytes(5000) + b"\xff\xd9", name="a")
    np.testing.assert_array_equal(filled, decode_image(first, name="a"))


@pytest.mark.parametrize("left", [1 / 8, 1 / 4, 1 / 2])
def test_progressive_jpeg_without_its_last_scans_is_refused(left):
    data = noise((160, 160), progressive=True)
    with pytest.raises(ImageError, match="is missing|are missing"):
        decode_image(data[: int(len(data) * left)] + b"\xff\xd9", name="a")


def test_progressive_jpeg_of_a_few_blocks_is_no_large_picture():
    data = PROGRESSIVE.replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 4096, 4096), 1)
    with pytest.raises(ImageError, match="a scan of most rows is missing"):
        decode_image(data, name="a")


def test_whole_jpegs_of_any_size_are_read_as_pillow_reads_them(rng):
    for width, height in ((1, 1), (1, 64), (64, 1), (7, 17), (16, 16), (33, 8), (100, 65)):
        for mode, channels in (("L", 1), ("RGB", 3), ("CMYK", 4)):
            for level in (None, 0, 255):
                pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
                if level is not None:
                    pixels[:] = level
                stream = io.BytesIO()
                image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode)
                image.save(stream, "JPEG", quality=int(rng.integers(5, 100)))
                with Image.open(stream) as expected:
                    wanted = np.array(expected.convert("RGB"))
                np.testing.assert_array_equal(decode_image(stream.getvalue(), name="a"), wanted)


def test_jpeg_segments_are_walked_over_fillings_and_markers_without_length():
    data = JPEG[:2] + b"\xff\xff\xff" + JPEG[2:]
    found = jpeg_scans.segments(io.BytesIO(data))
    assert (found[0].marker, found[-1].marker) == (0xE0, 0xDA)
    np.testing.assert_array_equal(decode_image(data, name="a"), decode_image(JPEG, name="a"))


@pytest.mark.parametrize("interlaced", [0, 1])
def test_png_whose_pixels_are_fewer_than_its_rows_is_refused(interlaced):
    row = b"\0" + bytes(range(192))
    for rows in (1, 32, 63):
        with pytest.raises(ImageError, match="rows are missing|truncated"):
            decode_image(png(64, 64, zlib.compress(row * rows), interlaced=interlaced), name="a")
    # Of an interlaced one the last row may be there, and others not.
    with pytest.raises(ImageError, match="its last rows are missing"):
        first = zlib.compress((b"\0" + b"\xff" * 6) * 2)
        decode_image(png(9, 9, first, interlaced=1), name="a")
    black = decode_image(png(64, 64, zlib.compress(bytes(64 * 193))), name="a")
    assert black.shape == (64, 64, 3) and not black.any()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("left", [1 / 64, 1 / 2, 63 / 64])
def test_files_that_are_cut_have_no_pixels(kind, left):
    data = noise(kind=kind)
    with pytest.raises(ImageError):
        decode_image(data[: int(len(data) * left)], name="a")


# --- the only way in ----------------------------------------------------------------------------


def test_profile_that_pillow_refuses_does_not_cost_a_png_its_pixels():
    data = png(8, 8, ZEROS, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**21))))
    assert decode_image(data, name="a").shape == (8, 8, 3)


def test_large_pictures_are_turned_and_converted_in_bands(rng, tmp_path, monkeypatch):
    monkeypatch.setattr("gan_forensics.data.decoding._BAND", 100)
    pixels = rng.integers(0, 256, (33, 20, 3), dtype=np.uint8)
    turns = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).swapaxes(0, 1),
        8: np.rot90(pixels),
    }  # fmt: skip
    for orientation, wanted in turns.items():
        tags = Image.Exif()
        tags[0x0112] = orientation
        for kind in ("PNG", "TIFF"):
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, kind, exif=tags)
            (tmp_path / "a").write_bytes(stream.getvalue())
            np.testing.assert_array_equal(load_image(tmp_path / "a"), wanted)
            assert read_header(tmp_path / "a")[:2] == wanted.shape[:2]


def test_no_picture_comes_in_another_way():
    ways = re.compile(
        r"Image\.(open|frombytes|frombuffer)\(|\bimread\b|\bimdecode\(|VideoCapture\("
    )
    found = {}
    root = Path(gan_forensics.__file__).parent
    for path in root.rglob("*.py"):
        if count := len(ways.findall(path.read_text(encoding="utf-8"))):
            found[path.relative_to(root).as_posix()] = count
    assert found == {
        "data/decoding.py": 1,
        # Bytes that were encoded there, a line above.
        "data/augment.py": 2,
        "data/carriers.py": 1,
        "forensics/visual_aids.py": 1,
        "studies/face_clips.py": 2,
        # Videos.
        "faces/video.py": 1,
    }
