"""Which regions decided: the relevance of the attribution logit of one source.

The logit of a source is z_c, times a gate in RepMix. The gate is held constant, so that the map
says why this generator rather than why generated at all; relevance is then that of z_c times the
gate, which is homogeneous. Of "none of these" there is no map: no logit stands for it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from gan_forensics.explain import Composite, composites
from gan_forensics.forensics.attribution import Attributor
from gan_forensics.forensics.attribution_model import Outputs
from gan_forensics.forensics.attribution_networks import NeuralModel, as_floats
from gan_forensics.forensics.explanations import Explanation, explain_network, last_stage
from gan_forensics.nn.attribution import AttributionNetwork, sources_network
from gan_forensics.nn.resnet import ResNet


def has_maps(attributor: Attributor) -> bool:
    """Whether the attributor is a network whose reasons can be drawn: repmix and resnet."""
    model = attributor.model
    return isinstance(model, NeuralModel) and isinstance(model.network, AttributionNetwork)


def source_maps(
    attributor: Attributor,
    images: Sequence[UInt8[np.ndarray, "h w 3"]],
    outputs: Outputs,
    sources: Int[np.ndarray, " n"],
    *,
    composite: Composite | None = None,
) -> list[Explanation]:
    """The evidence for one source in each image; its score is the attribution logit.

    Args:
        attributor: of which `has_maps`.
        images: `prepared`.
        outputs: of them.
        sources: whose logit is explained, for each image.
        composite: which rule where; by default that of detectors, bounded by [-1, 1].

    Raises:
        ValueError: for an attributor without maps.
    """
    if not has_maps(attributor):
        raise ValueError(f"{attributor.method} is no network whose evidence can be drawn")
    model: Any = attributor.model
    network, variables = sources_network(model.network, model.variables)
    found: list[Explanation | None] = [None] * len(images)
    for source in np.unique(sources):
        rows = np.flatnonzero(sources == source)
        alone, its = one_source(network, variables, int(source))
        some = explain_network(
            alone, its, [images[int(row)] for row in rows], read=as_floats, range=(-1.0, 1.0),
            composite=composite or composites.beta_zero(), stage=last_stage(alone),
        )  # fmt: skip
        for row, one in zip(rows, some, strict=True):
            logit = float(outputs.logits[row, source])
            # z_c itself without a gate; at z_c = 0 both are 0.
            gate = logit / one.score if one.score else 0.0
            found[int(row)] = Explanation(logit, gate * one.relevance, gate * one.guided)
    return [one for one in found if one is not None]


def one_source(network: ResNet, variables: Any, source: int) -> tuple[ResNet, dict[str, Any]]:
    """The network with the logit of one source alone."""
    last = {name: array[..., source : source + 1] for name, array in _last(variables).items()}
    params = {**variables["params"], "fc": last}
    return network.clone(classes=1), {**variables, "params": params}


def _last(variables: Any) -> dict[str, np.ndarray]:
    return variables["params"]["fc"]
