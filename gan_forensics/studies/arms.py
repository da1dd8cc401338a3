"""Arms followed seed by seed, each kept when it is done, and compared in pairs of seeds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.studies.collapse import Followed, at_end
from gan_forensics.studies.collapse_page import MEASURES, student_interval
from gan_forensics.studies.runner import stored_part


def stored_seeds(
    folder: Path,
    name: str,
    asked: Mapping[str, Any],
    seeds: Sequence[int],
    follow: Callable[[int], Followed],
) -> tuple[Followed, float]:
    """An arm with all its seeds, from their files where the same was asked for before.

    Args:
        folder: of the files, NAME-seedN.json.
        name: of the arm; what no file name can hold is left out.
        asked: all that the result depends on beside the seed.
        seeds: of the arm.
        follow: one seed.

    Returns:
        The seeds as one, and the seconds of all.
    """
    stem = "".join(c if c.isalnum() else "-" for c in name.lower())
    parts, seconds = [], 0.0
    for seed in seeds:
        path = folder / f"{stem}-seed{seed}.json"
        part, took = stored_part(path, {**asked, "seed": seed}, lambda seed=seed: follow(seed))
        parts.append(part)
        seconds += took
    return joined(parts), seconds


def joined(parts: Sequence[Followed]) -> Followed:
    """What was followed of one arm in several runs, seed after seed, as if it were one.

    Raises:
        ValueError: for runs of another world or length, or a seed that was followed twice.
    """
    first, seeds = parts[0], [seed for part in parts for seed in part["seeds"]]
    names = ("world", "steps", "samples")
    if any(part[name] != first[name] for part in parts for name in names):
        raise ValueError("runs that differ in world, steps or samples cannot be joined")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed was followed twice: {seeds}")
    return {
        **first,
        "seeds": seeds,
        "measures": {
            name: [values for part in parts for values in part["measures"][name]]
            for name in first["measures"]
        },
        "stopped": {seed: why for part in parts for seed, why in part["stopped"].items()},
    }


def said_settled(
    arms: Mapping[str, Followed],
    pairs: Sequence[tuple[str, str]],
    measure: str,
    form: str = "+.0f",
) -> str:
    """Of pairs (arm, against) those whose interval leaves 0 out, and of how many they are.

    Example: "KL to uniform, nats, settled by 5 seeds in 1 of 4 pairs: R3GAN less GAN -1.02."
    """
    settled = []
    for name, against in pairs:
        gains = _gains(arms, name, against, measure)
        ends = student_interval(gains)
        if ends is not None and not ends[0] <= 0 <= ends[1]:
            settled.append(f"{name} less {against} {float(np.mean(gains)):{form}}")
    seeds = len(arms[pairs[0][0]]["seeds"])
    said = f"{MEASURES[measure]}, settled by {seeds} seed{'s' * (seeds > 1)} in {len(settled)} of "
    return f"{said}{len(pairs)} pairs{': ' if settled else ''}{'; '.join(settled)}."


def _gains(arms: Mapping[str, Followed], name: str, against: str, measure: str) -> list[float]:
    pairs = zip(at_end(arms[name], measure), at_end(arms[against], measure), strict=True)
    return [a - b for a, b in pairs if a is not None and b is not None]


def said_difference(
    arms: Mapping[str, Followed], name: str, against: str, measure: str, form: str = "+.0f"
) -> str:
    """What the pairs of seeds say of one arm less another at the end, and what they cannot say.

    Example: "SSGAN less GAN, effective modes: -20 (95 % of the mean -60 to +20, 5 seeds). The
    interval holds 0: neither direction is shown."
    """
    gains = _gains(arms, name, against, measure)
    title = f"{name} less {against}, {MEASURES[measure]}"
    if not gains:
        return f"{title}: no pair of seeds is left."
    ends = student_interval(gains)
    said = f"{title}: {float(np.mean(gains)):{form}}"
    if ends is None:
        return f"{said} ({len(gains)} seed{'s' * (len(gains) > 1)}): no interval, nothing is shown."
    said += f" (95 % of the mean {ends[0]:{form}} to {ends[1]:{form}}, {len(gains)} seeds)."
    if ends[0] <= 0 <= ends[1]:
        return f"{said} The interval holds 0: neither direction is shown."
    return f"{said} The interval leaves 0 out: the direction is shown, at this size of networks."
