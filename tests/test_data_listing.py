import os
import socket
import time

import numpy as np
import pytest
from PIL import Image, features

from gan_forensics.data import Listing, list_images, load_image, open_source
from gan_forensics.data.listing import LEAVES, summary
from gan_forensics.data.sniff import HEADER, image_format, why_not

JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)


@pytest.fixture
def save(tmp_path):
    """Saves a picture at a path below the folder, in the format of its suffix or a given one."""
    picture = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)

    def at(name, kind=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, kind)
        return path

    return at


def names(folder, **options):
    """What is listed, and why the rest is not, by path below the folder."""
    images, left_out = list_images(folder, **options)
    assert images == sorted(images) and list(left_out) == sorted(left_out)
    return (
        [path.relative_to(folder).as_posix() for path in images],
        {path.relative_to(folder).as_posix(): reason for path, reason in left_out.items()},
    )


# --- content ------------------------------------------------------------------------------------


def test_listing_goes_by_content_and_gives_a_reason_for_everything_else(tmp_path, save):
    for name in ("b.png", "sub/deeper/c.png"):
        save(name)
    for name in ("a.JPG", "d.jfif", "download", "e.txt"):
        save(name, "JPEG")
    (tmp_path / "photo.JXL").write_bytes(JXL)
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    (tmp_path / "nothing.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("x")
    images, left_out = names(tmp_path)
    assert images == ["a.JPG", "b.png", "d.jfif", "download", "e.txt", "sub/deeper/c.png"]
    assert left_out == {
        "notes.txt": "not an image",
        "nothing.png": "empty (0 bytes)",
        "page.jpg": "not an image",
        "photo.JXL": "JPEG XL, which is not read: convert to PNG",
    }


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF"]
)
def test_every_format_that_is_read_is_known_by_its_first_bytes(kind, save):
    if not all(features.check(f) for f in ("webp", "jpg_2000", "avif")):
        pytest.skip("this Pillow was built without some formats")
    path = save("a", kind)
    assert image_format(path.read_bytes()[:HEADER]) == kind
    assert list_images(path.parent).images == [path]
    assert load_image(path).shape == (12, 10, 3)


@pytest.mark.parametrize(
    ("start", "name", "says"),
    [
        (JXL, "a.jpg", "JPEG XL, which"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(40), "", "camera raw, which"),
        (b"\0\0\0\x18ftypisom\0\0\0\1isomavc1" + bytes(40), "a.mp4", "not an image"),
        (b"II\x2a\0\x08\0\0\0" + bytes(50), "a.NEF", "camera raw, which"),
        (b"II\x2a\0\x10\0\0\0CR\2\0" + bytes(50), "", "camera raw, which"),
        (b"8BPS\0\1" + bytes(50), "", "Photoshop, which"),
        (b"\0\0\1\0\1\0\x10\x10" + bytes(50), "", "icon, which"),
        (b'<?xml version="1.0"?>\n<svg xmlns="...">', "", "SVG, which"),
        (b"BM is how this note begins, and it goes on", "", "not an image"),
        (b"P1 and P2 are the winners", "", "not an image"),
        (b"%PDF-1.7", "", "PDF, which is not read"),
        (b"%!PS-Adobe-3.0", "a.jpg", "PostScript, which is not read"),
        (b"\xc5\xd0\xd3\xc6", "a.jpg", "PostScript, which is not read"),
        (b"SIMPLE  =", "a.jpg", "FITS, which is not read"),
        (b"RIFF\0\0\0\0WAVEfmt ", "", "not an image"),
        (b"\0" * 64, "a.png", "not an image"),
        (b"", "a.png", "empty"),
    ],
)
def test_other_files_are_named_for_what_they_are(start, name, says):
    assert (why_not(start, name) or "").startswith(says)


def test_format_that_this_pillow_was_built_without_is_left_out(tmp_path, save, monkeypatch):
    from gan_forensics.data import sniff

    save("a.webp")
    monkeypatch.setattr(features, "check", lambda name: False)
    sniff._readable.cache_clear()
    try:
        assert names(tmp_path) == ([], {"a.webp": "WEBP, which is not read: convert to PNG"})
    finally:
        sniff._readable.cache_clear()


def test_hidden_images_and_folders_are_named_and_other_hidden_files_are_not(tmp_path, save):
    for name in ("a.png", ".b.png", ".thumbnails/c.png"):
        save(name)
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7")
    assert names(tmp_path) == (["a.png"], {".b.png": "hidden", ".thumbnails": "a hidden folder"})


def test_listing_is_sorted_as_paths_are(tmp_path, save):
    for name in ("a/b.png", "a.b.png", "a b/c.png", "A.png"):
        save(name)
    assert names(tmp_path)[0] == ["A.png", "a/b.png", "a b/c.png", "a.b.png"]


def test_listing_says_what_is_wrong_with_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        list_images(tmp_path / "none")
    assert list_images(tmp_path) == Listing([], {})
    with pytest.raises(ValueError, match="no images in this folder or below$"):
        open_source(f"folder:{tmp_path}")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=r"below: 1 of 1 files left out: 1 not an image \(file\)"):
        open_source(f"folder:{tmp_path}")
    with pytest.raises(ValueError, match="not a folder"):
        list_images(tmp_path / "file")


def test_listing_of_many_files_takes_microseconds_a_file(tmp_path, save):
    data = save("c/a.png").read_bytes()
    for k in range(2000):
        (tmp_path / "c" / f"{k}.png").write_bytes(data)

    def seconds():
        start = time.perf_counter()
        list_images(tmp_path)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) / 2000 < 200e-6  # 25 us on a quiet core


# --- links --------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, save):
    """A folder with an image, beside a folder of images outside."""
    save("inside/a.png")
    save("outside/b.png")
    save("outside/sub/c.png")
    return tmp_path / "inside"


def test_links_that_leave_the_folder_are_named_and_followed_only_when_asked(elsewhere):
    (elsewhere / "file.png").symlink_to("../outside/b.png")
    (elsewhere / "folder").symlink_to(elsewhere.parent / "outside")
    assert names(elsewhere) == (["a.png"], {"file.png": LEAVES, "folder": LEAVES})
    images, left_out = names(elsewhere, follow_links=True)
    assert images == ["a.png", "file.png", "folder/sub/c.png"]
    assert left_out == {"folder/b.png": "reached by a link already"}


def test_link_through_a_folder_whose_name_begins_alike_leaves_it(tmp_path, save):
    save("data/a.png")
    save("data2/b.png")
    (tmp_path / "data" / "b.png").symlink_to("../data2/b.png")
    assert names(tmp_path / "data") == (["a.png"], {"b.png": LEAVES})


def test_links_inside_the_folder_count_once_at_the_own_place_of_what_they_name(tmp_path, save):
    save("z/a.png")
    save(".store/b.png")  # as data managers keep them
    (tmp_path / "a.png").symlink_to("z/a.png")
    (tmp_path / "b.png").symlink_to(".store/b.png")
    (tmp_path / "c.png").symlink_to("b.png")
    (tmp_path / "y").symlink_to("z")
    (tmp_path / "x").symlink_to(".store")
    already = "a link to what is listed already"
    assert names(tmp_path) == (
        ["b.png", "z/a.png"],
        {
            ".store": "a hidden folder",
            "a.png": already,
            "c.png": already,
            "x/b.png": "reached by a link already",
            "y": already,
        },
    )


@pytest.mark.parametrize("follow_links", [False, True])
def test_circles_of_links_end(tmp_path, save, follow_links):
    save("photos/a.png")
    photos = tmp_path / "photos"
    (photos / "self").symlink_to(".")
    (photos / "up").symlink_to("..")
    (photos / "loop").symlink_to("loop")
    (photos / "nothing").symlink_to("gone.png")
    images, left_out = names(photos, follow_links=follow_links)
    assert images == ["a.png"]
    assert left_out["self"] == "a link to what is listed already"
    assert "link" in left_out["loop"] and left_out["nothing"] == "a link to nothing"
    if follow_links:
        assert left_out["up/photos"] == "reached by a link already"
    else:
        assert left_out["up"] == LEAVES


def test_folder_given_by_a_link_is_listed_under_that_name(tmp_path, save):
    save("real/a.png")
    (tmp_path / "link").symlink_to("real")
    assert list_images(tmp_path / "link") == Listing([tmp_path / "link" / "a.png"], {})


# --- what is no file ----------------------------------------------------------------------------


def test_pipes_sockets_and_devices_do_not_hang(tmp_path, save, monkeypatch):
    save("a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.png")
        images, left_out = names(tmp_path, follow_links=True)
    assert images == ["a.png"]
    assert left_out["pipe.png"] == left_out["null.png"] == "not a regular file"
    assert left_out["socket.png"].startswith("cannot be opened")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_opened_is_named(tmp_path, save):
    save("a.png")
    save("b.png").chmod(0)
    save("c/d.png").parent.chmod(0)
    try:
        images, left_out = names(tmp_path)
    finally:
        (tmp_path / "c").chmod(0o700)
    assert images == ["a.png"]
    assert left_out["b.png"] == "cannot be opened (Permission denied)"
    assert left_out["c"] == "a folder that cannot be opened (Permission denied)"


def test_summary_is_one_line_by_reason_whatever_the_names(tmp_path, save):
    for name in ("a.txt", "b.txt", "line\nbreak\x1b[31m.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "c.JXL").write_bytes(JXL)
    save("d.png")
    images, left_out = list_images(tmp_path)
    line = summary(left_out, len(images))
    assert line == (
        "4 of 5 files left out: 3 not an image (a.txt, ...); "
        "1 JPEG XL, which is not read: convert to PNG (c.JXL)"
    )
    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.txt").unlink()
    _, left_out = list_images(tmp_path)
    assert r"(line\nbreak\x1b[31m.txt)" in summary(left_out, 1)


# --- lists --------------------------------------------------------------------------------------


def test_files_of_a_list_stay_in_its_folder_unless_links_are_followed(elsewhere):
    (elsewhere / "link.png").symlink_to("../outside/b.png")
    (elsewhere / "folder").symlink_to("../outside")
    (elsewhere / "inner.png").symlink_to("a.png")
    file = elsewhere / "list.csv"
    for name in (
        "../outside/b.png",
        elsewhere.parent / "outside/b.png",
        "link.png",
        "folder/b.png",
    ):
        file.write_text(f"path\na.png\ninner.png\n{name}\n")
        with pytest.raises(ValueError, match=r"line 4: .*b.png|link.png leaves .* --follow-links"):
            open_source(f"list:{file}")
        assert len(open_source(f"list:{file}", follow_links=True)) == 3
    file.write_text(f"path\na.png\ninner.png\n{elsewhere}/a.png\n../inside/a.png\n")
    assert len(open_source(f"list:{file}")) == 4


def test_images_of_celeba_stay_in_its_folder_unless_links_are_followed(elsewhere):
    (elsewhere / "images").mkdir()
    (elsewhere / "images" / "b.png").symlink_to(elsewhere.parent / "outside" / "b.png")
    (elsewhere / "list_attr_celeba.txt").write_text("1\nBlond\nb.png 1\n")
    with pytest.raises(ValueError, match=r"1 of 1 images lie outside of .*b.png; --follow-links"):
        open_source(f"celeba:{elsewhere}")
    assert len(open_source(f"celeba:{elsewhere}", follow_links=True)) == 1
