"""What may be imported without what: dependencies point downwards, and imports stay quick."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("areas", "heavy"),
    [
        ("nn spectra runtime data", "gan_forensics.train"),
        ("nn spectra runtime", "gan_forensics.data"),
        ("spectra", "flax gan_forensics.nn"),
        ("data", "jax flax"),
        # What loads slowly is loaded where it is used.
        (
            "nn spectra runtime data train gans quality forensics explain distill faces",
            "orbax tensorstore matplotlib scipy sklearn skimage pandas",
        ),
        ("anomaly", "orbax sklearn.ensemble matplotlib"),
    ],
)
def test_areas_do_not_load_what_they_can_do_without(areas, heavy):
    script = "import sys\n" + "".join(f"import gan_forensics.{area}\n" for area in areas.split())
    script += f"print([name for name in {heavy.split()} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
