"""False alarms of whole photographs of 1, 12 and 48 megapixels, by tiles and their aggregation.

    python -m benchmarks.whole_photographs [--each 60] [--generated 20] [--out FILE.json]

Toy photographs (`benchmarks.toy_photographs`), as JPEG files. A detector of small squares is fitted
on squares cut out of some, and of toy generated images; tiled, it is calibrated on whole
photographs of all three sizes, and judges as many others. Beside it stand two other aggregations of
the same tiles: the threshold of the squares on the upper quartile, and "any tile above", which with
a share of 5 % for each tile calls nearly every photograph generated. Then the time of a verdict on
a file of 12 megapixels, warm: decoding and all.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.toy_photographs import crops, photograph

SIZES = {"1": (864, 1152), "12": (3024, 4032), "48": (6048, 8064)}
SIDE, CROPS, EACH = 128, 100, 4


def main() -> None:
    """Write, fit, calibrate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=60, help="photographs of each size")
    parser.add_argument("--generated", type=int, default=20, help="generated images of each size")
    parser.add_argument("--out", type=Path, help="a JSON of the numbers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), arguments.each, arguments.generated)
    print(json.dumps(found, indent=1))
    if arguments.out:
        from gan_forensics.files import write_json

        write_json(arguments.out, found)


def measured(folder: Path, each: int, generated: int) -> dict:
    """All numbers."""
    from gan_forensics.data import open_source
    from gan_forensics.forensics import Preprocessing, fit_detector
    from gan_forensics.forensics.calibration import measured_rate
    from gan_forensics.forensics.recalibration import recalibrated
    from gan_forensics.forensics.tiles import aggregate, scores_by_image, tiled
    from gan_forensics.forensics.validation import score_new

    rng = np.random.default_rng(0)
    small = list(SIZES.values())[:2]
    real = crops(CROPS, SIDE, small, rng, each=EACH)
    fake = crops(CROPS, SIDE, small, rng, each=EACH, generated=True)
    groups = np.repeat(np.arange(CROPS), EACH), np.repeat(np.arange(CROPS) + CROPS, EACH)
    squares = fit_detector(
        real, fake, features="durall", classifier="logistic", groups=groups,
        preprocessing=Preprocessing(crop=SIDE),
    )  # fmt: skip
    _say(f"fitted: {squares}")
    _write(folder / "calibration", each, rng)
    _say("written: photographs to calibrate")
    archive = {"photographs": open_source(f"folder:{folder / 'calibration'}", split="all")}
    made = recalibrated(tiled(squares), score_new(tiled(squares), archive)).detector
    _say(f"calibrated: {made}")
    own = {f"{one.tier} {one.among or 'all'}": one.called.words for one in made.calibration.alarms}
    _write(folder / "new", each, rng)
    _write(folder / "fake", generated, rng, generated=True)
    _say("written: photographs and generated images to measure")
    rates: dict = {}
    for kind in ("new", "fake"):
        every: list = []
        for name in SIZES:
            source = open_source(f"folder:{folder / kind / name}", split="all")
            tiles = scores_by_image(made, source)
            scores = np.array([aggregate(some) for some in tiles])
            highest = np.array([np.nanmax(some) for some in tiles])
            one = {
                "calibrated upper quartile": scores > made.threshold,
                "upper quartile, threshold of squares": scores > squares.threshold,
                "any tile above, threshold of tiles": highest > made.tiles.threshold,
                "any tile above, threshold of squares": highest > squares.threshold,
            }
            every.append(one)
            rates[f"{kind} {name} megapixels"] = {
                what: measured_rate(happened).words for what, happened in one.items()
            }
            _say(f"{kind} {name}: {rates[f'{kind} {name} megapixels']}")
        rates[f"{kind} all"] = {
            what: measured_rate(np.concatenate([one[what] for one in every])).words
            for what in every[0]
        }
    return {
        "each": each, "cross-fitted on the archive": own, "rates": rates,
        "detector": repr(made), "tile threshold": made.tiles.threshold,
        "threshold of squares": squares.threshold,
        "seconds of a verdict": _seconds(folder / "new" / "12", made, replace),
    }  # fmt: skip


def _seconds(folder: Path, detector, replace) -> dict[str, float]:
    """Of a first verdict on a file of 12 megapixels, the second time: the fastest of three."""
    from gan_forensics.data.decoding import decode_image
    from gan_forensics.forensics.neural import NeuralDetector, init_variables, make_network
    from gan_forensics.forensics.tiles import Tiling
    from gan_forensics.runtime import random_key

    content = next(folder.iterdir()).read_bytes()
    found = {}
    for name in (detector.name, "resnet50", "resnet_small"):
        judge = detector
        if name != detector.name:
            variables = init_variables(make_network(name), random_key(0))
            variables = {key: _plain(tree) for key, tree in variables.items()}
            judge = NeuralDetector(name, variables, tiles=Tiling(256))
        times = []
        for _ in range(4):
            start = time.perf_counter()
            judge.score([decode_image(content, name="it")])
            times.append(time.perf_counter() - start)
        found[name] = round(min(times[1:]), 3)
        _say(f"{name}: {found[name]} s")
    return found


def _plain(tree):
    import jax

    return jax.tree.map(np.asarray, tree)


def _write(folder: Path, each: int, rng: np.random.Generator, *, generated: bool = False) -> None:
    for name, (height, width) in SIZES.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            content = photograph(height, width, rng, generated=generated)
            (folder / name / f"{number:03d}.jpg").write_bytes(content)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    main()
