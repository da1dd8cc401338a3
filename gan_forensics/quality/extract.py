"""From images to features: what a feature extractor is, and how images go through one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Float32, UInt8

from gan_forensics.data.sources import Source, take
from gan_forensics.quality.cache import images_digest, load_features, save_features
from gan_forensics.runtime.mesh import data_mesh

Images = UInt8[np.ndarray, "n h w c"]


class Extracted(NamedTuple):
    """What an extractor found, a row for each image.

    Attributes:
        features: float32 [n, d].
        logits: float32 [n, classes] of the classifier that the features belong to, if it is one.
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
        warning: what to mind when reading scores by these features.
    """

    name: str
    fingerprint: str
    run: Callable[[Images], Extracted]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    warning: str = ""

    def __call__(self, images: Images) -> Float32[np.ndarray, "n d"]:
        """The features of uint8 images [n, h, w, c]."""
        return extract(self, images).features


def extract(
    extractor: FeatureExtractor,
    images: Images | Source,
    *,
    cache: Path | str | None = None,
    chunk: int = 256,
    progress: Callable[[range], Any] = iter,
) -> Extracted:
    """Features of all images, computed once.

    Args:
        extractor: the network.
        images: uint8 [n, h, w, c], or a source.
        cache: folder for features that were computed before, keyed by what the images hold, the
            extractor's fingerprint and its protocol; made when missing.
        chunk: images that are read at a time.
        progress: wraps the chunks, for a progress bar.

    Raises:
        ValueError: for what are no uint8 images, and for features that are not finite, naming the
            image.
    """
    count = len(images)
    if not count:
        raise ValueError("no images to extract features from: give at least one")
    path = digest = None
    if cache is not None:
        digest = images_digest(part for part in chunks_of(images, range(0, count, chunk), chunk))
        path = Path(cache) / f"{digest[:16]}-{extractor.fingerprint[:16]}.npz"
        if path.exists():
            return Extracted(*load_features(path, digest, extractor))
    found = []
    for part in chunks_of(images, progress(range(0, count, chunk)), chunk):
        found.append(_checked(extractor.run(part), extractor.name, sum(len(f[0]) for f in found)))
    logits = [f.logits for f in found if f.logits is not None]
    whole = Extracted(
        np.concatenate([f.features for f in found]), np.concatenate(logits) if logits else None
    )
    if path is not None and digest is not None:
        save_features(path, whole.features, whole.logits, digest, extractor)
    return whole


def chunks_of(images: Images | Source, starts, chunk: int) -> Iterator[Images]:
    """The images of an array or a source from each of `starts`, uint8, at most `chunk` at a time.

    Raises:
        ValueError: for an array that is not uint8 [n, h, w, 1 or 3].
    """
    if hasattr(images, "dtype"):
        array = np.asarray(images)
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in (1, 3):
            raise ValueError(
                f"images must be uint8 [n, h, w, 1 or 3], got {array.dtype} {list(array.shape)}: "
                "quantise them with gan_forensics.quality.quantise"
            )
        yield from (array[first : first + chunk] for first in starts)
    else:
        for first in starts:
            yield take(images, range(first, min(first + chunk, len(images))))["image"]  # pyright: ignore


def _checked(found: Extracted, name: str, offset: int) -> Extracted:
    features = np.asarray(found.features, np.float32)
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise ValueError(
            f"{name} of image {offset + bad[0]} are not finite ({len(bad)} of {len(features)} "
            "images alike): look at that image and at the weights"
        )
    return Extracted(features, None if found.logits is None else np.asarray(found.logits))


def batched(
    apply: Callable[[Any, Any], tuple[Any, Any]], variables: Any, *, batch_size: int
) -> Callable[[Images], Extracted]:
    """Run a network on batches of one size, so that it is compiled once for images of a size.

    The batch is split over the devices of this process; the last one is filled up.

    Args:
        apply: pure function (variables, uint8 images) -> (features, logits or None).
        variables: of the network.
        batch_size: images at a time, rounded up to a multiple of the devices.
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
            outputs = compiled(placed, jax.device_put(filled, split))
            own = [
                None if output is None else np.asarray(output)[: len(part)] for output in outputs
            ]
            found.append(own)
        features, logits = zip(*found, strict=True)
        return Extracted(
            np.concatenate(features), None if logits[0] is None else np.concatenate(logits)
        )

    return run
