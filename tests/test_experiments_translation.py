"""The experiment on distilled translators: its texts, arms, verdicts and pages, and a small run."""

import json
import zipfile
from dataclasses import asdict, replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.data.catalogues import normalised, read_packages
from gan_forensics.distill.translator import make_network
from gan_forensics.experiments import translation_distillation_page as page
from gan_forensics.experiments.fetch_catalogues import counts, download, of_words
from gan_forensics.experiments.translation_distillation import DEMONSTRATION, PRESETS, run
from gan_forensics.experiments.translation_distillation_arms import Grid, arm_name, arms, check_grid
from gan_forensics.experiments.translation_distillation_published import (
    TABLE,
    drop,
    published_section,
)
from gan_forensics.experiments.translation_distillation_tasks import CATALOGUES, HELD_OUT, open_task
from gan_forensics.report import Table
from gan_forensics.studies.runner import as_json
from gan_forensics.studies.translation_scores import CHRF, PAPER, STANDARD

GRID = PRESETS["cpu"][1].grid


def _catalogue(pairs):
    entries = [f'msgid "{source}"\nmsgstr "{target}"\n' for source, target in pairs]
    return "\n".join(['msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n', *entries])


def _wheels(folder):
    """Packages a and b, which share sentences, and c, held out, which has one of theirs."""
    own = {
        name: [
            (f"{name} says number {k} in words", f"{name} sagt Nummer {k} aus") for k in range(80)
        ]
        for name in "abc"
    }
    common = [
        (f"a common sentence of number {k}", f"ein Satz Nummer {k} für alle") for k in range(9)
    ]
    own["a"] += [*common, ("Too short", "Zu kurz")]
    own["b"] += common
    own["c"].append(("A COMMON sentence of number 3", "Ein anderer Satz Nummer 3"))
    for name, pairs in own.items():
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{name}/locale/de/LC_MESSAGES/x.po", _catalogue(pairs))
            archive.writestr(f"{name}-1.0.dist-info/METADATA", "License: MIT\n\n")
    return folder


def test_catalogues_are_split_by_package_and_by_sentence(tmp_path):
    task = open_task(
        CATALOGUES, seed=0, pieces=80, kind="unigram", catalogues=_wheels(tmp_path), held_out="c"
    )
    sources = {split: {normalised(s) for s in text[0]} for split, text in task.text.items()}
    assert {*sources} == {"train", "validation", "test", HELD_OUT}
    for split, some in sources.items():
        for other, there in sources.items():
            assert split == other or not some & there
    assert sources[HELD_OUT] == {f"c says number {k} in words" for k in range(80)}
    assert task.facts["repeated between packages"] == 9
    assert task.facts["of the package held out, known from others"] == 1
    assert sum(task.facts["pairs"].values()) == 80 * 3 + 9
    assert task.facts["packages"]["a"]["license"] == "MIT"
    ids = task.ids("train")
    assert len(ids[0]) == len(ids[1]) == len(task.text["train"][0])
    assert task.vocabulary.decode(ids[0][0]) == task.text["train"][0][0]
    with pytest.raises(ValueError, match="no package 'd' to hold out; there are a, b, c"):
        open_task(CATALOGUES, seed=0, pieces=80, kind="bpe", catalogues=tmp_path, held_out="d")
    with pytest.raises(ValueError, match="with --catalogues"):
        open_task(CATALOGUES, seed=0, pieces=80, kind="bpe")


def test_counts_of_packages_add_up(tmp_path):
    packages = read_packages(_wheels(tmp_path), "de")
    rows = counts(packages).rows
    assert [row[0] for row in rows] == ["a", "b", "c", "all"]
    for row in rows:
        assert row[2] == sum(row[3:-1]) and row[-1] <= row[-2]
    assert rows[-1][2:] == [sum(row[k] for row in rows[:-1]) for k in range(2, len(rows[0]))]
    assert ("Too short", "Zu kurz") not in of_words(packages[0].pairs)
    with pytest.raises(ValueError, match="'--pre' is no name of a package"):
        download(["gramps", "--pre"], tmp_path)


def test_the_grid_has_every_temperature_of_both_teachers_and_its_controls():
    names = [arm_name(*arm) for arm in arms(GRID)]
    expected = {f"word {a} T{t}" for a in ("0", "0.1") for t in (1, 2, 3, 64)}
    expected |= {f"matched 0 T{t}" for t in (1, 2, 3, 64)}
    expected |= {f"{kind} {a}" for kind in ("none", "sequence") for a in ("0", "0.1")}
    assert {*names} == expected and len(names) == len(expected)
    assert len(GRID.seeds) >= 3 and len(GRID.sources) == len(GRID.numbers) == 2
    # The published loss: four logits, a tenth of hard labels.
    assert GRID.top_k == 4 and GRID.recipe.hard_weight == 0.1
    shown = {arm_name(*arm) for arm in arms(DEMONSTRATION)}
    assert shown == {f"word {a} T{t}" for a in ("0", "0.1") for t in (1, 3)}
    assert DEMONSTRATION.recipe.width == 128 and DEMONSTRATION.pieces == 4000


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"students": ("word", "letter")}, "unknown students letter; they are none, word"),
        ({"alphas": (0.1,)}, r"alphas begin with 0 and lie below 1, got \(0\.1,\)"),
        ({"alphas": (0.0, 1.0)}, "alphas begin with 0 and lie below 1"),
        ({"temperatures": (1.0, 0.0)}, "temperatures must be positive"),
        ({"alphas": (0.0,)}, "matched temperatures need a smoothed teacher"),
        ({"numbers": (500,)}, "numbers are given for each source: 1 for 2"),
    ],
)
def test_grids_that_cannot_be_are_refused(changed, says):
    with pytest.raises(ValueError, match=says):
        check_grid(replace(GRID, **changed))


def test_the_published_setting_is_that_of_the_recipe():
    grid = PRESETS["paper"][1].grid
    recipe = grid.recipe
    assert (recipe.layers, recipe.width, recipe.feed_forward, recipe.heads) == (2, 256, 1024, 4)
    assert (recipe.dropout, recipe.tokens, recipe.warm_up) == (0.3, 4096, 4000)
    assert (recipe.learning_rate, recipe.hard_weight, grid.beam, grid.top_k) == (5e-4, 0.1, 4, 4)
    assert (grid.steps, grid.patience, grid.student_patience) == (300_000, 20, 100)
    assert (grid.pieces, grid.vocabulary) == (30_000, "bpe")
    assert grid.alphas == (0.0, 0.1) and grid.temperatures == (1.0, 2.0, 3.0, 64.0)
    ids = jax.ShapeDtypeStruct((8, 64), np.dtype("int32"))
    network = make_network(recipe, grid.pieces)
    start = jax.eval_shape(
        lambda a, b: network.init(jax.random.key(0), a, b, train=False), ids, ids
    )
    # Embeddings 30,000 x 256 are 7.7 M of them.
    assert 9e6 < sum(x.size for x in jax.tree.leaves(start)) < 12e6
    logits = jax.eval_shape(lambda v, a, b: network.apply(v, a, b, train=False), start, ids, ids)
    assert logits.shape == (8, 64, 30_000)


def test_the_published_table_loses_as_much_without_smoothing():
    for pair in dict.fromkeys(pair for pair, _ in TABLE):
        without, smoothed = drop(pair, 0.0, 3), drop(pair, 0.1, 3)
        assert without > 2 and abs(without - smoothed) < 0.3
    assert_allclose(drop("English-German", 0.1, 3), 25.085 - 22.076)
    assert "as large without label smoothing" in str(published_section().blocks[1])


def _results(gain):
    """Results of `GRID` whose scores are `gain(source number, seed, arm)`."""

    def one(number, seed, arm):
        splits = {
            split: {"exact": gain(number, seed, arm) / 100} for split in ("validation", "test")
        }
        return {"nll": 0.5, "steps": 9, "splits": splits}

    names = ["teacher 0", "teacher 0.1", *(arm_name(*arm) for arm in arms(GRID))]
    scores = {
        source: {
            str(seed): {"ratio": 0.5, **{arm: one(number, seed, arm) for arm in names}}
            for seed in GRID.seeds
        }
        for number, source in enumerate(GRID.sources)
    }
    texts = {s: {"kept": 9, "left_out": {}} for s in ("train", "validation", "test")}
    return {
        "protocol": {"grid": as_json(asdict(GRID))},
        "scores": scores,
        "tasks": {source: {"0": {**texts, "pieces": 9}} for source in GRID.sources},
        "seconds": {source: 1.0 for source in GRID.sources},
        "skipped": "The catalogues were skipped: give their folder with --catalogues.",
    }


def _gain(number, seed, arm):
    # Seeds differ a lot, and alike for all arms; the smoothed teacher loses 8 points at T = 3,
    # the hard one 2, and 8 where it is read at a matched temperature.
    noise = np.random.default_rng([number, seed, *arm.encode()]).normal()
    base = 60 + 20 * seed + 5 * number + 0.01 * noise
    return base - 8 * (arm in ("word 0.1 T3", "matched 0 T3")) - 2 * (arm == "word 0 T3")


def test_verdicts_rest_on_pairs_of_seeds():
    results = _results(_gain)
    rows = {row[0]: row[1:] for row in page.contrasts_table(results).rows}
    assert len(rows) == len(page.CONTRASTS) + 1
    assert rows["falls faster with smoothing, at equal T"][-1].startswith("+6.0")
    assert rows["falls faster with smoothing, at equal T"][-1].endswith("above 0")
    assert "not shown" in rows["falls faster with smoothing, at equal effective temperature"][-1]
    assert rows["loss from T = 1 to 3, hard teacher"][0].startswith("+2.0")
    assert rows["loss from T = 1 to 3, hard teacher"][0].endswith("above 0")
    said = page.finding(results)
    assert "Falls faster with smoothing, at equal T: +6.0" in said and "skipped" in said
    assert "A smoothed teacher at T = 1 is among the best." in said
    # A cell that is better by 5 points, in validation too.
    better = _results(lambda *of: _gain(*of) + 5 * (of[-1] == "sequence 0"))
    assert "A smoothed teacher at T = 1 is not among the best." in page.finding(better)
    assert "c, the spread of smoothed by hard logits: 0.50." in said


def test_the_temperature_is_chosen_on_validation():
    results = _results(_gain)
    for seed, t in {"0": "2", "1": "64", "2": "2"}.items():
        for source in GRID.sources:
            cell = results["scores"][source][seed][f"word 0.1 T{t}"]["splits"]
            cell["validation"]["exact"], cell["test"]["exact"] = 1.5, 0.25
    table = page.chosen_table(results)
    assert table is not None
    rows = [row for row in table.rows if row[1] == "word 0.1"]
    assert [row[2] for row in rows] == ["2, 64, 2"] * 2 and rows[0][3] == "25.0 ± 0.0"
    assert page.best_cell(results, GRID.sources[0]) == "word 0.1 T2"


def test_pages_have_every_arm_and_both_protocols(tmp_path):
    results = _results(_gain)
    results["finding"] = page.finding(results)
    page.write_pages(tmp_path, results)
    text = (tmp_path / "results.md").read_text()
    assert all(f"| {arm_name(*arm)} |" in text for arm in arms(GRID))
    assert "Published BLEU" in text and "catalogues were skipped" in text
    results["scores"][CATALOGUES] = {"0": {
        name: {"nll": 2.0, "steps": 9, "splits": {
            split: {STANDARD: 1.0, PAPER: 2.0, CHRF: 3.0, "exact": 0.0,
                    "signatures": {STANDARD: "version:1"},
                    "translations": [f"Satz {k} {name}" for k in range(8)],
                    "references": [f"Satz {k} hier" for k in range(8)]}
            for split in ("validation", "test", HELD_OUT)}}
        for name in ["teacher 0", "teacher 0.1", *(arm_name(*arm) for arm in arms(DEMONSTRATION))]
    }}  # fmt: skip
    package = {"license": "MIT", "read": 9, "left_out": {"one word": 2}}
    results["tasks"][CATALOGUES] = {
        "0": {"held out": "c", "pairs": {"train": 5}, "packages": {"c": package}}
    }
    (section,) = page.demonstration_sections(results)
    said = json.dumps([getattr(block, "columns", block) for block in section.blocks])
    assert STANDARD in said and PAPER in said and CHRF in said and "demonstration" in said
    tables = [block for block in section.blocks if isinstance(block, Table)]
    bootstraps = [table for table in tables if table.columns[-1] == "p"]
    differences = {row[0] for row in bootstraps[0].rows}
    assert len(bootstraps) == 2 and "word 0 T3 less word 0 T1" in differences
    assert (
        "word 0.1 T1 less word 0 T1" in differences
        and "word 0.1 T1 less teacher 0.1" in differences
    )


@pytest.mark.slow
def test_smoke_runs_and_is_resumed(tmp_path):
    experiment = replace(PRESETS["smoke"][1], out=tmp_path)
    first = run(experiment)
    (scores,) = first["scores"]["numbers:de"].values()
    assert {*scores} == {"teacher 0", "teacher 0.1", "ratio", *map(
        lambda arm: arm_name(*arm), arms(experiment.grid))}  # fmt: skip
    assert (tmp_path / "report.html").exists() and "skipped" in first
    parts = {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").iterdir()}
    assert run(experiment)["scores"] == json.loads(json.dumps(first["scores"]))
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").iterdir()} == parts


def test_the_smallest_grid_is_a_grid():
    check_grid(Grid(students=("none",), alphas=(0.0,)))
