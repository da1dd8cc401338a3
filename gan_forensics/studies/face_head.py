"""The head that synthetic clips show: a finer mesh than any tracker's, with a skin and a life.

It begins as a wireframe of `faces.candide`, and is made a different person: shape parameters of its
own, a smooth random displacement that no shape unit spans, animation units whose directions and
strengths are off, hair and neck around the face, something inside the mouth, triangles split in
four. A tracker that is measured on it has none of these.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.faces.candide import Wireframe, default_units

# How far hair and neck reach beyond the face's edge (times its distance from the middle), how far
# back they lie (model units), how much they turn with the head, and how opaque they are.
RINGS = ((1.15, 0.10, 1.0, 1.0), (1.4, 0.3, 0.85, 1.0), (1.8, 0.45, 0.5, 1.0), (2.3, 0.5, 0.2, 0.0))
# How much the mouth is open where its texture is looked up: lips that touch are one place.
PARTED = 0.3
INNER_LIPS = range(60, 68)


@dataclass(frozen=True, eq=False)
class Head:
    """A textured mesh of v vertices, of which the first n are those of the wireframe.

    Attributes:
        vertices: [v, 3] at rest, in model units.
        triangles: [t, 3] indices of vertices.
        units: [m, v, 3] how far vertices move when an animation parameter is 1.
        texture: [v, 2] place of each vertex in the photograph, in pixels.
        follows: [v] how much of the head's rotation a vertex takes part in: 1 face, 0 shoulders.
        opacity: [v] 1, falling to 0 at the outer edge of hair and neck.
        albedo: [v] 1, less inside the mouth.
        landmarks: vertex of each point of the 68-point scheme that the wireframe has.
    """

    vertices: Float[np.ndarray, "v 3"]
    triangles: Int[np.ndarray, "t 3"]
    units: Float[np.ndarray, "m v 3"]
    texture: Float[np.ndarray, "v 2"]
    follows: Float[np.ndarray, " v"]
    opacity: Float[np.ndarray, " v"]
    albedo: Float[np.ndarray, " v"]
    landmarks: dict[int, int]


def make_head(
    wireframe: Wireframe,
    points: Float[np.ndarray, "68 2"],
    rng: np.random.Generator,
    *,
    strangeness: float = 1.0,
) -> Head:
    """A person with the skin of a photograph.

    Args:
        wireframe: with landmarks, a jaw and lips.
        points: landmarks of the face in the photograph, in pixels.
        rng: draws the person.
        strangeness: how much it differs from the wireframe; 0 is the mean face itself, 1 up to .3
            of each shape unit, 0.015 units of displacement and units of animation 10 degrees off.
    """
    from scipy.spatial.transform import Rotation

    moved = wireframe.animation[list(default_units(wireframe))]
    texture, slope = _texture(wireframe, moved[0], points)
    vertices = wireframe.vertices + np.einsum(
        "s,snd->nd",
        strangeness * rng.uniform(-0.3, 0.3, len(wireframe.shape)),
        wireframe.shape,
    )
    # Vertices that coincide, as lips that touch, stay together: the fields are smooth.
    vertices = vertices + 0.015 * strangeness * _smooth_field(rng, wireframe.vertices, 3)
    gain = 1 + 0.2 * strangeness * _smooth_field(rng, wireframe.vertices, len(moved))
    off = Rotation.from_rotvec(
        np.radians(10) * strangeness * rng.standard_normal((len(moved), 3)) / np.sqrt(3)
    ).as_matrix()
    units = np.einsum("mij,mnj->mni", off, moved) * gain.T[:, :, None]

    # All that a vertex has, side by side, so that new vertices between others get all of it.
    whole = np.ones((len(vertices), 1))
    columns = [vertices, units.transpose(1, 0, 2).reshape(len(vertices), -1), texture]
    rows = np.concatenate([*columns, whole, whole, whole], 1)
    triangles = wireframe.triangles
    rows, triangles = _with_mouth(rows, triangles, wireframe.landmarks)
    rows, triangles = _with_rings(rows, triangles, slope)
    rows, triangles = subdivided(rows, triangles)
    count = len(moved)
    return Head(
        vertices=rows[:, :3],
        triangles=triangles,
        units=rows[:, 3 : 3 + 3 * count].reshape(-1, count, 3).transpose(1, 0, 2),
        texture=rows[:, -5:-3],
        follows=rows[:, -3],
        opacity=rows[:, -2],
        albedo=rows[:, -1],
        landmarks=wireframe.landmarks,
    )


def _texture(
    wireframe: Wireframe, jaw: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each vertex lies in the photograph, and the change of that place with x, y and z.

    A thin plate through the landmarks: an affine camera, bent until every landmark is met.
    """
    from scipy.interpolate import RBFInterpolator

    opened = wireframe.vertices + PARTED * jaw
    known, places = np.array(list(wireframe.landmarks.items())).T
    # The little smoothing is for landmarks of one place, which cannot both be met.
    plate = RBFInterpolator(opened[places], points[known], smoothing=1e-3, degree=1)
    design = np.concatenate([opened[places], np.ones((len(places), 1))], 1)
    affine = np.linalg.lstsq(design, points[known], rcond=None)[0]
    return plate(opened), affine[:3]


def _smooth_field(
    rng: np.random.Generator, places: Float[np.ndarray, "n 3"], count: int
) -> Float[np.ndarray, "n c"]:
    """Random functions of a place with variance 1 and waves of about the width of a face."""
    waves = rng.standard_normal((8, 3)) * 4
    phases = places @ waves.T + rng.uniform(0, 2 * np.pi, 8)
    return np.sin(phases) @ rng.standard_normal((8, count)) / 2


def _with_mouth(
    rows: np.ndarray, triangles: np.ndarray, landmarks: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Close the mouth from behind by a dark fan between the inner lips."""
    # Vertices of its own: shading and darkness end at the lips.
    rim = rows[[landmarks[point] for point in INNER_LIPS if point in landmarks]].copy()
    rim[:, 2] -= 0.02
    rim[:, -1] = 0.6
    middle = rim.mean(0)
    middle[2] -= 0.1
    middle[-1] = 0.35
    first, count = len(rows), len(rim)
    fan = [(first + k, first + (k + 1) % count, first + count) for k in range(count)]
    return np.concatenate([rows, rim, middle[None]]), np.concatenate([triangles, fan])


def _with_rings(
    rows: np.ndarray, triangles: np.ndarray, slope: Float[np.ndarray, "3 2"]
) -> tuple[np.ndarray, np.ndarray]:
    """Put hair and neck around the face: rings of vertices outside of its edge, further back."""
    edge = outline(triangles)
    face = rows[edge]
    middle = 0.5 * (face[:, :2].min(0) + face[:, :2].max(0))
    inner, rings, bands = np.array(edge), [rows], [triangles]
    start = len(rows)
    for reach, back, follows, opacity in RINGS:
        ring = face.copy()
        ring[:, :2] = middle + reach * (face[:, :2] - middle)
        # Towards one plane, so that the rings do not repeat the edge's jags.
        ring[:, 2] = face[:, 2].mean() + (face[:, 2] - face[:, 2].mean()) / reach**3 - back
        ring[:, -5:-3] += (ring[:, :2] - face[:, :2]) @ slope[:2]
        ring[:, 3:-5] /= reach**4
        ring[:, -3], ring[:, -2] = follows, opacity
        outer = start + np.arange(len(edge))
        start += len(edge)
        a, b = inner, np.roll(inner, -1)
        c, d = outer, np.roll(outer, -1)
        bands += [np.stack([a, c, b], 1), np.stack([b, c, d], 1)]
        rings.append(ring)
        inner = outer
    return np.concatenate(rings), np.concatenate(bands)


def outline(triangles: Int[np.ndarray, "t 3"]) -> list[int]:
    """Vertices along the longest edge of a mesh that is open, in order."""
    sides = np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)])
    both = {(int(a), int(b)) for a, b in sides}
    follows = {a: b for a, b in both if (b, a) not in both}
    longest: list[int] = []
    left = set(follows)
    while left:
        start = min(left)
        walk, place = [], start
        while place in left:
            left.remove(place)
            walk.append(place)
            place = follows[place]
        longest = max(longest, walk, key=len)
    return longest


def subdivided(
    rows: Float[np.ndarray, "v c"], triangles: Int[np.ndarray, "t 3"]
) -> tuple[Float[np.ndarray, "w c"], Int[np.ndarray, "f 3"]]:
    """Every triangle in four, with new vertices halfway along its sides, after those there were."""
    sides = np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)])
    ends, which = np.unique(np.sort(sides, 1), axis=0, return_inverse=True)
    new = len(rows) + which.reshape(3, -1).T
    ab, bc, ca = new.T
    a, b, c = triangles.T
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return (
        np.concatenate([rows, rows[ends].mean(1)]),
        np.concatenate([np.stack(part, 1) for part in parts]),
    )
