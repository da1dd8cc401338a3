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

All rows are in the units the autoencoder was trained in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from gan_forensics.anomaly.aae import Autoencoder
from gan_forensics.anomaly.edge import Edge, codes_at_edge, neighbours, weights_of
from gan_forensics.anomaly.plain_gan import PlainGAN
from gan_forensics.anomaly.scaling import constant_columns

Rows = Float[np.ndarray, "n d"]
JITTER = 0.01


@dataclass(frozen=True, eq=False)
class Material:
    """What rows are made from.

    Attributes:
        x: training rows [k, d].
        autoencoder: trained on them; needed by those that encode or decode.
        codes: of the rows, [k, m].
        gan: trained on them; needed by "plain_gan".
    """

    x: Rows
    autoencoder: Autoencoder | None = None
    codes: Rows | None = None
    gan: PlainGAN | None = None


# Those that need an autoencoder.
CODING = ("doping", "prior", "edge_duplicate", "latent_interpolation", "reconstruct_all")
# (material, how many rows, generator) -> rows
Resampler = Callable[[Material, int, np.random.Generator], Rows]


def doping(
    material: Material,
    n: int,
    rng: np.random.Generator,
    *,
    edge: Edge = "data",
    jitter: float = 0.0,
) -> Rows:
    """Decode n draws of the latent edge.

    Args:
        material: with an autoencoder and codes.
        n: how many rows.
        rng: of the draw.
        edge: see `gan_forensics.anomaly.edge`.
        jitter: deviation of noise added to the codes; 0.01 in a published variant.
    """
    autoencoder, codes = _latent(material)
    z = codes_at_edge(codes, n, edge=edge, scale=autoencoder.config.prior_scale, rng=rng)
    if jitter:
        z = z + jitter * rng.standard_normal(z.shape)
    return autoencoder.decode(z)


def latent_interpolation(
    material: Material, n: int, rng: np.random.Generator, *, edge: Edge = "data"
) -> Rows:
    """Decode b + u (z_i - b): i at the edge, b its nearest other code, u ~ U(0, 1)."""
    autoencoder, codes = _latent(material)
    chosen = rng.choice(len(codes), n, p=weights_of(codes, edge))
    near = codes[neighbours(codes)[0][chosen, 0]]
    return autoencoder.decode(near + rng.uniform(size=(n, 1)) * (codes[chosen] - near))


def edge_duplicate(
    material: Material, n: int, rng: np.random.Generator, *, edge: Edge = "data"
) -> Rows:
    """Draw again the rows whose codes lie at the edge; nothing is decoded."""
    _, codes = _latent(material)
    return material.x[rng.choice(len(codes), n, p=weights_of(codes, edge))]


def reconstruct_all(material: Material, n: int, rng: np.random.Generator) -> Rows:
    """G(E(x)) of every training row, whatever n."""
    autoencoder, codes = _latent(material)
    return autoencoder.decode(codes)


def duplicate(material: Material, n: int, rng: np.random.Generator) -> Rows:
    """Rows drawn again with replacement."""
    return material.x[rng.integers(len(material.x), size=n)]


def jittered(
    material: Material, n: int, rng: np.random.Generator, *, deviation: float = JITTER
) -> Rows:
    """Rows drawn again, with noise of `deviation` times each column's deviation."""
    rows = duplicate(material, n, rng)
    return rows + deviation * material.x.std(0) * rng.standard_normal(rows.shape)


def interpolation(material: Material, n: int, rng: np.random.Generator) -> Rows:
    """b + u (a - b): a a random row, b its nearest other row, u ~ U(0, 1)."""
    x = material.x
    chosen = rng.integers(len(x), size=n)
    near = x[neighbours(x)[0][chosen, 0]]
    return near + rng.uniform(size=(n, 1)) * (x[chosen] - near)


def smote(material: Material, n: int, rng: np.random.Generator) -> Rows:
    """imbalanced-learn's SMOTE with the training rows as the minority class.

    Raises:
        ImportError: without imbalanced-learn.
    """
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError as error:
        raise ImportError(
            "the resampler 'smote' needs imbalanced-learn: pip install 'gan_forensics[imbalanced]'"
        ) from error
    k = len(material.x)
    # SMOTE balances two classes; the other one is n + k copies that it leaves alone.
    others = np.repeat(material.x[:1], n + k, axis=0)
    sampler = SMOTE(
        sampling_strategy={1: n + k},  # pyright: ignore[reportArgumentType]
        k_neighbors=min(5, k - 1),
        random_state=int(rng.integers(2**31)),
    )
    rows, _ = sampler.fit_resample(
        np.concatenate([others, material.x]), np.repeat([0, 1], [n + k, k])
    )[:2]
    return np.asarray(rows)[n + 2 * k :]


def plain_gan(material: Material, n: int, rng: np.random.Generator) -> Rows:
    """Samples of the material's GAN."""
    if material.gan is None:
        raise ValueError("the resampler 'plain_gan' needs material with a trained GAN")
    return material.gan.sample(n, rng=rng)


def none(material: Material, n: int, rng: np.random.Generator) -> Rows:
    """No rows."""
    return material.x[:0]


RESAMPLERS: dict[str, Resampler] = {
    "none": none,
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
    name: str, material: Material, n: int, *, rng: np.random.Generator, **settings: Any
) -> Rows:
    """Make n rows by the name of a resampler ("reconstruct_all" makes one for every row).

    Columns that hold one value in all training rows hold it in all new ones.

    Args:
        name: a key of `RESAMPLERS`.
        material: what to make them from.
        n: how many; 0 makes none.
        rng: of the draw.
        settings: further arguments of the resampler, such as `edge`.

    Raises:
        ValueError: for an unknown name, a negative n, or an edge that selects nothing.
    """
    if name not in RESAMPLERS:
        raise ValueError(f"unknown resampler {name!r}: one of {', '.join(RESAMPLERS)}")
    if n < 0:
        raise ValueError(f"cannot make {n} rows: give 0 or more")
    if n == 0:
        return material.x[:0]
    rows = np.array(RESAMPLERS[name](material, n, rng, **settings), np.float64)
    # A network reaches a column's only value never quite; a detector would take that for news.
    constant = constant_columns(material.x)
    rows[:, constant] = material.x[0, constant]
    return rows


def _latent(material: Material) -> tuple[Autoencoder, Rows]:
    if material.autoencoder is None or material.codes is None:
        raise ValueError("this resampler needs material with a trained autoencoder and its codes")
    return material.autoencoder, material.codes
