"""Metrics of many classes: agreement of labels, retrieval by features, spread of classes.

Labels are integers [n], features [n, d]. As Bui et al., "RepMix" (ECCV 2022), measure attribution.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from gan_forensics.quality.frechet import frechet_distance

METRICS = ("l2", "cosine")
# Distances of a chunk of queries to the whole data base.
CHUNK = 2**22

Labels = Int[np.ndarray, " n"]
Rates = Float64[np.ndarray, " n"]


def confusion_counts(labels: Labels, predicted: Labels, classes: int) -> Int64[np.ndarray, "c c"]:
    """How many images of each class (row) were given to each (column)."""
    pairs = np.asarray(labels) * classes + np.asarray(predicted)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def mutual_information(confusion: Int[np.ndarray, "a b"]) -> float:
    """Normalised mutual information of rows and columns, in [0, 1].

    I(y, y') / ((H(y) + H(y')) / 2), natural logarithms; the scale is free. 1 where both have one
    class only: they agree.
    """
    joint = np.asarray(confusion, np.float64) / np.sum(confusion)
    rows, columns = joint.sum(1), joint.sum(0)
    entropies = [-float((p[p > 0] * np.log(p[p > 0])).sum()) for p in (rows, columns)]
    if not sum(entropies):
        return 1.0
    there = joint > 0
    shared = (joint[there] * np.log(joint[there] / np.outer(rows, columns)[there])).sum()
    return float(np.clip(2 * shared / sum(entropies), 0, 1))


def purity(confusion: Int[np.ndarray, "a b"]) -> float:
    """Share of images that belong to the commonest true class of the predicted one."""
    return float(np.max(confusion, axis=0).sum() / np.sum(confusion))


def retrieve(
    queries: Float[np.ndarray, "q d"],
    query_labels: Int[np.ndarray, " q"],
    database: Float[np.ndarray, "n d"],
    labels: Labels,
    *,
    metric: str,
    at: int = 10,
) -> tuple[Rates, Rates]:
    """Rank a data base by its distance from each query; relevant is what has the query's label.

    Args:
        queries, query_labels: what is looked for.
        database, labels: where.
        metric: "l2", the squared Euclidean distance, or "cosine", 1 - <q, x> / (|q| |x| + eps)
            with float32's eps. Of equally near ones the first is first.
        at: precision is that of so many nearest.

    Returns:
        Average precision of each query (the mean of the precision at each relevant place; 0 without
        any) and its precision at `at`.
    """
    precisions = [
        _precision(relevant, at)
        for relevant in _ranked(queries, query_labels, database, labels, metric, others=False)
    ]
    average, near = (np.concatenate(parts) for parts in zip(*precisions, strict=True))
    return average, near


def retrieve_others(
    features: Float[np.ndarray, "n d"], labels: Labels, *, metric: str
) -> Float64[np.ndarray, " m"]:
    """`retrieve`'s average precision with each image looked for among all others.

    Images that are alone in their class have nothing to find and are left out.
    """
    ranked = _ranked(features, labels, features, labels, metric, others=True)
    average = np.concatenate([_precision(relevant, 1)[0] for relevant in ranked])
    return average[np.bincount(labels)[labels] > 1]


class FrechetRatio(NamedTuple):
    """How far classes are spread, over how far they lie apart: lower is better.

    Attributes:
        ratio: mean of intra over mean of inter.
        intra: of each class, in the order of labels: the Frechet distance between its halves.
        inter: of each pair of classes i < j, in order.
    """

    ratio: float
    intra: Float64[np.ndarray, " c"]
    inter: Float64[np.ndarray, " p"]


def frechet_ratio(
    features: Float[np.ndarray, "n d"],
    labels: Labels,
    *,
    rule: Literal["shuffled", "released"] = "shuffled",
    seed: int = 0,
) -> FrechetRatio:
    """The ratio of Frechet distances within and between classes (Yu et al., ICCV 2019, inverted).

    Args:
        features, labels: four images or more of each of two classes or more.
        rule: "shuffled" cuts each class in random halves and divides by the mean distance of
            classes. "released" is what the published code computes: it draws an order but cuts as
            the images came, and divides the sum over n (n - 1) / 2 pairs by n (n - 1), which
            doubles the ratio.
        seed: of the halves.

    Raises:
        ValueError: for fewer images.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2 or min(counts) < 4:
        raise ValueError(
            "a ratio of Frechet distances needs two classes or more with four images or more "
            f"each, got {len(present)} with {min(counts, default=0)} at the least"
        )
    rng = np.random.default_rng(seed)
    groups = [features[labels == label] for label in present]
    intra = []
    for group in groups:
        order = rng.permutation(len(group)) if rule == "shuffled" else np.arange(len(group))
        half = len(group) // 2
        intra.append(_distance(group[order[:half]], group[order[half:]]))
    pairs = [(a, b) for i, a in enumerate(groups) for b in groups[i + 1 :]]
    inter = np.array([_distance(a, b) for a, b in pairs])
    apart = inter.mean() if rule == "shuffled" else inter.sum() / (2 * len(pairs))
    ratio = float(np.mean(intra) / apart) if apart > 0 else np.inf
    return FrechetRatio(ratio, np.array(intra), inter)


def _ranked(queries, query_labels, database, labels, metric: str, *, others: bool):
    """Whether what lies at each rank is relevant, chunk by chunk of queries; itself left out."""
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}: choose one of {', '.join(METRICS)}")
    queries, database = (np.asarray(x, np.float64) for x in (queries, database))
    query_labels, labels = np.asarray(query_labels), np.asarray(labels)
    squares = [np.square(x).sum(1) for x in (queries, database)]
    size = max(1, CHUNK // len(database))
    for first in range(0, len(queries), size):
        rows = slice(first, first + size)
        products = queries[rows] @ database.T
        if metric == "l2":
            distance = squares[0][rows, None] + squares[1][None] - 2 * products
        else:
            lengths = np.sqrt(squares[0][rows, None] * squares[1][None])
            distance = 1 - products / (lengths + np.finfo(np.float32).eps)
        if others:
            itself = np.arange(len(products))
            distance[itself, first + itself] = -np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, int(others) :]
        yield labels[order] == query_labels[rows, None]


def _precision(relevant: np.ndarray, at: int) -> tuple[Rates, Rates]:
    precision = np.cumsum(relevant, 1) / np.arange(1, relevant.shape[1] + 1)
    average = (precision * relevant).sum(1) / np.maximum(relevant.sum(1), 1)
    return average, relevant[:, :at].sum(1) / at


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    moments = ((x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (first, second))
    (mean1, cov1), (mean2, cov2) = moments
    return frechet_distance(mean1, cov1, mean2, cov2)
