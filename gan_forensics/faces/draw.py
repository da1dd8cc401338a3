"""A tracked face drawn over its frame: wireframe, landmarks, axes of the head, flags in words.

Below the frame stand the numbers and the convention that they follow, so that a still taken out of
its video can still be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

# Frames are enlarged by whole factors up to about this width, so that the words can be read.
_WIDTH = 720
# Red x, green y, blue z, as in most programs for three dimensions.
AXES = {"x": (255, 70, 60), "y": (60, 220, 80), "z": (70, 150, 255)}
_MESH, _POINT, _LOST = (120, 255, 255), (255, 235, 60), (255, 60, 60)
_PAPER, _INK, _SOFT = (24, 25, 28), (235, 236, 238), (165, 170, 178)
# Of the wireframe over the frame.
_OPACITY = 0.45


@dataclass(frozen=True)
class Canvas:
    """What is the same in all frames of a clip.

    Attributes:
        height: of the frames in pixels.
        width: of the frames in pixels.
        triangles: vertices of each, anticlockwise where it faces the camera (in axes where y
            points up).
    """

    height: int
    width: int
    triangles: Int[np.ndarray, "t 3"]

    @property
    def zoom(self) -> int:
        """The whole factor that frames are enlarged by."""
        return max(1, round(_WIDTH / self.width))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is drawn; even, as most codecs want it."""
        height, width = self.height * self.zoom + self.strip, self.width * self.zoom
        return height + height % 2, width + width % 2

    @property
    def strip(self) -> int:
        """Height of what stands below the frame."""
        return 5 * self._line + 10

    @cached_property
    def _font(self):
        return ImageFont.load_default(self._letters)

    @property
    def _letters(self) -> float:
        """Height of letters, so that the longest line fits into the width."""
        return max(9, min(self.width * self.zoom / 54, 26))

    @cached_property
    def _line(self) -> int:
        return round(1.35 * self._letters)

    @cached_property
    def _edges(self) -> tuple[Int[np.ndarray, "e 2"], Int[np.ndarray, "e 2"]]:
        """Each edge once: its ends, and the one or two triangles that it borders."""
        corners = np.asarray(self.triangles)
        ends = np.sort(corners[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        unique, which = np.unique(ends, axis=0, return_inverse=True)
        owner = np.repeat(np.arange(len(corners)), 3)
        first, last = np.zeros(len(unique), int), np.zeros(len(unique), int)
        last[which.ravel()] = owner
        first[which.ravel()[::-1]] = owner[::-1]
        return unique, np.stack([first, last], axis=1)

    @cached_property
    def _legend(self) -> Image.Image:
        """The strip below the frame, without the numbers of a frame."""
        strip = Image.new("RGB", (self.size[1], self.strip), _PAPER)
        draw = ImageDraw.Draw(strip)
        words = (
            "x red: the person's left   y green: up   z blue: out of the face",
            "R = Rz(roll) Ry(yaw) Rx(pitch): pitch first, about fixed axes   angles in degrees",
            "+yaw: nose to the right   +pitch: nose down   +roll: anticlockwise",
        )
        for number, text in enumerate(words, start=2):
            place = 8, 5 + number * self._line
            draw.text(place, text, fill=_SOFT, font=self._font)
        return strip

    def edges_seen(self, uv: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "e 2"]:
        """The edges of which a triangle faces the camera.

        Args:
            uv: of the vertices in pixels, v down.
        """
        a, b, c = np.moveaxis(np.asarray(uv)[self.triangles], 1, 0)
        ahead, aside = b - a, c - a
        # v points down: what is anticlockwise on the face has a negative area here.
        faces = ahead[:, 0] * aside[:, 1] - ahead[:, 1] * aside[:, 0] < 0
        edges, owners = self._edges
        return edges[faces[owners].any(1)]

    def draw(
        self,
        frame: UInt8[np.ndarray, "h w 3"],
        uv: Float[np.ndarray, "n 2"] | None,
        landmarks: Float[np.ndarray, "k 2"] | None,
        axes: Float[np.ndarray, "4 2"] | None,
        words: Sequence[str],
        *,
        lost: bool = False,
    ) -> UInt8[np.ndarray, "H W 3"]:
        """One frame of the overlay.

        Args:
            frame: the picture.
            uv: of the vertices in pixels of the frame; None draws no wireframe.
            landmarks: in pixels; NaN is not drawn.
            axes: image of the model's origin, then of the ends of its x, y and z axis.
            words: up to two lines below the frame.
            lost: draws a red border.

        Returns:
            The picture, of `size`.

        Raises:
            ValueError: for a frame of another size.
        """
        if frame.shape != (self.height, self.width, 3):
            raise ValueError(
                f"a frame of {list(frame.shape)} for a clip of [{self.height}, {self.width}, 3]: "
                "give every clip a canvas of its own"
            )
        zoom = self.zoom
        picture = Image.fromarray(frame)
        if zoom > 1:
            picture = picture.resize(
                (self.width * zoom, self.height * zoom), Image.Resampling.BILINEAR
            )
        if uv is not None:
            meshed = picture.copy()
            draw = ImageDraw.Draw(meshed)
            for ends in self._placed(uv)[self.edges_seen(uv)].reshape(-1, 4).tolist():
                draw.line(ends, fill=_MESH, width=1)
            picture = Image.blend(picture, meshed, _OPACITY)
        draw = ImageDraw.Draw(picture)
        if landmarks is not None:
            places = self._placed(landmarks[np.isfinite(landmarks).all(1)])
            # Dots of a small face would hide it.
            radius = np.clip(np.ptp(places, axis=0).max(initial=0) / 100, 1, 3)
            for u, v in places.tolist():
                draw.ellipse((u - radius, v - radius, u + radius, v + radius), fill=_POINT)
        if axes is not None:
            (u, v), *ends = self._placed(axes).tolist()
            for end, colour in zip(ends, AXES.values(), strict=True):
                draw.line((u, v, *end), fill=colour, width=max(2, round(0.005 * _WIDTH)))
        if lost:
            box = 0, 0, picture.width - 1, picture.height - 1
            draw.rectangle(box, outline=_LOST, width=max(4, 2 * zoom))
        whole = Image.new("RGB", (self.size[1], self.size[0]), _PAPER)
        whole.paste(picture, (0, 0))
        whole.paste(self._legend, (0, picture.height))
        draw = ImageDraw.Draw(whole)
        for number, text in enumerate(words[:2]):
            place = 8, picture.height + 5 + number * self._line
            draw.text(place, text, fill=_LOST if lost and number else _INK, font=self._font)
        return np.asarray(whole)

    def _placed(self, points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
        """Pixels of the frame as pixels of the enlarged frame; far away ones are held in reach."""
        placed = (np.asarray(points, float) + 0.5) * self.zoom - 0.5
        return np.clip(placed, -1e4, 1e4)
