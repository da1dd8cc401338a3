"""Universal detectors: a convolutional network with one logit, high for generated images.

Wang et al., "CNN-generated images are surprisingly easy to spot... for now" (CVPR 2020): trained
on one GAN, with blur and JPEG, such a network recognises images of GANs that it never saw. Images
are scored whole and at their own size.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Float64, UInt8

from gan_forensics.data import Source, as_source
from gan_forensics.data.flat import flat
from gan_forensics.data.images import check_pixels
from gan_forensics.files import shown
from gan_forensics.files.archives import Head
from gan_forensics.forensics import evidence, tiles
from gan_forensics.forensics.archive import check_fields, write_detector
from gan_forensics.forensics.calibration import Calibration
from gan_forensics.forensics.calibrators import Calibrator
from gan_forensics.forensics.canvases import (
    LENGTHS,
    MOST,
    check_memory,
    few_shapes,
    in_batches,
    room,
)
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.neural_parts import file_named
from gan_forensics.forensics.preprocessing import Preprocessing, cut_middle, read_preprocessing
from gan_forensics.forensics.tiles import Tiling
from gan_forensics.nn.canvas import apply_on_canvas
from gan_forensics.nn.efficientnet import efficientnet, efficientnet_b0
from gan_forensics.nn.imagenet import normalise
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.npr import npr
from gan_forensics.nn.resnet import place_resnet, resnet50, resnet_small
from gan_forensics.nn.spectrum_classifier import autogan, dct_cnn
from gan_forensics.runtime import jit, random_key
from gan_forensics.runtime.counts import in_short, parameters

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "resnet50": resnet50,
    "efficientnet_b0": efficientnet_b0,
    "resnet_small": resnet_small,
    "efficientnet": efficientnet,
    "npr": npr,
    "places": place_resnet,
    "autogan": autogan,
    "dct_cnn": dct_cnn,
}
# The settings that a file may have, and between which numbers they lie (`check_fields`).
LIMITS: dict[str, Any] = {
    "width": (0, 4096), "depth": (0, 8), "divisor": range(1, 257), "side": range(1, 4097),
    "convention": str,
}  # fmt: skip
# Made for images of one side, which is among their settings.
OF_ONE_SIZE = ("dct_cnn",)
Images = UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_h _w c"]]


def preprocess(images: UInt8[np.ndarray | Array, "b h w c"]) -> Float[Array, "b h w 3"]:
    """Pixels as the networks read them: (x / 255 - mean) / std; gray is repeated."""
    return normalise(jnp.asarray(images, jnp.float32) / 255)


def make_network(arch: str, settings: Mapping[str, Any] | None = None) -> nn.Module:
    """The network of a key of `ARCHITECTURES` with one logit; `settings` such as a width are its.

    Raises:
        ValueError: for an unknown architecture or setting.
    """
    make = lookup(ARCHITECTURES, arch, "architecture")
    try:
        return make(classes=1, **(settings or {}))
    except TypeError as error:
        raise ValueError(f"{arch} cannot be made with {dict(settings or {})}: {error}") from None


@dataclass(frozen=True, eq=False)
class NeuralDetector:
    """A trained network and its threshold; call `score`, compare with `threshold`.

    Attributes:
        arch: a key of `ARCHITECTURES`.
        variables: "params" and "batch_stats" of the network, float32.
        threshold: the logit above which an image is called generated.
        calibration: how the threshold was chosen; None where it is 0, probability 1/2, unseen.
        settings: arguments of the architecture beside the number of logits.
        facts: JSON-able, such as what it was trained on.
        preprocessing: what `score` does to every image first.
        calibrators: from scores to likelihood ratios, by tier (`data.carriers.TIERS`); empty where
            there were too few images for them, and of files from before there were any.
        tiles: by which it scores images of any size (`forensics.tiles`); None where it scores them
            whole.
        sha256: of the file that it was loaded from or saved to last; None before that.

    Example:
        >>> detector = load_detector("neural.npz")  # doctest: +SKIP
        >>> detector.score("suspects")  # doctest: +SKIP
    """

    arch: str
    variables: Mapping[str, Any]
    threshold: float = 0.0
    calibration: Calibration | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing = Preprocessing()
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    tiles: Tiling | None = None
    # Not an argument: a changed copy is another detector than that of the file.
    sha256: str | None = field(default=None, init=False)

    def __repr__(self) -> str:
        chosen = "unseen" if self.calibration is None else self.calibration.in_short
        size = in_short(parameters(self.variables["params"]))
        return (
            f"NeuralDetector({self.name}, {size} parameters, threshold {self.threshold:.4g} "
            f"{chosen}{evidence.in_short(self.calibrators)})"
        )

    @functools.cached_property
    def untiled(self) -> "NeuralDetector":
        """It as it scores one tile."""
        return replace(self, tiles=None)

    @property
    def name(self) -> str:
        """Architecture and augmentations, for tables."""
        return "-".join([self.arch, *map(str, self.facts.get("augment", ()))])

    @functools.cached_property
    def network(self) -> nn.Module:
        """What is applied to `preprocess`ed images with `variables`."""
        return make_network(self.arch, self.settings)

    def score(self, images: Any) -> Float64[np.ndarray, " n"]:
        """Logits of images after the preprocessing; higher = more likely generated.

        Of whole images, or the upper quartile of those of their tiles.

        A few sizes have programs of their own; images of others lie on canvases of fewer shapes,
        with the scores that they have by themselves (`forensics.canvases`), so that a folder of
        any number of sizes costs few compilations. Scores do not depend on what else is scored, up
        to rounding; a flat image (`data.flat`) has NaN: what a network says of it stands in its
        biases. Networks that do not fit on canvases (`nn.canvas.fits_canvas`) are compiled for
        each size.

        Args:
            images: as `gan_forensics.data.as_images` takes them: an array, a picture, a folder, a
                list, of any sizes. Files are read once, and few of their images are in memory at a
                time.

        Raises:
            ValueError: on pixels of another type, and on images smaller than the network's stride.
            ImageError: on a file that cannot be read.
        """
        source = as_source(images)
        if self.tiles is not None:
            return tiles.scores(self, source)
        whole, on_canvas = logits_of(self.network), _logits_on_canvas(self.network)
        scores, empty = np.zeros(len(source)), np.zeros(len(source), bool)
        for places, batch, sides in few_shapes(self.network, self._checked(source, empty)):
            if sides is None:
                logits = whole(self.variables, batch)
            else:
                logits = on_canvas(self.variables, batch, sides)
            scores[places] = np.asarray(logits)[: len(places)]
        scores[empty] = np.nan
        return scores

    def log10_lr(self, scores: Any, tier: str = "clean") -> Float64[np.ndarray, " n"]:
        """How many times more probable scores [n] are of generated images than of photographs.

        Log10 of that likelihood ratio, within what the reference images support; NaN for NaN.

        Args:
            scores: of `score`.
            tier: how the images were treated, of `data.carriers.TIERS` (`tier_of` asks the file).

        Raises:
            ValueError: for an unknown tier, and where there is no calibrator for it, with the
                reason and how to get one.
        """
        return evidence.log10_lr(self, scores, tier)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse images [h, w, c] that `score` would refuse for their size (ValueError).

        So are those that take more memory than there is (`canvases.check_memory`).
        """
        if self.tiles is not None:
            return tiles.check_sides(shape[0], shape[1], self.tiles.side)
        shape = self.preprocessing.shape(shape)
        if (only := getattr(self.network, "side", None)) and shape[:2] != (only, only):
            raise ValueError(
                f"images of {shape[0]}x{shape[1]} pixels; {self.name} was trained for "
                f"{only}x{only} and takes no others: bring them to that size as its images were"
            )
        side = getattr(self.network, "stride", 1)
        if min(shape[:2]) < side:
            raise ValueError(
                f"images of {shape[0]}x{shape[1]} pixels; {self.name} needs sides of at least "
                f"{side} pixels"
            )
        check_memory(self.network, *shape[:2])

    def middle(self, image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "_h _w c"]:
        """The image, or its middle where the network takes one size and this is larger."""
        only = getattr(self.network, "side", None)
        if only is None or self.tiles or self.preprocessing.crop or self.preprocessing.size:
            return image
        return cut_middle(image, only, only)

    def view(self, image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "_h _w c"]:
        """One image as it looks at it, which decides whether the image is flat."""
        if self.tiles is not None:
            return tiles.looked_at(self, image)
        return self.preprocessing(image)

    def _checked(self, source: Source, empty: np.ndarray) -> Iterator[UInt8[np.ndarray, "_h _w c"]]:
        """The images as they are looked at; those that are flat are marked as empty."""
        for place in range(len(source)):
            with file_named(source, place):
                image = source[place]["image"]
                self.check_shape(image.shape)
                prepared = self.view(image)
            empty[place] = flat([prepared])[0]
            yield prepared

    def save(self, path: Path | str) -> None:
        """Write it to a file for `load_detector`."""
        header = {
            "kind": "neural",
            "arch": self.arch,
            "settings": dict(self.settings),
            "threshold": self.threshold,
            "calibration": self.calibration,
            "calibrators": self.calibrators,
            "facts": dict(self.facts),
            "preprocessing": asdict(self.preprocessing),
            "tiles": self.tiles and asdict(self.tiles),
        }
        digest = write_detector(path, header, flatten_dict(self.variables, sep="/"))
        object.__setattr__(self, "sha256", digest)


@functools.cache
def logits_of(network: nn.Module) -> Callable[..., Float[Array, " b"]]:
    """`(variables, uint8 images) -> logits`, compiled once for a network."""

    def logits(variables, images):
        return network.apply(variables, preprocess(images), train=False)[:, 0]  # pyright: ignore

    return jit(logits)


@functools.cache
def _logits_on_canvas(network: nn.Module) -> Callable[..., Float[Array, " b"]]:
    """`(variables, uint8 images on a canvas, their sides) -> logits`."""

    def logits(variables, images, sides):
        return apply_on_canvas(network, variables, preprocess(images), sides)[:, 0]

    return jit(logits)


def size_batches(
    images: Images, *, most: int = MOST
) -> Iterator[tuple[np.ndarray, UInt8[np.ndarray, "_b _h _w 3"]]]:
    """Images by size, in batches of a few lengths; gray is repeated.

    Yields:
        (places in `images` [k], batch uint8 [b, h, w, 3]) with k <= b; what fills a batch up are
        copies of its first image. b is 1, 4, 16, 64, as many as `most` and the pixels allow.

    Raises:
        ValueError: for what are no uint8 images of 1 or 3 channels.
    """
    for (height, width, _), places in by_size(images).items():
        lengths = [n for n in LENGTHS if n <= room(height, width, most)]
        for start, length in in_batches(len(places), lengths):
            rows = places[start : start + length]
            filled = rows + rows[:1] * (length - len(rows))
            yield np.array(rows), stacked(images, filled)


def by_size(images: Images) -> dict[tuple[int, ...], list[int]]:
    """The places of the images of each shape [h, w, c]; refuses what `size_batches` does."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        check_pixels(np.asarray(image), "h, w")
        places.setdefault(np.shape(image), []).append(place)
    return places


def stacked(images: Images, places: Sequence[int]) -> UInt8[np.ndarray, "_b _h _w 3"]:
    """Images of one size; gray is repeated."""
    batch = np.stack([np.asarray(images[place]) for place in places])
    return np.repeat(batch, 3 // batch.shape[-1], -1)


def check(header: Mapping[str, Any], heads: Mapping[str, Head]) -> None:
    """Check a header and the heads of arrays against each other; no network is larger than these.

    Raises:
        ValueError: where they do not fit together.
    """
    check_fields(header, {"arch": str, "settings": dict, "facts": dict})
    check_fields({"augment": [], **header["facts"]}, {"augment": list})
    settings = header["settings"]
    if unknown := sorted(map(shown, settings.keys() - LIMITS.keys())):
        raise ValueError(f"its settings have an unknown {unknown[0]!r}")
    check_fields(settings, {name: LIMITS[name] for name in settings})
    network = make_network(header["arch"], settings)
    # A file has an array or more for each block, and statistics of each pixel.
    if len(getattr(network, "blocks", ())) > len(heads):
        raise ValueError(f"its {len(heads)} arrays are too few for {shown(settings)}")
    if (side := settings.get("side")) and _shape(heads, "batch_stats/mean") != (side, side, 3):
        raise ValueError(f"its arrays are not those of images of {side}x{side}")
    read_preprocessing(header)
    shapes = jax.eval_shape(lambda: init_variables(network, random_key(0)))
    check_arrays(header["arch"], flatten_dict(shapes, sep="/"), heads)


def _shape(heads: Mapping[str, Head], name: str) -> tuple[int, ...]:
    return heads[name].shape if name in heads else ()


def assemble(header: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> NeuralDetector:
    """A detector of a header and arrays that `check` has seen.

    Raises:
        ValueError: where a number is not finite.
    """
    check_finite(header["arch"], arrays)
    names = ("arch", "threshold", "calibration", "settings", "facts", "calibrators")
    variables = unflatten_dict(arrays, sep="/")
    given = {name: header[name] for name in names}
    return NeuralDetector(
        variables=variables, preprocessing=read_preprocessing(header),
        tiles=tiles.read_tiling(header), **given,
    )  # fmt: skip


def check_arrays(arch: str, shapes: Mapping[str, Any], heads: Mapping[str, Any]) -> None:
    """Refuse arrays, or heads of these, that are not those of a network, listing what is wrong."""
    missing, unknown = sorted(shapes.keys() - heads), sorted(heads.keys() - shapes)
    problems = [f"missing {name} {list(shapes[name].shape)}" for name in missing]
    problems += [f"unknown {shown(name)}" for name in unknown]
    for name in sorted(shapes.keys() & heads):
        head, wanted = heads[name], shapes[name]
        if head.shape != wanted.shape or head.dtype != np.float32:
            problems.append(
                f"{name} is {head.dtype} {list(head.shape)}, not float32 {list(wanted.shape)}"
            )
    _refuse(arch, problems)


def check_finite(arch: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays with values that are not finite, listing them."""
    _refuse(arch, [
        f"{name} holds values that are not finite"
        for name, array in sorted(arrays.items()) if not np.isfinite(array).all()
    ])  # fmt: skip


def _refuse(arch: str, problems: Sequence[str]) -> None:
    if problems:
        more = f" and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ValueError(f"its arrays are not those of its {arch}: {'; '.join(problems[:8])}{more}")


def init_variables(network: nn.Module, key: jax.Array) -> dict[str, Any]:
    """Random variables of a network."""
    side = getattr(network, "stride", 32)
    shape = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    return initial_variables(network, key, shape, train=False)
