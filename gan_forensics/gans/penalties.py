"""Gradient penalties: how steep may the critic be, and where is it asked.

At points x^ of the image space (`sample`) the norm n of grad_x D(x^) is penalised by (`kind`), as a
mean over the batch:

    0-gp   n^2               Mescheder et al., ICML 2018; Thanh-Tung et al., ICLR 2019
    1-gp   (n - 1)^2         Gulrajani et al., NeurIPS 2017 (WGAN-GP), equation 3
    lp     max(0, n - 1)^2   Petzka et al., ICLR 2018 (WGAN-LP)

    line     x_r + alpha (x_f - x_r), one alpha ~ U[0, 1) for each image
    real     x_r
    fake     x_f
    dragan   x_r + alpha (x_p - x_r) with x_p = x_r + 0.5 std(x_r) U[0, 1), std over the whole batch
             and U for each value (Kodali et al., arXiv 1705.07215)

What n is (`norm`): "l2", the Euclidean norm over all pixels of each image, as published; and two
norms that released code computes instead (Tran et al., ECCV 2018): "rms", the root of the *mean*
over pixels, so that the target is a Euclidean norm of sqrt(pixels); and "batch", one Euclidean
norm over the whole batch.

The points are constants: no gradient flows to the generator. A critic that normalises over the
batch ties images together, and its n is then not the slope at one image.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.runtime import split_over_data

Kind = Literal["0-gp", "1-gp", "lp"]
Sample = Literal["line", "real", "fake", "dragan"]
Norm = Literal["l2", "rms", "batch"]
KINDS: tuple[Kind, ...] = ("0-gp", "1-gp", "lp")
SAMPLES: tuple[Sample, ...] = ("line", "real", "fake", "dragan")
NORMS: tuple[Norm, ...] = ("l2", "rms", "batch")


def gradient_penalty(
    critic: Callable[[Float[Array, "b *shape"]], Float[Array, " b"]],
    real: Float[Array, "b *shape"],
    fake: Float[Array, "b *shape"],
    *,
    kind: Kind,
    sample: Sample = "line",
    norm: Norm = "l2",
    key: Array | None = None,
    alpha: Float[Array, " b"] | None = None,
    noise: Float[Array, "b *shape"] | None = None,
) -> Float[Array, ""]:
    """The mean penalty of the batch, without its weight.

    Args:
        critic: images to logits, of any shape that begins with b; their sum is differentiated.
        real: images x_r.
        fake: images x_f, of the same shape; not used by the samples "real" and "dragan".
        kind: the penalty, one of `KINDS`.
        sample: where the critic is asked, one of `SAMPLES`.
        norm: of its slopes, one of `NORMS`.
        key: PRNG key from which alpha and noise are drawn if they are not given.
        alpha: one number in [0, 1] for each image, instead of drawing it.
        noise: one number in [0, 1] for each value, for "dragan", instead of drawing it.

    Raises:
        ValueError: for an unknown kind, sample or norm, for images of different shapes, and if
            random numbers are needed and neither they nor a key are given.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((2, 1, 1, 1), np.float32)
        >>> def critic(x):  # of slope 3 everywhere
        ...     return 3 * x.sum((1, 2, 3))
        >>> float(gradient_penalty(critic, images, images, kind="1-gp", sample="real"))  # (3 - 1)^2
        4.0
    """
    if kind not in KINDS:
        raise ValueError(f"unknown penalty {kind!r}; kinds are {', '.join(KINDS)}")
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}; norms are {', '.join(NORMS)}")
    points = jax.lax.stop_gradient(
        _points(real, fake, sample=sample, key=key, alpha=alpha, noise=noise)
    )
    slopes = jax.grad(lambda x: critic(x).sum())(points)
    return penalty_of_squared_norm(squared_norms(slopes, norm=norm), kind=kind).mean()


def squared_norms(
    slopes: Float[Array, "*b h w c"], *, norm: Norm, batch_axes: int = 1
) -> Float[Array, "*b"]:
    """The squared norms of slopes, by `norm`; the last batch axis is gone for "batch"."""
    axes = range(batch_axes - 1 if norm == "batch" else batch_axes, slopes.ndim)
    squares = jnp.square(slopes)
    return squares.mean(axes) if norm == "rms" else squares.sum(axes)


def penalty_of_squared_norm(n2: Float[Array, "..."], *, kind: Kind) -> Float[Array, "..."]:
    """The penalty of a squared gradient norm, elementwise.

    At n = 0, where the norm has no derivative, its derivative counts as 0 (as in PyTorch): a critic
    that is constant somewhere gets no gradient from there, rather than NaN. "0-gp" needs no root.
    """
    if kind == "0-gp":
        return n2
    # Both branches of `where` are differentiated: the root must be finite at the unused one.
    somewhere = n2 > 0
    n = jnp.where(somewhere, jnp.sqrt(jnp.where(somewhere, n2, 1)), 0)
    return (n - 1) ** 2 if kind == "1-gp" else jax.nn.relu(n - 1) ** 2


def _points(real, fake, *, sample, key, alpha, noise):
    """The images x^ at which the critic's gradient is taken."""
    if sample not in SAMPLES:
        raise ValueError(f"unknown sample {sample!r}; samples are {', '.join(SAMPLES)}")
    if real.shape != fake.shape:
        raise ValueError(f"real images {real.shape} and fake images {fake.shape} differ in shape")
    if sample == "real":
        return real
    if sample == "fake":
        return fake

    if key is not None:
        alpha_key, noise_key = jax.random.split(key)
        if alpha is None:
            alpha = split_over_data(jax.random.uniform(alpha_key, real.shape[:1], real.dtype))
        if noise is None and sample == "dragan":
            noise = split_over_data(jax.random.uniform(noise_key, real.shape, real.dtype))
    if alpha is None or (noise is None and sample == "dragan"):
        needed = "alpha and noise" if sample == "dragan" else "alpha"
        raise ValueError(f"sample {sample!r} is random: pass key, or {needed}")
    if alpha.shape != real.shape[:1]:
        raise ValueError(f"alpha must be [{real.shape[0]}], got {list(alpha.shape)}")

    # PyTorch's std divides by the number of values less one.
    end = real + 0.5 * real.std(ddof=1) * noise if sample == "dragan" else fake
    return real + alpha.reshape(-1, *(1,) * (real.ndim - 1)) * (end - real)
