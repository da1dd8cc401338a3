import io
import struct
import zipfile

import numpy as np
import pytest

from gan_forensics.files import archives
from gan_forensics.files.archives import read_archive, read_npz, write_archive


def numbers():
    return {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "t": np.array(["x", "yz"]),
        "e": np.zeros((0, 4)),
        "s": np.array(2.5),
    }


def npz(path, packed=True, **entries):
    """An archive of raw members."""
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return path


def member(shape, dtype="<f4", data=b""):
    stream = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_numpy_reads_them(save, tmp_path):
    save(tmp_path / "a.npz", **numbers())
    found = read_npz(tmp_path / "a.npz")
    assert list(found) == list(numbers())
    for name, array in numbers().items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].flags.f_contiguous == (
            array.flags.f_contiguous
        )


def test_only_what_is_chosen_by_its_head_is_unpacked(tmp_path):
    np.savez(tmp_path / "a.npz", **numbers())

    def choose(heads):
        assert heads["a"].shape == (2, 3) and heads["a"].nbytes == 24
        return [name for name in heads if heads[name].dtype.kind == "U"]

    assert list(read_npz(tmp_path / "a.npz", choose)) == ["t"]
    # Objects hurt those alone who ask for them.
    np.savez(tmp_path / "a.npz", a=np.zeros(2), o=np.array([{}], object))
    assert list(read_npz(tmp_path / "a.npz", lambda heads: heads.keys() - {"o"})) == ["a"]
    with pytest.raises(ValueError, match="o holds object values"):
        read_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **numbers())

    def refuse(heads):
        raise ValueError("of another network")

    with pytest.raises(ValueError, match="of another network"):
        read_npz(tmp_path / "a.npz", refuse)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(archives, "ALWAYS", 2**20)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(2**19, np.uint8), b=np.zeros(2**18))
    with monkeypatch.context() as patch, pytest.raises(ValueError, match=r"unpack to 0.0024 GiB"):
        patch.setattr(archives, "_array", None)
        read_npz(tmp_path / "a.npz")
    # What is not asked for does not count, unless there is a limit on what is.
    assert read_npz(tmp_path / "a.npz", lambda heads: ["a"])["a"].size == 2**19
    with pytest.raises(ValueError, match="unpack"):
        read_npz(tmp_path / "a.npz", lambda heads: ["a"], most=2**18)
    # Pixels compress by less.
    monkeypatch.setattr(archives, "MOST_RATIO", 2000)
    assert len(read_npz(tmp_path / "a.npz")) == 2


def test_the_header_and_the_heads_decide_on_what_is_read(tmp_path):
    write_archive(tmp_path / "a.npz", {"wanted": "a"}, numbers())
    choose = lambda header, heads: [header["wanted"]] if "t" in heads else []  # noqa: E731
    header, found = read_archive(tmp_path / "a.npz", choose)
    assert header == {"wanted": "a"} and list(found) == ["a"]


@pytest.mark.parametrize("wide", [False, True])
def test_a_directory_of_too_many_names_is_refused_before_python_reads_it(
    wide, tmp_path, monkeypatch
):
    monkeypatch.setattr(archives, "MOST_DIRECTORY", 1000)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10 if wide else 1000)
    path = npz(tmp_path / "a.npz", **{str(i): b"" for i in range(50)})
    if wide:  # As above 4 GiB.
        path.write_bytes(path.read_bytes()[:-10] + b"\xff" * 8 + b"\0\0")
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ValueError, match="its directory has 2590 bytes, 1000 are read"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"a": member((2,), data=b"\0" * 4)}, "has not the size"),
        ({"a": member((2**62, 2**62), data=b"\0" * 8)}, "has not the size"),
        ({"a": member((2,), data=b"\0" * 9)}, "has not the size"),
        ({"a": member((0, 10**12))}, "an empty array"),
        ({"a": member((0, 2**24 + 1))}, "an empty array"),
        ({"a": member((-1, -1), data=b"\0" * 4)}, r"shape \(-1, -1\)"),
        ({"a": member((1,) * 65, data=b"\0" * 4)}, "an array of shape"),
        ({"a": member((10**12,), "<U0")}, "arrays of numbers"),
        ({"a": member((1,), "|O", b"\0" * 8)}, "arrays of numbers"),
        ({"a": member((1,), [("x", "<f4")], b"\0" * 4)}, "arrays of numbers"),
        ({"a": b"\x93NUMPY\x03\0\x10\0"}, "version"),
        ({"a": b"nothing"}, "magic|EOF"),
        ({}, "no header"),
        ({"header": member((1,), "<f4", b"\0" * 4)}, "its header is no text"),
        ({"header": member((1,), "<U1", b"1\0\0\0")}, "its header is no text"),
        ({"header": member((), "<f4", b"\0" * 4)}, "its header is no text"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(entries, said, tmp_path):
    with pytest.raises(ValueError, match=said) as refused:
        (read_archive if "header" in said else read_npz)(npz(tmp_path / "a.npz", **entries))
    assert "\n" not in str(refused.value)


def test_every_cut_and_every_changed_byte_is_an_array_or_a_value_error(tmp_path):
    path = tmp_path / "a.npz"
    write_archive(path, {"n": 1}, {"a": np.arange(5)})
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        for data in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            path.write_bytes(data)
            try:
                read_archive(path)
            except ValueError as error:
                assert "\n" not in str(error)


def test_other_packing_names_twice_and_what_is_no_archive_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", member((0,)))
    with pytest.raises(ValueError, match="packed in a way"):
        read_npz(path)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning):
        archive.writestr("a.npy", member((0,)))
        archive.writestr("a.npy", member((0,)))
    with pytest.raises(ValueError, match="two of it"):
        read_npz(path)
    path.write_bytes(struct.pack("<I", 3))
    with pytest.raises(ValueError, match="no zip archive"):
        read_npz(path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "none.npz")


def test_as_much_as_the_limits_say_is_read_and_no_more(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    npz(
        path, a=member((0, 2**24)), b=member((2,), data=bytes(8)), c=member((1,) * 9, data=bytes(4))
    )
    assert list(read_npz(path, most=12)) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="unpack to"):
        read_npz(path, most=11)
    size = int.from_bytes(path.read_bytes()[-10:-6], "little")
    for name, value, said in (
        ("MOST_ARRAYS", 3, "3 arrays, more than the 2"),
        ("MOST_DIRECTORY", size, f"{size} bytes, {size - 1} are read"),
    ):
        monkeypatch.setattr(archives, name, value)
        assert len(read_npz(path)) == 3
        monkeypatch.setattr(archives, name, value - 1)
        with pytest.raises(ValueError, match=said):
            read_npz(path)
        monkeypatch.undo()
    path.write_bytes(b"PK\5\6" + bytes(8) + struct.pack("<I", 2**24 + 1) + bytes(6))
    with pytest.raises(ValueError, match="has 16777217 bytes, 16777216 are read"):
        read_npz(path)
    write_archive(path, "x" * 8, {})
    monkeypatch.setattr(archives, "MOST_HEADER", 10)
    assert read_archive(path) == ("x" * 8, {})
    monkeypatch.setattr(archives, "MOST_HEADER", 9)
    with pytest.raises(ValueError, match="its header is no text, or too long"):
        read_archive(path)


def test_an_entry_that_is_shorter_than_it_says_is_refused(tmp_path):
    path = npz(tmp_path / "a.npz", a=member((9,), data=bytes(32)))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2") + 24
    data[at : at + 4] = (int.from_bytes(data[at : at + 4], "little") + 4).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match="a ends too early"):
        read_npz(path)


def test_a_directory_may_have_a_comment_behind_it_and_must_be_where_it_should_be(tmp_path):
    path = npz(tmp_path / "a.npz", a=member((1,), data=bytes(4)))
    data = path.read_bytes()
    for comment in (b"by me", b"by me\0\0", bytes(9)):
        path.write_bytes(data[:-2] + len(comment).to_bytes(2, "little") + comment)
        assert list(read_npz(path)) == ["a"]
    empty = data[-22:-10] + bytes(10)
    path.write_bytes(empty[:8] + bytes(14))
    assert read_npz(path) == {}
    # Above 4 GiB another record leads to it.
    locator = b"PK\6\7" + bytes(16)
    path.write_bytes(data[:-22] + locator + data[-22:])
    with pytest.raises(ValueError, match="its directory is not where it should be"):
        read_npz(path)
    path.write_bytes(locator + empty)
    with pytest.raises(ValueError, match="its directory is not where it should be"):
        read_npz(path)


def test_names_in_an_archive_steer_no_terminal(tmp_path):
    path = tmp_path / "a.npz"
    nasty = "\x1b[2J"
    np.savez(path, **{nasty: np.array([{}], object)})
    said = []
    with pytest.raises(ValueError) as refused:
        read_npz(path)
    said.append(str(refused.value))
    for entries in ({nasty: member((2,))}, {nasty: b"none"}):
        with pytest.raises(ValueError) as refused:
            read_npz(npz(path, **entries))
        said.append(str(refused.value))
    for name, method in ((nasty, zipfile.ZIP_STORED), (f"{nasty}.npy", zipfile.ZIP_LZMA)):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(name, b"")
        with pytest.raises(ValueError) as refused:
            read_npz(path)
        said.append(str(refused.value))
    assert all("\x1b" not in each and len(each) < 1100 for each in said)
    assert sum("x1b[2J" in each for each in said) == 4
