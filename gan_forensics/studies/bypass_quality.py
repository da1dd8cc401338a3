"""How good the images of a study's GANs are: Frechet distances on named features.

The published comparison uses the FID, whose network must be downloaded; these distances go by the
names of their features, small networks of our own, and are not FIDs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import open_source
from gan_forensics.quality import (
    FeatureExtractor,
    evaluate_images,
    random_features,
    small_classifier_features,
)
from gan_forensics.studies.bypass_cells import Origin

Images = UInt8[np.ndarray, "n h w c"]


def feature_networks(data: str, size: int, folder: Path) -> list[FeatureExtractor]:
    """The networks whose features images are compared by.

    Args:
        data: a source. Where its train part has labels of two classes or more (for photographs,
            which of them a crop is of), a small classifier is trained on them.
        size: of the images.
        folder: gets the run folder of that training, `quality/`, which is used again.

    Returns:
        A random network, and the classifier where there can be one.
    """
    source = open_source(data, size=size, split="train")
    networks = [random_features(source[0]["image"].shape[-1])]
    if "label" in source[0] and len({int(source[i]["label"]) for i in _spread(len(source))}) > 1:
        networks.append(small_classifier_features(source, folder / "quality"))
    return networks


def distances(real: Images, fake: Images, networks: Sequence[FeatureExtractor]) -> dict[str, float]:
    """Frechet distance of generated images from real ones by the name of the features.

    Args:
        real: at least two.
        fake: at least two; distances of other numbers of images cannot be compared with these.
        networks: as of `feature_networks`.
    """
    return {
        network.name: evaluate_images(real, [fake], network, metrics=("fid",))[0].value
        for network in networks
    }


def _spread(n: int) -> np.ndarray:
    """A few places of n, from the first to the last."""
    return np.linspace(0, n - 1, min(n, 64)).astype(int)


def quality_rows(
    data: str,
    facts: Mapping[Any, Mapping[str, Any]],
    quality: Mapping[Origin, Mapping[str, float]],
) -> list[dict[str, Any]]:
    """A row for each GAN of some data: its distances, the end of its curve and its exponent."""
    return [
        {
            **{name: getattr(origin, name) for name in ("method", "tail", "seed")},
            "distances": dict(quality[origin]),
            "curve_end": facts[origin]["curve_end"]["mean"],
            "exponent": facts[origin]["exponent"]["mean"],
        }
        for origin in quality
        if origin.data == data
    ]


def said_quality(rows: Sequence[Mapping[str, Any]], real: Mapping[str, Any]) -> str:
    """Has zero insertion the better distance and the worse spectrum? Counted over pairs of GANs.

    A pair differs in the insertion of zeros against nearest or bilinear interpolation alone: equal
    method, seed and convolutions behind. A spectrum is worse whose curve ends farther from that of
    real images.
    """
    end = real["curve_end"]["mean"]
    of = {(row["method"], row["tail"], row["seed"]): row for row in rows}
    pairs = [
        (row, of[method, kind + tail[1:], seed])
        for (method, tail, seed), row in of.items()
        if tail.startswith("Z.")
        for kind in "NB"
        if (method, kind + tail[1:], seed) in of
    ]
    if not pairs:
        return "Whether zero insertion has the better distance was not asked."
    worse = sum(abs(z["curve_end"] - end) > abs(o["curve_end"] - end) for z, o in pairs)
    said = []
    for name in pairs[0][0]["distances"]:
        better = sum(z["distances"][name] < o["distances"][name] for z, o in pairs)
        both = sum(
            z["distances"][name] < o["distances"][name]
            and abs(z["curve_end"] - end) > abs(o["curve_end"] - end)
            for z, o in pairs
        )
        said.append(
            f"the smaller Frechet distance on {name} in {better} ({both} of these with the "
            "worse spectrum)"
        )
    return (
        f"Of {len(pairs)} pairs of GANs that differ in zero insertion against nearest or bilinear "
        f"interpolation alone, zero insertion has the worse spectrum in {worse}, "
        f"{' and '.join(said)}."
    )
