"""The classical classifiers of spectral detection, fitted with scikit-learn.

"knn", "svm" and "mlp" carry the settings of Chandrasegaran et al. (CVPR 2021) and standardise
their features; those that start with "unmasking-" carry the settings of Durall et al.
(arXiv 1911.00686) and do not. The linear models of Frank et al. (ICML 2020) are "dct-linear",
"dct-ridge" and "dct-lasso", which standardise, for `dct` features, and the same with "pixels-",
which do not, for `pixels` (see `frank`). Scores rise with the evidence for "generated" throughout.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.frank import EarlyStopped, LassoLogistic, ridge

NEIGHBOURS = 5
# Steps of the quadratic programme; without a bound, large features that nothing standardises keep
# the cubic kernel busy for hours. Sound fits take a hundredth of this.
LONGEST_FIT = 10**6


@dataclass(frozen=True)
class Recipe:
    """How a named classifier is fitted.

    Attributes:
        build: (training features [n, d], seed) -> scikit-learn estimator, not fitted.
        standardise: whether features are first brought to mean 0 and deviation 1.
        real_is_one: whether the published labels are 1 for real images. libsvm stops within 1e-3
            of its optimum, at a point that depends on which class is which.
        stops_early: whether the published settings end the fit before it may have converged.
    """

    build: Callable[[np.ndarray, int], Any]
    standardise: bool = True
    real_is_one: bool = True
    stops_early: bool = False


def _decision(estimator: Any, x, generated, sign: int) -> tuple[str, dict[str, Any]]:
    """Kind and arrays (see `decisions`) of an estimator; the sign turns its scores to generated."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    if isinstance(estimator, KNeighborsClassifier):
        return "neighbours", {"points": x, "generated": generated, "k": estimator.n_neighbors}
    if isinstance(estimator, MLPClassifier):
        layers = {}
        for name, given in (("weights", estimator.coefs_), ("biases", estimator.intercepts_)):
            *hidden, last = given
            layers |= {f"{name}_{i}": array for i, array in enumerate([*hidden, sign * last])}
        return "mlp", layers
    intercept = sign * estimator.intercept_[0]
    logistic = LogisticRegression | LassoLogistic | EarlyStopped
    if isinstance(estimator, logistic) or estimator.kernel == "linear":
        return "linear", {"weights": sign * estimator.coef_[0], "intercept": intercept}
    dual = sign * estimator.dual_coef_[0]
    arrays = {"support": estimator.support_vectors_, "dual": dual, "intercept": intercept}
    degree = {"degree": estimator.degree} if estimator.kernel == "poly" else {}
    return estimator.kernel, {**arrays, "gamma": estimator.gamma, **degree}


def _neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(NEIGHBOURS, algorithm="kd_tree")


# Any, because scikit-learn's own annotations know gamma as a string only.
def _svm(**settings: Any) -> Any:
    from sklearn.svm import SVC

    return SVC(max_iter=LONGEST_FIT, **settings)


def _perceptron(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        (10, 10),
        activation="logistic",
        solver="adam",
        learning_rate_init=1e-3,
        alpha=1e-4,
        max_iter=2000,
        tol=1e-4,
        random_state=seed,
    )


def _logistic(**settings: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, **settings)


def _scaled_gamma(x: np.ndarray) -> float:
    """scikit-learn's default kernel width 1 / (n_features Var), spelt out so that it is public."""
    variance = x.var()
    return 1.0 / (x.shape[1] * variance) if variance > 0 else 1.0


_UNMASKING = {"standardise": False, "real_is_one": False}
_FRANK: dict[str, Callable[[np.ndarray, int], Any]] = {
    "linear": lambda x, seed: EarlyStopped(seed),
    "ridge": lambda x, seed: ridge(len(x)),
    "lasso": lambda x, seed: LassoLogistic(),
}
CLASSIFIERS: dict[str, Recipe] = {
    "knn": Recipe(lambda x, seed: _neighbours()),
    "svm": Recipe(lambda x, seed: _svm(C=1.0, kernel="rbf", gamma=_scaled_gamma(x))),
    "mlp": Recipe(lambda x, seed: _perceptron(seed), stops_early=True),
    "logistic": Recipe(lambda x, seed: _logistic()),
    "unmasking-linear-svm": Recipe(lambda x, seed: _svm(C=1.0, kernel="linear"), **_UNMASKING),
    "unmasking-rbf-svm": Recipe(
        lambda x, seed: _svm(C=6.37, kernel="rbf", gamma=0.86), **_UNMASKING
    ),
    "unmasking-poly-svm": Recipe(
        lambda x, seed: _svm(C=1.0, kernel="poly", degree=3, gamma=1 / x.shape[1]), **_UNMASKING
    ),
    "unmasking-logistic": Recipe(lambda x, seed: _logistic(solver="liblinear"), **_UNMASKING),
    **{f"dct-{name}": Recipe(build, real_is_one=False) for name, build in _FRANK.items()},
    **{
        f"pixels-{name}": Recipe(build, standardise=False, real_is_one=False)
        for name, build in _FRANK.items()
    },
}


def fit_classifier(
    real_features: Float64[np.ndarray, "n d"],
    fake_features: Float64[np.ndarray, "m d"],
    *,
    classifier: str,
    seed: int,
) -> Classifier:
    """Fit a named classifier of real against generated images.

    Args:
        real_features: rows of real images.
        fake_features: rows of generated images.
        classifier: a key of `CLASSIFIERS`.
        seed: for the initial weights and minibatches of the perceptron and of the models that stop
            early; the others draw nothing.

    Raises:
        ValueError: on an unknown name, too few rows, widths that differ, or rows that are not
            finite (as of images that are flat), or when the fit does not
            converge.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, fake = rng.normal(size=(50, 3)), rng.normal(3.0, size=(50, 3))
        >>> model = fit_classifier(real, fake, classifier="logistic", seed=0)
        >>> float((model.decide(fake) > model.boundary).mean()) > 0.9
        True
    """
    lookup(CLASSIFIERS, classifier, "classifier")
    rows = {"real": np.asarray(real_features), "generated": np.asarray(fake_features)}
    for name, array in rows.items():
        check_rows(name, array)
    if rows["real"].shape[1] != rows["generated"].shape[1]:
        raise ValueError(
            f"real and generated features differ in width ({rows['real'].shape[1]} and "
            f"{rows['generated'].shape[1]}): compute both from images of one size"
        )
    x = np.empty((sum(map(len, rows.values())), rows["real"].shape[1]))
    np.concatenate(list(rows.values()), out=x)
    generated = np.repeat([0.0, 1.0], [len(array) for array in rows.values()])
    return fit_table(x, generated, classifier=classifier, seed=seed)


def fit_table(
    x: Float64[np.ndarray, "n d"],
    generated: Float64[np.ndarray, " n"],
    *,
    classifier: str,
    seed: int,
) -> Classifier:
    """`fit_classifier` of one finite table, without a copy of it: `x` may be standardised in place.

    Args:
        x: a row for every training image.
        generated: 1 for rows of generated images, 0 for real ones.
        classifier, seed: as there.

    Raises:
        ValueError: on an unknown name, too few rows, or when the fit does not converge.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler

    recipe = lookup(CLASSIFIERS, classifier, "classifier")
    if classifier == "knn" and len(x) < NEIGHBOURS:
        raise ValueError(f"knn needs at least {NEIGHBOURS} training images, got {len(x)}")
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if recipe.standardise:
        for columns in _few_columns(x):
            scaler = StandardScaler().fit(x[:, columns])
            mean[columns], scale[columns] = scaler.mean_, scaler.scale_
        x -= mean
        x /= scale
    estimator = recipe.build(x, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if recipe.stops_early else "error", ConvergenceWarning)
        try:
            estimator.fit(x, 1 - generated if recipe.real_is_one else generated)
        except ConvergenceWarning as error:
            raise ValueError(
                f"the fit of {classifier!r} does not converge on these features (values up to "
                f"{np.abs(x).max():.3g}): the unmasking classifiers suit features of order one, "
                "such as 'unmasking'; 'svm' and 'logistic' standardise theirs"
            ) from error
    kind, arrays = _decision(estimator, x, generated, -1 if recipe.real_is_one else 1)
    # In row-major order a stored copy computes bit for bit the same.
    arrays = {name: np.asarray(array, np.float64, order="C") for name, array in arrays.items()}
    return Classifier(kind, mean, scale, arrays)


def _few_columns(x: np.ndarray) -> Iterator[slice]:
    """Columns a few at a time: a fitted scaler needs three temporary copies of what it is given."""
    width = max(1, 2**20 // len(x))
    return (slice(first, first + width) for first in range(0, x.shape[1], width))


def check_rows(name: str, array: np.ndarray) -> None:
    """Refuse features that are not a finite, non-empty table [n, d], naming the class."""
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} features must be [n, d] with n, d >= 1, got {list(array.shape)}")
    check_finite(name, np.asarray(np.isfinite(array).all(axis=1)))


def check_finite(name: str, finite: Bool[np.ndarray, " n"]) -> None:
    """Refuse images without finite features, naming the class and the first of them."""
    if not finite.all():
        broken = np.flatnonzero(~finite)
        raise ValueError(
            f"{broken.size} of {len(finite)} {name} images have features that are not finite "
            f"(first at index {broken[0]}): leave out flat images (gan_forensics.data.flat)"
        )
