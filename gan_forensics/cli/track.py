"""`gan-forensics track`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least, not_given
from gan_forensics.files import say, tell
from gan_forensics.files.progress import progress_bar

if TYPE_CHECKING:
    from gan_forensics.faces.runs import Tracked


@dataclass(frozen=True)
class Track:
    """Track a face in 3-D through a video: head pose and animation, frame by frame.

    A wireframe face is fitted to the first frame, what it looks like from other sides is rendered
    from that frame, and every further frame is the most probable pose and animation (Tran et al.
    2013, as far as its abstract tells; the rest is this project's reconstruction). Written are
    track.csv, a video with the face drawn over it, plots and a page.

    The first frame needs 68 landmarks, from --init or from a detector that --landmarks names. A
    face box is found without them, and the mean face laid on it, but that is no initialisation:
    every position is then off by pixels, and every row says init=box.

    --init is a CSV file with the columns point, x, y: pixels of the upright frame, and points in
    iBUG's order of 68, counted from 0: 0-16 the jaw from the image's left to its right, 17-21
    and 22-26 the brows, 27-30 down the bridge of the nose, 31-35 below it, 36-41 and 42-47 the
    eyes, 48-59 the outer lips, 60-67 the inner lips. Points may be missing.

    Angles are degrees, by R = Rz(roll) Ry(yaw) Rx(pitch) about fixed axes: positive pitch looks
    down, positive yaw to the person's left (the right of the image), positive roll turns
    anticlockwise in the image.

    Columns of track.csv: frame, time (seconds); yaw, pitch, roll (degrees); tx, ty (frame pixels of
    the model's origin) and scale (pixels per model unit); each animation unit, and _relative to its
    median; confidence, energy, visible; init; the flags accepted, lost, reinitialised; learned, how
    many vertices were updated; x_k, y_k, sd_k of landmark k. Of the deviations sd those with raw
    are the tracker's own, the others calibrated. docs/track.md says more.

    Try it:

    $ gan-forensics track talk.mp4 --out runs/talk --landmarks
    shape_predictor_68_face_landmarks.dat

    $ gan-forensics track talk.mp4 --out runs/talk --init frame0.csv --model candide3.wfm

    $ gan-forensics track talk.mp4 --out runs/part --start 250 --end 500 --every 2 --init
    frame250.csv

    The same with --resume goes on where a run was stopped.
    """

    clip: Positional[Path]
    """The video: MP4 or MOV, WebM or Matroska, AVI, MPEG-TS."""
    out: Path
    """Run folder for track.csv, overlay.webm, results.json and report.html."""
    model: Path | None = None
    """A wireframe face as .wfm file, such as CANDIDE-3's; by default the package's own."""
    init: Path | None = None
    """CSV of landmarks in the first frame (that of --start): point, x, y."""
    landmarks: Path | None = None
    """A detector of landmarks: dlib's shape_predictor_68_face_landmarks.dat (extra `landmarks`), or
    the folder of face-api's weights (npm @vladmandic/face-api)."""
    start: int = 0
    """First frame, from 0."""
    end: int | None = None
    """Frame to stop before; by default the end of the video."""
    every: int = 1
    """Track the first frame of so many, and leave the others out."""
    camera: Literal["weak-perspective", "pinhole"] | None = None
    """By default weak-perspective; a pinhole has a focal length of 1.2 times the longer side."""
    solver: Literal["gauss-newton", "nelder-mead"] | None = None
    """Search in each frame: by default gauss-newton; nelder-mead, as published relatives of the
    method have it, takes many times as long."""
    descriptor: Literal["smooth", "sift"] | None = None
    """What is compared: by default smooth; or sift as OpenCV rounds it, for nelder-mead alone."""
    update: Literal["eigenvalues", "none", "full"] | None = None
    """What the appearance learns from a frame: by default mean and eigenvalues, none, or with full
    the eigenvectors too."""
    rate: float | None = None
    """Share of the new frame in an update. By default 0.02."""
    views: int | None = None
    """Views of the first frame that are rendered; odd. By default 101."""
    seed: int | None = None
    """Of the views. By default 0."""
    video: bool = True
    """Write overlay.webm, the clip with the face drawn over it."""
    resume: bool = False
    """Go on with the run in --out; its settings must be the same."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_folder_out

        check_folder_out(self.out)
        at_least(0, start=self.start)
        at_least(1, every=self.every)
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"--end {self.end}: it must lie behind --start {self.start}")
        at_least(0, seed=self.seed)
        if self.init:
            not_given("the landmarks are those of --init", landmarks=self.landmarks)
        if self.update == "none":
            not_given("nothing is updated", rate=self.rate)
        from gan_forensics.faces.runs import Clip, kept, track_clip
        from gan_forensics.faces.tracker_config import TrackerConfig
        from gan_forensics.report.provenance import provenance

        names = {field.name for field in fields(TrackerConfig)} & vars(self).keys()
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        config = TrackerConfig(**given)
        clip = Clip(
            self.clip, self.model, self.init, self.landmarks, self.start, self.end, self.every
        )
        try:
            done = track_clip(
                clip,
                self.out,
                config,
                resume=self.resume,
                facts=provenance(),
                say=say,
                progress=in_frames,
            )
        except KeyboardInterrupt:
            say(kept(self.out))
            raise
        try:
            self._show(clip, done)
        except KeyboardInterrupt:
            rows = self.out / "track.csv"
            say(f"{rows} is complete; the same command with --resume draws and reports it")
            raise

    def _show(self, clip: Any, done: "Tracked") -> None:
        """Draw and report what was tracked."""
        from gan_forensics.faces.overlay import VIDEO, draw_clip
        from gan_forensics.files import write_json
        from gan_forensics.report.tracking import details, summary, tracking_page
        from gan_forensics.train.run_folder import read_config

        say(f"drawing {VIDEO if self.video else 'the stills'}")
        stills, video = draw_clip(
            clip,
            self.out,
            done,
            video=self.video,
            progress=lambda frames: in_frames(frames, len(done.table["frame"])),
        )
        if video is not None:
            done.results["speed"]["overlay_frames_per_second"] = video.frames_per_second
            write_json(self.out / "results.json", done.results)
        say("writing report.html")
        page = tracking_page(
            self.out / "report.html",
            done.table,
            done.results,
            read_config(self.out, "track"),
            units=done.columns.units,
            stills=stills,
            video=None if video is None else video.path,
        )
        tell(*details(done.results), *summary(done.results))
        tell(f"Open {page}; the rows are in {self.out / 'track.csv'}.")


def in_frames(frames, total: int | None = None):
    """The frames with their rate, and how many are left where that is known."""
    return progress_bar(frames, total=total, unit="frame")
