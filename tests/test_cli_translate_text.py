"""`train translator` and `translate-text`, as a user has them."""

import json
from typing import Any

import pytest

from gan_forensics.data.vocabulary import train_vocabulary
from gan_forensics.distill import translator, translator_runs
from gan_forensics.distill.translator import Translator, translator_learner
from tests.test_cli import plain_terminal, refused, run  # noqa: F401
from tests.test_distill_translator import CONFIG, LETTERS

ASKED: list[Any] = ["--beam", 2, "--longest", 8, "--batch-size", 8]
WORDS = ["abc", "fed", "", "dad", "bee"]


@pytest.fixture(scope="module")
def untrained():
    """A translator of random weights, with a vocabulary of 11 pieces."""
    vocabulary = train_vocabulary([2 * LETTERS], size=12, kind="char")
    params = translator_learner(CONFIG, len(vocabulary)).start(0).params["translator"]
    return Translator(CONFIG, vocabulary, {"params": params})


@pytest.fixture
def started(untrained, monkeypatch):
    """Its run folder, without the folder: loading one is of the slow test."""
    for module in (translator, translator_runs):
        monkeypatch.setattr(module, "load_translator", lambda run: untrained)
    return "runs/translator"


@pytest.fixture
def pair(tmp_path):
    """Aligned files of 80 words; a translation has every letter replaced by the next one."""
    words = [f"{a}{b}{a}" for a in LETTERS for b in LETTERS] * 2 + [*LETTERS]
    turned = [word.translate(str.maketrans(LETTERS, "bcdefa")) for word in words]
    for name, lines in (("a.txt", words), ("b.txt", turned)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return f"pair:{tmp_path / 'a.txt'},{tmp_path / 'b.txt'}"


# --- translate-text -----------------------------------------------------------------------------


def test_as_many_lines_come_out_as_go_in(started, tmp_path, capsys):
    text, out = tmp_path / "text.txt", tmp_path / "out.txt"
    text.write_bytes(b"\xef\xbb\xbfabc\r\n" + "\n".join(WORDS[1:]).encode())
    assert run("translate-text", started, text, *ASKED, "--n-best", 2) == 0
    rows = [row.split("\t") for row in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "2", "3", "4", "4", "5", "5"]
    assert rows[4] == ["3", "0.0000", ""]
    assert float(rows[0][1]) >= float(rows[1][1])
    best = [rows[at][2] for at in (0, 2, 4, 5, 7)]
    # The same, into a file, from another order of lines.
    text.write_text("\n".join(reversed(WORDS)) + "\n")
    assert run("translate-text", started, text, *ASKED, "--n-best", 2, "--out", out) == 0
    again = [row.split("\t") for row in out.read_text().splitlines()]
    assert [again[at][2] for at in (7, 5, 4, 2, 0)] == best
    said = capsys.readouterr().err
    assert f"5 lines of {text}, translated in {out}" in said and "vocabulary lacks" not in said
    # Random weights stop at no END.
    cut = sum(len(word) + 1 >= 8 for word in best)
    assert (f"{cut} of 5 translations have 8 tokens" in said) == bool(cut)
    text.write_text("abc\nxyz\n\nd!\n")
    assert run("translate-text", started, text, *ASKED, "--n-best", 2, "--out", out) == 0
    assert "2 of 4 lines hold letters that the vocabulary lacks" in capsys.readouterr().err


def test_plain_output_is_the_best_translation_a_line(started, tmp_path, capsys, monkeypatch):
    from gan_forensics.distill import translate

    def found(_, lines, **settings):
        assert settings["n_best"] == 1 and settings["length_penalty"] == 0.5
        return [[(line.upper(), -1.0)] for line in lines]

    monkeypatch.setattr(translate, "translate_lines", found)
    (tmp_path / "text.txt").write_text("\n".join(WORDS) + "\n")
    assert run("translate-text", started, tmp_path / "text.txt", "--length-penalty", 0.5) == 0
    assert capsys.readouterr().out == "ABC\nFED\n\nDAD\nBEE\n"


def test_text_that_cannot_be_translated_is_refused_by_its_line(started, tmp_path, capsys):
    text = tmp_path / "text.txt"
    for content, says in (
        (b"abc\nab\xffc\nabc\n", "text.txt, line 2: byte 0xff at 2 is not UTF-8"),
        (b"abc\n" + b"a" * 1100, "text.txt: line 2 has 1101 tokens, and at most 1023 can be"),
        (b"", "text.txt: it is empty; give a sentence a line"),
    ):
        text.write_bytes(content)
        said = refused(capsys, "translate-text", started, text, "--out", tmp_path / "out.txt")
        assert says in said
    assert not (tmp_path / "out.txt").exists()
    assert "none.txt: no such file" in refused(
        capsys, "translate-text", started, tmp_path / "none.txt"
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--beam", 0], "--beam 0: it must be at least 1"),
        (["--n-best", 5], "--n-best 5: a beam of 4 keeps no more than 4; give --beam 5"),
        (["--n-best", 0], "--n-best 0: it must be at least 1"),
        (["--length-penalty", -1], "--length-penalty -1: it must be at least 0"),
        (["--batch-size", 0], "--batch-size 0"),
        (["--longest", 0], "--longest 0"),
        (["--out", "text.txt"], "--out text.txt: that is the text to translate"),
    ],
)
def test_searches_are_checked_before_anything_is_read(options, says, capsys):
    assert says in refused(capsys, "translate-text", "nowhere", "text.txt", *options)


def test_a_folder_that_holds_no_translator_is_refused(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("abc\n")
    asked = ["translate-text", tmp_path / "run", tmp_path / "text.txt"]
    assert "is not a run folder: it holds no config.json" in refused(capsys, *asked)
    (tmp_path / "run").mkdir()
    config = tmp_path / "run" / "config.json"
    config.write_text('{"gan": {}}')
    assert "is a run folder of kind gan, not translator" in refused(capsys, *asked)
    config.write_text('{"translator": {}}')
    assert "vocabulary.model: no such file; give the run folder whole" in refused(capsys, *asked)
    (tmp_path / "run" / "vocabulary.model").write_bytes(b"\x80\x04pickle")
    assert "vocabulary.model: this is no sentencepiece model" in refused(capsys, *asked)


# --- train translator ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--steps", 0], "--steps 0: it must be at least 1"),
        (["--patience", -1], "--patience -1: it must be at least 0"),
        (["--label-smoothing", 1], "label_smoothing must be 0 or more and below 1, got 1.0"),
        (["--width", 30], "width 30 must be even and a multiple of heads, 4"),
        (["--temperature", 2], "--temperature: it is of students, which have a --teacher"),
        (["--by", "word", "--top-k", 2], "--by and --top-k: it is of students"),
        (
            ["--teacher", "t", "--temperature", 0],
            "temperature must be positive and finite, got 0.0",
        ),
        (["--teacher", "t", "--by", "sequence", "--temperature", 2], "that learn by word"),
        (["--teacher", "t", "--pieces", "bpe"], "--pieces: a student has its teacher's vocabulary"),
        (["--teacher", "t", "--top-k", 0], "--top-k 0: it must be at least 1"),
        (["--teacher", "t", "--hard-weight", 2], "hard_weight must lie between 0 and 1"),
        (["--teacher", "t"], "t is not a run folder"),
        ([], "nowhere.txt: no such file"),
    ],
)
def test_settings_of_a_translator_are_checked_before_its_data(options, says, tmp_path, capsys):
    asked = ["--data", "pair:nowhere.txt,nowhere.txt", "--out", tmp_path / "run"]
    assert says in refused(capsys, "train", "translator", *asked, *options)
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_train_a_translator_are_refused(started, pair, tmp_path, capsys):
    asked = ["train", "translator", "--validation", pair, "--out", tmp_path / "run", "--data"]
    source, target = tmp_path / "a.txt", tmp_path / "b.txt"
    said = refused(capsys, *asked, pair, "--teacher", started, "--vocabulary-size", 50)
    assert "a student has its teacher's vocabulary, here of 11 pieces: leave" in said
    said = refused(
        capsys, *asked, pair, "--vocabulary-size", 12, "--pieces", "char", "--longest", 2
    )
    assert "pairs of the train split has at most 2 tokens on both sides" in said
    target.write_text("a\n" * 4)
    assert "78 lines" in refused(capsys, *asked, pair)
    target.write_bytes(b"a\n" * 77 + b"\xff\n")
    assert "b.txt, line 78: byte 0xff" in refused(capsys, *asked, pair)
    for path in (source, target):
        path.write_text("")
    assert "a.txt: it is empty" in refused(capsys, *asked, pair)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_teacher_and_its_students_train_go_on_and_translate(pair, tmp_path, capsys):
    sizes = dict(
        layers=1, width=16, feed_forward=32, heads=2, tokens=128, longest=8, warm_up=40,
        learning_rate=0.02, evaluate_every=10, dropout=0.0, data=pair, validation=pair,
    )  # fmt: skip
    asked = ["train", "translator", *(f"--{k.replace('_', '-')}={v}" for k, v in sizes.items())]
    teacher, by_word, by_sequence = (tmp_path / name for name in ("t", "w", "s"))
    start = [*asked, "--vocabulary-size", 12, "--pieces", "char", "--out", teacher]
    assert run(*start, "--steps", 20, "--label-smoothing", 0.1) == 0
    assert run(*start, "--steps", 60, "--label-smoothing", 0.1, "--resume") == 0
    said = capsys.readouterr()
    assert "78 pairs of the all split" in said.err and "vocabulary: 11 pieces" in said.err
    assert "best at step 60, with a perplexity of" in said.out
    results = json.loads((teacher / "results.json").read_text())
    assert results["validation/perplexity"] < 5
    assert "holds a run already" in refused(capsys, *start, "--steps", 60)
    taught = [*asked, "--teacher", teacher, "--steps", 20]
    assert run(*taught, "--temperature", 2, "--out", by_word) == 0
    said = capsys.readouterr().err
    assert "11 pieces, those of the teacher" in said and "4 largest logits" in said
    config = json.loads((by_word / "config.json").read_text())
    assert config["translator"]["temperature"] == 2
    assert config["teacher"] == {
        "run": str(teacher),
        "by": "word",
        "label_smoothing": 0.1,
        "top_k": 4,
    }
    assert run(*taught, "--by", "sequence", "--out", by_sequence) == 0
    said = capsys.readouterr().err
    written = by_sequence / "teacher_output.txt"
    pairs = json.loads((by_sequence / "results.json").read_text())["protocol"]["pairs"]
    assert f"the teacher translates {pairs} sentences, once: {written}" in said
    assert len(written.read_text().splitlines()) == pairs
    before = written.stat().st_mtime_ns
    longer = [*taught, "--steps", 30, "--by", "sequence", "--out", by_sequence, "--resume"]
    assert run(*longer) == 0 and written.stat().st_mtime_ns == before
    written.write_text("a\n")
    assert "has 1 lines, and there are" in refused(capsys, *longer)
    (by_word / "vocabulary.model").write_bytes(train_vocabulary([20 * "xy"], size=9).model)
    said = refused(capsys, *taught, "--temperature", 2, "--out", by_word, "--resume")
    assert "is not the student's" in said
    (tmp_path / "text.txt").write_text("aba\n\nfef\n")
    out = tmp_path / "out.txt"
    assert run("translate-text", teacher, tmp_path / "text.txt", "--out", out) == 0
    assert len(out.read_text().split("\n")) == 4
