"""BLEU by two protocols, chrF and the paired bootstrap."""

import math

import pytest
from numpy.testing import assert_allclose

from gan_forensics.studies.translation_scores import (
    CHRF,
    PAPER,
    STANDARD,
    paired_bootstrap,
    tokenised,
    translation_scores,
)

REFERENCE = ["Der Hund bellt laut, und die Katze schläft.", "Das ist ein kurzer Satz."]


def test_the_two_protocols_differ_on_a_golden_pair():
    # Case alone is wrong: without case all is right, with it three of the words are not.
    said = ["der hund bellt laut, und die katze schläft.", "Das ist ein kurzer Satz."]
    scores = translation_scores(said, REFERENCE)
    assert_allclose(scores[PAPER], 100, atol=1e-9)
    # By hand, of 16 tokens (der hund bellt laut , und die katze schläft . / das ist ein kurzer
    # satz .): n-grams right 13/16, 10/14, 7/12, 5/10.
    by_hand = 100 * math.prod((13 / 16, 10 / 14, 7 / 12, 5 / 10)) ** 0.25
    assert_allclose(scores[STANDARD], by_hand, rtol=1e-9)
    assert scores["exact"] == 0.5 and scores["sentences"] == 2
    signatures = scores["signatures"]
    assert "case:mixed" in signatures[STANDARD] and "tok:13a" in signatures[STANDARD]
    assert "tok:none" in signatures[PAPER] and "smooth:none" in signatures[PAPER]
    assert all("version:" in signature for signature in signatures.values())
    assert tokenised(REFERENCE[1]) == "das ist ein kurzer satz ."


def test_limits_of_the_scores():
    same = translation_scores(REFERENCE, REFERENCE)
    assert_allclose([same[STANDARD], same[PAPER], same[CHRF], same["exact"]], [100, 100, 100, 1])
    # No 4-gram matches: 0 without smoothing.
    assert translation_scores(["Hund Der laut bellt", "Satz"], REFERENCE)[PAPER] == 0
    # Brevity: every n-gram is right, 6 tokens of 16.
    short = translation_scores(["", REFERENCE[1]], REFERENCE)
    assert_allclose(short[PAPER], 100 * math.exp(1 - 16 / 6), rtol=1e-9)


def test_the_bootstrap_compares_systems_on_the_same_sentences():
    references = [f"Satz {k} hat eine Zahl und noch ein paar Worte" for k in range(60)]
    wrong = [line.replace("noch ein paar", "viele") if k % 3 else line
             for k, line in enumerate(references)]  # fmt: skip
    rows = paired_bootstrap({"a": references, "b": wrong, "c": references}, references, samples=200)
    found = {(row["metric"], row["system"]): row for row in rows}
    assert {*found} == {(metric, name) for metric in (STANDARD, CHRF) for name in "bc"}
    for metric in (STANDARD, CHRF):
        worse, same = found[metric, "b"], found[metric, "c"]
        assert worse["difference"] < -5 and worse["p"] < 0.02 and worse["baseline"] == "a"
        assert same["difference"] == 0 and same["p"] == 1
    scores = translation_scores(wrong, references)
    assert_allclose(found[STANDARD, "b"]["score"], scores[STANDARD])


def test_corpora_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="got 1 translations and 2 references"):
        translation_scores(["a"], REFERENCE)
    with pytest.raises(ValueError, match="got 0 translations and 0 references"):
        translation_scores([], [])
    with pytest.raises(ValueError, match="two systems or more, got 1"):
        paired_bootstrap({"a": REFERENCE}, REFERENCE)
    with pytest.raises(ValueError, match="got 1 translations"):
        paired_bootstrap({"a": REFERENCE, "b": ["x"]}, REFERENCE)
