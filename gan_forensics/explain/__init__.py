"""Explaining networks: relevance, forensic features, and what they respond to."""

from gan_forensics.explain import composites, rules
from gan_forensics.explain.canonize import fold_batch_norm
from gan_forensics.explain.channels import (
    TopImages,
    masked_logits,
    max_activations,
    top_images,
)
from gan_forensics.explain.composites import Composite
from gan_forensics.explain.faithful import faithfulness
from gan_forensics.explain.faithful_results import Area, Faithfulness, MeanInterval
from gan_forensics.explain.forensic_features import (
    FeatureRelevance,
    channel_shares,
    feature_relevance,
)
from gan_forensics.explain.grad_cam import GradCam, guided_grad_cam
from gan_forensics.explain.heat_maps import Box, bounding_box, heat_map
from gan_forensics.explain.layers import Layer, feature_layers
from gan_forensics.explain.networks import find_layers
from gan_forensics.explain.probes import (
    ColourConditional,
    GrayDrop,
    MedianTest,
    colour_conditional,
    gray_drop,
    median_test,
)
from gan_forensics.explain.propagation import Relevance, UnitRelevance, relevance, unit_relevance
from gan_forensics.explain.ranking import (
    Feature,
    MaskSets,
    channel_masks,
    mask_sets,
    parse_name,
    rank,
)

__all__ = [
    "Area",
    "bounding_box",
    "Box",
    "channel_masks",
    "channel_shares",
    "colour_conditional",
    "ColourConditional",
    "Composite",
    "composites",
    "Faithfulness",
    "faithfulness",
    "Feature",
    "feature_layers",
    "feature_relevance",
    "FeatureRelevance",
    "find_layers",
    "fold_batch_norm",
    "GradCam",
    "gray_drop",
    "GrayDrop",
    "guided_grad_cam",
    "heat_map",
    "Layer",
    "mask_sets",
    "masked_logits",
    "MaskSets",
    "max_activations",
    "MeanInterval",
    "median_test",
    "MedianTest",
    "parse_name",
    "rank",
    "Relevance",
    "relevance",
    "rules",
    "top_images",
    "TopImages",
    "unit_relevance",
    "UnitRelevance",
]
