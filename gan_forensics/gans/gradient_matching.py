"""Gradient matching: real and generated samples are scored alike, and the scores slope alike there.

To first order D(x) ~ D(x0) + grad D(x0)^T (x - x0). What GN-GAN matches of it are the expectations
of the three coefficients, over real samples x and generated ones g:

    score       | E D(x) - E D(g) |
    gradient    || E grad D(x) - E grad D(g) ||^2, summed over all numbers of a sample
    product     ( E grad D(x)^T x - E grad D(g)^T g )^2

The first is Dist-GAN's own term of the generator. The generator feels the others through the place
at which a slope is taken, by second derivatives of D. A discriminator of ReLUs has logits of
constant slope around almost every point, where "gradient" has no gradient: take the scores, D =
sigmoid of the logits.

Tran et al., "Improving GAN with neighbors embedding and gradient matching" (AAAI 2019) published no
code, and its text was not at hand. Its abstract says: the difference of scores and that of their
gradients, from Taylor approximations. That these are the three terms, the squares and the weights
of 1 are recollection, not checked against the paper's text.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.gans.context import Context
from gan_forensics.gans.task import Loss, Owner, Task, Weight

Of = Literal["score", "logit"]
SCORED: tuple[Of, ...] = ("score", "logit")


class TaylorCoefficients(NamedTuple):
    """Means over a batch: E D(x), E grad D(x), E grad D(x)^T x.

    Example:
        >>> import numpy as np
        >>> found = TaylorCoefficients(score=0.5, gradient=np.zeros((8, 8, 3)), product=0.0)
        >>> found.gradient.shape
        (8, 8, 3)
    """

    score: Float[Array, ""]
    gradient: Float[Array, "*shape"]
    product: Float[Array, ""]


class TaylorGaps(NamedTuple):
    """How far those of real and of generated samples are apart: absolute, and twice squared.

    Example:
        >>> gaps = TaylorGaps(score=0.5, gradient=0.25, product=1.0)
        >>> gaps.gradient + gaps.product
        1.25
    """

    score: Float[Array, ""]
    gradient: Float[Array, ""]
    product: Float[Array, ""]


def taylor_coefficients(
    score: Callable[[Float[Array, "b *shape"]], Float[Array, " b"]],
    samples: Float[Array, "b *shape"],
) -> TaylorCoefficients:
    """The mean coefficients of the expansion of a score at samples, in float32 or better.

    Args:
        score: samples to one number each; their sum is differentiated, so that a score that
            normalises over the batch ties its samples together (one that begins by subtracting the
            batch's mean has a mean gradient of 0).
        samples: x, in the range that the score takes; slopes in [-1, 1] are half those in [0, 1].

    Example:
        >>> import numpy as np
        >>> samples = np.float32([[1, 2], [3, 4]])
        >>> score, gradient, product = taylor_coefficients(lambda x: 2 * x.sum(1), samples)
        >>> float(score), gradient.tolist(), float(product)
        (10.0, [2.0, 2.0], 10.0)
    """
    samples = samples.astype(jnp.promote_types(samples.dtype, jnp.float32))
    total, slopes = jax.value_and_grad(lambda x: score(x).sum())(samples)
    b = len(samples)
    return TaylorCoefficients(total / b, slopes.mean(0), (slopes * samples).sum() / b)


def taylor_gaps(real: TaylorCoefficients, fake: TaylorCoefficients) -> TaylorGaps:
    """The three gaps, without weights.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.gans import TaylorCoefficients, taylor_gaps
        >>> real = TaylorCoefficients(score=3.0, gradient=np.array([1.0, 1.0]), product=3.0)
        >>> fake = TaylorCoefficients(score=1.0, gradient=np.array([1.0, 0.0]), product=0.0)
        >>> [float(gap) for gap in taylor_gaps(real, fake)]
        [2.0, 1.0, 9.0]
    """
    return TaylorGaps(
        jnp.abs(real.score - fake.score),
        jnp.square(real.gradient - fake.gradient).sum(),
        jnp.square(real.product - fake.product),
    )


def gradient_matching_task(
    *, gradient_weight: Weight = 1.0, product_weight: Weight = 1.0, of: Of = "score"
) -> Task:
    """The gaps of gradient and product as a term of the generator's, on top of any GAN.

    The gap of the scores is a task of its own. Means are over the whole batch, over all devices.
    Two more passes of the discriminator, differentiated twice, which leave its statistics where
    they were. Reports "gradient_gap" and "product_gap", both without their weights.

    Args:
        gradient_weight: lambda_m1; 1 by recollection.
        product_weight: lambda_m2; 1 by recollection.
        of: the "score" in (0, 1), or the "logit".

    Raises:
        ValueError: for another `of`.

    Example:
        >>> gradient_matching_task(product_weight=0)
        Task(generator: gradient_matching_task)
    """
    if of not in SCORED:
        raise ValueError(f"unknown output {of!r}: gradients are of the {' or the '.join(SCORED)}")

    def coefficients(context: Context, owner: Owner) -> TaylorCoefficients:
        labels = context.labels(owner)

        def score(images):
            logits = context.logits_at(images, labels)
            return jax.nn.sigmoid(logits) if of == "score" else logits

        return taylor_coefficients(score, context.images(owner))

    def generator(context: Context) -> Loss:
        gaps = taylor_gaps(coefficients(context, "real"), coefficients(context, "fake"))
        value = context.weigh(gradient_weight) * gaps.gradient
        value = value + context.weigh(product_weight) * gaps.product
        return Loss(value, {"gradient_gap": gaps.gradient, "product_gap": gaps.product})

    return Task(generator=(generator,))
