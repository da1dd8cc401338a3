"""Sentences to token ids and back: pieces of words, learnt by sentencepiece.

One vocabulary serves both languages of a translator. Four ids are fixed: `PAD` fills up, `BEGIN`
and `END` mark where a sentence begins and ends, `UNKNOWN` stands for what the vocabulary lacks.
Text is taken as it stands: nothing is lower-cased or normalised, so that what was cut into known
pieces comes back letter by letter (runs of blanks as one).
"""

import io
from collections.abc import Iterable, Sequence
from typing import Any

PAD, BEGIN, END, UNKNOWN = range(4)
KINDS = ("unigram", "bpe", "char", "word")
# Bytes of a vocabulary that is read from a file: 64k pieces take about 1.5 MB.
LARGEST = 64 * 2**20


class Vocabulary:
    """Pieces with their ids.

    Attributes:
        model: the sentencepiece model, serialised; what a file or archive keeps.

    Example:
        >>> from gan_forensics.data import train_vocabulary  # doctest: +SKIP
        >>> sentences = ["four", "vier", "eleven", "elf"]  # doctest: +SKIP
        >>> vocabulary = train_vocabulary(sentences, size=20, kind="char")  # doctest: +SKIP
        >>> vocabulary.decode(vocabulary.encode("vier"))  # doctest: +SKIP
        'vier'
    """

    def __init__(self, model: bytes):
        """Read a serialised sentencepiece model.

        Raises:
            ValueError: it is none, or its special ids are not those of this module.
        """
        sentencepiece = _sentencepiece()
        if not model or len(model) > LARGEST:
            raise ValueError(
                f"a vocabulary has between 1 and {LARGEST} bytes, this one {len(model)}"
            )
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(
                "this is no sentencepiece model: give the bytes that train_vocabulary made"
            ) from error
        pieces = self._pieces
        special = (pieces.pad_id(), pieces.bos_id(), pieces.eos_id(), pieces.unk_id())
        if special != (PAD, BEGIN, END, UNKNOWN):
            raise ValueError(
                f"the ids of padding, begin, end and unknown must be 0, 1, 2, 3, this vocabulary "
                f"has {', '.join(map(str, special))}: make it with train_vocabulary"
            )
        self.model = model

    def __len__(self) -> int:
        return self._pieces.get_piece_size()

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)} pieces"

    def encode(self, text: str) -> list[int]:
        """Cut a sentence into pieces: their ids, without `BEGIN` and `END`."""
        return self._pieces.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Join pieces to a sentence: up to the first `END`; `PAD` and `BEGIN` are dropped.

        Raises:
            ValueError: an id is none of this vocabulary.
        """
        kept = []
        for number in map(int, ids):
            if number == END:
                break
            if not 0 <= number < len(self):
                raise ValueError(f"ids lie between 0 and {len(self) - 1}, got {number}")
            if number not in (PAD, BEGIN):
                kept.append(number)
        return self._pieces.decode(kept)


def train_vocabulary(sentences: Sequence[str], *, size: int, kind: str = "unigram") -> Vocabulary:
    """Learn a vocabulary: the same sentences in the same order give the same one.

    Args:
        sentences: of both languages, where they share it.
        size: pieces at most, the four special ones among them; fewer come out of little text.
        kind: "unigram" (Kudo, ACL 2018), "bpe" (Sennrich et al., ACL 2016), "char" or "word".

    Raises:
        ValueError: no text, an unknown kind, or fewer pieces than there are letters to cover.

    Example:
        >>> sentences = ["four", "vier", "eleven", "elf"]  # doctest: +SKIP
        >>> train_vocabulary(sentences, size=20, kind="char")  # doctest: +SKIP
        Vocabulary of 14 pieces
    """
    sentencepiece = _sentencepiece()
    if kind not in KINDS:
        raise ValueError(f"unknown kind of vocabulary {kind!r}; choose one of {', '.join(KINDS)}")
    lines = [line for line in sentences if line.strip()]
    if not lines:
        raise ValueError(f"a vocabulary is learnt from text, got {len(sentences)} blank sentences")
    letters = len(set("".join(lines)) - {" "}) + 1  # the blank stands as a letter of its own
    least = 5 if kind == "word" else letters + 4
    if size < least:
        raise ValueError(
            f"size {size} is too small: 4 special pieces and {least - 4} that the text needs; "
            f"give at least {least}"
        )
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=size,
        hard_vocab_limit=False,
        # Every letter of the text is a piece, or rare ones could not be written.
        character_coverage=1.0,
        model_type=kind,
        use_all_vocab=False,
        num_threads=1,
        # Longer ones would be left out without a word.
        max_sentence_length=max(16, *(len(line.encode()) + 1 for line in lines)),
        normalization_rule_name="identity",
        pad_id=PAD,
        bos_id=BEGIN,
        eos_id=END,
        unk_id=UNKNOWN,
        minloglevel=2,
    )
    return Vocabulary(model.getvalue())


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise ImportError(
            f"vocabularies need sentencepiece ({error}): pip install 'gan_forensics[text]'"
        ) from error
    return sentencepiece
