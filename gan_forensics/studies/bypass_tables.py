"""Tables of a study of last upsamplings: rates over GAN seeds, with intervals, across everything.

GANs are what was sampled, not images: a thousand images of one GAN say nothing of the next one. So
every GAN seed has one vote, and the intervals are exact ones of as many trials
(`forensics.intervals`), which hold however little or much the images of a GAN agree. With three
seeds they are wide; the lowest and highest rate stand beside them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.studies.bypass_cells import Cell, Cells, RealCell, Training
from gan_forensics.studies.bypass_rates import BASELINE

SAME, NEW = "same", "new"
RATES = ("detected", "detected_at_5", "auc")


def summary(cells: Sequence[Cell], alarms: Sequence[RealCell]) -> dict[str, Any]:
    """Rates of some cells, and the false alarms of their detectors.

    Args:
        cells: of pairs of a detector and a GAN.
        alarms: of the same detectors, on real images of the same data.

    Returns:
        Of every rate the mean over pairs, `_low` and `_high` of its interval, and `_pairs` (each
        pair's, in order of the seeds); and counts: `votes` (the fewer of detectors' and GANs'
        seeds), `n_fake`, `n_real` (test images of each), `n_train` (of either class).
    """
    cells = sorted(cells, key=lambda c: (c.training.seed, c.origin.seed))
    votes = min(len({c.training.seed for c in cells}), len({c.origin.seed for c in cells}))
    row: dict[str, Any] = {}
    for rate in RATES:
        row |= _rate(rate, [getattr(cell, rate) for cell in cells], votes)
    seeds = len({a.training.seed for a in alarms})
    for rate in ("false_alarms", "false_alarms_at_5"):
        row |= _rate(rate, [getattr(each, rate) for each in alarms], seeds)
    row |= {"real_accuracy": 1 - row["false_alarms"], "votes": votes}
    return row | {
        "n_fake": cells[0].n,
        "n_real": alarms[0].n,
        "n_train": alarms[0].n_train,
    }


def _rate(name: str, values: Sequence[float], votes: int) -> dict[str, Any]:
    mean = float(np.mean(values))
    interval = rate_interval(min(mean * votes, votes), votes)
    ends = {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {name: mean, **ends, f"{name}_pairs": list(values)}


def bypass_rows(cells: Cells, *, data: str) -> list[dict[str, Any]]:
    """A row for each method, set of training tails, detector, tail and GAN seed (same or new).

    Args:
        cells: of the study.
        data: detectors' and GANs'; those of one method only are paired here.
    """
    return _grouped(
        (c for c in cells.fake if _at_home(c, data) and c.training.method == c.origin.method),
        cells.real,
        lambda c: {
            "method": c.training.method,
            "trained_on": c.training.tails,
            "detector": c.detector,
            "tail": c.origin.tail,
            "gan_seed": _seed(c),
        },
    )


def across_gans(cells: Cells, *, data: str) -> list[dict[str, Any]]:
    """Detectors trained on BASELINE of one method, on the tails of every method."""
    return _grouped(
        (c for c in cells.fake if _at_home(c, data) and c.training.tails == BASELINE),
        cells.real,
        lambda c: {
            "detector": c.detector,
            "trained_on": c.training.method,
            "tested_on": c.origin.method,
            "tail": c.origin.tail,
            "gan_seed": _seed(c),
        },
    )


def across_data(cells: Cells, *, tails: Sequence[str]) -> list[dict[str, Any]]:
    """Detectors trained on BASELINE of one source, on GANs and real images of every source.

    Thresholds are those of the training's source: who moves a detector elsewhere has no others.
    """
    moved = {c.origin.method for c in cells.fake if c.training.data != c.origin.data}
    return _grouped(
        (
            c
            for c in cells.fake
            if c.training.tails == BASELINE
            and c.training.method == c.origin.method
            and c.training.method in moved
            and c.origin.tail in tails
        ),
        cells.real,
        lambda c: {
            "detector": c.detector,
            "trained_on": c.training.data,
            "tested_on": c.origin.data,
            "tail": c.origin.tail,
            "gan_seed": _seed(c),
        },
    )


def cell_rows(cells: Cells) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A flat row for each detector and GAN, and for each detector its false alarms.

    `seed` is that of the GAN, `detector_seed` that of the GANs which trained the detector; data,
    method and tails of these begin with `trained_on`.
    """

    def names(training: Training, detector: str) -> dict[str, Any]:
        of = {f"trained_on_{k}": v for k, v in training._asdict().items() if k != "seed"}
        return {"detector_seed": training.seed, "detector": detector, **of}

    rates = ("detected", "detected_at_5", "auc", "n")
    fake = [
        {"seed": cell.origin.seed, **names(cell.training, cell.detector)}
        | {name: getattr(cell.origin, name) for name in ("data", "method", "tail")}
        | {name: getattr(cell, name) for name in rates}
        for cell in cells.fake
    ]
    alarms = ("data", "false_alarms", "false_alarms_at_5", "n", "n_train")
    real = [
        {**names(cell.training, cell.detector), **{name: getattr(cell, name) for name in alarms}}
        for cell in cells.real
    ]
    return fake, real


def _grouped(chosen: Iterable[Cell], real: Sequence[RealCell], key) -> list[dict[str, Any]]:
    groups: dict[tuple, list[Cell]] = {}
    for cell in chosen:
        groups.setdefault(tuple(key(cell).items()), []).append(cell)
    alarms = {(each.detector, each.training, each.data): each for each in real}
    return [
        dict(name)
        | summary(
            members,
            [
                alarms[which]
                for which in dict.fromkeys((c.detector, c.training, c.origin.data) for c in members)
            ],
        )
        for name, members in groups.items()
    ]


def _at_home(cell: Cell, data: str) -> bool:
    return cell.training.data == cell.origin.data == data


def _seed(cell: Cell) -> str:
    return SAME if cell.training.seed == cell.origin.seed else NEW


def finding(rows: Sequence[dict[str, Any]]) -> str:
    """What the detectors trained on BASELINE of the first method do, and on what an escape depends.

    Args:
        rows: of `bypass_rows`.
    """
    method = rows[0]["method"]
    rows = [row for row in rows if (row["method"], row["trained_on"]) == (method, BASELINE)]
    at_5, own = (
        {(row["detector"], row["tail"], row["gan_seed"]): row[rate] for row in rows}
        for rate in ("detected_at_5", "detected")
    )
    detectors, tails = (
        list(dict.fromkeys(row[name] for row in rows)) for name in ("detector", "tail")
    )
    shown = [BASELINE, *(tail for tail in ("Z.1.5", "N.1.5", "B.1.5") if tail in tails)]
    # One detector of each kind of features is enough to be read.
    first = {name.split("-")[0]: name for name in reversed(detectors)}
    said = [
        f"{name}: {', '.join(f'{tail} {_both(at_5, name, tail)}' for tail in shown)}"
        for name in detectors
        if name in first.values()
    ]
    new = any(kind == NEW for _, _, kind in at_5)
    seeds = "GANs of the same and of new seeds" if new else "GANs of the same seed"
    what = (
        f"Detectors trained on real against {method} {BASELINE} images call generated, at 5 % "
        f"false alarms, of {seeds}: {'; '.join(said)}."
    )
    rules = {"At 5 % false alarms": at_5, "At the detectors' own boundaries": own}
    escapes = " ".join(
        f"{rule}, {_escapes(table, detectors, tails)}." for rule, table in rules.items()
    )
    return f"{what}\nWho escapes depends on the detector and its threshold. {escapes}"


def _escapes(table, detectors, tails) -> str:
    """Which tails halve the rate of BASELINE, for which of the detectors that see BASELINE."""
    clauses = []
    for kind in (SAME, NEW):
        if not any(key[2] == kind for key in table):
            continue
        able = [name for name in detectors if table[name, BASELINE, kind] >= 0.75]
        tails_of: dict[str, list[str]] = {}
        for tail in (tail for tail in tails if tail != BASELINE):
            past = [
                name for name in able if table[name, tail, kind] < table[name, BASELINE, kind] / 2
            ]
            if past:
                who = "all" if len(past) == len(able) else f"{len(past)}: {', '.join(past)}"
                tails_of.setdefault(who, []).append(tail)
        some = [f"{', '.join(passing)} ({who})" for who, passing in tails_of.items()]
        clauses.append(
            f"of {len(able)} detectors that see {BASELINE} of a {kind} seed (75 % or more), tails "
            f"halve the rate or worse for: {'; '.join(some) or 'none of them'}"
        )
    return ", ".join(clauses)


def _both(table, name: str, tail: str) -> str:
    rates = [table.get((name, tail, kind)) for kind in (SAME, NEW)]
    return " and ".join(f"{rate:.0%}" for rate in rates if rate is not None)
