"""Where the edge of a latent cloud lies, and how to draw from it.

Lim et al., "DOPING" (ICDM 2018), and the experiments that its first author published. Latent codes
z_i of the training rows have the mean c and deviations s (one for each axis, ddof 0); d_i is the
distance of z_i from c. Distances are measured by the *chi scale*: the standard deviation of a chi
law with two degrees of freedom and scale |s|, sigma_chi = |s| sqrt(2 - pi/2). (For an isotropic
plane |s| is already sqrt(2) times the deviation of an axis, so 3 sigma_chi are 2.78 deviations.)

Two families: weights that choose among the codes at hand (`*_weights`), and radii of the prior's
own law (`shell`, `quantile_shell`) around the centre of the codes. An `Edge` names one of them:

    "data"                   the outermost tenth of the codes within 3 sigma_chi, as published
    ("data", q)              from quantile q of their distances instead of 0.9
    ("band", low, high)      codes at low to high sigma_chi; published: 2.3 to 2.7
    ("annulus", low, high)   codes at these distances from the centre; published: 10 to 20
    ("empirical", low, high) codes between these quantiles of the distances
    ("shell", r)             the sphere of r prior deviations; published: 1
    ("quantile", low, high)  the prior's radii between these quantiles of its chi law
    "prior"                  no edge at all: the prior itself, as a control
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.data.copies import copies
from gan_forensics.files import number

Edge = Any
Codes = Float[np.ndarray, "n m"]
Weights = Float[np.ndarray, " n"]
# Of the published edge: cut in chi scales, and the quantile from which codes count.
CUT, FROM = 3.0, 0.9
EDGES = {
    "data": (0, 1),
    "band": (2,),
    "annulus": (2,),
    "empirical": (2,),
    "shell": (1,),
    "quantile": (2,),
    "prior": (0,),
}
# Those that choose among the codes at hand; the others draw from the prior's own law.
WEIGHTED = ("data", "band", "annulus", "empirical")


def distances(z: Codes) -> Weights:
    """Distances [n] of codes from their mean, float64."""
    z = _codes(z)
    return np.linalg.norm(z - z.mean(0), axis=1)


def chi_scale(z: Codes) -> float:
    """sigma_chi = |s| sqrt(2 - pi/2), with s the deviations of the axes.

    Example:
        >>> z = np.random.default_rng(0).normal(0, 3, size=(20_000, 2))
        >>> round(chi_scale(z))
        3
    """
    return float(np.linalg.norm(_codes(z).std(0)) * math.sqrt(2 - math.pi / 2))


def edge_weights(z: Codes, *, start: float = FROM) -> Weights:
    """Probabilities of the published edge: p_i = d_i / sum d over the outermost tenth.

    Distances beyond 3 sigma_chi, outliers of the cloud, become zero; tau is the element at index
    floor(start n) of the ascending distances, zeros included; distances below tau become zero.

    Args:
        z: codes [n, m].
        start: share of the ascending distances to leave out, in [0, 1).

    Returns:
        Probabilities [n], summing to one.

    Raises:
        ValueError: when nothing is left, as for codes that are all alike.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(100, 2))
        >>> weights = edge_weights(z)
        >>> float(weights.min()), int((weights > 0).sum()) < 50
        (0.0, True)
    """
    _check_start(start)
    d = distances(z)
    d = np.where(d > CUT * chi_scale(z), 0.0, d)
    tau = np.sort(d)[math.floor(start * len(d))]
    return _normalised(np.where(d < tau, 0.0, d), f"from quantile {start:g} within {CUT:g} sigma")


def annulus_weights(z: Codes, *, low: float, high: float) -> Weights:
    """Probabilities p_i = d_i / sum d over codes with low <= d_i <= high.

    Raises:
        ValueError: when no code lies there, or the bounds are not in order.

    Example:
        >>> z = np.array([[-1.0, 0.0], [0.0, 0.0], [2.0, 0.0], [-1.0, 0.0]])
        >>> annulus_weights(z, low=0.5, high=1.5) > 0
        array([ True, False, False,  True])
    """
    _check_annulus(low, high)
    d = distances(z)
    return _normalised(
        np.where((d >= low) & (d <= high), d, 0.0),
        f"between {low:.4g} and {high:.4g} from the centre; distances run up to {d.max():.4g}",
    )


def empirical_weights(z: Codes, *, low: float, high: float) -> Weights:
    """Probabilities p_i = d_i / sum d over codes between two quantiles of their own distances.

    Selected are the codes of ascending rank floor(low n) to ceil(high n) - 1, so their share is
    high - low up to a code at each end.

    Raises:
        ValueError: when the quantiles are out of order or no code lies between them.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(100, 2))
        >>> weights = empirical_weights(z, low=0.9, high=1.0)
        >>> 0 < int((weights > 0).sum()) <= 11
        True
    """
    _check_quantiles(low, high)
    d = distances(z)
    order = np.argsort(d, kind="stable")
    # Rounding must not cost or add a code: 0.9 * 10 is 9.000000000000002 in some orders of work.
    first = math.floor(low * len(d) + 1e-9)
    chosen = order[first : math.ceil(high * len(d) - 1e-9)]
    kept = np.zeros(len(d))
    kept[chosen] = d[chosen]
    return _normalised(kept, f"between quantiles {low:g} and {high:g} of {len(d)} codes")


def directions(n: int, latent: int, rng: np.random.Generator) -> Codes:
    """Unit vectors [n, latent], uniform on the sphere."""
    v = rng.standard_normal((n, latent))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def shell(n: int, *, radius: float, centre: np.ndarray, rng: np.random.Generator) -> Codes:
    """Points [n, m] uniform on the sphere of a radius around a centre [m].

    Example:
        >>> points = shell(5, radius=2.0, centre=np.zeros(3), rng=np.random.default_rng(0))
        >>> np.linalg.norm(points, axis=1).round(6)
        array([2., 2., 2., 2., 2.])
    """
    _check_radius(radius)
    centre = np.asarray(centre, np.float64)
    return centre + radius * directions(n, len(centre), rng)


def quantile_shell(
    n: int, *, low: float, high: float, scale: float, centre: np.ndarray, rng: np.random.Generator
) -> Codes:
    """Points [n, m] of the prior around a centre, given that their radius has a quantile in range.

    The radius is the inverse of the chi law at u ~ U(low, high), the direction uniform.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> quantile_shell(6, low=0.9, high=0.99, scale=5.0, centre=np.zeros(2), rng=rng).shape
        (6, 2)
    """
    from scipy.stats import chi

    _check_quantiles(low, high)
    centre = np.asarray(centre, np.float64)
    # Through the upper tail, where a difference from one would lose its digits.
    tail = 1 - low - (high - low) * rng.uniform(size=n)
    radius = chi.isf(np.maximum(tail, np.finfo(float).tiny), len(centre), scale=scale)
    return centre + radius[:, None] * directions(n, len(centre), rng)


def neighbours(
    z: Codes, *, k: int = 1, twins: bool = False
) -> tuple[Int[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """The k nearest other rows of every row: (indices, distances), nearest first.

    Args:
        z: rows.
        k: how many.
        twins: whether copies of a row are its neighbours, at distance 0, as in published code;
            else they are taken among distinct rows.

    Raises:
        ValueError: when there are not k other rows.

    Example:
        >>> places, distances = neighbours(np.array([[0.0], [1.0], [3.0]]))
        >>> places.ravel(), distances.ravel()
        (array([1, 0, 1]), array([1., 1., 2.]))
    """
    from sklearn.neighbors import NearestNeighbors

    z = _codes(z)
    found = copies(z)
    places = z if twins else z[found.first]
    if not 1 <= k < len(places):
        raise ValueError(
            f"{k} neighbours need at least {k + 1} rows that differ, got {len(places)} (of "
            f"{len(z)})"
        )
    # Without a query, scikit-learn leaves every row out of its own neighbours, twins included.
    distance, index = NearestNeighbors(n_neighbors=k).fit(places).kneighbors()
    if twins:
        return index, distance
    return found.first[index][found.of], distance[found.of]


def codes_at_edge(
    z: Codes, n: int, *, edge: Edge = "data", scale: float, rng: np.random.Generator
) -> Codes:
    """Draw n codes at an edge of a latent cloud.

    Args:
        z: codes [k, m] of the training rows.
        n: how many to draw; choices among the codes are made with replacement.
        edge: see the head of this module.
        scale: deviation of the prior, for the edges that are of the prior's law.
        rng: of the draw.

    Returns:
        Codes [n, m], float64.

    Raises:
        ValueError: for an edge that is unknown, ill formed, or selects nothing.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(0, 5, size=(100, 2))
        >>> codes_at_edge(z, 7, edge=("shell", 2.0), scale=5.0, rng=rng).shape
        (7, 2)
    """
    z = _codes(z)
    name, numbers = parse_edge(edge)
    centre = z.mean(0)
    if name == "prior":
        return scale * rng.standard_normal((n, z.shape[1]))
    if name == "shell":
        return shell(n, radius=numbers[0] * scale, centre=centre, rng=rng)
    if name == "quantile":
        low, high = numbers
        return quantile_shell(n, low=low, high=high, scale=scale, centre=centre, rng=rng)
    return z[rng.choice(len(z), n, p=weights_of(z, edge))]


def weights_of(z: Codes, edge: Edge) -> Weights:
    """Probabilities [n] of an edge that chooses among the codes at hand.

    Raises:
        ValueError: for an edge of the prior's law, or one that selects nothing.
    """
    name, numbers = parse_edge(edge)
    if name == "data":
        return edge_weights(z, start=numbers[0] if numbers else FROM)
    if name not in WEIGHTED:
        raise ValueError(f"edge {edge!r} draws from the prior's law and has no weights of codes")
    low, high = numbers
    if name == "empirical":
        return empirical_weights(z, low=low, high=high)
    scale = chi_scale(z) if name == "band" else 1.0
    return annulus_weights(z, low=scale * low, high=scale * high)


def parse_edge(edge: Edge) -> tuple[str, tuple[float, ...]]:
    """Name and numbers of an edge.

    Raises:
        ValueError: for an unknown name, a wrong count of numbers, and numbers that select nothing
            whatever the codes.
    """
    name, *numbers = [edge] if isinstance(edge, str) else list(edge)
    if name not in EDGES or len(numbers) not in EDGES[name]:
        forms = ", ".join(f"{key} with {' or '.join(map(str, n))}" for key, n in EDGES.items())
        raise ValueError(f"edge {edge!r} is none of: {forms} numbers, such as ('shell', 2.0)")
    try:
        values = tuple(number(n) if isinstance(n, str) else float(n) for n in numbers)
    except (TypeError, ValueError) as error:
        raise ValueError(f"edge {edge!r} must hold numbers after its name") from error
    if values:
        _CHECKS[name](*values)
    return name, values


def _check_start(start: float) -> None:
    if not 0 <= start < 1:
        raise ValueError(f"the edge must start at a quantile in [0, 1), got {start}")


def _check_annulus(low: float, high: float) -> None:
    if not 0 <= low < high:
        raise ValueError(f"an annulus needs 0 <= low < high, got {low:g} and {high:g}")


def _check_radius(radius: float) -> None:
    if not (math.isfinite(radius) and radius > 0):
        raise ValueError(f"a shell needs a positive, finite radius, got {radius}")


def _check_quantiles(low: float, high: float) -> None:
    if not 0 <= low < high <= 1:
        raise ValueError(
            f"quantiles {low:g} to {high:g} select nothing: give 0 <= low < high <= 1, such as "
            "0.90 and 0.997"
        )


_CHECKS = {
    "data": _check_start,
    "band": _check_annulus,
    "annulus": _check_annulus,
    "empirical": _check_quantiles,
    "shell": _check_radius,
    "quantile": _check_quantiles,
}


def _normalised(d: np.ndarray, where: str) -> np.ndarray:
    total = d.sum()
    if not total > 0:
        raise ValueError(f"the edge selects no code ({where}): widen it, or use more rows")
    return d / total


def _codes(z) -> np.ndarray:
    z = np.asarray(z, np.float64)
    if z.ndim != 2 or not z.size:
        raise ValueError(f"codes must be [n, m] with n, m >= 1, got {list(z.shape)}")
    if not np.isfinite(z).all():
        raise ValueError("codes must be finite: the autoencoder has diverged or was fed NaN")
    return z
