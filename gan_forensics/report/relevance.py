"""Pictures of relevance: images beside the evidence in them."""

import math

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize

from gan_forensics.forensics.explanations import (
    GENERATED,
    OPACITY,
    REAL,
    common_scale,
    evidence,
    faded,
    overlay,
)
from gan_forensics.report.figures import MOST_PANELS, Figure, said_of
from gan_forensics.report.plots import FAINT, INK

# From evidence against to evidence for, gray in the middle.
EVIDENCE_COLOURS = LinearSegmentedColormap.from_list(
    "evidence", [tuple(c / 255 for c in colour) for colour in (REAL, (128, 128, 128), GENERATED)]
)
_COLUMNS = 2  # pairs of pictures beside one another


def relevance_figure(
    images: UInt8[np.ndarray, "b h w c"], maps: Float[np.ndarray, "b h w"]
) -> Figure:
    """Each image, and beside it the evidence over the image in gray, all on one scale.

    Of more than `MOST_PANELS` pictures the first ones are drawn, which the figure says.

    Args:
        images: as they are to be seen, of one channel or three.
        maps: evidence, positive where it speaks for what is explained: orange; blue where it speaks
            against it.

    Raises:
        ValueError: for other images than those of the maps.
    """
    if images.shape[:3] != maps.shape:
        raise ValueError(
            f"images are {list(images.shape[:3])} (number, height, width), their relevance "
            f"{list(maps.shape)}: give those that were explained, in their order and size"
        )
    asked, images, maps = images, images[: MOST_PANELS // 2], maps[: MOST_PANELS // 2]
    scale = common_scale(list(maps))
    pairs = min(_COLUMNS, len(images))
    rows = math.ceil(len(images) / pairs)
    height = 3.6 / pairs * min(images.shape[1] / images.shape[2], 2)
    figure = Figure(figsize=(7.6, 0.9 + (height + 0.1) * rows), dpi=150, layout="constrained")
    panels = figure.subplots(rows, 2 * pairs, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for place, (image, found) in enumerate(zip(images, maps, strict=True)):
        left, right = panels.flat[2 * place], panels.flat[2 * place + 1]
        left.imshow(np.repeat(image, 3 // image.shape[-1], -1))
        right.imshow(overlay(faded(image), evidence(found, scale), opacity=OPACITY))
        left.set_title(str(place), loc="left", fontsize=7, color=FAINT, pad=2)
    colours = ScalarMappable(Normalize(-scale, scale), EVIDENCE_COLOURS)
    bar = figure.colorbar(colours, ax=panels, location="bottom", shrink=0.6, aspect=40, pad=0.01)
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.set_label(
        said_of("relevance of a pixel: against (blue), for (orange)", images, asked, "images"),
        fontsize=7,
        color=INK,
    )
    return figure
