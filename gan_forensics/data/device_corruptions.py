"""Those of the corruptions that have a closed form, on the device: batched and jitted.

Same definitions, strengths and sizes as `data.corruptions`: noise, blurs but glass and motion,
colour, pixelate, fog and the elastic transform. JPEG, snow, frost, motion, glass and spatter stay
on the host. Every image of a batch draws from a key of its own.

Layout [b, h, w, c], RGB or gray: uint8 in gives uint8 out, cut off as on the host; floats in [0, 1]
give floats in [0, 1].
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from gan_forensics.data import corruption_blur as blur
from gan_forensics.data import corruption_digital as digital
from gan_forensics.data import corruption_noise as noises
from gan_forensics.data import corruption_weather as weather
from gan_forensics.data.corruption_elastic import COARSE, ELASTIC, FINE, smoothing_matrix
from gan_forensics.data.corruption_scale import published_shape, scale_of
from gan_forensics.data.corruptions import IN_COLOUR, SEVERITIES, check_name

Image = Float[Array, "h w c"]
# What rounding of float32 may take from a whole level, in levels.
ROUNDING = 1e-3
# Products of matrices in float32 everywhere: accelerators round the factors to fewer bits else.
EXACT = jax.lax.Precision.HIGHEST
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class DeviceCorruption(NamedTuple):
    """What an image needs of chance, and what is then done to it.

    Attributes:
        draw: (key, an image's shape) -> noise.
        apply: (image in [0, 1], noise, severity) -> image, of any range.
    """

    draw: Callable[[PRNGKeyArray, tuple[int, ...]], Any]
    apply: Callable[[Image, Any, int], Image]


@partial(jax.jit, static_argnames=("name", "severity"))
def corrupt_on_device(
    images: UInt8[Array, "b h w c"] | Float[Array, "b h w c"],
    name: str,
    severity: int,
    *,
    key: PRNGKeyArray,
) -> UInt8[Array, "b h w c"] | Float[Array, "b h w c"]:
    """A batch after a corruption.

    Args:
        images: uint8, or floats in [0, 1].
        name: of `DEVICE_CORRUPTIONS`.
        severity: 1 to 5.
        key: image i draws from key folded with i.

    Raises:
        ValueError: for an unknown name or severity.
    """
    check_name(name, DEVICE_CORRUPTIONS, "corruption on the device")
    if severity not in SEVERITIES:
        raise ValueError(f"the severity of a corruption is 1, 2, 3, 4 or 5, got {severity!r}")
    kind, levels = DEVICE_CORRUPTIONS[name], images.dtype == jnp.uint8
    gray = images.shape[-1] == 1 and name in IN_COLOUR

    def one(image: Image, index: Array) -> Image:
        noise = kind.draw(jax.random.fold_in(key, index), image.shape)
        return jnp.clip(kind.apply(image, noise, severity), 0, 1)

    x = images.astype(jnp.float32) / 255 if levels else images
    x = jnp.repeat(x, 3, -1) if gray else x
    x = jax.vmap(one)(x, jnp.arange(len(x), dtype=jnp.int32))
    x = jnp.einsum("bhwc,c->bhw", x, LUMA, precision=EXACT)[..., None] if gray else x
    return jnp.floor(x * 255 + ROUNDING).astype(jnp.uint8) if levels else x


def _nothing(key: PRNGKeyArray, shape: tuple[int, ...]) -> None:
    """No chance in it."""


def _impulse_noise(x: Image, uniform: Float[Array, "2 h w c"], severity: int) -> Image:
    struck = uniform[0] <= noises.IMPULSE[severity - 1]
    return jnp.where(struck, (uniform[1] <= 0.5).astype(x.dtype), x)


def _shot_noise(x: Image, key: PRNGKeyArray, severity: int) -> Image:
    photons = noises.SHOT[severity - 1]
    return jax.random.poisson(key, x * photons, dtype=jnp.int32).astype(x.dtype) / photons


def _along(rows: np.ndarray, x: Image, columns: np.ndarray) -> Image:
    """Matrices for both sides of an image."""
    return jnp.einsum(
        "ih,hwc,jw->ijc", rows.astype(np.float32), x, columns.astype(np.float32), precision=EXACT
    )


def _gaussian_blur(x: Image, noise: None, severity: int) -> Image:
    from scipy.ndimage import gaussian_filter1d

    sigma = blur.GAUSSIAN[severity - 1] * scale_of(x.shape)
    rows, columns = (
        gaussian_filter1d(np.eye(side), sigma, axis=0, mode="nearest", truncate=4.0)
        for side in x.shape[:2]
    )
    return _along(rows, x, columns)


def _defocus_blur(x: Image, noise: None, severity: int) -> Image:
    kernel = blur.scaled_kernel(blur.disk(*blur.DEFOCUS[severity - 1]), scale_of(x.shape))
    reach = len(kernel) // 2
    padded = jnp.pad(x, ((reach, reach), (reach, reach), (0, 0)), "reflect")
    found = jax.lax.conv_general_dilated(
        padded.transpose(2, 0, 1)[:, None],
        jnp.asarray(kernel, x.dtype)[None, None],
        (1, 1),
        "VALID",
        precision=EXACT,
    )
    return found[:, 0].transpose(1, 2, 0)


def _zoom_blur(x: Image, noise: None, severity: int) -> Image:
    end, step = blur.ZOOM[severity - 1]
    factors = np.arange(1, end, step)
    total = x
    for factor in factors:
        rows, columns = (_zoom_matrix(side, factor) for side in x.shape[:2])
        total += _along(rows, x, columns)
    return total / (len(factors) + 1)


def _zoom_matrix(side: int, factor: float) -> np.ndarray:
    first, second, weight = blur.zoom_places(side, factor)
    pixels = np.eye(side)
    return pixels[first] * (1 - weight)[:, None] + pixels[second] * weight[:, None]


def _brightness(x: Image, noise: None, severity: int) -> Image:
    """Hue and saturation stay where all channels are multiplied alike; black becomes gray."""
    value = x.max(-1, keepdims=True)
    more = jnp.minimum(value + digital.BRIGHTNESS[severity - 1], 1)
    return jnp.where(value > 0, x * (more / jnp.where(value > 0, value, 1)), more)


def _saturate(x: Image, noise: None, severity: int) -> Image:
    """Hue and value stay where what a channel lacks of the largest is multiplied alike.

    Gray has the hue of red.
    """
    factor, more = digital.SATURATE[severity - 1]
    value = x.max(-1, keepdims=True)
    lacks = value - x
    saturation = lacks.max(-1, keepdims=True) / jnp.where(value > 0, value, 1)
    coloured = saturation > 0
    wanted = jnp.clip(saturation * factor + more, 0, 1)
    red = value * jnp.array([0.0, 1.0, 1.0], x.dtype)[None, None]
    lacks = jnp.where(coloured, lacks / jnp.where(coloured, saturation, 1), red)
    return value - lacks * wanted


def _contrast(x: Image, noise: None, severity: int) -> Image:
    mean = x.mean((0, 1), keepdims=True)
    return (x - mean) * digital.CONTRAST[severity - 1] + mean


def _pixelate(x: Image, noise: None, severity: int) -> Image:
    """Pillow's box filters, with its rounding after each side."""
    share = digital.PIXELATE[severity - 1]
    height, width = x.shape[:2]
    small = max(1, int(height * share)), max(1, int(width * share))
    for (rows, columns), (to_rows, to_columns) in (
        ((height, width), small),
        (small, (height, width)),
    ):
        x = _rounded(_along(np.eye(rows), x, _box_matrix(columns, to_columns)))
        x = _rounded(_along(_box_matrix(rows, to_rows), x, np.eye(to_columns)))
    return x


def _box_matrix(given: int, wanted: int) -> np.ndarray:
    """Weights [wanted, given]: those of the pixels whose middle lies in the reach of a new one."""
    scale = given / wanted
    reach = max(scale, 1.0)
    middles = (np.arange(wanted)[:, None] + 0.5) * scale
    apart = (np.arange(given) + 0.5 - middles) / reach
    inside = ((apart > -0.5) & (apart <= 0.5)).astype(float)
    return inside / inside.sum(1, keepdims=True)


def _rounded(x: Image) -> Image:
    return jnp.floor(x * 255 + 0.5) / 255


def _octaves(key: PRNGKeyArray, shape: tuple[int, ...]) -> list[Float[Array, "3 n n"]]:
    """U(-1, 1) for the squares and both kinds of diamonds of every octave."""
    sizes = 2 ** np.arange(int(np.log2(weather.FOG_MAP)))
    keys = jax.random.split(key, len(sizes))
    return [
        jax.random.uniform(k, (3, n, n), jnp.float32, minval=-1, maxval=1)
        for k, n in zip(keys, sizes.tolist(), strict=True)
    ]


def _fog(x: Image, noise: list[Float[Array, "3 n n"]], severity: int) -> Image:
    strength, decay = weather.FOG[severity - 1]
    height, width = published_shape(x.shape)
    field = _fractal(noise, decay)
    size = weather.FOG_MAP
    field = field[np.arange(height) % size][:, np.arange(width) % size]
    brightest = x.max()
    x = x + strength * _at_own_size(field, x)[..., None]
    return x * brightest / (brightest + strength)


def _fractal(noise: list[Float[Array, "3 n n"]], decay: float) -> Float[Array, "m m"]:
    """The torus of `corruption_weather.fractal`, each octave woven out of four grids."""
    corners, wobble = jnp.zeros((1, 1), jnp.float32), 100.0
    for square, across, down in noise:
        right, below = corners + jnp.roll(corners, -1, 1), corners + jnp.roll(corners, -1, 0)
        centres = (below + jnp.roll(below, -1, 1)) / 4 + wobble**2 * square
        above = (centres + jnp.roll(centres, 1, 0) + right) / 4 + wobble**2 * across
        beside = (centres + jnp.roll(centres, 1, 1) + below) / 4 + wobble**2 * down
        rows = jnp.stack([corners, above], -1), jnp.stack([beside, centres], -1)
        size = 2 * len(corners)
        corners, wobble = jnp.stack(rows, 1).reshape(size, size), wobble / decay
    corners -= corners.min()
    return corners / corners.max()


def _elastic_draws(key: PRNGKeyArray, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """U(-1, 1): moves [3, 2] of the points, fields [2, H, W] of the published shape."""
    keys = jax.random.split(key)
    fields = (2, *published_shape(shape))
    return (
        jax.random.uniform(keys[0], (3, 2), jnp.float32, minval=-1, maxval=1),
        jax.random.uniform(keys[1], fields, jnp.float32, minval=-1, maxval=1),
    )


def _elastic_transform(x: Image, noise: tuple[Array, Array], severity: int) -> Image:
    amplitude, sigma, jitter = ELASTIC[severity - 1]
    moves, fields = noise
    scale, (height, width) = scale_of(x.shape), x.shape[:2]
    third = min(height, width) // 3
    corners = np.array([[1, 1], [1, -1], [-1, -1]]) * third
    points = (corners + [width // 2, height // 2]).astype(np.float32)
    moved = jnp.c_[points + moves * (jitter * scale), jnp.ones(3, jnp.float32)]
    back = jnp.linalg.solve(moved, points).T
    rows, columns = jnp.indices((height, width), dtype=x.dtype)
    steps = [
        jnp.rint(along * columns * FINE) + jnp.rint((across * rows + offset) * FINE)
        for along, across, offset in back
    ]
    right, down = (jnp.floor(s / (FINE // COARSE) + 0.5) / COARSE for s in steps)
    x = _sampled(x, down, right, "mirror")
    of_rows, of_columns = (
        smoothing_matrix(side, sigma).astype(np.float32) for side in fields.shape[1:]
    )
    right, down = (
        _at_own_size(
            amplitude * jnp.einsum("ih,hw,jw->ij", of_rows, field, of_columns, precision=EXACT), x
        )
        * scale
        for field in fields
    )
    return _sampled(x, rows + down, columns + right, "reflect")


def _sampled(x: Image, rows: Float[Array, "h w"], columns: Float[Array, "h w"], mode: str) -> Image:
    return jax.vmap(
        lambda channel: map_coordinates(channel, [rows, columns], order=1, mode=mode), -1, -1
    )(x)


def _at_own_size(field: Float[Array, "H W"], x: Image) -> Float[Array, "h w"]:
    if field.shape == x.shape[:2]:
        return field
    return jax.image.resize(field, x.shape[:2], "linear", antialias=True, precision=EXACT)


def _uniform_pair(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "2 h w c"]:
    return jax.random.uniform(key, (2, *shape), jnp.float32)


def _normal(key: PRNGKeyArray, shape: tuple[int, ...]) -> Image:
    return jax.random.normal(key, shape, jnp.float32)


DEVICE_CORRUPTIONS: dict[str, DeviceCorruption] = {
    "gaussian_noise": DeviceCorruption(
        _normal, lambda x, noise, s: x + noises.GAUSSIAN[s - 1] * noise
    ),
    "shot_noise": DeviceCorruption(lambda key, shape: key, _shot_noise),
    "impulse_noise": DeviceCorruption(_uniform_pair, _impulse_noise),
    "defocus_blur": DeviceCorruption(_nothing, _defocus_blur),
    "zoom_blur": DeviceCorruption(_nothing, _zoom_blur),
    "fog": DeviceCorruption(_octaves, _fog),
    "brightness": DeviceCorruption(_nothing, _brightness),
    "contrast": DeviceCorruption(_nothing, _contrast),
    "elastic_transform": DeviceCorruption(_elastic_draws, _elastic_transform),
    "pixelate": DeviceCorruption(_nothing, _pixelate),
    "speckle_noise": DeviceCorruption(
        _normal, lambda x, noise, s: x + x * (noises.SPECKLE[s - 1] * noise)
    ),
    "gaussian_blur": DeviceCorruption(_nothing, _gaussian_blur),
    "saturate": DeviceCorruption(_nothing, _saturate),
}
