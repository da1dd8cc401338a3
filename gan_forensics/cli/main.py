"""The list of commands, and what becomes of their errors."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import tyro

from gan_forensics.cli import train
from gan_forensics.cli.anomaly import Anomaly
from gan_forensics.cli.attribute import Attribute
from gan_forensics.cli.augment import Augment
from gan_forensics.cli.benchmark import Benchmark
from gan_forensics.cli.classify import Classify
from gan_forensics.cli.collapse import Collapse
from gan_forensics.cli.detect import Detect
from gan_forensics.cli.distill import Distill
from gan_forensics.cli.evaluate import Evaluate
from gan_forensics.cli.explain import Explain
from gan_forensics.cli.features import Features
from gan_forensics.cli.process import conversions_said
from gan_forensics.cli.quickstart import Quickstart
from gan_forensics.cli.sample import Sample
from gan_forensics.cli.simulate import Simulate
from gan_forensics.cli.spectrum import Spectrum
from gan_forensics.cli.track import Track
from gan_forensics.cli.translate import Translate
from gan_forensics.cli.translate_text import TranslateText

DESCRIPTION = """GANs: train them, judge them, and tell what they made. Add --debug for tracebacks.

Try it:
$ gan-forensics quickstart
$ gan-forensics spectrum photographs generated
$ gan-forensics train detector --real photographs --fake generated
$ gan-forensics detect score suspects --detector detector.npz

Every command has a --help with examples of its own.
"""

# Paths that cannot serve are wrong use; a disk that is full is not.
WRONG_USE = (
    ValueError,
    ImportError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def commands(arguments: list[str]) -> Any:
    """The type that a command line is parsed as."""
    asked = arguments[1] if arguments[:1] == ["train"] and len(arguments) > 1 else None
    Train: Any = train.commands(asked)
    return (
        Quickstart | Train | Sample | Translate | Simulate | Evaluate | Collapse | Spectrum | Detect
        | Distill | Classify | TranslateText | Attribute | Explain | Features | Augment | Anomaly
        | Benchmark | Track
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Run a command line; exits with 2 for wrong use, 1 for failure."""
    piped(lambda: _main(arguments))


def piped(program: Callable[[], None]) -> None:
    """Run a program whose output may be read by `head` and its like, and end as quietly as they."""
    try:
        try:
            program()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Who reads the output has read enough; Python must not flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as a shell calls the end by SIGPIPE


def _main(arguments: list[str] | None) -> None:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    command = tyro.cli(
        commands(arguments),
        prog="gan-forensics",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    from gan_forensics.runtime import keep_compiled, keep_scratch_memory, say_what_compiles

    keep_scratch_memory()
    keep_compiled()
    say_what_compiles()
    sys.exit(guarded(command, debug=debug))


def guarded(command: Callable[[], None], *, debug: bool = False) -> int:
    """Call a command and turn what goes wrong into a line on standard error and an exit code.

    Wrong use (bad arguments, data or folders) is 2, failure 1, a signal 128 plus its number.
    """
    try:
        with conversions_said():
            command()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"gan-forensics: {_said(error)}", file=sys.stderr)
        if number := getattr(error, "signal", 0):
            return 128 + number
        return 2 if isinstance(error, WRONG_USE) else 1
    return 0


def _said(error: Exception) -> str:
    """The message of an error; what the system refused is said without its number."""
    if not isinstance(error, OSError):
        return str(error)
    from gan_forensics.files import in_words

    return in_words(error)
