"""Run folders of translators, teachers and students alike: training into one.

Beside what every run folder has there are `vocabulary.model`, and of a student that learns by
sequence `teacher_output.txt`: what its teacher made of the sentences, a line each.
"""

import hashlib
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from gan_forensics.data.text import ParallelText, open_parallel, read_lines, undivided
from gan_forensics.data.vocabulary import UNKNOWN, Vocabulary, train_vocabulary
from gan_forensics.distill.classify import digest_of
from gan_forensics.distill.translate import translate_lines
from gan_forensics.distill.translator import (
    METRIC,
    NETWORK,
    VOCABULARY,
    Translator,
    TranslatorConfig,
    check_config,
    check_same_vocabulary,
    load_translator,
    read_vocabulary,
    translator_learner,
)
from gan_forensics.distill.translator_fit import (
    Evaluation,
    PairBatches,
    teacher_top_logits,
)
from gan_forensics.files import write_json, write_text, written_beside
from gan_forensics.runtime import is_first
from gan_forensics.train import Cadence, Plateau, RunFolderError, TrainState, fit, load_state

TEACHER_OUTPUT = "teacher_output.txt"
# Pieces of a vocabulary, where neither an option nor a teacher says otherwise.
PIECES = 8000
# Hypotheses of a teacher that translates what its student learns from.
BEAM = 4


@dataclass(frozen=True)
class Teaching:
    """From whom a student learns, and how.

    Attributes:
        run: the teacher's run folder.
        by: "word": the teacher's largest logits at every token of the references; "sequence":
            its own translations in the place of the references (Kim and Rush, EMNLP 2016).
        top_k: logits that are kept at every token.

    Example:
        >>> Teaching(Path("runs/teacher"), by="sequence").by
        'sequence'
    """

    run: Path
    by: Literal["word", "sequence"] = "word"
    top_k: int = 4

    def __post_init__(self):
        if self.by not in ("word", "sequence"):
            raise ValueError(f"by {self.by!r}: choose word or sequence")
        if self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")


def train_translator(
    config: TranslatorConfig,
    run: Path | str,
    *,
    data: str,
    steps: int,
    validation: str | None = None,
    teaching: Teaching | None = None,
    vocabulary_size: int | None = None,
    pieces: Literal["unigram", "bpe", "char", "word"] | None = None,
    evaluate_every: int | None = None,
    patience: int = 20,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> dict[str, Any]:
    """Train a translator in a run folder; its best checkpoint by the validation pairs is kept.

    Args:
        config: how.
        run: the run folder; gets results.json and data.json as well.
        data: parallel text, see `open_parallel`.
        steps: at most.
        validation: parallel text to validate on, all of it where it has no splits of its own; by
            default the validation split of the data.
        teaching: of a student. It has its teacher's vocabulary.
        vocabulary_size: pieces at most, of both languages together; by default 8000.
        pieces: as `train_vocabulary`; by default unigram.
        evaluate_every: steps between validations; by default an epoch.
        patience: validations in a row without a new best after which training stops; 0 for never.
        say: told, a line at a time, what is taken of the data and made of it.
        options: for `gan_forensics.train.fit`, such as `resume` and `progress`.

    Returns:
        What stands in results.json.

    Raises:
        ValueError: for settings that cannot be, data that are empty or not aligned, and a teacher
            of another vocabulary.
        RunFolderError: when the folder holds another run, or the teacher's folder no translator.

    Example:
        >>> config, run = TranslatorConfig(layers=1), Path("runs/translator")
        >>> train_translator(config, run, data="numbers:de", steps=400)  # doctest: +SKIP
    """
    run = Path(run)
    check_config(config)
    started = (run / "config.json").exists()
    if started and not options.get("resume"):
        raise RunFolderError(f"{run} holds a run already: resume it or choose another folder")
    teacher = load_translator(teaching.run) if teaching else None
    if teacher and (vocabulary_size not in (None, len(teacher.vocabulary)) or pieces is not None):
        raise ValueError(
            f"a student has its teacher's vocabulary, here of {len(teacher.vocabulary)} pieces: "
            "leave its size and kind out"
        )
    texts = _opened(data, validation, say)
    vocabulary = _vocabulary(texts[0], teacher, run if started else None, vocabulary_size, pieces)
    say(f"vocabulary: {len(vocabulary)} pieces{', those of the teacher' if teacher else ''}")
    learner = translator_learner(config, len(vocabulary))
    train, validate = (_encoded(text, vocabulary, config.longest, say) for text in texts)
    if not started and is_first():
        with written_beside(run / VOCABULARY) as partial:
            partial.write_bytes(vocabulary.model)
    facts: dict[str, Any] = {
        "data": data,
        "validation": validation,
        "vocabulary": hashlib.sha256(vocabulary.model).hexdigest(),
    }
    top = None
    if teaching and teacher:
        kept = {"top_k": teaching.top_k} if teaching.by == "word" else {"beam": BEAM}
        facts["teacher"] = {
            "run": str(teaching.run),
            "digest": digest_of(teacher.variables),
            "by": teaching.by,
            "label_smoothing": teacher.config.label_smoothing,
            **kept,
        }
        if teaching.by == "word":
            say(f"the teacher's {teaching.top_k} largest logits at every token are made once")
            top = teacher_top_logits(teacher, train.source, train.target, k=teaching.top_k)
        else:
            path = run / TEACHER_OUTPUT
            with tempfile.TemporaryDirectory() as folder:
                if not started:
                    say(f"the teacher translates {len(train.text)} sentences, once: {path}")
                    # Each process makes them for itself, and that of process 0 stays.
                    path = path if is_first() else Path(folder) / TEACHER_OUTPUT
                    _write_output(path, teacher, train.text, config.longest)
                target = _read_output(path, vocabulary, len(train.text))
            train = train._replace(target=target)
    shard = (jax.process_index(), jax.process_count())
    batches = PairBatches(config, (train.source, train.target), top=top, shard=shard)
    if gone := batches.pairs.left_out:  # Only what a teacher wrote can have become longer.
        say(f"{gone} of the teacher's translations are longer than {config.longest} tokens in the "
            "vocabulary's pieces: left out")  # fmt: skip
    held_out = Evaluation(config, vocabulary, (validate.source, validate.target))

    def evaluate(state: TrainState) -> dict[str, float]:
        return held_out({"params": jax.device_get(state.params[NETWORK])})

    epoch = batches.pairs.batches_per_epoch
    every = evaluate_every or epoch
    cadence = Cadence(
        steps, log_every=max(1, min(50, every)), checkpoint_every=0, evaluate_every=every
    )
    # The rate has a schedule of its own: the rule only ends training.
    stop = Plateau(METRIC, factor=1.0, patience=steps + 1, threshold=0.0, stop_after=patience)
    fit(
        learner, batches, run=run, cadence=cadence, seed=config.seed, facts=facts,
        evaluate=evaluate, best=METRIC, plateau=stop, **options,
    )  # fmt: skip
    best = load_state(run, learner, best=METRIC)
    found = evaluate(best)
    results = {
        "step": int(best.step),
        **found,
        "validation/perplexity": math.exp(found[METRIC]),
        "protocol": {
            "pairs": len(train.text),
            "validation pairs": len(validate.text),
            "steps an epoch": epoch,
            "checkpoint": "the best by -log p per token of the validation pairs, not smoothed, "
            f"read at T = {config.temperature:g}",
        },
    }
    if is_first():
        write_json(run / "data.json", {"train": texts[0].facts, "validation": texts[1].facts})
        write_json(run / "results.json", results)
    return results


def _opened(
    data: str, validation: str | None, say: Callable[[str], None]
) -> tuple[ParallelText, ParallelText]:
    """The text to train on and that to validate on; says what is left out."""
    other = "validation" if validation is None or not undivided(validation) else "all"
    texts = open_parallel(data), open_parallel(validation or data, split=other)
    for text in texts:
        facts = text.facts
        gone = ", ".join(f"{count} {why}" for why, count in facts["left_out"].items())
        left_out = f"; left out: {gone}" if gone else ""
        say(f"{facts['name']}: {facts['kept']} pairs of the {facts['split']} split{left_out}")
    return texts


class _Encoded(NamedTuple):
    """Pairs that are short enough: the sources as text, and both sides as ids."""

    text: list[str]
    source: list[list[int]]
    target: list[list[int]]


def _encoded(
    text: ParallelText, vocabulary: Vocabulary, longest: int, say: Callable[[str], None]
) -> _Encoded:
    """The pairs of which both sides have at most `longest` tokens, END included."""
    rows = []
    for source, target in zip(text.source, text.target, strict=True):
        ids = vocabulary.encode(source), vocabulary.encode(target)
        if max(map(len, ids)) < longest:
            rows.append((source, *ids))
    name, split = text.facts["name"], text.facts["split"]
    if not rows:
        raise ValueError(
            f"{name}: none of {len(text.source)} pairs of the {split} split has at most {longest} "
            "tokens on both sides: give a greater longest, or a larger vocabulary"
        )
    unknown = [UNKNOWN in source or UNKNOWN in target for _, source, target in rows]
    if any(unknown):
        say(
            f"{name}: {np.mean(unknown):.1%} of the pairs of the {split} split hold letters that "
            "the vocabulary lacks: they cannot be translated, nor written"
        )
    if gone := len(text.source) - len(rows):
        say(f"{name}: {gone} pairs of the {split} split are longer than {longest} tokens: left out")
    return _Encoded(*(list(column) for column in zip(*rows, strict=True)))


def _vocabulary(
    text: ParallelText,
    teacher: Translator | None,
    started: Path | None,
    size: int | None,
    pieces: Any,
) -> Vocabulary:
    """The vocabulary of a run that has started, of a teacher, or one learnt from the text."""
    if teacher:
        if started:
            check_same_vocabulary(teacher, read_vocabulary(started))
        return teacher.vocabulary
    if started:
        return read_vocabulary(started)
    both = [*text.source, *text.target]
    return train_vocabulary(both, size=size or PIECES, kind=pieces or "unigram")


def _write_output(path: Path, teacher: Translator, lines: list[str], longest: int) -> None:
    found = translate_lines(teacher, lines, beam=BEAM, longest=longest, progress=True)
    write_text(path, "".join(f"{hypotheses[0][0]}\n" for hypotheses in found))


def _read_output(path: Path, vocabulary: Vocabulary, count: int) -> list[list[int]]:
    """What a teacher made of the sentences, as ids."""
    lines = read_lines(path)
    if len(lines) != count:
        raise ValueError(
            f"{path} has {len(lines)} lines, and there are {count} sentences to train on: the data "
            "have changed; start anew in another folder"
        )
    return [vocabulary.encode(line) for line in lines]
