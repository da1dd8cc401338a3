"""Wireframe faces: what .wfm files say, how broken ones are refused, symmetry, units by name."""

import dataclasses
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.faces.candide import (
    DEFAULT_UNITS,
    default_units,
    deform,
    load_wireframe,
    mirror_of,
    oriented,
    read_wfm,
    unit_index,
    write_wfm,
)
from tests.face_points import MIRRORED

CANDIDE = Path(os.environ.get("GAN_FORENSICS_CANDIDE", ""))
ORIGINAL, VARIANT = CANDIDE / "candide3_v3.1.6.wfm", CANDIDE / "candide3_variant_14au_38su.wfm"
needs_candide = pytest.mark.skipif(
    "GAN_FORENSICS_CANDIDE" not in os.environ,
    reason="GAN_FORENSICS_CANDIDE names no folder with CANDIDE-3",
)
SMALL = """\
# A pyramid
# landmarks: 30:0
# landmarks: 36:1 45:2
# tracked: 1 2

# VERTEX LIST:
4
0 0 1
-1 -1 0
1 -1 0
0 1 0

# FACE LIST:
3
0 1 2
0 2 3
0 1 3

# ANIMATION UNITS LIST:
1

# AUV26 Open  (AU26/27)
# MNS
3
3 0 1 0
3 0 0.5 0
0 0 0 .1

# SHAPE UNITS LIST:
1

# Width
2
1 -1 0 0
2 1 0 0

# ANIMATION PARAMETERS:
1
0 0.25

# SHAPE PARAMETERS:
0

# TEXTURE:
1
3 .5 .25
face.png

# GLOBAL MOTION:
0 0 0
1 1 1
0 0 2

# END OF FILE
what follows is not read
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.wfm"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def face():
    return load_wireframe()


def assert_same(one, other):
    for part in dataclasses.fields(one):
        a, b = getattr(one, part.name), getattr(other, part.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=part.name, strict=True)
        else:
            assert a == b, part.name


def test_a_file_says_what_it_says(small):
    read = read_wfm(small)
    np.testing.assert_array_equal(read.vertices, [[0, 0, 1], [-1, -1, 0], [1, -1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(read.triangles, [[0, 1, 2], [0, 2, 3], [0, 1, 3]])
    assert read.animation_names == ("AUV26 Open (AU26/27)",)
    assert read.animation_notes == (("MNS",),)
    np.testing.assert_array_equal(read.animation[0], [[0, 0, 0.1], [0] * 3, [0] * 3, [0, 1.5, 0]])
    assert read.landmarks == {30: 0, 36: 1, 45: 2}
    assert read.tracked == (1, 2)
    assert read.notes == ("A pyramid",)
    assert read.animation_parameters == [0.25]
    assert read.shape_parameters == [0]
    np.testing.assert_array_equal(read.texture, [[np.nan] * 2] * 3 + [[0.5, 0.25]])
    assert read.texture_file == "face.png"
    np.testing.assert_array_equal(read.motion, [[0, 0, 0], [1, 1, 1], [0, 0, 2]])


def test_what_is_written_is_read_back_to_the_last_digit(small, tmp_path, rng):
    read = read_wfm(small)
    read = dataclasses.replace(read, vertices=read.vertices + rng.normal(size=(4, 3)))
    write_wfm(tmp_path / "again.wfm", read)
    assert_same(read_wfm(tmp_path / "again.wfm"), read)


@pytest.mark.parametrize(
    "odd",
    [
        {"notes": ("two\nlines",)},
        {"notes": ("VERTEX LIST:",)},
        {"notes": ("tracked: 0",)},
        {"shape_names": (" Width",)},
        {"shape_names": ("",)},
        {"vertices": np.full((4, 3), np.nan)},
        {"tracked": (4,)},
    ],
)
def test_what_could_not_be_read_back_is_not_written(small, tmp_path, odd):
    with pytest.raises(ValueError):
        write_wfm(tmp_path / "odd.wfm", dataclasses.replace(read_wfm(small), **odd))
    assert not (tmp_path / "odd.wfm").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# FACE LIST:", "# faces", "the section FACE LIST is missing; found VERTEX LIST, ANIM"),
        ("# END OF FILE", "", "END OF FILE is missing: the file is cut off"),
        ("# FACE LIST:", "# VERTEX LIST:", "line 13: a second VERTEX LIST; the first is on line 6"),
        ("LIST:\n4\n", "LIST:\n5\n", "line 7: VERTEX LIST announces 5 vertices, 4 follow"),
        ("LIST:\n4\n", "LIST:\n3\n", "line 7: VERTEX LIST announces 3 vertices, 4 follow"),
        ("LIST:\n4\n", "LIST:\n1e5\n", "line 7: VERTEX LIST announces 100000 vertices, 4"),
        ("LIST:\n4\n", "LIST:\n1e12\n", "line 7: a finite number of at most 1e"),
        ("LIST:\n4\n", "LIST:\n200000\n", "line 7: the count .* from 0 to 100000, got 200000"),
        ("LIST:\n4\n", "LIST:\n4.5\n", "line 7: the count .* must be a whole number"),
        ("LIST:\n4\n", "LIST:\n4 4\n", "line 7: the count of VERTEX LIST expected, that is 1"),
        ("0 0 1\n", "0 0 nan\n", "line 8: a finite number .*, got 'nan'"),
        ("0 0 1\n", "0 0 inf\n", "line 8: a finite number"),
        ("0 0 1\n", "0 0 one\n", "line 8: a finite number .*, got 'one'"),
        ("0 0 1\n", "0 0\n", "line 8: x y z expected, that is 3 numbers; got '0 0'"),
        ("0 2 3\n", "0 2 4\n", "line 16: vertex 4 does not exist: they are counted from 0 to 3"),
        ("0 2 3\n", "0 2 -1\n", "line 16: vertex -1 does not exist"),
        ("0 2 3\n", "0 2 2.5\n", "line 16: vertex 2.5 does not exist"),
        ("0 2 3\n", "0 2 2\n", "line 16: a triangle needs three different vertices, got '0 2 2'"),
        ("LIST:\n1\n\n# AUV", "LIST:\n2\n\n# AUV", "ANIMATION UNITS LIST announces 2 units, 1"),
        ("LIST:\n1\n\n# AUV", "LIST:\n0\n\n# AUV", "announces 0 units, but goes on: '3'"),
        ("LIST:\n1\n\n# AUV", "LIST:\n1001\n\n# AUV", "from 0 to 1000, got 1001"),
        ("# MNS\n3\n", "# MNS\n4\n", "unit 'AUV26 Open .*' announces 4 lines, 3 follow"),
        ("# MNS\n3\n", "# MNS\n2\n", "ANIMATION UNITS LIST announces 1 units, but goes on: '0 0"),
        ("# Width\n", "#\n", "unit 0 of SHAPE UNITS LIST has no comment with its name"),
        ("3 0 1 0", "4 0 1 0", "line 25: vertex 4 does not exist"),
        ("0 0.25", "1 0.25", "unit 1 does not exist: they are counted from 0 to 0"),
        ("1\n0 0.25", "1\n0 0.25\n0 0.5", "ANIMATION PARAMETERS announces 1 lines, 2 follow"),
        ("face.png", "face\npng", "TEXTURE announces 1 lines and may name a file, 3 lines"),
        ("0 0 2\n", "", "rotation, scale and translation expected, got 2 lines"),
        ("36:1", "36:9", "line 3: vertex 9 does not exist"),
        ("36:1", "68:1", "line 3: point 68 does not exist: they are counted from 0 to 67"),
        ("36:1", "36", "line 3: a finite number"),
        ("36:1", "30:1", "line 3: point 30 is given a second vertex"),
        ("tracked: 1 2", "tracked: 1 1", "line 4: a vertex is tracked twice"),
        ("# A pyramid", "A pyramid", "line 1: 'A pyramid' before the first section"),
        ("# A pyramid", "\0", "is not text"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(small, old, new, said):
    assert old in SMALL
    small.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(ValueError, match=said) as caught:
        read_wfm(small)
    assert str(caught.value).startswith(str(small))


def test_whatever_stands_in_a_file_nothing_but_a_value_error_comes_out(small, rng):
    lines = SMALL.splitlines()
    words = ("", "-1", "1e9", "nan", "x", "# ", "\udcff", "99", "1 2 3", "# TEXTURE:", "# tracked:")
    for _ in range(200):
        broken = list(lines)
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(len(broken))
            broken[place : place + rng.integers(3)] = [words[rng.integers(len(words))]]
        small.write_bytes("\n".join(broken).encode("utf-8", "surrogateescape"))
        try:
            read_wfm(small)
        except ValueError as error:
            assert str(small) in str(error)


def test_bytes_that_are_no_text_in_a_comment_do_no_harm(small):
    small.write_bytes(SMALL.encode().replace(b"A pyramid", b"J\xf6rgen"))
    assert read_wfm(small).notes == ("J\N{REPLACEMENT CHARACTER}rgen",)


def test_a_face_without_landmarks_is_refused_with_what_to_write(small):
    small.write_text(SMALL.replace("# tracked: 1 2", ""))
    with pytest.raises(ValueError, match="lacks the line of tracked. Say before its vertex list"):
        load_wireframe(small)


def test_loading_winds_all_triangles_towards_the_camera(small):
    loaded = load_wireframe(small)
    np.testing.assert_array_equal(loaded.triangles, [[0, 1, 2], [0, 2, 3], [3, 1, 0]])


def test_a_mesh_without_symmetry_names_the_vertex_that_stands_alone():
    with pytest.raises(ValueError, match=r"vertex 1 at \(2, 0, 0\) has no mirror image at \(-2, 0"):
        mirror_of(np.array([[0.0, 0, 0], [2, 0, 0]]))


def test_vertices_that_coincide_mirror_one_by_one():
    vertices = np.array([[1.0, 0, 0], [1, 0, 0], [-1, 0, 0], [-1, 0, 0], [-0.0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(mirror_of(vertices), [2, 3, 0, 1, 4, 5])


@pytest.mark.parametrize(
    ("name", "index"),
    [
        *(("AUV11", 1), ("auv 11", 1), ("jaw drop", 1), ("AU26", 1), ("27", 1), ("AU 10", 0)),
        *(("AUV1", 4), ("FAP 3", 2), ("open_jaw", 2), ("Open Jaw", 2), ("Mouth width", 3)),
        ("AUV11 Jaw drop (AU26/27)", 1),
    ],
)
def test_units_go_by_code_description_and_facs_number(name, index):
    names = (
        *("AUV0 Upper lip raiser (AU10)", "AUV11 Jaw drop (AU26/27)", "FAP 3 open_jaw"),
        *("Mouth width", "AUV1 Nothing"),
    )
    assert unit_index(names, name) == index


def test_an_unknown_unit_comes_with_those_that_are_like_it(face):
    with pytest.raises(ValueError, match="no unit is called 'jaw dorp'; did you mean 'Jaw drop"):
        unit_index(face.animation_names, "jaw dorp")
    with pytest.raises(ValueError, match="names 2 units: 'Lip', 'AUV1 Lip'; give the whole name"):
        unit_index(("Lip", "AUV1 Lip"), "lip")


def test_parameters_of_zero_leave_the_face_and_all_others_add(face, rng):
    mesh = face.vertices, face.shape, face.animation
    s, a = rng.normal(size=(2, 5, len(face.shape))), rng.normal(size=(2, 5, len(face.animation)))
    np.testing.assert_array_equal(deform(*mesh, 0 * s[0, 0], 0 * a[0, 0]), face.vertices)
    first, second, both = (
        deform(*mesh, s[0], a[0]),
        deform(*mesh, s[1], a[1]),
        deform(*mesh, *(s.sum(0), a.sum(0))),
    )
    np.testing.assert_allclose(both - first, second - face.vertices, atol=1e-12)
    one = (
        face.vertices
        + sum(p * unit for p, unit in zip(s[0, 3], face.shape, strict=True))
        + sum(p * unit for p, unit in zip(a[0, 3], face.animation, strict=True))
    )
    np.testing.assert_allclose(first[3], one, atol=1e-12)
    with jax.enable_x64(True):
        theirs = deform(*map(jnp.asarray, mesh), jnp.asarray(s), jnp.asarray(a))
    np.testing.assert_allclose(theirs[0], first, atol=1e-12)


def test_the_own_face_is_one_symmetric_surface_with_an_open_mouth(face):
    assert 90 <= len(face.vertices) <= 120
    mirror = mirror_of(face.vertices)
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    for units in face.shape, face.animation:
        np.testing.assert_array_equal(units[:, mirror] * [-1, 1, 1], units)
    flipped = {frozenset(mirror[triangle].tolist()) for triangle in face.triangles}
    assert flipped == {frozenset(triangle.tolist()) for triangle in face.triangles}
    assert set(face.triangles.ravel().tolist()) == set(range(len(face.vertices)))
    # Wound one way: no edge is passed twice in the same direction. What has one side only is the
    # outline of the face and that of the mouth: V - E + F = 0 for a disc with a hole.
    edges = np.concatenate([face.triangles[:, [i, (i + 1) % 3]] for i in range(3)]).tolist()
    directed = set(map(tuple, edges))
    assert len(directed) == len(edges)
    lines = {frozenset(edge) for edge in directed}
    assert len(face.vertices) - len(lines) + len(face.triangles) == 0
    a, b, c = (face.vertices[face.triangles[:, corner]] for corner in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()
    np.testing.assert_array_equal(face.triangles, read_wfm_of_package().triangles)


def read_wfm_of_package():
    from gan_forensics.faces.candide import OWN_FACE

    return read_wfm(OWN_FACE)


def test_the_own_face_is_written_as_it_was_read(tmp_path):
    read = read_wfm_of_package()
    write_wfm(tmp_path / "face.wfm", read)
    assert_same(read_wfm(tmp_path / "face.wfm"), read)


def test_landmarks_and_tracked_vertices_of_the_own_face_mirror(face):
    mirror = mirror_of(face.vertices)
    assert len(face.landmarks) >= 60
    for point, vertex in face.landmarks.items():
        assert face.landmarks[MIRRORED[point]] == mirror[vertex]
    assert len(face.tracked) == len(set(face.tracked)) == 26
    assert set(mirror[list(face.tracked)]) == set(face.tracked)
    assert set(face.tracked) <= set(face.landmarks.values())


def test_the_units_of_the_own_face_are_told_apart_by_the_tracked_vertices(face):
    moved = face.animation[:, list(face.tracked)].reshape(len(face.animation), -1)
    moved /= np.linalg.norm(face.animation.reshape(len(moved), -1), axis=1, keepdims=True)
    values = np.linalg.svd(moved, compute_uv=False)
    assert values[-1] > 0.005 * values[0]
    assert np.linalg.svd(moved[list(default_units(face))], compute_uv=False)[-1] > 0.3
    for name in ("eyes closed", "upper lid raiser", "lip presser", "AU1", "AU12"):
        unit_index(face.animation_names, name)


def test_units_of_the_own_face_go_the_way_that_their_names_say(face):
    def moved(unit, point):
        return face.animation[unit_index(face.animation_names, unit), face.landmarks[point]]

    assert moved("jaw drop", 57)[1] < -0.2 < moved("jaw drop", 51)[1] + 0.1
    assert moved("lip stretcher", 54)[0] > 0.05
    assert moved("lip corner depressor", 54)[1] < -0.05
    assert moved("lip corner puller", 54)[1] > 0.05
    assert moved("upper lip raiser", 51)[1] > 0.05 > moved("upper lip raiser", 57)[1]
    assert moved("brow lowerer", 22)[1] < -0.05
    assert moved("outer brow raiser", 25)[1] > 0.05 > moved("outer brow raiser", 22)[1]
    closed = unit_index(face.animation_names, "eyes closed")
    lids = [face.landmarks[point] for point in (37, 38, 41, 40)]
    opening = face.vertices[lids, 1] @ [1, 1, -1, -1]
    assert abs(opening + face.animation[closed, lids, 1] @ [1, 1, -1, -1]) < 0.05 * opening


@needs_candide
@pytest.mark.parametrize(("path", "animation", "shape"), [(ORIGINAL, 65, 14), (VARIANT, 14, 38)])
def test_candide_is_read_whole_and_written_back(path, animation, shape, tmp_path):
    read = read_wfm(path)
    assert (len(read.vertices), len(read.triangles)) == (113, 184)
    assert (len(read.animation), len(read.shape)) == (animation, shape)
    np.testing.assert_allclose(read.vertices.sum(0), (0, 1.2, -1.873), atol=1e-12)
    write_wfm(tmp_path / "again.wfm", read)
    assert_same(read_wfm(tmp_path / "again.wfm"), read)


@needs_candide
@pytest.mark.parametrize("path", [ORIGINAL, VARIANT])
def test_candide_is_known_by_its_vertices(path):
    loaded = load_wireframe(path)
    assert len(loaded.landmarks) == 47
    assert len(loaded.tracked) == 26
    mirror = mirror_of(loaded.vertices)
    assert all(mirror[v] == loaded.landmarks[MIRRORED[p]] for p, v in loaded.landmarks.items())
    assert set(mirror[list(loaded.tracked)]) == set(loaded.tracked)
    names = [loaded.animation_names[unit].lower() for unit in default_units(loaded)]
    assert all(wanted in name for wanted, name in zip(DEFAULT_UNITS, names, strict=True))


@needs_candide
def test_candide_has_the_vertices_symmetry_and_units_that_its_report_lists():
    table = np.genfromtxt(CANDIDE / "vertices.csv", delimiter=",", skip_header=1, usecols=range(5))
    read = read_wfm(ORIGINAL)
    np.testing.assert_array_equal(read.vertices, table[:, 1:4])
    np.testing.assert_array_equal(mirror_of(read.vertices), table[:, 4])
    auvs = [unit_index(read.animation_names, f"AUV{n}") for n in (0, 11, 2, 3, 14, *range(5, 11))]
    assert auvs == list(range(11))
    assert [len(np.flatnonzero(unit.any(1))) for unit in read.animation[:11]] == [
        *(10, 12, 18, 14, 14, 8, 12, 12, 23, 9 - 1, 6)
    ]
    turned = oriented(read.vertices, read.triangles)
    assert (turned != read.triangles).any(1).sum() == 148
    tracked = load_wireframe(ORIGINAL).tracked
    assert np.linalg.matrix_rank(read.animation[:11, list(tracked)].reshape(11, -1)) == 11
