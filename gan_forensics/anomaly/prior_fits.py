"""Does the law of the codes match the prior? What to look at before drawing from its edge."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

INDISTINGUISHABLE = 2 * math.log(2)
# Tolerances of the verdict: off-centre by a quarter of a prior deviation, axes off by a quarter,
# and a discriminator that is a tenth of a nat better than guessing.
CENTRE, SPREAD, LOSS = 0.25, 0.25, 0.1


@dataclass(frozen=True)
class PriorFit:
    """Moments of codes beside those of the prior, in units of the prior's deviation.

    Attributes:
        centre: distance of the mean from the origin; 0 for the prior.
        spread: deviation along each axis; 1 for the prior.
        tails: share of codes beyond the prior's quantile q of |z|, for each q; 1 - q for the prior.
        ks: Kolmogorov-Smirnov distance of the law of |z| from the chi law; 0 for the prior.
        loss: sum of the discriminator's two mean losses over the last tenth of training, if known;
            2 ln 2 = 1.386 where it cannot tell codes from the prior.

    Example:
        >>> fit = PriorFit(centre=0.1, spread=(1.0, 0.9), tails={0.9: 0.1}, ks=0.1)
        >>> fit.spread
        (1.0, 0.9)
    """

    centre: float
    spread: tuple[float, ...]
    tails: dict[float, float]
    ks: float
    loss: float | None = None

    @property
    def amiss(self) -> str:
        """What lies beyond the tolerances of this module, in words; empty where nothing does."""
        said = []
        if not self.centre <= CENTRE:
            said.append(f"their centre is {self.centre:.2g} prior deviations off")
        if not all(abs(s - 1) <= SPREAD for s in self.spread):
            spread = ", ".join(f"{s:.2g}" for s in self.spread)
            said.append(f"their deviations are {spread} of the prior's")
        if self.loss is not None and not self.loss >= INDISTINGUISHABLE - LOSS:
            said.append(f"the discriminator tells them apart (loss {self.loss:.2f} of 1.39)")
        return "; ".join(said)

    @property
    def matches(self) -> bool:
        """Whether centre, spread and (if known) loss are within the tolerances of this module."""
        return not self.amiss


def prior_fit(
    z: Float[np.ndarray, "n m"], *, scale: float, losses: np.ndarray | None = None
) -> PriorFit:
    """Compare codes with the prior N(0, scale^2 I).

    Args:
        z: codes of the training rows.
        scale: deviation of the prior's axes.
        losses: the discriminator's losses by step.

    Example:
        >>> z = np.random.default_rng(0).normal(0, 5, size=(5000, 2))
        >>> prior_fit(z, scale=5.0).matches
        True
    """
    from scipy.stats import chi, kstest

    z = np.asarray(z, np.float64) / scale
    lengths = np.linalg.norm(z, axis=1)
    latent = z.shape[1]
    last_tenth = None if losses is None else losses[-max(1, len(losses) // 10) :]
    return PriorFit(
        centre=float(np.linalg.norm(z.mean(0))),
        spread=tuple(float(s) for s in z.std(0)),
        tails={q: float((lengths > chi.ppf(q, latent)).mean()) for q in (0.5, 0.9, 0.99)},
        ks=float(kstest(lengths, chi(latent).cdf, method="asymp").statistic),
        loss=None if last_tenth is None else float(np.mean(last_tenth)),
    )
