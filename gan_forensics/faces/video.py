"""Videos in and out through OpenCV (extra `opencv`): guarded, upright, with each frame's own time.

What comes in is a plain file of a container that is told by its first bytes; only its demultiplexer
and the local file are open to FFmpeg, so that no playlist, picture sequence or address inside or
behind a name is followed. Frames that came before any damage are kept, and what the header claimed
stands beside what was decoded.
"""

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.data.sniff import image_format
from gan_forensics.files import in_words, open_regular, written_beside

# FFmpeg's names of the demultiplexers that are allowed, by container.
_DEMULTIPLEXERS = {"MP4": "mov", "Matroska": "matroska", "AVI": "avi", "MPEG-TS": "mpegts"}
_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_START = 400  # bytes: three packets of an MPEG transport stream
_ALLOWED = "MP4 or MOV, WebM or Matroska, AVI and MPEG-TS are read"
# A header may count some more frames than there are: it is estimated from the duration.
_MISSING = 0.02
_MOST_FRAMES = 10**9


class VideoError(ValueError):
    """A video that cannot be used; the message is one line: which, what, how to mend it."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself.

    Attributes:
        width: of an upright frame, in pixels.
        height: likewise.
        claimed: how many frames the header counts or estimates; None where it does not say.
        fps: frames per second on average; None where the header does not say.
        rotation: by how many degrees clockwise stored frames are turned to stand upright: 0, 90,
            180 or 270.
        pixel_aspect: width over height of a pixel; it is told, and not applied.
        container: "MP4", "Matroska" (WebM is one), "AVI" or "MPEG-TS".
        codec: four letters, as FFmpeg has them.
    """

    width: int
    height: int
    claimed: int | None
    fps: float | None
    rotation: int
    pixel_aspect: float
    container: str
    codec: str


class Frame(NamedTuple):
    """One frame.

    Attributes:
        index: from 0, counted over all decoded frames of the file.
        time: the frame's own stamp in seconds; the first frame of a file is near 0.
        image: uint8 [h, w, 3], RGB, upright.
    """

    index: int
    time: float
    image: UInt8[np.ndarray, "h w 3"]


def probe(path: str | os.PathLike) -> VideoInfo:
    """What the header of a video says; no frame is handed out.

    Raises:
        VideoError: missing, a folder, empty, no video, of a container that is not read, cut off
            before its index, without a picture track, or of larger frames than are decoded.
        ImportError: OpenCV is not installed.

    Example:
        >>> probe("clip.mp4").fps  # doctest: +SKIP
    """
    capture, info = _opened(Path(path))
    capture.release()
    return info


def frames(
    path: str | os.PathLike, *, start: int = 0, end: int | None = None, every: int = 1
) -> "Frames":
    """The frames start, start + every, ... before `end` of a video, to be iterated over.

    Args:
        path: of a plain file.
        start: index of the first frame.
        end: index at which to stop, exclusive; None for the end of the file.
        every: step between frames that are handed out; times stay those of the file.

    Raises:
        VideoError: as `probe`; and, on iterating, where no frame is found.
        ValueError: a negative start, an end not behind it, a step below 1.
        ImportError: OpenCV is not installed.

    Example:
        >>> [frame.shape for frame in frames("clip.mp4", every=10)]  # doctest: +SKIP
    """
    if start < 0 or every < 1 or (end is not None and end <= start):
        raise ValueError(
            f"start={start}, end={end}, every={every}: frames count from 0, the end lies behind "
            "the start, and the step is 1 or more"
        )
    return Frames(Path(path), start, end, every, probe(path))


class Frames:
    """Frames of a video file, decoded one after another; every iteration begins anew.

    Attributes:
        info: what the header says.
        decoded: frames of the file decoded so far, those that were skipped included.
        whole: whether decoding came to the end of what the file holds.
        unstamped: frames whose own time was missing or not after that of the frame before; they
            stand one mean interval after it.
        stopped: why decoding stopped before the end, where it did: a frame of another size.
    """

    def __init__(self, path: Path, start: int, end: int | None, every: int, info: VideoInfo):
        self._path, self._wanted = path, (start, end, every)
        self.info = info
        self._begin()

    def _begin(self) -> None:
        self.decoded, self.whole, self.unstamped = 0, False, 0
        self.stopped: str | None = None

    def __iter__(self) -> Iterator[Frame]:
        self._begin()
        capture, info = _opened(self._path)
        try:
            yield from self._decoded(capture, info)
        finally:
            capture.release()

    def _decoded(self, capture: Any, info: VideoInfo) -> Iterator[Frame]:
        import cv2

        start, end, every = self._wanted
        interval, time, handed_out = 1 / (info.fps or 25.0), -math.inf, 0
        while end is None or self.decoded < end:
            if not capture.grab():
                self.whole = True
                break
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not time < stamp < math.inf:
                stamp, self.unstamped = time + interval if self.decoded else 0.0, self.unstamped + 1
            index, time = self.decoded, stamp
            self.decoded += 1
            if index < start or (index - start) % every:
                continue
            found, image = capture.retrieve()
            if not found or image is None:
                self.stopped = f"frame {index} cannot be decoded"
                break
            if image.shape != (info.height, info.width, 3):
                size = "x".join(map(str, image.shape[1::-1]))
                self.stopped = f"frame {index} is {size} where {info.width}x{info.height} began"
                break
            yield Frame(index, time, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            handed_out += 1
        if not handed_out and self.decoded > start:
            raise VideoError(f"{self._path}: {self.stopped}; copy or convert the file again")
        if not handed_out:
            there = f"its {self.decoded} frames end before frame {start}; start earlier"
            none = "no frame can be decoded; copy or convert the file again"
            raise VideoError(f"{self._path}: {there if self.decoded else none}")

    def notes(self) -> list[str]:
        """What a reader of results must know of the frames, in sentences; true after iterating."""
        info, said = self.info, []
        if info.rotation:
            said.append(
                f"frames are stored turned; they were set upright by {info.rotation} degrees"
            )
        if abs(info.pixel_aspect - 1) > 0.01:
            said.append(
                f"pixels are {info.pixel_aspect:.3g} times as wide as high; frames are used as "
                "stored, so that angles and shapes are distorted: convert to square pixels"
            )
        if self.stopped:
            said.append(f"decoding stopped: {self.stopped}; {self.decoded - 1} frames came before")
        if self.whole and info.claimed != self.decoded:
            claim = f"the header counts {info.claimed}" if info.claimed else "the header counts no"
            cut = ": the file was cut off or is damaged" if self.cut_off else ""
            said.append(f"{claim} frames, {self.decoded} were decoded{cut}")
        if self.unstamped:
            said.append(
                f"{self.unstamped} frames have no time of their own and stand one mean interval "
                "after the frame before"
            )
        return said

    @property
    def cut_off(self) -> bool:
        """Whether the file ended before 98 % of the frames of its header, or decoding stopped."""
        short = self.whole and self.decoded < (1 - _MISSING) * (self.info.claimed or 0)
        return short or self.stopped is not None


class VideoWriter:
    """Takes the frames of `write_video`."""

    def __init__(self, path: Path, fps: float):
        self._path, self._fps = path, fps
        self._writer: Any = None
        self._shape: tuple[int, ...] = ()

    def append(self, rgb: UInt8[np.ndarray, "h w 3"]) -> None:
        """Add a frame; all have the size of the first. Odd sizes gain a row or column (copied).

        Raises:
            ValueError: not uint8 RGB, or of another size than the first.
            VideoError: this OpenCV cannot write VP8.
        """
        import cv2

        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[-1] != 3 or 0 in rgb.shape:
            raise ValueError(f"frames are uint8 [h, w, 3], got {rgb.dtype} {list(rgb.shape)}")
        if self._writer is None:
            size = tuple(side + side % 2 for side in rgb.shape[1::-1])
            with _no_stderr():  # It grumbles about a tag and finds the right one.
                self._writer = cv2.VideoWriter(
                    str(self._path), cv2.CAP_FFMPEG, _four("VP80"), self._fps, size
                )
            if not self._writer.isOpened():
                raise VideoError(
                    "this OpenCV cannot write VP8 in WebM; install opencv-python-headless, or do "
                    "without the video"
                )
            self._shape = rgb.shape
        if rgb.shape != self._shape:
            raise ValueError(f"the frames are {self._shape}, and then {rgb.shape}; use one size")
        height, width = rgb.shape[:2]
        bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
        if height % 2 or width % 2:
            bgr = np.pad(bgr, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._writer.write(bgr)

    def release(self) -> None:
        """Write what is still held."""
        if self._writer is not None:
            self._writer.release()


@contextmanager
def write_video(path: str | os.PathLike, fps: float) -> Iterator[VideoWriter]:
    """Write a video that browsers play: VP8 in WebM, of constant frame rate, without sound.

    It is written beside its place and renamed at the end, so that a run which fails or is killed
    leaves no half of one (and the one from before, where there was one).

    Args:
        path: ends in .webm; its folder is made where it is missing.
        fps: frames per second, above 0 and at most 240.

    Raises:
        ValueError: another suffix or rate, or no frame was appended.
        ImportError: OpenCV is not installed.
        VideoError: this OpenCV cannot write VP8.

    Example:
        >>> with write_video("copy.mp4", fps=25) as video:  # doctest: +SKIP
        ...     video.write(frame)
    """
    path = Path(path)
    if path.suffix.lower() != ".webm":
        raise ValueError(f"{path}: videos are written as WebM; let the name end in .webm")
    if not 0 < fps <= 240:
        raise ValueError(f"frames per second are above 0 and at most 240, got {fps}")
    _opencv()
    with written_beside(path) as partial:
        writer = VideoWriter(partial, float(fps))
        try:
            yield writer
        finally:
            writer.release()
        if not partial.stat().st_size:
            raise ValueError(f"{path}: a video needs a frame, and none was given")


def _opened(path: Path) -> tuple[Any, VideoInfo]:
    """A capture before its first frame, and what the header says."""
    container = _container(path)
    cv2 = _opencv()
    # An absolute path is no address; FFmpeg is told what it may open.
    allowed = f"protocol_whitelist;file|format_whitelist;{_DEMULTIPLEXERS[container]}"
    with _environment("OPENCV_FFMPEG_CAPTURE_OPTIONS", allowed), _no_stderr():
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise VideoError(f"{path}: {_why_closed(path, container)}")
    width, height = (
        int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    limit = Image.MAX_IMAGE_PIXELS or math.inf
    if not 0 < width * height <= limit:
        capture.release()
        raise VideoError(
            f"{path}: frames of {width}x{height}, where at most {limit} pixels are decoded for "
            "safety; shrink the video"
        )
    claimed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    fps = capture.get(cv2.CAP_PROP_FPS)
    wide, high = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    letters = code.to_bytes(4, "little").decode("latin-1")
    return capture, VideoInfo(
        width=width,
        height=height,
        claimed=int(claimed) if 0 < claimed < _MOST_FRAMES else None,
        fps=fps if 0 < fps < math.inf else None,
        rotation=int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360,
        pixel_aspect=wide / high if wide > 0 and high > 0 else 1.0,
        container=container,
        codec="".join(c for c in letters if c.isascii() and c.isprintable()) or "unknown",
    )


def _container(path: Path) -> str:
    """The container of a plain file, by its first bytes."""
    try:
        with open_regular(path) as file:
            start = file.read(_START)
    except IsADirectoryError:
        raise VideoError(
            f"{path}: it is a folder; give one video file (pictures in a folder have no times)"
        ) from None
    except FileNotFoundError:
        raise VideoError(f"{path}: no such file; give a video file") from None
    except OSError as error:
        raise VideoError(f"{path}: cannot be opened ({in_words(error)})") from error
    except ValueError as error:
        raise VideoError(f"{error}; give a video file") from None
    if not start:
        raise VideoError(f"{path}: the file is empty (0 bytes); copy or download it again")
    if start[:4] == b"\x1aE\xdf\xa3":
        return "Matroska"
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return "AVI"
    if picture := image_format(start, str(path)):
        raise VideoError(f"{path}: a picture ({picture}), not a video; {_ALLOWED}")
    if start[4:8] in _MP4_BOXES:
        return "MP4"
    for size, at in ((188, 0), (192, 4)):  # the second as cameras store it, with times
        if start[at : at + 2 * size + 1 : size] == b"\x47\x47\x47":
            return "MPEG-TS"
    text = re.fullmatch(rb"[\t\r\n\x20-\x7e\x80-\xff]*", start)
    what = "text, a playlist or a list of files" if text else f"it starts with {start[:8]!r}"
    raise VideoError(f"{path}: not a video of a kind that is read ({what}); {_ALLOWED}")


def _why_closed(path: Path, container: str) -> str:
    if container == "MP4" and not _has_index(path):
        return (
            "its index (moov) is missing: the recording or the copy was cut off before its end; "
            "copy it again, or repair it"
        )
    return "no picture track can be opened; it is damaged, sound alone, or of an unknown codec"


def _has_index(path: Path) -> bool:
    """Whether an MP4 file holds its index, by the sizes of its outermost boxes."""
    with open(path, "rb") as file:
        while len(head := file.read(8)) == 8 and head[4:] != b"moov":
            length, read = int.from_bytes(head[:4]), 8
            if length == 1:
                length, read = int.from_bytes(file.read(8)), 16
            if length < read:
                return False
            file.seek(length - read, os.SEEK_CUR)
    return head[4:] == b"moov"


def _four(letters: str) -> int:
    return int.from_bytes(letters.encode("ascii"), "little")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ImportError("videos need OpenCV: pip install 'gan_forensics[opencv]'") from error
    return cv2


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """The only way in which OpenCV takes options for FFmpeg."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Keep FFmpeg's own lines off the terminal while a file is opened: errors are said in words."""
    try:
        kept = os.dup(2)
    except OSError:  # a process without a terminal
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
