"""DOPING as a scikit-learn estimator: the resampler that Lim et al. (ICDM 2018) propose."""

import math
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import TransformerTags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gan_forensics.anomaly.aae import AAEConfig, train_autoencoders
from gan_forensics.anomaly.edge import WEIGHTED, Edge, parse_edge, weights_of
from gan_forensics.anomaly.prior_fit import prior_fit
from gan_forensics.anomaly.resample import CODING, EDGED, FittedModels, resample
from gan_forensics.anomaly.scaling import constant_columns, fit_scaler


class Doping(BaseEstimator):
    """Add rows from the edge of an adversarial autoencoder's latent law to a training set.

    Detectors of anomalies call rare normal rows anomalies. Doping makes such rows less rare: it
    trains an autoencoder whose codes follow N(0, prior_scale^2 I), draws codes at the edge of
    that law, decodes them, and appends them to the training rows, which stay first and unchanged.

    Rows may be tables [n, d] or images [n, h, w] or [n, h, w, c]; data frames stay data frames.
    In a scikit-learn `Pipeline` the step gives its detector the added rows while fitting and
    passes rows through as they are afterwards. `fit_resample` has the shape of imbalanced-learn.

    Args:
        n_samples: rows to add: a share of the training rows (float) or a number (int).
        edge: where codes are drawn; "data" is the published outermost tenth,
            ("quantile", 0.9, 0.997) a range of the prior's chi law in any latent dimension; others
            are listed in `gan_forensics.anomaly.edge`. "prior" and "reconstruct_all" know none.
        method: "doping", or one of the controls that need the same autoencoder: "prior",
            "edge_duplicate", "latent_interpolation", "reconstruct_all".
        jitter: deviation of noise added to the codes of "doping".
        latent_dim: length of a code.
        prior_scale: deviation of the prior's axes.
        hidden: widths of the hidden layers of all three networks.
        steps: training steps of three moves each.
        batch_size: rows a minibatch.
        learning_rate: of the three Adams.
        scale: of the columns, by the training rows: "minmax" with a decoder that stays within
            their range, "standard" or "none" with an unbounded one.
        constant_columns: "raise", or "keep" to pass columns of a single value through. Pixels of
            images are always kept.
        round_integers: round the new rows' columns that hold only whole numbers in training.
        random_state: of training and draws; the same number gives the same rows.

    Attributes:
        autoencoder_: trained on the scaled rows.
        codes_: of the training rows, [n, latent_dim].
        prior_fit_: do the codes follow the prior?
        scaler_: of the columns.
        added_: rows that `fit_resample` appends.
        n_features_in_: columns of a flattened row.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> Doping(n_samples=5, hidden=(8,), steps=10, random_state=0).fit_resample(x).shape
        (65, 3)
    """

    def __init__(
        self,
        *,
        n_samples: float = 0.1,
        edge: Edge = "data",
        method: str = "doping",
        jitter: float = 0.0,
        latent_dim: int = 2,
        prior_scale: float = 10.0,
        hidden: tuple[int, ...] = (128, 128),
        steps: int = 3000,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        scale: str = "minmax",
        constant_columns: str = "raise",
        round_integers: bool = False,
        random_state: Any = None,
    ):
        self.n_samples = n_samples
        self.edge = edge
        self.method = method
        self.jitter = jitter
        self.latent_dim = latent_dim
        self.prior_scale = prior_scale
        self.hidden = hidden
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.scale = scale
        self.constant_columns = constant_columns
        self.round_integers = round_integers
        self.random_state = random_state

    def check_parameters(self) -> None:
        """Refuse parameters that cannot be, or that the method would ignore; `fit` does so first.

        Raises:
            ValueError: saying what is allowed.
        """
        if self.constant_columns not in ("raise", "keep"):
            raise ValueError(f"constant_columns must be raise or keep, got {self.constant_columns}")
        if self.method not in CODING:
            raise ValueError(f"unknown method {self.method!r}: one of {', '.join(CODING)}")
        if self.steps < 1:
            raise ValueError(f"steps must be 1 or more, got {self.steps}")
        name, _ = parse_edge(self.edge)
        if self.method not in EDGED and self.edge != "data":
            raise ValueError(
                f"{self.method} knows no edge: leave edge out, or choose {', '.join(EDGED)}"
            )
        if self.method != "doping" and name not in WEIGHTED:
            raise ValueError(
                f"{self.method} chooses among the codes of the training rows, the edge "
                f"{self.edge!r} does not: choose one of {', '.join(WEIGHTED)}"
            )
        if self.method != "doping" and self.jitter:
            raise ValueError(f"jitter is of doping: leave it out with {self.method}")

    def fit(self, X, y=None) -> "Doping":
        """Train the autoencoder.

        Args:
            X: training rows, finite numbers.
            y: ignored.

        Raises:
            ValueError: for rows that are not finite numbers, fewer than two rows or than the
                latent dimension, constant columns, an edge that selects nothing, a parameter out
                of range, or one that the method ignores.
        """
        self._fit(X)
        return self

    def fit_resample(self, X, y=None):
        """Train and append new rows.

        Args:
            X: training rows.
            y: a label for each, or None. With labels, only rows of the most frequent one train the
                autoencoder, and the new rows carry it.

        Returns:
            The rows, originals first and unchanged; with labels, the pair of rows and labels.
        """
        if y is None:
            self._fit(X)
            return self._appended(X)
        original, labels = np.asarray(X), np.asarray(y)
        if labels.shape != original.shape[:1]:
            raise ValueError(f"{list(labels.shape)} labels for {len(original)} rows: one for each")
        values, counts = np.unique(labels, return_counts=True)
        common = values[counts.argmax()]
        chosen = np.flatnonzero(labels == common)
        self._fit(X.iloc[chosen] if hasattr(X, "iloc") else original[chosen])
        rows = self._appended(X)
        return rows, np.concatenate([labels, np.repeat(common, len(rows) - len(labels))])

    def fit_transform(self, X, y=None):
        """What a pipeline calls while fitting: train and append, labels ignored."""
        return self.fit_resample(X)

    def transform(self, X):
        """What a pipeline calls afterwards: the rows as they are."""
        check_is_fitted(self, "autoencoder_")
        self._validated(X, reset=False)
        return X

    def sample(self, n: int, *, seed: int | None = None) -> np.ndarray:
        """Draw n new rows [n, ...] in the units and shape of the training rows.

        Args:
            n: how many; "reconstruct_all" makes one for every training row.
            seed: of the draw; by default it follows from `random_state`, so that two calls draw
                the same rows.
        """
        check_is_fitted(self, "autoencoder_")
        rng = np.random.default_rng(self.seed_ if seed is None else seed)
        settings = {"edge": self.edge} if self.method in EDGED else {}
        if self.method == "doping":
            settings["jitter"] = self.jitter
        models = FittedModels(self.rows_, self.autoencoder_, self.codes_)
        rows = self.scaler_.undo(resample(self.method, models, n, rng=rng, **settings))
        if self.round_integers:
            rows = np.where(self.whole_, np.round(rows), rows)
        return rows.reshape(len(rows), *self.shape_in_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # A step that passes rows through as they are, so their kind is kept.
        tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        return tags

    def _fit(self, X) -> None:
        self.check_parameters()
        x = self._validated(X, reset=True)
        if len(x) < self.latent_dim:
            raise ValueError(
                f"{len(x)} rows cannot fill a latent space of {self.latent_dim} dimensions: give "
                "more rows or a smaller latent_dim"
            )
        constant = np.flatnonzero(constant_columns(x))
        if len(constant) == x.shape[1]:
            raise ValueError("all rows are alike: there is nothing to learn an edge from")
        if len(constant) and self.constant_columns == "raise" and len(self.shape_in_) == 1:
            raise ValueError(
                f"columns {constant[:5].tolist()} hold a single value: leave them out, or pass "
                "constant_columns='keep'"
            )
        self.added_ = self._count(len(x))
        self.scaler_ = fit_scaler(x, scale=self.scale)  # pyright: ignore[reportArgumentType]
        self.rows_ = self.scaler_(x)
        if self.scale == "minmax":
            # A rounding error beyond the cube is none of the data.
            self.rows_ = np.clip(self.rows_, 0, 1)
        self.whole_ = (x == np.round(x)).all(0)
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        config = AAEConfig(
            features=x.shape[1],
            latent=self.latent_dim,
            hidden=self.hidden,
            output="sigmoid" if self.scale == "minmax" else "linear",
            prior_scale=self.prior_scale,
            learning_rate=self.learning_rate,
            batch=self.batch_size,
            joined=False,
        )
        (self.autoencoder_,) = train_autoencoders(
            config, self.rows_, seeds=[self.seed_], steps=self.steps
        )
        self.codes_ = self.autoencoder_.encode(self.rows_)
        self.prior_fit_ = prior_fit(
            self.codes_,
            scale=self.prior_scale,
            losses=self.autoencoder_.history["discriminator/both"],
        )
        if self.method in EDGED and parse_edge(self.edge)[0] in WEIGHTED:
            # An edge that selects nothing is told now rather than at the first draw.
            weights_of(self.codes_, self.edge)

    def _validated(self, X, *, reset: bool) -> np.ndarray:
        """Rows as float64 [n, d]."""
        shape = getattr(X, "shape", None) or np.shape(X)
        images = len(shape) > 2
        flat: Any = np.asarray(X).reshape(shape[0], -1) if images else X
        checked: Any = validate_data(self, flat, reset=reset, ensure_min_samples=1 + reset)
        x = checked.astype(np.float64)
        inner = tuple(shape[1:]) if images else x.shape[1:]
        if reset:
            self.shape_in_ = inner
        elif inner != self.shape_in_:
            raise ValueError(f"rows of shape {inner}, fitted on rows of {self.shape_in_}")
        return x

    def _count(self, rows: int) -> int:
        """How many to add to so many rows."""
        n = self.n_samples
        if isinstance(n, Integral) and not isinstance(n, bool) and n >= 0:
            return int(n)
        if isinstance(n, float) and math.isfinite(n) and n >= 0:
            return round(n * rows)
        raise ValueError(
            f"n_samples must be a share of the rows (float >= 0) or a number (int >= 0), got {n!r}"
        )

    def _appended(self, X):
        """All rows, in the container of X: the originals, then new ones."""
        rows = self.sample(self.added_)
        if hasattr(X, "iloc"):
            import pandas

            # Column by column, so that columns of whole numbers stay so where the new ones are.
            new = pandas.DataFrame(rows, columns=X.columns)
            if self.round_integers:
                new = new.astype({c: X[c].dtype for c in X.columns[self.whole_]})
            return pandas.concat([X, new], ignore_index=True)
        x = np.asarray(X)
        kind = x.dtype if np.issubdtype(x.dtype, np.floating) else np.float64
        return np.concatenate([x.astype(kind), rows.astype(kind)])
