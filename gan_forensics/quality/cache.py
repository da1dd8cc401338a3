"""Features on disk, under the content of the images and the fingerprint of what computed them.

A file holds plain arrays and a JSON header with the digest of the images, and the extractor's
name, fingerprint and protocol. A file that belongs to anything else is refused.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float32, UInt8

from gan_forensics.data.files import written_beside

if TYPE_CHECKING:
    from gan_forensics.quality.extract import FeatureExtractor


def images_digest(parts: Iterable[UInt8[np.ndarray, "b h w c"]]) -> str:
    """SHA-256 of images in order; the same for every split into batches."""
    digest = hashlib.sha256()
    for part in parts:
        shape = np.asarray(part.shape[1:], np.int64).tobytes()
        for image in np.ascontiguousarray(part):
            digest.update(shape)
            digest.update(image.data)
    return digest.hexdigest()


def arrays_digest(tree: Any, *settings: Any) -> str:
    """SHA-256 of all arrays of a pytree with their names, and of settings as JSON."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        digest.update(array.data)
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def save_features(
    path: Path,
    features: Float32[np.ndarray, "n d"],
    logits: Float32[np.ndarray, "n classes"] | None,
    digest: str,
    extractor: "FeatureExtractor",
) -> None:
    """Write features of the images with that digest."""
    arrays = {"features": features} if logits is None else {"features": features, "logits": logits}
    header = np.array(json.dumps(_header(digest, extractor)))
    with written_beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **{"header": header, **arrays})  # pyright: ignore[reportArgumentType]


def load_features(
    path: Path | str, digest: str, extractor: "FeatureExtractor"
) -> tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n classes"] | None]:
    """Read features that `save_features` wrote for the same images and the same extractor.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file of other images, weights or protocol (saying which), and for one
            that cannot be read.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            features = arrays["features"]
            logits = arrays["logits"] if "logits" in arrays else None
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a readable file of features ({error}): delete it, and they will be "
            "computed again"
        ) from error
    asked = _header(digest, extractor)
    differ = [
        name for name in asked if not isinstance(header, dict) or header.get(name) != asked[name]
    ]
    if differ:
        raise ValueError(
            f"{path} holds features of another kind: its {', '.join(differ)} differ from what was "
            "asked for; delete it or choose another cache folder"
        )
    return features, logits


def _header(digest: str, extractor: "FeatureExtractor") -> dict[str, Any]:
    header = {
        "images": digest,
        "extractor": extractor.name,
        "weights": extractor.fingerprint,
        "protocol": dict(extractor.protocol),
    }
    return json.loads(json.dumps(header))
