"""The training data of a tracker: its first frame, rendered under poses and animations nearby.

Tran et al. (2013) render a synthetic database from the first frame of the video, so that no one
need annotate anything; ranges, numbers and the drawing in mirror pairs are this project's
reconstruction.
"""

import math

import numpy as np
from jaxtyping import Float

# Half ranges that views are drawn from, uniformly: degrees, log of the scale, animation units.
PITCH, YAW, ROLL = 15.0, 25.0, 15.0
LOG_SCALE = 0.08
ANIMATION = 0.5


def draw_states(
    state: Float[np.ndarray, " d"], *, views: int, random: np.random.Generator
) -> Float[np.ndarray, "v d"]:
    """States about that of the first frame: itself, then pairs of draws and their mirror images.

    A mirror image has yaw and roll of the other sign, and the same animation: units are symmetric.
    So the views of a mirrored frame are the mirrored views.

    Args:
        state: pitch, yaw, roll in radians, t_x, t_y, scale, then animation parameters.
        views: how many states; odd.
        random: source of the draws.

    Raises:
        ValueError: when `views` is even, or less than 3.
    """
    if views < 3 or views % 2 == 0:
        raise ValueError(f"views is {views}; give an odd number of at least 3: one and pairs")
    units = len(state) - 6
    half = np.array(
        [math.radians(PITCH), math.radians(YAW), math.radians(ROLL), 0.0, 0.0, LOG_SCALE]
        + [ANIMATION] * units
    )
    drawn = half * random.uniform(-1, 1, (views // 2, len(state)))
    mirror = np.ones(len(state))
    mirror[1:3] = -1
    offsets = np.concatenate([np.zeros((1, len(state))), drawn, drawn * mirror])
    states = state + offsets
    states[:, 5] = state[5] * np.exp(offsets[:, 5])
    return states
