"""Adversarial losses, each as its loss of one logit.

A loss is three elementwise functions of logits: the discriminator's loss of a real image, that of a
fake one, and the generator's loss of a fake one. With r and f the logits of real
and fake images and s(x) = ln(1 + e^x), the softplus (so that binary cross-entropy with logits is
bce(x, 1) = s(-x) and bce(x, 0) = s(x), without overflow for any x):

    name            on real       on fake       generator
    minimax         s(-r)         s(f)          -s(f)          Goodfellow et al. 2014, equation 1
    non_saturating  s(-r)         s(f)          s(-f)          the same, section 3
    ns              s(-r)         s(f)          -ln(S(f)+1e-8) as mimicry computes it, S = sigmoid
    least_squares   (r - 1)^2     f^2           (f - 1)^2      Mao et al. 2017, without the 1/2
    wasserstein     -r            f             -f             Arjovsky et al. 2017
    hinge           max(1-r, 0)   max(1+f, 0)   -f             Lim and Ye 2017
    hinge_v1        max(1-r, 0)   max(1+f, 0)   max(1-f, 0)    generator hinged too

The 1e-8 of "ns" (Lee and Town, arXiv 2005.02494) keeps the logarithm finite, and takes the gradient
of images with logits below about -18 away; "non_saturating" needs no such guard. What mimicry calls
its minimax loss is "non_saturating" here, since its generator's is bce(f, 1); with smoothed labels
it is `cross_entropy`.

A method that weighs its images takes the elementwise functions; the others take the means:

    >>> import jax.numpy as jnp
    >>> loss = LOSSES["least_squares"]
    >>> float(loss.discriminator(jnp.zeros(4), jnp.zeros(4)))
    1.0
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softplus
from jaxtyping import Array, Float

Logits = Float[Array, "..."]


class AdversarialLoss(NamedTuple):
    """One game: three elementwise functions of logits, and the two players' mean losses.

    `zero` says whether a logit of 0 stands between real and fake.

    Example:
        >>> import numpy as np
        >>> square = AdversarialLoss(
        ...     "square",
        ...     on_real=lambda r: (r - 1) ** 2,
        ...     on_fake=lambda f: (f + 1) ** 2,
        ...     on_generated=lambda f: f**2,
        ... )
        >>> float(square.discriminator(np.array([1.0, 1.0]), np.array([0.0, 2.0])))
        5.0
        >>> float(square.generator(np.array([1.0, 3.0])))
        5.0
    """

    name: str
    on_real: Callable[[Logits], Logits]
    on_fake: Callable[[Logits], Logits]
    on_generated: Callable[[Logits], Logits]
    zero: bool = True

    def discriminator(self, real_logits: Logits, fake_logits: Logits) -> Float[Array, ""]:
        """What the discriminator minimises: the mean over real plus the mean over fake images."""
        return _mean(self.on_real, real_logits) + _mean(self.on_fake, fake_logits)

    def generator(self, fake_logits: Logits) -> Float[Array, ""]:
        """What the generator minimises: the mean over its images."""
        return _mean(self.on_generated, fake_logits)


def _mean(loss: Callable[[Logits], Logits], logits: Logits) -> Float[Array, ""]:
    """The mean loss, at least in float32: bfloat16 would lose the sum of a batch."""
    logits = jnp.asarray(logits)
    return loss(logits.astype(jnp.promote_types(logits.dtype, jnp.float32))).mean()


def cross_entropy(*, real_label: float = 1.0, fake_label: float = 0.0) -> AdversarialLoss:
    """The non-saturating loss with other labels, bce(x, y) = s(x) - y x.

    One-sided label smoothing (Salimans et al., NeurIPS 2016, section 3.4) is `real_label=0.9`. The
    generator's loss treats its images as real ones, with the same label.

    Args:
        real_label: y of real images, from 0 to 1.
        fake_label: y of generated ones.

    Raises:
        ValueError: for labels that are no probabilities.

    Example:
        >>> import numpy as np
        >>> smoothed = cross_entropy(real_label=0.9)
        >>> round(float(smoothed.discriminator(np.zeros(4), np.zeros(4))), 4)  # 2 ln 2
        1.3863
        >>> round(float(smoothed.on_real(np.log(9))), 4)  # the least: the logit of 0.9
        0.3251
    """
    if not (0 <= real_label <= 1 and 0 <= fake_label <= 1):
        raise ValueError(f"labels must lie in [0, 1], got {real_label} and {fake_label}")
    return AdversarialLoss(
        "cross_entropy",
        on_real=lambda r: softplus(r) - real_label * r,
        on_fake=lambda f: softplus(f) - fake_label * f,
        on_generated=lambda f: softplus(f) - real_label * f,
    )


# What keeps the logarithm of "ns" finite; part of the published loss.
_NS_EPSILON = 1e-8

LOSSES: dict[str, AdversarialLoss] = {
    loss.name: loss
    for loss in (
        AdversarialLoss(
            "minimax",
            on_real=lambda r: softplus(-r),
            on_fake=softplus,
            on_generated=lambda f: -softplus(f),
        ),
        AdversarialLoss(
            "non_saturating",
            on_real=lambda r: softplus(-r),
            on_fake=softplus,
            on_generated=lambda f: softplus(-f),
        ),
        AdversarialLoss(
            "ns",
            on_real=lambda r: softplus(-r),
            on_fake=softplus,
            on_generated=lambda f: -jnp.log(jax.nn.sigmoid(f) + _NS_EPSILON),
        ),
        AdversarialLoss(
            "least_squares",
            on_real=lambda r: (r - 1) ** 2,
            on_fake=jnp.square,
            on_generated=lambda f: (f - 1) ** 2,
            zero=False,
        ),
        AdversarialLoss(
            "wasserstein",
            on_real=jnp.negative,
            on_fake=lambda f: f,
            on_generated=jnp.negative,
            zero=False,
        ),
        AdversarialLoss(
            "hinge",
            on_real=lambda r: jax.nn.relu(1 - r),
            on_fake=lambda f: jax.nn.relu(1 + f),
            on_generated=jnp.negative,
        ),
        AdversarialLoss(
            "hinge_v1",
            on_real=lambda r: jax.nn.relu(1 - r),
            on_fake=lambda f: jax.nn.relu(1 + f),
            on_generated=lambda f: jax.nn.relu(1 - f),
        ),
    )
}
