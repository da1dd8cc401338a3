"""Images with attributes, each of which an image has or has not: what StarGAN trains on.

A list has a column for each of them, CelebA's file as well, TensorFlow's `celeb_a` a dictionary;
of a folder the subfolders are attributes, of which every image has exactly one.
"""

import difflib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int

from gan_forensics.data.names import open_source
from gan_forensics.data.sources import FileSource, Source, describe
from gan_forensics.data.tfds import TfdsSource
from gan_forensics.files import listed, shown

# What a cell says, without which an image has the attribute or not: 1 and 0, or CelebA's 1 and -1.
_VALUES = {"1": 1, "0": 0, "-1": 0}
# So many rows that are wrong are named.
_SHOWN = 5


class AttributeSource:
    """A source whose examples have "attributes", float32 [l] of 0 and 1, beside "image".

    Attributes:
        source: of the images.
        attributes: their names.
        exclusive: those of which an image has exactly one, as the source says it; () if it does
            not.
        listed: how many images there were before the split.
        left_out: why files of a folder are not among them.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> photos = ArraySource(image=np.zeros((2, 8, 8, 3), np.uint8))
        >>> table = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)  # of "smiling" and "bald"
        >>> bald = AttributeSource(photos, ["bald"], columns=np.array([1]), table=table)
        >>> bald[1]["attributes"].tolist()
        [1.0]
    """

    def __init__(
        self,
        source: Source,
        attributes: Sequence[str],
        *,
        exclusive: Sequence[str] = (),
        columns: Int[np.ndarray, " l"],
        table: Float32[np.ndarray, "n a"] | None = None,
    ):
        """Keep the source.

        Args:
            source: of the images.
            attributes: names.
            exclusive: some of the names.
            columns: where these attributes stand in the table, or in the examples.
            table: attributes of all images; None where examples bring them.
        """
        self.source, self.attributes = source, tuple(attributes)
        self.exclusive, self.listed = tuple(exclusive), getattr(source, "listed", len(source))
        self.left_out = getattr(source, "left_out", {})
        self._columns, self._table = columns, table
        if take_many := getattr(source, "take", None):
            self.take = lambda indices: self._labelled(take_many(indices), indices)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self._labelled(self.source[index], index)

    def _labelled(
        self, example: dict[str, np.ndarray], at: int | Int[np.ndarray, " b"]
    ) -> dict[str, np.ndarray]:
        found = example["attributes"] if self._table is None else self._table[at]
        return {**example, "attributes": found[..., self._columns]}

    def attributes_of(self, index: int) -> Float32[np.ndarray, " l"]:
        """The attributes of an example, without decoding its image where that can be."""
        if isinstance(self.source, TfdsSource):
            return self.source.attributes_of(index)[self._columns]
        if self._table is not None:
            return self._table[index][self._columns]
        return self[index]["attributes"]

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, index)


def open_attributes(
    name: str,
    *,
    attributes: Sequence[str] = (),
    size: int | None = None,
    split: str = "all",
    crop: int | None = None,
    follow_links: bool = False,
) -> AttributeSource:
    """Open images with attributes.

    ============================  ==================================================================
    `list:FILE.csv`               a header with `path` and a column of 1 and 0, or 1 and -1, for
                                  each attribute; or `path,label` with names
    `folder:DIR`, `DIR`           a subfolder for each attribute; an image has exactly one
    `celeba:DIR`                  CelebA's `list_attr_celeba.txt` and its folder of images
    `tfds:celeb_a`                a TensorFlow data set with a dictionary of truth values
    `toy:domains`                 drawn shapes on textures; nothing is needed
    ============================  ==================================================================

    Args:
        name: one of the above.
        attributes: which, in this order; by default all that there are.
        size: as `open_source` has it, like `split`, `crop` and `follow_links`.
        split: "train", "test" or "all".
        crop: side of the centre crop.
        follow_links: of a folder, whether to follow links that leave it.

    Raises:
        ValueError: for a source without attributes; for unknown ones (naming near ones) and one
            that is named twice; for one that all images have, or none; and of lists for values
            other than 0, 1 and -1, and images with two rows.
        FileNotFoundError: for a path that is missing.

    Example:
        >>> source = open_attributes("toy:domains?n=80", attributes=["warm", "striped"], size=16)
        >>> source[0]["attributes"].shape, source.exclusive
        ((2,), ())
    """
    source = open_source(name, size=size, split=split, crop=crop, follow_links=follow_links)
    known, exclusive = _known(name, source)
    chosen = tuple(attributes) or known
    _check_names(name, chosen, known)
    table = _table(name, source, chosen)
    # A table of a list has the chosen columns alone.
    columns = np.arange(len(chosen))
    if table is None or table.shape[1] > len(chosen):
        columns = np.array([known.index(attribute) for attribute in chosen])
    found = AttributeSource(
        source,
        chosen,
        exclusive=[attribute for attribute in chosen if attribute in exclusive],
        columns=columns,
        table=table,
    )
    _check_both(name, found, split)
    return found


def _known(name: str, source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All attributes of a source, and those of which every image has exactly one."""
    own = tuple(getattr(source, "attributes", ()))
    if own:
        return own, tuple(getattr(source, "exclusive", ()))
    if isinstance(source, FileSource):
        if source.columns:
            return tuple(source.columns), ()
        kinds = _kinds(source)
        if len(kinds) > 1:
            return kinds, kinds
        if kinds:
            raise ValueError(
                f"{name}: one kind of image alone, {shown(kinds[0])!r}, and nothing "
                "to translate it to: give a folder with a subfolder for each of several"
            )
        if source.root is not None:
            raise ValueError(
                f"{name}: images lie outside of subfolders, which name what they are: sort them "
                "into one subfolder for each attribute, or give a list with a column for each"
            )
    raise ValueError(
        f"{name} has no attributes: give a folder with a subfolder for each, list:FILE.csv with a "
        "column of 0 and 1 for each beside path, celeba:DIR, tfds:celeb_a, or toy:domains"
    )


def _kinds(source: FileSource) -> tuple[str, ...]:
    """The names of classes by label; those of folders named by numbers are in no `label_names`."""
    if source.labels is None or source.folders is None or not source.folders.numbers:
        return source.label_names
    classes = source.folders.classes
    return tuple(sorted(classes, key=classes.__getitem__))


def _labels(source: FileSource) -> list[int]:
    """The labels of `_kinds`."""
    if source.label_names or source.folders is None:
        return list(range(len(source.label_names)))
    return sorted(source.folders.classes.values())


def _check_names(name: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    for attribute in chosen:
        if attribute not in known:
            near = difflib.get_close_matches(attribute, known, n=3, cutoff=0.5)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            there = listed(known)
            raise ValueError(f"{name} has no attribute {attribute!r}; it has {there}.{hint}")
    if twice := [attribute for attribute, n in Counter(chosen).items() if n > 1]:
        raise ValueError(f"attribute {twice[0]!r} is named twice: name it once")


def _table(name: str, source: Source, chosen: Sequence[str]) -> Float32[np.ndarray, "n a"] | None:
    """The attributes of all images: the chosen ones of a list, or all; None if read one by one."""
    if not isinstance(source, FileSource):
        return None
    rows = Counter(source.paths)
    if twice := [path for path, n in rows.items() if n > 1]:
        raise ValueError(
            f"{name}: {len(twice)} images have more than one row, the first is {shown(twice[0])}: "
            "leave one of them"
        )
    if not source.columns:
        ranks = np.searchsorted(_labels(source), np.asarray(source.labels))
        return np.eye(len(_kinds(source)), dtype=np.float32)[ranks]
    return np.stack([_column(name, source, attribute) for attribute in chosen], axis=1)


def _column(name: str, source: FileSource, attribute: str) -> Float32[np.ndarray, " n"]:
    cells = source.columns[attribute]
    wrong = [row for row, cell in enumerate(cells) if cell not in _VALUES]
    if wrong:
        some = "; ".join(
            f"{shown(source.paths[row])}: {shown(cells[row]) or 'empty'}" for row in wrong[:_SHOWN]
        )
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ValueError(
            f"{name}: {attribute} must be 1 or 0 (or -1) on every row, and is not on {len(wrong)} "
            f"of {len(cells)}: {some}{more}. Mend them, or name the attributes to use "
            "(--attributes)"
        )
    if {"0", "-1"} <= set(cells):
        raise ValueError(
            f"{name}: {attribute} is -1 on some rows and 0 on others: write 'no' in one way"
        )
    return np.array([_VALUES[cell] for cell in cells], np.float32)


def _check_both(name: str, source: AttributeSource, split: str) -> None:
    """Refuse an attribute that all images have, or none: nothing can be learned of it."""
    waiting: dict[str, set[float]] = {attribute: set() for attribute in source.attributes}
    for labels in map(source.attributes_of, range(len(source))):
        for attribute in list(waiting):
            waiting[attribute].add(float(labels[source.attributes.index(attribute)]))
            if len(waiting[attribute]) > 1:
                del waiting[attribute]
        if not waiting:
            return
    attribute, values = next(iter(waiting.items()))
    raise ValueError(
        f"{name}: {'all' if values == {1.0} else 'none'} of {len(source)} images (split {split}) "
        f"are {attribute!r}: there is no other kind to translate to. Leave it out (--attributes), "
        "or add images of the other kind"
    )
