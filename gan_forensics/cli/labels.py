"""What the folders of images say about them: real, generated, or nothing."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gan_forensics.cli.checks import listed


def labels_of(
    paths: Sequence[Path], root: Path, *, real_is: str | None = None
) -> tuple[dict[Path, str], list[str]]:
    """The label of each image, and what was taken for what, in lines.

    Args:
        paths: of the images.
        root: the folder that they are below; folders above it say nothing.
        real_is: the name of the folders of real images; those beside them are of generated ones.

    Returns:
        "real", "generated" or "" by path, and the lines.

    Raises:
        ValueError: when no folder is called `real_is`.
    """
    from gan_forensics.data.folder_words import WORDS

    below = {p: p.relative_to(root).parts[:-1] if root.is_dir() else () for p in paths}
    if real_is is not None:
        return _told(below, root, real_is)
    labels, words, others = {}, Counter(), set()
    for path, folders in below.items():
        word = next((name for name in folders if name.lower() in WORDS), None)
        labels[path] = WORDS[word.lower()] if word else ""
        if word:
            words[word] += 1
        elif folders:
            others.add(folders[0])
    if not others and not words:
        return labels, []
    lines = []
    if words:
        taken = [f"{word!r} for {WORDS[word.lower()]} ({n})" for word, n in sorted(words.items())]
        lines.append(f"folders are taken by their names: {listed(taken)}")
    if others:
        some = listed([repr(name) for name in sorted(others)[:6]])
        more = f" and {len(others) - 6} more" if len(others) > 6 else ""
        lines.append(
            f"not known whether images in {some}{more} are real or generated: no rates of theirs; "
            "--real-is NAME says which folder is of real ones, and others beside it are generated"
        )
    return labels, lines


def _told(
    below: dict[Path, tuple[str, ...]], root: Path, real_is: str
) -> tuple[dict[Path, str], list[str]]:
    """Labels where the folder of real images is named."""
    parents = {f[:i] for f in below.values() for i, name in enumerate(f) if name == real_is}
    if not parents:
        names = sorted({name for folders in below.values() for name in folders})
        known = f"there are {listed(names[:12])}" if names else "there are no folders"
        raise ValueError(f"--real-is {real_is}: no folder of that name below {root}; {known}")
    labels = {}
    for path, folders in below.items():
        beside = [i for i in range(len(folders)) if folders[:i] in parents]
        labels[path] = (
            "" if not beside else "real" if folders[beside[0]] == real_is else "generated"
        )
    numbers = Counter(labels.values())
    return labels, [
        f"{real_is!r} is taken for real ({numbers['real']}), folders beside it for generated "
        f"({numbers['generated']})"
    ]
