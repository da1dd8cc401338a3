"""A tracked clip once more, with the face of every row of its track drawn over it.

This is a pass of its own over the video, so that drawing costs tracking no time, and so that a run
that was stopped and went on gets a whole video too.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.faces.camera import camera
from gan_forensics.faces.draw import Canvas
from gan_forensics.faces.rows import Table, rows_of, state_of
from gan_forensics.faces.video import Frame, frames, write_video
from gan_forensics.faces.wireframe import Wireframe, deform

if TYPE_CHECKING:
    from gan_forensics.faces.runs import Clip, Tracked

VIDEO = "overlay.webm"
# In units of the model, which is about as wide as a face.
AXIS_LENGTH = 0.6
STILLS = 6
# Where a video's header names no rate.
_RATE = 25.0


@dataclass(frozen=True)
class Face:
    """The face of a clip, to be placed as the rows of its track say.

    Attributes:
        wireframe: the model.
        shape: its shape parameters, of the person.
        units: the animation units that were tracked, by index.
        columns: the columns that hold their parameters.
        camera: its name.
    """

    wireframe: Wireframe
    shape: Float[np.ndarray, " s"]
    units: tuple[int, ...]
    columns: tuple[str, ...]
    camera: str

    def placed(
        self, row: Mapping[str, Any], height: int, width: int
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "k 2"], Float[np.ndarray, "4 2"]]:
        """Where vertices, landmarks and axes of a row are in the image; see `Canvas.draw`."""
        pose, animation = state_of(row, self.columns)
        wireframe = self.wireframe
        units = wireframe.animation[list(self.units)]
        vertices = deform(wireframe.vertices, wireframe.shape, units, self.shape, animation)
        ends = np.vstack([np.zeros(3), AXIS_LENGTH * np.eye(3)])
        project = camera(self.camera, width=width, height=height)
        uv, _ = project(np.vstack([vertices, ends]), pose)  # pyright: ignore[reportArgumentType]
        uv, axes = np.asarray(uv[:-4]), np.asarray(uv[-4:])
        return uv, uv[list(wireframe.landmarks.values())], axes


class Overlay(NamedTuple):
    """A video that was drawn.

    Attributes:
        path: of the video.
        frames_per_second: how fast it was drawn and written, decoding apart.
    """

    path: Path
    frames_per_second: float


def draw_clip(
    clip: "Clip",
    run: Path,
    tracked: "Tracked",
    *,
    video: bool = True,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = lambda frames: frames,
) -> tuple[list[tuple[str, UInt8[np.ndarray, "H W 3"]]], Overlay | None]:
    """Draw a clip's track over its frames.

    Args:
        clip: as it was tracked.
        run: folder for the video.
        tracked: what came out.
        video: write one; without it only the stills are drawn.
        progress: passes the frames on and shows how they go by.

    Returns:
        Stills, each with a caption, and the video.
    """
    table, facts = tracked.table, tracked.results
    face = Face(
        tracked.wireframe,
        np.asarray(facts["face"]["shape"]),
        tracked.units,
        tracked.columns.units,
        facts["face"]["camera"],
    )
    rows = {int(row["frame"]): row for row in rows_of(table)}
    chosen = still_frames(table)
    stills: list[tuple[str, np.ndarray]] = []
    canvas: Canvas | None = None
    seconds = 0.0

    def drawn(frame: Frame) -> np.ndarray:
        nonlocal canvas, seconds
        began = time.perf_counter()
        if canvas is None:
            canvas = Canvas(*frame.image.shape[:2], triangles=face.wireframe.triangles)
        row = rows[frame.index]
        image = overlay(canvas, face, frame.image, row)
        seconds += time.perf_counter() - began
        if frame.index in chosen:
            stills.append((f"frame {frame.index}, {frame.time:.2f} s", image))
        return image

    if not video:
        last = max(chosen) + 1
        for frame in frames(clip.video, start=clip.start, end=last, every=clip.every):
            if frame.index in chosen:
                drawn(frame)
        return stills, None
    source = frames(clip.video, start=clip.start, end=clip.end, every=clip.every)
    rate = min((source.info.fps or _RATE) / clip.every, 240.0)
    count = 0
    with write_video(run / VIDEO, rate) as written:
        for frame in progress(source):
            if frame.index not in rows:
                break
            image = drawn(frame)
            began = time.perf_counter()
            written.append(image)
            seconds += time.perf_counter() - began
            count += 1
    return stills, Overlay(run / VIDEO, count / seconds if seconds else 0.0)


def still_frames(table: Table) -> set[int]:
    """Frames to show: the first and the last, evenly spaced ones, and that of greatest energy."""
    numbers = table["frame"].astype(int)
    chosen = np.linspace(0, len(numbers) - 1, STILLS - 1).round().astype(int)
    energy = np.where(np.isfinite(table["energy"]), table["energy"], -np.inf)
    return {int(numbers[i]) for i in (*chosen, int(np.argmax(energy)))}


def overlay(
    canvas: Canvas, face: Face, frame: UInt8[np.ndarray, "h w 3"], row: Mapping[str, Any]
) -> UInt8[np.ndarray, "H W 3"]:
    """A frame with what its row says; without a pose there are only the words."""
    uv, landmarks, axes = (
        face.placed(row, canvas.height, canvas.width)
        if np.isfinite(row["yaw"])
        else (None, None, None)
    )
    return canvas.draw(frame, uv, landmarks, axes, words(row), lost=bool(row["lost"]))


def words(row: Mapping[str, Any]) -> tuple[str, str]:
    """The numbers of a row, and its flags, as they stand below its frame."""
    when = f"frame {row['frame']:.0f}   {row['time']:.2f} s"
    if not np.isfinite(row["yaw"]):
        return when, "no face was found yet"
    angles = "   ".join(
        # Of a lost face the last pose is known, and no deviation.
        f"{name} {row[name]:+.1f}" + f" \u00b1 {row[f'{name}_sd']:.1f}" * (not row["lost"])
        for name in ("yaw", "pitch", "roll")
    )
    flags = [
        f"init={row['init']}",
        f"confidence {row['confidence']:.2f}",
        f"energy {row['energy']:.0f}",
        *["LOST"] * bool(row["lost"]),
        *["beyond the gate"] * (not row["accepted"] and not row["lost"]),
        *["found again"] * bool(row["reinitialised"]),
    ]
    return f"{when}   {angles}", "   ".join(flags)
