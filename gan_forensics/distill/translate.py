"""Lines of text in, as many translations out."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_forensics.data.token_batches import bucket
from gan_forensics.data.vocabulary import END, PAD, UNKNOWN
from gan_forensics.distill.decode import beam_search, check_search
from gan_forensics.distill.translator import Translator
from gan_forensics.files.progress import progress_bar
from gan_forensics.nn.transformer import MOST_TOKENS
from gan_forensics.runtime import products

# Scores below are of hypotheses that are not there.
_NONE = -1e8


def translate_lines(
    translator: Translator,
    lines: Sequence[str],
    *,
    beam: int = 4,
    length_penalty: float = 1.0,
    n_best: int = 1,
    longest: int = 200,
    batch_size: int = 32,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> list[list[tuple[str, float]]]:
    """Translate every line, by beam search.

    Lines are padded to lengths of their own (`bucket`) and do not see each other, so that what a
    line becomes does not depend on the others, nor, but for rounding, on the batch size.

    Args:
        translator: by whom.
        lines: in any order, blank ones among them.
        beam: hypotheses that are kept; 1 is greedy.
        length_penalty: a score is log p / length ** penalty, END counted.
        n_best: translations of a line, at most `beam`.
        longest: tokens of a translation at most, END included.
        batch_size: lines at once; a program is compiled for each length that occurs.
        progress: show a bar, where there is a terminal.
        say: told how many lines hold letters that the vocabulary lacks, and how many translations
            were cut off.

    Returns:
        For every line its translations with their scores, best first: `n_best` of them, or as many
        as there are. None contains a line end or a tab. Of a blank line: [("", 0.0)].

    Raises:
        ValueError: for settings that no search can have, and for a line of more than 1024 tokens,
            which is named.

    Example:
        >>> translate_lines(translator, ["twenty-one"])[0][0]  # doctest: +SKIP
    """
    check_search(beam=beam, longest=longest, n_best=n_best, length_penalty=length_penalty)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    sentences = [translator.vocabulary.encode(line) if line.strip() else [] for line in lines]
    by_length: dict[int, list[int]] = defaultdict(list)
    for number, ids in enumerate(sentences):
        if len(ids) >= MOST_TOKENS:
            raise ValueError(
                f"line {number + 1} has {len(ids)} tokens, and at most {MOST_TOKENS - 1} can be "
                "translated at once: split it"
            )
        if ids:
            by_length[bucket(len(ids) + 1)].append(number)
    if unknown := sum(UNKNOWN in ids for ids in sentences):
        say(f"{unknown} of {len(lines)} lines hold letters that the vocabulary lacks")
    cut = 0
    found: list[list[tuple[str, float]]] = [[("", 0.0)] for _ in lines]
    search = _compiled_search(translator.network, beam, n_best, longest)
    bar = progress_bar(total=len(lines), unit="line", on=progress)
    with bar, products(translator.config.precision):
        bar.update(len(lines) - sum(map(len, by_length.values())))
        for length, numbers in sorted(by_length.items()):
            for first in range(0, len(numbers), batch_size):
                chunk = numbers[first : first + batch_size]
                source = np.full((batch_size, length), PAD, np.int32)
                for row, number in zip(source, chunk, strict=False):
                    row[: len(sentences[number]) + 1] = [*sentences[number], END]
                tokens, scores = jax.device_get(
                    search(translator.variables, source, np.float32(length_penalty))
                )
                for number, hypotheses, of_each in zip(chunk, tokens, scores, strict=False):
                    cut += bool((hypotheses[0] != PAD).all())
                    found[number] = [
                        (_one_line(translator.vocabulary.decode(ids)), float(score))
                        for ids, score in zip(hypotheses, of_each, strict=True)
                        if score > _NONE
                    ]
                bar.update(len(chunk))
    if cut:
        say(f"{cut} of {len(lines)} translations have {longest} tokens, and were ended there")
    return found


@lru_cache(maxsize=32)
def _compiled_search(network: Any, beam: int, n_best: int, longest: int):
    """The search of a network, compiled once for each shape of the sources."""

    @jax.jit
    def search(variables, source, length_penalty):
        memory = network.apply(variables, source, method="remember")

        def step(cache, token, place):
            return network.apply(variables, memory, cache, token, place, method="step")

        return beam_search(
            step,
            network.empty_cache(len(source), beam, longest),
            jnp.any(source != PAD, axis=1),
            beam=beam,
            longest=longest,
            length_penalty=length_penalty,
            n_best=n_best,
        )

    return search


def _one_line(text: str) -> str:
    """The text without line ends and control characters, which a vocabulary may hold."""
    controls = ("Cc", "Zl", "Zp")
    return "".join(" " if unicodedata.category(c) in controls else c for c in text)
