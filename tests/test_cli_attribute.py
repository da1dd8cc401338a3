"""`gan-forensics attribute`: folders in, a model, verdicts and pages out; wrong use in words."""

import csv
import json
import shutil
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest

from gan_forensics import cli
from gan_forensics.cli.attribute_fit import Method
from gan_forensics.data import save_png
from gan_forensics.forensics.attribution_files import load_attributor
from gan_forensics.forensics.attribution_methods import METHODS
from tests.attribution_toys import NAMES, planted, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("images")
    images = planted(120, seed=0)
    instances = tuple("1" if i % 10 > 7 else "0" for i in range(360))
    for instance in ("0", "1"):
        some = images.part([i for i in range(360) if instances[i] == instance])
        write(made / instance, some)
        for source in NAMES:
            for semantic in ("cats", "dogs"):
                target = made / "all" / source / semantic / instance
                shutil.copytree(made / instance / source / semantic / "0", target)
    return made / "all"


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "model.npz"
    run("fit", "--data", f"folder:{folder}", "--out", out, "--method", "prnu", "--new-seeds", "1",
        "--leave-out")  # fmt: skip
    return out


def run(*arguments, code=0):
    with pytest.raises(SystemExit) as exit:
        cli.main(["attribute", *map(str, arguments)])
    assert exit.value.code == code


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_methods_of_the_command_are_those_of_the_table():
    assert get_args(Method) == tuple(METHODS)


def test_a_fit_measures_new_seeds_apart_and_leaves_every_generator_out(model):
    made = load_attributor(model)
    assert made.names == ("dcgan", "photos", "sngan") and made.real == "photos"
    assert made.facts["known"] == {
        "semantics": ["cats", "dogs"], "instances": [[name, "0"] for name in NAMES]
    }  # fmt: skip
    assert list(made.facts["measured"]) == ["seen", "new seeds"]
    assert set(made.facts["open_set"]) == {"dcgan", "sngan"}
    images = made.facts["images"]
    assert sum(images["held_out"].values()) == 60 and sum(images["train"].values()) == 168
    page = model.with_suffix(".html").read_text()
    assert "new seeds" in page and "Sources that it does not know" in page


def test_a_fit_says_how_many_images_repeat_others(folder, tmp_path, capsys, monkeypatch):
    repeated = {"train": 7, "held_out": 2, "held_out_also_in_train": 1, "gallery": 0}
    fitted = SimpleNamespace(facts={"repeated": repeated, "known": {}})

    def stop(*given, **more):
        raise ValueError("enough")

    area = "gan_forensics.forensics."
    monkeypatch.setattr(f"{area}attribution.fit_attributor", lambda *_, **more: fitted)
    monkeypatch.setattr(f"{area}attribution_measure.measured", stop)
    run("fit", "--data", f"folder:{folder}", "--out", tmp_path / "m.npz", "--method", "prnu",
        code=2)  # fmt: skip
    assert "7 of 216 images that train and 2 of 72 that set prob" in capsys.readouterr().out


def test_every_file_gets_a_line_and_the_page_shows_the_images(model, tmp_path, capsys):
    write(tmp_path / "suspects", planted(2, seed=5), instance=False)
    save_png(tmp_path / "suspects" / "flat.png", np.full((16, 16, 3), 9, np.uint8))
    save_png(tmp_path / "suspects" / "large.png", np.eye(32, dtype=np.uint8)[..., None])
    (tmp_path / "suspects" / "notes.txt").write_text("no image")
    out = tmp_path / "scored.csv"
    run("score", tmp_path / "suspects", "--model", model, "--out", out)
    rows = rows_of(out)
    assert list(rows[0]) == ["path", "verdict", "generated", *NAMES, "known", "error"]
    good = [row for row in rows if not row["error"]]
    assert len(rows) == 9 and len(good) == 6
    for row in good:
        found = [float(row[name]) for name in NAMES]
        assert sum(found) == pytest.approx(1, abs=2e-4)
        assert float(row["generated"]) == pytest.approx(1 - found[1], abs=1e-4)
        assert row["verdict"] in (NAMES[int(np.argmax(found))], "none of these")
        if "dcgan" in row["path"]:
            assert row["verdict"] == "dcgan"
    reasons = {row["path"].rsplit("/", 1)[1]: row["error"] for row in rows if row["error"]}
    assert (
        "a flat image has no spectrum to judge" in reasons["flat.png"]
        and "32x32 do not fit" in reasons["large.png"]
    )
    assert "notes.txt" in reasons
    page = out.with_suffix(".html").read_text()
    assert page.count("data:image/png") >= 6 and "a flat image has no spectrum to judge" in page
    assert "6 images:" in capsys.readouterr().out


def test_two_folders_of_one_generator_and_of_two(model, tmp_path, capsys):
    write(tmp_path, planted(8, seed=5), instance=False)
    for first, second, said in (
        ("dcgan/cats", "dcgan/dogs", "one generator"),
        ("dcgan/cats", "sngan/dogs", "different generators"),
    ):
        run("verify", tmp_path / first, tmp_path / second, "--model", model)
        captured = capsys.readouterr()
        assert captured.out.startswith(said), captured.out
        assert "drawn at random, as many as the model's gallery can judge" in captured.err


def test_a_model_is_measured_on_labelled_images_of_its_sources(model, tmp_path, capsys):
    write(tmp_path / "images", planted(4, seed=6))
    cats = tmp_path / "images" / "sngan" / "cats"
    save_png(cats / "flat.png", np.full((16, 16, 3), 9, np.uint8))
    (cats / "bad.png").write_bytes((cats / "flat.png").read_bytes()[:40])
    evaluate = ("evaluate", model, "--data", tmp_path / "images", "--out", tmp_path / "out")
    run(*evaluate, code=2)
    assert "1 of 14 images cannot be read; remove them or leave" in capsys.readouterr().err
    run(*evaluate, "--on-bad-image", "skip")
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(found["measured"]) == ["seen"]
    assert found["measured"]["seen"]["clean"]["n"] == 12
    (left,) = found["left_out"].values()
    assert (left["images"], left["flat"]["count"], left["unread"]["count"]) == (14, 1, 1)
    (cats / "bad.png").unlink()
    assert "seen, as they are: attribution" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()
    shutil.copytree(tmp_path / "images" / "dcgan", tmp_path / "images" / "stylegan")
    run("evaluate", model, "--data", tmp_path / "images", "--out", tmp_path / "out", code=2)
    assert "images of stylegan, and the model knows dcgan, photos, sngan" in capsys.readouterr().err


def test_the_order_of_labels_in_a_list_does_not_matter(folder, tmp_path, capsys):
    files = sorted(p.relative_to(folder) for p in folder.rglob("*.png"))
    said = []
    for labels in (("photos", "sngan", "dcgan"), ("photos", "dcgan", "sngan")):
        lines = [
            f"{p},{labels.index(p.parts[0])},{['cats', 'dogs'].index(p.parts[1])}" for p in files
        ]
        (folder / "list.csv").write_text("\n".join(["path,label,dlabel", *lines]))
        run("fit", "--data", f"list:{folder / 'list.csv'}", "--out", tmp_path / "m.npz", "--method",
            "eigenface")  # fmt: skip
        said.append(capsys.readouterr().out.splitlines()[:3])
    (folder / "list.csv").unlink()
    assert said[0] == said[1]
    assert float(said[0][0].split("attribution ")[1].split()[0]) > 0.8


def test_images_that_it_was_fitted_on_are_not_measured_on(folder, model, tmp_path, capsys):
    run("evaluate", model, "--data", folder, "--out", tmp_path / "out")
    # Of instance 0 four fifths were fitted on, of instance 1 none.
    captured = capsys.readouterr()
    assert "228 of 360 images are left out: the model was fitted on them" in captured.err
    measured = json.loads((tmp_path / "out" / "results.json").read_text())["measured"]
    assert measured["seen"]["clean"]["n"] < 132


def test_no_result_takes_the_place_of_what_is_read(folder, model, tmp_path, capsys):
    score = ("score", folder, "--model", model, "--out")
    for arguments, said in (
        ((*score, model), "that is the model; choose another"),
        ((*score, model.with_suffix(".csv")), "the page of the model"),
        ((*score, tmp_path / "a.html"), "the page of the images"),
        (("fit", "--data", folder, "--out", tmp_path / "a.html"), "the page of the model"),
        (("fit", "--data", folder, "--out", tmp_path / "a.npz", "--method", "prnu", "--resume"),
         "--resume: prnu is fitted in one go"),
        (("verify", folder, folder, "--model", model), "is compared with itself"),
    ):  # fmt: skip
        run(*arguments, code=2)
        assert said in " ".join(capsys.readouterr().err.split())
    detector = tmp_path / "detector.npz"
    for arguments, said in (
        (("score", folder, "--detector", detector, "--out", detector), "that is the detector"),
        (("fit", folder, folder, "--out", tmp_path / "a.html"), "the page of the detector"),
    ):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["detect", *map(str, arguments)])
        assert said in " ".join(capsys.readouterr().err.split())
    run_folder = tmp_path / "b.run"
    run_folder.mkdir()
    (run_folder / "config.json").write_text("{}")
    run("fit", "--data", folder, "--out", tmp_path / "b.npz", "--method", "resnet", code=2)
    assert "--resume goes on with it, --run names another folder" in capsys.readouterr().err


def test_wrong_use_is_said_in_words(folder, model, tmp_path, capsys):
    data, out = f"folder:{folder}", tmp_path / "m.npz"

    def refused(*arguments):
        run(*arguments, code=2)
        return " ".join(capsys.readouterr().err.split())

    fit = ("fit", "--data", data, "--out", out)
    assert "--unseen birds: there is none; there are cats, dogs" in refused(
        *fit, "--unseen", "birds"
    )
    assert "--new-seeds 7: there is none; there are 0, 1" in refused(*fit, "--new-seeds", "7")
    assert "prnu has no epochs" in refused(*fit, "--method", "prnu", "--epochs", "3")
    assert "no source is called 'dogs'" in refused(*fit, "--real-is", "dogs")
    assert "sides of at least" in refused(*fit, "--size", "4", "--epochs", "1")
    few = tmp_path / "few"
    write(few, planted(20, seed=0))
    said = refused("fit", "--data", few, "--out", out, "--method", "prnu")
    assert "are too few for the threshold of none of these: give 41 or more" in said
    assert not out.exists()
    said = refused("score", few, "--model", model.with_suffix(".html"))
    assert "is not a usable attributor file" in said


def test_rows_that_were_attributed_outlive_a_failure(folder, model, tmp_path, monkeypatch):
    monkeypatch.setattr("gan_forensics.cli.attribute_score.write_csv", None)
    image = next(folder.rglob("*.png"))
    run("score", image, "--model", model, "--out", tmp_path / "a.csv", code=1)
    (kept,) = tmp_path.glob("a.partial-*.csv")
    assert [row["path"] for row in rows_of(kept)] == [str(image)]


def test_workers_say_of_images_what_the_command_says_in_one_go(model, tmp_path, capsys):
    write(tmp_path / "suspects", planted(2, seed=5), instance=False)
    (tmp_path / "suspects" / "bad.png").write_text("<html>")
    score = ("score", tmp_path / "suspects", "--model", model, "--out")
    run(*score, tmp_path / "whole.csv")
    run(*score, tmp_path / "out", "--most", 3, "--shard", "0/1", code=2)
    assert "--most: there are no shards of it" in capsys.readouterr().err
    run(*score, tmp_path / "out", "--shard", "0/1")
    run(*score, tmp_path / "out", "--merge", tmp_path / "all.csv")
    said = " ".join(capsys.readouterr().out.split())
    assert "7 rows of 1 shards, each image once; 1 have an error: 1 unreadable" in said
    found = {row["input"]: row for row in rows_of(tmp_path / "all.csv")}
    for row in rows_of(tmp_path / "whole.csv"):
        other = found.pop(row["path"])
        assert other["verdict"] == row["verdict"] and bool(other["error"]) == bool(row["error"])
        for name in () if row["error"] else ("generated", "known"):
            assert f"{float(other[name]):.4f}" == row[name]
        assert row["error"] or [f"{float(other[f'p_{name}']):.4f}" for name in NAMES] == [
            row[name] for name in NAMES
        ]
    assert not found
