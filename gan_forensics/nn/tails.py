"""The last upsampling of a generator, by name: what decides on its spectrum at high frequencies.

Chandrasegaran et al., "A closer look at Fourier spectrum discrepancies for CNN-generated images
detection" (CVPR 2021), table 1, change nothing but this. A name is `scaling.count.kernel`: what
doubles the map, then how many convolutions of what kernel, with nothing between them. Beside the
published thirteen stand two that suppress the replicas of the spectrum by a filter
(`gan_forensics.nn.upsample`): A (binomial) and K (Kaiser).
"""

import difflib
from typing import Any, Literal, NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv, ConvTranspose
from gan_forensics.nn.upsample import UpsampleConv

# As published.
TAILS = (
    "BASELINE",
    *("N.1.3", "Z.1.3", "B.1.3"),
    *("N.1.5", "Z.1.5", "B.1.5"),
    *("N.1.7", "Z.1.7", "B.1.7"),
    *("N.3.5", "Z.3.5", "B.3.5"),
)
ANTIALIASED = ("A.1.5", "K.1.5")

Kind = Literal["transposed", "nearest", "zero", "bilinear", "binomial", "kaiser"]
LETTERS: dict[str, Kind] = {
    "N": "nearest",
    "Z": "zero",
    "B": "bilinear",
    "A": "binomial",
    "K": "kaiser",
}


class Tail(NamedTuple):
    """The last upsampling: what doubles the map, then how many convolutions of what kernel."""

    kind: Kind
    count: int
    kernel: int


def parse_tail(name: str) -> Tail:
    """The tail that a name stands for.

    "BASELINE" is one transposed convolution (kernel 4, stride 2); "N.1.5" is nearest upsampling
    with 1 convolution of kernel 5, "Z" zero insertion, "B" bilinear, "A" and "K" zero insertion
    with a binomial or Kaiser filter. Raises ValueError for a name that is neither in `TAILS` nor in
    `ANTIALIASED`.

    Example:
        >>> parse_tail("N.3.5")
        Tail(kind='nearest', count=3, kernel=5)
    """
    known = (*TAILS, *ANTIALIASED)
    if name not in known:
        close = difflib.get_close_matches(str(name).upper(), known, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown tail {name!r}; did you mean {close[0]!r}? Tails are {', '.join(known)}"
        )
    if name == "BASELINE":
        return Tail("transposed", 1, 4)
    letter, count, kernel = name.split(".")
    return Tail(LETTERS[letter], int(count), int(kernel))


def doubling(kind: Kind, features: int, kernel: int, **options: Any) -> nn.Module:
    """The layer that doubles the side of a map and convolves it, of the kind of a `Tail`.

    A transposed convolution has kernel 4, stride 2 and padding 1, whatever `kernel` says; `options`
    are `use_bias`, `dtype` and `name`.
    """
    if kind == "transposed":
        return ConvTranspose(features, 4, 2, 1, **options)
    return UpsampleConv(kind, features, kernel, **options)


def upsampled(
    x: Float[Array, "b h w c"], tail: Tail, features: int, *, width: int, dtype: Any
) -> Float[Array, "b 2*h 2*w o"]:
    """A tail as layers "tail_0", "tail_1", ... of the module that calls it in its `__call__`.

    Args:
        x: maps.
        tail: of `parse_tail`.
        features: channels of the result.
        width: channels between the convolutions.
        dtype: of the computation.
    """
    for i in range(tail.count):
        # Nothing stands between the convolutions: away from the border they are one filter.
        made, options = features if i == tail.count - 1 else width, {"dtype": dtype}
        if i == 0:
            layer = doubling(tail.kind, made, tail.kernel, name="tail_0", **options)
        else:
            layer = Conv(made, tail.kernel, padding=tail.kernel // 2, name=f"tail_{i}", **options)
        x = layer(x)  # pyright: ignore[reportCallIssue]
    return x
