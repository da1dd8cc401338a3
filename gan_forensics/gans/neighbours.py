"""Neighbour embedding: samples keep the neighbours that their latents have (GN-GAN's regulariser).

Of n latents and the n samples made of them, the similarities P and Q of all pairs are compared, as
t-SNE does, but with a Student kernel on both sides and without a search for a perplexity:

    k_ij = 1 / (1 + d_ij^2 / (2 s^2)),  k_ii = 0        d_ij = ||x_i - x_j||
    p_ij = (k_ij / sum_k k_ik + k_ij / sum_k k_jk) / (2n)
    loss = KL(P || Q) = sum_{i != j} p_ij log(p_ij / q_ij)

s^2 is the population variance of the distances off the diagonal. P and Q do not change when one
side is moved, turned or stretched, so that a slope grows as 1 / spread where all samples draw
together; where they coincide, it is 0.

Tran et al., "Improving GAN with neighbors embedding and gradient matching" (AAAI 2019) published no
code, and its text was not at hand. The kernels, the direction of the divergence, 2 s^2, 1/(2n) and
that z and E(x) stand in one list are recollection, confirmed by the code of a third party. That
code has the distance itself in the place of its square (`power=1`). The square, what the variance
is taken of, and that nothing is held constant by default, are choices; so is the space for images.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.gans.autoencoder import (
    AUTOENCODER,
    encoded,
    judged_reconstruction,
    reconstructed,
)
from gan_forensics.gans.context import Context
from gan_forensics.gans.task import Loss, Task, Weight

Power = Literal[2, 1]
Place = Literal["autoencoder", "generator"]
Space = Literal["data", "feature"]
PLACES: tuple[Place, ...] = ("autoencoder", "generator")
SPACES: tuple[Space, ...] = ("data", "feature")

# Numbers of all n x n differences of vectors that are made; above it, a product stands for them,
# which is the faster from there on.
_DIFFERENCES_AT_ONCE = 2**16


def similarities(points: Float[Array, "n *shape"], *, power: Power = 2) -> Float[Array, "n n"]:
    """The symmetric similarities p_ij of all pairs: not negative, 0 on the diagonal, of sum 1.

    Where all pairs are as far apart, so that s^2 = 0, they are all alike: 1 / (n (n - 1)), which is
    the limit; so they are where all points coincide. One point has none: 0.

    Args:
        points: of any shape; float32 or better is computed with.
        power: 2 as above; 1 as in the third party's code, k_ij = 1 / (1 + d_ij / (2 v)) with v the
            unbiased variance of all n^2 distances, the zeros of the diagonal among them. Its
            similarities change with the scale of the points.

    Raises:
        ValueError: for another power.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> points = np.float32([[0], [1], [9]])
        >>> np.asarray(jax.jit(similarities)(points)).round(2)
        array([[0.  , 0.26, 0.11],
               [0.26, 0.  , 0.13],
               [0.11, 0.13, 0.  ]], dtype=float32)
    """
    if power not in (1, 2):
        raise ValueError(
            f"unknown power {power!r} of the distance: 2, or 1 as a third party has it"
        )
    squared = _squared_distances(jnp.asarray(points))
    n = len(squared)
    if n < 2:
        return jnp.zeros_like(squared)
    apart = _apart(n)
    # No root has a slope at 0: on the diagonal, and between equal points, it counts as 0.
    root = apart & (squared != 0)
    distances = jnp.where(root, jnp.sqrt(jnp.where(root, squared, 1)), 0)
    if power == 2:
        pairs = n * (n - 1)
        deviations = jnp.where(apart, distances - distances.sum() / pairs, 0)
        far, variance = squared, jnp.square(deviations).sum() / pairs
    else:
        far, variance = distances, distances.var(ddof=1)

    # k / (2 s^2) in the place of k, the same after division by the rows' sums, has a value where
    # s^2 = 0. Dividing by the largest, a constant there, keeps powers of tiny spreads in range.
    inverse = 2 * variance + far
    largest = jax.lax.stop_gradient(inverse.max())
    inverse = jnp.where(largest != 0, inverse / jnp.where(largest != 0, largest, 1), 1)
    kernel = jnp.where(apart, 1 / jnp.where(apart, inverse, 1), 0)
    # The kernel is symmetric: its columns have the sums of its rows.
    inverse_sums = 1 / kernel.sum(1)
    return kernel * (inverse_sums[:, None] + inverse_sums[None]) / (2 * n)


def neighbour_embedding(
    latents: Float[Array, "n *latent"],
    samples: Float[Array, "n *shape"],
    *,
    power: Power = 2,
    stop_gradient: bool = False,
) -> Float[Array, ""]:
    """KL(P || Q) in nats, P the similarities of the latents, Q those of the samples in their order.

    0 for up to two points, and where the samples are the latents moved, turned or stretched. (The
    third party adds 2e-16 to both sides of the fraction, which is less than rounding.)

    Args:
        latents: z.
        samples: x, of any shape.
        power: as in `similarities`.
        stop_gradient: whether P is held constant, so that only samples are moved.

    Raises:
        ValueError: for another power, and for other numbers of latents than of samples.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> latents, loss = np.float32([[0], [1], [4]]), jax.jit(neighbour_embedding)
        >>> round(abs(float(loss(latents, 5 - 2 * latents))), 4)  # moved, turned and stretched
        0.0
        >>> round(float(loss(latents, latents[[0, 2, 1]])), 3)  # with other neighbours
        0.342
    """
    if len(latents) != len(samples):
        raise ValueError(
            f"{len(latents)} latents and {len(samples)} samples do not belong together: give the "
            "sample of every latent, in their order"
        )
    p, q = similarities(latents, power=power), similarities(samples, power=power)
    if stop_gradient:
        p = jax.lax.stop_gradient(p)
    apart = _apart(len(p))
    return (p * jnp.log(jnp.where(apart, p, 1) / jnp.where(apart, q, 1))).sum()


def neighbour_task(
    *,
    weight: Weight = 1.0,
    place: Place,
    space: Space = "data",
    power: Power = 2,
    stop_gradient: bool = False,
) -> Task:
    """Neighbour embedding in the move of the autoencoder, or of the generator of any GAN.

        place          latents       samples
        autoencoder    z and E(x)    G(z) and G(E(x)), by recollection as in GN-GAN
        generator      z             G(z); needs no encoder

    (The third party, with one seed on 25 Gaussians, saw the first collapse and the second not.)
    Pairs are of the whole batch, over all devices. Reports "neighbours", the loss without its
    weight.

    Args:
        weight: of the loss; 1 in GN-GAN by recollection.
        place: whose move; the player "autoencoder" has to be in the game for it.
        space: "data" compares the samples themselves (as the third party does), "feature" the
            discriminator's output "features" for them. GN-GAN's choice for images is not known.
        power: as in `similarities`.
        stop_gradient: as in `neighbour_embedding`.

    Raises:
        ValueError: for an unknown place or space.

    Example:
        >>> neighbour_task(weight=0.1, place="generator")
        Task(generator: neighbour_task)
    """
    if place not in PLACES:
        raise ValueError(f"unknown place {place!r}; places are {', '.join(PLACES)}")
    if space not in SPACES:
        raise ValueError(f"unknown space {space!r}; spaces are {', '.join(SPACES)}")

    def samples(context: Context) -> list[Array]:
        if space == "feature":
            judged = [context.fake]
            judged += [judged_reconstruction(context)] if place == "autoencoder" else []
            return [output["features"] for output in judged]
        more = [reconstructed(context)] if place == "autoencoder" else []
        return [context.images("fake"), *more]

    def term(context: Context) -> Loss:
        latents = [context.draws.z, *([encoded(context)] if place == "autoencoder" else [])]
        loss = neighbour_embedding(
            jnp.concatenate(latents),
            jnp.concatenate(samples(context)),
            power=power,
            stop_gradient=stop_gradient,
        )
        return Loss(context.weigh(weight) * loss, {"neighbours": loss})

    if place == "autoencoder":
        return Task(others={AUTOENCODER: (term,)})
    return Task(generator=(term,))


def _apart(n: int) -> Array:
    """Where two points are not the same one: off the diagonal."""
    return ~jnp.eye(n, dtype=bool)


def _squared_distances(points: Array) -> Float[Array, "n n"]:
    """All ||x_i - x_j||^2, in float32 or better.

    By differences where they are few, which is exact where points coincide; else, of images above
    all, by one product of n x n numbers, never by n x n x d differences. What the product loses is
    in proportion to the distances from the first point: exact are points that all coincide.
    """
    points = points.astype(jnp.promote_types(points.dtype, jnp.float32)).reshape(len(points), -1)
    n, d = points.shape
    if n * n * d <= _DIFFERENCES_AT_ONCE:
        return jnp.square(points[:, None] - points[None]).sum(-1)
    points = points - jax.lax.stop_gradient(points[:1])
    # Rounding of the factors, which accelerators may do, would be that of large norms.
    products = jnp.matmul(points, points.T, precision=jax.lax.Precision.HIGHEST)
    norms = jnp.diagonal(products)
    return jnp.maximum(norms[:, None] + norms[None] - 2 * products, 0)
