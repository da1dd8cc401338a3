"""Every named thing that may happen to a picture: the one table that fitting and measuring read.

The carriers and tiers of `data.carriers` by their names ("jpeg-75", "screenshot", "web"), the
families of `data.strengths` in each strength ("webp-95" to "webp-30", "blur-2"), and the
corruptions of `data.corruptions` in each severity ("gaussian_noise-1" to "saturate-5";
"frost_procedural-3" is frost with a computed texture, beside the published "frost-3").
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data.carriers import CARRIERS, TIERS
from gan_forensics.data.corruption_frost import texture_files
from gan_forensics.data.corruption_scale import Pixels, Rng, integers
from gan_forensics.data.corruptions import (
    KINDS,
    PROCEDURAL,
    SEVERITIES,
    TRAIN_CORRUPTIONS,
    check_name,
    corrupt,
)
from gan_forensics.data.images import as_image
from gan_forensics.data.strengths import FAMILIES, members

# Of uint8 [h, w, c] and a generator. Corruptions keep the size; some carriers end in another.
Perturbation = Callable[[Pixels, Rng], UInt8[np.ndarray, "h2 w2 c"]]


def _carrier(image: Pixels, rng: Rng, *, name: str) -> UInt8[np.ndarray, "h2 w2 c"]:
    return CARRIERS[name](image)


def _tier(image: Pixels, rng: Rng, *, name: str) -> UInt8[np.ndarray, "h2 w2 c"]:
    return TIERS[name](image)


def _of_strength(
    image: Pixels, rng: Rng, *, family: str, strength: float
) -> UInt8[np.ndarray, "h2 w2 c"]:
    return FAMILIES[family].apply(image, strength)


def _corruption(image: Pixels, rng: Rng, *, name: str, severity: int) -> Pixels:
    return corrupt(image, name, severity, rng)


# Names that stand for several perturbations, with their strengths.
SEVERAL: dict[str, dict[str, float]] = {
    **{family: members(family) for family in FAMILIES},
    **{kind: {f"{kind}-{severity}": severity for severity in SEVERITIES} for kind in KINDS},
}
_STRENGTHS = {
    name: (kind, strength)
    for kind, strengths in SEVERAL.items()
    for name, strength in strengths.items()
}
PERTURBATIONS: dict[str, Perturbation] = {
    **{name: partial(_carrier, name=name) for name in CARRIERS},
    **{name: partial(_tier, name=name) for name in TIERS},
    **{
        name: partial(_of_strength, family=family, strength=strength)
        for family in FAMILIES
        for name, strength in members(family).items()
        if name not in CARRIERS
    },
    **{
        f"{kind}-{severity}": partial(_corruption, name=kind, severity=severity)
        for kind in KINDS
        for severity in SEVERITIES
    },
}


def perturb(
    image: Pixels,
    name: str,
    rng: Rng | None = None,
    *,
    frost_textures: Path | str | None = None,
) -> UInt8[np.ndarray, "h2 w2 c"]:
    """An image after a perturbation; "none" leaves it.

    Args:
        image: uint8 [h, w, c], c = 1 or 3.
        name: "none", or of `PERTURBATIONS`.
        rng: what draws. Without it the draws follow from the pixels: the same image is always
            perturbed alike, and the severities of a kind share their draws.
        frost_textures: as in `corrupt`.

    Raises:
        ValueError: for an unknown name, with near ones.
        FileNotFoundError: for frost without its textures.

    Example:
        >>> perturb(np.full((8, 8, 3), 100, np.uint8), "brightness-1")[0, 0].tolist()
        [125, 125, 125]
    """
    image = as_image(image)
    if name == "none":
        return image
    check_name(name, PERTURBATIONS, "perturbation")
    if rng is None:
        rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(image).tobytes()))
    kind, severity = kind_of(name)
    if kind == "frost":
        return corrupt(image, kind, int(severity), rng, frost_textures=frost_textures)
    return PERTURBATIONS[name](image, rng)


def kind_of(name: str) -> tuple[str, float]:
    """Kind of corruption and severity, or family and strength; else the name itself and 0.

    Example:
        >>> kind_of("jpeg-75"), kind_of("fog-2"), kind_of("screenshot")
        (('jpeg', 75), ('fog', 2), ('screenshot', 0))
    """
    return _STRENGTHS.get(name, (name, 0))


def names_of(asked: Iterable[str]) -> tuple[str, ...]:
    """Names of perturbations; a kind of corruption or a family stands for all its strengths.

    Raises:
        ValueError: for an unknown name, with near ones.

    Example:
        >>> names_of(["jpeg-75", "blur"])
        ('jpeg-75', 'blur-0.5', 'blur-1', 'blur-2', 'blur-3')
    """
    names = []
    for name in asked:
        check_name(name, [*SEVERAL, *PERTURBATIONS], "perturbation")
        names += SEVERAL.get(name, [name])
    return tuple(dict.fromkeys(names))


def at_hand(
    names: Sequence[str], *, frost_textures: Path | str | None = None
) -> tuple[tuple[str, ...], str]:
    """Kinds or names, frost by its computed texture where the published ones are not at hand.

    Returns:
        The names, and a sentence for the reader where one was replaced, else "".

    Raises:
        FileNotFoundError: for a folder of textures that was named and has none.
    """
    frosts = {name for name in names if "frost" in (name, kind_of(name)[0])}
    if not frosts:
        return tuple(names), ""
    try:
        texture_files(frost_textures)
    except FileNotFoundError:
        if frost_textures is not None:
            raise
    else:
        return tuple(names), ""
    other = [name.replace("frost", PROCEDURAL) if name in frosts else name for name in names]
    return tuple(dict.fromkeys(other)), (
        f"the textures of frost are not at hand: {PROCEDURAL}, whose texture is computed, stands "
        "in its place (--frost-textures DIR, or pip install --no-deps imagecorruptions==1.1.2)"
    )


@dataclass(frozen=True)
class RandomCorruption:
    """A random corruption of a random severity with some probability, as RepMix trains with.

    Bui, Yu and Collomosse (ECCV 2022): the kind, the severity and whether to apply it are drawn in
    this order, also where it is then not applied.

    Attributes:
        corruptions: kinds, of `KINDS`, each as likely.
        probability: of corrupting at all.
        severities: each as likely.
        frost_textures: as in `corrupt`.
    """

    corruptions: tuple[str, ...] = TRAIN_CORRUPTIONS
    probability: float = 0.95
    severities: tuple[int, ...] = SEVERITIES
    frost_textures: str | None = None

    def __post_init__(self):
        for name in self.corruptions:
            check_name(name, KINDS, "corruption")
        if not self.corruptions or not self.severities or not set(self.severities) <= {*SEVERITIES}:
            raise ValueError(
                f"a random corruption needs kinds and severities of 1 to 5, got "
                f"{len(self.corruptions)} kinds and {self.severities}"
            )
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability is from 0 to 1, got {self.probability}")
        if "frost" in self.corruptions:
            texture_files(self.frost_textures)

    def __call__(self, image: Pixels, rng: Rng) -> Pixels:
        """The image, corrupted or not."""
        kind = self.corruptions[integers(rng, 0, len(self.corruptions))]
        severity = self.severities[integers(rng, 0, len(self.severities))]
        if not rng.random() < self.probability:
            return image
        return corrupt(image, kind, severity, rng, frost_textures=self.frost_textures)
