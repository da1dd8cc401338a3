"""InfoMax-GAN: a discriminator that keeps what its images are about (Lee et al., WACV 2021).

Of N images the discriminator has local features, one vector for each of L places, and a pooled
one. Critics project both to R dimensions: p[j, k] for place k of image j, q[i] for image i. With
s[i, j, k] = <q[i], p[j, k]> the loss is the InfoNCE of finding the own image among all (equation 3;
the released code, which is followed here, takes the negatives from all places):

    L = -1/(N L) sum_ik log( e^s[i,i,k] / (e^s[i,i,k] + sum_{j != i, k'} e^s[i,j,k'] + L e^m) )

The places of the own image are no negatives: their scores are *replaced* by the constant m, -10 in
the released code, so that L dummy classes of that score remain (m = -inf leaves none). Neither
normalisation nor temperature. log(1 + (N-1) L) is the loss of chance, and L subtracted from it is a
lower bound of the mutual information of local and global features. The discriminator minimises it
on real images, the generator on its own, which must differ from each other for that.

The scores are N x N x L numbers, never the N L x N L of the released code, and in large batches
they are made a few images at a time. They are float32 or better whatever the networks compute in.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.gans.context import Context
from gan_forensics.gans.task import Loss, Owner, Task, Term, Weight

CRITICS = "critics"
MASK = -10.0  # m of the released code
WEIGHT = 0.2  # alpha and beta of the paper

# Scores that are in memory at once, 16 MB in float32; above it they are made in turns.
_SCORES_AT_ONCE = 2**22


def infomax_loss(
    p: Float[Array, "n l r"],
    q: Float[Array, "n r"],
    *,
    mask_value: float = MASK,
    group_size: int | None = None,
) -> Float[Array, ""]:
    """InfoNCE between local and global features of a batch, in nats.

    Args:
        p: projected local features of each image.
        q: its projected global feature.
        mask_value: m, the score that stands for the places of the own image; -inf for none.
        group_size: images among which negatives are sought, a divisor of n; None for all. Groups
            are consecutive: n over the number of devices keeps the negatives on each device.

    Raises:
        ValueError: for features that do not belong together, and for groups that do not fit.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> from gan_forensics.gans import chance_level, infomax_loss
        >>> p, q = np.zeros((4, 1, 3)), np.zeros((4, 3))  # that tell nothing
        >>> round(float(jax.jit(infomax_loss)(p, q)), 3), round(chance_level(4, places=1), 3)
        (1.386, 1.386)
    """
    p, q = _grouped(p, q, group_size)
    own = jnp.einsum("gir,gilr->gil", q, p)
    others = _log_sum_exp_of_others(p, q, max(mask_value, _floor(q.dtype)))
    return jax.nn.softplus(others[..., None] - own).mean()


def infomax_accuracy(
    p: Float[Array, "n l r"], q: Float[Array, "n r"], *, group_size: int | None = None
) -> Float[Array, ""]:
    """How often a place of the own image scores higher than every place of every other image.

    The share of the n L pairs (image, place), from 0 to 1; arguments and errors as those of
    `infomax_loss`. Ties count as failures, so that a batch of one repeated image scores 0.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> q = np.eye(3, dtype=np.float32)  # three images with features of their own
        >>> float(jax.jit(infomax_accuracy)(q[:, None], q))
        1.0
    """
    p, q = _grouped(p, q, group_size)
    scores = jnp.einsum("gir,gjlr->gijl", q, p)
    # From the same product, so that equal images have equal scores.
    own = jnp.einsum("giil->gil", scores)
    scores = _masked(scores, 0, _floor(q.dtype))
    return (own > scores.max((2, 3))[..., None]).mean()


def chance_level(n: int, places: int, *, group_size: int | None = None) -> float:
    """log(1 + (N-1) L), the loss of features that tell nothing; N is the group where there is one.

    Example:
        >>> round(chance_level(64, 64), 3)
        8.302
    """
    return math.log(1 + ((group_size or n) - 1) * places)


def infomax_task(
    critics: nn.Module,
    *,
    weight: Weight = WEIGHT,
    mask_value: float = MASK,
    group_size: int | None = None,
) -> Task:
    """The task of InfoMax-GAN, for any discriminator with local and pooled features.

    Reports "infomax", the loss without its weight, beside "infomax_chance".

    Args:
        critics: the projections, (local [b, h, w, cl], pooled [b, cg]) -> (p, q), for instance
            `gan_forensics.nn.resgan.InfoMaxCritics`; they join the game as "critics". Only the
            products of p and q are read.
        weight: of the loss, in both players' moves.
        mask_value: as in `infomax_loss`.
        group_size: as in `infomax_loss`.

    Example:
        >>> from gan_forensics.nn.resgan import InfoMaxCritics
        >>> task = infomax_task(InfoMaxCritics(16), weight=0.2)
        >>> len(task.discriminator), len(task.generator), list(task.networks)
        (1, 1, ['critics'])
    """

    def of(owner: Owner) -> Term:
        def term(context: Context) -> Loss:
            judged = context.judged(owner)
            p, q = context.apply(CRITICS, judged["local"], judged["pooled"])
            loss = infomax_loss(p, q, mask_value=mask_value, group_size=group_size)
            chance = chance_level(*p.shape[:2], group_size=group_size)
            reported = {"infomax": loss, "infomax_chance": jnp.asarray(chance)}
            return Loss(context.weigh(weight) * loss, reported)

        return term

    return Task((of("real"),), (of("fake"),), {CRITICS: critics})


def _grouped(p, q, group_size: int | None):
    """The features as [groups, images, ...], in float32 or better."""
    p, q = jnp.asarray(p), jnp.asarray(q)
    if p.ndim != 3 or q.shape != (p.shape[0], p.shape[2]):
        raise ValueError(
            f"local features must be [n, places, r] and global ones [n, r], got {list(p.shape)} "
            f"and {list(q.shape)}"
        )
    n, size = p.shape[0], group_size or p.shape[0]
    if size < 1 or n % size:
        raise ValueError(f"{n} images cannot be split into groups of {size}: choose a divisor")
    dtype = jnp.promote_types(jnp.result_type(p, q), jnp.float32)
    return (x.astype(dtype).reshape(-1, size, *x.shape[1:]) for x in (p, q))


def _floor(dtype) -> float:
    """A score that counts for nothing; finite, so that no infinity meets another one."""
    return float(jnp.finfo(dtype).min) / 4


def _log_sum_exp_of_others(p, q, mask_value: float):
    """log sum_{j, k} e^s[i, j, k] with the own image's scores replaced: [g, i]."""
    groups, n, places, _ = p.shape
    at_once = max(1, _SCORES_AT_ONCE // (groups * n * places))
    step = max(d for d in range(1, min(n, at_once) + 1) if n % d == 0)

    # The scores are made once more when differentiated, instead of kept.
    @jax.checkpoint
    def of_some(some, first):
        scores = _masked(jnp.einsum("gir,gjlr->gijl", q, some), first, mask_value)
        return jax.nn.logsumexp(scores, axis=(2, 3))

    if step == n:
        return of_some(p, 0)
    # In turns over the images j that are compared with: a batch that is split over devices by i
    # stays so.
    parts = jnp.moveaxis(p.reshape(groups, n // step, step, *p.shape[2:]), 1, 0)
    firsts = jnp.arange(0, n, step)
    sums = jax.lax.map(lambda part: of_some(*part), (parts, firsts))
    return jax.nn.logsumexp(sums, axis=0)


def _masked(scores, first, value: float):
    """Scores [g, i, j, l] of the images j from `first` on, the own image's replaced."""
    _, n, some, _ = scores.shape
    own = jnp.arange(n)[:, None] == first + jnp.arange(some)[None, :]
    return jnp.where(own[None, :, :, None], jnp.asarray(value, scores.dtype), scores)
