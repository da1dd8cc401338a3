"""The notebooks of docs/notebooks: what they hold, and that they run as they stand."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# Names of it that notebooks may take besides ours.
OTHERS = {"flax", "numpy", "pathlib", "PIL", "skimage", "sklearn", "tempfile"}


def _cells(path, kind="code"):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == kind]


def test_the_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["detector", "own_term", "spectra"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs_and_places_of_its_author(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not re.search(r"/(home|tmp|Users|root|work)\b|[A-Z]:\\\\", text)
    assert _cells(path, "markdown")[0].startswith("# ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_public_names_alone(path):
    for node in ast.walk(ast.parse("\n".join(_cells(path)))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= OTHERS
        if isinstance(node, ast.ImportFrom):
            package = node.module or ""
            if package.split(".")[0] in OTHERS:
                continue
            assert re.fullmatch(r"gan_forensics\.[a-z]+", package), package
            public = importlib.import_module(package)
            names = {alias.name for alias in node.names}
            assert names <= set(getattr(public, "__all__", vars(public))), package


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_in_order(path):
    # What a cell reads was made by it or by those above.
    made = set(vars(__import__("builtins")))
    for cell in _cells(path):
        names = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Name)]
        tree = ast.parse(cell)
        made |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                made.add(node.name)
            if isinstance(node, ast.arg):
                made.add(node.arg)
            if isinstance(node, ast.Import | ast.ImportFrom):
                made |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            if isinstance(node, ast.ExceptHandler) and node.name:
                made.add(node.name)
        assert {n.id for n in names} <= made, cell


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function that runs a notebook in a kernel of this Python, in an empty folder."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")

    def run(name, monkeypatch):
        # Kernels ask for no file of the user, and say of progress what a user sees.
        monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent.parent))
        # As a user has them: the flags of tests are for small programs.
        for flags in ("TQDM_DISABLE", "XLA_FLAGS"):
            monkeypatch.delenv(flags, raising=False)
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        folder = {"metadata": {"path": str(tmp_path_factory.mktemp(name))}}
        nbclient.NotebookClient(notebook, timeout=300, resources=folder).execute()
        return [
            output
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if output.output_type != "stream" or "encryption" not in output.text
        ]

    return run


def _texts(outputs):
    return [o.data["text/plain"] for o in outputs if o.output_type == "execute_result"]


@pytest.mark.slow
def test_spectra_of_your_photos(run, monkeypatch):
    outputs = run("spectra", monkeypatch)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    count, _, _, gains, shares, flat = _texts(outputs)
    assert ast.literal_eval(gains)[0.5] == 0 and ast.literal_eval(flat) == (int(count), 3)
    shares = ast.literal_eval(shares)
    assert shares["photos"] == 1 and shares["bilinear"] < 0.6 < 1 < shares["nearest"]


@pytest.mark.slow
def test_your_own_term_on_your_own_networks(run, monkeypatch):
    outputs = run("own_term", monkeypatch)
    texts = _texts(outputs)
    assert texts[0].startswith("Gan(own of 8x8x1, ") and texts[1].startswith("TrainState(step=200")
    history = ast.literal_eval(texts[2])
    assert history[-1] < history[0] and texts[-1] == "True"
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "2, 16, 16, 1] are needed" in said and "200 of 200 steps (100%)" in said


@pytest.mark.slow
def test_a_detector_in_scikit_learn(run, monkeypatch):
    shape, scores, best, detector, label, verdict = _texts(run("detector", monkeypatch))
    assert min(map(float, re.findall(r"[\d.]+", scores))) > 0.85
    assert "SpectralDetector(" in detector and "measured: " in detector
    assert ast.literal_eval(verdict) == {"photograph": False, "enlarged": True}
    assert ast.literal_eval(label) == ("fake", {"real": "real", "generated": "fake"})
