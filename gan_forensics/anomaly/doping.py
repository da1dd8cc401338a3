"""DOPING as a resampler of imbalanced-learn's kind: what Lim et al. (ICDM 2018) propose."""

import math
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gan_forensics.anomaly.aae import AAEConfig, train_autoencoders
from gan_forensics.anomaly.containers import append_labels, append_rows, check_columns, is_frame
from gan_forensics.anomaly.edge import WEIGHTED, Edge, parse_edge, weights_of
from gan_forensics.anomaly.labels import UnclearLabels, normal_label
from gan_forensics.anomaly.prior_fits import prior_fit
from gan_forensics.anomaly.resampling import CODING, EDGED, FittedModels, resample, rows_of_share
from gan_forensics.anomaly.scaling import constant_columns, fit_scaler
from gan_forensics.data.copies import copies


class Doping(BaseEstimator):
    """Add rows from the edge of an adversarial autoencoder's latent law to a training set.

    Detectors of anomalies call rare normal rows anomalies. Doping makes such rows less rare: it
    trains an autoencoder whose codes follow N(0, prior_scale^2 I), draws codes at the edge of
    that law, decodes them, and appends them to the training rows, which stay first and unchanged.

    A resampler as imbalanced-learn's pipelines and grid searches take it: `fit_resample` and no
    `transform`. (In a pipeline of scikit-learn, which adds no rows, take `DopedDetector`.) Labels
    mean the same in every method: the rows of the normal label train, those of others do not, and
    new rows carry the normal label. It is the other one of two where `anomaly` is given; else the
    most frequent one, if two thirds of the rows carry it (55 % where custom calls it normal, as 0
    of 0 and 1) and custom does not call it the anomaly (1 of 0 and 1, -1 of -1 and 1).

    Rows may be tables [n, d] or images [n, h, w] or [n, h, w, c]. Data frames, Series and dtypes
    stay what they are: new values of integer and boolean columns are rounded.

    Args:
        share: rows to add, a share of the training rows; one row at least, where it is not 0.
        n_samples: the number of rows to add, in place of `share`.
        anomaly: the label of anomalies, where there are two labels.
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
        round_integers: round also the new rows' floating columns that hold only whole numbers in
            training.
        random_state: of training and draws; the same number gives the same rows.

    Attributes:
        autoencoder_: trained on the scaled rows.
        codes_: of the training rows, [n, latent_dim].
        normal_label_: of the training rows; None where there were no labels, or none was used.
        prior_fit_: do the codes follow the prior?
        scaler_: of the columns.
        added_: rows that `fit_resample` appends.
        repeated_: training rows that repeat another; neighbours are taken among those that differ.
        n_features_in_: columns of a flattened row.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> y = np.repeat(["normal", "fraud"], [50, 10])
        >>> doping = Doping(n_samples=5, hidden=(8,), steps=10, random_state=0)
        >>> rows, labels = doping.fit_resample(x, y)  # doctest: +SKIP
        >>> rows.shape, labels[-5:]  # doctest: +SKIP
        ((65, 3), array(['normal', 'normal', 'normal', 'normal', 'normal'], dtype='<U6'))
    """

    def __init__(
        self,
        *,
        share: float = 0.1,
        n_samples: int | None = None,
        anomaly: Any = None,
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
        self.share = share
        self.n_samples = n_samples
        self.anomaly = anomaly
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
        n, share = self.n_samples, self.share
        if n is not None and (not isinstance(n, Integral) or isinstance(n, bool) or n < 0):
            raise ValueError(
                f"n_samples must be a number of rows (a whole number >= 0) or None, got {n!r}: a "
                "share of the rows is given by share="
            )
        if not isinstance(share, Real) or isinstance(share, bool) or not 0 <= share < math.inf:
            raise ValueError(f"share must be a share of the training rows (>= 0), got {share!r}")
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
        """Train the autoencoder on the normal rows.

        Args:
            X: rows, finite numbers.
            y: a label for each, or None. Labels that do not tell which rows are normal are left
                aside with a warning, since scikit-learn's contract is that `fit` takes any;
                `fit_resample`, which labels new rows, refuses them.

        Raises:
            ValueError: for rows that are not finite numbers, fewer than two normal rows or than
                the latent dimension, constant columns, labels that are missing or do not fit, an
                edge that selects nothing, a parameter out of range, or one that the method ignores.
        """
        self._fit(X, y, strict=False)
        return self

    def fit_resample(self, X, y=None):
        """Train on the normal rows and append new ones.

        Args:
            X: rows.
            y: a label for each, or None.

        Returns:
            The pair of rows and labels, originals first and unchanged; labels are None without y.

        Raises:
            ValueError: as `fit`, and for labels that do not tell which rows are normal.
        """
        self._fit(X, y, strict=True)
        return self.appended(X, y)

    def appended(self, X, y=None):
        """The pair of X and y with `added_` new rows, after `fit`, in the containers of X and y.

        Labels of new rows are `normal_label_`; y is returned as it is where that is None.
        """
        rows = append_rows(X, self.sample(self.added_))
        if self.normal_label_ is not None:
            y = append_labels(y, self.normal_label_, self.added_)
        return rows, y

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

    def _fit(self, X, y, *, strict: bool) -> None:
        self.check_parameters()
        x = self._validated(X)
        self.normal_label_ = self._normal(y, len(x), strict)
        among = ""
        if self.normal_label_ is not None:
            x = x[np.asarray(y) == self.normal_label_]
            among = f" of label {self.normal_label_!r}"
        if len(x) < max(2, self.latent_dim):
            raise ValueError(
                f"{len(x)} rows{among} cannot fill a latent space of {self.latent_dim} dimensions: "
                "give more rows or a smaller latent_dim"
            )
        constant = np.flatnonzero(constant_columns(x))
        if len(constant) == x.shape[1]:
            raise ValueError(f"all rows{among} are alike: there is nothing to learn an edge from")
        if len(constant) and self.constant_columns == "raise" and len(self.shape_in_) == 1:
            names = getattr(self, "feature_names_in_", np.arange(x.shape[1]))[constant].tolist()
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise ValueError(
                f"columns {names[:5]}{more} hold a single value in all rows{among}: leave them "
                "out, or pass constant_columns='keep'"
            )
        self.added_ = (
            rows_of_share(self.share, len(x)) if self.n_samples is None else (int(self.n_samples))
        )
        self.scaler_ = fit_scaler(x, scale=self.scale)  # pyright: ignore[reportArgumentType]
        self.rows_ = self.scaler_(x)
        if self.scale == "minmax":
            # A rounding error beyond the cube is none of the data.
            self.rows_ = np.clip(self.rows_, 0, 1)
        self.repeated_ = copies(self.rows_).repeated
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
        if self.prior_fit_.amiss:
            warnings.warn(
                f"the codes do not follow their prior: {self.prior_fit_.amiss}. Their edge may not "
                "be that of the rows: take more steps, another width or learning rate",
                ConvergenceWarning,
                stacklevel=3,
            )
        if self.method in EDGED and parse_edge(self.edge)[0] in WEIGHTED:
            # An edge that selects nothing is told now rather than at the first draw.
            weights_of(self.codes_, self.edge)

    def _validated(self, X) -> np.ndarray:
        """Rows as float64 [n, d]."""
        if is_frame(X):
            check_columns(X)
        shape = getattr(X, "shape", None) or np.asarray(X).shape
        images = len(shape) > 2
        flat: Any = np.asarray(X).reshape(shape[0], -1) if images else X
        checked: Any = validate_data(self, flat, ensure_min_samples=2)
        self.shape_in_ = tuple(shape[1:]) if images else checked.shape[1:]
        return checked.astype(np.float64)

    def _normal(self, y, rows: int, strict: bool) -> Any:
        """The label of the rows that train, or None for all of them."""
        if y is None:
            if self.anomaly is not None:
                raise ValueError(f"anomaly={self.anomaly!r} needs labels: give y, or leave it out")
            return None
        shape = np.asarray(y).shape
        if shape != (rows,):
            raise ValueError(f"{list(shape)} labels for {rows} rows: one for each")
        try:
            return normal_label(y, anomaly=self.anomaly)
        except UnclearLabels as error:
            if strict:
                raise
            warnings.warn(f"{error}. Till then all rows train", stacklevel=4)
            return None
