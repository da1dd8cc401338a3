"""The residual generators and discriminators of SNGAN and its kin, from one table of channels.

DCGAN, WGAN-GP, SNGAN, cGAN-PD, SSGAN, SAGAN and InfoMax-GAN as published in mimicry (Lee and Town,
arXiv 2005.02494) differ in options only:

    DCGAN         Generator(size), Discriminator(size, spectral_norm=False)
    WGAN-GP       Generator(size, outer_init="torch"),
                  Discriminator(size, spectral_norm=False, pooling="mean", outer_init="torch")
    SNGAN         Generator(size), Discriminator(size)
    SSGAN         Generator(size), Discriminator(size, rotations=4)
    InfoMax-GAN   Generator(size), Discriminator(size), InfoMaxCritics()
    cGAN-PD       Generator(size, classes=n), Discriminator(size, classes=n)
    SAGAN         Generator(size, classes=n, attention=True, spectral_norm=True),
                  Discriminator(size, classes=n, attention=True)

Images are [b, size, size, channels] in [-1, 1], noise is [b, latent], logits are [b]. `size` is 32,
48, 64 or 128. Parameters are float32; `dtype` is that of the computation. `train=True` uses and
moves batch statistics ("batch_stats") and takes a step of power iteration ("spectral_norm").
"""

from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Int

from gan_forensics.nn.attention import SelfAttention
from gan_forensics.nn.conv import parameters
from gan_forensics.nn.heads import sow_trunk
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm, at_least_float32
from gan_forensics.nn.resblocks import (
    UPSAMPLINGS,
    BlockConv,
    DBlock,
    DBlockOptimized,
    GBlock,
    Init,
    ShortcutPreact,
    Upsampling,
    glorot,
)
from gan_forensics.nn.spectral_norm import Dense, SNDense, SNEmbed, normalised_kernel


class Shape(NamedTuple):
    """What the networks for one image size look like; channels are `width` over a divisor.

    Attributes:
        start: side of the generator's first map.
        generator_width: `width` of the published generator.
        generator: divisors of the first map's channels, then of every block's; all blocks double.
        discriminator_width: `width` of the published discriminator.
        discriminator: divisors of every block's channels.
        halvings: how many blocks, from the first on, halve the map.
        generator_attention: the block behind which a SAGAN's generator attends, from 1; 0 if the
            size has no published SAGAN, nor conditional GAN.
        discriminator_attention: likewise.
    """

    start: int
    generator_width: int
    generator: tuple[int, ...]
    discriminator_width: int
    discriminator: tuple[int, ...]
    halvings: int
    generator_attention: int = 0
    discriminator_attention: int = 0


SHAPES = {
    32: Shape(4, 256, (1, 1, 1, 1), 128, (1, 1, 1, 1), 2, 2, 2),
    48: Shape(6, 512, (1, 2, 4, 8), 1024, (16, 8, 4, 2, 1), 4),
    64: Shape(4, 1024, (1, 2, 4, 8, 16), 1024, (16, 8, 4, 2, 1), 5),
    128: Shape(4, 1024, (1, 1, 2, 4, 8, 16), 1024, (16, 8, 4, 2, 1, 1), 5, 3, 2),
}


class Features(NamedTuple):
    """What a discriminator sees in images.

    Attributes:
        logits: high where an image looks real (and, with classes, like its label).
        local: the output of the block before the last, one vector for every place.
        pooled: the activated output of the last block, pooled over all places.
        rotation: logits of the four quarter turns, None without a rotation head.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.gans import GanConfig, build
        >>> from gan_forensics.runtime import random_key
        >>> network = build(GanConfig("sngan", size=32)).discriminator
        >>> x = jnp.ones((4, 32, 32, 3))
        >>> y, _ = jax.eval_shape(lambda: network.init_with_output(random_key(0), x, train=True))
        >>> type(y).__name__, y.logits.shape, y.pooled.shape
        ('Features', (4,), (4, 128))
    """

    logits: Float[Array, " b"]
    local: Float[Array, "b h w cl"]
    pooled: Float[Array, "b cg"]
    rotation: Float[Array, "b 4"] | None


class Generator(Network):
    """Noise, and labels where there are classes, to images.

    Attributes:
        size: of the images: 32, 48, 64 or 128.
        width: of the widest maps; None for the published width.
        channels: of the images.
        latent: length of the noise.
        classes: conditional batch norm in every block; 0 for an unconditional generator.
        upsampling: "bilinear" (mimicry) or "nearest" (the SNGAN of Miyato et al.).
        attention: self-attention on the maps of 16x16 (size 32) or 32x32 (size 128).
        spectral_norm: in all convolutions and the first layer.
        output: "tanh", or "sigmoid" for images in [0, 1] (mimicry's DCGAN for CIFAR-10).
        outer_init: of shortcuts and last convolution, "glorot" or "torch" (WGAN-GP).
        dtype: of the computation.

    Raises ValueError for options that no network of this size has, noise of another length, and
    labels that are missing or not asked for.
    """

    size: int
    width: int | None = None
    channels: int = 3
    latent: int = 128
    classes: int = 0
    upsampling: Upsampling = "bilinear"
    attention: bool = False
    spectral_norm: bool = False
    output: Literal["tanh", "sigmoid"] = "tanh"
    outer_init: Init = "glorot"
    dtype: Any = None

    @nn.compact
    def __call__(
        self, z: Float[Array, "b latent"], labels: Int[Array, " b"] | None = None, *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Draw the images of the noise z ~ N(0, I)."""
        shape = _shape(self)
        _check_choice("upsampling", self.upsampling, UPSAMPLINGS)
        _check_choice("output", self.output, _OUTPUTS)
        _check_choice("outer_init", self.outer_init, _INITS)
        first, *rest = channels_of(self)
        if z.ndim != 2 or z.shape[-1] != self.latent:
            raise ValueError(f"noise must be [b, {self.latent}], got {list(z.shape)}")
        labels = _checked_labels("generator", labels, self.classes, z.shape[0])

        x = _dense(self, "first", z, shape.start**2 * first, train=train)
        x = x.reshape(-1, shape.start, shape.start, first)
        for i, features in enumerate(rest, 1):
            block = GBlock(
                features,
                upsample=self.upsampling,
                classes=self.classes,
                spectral_norm=self.spectral_norm,
                outer_init=self.outer_init,
                dtype=self.dtype,
                name=f"block_{i}",
            )
            x = block(x, labels, train=train)
            if self.attention and i == shape.generator_attention:
                x = SelfAttention(self.spectral_norm, self.dtype, name="attention")(x, train=train)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train=train))
        last = BlockConv(
            self.channels,
            3,
            spectral_norm=self.spectral_norm,
            kernel_init=_INITS[self.outer_init],
            dtype=self.dtype,
            name="last",
        )
        return _OUTPUTS[self.output](at_least_float32(last(x, train=train)))


class Discriminator(Network):
    """Images, and labels where there are classes, to `Features`.

    With classes the logit is that of the pooled features plus their product with the class's row
    of an embedding (Miyato and Koyama, "cGANs with projection discriminator", ICLR 2018).

    Attributes:
        size: of the images: 32, 48, 64 or 128.
        width: of the widest maps; None for the published width.
        classes: of the projection; 0 for an unconditional discriminator.
        rotations: 4 for a head that tells quarter turns (SSGAN), 0 for none.
        spectral_norm: in all layers.
        pooling: over the places, "sum" or "mean" (WGAN-GP).
        attention: self-attention behind the second block (sizes 32 and 128).
        shortcut_preact: "relu" for the published networks, "identity" for the paper's drawing; see
            `resblocks.ShortcutPreact`. With "relu", `local` is activated too.
        outer_init: of shortcuts, "glorot" or "torch" (WGAN-GP).
        dtype: of the computation.

    Raises ValueError for options that no network of this size has, images of another size, and
    labels that are missing or not asked for.
    """

    size: int
    width: int | None = None
    classes: int = 0
    rotations: int = 0
    spectral_norm: bool = True
    pooling: Literal["sum", "mean"] = "sum"
    attention: bool = False
    shortcut_preact: ShortcutPreact = "relu"
    outer_init: Init = "glorot"
    dtype: Any = None

    @property
    def piecewise_linear(self) -> bool:
        """Whether images are judged by layers, pooling and ReLUs alone."""
        return not (self.spectral_norm or self.attention or self.classes)

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], labels: Int[Array, " b"] | None = None, *, train: bool
    ) -> Features:
        """Look at the images."""
        shape = _shape(self)
        _check_choice("pooling", self.pooling, ("sum", "mean"))
        _check_choice("shortcut_preact", self.shortcut_preact, ("relu", "identity"))
        _check_choice("outer_init", self.outer_init, _INITS)
        _check_choice("rotations", self.rotations, (0, 4))
        if x.ndim != 4 or x.shape[1:3] != (self.size, self.size):
            raise ValueError(
                f"images must be [b, {self.size}, {self.size}, c], got {list(x.shape)}: "
                "resize them or build the discriminator for their size"
            )
        labels = _checked_labels("discriminator", labels, self.classes, x.shape[0])

        local = x
        features = channels_of(self)
        options: dict[str, Any] = dict(
            spectral_norm=self.spectral_norm, outer_init=self.outer_init, dtype=self.dtype
        )
        for i, made in enumerate(features, 1):
            local = x
            if i == 1:
                block = DBlockOptimized(made, **options, name="block_1")
            else:
                block = DBlock(
                    made,
                    downsample=i <= shape.halvings,
                    shortcut_preact=self.shortcut_preact,
                    **options,
                    name=f"block_{i}",
                )
            x = block(x, train=train)
            if self.attention and i == shape.discriminator_attention:
                x = SelfAttention(self.spectral_norm, self.dtype, name="attention")(x, train=train)
        if self.shortcut_preact == "relu":
            local = nn.relu(local)  # what the last block left in its input's place
        # Sums over many places, and what is read from them: float32 also in a bfloat16 network.
        active = at_least_float32(nn.relu(x))
        pooled = active.sum((1, 2)) if self.pooling == "sum" else active.mean((1, 2))

        logits = _dense(self, "logit", pooled, 1, train=train)[:, 0]
        projection = None
        if self.classes:
            row = self._embedded(labels, pooled.shape[-1], train=train)
            projection = (row * pooled).sum(-1)
            logits = logits + projection
        sow_trunk(self, pooled, projection)
        rotation = None
        if self.rotations:
            rotation = at_least_float32(_dense(self, "rotation", pooled, 4, train=train))
        return Features(at_least_float32(logits), local, pooled, rotation)

    def _embedded(self, labels, features: int, *, train: bool):
        if self.spectral_norm:
            return SNEmbed(self.classes, features, glorot(), name="embed")(labels, train=train)
        return nn.Embed(self.classes, features, embedding_init=glorot(), name="embed")(labels)


class InfoMaxCritics(Network):
    """Local and global features of a discriminator to one space, where products tell them apart.

    Lee et al., "InfoMax-GAN", WACV 2021: p = b(relu(a(local))) + s(local) at every place, and
    q = b'(relu(a'(pooled))) + s'(pooled); all six are linear with bias and spectral norm.

    p is linear in z = (relu(a(local)), local, 1), p = z M, so <q, p> = <q M^T, z>: where z has
    fewer numbers than R, the scores cost less from z and q M^T, and p is never made.

    Attributes:
        width: R, the length of the projections.
        scores_only: give z and q M^T instead of p and q where they are shorter, 2 cl + 1 numbers:
            the products of the two, which is all that InfoNCE reads, are the same.
        dtype: of the computation.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> critics, local, pooled = InfoMaxCritics(64), jnp.ones((2, 4, 4, 8)), jnp.ones((2, 16))
        >>> (p, q), _ = jax.eval_shape(
        ...     lambda: critics.init_with_output(random_key(0), local, pooled, train=True)
        ... )
        >>> p.shape, q.shape  # of each of the 4 x 4 places, and of the image
        ((2, 16, 64), (2, 64))
    """

    width: int = 1024
    scores_only: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self, local: Float[Array, "b h w cl"], pooled: Float[Array, "b cg"], *, train: bool
    ) -> tuple[Float[Array, "b l r"], Float[Array, "b r"]]:
        """Project: (p for each of the l = h w places, row by row; q), or what stands for them."""

        def weights(name, inputs, features, *ones):
            layer = _SNWeights((*ones, inputs, features), name=name)
            return promote_dtype(*layer(train=train), dtype=self.dtype)

        def parts(x, name, *ones):
            a, bias = weights(f"{name}_a", x.shape[-1], x.shape[-1], *ones)
            x = x.astype(a.dtype)
            hidden = nn.relu(_affine(x, a, bias))
            b, b_bias = weights(f"{name}_b", x.shape[-1], self.width, *ones)
            s, s_bias = weights(f"{name}_shortcut", x.shape[-1], self.width, *ones)
            return jnp.concatenate([hidden, x], -1), jnp.concatenate([b, s]), b_bias + s_bias

        places = local.reshape(local.shape[0], -1, local.shape[-1])
        z, matrix, bias = parts(places, "local", 1, 1)
        pooled_z, pooled_matrix, pooled_bias = parts(pooled, "global")
        q = _affine(pooled_z, pooled_matrix, pooled_bias)
        if self.scores_only and z.shape[-1] + 1 < self.width:
            q, matrix, bias = (at_least_float32(x) for x in (q, matrix, bias))
            one = jnp.ones((*z.shape[:-1], 1), z.dtype)
            return jnp.concatenate([z, one], -1), q @ jnp.concatenate([matrix, bias[None]]).T
        return _affine(z, matrix, bias), q


def _affine(x, kernel, bias):
    return x @ kernel + bias.reshape((1,) * (x.ndim - 1) + (-1,))


class _SNWeights(Network):
    """The parameters of an `SNConv` or `SNDense`: (kernel [in, out], bias [out]), normalised.

    Attributes:
        shape: of the stored kernel: (1, 1, in, out), or (in, out).
    """

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, *, train: bool):
        kernel, bias = parameters(self, self.shape, kernel_init=glorot())
        kernel = normalised_kernel(self, kernel, train=train)
        return kernel.reshape(self.shape[-2:]), bias


_OUTPUTS = {"tanh": jnp.tanh, "sigmoid": nn.sigmoid}
_INITS = {"glorot": glorot(), "torch": None}


def widths(width: int, divisors: tuple[int, ...]) -> list[int]:
    """The channels that a table's row stands for; ValueError if the width does not divide."""
    if width < 1 or width % max(divisors):
        raise ValueError(
            f"width {width} must be a multiple of {max(divisors)}: the narrowest maps have "
            f"width / {max(divisors)} channels"
        )
    return [width // divisor for divisor in divisors]


def channels_of(network: Generator | Discriminator) -> list[int]:
    """The channels of a network's maps, one after the other.

    Raises:
        ValueError: for a size or a width that it cannot have.
    """
    shape = _shape(network)
    if isinstance(network, Generator):
        return widths(network.width or shape.generator_width, shape.generator)
    return widths(network.width or shape.discriminator_width, shape.discriminator)


def _shape(network: Generator | Discriminator) -> Shape:
    """The row of the network's size, if it has the network's options."""
    size = network.size
    if size not in SHAPES:
        raise ValueError(f"size must be one of {', '.join(map(str, SHAPES))}, got {size}")
    if (network.classes or network.attention) and not SHAPES[size].generator_attention:
        sizes = [str(s) for s, shape in SHAPES.items() if shape.generator_attention]
        raise ValueError(
            f"networks with classes or attention exist for sizes {' and '.join(sizes)}, "
            f"got size {size}"
        )
    return SHAPES[size]


def _check_choice(name: str, value: Any, choices) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def _checked_labels(name: str, labels: Any, classes: int, count: int):
    if not classes:
        if labels is not None:
            raise ValueError(
                f"this {name} has no classes: call it without labels, or build it with classes=n"
            )
        return None
    if labels is None:
        raise ValueError(f"this {name} has {classes} classes: give it labels, integers [b]")
    labels = jnp.asarray(labels)
    if labels.shape != (count,) or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"labels must be integers [{count}], got {labels.dtype} {list(labels.shape)}"
        )
    return labels


def _dense(network: Generator | Discriminator, name: str, x, features: int, *, train: bool):
    options: dict[str, Any] = dict(kernel_init=glorot(), dtype=network.dtype, name=name)
    if network.spectral_norm:
        return SNDense(features, **options)(x, train=train)
    return Dense(features, **options)(x)
