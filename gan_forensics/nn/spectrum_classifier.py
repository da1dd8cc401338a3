"""Classifiers that look at the spectrum of an image, which they make themselves.

Zhang, Karaman and Chang, "Detecting and simulating artifacts in GAN fake images" (WIFS 2019), and
Frank et al., "Leveraging frequency analysis for deep fake image recognition" (ICML 2020). Both read
8-bit images normalised as for ImageNet, like the other detectors.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_forensics.nn.fingerprint_networks import DctCnn, check_square
from gan_forensics.nn.imagenet import levels
from gan_forensics.nn.initial import ones, zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32
from gan_forensics.nn.resnet import ResNet, resnet34
from gan_forensics.runtime import by_shares
from gan_forensics.spectra.autogan import EPSILON, PERCENTILES, crop_side

# Above float32's rounding of a coefficient, some 1e-5: with 1e-12, which suits float64, one that is
# exactly zero would be anything from -28 to -11. Coefficients of 8-bit images are some 0.3 or more.
FLOOR = 1e-3


def stretched_spectrum(x: Float[Array, "b h w 3"]) -> Float[Array, "b s s 3"]:
    """`spectra.autogan_spectrum`, in float32.

    Raises:
        ValueError: for sides below 8.
    """
    size = crop_side(*x.shape[1:3])
    top, left = ((side - size) // 2 for side in x.shape[1:3])
    x = levels(at_least_float32(x[:, top : top + size, left : left + size])) / 255
    magnitude = by_shares(lambda x: jnp.abs(jnp.fft.fft2(x, axes=(1, 2))), x)
    magnitude = jnp.log(magnitude + EPSILON)
    limits = jnp.percentile(magnitude, jnp.array(PERCENTILES, x.dtype), axis=(1, 2), keepdims=True)
    low, span = limits[0], limits[1] - limits[0]
    return jnp.clip(2 * (magnitude - low) / (span + (span == 0)) - 1, -1, 1)


def autogan(classes: int | None = 1, *, width: int = 64, dtype: Any = None) -> ResNet:
    """A ResNet-34 on the stretched log spectrum of each channel."""
    return resnet34(classes, width=width, front=stretched_spectrum, dtype=dtype)


def log_dct(x: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
    """ln(|D| + 1e-3) of the orthonormal DCT of 8-bit levels; `spectra.log_dct` has 1e-12."""
    from scipy.fft import dct

    rows, columns = (dct(np.eye(side), axis=0, norm="ortho") for side in x.shape[1:3])
    transformed = jnp.einsum(
        "uh,bhwc,vw->buvc", jnp.float32(rows), levels(at_least_float32(x)), jnp.float32(columns),
        precision="highest",
    )  # fmt: skip
    return jnp.log(jnp.abs(transformed) + FLOOR)


class DctClassifier(Network):
    """Log-DCT coefficients, standardised, through a `DctCnn` to logits.

    Mean and deviation of each coefficient over the training images are "mean" and "std" [side,
    side, 3] of "batch_stats"; whoever trains sets them first (`dct_statistics` of
    `forensics.neural_statistics`). Nothing depends on `train`. `dtype` is not looked at: the
    computation is in float32.

    Raises ValueError for images that are no squares of `side`.
    """

    classes: int
    side: int
    dtype: Any = None

    @property
    def stride(self) -> int:
        """What images must at least have: the side."""
        return self.side

    @nn.compact
    def __call__(self, x: Float[Array, "b side side 3"], *, train: bool) -> Float[Array, "b k"]:
        """Score the images."""
        check_square(x, self.side, "the DCT network")
        shape = (self.side, self.side, 3)
        mean, std = (
            self.variable("batch_stats", name, start, None, shape, jnp.float32).value[None]
            for name, start in (("mean", zeros), ("std", ones))
        )
        # A coefficient that is the same in all training images is only centred.
        x = (log_dct(x) - mean) / (std + (std == 0))
        return DctCnn(self.classes, self.side, name="cnn")(x, train=train).logits


def dct_cnn(classes: int = 1, *, side: int = 32, dtype: Any = None) -> DctClassifier:
    """Frank's network for squares of one side."""
    return DctClassifier(classes, side, dtype)
