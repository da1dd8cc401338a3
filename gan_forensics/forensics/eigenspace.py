"""The principal components of images, or of their DCT spectra ("eigenfaces").

Sirovich and Kirby (JOSA A 1987), Turk and Pentland (J. Cogn. Neurosci. 1991). What is analysed is
x / 127.5 - 1 of the pixels ("pixels"), or the log-DCT coefficients standardised over the training
images ("dct"), as Frank et al. (ICML 2020) do to recognise generators.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, UInt8

from gan_forensics.data import Rgb, Source, chunks, take
from gan_forensics.files.progress import progress_bar
from gan_forensics.forensics.fingerprints import dct_input, dct_statistics
from gan_forensics.spectra import SpectrumSummary, pixel_features

INPUTS = ("pixels", "dct")
# Images that components are found from, and numbers (8 bytes each) that these may fill.
SUBSET = 10_000
MOST_VALUES = 2**28
# Pixels of a chunk of images.
PIXELS = 2**20

Images = UInt8[np.ndarray, "n h w 3"]


class PrincipalComponents(NamedTuple):
    """Mean, orthonormal directions of falling variance, and the share of variance of each.

    The entry of largest magnitude of each direction is positive.
    """

    mean: Float64[np.ndarray, " d"]
    components: Float64[np.ndarray, "r d"]
    shares: Float64[np.ndarray, " r"]


@dataclass(frozen=True, eq=False)
class Eigenspace:
    """Images of one size to coordinates.

    Attributes:
        input: a name of `INPUTS`.
        mean: of the pixels or coefficients, one for each.
        components: the directions, most variance first.
        dct: mean and deviation of the log-DCT coefficients [2, h, w, 3]; None for pixels.
        side: height and width of the images.
    """

    input: str
    mean: Float32[np.ndarray, " d"]
    components: Float32[np.ndarray, "r d"]
    dct: Float64[np.ndarray, "2 h w 3"] | None
    side: tuple[int, int]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What a file needs of it."""
        spectra = {} if self.dct is None else {"dct": self.dct}
        return {"mean": self.mean, "components": self.components, **spectra}

    def coordinates(self, images: Images) -> Float64[np.ndarray, "n r"]:
        """The coordinates of images, chunk by chunk.

        Raises:
            ValueError: for images of another size, or not uint8 RGB.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != (*self.side, 3):
            raise ValueError(
                f"eigenfaces of uint8 images [n, {self.side[0]}, {self.side[1]}, 3] cannot show "
                f"{images.dtype} {list(images.shape)}: bring the images to that size"
            )
        size = max(1, PIXELS // (self.side[0] * self.side[1]))
        basis = self.components.astype(np.float64).T
        rows = [np.zeros((0, basis.shape[1]))]
        for first in range(0, len(images), size):
            shown = input_rows(images[first : first + size], self.dct)
            rows.append((shown - self.mean) @ basis)
        return np.concatenate(rows)

    def first(self, count: int) -> "Eigenspace":
        """The same with the first directions only."""
        components = np.ascontiguousarray(self.components[:count])
        return Eigenspace(self.input, self.mean, components, self.dct, self.side)


def fit_eigenspace(
    source: Source,
    labels: Int[np.ndarray, " n"],
    *,
    classes: int,
    input: str,
    share: float,
    subset: int = SUBSET,
    seed: int = 0,
) -> tuple[Eigenspace, Float64[np.ndarray, " r"]]:
    """The components that hold a share of the variance, and the share of each.

    They are found from at most `subset` images, equally many of each class as far as there are so
    many, drawn at random; from fewer where these would fill more than 2^28 numbers (1783 images of
    224x224). Statistics of the DCT are of all images.

    Args:
        source: uint8 images of one size.
        labels: 0 to classes - 1.
        classes: number of sources.
        input: a name of `INPUTS`.
        share: of the variance, between 0 and 1.
        subset: most images to find components from.
        seed: of the draw.

    Raises:
        ValueError: for an unknown input, or images that are all the same.
    """
    if input not in INPUTS:
        raise ValueError(f"unknown input {input!r}: choose one of {', '.join(INPUTS)}")
    source = Rgb(source)
    shape = source[0]["image"].shape
    dct = None
    if input == "dct":
        summary = dct_statistics(source)
        dct = np.stack([summary.mean, summary.std])
    quota = max(1, min(subset, MOST_VALUES // int(np.prod(shape))) // classes)
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(labels == label) for label in range(classes)]
    chosen = np.sort(np.concatenate([rng.permutation(each)[:quota] for each in rows]))
    values = np.empty((len(chosen), int(np.prod(shape))))
    step = max(1, PIXELS // (shape[0] * shape[1]))
    for first in range(0, len(chosen), step):
        images = take(source, chosen[first : first + step])["image"]
        values[first : first + step] = input_rows(images, dct)
    mean, components, shares = principal_components(values, share)
    mean, components = mean.astype(np.float32), components.astype(np.float32)
    return Eigenspace(input, mean, components, dct, shape[:2]), shares


def principal_components(values: Float64[np.ndarray, "n d"], share: float) -> PrincipalComponents:
    """The fewest components whose shares of the variance sum to more than `share`; not in place.

    From the smaller of the two matrices of inner products, in float64.

    Raises:
        ValueError: for a share that is not between 0 and 1, or rows that are all the same.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share of the variance must lie between 0 and 1, got {share}")
    mean = values.mean(0)
    centred = values - mean
    wide = len(centred) <= centred.shape[1]
    powers, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    powers, vectors = np.clip(powers[::-1], 0, None), vectors[:, ::-1]
    # Rounding leaves 1e-32 of the squares.
    if not powers[0] > 1e-24 * np.square(values).sum():
        raise ValueError("all images are the same: there are no directions that they vary in")
    shares = powers / powers.sum()
    count = min(count_of(shares, share), int((powers > 0).sum()))
    kept = vectors[:, :count].T
    if wide:
        kept = kept @ centred / np.sqrt(powers[:count, None])
    largest = np.take_along_axis(kept, np.abs(kept).argmax(1)[:, None], 1)
    return PrincipalComponents(mean, kept * np.sign(largest), shares[:count])


def count_of(shares: Float[np.ndarray, " r"], share: float) -> int:
    """How many of the first components hold more than a share of the variance; all, if none do."""
    return min(len(shares), int(np.searchsorted(np.cumsum(shares), share, side="right")) + 1)


def source_coordinates(space: Eigenspace, source: Source, what: str) -> Float64[np.ndarray, "n r"]:
    """The coordinates of all images of a source, read a chunk at a time."""
    size = max(1, PIXELS // (space.side[0] * space.side[1]))

    def progress(rows: range) -> Iterable[int]:
        return progress_bar(rows, desc=what, unit="chunk", brief=True)

    batches = chunks(Rgb(source), size, progress=progress)
    return np.concatenate([space.coordinates(batch["image"]) for batch in batches])


def assemble_eigenspace(
    settings: Mapping[str, object], arrays: Mapping[str, np.ndarray]
) -> Eigenspace:
    """The eigenspace of a file's settings ("input" and "side") and arrays.

    Raises:
        ValueError: when they do not fit each other.
    """
    name, side = settings.get("input"), settings.get("side")
    if name not in INPUTS:
        raise ValueError(f"unknown input {name!r}: choose one of {', '.join(INPUTS)}")
    if not (isinstance(side, list | tuple) and len(side) == 2 and all(_positive(x) for x in side)):
        raise ValueError(f"side {side!r} must be two positive whole numbers")
    shape = (*side, 3)
    size = int(np.prod(shape))
    mean, components, dct = (
        np.asarray(arrays.get(key, np.zeros(0))) for key in ("mean", "components", "dct")
    )
    fits = mean.shape == (size,) and components.ndim == 2 and components.shape[1] == size
    if not fits or dct.shape != ((2, *shape) if name == "dct" else (0,)):
        raise ValueError(
            f"mean {list(mean.shape)}, components {list(components.shape)} and dct "
            f"{list(dct.shape)} do not fit images {list(shape)} shown as {name}"
        )
    if not all(np.isfinite(array).all() for array in (mean, components, dct)):
        raise ValueError("an array of the eigenspace is not finite")
    mean, components = mean.astype(np.float32), components.astype(np.float32)
    return Eigenspace(
        str(name), mean, components, dct if name == "dct" else None, (side[0], side[1])
    )


def input_rows(
    images: Images, dct: Float64[np.ndarray, "2 h w 3"] | None
) -> Float64[np.ndarray, "n d"]:
    """What of images is analysed, a row for each."""
    if dct is None:
        return pixel_features(images)
    shown = dct_input(images, SpectrumSummary(dct[0], dct[1], np.zeros((), int)))
    return shown.reshape(len(images), -1).astype(np.float64)


def _positive(value: object) -> bool:
    return type(value) is int and 0 < value <= 2**16
