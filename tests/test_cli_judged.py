"""Any failure at an image is its own, in a line."""

import os
import subprocess
from pathlib import Path

import pytest

from gan_forensics.cli.process import failure, judged, tell_next
from gan_forensics.data import ImageError


def test_batch_that_fails_is_halved_until_the_image_is_found():
    asked = []

    def judge(images):
        asked.append(len(images))
        if 3 in images:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return [10 * image for image in images]

    images = {Path(f"{k}.png"): k for k in range(8)}
    found = judged(judge, images)
    assert list(found) == list(images) and asked == [8, 4, 2, 2, 1, 1, 4]
    assert found.pop(Path("3.png")) == (
        "3.png: it needs more memory than there is; crop or shrink it"
    )
    assert found == {Path(f"{k}.png"): 10 * k for k in (0, 1, 2, 4, 5, 6, 7)}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImageError("a.png: damaged"), "a.png: damaged"),
        (MemoryError(), "a.png: it needs more memory than there is; crop or shrink it"),
        (RecursionError(), "a.png: RecursionError"),
        (ValueError("two\nlines"), r"a.png: two\nlines"),
    ],
)
def test_failure_is_one_line_that_names_the_image(error, says):
    assert failure(Path("a.png"), error) == says


def test_interrupts_are_no_failures_of_an_image():
    def judge(images):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(judge, {Path("a.png"): 0})


def test_the_next_command_is_what_a_shell_takes_whatever_a_run_is_called(capsys):
    words = ["a b", "new\nline's \\n", "b\udce9d é", "plain-1", ""]
    tell_next(*words)
    line = capsys.readouterr().out.strip().partition("gan-forensics ")[2]
    assert line.isprintable() and line.startswith("'a b' $'new\\x0aline") and "\ufffd" not in line
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True
    )
    assert printed.stdout == b"".join(os.fsencode(word) + b"\0" for word in words)
