"""The networks of Dist-GAN and GN-GAN, by backbone and image size.

    networks = dist_gan_networks("dcgan", 32)
    judged = networks.discriminator.apply(variables, images, train=False)

Tran, Bui and Cheung, "Dist-GAN", ECCV 2018 (arXiv 1803.08887), as in the authors' code; GN-GAN
(AAAI 2019, arXiv 1811.01333) is taken to use the same, as its code was never published. Images are
[b, size, size, channels] in [0, 1], the generators end in a sigmoid. There is no spectral norm
anywhere, not in the networks called SN-GAN's either.

Parameters are float32; `dtype` is that of the computation; codes, images, logits and features are
at least float32. `train=True` uses and moves batch statistics (collection "batch_stats"). The
authors use those of the batch always, when they sample too.
"""

from typing import Any, Literal, NamedTuple

import flax.linen as nn

from gan_forensics.nn.dist_gan_convolutional import (
    ConvDiscriminator,
    ConvEncoder,
    ConvGenerator,
    Layer,
    Narrowing,
)
from gan_forensics.nn.dist_gan_layers import LEAK, Judged
from gan_forensics.nn.dist_gan_residual import (
    ResidualDiscriminator,
    ResidualEncoder,
    ResidualGenerator,
)

__all__ = ["BACKBONES", "ERAS", "SIZES", "DistGanNetworks", "Judged", "dist_gan_networks"]

# Of every backbone, the sizes of the images that it was published for: MNIST 28, CIFAR-10 32,
# STL-10 48, CelebA 64; stacked MNIST is three digits as the channels of one image.
SIZES = {"dcgan": (28, 32, 64), "sngan": (32, 48), "resnet": (32, 48), "stacked": (28,)}
BACKBONES = tuple(SIZES)
Era = Literal["release", "2018"]
ERAS: tuple[Era, ...] = ("release", "2018")
DIVISORS = (2, 4)  # of the discriminators of stacked MNIST, "K/2" and "K/4"
_SNGAN_LEAK = 0.1


class DistGanNetworks(NamedTuple):
    """The three networks of an autoencoder-tied GAN.

    Attributes:
        encoder: images to latent codes [b, latent].
        generator: codes to images; its attribute `latent` is their length.
        discriminator: images to `Judged`.

    Example:
        >>> from gan_forensics.nn import dist_gan_networks
        >>> networks = dist_gan_networks("dcgan", 32, latent=100)
        >>> isinstance(networks, DistGanNetworks), networks.generator.latent
        (True, 100)
    """

    encoder: nn.Module
    generator: nn.Module
    discriminator: nn.Module


def dist_gan_networks(
    backbone: str,
    size: int,
    *,
    channels: int = 3,
    latent: int = 128,
    width: int | None = None,
    era: Era = "release",
    divisor: int | None = None,
    dtype: Any = None,
) -> DistGanNetworks:
    """The networks of a backbone for images of a size.

    Args:
        backbone: one of `BACKBONES`.
        size: of the images, one of `SIZES` of the backbone.
        channels: of the images.
        latent: length of the codes; published are 100 for MNIST and CelebA, 256 for stacked MNIST
            and 128 otherwise.
        width: channels of the discriminator's first map, to which all others of the three networks
            are proportional (for "stacked" the encoder's, of which the discriminator has one in
            `divisor`); None for the published width.
        era: "release" for the code of April 2019, or "2018" for the revisions before it and the
            later MS-Dist-GAN, with DCGANs for 32 and 64 of half the width, for 32 a layer deeper.
            Where "sngan" for 32 differs between the last two, it is MS-Dist-GAN's, of slope 0.2.
            Other networks are the same in both.
        divisor: 4 (None) or 2, for "stacked" alone.
        dtype: of the computation.

    Raises:
        ValueError: for a backbone, size, era, width or divisor that there is not.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> encoder, generator, discriminator = dist_gan_networks("dcgan", 32, latent=100)
        >>> x = jnp.ones((4, 32, 32, 3))
        >>> jax.eval_shape(lambda: encoder.init_with_output(random_key(0), x, train=True))[0].shape
        (4, 100)
    """
    _check(backbone, size, era, divisor)
    options = {"channels": channels, "latent": latent, "dtype": dtype}
    if backbone == "stacked":
        networks = _stacked(_width(width, 8), divisor or 4, **options)
    elif backbone == "resnet":
        networks = _resnet(size, _width(width, {32: 128, 48: 64}[size]), **options)
    elif backbone == "sngan":
        networks = _sngan(size, _width(width, 64), era, **options)
    else:
        published = 128 if era == "release" and size != 28 else 64
        networks = _dcgan(size, _width(width, published), era, **options)
    return networks


def _check(backbone: str, size: int, era: str, divisor: int | None) -> None:
    if backbone not in SIZES:
        raise ValueError(f"unknown backbone {backbone!r}; backbones are {', '.join(BACKBONES)}")
    if size not in SIZES[backbone]:
        sizes = "; ".join(f"{b} {', '.join(map(str, SIZES[b]))}" for b in BACKBONES)
        raise ValueError(
            f"{backbone} has no networks for images of {size}x{size}: resize them to one of the "
            f"sizes that there are ({sizes})"
        )
    if era not in ERAS:
        raise ValueError(f"unknown era {era!r}; eras are {', '.join(ERAS)}")
    if divisor is not None and backbone != "stacked":
        raise ValueError(f"divisor {divisor} is for the stacked networks, not for {backbone}")
    if divisor not in (None, *DIVISORS):
        raise ValueError(f"divisor {divisor} must be one of {', '.join(map(str, DIVISORS))}")


def _width(width: int | None, published: int) -> int:
    if width is not None and width < 1:
        raise ValueError(f"width {width} must be 1 or more (published: {published})")
    return published if width is None else width


def _dcgan(
    size: int, width: int, era: Era, *, channels: int, latent: int, dtype: Any
) -> DistGanNetworks:
    """Kernels of 5 and stride 2, with batch norm behind all layers but the outermost."""
    halvings = _dcgan_halvings(size, era)
    slope = 0.0 if size == 28 else LEAK
    narrowing: Narrowing | None = "dense" if size == 28 else None
    start = 4 if narrowing else size // 2**halvings
    first, layers = width * 2 ** (halvings - 1), _doubling(width, halvings - 1, kernel=5)
    layers += (Layer("transposed", channels, 5, 2, False, None),)
    return DistGanNetworks(
        ConvEncoder(size, channels, _halving(width, halvings, slope=slope), latent, dtype),
        ConvGenerator(latent, start, first, True, layers, narrowing, dtype),
        ConvDiscriminator(size, channels, _halving(width, halvings, slope=LEAK), dtype),
    )


def _dcgan_halvings(size: int, era: Era) -> int:
    return 4 if size == 64 or (size == 32 and era == "2018") else 3


def _sngan(
    size: int, width: int, era: Era, *, channels: int, latent: int, dtype: Any
) -> DistGanNetworks:
    """SN-GAN's layers; the encoder for 32 is the DCGAN's of the era."""
    leak = LEAK if size == 32 and era == "2018" else _SNGAN_LEAK
    if size == 32:
        base = 2 * width if era == "release" else width
        encoding = _halving(base, _dcgan_halvings(size, era), slope=LEAK)
    else:
        encoding = (
            Layer("conv", 2 * width, 3, 1, False, 0.0),
            *(Layer("conv", width * 2**i, 4, 2, True, leak) for i in (2, 3, 4)),
        )
    judging = [
        Layer("conv", width * 2**i, kernel, strides, False, leak)
        for i in range(4)
        for kernel, strides in ((3, 1), (4, 2))
    ]
    layers = (
        *_doubling(2 * width, 3, kernel=4),
        Layer("conv", channels, 3, 1, False, None),
    )
    return DistGanNetworks(
        ConvEncoder(size, channels, encoding, latent, dtype),
        ConvGenerator(latent, size // 8, 16 * width, False, layers, None, dtype),
        ConvDiscriminator(size, channels, tuple(judging[:-1]), dtype),
    )


def _stacked(
    width: int, divisor: int, *, channels: int, latent: int, dtype: Any
) -> DistGanNetworks:
    """The small networks of stacked MNIST (from Unrolled GAN): norm in the generator alone."""
    if width % divisor:
        raise ValueError(
            f"width {width} must be a multiple of {divisor}: the discriminator's is its "
            f"{divisor}th part"
        )
    layers = (*_doubling(width, 3, kernel=5), Layer("conv", channels, 5, 1, False, None))
    return DistGanNetworks(
        ConvEncoder(28, channels, _halving(width, 4, slope=0.0, norm=False), latent, dtype),
        ConvGenerator(latent, 4, 8 * width, True, layers, "crop", dtype),
        ConvDiscriminator(
            28, channels, _halving(width // divisor, 3, slope=LEAK, norm=False), dtype
        ),
    )


def _resnet(size: int, width: int, *, channels: int, latent: int, dtype: Any) -> DistGanNetworks:
    if size == 32:
        encoding = generating = (2 * width,) * 4
        judging, halvings = (width,) * 4, 2
    else:
        encoding = tuple(width * 2**i for i in range(4))
        generating = encoding[::-1]
        judging, halvings = tuple(width * 2**i for i in range(5)), 4
    return DistGanNetworks(
        ResidualEncoder(size, channels, encoding, latent, dtype),
        ResidualGenerator(latent, size // 8, generating, channels, dtype),
        ResidualDiscriminator(size, channels, judging, halvings, dtype),
    )


def _halving(width: int, count: int, *, slope: float, norm: bool = True) -> tuple[Layer, ...]:
    """Convolutions that halve the map and double the channels, the first without norm."""
    return tuple(Layer("conv", width * 2**i, 5, 2, norm and i > 0, slope) for i in range(count))


def _doubling(width: int, count: int, *, kernel: int) -> tuple[Layer, ...]:
    """Transposed convolutions that double the map and halve the channels, down to `width`."""
    return tuple(
        Layer("transposed", width * 2**i, kernel, 2, True, 0.0) for i in reversed(range(count))
    )
