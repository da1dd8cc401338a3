"""The networks of a config, by architecture."""

from typing import Literal

import flax.linen as nn

from gan_forensics.gans.config import GanConfig
from gan_forensics.nn import dcgan as strided
from gan_forensics.nn import resgan
from gan_forensics.nn.dist_gan import DistGanNetworks, Era, dist_gan_networks
from gan_forensics.nn.points import PointDiscriminator, PointEncoder, PointGenerator
from gan_forensics.nn.tails import parse_tail
from gan_forensics.runtime import computation_dtype

Networks = tuple[nn.Module, nn.Module]  # generator, discriminator


def latent_of(config: GanConfig) -> int:
    """The length of the noise, which a built config has."""
    assert config.latent is not None
    return config.latent


def strided_networks(config: GanConfig, *, norm: strided.Norm) -> Networks:
    """Those of Chandrasegaran et al. (CVPR 2021); raises ValueError for widths of others."""
    if config.generator_width or config.discriminator_width:
        raise ValueError(
            "dcgan networks have one width: set width, not generator_width or discriminator_width"
        )
    width, dtype = config.width or 32, computation_dtype(config.precision)
    # The networks say so themselves, but only when they see an input.
    parse_tail(config.tail)
    strided.generator_widths(config.size, width)
    return (
        strided.Generator(
            config.size,
            width=width,
            tail=config.tail,
            channels=config.channels or 3,
            latent=latent_of(config),
            dtype=dtype,
        ),
        strided.Discriminator(config.size, width=width, norm=config.norm or norm, dtype=dtype),
    )


def residual_networks(
    config: GanConfig,
    *,
    spectral_norm: bool = True,
    pooling: Literal["sum", "mean"] = "sum",
    attention: bool = False,
    rotations: int = 0,
    outer_init: resgan.Init = "glorot",
) -> Networks:
    """Those of Lee and Town (arXiv 2005.02494); raises ValueError for widths of others."""
    if config.tail != "BASELINE" or config.width:
        raise ValueError(
            "tail and width are of dcgan networks; residual ones have no tail to choose and "
            "generator_width and discriminator_width: leave them out, or choose another "
            "architecture"
        )
    shared = {
        "classes": config.classes or 0,
        "attention": attention,
        "outer_init": outer_init,
        "dtype": computation_dtype(config.precision),
    }
    generator = resgan.Generator(
        config.size,
        width=config.generator_width,
        channels=config.channels or 3,
        latent=latent_of(config),
        spectral_norm=attention,
        **shared,
    )
    discriminator = resgan.Discriminator(
        config.size,
        width=config.discriminator_width,
        rotations=rotations,
        spectral_norm=spectral_norm,
        pooling=pooling,
        **shared,
    )
    # The networks say so themselves, but only when they see an input.
    resgan.channels_of(generator)
    resgan.channels_of(discriminator)
    return generator, discriminator


def dist_networks(config: GanConfig, *, era: Era = "release") -> DistGanNetworks:
    """The three networks of a Dist-GAN for images."""
    if config.generator_width or config.tail != "BASELINE":
        raise ValueError(
            f"{config.architecture} networks of {config.method} have one width: set width, and "
            "leave tail and generator_width out"
        )
    assert config.architecture is not None
    divisor = None
    if config.discriminator_width:
        if config.architecture != "stacked":
            raise ValueError(
                "discriminator_width is of stacked networks alone: set width, or leave it out"
            )
        divisor, rest = divmod(config.width or 8, config.discriminator_width)
        if rest:
            raise ValueError(
                f"discriminator_width {config.discriminator_width} of stacked networks must be a "
                f"half or a quarter of their width, {config.width or 8}"
            )
    return dist_gan_networks(
        config.architecture,
        config.size,
        channels=config.channels or 3,
        latent=latent_of(config),
        width=config.width,
        era=era,
        divisor=divisor,
        dtype=computation_dtype(config.precision),
    )


def point_networks(config: GanConfig, *, spectral_norm: bool = False) -> Networks:
    """Perceptrons for points."""
    small = config.architecture == "small-perceptron"
    _only_width(config)
    shape = {"hidden": _hidden(config), "small_start": small}
    return (
        PointGenerator(
            _dimensions(config),
            latent_of(config),
            sigmoid=config.point_scale is not None,
            **shape,  # pyright: ignore[reportArgumentType]
        ),
        PointDiscriminator(spectral_norm=spectral_norm, **shape),  # pyright: ignore
    )


def point_encoder(config: GanConfig) -> PointEncoder:
    """The encoder to `point_networks`."""
    small = config.architecture == "small-perceptron"
    return PointEncoder(latent_of(config), _hidden(config), small_start=small)


def _hidden(config: GanConfig) -> tuple[int, ...]:
    if config.architecture == "small-perceptron":
        return (config.width or 4,)
    return (config.width or 128,) * 3


def _dimensions(config: GanConfig) -> int:
    assert config.dimensions is not None
    return config.dimensions


def _only_width(config: GanConfig) -> None:
    given = [n for n in ("generator_width", "discriminator_width") if getattr(config, n)]
    given += ["tail"] if config.tail != "BASELINE" else []
    if given:
        raise ValueError(
            f"{config.architecture} networks have a width alone: leave {' and '.join(given)} out"
        )
    if config.flip:
        raise ValueError("flip mirrors images, and these are points: leave it out")
    if config.precision == "bfloat16":
        raise ValueError(
            "perceptrons for points compute in float32: choose float32 or tf32 products, or leave "
            "precision out"
        )
