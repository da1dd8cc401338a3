"""Where faces are, and where their landmarks are.

Boxes come from scikit-image's cascade (multi-scale block local binary patterns, as Liao et al.
2007), which needs no extra. It also fires on cats, badges and gravel; on a face it fires at many
neighbouring places and sizes. So its windows are counted: a box is the mean of windows that agree,
their number is its score, and only from `VOTES` on it is a face. On 113 pictures and frames of
faces the middle count was 48; on 19 pictures of anything else the highest was 7.

Landmarks are the 68 points of iBUG, 0-based: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth
48-67. They come from files that the user names: a CSV, or the weights of a detector.
"""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from gan_forensics.faces import faceapi
from gan_forensics.files import Csv, check_file_in, read_csv, shown

VOTES = 8
SMALLEST = 24  # pixels, of the working image
# Longer side of the working image, and margin around it as a share of that side. The second finds
# smaller faces, the third those that fill their picture; each is tried where the one before found
# none.
_TRIES = ((320, 0.0), (640, 0.0), (320, 0.2))
LANDMARKS = 68
_GROUPS = {
    "brows": range(17, 27),
    "nose": range(27, 36),
    "right eye": range(36, 42),
    "left eye": range(42, 48),
    "mouth": range(48, 68),
}
_FEWEST = 12
# Where boxes lie by the landmarks of brows, eyes, nose and mouth: centre from the middle of these
# landmarks' extent, and side, both in units of the larger extent. dlib's is that of its own boxes;
# face-api's is where its points come nearest to dlib's: on 91 pictures to a mean of 4.8 % of the
# distance between the eyes without the jaw (3 pixels at 360x288), 9 % on the jaw.
_DLIB_BOX = (0.0, 0.035, 1.33)
_FACEAPI_BOX = (0.0, 0.3, 1.9)
LandmarkDetector = Callable[[np.ndarray, tuple[float, ...]], np.ndarray]


class Box(NamedTuple):
    """A face's box in pixels of the upright image.

    Attributes:
        x: of its left edge; the image's own is at -0.5, as pixel 0 has its centre at 0.
        y: of its upper edge, likewise.
        w: width; boxes of `detect_boxes` are square and reach from the brows to the chin.
        h: height.
        score: how many windows of the cascade agree on it.
    """

    x: float
    y: float
    w: float
    h: float
    score: float


def detect_boxes(rgb: UInt8[np.ndarray, "h w 3"]) -> list[Box]:
    """Upright frontal faces of an image, the largest first.

    A face needs some 24 pixels, in images of more than 640 pixels 4 % of the longer side; where one
    of 8 % is found, smaller ones are not sought. Boxes may reach over the image's edge.

    Raises:
        ValueError: not uint8 [h, w, 3].

    Example:
        >>> from skimage.data import astronaut
        >>> len(detect_boxes(astronaut()))  # doctest: +SKIP
        1
    """
    gray = _gray(rgb)
    for side, margin in _TRIES:
        if side == 640 and max(gray.shape) <= 320:
            continue  # It is the same image as before.
        found = _agreeing(_windows(gray, side, round(margin * max(gray.shape))))
        faces = [box for box in found if box.score >= VOTES]
        if faces:
            return sorted(faces, key=lambda box: -box.w * box.h)
    return []


def is_face(rgb: UInt8[np.ndarray, "h w 3"], box: tuple[float, ...]) -> bool:
    """Whether a box (x, y, w, h, ...) from anywhere holds an upright frontal face of its size.

    Raises:
        ValueError: not uint8 [h, w, 3], or a box that is none.
    """
    gray = _gray(rgb)
    x, y, w, h = _checked(box, gray.shape)
    side = max(w, h)
    # The box and half of it on all sides; what lies outside of the image repeats its edge.
    low_x, low_y = round(x + w / 2 - side), round(y + h / 2 - side)
    rows = np.clip(np.arange(low_y, low_y + max(round(2 * side), 2)), 0, gray.shape[0] - 1)
    columns = np.clip(np.arange(low_x, low_x + max(round(2 * side), 2)), 0, gray.shape[1] - 1)
    around = Image.fromarray(gray[np.ix_(rows, columns)]).resize((120, 120))
    found = _agreeing(_windows(np.asarray(around), 120, 0))
    return any(
        one.score >= VOTES
        and 40 < one.w < 90
        and max(abs(one.x + one.w / 2 - 59.5), abs(one.y + one.h / 2 - 59.5)) < 20
        for one in found
    )


def _gray(rgb: np.ndarray) -> np.ndarray:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[-1] != 3 or 0 in rgb.shape:
        raise ValueError(f"faces are sought in uint8 [h, w, 3], got {rgb.dtype} {list(rgb.shape)}")
    return np.asarray(Image.fromarray(rgb).convert("L"))


def _checked(box: tuple[float, ...], size: tuple[int, ...]) -> tuple[float, float, float, float]:
    x, y, w, h = (float(number) for number in box[:4])
    height, width = size[:2]
    inside = x < width and y < height and x + w > 0 and y + h > 0
    if not (all(map(math.isfinite, (x, y, w, h))) and w > 0 and h > 0 and inside) or max(
        w, h
    ) > 4 * max(size[:2]):
        raise ValueError(
            f"box x={x:g}, y={y:g}, w={w:g}, h={h:g} does not lie in an image of {width}x{height}"
        )
    return x, y, w, h


@functools.cache
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def _windows(gray: np.ndarray, side: int, margin: int) -> Float[np.ndarray, "n 3"]:
    """Every window in which the cascade fires: its left upper corner and side."""
    padded = np.pad(gray, margin, mode="edge")
    height, width = padded.shape
    scale = min(1.0, side / max(gray.shape))
    small = Image.fromarray(padded)
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        small = small.resize(size, Image.Resampling.BILINEAR)
    if min(small.size) < SMALLEST:
        return np.zeros((0, 3))
    found = _cascade().detect_multi_scale(
        img=np.asarray(small),
        scale_factor=1.1,
        step_ratio=1,
        min_size=(SMALLEST, SMALLEST),
        max_size=(small.height, small.width),
        # No merging: what is over this share of one window is one with it, and none is.
        min_neighbor_number=0,
        intersection_score_threshold=2.0,
    )
    windows = np.array([(box["c"], box["r"], box["width"]) for box in found], float).reshape(-1, 3)
    return windows / scale - np.array([margin + 0.5, margin + 0.5, 0])


def _agreeing(windows: Float[np.ndarray, "n 3"]) -> list[Box]:
    """Windows of nearly one place and size as one box, their mean; those with most first."""
    corners, sides = windows[:, :2], windows[:, 2]
    centres = corners + sides[:, None] / 2
    apart = np.abs(centres[:, None] - centres).max(-1) / np.minimum.outer(sides, sides)
    near = (apart < 0.25) & (np.abs(np.subtract.outer(np.log(sides), np.log(sides))) < 0.35)
    boxes: list[Box] = []
    left = np.ones(len(windows), bool)
    while left.any():
        members = near[np.argmax((near & left).sum(1) * left)] & left
        x, y, side = windows[members].mean(0)
        left &= ~members
        # A few windows in and around a face that was found are no second one.
        if not any(
            one.x - one.w / 4 < x + side / 2 < one.x + one.w * 5 / 4
            and one.y - one.h / 4 < y + side / 2 < one.y + one.h * 5 / 4
            for one in boxes
        ):
            boxes.append(Box(float(x), float(y), float(side), float(side), int(members.sum())))
    return boxes


def load_landmark_detector(path: Path | str) -> LandmarkDetector:
    """A detector of the 68 landmarks, from files of a published one.

    Args:
        path: dlib's `shape_predictor_68_face_landmarks.dat` (extra `landmarks`), or the folder or
            the manifest of face-api's weights (`gan_forensics.faces.faceapi`; no extra).

    Returns:
        A function of an image, uint8 [h, w, 3] RGB, and a box (x, y, w, h) of `detect_boxes`, that
        returns x and y of the landmarks in pixels, float64 [68, 2].

    Raises:
        FileNotFoundError: nothing lies there.
        ValueError: the file is of neither kind, or damaged.
        ImportError: dlib is not installed.

    Example:
        >>> find = load_landmark_detector("predictor.dat")  # doctest: +SKIP
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".json":
        return _faceapi(faceapi.read_weights(path))
    kinds = "dlib's shape_predictor_68_face_landmarks.dat, or face-api's weights"
    check_file_in(path, kinds)
    if path.suffix != ".dat":
        raise ValueError(f"{path}: no landmark detector that is known; give {kinds}")
    return _dlib(path)


def _dlib(path: Path) -> LandmarkDetector:
    try:
        import dlib  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "dlib's landmark predictor needs dlib: pip install 'gan_forensics[landmarks]', or give "
            "the folder of face-api's weights"
        ) from error
    try:
        predictor = dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise ValueError(
            f"{path}: not a landmark predictor of dlib, or damaged; copy or download it again"
        ) from error

    def predict(rgb: np.ndarray, corner: np.ndarray, side: float) -> np.ndarray:
        low = [round(float(number)) for number in corner]
        rectangle = dlib.rectangle(*low, low[0] + round(side), low[1] + round(side))
        parts = predictor(np.ascontiguousarray(rgb), rectangle).parts()
        points = np.array([(part.x, part.y) for part in parts], float)
        if points.shape != (LANDMARKS, 2):
            raise ValueError(f"{path}: it predicts {len(points)} landmarks where 68 are needed")
        return points

    return _twice(predict, _DLIB_BOX)


def _faceapi(weights: faceapi.Weights) -> LandmarkDetector:
    import jax

    network = jax.jit(faceapi.landmarks)

    def predict(rgb: np.ndarray, corner: np.ndarray, side: float) -> np.ndarray:
        # Pixels that the square touches, and the square within them: their edges are at -0.5.
        low = np.floor(corner).astype(int)
        inside = corner - (low - 0.5)
        size = math.ceil(inside.max() + side)
        rows = np.clip(np.arange(low[1], low[1] + size), 0, rgb.shape[0] - 1)
        columns = np.clip(np.arange(low[0], low[0] + size), 0, rgb.shape[1] - 1)
        crop = Image.fromarray(rgb[np.ix_(rows, columns)]).resize(
            (faceapi.SIDE, faceapi.SIDE),
            Image.Resampling.BILINEAR,
            box=(*inside, *(inside + side)),
        )
        return corner + side * np.asarray(network(weights, np.asarray(crop)[None])[0], float)

    return _twice(predict, _FACEAPI_BOX)


def _twice(
    predict: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
    framing: tuple[float, float, float],
) -> LandmarkDetector:
    """Predict in the given box, then in the box in which these landmarks lie as in training."""
    right, down, size = framing

    def detector(rgb: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
        _gray(rgb)
        x, y, w, h = _checked(box, rgb.shape)
        side = (w + h) / 2
        points = predict(rgb, np.array([x + (w - side) / 2, y + (h - side) / 2]), side)
        for _ in range(2):
            low, high = points[17:].min(0), points[17:].max(0)
            extent = max(float((high - low).max()), 1.0)
            side = size * extent
            centre = (low + high) / 2 + extent * np.array([right, down])
            points = predict(rgb, centre - side / 2, side)
        return points

    return detector


def read_landmarks_csv(path: Path | str) -> Float[np.ndarray, "68 2"]:
    """Landmarks of one frame from a CSV file with the columns point, x, y.

    Args:
        path: of the file; points are 0-based in iBUG's order, x and y in pixels of the upright
            frame. Points may be left out, as long as 12 are there, with some of the brows, the
            nose, both eyes and the mouth.

    Returns:
        float64 [68, 2]; NaN where a point is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing, a line holds no numbers, an unknown point or one for the
            second time, or too few points are left for a fit; with the number of the line.

    Example:
        >>> import tempfile
        >>> from gan_forensics.files import write_csv
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "face.csv"
        ...     write_csv(path, [{"point": point, "x": point, "y": 0} for point in range(68)])
        ...     points = read_landmarks_csv(path)
        >>> points.shape
        (68, 2)
    """
    check_file_in(path, "a CSV file of landmarks: point,x,y")
    points = np.full((LANDMARKS, 2), np.nan)
    first: dict[int, int] = {}
    table = read_csv(path)
    names = table.lines[0][1] if table.lines else []
    if missing := [name for name in ("point", "x", "y") if name not in names]:
        raise ValueError(f"{path}: {_why_no_header(names, missing)}")
    beyond = 0
    for line, cells in table.lines[1:]:
        point, place = _landmark(table, names, cells, f"{path}: line {line}")
        if point == LANDMARKS:
            beyond = line
            continue
        if point in first:
            raise ValueError(
                f"{path}: line {line}: point {point} stands in line {first[point]} already; leave "
                "one"
            )
        first[point] = line
        points[point] = place
    if beyond and 0 not in first:
        raise ValueError(f"{path}: it seems to count from 1: points are counted from 0 to 67")
    if beyond:
        raise ValueError(f"{path}: line {beyond}: {_unknown(LANDMARKS)}")
    lacking = [name for name, group in _GROUPS.items() if not first.keys() & set(group)]
    if len(first) < _FEWEST or lacking:
        needed = f"; none of the {', the '.join(lacking)}" if lacking else ""
        raise ValueError(
            f"{path}: {len(first)} landmarks{needed}; a fit needs {_FEWEST} or more of the 68 of "
            "iBUG, with some of the brows (17-26), the nose (27-35), both eyes (36-41, 42-47) and "
            "the mouth (48-67)"
        )
    return points


def _why_no_header(names: list[str], missing: list[str]) -> str:
    """What is wrong with a first line that does not name the columns."""
    line = ",".join(names)
    if not line:
        return "no line in it; the first one is point,x,y, and then one for each landmark"
    if {"point", "x", "y"} <= {name.lower() for name in names}:
        return "line 1: names of columns are in small letters: point,x,y"
    if not any(letter.isalpha() for letter in line):
        return "line 1 holds numbers: the first line names the columns, point,x,y"
    return f"line 1 lacks {', '.join(missing)}; the columns are point,x,y"


def _unknown(point: int) -> str:
    return f"point {point} is none of iBUG's 68, which count from 0 to 67"


def _landmark(
    table: Csv, names: list[str], cells: list[str], where: str
) -> tuple[int, tuple[float, float]]:
    if len(cells) > len(names):
        raise ValueError(f"{where}: more values than columns; decimals take a point, not a comma")
    by_name = dict(zip(names, cells, strict=False))
    given = [by_name.get(name, "") for name in ("point", "x", "y")]
    try:
        number, x, y = map(table.number, given)
        point = int(number)  # Programs that know no whole numbers write 30.0.
        if point != number:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{where}: {shown(','.join(given)[:60])!r} are not a whole number and two numbers"
        ) from None
    if not 0 <= point <= LANDMARKS:  # 68 tells of a file that counts from 1.
        raise ValueError(f"{where}: {_unknown(point)}")
    if not (abs(x) < 1e6 and abs(y) < 1e6):
        raise ValueError(f"{where}: x={x:g}, y={y:g} is no place in a picture, in pixels")
    return point, (x, y)
