"""How long a command takes before it does its work: with an empty compilation cache, and again.

    python -m benchmarks.start_up

The time to the first step is that of a whole process, from its start to the end of the first step
of training: importing, reading data, drawing parameters, tracing, compiling. Networks are narrow
and batches small, so that the step itself costs little; what has to be compiled is the same. The
quickstart is the whole command.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.in_turns import ROOT

NARROW = "generator_width=64, discriminator_width=64, batch_size=8"
GANS = {
    "DCGAN-64": "method='dcgan', size=64, batch_size=8",
    "SNGAN-32": f"method='sngan', size=32, {NARROW}",
    "InfoMax-128": f"method='infomax-gan', size=128, {NARROW}",
}
FIRST_STEP = """
import os
from pathlib import Path
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
keep_scratch_memory()
keep_compiled()
from gan_forensics.gans import GanConfig, train_gan
from gan_forensics.train import Cadence
train_gan(
    GanConfig({config}), Path({run!r}), Cadence(1, evaluate_every=1), evaluate=lambda _: os._exit(0)
)
"""


def seconds(command: list[str], cache: Path) -> float:
    """How long a process takes that keeps what it compiles in `cache`."""
    unset = ("JAX_COMPILATION_CACHE_DIR",)
    own = {name: value for name, value in os.environ.items() if name not in unset}
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=ROOT,
        env={**own, "GAN_FORENSICS_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def cold_and_warm(name: str) -> tuple[float, float]:
    """Seconds of a row with an empty cache, and with what that filled it with."""
    with tempfile.TemporaryDirectory() as folder:
        place, times = Path(folder), []
        for turn in ("cold", "warm"):
            run = str(place / turn)
            if name == "quickstart":
                command = ["-m", "gan_forensics.cli", "quickstart", "--out", run]
            else:
                command = ["-c", FIRST_STEP.format(config=GANS[name], run=run)]
            times.append(seconds([sys.executable, *command], place / "cache"))
        cold, warm = times
        return cold, warm


def main() -> None:
    """Print a row for every GAN and for the quickstart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="ROW", help=", ".join([*GANS, "quickstart"]))
    only = parser.parse_args().only or [*GANS, "quickstart"]
    print(f"{'seconds to':24} {'cold':>6} {'warm':>6}")
    for name in only:
        cold, warm = cold_and_warm(name)
        what = name if name == "quickstart" else f"first step of {name}"
        print(f"{what:24} {cold:6.1f} {warm:6.1f}", flush=True)


if __name__ == "__main__":
    main()
