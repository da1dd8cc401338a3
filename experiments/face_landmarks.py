"""Landmarks of every frame of a video, for `experiments.face_tracking` to be measured against.

    python -m experiments.face_landmarks franck.webm --detector WEIGHTS --out franck.csv

WEIGHTS is dlib's shape_predictor_68_face_landmarks.dat (extra `landmarks`) or the folder of
face-api's weights. Writes frame,x0,y0,...,x67,y67 (0-based iBUG order, pixels of the upright frame,
empty cells where no face was found). The largest face of each frame is taken, and every frame is
looked at alone: what comes out jitters, and is no truth.
"""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gan_forensics.cli.entry import piped
from gan_forensics.faces import video
from gan_forensics.faces.detectors import detect_boxes, load_landmark_detector
from gan_forensics.files import check_file_out, written_beside
from gan_forensics.files.progress import progress_bar
from gan_forensics.studies.face_tracking_real import COLUMNS


@dataclass(frozen=True)
class Detect:
    """Write the 68 landmarks of the largest face in every frame of a video to a CSV file.

    Attributes:
        video: The video: MP4 or MOV, WebM or Matroska, AVI, MPEG-TS.
        detector: dlib's predictor file (extra `landmarks`), or the folder of face-api's weights.
        out: CSV file for the points, in pixels: frame, x0, y0, ... y67; empty without a face.
        frames: How many to look at, from the first; 0 is all.
    """

    video: Annotated[Path, tyro.conf.Positional]
    detector: Path
    out: Path
    frames: int = 0


def write_landmarks(asked: Detect) -> tuple[int, int]:
    """Detect and write; returns how many frames there were, and how many of them had a face."""
    check_file_out(asked.out)
    find = load_landmark_detector(asked.detector)
    frames = seen = 0
    with written_beside(asked.out) as path, path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        every = video.frames(asked.video, end=asked.frames or None)
        for frame in progress_bar(every, unit="frame"):
            boxes = detect_boxes(frame.image)
            points = find(frame.image, tuple(boxes[0][:4])).ravel() if boxes else [None] * 136
            rows.writerow([frame.index, *points])
            frames, seen = frames + 1, seen + bool(boxes)
    return frames, seen


def detect(arguments: Sequence[str] | None = None) -> None:
    """Write the landmarks of a video from the command line."""
    asked = tyro.cli(Detect, args=arguments, prog="python -m experiments.face_landmarks")
    try:
        frames, seen = write_landmarks(asked)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{asked.out}: {frames} frames, a face in {seen} of them")


if __name__ == "__main__":
    piped(detect)
