"""Drawing a face over its frame: what is drawn stands where it belongs, and nothing else moves."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.faces.draw import AXES, Canvas

# A square before the camera, of two triangles that are wound anticlockwise where y points up.
SQUARE = np.array([[10.0, 30.0], [30.0, 30.0], [30.0, 10.0], [10.0, 10.0]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def canvas(height=40, width=48, triangles=TRIANGLES):
    return Canvas(height, width, triangles)


def changed(canvas, **parts):
    """Where a picture differs from one without the parts, in pixels of the enlarged frame."""
    frame = np.full((canvas.height, canvas.width, 3), 100, np.uint8)
    none = {"uv": None, "landmarks": None, "axes": None, "words": ()}
    plain = canvas.draw(frame, **none)
    return (canvas.draw(frame, **{**none, **parts}) != plain).any(-1)


def test_a_frame_without_a_face_is_the_frame_above_a_legend(rng):
    frame = rng.integers(0, 255, (300, 720, 3), dtype=np.uint8)
    wide = canvas(300, 720)
    drawn = wide.draw(frame, None, None, None, ())
    assert drawn.shape == (*wide.size, 3) and drawn.dtype == np.uint8
    assert_array_equal(drawn[:300, :720], frame)
    assert (drawn[300:] > 100).any()  # the convention, in words


@pytest.mark.parametrize("shape", [(40, 48), (41, 33), (720, 1281), (288, 360)])
def test_pictures_have_even_sides_and_show_small_frames_enlarged(shape):
    size = canvas(*shape).size
    assert size[0] % 2 == size[1] % 2 == 0
    assert size[1] in (shape[1], shape[1] + 1) or 500 <= size[1] <= 1080
    frame = np.zeros((*shape, 3), np.uint8)
    assert canvas(*shape).draw(frame, None, None, None, ("a", "b")).shape == (*size, 3)


def test_edges_are_drawn_once_and_only_of_triangles_that_face_the_camera():
    front = canvas()
    assert_array_equal(front.edges_seen(SQUARE), [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]])
    assert len(front.edges_seen(SQUARE * [-1, 1])) == 0
    # Folded over: the second triangle turns its back, and their common edge is still seen.
    folded = SQUARE.copy()
    folded[3] = [28.0, 25.0]
    assert_array_equal(front.edges_seen(folded), [[0, 1], [0, 2], [1, 2]])


def test_the_wireframe_lies_on_its_vertices():
    small = canvas()
    marked = changed(small, uv=SQUARE)
    zoom = small.zoom
    places = ((SQUARE + 0.5) * zoom - 0.5).round().astype(int)
    for u, v in places:
        assert marked[v - 1 : v + 2, u - 1 : u + 2].any()
    rows, columns = np.nonzero(marked)
    low, high = places.min(0), places.max(0)
    assert columns.min() >= low[0] - 1 and columns.max() <= high[0] + 1
    assert rows.min() >= low[1] - 1 and rows.max() <= high[1] + 1


def test_landmarks_are_dots_about_their_places_and_missing_ones_are_not_drawn():
    small = canvas()
    points = np.array([[12.0, 20.0], [np.nan, 5.0], [40.0, 8.0]])
    rows, columns = np.nonzero(changed(small, landmarks=points))
    near = columns < 25 * small.zoom
    for some, place in ((near, points[0]), (~near, points[2])):
        centre = np.array([columns[some].mean(), rows[some].mean()])
        assert np.abs(centre - ((place + 0.5) * small.zoom - 0.5)).max() < 0.6


def test_axes_have_their_colours_and_go_from_the_origin_to_their_ends():
    small = canvas()
    ends = np.array([[20.0, 20.0], [35.0, 20.0], [20.0, 5.0], [14.0, 27.0]])
    frame = np.zeros((40, 48, 3), np.uint8)
    drawn = small.draw(frame, None, None, ends, ())
    for end, colour in zip(ends[1:], AXES.values(), strict=True):
        u, v = ((0.25 * ends[0] + 0.75 * end + 0.5) * small.zoom - 0.5).round().astype(int)
        assert_array_equal(drawn[v, u], colour)


def test_a_lost_face_has_a_red_border_and_its_words_are_red():
    small = canvas()
    frame = np.zeros((40, 48, 3), np.uint8)
    words = ("frame 1", "LOST")
    lost = small.draw(frame, None, None, None, words, lost=True).astype(int)
    held = small.draw(frame, None, None, None, words).astype(int)
    side = 40 * small.zoom
    assert (lost[0, : 48 * small.zoom, 0] == 255).all() and (held[0] == 0).all()
    red = (lost[side:, :, 0] > 200) & (lost[side:, :, 1] < 100)
    assert red.any() and not ((held[side:, :, 0] > 200) & (held[side:, :, 1] < 100)).any()


def test_a_pose_far_outside_does_no_harm_and_a_frame_of_another_size_is_refused():
    small = canvas()
    assert not changed(small, uv=SQUARE + 1e9, landmarks=SQUARE + 1e9).any()
    with pytest.raises(ValueError, match=r"a frame of \[41, 48, 3\] for a clip of \[40, 48, 3\]"):
        small.draw(np.zeros((41, 48, 3), np.uint8), None, None, None, ())
