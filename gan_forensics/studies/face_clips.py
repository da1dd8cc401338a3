"""Synthetic clips of a talking head with exact truth, by another model than any tracker's.

Mesh, person, animation units and skin are those of `face_head`; the camera is a pinhole with its
own focal length, where trackers assume weak perspective. Light moves, the exposure drifts, sensors
are noisy, optics and shutters blur, the background moves, something may pass over the face, and a
video codec takes its share. Trackers get gray frames and the landmarks of frame 0 with errors.
"""

# The camera computes on numpy's arrays as on JAX's; its annotations name only the latter.
# pyright: reportReturnType=false

import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from gan_forensics.faces.camera import rotation
from gan_forensics.faces.candide import Wireframe
from gan_forensics.studies.face_head import make_head
from gan_forensics.studies.face_raster import rasterise

FRAMES_PER_SECOND = 25
AMBIENT, DIFFUSE = 0.45, 0.55
OCCLUDER_SPEED = 0.045  # Face widths a frame.


@dataclass(frozen=True)
class ClipConfig:
    """What happens in a clip.

    Attributes:
        frames: its length.
        width: in pixels.
        height: in pixels.
        face: width of the wireframe in frame 0, about that of a face, in pixels.
        turns: most that pitch, yaw and roll move away from those of frame 0, in degrees.
        period: frames of the fastest of three waves that each movement is made of.
        shift: most that the head moves to the side, up and (as a share of its distance) back, in
            face widths.
        activity: most that animation parameters move.
        light: how far the light moves to either side, in degrees.
        gamma: most that the exponent of the exposure departs from 1.
        pan: how far the background moves, as a share of what it has beyond a frame.
        noise: standard deviation in grey levels.
        blur: standard deviation of the optics, in pixels.
        shutter: exposures that a frame is the mean of, over half of the time between two frames.
        occluder: whether a disc passes over the face in the middle of the clip.
        compression: "mp4v", by OpenCV, "jpeg" with quality 70, or "none".
        landmark_noise: standard deviation of each coordinate of the landmarks of frame 0, pixels.
    """

    frames: int = 75
    width: int = 360
    height: int = 288
    face: float = 130.0
    turns: tuple[float, float, float] = (9.0, 18.0, 8.0)
    period: float = 45.0
    shift: tuple[float, float, float] = (0.25, 0.12, 0.12)
    activity: float = 0.3
    light: float = 15.0
    gamma: float = 0.1
    pan: float = 0.25
    noise: float = 2.0
    blur: float = 0.6
    shutter: int = 1
    occluder: bool = False
    compression: str = "mp4v"
    landmark_noise: float = 2.0


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames and what is true in them.

    Attributes:
        frames: [n, h, w] gray.
        rotation: [n, 3, 3] of the head, in the convention of `faces.camera`.
        place: [n, 3] of the head's origin before the camera (right, down, away), in model units.
        focal: focal length in pixels; the principal point is the middle of the picture.
        animation: [n, m] parameters of the clip's own units, comparable by correlation alone.
        landmarks: [n, 68, 2] in pixels, NaN where the wireframe has no such point.
        points: [n, v, 2] of the wireframe's vertices on the clip's head, in pixels.
        hidden: [n, 68] landmarks that lie under the occluder.
        start: [68, 2] landmarks of frame 0 with their errors: all that a tracker is given.
    """

    frames: UInt8[np.ndarray, "n h w"]
    rotation: Float[np.ndarray, "n 3 3"]
    place: Float[np.ndarray, "n 3"]
    focal: float
    animation: Float[np.ndarray, "n m"]
    landmarks: Float[np.ndarray, "n 68 2"]
    points: Float[np.ndarray, "n v 2"]
    hidden: Bool[np.ndarray, "n 68"]
    start: Float[np.ndarray, "68 2"]


def make_clip(
    config: ClipConfig,
    wireframe: Wireframe,
    photograph: UInt8[np.ndarray, "a b"],
    points: Float[np.ndarray, "68 2"],
    background: UInt8[np.ndarray, "c d"],
    *,
    seed: int,
) -> Clip:
    """Draw a person and what it does, and film it.

    Args:
        config: what happens.
        wireframe: that the head is made from.
        photograph: gray, of a face that looks at the camera.
        points: its 68 landmarks, in pixels.
        background: gray, what lies behind the head; larger than a frame.
        seed: of everything that is drawn; equal seeds have equal persons and movements.

    Raises:
        ValueError: for a background that is not larger than a frame, or an unknown compression.
    """
    if background.shape[0] <= config.height or background.shape[1] <= config.width:
        raise ValueError(
            f"the background has {background.shape[1]} x {background.shape[0]} pixels; it must be "
            f"larger than a frame, {config.width} x {config.height}"
        )
    person, script, sensor = np.random.default_rng(seed).spawn(3)
    head = make_head(wireframe, points, person)
    film = _Film(config, head, photograph, background, wireframe, script)
    times = np.arange(config.frames, dtype=float)
    turns = film.turns(times)
    place = film.place(times)
    animation = film.animation(times)
    seen = [film.projected(*state) for state in zip(turns, place, animation, strict=True)]
    count = len(wireframe.vertices)
    vertices = np.stack([uv[:count] for uv, _ in seen])
    landmarks = np.full((config.frames, 68, 2), np.nan)
    landmarks[:, list(head.landmarks)] = vertices[:, list(head.landmarks.values())]
    frames = [
        film.exposed(time, sensor.standard_normal((config.height, config.width))) for time in times
    ]
    hidden = np.stack([film.under_occluder(time, landmarks[int(time)]) for time in times])
    return Clip(
        frames=compressed(np.stack(frames), config.compression),
        rotation=turns,
        place=place,
        focal=film.focal,
        animation=animation,
        landmarks=landmarks,
        points=vertices,
        hidden=hidden,
        start=landmarks[0] + config.landmark_noise * sensor.standard_normal((68, 2)),
    )


class _Film:
    """One clip's movements as functions of time in frames, and how they are seen."""

    def __init__(self, config, head, photograph, background, wireframe, rng):
        from scipy.ndimage import gaussian_filter

        self.config, self.head = config, head
        self.photograph = photograph.astype(np.float32)
        self.background = background.astype(np.float32)
        self.focal = rng.uniform(1.3, 1.8) * max(config.width, config.height)
        self.face = float(np.ptp(wireframe.vertices[:, 0]))
        self.middle = wireframe.vertices.mean(0)
        self.distance = self.focal * self.face / config.face
        self.first = np.radians(rng.uniform(-4, 4, 3))
        self.waves = _Waves(rng, 3 + 3 + len(head.units) + 4, config.period)
        self.centre = 0.5 * (np.array([config.width, config.height]) - 1)
        self.shade = self._lit(head.vertices, 0.0)
        grain = gaussian_filter(rng.standard_normal((128, 128)), 3)
        self.grain = grain / grain.std()

    def turns(self, times) -> np.ndarray:
        """Rotations [n, 3, 3]."""
        angles = self.first + np.radians(self.config.turns) * self.waves(times)[:, :3]
        return rotation(*angles.T)

    def place(self, times) -> np.ndarray:
        """Places [n, 3] of the model's origin."""
        side, up, back = (self.waves(times)[:, 3:6] * self.config.shift).T
        away = self.distance * (1 + back)
        # The middle of the face begins in the middle of the picture.
        return np.stack([self.face * side, self.face * up + self.middle[1], away], 1)

    def animation(self, times) -> np.ndarray:
        """Parameters [n, m], mostly positive, 0 in frame 0."""
        wave = self.waves(times)[:, 6:-4]
        return self.config.activity * np.where(wave > 0, wave, 0.4 * wave)

    def projected(self, turn, place, animation) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [v, 2] and depth [v], larger for what is nearer, of all vertices."""
        still = self.head.vertices + np.einsum("m,mvd->vd", animation, self.head.units)
        follows = self.head.follows[:, None]
        seen = follows * (still @ turn.T) + (1 - follows) * still
        x, y, z = (seen * (1, -1, -1) + place).T
        return self.focal * np.stack([x, y], 1) / z[:, None] + self.centre, -z

    def _lit(self, vertices: np.ndarray, angle: float) -> np.ndarray:
        """Light [v] that a matt surface sends out; the light stands at an angle to the side."""
        light = np.array([np.sin(angle), 0.35, np.cos(angle)])
        normals = _normals(vertices, self.head.triangles)
        return AMBIENT + DIFFUSE * np.maximum(normals @ light / np.linalg.norm(light), 0)

    def exposed(self, time: float, noise: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """A frame before compression."""
        from scipy.ndimage import gaussian_filter

        shutter = self.config.shutter
        moments = time + 0.5 * (np.arange(shutter) - (shutter - 1) / 2) / max(shutter, 1)
        image = np.mean([self._drawn(moment) for moment in moments], 0)
        image = gaussian_filter(image, self.config.blur)
        exposure = 1 + self.config.gamma * self.waves(np.array([time]))[0, -1]
        image = 255 * (np.clip(image, 0, 255) / 255) ** exposure + self.config.noise * noise
        return np.clip(np.round(image), 0, 255).astype(np.uint8)

    def _drawn(self, time: float) -> Float[np.ndarray, "h w"]:
        from scipy.ndimage import map_coordinates

        times, head = np.array([time]), self.head
        turn, place, animation = (f(times)[0] for f in (self.turns, self.place, self.animation))
        uv, depth = self.projected(turn, place, animation)
        still = head.vertices + np.einsum("m,mvd->vd", animation, head.units)
        *_, across, down, light, _ = self.waves(times)[0]
        # Skin was photographed under some light already: only the change is painted on it.
        change = self._lit(still @ turn.T, np.radians(self.config.light) * light) / self.shade
        values = np.column_stack([head.texture, head.opacity, head.albedo * change])
        height, width = self.config.height, self.config.width
        drawn = rasterise(uv, depth, head.triangles, values, height, width)
        image = self._behind(0.5 + self.config.pan * np.array([down, across]))
        inside = ~np.isnan(drawn[..., 0])
        u, v, opacity, shade = drawn[inside].T
        skin = map_coordinates(self.photograph, [v, u], order=1, mode="nearest") * shade
        image[inside] += opacity * (skin - image[inside])
        if self.config.occluder:
            from_disc = np.indices((height, width)) - self._disc(time)[::-1, None, None]
            cover = np.clip(self._radius() - np.hypot(*from_disc), 0, 1)
            # The pattern moves with the disc.
            grain = map_coordinates(self.grain, from_disc + 64, order=1, mode="mirror")
            image += cover * (120 + 30 * grain - image)
        return image

    def _behind(self, place: Float[np.ndarray, " 2"]) -> Float[np.ndarray, "h w"]:
        """What of the background is seen from a place, 0 to 1 from its first corner to its last."""
        height, width = self.config.height, self.config.width
        corner = np.clip(place, 0, 1) * (np.array(self.background.shape) - (height + 1, width + 1))
        (top, left), (down, right) = corner.astype(int), corner % 1
        part = self.background[top : top + height + 1, left : left + width + 1]
        part = (1 - down) * part[:-1] + down * part[1:]
        return (1 - right) * part[:, :-1] + right * part[:, 1:]

    def _radius(self) -> float:
        return 0.35 * self.config.face

    def _disc(self, time: float) -> np.ndarray:
        """Middle of the occluder: from left to right through the picture's at half time."""
        ahead = OCCLUDER_SPEED * self.config.face * (time - self.config.frames / 2)
        return self.centre + np.array([ahead, 0.1 * self.config.face])

    def under_occluder(self, time: float, points: Float[np.ndarray, "k 2"]) -> np.ndarray:
        """Which points [k] lie under the disc."""
        if not self.config.occluder:
            return np.zeros(len(points), bool)
        distance = np.linalg.norm(points - self._disc(time), axis=1)
        return np.nan_to_num(distance, nan=np.inf) < self._radius()


class _Waves:
    """Smooth random functions of time, 0 at time 0 and about within -1 and 1."""

    def __init__(self, rng: np.random.Generator, count: int, period: float):
        self.periods = period * rng.uniform((1, 1.5, 2.5), (1.5, 2.5, 4), (count, 3))
        self.phases = rng.uniform(0, 2 * np.pi, (count, 3))
        self.heights = np.array([0.3, 0.5, 0.7])

    def __call__(self, times: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n c"]:
        angles = 2 * np.pi * times[:, None, None] / self.periods
        return ((np.sin(angles + self.phases) - np.sin(self.phases)) * self.heights).sum(-1) / 1.5


def _normals(vertices: Float[np.ndarray, "v 3"], triangles: np.ndarray) -> Float[np.ndarray, "v 3"]:
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    area = np.cross(b - a, c - a)
    total = np.stack(
        [
            np.bincount(triangles.T.ravel(), np.tile(area[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        1,
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def compressed(frames: UInt8[np.ndarray, "n h w"], how: str) -> UInt8[np.ndarray, "n h w"]:
    """Gray frames as they come back from a video codec.

    Args:
        frames: gray.
        how: "mp4v" (MPEG-4 part 2, written and read by OpenCV; needs the `opencv` extra), "jpeg"
            (every frame alone, quality 70), "none".

    Raises:
        ValueError: for another codec.
        RuntimeError: when OpenCV cannot write or read it.
    """
    if how == "none":
        return frames
    if how == "jpeg":
        return np.stack([_jpeg(frame) for frame in frames])
    if how != "mp4v":
        raise ValueError(f"compression {how!r}: give mp4v, jpeg or none")
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "clip.mp4")
        height, width = frames.shape[1:]
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(path, codec, FRAMES_PER_SECOND, (width, height))
        for frame in frames:
            writer.write(np.repeat(frame[..., None], 3, -1))
        writer.release()
        reader = cv2.VideoCapture(path)
        back = []
        while True:
            more, frame = reader.read()
            if not more:
                break
            back.append(frame[..., 1])
        reader.release()
    if len(back) != len(frames):
        raise RuntimeError(
            f"OpenCV gave {len(back)} of {len(frames)} frames back as mp4v; use compression jpeg"
        )
    return np.stack(back)


def _jpeg(frame: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=70)
    return np.asarray(Image.open(buffer, formats=["JPEG"]))  # our own bytes
