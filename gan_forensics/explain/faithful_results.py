"""What measuring the faithfulness of maps found: curves, their areas, gains on random orders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from gan_forensics.explain.removal import area

if TYPE_CHECKING:
    from gan_forensics.report.figures import Figure

RANDOM = "random order"
LEVEL = 0.95


class MeanInterval(NamedTuple):
    """A mean over images and the ends of its confidence interval.

    Example:
        >>> str(MeanInterval(1.5, low=1.0, high=2.0))
        '1.5 [1, 2]'
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Area(NamedTuple):
    """The area below one kind of curve, in logits.

    Attributes:
        method: whose map.
        baseline: what stands where a place was removed.
        curve: "deletion" or "insertion".
        value: its mean over images.
        gain: by how much it is better than that of random orders: lower for a deletion, higher for
            an insertion. Paired, image by image.

    Example:
        >>> gain = MeanInterval(2.0, low=1.0, high=3.0)
        >>> Area("relevance", "blur", "deletion", MeanInterval(1.0, 0.0, 2.0), gain).gain.low
        1.0
    """

    method: str
    baseline: str
    curve: str
    value: MeanInterval
    gain: MeanInterval


@dataclass(frozen=True, eq=False, repr=False)
class Faithfulness:
    """Deletion and insertion curves of several maps of the same images.

    Attributes:
        methods: whose curves these are; the last one is `RANDOM`, the mean over `orders` orders.
        baselines: what stands where a place was removed.
        deletion, insertion: the explained logit after each step.
        patch: side of the patches in pixels.
        orders: random orders of each image.

    Example:
        >>> falling = np.linspace(1, 0, 3).reshape(1, 1, 1, 3).repeat(2, 2)  # of two images
        >>> curves = np.concatenate([falling**2, falling])
        >>> Faithfulness(("relevance", RANDOM), ("mean",), curves, curves, 4, 3).shares
        array([0. , 0.5, 1. ])
    """

    methods: tuple[str, ...]
    baselines: tuple[str, ...]
    deletion: Float[np.ndarray, "methods baselines b k1"]
    insertion: Float[np.ndarray, "methods baselines b k1"]
    patch: int
    orders: int

    @property
    def images(self) -> int:
        """How many."""
        return self.deletion.shape[2]

    @property
    def shares(self) -> Float[np.ndarray, " k1"]:
        """The share of patches that is gone, or has come, after each step."""
        return np.linspace(0, 1, self.deletion.shape[-1])

    def areas(self, *, level: float = LEVEL) -> list[Area]:
        """The area of every method, baseline and kind of curve, beside that of random orders."""
        return [
            Area(method, baseline, kind, interval(found[m, i], level=level),
                 interval(better * (found[m, i] - found[-1, i]), level=level))
            for kind, found, better in self._areas()
            for i, baseline in enumerate(self.baselines)
            for m, method in enumerate(self.methods)
        ]  # fmt: skip

    def gain(self, method: str, *, level: float = LEVEL) -> MeanInterval:
        """How much better than random orders a method is, in logits: one number for all its curves.

        For each image the mean over deletion, insertion and baselines of the gains of `Area`; then
        their mean over images with Student's interval, which takes images as independent: of crops
        of one photograph give one. It is positive where the order of the map, and not the mere
        removing, moves the logit.

        Raises:
            ValueError: for a method that was not measured.
        """
        if method not in self.methods[:-1]:
            raise ValueError(
                f"no method {method!r} was compared; there are {', '.join(self.methods[:-1])}"
            )
        m = self.methods.index(method)
        gains = [better * (found[m] - found[-1]) for _, found, better in self._areas()]
        return interval(np.mean(gains, axis=(0, 1)), level=level)

    def figure(self) -> "Figure":
        """Curves of all methods, deletion and insertion for each baseline."""
        from gan_forensics.report.faithfulness import faithfulness_figure

        return faithfulness_figure(self)

    def __repr__(self) -> str:
        if self.images < 2:
            return f"Faithfulness({self.images} image)"
        gains = ", ".join(f"{method} {self.gain(method)}" for method in self.methods[:-1])
        return f"Faithfulness({self.images} images; logits gained on a {RANDOM}: {gains})"

    def _areas(self):
        return ("deletion", area(self.deletion), -1), ("insertion", area(self.insertion), 1)


def interval(values: Float[np.ndarray, " b"], *, level: float = LEVEL) -> MeanInterval:
    """The mean of one value an image, and Student's interval of it.

    Raises:
        ValueError: for fewer than two values.

    Example:
        >>> interval(np.array([1.0, 2.0, 3.0]))
        MeanInterval(value=2.0, low=-0.48..., high=4.48...)
    """
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError(
            f"{len(values)} image: an interval over images needs at least two; give more images"
        )
    mean = float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) / len(values) ** 0.5
    half = deviation * float(t.ppf((1 + level) / 2, len(values) - 1))
    return MeanInterval(mean, mean - half, mean + half)


def joined(parts: Sequence[Faithfulness]) -> Faithfulness:
    """The curves of several sets of images, such as one of each size, as one.

    Example:
        >>> curves = np.zeros((1, 1, 2, 3))
        >>> part = Faithfulness((RANDOM,), ("mean",), curves, curves, 4, 3)
        >>> joined([part, part]).images
        4
    """
    kinds = [[getattr(part, kind) for part in parts] for kind in ("deletion", "insertion")]
    deletion, insertion = (np.concatenate(curves, 2) for curves in kinds)
    return replace(parts[0], deletion=deletion, insertion=insertion)
