"""Memory of the InfoNCE loss and its gradient against the batch size: ours, and the usual form.

    python -m benchmarks.infonce_memory

The usual form writes every positive with all its negatives in a row and takes the softmax, N L rows
of 1 + N L scores; ours makes at most N x N x L, a few images at a time. Features as of a 32x32
discriminator: L = 64 places, R = 1024 numbers, float32. The numbers are the scratch memory of the
compiled function, as XLA plans it, so nothing is run.
"""

import argparse

import jax
import jax.numpy as jnp

from gan_forensics.gans import infomax_loss

PLACES, WIDTH = 64, 1024
BATCHES = (16, 32, 64, 128, 256, 512)


def usual(p, q):
    """The loss of the mask -10 with all scores written out."""
    n, places, _ = p.shape
    scores = jnp.einsum("ir,jlr->ijl", q, p)
    own = jnp.eye(n, dtype=bool)[:, :, None]
    negatives = jnp.where(own, -10.0, scores).reshape(n, 1, -1)
    positives = jnp.einsum("ir,ilr->il", q, p)[:, :, None]
    rows = jnp.broadcast_to(negatives, (n, places, n * places))
    return -jax.nn.log_softmax(jnp.concatenate([positives, rows], 2), axis=2)[:, :, 0].mean()


def scratch(loss, n: int) -> int:
    """Bytes of scratch memory of a loss and its gradients."""
    p = jax.ShapeDtypeStruct((n, PLACES, WIDTH), jnp.float32)
    q = jax.ShapeDtypeStruct((n, WIDTH), jnp.float32)
    compiled = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(p, q).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"{'batch':>6} {'features MB':>12} {'ours MB':>9} {'usual MB':>9} {'usual / ours':>13}")
    for n in BATCHES:
        features = 4 * n * (PLACES + 1) * WIDTH
        ours, theirs = scratch(infomax_loss, n), scratch(usual, n)
        print(
            f"{n:6} {features / 1e6:12.1f} {ours / 1e6:9.1f} {theirs / 1e6:9.1f} "
            f"{theirs / ours:13.1f}"
        )


if __name__ == "__main__":
    main()
