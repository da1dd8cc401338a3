"""The transforms of DAG by name: pure functions of images, in policies that each have a purpose.

Tran et al., "On data augmentation for GAN training", IEEE Transactions on Image Processing 30,
2021. A policy is a few transforms of which the first is the identity. The paper's guarantee, that
the transformed pairs ask for nothing but the data distribution, is for transforms that can be
undone; crops, shifts that lose a border, cutout and colour have no guarantee. Released code comes
in a PyTorch and a TensorFlow version, which differ; whose a policy is stands in its `note`.

Images are [b, h, w, c] with h = w wherever quarter turns are in play, in [-1, 1], so that the zero
of an empty border is the middle grey. Gradients pass through all transforms.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_forensics.gans.diff_augment import (
    random_colour,
    random_cutout,
    random_translation,
    resampled,
)
from gan_forensics.runtime import random_key

Images = Float[Array, "b h w c"]
SMALLEST = 4  # pixels of a side: of fewer a quarter is none


class Transform(NamedTuple):
    """One transform.

    Attributes:
        name: what it does.
        apply: images and a PRNG key to images of the same shape. Only random transforms need the
            key, and make a draw for each image; to others it may be None.
        inverse: undoes it exactly; None where that cannot be.
        random: whether it needs the key.
    """

    name: str
    apply: Callable[[Images, Array | None], Images]
    inverse: Callable[[Images], Images] | None
    random: bool = False


class Policy(NamedTuple):
    """Transforms that belong together.

    Attributes:
        name: what users call it.
        transforms: the first is the identity.
        note: whose it is.
    """

    name: str
    transforms: tuple[Transform, ...]
    note: str = ""

    @property
    def invertible(self) -> bool:
        """Whether each of its transforms can be undone."""
        return all(transform.inverse is not None for transform in self.transforms)


def _fixed(name: str, apply: Callable[[Images], Images], inverse=None) -> Transform:
    return Transform(name, lambda images, key: apply(images), inverse)


def _random(name: str, apply: Callable[[Images, Array], Images]) -> Transform:
    def with_key(images, key):
        if key is None:
            raise ValueError(f"{name} is random: pass a PRNG key")
        return apply(images, key)

    return Transform(name, with_key, None, random=True)


def _turned(quarters: int) -> Transform:
    """Counter-clockwise."""

    def by(quarters):
        return lambda images: jnp.rot90(images, quarters, axes=(1, 2))

    return _fixed(f"rotation by {90 * quarters} degrees", by(quarters), by(-quarters))


def _flipped(name: str, *axes: int) -> Transform:
    def flip(images):
        return jnp.flip(images, axes)

    return _fixed(name, flip, flip)


def _quarter(length: int) -> int:
    return length // 4


def _rolled(name: str, axis: int, sign: int) -> Transform:
    """What leaves the image on one side comes in on the other."""

    def by(sign):
        return lambda images: jnp.roll(images, sign * _quarter(images.shape[axis]), axis)

    return _fixed(f"circular shift by a quarter {name}", by(sign), by(-sign))


def _shifted(name: str, axis: int, sign: int) -> Transform:
    """What leaves the image is lost, and zero comes in."""

    def apply(images):
        length = images.shape[axis]
        by = _quarter(length)
        kept = (0, length - by) if sign > 0 else (by, length)
        padding = [(0, 0)] * images.ndim
        padding[axis] = (by, 0) if sign > 0 else (0, by)
        return jnp.pad(jax.lax.slice_in_dim(images, *kept, axis=axis), padding)

    return _fixed(f"shift by a quarter {name}", apply)


Resize = Literal["bilinear", "nearest", "align"]
Part = Literal["first", "last"]
CORNERS: dict[str, tuple[Part, Part]] = {
    "top left": ("first", "first"),
    "top right": ("first", "last"),
    "bottom left": ("last", "first"),
    "bottom right": ("last", "last"),
}


def crop_weights(n: int, part: Part, resize: Resize) -> np.ndarray:
    """Weights [n, n] that stretch the first or the last three quarters of n pixels over all n.

    Parts are [0, int(.75 n)) and [int(.25 n), n). `resize` is "nearest" (the pixel at
    floor(i length / n)), "bilinear" (with half-pixel centres) or "align" (bilinear, the outermost
    pixels' centres staying where they are: TensorFlow's `align_corners`).
    """
    start, stop = (0, int(0.75 * n)) if part == "first" else (int(0.25 * n), n)
    length = stop - start
    i = np.arange(n)
    places = {
        "nearest": i * length // n,
        "bilinear": np.clip((i + 0.5) * length / n - 0.5, 0, length - 1),
        "align": i * (length - 1) / (n - 1),
    }[resize]
    below = np.floor(places).astype(int)
    share = places - below
    weights = np.zeros((n, n))
    np.add.at(weights, (i, start + below), 1 - share)
    np.add.at(weights, (i, start + np.minimum(below + 1, length - 1)), share)
    return weights


def _cropped(corner: str, resize: Resize) -> Transform:
    def apply(images):
        rows, columns = (
            jnp.asarray(crop_weights(n, part, resize), images.dtype)
            for n, part in zip(images.shape[1:3], CORNERS[corner], strict=True)
        )
        return resampled(images, rows, columns)

    return _fixed(f"{corner} crop", apply)


def _crops(resize: Resize) -> tuple[Transform, ...]:
    return tuple(_cropped(corner, resize) for corner in CORNERS)


def _same(images):
    return images


_TURN_90 = _turned(1)
_LEFT_RIGHT = _flipped("columns reversed", 2)
_UP_DOWN = _flipped("rows reversed", 1)
_BOTH = _flipped("rows and columns reversed", 1, 2)
_SIDES = (("up", 1, -1), ("down", 1, 1), ("left", 2, -1), ("right", 2, 1))
_EXAMPLE = "as the released BigGAN example, which took it from DiffAugment"


def _policy(name: str, *transforms: Transform, note: str) -> Policy:
    return Policy(name, (_fixed("identity", _same, _same), *transforms), note)


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        _policy(
            "rotation", _TURN_90, _turned(2), _turned(3), note="as both of the released modules"
        ),
        _policy("flip", _LEFT_RIGHT, _UP_DOWN, _BOTH, note="the transforms of fliprot-tf"),
        _policy("fliprot", _UP_DOWN, _LEFT_RIGHT, _TURN_90, note="as the released PyTorch module"),
        _policy(
            "fliprot-tf",
            _LEFT_RIGHT,
            _UP_DOWN,
            _BOTH,
            note="as the released TensorFlow module: no rotation by 90 degrees",
        ),
        _policy(
            "crop", *_crops("bilinear"), note="the released boxes; ours is the half-pixel resize"
        ),
        _policy("crop-nearest", *_crops("nearest"), note="as the released PyTorch module"),
        _policy(
            "crop-biggan",
            _fixed("top-left crop that is none", _same, _same),
            *_crops("nearest")[1:],
            note="as the BigGAN example, whose first corner is the whole image",
        ),
        _policy("crop-align", *_crops("align"), note="as the released TensorFlow module"),
        _policy("translation", *(_shifted(*side) for side in _SIDES), note="ours"),
        _policy("shift", *(_rolled(*side) for side in _SIDES), note="ours"),
        _policy("random-translation", _random("random shift", random_translation), note=_EXAMPLE),
        _policy("cutout", _random("random cutout", random_cutout), note=_EXAMPLE),
        _policy("colour", _random("random colour", random_colour), note=_EXAMPLE),
    )
}


def policies_of(names: str | Sequence[str]) -> tuple[Policy, ...]:
    """The policies of these names, which may also stand in one string, split by commas.

    Raises:
        ValueError: for no name, an unknown one, and one that comes twice.
    """
    given = names.split(",") if isinstance(names, str) else list(names)
    given = [name.strip() for name in given]
    choice = f"Policies are {', '.join(POLICIES)}"
    if not any(given):
        raise ValueError(f"no transforms given, got {names!r}. {choice}")
    for name in given:
        if name not in POLICIES:
            (close,) = difflib.get_close_matches(name, POLICIES, n=1, cutoff=0.0)
            raise ValueError(f"unknown transforms {name!r}; did you mean {close!r}? {choice}")
        if given.count(name) > 1:
            raise ValueError(
                f"transforms {name!r} are given {given.count(name)} times: once will do"
            )
    return tuple(POLICIES[name] for name in given)


def check_images(policies: Sequence[Policy], images_shape: Sequence[int]) -> None:
    """Refuse policies that do not keep the shape [b, h, w, c], or [h, w, c], of these images.

    Raises:
        ValueError: for what are no images, or too small ones, and for policies with a transform
            that changes their size: quarter turns of images that are not square.
    """
    shape = tuple(images_shape)[-3:]
    if len(shape) < 3:
        raise ValueError(f"transforms are of images [b, h, w, c], got {list(images_shape)}")
    if min(shape[:2]) < SMALLEST:
        raise ValueError(
            f"transforms move quarters of an image, so it needs {SMALLEST} x {SMALLEST} pixels at "
            f"least, got {shape[0]} x {shape[1]}"
        )
    for policy in policies:
        changed = _that_change(policy, shape)
        if changed:
            able = [name for name, other in POLICIES.items() if not _that_change(other, shape)]
            raise ValueError(
                f"transforms {policy.name!r} change the size of images of {shape[0]} x {shape[1]} "
                f"pixels ({', '.join(changed)}): make the images square, or choose of "
                f"{', '.join(able)}"
            )


def _that_change(policy: Policy, shape: tuple[int, ...]) -> list[str]:
    """Names of the transforms after which images [h, w, c] have another shape."""
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    key = random_key(0)
    return [
        transform.name
        for transform in policy.transforms
        if jax.eval_shape(transform.apply, images, key).shape != images.shape
    ]
