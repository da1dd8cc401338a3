"""Host computations in chunks, so that memory does not grow with the number of images."""

from collections.abc import Callable

import numpy as np

# Images per chunk are chosen so that a float64 map of all of them takes about 8 MB.
PIXELS = 2**20


def over_chunks(function: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Apply a function of a batch of images [b, h, w, ...] chunk by chunk and join the results.

    The function must treat images one by one, so that the chunks do not show in the result.
    """
    size = max(1, PIXELS // (images.shape[1] * images.shape[2]))
    # An empty batch is one empty chunk: the function then gives the shape of the result.
    starts = range(0, max(len(images), 1), size)
    return np.concatenate([function(images[start : start + size]) for start in starts])
