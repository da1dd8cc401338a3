"""Videos: frames upright and with their own times, damage told in words, files written whole."""

import io
import math
import os
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from gan_forensics.faces import video
from gan_forensics.faces.video import VideoError, frames, probe, write_video

cv2 = pytest.importorskip("cv2")
TALKING_FACE = os.environ.get("GAN_FORENSICS_TALKING_FACE", "")
HEIGHT, WIDTH = 48, 64


def picture(number=0, height=HEIGHT, width=WIDTH):
    """Gray that tells the frame's number, and a red corner at the top left."""
    image = np.full((height, width, 3), 40 + 15 * number, np.uint8)
    image[: height // 3, : width // 4] = (220, 20, 20)
    return image


def written(path, count=6, code="mp4v", fps=25, pictures=None):
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), fps, (WIDTH, HEIGHT)
    )
    for number in range(count):
        image = picture(number) if pictures is None else pictures[number]
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return path


def box(data, path):
    """Places of the nested boxes of an MP4 file that a path names; the last is the one wanted."""
    start, end, places = 0, len(data), []
    for name in path.split("/"):
        while data[start + 4 : start + 8] != name.encode():
            start += int.from_bytes(data[start : start + 4])
            assert start < end, name
        places.append(start)
        start, end = start + 8, start + int.from_bytes(data[start : start + 4])
    return places


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    return written(tmp_path_factory.mktemp("video") / "six.mp4").read_bytes()


def test_frames_come_in_order_with_their_times(mp4, tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4)
    read = frames(tmp_path / "a.mp4")
    found = list(read)
    assert [frame.index for frame in found] == list(range(6))
    np.testing.assert_allclose([frame.time for frame in found], np.arange(6) / 25)
    for frame in found:
        assert frame.image.dtype == np.uint8 and frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image[-1, -1].mean() == pytest.approx(40 + 15 * frame.index, abs=4)
        assert frame.image[2, 2, 0] > 150 > 80 > frame.image[2, 2, 2]  # RGB
    assert (read.decoded, read.whole, read.notes()) == (6, True, [])
    assert read.info == video.VideoInfo(WIDTH, HEIGHT, 6, 25.0, 0, 1.0, "MP4", "FMP4")
    assert [frame.index for frame in read] == list(range(6))  # once more


def test_start_end_and_every_keep_index_and_time(mp4, tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4)
    read = frames(tmp_path / "a.mp4", start=1, end=5, every=2)
    found = list(read)
    assert [frame.index for frame in found] == [1, 3]
    np.testing.assert_allclose([frame.time for frame in found], [0.04, 0.12])
    assert found[1].image[-1, -1].mean() == pytest.approx(40 + 15 * 3, abs=4)
    # What was not read to its end says nothing of how many frames there are.
    assert (read.decoded, read.whole, read.notes()) == (5, False, [])
    with pytest.raises(VideoError, match="its 6 frames end before frame 6; start earlier"):
        list(frames(tmp_path / "a.mp4", start=6))


@pytest.mark.parametrize(
    "wrong", [{"start": -1}, {"every": 0}, {"start": 3, "end": 3}, {"end": 0}], ids=str
)
def test_a_range_that_cannot_be_is_refused(mp4, tmp_path, wrong):
    (tmp_path / "a.mp4").write_bytes(mp4)
    with pytest.raises(ValueError, match="the step is 1 or more"):
        frames(tmp_path / "a.mp4", **wrong)


def test_times_of_a_variable_rate_are_the_frames_own(mp4, tmp_path):
    data = bytearray(mp4)
    steps = (1, 2, 1, 4, 1, 1)
    places = box(data, "moov/trak/mdia/minf/stbl/stts")
    at = places[-1]
    unit = int.from_bytes(data[at + 20 : at + 24])
    table = b"".join(struct.pack(">II", 1, unit * step) for step in steps)
    table = struct.pack(">I4sII", 16 + len(table), b"stts", 0, len(steps)) + table
    grown = len(table) - int.from_bytes(data[at : at + 4])
    data[at : at + len(table) - grown] = table
    for place in places[:-1]:
        data[place : place + 4] = (int.from_bytes(data[place : place + 4]) + grown).to_bytes(4)
    # The edit list would cut the film to its old length.
    edits = box(data, "moov/trak/edts")[-1]
    data[edits + 4 : edits + 8] = b"free"
    (tmp_path / "a.mp4").write_bytes(data)
    times = [frame.time for frame in frames(tmp_path / "a.mp4")]
    np.testing.assert_allclose(times, np.cumsum((0, *steps[:-1])) / 25)


def test_frames_without_a_time_of_their_own_stand_after_the_one_before(mp4, tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(mp4)
    real, stamps = cv2.VideoCapture, iter([0.0, 0.0, 80.0, float("nan"), math.inf, 10.0])

    class Unstamped:
        def __init__(self, *given):
            self._capture = real(*given)

        def __getattr__(self, name):
            return getattr(self._capture, name)

        def get(self, key):
            return next(stamps) if key == cv2.CAP_PROP_POS_MSEC else self._capture.get(key)

    monkeypatch.setattr(cv2, "VideoCapture", Unstamped)
    read = frames(tmp_path / "a.mp4")
    np.testing.assert_allclose([frame.time for frame in read], np.arange(6) * 0.04)
    assert read.unstamped == 4 and "4 frames have no time of their own" in read.notes()[0]


@pytest.mark.parametrize(
    ("rotation", "matrix", "corner"),
    [
        (0, (1, 0, 0, 1), (0, 0)),
        (90, (0, 1, -1, 0), (0, -1)),
        (180, (-1, 0, 0, -1), (-1, -1)),
        (270, (0, -1, 1, 0), (-1, 0)),
    ],
)
def test_a_turned_video_comes_upright(mp4, tmp_path, rotation, matrix, corner):
    data = bytearray(mp4)
    at = box(data, "moov/trak/tkhd")[-1] + 48
    a, b, c, d = (int(number) << 16 for number in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(data)
    read = frames(tmp_path / "a.mp4")
    first = next(iter(read)).image
    size = (HEIGHT, WIDTH) if rotation in (0, 180) else (WIDTH, HEIGHT)
    assert first.shape == (*size, 3) == (read.info.height, read.info.width, 3)
    assert read.info.rotation == rotation
    assert bool(read.notes()) == bool(rotation)
    red = [(y, x) for y in (0, -1) for x in (0, -1) if first[y, x, 0] > 150]
    assert red == [corner]


@pytest.fixture(scope="module")
def webm(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("video") / "noise.webm"
    with write_video(path, 20) as writer:
        for number in range(12):
            noise = rng.integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            writer.append(picture(number) // 2 + noise)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("duration", "claim"),
    [
        (b"\x44\x89\x88" + struct.pack(">d", 300.0), "the header counts 6 frames"),
        (b"\x44\x89\x88" + struct.pack(">d", 700.0), "the header counts 14 frames"),
        (b"\xec\x89" + bytes(9), "the header counts no frames"),
    ],
)
def test_a_header_that_counts_other_frames_is_told(webm, tmp_path, duration, claim):
    at = webm.index(b"\x44\x89\x88")
    (tmp_path / "a.webm").write_bytes(webm[:at] + duration + webm[at + len(duration) :])
    read = frames(tmp_path / "a.webm")
    assert len(list(read)) == 12
    cut = ": the file was cut off or is damaged" if "14" in claim else ""
    assert read.notes() == [f"{claim}, 12 were decoded{cut}"] and read.cut_off == bool(cut)


def test_a_truncated_video_keeps_its_frames_and_says_so(webm, tmp_path):
    (tmp_path / "a.webm").write_bytes(webm[: len(webm) // 2])
    read = frames(tmp_path / "a.webm")
    found = list(read)
    assert 0 < len(found) < 12 and read.info.claimed == 12
    assert read.cut_off and read.whole
    assert read.notes() == [
        f"the header counts 12 frames, {len(found)} were decoded: the file was cut off or is "
        "damaged"
    ]


def test_frames_that_change_their_size_end_the_video(webm, tmp_path, monkeypatch):
    (tmp_path / "a.webm").write_bytes(webm)
    real = cv2.VideoCapture

    class Changing:
        def __init__(self, *given):
            self._capture, self._count = real(*given), 0

        def __getattr__(self, name):
            return getattr(self._capture, name)

        def retrieve(self):
            self._count += 1
            found, image = self._capture.retrieve()
            return found, image[: 30 if self._count > 3 else None]

    monkeypatch.setattr(cv2, "VideoCapture", Changing)
    read = frames(tmp_path / "a.webm")
    assert len(list(read)) == 3 and read.cut_off
    assert read.notes() == [
        "decoding stopped: frame 3 is 64x30 where 64x48 began; 3 frames came before"
    ]


def test_one_frame_is_a_video(tmp_path):
    with write_video(tmp_path / "a.webm", 25) as writer:
        writer.append(picture())
    read = frames(tmp_path / "a.webm")
    assert [frame.time for frame in read] == [0.0] and read.notes() == []


def test_a_gray_video_has_three_equal_channels(tmp_path):
    path = str(tmp_path / "a.avi")
    four = cv2.VideoWriter.fourcc(*"FFV1")
    writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, four, 25, (WIDTH, HEIGHT), isColor=False)
    gray = picture()[..., 1]
    writer.write(gray)
    writer.release()
    (frame,) = frames(path)
    np.testing.assert_array_equal(frame.image, np.repeat(gray[..., None], 3, axis=-1))
    assert probe(path).container == "AVI"


def test_a_transport_stream_is_read(tmp_path):
    written(tmp_path / "a.ts", code="mp2v")
    assert probe(tmp_path / "a.ts").container == "MPEG-TS"
    times = [frame.time for frame in frames(tmp_path / "a.ts")]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-3)


# --- what is no video -----------------------------------------------------------------------------


def png():
    stream = io.BytesIO()
    Image.fromarray(picture()).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (png(), r"a picture \(PNG\), not a video; MP4 or MOV"),
        (b"GIF89a" + bytes(100), r"a picture \(GIF\)"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\nfile:///etc/passwd\n", "text, a playlist"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "text, a playlist"),
        (b"G" + bytes(600), "it starts with b'G"),
        (bytes(range(1, 200)), "it starts with"),
        (b"\x1aE\xdf\xa3" + bytes(500), "no picture track can be opened"),
        (b"\0\0\0\x18ftypisom" + bytes(500), "its index .moov. is missing"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_video_is_refused_in_words(content, complaint, tmp_path, capfd):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=complaint) as error:
        probe(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    os.write(2, b"others are heard again")
    assert capfd.readouterr().err == "others are heard again"


def test_an_mp4_that_lost_its_end_is_told_from_other_damage(mp4, tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4[:-700])  # within the index
    with pytest.raises(VideoError, match="a.mp4: no picture track can be opened"):
        probe(tmp_path / "a.mp4")
    large = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)  # a size of 64 bits
    (tmp_path / "a.mp4").write_bytes(large + mp4[:-700])
    with pytest.raises(VideoError, match="a.mp4: no picture track can be opened"):
        probe(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(mp4[:300])  # before it
    with pytest.raises(VideoError, match="cut off before its end; copy it again"):
        probe(tmp_path / "a.mp4")


def test_places_that_hold_no_file_are_refused(tmp_path):
    with pytest.raises(VideoError, match="it is a folder; give one video file"):
        probe(tmp_path)
    with pytest.raises(VideoError, match="no such file"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(VideoError, match="only folders and files of this machine"):
        probe("https://example.org/a.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="not a regular file"):
        probe(tmp_path / "pipe.mp4")


def test_a_name_that_reads_as_a_sequence_of_pictures_opens_only_itself(mp4, tmp_path):
    for number in range(3):
        Image.fromarray(picture()).save(tmp_path / f"{number:03d}.png")
    (tmp_path / "%03d.mp4").write_bytes(mp4)
    assert len(list(frames(tmp_path / "%03d.mp4"))) == 6
    (tmp_path / "%03d.png").write_bytes(mp4)
    with pytest.raises(VideoError):
        probe(tmp_path / "%03d.png")


def test_only_the_demultiplexer_of_its_container_and_local_files_are_open(
    mp4, tmp_path, monkeypatch
):
    seen = []
    real = cv2.VideoCapture

    def capture(*given):
        seen.append((os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"], *given))
        return real(*given)

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(mp4)
    probe("a.mp4")
    options = "protocol_whitelist;file|format_whitelist;mov"
    assert seen == [(options, str(tmp_path / "a.mp4"), cv2.CAP_FFMPEG)]
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" not in os.environ
    # The options are heeded.
    monkeypatch.setitem(video._DEMULTIPLEXERS, "MP4", "matroska")
    with pytest.raises(VideoError, match="no picture track"):
        probe("a.mp4")


def test_frames_that_are_too_large_are_refused(mp4, tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(mp4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(VideoError, match="frames of 64x48, where at most 3071 pixels"):
        probe(tmp_path / "a.mp4")


def test_a_missing_opencv_names_its_extra(mp4, tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(mp4)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"gan_forensics\[opencv\]"):
        probe(tmp_path / "a.mp4")
    with pytest.raises(ImportError, match=r"gan_forensics\[opencv\]"):
        with write_video(tmp_path / "a.webm", 25):
            pass


# --- writing --------------------------------------------------------------------------------------


def test_what_is_written_is_read_back(tmp_path, capfd):
    with write_video(tmp_path / "new" / "a.webm", 12.5) as writer:
        for number in range(5):
            writer.append(picture(number))
        assert not (tmp_path / "new" / "a.webm").exists()  # not before it is whole
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.webm"]
    read = frames(tmp_path / "new" / "a.webm")
    found = list(read)
    np.testing.assert_allclose([frame.time for frame in found], np.arange(5) / 12.5, atol=1e-9)
    for frame in found:
        assert abs(frame.image.astype(int) - picture(frame.index)).mean() < 5
    assert (read.info.codec, read.info.container, read.info.claimed) == ("VP80", "Matroska", 5)
    assert capfd.readouterr().err == ""


def test_odd_sizes_lose_nothing(tmp_path):
    with write_video(tmp_path / "a.webm", 25) as writer:
        writer.append(picture(height=35, width=41))
    (frame,) = frames(tmp_path / "a.webm")
    assert frame.image.shape == (36, 42, 3)
    assert frame.image[-1, -1].min() > 30  # more of the picture, not black


def test_a_failing_run_leaves_the_video_from_before(tmp_path):
    path = tmp_path / "a.webm"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError, match="stop"):
        with write_video(path, 25) as writer:
            writer.append(picture())
            raise RuntimeError("stop")
    assert path.read_bytes() == b"before" and [*tmp_path.iterdir()] == [path]


def test_videos_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(ValueError, match="end in .webm"):
        with write_video(tmp_path / "a.mp4", 25):
            pass
    for fps in (0, -1, 1000, float("nan")):
        with pytest.raises(ValueError, match="above 0 and at most 240"):
            with write_video(tmp_path / "a.webm", fps):
                pass
    with pytest.raises(ValueError, match="a video needs a frame"):
        with write_video(tmp_path / "a.webm", 25):
            pass
    with pytest.raises(ValueError, match="frames are uint8"):
        with write_video(tmp_path / "a.webm", 25) as writer:
            writer.append(picture() / 255)
    with pytest.raises(ValueError, match="use one size"):
        with write_video(tmp_path / "a.webm", 25) as writer:
            writer.append(picture())
            writer.append(picture()[:-2])
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(not TALKING_FACE, reason="GAN_FORENSICS_TALKING_FACE names no clip")
def test_the_talking_face_clip_is_read():
    read = frames(TALKING_FACE, start=100, end=103)
    assert [round(frame.time, 6) for frame in read] == [4.0, 4.04, 4.08]
    assert (read.info.claimed, read.info.fps) == (4998, 25.0)
    assert (read.info.width, read.info.height) == (360, 288)
