"""What seeds of the grid allow to be said, in words, whichever way it came out.

All differences are of one seed's cells, which share data, start and minibatches; intervals are
Student's, 95 %, of their mean over seeds. Accuracies are those at the last step, in points of a
percent, unless a selection is named.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gan_forensics.studies.collapse_page import student_interval
from gan_forensics.studies.distillation import ARMS, HARD, MATCHED, SMOOTH, named
from gan_forensics.studies.distillation_fit import Selection

Seeds = Sequence[Mapping[str, Any]]
ONE = named(1)
# A mean index towards dissimilar classes up to this is called about 0.
ABOUT_NONE = 0.01
TAUGHT_BY = {
    HARD: "hard teacher",
    SMOOTH: "smoothed teacher",
    MATCHED: "hard teacher at T / c",
}


class Interval(NamedTuple):
    """A mean of paired differences and the ends of its interval; NaN for fewer than two seeds."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def side(self) -> int:
        """1 or -1 where the interval leaves 0 out on that side, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def said(self, form: str = "+.2f") -> str:
        """Example: "+1.20 (95 % +0.31 to +2.09, 5 seeds)"."""
        if not self.count > 1:
            return f"{self.mean:{form}} (one seed: no interval)"
        ends = f"{self.low:{form}} to {self.high:{form}}"
        return f"{self.mean:{form}} (95 % {ends}, {self.count} seeds)"

    def short(self, form: str = "+.2f") -> str:
        """Example: "+1.20 (+0.31, +2.09)"."""
        return f"{self.mean:{form}} ({self.low:{form}}, {self.high:{form}})"


def paired(differences: Float[np.ndarray, " seeds"]) -> Interval:
    """The mean of one difference a seed, with Student's interval."""
    mean = float(np.mean(differences))
    if len(differences) < 2:
        return Interval(mean, float("nan"), float("nan"), len(differences))
    # Without any spread there is nothing to be unsure of.
    return Interval(
        mean, *(student_interval(differences.tolist()) or (mean, mean)), len(differences)
    )


def temperatures(seeds: Seeds) -> list[str]:
    """Those of the grid, as keys, from low to high."""
    return sorted(seeds[0]["students"][HARD], key=float)


def raised(seeds: Seeds) -> list[str]:
    """Those above 1."""
    return [t for t in temperatures(seeds) if float(t) > 1]


def accuracies(
    seeds: Seeds, arm: str, temperature: str, selection: Selection = "last"
) -> np.ndarray:
    """Test accuracies of the seeds' students, in percent."""
    return np.array(
        [100 * seed["students"][arm][temperature]["accuracy"][selection] for seed in seeds]
    )


def others(seeds: Seeds, kind: str, labels: str, selection: Selection = "last") -> np.ndarray:
    """Test accuracies of "teachers", or of students "alone", in percent."""
    return np.array([100 * seed[kind][labels]["accuracy"][selection] for seed in seeds])


def fall(seeds: Seeds, arm: str, temperature: str, selection: Selection = "last") -> np.ndarray:
    """By how many points each seed's student loses from T = 1 on."""
    first = accuracies(seeds, arm, ONE, selection)
    return first - accuracies(seeds, arm, temperature, selection)


def steeper(
    seeds: Seeds, against: str, temperature: str, selection: Selection = "last"
) -> Interval:
    """How much more the smoothed teacher's student loses than that of HARD or MATCHED."""
    own, other = (fall(seeds, arm, temperature, selection) for arm in (SMOOTH, against))
    return paired(own - other)


def said_steeper(seeds: Seeds, against: str, selection: Selection = "last") -> str:
    """Whether accuracy falls faster with T after a smoothed teacher, at equal T or at T / c.

    Args:
        seeds: of the grid.
        against: HARD, read at the same T, or MATCHED, read at T / c.
        selection: which accuracies.
    """
    at = "equal T" if against == HARD else "equal effective temperature (hard teacher at T / c)"
    said = []
    for t in raised(seeds):
        found = steeper(seeds, against, t, selection)
        verdict = {1: "it falls faster", -1: "it falls SLOWER", 0: "not settled"}[found.side]
        said.append(f"T = {t}: {found.said()}, {verdict}")
    return f"Loss from T = 1 on, smoothed less hard teacher, at {at}: {'; '.join(said)}."


def best_cell(
    seeds: Seeds, arms: Sequence[str] = (HARD, SMOOTH), *, alone: bool = False
) -> tuple[str, Float[np.ndarray, " seeds"]]:
    """The cell with the best mean of some arms, or of students without a teacher too."""
    cells = {
        f"{TAUGHT_BY[arm]}, T = {t}": accuracies(seeds, arm, t)
        for arm in arms
        for t in temperatures(seeds)
    }
    for labels in (HARD, SMOOTH) if alone else ():
        cells[f"student without a teacher, {labels} labels"] = others(seeds, "alone", labels)
    name = max(cells, key=lambda name: float(cells[name].mean()))
    return name, cells[name]


def rule(
    seeds: Seeds, among: str, arms: Sequence[str] = (HARD, SMOOTH), *, alone: bool = False
) -> tuple[bool | None, str]:
    """Whether a smoothed teacher at T = 1 is among the best of some cells, and in words.

    It is, where the interval of (best cell less it) contains 0; None for one seed.
    """
    name, best = best_cell(seeds, arms, alone=alone)
    own = f"{TAUGHT_BY[SMOOTH]}, T = 1"
    if name == own:
        return True, f"The best {among} is the {own} itself."
    found = paired(best - accuracies(seeds, SMOOTH, ONE))
    said = f"The best {among} is the {name}; less the {own}: {found.said()}"
    if found.count < 2:
        return None, f"{said}."
    holds = found.low <= 0 <= found.high
    return holds, f"{said}: T = 1 is {'' if holds else 'NOT '}among the best."


def said_in_short(seeds: Seeds) -> str:
    """The rule of thumb and the fall from T = 1 to 3, if that is in the grid, in two sentences."""
    name, best = best_cell(seeds)
    said = f"the rule of thumb (a smoothed teacher at T = 1) {thumb(seeds)}; best: {name}"
    if not name == f"{TAUGHT_BY[SMOOTH]}, T = 1":
        said += f", {paired(best - accuracies(seeds, SMOOTH, ONE)).short()} points above it"
    if "3" not in raised(seeds):
        return f"{said}."
    falls = {arm: steeper(seeds, arm, "3") for arm in (HARD, MATCHED)}
    judged = {1: "more", -1: "LESS", 0: "not settled"}
    return (
        f"{said}. T = 1 to 3 costs students of the smoothed teacher {falls[HARD].short()} points "
        f"more than those of the hard one at equal T ({judged[falls[HARD].side]}), and "
        f"{falls[MATCHED].short()} at equal effective temperature T / c "
        f"({judged[falls[MATCHED].side]})."
    )


def thumb(seeds: Seeds) -> str:
    """What became of the rule of thumb, in words.

    It did not hold where the smoothed teacher at T = 1 is not among the best, or where the hard
    one's students at T = 1 are better; a wide interval refutes nothing, but shows nothing either.
    """
    holds, _ = rule(seeds, "")
    if holds is None:
        return "cannot be judged by one seed"
    if not holds:
        return "did NOT hold"
    if paired(accuracies(seeds, SMOOTH, ONE) - accuracies(seeds, HARD, ONE)).side < 0:
        return "did NOT hold, since at T = 1 the hard teacher's students are better"
    return "held" if best_cell(seeds)[0] == f"{TAUGHT_BY[SMOOTH]}, T = 1" else "is not refuted"


def said_rule(seeds: Seeds) -> str:
    """The published rule of thumb, and what became of it here."""
    start = f"Rule of thumb (distil from a label-smoothed teacher at T = 1): it {thumb(seeds)}"
    holds, said = rule(seeds, "of both teachers' students")
    if holds is None:
        return f"{start}. {said}"
    _, own = rule(seeds, "of the smoothed teacher's own students", [SMOOTH])
    sentences = [f"{start}. {said}", own]
    # The rest of all cells has something to say only where one of them is better.
    if best_cell(seeds, ARMS, alone=True)[0] != best_cell(seeds)[0]:
        sentences.append(rule(seeds, "of all, T / c and no teacher included", ARMS, alone=True)[1])
    return " ".join(sentences)


def chosen_temperatures(seeds: Seeds, arms: Sequence[str]) -> list[tuple[str, str]]:
    """For each seed the arm and temperature with the best accuracy on its validation part."""
    picks = []
    for seed in seeds:
        cells = {
            (arm, t): seed["students"][arm][t]["validation"]
            for arm in arms
            for t in temperatures(seeds)
        }
        picks.append(max(cells, key=lambda cell: cells[cell]))
    return picks


def at_chosen(seeds: Seeds, arms: Sequence[str]) -> np.ndarray:
    """Test accuracies, in percent, where each seed's temperature was chosen on validation."""
    picks = chosen_temperatures(seeds, arms)
    return np.array(
        [
            100 * seed["students"][arm][t]["accuracy"]["last"]
            for seed, (arm, t) in zip(seeds, picks, strict=True)
        ]
    )


def said_chosen(seeds: Seeds) -> str:
    """Each teacher at its own best temperature."""
    smooth = at_chosen(seeds, [SMOOTH])
    plain = paired(smooth - at_chosen(seeds, [HARD]))
    wide = paired(smooth - at_chosen(seeds, [HARD, MATCHED]))
    return (
        "Each teacher at the temperature that validation chose, smoothed less hard: "
        f"{plain.said()}, {_settled(plain)}; with the temperatures T / c to choose from as well "
        f"for the hard one: {wide.said()}, {_settled(wide)}."
    )


def said_alone(seeds: Seeds) -> str:
    """What a teacher adds to what students reach without one."""
    name, best = best_cell(seeds)
    said = []
    for labels in (HARD, SMOOTH):
        found = paired(best - others(seeds, "alone", labels))
        less = f"less the student without a teacher, {labels} labels"
        said.append(f"{less}: {found.said()}, {_settled(found)}")
    return f"Best cell of the grid ({name}) {'; '.join(said)}."


def _settled(found: Interval) -> str:
    return {1: "better", -1: "WORSE", 0: "not settled"}[found.side]


def diffusion(seeds: Seeds, arm: str, temperature: str, part: str = "train") -> np.ndarray:
    """The seeds' mean indices [seeds, 2]: towards similar classes, and towards all others."""
    return np.array([seed["diffusion"][arm][temperature][part] for seed in seeds])


def directions(seeds: Seeds) -> list[dict[str, str]]:
    """The four directions that were expected, each judged: `expected`, `found`, `verdict`."""
    above = raised(seeds)
    better = paired(others(seeds, "teachers", SMOOTH) - others(seeds, "teachers", HARD))
    rows = [_row("(a) the smoothed teacher is better", better)]
    if "3" in above:
        expected = "(b) T = 1 to 3 costs more after it"
        rows.append(_row(expected, steeper(seeds, HARD, "3")))
    means = [float(accuracies(seeds, SMOOTH, t).mean()) for t in (ONE, *above)]
    falls = all(a > b for a, b in zip(means, means[1:], strict=False))
    steps = [
        paired(accuracies(seeds, SMOOTH, a) - accuracies(seeds, SMOOTH, b)).side
        for a, b in zip((ONE, *above), above, strict=False)
    ]
    shown = f"{sum(side > 0 for side in steps)} of {len(steps)} falls settled"
    found = " > ".join(f"{mean:.2f}" for mean in means) if falls else _listed(means)
    rows.append(
        {
            "expected": f"(c) its students fall over T = 1, {', '.join(above)}",
            "found": f"{found}; {shown}",
            "verdict": ("yes" if min(steps, default=0) > 0 else "yes, by the means alone")
            if falls
            else "NO",
        }
    )
    for t in above:
        hard, smooth = (diffusion(seeds, arm, t) for arm in (HARD, SMOOTH))
        expected = f"(d) T = {t}: index to similar classes larger after it"
        rows.append(_row(expected, paired(smooth[:, 0] - hard[:, 0]), "+.3f"))
    for t in above:
        matched, smooth = (diffusion(seeds, arm, t) for arm in (MATCHED, SMOOTH))
        expected = f"control of (d), T = {t}: than after the hard at T / c"
        rows.append(_row(expected, paired(smooth[:, 0] - matched[:, 0]), "+.3f"))
    far = [float(diffusion(seeds, arm, t)[:, 1].mean()) for t in above for arm in (HARD, SMOOTH)]
    if far:
        largest = max(far, key=abs)
        rows.append(
            {
                "expected": f"(d) index to others about 0, at most {ABOUT_NONE}",
                "found": f"largest mean {largest:+.3f}",
                "verdict": "yes" if abs(largest) <= ABOUT_NONE else "NO",
            }
        )
    return rows


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _row(expected: str, found: Interval, form: str = "+.2f") -> dict[str, str]:
    """A row that expects a positive difference."""
    if found.count < 2:
        verdict = "one seed cannot tell"
    elif found.side:
        verdict = "yes" if found.side > 0 else "NO, reversed"
    else:
        verdict = "not settled, " + ("same sign" if found.mean > 0 else "other sign")
    return {"expected": expected, "found": found.short(form), "verdict": verdict}
