"""The page's templates, script and looks are in the built wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import gan_forensics
assert gan_forensics.__file__.startswith({folder!r}), gan_forensics.__file__
from gan_forensics.inspector.findings import Tools
from gan_forensics.inspector.inspection import received
from gan_forensics.inspector.report import report_html
from gan_forensics.inspector.server import application
from starlette.testclient import TestClient
page = report_html([received(b"bytes", "a.png", number=1)], Tools(), private=False)
assert "<script>" in page and "prefers-color-scheme" in page
with TestClient(application(Tools(), token="t", port=8000), base_url="http://127.0.0.1:8000") as to:
    assert "data-drop" in to.get("/?token=t").text
"""


def test_a_wheel_holds_all_of_the_page(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", tmp_path, str(_copy(tmp_path / "source"))],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if "inspector/pages/" in name}
        archive.extractall(tmp_path / "installed")
    pages = (ROOT / "gan_forensics" / "inspector" / "pages").iterdir()
    assert held == {f"gan_forensics/inspector/pages/{path.name}" for path in pages}
    script = SCRIPT.format(folder=str(tmp_path / "installed"))
    result = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def _copy(folder):
    """The sources that are built: building leaves files beside them."""
    import shutil

    folder.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("gan_forensics", "experiments"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
