"""What may be imported without what: dependencies point downwards, and imports stay quick."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("areas", "heavy"),
    [
        ("nn spectra runtime data", "orbax grain gan_forensics.train"),
        ("nn spectra runtime", "gan_forensics.data"),
        ("data", "jax flax"),
    ],
)
def test_areas_do_not_load_what_they_can_do_without(areas, heavy):
    script = "import sys\n" + "".join(f"import gan_forensics.{area}\n" for area in areas.split())
    script += f"print([name for name in {heavy.split()} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
