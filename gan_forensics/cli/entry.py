"""The list of commands, and what becomes of their errors."""

import contextlib
import os
import signal
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
from gan_forensics.cli.inspect import Inspect
from gan_forensics.cli.plain import plain_arguments
from gan_forensics.cli.process import conversions_said, dialects_said
from gan_forensics.cli.quickstart import Quickstart
from gan_forensics.cli.sample import Sample
from gan_forensics.cli.simulate import Simulate
from gan_forensics.cli.spectrum import Spectrum
from gan_forensics.cli.track import Track
from gan_forensics.cli.translate import Translate
from gan_forensics.cli.translate_text import TranslateText
from gan_forensics.files import escaped, in_words, refuse_remote, say
from gan_forensics.files.terminal import in_lines, spell_what_is_lacking, warnings_said

DESCRIPTION = """GANs: train them, judge them, and tell what they made. Add --debug for tracebacks.

Try it:
$ gan-forensics quickstart
$ gan-forensics inspect
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
        Quickstart | Inspect | Train | Sample | Translate | Simulate | Evaluate | Collapse
        | Spectrum | Detect | Distill | Classify | TranslateText | Attribute | Explain | Features
        | Augment | Anomaly | Benchmark | Track
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Run a command line; exits with 2 for wrong use, 1 for failure."""
    piped(lambda: _main(arguments))


def piped(program: Callable[[], None]) -> None:
    """Run a program for the command line.

    Its output may be read by `head` and its like, and ends as quietly as they; a character that a
    terminal lacks ends nothing.
    """
    spell_what_is_lacking()
    try:
        try:
            with plain_arguments():
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
    command = _parsed(arguments)
    from gan_forensics.runtime import keep_compiled, keep_scratch_memory, say_what_compiles

    with contextlib.suppress(ValueError):  # outside of the main thread
        # What is half-written goes, and what is kept is named, however the end comes.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    keep_scratch_memory()
    keep_compiled()
    say_what_compiles()
    sys.exit(guarded(command, debug=debug))


def _parsed(arguments: list[str]) -> Callable[[], None]:
    """The command that a line asks for; what is wrong with the line is said, and exits."""
    # Its errors quote names as they are: where one cannot be printed, they come from a first
    # parse of the line with its escape codes, which has the same errors.
    _refuse_remote(arguments)
    plain = [escaped(argument) for argument in arguments]
    for line in [plain, arguments] if plain != arguments else [arguments]:
        command = tyro.cli(
            commands(line),
            prog="gan-forensics",
            description=DESCRIPTION,
            args=line,
            config=(tyro.conf.OmitArgPrefixes,),
        )
    return command


def _refuse_remote(arguments: list[str]) -> None:
    """Exit at the address of a store: no command reads or writes one, but an engine may."""
    engines = False
    for before, argument in zip(["", *arguments], arguments, strict=False):
        engines = argument.startswith("--engine-options") or (engines and argument[:1] != "-")
        if engines:
            continue
        option = argument if argument.startswith("--") and "=" in argument else before
        option = option.partition("=")[0] if option.startswith("-") else ""
        if option == "--coordinator":  # which says itself what it is
            continue
        try:
            refuse_remote(argument, option)
        except ValueError as error:
            say(f"gan-forensics: {error}")
            sys.exit(2)


def guarded(command: Callable[[], None], *, debug: bool = False) -> int:
    """Call a command and turn what goes wrong into a line on standard error and an exit code.

    Wrong use (bad arguments, data or folders) is 2, failure 1, a signal 128 plus its number.
    """
    code, why, agreed = 0, "", True
    try:
        with warnings_said(), conversions_said(), dialects_said():
            command()
    except KeyboardInterrupt:
        code, why, agreed = 130, "interrupted", False
        say(why, always=True)
    except Exception as error:
        number = getattr(error, "signal", 0)
        code = 128 + number if number else 2 if isinstance(error, WRONG_USE) else 1
        why, agreed = _said(error), bool(number)
        if debug:
            say(*traceback.format_exc().split("\n"), always=True)
        else:
            say(*in_lines(f"gan-forensics: {why}"), always=True)
    finally:  # also where nothing can be said
        leave(code, why, agreed=agreed)
    return code


def leave(code: int, why: str, *, agreed: bool) -> None:
    """Leave the other processes of a job, where there are any."""
    if distributed := sys.modules.get("gan_forensics.runtime.distributed"):
        distributed.leave(code, why, agreed=agreed)


def _said(error: Exception) -> str:
    """The message of an error; what the system refused is said without its number."""
    return in_words(error) if isinstance(error, OSError) else str(error)
