"""Addresses of stores, where a place on this machine serves: refused by name, and nothing made."""

import os
from pathlib import Path

import pytest

from gan_forensics import cli
from gan_forensics.data import as_images, list_images, open_source
from gan_forensics.data.text import open_parallel, read_lines
from gan_forensics.files import (
    check_file_in,
    check_file_out,
    check_folder_out,
    read_csv,
    refuse_links,
    refuse_remote,
    rows_kept,
    sha256_of,
    write_json,
)
from gan_forensics.gans import load_gan
from gan_forensics.train.run_folder import read_config, writing
from tests.test_cli_paths import FILES, FOLDERS

ADDRESSES = (
    "gs://b/run",
    "s3://b/run",
    "hdfs://host/run",
    "http://host/run",
    "https://host/run",
    "memory://run",
    "az://b/run",
    "file:///run",
    "odd+v1://run",
)
WORDS = "only folders and files of this machine are read and written"


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    yield
    assert os.listdir() == []


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main(list(arguments))
    said = capsys.readouterr().err
    assert exit.value.code == 2 and said.count("\n") == 1, said
    return said


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_refused_with_how_to_mend_it(address):
    for place in (
        address,
        f"folder:{address}",
        f"list:{address}",
        f"tfds:mnist?data_dir={address}",
    ):
        with pytest.raises(
            ValueError, match=f"^--out {address.replace('+', '.')}: {WORDS}: .*, and"
        ):
            refuse_remote(place, "--out")
    with pytest.raises(ValueError, match=r"^s3://a/b: .* \(mount-s3"):
        refuse_remote("pair:local.txt,s3://a/b,more")


def test_what_a_path_made_of_an_address_is_refused_too():
    for address in ADDRESSES[:-2]:
        with pytest.raises(ValueError, match=f"^{address}: {WORDS}"):
            refuse_remote(Path(address))


@pytest.mark.parametrize("command", {**FOLDERS, **FILES})
def test_every_command_refuses_an_address_for_its_results(command, capsys):
    asked = [*command.split(), *{**FOLDERS, **FILES}[command].split()]
    for given in (["--out", "gs://b/run"], ["--out=gs://b/run"]):
        said = refused(capsys, *asked, *given)
        assert said.startswith(f"gan-forensics: --out gs://b/run: {WORDS}: mount the bucket (gcsf")


@pytest.mark.parametrize("command", {**FOLDERS, **FILES})
def test_every_command_refuses_an_address_that_it_would_read(command, capsys):
    asked = {**FOLDERS, **FILES}[command].replace("missing", "s3://b/x")
    if "s3" in asked:
        said = refused(capsys, *command.split(), *asked.split())
        assert "s3://b/x" in said and f": {WORDS}: mount the bucket (mount-s3" in said


def test_the_doors_of_the_library_refuse_an_address():
    for place in ("gs://b/run", Path("gs://b/run")):
        for door in (
            as_images,
            list_images,
            sha256_of,
            read_csv,
            read_config,
            read_lines,
            refuse_links,
            load_gan,
            check_file_out,
            check_folder_out,
            lambda path: check_file_in(path, "a file"),
            lambda path: as_images([path]),
            lambda path: write_json(path, {}),
            lambda path: rows_kept(path, ["a"]).__enter__(),
            lambda path: writing(Path(path)).__enter__(),
        ):
            with pytest.raises(ValueError, match=f"gs://b/run: {WORDS}"):
                door(place)
    for door, name in ((open_source, "folder:gs://b/run"), (open_parallel, "pair:gs://b/run,x")):
        with pytest.raises(ValueError, match=f"gs://b/run: {WORDS}"):
            door(name)


def test_an_address_in_a_list_is_named_with_its_line():
    Path("photos.csv").write_text("s3://b/x.png,1\n")
    with pytest.raises(ValueError, match=rf"^photos.csv, line 1: s3://b/x.png: {WORDS}: mount"):
        open_source("list:photos.csv")
    Path("photos.csv").unlink()


def test_a_local_folder_of_such_a_name_is_reached(tmp_path):
    for place in ("runs/mine", "folder:a", "c:/run", "a:b", "photos, 3://b", Path("x/gs:/b")):
        refuse_remote(place)
    folder = tmp_path / "gs:" / "b"
    folder.mkdir(parents=True)
    refuse_remote("./gs:/b")
    refuse_remote(Path("./gs:/b"))
    write_json("./gs:/b/x.json", {})
    assert (folder / "x.json").exists()
    with pytest.raises(ValueError, match="gs://b"):  # never by accident
        refuse_remote("gs://b")
    (folder / "x.json").unlink()
    folder.rmdir()
    folder.parent.rmdir()
