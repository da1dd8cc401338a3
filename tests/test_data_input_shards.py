"""Inputs of millions of images: the same shards for all, and members of strangers' archives."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from gan_forensics.data import packed
from gan_forensics.data.input_shards import Shard, read_shard, shards_of
from gan_forensics.files import parquet


def png(seed=0):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path, members):
    """Members are (name, bytes) or headers."""
    with tarfile.open(path, "w") as archive:
        for each in members:
            info = each if isinstance(each, tarfile.TarInfo) else tarfile.TarInfo(each[0])
            data = b"" if each is info else each[1]
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def link(name, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def members(path):
    """Names, kinds and reasons of what a file holds."""
    (shard,) = shards_of([path]).shards
    return [(each.member, each.kind, each.reason) for each in read_shard(shard)]


# --- shards ---------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    for name in ("a.png", "b/c.png", "b.png", "d.png", "e.png"):
        (folder / name).write_bytes(png())
    (folder / "notes.txt").write_text("x")
    (folder / "page.jpg").write_text("<html>")
    (folder / "away.png").symlink_to("/etc/passwd")
    write_tar(folder / "0.tar", [("1.png", png(1))])
    return folder


def test_everybody_gets_the_same_shards_and_every_file_is_in_one(photos):
    shards, left_out = shards_of([photos, photos / "a.png", photos / "b"], most=3)
    assert shards == shards_of([photos, photos / "b"], most=3).shards
    assert [shard.kind for shard in shards] == ["tar", *["folder"] * 3]
    assert [shard.members for shard in shards[1:]] == [
        ("a.png", "away.png", "b/c.png"), ("b.png", "d.png", "e.png"), ("page.jpg",),
    ]  # fmt: skip
    assert [shard.first for shard in shards[1:]] == [0, 3, 6] and left_out == {"not an image": 1}
    assert len({shard.name for shard in shards}) == 4
    (photos / "1.tar.gz").write_bytes(b"\x1f\x8b")
    reason = "a compressed tar archive, which is not read: uncompress it"
    assert shards_of([photos]).left_out == {"not an image": 1, reason: 1}
    for shard in shards:
        assert Shard.of(json.loads(json.dumps(shard._asdict()))) == shard
        with pytest.raises(ValueError, match="its name is not that of what it holds"):
            Shard.of({**shard._asdict(), "first": 1})
    read = [each for shard in shards[1:] for each in read_shard(shard)]
    assert [each.input for each in read if each.content is None] == [str(photos / "away.png")]
    assert "a link that leaves the folder" in read[1].reason
    known = {str(photos / name) for name in ("a.png", "d.png", "0.tar")}
    fewer = shards_of([photos], known=known).shards
    assert [shard.members for shard in fewer] == [
        ("away.png", "b/c.png", "b.png", "e.png", "page.jpg")
    ]


def test_lists_and_files_that_are_named_one_by_one_are_cut_as_folders_are(photos, tmp_path):
    (tmp_path / "list.csv").write_text("path,label\nphotos/a.png,1\nphotos/b/c.png,0\n")
    (shard,) = shards_of([tmp_path / "list.csv"]).shards
    assert (shard.kind, shard.members) == ("list", ("photos/a.png", "photos/b/c.png"))
    assert [each.content for each in read_shard(shard)] == [photos / "a.png", photos / "b/c.png"]
    (shard,) = shards_of([photos / "a.png", photos / "d.png"]).shards
    assert shard.members == ("a.png", "d.png")
    with pytest.raises(FileNotFoundError, match="missing: no such file or folder"):
        shards_of([tmp_path / "missing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in this folder or below"):
        shards_of([tmp_path / "empty"])


# --- archives of strangers ------------------------------------------------------------------------


def test_members_of_a_tar_are_read_and_what_is_no_image_is_counted(tmp_path):
    path = write_tar(tmp_path / "a.tar", [
        ("0.png", png(0)), ("0.json", b"{}"), ("1.jpg", b"<html>"), ("1.txt", b""),
        link("2.png"), link("3.png", tarfile.LNKTYPE), link("4.txt"), ("../5.png", png(5)),
        ("/6.png", png(6)), ("7/raw", png(7)), tarfile.TarInfo("8.png"),
    ])  # fmt: skip
    found = {name: (kind, reason) for name, kind, reason in members(path)}
    assert found == {
        "0.png": ("", ""), "0.json": ("not an image", "not an image"), "1.jpg": ("", ""),
        "1.txt": ("not an image", "empty (0 bytes)"),
        "2.png": ("refused", "it is a link, which is not followed"),
        "3.png": ("refused", "it is a link, which is not followed"),
        "4.txt": ("not an image", "it is a link, which is not followed"),
        "../5.png": ("refused", "its name leads out of the archive"),
        "/6.png": ("refused", "its name leads out of the archive"), "7/raw": ("", ""),
        "8.png": ("", ""),
    }  # fmt: skip
    (shard,) = shards_of([path]).shards
    assert [each.content for each in read_shard(shard)][0] == png(0)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a.png", "b.png", "a.txt"], "members of the key 'a' lie in two places"),
        (["d/a.1.png", "d/b.png", "d/a.2.png"], "members of the key 'd/a' lie in two places"),
        (["a.png", "a.png"], "there are two members called 'a.png'"),
    ],
)
def test_keys_that_do_not_lie_side_by_side_end_a_tar(names, says, tmp_path):
    *read, last = members(write_tar(tmp_path / "a.tar", [(name, png()) for name in names]))
    assert [name for name, *_ in read] == names[:-1]
    assert last[:2] == (None, "archive") and says in last[2]


def test_damage_ends_an_archive_and_is_said_of_it(tmp_path):
    whole = write_tar(tmp_path / "a.tar", [("a.png", png(0)), ("b.png", png(1))]).read_bytes()
    damaged = whole[:1024] + bytes([9] * 512) + whole[1536:]
    for content, n in (
        (whole[:100], 0), (whole[:1100], 1), (whole[:1600], 1), (whole[:2048], 2), (damaged, 1)
    ):  # fmt: skip
        (tmp_path / "a.tar").write_bytes(content)
        *read, last = members(tmp_path / "a.tar")
        assert len(read) == n and last[1] == "archive", last
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.XHDTYPE, packed.MOST_TAR_HEADER + 1
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(10240))
    assert f"a header of {header.size} bytes" in members(tmp_path / "a.tar")[-1][2]
    for suffix in ("zip", "parquet"):
        (tmp_path / f"b.{suffix}").write_bytes(b"PK nothing")
        ((name, kind, reason),) = members(tmp_path / f"b.{suffix}")
        assert (name, kind) == (None, "archive") and "cannot be read" in reason


def test_a_damaged_member_of_a_zip_is_said_and_the_others_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(4):
            archive.writestr(f"{k}.png", png(k))
        starts = [info.header_offset for info in archive.infolist()]
    whole = bytearray(path.read_bytes())
    whole[starts[1]] ^= 255  # its header
    whole[starts[3] - 9] ^= 255  # bytes of the third
    path.write_bytes(whole)
    found = members(path)
    assert [kind for _, kind, _ in found] == ["", "refused", "refused", ""]
    assert [name for name, *_ in found] == [f"{k}.png" for k in range(4)]
    assert "damaged: Bad magic number" in found[1][2] and "damaged: Bad CRC-32" in found[2][2]
    # They count as what they say that they unpack to.
    monkeypatch.setattr(packed, "most_unpacked", lambda size: len(png(0)) + len(png(1)) - 1)
    assert [kind for _, kind, _ in members(path)] == ["", "archive"]


def test_zip_bombs_are_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", png())
        archive.writestr("bomb.png", png() + bytes(3 * 2**20))
        archive.writestr("notes.txt", "x")
        info = zipfile.ZipInfo("link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    found = members(path)
    assert [(name, kind) for name, kind, _ in found] == [
        ("a.png", ""), ("bomb.png", "refused"), ("notes.txt", "not an image"),
        ("link.png", "refused"),
    ]  # fmt: skip
    assert "more than 100 times its packed size" in found[1][2]
    # Many members that are each within the limit.
    monkeypatch.setattr(packed, "most_unpacked", lambda size: 100)
    last = members(path)[-1]
    assert last[:2] == (None, "archive") and "unpacks to more than 100 times" in last[2]


def test_images_in_parquet_are_those_of_its_one_column_of_bytes(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"

    def write(**columns):
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return members(path)

    assert write(picture=[png(), None], label=[1, 2]) == [
        ("0", "", ""), ("1", "refused", "it has no bytes (null)"),
    ]  # fmt: skip
    pictures = pyarrow.array([{"bytes": png(3), "path": "a.png"}])
    assert write(image=pictures, mask=[png()]) == [("0", "", "")]
    (shard,) = shards_of([path]).shards
    assert [each.content for each in read_shard(shard)] == [png(3)]
    assert "2 columns hold bytes (a, b); one column" in write(a=[png()], b=[png()])[0][2]
    assert "no column holds bytes (label)" in write(label=[1])[0][2]
    monkeypatch.setattr(parquet, "most_unpacked", lambda size: 100)
    assert "more than 100 times its size" in write(image=[png()])[0][2]
    monkeypatch.undo()
    repeated = pyarrow.DictionaryArray.from_arrays([0] * 3, pyarrow.array([png(4)]))
    assert write(image=repeated.cast(pyarrow.binary())) == [(str(k), "", "") for k in range(3)]
