"""Isolation-forest scores of scikit-learn's trees, computed in JAX.

Liu et al., "Isolation forest" (ICDM 2008). A row falls through a tree to a leaf; its path is

    h(x) = depth of the leaf + c(rows of the leaf),
    c(1) = 0,  c(2) = 1,  c(n) = 2 (ln(n - 1) + gamma) - 2 (n - 1) / n,

and its score -2^(-mean h / c(psi)), with psi the rows a tree was grown on: in [-1, 0), the lower
the more anomalous. Numbers equal scikit-learn's: comparisons are of float32 with float64, sums are
float64.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

# Rows that fall at once: their nodes and columns stay in a core's cache.
BLOCK = 4096


class Trees(NamedTuple):
    """Trees padded to one number of nodes, [t, nodes]; node 0 is the root.

    Attributes:
        feature: column that a node splits by.
        threshold: a row goes left where its value is at most this.
        left, right: children; -1 at leaves.
        n_node_samples: training rows in the node.
        depth: edges from the root.

    Example:
        >>> from sklearn.ensemble import IsolationForest
        >>> forest = IsolationForest(n_estimators=5, random_state=0).fit(np.arange(16.0)[:, None])
        >>> trees = trees_of(forest)
        >>> len(trees.feature)
        5
    """

    feature: Int[np.ndarray, "t nodes"]
    threshold: Float[np.ndarray, "t nodes"]
    left: Int[np.ndarray, "t nodes"]
    right: Int[np.ndarray, "t nodes"]
    n_node_samples: Int[np.ndarray, "t nodes"]
    depth: Int[np.ndarray, "t nodes"]


def average_path_length(n) -> Float[np.ndarray, "..."]:
    """c(n): the mean path of an unsuccessful search in a binary tree of n rows."""
    n = np.asarray(n, np.float64)
    safe = np.maximum(n, 3)
    long = 2 * (np.log(safe - 1) + np.euler_gamma) - 2 * (safe - 1) / safe
    return np.where(n > 2, long, np.where(n == 2, 1.0, 0.0))


def trees_of(forest: Any) -> Trees:
    """The trees of a fitted `sklearn.ensemble.IsolationForest`.

    Columns are numbered as in the table also where a tree saw only some of them (`max_features`).

    Example:
        >>> from sklearn.ensemble import IsolationForest
        >>> forest = IsolationForest(n_estimators=3, random_state=0).fit(np.arange(16.0)[:, None])
        >>> trees_of(forest).feature.shape[0]
        3
    """
    trees = [estimator.tree_ for estimator in forest.estimators_]
    nodes = max(tree.node_count for tree in trees)

    def padded(values, fill, dtype):
        table = np.full((len(trees), nodes), fill, dtype)
        for row, value in zip(table, values, strict=True):
            row[: len(value)] = value
        return table

    columns = [
        np.asarray(seen)[np.maximum(tree.feature, 0)]
        for tree, seen in zip(trees, forest.estimators_features_, strict=True)
    ]
    return Trees(
        padded(columns, 0, np.int32),
        padded([tree.threshold for tree in trees], 0.0, np.float64),
        padded([tree.children_left for tree in trees], -1, np.int32),
        padded([tree.children_right for tree in trees], -1, np.int32),
        padded([tree.n_node_samples for tree in trees], 1, np.int32),
        padded([tree.compute_node_depths() - 1 for tree in trees], 0, np.int32),
    )


def forest_scores(
    trees: Trees, x: Float[np.ndarray, "n d"], *, max_samples: int
) -> Float[np.ndarray, " n"]:
    """Scores of rows, float64 in [-1, 0); the lower the more anomalous.

    Args:
        trees: such as `trees_of(forest)`.
        x: rows, read as float32.
        max_samples: psi, rows that each tree was grown on.

    Raises:
        ValueError: for rows that the trees cannot have been grown on.

    Example:
        >>> from sklearn.ensemble import IsolationForest
        >>> x = np.append(np.random.default_rng(0).normal(size=63), 50)[:, None]
        >>> trees = trees_of(IsolationForest(n_estimators=20, random_state=0).fit(x))
        >>> int(forest_scores(trees, x, max_samples=64).argmin())
        63
    """
    x = np.asarray(x, np.float32)
    trees = Trees(*map(np.asarray, trees))
    needed = int(trees.feature[trees.left >= 0].max(initial=-1)) + 1
    if x.ndim != 2 or x.shape[1] < max(needed, 1):
        raise ValueError(f"rows must be [n, d] with d >= {max(needed, 1)}, got {list(x.shape)}")
    if max_samples < 2:
        # A tree of one row isolates nothing; scikit-learn calls every row an anomaly then.
        return np.full(len(x), -0.5)
    tables, depth = _siblings_adjacent(trees)
    path = trees.depth + average_path_length(trees.n_node_samples)
    # Few shapes are ever compiled: rows are padded to a power of two or to whole blocks.
    block = min(BLOCK, 1 << max(len(x) - 1, 255).bit_length())
    blocks = -(-len(x) // block)
    rows = np.zeros((blocks * block, x.shape[1]), np.float32)
    rows[: len(x)] = x
    with jax.enable_x64(True):
        lengths = _path_lengths(
            rows.reshape(blocks, block, x.shape[1]),
            *tables,
            np.take_along_axis(path, tables.place, axis=1),
            depth=depth,
        )
        lengths = np.asarray(lengths).reshape(-1)[: len(x)]
    return -(2.0 ** -(lengths / (len(trees.left) * average_path_length(max_samples))))


def contamination_offset(
    training_scores: Float[np.ndarray, " n"], contamination: float
) -> Float[np.ndarray, ""]:
    """The score below which a row is called anomalous: that quantile of the training scores."""
    if not 0 < contamination <= 0.5:
        raise ValueError(f"contamination must lie in (0, 0.5], got {contamination}")
    return np.percentile(training_scores, 100 * contamination)


class _Tables(NamedTuple):
    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    place: np.ndarray


def _siblings_adjacent(trees: Trees) -> tuple[_Tables, int]:
    """Reorder nodes breadth first, so that the right child follows the left one.

    Then one index serves both children: child + (value > threshold). A leaf is its own child and
    keeps its rows by an infinite threshold, so that all rows take the same number of steps. The
    float64 thresholds are rounded *down* to float32, for which no float32 value changes sides.
    Nodes are padded to a power of two, again for the sake of few shapes.

    Returns:
        Tables [t, padded nodes], of which `place` is each node's place in `trees`, and the number
        of steps to the deepest leaf.
    """
    count, nodes = trees.left.shape
    padded = 1 << (nodes - 1).bit_length()
    place = np.zeros((count, padded), np.int64)
    child = np.broadcast_to(np.arange(padded, dtype=np.int32), (count, padded)).copy()
    # A level of all trees at once: whose, which node, and where it is put.
    tree, node, put = np.arange(count), np.zeros(count, np.int64), np.zeros(count, np.int64)
    filled, depth = np.ones(count, np.int64), 0
    while True:
        inner = trees.left[tree, node] >= 0
        if not inner.any():
            break
        tree, node, put = tree[inner], node[inner], put[inner]
        # Parents stand in order of their trees, so their rank within one is a difference.
        new = np.bincount(tree, minlength=count)
        rank = np.arange(len(tree)) - (np.cumsum(new) - new)[tree]
        first = filled[tree] + 2 * rank
        child[tree, put] = first
        filled = filled + 2 * new
        node = np.stack([trees.left[tree, node], trees.right[tree, node]], axis=1).reshape(-1)
        put = np.stack([first, first + 1], axis=1).reshape(-1)
        tree = np.repeat(tree, 2)
        place[tree, put] = node
        depth += 1
    down = trees.threshold.astype(np.float32)
    down = np.where(down > trees.threshold, np.nextafter(down, np.float32(-np.inf)), down)
    down = np.where(trees.left < 0, np.float32(np.inf), down)
    feature = np.where(trees.left < 0, 0, trees.feature).astype(np.int32)
    take = partial(np.take_along_axis, indices=place, axis=1)
    # Slots that no node fills repeat the root and are never reached.
    return _Tables(take(feature), take(down), child, place), depth


@partial(jax.jit, static_argnames="depth")
def _path_lengths(rows, feature, threshold, child, place, path, *, depth: int):
    """Sum over trees of the path of each row [blocks, block]."""

    def at(table, index):
        return table.at[index].get(mode="promise_in_bounds")

    def fall(x):
        flat, start = x.reshape(-1), jnp.arange(x.shape[0], dtype=jnp.int32) * x.shape[1]

        def tree(total, tables):
            feature, threshold, child, path = tables
            node = jnp.zeros(x.shape[0], jnp.int32)
            for _ in range(depth):
                value = at(flat, start + at(feature, node))
                node = at(child, node) + (value > at(threshold, node)).astype(jnp.int32)
            return total + at(path, node), None

        zero = jnp.zeros(x.shape[0], path.dtype)
        return jax.lax.scan(tree, zero, (feature, threshold, child, path))[0]

    return jax.lax.map(fall, rows)
