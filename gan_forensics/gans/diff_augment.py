"""Random augmentations that gradients pass through: DiffAugment's, CR's, and classical ones.

Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020: colour,
translation and cutout with draws of their own for every image, of real and generated images alike.
Zhang et al., "Consistency regularization for GANs", ICLR 2020: mirroring and small shifts.

Images are [b, h, w, c], usually in [-1, 1]; zero, which fills holes, is their middle grey. What
takes its draws as arguments is linear in the images up to a constant; nothing is clipped. Draws
are made for every image by itself, and no image looks at another one.
"""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_forensics.runtime import split_over_data

if TYPE_CHECKING:
    from gan_forensics.gans.transforms import Policy

# Shares of a side, as published: the largest shift, and the square that is cut out.
SHIFT = 1 / 8
HOLE = 1 / 2


def resampled(
    images: Float[Array, "b h w c"],
    rows: Float[Array, "*b h h"],
    columns: Float[Array, "*b w w"],
) -> Float[Array, "b h w c"]:
    """The images with weighted sums of their rows, then of their columns.

    Args:
        images: any images.
        rows: weights of all rows in every new row, [h, h], or one matrix for each image.
        columns: the same of columns.
    """
    # Where weights are 0 and 1 values are only moved: they must not be rounded to bfloat16.
    exact = jax.lax.Precision.HIGHEST
    own = "b" if rows.ndim == 3 else ""
    images = jnp.einsum(f"{own}ih,bhwc->biwc", rows, images, precision=exact)
    return jnp.einsum(f"{own}jw,biwc->bijc", columns, images, precision=exact)


def translate(
    images: Float[Array, "b h w c"], rows: Int[Array, " b"], columns: Int[Array, " b"]
) -> Float[Array, "b h w c"]:
    """What is at (i + rows, j + columns) moves to (i, j); zero comes in from outside."""
    _, height, width, _ = images.shape
    return resampled(
        images,
        _taken(_counted(height) + _of_images(rows, 2), height, images.dtype),
        _taken(_counted(width) + _of_images(columns, 2), width, images.dtype),
    )


def cutout(
    images: Float[Array, "b h w c"], rows: Int[Array, " b"], columns: Int[Array, " b"], side: int
) -> Float[Array, "b h w c"]:
    """Squares of `side` pixels become zero; they start side // 2 before (rows, columns).

    The part of a square outside of its image is lost.
    """

    def inside(length, centres):
        offset = _counted(length) - (_of_images(centres, 2) - side // 2)
        return (offset >= 0) & (offset < side)

    _, height, width, _ = images.shape
    hole = inside(height, rows)[:, :, None] & inside(width, columns)[:, None, :]
    return jnp.where(hole[..., None], 0, images)


def brightness(
    images: Float[Array, "b h w c"], amount: Float[Array, " b"]
) -> Float[Array, "b h w c"]:
    """The images plus `amount`."""
    return images + _of_images(amount, 4).astype(images.dtype)


def saturation(
    images: Float[Array, "b h w c"], amount: Float[Array, " b"]
) -> Float[Array, "b h w c"]:
    """Distances from each pixel's mean over channels times `amount`: none on one channel."""
    return _spread(images, amount, (3,))


def contrast(
    images: Float[Array, "b h w c"], amount: Float[Array, " b"]
) -> Float[Array, "b h w c"]:
    """Distances from the mean of the whole image times `amount`."""
    return _spread(images, amount, (1, 2, 3))


def random_colour(images: Float[Array, "b h w c"], key: Array) -> Float[Array, "b h w c"]:
    """Brightness + U[-.5, .5), then saturation times U[0, 2), then contrast times U[.5, 1.5).

    On images with one channel saturation changes nothing.
    """
    for change, low, high, own in zip(
        (brightness, saturation, contrast),
        (-0.5, 0.0, 0.5),
        (0.5, 2.0, 1.5),
        jax.random.split(key, 3),
        strict=True,
    ):
        dtype = jnp.promote_types(images.dtype, jnp.float32)
        amount = split_over_data(jax.random.uniform(own, images.shape[:1], dtype, low, high))
        images = change(images, amount)
    return images


def random_translation(images: Float[Array, "b h w c"], key: Array) -> Float[Array, "b h w c"]:
    """Shifts of up to int(n / 8 + .5) pixels along either axis, zero coming in."""
    limits = [int(n * SHIFT + 0.5) for n in _sides(images)]
    return translate(images, *_drawn_places(images, key, limits, limits))


def random_cutout(images: Float[Array, "b h w c"], key: Array) -> Float[Array, "b h w c"]:
    """Squares of int(n / 2 + .5) pixels, n the shorter side, become zero, anywhere in the image.

    Centres are uniform over the whole image: much of a square may be outside of it.
    """
    side = int(min(_sides(images)) * HOLE + 0.5)
    rows, columns = _drawn_places(images, key, (0, 0), [n - side % 2 for n in _sides(images)])
    return cutout(images, rows, columns, side)


_RANDOM = {"colour": random_colour, "translation": random_translation, "cutout": random_cutout}
DIFF_AUGMENT = tuple(_RANDOM)


def diff_augment(
    images: Float[Array, "b h w c"], key: Array, policy: Sequence[str] = DIFF_AUGMENT
) -> Float[Array, "b h w c"]:
    """DiffAugment: the random changes of a policy, one after the other.

    Args:
        images: any images.
        key: PRNG key. What one change draws does not depend on the others.
        policy: some of `DIFF_AUGMENT`; the images themselves are returned for none.

    Raises:
        ValueError: for an unknown change.
    """
    keys = dict(zip(DIFF_AUGMENT, jax.random.split(key, len(DIFF_AUGMENT)), strict=True))
    for name in policy:
        if name not in _RANDOM:
            close = difflib.get_close_matches(name, DIFF_AUGMENT, n=1, cutoff=0.0)
            raise ValueError(
                f"unknown change {name!r} for DiffAugment; did you mean {close[0]!r}? "
                f"It has {', '.join(DIFF_AUGMENT)}"
            )
        images = _RANDOM[name](images, keys[name])
    return images


def random_flip_and_shift(images: Float[Array, "b h w c"], key: Array) -> Float[Array, "b h w c"]:
    """What CR and bCR compare an image with: half are mirrored, all shifted by up to n // 8 pixels.

    Shifts are uniform integers for either axis, up to 4 pixels of 32. What comes in from outside
    is reflected without repeating the border, as in the implementation of PyTorch-StudioGAN.
    """
    flip_key, shift_key = jax.random.split(key)
    mirrored = split_over_data(jax.random.bernoulli(flip_key, jnp.float32(0.5), images.shape[:1]))
    height, width = _sides(images)
    limits = [height // 8, width // 8]
    rows, columns = _drawn_places(images, shift_key, limits, limits)
    down = _reflected(_counted(height) + _of_images(rows, 2), height)
    across = _reflected(_counted(width) + _of_images(columns, 2), width)
    across = jnp.where(_of_images(mirrored, 2), width - 1 - across, across)
    return resampled(
        images, _taken(down, height, images.dtype), _taken(across, width, images.dtype)
    )


def random_of(
    policies: "Sequence[Policy]", images: Float[Array, "b h w c"], key: Array
) -> Float[Array, "b h w c"]:
    """Classical augmentation: each image through one transform, drawn uniformly from all policies.

    The identity, which every policy begins with, is counted once.
    """
    others = [transform for policy in policies for transform in policy.transforms[1:]]
    choice_key, *keys = jax.random.split(key, 1 + len(others))
    count = len(others)
    choice = split_over_data(
        jax.random.randint(choice_key, images.shape[:1], 0, 1 + count, jnp.int32)
    )
    result = images
    for number, (transform, own) in enumerate(zip(others, keys, strict=True), start=1):
        drawn = _of_images(choice == number, 4)
        result = jnp.where(drawn, transform.apply(images, own), result)
    return result


def _sides(images) -> tuple[int, int]:
    return images.shape[1], images.shape[2]


def _counted(length: int) -> Int[Array, "1 n"]:
    return jnp.arange(length, dtype=jnp.int32).reshape(1, -1)


def _of_images(values: Array, ndim: int) -> Array:
    """One number for each image, shaped to stand beside arrays of so many axes."""
    return jnp.asarray(values).reshape(-1, *(1,) * (ndim - 1))


def _drawn_places(images, key, before: Sequence[int], after: Sequence[int]):
    """Uniform rows and columns from -before to after, both included, for each image."""
    low, high = (jnp.asarray(limits).reshape(1, 2) for limits in (before, after))
    drawn = split_over_data(jax.random.randint(key, (len(images), 2), -low, high + 1, jnp.int32))
    return drawn[:, 0], drawn[:, 1]


def _reflected(sources: Array, length: int) -> Array:
    """Places up to one length outside, mirrored at the first and the last one."""
    sources = jnp.abs(sources)
    return jnp.where(sources < length, sources, 2 * (length - 1) - sources)


def _taken(sources: Int[Array, "b n"], length: int, dtype) -> Float[Array, "b n n"]:
    """Weights that put what is at `sources` in its place; zero for sources outside."""
    return jax.nn.one_hot(sources, length, dtype=dtype)


def _spread(images, amount, axes: tuple[int, ...]):
    mean = images.mean(axes, keepdims=True)
    return (images - mean) * _of_images(amount, 4).astype(images.dtype) + mean
