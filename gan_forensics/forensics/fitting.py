"""Fitting detectors of features: four disjoint parts of the images, for four purposes."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gan_forensics.data import Rows, Source, account, as_source
from gan_forensics.data.carriers import CARRIERS
from gan_forensics.data.copies import copies
from gan_forensics.data.sources import describe
from gan_forensics.data.survey import OnBadImage, surveyed
from gan_forensics.forensics.calibration import Calibration, smallest_calibration_set
from gan_forensics.forensics.canvases import room
from gan_forensics.forensics.classifiers import CLASSIFIERS, fit_table
from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.detectors import SpectralDetector, size_of
from gan_forensics.forensics.evidence import Held, rest_trains, weighed
from gan_forensics.forensics.features import FEATURES, check_images, lookup
from gan_forensics.forensics.measure import carried, thresholds_of
from gan_forensics.forensics.partition import own_groups, parted
from gan_forensics.forensics.preprocessing import NATIVE, TO_ONE_SIZE, Preprocessing
from gan_forensics.quality import FeatureExtractor

Progress = Callable[[range], Iterable[int]]
# Carriers that a robust detector sees each training image after, beside the image as it is.
COPIES = 2


def fit_detector(
    real: Any,
    fake: Any,
    *,
    features: str | FeatureExtractor = "durall",
    classifier: str = "knn",
    seed: int = 0,
    calibration: float = 0.05,
    held_out: float = 0.2,
    reference: float = 0.2,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
    preprocessing: Preprocessing = NATIVE,
    robust: bool = False,
    facts: Mapping[str, Any] | None = None,
    on_bad_image: OnBadImage = "stop",
    progress: Progress = iter,
) -> SpectralDetector:
    """Fit a detector of generated images, calibrate it, and measure what it does.

    The images are parted in four, no image or group in two of them: those that train; real ones
    that set the threshold; reference images of both classes, which calibrate likelihood ratios
    (`SpectralDetector.log10_lr`), in each tier of `data.carriers.TIERS`; and those of both classes
    that all this is measured on. A new real image of the same kind raises a false alarm with
    probability at most `calibration` (`calibrated_threshold`). What was measured stands in the
    detector's calibration, also after each carrier and tier. Where there are too few reference
    images for a calibrator, they train too, and the calibration says why there is none. Flat
    images (`data.flat`) are left out, which the detector's facts tell.

    Args:
        real: real images as `gan_forensics.data.as_images` takes them, such as a folder's path; of
            files no more than a batch is in memory at a time, beside the features of those that
            train.
        fake: generated images, likewise.
        features: a key of `FEATURES`, or an extractor of frozen features (see `frozen`).
        classifier: a key of `CLASSIFIERS`.
        seed: of the split and of the classifier.
        calibration: accepted share of false alarms on real images, in (0, 1).
        held_out: share of the real images that set the threshold, and again of either class that is
            measured on, in (0, 0.5).
        reference: share of either class that calibrates likelihood ratios; 0 for none. With twice
            `held_out` it is below 1.
        groups: of each real and of each generated image, such as the photograph that it was cut
            from; a group lies in one part, and has one vote.
        preprocessing: what makes images one size, among other things; kept with the detector.
        robust: also train on images after carriers, and bound the false alarms under each.
        facts: about the images, kept with the detector.
        on_bad_image: refuse files that cannot be read, all at once, or leave them out.
        progress: as in `chunks`, for each class and part.

    Raises:
        ValueError: on unknown names, sizes that differ, or too few images for the calibration.
        ImageError: for files that cannot be read.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, fake = (rng.integers(0, top, (100, 8, 8, 3), np.uint8) for top in (200, 256))
        >>> detector = fit_detector(real, fake, features="dct", classifier="logistic")
        >>> detector.name, detector.calibration.target
        ('dct-logistic', 0.05)
    """
    if isinstance(features, str):
        lookup(FEATURES, features, "features")
        name, extractor = features, None
    else:
        name, extractor = features.name, features
    lookup(CLASSIFIERS, classifier, "classifier")
    if not 0 < calibration < 1:
        raise ValueError(f"calibration is a share between 0 and 1 (exclusive), got {calibration}")
    if not 0 < held_out < 0.5:
        raise ValueError(f"held_out is a share between 0 and 0.5 (exclusive), got {held_out}")
    if not 0 <= reference < 1 - 2 * held_out:
        raise ValueError(
            f"reference is a share from 0 to {1 - 2 * held_out:.3g} (exclusive), what twice "
            f"held_out={held_out:g} leaves, got {reference}: give less, or 0 for none"
        )
    sources = _as_source(real), _as_source(fake)
    of = [np.asarray(names) for names in groups or own_groups(*map(len, sources))]
    blank = SpectralDetector(
        name, classifier, (0, 0, 0), _UNFITTED, math.inf, _uncalibrated(calibration, seed),
        preprocessing, {"robust": robust, **(facts or {})}, extractor,
    )  # fmt: skip
    surveys, usable, more = surveyed(
        dict(zip(("real", "generated"), sources, strict=True)),
        view=blank.view, on_bad_image=on_bad_image, progress=progress,
    )  # fmt: skip
    sources = usable[0], usable[1]
    of = [names[found.rows] for names, found in zip(of, surveys, strict=True)]
    shape, other = (preprocessing.shape(source[0]["image"].shape) for source in sources)
    if shape != other:
        raise ValueError(
            f"real images of {size_of(shape)} and generated images of {size_of(other)}: both must "
            f"have one size ({TO_ONE_SIZE}) and have "
            "passed through the same decoding, cropping and compression, or the detector learns "
            "that difference"
        )
    counts = len(sources[0]), len(sources[1])
    blank = replace(blank, image_shape=shape, facts={**blank.facts, **more})
    rows = parted(
        *of, shares={"calibrate": held_out, "measure": held_out, "reference": reference},
        fake_shares={"measure": held_out, "reference": reference}, seed=seed,
    )  # fmt: skip
    grouped = groups is not None
    without = rest_trains(rows, of, reference, grouped=grouped)
    _check_parts(rows, of, counts, calibration, held_out, grouped=grouped)
    carriers = ("none", *CARRIERS) if robust else ("none",)
    trained = rows[0]["train"], rows[1]["train"]
    table, generated = _training_table(blank, sources, trained, carriers[1:], progress)
    if classifier == "knn":
        blank = replace(blank, facts={**blank.facts, "repeated": _repeated(table, generated)})
    detector = replace(blank, model=fit_table(table, generated, classifier=classifier, seed=seed))
    del table
    chosen = rows[0]["calibrate"]
    thresholds = thresholds_of(
        detector, sources[0], chosen, false_alarms=calibration,
        groups=of[0][chosen] if grouped else None, carriers=carriers, progress=progress,
    )  # fmt: skip
    strictest = max(thresholds, key=lambda carrier: thresholds[carrier])
    if robust:
        detector = replace(detector, facts={**detector.facts, "strictest": strictest})
    detector = replace(detector, threshold=thresholds[strictest])
    counted = account.generators(sources[1], _name_of(fake, facts))
    detector = replace(detector, facts={**detector.facts, "generators": counted})

    def held(purpose: str) -> Held:
        a, b = rows[0][purpose], rows[1][purpose]
        names = (of[0][a], of[1][b]) if grouped else None
        return Held((Rows(sources[0], a), Rows(sources[1], b)), names)

    found = weighed(
        detector, None if without else held("reference"), held("measure"),
        without=without, seed=seed, progress=progress,
    )  # fmt: skip
    return replace(
        detector,
        calibrators=found.calibrators,
        calibration=Calibration(
            n_real=len(trained[0]),
            n_fake=len(trained[1]),
            n_calibration=len(chosen),
            groups=len(np.unique(of[0][chosen])) if grouped else None,
            target=calibration,
            seed=seed,
            measured=found.measured,
            tiers=found.tiers,
        ),
    )


# What a detector is made of until it is fitted.
_UNFITTED = Classifier(
    "linear", np.zeros(1), np.ones(1), {"weights": np.zeros(1), "intercept": np.zeros(())}
)


def _uncalibrated(target: float, seed: int) -> Calibration:
    return Calibration(0, 0, 0, None, target, seed)


def _repeated(table: np.ndarray, generated: np.ndarray) -> dict[str, int]:
    """Training rows that are copies of others, whose votes neighbours count as often."""
    found = copies(table)
    both = np.intersect1d(found.of[generated == 0], found.of[generated == 1])
    rows = {"rows": len(table), "repeated": found.repeated}
    return {**rows, "in_both_classes": int(np.isin(found.of, both).sum())}


def _as_source(images: Any) -> Source:
    """The images as a source that is not empty."""
    source = as_source(images)
    if not len(source):
        raise ValueError("a source of images is empty: give at least one image")
    return source


def _name_of(images: Any, facts: Mapping[str, Any] | None) -> str:
    """What the source of generated images is called."""
    if isinstance(images, str | Path):
        return str(images)
    return (facts or {}).get("fake", "images in memory")


def _check_parts(rows, groups, counts, false_alarms: float, held_out: float, *, grouped: bool):
    """Refuse parts that are empty, or too few real images to bound the false alarms."""
    for kind, name in enumerate(("real", "generated")):
        wanted = ("calibrate", "measure", "train") if kind == 0 else ("measure", "train")
        if empty := [part for part in wanted if not len(rows[kind][part])]:
            of = f" of {len(np.unique(groups[kind]))} groups" if grouped else ""
            raise ValueError(
                f"{counts[kind]} {name} images{of} cannot be parted: none would be left to "
                f"{empty[0]}; give more"
            )
    needed = smallest_calibration_set(false_alarms)
    few = len(np.unique(groups[0][rows[0]["calibrate"]]))
    if few < needed:
        accepted = math.ceil(100 / (few + 1)) / 100
        what = "groups of real images" if grouped else "real images"
        raise ValueError(
            f"{len(np.unique(groups[0]))} {what} leave {few} for calibrating the threshold, but a "
            f"share of {false_alarms:g} false alarms needs at least {needed}: give "
            f"{math.ceil(needed / held_out)} {what}, or accept more false alarms "
            f"(--false-alarms {accepted:g}; in Python calibration={accepted:g})"
        )


def _training_table(
    detector: SpectralDetector,
    sources: tuple[Source, Source],
    rows: tuple[np.ndarray, np.ndarray],
    carriers: Sequence[str],
    progress: Progress,
) -> tuple[Float64[np.ndarray, "n d"], Float64[np.ndarray, " n"]]:
    """Features of the training images, real before generated; and 1 where they are generated.

    With carriers, `COPIES` rows follow that of each image, the carriers taking turns.

    Raises:
        ValueError: for images of another shape, and for features that are not finite.
    """
    prepare = detector.preprocessing
    at_once = room(*detector.image_shape[:2])
    copies = min(COPIES, len(carriers))
    table = np.empty((0, 0))
    done = 0
    for kind, name in enumerate(("real", "generated")):
        broken: list[int] = []
        for first in progress(range(0, len(rows[kind]), at_once)):
            some = rows[kind][first : first + at_once]
            prepared = []
            for place, row in enumerate(some, first):
                image = sources[kind][int(row)]["image"]
                turns = [carriers[(copies * place + i) % len(carriers)] for i in range(copies)]
                forms = [carried(detector, image, form) for form in ("none", *turns)]
                prepared += [_prepared(prepare, form, detector, sources[kind], row, name)
                             for form in forms]  # fmt: skip
            images = np.stack(prepared)
            prepared.clear()
            check_images(images)
            values = detector.extract(images)
            if not table.size:
                table = np.empty((sum(map(len, rows)) * (1 + copies), values.shape[1]))
            table[done : done + len(values)] = values
            finite = np.isfinite(values).all(axis=1).reshape(len(some), -1)
            broken += some[~finite.all(1)].tolist()
            done += len(values)
        if broken:
            raise ValueError(
                f"{len(broken)} of {len(rows[kind])} {name} images to train on have features that "
                f"are not finite (first {describe(sources[kind], broken[0])}): leave them out, or "
                "choose other features"
            )
    generated = np.repeat([0.0, 1.0], [(1 + copies) * len(some) for some in rows])
    return table, generated


def _prepared(prepare, image, detector, source, row, name):
    """An image through the preprocessing, refused where it is then of another shape."""
    image = prepare(image)
    if image.shape != detector.image_shape:
        raise ValueError(
            f"{name} images of {size_of(image.shape)} among images of "
            f"{size_of(detector.image_shape)} ({describe(source, row)}): bring all to one size "
            f"({TO_ONE_SIZE})"
        )
    return image
