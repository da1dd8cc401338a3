"""Parallel text: files, catalogues, numbers and TensorFlow data sets; vocabularies."""

import subprocess
import sys

import pytest

from gan_forensics.data.number_words import number_words, part_of_number
from gan_forensics.data.text import open_parallel
from gan_forensics.data.vocabulary import (
    BEGIN,
    END,
    PAD,
    UNKNOWN,
    Vocabulary,
    train_vocabulary,
)


def _pair(tmp_path, source, target):
    paths = tmp_path / "a.en", tmp_path / "a.de"
    for path, text in zip(paths, (source, target), strict=True):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"pair:{paths[0]},{paths[1]}"


def _every_split(name, **options):
    texts = [
        open_parallel(name, split=split, **options) for split in ("train", "validation", "test")
    ]
    return texts


def test_aligned_files_are_split_by_their_source_and_nothing_is_lost(tmp_path):
    lines = [f"sentence {k}" for k in range(400)]
    # The same source in other letters and blanks must not be on both sides.
    lines += [f"SENTENCE   {k}" for k in range(400)]
    name = _pair(tmp_path, "\n".join(lines) + "\n", "\n".join(f"Satz {k}" for k in range(800)))
    train, validation, test = texts = _every_split(name)
    assert sum(text.facts["kept"] for text in texts) == 800
    assert all(text.facts["read"] == 800 for text in texts)
    sources = [{source.casefold() for source in text.source} for text in texts]
    assert (
        not sources[0] & sources[1] and not sources[0] & sources[2] and not sources[1] & sources[2]
    )
    assert 0.8 < len(train.source) / 800 < 0.95 and 20 < len(test.source) and len(validation.source)
    number = dict(zip(lines, range(800), strict=True))
    assert all(
        f"Satz {number[s]}" == t
        for s, t in zip(train.source, train.target, strict=False)
        if s in number
    )
    assert open_parallel(name, split="test") == test
    assert open_parallel(name, split="test", seed=1).source != test.source


def test_lines_end_at_line_feeds_alone_and_a_byte_order_mark_is_no_letter(tmp_path):
    name = _pair(tmp_path, "\ufeffa b\r\nc\u2028d\x0ce\n", "x y\nz\n")
    pairs = {pair for text in _each(name) for pair in zip(text.source, text.target, strict=True)}
    assert pairs == {("a b", "x y"), ("c d e", "z")}


def _each(name):
    for split in ("train", "validation", "test"):
        try:
            yield open_parallel(name, split=split)
        except ValueError as error:
            assert "no pair in the" in str(error)


def test_blank_and_over_long_pairs_are_left_out_and_counted(tmp_path):
    keep = [f"keep {k}" for k in range(30)]
    source = [*keep, "", "blank beside", "word " * 176, "x" * 2001]
    target = [*keep, "", " ", "kurz", "kurz"]
    text = open_parallel(_pair(tmp_path, "\n".join(source), "\n".join(target)))
    others = text.facts["left_out"].pop("other splits")
    assert text.facts["left_out"] == {"blank": 2, "over 175 words or 2000 letters": 2}
    assert text.facts["read"] == 34 and text.facts["kept"] == 30 - others == len(text.target)


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        (b"gut\nb\xe4r\n", "a\nb\n", r"a\.en, line 2: byte 0xe4 at 1 is not UTF-8"),
        ("a\nb\n", "a\n", r"a\.en has 2 lines, .*a\.de 1: line n"),
        ("\n\n", "a\nb\n", r"a\.en: it is empty"),
        ("a\n", "", r"a\.de: it is empty"),
    ],
)
def test_files_that_do_not_go_together_are_refused_in_words(tmp_path, source, target, says):
    with pytest.raises(ValueError, match=says):
        open_parallel(_pair(tmp_path, source, target))


def test_unknown_names_splits_and_missing_files_say_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="unknown parallel text 'pairs:a,b'; choose one of pair:"):
        open_parallel("pairs:a,b")
    with pytest.raises(ValueError, match="unknown split 'dev'; choose one of train, validation"):
        open_parallel("numbers:de", split="dev")
    with pytest.raises(FileNotFoundError, match="nowhere.txt: no such file"):
        open_parallel(f"pair:{tmp_path}/nowhere.txt,{tmp_path}/b.txt")
    with pytest.raises(ValueError, match="two files with a comma between"):
        open_parallel("pair:a.txt")
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_parallel(f"po:{tmp_path}/none.po")
    with pytest.raises(ValueError, match="seed must be at least 0"):
        open_parallel("numbers:de?n=8", seed=-1)


def test_numbers_in_words_are_those_of_the_language():
    for language, word in {"de": "einundzwanzig", "ru": "двадцать один"}.items():
        pairs = dict(zip(*number_words(language, n=90, split="train", largest=100), strict=True))
        assert part_of_number(21) == "train" and pairs["twenty-one"] == word


def test_numbers_are_disjoint_between_splits_of_any_seed_and_drawn_alike():
    texts = {
        (split, seed): open_parallel("numbers:ru?n=60&largest=2000", split=split, seed=seed)
        for split in ("train", "validation", "test")
        for seed in (0, 1)
    }
    for (split, _), text in texts.items():
        assert len(set(text.source)) == len(set(text.target)) == 60 == text.facts["kept"]
        for (other, _), there in texts.items():
            assert other == split or not set(text.source) & set(there.source)
    assert texts["train", 0].source != texts["train", 1].source
    fewer = open_parallel("numbers:ru?n=20&largest=2000", split="train")
    assert fewer.source == texts["train", 0].source[:20]


def test_numbers_say_what_they_cannot_do():
    with pytest.raises(ValueError, match="English to de or ru, not to 'fr'"):
        open_parallel("numbers:fr")
    with pytest.raises(ValueError, match="test split has too few numbers up to 50 for n=40"):
        open_parallel("numbers:de?n=40&largest=50", split="test")
    with pytest.raises(ValueError, match="unknown option 'm'; it may be largest, n"):
        open_parallel("numbers:de?m=40")


_TEXT = [
    f"der Satz Nummer {k} ist {w} (100%)" for k in range(30) for w in ("kurz", "Länge", "groß")
]


@pytest.mark.parametrize(
    ("kind", "size"), [("unigram", 60), ("bpe", 60), ("char", 60), ("word", 90)]
)
def test_known_text_comes_back_letter_by_letter(kind, size):
    vocabulary = train_vocabulary(_TEXT, size=size, kind=kind)
    assert len(vocabulary) <= size
    for line in _TEXT[::7]:
        ids = vocabulary.encode(line)
        assert vocabulary.decode([BEGIN, *ids, END, ids[0], PAD]) == line
        assert not set(ids) & {PAD, BEGIN, END, UNKNOWN}
    # What it has not seen is one unknown, and special marks in a text are no marks.
    assert UNKNOWN in vocabulary.encode("鬼")
    assert END not in vocabulary.encode("</s>") and BEGIN not in vocabulary.encode("<s>")
    again = train_vocabulary(_TEXT, size=size, kind=kind)
    assert again.model == vocabulary.model and len(Vocabulary(vocabulary.model)) == len(vocabulary)


def test_vocabulary_keeps_case_and_compatibility_forms():
    vocabulary = train_vocabulary(["Ǆ ﬁ … Aa"] * 3, size=20, kind="char")
    assert vocabulary.decode(vocabulary.encode("Ǆ ﬁ … Aa")) == "Ǆ ﬁ … Aa"


def test_long_sentences_count_when_a_vocabulary_is_learnt():
    vocabulary = train_vocabulary(["a b", "xy" * 3000], size=30, kind="char")
    assert UNKNOWN not in vocabulary.encode("xyab")


def test_vocabularies_refuse_what_they_cannot_learn_or_read():
    with pytest.raises(ValueError, match="unknown kind of vocabulary 'bytes'"):
        train_vocabulary(["a"], size=10, kind="bytes")
    with pytest.raises(ValueError, match="learnt from text, got 2 blank"):
        train_vocabulary(["", " "], size=10)
    with pytest.raises(ValueError, match=r"size 6 is too small: 4 special pieces and 4 .* least 8"):
        train_vocabulary(["ab c"], size=6)
    with pytest.raises(ValueError, match="no sentencepiece model"):
        Vocabulary(b"nothing of the kind")
    with pytest.raises(ValueError, match="between 1 and"):
        Vocabulary(b"")
    with pytest.raises(ValueError, match=r"ids lie between 0 and \d+, got 99"):
        train_vocabulary(["ab c"], size=9, kind="char").decode([99])


_TFDS = """
import sys
import numpy as np
import tensorflow_datasets as tfds

class Some(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=self.FEATURES)
    def _split_generators(self, _):
        return {"train": self._generate_examples(3), "test": self._generate_examples(2)}

class TinyWmt(Some):
    FEATURES = tfds.features.Translation(languages=["de", "en"])
    def _generate_examples(self, n):
        for k in range(n):
            yield k, {"en": f"sentence {k}", "de": f"Satz ä {k}"}

class TinyTed(Some):
    FEATURES = tfds.features.FeaturesDict({
        "translations": tfds.features.TranslationVariableLanguages(languages=["de", "en", "zh-cn"]),
        "talk_name": tfds.features.Text()})
    def _generate_examples(self, n):
        for k in range(n):
            texts = {"en": f"sentence {k}", "de": f"Satz {k}", "zh-cn": f"ju {k}"}
            if k == 1:
                del texts["de"]
            yield k, {"translations": texts, "talk_name": "a talk"}

from gan_forensics.data.text import open_parallel
folder = sys.argv[1]
for kind in (TinyWmt, TinyTed):
    kind(data_dir=folder, file_format="array_record").download_and_prepare()
wmt = open_parallel(f"tfds:tiny_wmt?data_dir={folder}", split="train")
assert set(zip(wmt.source, wmt.target)) == {(f"sentence {k}", f"Satz ä {k}") for k in range(3)}, wmt
back = open_parallel(f"tfds:tiny_wmt:de-en?data_dir={folder}", split="test")
assert sorted(back.source) == ["Satz ä 0", "Satz ä 1"], back
ted = open_parallel(f"tfds:tiny_ted:en-de?data_dir={folder}", split="train")
assert set(zip(ted.source, ted.target)) == {(f"sentence {k}", f"Satz {k}") for k in (0, 2)}, ted
assert ted.facts["left_out"] == {"without en or de": 1} and ted.facts["read"] == 3, ted.facts
assert "ju 1" in open_parallel(f"tfds:tiny_ted:en-zh-cn?data_dir={folder}").target
for name, says in {"tiny_ted": "has 3 languages", "tiny_ted:en-fr": "two of de, en, zh-cn",
                   "tiny_wmt:en-en": "two of de, en"}.items():
    try:
        open_parallel(f"tfds:{name}?data_dir={folder}")
    except ValueError as error:
        assert says in str(error), error
    else:
        raise AssertionError(name)
try:
    open_parallel(f"tfds:tiny_wmt?data_dir={folder}", split="validation")
except ValueError as error:
    assert "the split 'validation'" in str(error), error
else:
    raise AssertionError
assert "tensorflow" not in sys.modules
print("read")
"""


def test_prepared_translations_are_read_without_tensorflow(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    command = [sys.executable, "-c", _TFDS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().endswith("read"), done.stderr
