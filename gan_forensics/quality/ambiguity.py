"""How clear the orientation of images is: what a rotation task pays a collapsed generator for."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gan_forensics.quality.transforms import (
    AT_LEAST,
    AT_MOST,
    STEPS,
    checked,
    transform_classifier,
    transformed,
)

TURNS = tuple(lambda images, key, k=k: jnp.rot90(images, k, axes=(1, 2)) for k in range(4))
# Bounds of the logarithm of the temperature; at the upper one every image is at chance.
COLDEST, HOTTEST = -2.0, 7.0


class Ambiguity(NamedTuple):
    """How well the orientation of real images is told.

    Attributes:
        nats: mean log C_k(T_k x) over held-out images x and the rotations T_k by 0, 90, 180 and
            270 degrees: 0 where every orientation is clear, log 1/4 = -1.386 where none is.
        error: its standard error over images.
        accuracy: share of rotations told right; that of ties is shared.
        n: images that it was measured on.

    Example:
        >>> Ambiguity(nats=-0.2, error=0.01, accuracy=0.9, n=100).accuracy
        0.9
    """

    nats: float
    error: float
    accuracy: float
    n: int


def rotation_ambiguity(images: Any, *, steps: int = STEPS, seed: int = 0) -> Ambiguity:
    """The reward that a rotation task (SSGAN) pays a generator of the data themselves, in nats.

    With the best classifier it is Phi(P_d) = E log C*_k(T_k x) <= 0, while a generator that shows
    nothing but one unambiguous image has 0, the most there is: so much does collapse gain from
    self-supervision. At 0 it gains nothing, and the data are as good as any collapsed generator. In
    the multi-class game (MS) the same ambiguity is the bias that remains against symmetric images.

    The best classifier is not known; one is trained on half of the images, its temperature (Guo et
    al., ICML 2017) fitted on a quarter, and it is asked about the last quarter, so that it cannot
    claim more than it knows. No classifier does better than the best one: but for chance the number
    is a lower bound of Phi(P_d), and more steps bring it nearer. Its logits are averaged over the
    four rotations of an image, each brought back. Then C_k(T_k x) is the same for all k, as of C*,
    and images with a symmetry are told to be ambiguous, whatever was learnt.

    Args:
        images: square, as `gan_forensics.data.as_images` takes them; of more than 2000 so many are
            chosen by the seed.
        steps: of training.
        seed: of the choice, the parts and the training.

    Raises:
        ValueError: for images that are not square or not uint8, and fewer than 80.

    Example:
        >>> rotation_ambiguity("photos").nats  # doctest: +SKIP
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    parts = "a half trains, a quarter sets the temperature and a quarter is asked about"
    images = checked(images, f"in all ({parts})", at_least=4 * AT_LEAST)
    if images.shape[1] != images.shape[2]:
        raise ValueError(
            f"images of {images.shape[1]}x{images.shape[2]} (height x width) cannot be turned by "
            "90 degrees: bring them to squares (size=N, --size N)"
        )
    order = np.random.default_rng(seed).permutation(len(images))[:AT_MOST]
    half, quarter = len(order) // 2, len(order) * 3 // 4
    judge = transform_classifier(images[np.sort(order[:half])], TURNS, steps=steps, seed=seed)

    def scores(rows) -> Float[np.ndarray, "m 4"]:
        turned, _ = transformed(images[rows], TURNS, seed=seed)
        logits = judge(turned).reshape(4, len(rows), 4).astype(np.float64)
        # Of the copy that was turned j times, class j + k speaks for k turns of the image.
        return np.mean([np.roll(copy, -j, axis=1) for j, copy in enumerate(logits)], axis=0)

    fitted, held_out = scores(order[half:quarter]), scores(order[quarter:])

    def upright(scores, log_temperature):
        return log_softmax(scores / np.exp(log_temperature), axis=1)[:, 0]

    best = minimize_scalar(
        lambda t: -upright(fitted, t).mean(), bounds=(COLDEST, HOTTEST), method="bounded"
    )
    log_c = upright(held_out, best.x)  # pyright: ignore[reportAttributeAccessIssue]
    ties = held_out >= held_out.max(1, keepdims=True) - 1e-4
    return Ambiguity(
        nats=float(log_c.mean()),
        error=float(log_c.std(ddof=1) / np.sqrt(len(log_c))),
        accuracy=float((ties[:, 0] / ties.sum(1)).mean()),
        n=len(log_c),
    )
