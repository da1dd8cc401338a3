"""Sample sheets and checkpoints that others released, found in a folder by their names.

Chandrasegaran et al. (CVPR 2021) released a sheet of nine samples, 3x3 tiles of 128x128 without a
border, and PyTorch checkpoints of their GANs. Names say the family (dcgan, lsgan, wgan-gp) and the
set-up (BASELINE, N.1.5, ...), in the file's name or in a folder of its path; the nearest counts.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import load_image
from gan_forensics.data.listing import leaving
from gan_forensics.forensics.features import FEATURES
from gan_forensics.nn import parse_tail
from gan_forensics.nn.dcgan import Generator, generator_widths
from gan_forensics.nn.tails import TAILS
from gan_forensics.nn.weight_files import READERS
from gan_forensics.nn.weights import from_file
from gan_forensics.spectra import log_spectrum_curve

TILES, TILE = 3, 128
# Images that are drawn at a time.
BATCH = 64

Images = UInt8[np.ndarray, "n h w c"]

_FAMILY = re.compile(r"(?<![a-z])(dcgan|lsgan|wgan(?:[-_. ]?gp)?)(?![a-z])", re.IGNORECASE)
_SETUP = re.compile(
    r"(?<![a-z0-9])(baseline|[nzb][-_. ]?[13][-_. ]?[357])(?![a-z0-9])", re.IGNORECASE
)


class Released(NamedTuple):
    """A file, and what its name says that it is of."""

    path: Path
    method: str
    tail: str

    @property
    def is_sheet(self) -> bool:
        """Whether it is a sheet of samples; otherwise it is a checkpoint."""
        return self.path.suffix.lower() == ".png"


def find_released(folder: Path) -> tuple[list[Released], dict[Path, str]]:
    """Sheets and checkpoints below a folder (or the one that is named), and why others are not.

    Raises:
        FileNotFoundError: when there is no such folder or file.
        ValueError: when nothing in it is of a known family and set-up, or two files are of one.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such file or folder; check the path")
    root = folder if folder.name else folder.resolve()
    paths = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    found, skipped, leaves = [], {}, leaving(root if root.is_dir() else root.parent)
    for path in paths:
        if path != root and leaves(path):
            skipped[path] = "a link that leaves the folder"
            continue
        names = [path.stem, *reversed(path.parent.parts)]
        method, tail = _named(_FAMILY, names), _named(_SETUP, names)
        if path.suffix.lower() not in (".png", *READERS):
            skipped[path] = f"neither sheets (.png) nor checkpoints ({', '.join(READERS)})"
        elif len(method) != 1:
            skipped[path] = f"of no one GAN family ({said(method) or 'dcgan, lsgan or wgan-gp'})"
        elif len(tail) != 1:
            skipped[path] = f"of no one set-up ({said(tail) or 'BASELINE, N.1.5 and so on'})"
        else:
            found.append(Released(path, method.pop(), tail.pop()))
    if not found:
        reasons = "; ".join(f"{path.name}: {why}" for path, why in list(skipped.items())[:3])
        raise ValueError(
            f"{folder}: no sheet or checkpoint whose name says family and set-up, such as "
            f"dcgan/N.1.5.png or dcgan_N.1.5.pt ({reasons or 'it is empty'})"
        )
    seen: dict[tuple, Path] = {}
    for each in found:
        first = seen.setdefault((each.is_sheet, each.method, each.tail), each.path)
        if first != each.path:
            raise ValueError(
                f"{first} and {each.path} are both of {each.method} {each.tail}: give a folder "
                "with one of them, such as that of one data set"
            )
    return found, skipped


def _named(pattern: re.Pattern, names: list[str]) -> set[str]:
    """What the nearest name that says anything says, in our spelling."""
    for name in names:
        if said := {_spelt(match[1]) for match in pattern.finditer(name)}:
            return said
    return set()


def _spelt(word: str) -> str:
    word = word.upper()
    if word.endswith("LINE"):
        return word
    if "GAN" in word:
        return "wgan-gp" if word.startswith("WGAN") else word.lower()
    return ".".join(re.sub(r"[^A-Z0-9]", "", word))


def said(names: set[str]) -> str:
    """Names in order, as text."""
    return " and ".join(sorted(names))


def read_sheet(path: Path) -> UInt8[np.ndarray, "9 128 128 3"]:
    """The tiles of a sheet, row by row.

    Raises:
        ValueError: for a picture of another size, or none.
    """
    sheet, side = load_image(path), TILES * TILE
    if sheet.shape != (side, side, 3):
        height, width = sheet.shape[:2]
        raise ValueError(
            f"{path} is {height}x{width}; a released sheet is {side}x{side}, {TILES}x{TILES} tiles "
            f"of {TILE}x{TILE} without a border: cut it so"
        )
    tiles = sheet.reshape(TILES, TILE, TILES, TILE, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles).reshape(-1, TILE, TILE, 3)


def read_generator(path: Path, tail: str) -> tuple[Generator, dict[str, Any]]:
    """A generator with its variables; of a checkpoint of the whole GAN, its part.

    Weights of N, Z and B are alike, so that the name decides; what they do tell is compared.

    Raises:
        ValueError: for weights of another network or another tail.
    """
    variables = from_file("dcgan_generator", path)
    params = variables["params"]
    kernels = [params[name]["kernel"].shape for name in sorted(params) if name.startswith("tail_")]
    wanted, found = parse_tail(tail), (len(kernels), kernels[0][0])
    if found != (wanted.count, wanted.kernel):
        raise ValueError(
            f"{path} is named after {tail}, whose tail has {wanted.count} convolutions of kernel "
            f"{wanted.kernel}; its weights have {found[0]} of {found[1]}: name it after its set-up"
        )
    maps = [params[f"conv_{i}"]["kernel"].shape for i in range(len(variables["batch_stats"]))]
    size, width = 4 * 2 ** len(maps), kernels[0][2]
    channels = [shape[-1] for shape in maps]
    if size < 16 or channels != generator_widths(size, width):
        raise ValueError(
            f"{path} makes maps of {channels} channels; the generator of the study has others "
            f"({generator_widths(size, width) if size >= 16 else 'two maps or more'})"
        )
    return Generator(size, width, tail, kernels[-1][-1], latent=maps[0][2]), variables


def draw(generator: Generator, variables: Mapping[str, Any], n: int, *, seed: int) -> Images:
    """Images of noise by seed: running batch statistics, floor(255 (0.5 x + 0.5)), as released."""
    noise = np.random.default_rng(seed).standard_normal((n, generator.latent), np.float32)
    apply = jax.jit(lambda z: generator.apply(variables, z, train=False))
    drawn = []
    for first in range(0, n, BATCH):
        some = noise[first : first + BATCH]
        filled = np.concatenate([some, np.zeros((min(n, BATCH) - len(some), generator.latent))])
        images = np.asarray(apply(filled.astype(np.float32)), np.float64)[: len(some)]
        drawn.append(np.floor(255 * (0.5 * images + 0.5)).astype(np.uint8))
    return np.concatenate(drawn)


def spectral_rows(images: Images) -> list[dict[str, float]]:
    """How the spectrum of each image ends.

    Returns:
        For each `exponent`, `start` and `end` of the decay fit as released (Dzanic et al., 2020),
        and `curve_end`, the last value of the min-max curve of its 8-bit gray (Durall et al.,
        2020). NaN for an image of one flat colour.
    """
    decays = FEATURES["dzanic"](images)
    curves = np.asarray(log_spectrum_curve(images, normalise="min-max", precision="float64"))
    names = ("exponent", "start", "end", "curve_end")
    rows = np.column_stack([decays, curves[:, -1]])
    # Where the fit starts with nothing its exponent is where it was looked for first.
    rows[decays[:, 1] == 0] = np.nan
    return [dict(zip(names, map(float, row), strict=True)) for row in rows]


def order(each: Released) -> tuple[str, int]:
    """By family, then set-ups as in the paper's table."""
    return each.method, TAILS.index(each.tail)
