"""Images from a trained generator: drawn, of chosen classes, truncated, or between two others.

A generator of points makes points: where this says images, they are float32 [n, d], in the range of
the data.
"""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, UInt8

from gan_forensics.data import to_uint8
from gan_forensics.gans.averaged import with_average
from gan_forensics.gans.building import Gan, check_gan, check_seed, check_state
from gan_forensics.gans.class_names import class_number
from gan_forensics.gans.priors import Prior
from gan_forensics.gans.task import GENERATOR
from gan_forensics.nn.calling import apply
from gan_forensics.runtime import products, random_key
from gan_forensics.train import TrainState

Labels = int | str | Sequence[int] | Sequence[str] | Int[np.ndarray, " n"] | None


def generate(
    gan: Gan,
    state: TrainState,
    n: int,
    *,
    seed: int,
    labels: Labels = None,
    truncation: float | None = None,
    batch_size: int = 64,
) -> UInt8[np.ndarray, "n h w c"] | Float[np.ndarray, "n d"]:
    """Draw n images, uint8 [n, h, w, c], or points, with running batch norm statistics.

    Image i depends on the seed and on i (and its label) alone, not on n or the batch size. Where
    the state keeps a moving average of the generator, that is used, with statistics of its own.

    Args:
        gan: what was trained.
        state: as training left it.
        n: how many.
        seed: of the noise.
        labels: for a conditional GAN: a class for all, or one for each image, by number or by name
            (`gan.config.label_names`); by default classes are drawn uniformly.
        truncation: t of the truncation trick: each number of the noise is drawn anew until it lies
            in (-t, t). Smaller is more alike and usually finer (Brock et al., ICLR 2019).
        batch_size: images at a time.

    Raises:
        ValueError: for labels of a GAN without classes, labels out of range or of another number
            than n, a truncation that is not positive or of a prior that is not normal, and a
            generator whose pixels or points are no numbers.

    Example:
        >>> from gan_forensics.gans import GanConfig, build, generate
        >>> gan = build(GanConfig("cgan-pd", size=32, classes=10, generator_width=8))
        >>> state = gan.learner.start(0)  # doctest: +SKIP
        >>> images = generate(gan, state, 5, seed=0, labels=7)  # doctest: +SKIP
        >>> images.shape, str(images.dtype)  # doctest: +SKIP
        ((5, 32, 32, 3), 'uint8')
    """
    check_gan(gan)
    check_state(state)
    check_seed(seed)
    for name, value in {"n": n, "batch_size": batch_size}.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, got {value!r}")
    classes = _chosen(gan, labels, n)
    if truncation is not None and not truncation > 0:
        raise ValueError(f"truncation must be positive, got {truncation}")
    key, prior = random_key(seed), gan.game.prior
    if truncation is not None and prior.name != "normal":
        raise ValueError(
            f"truncation is for normal noise, this GAN's is {prior.name}: leave it out"
        )
    state, batches = with_average(gan, state), []
    for first in range(0, n, batch_size):
        # The last batch is drawn whole too, so that the generator is compiled once.
        places = jnp.arange(first, first + batch_size, dtype=jnp.int32)
        z = _noise(key, places, prior, truncation)
        if classes is not None:
            chosen = jnp.asarray(classes)[places.clip(0, n - 1)]
        elif gan.config.classes:
            chosen = _drawn_labels(key, places, gan.config.classes)
        else:
            chosen = None
        batches.append(_images(gan, state, z, chosen))
    return _finished(gan, np.concatenate(batches)[:n])


def interpolate(
    gan: Gan,
    state: TrainState,
    rows: int,
    columns: int,
    *,
    seed: int,
    labels: Labels = None,
) -> UInt8[np.ndarray, "rows*columns h w c"] | Float[np.ndarray, "rows*columns d"]:
    """Strips of images from one noise to another, row by row, along great circles (`slerp`).

    Args:
        gan: what was trained.
        state: as training left it; its moving average is used where there is one.
        rows: strips, each between two noises of its own.
        columns: images a strip, both ends included; at least 2.
        seed: of the noise.
        labels: for a conditional GAN: a class for all, or one for each row, which does not change
            along it; by default drawn.

    Raises:
        ValueError: for labels as in `generate`, and for fewer than one row or two columns.

    Example:
        >>> from gan_forensics.gans import GanConfig, build, interpolate
        >>> gan = build(GanConfig(size=16, width=4))
        >>> state = gan.learner.start(0)  # doctest: +SKIP
        >>> interpolate(gan, state, rows=2, columns=8, seed=0).shape  # doctest: +SKIP
        (16, 16, 16, 3)
    """
    check_gan(gan)
    check_state(state)
    check_seed(seed)
    if rows < 1 or columns < 2:
        raise ValueError(f"need at least one row and two columns, got {rows} and {columns}")
    classes = _chosen(gan, labels, rows)
    key = random_key(seed)
    ends = _noise(key, jnp.arange(2 * rows, dtype=jnp.int32), gan.game.prior, None)
    if classes is None and gan.config.classes:
        classes = _drawn_labels(key, jnp.arange(rows, dtype=jnp.int32), gan.config.classes)
    steps = jnp.linspace(0, 1, columns, dtype=jnp.float32)
    state, strips = with_average(gan, state), []
    for row in range(rows):
        z = jax.vmap(partial(slerp, ends[2 * row], ends[2 * row + 1]))(steps)
        chosen = None if classes is None else jnp.full(columns, classes[row], jnp.int32)
        strips.append(_images(gan, state, z, chosen))
    return _finished(gan, np.concatenate(strips))


def slerp(
    a: Float[Array, " d"], b: Float[Array, " d"], t: Float[Array, ""] | float
) -> Float[Array, " d"]:
    """Spherical interpolation: a at t = 0, b at t = 1, turning evenly (Shoemake, SIGGRAPH 1985).

    sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b with w the angle between a and b. The straight
    way between two samples of a high-dimensional normal distribution leads through shorter vectors,
    which the generator hardly ever saw. Parallel vectors are interpolated straight.
    """
    cosine = jnp.vdot(a, b) / (jnp.linalg.norm(a) * jnp.linalg.norm(b))
    angle = jnp.arccos(jnp.clip(cosine, -1, 1))
    sine = jnp.sin(angle)
    turning = sine > 1e-4  # below, the quotients lose their digits and the arc is straight
    safe = jnp.where(turning, sine, 1)
    first = jnp.where(turning, jnp.sin((1 - t) * angle) / safe, 1 - t)
    return first * a + jnp.where(turning, jnp.sin(t * angle) / safe, t) * b


def _chosen(gan: Gan, labels: Labels, n: int) -> Int[np.ndarray, " n"] | None:
    """The asked-for label of each of n images; None where none was asked for."""
    if labels is None:
        return None
    count = gan.config.classes
    if not count:
        raise ValueError(f"{gan.config.method} has no classes: leave labels out")
    values = np.asarray(labels)
    if values.dtype.kind == "U":
        numbers = [class_number(str(name), gan.config) for name in values.ravel()]
        values = np.array(numbers, int).reshape(values.shape)
    if not np.issubdtype(values.dtype, np.integer) or values.shape not in ((), (n,)):
        raise ValueError(
            f"labels must be one integer or {n}, one for each, got {values.dtype} "
            f"{list(values.shape)}"
        )
    if values.size and not 0 <= values.min() <= values.max() < count:
        raise ValueError(
            f"labels must lie in 0 ... {count - 1}, got {values.min()} ... {values.max()}"
        )
    return np.broadcast_to(values, (n,)).astype(np.int32)


@partial(jax.jit, static_argnums=(2, 3))
def _noise(
    key: Array, places: Array, prior: Prior, truncation: float | None
) -> Float[Array, "b latent"]:
    def one(place):
        own = jax.random.fold_in(key, place)
        if truncation is None:
            return prior.draw(own, 1, None)[0]
        return jax.random.truncated_normal(
            own, -truncation, truncation, (prior.latent,), jnp.float32
        )

    return jax.vmap(one)(places)


@partial(jax.jit, static_argnums=2)
def _drawn_labels(key: Array, places: Array, classes: int) -> Int[Array, " b"]:
    def one(place):
        own = jax.random.fold_in(jax.random.fold_in(key, place), 1)
        return jax.random.randint(own, (), 0, classes, jnp.int32)

    return jax.vmap(one)(places)


def _finished(gan: Gan, made: np.ndarray) -> np.ndarray:
    """Images as uint8; points as they are, if they are numbers."""
    if gan.game.data == "image":
        return to_uint8(made, range=(-1, 1))
    if bad := np.count_nonzero(~np.isfinite(made).all(1)):
        raise ValueError(f"{bad} of {len(made)} points are not finite; the generator has diverged")
    return made


def _images(gan: Gan, state: TrainState, z: Array, labels: Array | None) -> np.ndarray:
    params, stats = state.params[GENERATOR], state.stats[GENERATOR]
    inputs = (z,) if labels is None else (z, labels)
    with products(gan.config.precision):
        made = _passed(gan.generator, params, stats, *inputs)
        return np.asarray(gan.game.as_data(made))


@partial(jax.jit, static_argnums=0)
def _passed(generator: nn.Module, params: PyTree, stats: PyTree, *inputs: Array):
    return apply(generator, {"params": params, **stats}, *inputs, train=False)
