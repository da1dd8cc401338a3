"""TensorFlow data sets as sources, without TensorFlow.

A data set that was prepared as array_record (or another format with random access) is read
through `as_data_source`. One that is not prepared yet is prepared if that works without
TensorFlow, which depends on the data set: one that hands over encoded image files does, one
that encodes arrays does not.

What a prepared folder says is a stranger's: TFDS would import whatever module its `features.json`
names, so types of features must be TFDS's own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from gan_forensics.data.decoding import decode_image
from gan_forensics.data.sources import check_classes, rows_of_split, squared_example
from gan_forensics.files import listed, read_bytes, read_json, refuse_links, shown

# Names of labels and the like, which TFDS reads whole.
_MOST_TEXT = 2**26


@dataclass(frozen=True, eq=False)
class TfdsSource:
    """Rows of one split of a prepared data set; image files are decoded as everywhere here.

    Attributes:
        records: random-access records whose image feature is left encoded.
        rows: the row numbers that belong to this source.
        image: name of the image feature.
        label: name of the label feature, or None.
        channels: 1 or 3.
        name: of the data set, for messages.
        fit: `size` and `crop` as in `square`.
        dictionary: name of the feature of truth values by name, or None.
        attributes: these names.
        label_names: what the labels 0, 1, ... stand for; () where that is the numbers themselves.
    """

    records: Any
    rows: Int[np.ndarray, "n"]
    image: str
    label: str | None
    channels: int
    name: str
    fit: dict[str, int | None]
    dictionary: str | None = None
    attributes: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def listed(self) -> int:
        """How many records the split or part has."""
        return len(self.records)

    def read_labels(self) -> Int[np.ndarray, " n"] | None:
        """All labels, read without decoding an image; None where there are none."""
        if self.label is None:
            return None
        labels = [self.records[int(row)][self.label] for row in self.rows]
        return check_classes(labels, self.name)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        record, name = self.records[int(self.rows[index])], self.describe(index)
        pixels = decode_image(record[self.image], name=name)[..., : self.channels]
        label = None if self.label is None else record[self.label]
        example = squared_example(pixels, label, name, **self.fit)
        return {**example, "attributes": self._attributes(record)} if self.attributes else example

    def attributes_of(self, index: int) -> Float32[np.ndarray, " a"]:
        """The attributes of a record, without decoding its image."""
        return self._attributes(self.records[int(self.rows[index])])

    def _attributes(self, record: Any) -> Float32[np.ndarray, " a"]:
        return np.array([record[self.dictionary][name] for name in self.attributes], np.float32)

    def describe(self, index: int) -> str:
        """Name the record."""
        return f"{self.name}, record {self.rows[index]}"


def read_tfds(
    name: str,
    *,
    split: str,
    part: str | None = None,
    data_dir: str | None = None,
    **fit: int | None,
) -> TfdsSource:
    """Open a TensorFlow data set by its name, for instance "mnist" or "celeb_a:2.1.0".

    Args:
        name: as `tfds.builder` takes it: name[/config][:version].
        split: "train" or "test" are the data set's own splits of that name, "all" every split.
        part: a split expression of TFDS ("train[:1000]", "validation") to use instead; "train"
            and "test" then divide that part by `rows_of_split`.
        data_dir: where it is prepared; default the environment variable TFDS_DATA_DIR, then
            ~/tensorflow_datasets.
        fit: `size` and `crop` as in `square`.

    Raises:
        ValueError: no such data set or split, or no image feature.
        RuntimeError: it is not prepared and cannot be prepared here; says what is missing.
    """
    builder = open_builder(name, data_dir)
    import tensorflow_datasets as tfds  # after the message of its absence

    image, label, channels = _features(builder.info.features, name)
    dictionary, attributes = _dictionary(builder.info.features)
    # TFDS leaves the file encoded, so that ImageError and its policy hold here too.
    skip = tfds.decode.SkipDecoding()  # pyright: ignore[reportCallIssue]
    records = open_records(builder, name, part or split, decoders={image: skip})
    rows = np.arange(len(records)) if part is None else rows_of_split(range(len(records)), split)
    where = f"tfds:{name}:{part or split}"
    names = _label_names(builder.info.features, label)
    return TfdsSource(
        records, rows, image, label, channels, where, fit, dictionary, attributes, names
    )


def open_builder(name: str, data_dir: str | None) -> Any:
    """The builder of a data set that is prepared, now if need be.

    Raises:
        ValueError: no such data set, or a prepared folder that is damaged, leads elsewhere, or
            asks for types of features that are not TFDS's own; nothing is imported for it.
        RuntimeError: it is not prepared and cannot be prepared here; says what is missing.
    """
    try:
        import tensorflow_datasets as tfds
        from array_record.python import (  # noqa: F401
            array_record_module,  # pyright: ignore[reportAttributeAccessIssue]
        )
    except ImportError as error:
        raise ImportError(
            f"tfds:{name} needs tensorflow-datasets, array_record and importlib_resources "
            f"({error}): pip install 'gan_forensics', on Linux or macOS"
        ) from error
    where = data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    _check_folder(Path(where).expanduser() / name.partition(":")[0].partition("/")[0])
    try:
        with _own_types(tfds.features.FeatureConnector):
            builder: Any = tfds.builder(name, data_dir=data_dir)
            builder.info  # noqa: B018 - read now
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(
            f"tfds:{name}: TFDS {tfds.__version__} knows no such data set and none is prepared in "
            f"{where}; set TFDS_DATA_DIR or write tfds:{name}?data_dir=DIR"
        ) from error
    # Whatever TFDS and protobuf raise at what a stranger wrote.
    except Exception as error:
        raise ValueError(
            f"tfds:{name}: cannot be opened in {shown(where)} ({type(error).__name__}: "
            f"{_one_line(error)})"
        ) from error
    if not builder.is_prepared():
        _prepare(builder, name)
    _check_shards(builder, name)
    return builder


def _check_folder(folder: Path) -> None:
    """Refuse a prepared folder with links, and descriptions too large or damaged (ValueError)."""
    refuse_links(folder)
    for path in folder.rglob("*.json"):
        read_json(path)
    for path in folder.rglob("*.txt"):
        read_bytes(path, most=_MOST_TEXT)


@contextmanager
def _own_types(connector: Any) -> Iterator[None]:
    """Have TFDS refuse types of features by whose name it would import a module."""
    theirs = vars(connector)["cls_from_name"]

    def cls_from_name(kind: str) -> type:
        # What is registered was imported already.
        if not kind.startswith("tensorflow_datasets.") and kind not in (
            connector._registered_features
        ):
            raise ValueError(
                f"it asks for features of type {shown(kind)}; only those of tensorflow_datasets "
                "are read, and nothing is imported for it"
            )
        return theirs.__get__(None, connector)(kind)

    connector.cls_from_name = staticmethod(cls_from_name)
    try:
        yield
    finally:
        connector.cls_from_name = theirs


def _check_shards(builder: Any, name: str) -> None:
    """Refuse records outside of the folder (ValueError)."""
    folder = Path(builder.data_path)
    for split, info in builder.info.splits.items():
        if any(Path(path).parent != folder for path in info.filepaths):
            raise ValueError(f"tfds:{name}: the split {shown(split)} lies outside of its folder")


def open_records(builder: Any, name: str, part: str, decoders: dict | None = None) -> Any:
    """The records of a split or split expression, by index.

    Raises:
        ValueError: no such split; those there are are named. Or it has more records than bytes.
        RuntimeError: the format has no random access.
    """
    try:
        records = builder.as_data_source(part, decoders=decoders)
    except NotImplementedError as error:
        raise RuntimeError(
            f"tfds:{name}: prepared in {builder.data_path} as {builder.info.file_format}, which "
            "has no random access; prepare it in another data_dir with file_format='array_record'"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"tfds:{name}: cannot read the split {part!r} ({_one_line(error)}); the data "
            f"set has {listed(builder.info.splits)}: write tfds:{name}:SPLIT"
        ) from error
    folder = Path(builder.data_path)
    size = sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else None
    if size is not None and len(records) > size:
        raise ValueError(
            f"tfds:{name}: the split {shown(part)} says that it has {len(records)} records, and "
            f"the files in {shown(folder)} have {size} bytes"
        )
    return records


def _prepare(builder, name: str) -> None:
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:
        if "tensorflow" in str(error).lower() and isinstance(_root(error), ImportError):
            raise RuntimeError(
                f"tfds:{name} is not prepared in {builder.data_path.parent}, and preparing it "
                "needs TensorFlow: pip install 'gan_forensics[prepare]' (reading does not)"
            ) from error
        raise RuntimeError(
            f"tfds:{name} is not prepared in {builder.data_path.parent} and preparing it failed: "
            f"{type(error).__name__}: {_one_line(error)}"
        ) from error


def _one_line(error: BaseException) -> str:
    return shown(" ".join(str(error).split()))


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return error


def _features(features, name: str) -> tuple[str, str | None, int]:
    """Find the image feature, the label feature (if any), and the channels of the image."""
    import tensorflow_datasets as tfds

    images = [key for key in features if isinstance(features[key], tfds.features.Image)]
    if not images:
        raise ValueError(f"tfds:{name} has no image; its features are {listed(features)}")
    labels = [key for key in features if isinstance(features[key], tfds.features.ClassLabel)]
    image = "image" if "image" in images else images[0]
    label = "label" if "label" in labels else next(iter(labels), None)
    return image, label, 1 if features[image].shape[-1] == 1 else 3


def _label_names(features, label: str | None) -> tuple[str, ...]:
    """The names of the label feature, by label, where they are more than the numbers."""
    known = label is not None and features[label].num_classes is not None
    names = features[label].names if known else []
    return () if [*names] == [str(i) for i in range(len(names))] else tuple(names)


def _dictionary(features) -> tuple[str | None, tuple[str, ...]]:
    """Find the feature that is a dictionary of truth values, if there is one, and its names."""
    import tensorflow_datasets as tfds

    for key in features:
        if isinstance(inner := features[key], tfds.features.FeaturesDict):
            if all(_is_truth(inner[name]) for name in inner):
                return key, tuple(inner)
    return None, ()


def _is_truth(feature) -> bool:
    return feature.shape == () and np.dtype(feature.np_dtype).kind == "b"
