"""Inception score (Salimans et al., NeurIPS 2016): exp of the mean KL(p(y|x) || p(y)).

Published code takes the mean over contiguous splits, which is a score of the set only where its
examples come in random order: sorted by class, a split holds one class and scores 1.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float

from gan_forensics.quality.order import Order, in_order
from gan_forensics.quality.score import UNNAMED, Score, check_features

# Probabilities in float32 over a thousand classes add up to one within this.
SUM_TOLERANCE = 1e-3
# Of the published code.
SPLITS = 10
# Of the permutation after the sort; fixed, since the score is one number of the set.
SHUFFLE_SEED = 0


def inception_score(
    probabilities: Float[np.ndarray, "n classes"] | None = None,
    *,
    logits: Float[np.ndarray, "n classes"] | None = None,
    splits: int = SPLITS,
    order: Order = "content",
    features: str = UNNAMED,
) -> Score:
    """Mean of the score over splits; between 1 and the number of classes.

    The same examples in any order have the same score: their rows are sorted, permuted by a fixed
    draw, and then cut.

    Args:
        probabilities: of the classes for each example; rows add up to one.
        logits: instead of them.
        splits: how many; split i holds the rows from floor(i n / splits).
        order: "content" as above; "given" cuts the rows as they come, as published code does.
        features: what the classifier is.

    Returns:
        The value with the population standard deviation over splits as spread.

    Raises:
        ValueError: for both or neither input, rows that are no probabilities, fewer examples than
            splits, and an unknown order.

    Example:
        >>> score = inception_score(np.eye(4)[np.arange(400) % 4], features="my classifier")
        >>> round(score.value, 3)
        3.871
    """
    from scipy.special import log_softmax, xlogy

    if (probabilities is None) == (logits is None):
        raise ValueError("give either probabilities or logits=")
    if logits is not None:
        p = np.exp(log_softmax(check_features(logits, "logits"), axis=1))
    else:
        p = check_features(probabilities, "probabilities")
        sums = p.sum(1)
        worst = int(np.argmax(np.abs(sums - 1)))
        if p.min() < 0 or abs(sums[worst] - 1) > SUM_TOLERANCE:
            raise ValueError(
                f"rows must be probabilities: the smallest entry is {p.min():.3g}, and row {worst} "
                f"adds up to {sums[worst]:.6g}; give logits= if that is what they are"
            )
    n = len(p)
    p = in_order(p, order)
    if order == "content":
        p = p[np.random.default_rng(SHUFFLE_SEED).permutation(n)]
    if not 1 <= splits <= n:
        raise ValueError(f"{n} examples cannot be cut into {splits} splits: give 1 to {n}")
    scores = []
    for start, end in pairwise(i * n // splits for i in range(splits + 1)):
        part = p[start:end]
        # 0 log 0 = 0; where the marginal is zero, so is every p.
        divergence = xlogy(part, part) - xlogy(part, part.mean(0, keepdims=True))
        scores.append(np.exp(divergence.sum(1).mean()))
    return Score(
        name="inception score" + ("" if features.startswith("inception-") else f" by {features}"),
        value=float(np.mean(scores)),
        spread=float(np.std(scores)),
        counts={"fake": n},
        features=features,
        protocol={
            "splits": splits,
            "order": "as given"
            if order == "given"
            else f"rows sorted by their numbers, then permuted by NumPy's seed {SHUFFLE_SEED}",
            "classes": p.shape[1],
            "spread": "population standard deviation over splits",
        },
    )
