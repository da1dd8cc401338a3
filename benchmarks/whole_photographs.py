"""False alarms of whole photographs of 1, 12 and 48 megapixels, by tiles and their aggregation.

    python -m benchmarks.whole_photographs [--each 100] [--generated 40] [--out FILE.json]

Toy photographs (`benchmarks.toy_photographs`). A detector of small squares is fitted on squares cut
out of some, and of toy generated images; tiled, it is calibrated on whole photographs of all three
sizes, and judges as many others. Beside it stand other aggregations of the same tiles: the
threshold of the squares on the upper quartile, and "any tile above", of the 16 and of 100. Of a
picture only the tiles are made, with the pixels that they have in the file; how far scores are from
those of whole files is measured on some. Then the time of a verdict on a file of 12 megapixels,
warm: decoding and all.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.toy_photographs import ToyPhotograph

SIZES = {"1": (864, 1152), "12": (3024, 4032), "48": (6048, 8064)}
SIDE, SQUARES = 128, 300


def main() -> None:
    """Fit, calibrate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=100, help="photographs of each size")
    parser.add_argument("--generated", type=int, default=40, help="generated images of each size")
    parser.add_argument("--out", type=Path, help="a JSON of the numbers")
    arguments = parser.parse_args()
    found = measured(arguments.each, arguments.generated)
    print(json.dumps(found, indent=1))
    if arguments.out:
        from gan_forensics.files import write_json

        write_json(arguments.out, found)


class Sparse:
    """Pictures of which only the tiles are made that they are scored by."""

    def __init__(self, name: str, n: int, seed: int, *, generated: bool = False, count: int = 16):
        self.count = count
        self.pictures = [ToyPhotograph(*SIZES[name], seed + k, generated) for k in range(n)]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        from gan_forensics.forensics.tiles import Tiling, places

        one = self.pictures[index]
        image = np.zeros((one.height, one.width, 3), np.uint8)
        for top, left in places(one.height, one.width, Tiling(SIDE, self.count)).tolist():
            image[top : top + SIDE, left : left + SIDE] = one.part(top, left, SIDE)
        return {"image": image}


def measured(each: int, generated: int) -> dict[str, Any]:
    """All numbers."""
    from gan_forensics.forensics.calibration import measured_rate
    from gan_forensics.forensics.recalibration import recalibrated
    from gan_forensics.forensics.tiles import aggregate, scores_by_image, tiled
    from gan_forensics.forensics.validation import NewScores

    squares = _fitted()
    _say(f"fitted: {squares}")
    blank = tiled(squares)
    archive = []
    for number, name in enumerate(SIZES):
        archive += scores_by_image(blank, Sparse(name, each, 10**6 * (number + 1)))
        _say(f"scored: {each} photographs of {name} megapixels")
    scores = np.array([aggregate(some) for some in archive])
    unfit: dict[str, str] = {tier: "only tiles are made" for tier in ("web", "hard")}
    new = NewScores(
        {"photographs": np.stack([scores] * 3)}, None, {}, unfit, tiles=archive
    )  # fmt: skip
    made = recalibrated(blank, new).detector
    _say(f"calibrated: {made}")
    rates: dict[str, Any] = {}
    tiling, calibration = made.tiles, made.calibration
    assert tiling is not None and calibration is not None
    limit = tiling.threshold
    for kind, count in (("photographs", each), ("generated", generated)):
        every = []
        for number, name in enumerate(SIZES):
            source = Sparse(name, count, 10**7 * (number + 1), generated=kind == "generated")
            tiles = scores_by_image(made, source)
            scores = np.array([aggregate(some) for some in tiles])
            highest = np.array([np.nanmax(some) for some in tiles])
            every.append({
                "upper quartile above the calibrated threshold": scores > made.threshold,
                "upper quartile above the threshold of squares": scores > squares.threshold,
                "any tile above the threshold of tiles": highest > limit,
                "any tile above the threshold of squares": highest > squares.threshold,
            })  # fmt: skip
            of = f"{kind}, {name} megapixels"
            rates[of] = {what: measured_rate(some).words for what, some in every[-1].items()}
            if kind == "photographs":
                seeds = 10**7 * (number + 1)
                more = replace(made, tiles=replace(tiling, count=100))
                source = Sparse(name, min(40, each), seeds, count=100)
                most = [np.nanmax(some) for some in scores_by_image(more, source)]
                words = measured_rate(np.array(most) > limit).words
                rates[of]["any of 100 tiles above the threshold of tiles"] = words
            _say(f"{of}: {rates[of]}")
        rates[f"{kind}, all"] = {
            what: measured_rate(np.concatenate([one[what] for one in every])).words
            for what in every[0]
        }
    own = [one.called.words for one in calibration.alarms]
    return {
        "photographs of each size": each, "cross-fitted on the archive": own, "rates": rates,
        "tiles and files differ by at most": _differ(made), "detector": repr(made),
        "threshold of tiles": limit, "threshold of squares": squares.threshold,
        "seconds of a verdict": _seconds(made),
    }  # fmt: skip


def _fitted():
    """A detector of squares of photographs of all sizes."""
    from gan_forensics.forensics import Preprocessing, fit_detector

    rng = np.random.default_rng(0)
    classes = []
    for generated in (False, True):
        found = []
        for number in range(SQUARES):
            height, width = list(SIZES.values())[number % 3]
            one = ToyPhotograph(height, width, 2 * number + generated, generated)
            top, left = (int(rng.integers(0, n - SIDE + 1)) // 16 * 16 for n in (height, width))
            found.append(one.part(top, left, SIDE))
        classes.append(np.stack(found))
    return fit_detector(
        *classes, features="durall", classifier="logistic", preprocessing=Preprocessing(crop=SIDE)
    )


def _differ(detector) -> float:
    """Scores of tiles of whole files beside those of tiles made by themselves."""
    from gan_forensics.data.decoding import decode_image
    from gan_forensics.forensics.tiles import places, tile_scores

    most = 0.0
    for name in ("1", "12"):
        source = Sparse(name, 2, 77)
        for row, one in enumerate(source.pictures):
            at = places(one.height, one.width, detector.tiles)
            whole = decode_image(one.whole(), name="it")
            both = (tile_scores(detector, i, at) for i in (whole, source[row]["image"]))
            most = max(most, float(np.abs(np.subtract(*both)).max()))
    return most


def _seconds(detector) -> dict[str, float]:
    """Of a verdict on a file of 12 megapixels, once all is compiled: the fastest of three."""
    import jax

    from gan_forensics.data.decoding import decode_image
    from gan_forensics.forensics.neural import NeuralDetector, init_variables, make_network
    from gan_forensics.forensics.tiles import Tiling
    from gan_forensics.runtime import random_key

    content = ToyPhotograph(*SIZES["12"], 5).whole()
    found = {"decoding alone": _fastest(lambda: decode_image(content, name="it"))}
    judges = {detector.name: detector}
    for name in ("resnet50", "resnet_small"):
        variables = init_variables(make_network(name), random_key(0))
        variables = jax.tree.map(np.asarray, variables)
        judges[name] = NeuralDetector(name, variables, tiles=Tiling(256))
    for name, judge in judges.items():
        found[name] = _fastest(lambda judge=judge: judge.score([decode_image(content, name="it")]))
        _say(f"{name}: {found[name]} s")
    return found


def _fastest(call) -> float:
    times = []
    for _ in range(4):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(min(times[1:]), 3)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    main()
