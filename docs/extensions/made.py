"""Pages that are made when the site is built; git ignores them."""

from collections.abc import Mapping
from pathlib import Path

from gan_forensics.files import write_text


def write_pages(folder: Path, pages: Mapping[str, str]) -> None:
    """Write pages of Markdown, and remove others of the folder.

    One that is the same already is left alone, so that it is not read again.

    Args:
        folder: of these pages alone.
        pages: text by name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_pages(Path(folder), {"a": "# A", "b": "# B"})
        ...     write_pages(Path(folder), {"a": "# A"})
        ...     print([path.name for path in Path(folder).iterdir()])
        ['a.md']
    """
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
