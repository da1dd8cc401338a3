"""Calibrators: from a detector's score to a log10 likelihood ratio that its reference data support.

A calibrator is fitted on scores of reference images that trained nothing: logistic regression,
isotonic regression (pool adjacent violators) or kernel densities, whichever has the least Cllr in
cross-validation, bounded by ELUB (`likelihood_ratios.elub_bounds`). It is plain numbers: a detector
file carries it, and so does the JSON of scored images.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from gan_forensics.forensics.likelihood_ratios import (
    Pav,
    cllr,
    elub_bounds,
    fit_pav,
    group_weights,
)
from gan_forensics.forensics.metrics import check_scores
from gan_forensics.forensics.partition import own_groups

Arrays = Mapping[str, np.ndarray]
Scores = Float64[np.ndarray, " n"]
Two = tuple[np.ndarray, np.ndarray]
# Images of either class, or groups of them, that a calibrator needs at least: two for each fold.
FEWEST, FOLDS = 10, 5
# Of more reference images kernel densities are not tried: every score would take so many kernels.
MOST_KERNELS = 5000
# Of bounds that another machine computed.
_ROUNDING = 1e-6
REFERENCE = ("real_scores", "fake_scores", "real_weights", "fake_weights")


@dataclass(frozen=True, eq=False)
class Calibrator:
    """From scores to bounded log10 LRs; call `log10_lr`.

    Attributes:
        kind: a key of `KINDS`.
        model: its numbers (`KINDS` says which).
        lower, upper: bounds of log10 LR that the reference images support.
        costs: Cllr of each kind in cross-validation; the least was taken.
        seed: of the folds.
        real_scores, fake_scores: of the reference images, photographs [n] and generated [m].
        real_weights, fake_weights: 1 over the size of each one's group, 1 where it is its own; the
            sums are the numbers of independent images.
        offset: is subtracted from a score first; 0 unless `recalibrate` moved it.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = fit_calibrator(rng.normal(0, 1, 50), rng.normal(3, 1, 50))
        >>> bool(found.log10_lr([3.0])[0] > 1)
        True
    """

    kind: str
    model: Arrays
    lower: float
    upper: float
    costs: Mapping[str, float]
    seed: int
    real_scores: Scores
    fake_scores: Scores
    real_weights: Scores
    fake_weights: Scores
    offset: float = 0.0

    def __repr__(self) -> str:
        return (
            f"Calibrator({self.kind}, {len(self.real_scores)} photographs, "
            f"{len(self.fake_scores)} generated images, log10 LR from {self.lower:.2f} to "
            f"{self.upper:.2f})"
        )

    @property
    def weights(self) -> tuple[Scores, Scores]:
        """Of the reference images of either class."""
        return self.real_weights, self.fake_weights

    def log10_lr(self, scores) -> Float64[np.ndarray, " n"]:
        """Bounded log10 LR of scores [n]; NaN for NaN."""
        scores = np.asarray(scores, np.float64) - self.offset
        return np.clip(KINDS[self.kind].log10_lr(self.model, scores), self.lower, self.upper)

    def as_record(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Facts that are JSON-able, and arrays: what `read_calibrator` takes."""
        facts = {
            "kind": self.kind,
            "lower": self.lower,
            "upper": self.upper,
            "costs": dict(self.costs),
            "seed": self.seed,
            "offset": self.offset,
        }
        model = {f"model/{name}": np.asarray(array) for name, array in self.model.items()}
        return facts, model | {name: getattr(self, name) for name in REFERENCE}


def fit_calibrator(real_scores, fake_scores, *, groups=None, seed: int = 0) -> Calibrator:
    """Fit every kind of calibrator, take the one of least Cllr in cross-validation, bound it.

    In each of five folds a kind is fitted on the others, bounded by their ELUB, and judged on the
    fold; groups stay together.

    Args:
        real_scores: of photographs [n], of which none trained the detector.
        fake_scores: of generated images [m], likewise.
        groups: of each of either class, such as the photograph that a crop was cut from: a group
            counts as one image; None where each image is its own.
        seed: of the folds.

    Raises:
        ValueError: in one line, for a class that is missing or has fewer than 10 images or groups,
            NaN or infinite scores, and scores that are all the same.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> round(fit_calibrator(rng.normal(0, 1, 99), rng.normal(9, 1, 99)).lower, 2)
        -1.99
    """
    scores = check_reference(real_scores, fake_scores, groups)
    real, fake = scores
    names = own_groups(len(real), len(fake)) if groups is None else groups
    of = np.asarray(names[0]), np.asarray(names[1])
    weights = group_weights(of[0]), group_weights(of[1])
    costs = {}
    for name, kind in KINDS.items():
        if len(real) + len(fake) <= kind.most:
            try:
                costs[name] = _cost(kind, scores, of, seed)
            except ValueError:  # A fold leaves nothing to fit it to.
                continue
    chosen = min(costs, key=lambda name: costs[name])
    model, lower, upper = _bounded(KINDS[chosen], scores, weights)
    return Calibrator(chosen, model, lower, upper, costs, seed, real, fake, *weights)


def check_reference(real_scores, fake_scores, groups=None) -> tuple[Scores, Scores]:
    """Scores that a calibrator can be fitted to, as float64.

    Raises:
        ValueError: as `fit_calibrator`.
    """
    found = []
    for name, word, scores, of in zip(
        ("photographs", "generated images"),
        ("real", "generated"),
        (real_scores, fake_scores),
        (None, None) if groups is None else groups,
        strict=True,
    ):
        if not len(np.atleast_1d(scores)):
            raise ValueError(
                f"no {name} among the reference images: a likelihood ratio compares two classes, "
                "give some of each"
            )
        scores = check_scores(word, scores)
        if count := int(np.isinf(scores).sum()):
            raise ValueError(f"{count} of {len(scores)} scores of {name} are infinite")
        few = len(scores) if of is None else len(np.unique(np.asarray(of)))
        if few < FEWEST:
            what = name if of is None else f"groups of {name}"
            raise ValueError(
                f"{few} {what} are too few reference images for a calibrator of likelihood "
                f"ratios: give at least {FEWEST}"
            )
        found.append(scores)
    if len(np.unique(np.concatenate(found))) == 1:
        raise ValueError(
            f"all reference images have the score {found[0][0]:g}: no likelihood ratio can be told "
            "from it; choose other features or another classifier"
        )
    return found[0], found[1]


def read_calibrator(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Calibrator:
    """The calibrator of `Calibrator.as_record`, every number checked.

    Raises:
        ValueError: in one line, where they are not those of a calibrator.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> made = fit_calibrator(rng.normal(0, 1, 50), rng.normal(3, 1, 50))
        >>> again = read_calibrator(*made.as_record())
        >>> bool((again.log10_lr([1.0, 2.0]) == made.log10_lr([1.0, 2.0])).all())
        True
    """
    kind = facts.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"its calibrator has no known kind: {', '.join(KINDS)}")
    lower, upper, offset = (_number(facts, name) for name in ("lower", "upper", "offset"))
    costs, seed = facts.get("costs"), facts.get("seed")
    if type(seed) is not int or not isinstance(costs, Mapping) or costs.keys() - KINDS:
        raise ValueError("its calibrator has no valid costs and seed")
    costs = {name: _number(costs, name) for name in costs}
    if not lower <= 0 <= upper:
        raise ValueError("the bounds of its calibrator do not hold 0")
    wanted = {*REFERENCE, *(f"model/{name}" for name in KINDS[kind].numbers)}
    if arrays.keys() != wanted:
        raise ValueError(f"its calibrator has the arrays {sorted(arrays)}, not {sorted(wanted)}")
    for name, array in arrays.items():
        if array.dtype != np.float64 or array.ndim > 1 or not np.isfinite(array).all():
            raise ValueError(f"{name} of its calibrator is no list of finite numbers")
    for name in ("real", "fake"):
        scores, weights = arrays[f"{name}_scores"], arrays[f"{name}_weights"]
        if scores.ndim != 1 or not len(scores) or scores.shape != weights.shape:
            raise ValueError(f"the {name} reference images of its calibrator have no scores")
        if not (weights > 0).all() or not (weights <= 1).all():
            raise ValueError(f"the {name} reference images of its calibrator have no valid weights")
    model = {name: arrays[f"model/{name}"] for name in KINDS[kind].numbers}
    if not KINDS[kind].right(model):
        raise ValueError(f"the numbers of its calibrator are not those of {kind}")
    reference = [arrays[name] for name in REFERENCE]
    found = Calibrator(kind, model, lower, upper, costs, seed, *reference, offset=offset)
    _check_bounds(found)
    return found


def _check_bounds(found: Calibrator) -> None:
    """Refuse bounds beyond those that its own reference images support.

    Raises:
        ValueError: saying what they support.
    """
    scores = found.real_scores, found.fake_scores
    if sum(map(len, scores)) > KINDS[found.kind].most:
        raise ValueError(f"its calibrator has too many reference images for {found.kind}")
    real, fake = (KINDS[found.kind].log10_lr(found.model, of) for of in scores)
    low, high = elub_bounds(real, fake, weights=found.weights)
    if found.lower < low - _ROUNDING or found.upper > high + _ROUNDING:
        raise ValueError(
            f"its calibrator states log10 LRs from {found.lower:.3g} to {found.upper:.3g}, and its "
            f"reference images support {low:.3g} to {high:.3g}"
        )


# Kinds of calibrators ---------------------------------------------------------------------------


class Kind(NamedTuple):
    """How a kind of calibrator is fitted and used.

    Attributes:
        fit: of scores of photographs, of generated images, and their weights, to the model.
        log10_lr: of the model and scores, unbounded.
        numbers: names of the model's arrays.
        right: whether arrays of these names are a model.
        most: reference images that it is tried for.
    """

    fit: Callable[[Scores, Scores, Two], dict[str, np.ndarray]]
    log10_lr: Callable[[Arrays, Scores], Scores]
    numbers: tuple[str, ...]
    right: Callable[[Arrays], bool]
    most: float = np.inf


def _fit_logistic(real: Scores, fake: Scores, weights: Two) -> dict[str, np.ndarray]:
    """Balanced logistic regression of standardised scores, with scikit-learn's penalty of 1.

    The penalty keeps the slope finite where the scores part the classes.
    """
    from sklearn.linear_model import LogisticRegression

    x = np.concatenate([real, fake])
    middle, spread = x.mean(), x.std()
    total = sum(w.sum() for w in weights)
    # Each class has half of the weight of all.
    shares = np.concatenate([w * total / (2 * w.sum()) for w in weights])
    label = np.repeat([0, 1], [len(real), len(fake)])
    fitted = LogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=1000)
    fitted.fit(((x - middle) / spread)[:, None], label, sample_weight=shares)
    slope = fitted.coef_.item() / spread
    intercept = np.asarray(fitted.intercept_).item() - slope * middle
    return {"slope": np.asarray(slope), "intercept": np.asarray(intercept)}


def _logistic(model: Arrays, scores: Scores) -> Scores:
    return (model["intercept"] + model["slope"] * scores) / np.log(10)


def _fit_isotonic(real: Scores, fake: Scores, weights: Two) -> dict[str, np.ndarray]:
    return fit_pav(real, fake, weights=weights)._asdict()


def _isotonic(model: Arrays, scores: Scores) -> Scores:
    return Pav(model["scores"], model["probability"])(scores)


def _fit_density(real: Scores, fake: Scores, weights: Two) -> dict[str, np.ndarray]:
    """Gaussian kernels, Silverman's rule of thumb in each class.

    Raises:
        ValueError: where all scores of a class are the same.
    """
    model: dict[str, np.ndarray] = {}
    for name, x, w in (("real", real, weights[0]), ("fake", fake, weights[1])):
        share = w / w.sum()
        spread = np.sqrt(share @ (x - share @ x) ** 2)
        if not spread > 0:
            raise ValueError("all scores of a class are the same: they have no density")
        width = spread * (4 / (3 * w.sum())) ** 0.2
        model |= {name: x, f"{name}_share": share, f"{name}_width": np.asarray(width)}
    return model


def _density(model: Arrays, scores: Scores) -> Scores:
    """Outside of all reference scores, the LR at the nearest of them: tails are not known."""
    both = np.concatenate([model["real"], model["fake"]])
    scores = np.clip(scores, both.min(), both.max())
    fake, real = (
        _log_density(scores, model[name], model[f"{name}_share"], model[f"{name}_width"])
        for name in ("fake", "real")
    )
    return (fake - real) / np.log(10)


def _log_density(scores, x, share, width) -> Scores:
    from scipy.special import logsumexp

    # A block of scores at a time: as many kernels for each as there are reference images.
    found = np.empty(len(scores))
    for first in range(0, len(scores), 1024):
        z = (scores[first : first + 1024, None] - x) / width
        found[first : first + 1024] = logsumexp(-(z**2) / 2, b=share, axis=1)
    return found - np.log(width)


def _right_density(model: Arrays) -> bool:
    return all(
        model[name].ndim == 1
        and len(model[name]) > 0
        and model[name].shape == model[f"{name}_share"].shape
        and (model[f"{name}_share"] > 0).all()
        and model[f"{name}_width"].shape == ()
        and model[f"{name}_width"] > 0
        for name in ("real", "fake")
    )


def _right_isotonic(model: Arrays) -> bool:
    scores, p = model["scores"], model["probability"]
    return (
        scores.ndim == 1
        and len(scores) > 0
        and scores.shape == p.shape
        and bool((np.diff(scores) > 0).all() and (np.diff(p) >= 0).all())
        and 0 <= p[0] <= p[-1] <= 1
    )


# Of equal costs the first is taken: fewer numbers say less that is not so.
KINDS = {
    "logistic": Kind(
        _fit_logistic,
        _logistic,
        ("slope", "intercept"),
        lambda model: all(number.shape == () for number in model.values()),
    ),
    "kernel density": Kind(
        _fit_density,
        _density,
        ("real", "fake", "real_share", "fake_share", "real_width", "fake_width"),
        _right_density,
        MOST_KERNELS,
    ),
    "isotonic": Kind(_fit_isotonic, _isotonic, ("scores", "probability"), _right_isotonic),
}


def _bounded(kind: Kind, scores: Two, weights: Two) -> tuple[dict[str, np.ndarray], float, float]:
    """A fitted model, and the bounds that its images support."""
    model = kind.fit(*scores, weights)
    real, fake = (kind.log10_lr(model, s) for s in scores)
    return model, *elub_bounds(real, fake, weights=weights)


def _cost(kind: Kind, scores: Two, names: Two, seed: int) -> float:
    """Cllr of a kind in cross-validation."""
    real, fake = (np.empty(len(s)) for s in scores)
    for of_real, of_fake in _folds(names, seed):
        rest = scores[0][~of_real], scores[1][~of_fake]
        weights = group_weights(names[0][~of_real]), group_weights(names[1][~of_fake])
        model, lower, upper = _bounded(kind, rest, weights)
        real[of_real] = np.clip(kind.log10_lr(model, scores[0][of_real]), lower, upper)
        fake[of_fake] = np.clip(kind.log10_lr(model, scores[1][of_fake]), lower, upper)
    return cllr(real, fake, weights=(group_weights(names[0]), group_weights(names[1])))


def _folds(names: Two, seed: int) -> Iterator[Two]:
    """Which images of either class a fold holds; a group, of one class or of both, is in one."""
    rng = np.random.default_rng(seed)
    of: dict[Any, int] = {}
    for groups in names:
        new = [name for name in dict.fromkeys(groups.tolist()) if name not in of]
        of |= {new[i]: n % FOLDS for n, i in enumerate(rng.permutation(len(new)))}
    folds = [np.array([of[name] for name in groups.tolist()]) for groups in names]
    for fold in range(FOLDS):
        yield folds[0] == fold, folds[1] == fold


def _number(facts: Mapping[str, Any], name: str) -> float:
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"its calibrator has no number {name!r}")
    return float(value)
