"""`gan-forensics train translator`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from gan_forensics.cli.checks import at_least, not_given
from gan_forensics.cli.distributed import Distributed
from gan_forensics.cli.process import tell_next
from gan_forensics.cli.train import options_of
from gan_forensics.distill.translator import TranslatorConfig, check_config
from gan_forensics.distill.translator_runs import Teaching, train_translator
from gan_forensics.files import check_folder_out, say, tell
from gan_forensics.report import report_run
from gan_forensics.runtime import is_first

Options: Any = options_of(TranslatorConfig, without=("temperature", "hard_weight"))


@dataclass(frozen=True)
class TrainTranslator:
    """Train a Transformer to translate sentences, as a teacher or as a student of one.

    Your sentences come as two aligned files, a sentence a line, as gettext catalogues (.po, .mo),
    or as a prepared TensorFlow data set. The published recipe of IWSLT by default: batches of 4096
    tokens, Adam, a rate of 0.0005 after 4000 steps of warm-up. Validation pairs end training and
    choose the checkpoint. Small data want a smaller --width and --vocabulary-size.

    Try it:

    $ gan-forensics train translator --data pair:train.en,train.de --out runs/teacher

    $ gan-forensics train translator --data numbers:de --vocabulary-size 100 --width 64 --layers 1
    --learning-rate 0.003 --warm-up 100 --dropout 0.1 --steps 1000 --label-smoothing 0.1

    $ gan-forensics train translator --data pair:train.en,train.de --teacher runs/teacher
    --temperature 1 --out runs/student

    The same with --resume goes on.
    """

    data: str = "numbers:de"
    """Parallel text: pair:SOURCE.txt,TARGET.txt, po:PATH, numbers:de or numbers:ru, or
    tfds:NAME[/CONFIG][:SOURCE-TARGET]."""
    validation: str | None = None
    """Parallel text to validate on, all of it where it has no splits of its own; by default the
    validation part of --data."""
    translator: Options = field(default_factory=Options)  # pyright: ignore[reportInvalidTypeForm]
    """The network and its training."""
    teacher: Path | None = None
    """A run folder of this command to learn from; the student has its vocabulary."""
    by: Literal["word", "sequence"] | None = None
    """Learn the teacher's largest logits at every token (word, the default), or from its own
    translations of the sentences (sequence)."""
    temperature: float | None = None
    """T at which logits of teacher and student are read, by word; by default 1."""
    top_k: int | None = None
    """Logits of the teacher that are kept at every token, by word; by default 4."""
    hard_weight: float | None = None
    """Share of the loss that the references have, by word; by default 0.1."""
    vocabulary_size: int | None = None
    """Pieces of both languages together, at most; by default 8000, or the teacher's."""
    pieces: Literal["unigram", "bpe", "char", "word"] | None = None
    """Kind of pieces; by default unigram, or the teacher's."""
    steps: int = 300_000
    """Steps at most."""
    evaluate_every: int | None = None
    """Steps between validations; by default an epoch."""
    patience: int = 20
    """Validations in a row without a new best after which training ends; 0 for never."""
    out: Path | None = None
    """Run folder; by default runs/translator-<label smoothing>, of a student
    runs/translator-student-T<temperature> or runs/translator-student-sequence."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""
    tensorboard: bool = False
    """Write TensorBoard events too (extra `tensorboard`)."""
    hosts: Distributed = Distributed()

    def __call__(self) -> None:
        """Run it."""
        self.hosts.join(self)
        config, teaching = self._checked()
        run = self.out or Path("runs") / _run_name(config, teaching)
        check_folder_out(run)
        results = train_translator(
            config,
            run,
            data=self.data,
            validation=self.validation,
            teaching=teaching,
            vocabulary_size=self.vocabulary_size,
            pieces=self.pieces,
            steps=self.steps,
            evaluate_every=self.evaluate_every,
            patience=self.patience,
            say=say,
            resume=self.resume,
            tensorboard=self.tensorboard,
        )
        if not is_first():
            return
        tell(
            f"{run}: best at step {results['step']}, with a perplexity of "
            f"{results['validation/perplexity']:.4g} and {results['validation/accuracy']:.1%} of "
            f"tokens right on {results['protocol']['validation pairs']} validation pairs. Open "
            f"{report_run(run)}."
        )
        tell_next("translate-text", run, "sentences.txt")

    def _checked(self) -> tuple[TranslatorConfig, Teaching | None]:
        """What is trained and from whom; what cannot be is refused before any data are read."""
        at_least(1, steps=self.steps, evaluate_every=self.evaluate_every)
        at_least(0, patience=self.patience)
        at_least(1, vocabulary_size=self.vocabulary_size, top_k=self.top_k)
        config = TranslatorConfig(**vars(self.translator))
        by_word = {name: getattr(self, name) for name in ("temperature", "top_k", "hard_weight")}
        if self.teacher is None:
            not_given("it is of students, which have a --teacher", by=self.by, **by_word)
        elif self.by == "sequence":
            not_given("it is of students that learn by word", **by_word)
        if self.teacher is not None:
            not_given("a student has its teacher's vocabulary", pieces=self.pieces)
        given = {name: value for name, value in by_word.items() if value is not None}
        top_k = given.pop("top_k", 4)
        config = replace(config, **given)
        check_config(config)
        if self.teacher is None:
            return config, None
        return config, Teaching(self.teacher, by=self.by or "word", top_k=top_k)


def _run_name(config: TranslatorConfig, teaching: Teaching | None) -> str:
    """The run folder of a config for which none was named."""
    if teaching is None:
        return f"translator-{config.label_smoothing:g}"
    how = "sequence" if teaching.by == "sequence" else f"T{config.temperature:g}"
    return f"translator-student-{how}"
