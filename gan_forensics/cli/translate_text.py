"""`gan-forensics translate-text`."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least, not_among
from gan_forensics.files import say, tell


@dataclass(frozen=True)
class TranslateText:
    """Translate the lines of a text file with a trained translator.

    As many lines come out as go in, in their order; blank ones stay blank. With --n-best the lines
    of every sentence follow each other, best first, each "NUMBER<tab>SCORE<tab>TRANSLATION": the
    number of the line in the file, from 1, and log p of the translation divided by its length in
    tokens to the power of --length-penalty.

    Try it:

    $ gan-forensics translate-text runs/translator-0.1 sentences.txt --out translated.txt

    $ gan-forensics translate-text runs/translator-0.1 sentences.txt --n-best 3 --beam 8
    """

    run: Positional[Path]
    """A run folder of `train translator`."""
    file: Positional[Path]
    """Text, UTF-8, a sentence a line."""
    out: Path | None = None
    """File for the translations; by default they are printed."""
    beam: int = 4
    """Hypotheses that the search keeps; 1 is greedy."""
    length_penalty: float = 1.0
    """Power of the length that scores are divided by; 0 favours short translations."""
    n_best: int | None = None
    """Translations of every line, with their scores, at most as many as --beam."""
    longest: int = 200
    """Tokens of a translation at most."""
    batch_size: int = 32
    """Lines at once; translations do not depend on it."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data.text import read_lines
        from gan_forensics.distill.translate import translate_lines
        from gan_forensics.distill.translator import load_translator
        from gan_forensics.files import check_file_out, write_text

        at_least(1, beam=self.beam, n_best=self.n_best, longest=self.longest)
        at_least(1, batch_size=self.batch_size)
        at_least(0, length_penalty=self.length_penalty)
        if (self.n_best or 1) > self.beam:
            raise ValueError(
                f"--n-best {self.n_best}: a beam of {self.beam} keeps no more than {self.beam}; "
                f"give --beam {self.n_best}"
            )
        if self.out:
            check_file_out(self.out)
            not_among("--out", self.out, the_text_to_translate=self.file)
        lines = read_lines(self.file)
        if not lines:
            raise ValueError(f"{self.file}: it is empty; give a sentence a line")
        translator = load_translator(self.run)
        try:
            found = translate_lines(
                translator,
                lines,
                beam=self.beam,
                length_penalty=self.length_penalty,
                n_best=self.n_best or 1,
                longest=self.longest,
                batch_size=self.batch_size,
                progress=True,
                say=say,
            )
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error
        if self.n_best is None:
            rows = [hypotheses[0][0] for hypotheses in found]
        else:
            rows = [
                f"{number}\t{score:.4f}\t{text}"
                for number, hypotheses in enumerate(found, 1)
                for text, score in hypotheses
            ]
        if self.out is None and sys.stdout.isatty():
            tell(*rows)
            return
        text = "".join(f"{row}\n" for row in rows)
        if self.out is None:
            sys.stdout.write(text)  # For a program, to the letter.
            return
        write_text(self.out, text)
        say(f"{len(lines)} lines of {self.file}, translated in {self.out}")
