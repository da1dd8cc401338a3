"""Pictures of a detector's reasons: relevance of pixels, Guided Grad-CAM, patches of its channels.

The rules of relevance and the patches are those of Chandrasegaran et al. (ECCV 2022), section 5 and
supplement: a patch of a channel is the box around the hottest quarter of what makes its most active
unit fire, in the images that it fires most at. They show where images are generated that the
detector is sure of. Here images of either verdict are explained on one scale, so relevance keeps
its sign and its size: it starts as the logit, and evidence for "generated" is positive also where
the logit is negative.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.data import as_source
from gan_forensics.explain import (
    Composite,
    Feature,
    bounding_box,
    composites,
    guided_grad_cam,
    heat_map,
    max_activations,
    relevance,
    top_images,
    unit_relevance,
)
from gan_forensics.explain.composites import IMAGENET
from gan_forensics.explain.faithful import cam_map, gradient_maps
from gan_forensics.explain.forensic_features import channel_shares
from gan_forensics.forensics.neural import Images, NeuralDetector, preprocess, size_batches
from gan_forensics.forensics.neural_parts import images_of
from gan_forensics.forensics.place_logits import place_logits
from gan_forensics.nn.npr import SCALE, nearest_residual
from gan_forensics.runtime import jit

# Evidence for "generated" and for "real", apart for the colour-blind too, and both from gray.
GENERATED, REAL = (255, 112, 0), (0, 120, 255)
OPACITY = 0.8  # of the strongest evidence in files; readers of the page set their own
SMOOTHED = 5  # side of the square that relevance is averaged over
# Architectures whose front end is a transform of the whole image.
SPECTRAL = ("autogan", "dct_cnn")
# Larger images are explained, and how faithful that is is not measured: it would take minutes.
MEASURED_PIXELS = 2**18
_AT_ONCE = 4
_COLOURS = np.array([0.299, 0.587, 0.114])  # of gray, ITU-R BT.601


class Explanation(NamedTuple):
    """Why one image scored as it did.

    Attributes:
        score: the logit.
        relevance: of each pixel, averaged over its neighbourhood, as if all pixels were like it:
            its mean over the image is the logit less what the biases hold. Positive for
            "generated", negative for "real".
        guided: Guided Grad-CAM of the last stage, signed, one value for each colour.
        others: the maps that `faithful_explanations` compares relevance with, by name; none of
            images of more than `MEASURED_PIXELS`.
        channels: the shares of the channels in the relevance of their layer: as evidence for
            "generated" in the first row, for "real" in the second.
    """

    score: float
    relevance: Float[np.ndarray, "h w"]
    guided: Float[np.ndarray, "h w 3"]
    others: Mapping[str, Float[np.ndarray, "h w"]] = MappingProxyType({})
    channels: Mapping[str, Float[np.ndarray, "2 _c"]] = MappingProxyType({})


class Patch(NamedTuple):
    """What a channel fires at: a part of image `image`, with the channel's largest activation."""

    image: int
    activation: float
    pixels: UInt8[np.ndarray, "h w 3"]


# What the images of NPR's residual may be: differences of two pixels.
RESIDUAL = -SCALE * (IMAGENET[1] - IMAGENET[0]), SCALE * (IMAGENET[1] - IMAGENET[0])


def composite_of(arch: str) -> Composite:
    """The rules as published: the box rule at the pixels of ResNets, not of EfficientNets."""
    if arch.startswith("efficientnet"):
        return composites.beta_zero_everywhere()
    return composites.beta_zero()


def explain(detector: NeuralDetector, images: Any) -> list[Explanation]:
    """Explain the logit of each image, at its own size.

    Compiled for each size: relevance at the pixels is bounded by the values that pixels may have,
    in the image but not in its padding, so that a canvas would change it along the borders. Of NPR
    the residual is explained, pixel by pixel. The relevance of a detector "places" is the logit of
    each place.

    Args:
        detector: whose logit.
        images: as `gan_forensics.data.as_images` takes them, of any sizes, as the network sees
            them: after the detector's preprocessing.

    Raises:
        ValueError: for images smaller than the network's stride, and detectors that look at the
            spectrum.
    """
    images = images_of(as_source(images))
    arch, network = detector.arch, detector.network
    if arch in SPECTRAL:
        raise ValueError(
            f"a detector {arch} looks at the spectrum of the whole image, so that no place of it "
            "stands out: explain one of another architecture"
        )
    stage = "_conv_head" if arch.startswith("efficientnet") else last_stage(network)
    residual = arch == "npr"
    found = explain_network(
        network.clone(front=None) if residual else network,
        detector.variables,
        images,
        read=_residual if residual else preprocess,
        range=RESIDUAL if residual else IMAGENET,
        composite=composite_of(arch),
        stage=stage,
        compared=MEASURED_PIXELS,
    )
    if residual:
        return [
            e._replace(
                relevance=_padded(e.relevance, x),
                guided=_padded(e.guided, x),
                others={name: _padded(other, x) for name, other in e.others.items()},
            )
            for e, x in zip(found, images, strict=True)
        ]
    if arch == "places":
        maps = place_logits(detector, images)
        return [e._replace(relevance=_enlarged(places, x))
                for e, places, x in zip(found, maps, images, strict=True)]  # fmt: skip
    return found


def _residual(images: Any) -> Any:
    return nearest_residual(preprocess(images))


def _padded(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Zeros where an odd side was cut."""
    sides = np.subtract(np.shape(image)[:2], values.shape[:2])
    return np.pad(values, [(0, n) for n in sides] + [(0, 0)] * (values.ndim - 2))


def _enlarged(places: Float[np.ndarray, "h w"], image: np.ndarray) -> Float[np.ndarray, "H W"]:
    """The logit of the place that each pixel of the image is nearest to."""
    rows, columns = (
        np.minimum(np.arange(side) * n // side, n - 1)
        for side, n in zip(np.shape(image)[:2], places.shape, strict=True)
    )
    return places[np.ix_(rows, columns)]


def explain_network(
    network: nn.Module,
    variables: Any,
    images: Images,
    *,
    read: Callable,
    range: tuple[float, float],
    composite: Composite,
    stage: str,
    compared: int = 0,
) -> list[Explanation]:
    """Explain the one logit of a network on each image, as `explain` does.

    Args:
        network: with one logit.
        variables: of it.
        images: uint8.
        read: uint8 images -> what the network is called with; the same object every time, by which
            what is compiled is found again.
        range: the least and the greatest value of what `read` gives.
        composite: as `read`.
        stage: whose last maps Grad-CAM looks at.
        compared: images of at most so many pixels have the maps of `Explanation.others`.
    """
    found: dict[int, Explanation] = {}
    for rows, batch in size_batches(images, most=_AT_ONCE):
        others = batch.shape[1] * batch.shape[2] <= compared
        run = _explain(network, read, range, composite, stage, others)
        logits, image, guided, others, shares = jax.tree.map(np.asarray, run(variables, batch))
        for place, row in enumerate(rows):
            found[int(row)] = Explanation(
                float(logits[place]),
                _smoothed(image[place]),
                guided[place],
                {name: other[place] for name, other in others.items()},
                {name: share[:, place] for name, share in shares.items()},
            )
    return [found[i] for i, _ in enumerate(images)]


def last_stage(network: nn.Module) -> str:
    """The name of the last stage of a ResNet."""
    return f"layer{len(getattr(network, 'blocks', ()))}"


def patches(
    detector: NeuralDetector, images: Any, features: Sequence[Feature], *, n: int = 5
) -> list[list[Patch]]:
    """For each feature the patches of the n images that it fires most at, strongest first.

    Raises:
        ValueError: for a feature that the network does not have.
    """
    images = images_of(as_source(images))
    best = top_images(channel_maxima(detector, images, features), n)
    names = tuple(dict.fromkeys(feature.layer for feature in features))
    pairs = [(f, int(image)) for f in range(len(features)) for image in best.images[f]]
    layer = np.array([names.index(features[f].layer) for f, _ in pairs])
    channel = np.array([features[f].channel for f, _ in pairs])
    shown = [np.asarray(images[image]) for _, image in pairs]
    made: dict[int, UInt8[np.ndarray, "h w 3"]] = {}
    run = _units(detector.network, detector.arch, names)
    for rows, batch in size_batches(shown, most=_AT_ONCE):
        filled = np.concatenate([rows, np.repeat(rows[:1], len(batch) - len(rows))])
        heat = np.asarray(run(detector.variables, batch, layer[filled], channel[filled]))
        for place, row in enumerate(rows):
            made[int(row)] = bounding_box(heat[place]).crop(batch[place])
    result: list[list[Patch]] = [[] for _ in features]
    for row, (feature, image) in enumerate(pairs):
        activation = float(best.values[feature, len(result[feature])])
        result[feature].append(Patch(image, activation, made[row]))
    return result


def channel_maxima(
    detector: NeuralDetector, images: Any, features: Sequence[Feature]
) -> Float[np.ndarray, "n k"]:
    """The largest activation of each feature on each image, before batch norm."""
    images = images_of(as_source(images))
    result = np.zeros((len(images), len(features)))
    for rows, batch in size_batches(images, most=16):
        maxima = _maxima(detector.network)(detector.variables, batch)
        host = {name: np.asarray(values) for name, values in maxima.items()}
        for place, feature in enumerate(features):
            result[rows, place] = host[feature.layer][: len(rows), feature.channel]
    return result


def common_scale(maps: Sequence[Float[np.ndarray, "_h _w"]]) -> float:
    """The relevance that is drawn in full colour: the 99th percentile of its size over all maps.

    1 where there is no relevance at all.
    """
    sizes = np.concatenate([np.abs(found).ravel() for found in maps])
    return float(np.percentile(sizes, 99)) or float(sizes.max()) or 1.0


def faded(image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """The image in gray at half contrast, on which colours stand out and which they leave seen."""
    gray = image @ _COLOURS if image.shape[-1] == 3 else image[..., 0]
    return np.repeat((64 + 0.5 * gray + 0.5).astype(np.uint8)[..., None], 3, -1)


def evidence(relevance: Float[np.ndarray, "h w"], scale: float) -> UInt8[np.ndarray, "h w 4"]:
    """Relevance as a layer of colours, whose alpha grows with its size up to `scale`."""
    colour = np.where((relevance > 0)[..., None], np.array(GENERATED), np.array(REAL))
    alpha = 255 * np.clip(np.abs(relevance) / scale, 0, 1) + 0.5
    return np.concatenate([colour, alpha[..., None]], -1).astype(np.uint8)


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    layer: UInt8[np.ndarray, "h w 4"],
    *,
    opacity: float = OPACITY,
) -> UInt8[np.ndarray, "h w 3"]:
    """The image below the layer, of which no place is more opaque than `opacity`."""
    alpha = opacity * layer[..., 3:] / 255
    return ((1 - alpha) * image + alpha * layer[..., :3] + 0.5).astype(np.uint8)


def signed_picture(values: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Signed values as a picture: mid-gray for the mean, a tenth of the range a deviation."""
    spread = values.std()
    level = 0.5 + 0.1 * (values - values.mean()) / (spread if spread > 0 else 1)
    return np.clip(255 * level + 0.5, 0, 255).astype(np.uint8)


def panel(
    image: UInt8[np.ndarray, "h w c"], explanation: Explanation, scale: float
) -> tuple[UInt8[np.ndarray, "h W 3"], UInt8[np.ndarray, "h W 4"]]:
    """The image, the faded image, the colours of the scale and Guided Grad-CAM, side by side.

    The second of the two is the layer of the evidence, to be laid over it: on the faded image. The
    strip of the scale runs from "real" at the bottom to "generated" at the top.
    """
    height, width = image.shape[:2]
    steps = np.linspace(scale, -scale, height)[:, None]
    strip = np.repeat(evidence(steps, scale), max(3, width // 24), 1)
    gap = np.full((height, max(2, width // 64), 3), 255, np.uint8)
    middle = np.full((*strip.shape[:2], 3), 128, np.uint8)
    parts = [
        np.repeat(image, 3 // image.shape[-1], -1),
        gap,
        faded(image),
        gap,
        overlay(middle, strip, opacity=1.0),
        gap,
        signed_picture(explanation.guided),
    ]
    base = np.concatenate(parts, 1)
    layer = np.zeros((*base.shape[:2], 4), np.uint8)
    start = width + gap.shape[1]
    layer[:, start : start + width] = evidence(explanation.relevance, scale)
    return base, layer


def collage(rows: Sequence[Sequence[Patch]], *, side: int = 64) -> UInt8[np.ndarray, "H W 3"]:
    """Patches enlarged (or reduced) into squares: a row for each channel."""
    from gan_forensics.data import image_grid
    from gan_forensics.data.images import resize

    columns = max(len(row) for row in rows)
    blank = np.full((side, side, 3), 255, np.uint8)
    squares = [
        resize(row[i].pixels, side) if i < len(row) else blank
        for row in rows
        for i in range(columns)
    ]
    return image_grid(np.stack(squares), columns)


@functools.lru_cache(maxsize=16)
def _explain(
    network: nn.Module,
    read: Callable,
    range: tuple[float, float],
    composite: Composite,
    stage: str,
    compare: bool,
) -> Callable:
    def run(variables, images):
        x, rules = read(images), {"range": range, "composite": composite}
        found = relevance(network, variables, x, **rules, start=lambda logits: logits)
        cam = guided_grad_cam(network, variables, x, layer=stage)
        pixels = found.image.shape[1] * found.image.shape[2]
        others = {}
        if compare:
            slope = jax.grad(lambda x: network.apply(variables, x, train=False).sum())(x)  # pyright: ignore
            others = {**gradient_maps(slope, x), "Grad-CAM": cam_map(cam.weighted, x)}
        # A convolution to one channel is a logit, which would hold all of it.
        layers = {name: r for name, r in found.layers.items() if r.shape[-1] > 1}
        two = channel_shares(layers), channel_shares({name: -r for name, r in layers.items()})
        shares = {name: jnp.stack([shares[name] for shares in two]) for name in layers}
        return found.logits[:, 0], pixels * found.image.sum(-1), cam.product, others, shares

    return jit(run)


@functools.lru_cache(maxsize=16)
def _units(network: nn.Module, arch: str, names: tuple[str, ...]) -> Callable:
    """Heat maps of the most active units: one program for channels of all layers of `names`."""
    composite = composite_of(arch)

    def run(variables, images, which, channel):
        x, meant = preprocess(images), {"layer": names, "which": which, "channel": channel}
        rules = {"range": IMAGENET, "composite": composite}
        return heat_map(unit_relevance(network, variables, x, **rules, **meant).image)

    return jit(run)


@functools.cache
def _maxima(network: nn.Module) -> Callable[..., dict[str, jax.Array]]:
    return jit(lambda variables, images: max_activations(network, variables, preprocess(images)))


def _smoothed(relevance: np.ndarray) -> np.ndarray:
    from scipy.ndimage import uniform_filter

    return uniform_filter(relevance, size=SMOOTHED, mode="reflect")
