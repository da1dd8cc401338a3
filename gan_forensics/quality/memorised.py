"""Does a generator repeat its training images? Which of two real sets are its images nearer to?

If training and held-out examples come from one law and the generator knows only the law, a sample
is as likely to be nearest to the one set as to the other, where both are equally large: 1/2. Copies
of training examples lie nearer to these: up to 1. (The two-sample idea of Meehan et al., "A
non-parametric test to detect data-copying in generative models", AISTATS 2020, without its cells.)

Both sets are taken without repeats: of equally many rows, those with fewer repeats lie nearer.

The features must not know the sets apart: a classifier that was trained on the training images may.
What the measure says of real images that belong to neither set is therefore to be read beside it.
"""

import numpy as np
from jaxtyping import Float

from gan_forensics.data.copies import copies, copies_said
from gan_forensics.quality.score import UNNAMED, Score, check_pair

# Samples whose distances exist at one time.
CHUNK = 1024


def memorisation(
    samples: Float[np.ndarray, "n d"],
    train: Float[np.ndarray, "m d"],
    held_out: Float[np.ndarray, "k d"],
    *,
    seed: int = 0,
    features: str = UNNAMED,
) -> Score:
    """Share of samples nearer to a training than to a held-out example; equally near ones are half.

    Of the larger set as many are drawn, without replacement, as the smaller one has of different
    ones. The distances are Euclidean, in float64. In the protocol stand the standard error over
    samples (what other sets would have given is not in it) and how many rows repeat others; of the
    two sets these are left out, which a warning says, while repeated samples count as often.

    Args:
        samples: features of generated examples.
        train: features of what the generator was trained on.
        held_out: features of examples of the same law that it has not seen.
        seed: of the draw.
        features: what the features are.

    Raises:
        ValueError: for features as in `fid`.

    Example:
        >>> apart, near = np.array([[0.0], [4.0]]), np.array([[0.1], [1.0]])
        >>> memorisation(near, apart, apart + 2).value
        0.75
    """
    from scipy.spatial.distance import cdist

    samples, train = check_pair(samples, train)
    _, held_out = check_pair(samples, held_out)
    given = {"fake": samples, "train": train, "held out": held_out}
    found = {name: copies(rows) for name, rows in given.items()}
    train, held_out = train[found["train"].first], held_out[found["held out"].first]
    size, rng = min(len(train), len(held_out)), np.random.default_rng(seed)
    sets = [s if len(s) == size else rng.permutation(s)[:size] for s in (train, held_out)]
    nearest = np.concatenate(
        [
            [cdist(samples[first : first + CHUNK], each).min(1) for each in sets]
            for first in range(0, len(samples), CHUNK)
        ],
        axis=1,
    )
    copied = np.where(nearest[0] == nearest[1], 0.5, nearest[0] < nearest[1])
    return Score(
        name="nearer to training than to held-out examples",
        value=float(copied.mean()),
        spread=None,
        counts={"fake": len(samples), "train": size, "held out": size},
        features=features,
        seed=seed,
        protocol={
            "standard error over samples": float(copied.std() / len(samples) ** 0.5),
            "repeated": {name: each.repeated for name, each in found.items()},
        },
        warning="; ".join(
            copies_said(each, f"{name} examples") for name, each in found.items() if each.repeated
        ),
    )
