"""How well "none of these" is said: every generator left out of the fit once, and then met.

Images of further training runs of known generators are known ones: a rule that calls a new seed
unknown would be of no use.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from gan_forensics.data.attributed import Attributed
from gan_forensics.forensics.attribution import OPENNESS, Attributor
from gan_forensics.forensics.attribution_measure import MOST, outputs_after, some_of_each
from gan_forensics.forensics.attribution_model import Outputs
from gan_forensics.forensics.attribution_parts import relabelled
from gan_forensics.forensics.open_set import KNOWNNESS, leave_one_out, open_set_result

Fit = Callable[[Attributed, Attributed, str], Attributor]


def without(images: Attributed, name: str) -> Attributed:
    """The images of all sources but one."""
    left = images.names.index(name)
    kept = images.part(images.labels != left)
    labels = kept.labels - (kept.labels > left)
    return kept._replace(
        names=tuple(other for other in images.names if other != name),
        labels=labels.astype(np.int32),
    )


def measured_open_set(
    train: Attributed,
    held_out: Attributed,
    test: Attributed,
    fit: Fit,
    *,
    most: int = MOST,
    seed: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
) -> dict[str, dict[str, Any]]:
    """Leave every generator out once: its name -> a key of `KNOWNNESS` -> an `OpenSetResult`.

    Args:
        train, held_out: as `fit_attributor` takes them.
        test: images that are neither, of the same sources, further training seeds among them.
        fit: (train, held-out, the name left out) -> attributor.
        most: test images of each source.
        seed: of their choice.
        progress: as in `chunks`.

    Raises:
        ValueError: for fewer than two generators, and as `fit`.
    """
    result = {}
    for left in leave_one_out(train.names, train.real):
        fitted = fit(without(train, left.name), without(held_out, left.name), left.name)
        result[left.name] = rejected(
            fitted, without(test, left.name),
            test.part(test.labels == test.names.index(left.name)),
            most=most, seed=seed, progress=progress,
        )  # fmt: skip
    return result


def rejected(
    attributor: Attributor,
    known: Attributed,
    unknown: Attributed,
    *,
    most: int = MOST,
    seed: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
) -> dict[str, Any]:
    """An attributor on known sources and on one that it does not know, by each score.

    The threshold of the rule belongs to one of the scores, and its rates stand there alone.
    """
    known = relabelled(known, attributor.names, attributor.real)
    rows = some_of_each(known, np.ones(len(known.labels), bool), most=most, seed=seed)
    others = some_of_each(unknown, np.ones(len(unknown.labels), bool), most=most, seed=seed)
    inside, outside = (
        attributor.calibrated(outputs_after(attributor, images, chosen, progress=progress))
        for images, chosen in ((known, rows), (unknown, others))
    )
    right = np.argmax(inside.logits, 1) == known.labels[rows]
    gallery = Outputs(attributor.gallery.logits, attributor.gallery.features)
    found: Mapping[str, Any] = {
        name: open_set_result(
            knownness(inside, gallery), right, knownness(outside, gallery),
            threshold=attributor.threshold if name == OPENNESS else None,
        )
        for name, knownness in KNOWNNESS.items()
    }  # fmt: skip
    return {name: asdict(one) for name, one in found.items()}
