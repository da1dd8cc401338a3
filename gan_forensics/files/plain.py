"""Paths for libraries that read more into a path than a name."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_forensics.files.showing import shown

# Neither a pattern (Orbax looks for [64px] among its files), nor an escape (TensorStore takes a
# backslash for a slash), nor an address (gs:), nor bytes that are no UTF-8.
_PLAIN = re.compile(r"[\w /.,@%+=~-]+")


@contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """A folder under a path of plain letters: its own, or that of a link that leads to it.

    Links lie in a private temporary folder, and go at the end.

    Raises:
        ValueError: when the temporary folder's own path is not plain either.

    Example:
        >>> from pathlib import Path
        >>> with plain_path(Path("/")) as path:
        ...     print(path)
        /
    """
    folder = folder.resolve()
    if _PLAIN.fullmatch(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="gan-forensics-") as private:
        if not _PLAIN.fullmatch(private):
            raise ValueError(
                f"{shown(folder)}: checkpoints are kept under plain names alone, and the temporary "
                f"folder {shown(private)} has none either: set TMPDIR, or choose another folder"
            )
        link = Path(private, "folder")
        link.symlink_to(folder, target_is_directory=True)
        yield link
