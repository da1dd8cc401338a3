"""Streaming mean and covariance of features, for more images than fit into memory.

A state is (count, mean, scatter), scatter = sum (x - mean)(x - mean)^T. Two states merge by the
formula of Chan, Golub and LeVeque (1979): with delta = mean_b - mean_a and n = n_a + n_b,

    mean = mean_a + delta n_b / n,    scatter = scatter_a + scatter_b + delta delta^T n_a n_b / n,

so that the result depends on neither order nor batch split beyond rounding in float64, and no
difference of large sums is taken.
"""

from functools import reduce
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import struct
from flax.serialization import from_bytes, to_bytes
from jaxtyping import Array, Bool, Float, Float64

from gan_forensics.quality.score import check_features


class Moments(NamedTuple):
    """Mean, covariance (divided by n - 1; zero for a single example), and number of examples.

    Example:
        >>> Moments(mean=np.zeros(2), covariance=np.eye(2), count=50).count
        50
    """

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]
    count: int


@struct.dataclass
class FeatureMoments:
    """Mean and covariance over a stream of features, in float64 on the host.

    It is a pytree, so it checkpoints as it is.

    Example:
        >>> state = FeatureMoments.zero(2).update(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> state.result().mean, state.result().covariance
        (array([2., 5.]), array([[2., 0.],
               [0., 0.]]))
    """

    count: Any
    mean: Any
    scatter: Any

    @classmethod
    def zero(cls, features: int) -> "FeatureMoments":
        """The state before any example with that many features."""
        square = np.zeros((features, features))
        return cls(count=np.zeros((), np.int64), mean=np.zeros(features), scatter=square)

    def update(
        self,
        values: Float[Array | np.ndarray, "b d"],
        mask: Bool[Array | np.ndarray, " b"] | None = None,
    ) -> "FeatureMoments":
        """The state after a batch.

        Args:
            values: features, a row for each example.
            mask: rows to count; a row that is masked out is ignored even if it holds NaN.

        Raises:
            ValueError: for another number of features, a mask of another length, and for values
                that are not finite (naming the row in this batch).
        """
        values = np.asarray(values)
        if values.ndim != 2 or values.shape[1:] != self.mean.shape:
            raise ValueError(
                f"features of shape {list(values.shape)} do not fit moments of "
                f"{len(self.mean)} features: give [b, {len(self.mean)}]"
            )
        if mask is not None:
            mask = np.asarray(mask, bool)
            if mask.shape != values.shape[:1]:
                raise ValueError(
                    f"mask has shape {list(mask.shape)} for {len(values)} rows: give [b]"
                )
            values = values[mask]
        if not len(values):
            return self
        values = check_features(values, "features")
        mean = values.mean(0)
        centred = values - mean
        batch = FeatureMoments(count=np.int64(len(values)), mean=mean, scatter=centred.T @ centred)
        return self.merge(batch)

    def merge(self, other: "FeatureMoments") -> "FeatureMoments":
        """The state that has seen what both have seen."""
        count = self.count + other.count
        if not count:
            return self
        delta = other.mean - self.mean
        share = other.count / count
        return FeatureMoments(
            count=count,
            mean=self.mean + delta * share,
            scatter=self.scatter + other.scatter + np.outer(delta, delta * (self.count * share)),
        )

    def result(self) -> Moments:
        """Mean, covariance and count.

        Raises:
            ValueError: before the first example.
        """
        if not self.count:
            raise ValueError("moments of no examples: update them first")
        covariance = self.scatter / max(int(self.count) - 1, 1)
        return Moments(self.mean, (covariance + covariance.T) / 2, int(self.count))


def over_processes(state: FeatureMoments) -> FeatureMoments:
    """Merge the states of all processes of a distributed run; every process gets the whole.

    Every process must call it. The float64 values travel as bytes, since JAX would round them.

    Example:
        >>> state = FeatureMoments.zero(2).update(np.eye(2))
        >>> over_processes(state).result().count
        2
    """
    if jax.process_count() == 1:
        return state
    from jax.experimental.multihost_utils import process_allgather

    packed = np.frombuffer(to_bytes(jax.tree.map(np.asarray, state)), np.uint8)
    rows = np.asarray(process_allgather(packed))
    states: Any = (from_bytes(state, row.tobytes()) for row in rows)
    return reduce(FeatureMoments.merge, states)
