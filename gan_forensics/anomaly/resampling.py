"""Ways to make more rows for a detector's training set: doping, and what it must be held against.

    none                  nothing
    duplicate             rows drawn again at random
    jitter                the same with Gaussian noise
    interpolation         between a row and its nearest neighbour, in the table (SMOTE with k = 1)
    smote                 imbalanced-learn's SMOTE, k = 5 (extra `imbalanced`)
    plain_gan             samples of a GAN without an encoder
    prior                 decoded draws of the whole prior: an autoencoder without an edge
    edge_duplicate        rows at the latent edge drawn again: an edge without a decoder
    latent_interpolation  decoded codes between edge codes and their nearest neighbours
    reconstruct_all       every training row encoded and decoded. The released code of Lim et al.
                          did this in place of decoding the edge that it had drawn
    doping                decoded draws of the latent edge

All rows are in the units the autoencoder was trained in. Neighbours are rows that differ: between
two copies of a row lies nothing but that row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator

from gan_forensics.anomaly.aae import Autoencoder
from gan_forensics.anomaly.edge import Edge, codes_at_edge, neighbours, weights_of
from gan_forensics.anomaly.plain_gan import PlainGAN
from gan_forensics.anomaly.scaling import constant_columns
from gan_forensics.data.copies import copies

Rows = Float[np.ndarray, "n d"]
JITTER = 0.01


@dataclass(frozen=True, eq=False)
class FittedModels:
    """Training rows and the models fitted on them, which resamplers draw from.

    Attributes:
        x: training rows [k, d].
        autoencoder: needed by those that encode or decode.
        codes: of the rows, [k, m].
        gan: needed by "plain_gan".

    Example:
        >>> FittedModels(np.zeros((10, 3))).autoencoder is None
        True
    """

    x: Rows
    autoencoder: Autoencoder | None = None
    codes: Rows | None = None
    gan: PlainGAN | None = None


# Those that need an autoencoder.
CODING = ("doping", "prior", "edge_duplicate", "latent_interpolation", "reconstruct_all")
# Those that draw between neighbours; published are two of them with copies among these.
BETWEEN = ("interpolation", "smote", "latent_interpolation")
TWINNED = ("interpolation", "latent_interpolation")
# Those of CODING that draw at an edge.
EDGED = ("doping", "edge_duplicate", "latent_interpolation")
# (fitted models, how many rows, generator) -> rows
Resampler = Callable[[FittedModels, int, np.random.Generator], Rows]


def doping(
    models: FittedModels,
    n: int,
    rng: np.random.Generator,
    *,
    edge: Edge = "data",
    jitter: float = 0.0,
) -> Rows:
    """Decode n draws of the latent edge.

    Args:
        models: with an autoencoder and codes.
        n: how many rows.
        rng: of the draw.
        edge: see `gan_forensics.anomaly.edge`.
        jitter: deviation of noise added to the codes; 0.01 in a published variant.
    """
    autoencoder, codes = _latent(models)
    z = codes_at_edge(codes, n, edge=edge, scale=autoencoder.config.prior_scale, rng=rng)
    if jitter:
        z = z + jitter * rng.standard_normal(z.shape)
    return autoencoder.decode(z)


def latent_interpolation(
    models: FittedModels,
    n: int,
    rng: np.random.Generator,
    *,
    edge: Edge = "data",
    twins: bool = False,
) -> Rows:
    """Decode b + u (z_i - b): i at the edge, b its nearest other code, u ~ U(0, 1).

    Args:
        models: with an autoencoder and codes.
        n: how many rows.
        rng: of the draw.
        edge: see `gan_forensics.anomaly.edge`.
        twins: whether b may be the code of a copy of row i, as in the released code; the new row is
            a decoded training row then.
    """
    autoencoder, codes = _latent(models)
    chosen = rng.choice(len(codes), n, p=weights_of(codes, edge))
    if not twins:
        # Codes of copies may differ in their last digits.
        found = copies(models.x)
        codes = codes[found.first[found.of]]
    return autoencoder.decode(_interpolated(codes, chosen, rng, twins))


def edge_duplicate(
    models: FittedModels, n: int, rng: np.random.Generator, *, edge: Edge = "data"
) -> Rows:
    """Draw again the rows whose codes lie at the edge; nothing is decoded."""
    _, codes = _latent(models)
    return models.x[rng.choice(len(codes), n, p=weights_of(codes, edge))]


def reconstruct_all(models: FittedModels, n: int, rng: np.random.Generator) -> Rows:
    """G(E(x)) of every training row, whatever n."""
    autoencoder, codes = _latent(models)
    return autoencoder.decode(codes)


def duplicate(models: FittedModels, n: int, rng: np.random.Generator) -> Rows:
    """Rows drawn again with replacement."""
    return models.x[rng.integers(len(models.x), size=n)]


def jittered(
    models: FittedModels, n: int, rng: np.random.Generator, *, deviation: float = JITTER
) -> Rows:
    """Rows drawn again, with noise of `deviation` times each column's deviation.

    It takes some beyond the range of their column; `augment` sets those to its ends.
    """
    rows = duplicate(models, n, rng)
    return rows + deviation * models.x.std(0) * rng.standard_normal(rows.shape)


def interpolation(
    models: FittedModels, n: int, rng: np.random.Generator, *, twins: bool = False
) -> Rows:
    """b + u (a - b): a a random row, b its nearest other row, u ~ U(0, 1).

    Where `twins`, as in the released code, b may be a copy of a, and the new row is one too.
    """
    return _interpolated(models.x, rng.integers(len(models.x), size=n), rng, twins)


class _Differing(BaseEstimator):
    """Neighbours as SMOTE asks for them: each fitted row first, then k that are no copies of it."""

    def __init__(self, k: int = 5):
        self.k = k

    def fit(self, X, y=None) -> "_Differing":
        index, _ = neighbours(X, k=self.k)
        self.index_ = np.column_stack([np.arange(len(index)), index])
        return self

    def kneighbors(self, X=None, n_neighbors=None, return_distance=False) -> np.ndarray:
        return self.index_

    def kneighbors_graph(self, X=None, n_neighbors=None, mode="connectivity"):
        raise NotImplementedError("SMOTE asks for indices alone")


def smote(models: FittedModels, n: int, rng: np.random.Generator) -> Rows:
    """imbalanced-learn's SMOTE with the training rows as the minority class.

    But its neighbours are rows that differ: its own would be copies where rows repeat.

    Raises:
        ImportError: without imbalanced-learn.
        ValueError: for rows that are all alike.
    """
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError as error:
        raise ImportError(
            "the resampler 'smote' needs imbalanced-learn: pip install 'gan_forensics[imbalanced]'"
        ) from error
    k = len(models.x)
    # SMOTE balances two classes; the other one is n + k copies that it leaves alone.
    others = np.repeat(models.x[:1], n + k, axis=0)
    near = _Differing(min(5, max(1, len(copies(models.x).first) - 1)))
    sampler = SMOTE(
        sampling_strategy={1: n + k},  # pyright: ignore[reportArgumentType]
        k_neighbors=near,  # pyright: ignore[reportArgumentType]
        random_state=int(rng.integers(2**31)),
    )
    rows, _ = sampler.fit_resample(
        np.concatenate([others, models.x]), np.repeat([0, 1], [n + k, k])
    )[:2]
    return np.asarray(rows)[n + 2 * k :]


def plain_gan(models: FittedModels, n: int, rng: np.random.Generator) -> Rows:
    """Samples of the GAN."""
    if models.gan is None:
        raise ValueError("the resampler 'plain_gan' needs a trained GAN")
    return models.gan.sample(n, rng=rng)


RESAMPLERS: dict[str, Resampler] = {
    "none": lambda models, n, rng: models.x[:0],
    "duplicate": duplicate,
    "jitter": jittered,
    "interpolation": interpolation,
    "smote": smote,
    "plain_gan": plain_gan,
    "prior": partial(doping, edge="prior"),
    "edge_duplicate": edge_duplicate,
    "latent_interpolation": latent_interpolation,
    "reconstruct_all": reconstruct_all,
    "doping": doping,
}


def resample(
    name: str, models: FittedModels, n: int, *, rng: np.random.Generator, **settings: Any
) -> Rows:
    """Make n rows by the name of a resampler ("reconstruct_all" makes one for every row).

    Columns that hold one value in all training rows hold it in all new ones.

    Args:
        name: a key of `RESAMPLERS`.
        models: what to draw from.
        n: how many; 0 makes none.
        rng: of the draw.
        settings: further arguments of the resampler, such as `edge`.

    Raises:
        ValueError: for an unknown name, a negative n, or an edge that selects nothing.

    Example:
        >>> models = FittedModels(np.arange(6.0).reshape(3, 2))
        >>> resample("duplicate", models, 4, rng=np.random.default_rng(0)).shape
        (4, 2)
    """
    if name not in RESAMPLERS:
        raise ValueError(f"unknown method {name!r}: one of {', '.join(RESAMPLERS)}")
    if n < 0:
        raise ValueError(f"cannot make {n} rows: give 0 or more")
    if n == 0:
        return models.x[:0]
    rows = np.array(RESAMPLERS[name](models, n, rng, **settings), np.float64)
    # A network reaches a column's only value never quite; a detector would take that for news.
    constant = constant_columns(models.x)
    rows[:, constant] = models.x[0, constant]
    return rows


def rows_of_share(share: float, rows: int) -> int:
    """How many new rows a share of the training rows is: one at least, where it is not 0."""
    return max(1, round(share * rows)) if share else 0


def _interpolated(
    x: Rows, chosen: np.ndarray, rng: np.random.Generator, twins: bool = False
) -> Rows:
    near = x[neighbours(x, twins=twins)[0][chosen, 0]]
    return near + rng.uniform(size=(len(chosen), 1)) * (x[chosen] - near)


def _latent(models: FittedModels) -> tuple[Autoencoder, Rows]:
    if models.autoencoder is None or models.codes is None:
        raise ValueError("this resampler needs a trained autoencoder and its codes")
    return models.autoencoder, models.codes
