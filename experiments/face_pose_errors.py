"""Errors of a track's head pose against poses that were measured otherwise.

    python -m experiments.face_pose_errors --truth FILE.csv --track RUN/track.csv

Both files have the columns frame, yaw, pitch, roll (degrees; other columns are ignored), as
`gan-forensics track` writes them. Angles are those of R = Rz(roll) Ry(yaw) Rx(pitch), as
`gan_forensics.faces.camera` says: convert data sets of another order or other signs first. A
constant rotation between sensor and head is estimated in the first common frame, and taken out.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from gan_forensics.cli.entry import piped
from gan_forensics.faces.camera import CONVENTION
from gan_forensics.faces.metrics import compare_poses, pose_summary, read_poses
from gan_forensics.report import Table
from gan_forensics.studies.pages import markdown


@dataclass(frozen=True)
class Compare:
    """Compare the head pose of a track with poses that were measured otherwise.

    Both files have the columns frame, yaw, pitch, roll in degrees, of R = Rz(roll) Ry(yaw)
    Rx(pitch); a constant rotation between them is estimated in the first common frame, and taken
    out.

    Attributes:
        truth: CSV file of measured poses.
        track: CSV file of estimated ones, such as the track.csv of `gan-forensics track`.
        below: The share of frames with an angle below this many degrees is told.
    """

    truth: Path
    track: Path
    below: float = 5.0


def errors_table(asked: Compare) -> Table:
    """Errors by axis and as one angle.

    Raises:
        ValueError: for tables that cannot be used, or without a common frame.
        FileNotFoundError: when one is not there.
    """
    frames, errors = compare_poses(read_poses(asked.track), read_poses(asked.truth))
    found = pose_summary(errors, below=asked.below)
    rows = [[axis, found[f"{axis}_mae"], found[f"{axis}_rms"]] for axis in ("pitch", "yaw", "roll")]
    rows += [["mean of the three", found["mae"], found["rms"]], ["angle", found["geodesic"], None]]
    return Table(
        f"Degrees over {len(frames)} common frames ({frames[0]} to {frames[-1]}), after alignment "
        f"in frame {frames[0]}. {100 * found['tracked']:.1f} % of them have an estimate, "
        f"{100 * found['below']:.1f} % an angle below {asked.below:g} degrees. Convention: "
        f"{CONVENTION}.",
        ["axis", "mean absolute", "RMS"],
        rows,
    )


def compare(arguments: Sequence[str] | None = None) -> None:
    """Print the errors of a track from the command line."""
    asked = tyro.cli(Compare, args=arguments, prog="python -m experiments.face_pose_errors")
    try:
        table = errors_table(asked)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{table.caption}\n\n{markdown(table)}")


if __name__ == "__main__":
    piped(compare)
