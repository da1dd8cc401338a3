"""The share of generated images among many, corrected for both error rates of the detector.

Of a hundred million photographs a detector with one per cent of false alarms calls a million
generated. So the share of what it calls generated, q, says little by itself; with the rates f of
photographs and t of generated images that it calls so, q = share t + (1 - share) f, hence
share = (q - f) / (t - f) (Rogan and Gladen, Am. J. Epidemiology 1978). An *unsure* image is not
called generated, in q as in f and t: leaving such images out would bias all three.

The rates were measured on few images, and are uncertain themselves. The interval carries that: the
confidence distributions of q, f and t, whose quantiles are Clopper and Pearson's limits, are melded
(Fay, Proschan and Brittain, Biometrics 2015; Bayer, Fay and Graubard, Statistics in Medicine 2023).
With known rates it is Clopper and Pearson's interval of q, put through the equation above. In
simulations of 20 to 500 images of known class and of 100 to 10^8 scored ones it held the share at
least as often as it says. Images of one scene count as several: the interval takes each as new.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_forensics.forensics.calibration import Calibration, Outcomes, Rate
from gan_forensics.forensics.format_audit import SIZES, size_class
from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.forensics.verdicts import GENERATED, UNSURE

if TYPE_CHECKING:
    from gan_forensics.forensics.score_files import ScoredImages

# Fewer images, scored ones or ones (groups) of a class that rates rest on, say nothing of a share.
FEWEST = 20
ALL = "all"
NO_SIZE = "of unknown size"
# Draws from each confidence distribution: 2.5 +- 0.1 % of the truth lies beyond a limit.
_DRAWS = 40_000


class Corrected(NamedTuple):
    """A corrected share of generated images and its interval, each in [0, 1].

    Example:
        >>> Corrected(0.02, 0.012, 0.024).high
        0.024
    """

    share: float
    low: float
    high: float


@lru_cache(maxsize=256)
def corrected_share(
    called: int, images: int, false_alarms: Rate, detected: Rate, *, level: float = 0.95
) -> Corrected:
    """The share of generated images among some of which so many were called generated.

    Args:
        called: how many were called generated.
        images: of so many, unsure ones among them.
        false_alarms: photographs called generated, as measured; a group counts as one image.
        detected: generated images called so, likewise; more often than photographs.
        level: of the interval.

    Raises:
        ValueError: for counts that cannot be, and where photographs are called generated as often.

    Example:
        >>> from gan_forensics.forensics.calibration import measured_rate
        >>> rates = measured_rate([1] * 4 + [0] * 996), measured_rate([1] * 850 + [0] * 150)
        >>> [round(100 * number, 2) for number in corrected_share(2092, 100_000, *rates)]
        [2.0, 1.32, 2.39]
    """
    if not 0 <= called <= images or not images:
        raise ValueError(f"{called} of {images} images cannot be called generated")
    gap = detected.rate - false_alarms.rate
    if gap <= 0:
        raise ValueError(
            f"photographs are called generated as often as generated images ({false_alarms.words}; "
            f"{detected.words}): there is no share to correct for that"
        )
    rng = np.random.default_rng(0)
    alarms, hits = (
        _limits(rate.rate * votes, votes, rng)
        for rate in (false_alarms, detected)
        for votes in (votes_of(rate),)
    )
    observed = _limits(called, images, rng)
    # The more false alarms and detections there are, the smaller the share is.
    lower = _share(observed[0], alarms[1], hits[1], unknown=0)
    upper = _share(observed[1], alarms[0], hits[0], unknown=1)
    tail = (1 - level) / 2
    low, high = float(np.quantile(lower, tail)), float(np.quantile(upper, 1 - tail))
    share = float(np.clip((called / images - false_alarms.rate) / gap, 0, 1))
    return Corrected(share, min(low, share), max(high, share))


def votes_of(rate: Rate) -> int:
    """How many independent images a rate rests on."""
    return rate.n if rate.groups is None else rate.groups


def _limits(events: float, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the lower and of the upper confidence distribution of a rate."""
    events = round(min(events, n), 9)  # What rounding left of nothing is nothing.
    none, every = np.zeros(_DRAWS), np.ones(_DRAWS)
    return (
        rng.beta(events, n - events + 1, _DRAWS) if events else none,
        rng.beta(events + 1, n - events, _DRAWS) if events < n else every,
    )


def _share(q: np.ndarray, f: np.ndarray, t: np.ndarray, *, unknown: float) -> np.ndarray:
    """(q - f) / (t - f) in [0, 1]; where t is not above f any share is possible."""
    gap = np.where(t > f, t - f, 1)
    return np.where(t > f, np.clip((q - f) / gap, 0, 1), unknown)


class Kind(NamedTuple):
    """What of an image the share goes by.

    Attributes:
        tier: of `data.carriers.TIERS`.
        container: such as "JPEG".
        size: of `format_audit.SIZES`, or `NO_SIZE`.
        outside: whether its file is unlike those that the detector was fitted on.
        verdict: of `verdicts.VERDICTS`.
    """

    tier: str
    container: str
    size: str
    outside: bool
    verdict: str


class Share(NamedTuple):
    """How many of some images are generated, as far as the detector's rates tell.

    Attributes:
        name: `ALL`, a container or a size class.
        images, generated, unsure: how many images have a verdict, and these ones.
        covered: of how many the rates are: the following is about these.
        called: how many of them are called generated.
        expected: how many would be, were all of them photographs; with its limits. None for none.
        corrected: the share of generated images among them; None likewise.
        why: what it does not cover, or why there is no number; else empty.

    Example:
        >>> Share("all", 99, 3, 1, 0, 0, None, None, "no rates").generated
        3
    """

    name: str
    images: int
    generated: int
    unsure: int
    covered: int
    called: int
    expected: tuple[float, float, float] | None
    corrected: Corrected | None
    why: str

    @property
    def record(self) -> dict[str, Any]:
        """It by name, JSON-able."""
        return {**self._asdict(), "corrected": self.corrected and self.corrected._asdict()}


def kinds_of(scored: "ScoredImages") -> Counter[Kind]:
    """How many scored images there are of each kind.

    Example:
        >>> from gan_forensics.forensics.score_files import ScoredImage
        >>> from gan_forensics.forensics.verdicts import Basis
        >>> image = ScoredImage("a.png", "", score=2.5, tier="clean", container="PNG")
        >>> scored = ScoredImages({"name": "dct-knn"}, None, {}, Basis(0.5, {}), [image]).judged()
        >>> next(iter(kinds_of(scored))).verdict
        'generated'
    """
    return Counter(
        Kind(
            image.tier,
            image.container,
            size_class(image.height, image.width) if image.height and image.width else NO_SIZE,
            image.outside != "",
            image.verdict.verdict,
        )
        for image in scored.images
        if image.verdict is not None
    )


def shares_of(scored: "ScoredImages") -> list[Share]:
    """The corrected share of generated images: of all, by container, and by size class.

    Example:
        >>> shares_of(read_scores("scores.json"))[0].corrected  # doctest: +SKIP
        Corrected(share=0.02, low=0.012, high=0.024)
    """
    carriers = any(image.after for image in scored.images)
    why = why_none(scored.calibration, scored.facts, scored.basis.false_alarms, carriers)
    return shares(kinds_of(scored), scored.calibration, why=why)


def why_none(
    calibration: Calibration | None,
    facts: Mapping[str, Any],
    false_alarms: float | None,
    carriers: bool,
) -> str:
    """Why no rate that was measured is one of some verdicts; empty where some are.

    Args:
        calibration, facts: of the detector.
        false_alarms: as of `verdicts.Basis`.
        carriers: whether verdicts that do not hold after carriers are unsure.

    Example:
        >>> why_none(None, {}, 0.01, carriers=False)
        'no rates were measured at the thresholds for 1 % false alarms'
    """
    if false_alarms is not None:
        return f"no rates were measured at the thresholds for {100 * false_alarms:g} % false alarms"
    if carriers:
        return "rates were measured without --carriers, which makes more verdicts unsure"
    if any(tier.outcomes for tier in (calibration.tiers if calibration else ())):
        return ""
    if calibration is not None and calibration.alarms:
        return (
            "how many generated images it finds was not measured when it was recalibrated: that "
            "takes generated images too (--fake --refit)"
        )
    if facts.get("recalibrated"):
        return (
            "the rates of its verdicts were not measured again when it was recalibrated, which "
            "takes --fake and twice as many photographs as set a threshold"
        )
    return (
        "the detector's file keeps no rates of its verdicts: fit it again (`gan-forensics detect "
        "fit`)"
    )


def shares(
    kinds: Mapping[Kind, int], calibration: Calibration | None, *, why: str = ""
) -> list[Share]:
    """The corrected share of generated images: of all, by container, and by size class.

    Every tier has its own rates; over several tiers shares and limits are added up, weighted by
    their images. The rates were measured on the same pictures in each tier and err together: the
    sum of limits is the widest that they can make.

    Args:
        kinds: how many images there are of each.
        calibration: of the detector; None for none.
        why: why its rates are not those of the verdicts (`why_none`); empty where they are.

    Example:
        >>> kind = Kind("clean", "PNG", "up to 256 pixels", False, "generated")
        >>> [share.name for share in shares({kind: 30}, None)]
        ['all', 'PNG', 'up to 256 pixels']
    """
    found = [_share_of(ALL, kinds, calibration, why)]
    containers = sorted({kind.container for kind in kinds})
    sizes = [name for name in (*SIZES, NO_SIZE) if any(name == kind.size for kind in kinds)]
    for name in (*containers, *sizes):
        some = {kind: n for kind, n in kinds.items() if name in (kind.container, kind.size)}
        found.append(_share_of(name, some, calibration, why))
    return found


def _share_of(
    name: str, kinds: Mapping[Kind, int], calibration: Calibration | None, why: str
) -> Share:
    images = _count(kinds)
    generated, unsure = (_count(kinds, lambda k, v=v: k.verdict == v) for v in (GENERATED, UNSURE))
    if not why and images < FEWEST:
        why = f"fewer than {FEWEST} images"
    blank = Share(name, images, generated, unsure, 0, 0, None, None, why)
    if why:
        return blank
    reasons, covered, called = [], 0, 0
    sums = np.zeros((2, 3))
    if outside := _count(kinds, lambda kind: kind.outside):
        reasons.append(f"{outside:,} are unlike the files that the detector was fitted on")
    for tier in dict.fromkeys(kind.tier for kind in kinds if not kind.outside):
        some = {k: n for k, n in kinds.items() if k.tier == tier and not k.outside}
        n, said = _count(some), _count(some, lambda kind: kind.verdict == GENERATED)
        rates = _rates(calibration, tier, "" if name == ALL else name)
        if isinstance(rates, Outcomes):
            unsure = _count(some, lambda kind: kind.verdict == UNSURE)
            doubt = _doubt(said, unsure, n, rates)
        else:
            doubt = rates
        if doubt:
            reasons.append(f"{n:,} of tier {tier}: {doubt}")
            continue
        assert isinstance(rates, Outcomes)
        alarms = rates.false_alarms
        covered, called = covered + n, called + said
        sums[0] += n * np.array([alarms.rate, alarms.low, alarms.high])
        sums[1] += n * np.array(corrected_share(said, n, alarms, rates.detected))
    if not covered:
        return blank._replace(why="; ".join(reasons))
    share, low, high = (sums[1] / covered).tolist()
    mean, least, most = sums[0].tolist()
    return blank._replace(
        covered=covered,
        called=called,
        expected=(mean, least, most),
        corrected=Corrected(share, low, high),
        why="; ".join(reasons),
    )


def _count(kinds: Mapping[Kind, int], which: Callable[[Kind], bool] = lambda kind: True) -> int:
    return sum(n for kind, n in kinds.items() if which(kind))


def _rates(calibration: Calibration | None, tier: str, among: str) -> Outcomes | str:
    """The rates of a tier, or of some of it; or why there are none."""
    known = calibration.tiers if calibration else ()
    of = next((one for one in known if one.name == tier), None)
    if of is None or not of.outcomes:
        reason = of.unfit if of is not None and of.unfit else "they were not measured in this tier"
        return f"no rates ({reason})"
    found = next((one for one in of.outcomes if one.among == among), None)
    if found is None:
        return f"no rates (they were not measured on {_named(among)} of both classes)"
    votes = votes_of(found.false_alarms), votes_of(found.detected)
    if min(votes) < FEWEST:
        return (
            f"the rates rest on {votes[0]} photographs and {votes[1]} generated images, fewer "
            f"than {FEWEST}"
        )
    if found.detected.low <= found.false_alarms.high:
        return (
            f"generated images are not told from photographs: called generated are "
            f"{_span(found.detected)} of them and {_span(found.false_alarms)} of photographs"
        )
    return found


def _named(among: str) -> str:
    """What images of a container or a size class are called."""
    return f"images of {among}" if among in (*SIZES, NO_SIZE) else f"{among} images"


def _doubt(called: int, unsure: int, n: int, rates: Outcomes) -> str:
    """Why images cannot be a mixture of those that the rates were measured on, or empty."""
    for count, word, photographs, generated in (
        (unsure, "unsure", rates.real_unsure, rates.fake_unsure),
        (called, "called generated", rates.false_alarms, rates.detected),
    ):
        found = rate_interval(count, n)
        low = min(photographs.low, generated.low)
        high = max(photographs.high, generated.high)
        if found.low > high or found.high < low:
            more = "more" if found.low > high else "less"
            return (
                f"{percent(count / n)} are {word}, {more} than a mixture of the images of known "
                f"class could be ({_span(photographs)} of photographs, {_span(generated)} of "
                "generated images): these are other images"
            )
    return ""


def _span(rate: Rate) -> str:
    return f"{percent(rate.low)} to {percent(rate.high)}"


def percent(share: float) -> str:
    """A share in per cent, with two digits from 0 or 100 on and no more than six decimals.

    Example:
        >>> percent(0.00012), percent(0.5), percent(0.9996), percent(1.0)
        ('0.012 %', '50 %', '99.96 %', '100 %')
    """
    away = 100 * min(share, 1 - share)
    places = 1 - int(np.floor(np.log10(away))) if away > 0 else 0
    text = f"{100 * share:.{min(6, max(0, places))}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"
