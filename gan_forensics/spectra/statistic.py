"""Streaming mean and spread of spectra, for more images than fit into memory.

A state is (count, mean, sum of squared deviations). Two states merge by the parallel formula of
Chan, Golub and LeVeque (1979): with delta = mean_b - mean_a and n = n_a + n_b,

    mean = mean_a + delta n_b / n,    m2 = m2_a + m2_b + delta^2 n_a n_b / n,

so that the result depends on neither order nor batch split beyond rounding, and no difference of
large sums is ever taken.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Bool, Float, Int


class SpectrumSummary(NamedTuple):
    """Mean and population standard deviation per bin, and the number of spectra behind them.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.spectra import SpectrumStatistic
        >>> summary = SpectrumStatistic.zero(1).update(np.array([[1.0], [3.0]])).result()
        >>> summary.mean.tolist(), summary.std.tolist(), int(summary.count)
        ([2.0], [1.0], 2)
    """

    mean: Float[Array | np.ndarray, "*bins"]
    std: Float[Array | np.ndarray, "*bins"]
    count: Int[Array | np.ndarray, ""]


@register_dataclass
@dataclass(frozen=True)
class SpectrumStatistic:
    """Mean and spread over a stream of arrays of one shape.

    With NumPy values it computes in float64 on the host; with JAX values (inside jit, scan or a
    sharded step) in float32. It is a pytree, so it checkpoints and crosses jit as it is.

    Example:
        >>> import numpy as np
        >>> statistic = SpectrumStatistic.zero(2).update(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> statistic.result().mean, statistic.result().std
        (array([2., 5.]), array([1., 0.]))
    """

    count: Any
    mean: Any
    m2: Any

    @classmethod
    def zero(cls, bins: int | tuple[int, ...]) -> "SpectrumStatistic":
        """The state before any value; `bins` is the length or shape of one spectrum."""
        return cls(count=np.zeros((), np.int64), mean=np.zeros(bins), m2=np.zeros(bins))

    def update(
        self,
        values: Float[Array | np.ndarray, "b *bins"],
        mask: Bool[Array | np.ndarray, " b"] | None = None,
    ) -> "SpectrumStatistic":
        """The state after a batch of spectra.

        Args:
            values: one spectrum per row.
            mask: rows to count; a row that is masked out is ignored even if it holds NaN.

        Raises:
            ValueError: if the shape of a row is not the one of this state.
        """
        if values.shape[1:] != self.mean.shape:
            raise ValueError(
                f"values of shape {values.shape} do not fit a statistic of {self.mean.shape}; give "
                "[b, *bins]"
            )
        xp = values.__array_namespace__()
        kept = xp.ones(len(values), dtype=bool) if mask is None else xp.asarray(mask, dtype=bool)
        if kept.shape != values.shape[:1]:
            raise ValueError(f"mask has shape {kept.shape} for {len(values)} values; give [b]")
        rows = kept.reshape(-1, *[1] * (values.ndim - 1))
        count = kept.sum()
        mean = xp.where(rows, values, 0).sum(0) / _positive(count)
        m2 = xp.where(rows, (values - mean[None]) ** 2, 0).sum(0)
        return self.merge(SpectrumStatistic(count=count, mean=mean, m2=m2))

    def merge(self, other: "SpectrumStatistic") -> "SpectrumStatistic":
        """The state that has seen what both have seen."""
        count = self.count + other.count
        delta = other.mean - self.mean
        share = other.count / _positive(count)
        return SpectrumStatistic(
            count=count,
            mean=self.mean + delta * share,
            m2=self.m2 + other.m2 + delta**2 * (self.count * share),
        )

    def result(self) -> SpectrumSummary:
        """Mean, population standard deviation and count; zeros before the first value."""
        std = (self.m2 / _positive(self.count)) ** 0.5
        return SpectrumSummary(mean=self.mean, std=std, count=self.count)


def _positive(count):
    # An empty state has all sums zero; one instead of zero keeps its mean and spread zero too.
    return count + (count == 0)
