"""Synthetic clips: what is said to be true in them is what can be seen."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter

from gan_forensics.faces.candide import default_units, load_wireframe
from gan_forensics.studies.face_clips import ClipConfig, compressed, make_clip
from gan_forensics.studies.face_head import make_head, outline, subdivided
from gan_forensics.studies.face_raster import rasterise

SMALL = ClipConfig(frames=4, width=120, height=96, face=48, period=12.0, compression="none")
QUIET = replace(SMALL, light=0.0, gamma=0.0, noise=0.0, blur=0.0, landmark_noise=0.0)
STILL = replace(QUIET, turns=(0, 0, 0), shift=(0, 0, 0), activity=0.0, pan=0.0)


@pytest.fixture(scope="module")
def wireframe():
    return load_wireframe()


@pytest.fixture(scope="module")
def points(wireframe):
    """Landmarks of a photograph that shows the mean face from the front, as large as it can."""
    places = np.full((68, 2), np.nan)
    seen = wireframe.vertices[list(wireframe.landmarks.values()), :2]
    places[list(wireframe.landmarks)] = 100 + seen * [80, -80] / np.abs(wireframe.vertices).max()
    return places


@pytest.fixture(scope="module")
def texture():
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((200, 200)), 1.5)
    return np.clip(128 + 40 * rough / rough.std(), 0, 255).astype(np.uint8)


def film(config, wireframe, points, texture, seed=0):
    return make_clip(config, wireframe, texture, points, texture.copy(), seed=seed)


def test_a_seed_is_a_clip_and_another_one_is_another(wireframe, points, texture):
    one, same, other = (film(SMALL, wireframe, points, texture, seed) for seed in (3, 3, 4))
    for name in ("frames", "rotation", "place", "animation", "landmarks", "start"):
        assert_array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
    assert one.frames.shape == (4, 96, 120) and one.frames.dtype == np.uint8
    noise = (one.start - one.landmarks[0])[list(wireframe.landmarks)]
    assert 1.5 < noise.std() < 2.5


def test_the_true_pose_is_the_one_that_opencv_finds_for_the_true_points(wireframe, points, texture):
    cv2 = pytest.importorskip("cv2")
    clip = film(replace(QUIET, activity=0.0), wireframe, points, texture)
    head = make_head(wireframe, points, np.random.default_rng(0).spawn(3)[0])
    model = head.vertices[: len(wireframe.vertices)]
    used = np.unique(wireframe.triangles)
    matrix = np.array([[clip.focal, 0, 59.5], [0, clip.focal, 47.5], [0, 0, 1]])
    for k in range(len(clip.frames)):
        _, turn, place = cv2.solvePnP(model[used], clip.points[k, used], matrix, None)
        assert_allclose(np.diag([1, -1, -1]) @ cv2.Rodrigues(turn)[0], clip.rotation[k], atol=1e-5)
        assert_allclose(place.ravel(), clip.place[k], atol=1e-4)
    angles = np.degrees(
        np.arccos((np.einsum("ij,nij->n", clip.rotation[0], clip.rotation) - 1) / 2)
    )
    assert angles[1:].min() > 0.5


def test_landmarks_lie_on_what_was_photographed_there(wireframe, points, texture):
    known = list(wireframe.landmarks)
    spots = np.zeros((200, 200))
    columns, rows = np.round(points[known]).astype(int).T
    spots[rows, columns] = 1
    photograph = np.clip(40 + 8000 * gaussian_filter(spots, 2.5), 0, 255).astype(np.uint8)
    config = replace(QUIET, width=160, height=150, face=90)
    black = np.zeros((200, 200), np.uint8)
    clip = make_clip(config, wireframe, photograph, points, black, seed=1)
    for frame, places in zip(clip.frames, clip.landmarks, strict=True):
        columns, rows = np.round(places[known]).astype(int).T
        # Few others lie where the face has turned away, or under a lip.
        assert (frame[rows, columns] > 90).mean() > 0.9
        assert np.median(frame[frame > 0]) < 80


def test_nothing_changes_in_a_still_but_for_the_noise(wireframe, points, texture):
    clip = film(STILL, wireframe, points, texture)
    for name in ("frames", "rotation", "place", "animation", "landmarks"):
        values = getattr(clip, name)
        assert_array_equal(values, np.broadcast_to(values[:1], values.shape))
    noisy = film(replace(STILL, noise=2.0), wireframe, points, texture)
    assert 1.5 < (noisy.frames[1].astype(float) - clip.frames[1]).std() < 2.5
    assert not np.array_equal(noisy.frames[1], noisy.frames[2])


def test_the_occluder_covers_what_is_called_hidden(wireframe, points, texture):
    config = replace(STILL, frames=40)
    clear = film(config, wireframe, points, texture)
    clip = film(replace(config, occluder=True), wireframe, points, texture)
    assert_array_equal(clip.landmarks, clear.landmarks)
    assert not clear.hidden.any() and not clip.hidden[0].any() and not clip.hidden[-1].any()
    assert clip.hidden.sum(1).max() > 20
    changed = clip.frames != clear.frames
    known = list(wireframe.landmarks)
    for k in range(0, 40, 5):
        columns, rows = np.round(clip.landmarks[k, known]).astype(int).T
        near = np.stack(
            [changed[k, rows + dy, columns + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        )
        hidden = clip.hidden[k, known]
        assert near[:, hidden].any(0).all()
        assert not near[:, ~hidden].all(0).any()


def test_light_gamma_and_shutter_change_frames_and_no_truth(wireframe, points, texture):
    plain = film(QUIET, wireframe, points, texture)
    for changed in ({"light": 60.0}, {"gamma": 0.5}, {"shutter": 3}):
        clip = film(replace(QUIET, **changed), wireframe, points, texture)
        assert_array_equal(clip.landmarks, plain.landmarks)
        assert np.abs(clip.frames[3].astype(float) - plain.frames[3]).mean() > 0.5


@pytest.mark.parametrize("how", ["mp4v", "jpeg"])
def test_codecs_give_all_frames_back_with_losses(how, wireframe, points, texture):
    if how == "mp4v":
        pytest.importorskip("cv2")
    frames = film(QUIET, wireframe, points, texture).frames
    lossy = compressed(frames, how)
    assert lossy.shape == frames.shape and lossy.dtype == np.uint8
    assert 0 < np.abs(lossy.astype(float) - frames).mean() < 8


def test_what_cannot_be_filmed_is_refused(wireframe, points, texture):
    with pytest.raises(ValueError, match="compression 'h264': give mp4v, jpeg or none"):
        compressed(np.zeros((1, 8, 8), np.uint8), "h264")
    with pytest.raises(ValueError, match="background has 200 x 200 pixels; it must be larger"):
        film(replace(SMALL, width=200), wireframe, points, texture)


def test_a_head_without_strangeness_is_the_wireframe_and_with_it_another(wireframe, points):
    rng = np.random.default_rng(0)
    count = len(wireframe.vertices)
    plain = make_head(wireframe, points, rng, strangeness=0)
    assert_allclose(plain.vertices[:count], wireframe.vertices)
    moved = wireframe.animation[list(default_units(wireframe))]
    assert_allclose(plain.units[:, :count], moved)
    assert len(plain.triangles) > 4 * len(wireframe.triangles)
    head = make_head(wireframe, points, rng)
    away = np.linalg.norm(head.vertices[:count] - wireframe.vertices, axis=1)
    assert 0.02 < away.mean() / np.ptp(wireframe.vertices[:, 0]) < 0.3
    for own, other in zip(head.units[:, :count], moved, strict=True):
        cosine = (own * other).sum() / np.linalg.norm(own) / np.linalg.norm(other)
        assert 0.8 < cosine < 0.9999
        # Not the strength alone is another one.
        assert np.abs(np.cross(own, other)).sum() > 0.01 * (other**2).sum()
    # Landmarks are where the photograph has them, whatever the person.
    places = np.array(list(wireframe.landmarks.values()))
    error = np.linalg.norm(head.texture[places] - points[list(wireframe.landmarks)], axis=1)
    assert np.median(error) < 1


def test_the_renderer_agrees_with_one_pixel_at_a_time(rng):
    triangles = rng.integers(0, 12, (9, 3))
    uv, depth = rng.uniform(-4, 24, (12, 2)), rng.uniform(0, 1, 12)
    values = np.concatenate([uv, rng.uniform(0, 1, (12, 1))], 1)
    image = rasterise(uv, depth, triangles, values, 18, 21)
    expected = np.full((18, 21, 3), np.nan)
    for row in range(18):
        for column in range(21):
            nearest = -np.inf
            for triangle in triangles:
                system = np.concatenate([uv[triangle].T, np.ones((1, 3))])
                if abs(np.linalg.det(system)) < 1e-9:
                    continue
                share = np.linalg.solve(system, [column, row, 1])
                if (share >= 0).all() and share @ depth[triangle] > nearest:
                    nearest = share @ depth[triangle]
                    expected[row, column] = share @ values[triangle]
    assert_allclose(image, expected, atol=1e-9)
    inside = ~np.isnan(image[..., 0])
    assert inside.any() and not inside.all()
    # Of linear values that are places, each pixel has its own.
    rows, columns = np.nonzero(inside)
    assert_allclose(image[inside][:, :2], np.stack([columns, rows], 1), atol=1e-9)
    assert_allclose(rasterise(uv, depth, triangles[::-1], values, 18, 21), image, atol=1e-12)


def test_triangles_are_split_in_four_and_keep_their_area_and_outline():
    side = np.arange(4)
    rows = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype(float)
    rows = np.concatenate([rows, rows[:, :1] ** 2], 1)
    first = np.array(
        [(4 * y + x, 4 * y + x + 1, 4 * y + x + 4) for y in range(3) for x in range(3)]
    )
    second = first + [1, 4, 0]
    second[:, 1] = first[:, 0] + 5
    triangles = np.concatenate([first, second])
    finer, parts = subdivided(rows, triangles)
    assert_array_equal(finer[:16], rows)
    assert len(parts) == 4 * len(triangles) and len(finer) == 49
    assert_array_equal(np.unique(parts), np.arange(49))

    def area(points, faces):
        a, b, c = (points[faces[:, k], :2] for k in range(3))
        (ux, uy), (vx, vy) = (b - a).T, (c - a).T
        return 0.5 * (ux * vy - uy * vx)

    assert area(rows, triangles).sum() == pytest.approx(9)
    assert (area(finer, parts) > 0).all() and area(finer, parts).sum() == pytest.approx(9)
    edge = outline(triangles)
    steps = rows[np.roll(edge, -1), :2] - rows[edge, :2]
    assert len(edge) == 12 and (np.abs(steps).sum(1) == 1).all()
