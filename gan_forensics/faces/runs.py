"""The run folder of a tracked clip: rows as they come, a place to go on from, what came out.

config.json         what was asked for, with the digests of the files
track.partial.csv   the rows so far, until the clip is done
checkpoint.npz      the tracker after some of them: from there a resumed run goes on, bit for bit
track.csv           all rows, with the columns that need the whole clip
results.json        counts, gates, speed, origin; written last
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_forensics.faces.candide import default_units, load_wireframe
from gan_forensics.faces.detectors import load_landmark_detector, read_landmarks_csv
from gan_forensics.faces.follow import Follower, no_face, sentences
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
from gan_forensics.files import check_file_in, no_link, read_json, shown, write_json
from gan_forensics.files.archives import read_archive, write_archive
from gan_forensics.train.run_folder import RunFolderError, claim, writing

if TYPE_CHECKING:
    from gan_forensics.faces.tracker import Tracker
    from gan_forensics.faces.tracker_config import TrackerConfig
    from gan_forensics.faces.wireframe import Wireframe

PARTIAL, CHECKPOINT = "track.partial.csv", "checkpoint.npz"
TRACK, RESULTS = "track.csv", "results.json"
# Frames from one checkpoint to the next: a resumed run does fewer than these again.
CHECKPOINT_EVERY = 100


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


def _digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, of those of its files in the order of their names."""
    whole = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


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
    if clip.model is not None:
        check_file_in(clip.model, "a wireframe face as .wfm file")
    source = frames(clip.video, start=clip.start, end=clip.end, every=clip.every)
    wireframe = load_wireframe(clip.model)
    units = default_units(wireframe)
    names = column_names([wireframe.animation_names[unit] for unit in units])
    columns = Columns(names, tuple(sorted(wireframe.landmarks)))
    points = read_landmarks_csv(clip.init) if clip.init else None
    detector = load_landmark_detector(clip.landmarks) if clip.landmarks else None
    with writing(run):
        claim(run, {"track": {**clip.saved(), "tracker": asdict(config)}}, resume=resume)
        if (run / RESULTS).exists():
            say(f"{run} is complete: it has a row for every frame that was asked for")
            results = read_json(run / RESULTS)
            return Tracked(read_track(run / TRACK), results, wireframe, units, columns)
        face = Follower(wireframe, config, points, detector, say)
        goes_on = _restored(run, face)
        if resume and goes_on is None:
            say(f"nothing to resume in {run}: starts anew")
        try:
            source = _run(clip, run, columns, face, goes_on, progress, source)
        except ValueError:
            if face.tracker is None:  # Nothing to keep: the folder may be used again.
                for name in (PARTIAL, "config.json"):
                    (run / name).unlink(missing_ok=True)
            raise
        table = finished(columns, read_track(run / PARTIAL), inflation=config.inflation)
        write_track(run / TRACK, table)
        results = {
            **_results(clip, source, face, table, columns),
            "protocol": dict(facts or {}),
        }
        write_json(run / RESULTS, results)
        for line in source.notes():
            say(line)
        for name in (PARTIAL, CHECKPOINT):
            (run / name).unlink(missing_ok=True)
    return Tracked(table, results, wireframe, units, columns)


def _run(
    clip: Clip,
    run: Path,
    columns: Columns,
    face: Follower,
    goes_on: tuple[int, int] | None,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]],
    source: Frames,
) -> Frames:
    """Write a row for every frame that is still to come; the frames, for what they say."""
    first, keep = goes_on or (clip.start, 0)
    if clip.end is not None and first >= clip.end:
        for _ in source:  # All rows are there; it is counted what was decoded.
            pass
        return source
    if goes_on:
        source = frames(clip.video, start=first, end=clip.end, every=clip.every)
    with _appending(run / PARTIAL, columns, keep) as append:
        try:
            for count, frame in enumerate(progress(source), start=1):
                estimate = face.follow(frame)
                size = append(row_of(columns, frame.index, frame.time, estimate, face.init))
                if face.tracker is not None and count % CHECKPOINT_EVERY == 0:
                    header, arrays = face.saved()
                    header |= {"next": frame.index + clip.every, "bytes": size}
                    write_archive(run / CHECKPOINT, header, arrays)
        except ValueError:
            # Of a run that was killed after its last frame nothing is left to decode.
            if goes_on is None or not source.whole:
                raise
    if face.tracker is None:
        raise no_face(face.looked)
    return source


@contextmanager
def _appending(
    path: Path, columns: Columns, keep: int
) -> Iterator[Callable[[dict[str, Any]], int]]:
    """Append rows to a file of which the first bytes are kept; each call tells its size then."""
    with open(path, "r+b" if keep else "wb", opener=no_link) as file:
        file.truncate(keep)
        file.seek(keep)

        def append(row: dict[str, Any]) -> int:
            file.write((",".join(cell(row[name]) for name in columns.streamed) + "\n").encode())
            file.flush()  # A process that is killed leaves its rows.
            return file.tell()

        if not keep:
            file.write((",".join(columns.streamed) + "\n").encode())
        yield append


def _restored(run: Path, face: Follower) -> tuple[int, int] | None:
    """Bring a face back from a checkpoint; the next frame and the bytes of its rows, or None."""
    path = run / CHECKPOINT
    if not path.exists():
        return None
    try:
        header, arrays = read_archive(path)
        there = (run / PARTIAL).stat().st_size
        if not (0 < int(header["next"]) < 2**31 and 0 < int(header["bytes"]) <= there):
            raise ValueError(f"{PARTIAL} is shorter than it says")
        face.restore(header, arrays)
    # Whatever a tracker raises at arrays and numbers that are not its own.
    except Exception as error:
        reason = shown(error) or type(error).__name__
        raise RunFolderError(
            f"{shown(path)} cannot be gone on from ({reason}): remove the folder and start anew"
        ) from error
    face.say(f"resumed at frame {header['next']} (checkpoint)")
    return int(header["next"]), int(header["bytes"])


def kept(run: Path) -> str:
    """What a run that was interrupted while it tracked has kept, and how it goes on."""
    if not (run / PARTIAL).exists():
        return f"{run} holds no rows yet"
    rows = (run / PARTIAL).read_bytes().count(b"\n") - 1
    there = (run / CHECKPOINT).exists()
    at = (
        f"goes on at frame {read_archive(run / CHECKPOINT)[0]['next']}"
        if there
        else (f"starts anew (a checkpoint comes every {CHECKPOINT_EVERY} frames)")
    )
    return f"{max(rows, 0)} rows are kept in {run / PARTIAL}; the same command with --resume {at}"


def _results(
    clip: Clip, source: Frames, face: Follower, table: Table, columns: Columns
) -> dict[str, Any]:
    """What stands in results.json."""
    info, tracker = source.info, face.tracker
    assert tracker is not None
    held, accepted = table["lost"] == 0, table["accepted"] > 0
    return {
        "clip": {
            "name": clip.video.name,
            "size": f"{info.width}x{info.height}",
            "container": info.container,
            "codec": info.codec,
            "frames_per_second": info.fps,
            "frames_claimed": info.claimed,
            "frames_decoded": source.decoded,
            "decoded_to_its_end": source.whole,
            "rotation": info.rotation,
        },
        "notes": [*source.notes(), *sentences(face.facts, face.looked - 1)],
        "face": face.facts,
        "model": {
            "name": clip.model.name if clip.model else "the package's own face",
            "units": list(tracker.units),
            "landmarks": len(columns.points),
            "tracked_vertices": len(face.wireframe.tracked),
        },
        "rows": {
            "frames": len(held),
            "before_a_face_was_found": face.looked - 1,
            "lost": int((~held).sum()),
            "found_again": int(table["reinitialised"].sum()),
            "beyond_the_gate": int((held & ~accepted).sum()),
            "accepted": int(accepted.sum()),
            "learned_from": int((table["learned"] > 0).sum()),
        },
        "gates": _gates(tracker),
        "working_scale": {
            "frame_pixels_per_pixel": tracker.setting.reduction,
            "cell_of_the_maps": tracker.setting.stride,
        },
        "bias_in_the_first_frame_degrees": list(map(float, tracker.bias)),
        "uncertainty_inflation": face.config.inflation,
        "degrees": {
            name: {
                "lowest": float(np.min(table[name][accepted])),
                "median": float(np.median(table[name][accepted])),
                "highest": float(np.max(table[name][accepted])),
            }
            for name in ANGLES
            if accepted.any()
        },
        "medians": {
            name: float(np.median(table[name][accepted]))
            for name in columns.units
            if accepted.any()
        },
        "speed": {
            "frames_per_second": face.timed / face.seconds if face.seconds else None,
            "start_up_seconds": face.start_up,
        },
    }


def _gates(tracker: "Tracker") -> dict[str, float | None]:
    """The bounds that the clip's own energies made, as of its last frame."""
    gates = tracker.gates
    bounds = {
        "typical": gates.typical,
        "learned_below": gates.learn,
        "accepted_below": gates.frame,
        "wrong_place": gates.wrong,
    }
    # Infinite while there are too few frames to tell.
    finite = {k: float(v) if np.isfinite(v) else None for k, v in bounds.items()}
    return finite | {"accepted_frames_behind_them": gates.frames}
