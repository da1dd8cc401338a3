"""Results of most experiments in the folders of their presets: small ones, for pages to be made of.

    python -m tests.small_results FOLDER

They are those of tests/golden/results, which are no measurements.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from gan_forensics.studies.results import write_results

GOLDEN = Path(__file__).parent / "golden" / "results"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))


def write_small_results(folder: Path, names=NAMES) -> list[Path]:
    """Write results.json of experiments below the folder; returns their folders."""
    outs = []
    for name in names:
        module = import_module(f"gan_forensics.experiments.{name}")
        results = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
        out = folder / module.PRESETS["smoke"][1].out.name
        out.mkdir(parents=True, exist_ok=True)
        finding = "A test's results, which are no measurement."
        write_results(out, {"finding": finding, **results}, module.tables_of(results))
        outs.append(out)
    return outs


if __name__ == "__main__":
    write_small_results(Path(sys.argv[1]))
