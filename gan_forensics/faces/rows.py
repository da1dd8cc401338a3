"""track.csv: a row for every frame that was looked at.

While a clip is tracked its rows go, one after another, to a file that holds what is known of each
frame by itself. What needs the whole clip, or can be told from the others, is added at the end.
Angles are degrees here, positions pixels of the frame; what is not known is an empty cell.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from gan_forensics.files import is_missing, listed, read_csv, written_beside
from gan_forensics.files.tables import write_cells

if TYPE_CHECKING:
    from gan_forensics.faces.tracker import Estimate

ANGLES = ("yaw", "pitch", "roll")
# Where each of them stands in a state; see `camera.POSE`.
_PLACES = {"yaw": 1, "pitch": 0, "roll": 2}
PLACE = ("tx", "ty", "scale")
# `learned` counts the tracked vertices that the appearance learned from in this frame.
FLAGS = ("accepted", "lost", "reinitialised", "learned")
# What `init` may say: the rows before a face was found have the last one.
INITIALISATIONS = ("landmarks", "detector", "box", "none")
# To NumPy all texts are as long as the longest.
_LONGEST = 20

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Columns:
    """The columns of a track.

    Attributes:
        units: names of the animation units that are tracked.
        points: the landmarks (0-based, iBUG's 68) that the model holds.
    """

    units: tuple[str, ...]
    points: tuple[int, ...]

    @property
    def streamed(self) -> list[str]:
        """Those that are written frame by frame."""
        return [
            *("frame", "time", "init", *FLAGS, "confidence", "energy", "visible"),
            *(*ANGLES, *PLACE, *(f"{name}_sd_raw" for name in ANGLES)),
            *self.units,
            *(f"{kind}_{k}" for k in self.points for kind in ("x", "y", "sd_raw")),
        ]

    @property
    def finished(self) -> list[str]:
        """Those of track.csv."""
        return [
            *("frame", "time", *ANGLES, *PLACE),
            *(f"{name}_{kind}" for name in ANGLES for kind in ("sd", "sd_raw")),
            *(f"{name}{kind}" for name in self.units for kind in ("", "_relative")),
            *("confidence", "energy", "visible", "init", *FLAGS),
            *(f"{kind}_{k}" for k in self.points for kind in ("x", "y", "sd", "sd_raw")),
        ]


def column_names(units: Sequence[str]) -> tuple[str, ...]:
    """Names of animation units as columns: "AUV11 Jaw drop (AU26/27)" becomes jaw_drop.

    Raises:
        ValueError: when two become the same, or one that the track needs itself.
    """
    # Without the number in the file before the name, and the actions of FACS behind it.
    bare = [re.sub(r"^(auv|fap) ?\d+ +(?=\S)|(?<=\S) *\(.*\)$", "", n.lower()) for n in units]
    names = tuple(re.sub(r"[^a-z0-9]+", "_", name).strip("_") for name in bare)
    taken = Columns((), ()).finished
    if len({*names, *taken}) < len(names) + len(taken):
        raise ValueError(
            f"the animation units {listed(units)} have no names of their own as columns of "
            "track.csv: rename them in the .wfm file"
        )
    return names


def row_of(
    columns: Columns, frame: int, time: float, estimate: "Estimate | None", init: str
) -> dict[str, Any]:
    """What is known of a frame by itself: a value for each column of `Columns.streamed`.

    Args:
        columns: of the track.
        frame: its number in the clip, from 0.
        time: its own stamp, in seconds.
        estimate: of the tracker; None before a face was found.
        init: one of `INITIALISATIONS`.
    """
    row: dict[str, Any] = dict.fromkeys(columns.streamed)
    row |= {"frame": frame, "time": time, "init": init, "visible": 0, **dict.fromkeys(FLAGS, 0)}
    if estimate is None:
        return row | {"lost": 1, "confidence": 0.0}
    state = np.asarray(estimate.state, float)
    deviation = np.sqrt(np.diagonal(np.asarray(estimate.covariance, float)))
    for name, place in _PLACES.items():
        row[name] = np.degrees(state[place])
        row[f"{name}_sd_raw"] = np.degrees(deviation[place])
    row |= dict(zip(PLACE, state[3:6], strict=True))
    row |= dict(zip(columns.units, state[6:], strict=True))
    row["accepted"], row["lost"] = int(estimate.accepted), int(estimate.lost)
    row["reinitialised"], row["learned"] = int(estimate.found), int(np.sum(estimate.learned))
    row["confidence"], row["energy"] = float(estimate.confidence), float(estimate.energy)
    row["visible"] = int(np.sum(estimate.visible))
    landmarks, spread = np.asarray(estimate.landmarks), np.asarray(estimate.landmark_sd)
    for k in columns.points:
        row[f"x_{k}"], row[f"y_{k}"] = landmarks[k].tolist()
        row[f"sd_raw_{k}"] = float(spread[k])
    return row


def cell(value: Any) -> str:
    """A value as it is written: eight digits, which are more than a frame tells."""
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return ""
    return f"{value:.8g}" if isinstance(value, float | np.floating) else str(value)


def read_track(path: Path) -> Table:
    """The columns of a track, finished or not: floats with NaN for empty cells, `init` as text.

    A last row that was cut off with the process that wrote it is left out.

    Raises:
        ValueError: for a file that is no track, naming the line.
    """
    read = read_csv(path)
    header, *lines = read.lines or [(0, [])]
    if not {"frame", "time", "init", *ANGLES} <= {*header[1]}:
        raise ValueError(f"{path} is no track: its first line names no frame, time, init and pose")
    if lines and not read.whole:
        del read.lines[-1]
    rows = list(read.rows())
    table: Table = {}
    for name in header[1]:
        cells = [row[name] for _, row in rows]
        try:
            table[name] = (
                np.array([cell[:_LONGEST] for cell in cells], str) if name == "init"
                else np.array([math.nan if is_missing(c) else read.number(c) for c in cells])
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"{path}, column {name}: {error}") from error
    return table


def finished(columns: Columns, table: Table, *, inflation: float) -> Table:
    """The columns of track.csv from those that were streamed.

    Args:
        columns: of the track.
        table: as it was streamed.
        inflation: what standard deviations of the tracker are multiplied by to be true to the
            errors that were measured.
    """
    accepted = table["accepted"] > 0
    table = dict(table)
    for name in columns.units:
        values = table[name]
        middle = np.median(values[accepted]) if accepted.any() else np.nan
        table[f"{name}_relative"] = values - middle
    for name in (*(f"{a}_sd" for a in ANGLES), *(f"sd_{k}" for k in columns.points)):
        # yaw_sd_raw, and sd_raw_17.
        raw = f"{name}_raw" if name.endswith("sd") else name.replace("sd_", "sd_raw_")
        table[name] = inflation * table[raw]
    return {name: table[name] for name in columns.finished}


def write_track(path: Path, table: Table) -> None:
    """Write a table as track.csv."""
    whole = {"frame", "visible", *FLAGS}
    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        write_cells(file, [[*table]], end="\n")
        for row in zip(*table.values(), strict=True):
            cells = [
                cell(int(value)) if name in whole else cell(value)
                for name, value in zip(table, row, strict=True)
            ]
            write_cells(file, [cells], end="\n")


def rows_of(table: Table) -> list[dict[str, Any]]:
    """The rows of a table, each by column."""
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def state_of(
    row: Mapping[str, Any], units: Sequence[str]
) -> tuple[Float[np.ndarray, " 6"], Float[np.ndarray, " a"]]:
    """Pose, in radians and pixels as `camera` has it, and animation parameters of a row."""
    angles = [np.radians(row[name]) for name in ("pitch", "yaw", "roll")]
    pose = np.array([*angles, *(row[name] for name in PLACE)])
    return pose, np.array([row[name] for name in units])
