"""How faithful the maps of `explanations` are to a detector, on the very images explained.

The evidence as it is drawn, against gradients, Grad-CAM and random orders
(`gan_forensics.explain.faithful`): places of the picture are removed, and the whole detector scores
what is left. What is explained is the verdict: the logit of an image that is called generated, and
minus the logit of one that is called real.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_forensics.explain.faithful import METHODS, map_faithfulness
from gan_forensics.explain.faithful_results import Faithfulness, joined
from gan_forensics.forensics.canvases import room
from gan_forensics.forensics.explanations import MEASURED_PIXELS, Explanation
from gan_forensics.forensics.neural import NeuralDetector, by_size, logits_of, stacked

EVIDENCE = "evidence"
# So that a page does not wait for it: images, and pixels that are scored, a minute or less of a
# small network on two cores.
MOST_MEASURED, SCORED_PIXELS = 16, 2**25
STEPS, ORDERS = 6, 2


def measured_faithfulness(
    detector: NeuralDetector, images: Sequence[Any], explanations: Sequence[Explanation]
) -> Faithfulness:
    """Deletion and insertion curves of the first images that there is time for.

    Args:
        detector: that was explained.
        images: uint8 [h, w, c] of any sizes, as `explain` was given them.
        explanations: of them.

    Raises:
        ValueError: where fewer than two images can be measured.

    Example:
        >>> found = explain(detector, images)  # doctest: +SKIP
        >>> measured_faithfulness(detector, images, found).gain("evidence")  # doctest: +SKIP
    """
    some = _measurable(explanations)
    if len(some) < 2:
        raise ValueError(
            f"{len(some)} of {len(images)} images can be measured, and an interval needs two: they "
            f"must have at most {MEASURED_PIXELS:,} pixels, and evidence that differs from place "
            "to place"
        )
    score = logits_of(detector.network)
    parts = []
    for (height, width, _), places in by_size([images[i] for i in some]).items():
        rows = [some[place] for place in places]
        signs = np.where([explanations[i].score > detector.threshold for i in rows], 1.0, -1.0)
        every = [_maps(explanations[i]) for i in rows]
        maps = {name: np.stack([found[name] for found in every]) for name in every[0]}
        for name in maps.keys() - {"gradient"}:  # a norm, which has no sign
            maps[name] = maps[name] * signs[:, None, None]
        measured = map_faithfulness(
            lambda batch: score(detector.variables, batch),
            stacked(images, rows),
            maps,
            weights=signs,
            steps=STEPS,
            orders=ORDERS,
            at_once=room(height, width),
        )
        parts.append(measured)
    return joined(parts)


def _measurable(explanations: Sequence[Explanation]) -> list[int]:
    """Which images are measured: the first ones with maps that have an order, within the limits."""
    chosen, left = [], SCORED_PIXELS
    for row, found in enumerate(explanations):
        maps = list(_maps(found).values())
        scored = (len(maps) + ORDERS) * 4 * STEPS * maps[0].size
        ordered = all(np.isfinite(m).all() and np.ptp(m) > 0 for m in maps)
        if found.others and ordered and scored <= left:
            chosen.append(row)
            left -= scored
    return chosen[:MOST_MEASURED]


def _maps(found: Explanation) -> dict[str, np.ndarray]:
    return {EVIDENCE: found.relevance, **{m: found.others[m] for m in METHODS if m in found.others}}
