"""How good translations are: BLEU by two protocols, chrF, exact match; two systems in pairs.

BLEU is a number of its protocol. The standard one here is sacrebleu's of detokenised text with
its case (Post, WMT 2018), whose signature stands beside it. The paper on smoothing and distillation
scores lower-cased, tokenised text, without smoothing of counts: higher numbers for the same text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

STANDARD = "BLEU, detokenised, cased"
PAPER = "BLEU, lower-cased, tokenised (the paper's protocol)"
CHRF = "chrF"


def translation_scores(translations: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Scores of a corpus, 0 to 100, with the signatures of their protocols.

    The paper's protocol is that of its code: 4-grams of lower-cased, tokenised text. The tokens are
    those of mteval-v13a, since Moses' tokeniser needs a package of its own.

    Args:
        translations: sentences as a reader sees them: no pieces, with case.
        references: one for each.

    Returns:
        `STANDARD`, `PAPER`, `CHRF` (numbers), "exact" (share of translations that are the
        reference letter by letter, 0 to 1), "sentences", and "signatures" by score; JSON-able.

    Raises:
        ValueError: no sentences, or not as many of both.
    """
    _check(translations, references)
    metrics = _metrics()
    scores: dict[str, Any] = {"signatures": {}}
    for name, metric in metrics.items():
        some = [
            [tokenised(line) for line in lines] if name == PAPER else list(lines)
            for lines in (translations, references)
        ]
        scores[name] = float(metric.corpus_score(some[0], [some[1]]).score)
        scores["signatures"][name] = str(metric.get_signature())
    same = sum(a == b for a, b in zip(translations, references, strict=True))
    return {**scores, "exact": same / len(references), "sentences": len(references)}


def paired_bootstrap(
    systems: Mapping[str, Sequence[str]], references: Sequence[str], *, samples: int = 1000
) -> list[dict[str, Any]]:
    """The first system against each other one by sacrebleu's paired bootstrap (Koehn, EMNLP 2004).

    Args:
        systems: translations of the same sentences by name; the first is the baseline.
        references: one for each sentence.
        samples: how often sentences are drawn again.

    Returns:
        For each other system and each of `STANDARD`, `CHRF`: "system", "baseline", "score",
        "difference" (its score less the baseline's), "p" (of no difference, two-sided); JSON-able.

    Raises:
        ValueError: fewer than two systems, or not as many sentences of all.
    """
    if len(systems) < 2:
        raise ValueError(f"a comparison needs two systems or more, got {len(systems)}")
    for translations in systems.values():
        _check(translations, references)
    from sacrebleu.significance import PairedTest

    metrics = {name: metric for name, metric in _metrics().items() if name != PAPER}
    named: list[tuple[str, Sequence[str]]] = [(name, list(x)) for name, x in systems.items()]
    test = PairedTest(named, metrics, [list(references)], test_type="bs", n_samples=samples)
    _, scores = test()
    baseline, rows = named[0][0], []
    for metric, found in zip(metrics, [scores["BLEU"], scores["chrF2"]], strict=True):
        first: Any = found[0]
        for (name, _), result in zip(named[1:], found[1:], strict=True):
            one: Any = result
            difference = float(one.score - first.score)
            rows.append(
                {
                    "metric": metric,
                    "system": name,
                    "baseline": baseline,
                    "score": float(one.score),
                    "difference": difference,
                    # sacrebleu counts draws beyond the difference, and of equal systems finds none.
                    "p": float(one.p_value) if difference else 1.0,
                }
            )
    return rows


def tokenised(line: str) -> str:
    """A sentence in lower case, its tokens (mteval-v13a) with blanks between."""
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()(line.lower())


def _metrics() -> dict[str, Any]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF as ChrF
    except ImportError as error:
        raise ImportError(
            f"scores of translations need sacrebleu ({error}): pip install 'gan_forensics[text]'"
        ) from error
    return {
        STANDARD: BLEU(),
        PAPER: BLEU(tokenize="none", smooth_method="none", force=True),
        CHRF: ChrF(),
    }


def _check(translations: Sequence[str], references: Sequence[str]) -> None:
    if not references or len(translations) != len(references):
        raise ValueError(
            f"scores need a reference for each translation, got {len(translations)} translations "
            f"and {len(references)} references"
        )
