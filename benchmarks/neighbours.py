"""Speed of the neighbour embedding with its gradients beside the product of all pairs alone.

    python -m benchmarks.neighbours

No form of it can do without the n x n products of the samples, forth, and back to the samples. Of
images (d = 3072, 32x32x3) they are nearly all the work, of points (d = 2) next to none. Every row
is the best of several runs, in one process, so that the ratio shares one machine state.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.spectra import best_milliseconds
from gan_forensics.gans import neighbour_embedding

N, LATENT = 256, 2


def measure(d: int, repeats: int) -> tuple[float, float]:
    """Milliseconds of the loss and of the product, each with its gradients."""
    rng = np.random.default_rng(0)
    z, x = (jnp.asarray(rng.standard_normal((N, k)), jnp.float32) for k in (LATENT, d))
    ours = jax.jit(jax.value_and_grad(neighbour_embedding, (0, 1)))
    weights = jnp.asarray(rng.standard_normal((N, N)), jnp.float32)
    product = jax.jit(jax.value_and_grad(lambda x: (weights * (x @ x.T)).sum()))
    times = best_milliseconds({"ours": lambda: ours(z, x), "product": lambda: product(x)}, repeats)
    return times["ours"], times["product"]


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"n = {N}, float32, {jax.default_backend()}")
    print(f"{'d':>6} {'loss ms':>9} {'product ms':>11} {'ratio':>7}")
    for d in (2, 3072):
        ours, product = measure(d, repeats=20)
        print(f"{d:6} {ours:9.2f} {product:11.2f} {ours / product:7.1f}")


if __name__ == "__main__":
    main()
