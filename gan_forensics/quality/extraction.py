"""From images to features: what a feature extractor is, how images go through one, and the cache.

Features are kept under the content of the images and the fingerprint of what computed them, in a
folder of the user's own. A file that belongs to anything else, or was changed, is not believed:
they are computed again.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Float32, UInt8

from gan_forensics.data import as_source, chunks
from gan_forensics.data.given_images import as_numpy
from gan_forensics.files import private_folder, say, shown
from gan_forensics.files.archives import read_archive, write_archive
from gan_forensics.quality.digests import arrays_digest, images_digest
from gan_forensics.runtime import Precision, data_mesh, products

Images = UInt8[np.ndarray, "n h w c"]


class Extracted(NamedTuple):
    """What an extractor found, a row for each image.

    Attributes:
        features: float32 [n, d].
        logits: float32 [n, classes] of the classifier that the features belong to, if it is one.

    Example:
        >>> found = Extracted(np.zeros((5, 8), np.float32), logits=None)
        >>> found.features.shape
        (5, 8)
    """

    features: Float32[np.ndarray, "n d"]
    logits: Float32[np.ndarray, "n classes"] | None


@dataclass(frozen=True)
class FeatureExtractor:
    """A feature network under its name.

    Attributes:
        name: what results call the features.
        fingerprint: changes with every weight and setting; part of the key of cached features.
        run: images of one size to features and logits; must treat each image on its own.
        protocol: plain values that results record, such as the resize.
        logits: whether the network is a classifier, whose logits come with the features.
        warning: what to mind when reading scores by these features.

    Example:
        >>> def mean_colour(images):
        ...     return Extracted(images.mean((1, 2), dtype=np.float32), None)
        >>> extractor = FeatureExtractor("mean colour", fingerprint="v1", run=mean_colour)
        >>> extractor(np.full((2, 4, 4, 3), 7, np.uint8))
        array([[7., 7., 7.],
               [7., 7., 7.]], dtype=float32)
    """

    name: str
    fingerprint: str
    run: Callable[[Images], Extracted]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    logits: bool = False
    warning: str = ""

    def __call__(self, images: Any) -> Float32[np.ndarray, "n d"]:
        """The features of images as `gan_forensics.data.as_images` takes them."""
        return extract(self, images).features


# A function of the caller's own: uint8 images [n, h, w, c] of one size to features [n, d].
Features = Callable[[Images], Any]


def as_extractor(features: FeatureExtractor | Features) -> FeatureExtractor:
    """An extractor as it is, or one of a plain function, whose name its results carry.

    Raises:
        ValueError: for what is neither.

    Example:
        >>> def mean_colour(images):
        ...     return images.mean((1, 2))
        >>> extractor = as_extractor(mean_colour)
        >>> extractor.name, extractor(np.zeros((2, 4, 4, 3), np.uint8)).shape
        ('mean_colour', (2, 3))
    """
    if isinstance(features, FeatureExtractor):
        return features
    if not callable(features):
        raise ValueError(
            f"features are a FeatureExtractor or a function of uint8 images [n, h, w, c] to "
            f"[n, d], got {type(features).__name__}"
        )
    inner = features
    while isinstance(inner, functools.partial):
        inner = inner.func
    # As an identifier, so that no function has the name of the Inception network's features.
    name = re.sub(r"\W", "_", getattr(inner, "__name__", type(inner).__name__).strip("<>"))

    def run(images: Images) -> Extracted:
        found = as_numpy(features(images))
        if found.ndim != 2 or len(found) != len(images) or found.dtype.kind not in "fiu":
            raise ValueError(
                f"{name} made {found.dtype} {list(found.shape)} of {len(images)} images: it must "
                f"return numbers [n, d], a row for each image"
            )
        return Extracted(found.astype(np.float32), None)

    return FeatureExtractor(name, "", run)


def extract(
    extractor: FeatureExtractor | Features,
    images: Any,
    *,
    cache: Path | str | None = None,
    chunk: int = 256,
    progress: Callable[[range], Any] = iter,
) -> Extracted:
    """Features of all images, computed once.

    Args:
        extractor: the network, or a plain function of uint8 images [n, h, w, c] to [n, d].
        images: of one size, as `gan_forensics.data.as_images` takes them.
        cache: folder for features that were computed before, keyed by what the images hold, the
            extractor's fingerprint and its protocol; made when missing, and refused where others
            can write to it, in run folders and below the working folder. What it holds is
            compared with its digest; what is not whole is computed again, and a line on standard
            error says so.
        chunk: images that are read at a time.
        progress: wraps the chunks, for a progress bar.

    Raises:
        ValueError: for what are no images, for features or logits that are not finite,
            naming the image, for a cache that is not the user's own, and for one of a plain
            function, of which nothing tells when it changes.

    Example:
        >>> def mean_colour(images):
        ...     return images.mean((1, 2))
        >>> extract(mean_colour, np.full((2, 4, 4, 3), 7, np.uint8)).features
        array([[7., 7., 7.],
               [7., 7., 7.]], dtype=float32)
    """
    extractor = as_extractor(extractor)
    if cache is not None and not extractor.fingerprint:
        raise ValueError(
            f"features of the function {extractor.name} cannot be cached, since nothing tells when "
            "it changes: leave cache out, or give a FeatureExtractor with a fingerprint of its own"
        )
    source = as_source(images)
    if not len(source):
        raise ValueError("no images to extract features from: give at least one")
    path, digest = None, ""
    if cache is not None:
        check_cache(cache)
        digest = images_digest(part["image"] for part in chunks(source, chunk))
        path = Path(cache) / f"{digest[:16]}-{extractor.fingerprint[:16]}.npz"
        try:
            return load_features(path, digest, extractor, len(source))
        except FileNotFoundError:
            pass
        except ValueError as error:
            say(f"{error}: they are computed again")
    found: list[Extracted] = []
    for part in chunks(source, chunk, progress=progress):
        features, logits = extractor.run(part["image"])
        features = np.asarray(features, np.float32)
        finite = np.isfinite(features).all(1)
        if logits is not None:
            finite &= np.isfinite(logits).all(1)
        bad = np.flatnonzero(~finite)
        if len(bad):
            image = sum(len(before.features) for before in found) + bad[0]
            raise ValueError(
                f"{extractor.name} of image {image} are not finite ({len(bad)} of {len(features)} "
                "images alike): look at that image and at the weights"
            )
        found.append(Extracted(features, logits))
    whole = joined(found)
    if path:
        write_archive(path, _header(digest, extractor, whole), _arrays(whole))
    return whole


def check_cache(folder: Path | str, option: str = "cache") -> None:
    """Make a folder for features, or refuse one that is not the user's alone (ValueError)."""
    try:
        private_folder(Path(folder).absolute())
    except OSError as error:
        raise ValueError(
            f"{option} {shown(folder)}: {error.strerror} ({shown(error.filename)}); give a folder "
            "of your own that nobody else can write to, such as ~/.cache/gan_forensics/features"
        ) from error


def load_features(
    path: Path | str, digest: str, extractor: FeatureExtractor, count: int
) -> Extracted:
    """Read features that `extract` kept of `count` images with that digest.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file of other images, weights or protocol (saying which), one that was
            changed, and one that cannot be read.

    Example:
        >>> found = load_features("kept.npz", digest, extractor, 100)  # doctest: +SKIP
    """
    try:
        header, arrays = read_archive(path)
        found = Extracted(arrays["features"], arrays.get("logits"))
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"{shown(path)} is not a readable file of features ({error})") from error
    asked = _header(digest, extractor, found)
    given = header if isinstance(header, dict) else {}
    if differ := [name for name in asked if given.get(name) != asked[name]]:
        raise ValueError(
            f"{shown(path)} holds features of another kind, or was changed: its "
            f"{', '.join(differ)} differ from what was asked for"
        )
    whole = all(
        array.dtype == np.float32 and array.shape[:1] == (count,) and array.ndim == 2
        and np.isfinite(array).all()
        for array in _arrays(found).values()
    )  # fmt: skip
    if not whole or (found.logits is not None) != extractor.logits:
        raise ValueError(f"{shown(path)} holds no finite row of features for each image")
    return found


def _arrays(found: Extracted) -> dict[str, np.ndarray]:
    return {name: array for name, array in found._asdict().items() if array is not None}


def _header(digest: str, extractor: FeatureExtractor, found: Extracted) -> dict[str, Any]:
    """What a file of features says that it belongs to and holds."""
    names = {"images": digest, "extractor": extractor.name, "weights": extractor.fingerprint}
    protocol = dict(extractor.protocol)
    header = {**names, "protocol": protocol, "arrays": arrays_digest(_arrays(found))}
    return json.loads(json.dumps(header))


def joined(parts: Sequence[Extracted]) -> Extracted:
    """Parts one after the other."""
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)


def batched(
    apply: Callable[[Any, Any], tuple[Any, Any]],
    variables: Any,
    *,
    batch_size: int,
    precision: Precision | None = None,
) -> Callable[[Images], Extracted]:
    """Run a network on batches of one size, so that it is compiled once for images of a size.

    The batch is split over the devices of this process; the last one is filled up.

    Args:
        apply: pure function (variables, uint8 images) -> (features, logits or None).
        variables: of the network.
        batch_size: images at a time, rounded up to a multiple of the devices.
        precision: of products; by default the backend's own.
    """
    mesh = data_mesh(jax.local_devices())
    size = -(-batch_size // mesh.size) * mesh.size
    split = NamedSharding(mesh, PartitionSpec("data"))
    placed = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
    compiled = jax.jit(apply)

    def run(images: Images) -> Extracted:
        found = []
        for first in range(0, len(images), size):
            part = np.asarray(images[first : first + size])
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            with products(precision):
                outputs = Extracted(*compiled(placed, jax.device_put(filled, split)))
            found.append(jax.device_get(outputs))
        return jax.tree.map(lambda array: array[: len(images)], joined(found))

    return run
