"""New rows for a table by the name of any resampler, in the table's own units."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.anomaly.doping import Doping
from gan_forensics.anomaly.plain_gan import GANConfig, train_gans
from gan_forensics.anomaly.resampling import CODING, EDGED, RESAMPLERS, FittedModels, resample
from gan_forensics.anomaly.scaling import fit_scaler

# Between two rows lies, in floating point, what is a little beyond them.
_ROUNDING = 1e-9
_NETWORKS = ("hidden", "steps", "batch_size")
_AUTOENCODER = (
    *_NETWORKS, "latent_dim", "prior_scale", "learning_rate", "scale", "constant_columns",
)  # fmt: skip
# The settings of `Doping` that a method takes; the other methods take none.
SETTINGS: dict[str, tuple[str, ...]] = {
    **{name: (*_AUTOENCODER, *(("edge",) if name in EDGED else ())) for name in CODING},
    "doping": (*_AUTOENCODER, "edge", "jitter"),
    "plain_gan": _NETWORKS,
}


def check_settings(method: str, **settings: Any) -> None:
    """Refuse settings that `augment` would refuse, before there are any rows.

    Raises:
        ValueError: for an unknown method, settings that it does not take, and what `Doping`
            refuses.

    Example:
        >>> check_settings("doping", steps=100)
        >>> check_settings("duplicate", edge="data")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: duplicate takes no edge...
    """
    if method not in RESAMPLERS:
        raise ValueError(f"unknown method {method!r}: one of {', '.join(RESAMPLERS)}")
    taken = SETTINGS.get(method, ())
    if ignored := [name for name in settings if name not in taken]:
        raise ValueError(
            f"{method} takes no {', '.join(ignored)}: leave out what it does not take; it takes "
            f"{', '.join((*taken, 'round_integers'))}"
        )
    Doping(method=method if method in CODING else "doping", **settings).check_parameters()


class NewRows(NamedTuple):
    """New rows, and what their columns had to do with the range that was observed.

    Attributes:
        rows: [k, ...].
        beyond: of each column, how many values were drawn outside of its range in training; they
            are set to its ends, but by "scale" other than "minmax" of `Doping`.

    Example:
        >>> NewRows(np.zeros((5, 3)), beyond=np.zeros(3, int)).rows.shape
        (5, 3)
    """

    rows: Float[np.ndarray, "k ..."]
    beyond: Int[np.ndarray, " d"]


def augment(x: Float[np.ndarray, "n ..."], n: int, **settings: Any) -> Float[np.ndarray, "k ..."]:
    """The rows of `new_rows`, with the same arguments.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> augment(x, 5, method="duplicate").shape
        (5, 3)
    """
    return new_rows(x, n, **settings).rows


def new_rows(
    x: Float[np.ndarray, "n ..."],
    n: int,
    *,
    method: str = "doping",
    seed: int = 0,
    round_integers: bool = False,
    **settings: Any,
) -> NewRows:
    """Make n new rows ("reconstruct_all" makes one for each row, "none" none).

    Args:
        x: training rows.
        n: how many.
        method: a key of `gan_forensics.anomaly.RESAMPLERS`.
        seed: of training and draws.
        round_integers: round the new rows' columns that hold only whole numbers in training.
        settings: of `Doping`, as far as the method takes them (`SETTINGS`).

    Raises:
        ValueError: as `check_settings`, and for rows that are not finite or fewer than two.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> new_rows(x, 5, method="duplicate").beyond
        array([0, 0, 0])
    """
    check_settings(method, **settings)
    if method in CODING:
        doping = Doping(
            method=method,
            n_samples=int(n),
            random_state=seed,
            round_integers=round_integers,
            **settings,
        )
        rows = doping.fit(x).sample(n)
        flat = np.asarray(x, np.float64).reshape(len(x), -1)
        made = rows.reshape(len(rows), -1)
        return NewRows(rows, ((made < flat.min(0)) | (made > flat.max(0))).sum(0))
    x = np.asarray(x, np.float64)
    if len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"rows must be finite and two or more, got {list(x.shape)}")
    flat = x.reshape(len(x), -1)
    # Copies need no scale, by which they would lose their last digits.
    scaler = fit_scaler(flat, scale="none" if method in ("none", "duplicate") else "minmax")
    rows = scaler(flat) if scaler.within is None else np.clip(scaler(flat), 0, 1)
    gan = None
    if method == "plain_gan":
        recipe = Doping(**settings)
        config = GANConfig(flat.shape[1], hidden=tuple(recipe.hidden), batch=recipe.batch_size)
        (gan,) = train_gans(config, rows, seeds=[seed], steps=recipe.steps)
    new = resample(method, FittedModels(rows, gan=gan), n, rng=np.random.default_rng(seed))
    beyond = ((new < rows.min(0) - _ROUNDING) | (new > rows.max(0) + _ROUNDING)).sum(0)
    new = scaler.undo(new)
    if round_integers:
        new = np.where((flat == np.round(flat)).all(0), np.round(new), new)
    return NewRows(new.reshape(len(new), *x.shape[1:]), beyond)
