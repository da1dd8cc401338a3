"""The relevance of a detector's channels over image files: sums of batches, in the rows of shards.

The sum of a batch stands in the row of its first image, since a channel's share of relevance takes
a number for each of thousands of channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from gan_forensics.data.decoding import Header
from gan_forensics.data.flat import FLAT, flat
from gan_forensics.explain import FeatureRelevance, feature_relevance, find_layers
from gan_forensics.explain.layers import feature_layers
from gan_forensics.explain.networks import as_function
from gan_forensics.forensics.canvases import LENGTHS
from gan_forensics.forensics.neural import NeuralDetector, preprocess, stacked
from gan_forensics.studies.transferable import (
    RELEVANCE_PIXELS,
    Ranking,
    ranking_of,
    relevance_settings,
)

# Of an image that only tells which channels there are.
_SIDE = 64


@dataclass(frozen=True)
class RelevanceScorer:
    """What sums the relevance of channels, as `score_stream.score_shard` takes it.

    Attributes:
        detector: whose channels.
        confidence: images with a lower probability of "generated" are not counted.
    """

    detector: NeuralDetector
    confidence: float = 0.9

    @property
    def identity(self) -> dict[str, Any]:
        """What results rest on."""
        return {
            "detector": self.detector.name,
            "detector_sha256": self.detector.sha256 or "",
            "confidence": self.confidence,
        }

    @property
    def columns(self) -> dict[str, str]:
        """How many images of a batch are counted, and the sums over them, by layer and channel."""
        return {"counted": "int32", "shares": "list<double>", "silent": "list<double>"}

    @cached_property
    def zero(self) -> FeatureRelevance:
        """The sum of no images."""
        size = self.detector.preprocessing.size or self.detector.preprocessing.crop or _SIDE
        size = getattr(self.detector.network, "side", None) or size
        blank = preprocess(np.zeros((1, size, size, 3), np.uint8))
        function, variables = as_function(self.detector.network, self.detector.variables)
        layers = feature_layers(find_layers(function, variables, jnp.asarray(blank)))
        return FeatureRelevance.zero({name: layer.channels for name, layer in layers.items()})

    def check(self, header: Header) -> None:
        """Refuse an image of a size that the detector does not take (ValueError)."""
        self.detector.check_shape((header.height, header.width, 3))

    def prepared(self, pixels: Any) -> Any:
        """The image as the detector looks at it; ValueError refuses flat ones."""
        made = self.detector.preprocessing(pixels)
        if flat([made])[0]:
            raise ValueError(FLAT)
        return made

    def judge(self, given: list[tuple[Any, Header]]) -> Sequence[FeatureRelevance]:
        """The sum of each batch at its first image, of none at the others."""
        found = [self.zero] * len(given)
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for place, (image, _) in enumerate(given):
            by_shape.setdefault(image.shape[:2], []).append(place)
        images = [image for image, _ in given]
        for (height, width), places in by_shape.items():
            most = max(1, RELEVANCE_PIXELS // (height * width))
            while places:
                # Batches of few lengths, each of which is a program.
                length = max(n for n in LENGTHS if n == 1 or n <= min(most, len(places)))
                batch, places = places[:length], places[length:]
                found[batch[0]] = feature_relevance(
                    self.detector.network,
                    self.detector.variables,
                    [np.asarray(preprocess(stacked(images, batch)))],
                    **relevance_settings(self.detector, self.confidence),
                )
        return found

    def cells(self, found: FeatureRelevance, header: Header) -> dict[str, Any]:
        """The sums of the batch that an image is the first of."""
        if found is self.zero:
            return {}
        shares = [np.asarray(found.shares[name], np.float64) for name in sorted(found.shares)]
        silent = [float(found.silent[name]) for name in sorted(found.silent)]
        return {
            "counted": int(found.count),
            "shares": np.concatenate(shares).tolist(),
            "silent": silent,
        }


@dataclass
class Relevance:
    """The ranking of channels by the rows of all shards.

    Attributes:
        scorer: that made them.
        images: how many were looked at.
        errors: how many files could not be.
    """

    scorer: RelevanceScorer
    images: int = 0
    errors: int = 0
    _sum: FeatureRelevance | None = field(default=None, repr=False)

    def take(self, row: Mapping[str, Any]) -> None:
        """Add the row of an image."""
        self.errors += row["error_kind"] is not None
        self.images += row["error_kind"] is None
        if row["shares"] is None:
            return
        zero = self.scorer.zero
        ends = np.cumsum([len(zero.shares[name]) for name in sorted(zero.shares)])
        if len(row["shares"]) != ends[-1] or len(row["silent"]) != len(ends):
            raise ValueError(f"{row['input']}: its sums are not of the channels of this detector")
        shares = np.split(np.array(row["shares"]), ends[:-1])
        found = FeatureRelevance(
            count=np.float64(row["counted"]),
            shares=dict(zip(sorted(zero.shares), shares, strict=True)),
            silent=dict(zip(sorted(zero.shares), row["silent"], strict=True)),
        )
        self._sum = found if self._sum is None else self._sum.merge(found)

    def ranking(self, k: int | None) -> Ranking:
        """All channels by their omega, as of `rank_features`.

        Raises:
            ValueError: when no image is counted.
        """
        zero = self.scorer.zero
        total = zero if self._sum is None else self._sum
        # Layers in the order of the network, which decides between equal ones.
        shares, silent = ({n: of[n] for n in zero.shares} for of in (total.shares, total.silent))
        state = FeatureRelevance(total.count, shares, silent)
        return ranking_of(self.scorer.detector, state, self.images, k)
