"""DAG: data augmentation that leaves a GAN's target where it is (Tran et al., IEEE TIP 2021).

Beside the pair (x, G(z)) of the GAN, every transform T_k makes a pair (T_k x, T_k G(z)), which a
head of its own on the same trunk judges by the same adversarial loss. With policies p of weight w_p
and n_p transforms each, of which the first is the identity:

    L_D = l_D(x, x_f) + lambda A_D,   A_D = sum_p w_p c_p sum_k l_D(D_pk(T_pk x), D_pk(T_pk x_f))

and so with l_G. What the sum over k holds, and c_p, is the `normalisation`; three are in use:

    non_identity      all transforms but the identity, c = 1 / (n - 1): the identity *is* the GAN
    module            all, the identity with a second head of its own, c = 1 / n (released modules)
    shared_identity   all, the identity by the GAN's own head, c = 1 / n (released for BigGAN)

For an invertible T the optimal D_k says of (T x, T x_f) what D says of (x, x_f), so that the JS
divergence is minimised as before; where it is not (crops, shifts that fill with zeros, cutout),
there is no such guarantee. One head for all transforms would only see mixtures, and a generator of
turned images would not be told (arXiv 2006.05338; released code).

Transformed copies of a move are judged in one pass. A conditional discriminator's heads share the
projection of the labels.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.gans.autoencoder import judged_reconstruction, reconstructed
from gan_forensics.gans.context import Context
from gan_forensics.gans.discriminator_output import DiscriminatorOutput
from gan_forensics.gans.penalties import penalty_of_squared_norm, squared_norms
from gan_forensics.gans.task import (
    DISCRIMINATOR,
    GENERATOR,
    Images,
    Labels,
    Loss,
    PairLoss,
    PairPenalty,
    Task,
    Weight,
)
from gan_forensics.gans.transforms import Policy, Transform, check_images
from gan_forensics.nn.heads import PROJECTION, TRUNK, LogitHeads
from gan_forensics.runtime import split_over_data

HEADS = "dag_heads"
WEIGHT = 0.2  # lambda of the released examples; BigGAN's with few data have 1
Normalisation = Literal["non_identity", "module", "shared_identity"]
NORMALISATIONS: tuple[Normalisation, ...] = ("non_identity", "module", "shared_identity")
NORMALISATION: Normalisation = "non_identity"


def dag_task(
    policies: Sequence[Policy],
    pair: PairLoss,
    *,
    weight: Weight = WEIGHT,
    policy_weights: Sequence[float] | None = None,
    normalisation: Normalisation = NORMALISATION,
    penalty: PairPenalty | None = None,
    spectral_norm: bool = False,
    detached_generator: bool = False,
    unit: bool = False,
) -> Task:
    """A term of both players for transformed pairs, on top of any GAN.

    Reports "dag", the weighted sum over policies without lambda.

    Args:
        policies: which transforms.
        pair: the GAN's adversarial loss; a `Task` of it holds it as `pair`.
        weight: lambda.
        policy_weights: w_p, by default 1.
        normalisation: one of `NORMALISATIONS`.
        penalty: of every head between the images of its pair, as WGAN-GP needs it; the largest part
            of the cost.
        spectral_norm: of each head.
        detached_generator: the released example for WGAN-GP computes the generator's term on images
            that no gradient leaves: it then trains nothing.
        unit: whether the networks see images in [0, 1]: transforms that make up pixels get them in
            [-1, 1].

    Raises:
        ValueError: for no policies, weights of another number, an unknown normalisation, and, when
            traced, for images that a policy cannot transform.

    Example:
        >>> from gan_forensics.gans import adversarial, dag_task
        >>> from gan_forensics.gans.transforms import policies_of
        >>> dag_task(policies_of("rotation"), adversarial("hinge").pair)
        Task(discriminator: dag_task; generator: dag_task; brings dag_heads)
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(
            f"unknown normalisation {normalisation!r}; there are {', '.join(NORMALISATIONS)}"
        )
    if not all(isinstance(policy, Policy) for policy in policies):
        raise ValueError(
            f"policies are objects, got {list(policies)!r}: give "
            "gan_forensics.gans.transforms.policies_of('rotation')"
        )
    weights = tuple(policy_weights or (1.0,) * len(policies))
    if not policies or len(weights) != len(policies):
        raise ValueError(
            f"need a policy or more and a weight for each, got {len(policies)} and {len(weights)}"
        )
    transforms = _with_heads(policies, normalisation)
    shares = _shares(policies, weights, normalisation)

    def total(context: Context, player: str) -> Loss:
        discriminates = player == DISCRIMINATOR
        sees = pair.discriminator_sees if discriminates else pair.generator_sees
        of = pair.discriminator if discriminates else pair.generator
        value = jnp.float32(0)
        if transforms:
            if context.images("real").ndim > 2:  # points have transforms of their own
                check_images(policies, context.images("real").shape)
            copies = _Copies(context, transforms, sees, unit)
            logits = copies.logits()
            if detached_generator and not discriminates:
                logits = {owner: jax.lax.stop_gradient(made) for owner, made in logits.items()}
            for k, share in enumerate(shares):
                value = value + share * of(
                    {owner: made[k] for owner, made in logits.items()}, context
                )
            if penalty is not None and discriminates:
                steepness = jnp.asarray(shares) @ copies.penalties(penalty)
                value = value + context.weigh(penalty.weight) * steepness
        if normalisation == "shared_identity":
            main = {owner: _judged(context, owner)["logits"] for owner in sees}
            value = value + _identity_share(policies, weights) * of(main, context)
        return Loss(context.weigh(weight) * value, {"dag": value})

    return Task(
        (lambda context: total(context, DISCRIMINATOR),),
        (lambda context: total(context, GENERATOR),),
        {HEADS: LogitHeads(len(transforms), spectral_norm)} if transforms else {},
    )


class _Copies:
    """The transformed copies of a move, and what their heads say of them."""

    def __init__(
        self,
        context: Context,
        transforms: Sequence[Transform],
        sees: Sequence[str],
        unit: bool,
    ):
        self.context, self.sees, self.count = context, sees, len(transforms)
        self.copies: dict[tuple[int, str], tuple[Images, Labels]] = {}
        for owner in sees:
            images, labels = _images(context, owner)
            for k, transform in enumerate(transforms):
                if transform is not _IDENTITY:
                    key = context.key(f"{transform.name} {k} {owner}") if transform.random else None
                    wide = unit and transform.inverse is None
                    made = transform.apply(2 * images - 1 if wide else images, key)
                    made = (made + 1) / 2 if wide else made
                    if made.shape != images.shape:
                        raise ValueError(
                            f"{transform.name} makes {list(made.shape)} of {list(images.shape)}: "
                            "a transform must keep the size that the discriminator takes"
                        )
                    self.copies[k, owner] = (made, labels)

    def logits(self) -> dict[str, Float[Array, "heads b"]]:
        """Of every head for its own copies, by what these are of; one pass for all."""
        judged = self.context.together([*self.copies.values()]) if self.copies else []
        made = dict(zip(self.copies, judged, strict=True))
        for k in range(self.count):
            for owner in self.sees:
                # An identity's own head looks at what the GAN's own pass has made.
                if (k, owner) not in made:
                    made[k, owner] = _judged(self.context, owner)
        logits = self._of_heads(
            [[made[k, owner] for owner in self.sees] for k in range(self.count)]
        )
        return {owner: logits[:, place] for place, owner in enumerate(self.sees)}

    def penalties(self, penalty: PairPenalty) -> Float[Array, " heads"]:
        """Of every head, the mean penalty between the images of its pair."""
        context, ends = self.context, {}
        for owner in ("real", "fake"):
            plain = _images(context, owner)
            ends[owner] = [self.copies.get((k, owner), plain) for k in range(self.count)]
        real, fake = (jnp.stack([images for images, _ in ends[owner]]) for owner in ends)
        labels = [label for _, label in ends["real"]]
        alpha = split_over_data(
            jax.random.uniform(context.key("dag penalty"), real.shape[1:2], real.dtype)
        )
        alpha = alpha.reshape(1, -1, *(1,) * (real.ndim - 2))

        def summed(points):
            moved = dict(context.stats)
            judged = context.together(list(zip(points, labels, strict=True)))
            logits = self._of_heads([[one] for one in judged])
            context.stats = moved
            return logits.sum()

        points = jax.lax.stop_gradient(real + alpha * (fake - real))
        slopes = jax.grad(summed)(points)
        squares = squared_norms(slopes, norm=penalty.norm, batch_axes=2)
        return penalty_of_squared_norm(squares, kind=penalty.kind).reshape(self.count, -1).mean(1)

    def _of_heads(self, judged: list[list[DiscriminatorOutput]]) -> Float[Array, "heads owners b"]:
        """What head k says of the sets of row k; one step of each head's spectral norm."""
        rows, owners = len(judged), len(judged[0])
        trunks = jnp.stack([jnp.stack([one[TRUNK] for one in row], 1) for row in judged])
        logits = self.context.apply(HEADS, trunks.reshape(rows, -1, trunks.shape[-1]))
        logits = jnp.moveaxis(logits.reshape(rows, -1, owners), 2, 1)
        if PROJECTION in judged[0][0]:
            logits += jnp.stack([jnp.stack([one[PROJECTION] for one in row]) for row in judged])
        return logits


_IDENTITY = Transform("identity", lambda images, key: images, lambda images: images)


def _with_heads(policies: Sequence[Policy], normalisation: str) -> list[Transform]:
    """The transforms that have a head of their own, policy by policy."""
    own = [_IDENTITY] if normalisation == "module" else []
    return [transform for policy in policies for transform in (*own, *policy.transforms[1:])]


def _shares(policies, weights, normalisation: str) -> list[float]:
    """w_p c_p of every transform with a head."""
    found = []
    for policy, weight in zip(policies, weights, strict=True):
        n = len(policy.transforms)
        if normalisation == "non_identity":
            found += [weight / (n - 1)] * (n - 1) if n > 1 else []
        else:
            found += [weight / n] * (n if normalisation == "module" else n - 1)
    return found


def _identity_share(policies, weights) -> float:
    return sum(w / len(p.transforms) for p, w in zip(policies, weights, strict=True))


def _images(context: Context, owner: str) -> tuple[Images, Labels]:
    if owner == "reconstruction":
        return reconstructed(context), None
    return context.images(owner), context.labels(owner)  # pyright: ignore[reportArgumentType]


def _judged(context: Context, owner: str) -> DiscriminatorOutput:
    if owner == "reconstruction":
        return judged_reconstruction(context)
    return context.judged(owner)  # pyright: ignore[reportArgumentType]
