"""Digests of images and arrays: what cached features and trained classifiers are kept under."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8


def images_digest(parts: Iterable[UInt8[np.ndarray, "b h w c"]]) -> str:
    """SHA-256 of images in order; the same for every split into batches.

    Example:
        >>> images = np.zeros((4, 8, 8, 3), np.uint8)
        >>> images_digest([images]) == images_digest([images[:3], images[3:]])
        True
    """
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
