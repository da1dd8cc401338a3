"""Every detector of a study on every GAN: the cells that its tables are made of.

A detector is trained on real images of one source and GANs of one family and seed; it is tested on
all tails of all seeds, so that the same numbers serve tables across tails, GANs, seeds and data.
Detectors that look at the same features share them: they are trained first, and the GANs' features
are then computed once each and dropped, as DCT features of all GANs would not fit into memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.studies.bypass_detectors import find_detector
from gan_forensics.studies.bypass_rates import (
    Drawn,
    Parts,
    alarms_of,
    draw_detectors,
    rates_of,
)

Images = UInt8[np.ndarray, "n h w c"]


class Origin(NamedTuple):
    """Where generated images come from: the GAN's data, method, last upsampling and seed."""

    data: str
    method: str
    tail: str
    seed: int


class Training(NamedTuple):
    """What a detector is trained on: real images of `data`, and GANs of one method and seed.

    Attributes:
        tails: of the GANs, joined by "+", such as BASELINE+N.1.5.
    """

    data: str
    method: str
    tails: str
    seed: int

    @property
    def origins(self) -> list[Origin]:
        """The GANs."""
        return [Origin(self.data, self.method, tail, self.seed) for tail in self.tails.split("+")]


class Cell(NamedTuple):
    """Rates of a detector on a GAN's images (`bypass_rates.Rates`), means over its draws."""

    detector: str
    training: Training
    origin: Origin
    n: int
    detected: float
    detected_at_5: float
    auc: float


class RealCell(NamedTuple):
    """False alarms of a detector on the real test images of some data; see `Cell`."""

    detector: str
    training: Training
    data: str
    n: int
    n_train: int
    false_alarms: float
    false_alarms_at_5: float


class Cells(NamedTuple):
    """What was measured, in any order."""

    fake: list[Cell]
    real: list[RealCell]


def measure_cells(
    detectors: Sequence[str],
    trainings: Sequence[Training],
    is_tested: Callable[[Training, Origin], bool],
    real: Mapping[str, Parts],
    images: Mapping[Origin, Images],
    *,
    train_fraction: float,
    runs: int,
) -> Cells:
    """Train detectors that look at the same features, and test them.

    Args:
        detectors: names, as in `bypass_detectors`, of the same features or of one network.
        trainings: what each is trained on.
        is_tested: whether a detector of a training is tested on a GAN; its false alarms are then
            measured on real images of the GAN's data too.
        real: real images by data.
        images: generated ones by GAN; read one at a time.
        train_fraction, runs: as for `draw_detectors`; networks have their own.

    Raises:
        ValueError: as `draw_detectors`, and for a GAN without any image that has a spectrum.
    """
    kinds = {name: find_detector(name) for name in detectors}
    rows_of = kinds[detectors[0]].rows
    real_rows = {
        data: Parts(*(rows_of(part, f"real images of {data}") for part in parts))
        for data, parts in real.items()
    }
    drawn: dict[tuple[str, Training], list[Drawn]] = {}
    found = Cells([], [])
    for training in trainings:
        pools = {o: rows_of(images[o], _said(o)) for o in training.origins}
        for name, kind in kinds.items():
            drawn[name, training] = draw_detectors(
                real_rows[training.data],
                pools,
                fit=kind.fit,
                **kind.draws(train_fraction, runs),
                seed=training.seed,
            )
    # Of other data than its own, what each detector says of their real images.
    away: dict[tuple[str, Training, str], list[np.ndarray]] = {}
    for (name, training), each in drawn.items():
        for data in dict.fromkeys(o.data for o in images if is_tested(training, o)):
            test = real_rows[data].test
            scores = [one.decide(test) for one in each] if data != training.data else []
            away[name, training, data] = scores
            alarms = alarms_of(each, real_scores=scores)
            found.real.append(RealCell(name, training, data, len(test), each[0].n_train, *alarms))
    for origin, some in images.items():
        asked = [key for key in drawn if is_tested(key[1], origin)]
        if not asked:
            continue
        rows = rows_of(some, _said(origin))
        for name, training in asked:
            each = drawn[name, training]
            rates = rates_of(each, origin, rows, real_scores=away[name, training, origin.data])
            n = len(each[0].left.get(origin, rows))
            found.fake.append(Cell(name, training, origin, n, *rates))
    return found


def stored(cells: Cells) -> dict[str, Any]:
    """Cells for a file."""
    return {"fake": cells.fake, "real": cells.real}


def restored(kept: Mapping[str, Any]) -> Cells:
    """Cells from a file, where tuples are lists."""
    return Cells(
        [Cell(name, Training(*t), Origin(*o), *rest) for name, t, o, *rest in kept["fake"]],
        [RealCell(name, Training(*t), *rest) for name, t, *rest in kept["real"]],
    )


def joined(parts: Sequence[Cells]) -> Cells:
    """All cells of several measurements."""
    return Cells([c for p in parts for c in p.fake], [c for p in parts for c in p.real])


def _said(origin: Origin) -> str:
    return f"{origin.method} {origin.tail} of {origin.data}, seed {origin.seed}"
