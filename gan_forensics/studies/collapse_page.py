"""Tables and figures of GANs whose modes were followed."""

from collections.abc import Mapping, Sequence

import numpy as np

from gan_forensics.data import image_grid
from gan_forensics.data.toy_points import WORLDS
from gan_forensics.quality.points import ceiling
from gan_forensics.report import Picture, Table
from gan_forensics.report.trajectories import Trajectory, points_figure, trajectories_figure
from gan_forensics.studies.collapse import Followed, at_end, late_mean, modes_of, steps_to
from gan_forensics.studies.pages import plus_minus

Arms = Mapping[str, Followed]
MEASURES = {
    "modes": "modes covered",
    "points": "registered points",
    "wasserstein": "Wasserstein-1 distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
    "seen": "modes seen",
    "half_share": "modes with half their share",
    "effective": "effective modes",
    "kl": "KL to uniform, nats",
    "frechet": "Frechet distance",
}
# What is followed in figures, by the kind of world.
MAIN = ("points", "wasserstein", "frechet", "effective")


def student_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The ends of Student's 95 % interval of a mean; None for one value, and without any spread."""
    from scipy import stats

    if len(values) < 2 or not np.std(values) > 0:
        return None
    reach = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values) - reach), float(np.mean(values) + reach)


def said_mean(values: Sequence[float | None], form: str = ".0f") -> str:
    """Mean ± deviation of the seeds that finished, and how many did not."""
    known = [value for value in values if value is not None]
    if not known:
        return "all stopped"
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else None
    lost = f" ({len(values) - len(known)} stopped)" if len(known) < len(values) else ""
    return plus_minus(float(np.mean(known)), spread, form) + lost


def said_interval(
    values: Sequence[float | None],
    form: str = ".0f",
    *,
    low: float = -np.inf,
    high: float = np.inf,
) -> str:
    """The 95 % interval of the mean over seeds, cut where no value can be, or a dash."""
    known = [value for value in values if value is not None]
    ends = student_interval(known)
    if ends is None:
        return "–"
    return f"{max(ends[0], low):{form}} to {min(ends[1], high):{form}}"


def world_table(arms: Arms, *, at: Sequence[int] = ()) -> Table:
    """What came of the arms on one world: at the end, late in training, and on the way.

    Args:
        arms: name -> what was followed.
        at: steps whose registered points have columns of their own.
    """
    world = next(iter(arms.values()))["world"]
    if world == "toy:line":
        rows = [
            [
                name,
                said_mean(at_end(f, "wasserstein"), ".3f"),
                said_interval(at_end(f, "wasserstein"), ".3f", low=0),
                said_mean(late_mean(f, "wasserstein"), ".3f"),
                said_mean(at_end(f, "kolmogorov_smirnov"), ".3f"),
            ]
            for name, f in arms.items()
        ]
        columns = [
            "arm",
            "W1 at the end",
            "W1, 95 % of the mean",
            "W1, last 10 looks",
            "KS at the end",
        ]
        return Table(_caption(arms, "Distances from N(4, 1), small is good"), columns, rows)
    if world == "stacked":
        names = ("seen", "half_share", "effective", "kl")
        forms = (".0f", ".0f", ".0f", ".2f")
        rows = [
            [name]
            + [said_mean(at_end(f, m), form) for m, form in zip(names, forms, strict=True)]
            + [said_interval(at_end(f, "effective"), low=1, high=1000)]
            for name, f in arms.items()
        ]
        columns = ["arm", *(MEASURES[m] for m in names), "effective, 95 % of the mean"]
        return Table(_caption(arms, "Modes of stacked digits, of 1000"), columns, rows)
    if world == "images":
        rows = [
            [
                name,
                said_mean(at_end(f, "frechet"), ".1f"),
                said_interval(at_end(f, "frechet"), ".1f", low=0),
                said_mean(at_end(f, "effective"), ".2f"),
            ]
            for name, f in arms.items()
        ]
        columns = ["arm", "Frechet distance", "its 95 % of the mean", "effective classes"]
        what = "Images of ten digits by a classifier of them (its distance is no FID)"
        return Table(_caption(arms, what), columns, rows)
    count = modes_of(world) or 0
    half = -(-count // 2)
    rows = []
    for name, f in arms.items():
        on_the_way = [
            said_mean([row[f["steps"].index(step)] for row in f["measures"]["points"]])
            for step in at
            if step in f["steps"]
        ]
        rows.append(
            [
                name,
                " ".join("–" if m is None else str(m) for m in at_end(f, "modes")),
                said_mean(at_end(f, "points")),
                said_interval(at_end(f, "points"), low=0, high=f["samples"]),
                said_mean(late_mean(f, "modes"), ".1f"),
                said_mean(late_mean(f, "points")),
                *(_reached(steps_to(f, k)) for k in (half, count)),
                *on_the_way,
            ]
        )
    columns = [
        "arm",
        "modes by seed",
        "points",
        "points, 95 % of the mean",
        "modes, last 10 looks",
        "points, last 10 looks",
        *(f"median step to {k} modes (seeds)" for k in (half, count)),
        *(f"points at {step:,}" for step in at if step in next(iter(arms.values()))["steps"]),
    ]
    best = ceiling(WORLDS[world])
    note = f"of {count} modes and 2000 points, of which a perfect generator registers {best:.1%}"
    return Table(_caption(arms, f"{world}, {note}"), columns, rows)


def _reached(steps: Sequence[int | None]) -> str:
    """The median of the seeds that got there, and how many did."""
    known = [step for step in steps if step is not None]
    if not known:
        return "never"
    return f"{int(np.median(known)):,} ({len(known)} of {len(steps)})"


def _caption(arms: Arms, what: str) -> str:
    first = next(iter(arms.values()))
    return (
        f"{what}. {_seeds(first['seeds'])}, {first['steps'][-1]:,} steps, {first['samples']:,} "
        "samples a look; mean ± standard deviation of seeds."
    )


def _seeds(seeds: Sequence[int]) -> str:
    return f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"


def paired_table(arms: Arms, against: str, measure: str, form: str = "+.0f") -> Table:
    """Each arm less another one, seed by seed, at the end of training.

    Raises:
        ValueError: when the other arm is missing.
    """
    if against not in arms:
        raise ValueError(f"no arm {against!r} to compare with, only {', '.join(arms)}")
    base = at_end(arms[against], measure)
    rows = []
    for name, followed in arms.items():
        pairs = zip(at_end(followed, measure), base, strict=True)
        gains = [a - b for a, b in pairs if a is not None and b is not None]
        if name == against or not gains:
            continue
        spread = float(np.std(gains, ddof=1)) if len(gains) > 1 else None
        more = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        rows.append(
            [
                name,
                plus_minus(float(np.mean(gains)), spread, form),
                said_interval(gains, form),
                more,
            ]
        )
    return Table(
        f"{_begin(MEASURES[measure])} less those of {against}, paired by seed.",
        ["arm", "difference", "95 % of the mean", "seeds with more"],
        rows,
    )


def calibration_table(followed: Followed) -> Table:
    """What the judge's counts say of held-out real stacks of known numbers of modes."""
    rows = [
        [row["true"], row["seen"], row["half_share"], round(row["effective"], 1), row["kl"]]
        for row in followed["calibration"]
    ]
    columns = ["true modes", *(MEASURES[m] for m in ("seen", "half_share", "effective", "kl"))]
    caption = (
        f"Real stacks of held-out digits with so many modes through the same judge (accuracy "
        f"{followed['accuracy']:.1%} on single digits, {followed['samples']:,} stacks a row)."
    )
    return Table(caption, columns, rows)


def world_pictures(arms: Arms) -> list[Picture]:
    """Trajectories of the arms on one world, and the first seed's points over time."""
    first = next(iter(arms.values()))
    world = first["world"]
    measure = next(name for name in MAIN if name in first["measures"])
    top = ceiling(WORLDS[world]) * first["samples"] if measure == "points" else None
    drawn = {
        name: Trajectory(followed["steps"], followed["measures"][measure])
        for name, followed in arms.items()
    }
    pictures = [
        Picture(
            trajectories_figure(drawn, ylabel=MEASURES[measure], top=top),
            alt=f"{MEASURES[measure]} over training on {world}, a panel for each arm",
            caption=f"{_begin(MEASURES[measure])} over training; thin: seeds, thick: their "
            "mean" + (", dashed: a perfect generator." if top else "."),
        )
    ]
    seed = first["seeds"][0]
    if world in ("stacked", "images"):
        pictures += [_images(name, followed, seed) for name, followed in arms.items()]
        return pictures
    real = WORLDS[world].sample(2000, seed=0).arrays["point"]
    kept = {name: followed["kept"] for name, followed in arms.items() if followed["kept"]}
    pictures.append(
        Picture(
            points_figure(kept, real),
            alt=f"Generated points on {world} at five looks, a row for each arm",
            caption=f"Points of seed {seed} over training (blue) on those of the data (gray).",
        )
    )
    return pictures


def _images(name: str, followed: Followed, seed: int) -> Picture:
    step, images = list(followed["kept"].items())[-1]
    grid = image_grid(np.asarray(images, np.uint8), 10)
    return Picture(grid, alt=f"Images: {name}", caption=f"{name}, seed {seed}, step {int(step):,}")


def _begin(words: str) -> str:
    """Words at the beginning of a sentence; "KL" stays what it is."""
    return words[:1].upper() + words[1:]
