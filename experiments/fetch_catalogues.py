"""Fetch translations of software for `experiments.translation_distillation`, and count them.

    python -m experiments.fetch_catalogues DIR

Downloads wheels of Gramps, Mercurial, pretix, Weblate and a language pack of JupyterLab (some
140 MB) into DIR with `pip download --no-deps --only-binary :all:`, so that nothing is installed or
executed, and reads the German catalogues inside them in memory. The texts stay under their
packages' licences, which are printed: train on them here, and do not pass them on.

Expected: of five packages 22,021 pairs, 12,809 of them of 4 to 40 words on both sides, counted
before repetitions between packages (November 2026; newer releases have others).
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gan_forensics.cli.entry import piped
from gan_forensics.data.catalogues import Package, read_packages
from gan_forensics.files import check_folder_out, shown, write_json
from gan_forensics.report import Table
from gan_forensics.studies.pages import markdown

PACKAGES = ("gramps", "mercurial", "pretix", "weblate", "jupyterlab-language-pack-de-DE")
WORDS = (4, 40)
REASONS = ("untranslated", "fuzzy", "obsolete", "identical", "only placeholders", "one word",
           "repeated")  # fmt: skip


@dataclass(frozen=True)
class Fetch:
    """What to fetch.

    Attributes:
        out: folder for the wheels, and catalogues.json with the counts.
        packages: as the index names them.
        language: of the catalogues.
    """

    out: Annotated[Path, tyro.conf.Positional]
    packages: tuple[str, ...] = PACKAGES
    language: str = "de"


def download(packages: Sequence[str], folder: Path) -> None:
    """Put the wheels of packages into a folder; none of their code is run.

    Raises:
        RuntimeError: pip could not; its last line is in the message.
    """
    for name in packages:
        if name.startswith("-"):
            raise ValueError(f"{name!r} is no name of a package")
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"pip download failed: {reason}")


def of_words(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of which both sides have a number of words within `WORDS`."""
    least, most = WORDS
    return [pair for pair in pairs if all(least <= len(side.split()) <= most for side in pair)]


def counts(packages: Sequence[Package]) -> Table:
    """What was read of each package, left out by reason, and kept."""
    rows = [
        [
            package.name,
            shown(package.facts["license"]),
            package.facts["read"],
            *(package.facts["left_out"].get(reason, 0) for reason in REASONS),
            len(package.pairs),
            len(of_words(package.pairs)),
        ]
        for package in packages
    ]
    rows.append(
        ["all", "", *(sum(column) for column in zip(*(row[2:] for row in rows), strict=True))]
    )
    return Table(
        "Messages read, left out by reason, and kept; a plural form is a message of its own.",
        ["package", "licence", "read", *REASONS, "kept", f"of {WORDS[0]} to {WORDS[1]} words"],
        rows,
    )


def fetch(arguments: Sequence[str] | None = None) -> None:
    """Fetch, read and count from the command line."""
    asked = tyro.cli(Fetch, args=arguments, prog="python -m experiments.fetch_catalogues")
    try:
        check_folder_out(asked.out)
        download(asked.packages, asked.out)
        packages = read_packages(asked.out, asked.language)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        print(error, file=sys.stderr)
        sys.exit(1 if isinstance(error, RuntimeError) else 2)
    table = counts(packages)
    write_json(asked.out / "catalogues.json", [package.facts for package in packages])
    print(markdown(table))


if __name__ == "__main__":
    piped(fetch)
