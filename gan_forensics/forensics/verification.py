"""Verification: do two images, or two folders of them, come from one generator?

Embeddings are centred on the mean of the known sources, of a gallery of held-out images; two sets
are as similar as the cosine of their mean embeddings. What that says is read off pairs of sets of
the SAME sizes that are drawn from the gallery: more images make means, and with them verdicts,
surer.

What it cannot say: its error rates are those of the gallery's sources, each pair of sources
counting alike. Two unknown generators may be embedded in one place and pass for one, or an unknown
one's images may scatter more than those of any known source; neither is covered by the rates, and
no number of gallery images mends it. Whether another training run of a generator counts as the same
one is decided by the labels of the gallery. Nothing here says *which* generator it was.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

# Share of pairs of either kind that may get the other kind's verdict.
WRONG = 0.05
# Pairs of sets that are drawn of either kind.
DRAWN = 1000
# Disjoint pairs of sets that 5 % can be told with, as in `smallest_calibration_set`.
_FEWEST_PAIRS = 19
_SEED = 0


class Verification(NamedTuple):
    """Whether two sets of images come from one generator.

    Attributes:
        similarity: cosine of the mean embeddings, centred on the gallery, in [-1, 1].
        probability: that they come from one, if that was as likely as not beforehand; by logistic
            regression on similarities of the gallery's pairs.
        verdict: "same", "different" or "unsure".
        false_match: share of pairs of different sources that are at least as similar.
        false_non_match: share of pairs of one source that are at most as similar.
    """

    similarity: float
    probability: float
    verdict: str
    false_match: float
    false_non_match: float


class Verifier:
    """Compares images with regard to a gallery of embeddings [m, d] with labels [m].

    The gallery is of images that did not train the embedding: those are told apart too well.
    """

    def __init__(
        self,
        features: Float[np.ndarray, "m d"],
        labels: Int[np.ndarray, " m"],
        *,
        seed: int = _SEED,
    ) -> None:
        """Keep a gallery.

        Args:
            features: finite.
            labels: of the source of each.
            seed: of the pairs that are drawn; equal seeds give equal verdicts.

        Raises:
            ValueError: for shapes that do not fit, or less than two sources of four images.
        """
        gallery, labels = _embeddings("the gallery", features), np.asarray(labels)
        if labels.shape != (len(gallery),):
            raise ValueError(
                f"the gallery has {len(gallery)} embeddings and labels {list(labels.shape)}"
            )
        sources = [gallery[labels == label] for label in np.unique(labels)]
        # Every source counts alike, however many images it has.
        self._centre = np.mean([source.mean(0) for source in sources], 0)
        self._sources = [source - self._centre for source in sources]
        self._seed = seed
        self._known: dict[tuple[int, int], _Pairs] = {}
        if not self.largest:
            sizes = ", ".join(str(len(source)) for source in self._sources)
            raise ValueError(
                "verification needs a gallery of at least two sources that together hold "
                f"{_FEWEST_PAIRS} pairs of images, each in a source of four images or more; "
                f"the sources have {sizes} images: fit with more images"
            )

    @property
    def largest(self) -> int:
        """The most images that either of two equally large sets may have; 0 if none will do."""
        most = max(len(source) for source in self._sources) // 4
        return next((size for size in range(most, 0, -1) if self._enough(size, size)), 0)

    def compare(self, a: Float[np.ndarray, "p d"], b: Float[np.ndarray, "q d"]) -> Verification:
        """Compare two sets of embeddings; the order of the sets does not matter.

        The verdict is "same" where at most 5 % of pairs of different sources are at least as
        similar but more than 5 % of pairs of one source at most as similar, "different" the other
        way round, and "unsure" where either both kinds have such pairs or neither kind has.

        Args:
            a, b: of the same embedding as the gallery, with one row or more; not of its images.

        Raises:
            ValueError: for embeddings of another length, and sets too large for the gallery.
        """
        from scipy.special import expit

        a, b = _embeddings("the first set", a), _embeddings("the second set", b)
        width = len(self._centre)
        if a.shape[1] != width or b.shape[1] != width:
            raise ValueError(
                f"embeddings have {a.shape[1]} and {b.shape[1]} numbers, those of the gallery "
                f"{width}"
            )
        pairs = self._pairs(min(len(a), len(b)), max(len(a), len(b)))
        similarity = _cosine(a.mean(0) - self._centre, b.mean(0) - self._centre)
        # One more than was drawn: a new pair outranks all of them with 1 / (drawn + 1).
        false_match = (1 + int((pairs.different >= similarity).sum())) / (DRAWN + 1)
        false_non_match = (1 + int((pairs.same <= similarity).sum())) / (DRAWN + 1)
        verdict = "unsure"
        if false_match <= WRONG < false_non_match:
            verdict = "same"
        elif false_non_match <= WRONG < false_match:
            verdict = "different"
        probability = float(expit(pairs.offset + pairs.slope * similarity))
        return Verification(similarity, probability, verdict, false_match, false_non_match)

    def _usable(self, few: int, many: int) -> list[np.ndarray]:
        """Sources of which a pair of sets is at most the half: means of all vary too little."""
        return [source for source in self._sources if len(source) >= 2 * (few + many)]

    def _enough(self, few: int, many: int) -> bool:
        sources = self._usable(few, many)
        disjoint = sum(len(source) // (few + many) for source in sources)
        return len(sources) >= 2 and disjoint >= _FEWEST_PAIRS

    def _pairs(self, few: int, many: int) -> "_Pairs":
        """Similarities of pairs of sets of so many images, drawn from the gallery."""
        if (few, many) in self._known:
            return self._known[few, many]
        if not self._enough(few, many):
            raise ValueError(
                f"the gallery is too small to say how alike sets of {few} and {many} images are: "
                f"it allows sets of at most {self.largest} images each. Compare fewer images, or "
                "fit with more held-out ones"
            )
        sources, rng = self._usable(few, many), np.random.default_rng([self._seed, few, many])
        same, different = np.empty(DRAWN), np.empty(DRAWN)
        for i in range(DRAWN):
            source = sources[rng.integers(len(sources))]
            rows = rng.choice(len(source), few + many, replace=False)
            same[i] = _cosine(source[rows[:few]].mean(0), source[rows[few:]].mean(0))
            one, other = (sources[k] for k in rng.choice(len(sources), 2, replace=False))
            different[i] = _cosine(
                one[rng.choice(len(one), few, replace=False)].mean(0),
                other[rng.choice(len(other), many, replace=False)].mean(0),
            )
        self._known[few, many] = _Pairs(same, different, *_logistic(same, different))
        return self._known[few, many]


class _Pairs(NamedTuple):
    """Similarities of drawn pairs, and ln odds = offset + slope similarity of the same source."""

    same: Float64[np.ndarray, " n"]
    different: Float64[np.ndarray, " n"]
    offset: float
    slope: float


def _logistic(same: np.ndarray, different: np.ndarray) -> tuple[float, float]:
    """Offset and slope of logistic regression; the slope is not negative.

    Each kind counts alike, and its targets are (n + 1) / (n + 2) and 1 / (n + 2) (Platt, 1999): the
    regression is finite also where a similarity parts the kinds.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    x = np.concatenate([same, different])
    middle, spread = float(x.mean()), float(x.std()) or 1.0
    x = (x - middle) / spread
    hit = (len(same) + 1) / (len(same) + 2)
    target = np.repeat([hit, 1 - hit], [len(same), len(different)])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        z = weights[0] + weights[1] * x
        error = expit(z) - target
        value = np.logaddexp(0, z) - target * z
        return float(value.mean()), np.array([error.mean(), (error * x).mean()])

    found = minimize(loss, [0.0, 1.0], jac=True, bounds=[(None, None), (0, None)])
    offset, slope = (float(w) for w in found.x)
    return offset - slope * middle / spread, slope / spread


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two vectors; 0 where one has no length, as for a set in the centre."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / lengths, -1, 1)) if lengths > 0 else 0.0


def _embeddings(what: str, features) -> Float64[np.ndarray, "n d"]:
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or not features.size:
        raise ValueError(
            f"{what} must be embeddings [images, numbers], at least one, got shape "
            f"{list(features.shape)}"
        )
    if not np.isfinite(features).all():
        raise ValueError(f"{what} holds embeddings that are not finite: leave those images out")
    return features
