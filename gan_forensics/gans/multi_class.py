"""Self-supervision that does not reward collapse: the discriminator's classes know of fakes.

With rotations T_k, k = 0 ... K-1 (K = 4), c the logits of a head on the discriminator's trunk, x
real, x_f = G(z), CE(c, y) = -log softmax(c)_y as a mean over the batch, in nats. Each row says what
the two players add to their adversarial losses, by l_d and l_g:

    SS          CE(c(T_k x), k)                                   `gan_forensics.gans.rotation`
                CE(c(T_k x_f), k)
    MS          CE(c(T_k x), k) + CE(c(T_k x_f), K)               log-ratio form, K + 1 classes
                CE(c(T_k x_f), k) - CE(c(T_k x_f), K)
    matching    CE(c(m), y)                                       K + 1 classes
                | CE(c(T_j x_f), j) - CE(c(T_j x), j) |
    LA          CE(c(T_k x), 2k) + CE(c(T_k x_f), 2k + 1)         2 K classes
                CE(c(T_k x_f), 2k) - CE(c(T_k x_f), 2k + 1)

SS is Chen et al. (CVPR 2019). Its generator is paid for images whose turn can be told, wherever
they lie: one that makes the same image always can earn all there is. MS is the multi-class minimax
game of Tran et al. (NeurIPS 2019, arXiv 1911.06997), in the form of Hou et al. (NeurIPS 2021, arXiv
2106.08601); its generator's term is the mean of c_K - c_k, which is what is computed. Matching is
the "adversarial training" of Tran et al. (arXiv 1905.05469), as the code released with the
NeurIPS paper has it: m are B images drawn without replacement from the 4 B turned real images and
the B upright fakes, whose class is K; j are the turns of B of 4 B turned images, the same for both.
LA is label augmentation (Hou et al.), also with the multi-class hinge loss in the place of CE; as
with the binary one, the generator's is not clipped.

The fourth part of a batch is turned by each number of quarters (`rotation_labels`), real and
generated images in one pass. The authors' text was not at hand: forms are those of the codes.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_forensics.gans.context import Context
from gan_forensics.gans.rotation import (
    drawn_from_pool,
    pool_of_turns,
    rotated,
    rotation_labels,
    rotation_loss,
    turned_in_quarters,
)
from gan_forensics.gans.task import Loss, Task, Weight
from gan_forensics.nn.heads import ClassHead

HEAD = "class_head"
TURNS = 4
FAKE = TURNS  # the class of generated images
LabelledLoss = Literal["cross-entropy", "multi-hinge"]
LABELLED_LOSSES: tuple[LabelledLoss, ...] = ("cross-entropy", "multi-hinge")
Logits = Float[Array, "b k"]
Labels = Int[Array, " b"]
Images = Float[Array, "b h w c"]

cross_entropy = rotation_loss


def fake_log_ratio(logits: Float[Array, "b 5"], turns: Labels) -> Float[Array, ""]:
    """CE(c, turns) - CE(c, fake) = mean(c_fake - c_turns): the MS generator's term, unbounded."""
    return (logits[:, FAKE] - _own(logits, turns)).mean()


def label_log_ratio(logits: Float[Array, "b 8"], turns: Labels) -> Float[Array, ""]:
    """CE(c, 2 turns) - CE(c, 2 turns + 1) = mean(c_(2 turns + 1) - c_(2 turns)): LA's generator."""
    return (_own(logits, 2 * turns + 1) - _own(logits, 2 * turns)).mean()


def multi_hinge(logits: Logits, labels: Labels) -> Float[Array, ""]:
    """Mean over images and the other classes j of max(0, 1 - c_y + c_j) (as Hou et al. compute)."""
    own = _own(logits, labels)[:, None]
    others = jnp.arange(logits.shape[1])[None] != labels[:, None]
    return (others * jax.nn.relu(1 - own + logits)).sum(1).mean() / (logits.shape[1] - 1)


def mixed_pool(real: Images, fake: Images, indices: Int[Array, " m"]) -> tuple[Images, Labels]:
    """Members, with their classes, of 4 B turned real images and then B upright fakes."""
    count = len(real)
    labels = indices // count
    is_fake = (labels == FAKE).reshape(-1, 1, 1, 1)
    turned = rotated(real[indices % count], labels % TURNS)
    return jnp.where(is_fake, fake[indices % count], turned), labels


def multi_class_task(
    *,
    discriminator_weight: Weight = 1.0,
    generator_weight: Weight = 0.2,
    spectral_norm: bool = False,
) -> Task:
    """MS, the multi-class minimax game in its log-ratio form, for any discriminator with a trunk.

    One more pass a move. Reports "multi_class", what the player adds without its weight; for the
    discriminator chance is 2 log 5 = 3.219.

    Args:
        discriminator_weight: l_d.
        generator_weight: l_g.
        spectral_norm: of the head.

    Example:
        >>> multi_class_task(generator_weight=0.1)
        Task(discriminator: multi_class_task; generator: multi_class_task; brings class_head)
    """

    def discriminator(context: Context) -> Loss:
        real, fake, turns = _turned(context)
        loss = cross_entropy(real, turns) + cross_entropy(fake, jnp.full_like(turns, FAKE))
        return _weighed(context, "multi_class", loss, discriminator_weight)

    def generator(context: Context) -> Loss:
        logits, turns = _turned_fakes(context)
        loss = fake_log_ratio(logits, turns)
        return _weighed(context, "multi_class", loss, generator_weight)

    return _task(discriminator, generator, TURNS + 1, spectral_norm)


def matching_task(
    *,
    discriminator_weight: Weight = 1.0,
    generator_weight: Weight = 0.1,
    spectral_norm: bool = False,
) -> Task:
    """Matching, the form released with MS-Dist-GAN, for any discriminator with a trunk.

    One more pass of the discriminator in its move, one of twice the batch in the generator's.
    Reports "matching", what the player adds without its weight; arguments as `multi_class_task`.

    Example:
        >>> matching_task().networks["class_head"].classes  # four turns, and generated
        5
    """

    def discriminator(context: Context) -> Loss:
        indices = drawn_from_pool(context, TURNS + 1)
        images, labels = mixed_pool(context.images("real"), context.images("fake"), indices)
        logits = context.apply(HEAD, context.discriminate(images, context.labels("real")).features)
        loss = cross_entropy(logits, labels)
        return _weighed(context, "matching", loss, discriminator_weight)

    def generator(context: Context) -> Loss:
        indices = drawn_from_pool(context, TURNS)
        pools = [
            (pool_of_turns(context.images(owner), indices), context.labels(owner))
            for owner in ("real", "fake")
        ]
        real, fake = _judged_by_head(context, pools)
        turns = indices // len(real)
        loss = jnp.abs(cross_entropy(fake, turns) - cross_entropy(real, turns))
        return _weighed(context, "matching", loss, generator_weight)

    return _task(discriminator, generator, TURNS + 1, spectral_norm)


def label_augmented_task(
    *,
    loss: LabelledLoss = "cross-entropy",
    discriminator_weight: Weight = 1.0,
    generator_weight: Weight = 1.0,
    spectral_norm: bool = False,
) -> Task:
    """LA: 2 K classes of which each says how an image is turned *and* whether it is real.

    Alone it is SSGAN-LA, which needs no adversarial loss beside; with one it is SSGAN-LA+, whose
    weights were 1 and 0.2. Reports "label_augmented"; other arguments as `multi_class_task`.

    Raises:
        ValueError: for an unknown loss.

    Example:
        >>> task = label_augmented_task(loss="multi-hinge")
        >>> task.networks["class_head"].classes  # four turns, each real or generated
        8
    """
    if loss not in LABELLED_LOSSES:
        raise ValueError(f"unknown loss {loss!r}; losses are {' and '.join(LABELLED_LOSSES)}")
    of: Callable[[Logits, Labels], Float[Array, ""]]
    of = cross_entropy if loss == "cross-entropy" else multi_hinge
    # Of unclipped margins the other classes cancel, but for the share of the two.
    share = 1.0 if loss == "cross-entropy" else 2 * TURNS / (2 * TURNS - 1)

    def discriminator(context: Context) -> Loss:
        real, fake, turns = _turned(context)
        value = of(real, 2 * turns) + of(fake, 2 * turns + 1)
        return _weighed(context, "label_augmented", value, discriminator_weight)

    def generator(context: Context) -> Loss:
        logits, turns = _turned_fakes(context)
        value = share * label_log_ratio(logits, turns)
        return _weighed(context, "label_augmented", value, generator_weight)

    return _task(discriminator, generator, 2 * TURNS, spectral_norm)


def _turned(context: Context) -> tuple[Logits, Logits, Labels]:
    """Class logits of turned real and generated images, judged in one pass, and their turns."""
    copies = [
        (turned_in_quarters(context.images(owner)), context.labels(owner))
        for owner in ("real", "fake")
    ]
    real, fake = _judged_by_head(context, copies)
    return real, fake, rotation_labels(len(real))


def _judged_by_head(context: Context, copies) -> Sequence[Logits]:
    """The class logits of sets of images, in one pass of the discriminator and of the head."""
    # Interleaved, as `together` does.
    features = jnp.stack([judged.features for judged in context.together(copies)], 1)
    logits = context.apply(HEAD, features.reshape(-1, features.shape[-1]))
    return tuple(logits[k :: len(copies)] for k in range(len(copies)))


def _turned_fakes(context: Context) -> tuple[Logits, Labels]:
    logits = context.apply(HEAD, context.judged("fake", turned_in_quarters).features)
    return logits, rotation_labels(len(logits))


def _own(logits: Logits, labels: Labels) -> Float[Array, " b"]:
    return jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]


def _weighed(context: Context, name: str, loss: Float[Array, ""], weight: Weight) -> Loss:
    return Loss(context.weigh(weight) * loss, {name: loss})


def _task(discriminator, generator, classes: int, spectral_norm: bool) -> Task:
    return Task((discriminator,), (generator,), {HEAD: ClassHead(classes, spectral_norm)})
