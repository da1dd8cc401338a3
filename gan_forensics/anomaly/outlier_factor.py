"""The local outlier factor, whose neighbours are counted among distinct rows.

Breunig et al. (SIGMOD 2000). Of a row p, N(p) are the rows within its k-distance, p left out:

    reach(p, o) = max(k-distance(o), |p - o|)
    lrd(p)      = 1 / mean of reach(p, o) over o in N(p)
    LOF(p)      = mean of lrd(o) over o in N(p), / lrd(p)

Where a row is there more than k times, its k-distance is 0 and its density infinite, and whatever
lies beside it has a factor without bounds: a third of a table may be one row. Breunig et al. mend
this by the *k-distinct-distance*, within which k rows of other places lie; all copies of these, and
of p, are in N(p). So it is here: without copies it is scikit-learn's factor, which in the place of
this warns of duplicates (but not where it is to score new rows); with them, their weight is kept.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from gan_forensics.data.copies import copies

Rows = Float[np.ndarray, "n d"]
Scores = Float[np.ndarray, " n"]
NEIGHBOURS = 20
# scikit-learn's, which keeps densities finite.
_LEAST = 1e-10


def outlier_factor(
    x: Rows, *, neighbours: int = NEIGHBOURS
) -> tuple[Scores, Callable[[Rows], Scores]]:
    """Minus the factors of training rows, and a function of other rows to minus theirs.

    Args:
        x: training rows.
        neighbours: k, as far as there are so many distinct rows.

    Raises:
        ValueError: for fewer than three distinct rows.
    """
    from sklearn.neighbors import NearestNeighbors

    found = copies(x)
    places, weights = np.asarray(x, np.float64)[found.first], found.counts.astype(np.float64)
    if len(places) < 3:
        raise ValueError(
            f"the local outlier factor needs 3 rows or more that differ, got {len(places)} (of "
            f"{len(found.of)})"
        )
    finder = NearestNeighbors(n_neighbors=min(neighbours, len(places) - 1)).fit(places)
    distance, index = finder.kneighbors()
    k_distance, own = distance[:, -1], weights - 1
    density = _density(distance, index, k_distance, weights, own * k_distance, own)

    def factor(index, itself, copied):
        near = weights[index]
        mean = ((near * density[index]).sum(1) + copied * itself) / (near.sum(1) + copied)
        return -mean / itself

    def score(new: Rows) -> Scores:
        distance, index = finder.kneighbors(new)
        return factor(index, _density(distance, index, k_distance, weights), 0.0)

    return factor(index, density, own)[found.of], score


def _density(
    distance: Any, index: Any, k_distance: Any, weights: Any, of_copies: Any = 0, copied: Any = 0
) -> Scores:
    """1 / mean reach of places over their neighbours, all copies of these and of their own."""
    near = weights[index]
    reach = (near * np.maximum(k_distance[index], distance)).sum(1) + of_copies
    return 1 / (reach / (near.sum(1) + copied) + _LEAST)
