# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of wireframe faces: geometry, files, models, fits."""

from tests.mutations import Mutation

FACES = "gan_forensics/faces/"
MESH = f"{FACES}wireframe.py", "tests/test_faces_candide.py"
WFM = f"{FACES}wfm.py", "tests/test_faces_candide.py"
MODELS = f"{FACES}candide.py", "tests/test_faces_candide.py"
FIT = f"{FACES}fit.py", "tests/test_faces_fit.py"

CHANGES = [
    (MESH, "vertices.shape) + moved", "vertices.shape) - moved"),
    (MESH, "np.cross(b - a, c - a)[:, 2] < 0", "np.cross(b - a, c - a)[:, 2] > 0"),
    (MESH, "mirror[indices] = others", "mirror[indices] = others[0]"),
    (MESH, "others = places.get((-x + 0.0, y, z), [])", "others = places.get((x, y, z), [])"),
    (MESH, 'r"\\1\\2", words', 'r"\\1 \\2", words'),
    (MESH, 'numbers = facs.split("/") if facs else []', "numbers = [facs] if facs else []"),
    (WFM, "unit[self.index(vertex, n)] += move", "unit[self.index(vertex, n)] = move"),
    (WFM, "not 0 <= value < below", "not 0 <= value <= below"),
    (WFM, "if value != int(value) or not 0 <= value < below", "if not 0 <= value < below"),
    (WFM, "if value != int(value) or not 0 <= value <= most", "if value != int(value) or not 0 <= value"),
    (WFM, "if not abs(value) <= _MAX_SIZE", "if abs(value) > _MAX_SIZE"),
    (WFM, "        if len(lines) != count:\n            self.fail(f\"{section} announces {count} {what}", "        if len(lines) < count:\n            self.fail(f\"{section} announces {count} {what}"),
    (WFM, "if len(set(triangle.tolist())) < 3:", "if len(set(triangle.tolist())) < 2:"),
    (WFM, "if title in self.sections:", "if False:"),
    (WFM, 'errors="replace"', 'errors="strict"'),
    (WFM, "text = repr(float(value))", 'text = f"{float(value):.6f}"'),
    (WFM, "if given != read:", "if False:"),
    (WFM, 'if b"\\0" in data:', "if False:"),
    (MODELS, "triangles=oriented(wireframe.vertices, wireframe.triangles)", "triangles=wireframe.triangles"),
    (MODELS, "if missing:", "if len(missing) > 1:"),
    (FIT, "np.sqrt(weights[used])[:, None]", "weights[used][:, None]"),
    (FIT, "damping * np.eye(len(parameters))[6:]", "0 * np.eye(len(parameters))[6:]"),
    (FIT, "damping * parameters[6:]]", "damping**2 * parameters[6:]]"),
    (FIT, "weights[CONTOUR] = CONTOUR_WEIGHT", "weights[CONTOUR] = 1"),
    (FIT, "& (weights[named] > 0)]", "]"),
    (FIT, "weights * spread * [1, -1]", "weights * spread"),
    (FIT, "solved[:3] = euler_angles(rotation(*solved[:3]))", "pass"),
    (FIT, "np.vstack([first_two, np.cross(*first_two)])", "np.vstack([first_two, -np.cross(*first_two)])"),
    (FIT, "[wireframe.landmarks[point] for point in named], :2] * [1, -1]", "[wireframe.landmarks[point] for point in named], :2]"),
    (FIT, "[BOX_POINTS[point] for point in named]) * [width, height]", "[BOX_POINTS[point] for point in named]) * width"),
    (FIT, "/ (spread**2).sum()\n    place", "/ spread.sum()\n    place"),
]  # fmt: skip
MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
