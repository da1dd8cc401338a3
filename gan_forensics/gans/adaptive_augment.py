"""ADA: augment all that the discriminator sees, with a probability that its overfitting sets.

Karras et al., "Training generative adversarial networks with limited data", NeurIPS 2020: pipeline
"bgc" (appendix B: moves of pixels, of the image, of colours) with the published magnitudes. Each
change is drawn for an image with probability p, then its strength; so p = 1 is the whole pipeline
and p = 0 none. Images are [b, h, w, c] in [-1, 1], with one channel or with red, green and blue.

As published, except that positions between pixels are interpolated linearly: the published code
raises the resolution and filters with a wavelet's low pass before and after.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from gan_forensics.nn.network import Network
from gan_forensics.runtime import split_over_data

# Standard deviations, of logarithms to base 2 where they are factors, or largest shares of a side.
SHIFT = 0.125
SCALE = 0.2
STRETCH = 0.2
DRIFT = 0.125
BRIGHTNESS = 0.2
CONTRAST = 0.5
SATURATION = 1.0


class Changes(NamedTuple):
    """What is done to each of b images, in this order; the defaults do nothing.

    Attributes:
        flip: 1 mirrors left and right.
        turns: quarter turns, 0 to 3.
        down, right: shift in whole pixels.
        scale: factor of both sides.
        turn_before: angle, before the stretch.
        stretch: factor of the width, and divisor of the height.
        turn_after: angle, after the stretch.
        drift_down, drift_right: shift in pixels.
        brightness: what is added.
        contrast: factor of all values.
        luma_flip: 1 turns the sign of the mean over channels.
        hue: angle of a rotation around the grey axis.
        saturation: factor of the distance from the grey axis.
    """

    flip: Float[Array, " b"] | float = 0.0
    turns: Float[Array, " b"] | float = 0.0
    down: Float[Array, " b"] | float = 0.0
    right: Float[Array, " b"] | float = 0.0
    scale: Float[Array, " b"] | float = 1.0
    turn_before: Float[Array, " b"] | float = 0.0
    stretch: Float[Array, " b"] | float = 1.0
    turn_after: Float[Array, " b"] | float = 0.0
    drift_down: Float[Array, " b"] | float = 0.0
    drift_right: Float[Array, " b"] | float = 0.0
    brightness: Float[Array, " b"] | float = 0.0
    contrast: Float[Array, " b"] | float = 1.0
    luma_flip: Float[Array, " b"] | float = 0.0
    hue: Float[Array, " b"] | float = 0.0
    saturation: Float[Array, " b"] | float = 1.0


NOTHING = Changes()
# Both of a pair are drawn, or neither.
PAIRS = {"right": "down", "drift_right": "drift_down"}
MOVES = Changes._fields[: Changes._fields.index("brightness")]


def adaptive_augment(
    images: Float[Array, "b h w c"], key: Array, p: Float[Array, ""] | float
) -> Float[Array, "b h w c"]:
    """Each image with the changes that are drawn for it, each with probability p.

    Images for which nothing is drawn are returned bit by bit.

    Args:
        images: with one or three channels.
        key: PRNG key.
        p: from 0 to 1; may be traced.

    Raises:
        ValueError: for another number of channels.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            "ADA changes images [b, h, w, c] with one channel or three (red, green, blue), got "
            f"{list(images.shape)}"
        )
    changes = drawn_changes(key, images.shape, p)
    changed = {
        name: getattr(changes, name) != neutral for name, neutral in NOTHING._asdict().items()
    }
    moved = jnp.stack([changed[name] for name in MOVES]).any(0)
    coloured = jnp.stack([changed[name] for name in changed if name not in MOVES]).any(0)
    images = jnp.where(_each(moved, 4), warped(images, changes), images)
    return jnp.where(_each(coloured, 4), recoloured(images, changes), images)


def drawn_changes(key: Array, shape: tuple[int, ...], p: Float[Array, ""] | float) -> Changes:
    """Draws for images of a shape [b, h, w, c], of which each is kept with probability p.

    Of the two rotations at least one is kept with probability p. A flip or turn that is kept may be
    none. Images that are not square make no quarter turns.
    """
    batch, height, width, _ = shape
    uniform_key, normal_key = jax.random.split(key)
    uniforms = split_over_data(
        jax.random.uniform(uniform_key, (batch, len(NOTHING) + 8), jnp.float32)
    )
    kept, uniform = jnp.split(uniforms, [len(NOTHING)], axis=1)
    uniform = iter(uniform.T)
    normal = iter(split_over_data(jax.random.normal(normal_key, (batch, 7), jnp.float32)).T)

    def around_zero():
        return 2 * next(uniform) - 1

    def factor(deviation):
        return jnp.exp2(deviation * next(normal))

    strengths = Changes(
        flip=jnp.floor(2 * next(uniform)),
        turns=jnp.floor(4 * next(uniform)) * (height == width),
        down=jnp.round(SHIFT * height * around_zero()),
        right=jnp.round(SHIFT * width * around_zero()),
        scale=factor(SCALE),
        turn_before=math.pi * around_zero(),
        stretch=factor(STRETCH),
        turn_after=math.pi * around_zero(),
        drift_down=DRIFT * height * next(normal),
        drift_right=DRIFT * width * next(normal),
        brightness=BRIGHTNESS * next(normal),
        contrast=factor(CONTRAST),
        luma_flip=jnp.floor(2 * next(uniform)),
        hue=math.pi * around_zero(),
        saturation=factor(SATURATION),
    )
    either = 1 - jnp.sqrt(1 - jnp.asarray(p, jnp.float32))

    def kept_or_not(name, strength):
        of_two = name in ("turn_before", "turn_after")
        draw = kept[:, Changes._fields.index(PAIRS.get(name, name))]
        return jnp.where(draw < (either if of_two else p), strength, getattr(NOTHING, name))

    return Changes(*(kept_or_not(*change) for change in strengths._asdict().items()))


def warped(images: Float[Array, "b h w c"], changes: Changes) -> Float[Array, "b h w c"]:
    """The images after all their moves, interpolated once; what comes in is reflected.

    Angles and quarters are counter-clockwise.
    """
    _, height, width, _ = images.shape
    dtype = jnp.promote_types(images.dtype, jnp.float32)
    moves = Changes(*(_each(jnp.asarray(change, dtype), 3) for change in changes))
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2

    # Where does what comes to (y, x), from the middle, come from? The last move is undone first.
    y = jnp.arange(height, dtype=dtype).reshape(1, -1, 1) - middle_y - moves.drift_down
    x = jnp.arange(width, dtype=dtype).reshape(1, 1, -1) - middle_x - moves.drift_right
    y, x = _turned_back(y, x, jnp.cos(moves.turn_after), jnp.sin(moves.turn_after))
    y, x = y * moves.stretch, x / moves.stretch
    y, x = _turned_back(y, x, jnp.cos(moves.turn_before), jnp.sin(moves.turn_before))
    y, x = y / moves.scale - moves.down, x / moves.scale - moves.right
    # Exact, so that flips, quarter turns and whole pixels find pixels and not places nearby.
    quarters = jnp.asarray(moves.turns, int) % 4
    cosine, sine = (jnp.array(of, dtype)[quarters] for of in ((1, 0, -1, 0), (0, 1, 0, -1)))
    y, x = _turned_back(y, x, cosine, sine)
    x = jnp.where(moves.flip == 1, -x, x)

    def of_channel(plane, y, x):
        return map_coordinates(plane, [y, x], order=1, mode="mirror")

    of_image = jax.vmap(of_channel, in_axes=(2, None, None), out_axes=2)
    return jax.vmap(of_image)(images.astype(dtype), y + middle_y, x + middle_x).astype(images.dtype)


def recoloured(images: Float[Array, "b h w c"], changes: Changes) -> Float[Array, "b h w c"]:
    """The images after all their changes of colour; hue and saturation are nothing on one channel.

    They are products of matrices that all keep the grey axis and turn or stretch around it. So all
    of them together are a gain on the mean over channels, and another one, with a rotation, on the
    distance from it.
    """
    dtype = jnp.promote_types(images.dtype, jnp.float32)
    colours = Changes(*(_each(jnp.asarray(change, dtype), 4) for change in changes))
    values = images.astype(dtype)
    mean = values.mean(-1, keepdims=True)
    # The cross product with the grey axis (1, 1, 1) / sqrt(3).
    across = (jnp.roll(values, 1, -1) - jnp.roll(values, -1, -1)) / math.sqrt(3)
    around = jnp.cos(colours.hue) * (values - mean) + jnp.sin(colours.hue) * across
    grey = (1 - 2 * colours.luma_flip) * (mean + colours.brightness)
    return (colours.contrast * (grey + colours.saturation * around)).astype(images.dtype)


class AdaptiveProbability(Network):
    """How often ADA augments, from the mean sign of the discriminator's logits of real images.

    That mean, r_t, is 0 for a discriminator that cannot tell, and 1 for one that knows the
    training images by heart. Every `interval` minibatches p grows where r_t is above its target,
    and shrinks where it is below, by so much that it needs `kimg` thousand images from 0 to 1.

    Its statistics, in the collection "adaptive", are scalars: p; r, the last r_t; and since the
    last adjustment signs, their sum, count, the number of logits, and batches.

    Attributes:
        target: of r_t; .6 as published.
        kimg: thousands of real images from p = 0 to p = 1; 500 as published.
        interval: minibatches between adjustments.
        limit: the largest p; at 1 a generator of turned images would not be found out.
    """

    target: float = 0.6
    kimg: float = 500.0
    interval: int = 4
    limit: float = 0.8

    @nn.compact
    def __call__(self, logits: Float[Array, "b *shape"], *, train: bool) -> Float[Array, ""]:
        """The probability after this minibatch of logits of real images, one logit for each.

        Without `train` nothing is counted. The logits must be differences from a zero that means
        "cannot tell", which those of relativistic and Wasserstein losses are not.
        """
        p, r, signs = (self._number(name, jnp.float32) for name in ("p", "r", "signs"))
        count, batches = (self._number(name, jnp.int32) for name in ("count", "batches"))
        if not train or self.is_initializing():
            return p.value

        # Summed in float32: bfloat16 cannot count beyond 256.
        all_signs = signs.value + jnp.sign(jax.lax.stop_gradient(logits)).sum(dtype=jnp.float32)
        all_count = count.value + logits.size
        due = batches.value + 1 >= self.interval
        mean = all_signs / all_count
        change = jnp.sign(mean - self.target) * all_count / (1000 * self.kimg)

        p.value = jnp.where(due, jnp.clip(p.value + change, 0, self.limit), p.value)
        r.value = jnp.where(due, mean, r.value)
        signs.value = jnp.where(due, 0, all_signs)
        count.value = jnp.where(due, 0, all_count)
        batches.value = jnp.where(due, 0, batches.value + 1)
        return p.value

    def _number(self, name: str, dtype) -> nn.Variable:
        return self.variable("adaptive", name, jnp.zeros, (), dtype)


def _each(values: Array, ndim: int) -> Array:
    """One number for each image (or one for all), shaped to stand beside arrays of so many axes."""
    return values.reshape(-1, *(1,) * (ndim - 1))


def _turned_back(y, x, cosine, sine):
    """Where what is at (y, x) was before a counter-clockwise turn; y points down."""
    return y * cosine + x * sine, x * cosine - y * sine
