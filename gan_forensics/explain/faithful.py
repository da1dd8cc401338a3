"""Whether maps of evidence show what a network goes by: measured, beside other maps and chance.

    measured = faithfulness(network, variables, images, range=(-1, 1))
    measured.gain("relevance")   # MeanInterval(value=..., low=..., high=...)
    measured.figure()

Curves are those of `gan_forensics.explain.removal`, of the raw logit that is explained, never of a
probability, which saturates. A network with one logit is explained in the sign that its logit has:
what speaks for "generated" where it is positive, and what speaks for "real" where it is negative.

A removed place is itself something that the network never saw, and each baseline errs in its own
way: a detector of generated images may take a blur for a trace. Hence two baselines, and random
orders, which suffer from the same and which a map must beat to be worth looking at.
"""

import builtins
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from gan_forensics.explain.composites import Composite, beta_zero
from gan_forensics.explain.faithful_results import RANDOM, Faithfulness
from gan_forensics.explain.grad_cam import guided_grad_cam
from gan_forensics.explain.layers import feature_layers
from gan_forensics.explain.networks import as_function, as_images, find_layers
from gan_forensics.explain.pixels import pixel_bounds
from gan_forensics.explain.propagation import relevance
from gan_forensics.explain.removal import (
    BASELINES,
    Baseline,
    baseline_images,
    random_ranks,
    removal_curves,
    removal_ranks,
)
from gan_forensics.runtime import jit

METHODS = ("relevance", "gradient", "gradient x input", "Grad-CAM")
PATCH, STEPS, ORDERS = 4, 10, 3
# Images, and pixels, that are scored together; and images that are explained together.
_AT_ONCE, _PIXELS, _EXPLAINED = 64, 2**20, 8


def faithfulness(
    function: Any,
    parameters: Any,
    x: Float[Array, "b h w c"],
    *,
    range: tuple[Any, Any],
    target: int | Sequence[int] | None = None,
    composite: Composite | None = None,
    layer: str | None = None,
    maps: Mapping[str, Float[np.ndarray, "b h w"]] | None = None,
    patch: int = PATCH,
    steps: int = STEPS,
    orders: int = ORDERS,
    baselines: Sequence[Baseline] = BASELINES,
    seed: int = 0,
) -> Faithfulness:
    """Whether relevance shows what the network goes by on these images, beside other maps.

    Relevance, the gradient's norm over colours, gradient x input and Grad-CAM before its ReLU, so
    that what speaks against has an order too, against random orders.

    Args:
        function, parameters, range, composite: as for `relevance`.
        x: images as the network reads them, at least two.
        target: the logit that is explained, for all images or each of them. By default the largest
            of several; the only one in the sign that it has for each image. With 0 the only one is
            explained as it is: evidence for "generated" in all images.
        layer: whose maps Grad-CAM looks at, as for `guided_grad_cam`; by default the last
            convolution with several channels and places. Of a network without one there is no
            Grad-CAM.
        maps: of the user's own, by name: evidence of each pixel for what is explained.
        patch: side in pixels of the squares that are removed.
        steps: of each curve.
        orders: random orders of each image.
        baselines: what stands where a place was removed: "blur", "mean".
        seed: of the random orders.

    Raises:
        ValueError: for a single image, pixels outside of the range, maps that are the same
            everywhere or no numbers, a target that there is not, and as `relevance` does.

    Example:
        >>> measured = faithfulness(net, variables, x, range=(-1, 1))  # doctest: +SKIP
        >>> measured.gain("relevance")  # doctest: +SKIP
        MeanInterval(value=0.41, low=0.22, high=0.6)
        >>> measured.figure()  # doctest: +SKIP
    """
    images, composite = np.asarray(as_images(x)), composite or beta_zero()
    if images.ndim != 4 or len(images) < 2:
        raise ValueError(
            f"images are {list(images.shape)}: give at least two, [b, h, w, c], since intervals "
            "are over images"
        )
    count, height, width, _ = images.shape
    pixel_bounds(jnp.asarray(images), range, composite)
    if layer is None:
        found = feature_layers(find_layers(function, parameters, images[:1]))
        layer = next((n for n in reversed(found) if np.prod(found[n].shape[1:-1]) > 1), None)
    function, parameters = as_function(function, parameters)
    at_once = max(1, min(_AT_ONCE, _PIXELS // (height * width)))
    score = _logits(function)

    def logits(batch):
        return np.asarray(score(parameters, batch), np.float64)

    chosen, weights = _explained(_in_batches(logits, at_once, images), target)
    bounds = tuple(tuple(np.ravel(bound).tolist()) for bound in range)
    draw = _maps(function, layer, composite, bounds)
    drawn = _in_batches(
        lambda *some: draw(parameters, *some),
        min(_EXPLAINED, at_once, count),
        *(images, weights, chosen),
    )
    return map_faithfulness(
        logits,
        images,
        {**{name: drawn[name] for name in METHODS if name in drawn}, **(maps or {})},
        weights=weights,
        patch=patch,
        steps=steps,
        orders=orders,
        baselines=baselines,
        seed=seed,
        at_once=at_once,
    )


def _explained(logits: Float[np.ndarray, "b classes"], target) -> tuple[np.ndarray, np.ndarray]:
    """Which logit of each image is explained, and the weights that pick it."""
    images, classes = logits.shape
    if target is None:
        chosen = logits.argmax(1)
        signs = np.where(logits[:, 0] < 0, -1.0, 1.0) if classes == 1 else np.ones(images)
    else:
        chosen, signs = np.asarray(target), np.ones(images)
        if chosen.shape not in ((), (images,)) or not np.isin(chosen, np.arange(classes)).all():
            raise ValueError(
                f"target {target!r}: give one number from 0 to {classes - 1}, or one for each of "
                f"the {images} images"
            )
        chosen = np.broadcast_to(chosen, images)
    return chosen, np.eye(classes)[chosen] * signs[:, None]


def _in_batches(run: Callable[..., Any], size: int, *arrays: np.ndarray) -> Any:
    """What a function of batches gives, in batches of one size; copies fill the last one up."""
    made = []
    for first in builtins.range(0, len(arrays[0]), size):
        rows = np.arange(first, first + size)
        kept = int((rows < len(arrays[0])).sum())
        found = run(*(a[np.minimum(rows, len(a) - 1)] for a in arrays))
        made.append(jax.tree.map(lambda leaf, kept=kept: np.asarray(leaf)[:kept], found))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *made)


@functools.lru_cache(maxsize=16)
def _logits(function: Callable) -> Callable:
    return jit(lambda parameters, x: function(parameters, x).reshape(len(x), -1))


@functools.lru_cache(maxsize=16)
def _maps(
    function: Callable, layer: str | None, composite: Composite, bounds: tuple[Any, Any]
) -> Callable:
    """The maps of a network, compiled once for equal ones."""

    def run(parameters, x, weights, target):
        def explained(logits):
            return (logits.reshape(weights.shape) * weights).reshape(logits.shape)

        ask = {"range": bounds, "composite": composite, "start": explained}
        found = relevance(function, parameters, x, **ask)
        slope = jax.grad(lambda x: explained(function(parameters, x)).sum())(x)
        maps = {"relevance": found.image.sum(-1), **gradient_maps(slope, x)}
        if layer is not None:
            cam = guided_grad_cam(function, parameters, x, layer=layer, class_index=target)
            maps["Grad-CAM"] = cam_map(cam.weighted * weights.sum(1)[:, None, None], x)
        return maps

    return jit(run)


def map_faithfulness(
    logits: Callable[[Any], Any],
    x: Real[np.ndarray, "b h w c"],
    maps: Mapping[str, Float[np.ndarray, "b h w"]],
    *,
    weights: Float[np.ndarray, "b *classes"],
    patch: int = PATCH,
    steps: int = STEPS,
    orders: int = ORDERS,
    baselines: Sequence[Baseline] = BASELINES,
    seed: int = 0,
    at_once: int = _AT_ONCE,
) -> Faithfulness:
    """The curves of maps that are given, of any function of images.

    Args:
        logits: from images of the shape of `at_once` of x to their logits.
        x: images as it reads them.
        maps: by method, evidence of each pixel for `weights`.
        weights: of the logits of each image: the curves are those of their weighted sum, the sign
            of the logit where there is but one.
        patch: side in pixels of the squares that are removed.
        steps: of each curve.
        orders: random orders of each image.
        baselines: of "blur" and "mean".
        seed: of the random orders.
        at_once: images that are scored together; the last ones are filled up.

    Raises:
        ValueError: for maps without an order, shapes that do not fit, and logits that are no finite
            numbers.

    Example:
        >>> x = np.random.default_rng(0).uniform(size=(2, 4, 4, 1))
        >>> ask = {"weights": np.ones(2), "patch": 1, "steps": 4}
        >>> map_faithfulness(lambda x: x.mean((1, 2, 3)), x, {"itself": x[..., 0]}, **ask).images
        2
    """
    x = np.asarray(x)
    weights = np.asarray(weights, np.float64).reshape(len(x), -1)
    ranks = [_ranked(method, np.asarray(found), x, patch, seed) for method, found in maps.items()]
    patches = ranks[0].shape[1]
    ranks += [random_ranks(len(x), patches, seed=seed + 1 + order) for order in range(orders)]

    def score(images, rows):
        found = np.asarray(logits(images), np.float64).reshape(len(rows), -1)
        if not np.isfinite(found).all():
            raise ValueError(
                f"the logits of image {rows[~np.isfinite(found).all(1)][0]} are no finite numbers "
                "where places of it are removed: leave it out"
            )
        return (found * weights[rows]).sum(1)

    filled = np.stack([baseline_images(x, baseline) for baseline in baselines])
    curves = removal_curves(
        score, x, filled, np.stack(ranks), patch=patch, steps=steps, at_once=at_once
    )
    chance = curves[:, len(maps) :].mean(1, keepdims=True)
    deletion, insertion = np.concatenate([curves[:, : len(maps)], chance], 1)
    return Faithfulness((*maps, RANDOM), tuple(baselines), deletion, insertion, patch, orders)


def gradient_maps(
    slope: Float[Array, "b h w c"], x: Float[Array, "b h w c"]
) -> dict[str, Float[Array, "b h w"]]:
    """The maps that relevance is compared with, of the gradient of what is explained.

    Its norm over colours (Simonyan et al., arXiv 1312.6034; the norm as in Samek et al. 2017), and
    its product with the image, summed over colours (Shrikumar et al., arXiv 1605.01713).

    Example:
        >>> x = jnp.full((1, 4, 4, 3), 2.0)
        >>> {name: float(found[0, 0, 0]) for name, found in gradient_maps(-x, x).items()}
        {'gradient': 3.46..., 'gradient x input': -12.0}
    """
    return {"gradient": jnp.sqrt((slope**2).sum(-1)), "gradient x input": (slope * x).sum(-1)}


def cam_map(weighted: Float[Array, "b h2 w2"], x: Float[Array, "b h w c"]) -> Float[Array, "b h w"]:
    """Grad-CAM before its ReLU (`GradCam.weighted`), resized to the images.

    Without the ReLU places that speak against what is explained have an order too.

    Example:
        >>> cam_map(jnp.ones((1, 2, 2)), jnp.ones((1, 4, 4, 3))).shape
        (1, 4, 4)
    """
    return jax.image.resize(weighted, x.shape[:3], "linear", antialias=False)


def _ranked(method: str, evidence: np.ndarray, x: np.ndarray, patch: int, seed: int) -> np.ndarray:
    if evidence.shape != x.shape[:3]:
        raise ValueError(
            f"the maps of {method!r} have shape {list(evidence.shape)}: give one number for each "
            f"pixel of the images, {list(x.shape[:3])}"
        )
    try:
        return removal_ranks(evidence, patch=patch, seed=seed)
    except ValueError as error:
        raise ValueError(f"{method}: {error}") from None
