"""Faces found where they are and nowhere else; landmarks from files of strangers."""

import importlib.util
import json
import math
import os
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage import data

from gan_forensics.faces import detectors, faceapi
from gan_forensics.faces.detectors import (
    Box,
    detect_boxes,
    is_face,
    load_landmark_detector,
    read_landmarks_csv,
)

FACEAPI = os.environ.get("GAN_FORENSICS_FACE_API", "")
DLIB = os.environ.get("GAN_FORENSICS_DLIB_PREDICTOR", "")
# The face of scikit-image's astronaut, by eye: between the eyes and the mouth, and its width.
CENTRE, FACE_WIDTH = (222, 125), 80


def rgb(gray, side=None):
    image = Image.fromarray(np.asarray(gray, np.uint8))
    image = image if side is None else image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()[:300, 50:400]  # the suit left out, for speed


def centred(box, at=CENTRE, left=0):
    return math.dist((box.x + box.w / 2, box.y + box.h / 2), (at[0] - left, at[1])) < 0.15 * box.w


def test_a_face_is_found_where_it_is(astronaut):
    (box,) = detect_boxes(astronaut)
    assert centred(box, left=50) and 1 < box.w / FACE_WIDTH < 1.5
    assert box.w == box.h and box.score >= detectors.VOTES
    assert is_face(astronaut, box)


def test_a_mirrored_picture_has_the_mirrored_box(astronaut):
    (box,), (mirrored,) = detect_boxes(astronaut), detect_boxes(astronaut[:, ::-1].copy())
    width = astronaut.shape[1]
    assert box.x + mirrored.x + box.w == pytest.approx(width - 1, abs=0.1 * box.w)
    assert mirrored.y == pytest.approx(box.y, abs=0.1 * box.w)


def test_shifting_a_picture_shifts_the_box(astronaut):
    (box,) = detect_boxes(astronaut)
    (moved,) = detect_boxes(astronaut[20:, 30:])
    expected = (box.x - 30, box.y - 20, box.w)
    np.testing.assert_allclose((moved.x, moved.y, moved.w), expected, atol=4)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "grass"])
def test_no_face_is_found_in_pictures_of_other_things(name):
    picture = rgb(getattr(data, name)())[:280, :320]
    assert detect_boxes(picture) == []


def test_nothing_is_found_in_nothing():
    for shape in ((1, 1), (10, 300), (64, 64), (300, 10)):
        assert detect_boxes(np.full((*shape, 3), 128, np.uint8)) == []


def test_error_rates_on_faces_and_other_crops_that_were_never_used():
    # 20 of the 100 faces and of the 100 others; of all, 93 and 0 pass.
    crops = 255 * data.lfw_subset()
    passed = [
        is_face(rgb(np.pad(crop, 8, mode="edge"), 164), (31.5, 31.5, 100, 100))
        for crop in (*crops[:100:5], *crops[100::5])
    ]
    assert sum(passed[:20]) >= 18 and sum(passed[20:]) == 0


def test_windows_within_a_face_are_no_second_one():
    windows = np.array([[0, 0, 100]] * 20 + [[20, 40, 40]] * 9 + [[150, 0, 60]] * 10, float)
    boxes = detectors._agreeing(windows)
    assert boxes == [Box(0, 0, 100, 100, 20), Box(150, 0, 60, 60, 10)]


def windows_agree(picture):
    gray = np.asarray(Image.fromarray(picture).convert("L"))
    return detectors._agreeing(detectors._windows(gray, 320, 0))


def test_a_face_that_fills_its_picture_is_found():
    crop = rgb(255 * data.lfw_subset()[22], 120)
    (box,) = detect_boxes(crop)
    assert 80 < box.w < 140 and centred(box, (59.5, 64))
    # It needs the picture's edge to be repeated around it.
    assert all(one.score < detectors.VOTES for one in windows_agree(crop))


def test_the_largest_of_several_faces_comes_first(astronaut):
    face = astronaut[40:220, 80:260]
    small = rgb(np.asarray(Image.fromarray(face).convert("L")), 110)
    canvas = np.full((200, 320, 3), 120, np.uint8)
    canvas[:110, :110] = small
    canvas[10:190, 130:310] = face
    large, little = detect_boxes(canvas)
    assert large.w > 1.3 * little.w and large.x > 120 > little.x + little.w


def test_a_small_face_in_a_large_picture_is_found(astronaut):
    canvas = np.full((480, 640, 3), 90, np.uint8)
    face = Image.fromarray(astronaut[40:220, 80:260]).convert("L")
    canvas[200:250, 300:350] = rgb(face, 50)
    (box,) = detect_boxes(canvas)
    assert 22 < box.w < 36 and centred(box, (326, 223))


def test_a_box_beside_the_face_or_of_another_size_is_no_face(astronaut):
    (box,) = detect_boxes(astronaut)
    assert is_face(astronaut, (box.x + 5, box.y - 5, box.w, 1.1 * box.h))
    assert not is_face(astronaut, (box.x + 0.6 * box.w, box.y, box.w, box.h))
    assert not is_face(astronaut, (box.x + 0.45 * box.w, box.y, box.w, box.h))
    assert not is_face(astronaut, (box.x - box.w, box.y - box.w, 3 * box.w, 3 * box.h))
    assert not is_face(astronaut, (box.x - 0.5 * box.w, box.y - 0.5 * box.w, 2 * box.w, 2 * box.h))
    assert not is_face(astronaut, (box.x + 0.2 * box.w, box.y + 0.2 * box.w, 50, 50))
    assert not is_face(astronaut, (box.x + box.w / 3, box.y + box.w / 3, box.w / 4, box.h / 4))


@pytest.mark.parametrize(
    "box",
    [(0, 0, 0, 5), (400, 0, 5, 5), (-9, 0, 5, 5), (0, 0, math.nan, 5), (0, 0, 1e9, 5)],
    ids=str,
)
def test_boxes_that_are_none_are_refused(astronaut, box):
    with pytest.raises(ValueError, match="does not lie in an image of 350x300"):
        is_face(astronaut, box)


@pytest.mark.parametrize("wrong", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3))], ids=str)
def test_faces_are_sought_in_rgb_alone(wrong):
    with pytest.raises(ValueError, match="uint8 .h, w, 3."):
        detect_boxes(wrong)


# --- landmarks from a CSV -------------------------------------------------------------------------

POINTS = [*range(17, 24), 30, 36, 39, 42, 45, 48, 54]


def table(points=POINTS, head="point,x,y", extra=""):
    return head + "\n" + "".join(f"{p},{p + 0.5},{2 * p}\n" for p in points) + extra


def test_landmarks_are_read_and_missing_ones_are_nan(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table())
    points = read_landmarks_csv(path)
    assert points.shape == (68, 2) and points.dtype == np.float64
    assert np.flatnonzero(np.isfinite(points).all(1)).tolist() == sorted(POINTS)
    np.testing.assert_array_equal(points[30], (30.5, 60))
    path.write_text(table() + "31.0,1,2\n")
    np.testing.assert_array_equal(read_landmarks_csv(path)[31], (1, 2))
    # Columns by their names, a mark of spreadsheets, spaces, a column more, empty lines.
    lines = "\ufeffy, note ,x,point\n\n" + "".join(f"{2 * p},a,{p + 0.5}, {p}\n" for p in range(68))
    path.write_text(lines, encoding="utf-8")
    np.testing.assert_array_equal(read_landmarks_csv(path)[:, 1], 2 * np.arange(68))
    path.write_text(table().replace(".", "|").replace(",", ";").replace("|", ","))
    np.testing.assert_array_equal(read_landmarks_csv(path)[30], (30.5, 60))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no line in it; the first one is point,x,y"),
        (table(head="point,x"), "line 1 lacks y"),
        (table(head="a,b,c"), "line 1 lacks point, x, y"),
        (table(head="Point,X,Y"), "line 1: names of columns are in small letters"),
        (table(head="0,1.5,2"), "line 1 holds numbers: the first line names the columns"),
        (table(extra='31,"1,5",2\n'), "'17.5' in line 2 and '1,5' in line 16: which mark"),
        (table(range(1, 69)), "it seems to count from 1: points are counted from 0 to 67"),
        (table(range(69)), "line 70: point 68 is none of iBUG's 68"),
        (table(extra="69,1,1\n"), "line 16: point 69 is none of iBUG's 68"),
        (table(extra="nan,1,1\n"), "line 16: 'nan,1,1' are not a whole number"),
        (table(extra="inf,1,1\n"), "line 16: 'inf,1,1' are not a whole number"),
        (table(extra="30,1,1\n"), "line 16: point 30 stands in line 9 already"),
        (table(extra="-1,1,1\n"), "line 16: point -1 is none"),
        (table(extra="31,one,1\n"), "line 16: '31,one,1' are not a whole number"),
        (table(extra="31.5,1,1\n"), "line 16: '31.5,1,1' are not a whole number"),
        (table(extra="31,1\n"), "line 16: '31,1,' are not"),
        (table(extra="31,1,5,2,5\n"), "line 16: more values than columns; decimals take a point"),
        (table(extra="31,nan,1\n"), "line 16: '31,nan,1' are not"),
        (table(extra="31,1,-inf\n"), "line 16: '31,1,-inf' are not"),
        (table(extra="31,1e9,1\n"), "line 16: x=1e.09, y=1 is no place"),
        (table(POINTS[:7]), "7 landmarks; none of the nose, the right eye, the left eye, the mou"),
        (table(POINTS[3:]), "11 landmarks; a fit needs 12"),
        (table(range(17, 48)), "31 landmarks; none of the mouth; a fit needs 12"),
    ],
)  # fmt: skip
def test_tables_of_landmarks_that_do_not_serve_are_refused_by_line(tmp_path, text, complaint):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as error:
        read_landmarks_csv(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_files_that_are_no_tables_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(ValueError, match="it is a picture, not text"):
        read_landmarks_csv(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="it is a folder; give a CSV file of landmarks"):
        read_landmarks_csv(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file; give a CSV"):
        read_landmarks_csv(tmp_path / "none.csv")


# --- landmarks by a network -----------------------------------------------------------------------


def write_network(folder, seed=0):
    """Files as face-api's, with random weights; returns the stored bytes by name."""
    rng = np.random.default_rng(seed)
    entries, stored = [], {}
    for name, shape in faceapi.shapes().items():
        stored[name] = rng.integers(0, 256, shape, dtype=np.uint8)
        scale = 0.004 if name.endswith("bias") else 4 / 255 / math.sqrt(math.prod(shape[:-1]) or 1)
        quantised = {"dtype": "uint8", "scale": scale, "min": -127 * scale}
        entries.append(
            {"name": name, "shape": shape, "dtype": "float32", "quantization": quantised}
        )
    manifest = [{"weights": entries, "paths": ["weights.bin"]}]
    (folder / faceapi.MANIFEST).write_text(json.dumps(manifest))
    (folder / "weights.bin").write_bytes(b"".join(array.tobytes() for array in stored.values()))
    return manifest, stored


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    return folder, *write_network(folder)


def test_bytes_become_weights(network):
    folder, (group,), stored = network
    weights = faceapi.read_weights(folder)
    assert sum(array.size for array in weights.values()) == 356_840  # as the published file has
    for entry in group["weights"]:
        scale, minimum = entry["quantization"]["scale"], entry["quantization"]["min"]
        expected = stored[entry["name"]] * scale + minimum
        np.testing.assert_allclose(weights[entry["name"]], expected, atol=1e-6)
    by_path = faceapi.read_weights(folder / faceapi.MANIFEST)
    assert by_path.keys() == weights.keys() == faceapi.shapes().keys()


def slow_network(weights, image):
    """The network by its definition: loops over kernels, NumPy, float64."""

    def convolution(x, kernel, stride, depthwise):
        height, width, _ = x.shape
        out = -(-height // stride), -(-width // stride)
        total = [
            max((n - 1) * stride + 3 - m, 0) for n, m in zip(out, (height, width), strict=True)
        ]
        x = np.pad(x, [*((t // 2, t - t // 2) for t in total), (0, 0)])
        result = 0
        for i in range(3):
            for j in range(3):
                part = x[i : i + out[0] * stride : stride, j : j + out[1] * stride : stride]
                part = part[: out[0], : out[1]]
                result = result + (part * kernel[i, j, :, 0] if depthwise else part @ kernel[i, j])
        return result

    w = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    x = (image.astype(np.float64) - [122.782, 117.001, 104.298]) / 255
    for block in range(4):
        total = 0
        for layer in range(4):
            name, stride = f"dense{block}/conv{layer}", 1 if layer else 2
            if block == layer == 0:
                y = convolution(x, w[f"{name}/filters"], stride, False)
            else:
                y = convolution(x, w[f"{name}/depthwise_filter"], stride, True)
                y = y @ w[f"{name}/pointwise_filter"][0, 0]
            y = y + w[f"{name}/bias"]
            total = total + (y if layer else np.maximum(y, 0))
            x = np.maximum(total, 0)
    return (x.mean((0, 1)) @ w["fc/weights"] + w["fc/bias"]).reshape(68, 2)


def test_the_network_is_the_one_of_its_definition(network):
    weights = faceapi.read_weights(network[0])
    crops = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    found = faceapi.landmarks(weights, crops)
    expected = np.stack([slow_network(weights, crop) for crop in crops])
    np.testing.assert_allclose(found, expected, atol=1e-4 * abs(expected).max())


def test_landmarks_come_in_pixels_of_the_frame(network, monkeypatch):
    # A network that answers one square within its crop, whatever it sees.
    corners = np.tile([[0.0, 0.0], [1.0, 1.0]], (34, 1)) * 0.5 + 0.25
    monkeypatch.setattr(faceapi, "landmarks", lambda weights, crops: corners[None])
    monkeypatch.setattr(detectors, "_FACEAPI_BOX", (0.0, 0.0, 2.0))
    detector = load_landmark_detector(network[0])
    points = detector(np.zeros((200, 200, 3), np.uint8), Box(39.5, 59.5, 63, 63, 9))
    np.testing.assert_allclose(points.min(0), (55.25, 75.25), atol=1e-9)
    np.testing.assert_allclose(points.max(0), (86.75, 106.75), atol=1e-9)
    # What it sees is what lies in the box: from 39.5 to 102.5 on a ramp, 71 on average.
    seen = lambda crops: jnp.asarray(corners)[None].at[0, 0, 0].set(crops.mean() / 256)  # noqa: E731
    monkeypatch.setattr(faceapi, "landmarks", lambda weights, crops: seen(crops))
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (200, 1, 3))
    points = load_landmark_detector(network[0])(ramp, Box(39.5, 59.5, 63, 63, 9))
    assert (points[0, 0] - 39.5) / 63 * 256 == pytest.approx(71, abs=0.2)
    with pytest.raises(ValueError, match="does not lie in an image"):
        detector(np.zeros((20, 20, 3), np.uint8), (50, 50, 5, 5))


def changed(manifest, **by):
    entry = manifest[0]["weights"][3] | by
    return [manifest[0] | {"weights": [*manifest[0]["weights"][:3], entry]}]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda m: "[", "not a manifest of face-api's"),
        (lambda m: "[" * 100_000, "not a manifest of face-api's"),
        (lambda m: " " * (2 << 20), "not a manifest"),
        (lambda m: {}, "not a manifest"),
        (lambda m: [*m, *m], "not a manifest"),
        (lambda m: [m[0] | {"paths": ["a", "b"]}], "not a manifest"),
        (lambda m: [m[0] | {"paths": ["../weights.bin"]}], "names no plain file beside it"),
        (lambda m: [m[0] | {"paths": ["/etc/passwd"]}], "names no plain file beside it"),
        (lambda m: [m[0] | {"paths": [7]}], "names no plain file beside it"),
        (lambda m: [m[0] | {"paths": ["gone.bin"]}], "gone.bin: no such file"),
        (lambda m: [m[0] | {"weights": m[0]["weights"][:-1]}], r"another network \(fc/bias differ"),
        (lambda m: changed(m, shape=[32, 33]), "weights of another network"),
        (lambda m: changed(m, shape=[True]), "not a manifest"),
        (lambda m: changed(m, dtype="int32"), "not a manifest"),
        (lambda m: changed(m, quantization={"dtype": "uint16"}), "not a manifest"),
        (
            lambda m: changed(m, quantization={"dtype": "uint8", "scale": math.inf, "min": 0}),
            "not a manifest",
        ),
    ],
)
def test_manifests_of_other_things_are_refused(network, tmp_path, damage, complaint):
    made = damage(network[1])
    path = tmp_path / faceapi.MANIFEST
    path.write_text(made if isinstance(made, str) else json.dumps(made))
    (tmp_path / "weights.bin").write_bytes((network[0] / "weights.bin").read_bytes())
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        load_landmark_detector(tmp_path)


def test_weights_of_another_size_are_refused(network, tmp_path):
    (tmp_path / faceapi.MANIFEST).write_bytes((network[0] / faceapi.MANIFEST).read_bytes())
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="weights.bin: 100 bytes where the manifest counts 356840"):
        load_landmark_detector(tmp_path)
    with pytest.raises(FileNotFoundError, match="give the weights' manifest"):
        load_landmark_detector(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match="give dlib's shape_predictor_68"):
        load_landmark_detector(tmp_path / "none.dat")
    with pytest.raises(ValueError, match="no landmark detector that is known"):
        load_landmark_detector(tmp_path / "weights.bin")


def test_a_missing_dlib_names_its_extra(tmp_path, monkeypatch):
    (tmp_path / "a.dat").write_bytes(b"a")
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(ImportError, match=r"gan_forensics\[landmarks\]"):
        load_landmark_detector(tmp_path / "a.dat")


def near_the_features(points):
    """Whether landmarks lie on the astronaut's eyes and mouth, where both detectors see them."""
    places = {(36, 42): (203, 101), (42, 48): (246, 103), (48, 68): (223, 145)}
    return all(
        math.dist(points[a:b].mean(0) + (50, 0), place) < 5 for (a, b), place in places.items()
    )


@pytest.mark.skipif(not FACEAPI, reason="GAN_FORENSICS_FACE_API names no folder of weights")
def test_the_published_network_finds_the_astronauts_features(astronaut):
    (box,) = detect_boxes(astronaut)
    points = load_landmark_detector(Path(FACEAPI))(astronaut, box)
    assert near_the_features(points)


@pytest.mark.skipif(
    not DLIB or importlib.util.find_spec("dlib") is None,
    reason="GAN_FORENSICS_DLIB_PREDICTOR names no file, or dlib is not installed",
)
def test_the_published_predictor_finds_the_astronauts_features(astronaut, tmp_path):
    (box,) = detect_boxes(astronaut)
    detector = load_landmark_detector(DLIB)
    points = detector(astronaut, box)
    assert points.shape == (68, 2) and near_the_features(points)
    # The same from a box that is a little off.
    moved = detector(astronaut, (box.x + 8, box.y - 8, 1.15 * box.w, 1.15 * box.h))
    assert abs(moved - points).mean() < 1
    (tmp_path / "bad.dat").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not a landmark predictor of dlib, or damaged"):
        load_landmark_detector(tmp_path / "bad.dat")
