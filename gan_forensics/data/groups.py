"""Which images belong together: crops of one photograph, frames of one film.

What was learnt on one of them is no surprise on another, so that a group must not lie on both sides
of a split.
"""

import re

from gan_forensics.data.sources import FileSource, Source
from gan_forensics.files import listed


def groups_of(source: Source, by: str, *, flat: bool = False) -> list[str]:
    """The group of every image.

    Args:
        source: a folder, or a list whose first line names its columns.
        by: a folder level, "1" for the first folder below the source; or a column of the list.
        flat: whether a folder without folders is taken too, each of its images its own group.

    Raises:
        ValueError: when the source has no such level or column, or an image lies above the level.
    """
    if not isinstance(source, FileSource):
        raise ValueError(f"groups by {by!r} need a folder or a list: FILE.csv of images")
    if by in source.columns:
        groups = list(source.columns[by])
        if blank := groups.count(""):
            where = source.paths[groups.index("")]
            raise ValueError(f"{blank} images have no {by!r}, the first is {where}: fill it in")
        return groups
    if source.root is None:
        known = listed(source.columns) or "none beside path and label"
        raise ValueError(f"groups by {by!r}: the list has no such column; it has {known}")
    if flat and all(path.parent == source.root for path in source.paths):
        return [str(path) for path in source.paths]
    if not re.fullmatch("[1-9][0-9]{0,8}", by):
        raise ValueError(
            f"groups by {by!r}: of a folder give a level, 1 for the first folder below it"
        )
    level, groups = int(by), []
    for path in source.paths:
        folders = path.relative_to(source.root).parts[:-1]
        if len(folders) < level:
            raise ValueError(
                f"groups by folder level {level}: {path} lies in {len(folders)} folders below "
                f"{source.root}: sort the images into folders, or give a list with a column"
            )
        groups.append("/".join(folders[:level]))
    return groups
