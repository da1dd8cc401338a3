"""Small pictures of every format that is read, in the forms that formats have: seeds of fuzzing."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SIDE = 19


def _pixels(channels: int = 3, side: int = SIDE) -> np.ndarray:
    draw = np.random.default_rng(7)
    ramp = np.add.outer(np.arange(side), 2 * np.arange(side))[..., None] * np.arange(
        1, channels + 1
    )
    noise = draw.integers(0, 30, (side, side, channels))
    return ((ramp + noise) % 256).astype(np.uint8)


def _picture(mode: str = "RGB", side: int = SIDE) -> Image.Image:
    rgb = Image.fromarray(_pixels(side=side))
    if mode == "RGBA":
        rgb.putalpha(255)
        return rgb
    if mode == "LA":
        gray = rgb.convert("L")
        gray.putalpha(255)
        return gray
    if mode == "I;16":
        return Image.fromarray(_pixels(1)[..., 0].astype(np.uint16) * 257)
    return rgb.convert(mode)


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _frames(kind: str, **options) -> bytes:
    more = [_picture().rotate(90), _picture().rotate(180)]
    return _saved(_picture(), kind, save_all=True, append_images=more, **options)


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, "a description"
    return exif


def _interlaced() -> bytes:
    """A PNG in Adam7's seven passes, which Pillow does not write."""
    pixels, lines = _pixels(), b""
    for y, x, down, right in (
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):  # fmt: skip
        lines += b"".join(b"\0" + row.tobytes() for row in pixels[y::down, x::right])
    chunks = (
        (b"IHDR", struct.pack(">2I5B", SIDE, SIDE, 8, 2, 0, 0, 1)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
        for kind, content in chunks
    )


def _png() -> list[bytes]:
    text = PngInfo()
    text.add_text("parameters", "a cat, steps: 20" * 9, zip=True)
    text.add_text("Comment", "plain")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    modes = ("RGB", "L", "1", "P", "RGBA", "LA", "I;16")
    return [
        *(_saved(_picture(mode), "PNG") for mode in modes),
        _saved(_picture(), "PNG", pnginfo=text, exif=_exif(6), icc_profile=b"profile" * 20),
        _saved(_picture("P"), "PNG", transparency=3),
        _interlaced(),
        _frames("PNG"),
    ]


def _jpeg() -> list[bytes]:
    plain = _saved(_picture(side=33), "JPEG", quality=80)
    return [
        plain,
        _saved(_picture(), "JPEG", quality=95, subsampling=0),
        _saved(_picture("L"), "JPEG"),
        _saved(_picture(side=33), "JPEG", progressive=True),
        _saved(_picture("CMYK"), "JPEG"),
        _saved(_picture(), "JPEG", exif=_exif(8), icc_profile=b"profile" * 20, comment=b"words"),
        _saved(_picture(side=33), "JPEG", restart_marker_blocks=1),
        _frames("MPO"),
    ]


def _bmp() -> list[bytes]:
    pixels = _pixels(1, 8)[..., 0] % 4
    runs = b"".join(b"".join(bytes((1, v)) for v in row) + b"\0\0" for row in pixels) + b"\0\1"
    palette = bytes(range(64))
    start = 14 + 40 + len(palette)
    rle = b"BM" + struct.pack("<I4xI", start + len(runs), start)
    rle += struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, len(runs), 0, 0, 16, 16) + palette + runs
    return [rle, *(_saved(_picture(mode), "BMP") for mode in ("RGB", "L", "P", "1", "RGBA"))]


def _gif() -> list[bytes]:
    return [
        _saved(_picture("L"), "GIF"),
        _saved(_picture("P"), "GIF", interlace=False, comment=b"words"),
        _saved(_picture("P"), "GIF", transparency=0),
        _frames("GIF", duration=20, loop=0),
    ]


def _tiff() -> list[bytes]:
    ways = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "tiff_deflate")
    return [
        *(_saved(_picture(), "TIFF", compression=way) for way in ways),
        *(_saved(_picture("1"), "TIFF", compression=way) for way in ("group4", "group3")),
        *(_saved(_picture(mode), "TIFF") for mode in ("L", "P", "CMYK", "I;16", "RGBA")),
        _saved(_picture(), "TIFF", exif=_exif(3)),
        _frames("TIFF", compression="tiff_lzw"),
        _saved(_picture(), "TIFF", big_tiff=True),
    ]


def _webp() -> list[bytes]:
    return [
        _saved(_picture(), "WEBP", quality=80),
        _saved(_picture(), "WEBP", lossless=True),
        _saved(_picture("RGBA"), "WEBP", exact=True),
        _saved(_picture(), "WEBP", exif=_exif(6), icc_profile=b"profile" * 20),
        _frames("WEBP", duration=20),
    ]


def _ppm() -> list[bytes]:
    gray = _pixels(1, 6)[..., 0]
    numbers = " ".join(map(str, gray.ravel()))
    return [
        *(_saved(_picture(mode), "PPM") for mode in ("RGB", "L", "1", "I;16")),
        f"P2\n# plain\n6 6\n255\n{numbers}\n".encode(),
        f"P3\n2 6 255\n{numbers}\n".encode(),
        b"P1\n6 6\n" + b" ".join(b"%d" % (v & 1) for v in gray.ravel()),
    ]


def _jpeg2000() -> list[bytes]:
    return [
        _saved(_picture(), "JPEG2000"),
        _saved(_picture("L"), "JPEG2000", irreversible=True, quality_layers=[20, 5]),
        _saved(_picture(side=40), "JPEG2000", no_jp2=True, tile_size=(16, 16)),
        _saved(_picture("RGBA"), "JPEG2000", num_resolutions=2),
    ]


def _avif() -> list[bytes]:
    options = dict(speed=10, max_threads=1)
    return [
        _saved(_picture(), "AVIF", quality=50, **options),
        _saved(_picture("RGBA"), "AVIF", quality=100, subsampling="4:4:4", **options),
        _saved(_picture(), "AVIF", exif=_exif(6), **options),
        _frames("AVIF", **options),
    ]


def _heic() -> list[bytes]:
    def saved(*pictures: Image.Image, orientation: int = 1, **options) -> bytes:
        written, file = pillow_heif.HeifFile(), io.BytesIO()
        for picture in pictures:
            written.add_from_pillow(picture)
        written[0].info["exif"] = _exif(orientation).tobytes()
        written.save(file, **options)
        return file.getvalue()

    return [
        saved(_picture(side=40)),
        saved(_picture("RGBA", 40)),
        saved(_picture(side=200), tile_size=64),
        saved(_picture(side=40), _picture(side=64), orientation=6, primary_index=1),
    ]


# By format, as Pillow names them; each makes its seeds.
SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "png": _png, "jpeg": _jpeg, "bmp": _bmp, "gif": _gif, "tiff": _tiff, "webp": _webp,
    "ppm": _ppm, "jpeg2000": _jpeg2000, "avif": _avif, "heic": _heic,
}  # fmt: skip
