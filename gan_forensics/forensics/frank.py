"""The linear models of Frank et al. (ICML 2020): logistic regression, plain, ridge and lasso.

Theirs is one dense layer with a sigmoid; with z = <w, x> + b and y = 1 for generated images

    mean(ln(1 + e^z) - y z) + l2 sum w^2 + l1 sum|w|,    l2 = 0.01 ("ridge") or l1 = 0.01 ("lasso"),

without a penalty of the bias. x is the standardised log-DCT, or the pixels / 127.5 - 1.

Theirs are trained by Adam for up to 50 epochs. With a penalty the objective is convex, and here its
minimum itself is found, which depends neither on seeds nor on the order of images. Without one
there is often none (where rows can be separated, w runs to infinity), so that the published
training is part of the model and is carried out: Adam of rate 1e-3, minibatches of 32, at most 50
epochs, ended after five without a lower loss on validation images, weights of the best epoch. Their
validation images are a set of their own, a tenth as large as the training set; here every eleventh
training row of either class serves, drawn by the seed, after all were standardised together.
"""

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# The published weights of the penalties.
RIDGE = LASSO = 0.01
# Largest slope that is left at a minimum; those of the penalties are of order 1e-2.
TOLERANCE = 1e-6
# Newton steps; five to ten are enough.
LONGEST_FIT = 100
# Columns that a step may add to those in use: sound fits use some hundreds of many thousands.
ADDED = 200
LEARNING_RATE, BATCH, EPOCHS, PATIENCE = 1e-3, 32, 50, 5
# One validation row for so many training rows: 1k to 10k of either class, as published.
PARTS = 11
# Keras's constants of Adam.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

Table = Float64[np.ndarray, "n d"]
Column = Float64[np.ndarray, " n"]


def ridge(n: int) -> "LogisticRegression":
    """The model with l2 for n rows; scikit-learn's C multiplies the *sum* over rows."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (2 * RIDGE * n), tol=TOLERANCE, max_iter=10_000)


class LassoLogistic:
    """The model with l1, by scikit-learn's names.

    A proximal Newton method: the loss's expansion to second order is a weighted lasso, which
    coordinate descent solves on the columns in use and the steepest others; full steps or halves of
    them, until the condition of the minimum holds to `TOLERANCE` in every column: the slope of the
    loss is -l1 sign(w) where w is not 0, and at most l1 elsewhere.

    Attributes:
        coef_: [1, d], and
        intercept_: [1], after `fit`.
    """

    def fit(self, x: Table, y: Column) -> None:
        """Fit rows whose label is 0 or 1; warns (ConvergenceWarning) short of the minimum."""
        from scipy.special import expit
        from sklearn.exceptions import ConvergenceWarning

        def loss(w, b):
            z = x @ w + b
            return (np.logaddexp(0, z) - y * z).mean() + LASSO * np.abs(w).sum()

        w, b = np.zeros(x.shape[1]), math.log(y.mean() / (1 - y.mean()))
        for _ in range(LONGEST_FIT):
            z = x @ w + b
            p = expit(z)
            slope = x.T @ (p - y) / len(y)
            excess = np.abs(slope + LASSO * np.sign(w)) - np.where(w == 0, LASSO, 0)
            if max(excess.max(), abs((p - y).mean())) < TOLERANCE:
                break
            others = np.flatnonzero((w == 0) & (excess > 0))
            others = others[np.argsort(-excess[others], kind="stable")[:ADDED]]
            columns = np.concatenate([np.flatnonzero(w), others])
            # Bounded below, since rows far on their side have none in floating point.
            weight = np.maximum(p * (1 - p), 1e-9)
            target = z + (y - p) / weight
            new_w, new_b = _weighted_lasso(x[:, columns], weight, target, w[columns])
            step_w, step_b = -w, new_b - b
            step_w[columns] += new_w
            size, before = 1.0, loss(w, b)
            while size > 1e-6 and loss(w + size * step_w, b + size * step_b) > before:
                size /= 2
            # Exact, so that columns that leave are 0 and no longer in use.
            w, b = (w + step_w if size == 1 else w + size * step_w), b + size * step_b
        else:
            warnings.warn(f"after {LONGEST_FIT} steps", ConvergenceWarning, stacklevel=2)
        self.coef_, self.intercept_ = w[None], np.array([b])


def _weighted_lasso(x: Table, weight: Column, target: Column, start: np.ndarray):
    """w, b of the least mean of weight (target - <w, x> - b)^2 / 2, plus l1 sum|w|."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso

    share = weight / weight.sum()
    middle, level = share @ x, share @ target
    root = np.sqrt(weight / weight.mean())
    lasso = Lasso(LASSO / weight.mean(), fit_intercept=False, warm_start=True, max_iter=10_000,
                  tol=1e-10)  # fmt: skip
    lasso.coef_ = start.copy()
    with warnings.catch_warnings():
        # A step that is not the best one is followed by another.
        warnings.simplefilter("ignore", ConvergenceWarning)
        lasso.fit(np.asfortranarray((x - middle) * root[:, None]), (target - level) * root)
    return lasso.coef_, level - middle @ lasso.coef_


class EarlyStopped:
    """The model without penalty, trained as published, by scikit-learn's names.

    Attributes:
        seed: of first weights, validation rows and minibatches.
        coef_: [1, d], and
        intercept_: [1], after `fit`.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def fit(self, x: Table, y: Column) -> None:
        """Fit rows whose label is 0 or 1, two of each or more."""
        from scipy.special import expit

        rng = np.random.default_rng(self.seed)
        validation = np.concatenate([_some(np.flatnonzero(y == label), rng) for label in (0, 1)])
        rows = np.setdiff1d(np.arange(len(y)), validation)
        d = x.shape[1]
        # Glorot's uniform weights and no bias, as Keras starts a dense layer.
        weights = np.append(rng.uniform(-1, 1, d) * math.sqrt(6 / (d + 1)), 0.0)
        first, second, steps = np.zeros(d + 1), np.zeros(d + 1), 0
        best, lowest, since = weights, math.inf, 0
        for _ in range(EPOCHS):
            rng.shuffle(rows)
            for start in range(0, len(rows), BATCH):
                chosen = rows[start : start + BATCH]
                some = x[chosen]
                residual = (expit(some @ weights[:-1] + weights[-1]) - y[chosen]) / len(chosen)
                slope = np.append(some.T @ residual, residual.sum())
                steps += 1
                first = BETA_1 * first + (1 - BETA_1) * slope
                second = BETA_2 * second + (1 - BETA_2) * slope**2
                rate = LEARNING_RATE * math.sqrt(1 - BETA_2**steps) / (1 - BETA_1**steps)
                weights = weights - rate * first / (np.sqrt(second) + EPSILON)
            z = x[validation] @ weights[:-1] + weights[-1]
            loss = float((np.logaddexp(0, z) - y[validation] * z).mean())
            if loss < lowest:
                best, lowest, since = weights, loss, 0
            elif (since := since + 1) == PATIENCE:
                break
        self.coef_, self.intercept_ = best[None, :-1], best[-1:]


def _some(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows of a class that validate."""
    if len(rows) < 2:
        raise ValueError(
            f"the early stopping of this model needs 2 training images of either class, got "
            f"{len(rows)}: give more, or choose its ridge or lasso"
        )
    return rng.permutation(rows)[: max(1, len(rows) // PARTS)]
