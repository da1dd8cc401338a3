"""Parting images by purpose: training, a threshold, likelihood ratios, measuring."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

Rows = Int[np.ndarray, " k"]
TRAIN = "train"


def parted(
    real: Sequence[Any] | np.ndarray,
    fake: Sequence[Any] | np.ndarray,
    *,
    shares: Mapping[str, float],
    fake_shares: Mapping[str, float],
    seed: int,
) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """Rows of each part, of real and of generated images; a group never lies in two parts.

    Args:
        real: the group of every real image; groups of one image each part images at random.
        fake: of every generated one. Where a group has images of both, its real ones decide.
        shares: of the groups that have real images, by part, each rounded but at least one (none
            for a share of 0); the others are of the part "train". Which groups a part gets does
            not depend on the parts after it.
        fake_shares: likewise of the groups of generated images alone.
        seed: of the choice.

    Returns:
        For real and for generated images, the rows of every part, ascending, maybe none.
    """
    names = (*dict.fromkeys((*shares, *fake_shares)), TRAIN)
    part_of: dict[object, str] = {}
    rng = np.random.default_rng(seed)
    known = list(dict.fromkeys(real))
    alone = [group for group in dict.fromkeys(fake) if group not in set(known)]
    for groups, wanted in ((known, shares), (alone, fake_shares)):
        order, start = rng.permutation(len(groups)), 0
        for part, share in wanted.items():
            count = max(1, round(share * len(groups))) if share else 0
            part_of |= {groups[i]: part for i in order[start : start + count]}
            start += count
    rows = tuple(
        {name: _rows_of([part_of.get(group, TRAIN) == name for group in groups]) for name in names}
        for groups in (real, fake)
    )
    return rows[0], rows[1]


def own_groups(n_real: int, n_fake: int) -> tuple[range, range]:
    """Groups of one image each."""
    return range(n_real), range(n_real, n_real + n_fake)


def _rows_of(chosen: Sequence[bool]) -> Rows:
    return np.flatnonzero(chosen)
