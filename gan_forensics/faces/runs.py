"""The run folder of a tracked clip: rows as they come, a place to go on from, what came out.

config.json         what was asked for, with the digests of the files
track.partial.csv   the rows so far, until the clip is done
checkpoint.npz      the tracker after some of them: from there a resumed run goes on, bit for bit
track.csv           all rows, with the columns that need the whole clip
results.json        counts, gates, speed, origin; written last
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_forensics.data.files import check_file_in, read_archive, write_archive, write_json
from gan_forensics.faces import tracker as tracking
from gan_forensics.faces.candide import default_units, load_wireframe
from gan_forensics.faces.detectors import load_landmark_detector, read_landmarks_csv
from gan_forensics.faces.initial import Found, LandmarkDetector, find_face, given_face
from gan_forensics.faces.rows import (
    ANGLES,
    Columns,
    Table,
    cell,
    column_names,
    finished,
    read_track,
    row_of,
    write_track,
)
from gan_forensics.faces.video import Frame, Frames, frames
from gan_forensics.train.run_folder import RunFolderError, claim, read_config, writing

if TYPE_CHECKING:
    from gan_forensics.faces.tracker import Estimate, Tracker, TrackerConfig
    from gan_forensics.faces.wireframe import Wireframe

PARTIAL, CHECKPOINT = "track.partial.csv", "checkpoint.npz"
TRACK, RESULTS = "track.csv", "results.json"
# Frames from one checkpoint to the next: a resumed run does fewer than these again.
CHECKPOINT_EVERY = 100
# Frames that are looked at before a clip is said to have no face.
LOOK_FOR = 250
# A lost face is looked for in every so-manieth frame: finding one takes as long as many frames.
LOOK_AGAIN_EVERY = 5


@dataclass(frozen=True)
class Clip:
    """What is tracked, and from what.

    Attributes:
        video: path of a video.
        model: .wfm file; None is the package's own face.
        init: CSV of landmarks (point, x, y) in the first frame; None without.
        landmarks: path of a detector of landmarks; None without.
        start: the first frame, from 0.
        end: the frame to stop before; None for all.
        every: frames from one that is tracked to the next.
    """

    video: Path
    model: Path | None = None
    init: Path | None = None
    landmarks: Path | None = None
    start: int = 0
    end: int | None = None
    every: int = 1

    def saved(self) -> dict[str, Any]:
        """For config.json: files by name and digest, so that folders may move."""
        facts = asdict(self)
        for name in ("video", "model", "init", "landmarks"):
            path = getattr(self, name)
            facts[name] = None if path is None else {"name": path.name, "sha256": _digest(path)}
        return facts


class Tracked(NamedTuple):
    """A clip that was tracked.

    Attributes:
        table: the columns of track.csv.
        results: what stands in results.json.
        wireframe: that was fitted.
        units: the animation units that were tracked, by index.
        columns: of the table.
    """

    table: Table
    results: dict[str, Any]
    wireframe: "Wireframe"
    units: tuple[int, ...]
    columns: Columns


def track_clip(
    clip: Clip,
    run: Path,
    config: "TrackerConfig",
    *,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = lambda frames: frames,
) -> Tracked:
    """Track a face through a clip, into a run folder.

    Args:
        clip: what is tracked.
        run: the folder.
        config: of the tracker.
        resume: go on with what the folder holds.
        facts: for results.json, such as the versions of libraries.
        say: told, a line at a time, what was found.
        progress: passes the frames on and shows how they go by.

    Raises:
        RunFolderError: when the folder holds another run, or one and `resume` is false.
        ValueError: for a video, model or landmarks that cannot be used, and for a clip in which no
            face is found.
    """
    for path, what in (
        (clip.model, "a .wfm file"),
        (clip.init, "a CSV file of landmarks: point, x, y"),
    ):
        if path is not None:
            check_file_in(path, what)
    source = frames(clip.video, start=clip.start, end=clip.end, every=clip.every)
    wireframe = load_wireframe(clip.model)
    units = default_units(wireframe)
    names = [wireframe.animation_names[unit] for unit in units]
    columns = Columns(column_names(names), tuple(sorted(wireframe.landmarks)))
    points = read_landmarks_csv(clip.init) if clip.init else None
    detector = load_landmark_detector(clip.landmarks) if clip.landmarks else None
    with writing(run):
        claim(run, {"track": {**clip.saved(), "tracker": asdict(config)}}, resume=resume)
        if (run / RESULTS).exists():
            say(f"{run} is complete: it has a row for every frame that was asked for")
            results = json.loads((run / RESULTS).read_text(encoding="utf-8"))
            return Tracked(read_track(run / TRACK), results, wireframe, units, columns)
        work = _Work(wireframe, units, config, points, detector, say)
        goes_on = _restored(run, work)
        began = time.perf_counter()
        source = _run(clip, run, columns, work, goes_on, progress, source)
        took = time.perf_counter() - began
        table = finished(columns, read_track(run / PARTIAL), inflation=tracking.INFLATION)
        write_track(run / TRACK, table)
        results = {
            **_results(clip, source, work, table, columns, names),
            "protocol": dict(facts or {}),
        }
        if goes_on is None:
            results["speed"]["whole_seconds"] = took
        write_json(run / RESULTS, results)
        for name in (PARTIAL, CHECKPOINT):
            (run / name).unlink(missing_ok=True)
    return Tracked(table, results, wireframe, units, columns)


@dataclass
class _Work:
    """A face that is followed from frame to frame; what changes is kept in checkpoints."""

    wireframe: "Wireframe"
    units: tuple[int, ...]
    config: "TrackerConfig"
    points: np.ndarray | None
    detector: LandmarkDetector | None
    say: Callable[[str], None]
    tracker: "Tracker | None" = None
    # Of the last initialisation; and how many frames ago the face was lost.
    init: str = "none"
    lost_for: int = 0
    looked: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    # Frames that were tracked after the first, and the seconds that they took.
    timed: int = 0
    seconds: float = 0.0

    SAVED = ("init", "lost_for", "looked", "facts", "timed", "seconds")

    def follow(self, frame: Frame) -> "Estimate | None":
        """The estimate of the next frame; None as long as there is no face."""
        gray = gray_of(frame.image)
        if self.tracker is None:
            return self._begin(frame, gray)
        began = time.perf_counter()
        if self.lost_for and self.lost_for % LOOK_AGAIN_EVERY == 0:
            self._look_again(frame, gray)
        estimate = self.tracker.track(gray)
        self.lost_for = self.lost_for + 1 if estimate.lost else 0
        self.timed += 1
        self.seconds += time.perf_counter() - began
        return estimate

    def _find(self, frame: Frame) -> Found | None:
        return find_face(
            frame.image, self.wireframe, self.units, self.config.camera, self.detector
        )

    def _begin(self, frame: Frame, gray: np.ndarray) -> "Estimate | None":
        if self.points is not None:
            found = given_face(
                frame.image, self.points, self.wireframe, self.units, self.config.camera
            )
        else:
            found = self._find(frame)
        self.looked += 1
        if found is None:
            if self.looked >= LOOK_FOR:
                raise no_face(self.looked)
            return None
        began = time.perf_counter()
        self.tracker = tracking.start(gray, found.fit, self.wireframe, self.config)
        estimate = self.tracker.track(gray)
        self.init = found.init
        self.facts = _facts_of(found, frame, time.perf_counter() - began)
        for line in _sentences(self.facts, self.looked - 1):
            self.say(line)
        return estimate

    def _look_again(self, frame: Frame, gray: np.ndarray) -> None:
        found = self._find(frame)
        if found is not None and self.tracker is not None:
            self.tracker.reinitialise(gray, found.fit)
            self.init = found.init


def gray_of(image: np.ndarray) -> np.ndarray:
    """RGB as gray, uint8, by the weights of ITU-R BT.601."""
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def no_face(looked: int) -> ValueError:
    """The error of a clip without a face."""
    return ValueError(
        f"no face was found in the first {looked} frame{'s' * (looked > 1)} that were looked at: "
        "one is found when it looks into the camera, upright and not small; begin with --start "
        "where it does, or give its landmarks with --init"
    )


def _facts_of(found: Found, frame: Frame, seconds: float) -> dict[str, Any]:
    residual = found.fit.residual
    known = bool(np.isfinite(residual).any())
    return {
        "init": found.init,
        "frame": frame.index,
        "box": None if found.box is None else [round(float(side), 1) for side in found.box[:4]],
        "other_faces": [[round(float(side), 1) for side in box[:4]] for box in found.others],
        "fit_residual_px": float(np.nanmedian(residual)) if known else None,
        "shape": np.asarray(found.fit.shape, float).tolist(),
        "start_up_seconds": seconds,
    }


def _sentences(facts: Mapping[str, Any], before: int) -> Iterator[str]:
    """What to say of how a clip began."""
    if before:
        yield f"no face in {before} frames before frame {facts['frame']}: their rows are empty"
    if others := facts["other_faces"]:
        yield (
            f"{len(others) + 1} faces in frame {facts['frame']}: the largest is tracked, in the "
            f"box {facts['box']} (x, y, width, height); the others are {others}"
        )
    if facts["init"] == "box":
        yield (
            f"WARNING: frame {facts['frame']} has a face box {facts['box']} and no landmarks: the "
            "mean face is laid on it, which is no initialisation. Every position is off by several "
            "pixels, and no later frame mends it. Give --init or --landmarks"
        )
    else:
        yield (
            f"frame {facts['frame']}: the face fits its landmarks to "
            f"{facts['fit_residual_px']:.1f} px (median)"
        )


def _run(
    clip: Clip,
    run: Path,
    columns: Columns,
    work: _Work,
    goes_on: tuple[int, int] | None,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]],
    source: Frames,
) -> Frames:
    """Write a row for every frame that is still to come; the frames, for what they say."""
    first, keep = goes_on or (clip.start, 0)
    if clip.end is not None and first >= clip.end:
        return source
    if goes_on:
        source = frames(clip.video, start=first, end=clip.end, every=clip.every)
    last = None
    with _appending(run / PARTIAL, columns, keep) as append:
        try:
            for count, frame in enumerate(progress(source), start=1):
                estimate = work.follow(frame)
                size = append(row_of(columns, frame.index, frame.time, estimate, work.init))
                last = frame.index
                if work.tracker is not None and count % CHECKPOINT_EVERY == 0:
                    header = {name: getattr(work, name) for name in work.SAVED}
                    header |= {"next": frame.index + clip.every, "bytes": size}
                    write_archive(run / CHECKPOINT, header, work.tracker.snapshot())
        except ValueError:
            # Of a run that was killed after its last frame nothing is left to decode.
            if goes_on is None or last is not None or not source.whole:
                raise
    if work.tracker is None:
        raise no_face(work.looked)
    return source


@contextmanager
def _appending(
    path: Path, columns: Columns, keep: int
) -> Iterator[Callable[[dict[str, Any]], int]]:
    """Append rows to a file of which the first bytes are kept; each call tells its size then."""
    with path.open("r+b" if keep else "wb") as file:
        file.truncate(keep)
        file.seek(keep)

        def append(row: dict[str, Any]) -> int:
            file.write((",".join(cell(row[name]) for name in columns.streamed) + "\n").encode())
            file.flush()  # A process that is killed leaves its rows.
            return file.tell()

        if not keep:
            file.write((",".join(columns.streamed) + "\n").encode())
        yield append


def _restored(run: Path, work: _Work) -> tuple[int, int] | None:
    """Bring a face back from a checkpoint; the next frame and the bytes of its rows, or None."""
    path = run / CHECKPOINT
    if not path.exists():
        return None
    try:
        header, arrays = read_archive(path)
        if header["bytes"] > (run / PARTIAL).stat().st_size:
            raise ValueError(f"{PARTIAL} is shorter than it says")
        for name in work.SAVED:
            setattr(work, name, header[name])
        work.tracker = tracking.restore(arrays, work.wireframe, work.config)
    except (ValueError, KeyError, OSError) as error:
        raise RunFolderError(
            f"{path} cannot be gone on from ({error}): remove the folder and start anew"
        ) from error
    work.say(f"going on at frame {header['next']}")
    return header["next"], header["bytes"]


def _results(
    clip: Clip, source: Frames, work: _Work, table: Table, columns: Columns, names: list[str]
) -> dict[str, Any]:
    """What stands in results.json."""
    info, tracker = source.info, work.tracker
    assert tracker is not None
    held = table["lost"] == 0
    init = work.facts["init"]
    return {
        "clip": {
            "name": clip.video.name,
            "size": f"{info.width}x{info.height}",
            "container": info.container,
            "codec": info.codec,
            "frames_per_second": info.fps,
            "frames_claimed": info.claimed,
            "frames_decoded": source.decoded,
            "rotation": info.rotation,
        },
        "notes": [*source.notes(), *_sentences(work.facts, work.looked - 1)],
        "face": work.facts,
        "model": {
            "name": clip.model.name if clip.model else "the package's own face",
            "units": names,
            "landmarks": len(columns.points),
            "tracked_vertices": len(work.wireframe.tracked),
        },
        "rows": {
            "frames": len(held),
            "before_a_face_was_found": work.looked - 1,
            "lost": int((~held).sum()),
            "reinitialised": int(table["reinitialised"].sum()),
            "model_not_updated": int((held & (table["updated"] == 0)).sum()),
            f"init_{init}": int((table["init"] == init).sum()),
        },
        "gates": {name: float(value) for name, value in tracker.gates.items()},
        "working_scale": float(tracker.scale),
        "uncertainty_inflation": tracking.INFLATION,
        "degrees": {
            name: {
                "lowest": float(np.min(table[name][held])),
                "median": float(np.median(table[name][held])),
                "highest": float(np.max(table[name][held])),
            }
            for name in ANGLES
            if held.any()
        },
        "medians": {
            name: float(np.median(table[name][held])) for name in columns.units if held.any()
        },
        "speed": {
            "frames_per_second": work.timed / work.seconds if work.seconds else None,
            "start_up_seconds": work.facts["start_up_seconds"],
        },
    }
