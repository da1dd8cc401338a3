"""A plain perceptron with ReLU between its layers, for rows of tables and latent codes."""

import itertools
import math
from typing import Any, Literal, cast

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, PyTree

from gan_forensics.nn.network import Network

# Rows that go through a network at once.
CHUNK = 8192

Output = Literal["linear", "sigmoid"]
Start = Literal["glorot", "normal"]


class MLP(Network):
    """Dense layers, ReLU after each but the last.

    Attributes:
        hidden: widths of the hidden layers.
        features: width of the output.
        output: "linear", or "sigmoid" for outputs in (0, 1).
        dtype: of the computation; parameters stay float32.
    """

    hidden: tuple[int, ...]
    features: int
    output: Output = "linear"
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b features"]:
        """Map rows to rows, over any leading axes."""
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, dtype=self.dtype)(x))
        x = nn.Dense(self.features, dtype=self.dtype)(x)
        return nn.sigmoid(x) if self.output == "sigmoid" else x


def init_mlp(
    network: MLP, width: int, *, rng: np.random.Generator, start: Start = "glorot"
) -> dict[str, dict[str, Float[np.ndarray, "..."]]]:
    """Initial parameters, drawn on the host: for small networks, compiling would take far longer.

    Args:
        network: whose parameters.
        width: of its input.
        rng: of the draw.
        start: law of the kernels: "glorot", uniform up to sqrt(6 / (in + out)), the default of
            Keras; or "normal", a normal law of deviation 0.01 before it is cut at two deviations,
            as in early TensorFlow code. Biases are zero.
    """
    widths = (width, *network.hidden, network.features)
    params = {}
    for i, shape in enumerate(itertools.pairwise(widths)):
        if start == "glorot":
            reach = math.sqrt(6 / sum(shape))
            kernel = rng.uniform(-reach, reach, shape)
        else:
            from scipy.special import ndtr, ndtri

            # By the inverse of the law's distribution function.
            low, high = ndtr(-2.0), ndtr(2.0)
            kernel = 0.01 * ndtri(rng.uniform(low, high, shape))
        params[f"Dense_{i}"] = {
            "kernel": kernel.astype(np.float32),
            "bias": np.zeros(shape[1], np.float32),
        }
    return params


def run_mlp(network: MLP, params: PyTree, x: Array) -> Array:
    """Apply a network; for use inside `jit`."""
    return cast(Array, network.apply({"params": params}, x))


_run = jax.jit(run_mlp, static_argnums=0)


def map_rows(network: MLP, params: PyTree, x: Float[np.ndarray, "n a"]) -> Float[np.ndarray, "n b"]:
    """Apply a network to host rows of any number, none included, a chunk at a time."""
    x = np.asarray(x, np.float32)
    parts = []
    for first in range(0, max(len(x), 1), CHUNK):
        part = x[first : first + CHUNK]
        # Lengths are rounded up to powers of two, so that few are ever compiled.
        padded = np.zeros((1 << max(len(part) - 1, 0).bit_length(), x.shape[1]), np.float32)
        padded[: len(part)] = part
        parts.append(np.asarray(_run(network, params, padded))[: len(part)])
    return np.concatenate(parts)
