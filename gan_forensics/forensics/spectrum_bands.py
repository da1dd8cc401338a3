"""Bands of radial spectra: between which curves those of photographs and of generators lie.

A spectrum depends on the size of the image and on how the file was compressed as much as on who
made it. So the curve of an image is the mean of those of tiles of one size, cut without resizing,
and bands are told apart by the class of the codec and of the size: an image is compared with those
of its own classes alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.data.decoding import Header
from gan_forensics.data.flat import flat
from gan_forensics.data.images import as_image
from gan_forensics.files import check_file_in, listed, shown
from gan_forensics.files.archives import Head, read_archive, write_archive
from gan_forensics.forensics.archive import check_fields
from gan_forensics.forensics.format_audit import SIZES, size_class
from gan_forensics.forensics.tiles import Tiling, places
from gan_forensics.spectra.curves import (
    Normalise,
    check_normalise,
    log_spectrum_curve,
    normalised,
)
from gan_forensics.spectra.gray import gray_channel
from gan_forensics.spectra.radial import ring_radii

FORMAT, VERSION = "gan_forensics spectrum bands", 1
# The side of tiles that commands take, and sides that are taken at all.
SIDE, SIDES = 256, range(32, 1025)
# The quantiles of a band, and images that it needs at least.
LOW, HIGH = 0.05, 0.95
FEWEST = 5
# The lowest quality of each class of JPEG.
_QUALITIES = {"JPEG of quality 96 to 100": 96, "JPEG of quality 86 to 95": 86,
              "JPEG of quality 71 to 85": 71, "JPEG of quality 50 to 70": 50}  # fmt: skip
_BELOW = "JPEG of quality below 50"
_LOSSLESS = "lossless (PNG, BMP, TIFF, GIF)"
_CONTAINERS = {
    "PNG": _LOSSLESS, "BMP": _LOSSLESS, "TIFF": _LOSSLESS, "GIF": _LOSSLESS,
    "WEBP": "WebP", "AVIF": "AVIF or HEIC", "HEIC": "AVIF or HEIC",
}  # fmt: skip
_OTHER = "another format"
CODECS = (_LOSSLESS, *_QUALITIES, _BELOW, "WebP", "AVIF or HEIC", _OTHER)
# Sets of a file, and letters of their names.
MOST_SETS, MOST_NAME = 64, 200
_MOST_BYTES = 2**28
# What no curve of an 8-bit image reaches.
_LARGEST = 1e6


def codec_class(container: str, quality: int | None) -> str:
    """The class of codecs whose spectra are compared with one another.

    It is what the last file says: a PNG that was a JPEG before passes for lossless.

    Args:
        container: of a `Header`, such as "JPEG".
        quality: likewise, 1 to 100; None where the file states none.

    Example:
        >>> codec_class("JPEG", 90), codec_class("PNG", None)
        ('JPEG of quality 86 to 95', 'lossless (PNG, BMP, TIFF, GIF)')
    """
    if container != "JPEG":
        return _CONTAINERS.get(container, _OTHER)
    if quality is None:
        return _OTHER
    return next((name for name, low in _QUALITIES.items() if quality >= low), _BELOW)


class Tiles(NamedTuple):
    """Tiles of an image.

    Attributes:
        gray: those that are not flat, uint8.
        flat: how many others there were.
    """

    gray: UInt8[np.ndarray, "n side side 1"]
    flat: int


def tiles_of(image: UInt8[np.ndarray, "h w c"], side: int) -> Tiles:
    """At most 16 tiles (`forensics.tiles.places`), in gray; none of an image that holds none.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (96, 80, 3), np.uint8)
        >>> tiles_of(noise, 32).gray.shape
        (6, 32, 32, 1)
    """
    image = as_image(image)
    height, width = image.shape[:2]
    if min(height, width) < side:
        return Tiles(np.zeros((0, side, side, 1), np.uint8), 0)
    at = places(height, width, Tiling(side))
    cut = [image[y : y + side, x : x + side] for y, x in at.tolist()]
    gray = np.asarray(gray_channel(np.stack(cut)))
    kept = gray[~flat(gray)]
    return Tiles(kept, len(gray) - len(kept))


def tiles_curve(
    gray: UInt8[np.ndarray, "n side side 1"], normalise: Normalise
) -> Float[np.ndarray, " rings"]:
    """The mean of the log spectra of tiles, normalised; float64."""
    curves = log_spectrum_curve(gray, normalise="none", precision="float64")
    return np.asarray(normalised(np.asarray(curves).mean(0, keepdims=True), normalise))[0]


class Band(NamedTuple):
    """Where the curves of a set of images of one class lie.

    Attributes:
        name: of the set.
        codec: of `CODECS`.
        size: of `format_audit.SIZES`.
        images: how many there were.
        mean: at each ring.
        deviation: population standard deviation over images.
        low: 5 % of the images have less.
        high: 5 % have more.
    """

    name: str
    codec: str
    size: str
    images: int
    mean: Float[np.ndarray, " rings"]
    deviation: Float[np.ndarray, " rings"]
    low: Float[np.ndarray, " rings"]
    high: Float[np.ndarray, " rings"]

    @property
    def outside(self) -> float:
        """The share of rings at which another image of the same making is expected outside.

        A tenth, and more for few images: n of them part the values of the next one into n + 1
        intervals that are equally probable, and the ends of the band lie 1 + (n - 1) / 20 of these
        from either end.

        Example:
            >>> kind = "WebP", SIZES[0]
            >>> [round(band_of("a", *kind, np.zeros((n, 1))).outside, 3) for n in (6, 100, 10_000)]
            [0.357, 0.118, 0.1]
        """
        return 2 * (1 + LOW * (self.images - 1)) / (self.images + 1)


def band_of(name: str, codec: str, size: str, curves: Float[np.ndarray, "n rings"]) -> Band:
    """The band of the curves of some images.

    Example:
        >>> found = band_of("photographs", "WebP", SIZES[0], np.arange(21.0)[:, None])
        >>> found.images, found.mean[0], found.low[0], found.high[0]
        (21, np.float64(10.0), np.float64(1.0), np.float64(19.0))
    """
    values = np.asarray(curves, np.float64)
    low, high = np.quantile(values, (LOW, HIGH), axis=0)
    return Band(name, codec, size, len(values), values.mean(0), values.std(0), low, high)


@dataclass(frozen=True, eq=False)
class SpectrumBands:
    """Bands of sets of images, by the class of their files.

    Attributes:
        side: of the tiles that curves are of.
        normalise: how curves were normalised.
        names: of the sets; the first one is of photographs.
        bands: of each set, those of each class of which there were enough images.

    Example:
        >>> bands = load_bands("spectrum/bands.npz")  # doctest: +SKIP
        >>> [band.name for band in bands.of(read_header("suspect.jpg"))]  # doctest: +SKIP
        ['photographs', 'generated']
    """

    side: int
    normalise: Normalise
    names: tuple[str, ...]
    bands: tuple[Band, ...]

    @cached_property
    def frequency(self) -> Float[np.ndarray, " rings"]:
        """Of each ring, in cycles per pixel."""
        return ring_radii(self.side, self.side)

    def of(self, header: Header) -> list[Band]:
        """The bands that an image is compared with, in the order of the sets; maybe none."""
        kind = codec_class(header.container, header.quality), size_class(*header[:2])
        return [band for band in self.bands if (band.codec, band.size) == kind]

    @property
    def kinds(self) -> dict[tuple[str, str], dict[str, int]]:
        """How many images of each set there are of each class of codecs and sizes."""
        found: dict[tuple[str, str], dict[str, int]] = {}
        for band in self.bands:
            found.setdefault((band.codec, band.size), {})[band.name] = band.images
        return found

    def save(self, path: Path | str) -> None:
        """Write them to a file for `load_bands`."""
        header = {
            "format": FORMAT, "version": VERSION, "side": self.side, "normalise": self.normalise,
            "names": list(self.names), "bands": [list(band[:4]) for band in self.bands],
        }  # fmt: skip
        write_archive(path, header, {"curves": np.array([band[4:] for band in self.bands])})


def make_bands(
    curves: Mapping[str, Mapping[tuple[str, str], Sequence[Float[np.ndarray, " rings"]]]],
    *,
    side: int,
    normalise: Normalise,
) -> SpectrumBands:
    """Bands of curves by set, and by the classes of codec and size.

    Classes of fewer than `FEWEST` images are left out.

    Raises:
        ValueError: where nothing is left.

    Example:
        >>> kind = codec_class("PNG", None), size_class(480, 640)
        >>> found = make_bands({"a": {kind: np.eye(9)}}, side=32, normalise="none")
        >>> [band.images for band in found.bands]
        [9]
    """
    bands = [
        band_of(name, *kind, np.asarray(some))
        for name, by_kind in curves.items()
        for kind, some in sorted(by_kind.items())
        if len(some) >= FEWEST
    ]
    if not bands:
        found = [
            f"{len(some)} of {name} ({', '.join(kind)})"
            for name, by_kind in curves.items()
            for kind, some in sorted(by_kind.items())
        ]
        raise ValueError(
            f"no bands: {FEWEST} images of one codec and size are needed at least, and there are "
            f"{listed(found) or 'none'}"
        )
    return SpectrumBands(side, normalise, tuple(curves), tuple(bands))


def load_bands(path: Path | str) -> SpectrumBands:
    """Read bands from a file of `SpectrumBands.save`, which may come from a stranger.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: in one line, for a file that is no such one, or whose parts do not fit together.

    Example:
        >>> load_bands("spectrum/bands.npz").names  # doctest: +SKIP
        ('photographs', 'generated')
    """
    check_file_in(path, "bands.npz of `gan-forensics spectrum --tile`")
    try:
        header, arrays = read_archive(path, _choose, most=_MOST_BYTES)
        return _assembled(header, arrays["curves"])
    except OSError:
        raise
    except Exception as error:  # What a hostile header asks for can fail anywhere.
        reason = shown(" ".join(str(error).split()), most=1000) or type(error).__name__
        raise ValueError(
            f"{shown(path)} is not a usable file of bands: {reason} "
            "(write one with `gan-forensics spectrum --tile`)"
        ) from error


def _choose(header: Any, heads: Mapping[str, Head]) -> Iterable[str]:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("its header is not that of bands")
    if header.get("version") != VERSION:
        version = shown(repr(header.get("version")))
        raise ValueError(f"it has version {version}, this gan_forensics reads {VERSION}")
    check_fields(header, {"side": SIDES, "normalise": str, "names": list, "bands": list})
    check_normalise(header["normalise"])
    names, bands = header["names"], header["bands"]
    right = all(isinstance(name, str) and 0 < len(name) <= MOST_NAME for name in names)
    if not right or not 0 < len(names) <= MOST_SETS or len(set(names)) < len(names):
        raise ValueError(f"its names are not 1 to {MOST_SETS} different ones")
    if not 0 < len(bands) <= len(names) * len(CODECS) * len(SIZES):
        raise ValueError(f"it has {len(bands)} bands")
    for band in bands:
        name, codec, size, images = band
        if name not in names or codec not in CODECS or size not in SIZES:
            raise ValueError(f"it has a band of {shown(band)}")
        if type(images) is not int or images < FEWEST:
            raise ValueError(f"it has a band of {shown(images)} images")
    if len({tuple(band[:3]) for band in bands}) < len(bands):
        raise ValueError("it has two bands of one set and class")
    wanted = len(bands), 4, len(ring_radii(header["side"], header["side"]))
    found = heads["curves"] if "curves" in heads else None
    if found is None or found.shape != wanted or found.dtype != np.float64:
        raise ValueError(f"its curves are not float64 {list(wanted)}")
    return ["curves"]


def _assembled(header: Mapping[str, Any], curves: np.ndarray) -> SpectrumBands:
    if not (np.abs(curves) <= _LARGEST).all():
        raise ValueError("its curves are not finite")
    _, deviation, low, high = curves.swapaxes(0, 1)
    if (deviation < 0).any() or (low > high).any():
        raise ValueError("the ends of a band are reversed")
    bands = [Band(*of, *rows) for of, rows in zip(header["bands"], curves, strict=True)]
    return SpectrumBands(header["side"], header["normalise"], tuple(header["names"]), tuple(bands))
