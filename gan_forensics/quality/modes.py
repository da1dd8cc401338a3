"""How many modes a generator covers, counted so that the count does not mislead.

The published count, modes with at least one sample, grows with every mistake of the classifier
that names them. By one that gets 96.4 % of single digits right (`samples:mnist5k`), 25,600 real
stacks of 10, 100 and 600 modes are counted as 171, 594 and 932; as 101, 123 and 601 where a mode
needs half of its share, and as 12, 119 and 632 effective ones. Counts therefore stand beside what
they say of real images of known modes (`calibration`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from gan_forensics.data import as_images
from gan_forensics.data.sources import ArraySource, Source, take
from gan_forensics.data.stacked import DIGITS, MODES, mode_of
from gan_forensics.quality.extraction import FeatureExtractor, extract
from gan_forensics.quality.frechet import fid
from gan_forensics.quality.score import Score
from gan_forensics.quality.small_features import small_classifier_features
from gan_forensics.runtime import Precision

# True modes of the rows of a calibration.
TRUE_MODES = (1, 10, 50, 100, 300, 600, 1000)


class ModeCount(NamedTuple):
    """What a histogram over modes comes to.

    Attributes:
        seen: modes with at least one sample, the published count.
        half_share: modes with at least half of the share that each has in a uniform histogram.
        effective: 1 / sum_m p_m^2 (inverse Simpson index): the number of equally frequent modes
            that two samples agree on as often. With n samples of M uniform modes it is about
            M / (1 + M / n).
        kl: divergence of the histogram from uniform, sum_m p_m log(p_m M), in nats: from 0 (all
            alike) to log M (one alone). With n samples of M uniform modes it is about
            (M - 1) / (2 n) for n well above M, not 0.
        n: how many samples there were.

    Example:
        >>> ModeCount(seen=10, half_share=9, effective=8.3, kl=0.2, n=100).seen
        10
    """

    seen: int
    half_share: int
    effective: float
    kl: float
    n: int


def count_modes(modes: Int[np.ndarray, " n"], n_modes: int = MODES) -> ModeCount:
    """Count the modes of samples, each of which is in one of 0, 1, ... n_modes - 1.

    Raises:
        ValueError: for no samples, other than integers [n], and numbers out of range.

    Example:
        >>> count_modes(np.array([0, 0, 1, 1, 2, 2, 3, 3]), n_modes=4)
        ModeCount(seen=4, half_share=4, effective=4.0, kl=0.0, n=8)
    """
    modes = np.asarray(modes)
    if modes.ndim != 1 or not len(modes) or modes.dtype.kind not in "iu":
        raise ValueError(
            f"modes must be integers [n], one for each of n >= 1 samples, got {modes.dtype} "
            f"{list(modes.shape)}"
        )
    if modes.min() < 0 or modes.max() >= n_modes:
        raise ValueError(
            f"modes range from {modes.min()} to {modes.max()}; of {n_modes} modes they must lie "
            f"between 0 and {n_modes - 1}"
        )
    n = len(modes)
    counts = np.bincount(modes, minlength=n_modes)
    p = counts[counts > 0] / n
    return ModeCount(
        seen=len(p),
        half_share=int((2 * n_modes * counts >= n).sum()),
        effective=float(1 / (p**2).sum()),
        kl=float((p * np.log(p * n_modes)).sum()),
        n=n,
    )


@dataclass(frozen=True)
class Judge:
    """A classifier of single digits, and what it says of stacks of them.

    Attributes:
        digits: features and logits of single digits.
        truth: labels of held-out digits.
        guesses: what it takes them for.

    Example:
        >>> from gan_forensics.quality import as_extractor
        >>> truth = np.repeat(np.arange(10), 3)
        >>> judge = Judge(as_extractor(lambda images: images), truth, guesses=np.zeros(30, int))
        >>> judge.accuracy
        0.1
    """

    digits: FeatureExtractor
    truth: Int[np.ndarray, " m"]
    guesses: Int[np.ndarray, " m"]

    @property
    def accuracy(self) -> float:
        """Share of held-out digits that it gets right."""
        return float((self.truth == self.guesses).mean())

    @property
    def features(self) -> str:
        """What its features of stacks are called in results."""
        return f"{self.digits.name} of three channels ({self.digits.fingerprint[:8]})"

    def __call__(self, images: Any) -> tuple[Float[np.ndarray, "n d"], Int[np.ndarray, " n"]]:
        """Features and mode of every stack.

        Args:
            images: with three channels, as `gan_forensics.data.as_images` takes them.

        Raises:
            ValueError: for images of another number of channels than three.
        """
        images = as_images(images)
        if images.shape[-1] != 3:
            raise ValueError(
                f"stacks have three channels, these images {images.shape[-1]}: their modes cannot "
                "be counted"
            )
        single = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3], 1)
        found = extract(self.digits, single)
        assert found.logits is not None  # a classifier has some
        modes = mode_of(found.logits.argmax(1).reshape(-1, 3))
        return found.features.reshape(len(images), -1), modes


def train_judge(
    train: Source,
    test: Source,
    run: Path | str | None = None,
    *,
    steps: int = 3000,
    seed: int = 0,
    precision: Precision | None = None,
) -> Judge:
    """Train a judge on digits and ask it about held-out ones.

    Args:
        train: gray digits with labels 0 to 9, such as `Stacked(...).inner`.
        test: held-out ones of the same size.
        run: as for `small_classifier_features`.
        steps: of training; 1000 leave 7 % of the held-out digits of `samples:mnist5k` wrong, 3000
            half as many.
        seed: of training.
        precision: of the features.

    Example:
        >>> stacks = open_source("stacked:samples:digits", size=16, split="train")  # doctest: +SKIP
        >>> judge = train_judge(stacks.inner, held_out.inner, "runs/judge")  # doctest: +SKIP
    """
    extractor = small_classifier_features(train, run, steps=steps, seed=seed, precision=precision)
    held_out = take(test, np.arange(len(test)))
    found = extract(extractor, ArraySource(image=held_out["image"]))
    assert found.logits is not None
    return Judge(extractor, held_out["label"], found.logits.argmax(1))


def calibration(
    judge: Judge, n: int, *, true: Sequence[int] = TRUE_MODES, seed: int = 0
) -> dict[int, ModeCount]:
    """What the counts say of held-out real stacks of so many modes, by that number.

    Of each number of modes, which are drawn without replacement, n stacks are made in which they
    have equal probability. A classifier of single digits says of a stack what it says of its
    digits, so that those it was asked about already suffice.

    Args:
        judge: whose counts are to be read.
        n: stacks; as many as will be measured, since every count depends on it.
        true: numbers of modes, 1 to 1000.
        seed: of modes and stacks.

    Example:
        >>> from gan_forensics.quality import as_extractor
        >>> truth = np.repeat(np.arange(10), 5)
        >>> judge = Judge(as_extractor(lambda images: images), truth, guesses=truth)
        >>> {true: count.seen for true, count in calibration(judge, 2000, true=(1, 10)).items()}
        {1: 1, 10: 10}
    """
    rng = np.random.default_rng(seed)
    own = [np.flatnonzero(judge.truth == digit) for digit in range(DIGITS)]
    table = {}
    for count in true:
        modes = rng.choice(rng.choice(MODES, count, replace=False), n)
        guessed = np.empty((n, 3), np.int64)
        for channel, unit in enumerate((100, 10, 1)):
            wanted = modes // unit % DIGITS
            for digit, rows in enumerate(own):
                here = np.flatnonzero(wanted == digit)
                guessed[here, channel] = judge.guesses[rng.choice(rows, len(here))]
        table[count] = count_modes(mode_of(guessed))
    return table


def mode_scores(
    images: UInt8[np.ndarray, "n h w 3"], real_features: Float[np.ndarray, "m d"], judge: Judge
) -> list[Score]:
    """The mode counts of generated stacks, and their Frechet distance from real ones.

    An image that shows no digits is counted as some mode all the same: read the counts together
    with the distance, which is on the judge's features and no FID.

    Args:
        images: generated stacks.
        real_features: of real stacks, by the same judge.
        judge: who counts.
    """
    features, modes = judge(images)
    found = count_modes(modes)
    counts = {"fake": found.n}
    protocol = {"of": MODES, "accuracy on held-out digits": judge.accuracy}
    named = {
        "modes seen": found.seen,
        "modes with half their share": found.half_share,
        "effective modes": found.effective,
        "KL to uniform, nats": found.kl,
    }
    return [
        *(
            Score(name, float(value), None, counts, judge.features, protocol=protocol)
            for name, value in named.items()
        ),
        fid(real_features, features, features=judge.features),
    ]
