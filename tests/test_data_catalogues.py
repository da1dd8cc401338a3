"""Catalogues of gettext, alone and inside archives, and what of them is a translation."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections import Counter

import pytest

from gan_forensics.data import catalogues
from gan_forensics.data.catalogues import (
    read_catalogue,
    read_package,
    read_packages,
    translations,
    without_placeholders,
)
from gan_forensics.data.text import open_parallel
from gan_forensics.files import archives

PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Open the file %s"
msgstr "Datei %s öffnen"

msgctxt "menu"
msgid "Save all "
"changes"
msgstr "Alle Änderungen speichern"

msgid "one file is open"
msgid_plural "{n} files are open"
msgstr[0] "eine Datei ist offen"
msgstr[1] "{n} Dateien sind offen"

#, fuzzy
msgid "Not so sure"
msgstr "Nicht sicher"

msgid "Still to do"
msgstr ""

#~ msgid "An old one"
#~ msgstr "Ein alter"
"""
PAIRS = [
    ("Open the file %s", "Datei %s öffnen"),
    ("Save all changes", "Alle Änderungen speichern"),
    ("one file is open", "eine Datei ist offen"),
    ("{n} files are open", "{n} Dateien sind offen"),
]


def _mo(entries, order="<", charset="UTF-8"):
    """A .mo file of (message, translation), laid out as GNU's documentation says."""
    header = f"Content-Type: text/plain; charset={charset}\n"
    texts = [("", header), *entries]
    encoded = [(s.encode(charset), t.encode(charset)) for s, t in texts]
    start = 28 + 16 * len(encoded)
    tables, body = ([], []), b""
    for side in (0, 1):
        for both in encoded:
            tables[side].extend((len(both[side]), start + len(body)))
            body += both[side] + b"\0"
    numbers = (0x950412DE, 0, len(encoded), 28, 28 + 8 * len(encoded), 0, 0, *tables[0], *tables[1])
    return struct.pack(f"{order}{len(numbers)}I", *numbers) + body


MO_ENTRIES = [
    PAIRS[0],
    ("menu\4Save all changes", PAIRS[1][1]),
    ("one file is open\0{n} files are open", "eine Datei ist offen\0{n} Dateien sind offen"),
]


def test_po_gives_plural_forms_and_leaves_out_what_is_not_finished():
    pairs, left_out = read_catalogue(PO.encode(), "x.po")
    assert pairs == [*PAIRS, ("Still to do", "")]
    assert left_out == {"fuzzy": 1, "obsolete": 1}
    assert translations(pairs) == (PAIRS, {"untranslated": 1})


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("charset", ["UTF-8", "ISO-8859-1"])
def test_mo_gives_the_same_pairs_in_either_byte_order(order, charset):
    data = _mo(MO_ENTRIES, order, charset)
    assert read_catalogue(data, "x.mo") == (PAIRS, Counter())


def test_mo_agrees_with_the_standard_library():
    import gettext

    read = gettext.GNUTranslations(io.BytesIO(_mo(MO_ENTRIES)))
    assert read.gettext("Open the file %s") == "Datei %s öffnen"
    assert read.pgettext("menu", "Save all changes") == PAIRS[1][1]
    assert read.ngettext("one file is open", "{n} files are open", 1) == PAIRS[2][1]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[:20], "damaged, or no gettext catalogue"),
        (lambda data: b"PK\3\4" + data[4:], "first four bytes"),
        (lambda data: data[:8] + b"\xff" * 4 + data[12:], "entries in"),
        (
            lambda data: data[:28] + struct.pack("<2I", 1 << 30, 0) + data[36:],
            "longer than the file",
        ),
        (lambda data: data[:32] + struct.pack("<I", len(data)) + data[36:], "beyond the end"),
        (lambda data: data.replace(b"UTF-8", b"utf-9"), "unknown encoding: utf-9"),
        (lambda data: data.replace("ö".encode(), b"\xff\xff"), "it is not in UTF-8, as it says"),
    ],
)
def test_damaged_mo_is_refused_in_one_line(damage, says):
    entries = [("x" * 40, "y"), *MO_ENTRIES]
    data = damage(_mo(entries))
    if says == "beyond the end":  # of an entry that has a length
        data = data[:28] + struct.pack("<2I", 9, len(data)) + data[36:]
    with pytest.raises(ValueError, match=says) as caught:
        read_catalogue(data, "x.mo")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("x.mo")


def test_many_entries_that_share_one_long_text_are_refused():
    count, text = 4000, b"a" * 40_000
    spans = [number for _ in range(2 * count) for number in (len(text), 28 + 16 * count)]
    numbers = (0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0, *spans)
    with pytest.raises(ValueError, match="longer than the file"):
        read_catalogue(struct.pack(f"<{len(numbers)}I", *numbers) + text, "x.mo")


def test_broken_encodings_of_po_name_file_and_line(tmp_path):
    data = PO.encode().replace("Datei %s ö".encode(), b"Datei %s \xf6")
    with pytest.raises(ValueError, match=r"x\.po, line 6: it is not in UTF-8, as it says"):
        read_catalogue(data, "x.po")
    pairs, _ = read_catalogue(PO.replace("UTF-8", "latin-1").encode("latin-1"), "x.po")
    assert pairs[0] == PAIRS[0]


def test_a_catalogue_that_is_the_name_of_a_file_does_not_open_it(tmp_path):
    (secret := tmp_path / "secret.po").write_text(PO)
    with pytest.raises(ValueError, match="no gettext catalogue"):
        read_catalogue(str(secret).encode(), "x.po")


def test_only_translations_of_more_than_a_word_stay():
    pairs = [
        ("The  same\nblanks", "Die gleichen\tLeerzeichen"),
        ("The same blanks", "Die gleichen Leerzeichen"),
        ("Left as it is", "left as it IS"),
        ("%(n)s / {total:.1f}", "%(n)s von {total:.1f}"),
        ("<b>File</b>", "<b>Datei</b>"),
        ("Print %d pages", "%d Seiten drucken"),
        ("", "nichts"),
    ]
    kept, left_out = translations(pairs)
    assert kept == [
        ("The same blanks", "Die gleichen Leerzeichen"),
        ("Print %d pages", "%d Seiten drucken"),
    ]
    assert left_out == {
        "repeated": 1,
        "identical": 1,
        "only placeholders": 1,
        "one word": 1,
        "untranslated": 1,
    }
    assert without_placeholders("a %s b").split() == ["a", "b"]


def test_a_folder_is_read_once_a_stem_and_not_through_links(tmp_path):
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "x.po").write_text(PO, encoding="utf-8")
    (tmp_path / "de" / "x.mo").write_bytes(_mo([("never read it", "nie gelesen")]))
    (tmp_path / "y.mo").write_bytes(_mo([("a second file", "eine zweite Datei")]))
    (tmp_path / "link.po").symlink_to(tmp_path / "de" / "x.po")
    found = set()
    for split in ("train", "validation", "test"):
        try:
            text = open_parallel(f"po:{tmp_path}", split=split)
        except ValueError as error:
            assert "no pair in the" in str(error)
            continue
        found |= set(zip(text.source, text.target, strict=True))
        assert text.facts["read"] == 8  # 5 of them translations
        assert text.facts["left_out"]["fuzzy"] == text.facts["left_out"]["untranslated"] == 1
    assert found == {*PAIRS, ("a second file", "eine zweite Datei")}
    with pytest.raises(ValueError, match="0 .po or .mo files"):
        (tmp_path / "empty").mkdir()
        open_parallel(f"po:{tmp_path / 'empty'}")


META = "Name: x\nLicense: MIT\nClassifier: License :: OSI Approved :: MIT License\n\nLicense: no\n"


def _wheel(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


MEMBERS = {
    "x-1.0.dist-info/METADATA": META,
    "x/locale/de/LC_MESSAGES/a.po": PO,
    "x/locale/de/LC_MESSAGES/a.mo": _mo([("never read it", "nie gelesen")]),
    "x/locale/de_DE/LC_MESSAGES/b.mo": _mo([("a second file", "eine zweite Datei"), PAIRS[0]]),
    "x/locale/fr/LC_MESSAGES/c.po": PO.replace("Datei", "fichier"),
    "x/code.py": "raise SystemExit",
}


def test_a_wheel_gives_its_language_and_licence_and_touches_no_disk(tmp_path):
    _wheel(tmp_path / "x-1.0-py3-none-any.whl", MEMBERS)
    before = sorted(tmp_path.rglob("*"))
    (package,) = read_packages(tmp_path, "de")
    assert sorted(tmp_path.rglob("*")) == before
    assert package.name == "x" and package.pairs == [*PAIRS, ("a second file", "eine zweite Datei")]
    assert package.facts == {
        "file": "x-1.0-py3-none-any.whl",
        "license": "MIT; MIT License",
        "catalogues": ["x/locale/de/LC_MESSAGES/a.po", "x/locale/de_DE/LC_MESSAGES/b.mo"],
        "read": 9,
        "left_out": {"fuzzy": 1, "obsolete": 1, "untranslated": 1, "repeated": 1},
    }


def test_a_source_archive_gives_regular_files_alone(tmp_path):
    with tarfile.open(tmp_path / "x-1.0.tar.gz", "w:gz") as archive:
        for name, text in {"x-1.0/PKG-INFO": META, "../de/a.po": PO}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("x-1.0/de/link.po")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    package = read_package(tmp_path / "x-1.0.tar.gz", "de")
    assert package.pairs == PAIRS and package.facts["catalogues"] == ["../de/a.po"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["x-1.0.tar.gz"]


def test_archives_beyond_the_limits_are_refused_before_they_unpack(tmp_path, monkeypatch):
    path = _wheel(tmp_path / "x-1.whl", {"x/de/a.po": PO, "x/big.bin": b"0" * 100_000})
    monkeypatch.setattr(catalogues, "LARGEST", 400)
    with pytest.raises(ValueError, match=r"x/de/a\.po claims \d+ bytes, more than 400"):
        read_package(path, "de")
    monkeypatch.setattr(catalogues, "LARGEST_ARCHIVE", 50_000)
    with pytest.raises(ValueError, match="unpacks to more than 50000"):
        read_package(_wheel(tmp_path / "y-1.whl", {"x/big.bin": b"0" * 100_000}), "de")


def test_an_archive_unpacks_to_no_more_than_its_size_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS", 2**20)
    path = tmp_path / "x-1.tar.gz"
    # A header in the place of a name, which Python reads whole.
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**26
    path.write_bytes(gzip.compress(info.tobuf() + bytes(2**21), 9))
    with pytest.raises(ValueError, match="x-1.tar.gz: .*unpacks to more"):
        read_package(path, "de")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="x-1.tar.gz: no archive"):
        read_package(path, "de")
    with zipfile.ZipFile(tmp_path / "x-1.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/de/a.po", bytes(2**21))
    with pytest.raises(ValueError, match="x-1.whl: unpacks to more than 1048576 bytes"):
        read_package(tmp_path / "x-1.whl", "de")


def test_what_is_no_archive_or_has_no_catalogue_says_so(tmp_path):
    (tmp_path / "x-1.whl").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no archive that can be read"):
        read_package(tmp_path / "x-1.whl", "de")
    with pytest.raises(ValueError, match="no catalogue of 'nl' inside"):
        read_package(_wheel(tmp_path / "y-1.whl", MEMBERS), "nl")
    with pytest.raises(FileNotFoundError, match="no .whl or .tar.gz"):
        read_packages(tmp_path / "none", "de")
