"""Bands of radial spectra: tiles, classes, quantiles, files, and the command that makes them."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import Header, power_law_textures
from gan_forensics.files.archives import write_archive
from gan_forensics.forensics.spectrum_bands import (
    CODECS,
    FEWEST,
    band_of,
    codec_class,
    load_bands,
    make_bands,
    tiles_curve,
    tiles_of,
)
from gan_forensics.forensics.tiles import Tiling, places
from gan_forensics.spectra import log_spectrum_curve, ring_radii
from tests.test_cli import read_csv, refused, run

PNG, LARGE = (CODECS[0], "up to 256 pixels"), (CODECS[0], "513 to 1024 pixels")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def some(side=32, n=6, seed=0):
    rings = len(ring_radii(side, side))
    return list(np.random.default_rng(seed).random((n, rings)))


@pytest.fixture
def bands():
    made = {"photos": {PNG: some(), LARGE: some(n=9)}, "progan": {PNG: some(seed=1)}}
    return make_bands(made, side=32, normalise="none")


@pytest.mark.parametrize(
    "container, quality, name",
    [
        ("PNG", None, "lossless (PNG, BMP, TIFF, GIF)"),
        ("GIF", None, "lossless (PNG, BMP, TIFF, GIF)"),
        ("JPEG", 49, "JPEG of quality below 50"),
        ("JPEG", 50, "JPEG of quality 50 to 70"),
        ("JPEG", 70, "JPEG of quality 50 to 70"),
        ("JPEG", 71, "JPEG of quality 71 to 85"),
        ("JPEG", 95, "JPEG of quality 86 to 95"),
        ("JPEG", 96, "JPEG of quality 96 to 100"),
        ("JPEG", None, "another format"),
        ("WEBP", None, "WebP"),
        ("AVIF", None, "AVIF or HEIC"),
        ("HEIC", None, "AVIF or HEIC"),
        ("JPEG2000", None, "another format"),
    ],
)
def test_each_codec_has_one_class(container, quality, name):
    assert codec_class(container, quality) == name
    assert name in CODECS


def test_the_curve_is_the_mean_of_those_of_the_tiles_that_are_not_flat():
    image = noise(64, 96)
    image[:, 64:] = 128
    image[:, :16] = 128
    found = tiles_of(image, 32)
    curves = [
        log_spectrum_curve(image[None, y : y + 32, x : x + 32], normalise="none",
                           precision="float64")[0]
        for y, x in places(64, 96, Tiling(32)).tolist()
        if image[y : y + 32, x : x + 32].std() > 0
    ]  # fmt: skip
    assert found.flat and len(found.gray) + found.flat == len(places(64, 96, Tiling(32)).tolist())
    np.testing.assert_allclose(
        tiles_curve(found.gray, "none"), np.mean(curves, 0), rtol=1e-10, atol=0
    )
    scaled = tiles_curve(found.gray, "min-max")
    assert scaled.min() == 0 and scaled.max() == 1
    assert len(tiles_of(image[:31], 32).gray) == 0


def test_bands_are_quantiles_over_images():
    curves = np.stack([np.arange(101.0), 2 * np.arange(101.0)], 1)
    found = band_of("a", *PNG, np.random.default_rng(0).permutation(curves))
    assert found[:4] == ("a", *PNG, 101)
    np.testing.assert_allclose(found[4:], [[50, 100], [np.sqrt(850), np.sqrt(3400)], [5, 10],
                                           [95, 190]], rtol=1e-12, atol=0)  # fmt: skip


@pytest.mark.parametrize("n", [6, 40])
def test_as_many_rings_as_stated_are_outside_for_another_image_of_the_same_making(n, rng):
    shares = []
    for _ in range(60):
        curves = rng.normal(size=(n + 1, 200))
        band = band_of("a", *PNG, curves[1:])
        shares.append(np.mean((curves[0] < band.low) | (curves[0] > band.high)))
    assert abs(np.mean(shares) - band.outside) < 0.02


def test_an_image_is_compared_with_its_own_codec_and_size_alone(bands):
    def names(*header):
        return [(band.name, band.images) for band in bands.of(Header(*header))]

    assert names(64, 64, False, "PNG", "RGB", None) == [("photos", 6), ("progan", 6)]
    assert names(64, 600, False, "BMP", "RGB", None) == [("photos", 9)]
    assert names(64, 64, False, "JPEG", "RGB", 90) == []
    assert names(2000, 64, False, "PNG", "RGB", None) == []
    assert bands.kinds == {PNG: {"photos": 6, "progan": 6}, LARGE: {"photos": 9}}


def test_classes_of_few_images_are_left_out_and_nothing_at_all_is_refused():
    few = {"photos": {PNG: some(n=FEWEST), LARGE: some(n=FEWEST - 1)}}
    assert list(make_bands(few, side=32, normalise="none").kinds) == [PNG]
    with pytest.raises(ValueError, match="4 of photos .lossless .*, 513 to 1024 pixels"):
        make_bands({"photos": {LARGE: some(n=4)}}, side=32, normalise="none")


def test_a_file_of_bands_is_read_as_it_was_saved(bands, tmp_path):
    bands.save(tmp_path / "b.npz")
    again = load_bands(tmp_path / "b.npz")
    assert (again.side, again.normalise, again.names) == (32, "none", ("photos", "progan"))
    for old, new in zip(bands.bands, again.bands, strict=True):
        assert old[:4] == new[:4]
        np.testing.assert_array_equal(old[4:], new[4:])
    np.testing.assert_array_equal(again.frequency, ring_radii(32, 32))


HOSTILE = {
    "format": ({"format": "gan_forensics detector"}, "not that of bands"),
    "version": ({"version": 2}, "version 2, this gan_forensics reads 1"),
    "side": ({"side": 10**9}, "'side'"),
    "side that is a truth value": ({"side": True}, "'side'"),
    "normalise": ({"normalise": "log"}, "normalise is 'log'"),
    "names": ({"names": ["a" * 500]}, "names"),
    "one name twice": ({"names": ["photos", "photos"]}, "names"),
    "no names": ({"names": []}, "names"),
    "no bands": ({"bands": []}, "0 bands"),
    "a stranger's band": ({"bands": [["x", *PNG, 6]] * 3}, "a band of"),
    "codec": ({"bands": [["photos", "a\x1b[2J", PNG[1], 6]] * 3}, "a band of"),
    "images": ({"bands": [["photos", *PNG, -1]] * 3}, "-1 images"),
    "a band twice": ({"bands": [["photos", *PNG, 6]] * 3}, "two bands of one"),
    "no list": ({"bands": [3]}, "usable file of bands"),
    "too many bands": ({"bands": [["photos", *PNG, 6]] * 999}, "999 bands"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_headers_of_strangers_are_refused_in_one_line(name, bands, tmp_path):
    path = tmp_path / "b.npz"
    bands.save(path)
    with np.load(path) as file:
        header, curves = json.loads(str(file["header"])), file["curves"]
    change, words = HOSTILE[name]
    write_archive(path, {**header, **change}, {"curves": curves})
    with pytest.raises(ValueError, match=words) as refusal:
        load_bands(path)
    assert "\n" not in str(refusal.value) and "\x1b" not in str(refusal.value)


def test_curves_of_strangers_are_refused(bands, tmp_path):
    path = tmp_path / "b.npz"
    bands.save(path)
    with np.load(path) as file:
        header, curves = json.loads(str(file["header"])), file["curves"]
    low = curves.copy()
    low[0, 2] = low[0, 3] + 1
    infinite = np.where(curves == curves.max(), np.inf, curves)
    for array, words in (
        (curves[:1], "not float64"), (curves.astype(np.float32), "not float64"),
        (infinite, "not finite"), (low, "reversed"),
        (np.where(curves == curves.max(), np.nan, curves), "not finite"),
    ):  # fmt: skip
        write_archive(path, header, {"curves": array})
        with pytest.raises(ValueError, match=words):
            load_bands(path)
    write_archive(path, header, {})
    with pytest.raises(ValueError, match="not float64"):
        load_bands(path)
    path.write_bytes(b"PK\5\6" + bytes(40))
    with pytest.raises(ValueError, match="not a usable file of bands"):
        load_bands(path)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    """Folders of images of many sizes, one of them too small and one flat."""
    for name, exponent, suffix in (("photos", 1.5, "png"), ("fake", 0.5, "jpg")):
        folder = tmp_path / name
        folder.mkdir()
        for i, image in enumerate(power_law_textures(6, 72, exponent=exponent, seed=1)):
            Image.fromarray(image[: 40 + i]).save(folder / f"{i}.{suffix}", quality=90)
    Image.new("RGB", (20, 64)).save(tmp_path / "photos" / "small.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "photos" / "flat.png")
    return tmp_path / "photos", tmp_path / "fake"


def test_spectrum_of_tiles_takes_images_of_any_size_and_writes_bands(two, tmp_path, capsys):
    out = tmp_path / "out"
    roundabout = two[1] / ".." / "photos"
    assert run("spectrum", roundabout, two[1], "--tile", 32, "--out", out) == 0
    said = capsys.readouterr()
    assert "1 of 8 left out (a flat image" in said.err and "(they hold no tile): " in said.err
    assert "JPEG of quality 86 to 95, longer side up to 256 pixels: 6 of fake" in said.out
    bands = load_bands(out / "bands.npz")
    assert bands.names == ("photos", "fake") and bands.side == 32
    assert [(b.name, b.codec[:4], b.images) for b in bands.bands] == [
        ("photos", "loss", 6), ("fake", "JPEG", 6)
    ]  # fmt: skip
    curves = [
        tiles_curve(tiles_of(np.asarray(Image.open(two[0] / f"{i}.png")), 32).gray, "min-max")
        for i in range(6)
    ]
    np.testing.assert_allclose(bands.bands[0].mean, np.mean(curves, 0), rtol=0, atol=1e-6)
    low = np.quantile(curves, 0.05, axis=0)
    np.testing.assert_allclose(bands.bands[0].low, low, rtol=0, atol=1e-6)
    rows = [row for row in read_csv(out / "spectrum.csv") if row["folder"] == str(roundabout)]
    np.testing.assert_allclose([float(r["mean"]) for r in rows], np.mean(curves, 0), rtol=0,
                               atol=1e-9)  # fmt: skip
    facts = json.loads((out / "spectrum.json").read_text())
    assert facts["tile"] == 32 and facts["images"] == {str(roundabout): 6, str(two[1]): 6}
    assert facts["left_out"][str(roundabout)]["small"]["count"] == 1


def test_bands_of_shards_are_those_of_one_go(two, tmp_path):
    asked = ("spectrum", *two, "--tile", 32, "--out")
    assert run(*asked, tmp_path / "whole") == 0
    assert run(*asked, tmp_path / "curves", "--shard", "0/1") == 0
    assert run(*asked, tmp_path / "curves", "--merge", tmp_path / "merged") == 0
    whole, merged = (load_bands(tmp_path / name / "bands.npz") for name in ("whole", "merged"))
    for one, other in zip(whole.bands, merged.bands, strict=True):
        assert one[:4] == other[:4]
        np.testing.assert_allclose(one[4:], other[4:], rtol=1e-6, atol=1e-7)


def test_what_makes_no_bands_is_refused(two, tmp_path, capsys):
    asked = ("spectrum", *two, "--out", tmp_path / "out", "--tile")
    assert "give one of the two" in refused(capsys, *asked, 32, "--resize", 32)
    assert "give a side of 32 to 1024 pixels" in refused(capsys, *asked, 16)
    assert "none of its images can be used: 8 are small" in refused(capsys, *asked, 256)
    again = tmp_path / "again" / "fake"
    again.parent.mkdir()
    two[1].rename(again)
    two[0].rename(tmp_path / "fake")
    both = ("spectrum", tmp_path / "fake", again, "--tile", 32, "--out", tmp_path / "out")
    assert "these have one: rename one of them" in refused(capsys, *both)
    (again / "0.jpg").write_bytes(b"\xff\xd8\xff")
    alone = ("spectrum", again, "--tile", 32, "--out", tmp_path / "out")
    assert "1 images cannot be read; leave them out with" in refused(capsys, *alone)
    assert not (tmp_path / "out").exists()
