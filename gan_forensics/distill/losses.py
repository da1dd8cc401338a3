"""Label smoothing and knowledge distillation, as losses of logits.

With student logits s, teacher logits t, label y among K classes, smoothing alpha, temperature T:

    smoothed cross-entropy   (1 - alpha) (-log p_y) + alpha mean_k(-log p_k),   p = softmax(s)
    tempered divergence      T^2 sum_k q_k (log q_k - log p_k),
                             q = softmax(t / T), p = softmax(s / T)

Chandrasegaran et al., "Revisiting label smoothing and knowledge distillation compatibility: what
was missing?" (ICML 2022). The mass alpha / K goes to every class, the true one too. Students of
images learn from the divergence alone; those of translation keep a tenth of hard labels, and of
their teacher only its largest logits (`token_losses`).

Losses are of one example each, over any leading axes; logarithms are natural; logits of half
precision are taken as float32, since T^2 multiplies a difference of nearly equal logarithms. What
smooths and tempers may be traced, and may differ from example to example: one compiled step serves
all smoothings and temperatures.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Weight = float | Float[Array, "..."]


def smoothed_cross_entropy(
    logits: Float[Array, "*b k"], label: Int[Array, "*b"], alpha: Weight
) -> Float[Array, "*b"]:
    """Cross-entropy against (1 - alpha) onehot(y) + alpha / K.

    Args:
        logits: of K classes.
        label: the true classes, 0 to K - 1.
        alpha: the smoothing, in [0, 1), a number or one for each example.

    Its gradient by the logits is p - y'. The least value for alpha = 0, 0, is reached at infinite
    logits, that for others, `smoothed_entropy`, at logits that are `optimal_gap` apart. A label
    that is no class makes its example NaN.

    Raises:
        ValueError: for an alpha that is a plain number outside [0, 1).

    Example:
        >>> float(smoothed_cross_entropy(jnp.zeros(4), jnp.array(1), 0.1) / jnp.log(4.0))
        1.0
    """
    if isinstance(alpha, int | float) and not 0 <= alpha < 1:
        raise ValueError(f"alpha is a share of at least 0 and below 1, got {alpha}")
    log_p = jax.nn.log_softmax(_at_least_float32(logits))
    hard = -jnp.take_along_axis(log_p, label[..., None], -1)[..., 0]
    return (1 - alpha) * hard - alpha * log_p.mean(-1)


def tempered_divergence(
    student: Float[Array, "*b k"],
    teacher: Float[Array, "*b k"],
    temperature: Weight,
    *,
    temper_student: bool = True,
) -> Float[Array, "*b"]:
    """T^2 KL(softmax(t / T) || softmax(s / T)), by which the student alone learns.

    Hinton et al., "Distilling the knowledge in a neural network" (2015). The gradient by the
    student's logits is T (p - q), of the student's tempered softmax p and the teacher's q; as T
    grows the loss goes to half the variance over classes of t - s. It is 0 exactly where s - t is
    one constant.

    Args:
        student: logits.
        teacher: logits; no gradient goes to them.
        temperature: T > 0, a number or one for each example.
        temper_student: whether the student is read at T as well; Mueller et al. (NeurIPS 2019) are
            reported to read it at 1; the factor T^2 stays.

    Raises:
        ValueError: for a temperature that is a plain number and not positive.

    Example:
        >>> logits = jnp.array([1.0, 0.0, -1.0])
        >>> float(tempered_divergence(logits, logits, 2.0))
        0.0
    """
    if isinstance(temperature, int | float) and not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be positive and finite, got {temperature}")
    t = _over_classes(temperature)
    teacher = jax.lax.stop_gradient(_at_least_float32(teacher))
    log_q = jax.nn.log_softmax(teacher / t)
    student = _at_least_float32(student)
    log_p = jax.nn.log_softmax(student / t if temper_student else student)
    return jnp.asarray(temperature) ** 2 * (jnp.exp(log_q) * (log_q - log_p)).sum(-1)


def objective(
    logits: Float[Array, "b k"], batch: Mapping[str, Array], *, temper_student: bool = True
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """What a classifier, a teacher or a student minimises: a mean over the batch.

    Args:
        logits: of the network that learns.
        batch: "label" [b] and "alpha" [b]; where there is "teacher" [b, k], its logits, also
            "temperature" [b] and "soft_weight" [b], which share the loss as
            (1 - w) smoothed cross-entropy + w tempered divergence.
        temper_student: as for `tempered_divergence`.

    Returns:
        The loss, and "accuracy" and "cross_entropy" (not smoothed) of the batch.

    Example:
        >>> batch = {"label": jnp.array([0]), "alpha": jnp.zeros(1)}
        >>> loss, metrics = objective(jnp.zeros((1, 4)), batch)
        >>> round(float(loss), 4), round(float(metrics["cross_entropy"]), 4)
        (1.3863, 1.3863)
    """
    label = batch["label"]
    loss = smoothed_cross_entropy(logits, label, batch["alpha"])
    if "teacher" in batch:
        weight = batch["soft_weight"]
        soft = tempered_divergence(
            logits, batch["teacher"], batch["temperature"], temper_student=temper_student
        )
        loss = (1 - weight) * loss + weight * soft
    return loss.mean(), {
        "accuracy": (logits.argmax(-1) == label).mean(),
        "cross_entropy": smoothed_cross_entropy(logits, label, 0.0).mean(),
    }


def top_logits(
    logits: Float[Array, "*b v"], k: int
) -> tuple[Int[Array, "*b k"], Float[Array, "*b k"]]:
    """The k largest logits, largest first, and where they stand.

    Raises:
        ValueError: for more than there are, or none.

    Example:
        >>> index, logit = top_logits(jnp.array([[0.0, 3.0, 1.0]]), k=2)
        >>> index.tolist(), logit.tolist()
        ([[1, 2]], [[3.0, 1.0]])
    """
    if not 0 < k <= logits.shape[-1]:
        raise ValueError(f"k must be 1 to {logits.shape[-1]}, the number of logits, got {k}")
    values, places = jax.lax.top_k(logits, k)
    return places.astype(jnp.int32), values


def token_losses(
    logits: Float[Array, "*b v"],
    target: Int[Array, "*b"],
    *,
    alpha: Weight,
    top_index: Int[Array, "*b k"] | None = None,
    top_logit: Float[Array, "*b k"] | None = None,
    temperature: Weight = 1.0,
    soft_weight: Weight = 0.0,
) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
    """Losses of a translator at every token, and their plain negative log-likelihoods.

    With a teacher, of which only the k largest logits are kept (Tan et al., "Multilingual neural
    machine translation with knowledge distillation", ICLR 2019):

        w T^2 CE(softmax(top / T), softmax(s / T)) + (1 - w) smoothed cross-entropy,

    the first softmax over the k kept tokens, the second over the vocabulary. Padding is the
    caller's to leave out.

    Args:
        logits: of the vocabulary.
        target: the true tokens.
        alpha: the smoothing.
        top_index: the tokens of the teacher's largest logits; None for no teacher.
        top_logit: these logits, in the same order.
        temperature: T.
        soft_weight: w.

    Example:
        >>> loss, nll = token_losses(jnp.zeros((1, 2, 4)), jnp.array([[1, 2]]), alpha=0.0)
        >>> loss.shape, round(float(nll[0, 0]), 4)
        ((1, 2), 1.3863)
    """
    nll = smoothed_cross_entropy(logits, target, 0.0)
    loss = smoothed_cross_entropy(logits, target, alpha)
    if top_index is None or top_logit is None:
        return loss, nll
    t = _over_classes(temperature)
    q = jax.nn.softmax(jax.lax.stop_gradient(_at_least_float32(top_logit)) / t)
    log_p = jax.nn.log_softmax(_at_least_float32(logits) / t)
    soft = -(q * jnp.take_along_axis(log_p, top_index, -1)).sum(-1)
    return soft_weight * jnp.asarray(temperature) ** 2 * soft + (1 - soft_weight) * loss, nll


def optimal_gap(classes: int, alpha: float) -> float:
    """How far the true class's logit lies above the others at the least smoothed cross-entropy.

    >>> round(optimal_gap(1000, 0.1), 4)
    9.1051
    """
    return float(np.log1p(classes * (1 - alpha) / alpha))


def true_class_probability(classes: int, gap: float, temperature: float) -> float:
    """What softmax(t / T) gives the true class of logits whose others all lie `gap` below.

    >>> round(true_class_probability(1000, optimal_gap(1000, 0.1), 2), 5)
    0.08673
    """
    return float(1 / (1 + (classes - 1) * np.exp(-gap / temperature)))


def smoothed_entropy(classes: int, alpha: float) -> float:
    """The least smoothed cross-entropy there is: the entropy of the smoothed label.

    >>> round(smoothed_entropy(10, 0.1), 6)
    0.500288
    """
    rest = alpha / classes
    true = 1 - alpha + rest
    others = (classes - 1) * rest * np.log(rest) if alpha else 0.0
    return float(-true * np.log(true) - others)


def logit_spread(logits: Any) -> float:
    """The standard deviation of logits [n, k] over the classes, a mean over the examples.

    If smoothing scaled a teacher's logits by c and did nothing else, distilling from it at T would
    equal distilling from the other teacher at T / c; c is measured as the ratio of two spreads.

    Example:
        >>> round(logit_spread(np.array([[1.0, -1.0], [2.0, -2.0]])), 3)
        1.5
    """
    return float(np.asarray(logits, np.float64).std(-1).mean())


def _over_classes(weight: Weight) -> Array:
    """A number as it is, or one for each example as a factor of its logits."""
    weight = jnp.asarray(weight)
    return weight[..., None] if weight.ndim else weight


def _at_least_float32(x: Array) -> Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
