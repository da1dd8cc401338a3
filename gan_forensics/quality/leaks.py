"""The leak meter: does a generator show the transforms that its training images went through?

Augmented discriminators may teach a generator the augmented images (a leak). A classifier that
tells transforms apart is trained on real images; a generator of which it calls more samples
transformed than of held-out real images leaks. It needs nothing but images.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gan_forensics.quality.transforms import (
    STEPS,
    Apply,
    Images,
    checked,
    transform_classifier,
    transformed,
)


class Leak(NamedTuple):
    """How much of a policy's transforms is seen in samples.

    "Called transformed" is an image x with C_0(x) < 1 / K, for which the identity is less likely
    than before it was seen. Of all rules it tells the images themselves best from those that are
    transformed evenly; that of the likeliest class would call images transformed for which the
    identity and a transform that leaves them as they are tie.

    Attributes:
        name: of the policy.
        rate: share of samples called transformed.
        base: the same of held-out real images.
        leak: rate - base: 0 where nothing leaks.
        low, high: its 95 % interval.
        n_samples, n_held_out: images of either kind.
        accuracy: share of held-out real images, evenly transformed, whose transform is told right;
            1 / (number of transforms) is chance.
        seen: of each transform but the identity, the share of held-out real images called
            transformed after it, less `base`: what a leak of this transform alone would show.
        blind: of each of them, whether that is no more than chance: then the classifier cannot see
            it, and the leak says nothing of it.

    Example:
        >>> leak = Leak("flip", 0.5, 0.1, 0.4, 0.3, 0.5, 80, 80, 0.9, (0.9, 0.8), (False, False))
        >>> leak.leak == leak.rate - leak.base
        True
    """

    name: str
    rate: float
    base: float
    leak: float
    low: float
    high: float
    n_samples: int
    n_held_out: int
    accuracy: float
    seen: tuple[float, ...]
    blind: tuple[bool, ...]

    @property
    def most(self) -> float:
        """The most that a generator shows which makes nothing but transformed images.

        It is the largest of `seen`: in whatever shares the transforms leak, they show no more.
        """
        return max(self.seen)

    @property
    def unlike(self) -> bool:
        """Whether the whole interval lies above `most`, which no leak explains.

        Then samples are unlike the data for another reason, such as noise, and neither this nor
        what other classifiers say of the same samples is evidence of a leak.
        """
        return not all(self.blind) and self.low > self.most


def measure_leak(
    name: str,
    apply: Sequence[Apply],
    samples: Any,
    real_train: Any,
    real_held_out: Any,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> Leak:
    """Train a classifier of transforms on real images and ask it about samples.

    Samples unlike the data for other reasons, such as noise, may be called transformed as well:
    mind `Leak.unlike`, and read the leak beside a distance. The classifier is small; what it cannot
    see it calls blind.

    Args:
        name: of the policy.
        apply: its transforms, the identity first: float images [b, h, w, c] in [-1, 1] and a PRNG
            key to images of the same shape.
        samples: of the generator, at least 20, as all; each as `gan_forensics.data.as_images`
            takes them.
        real_train: which the classifier is trained on.
        real_held_out: other real images, which set the base rate.
        steps: of training.
        seed: of the classifier and the draws of random transforms.

    Raises:
        ValueError: for too few images, images of different sizes, and what `transform_classifier`
            refuses.

    Example:
        >>> from gan_forensics.gans.transforms import POLICIES
        >>> apply = [t.apply for t in POLICIES["rotation"].transforms]
        >>> measure_leak("rotation", apply, samples, train, held_out).leak  # doctest: +SKIP
    """
    samples, real_train = (
        checked(samples, "of the generator"), checked(real_train, "to train on")
    )  # fmt: skip
    _check_size(samples, "of the generator", real_train)
    return leak_meter(name, apply, real_train, real_held_out, steps=steps, seed=seed)(samples)


def leak_meter(
    name: str,
    apply: Sequence[Apply],
    real_train: Any,
    real_held_out: Any,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> Callable[[Any], Leak]:
    """`measure_leak` as a function of samples, whose classifier is trained once for many.

    Example:
        >>> from gan_forensics.gans.transforms import POLICIES
        >>> apply = [t.apply for t in POLICIES["rotation"].transforms]
        >>> meter = leak_meter("rotation", apply, real_train, real_held_out)  # doctest: +SKIP
        >>> meter(samples).leak  # doctest: +SKIP
    """
    real_train = checked(real_train, "to train on")
    real_held_out = checked(real_held_out, "held out")
    _check_size(real_held_out, "held out", real_train)
    judge = transform_classifier(real_train, apply, steps=steps, seed=seed)
    # Other draws of the random transforms than in training.
    asked, truth = transformed(real_held_out, apply, seed=seed + 1)
    told = judge(asked)
    m, chance = len(real_held_out), -math.log(len(apply))
    called = (told[:, 0] < chance).reshape(len(apply), m).sum(1).tolist()
    ends = [difference_interval(count, m, called[0], m) for count in called[1:]]
    accuracy = float((told.argmax(1) == truth).mean())

    def measured(samples: Any) -> Leak:
        samples = checked(samples, "of the generator")
        _check_size(samples, "of the generator", real_train)
        n, found = len(samples), int((judge(samples)[:, 0] < chance).sum())
        low, high = difference_interval(found, n, called[0], m)
        return Leak(
            name=name,
            rate=found / n,
            base=called[0] / m,
            leak=found / n - called[0] / m,
            low=low,
            high=high,
            n_samples=n,
            n_held_out=m,
            accuracy=accuracy,
            seen=tuple((count - called[0]) / m for count in called[1:]),
            blind=tuple(lowest <= 0 for lowest, _ in ends),
        )

    return measured


def _check_size(images: Images, what: str, real_train: Images) -> None:
    if images.shape[1:] != real_train.shape[1:]:
        sides = ("x".join(map(str, x.shape[1:])) for x in (images, real_train))
        raise ValueError(
            f"images {what} are {' and real ones '.join(sides)} (height x width x channels): "
            "bring them to one size (size=N, --size N)"
        )


def difference_interval(
    events: int, n: int, other_events: int, other_n: int, *, level: float = 0.95
) -> tuple[float, float]:
    """The interval of events / n - other_events / other_n, of independent trials.

    Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10), from Wilson's
    intervals of both rates. It keeps its level near 0 and 1, where "two standard errors" have no
    width.

    Raises:
        ValueError: for counts that cannot be.

    Example:
        >>> [round(end, 4) for end in difference_interval(56, 70, 48, 80)]
        [0.0524, 0.3339]
    """
    if not (0 <= events <= n and 0 <= other_events <= other_n and n > 0 and other_n > 0):
        raise ValueError(
            f"rates need 0 <= events <= n and n > 0, got {events} of {n} and {other_events} of "
            f"{other_n}"
        )
    p, q = events / n, other_events / other_n
    (p_low, p_high), (q_low, q_high) = (
        _wilson(rate, count, level) for rate, count in ((p, n), (q, other_n))
    )
    below, above = math.hypot(p - p_low, q_high - q), math.hypot(p_high - p, q - q_low)
    return p - q - below, p - q + above


def _wilson(rate: float, n: int, level: float) -> tuple[float, float]:
    from scipy import stats

    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2
    middle = rate + z2 / (2 * n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n**2)))
    scale = 1 + z2 / n
    return (middle - half) / scale, (middle + half) / scale
