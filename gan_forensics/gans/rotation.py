"""The rotation task of SSGAN: which way up is the image? (Chen et al., CVPR 2019.)

As in the code of Lee and Town (arXiv 2005.02494): image i of N is turned by 90 degrees times
floor(4 i / N), counter-clockwise, and a second head of the discriminator tells by how much. (The
authors' own code instead turns a quarter of the batch by all four angles.)
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_forensics.gans.context import Context
from gan_forensics.gans.task import Loss, Owner, Task, Term, Weight
from gan_forensics.runtime import split_over_data

ROTATION_HEAD = "rotation_head"
Sampler = Literal["quarters", "pool"]


def rotation_labels(n: int) -> Int[Array, " n"]:
    """Quarter turns of each image of a batch: floor(4 i / n).

    Example:
        >>> rotation_labels(6).tolist()
        [0, 0, 1, 2, 2, 3]
    """
    return 4 * jnp.arange(n, dtype=jnp.int32) // n


def rotated(images: Float[Array, "b h w c"], turns: Int[Array, " b"]) -> Float[Array, "b h w c"]:
    """Turn square images counter-clockwise by so many quarters, each by its own number.

    Raises:
        ValueError: for images that are not square.

    Example:
        >>> import numpy as np
        >>> image = np.array([[0, 1], [2, 3]]).reshape(1, 2, 2, 1)
        >>> rotated(image, [1]).reshape(2, 2).tolist()
        [[1, 3], [0, 2]]
    """
    images = jnp.asarray(images)
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(f"only square images [b, h, h, c] can be turned, got {list(images.shape)}")
    # All four, of which one is taken: images of a split batch stay on their device.
    turns = jnp.asarray(turns).reshape(-1, 1, 1, 1) % 4
    result = images
    for quarters in (1, 2, 3):
        result = jnp.where(turns == quarters, jnp.rot90(images, quarters, axes=(1, 2)), result)
    return result


def rotation_loss(logits: Float[Array, "b 4"], turns: Int[Array, " b"]) -> Float[Array, ""]:
    """Mean cross entropy of the four-way head, in nats.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> from gan_forensics.gans import rotation_labels, rotation_loss
        >>> logits, turns = np.zeros((8, 4)), rotation_labels(8)
        >>> round(float(jax.jit(rotation_loss)(logits, turns)), 4)  # chance: log 4
        1.3863
    """
    logits = jnp.asarray(logits)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    own = jnp.take_along_axis(logits, jnp.asarray(turns)[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(logits, axis=1) - own).mean()


def turned_in_quarters(images: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The images of a batch turned by its `rotation_labels`."""
    return rotated(images, rotation_labels(len(images)))


def pool_of_turns(
    images: Float[Array, "b h w c"], indices: Int[Array, " m"]
) -> Float[Array, "m h w c"]:
    """Members of the 4 b turned images, rotation-major: index k b + i is image i turned k times."""
    count = len(images)
    return rotated(images[indices % count], indices // count)


def drawn_from_pool(context: Context, sets: int) -> Int[Array, " b"]:
    """Indices of as many members as a batch has, without replacement, of a pool of so many sets."""
    count = len(context.images("real"))
    key = context.key(f"pool of {sets}")
    order = jax.random.permutation(key, jnp.arange(sets * count, dtype=jnp.int32))
    return split_over_data(order[:count])


def rotation_task(
    *,
    discriminator_weight: Weight = 1.0,
    generator_weight: Weight = 0.2,
    head: nn.Module | None = None,
    sampler: Sampler = "quarters",
) -> Task:
    """The task of SSGAN, for any discriminator; one more pass a move.

    The discriminator is trained on turned real images, the generator by turned images of its own.
    Reports "rotation", the loss without its weight; chance is log 4 = 1.386.

    Args:
        discriminator_weight: of the loss in the discriminator's move.
        generator_weight: in the generator's; 0 leaves its term out.
        head: from the features of a discriminator to four logits, `nn.heads.ClassHead(4)`; None for
            one with an output "rotation".
        sampler: which turned images make the batch: "quarters", all images, a quarter of them by
            each angle; or "pool", as many drawn without replacement from all of them turned by all
            angles, as in the code released with MS-GAN.

    Example:
        >>> from gan_forensics.nn.heads import ClassHead
        >>> task = rotation_task(head=ClassHead(4))
        >>> len(task.discriminator), len(task.generator), list(task.networks)
        (1, 1, ['rotation_head'])
    """

    def of(owner: Owner, weight: Weight) -> Term:
        def term(context: Context) -> Loss:
            if sampler == "pool":
                indices = drawn_from_pool(context, 4)
                turned = pool_of_turns(context.images(owner), indices)
                judged = context.discriminate(turned, context.labels(owner))
                turns = indices // len(turned)
            else:
                judged = context.judged(owner, turned_in_quarters)
                turns = rotation_labels(len(judged.images))
            if head is None:
                logits = judged["rotation"]
            else:
                logits = context.apply(ROTATION_HEAD, judged.features)
            loss = rotation_loss(logits, turns)
            return Loss(context.weigh(weight) * loss, {"rotation": loss})

        return term

    terms = ((of("real", discriminator_weight),), (of("fake", generator_weight),))
    if isinstance(generator_weight, float | int) and generator_weight == 0:
        terms = (terms[0], ())
    return Task(*terms, {} if head is None else {ROTATION_HEAD: head})
