"""The attributors of the experiment: how each is fitted, and what is measured of it.

All arms see the same images in epochs of the same number of updates; a mixture shows two images
where others see one. What is measured of an arm's seed is kept in a file when it is done.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from scipy.special import softmax

from gan_forensics.data.attributed import LISTS, Attributed, open_attributed
from gan_forensics.data.corruptions import TRAIN_CORRUPTIONS
from gan_forensics.data.perturbations import at_hand
from gan_forensics.files.archives import read_archive, write_archive
from gan_forensics.forensics.attribution import Attributor, fit_attributor
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_measure import (
    CONDITIONS,
    NEW_SEEDS,
    SEEN,
    cell,
    corruption,
    groups,
    known_parts,
    some_of_each,
)
from gan_forensics.forensics.attribution_methods import METHODS
from gan_forensics.forensics.attribution_model import Outputs
from gan_forensics.forensics.attribution_networks import NeuralModel
from gan_forensics.forensics.attribution_open_set import rejected, without
from gan_forensics.forensics.attribution_parts import relabelled
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.forensics.repmix import CONCENTRATION
from gan_forensics.forensics.verification import Verifier
from gan_forensics.studies.runner import stored_part

REPMIX, RESNET, CLEAN = "repmix", "resnet", "resnet, no perturbations"
MIXING, COMPOUND = "mixing alone", "compound loss alone"
# Fields of `AttributionConfig`; the first five are one network.
ARMS: dict[str, Mapping[str, Any]] = {
    REPMIX: {"method": "repmix"},
    MIXING: {"method": "repmix", "compound": False},
    COMPOUND: {"method": "repmix", "mixed": 1},
    RESNET: {"method": "resnet"},
    CLEAN: {"method": "resnet", "perturbations": ()},
    "yu": {"method": "yu"},
    "dct-cnn": {"method": "dct-cnn"},
    "reverse-engineering": {"method": "reverse-engineering"},
    "prnu": {"method": "prnu"},
    "eigenface": {"method": "eigenface"},
    "neighbours": {"method": "neighbours"},
}


@dataclass(frozen=True)
class Attributors:
    """How attributors are fitted and measured.

    Attributes:
        arms: keys of `ARMS`.
        seeds: of every arm.
        open_arms: arms that are also fitted without each generator.
        open_seeds: of these.
        arch: the residual body.
        weights: file of weights that it starts from.
        width: of resnet_small; None for resnet50.
        yu_width: of yu's dense layer.
        residual_width: of the residual of reverse-engineering.
        epochs: at most.
        mixtures: a minibatch; as many single images for arms that do not mix.
        learning_rate: of the residual arms; None for the published one.
        crop_from: side that training images are resized to before a random crop; None for no crop.
        size: side that all others are cropped and resized to; None for their own.
        most: test images of each source and group.
        pairs: of either kind, in verification.
        dates: years up to which detectors are fitted; () for no table by date.
        date_arms: arms in that table.
    """

    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = (0, 1, 2)
    open_arms: tuple[str, ...] = (REPMIX, RESNET)
    open_seeds: tuple[int, ...] = (0,)
    arch: str = "resnet_small"
    weights: str | None = None
    width: int | None = 8
    yu_width: int | None = 64
    residual_width: int | None = 8
    epochs: int = 8
    mixtures: int = 32
    learning_rate: float | None = 1e-3
    crop_from: int | None = None
    size: int | None = None
    most: int = 120
    pairs: int = 200
    dates: tuple[int, ...] = (2017, 2019, 2021)
    date_arms: tuple[str, ...] = (REPMIX, RESNET)

    @property
    def preprocessing(self) -> Preprocessing:
        """Of all images."""
        return Preprocessing(size=self.size)

    def config(self, arm: str, seed: int) -> AttributionConfig:
        """Of one arm and seed."""
        given = {"seed": seed, "perturbations": at_hand(TRAIN_CORRUPTIONS)[0], **ARMS[arm]}
        reads = METHODS[given["method"]].reads
        mixed = given.get("mixed", 2 if given["method"] == "repmix" else 1)
        widths = {"yu": self.yu_width, "reverse-engineering": self.residual_width}
        own: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": self.mixtures * mixed,
            "arch": self.arch,
            "weights": self.weights,
            "width": widths.get(given["method"], self.width),
            "learning_rate": self.learning_rate if "arch" in reads else None,
            "crop_from": self.crop_from,
        }
        return AttributionConfig(**{n: v for n, v in own.items() if n in reads}, **given)


class Benchmark:
    """A benchmark's images, by names in alphabetical order, and what its test images are."""

    def __init__(self, lists: Path):
        """Open train.csv, val.csv and test.csv in a folder, with benchmark.json or without."""
        self.folder = lists
        self.train, self.held_out, self.test = (self._open(split) for split in LISTS)
        self.known = known_parts(self.train)

    def _open(self, split: str) -> Attributed:
        if (self.folder / "benchmark.json").is_file():
            images = open_attributed(str(self.folder), split=split)
        else:
            images = open_attributed(f"list:{self.folder / f'{split}.csv'}")
        return relabelled(images, sorted(images.names), images.real)

    def digest(self) -> str:
        """Of the lists and where the images come from."""
        found = hashlib.sha256()
        for name in (*(f"{split}.csv" for split in LISTS), "benchmark.json"):
            path = self.folder / name
            found.update(path.read_bytes() if path.exists() else b"-")
        return found.hexdigest()[:16]


def seen_semantics(images: Attributed, known: Mapping[str, Any]) -> Attributed:
    """The images of semantics that training has."""
    return images.part(np.array([s in known["semantics"] for s in images.semantics]))


def rows_of(bench: Benchmark, settings: Attributors) -> dict[str, Int[np.ndarray, " n"]]:
    """Rows of the test split that are measured on, by group."""
    return {
        group: some_of_each(bench.test, mask, most=settings.most, seed=0)
        for group, mask in groups(bench.test, bench.known).items()
    }


def tests(
    bench: Benchmark, settings: Attributors, group: str, condition: str, parts: Path
) -> UInt8[np.ndarray, "n h w 3"]:
    """Test images of a group under a condition: made once, and kept, for all arms alike."""
    rows = rows_of(bench, settings)[group]
    side = f"-{settings.size}" if settings.size else ""
    path = parts / f"test-{group}-{condition}-{bench.digest()}-{settings.most}{side}.npz"
    if not path.exists():
        change = corruption(at_hand(CONDITIONS[condition])[0], None)
        made = []
        for row in rows:
            image = bench.test.source[int(row)]["image"]
            image = settings.preprocessing(np.repeat(image, 3 // image.shape[-1], -1))
            if change is not None:
                image = change(image, np.random.default_rng((0, 21, int(row))))
            made.append(image)
        write_archive(path, {"group": group}, {"image": np.stack(made)})
    return read_archive(path)[1]["image"]


def fit_arm(
    bench: Benchmark, settings: Attributors, arm: str, seed: int, run: Path, *, left: str = ""
) -> Attributor:
    """Fit an arm's seed, without the source `left` if one is named; resumed where it stopped."""
    train, held_out = bench.train, bench.held_out
    if left:
        train, held_out = without(train, left), without(held_out, left)
    config = settings.config(arm, seed)
    folder = run if METHODS[config.method].folder else None
    return fit_attributor(
        train, held_out, config, run=folder, resume=True, preprocessing=settings.preprocessing,
        progress=False,
    )  # fmt: skip


def measure_arm(lists: Path, settings: Attributors, arm: str, seed: int, out: Path) -> Any:
    """What one arm's seed does; (result, seconds)."""
    bench = Benchmark(lists)
    config = settings.config(arm, seed)
    name = f"{arm} {seed}".replace(", ", " ").replace(" ", "-")
    asked = {
        "config": vars(config), "benchmark": bench.digest(), "most": settings.most,
        "pairs": settings.pairs, **_sized(settings),
    }  # fmt: skip

    def job() -> dict[str, Any]:
        attributor = fit_arm(bench, settings, arm, seed, out / "fits" / name)
        attributor.save(out / "attributors" / f"{name}.npz")
        result: dict[str, Any] = {"temperature": attributor.temperature, "cells": {}}
        clean: dict[str, Outputs] = {}
        for group, rows in rows_of(bench, settings).items():
            labels = bench.test.labels[rows]
            found = {}
            for condition in CONDITIONS:
                pixels = tests(bench, settings, group, condition, out / "parts")
                outputs = attributor.model.outputs(pixels)
                clean.setdefault(group, outputs)
                found[condition] = cell(attributor, labels, outputs, {})
            result["cells"][group] = found
        result["verification"] = verified(bench, settings, attributor, clean)
        if isinstance(attributor.model, NeuralModel) and "compound" in attributor.model.choices:
            rows = rows_of(bench, settings)[SEEN]
            result["mixtures"] = tracked(
                attributor.model, clean[SEEN].features, bench.test.labels[rows]
            )
        return result

    return stored_part(out / "parts" / f"arm-{name}.json", asked, job)


def _sized(settings: Attributors) -> dict[str, int]:
    return {} if settings.size is None else {"size": settings.size}


def tracked(
    model: NeuralModel, features: np.ndarray, labels: np.ndarray, *, count: int = 2000
) -> dict[str, float]:
    """How near the posterior of mixed embeddings comes to the weights that they were mixed by.

    Pairs of images of different sources, weights b of Beta(0.4, 0.4): E|softmax(a)_first - b|, and
    what the constant 1/2 would have. Embeddings are mixed, which level 5 amounts to.
    """
    rng = np.random.default_rng(0)
    one, other = rng.integers(len(labels), size=(2, 4 * count))
    apart = np.flatnonzero(labels[one] != labels[other])[:count]
    one, other = one[apart], other[apart]
    b = rng.beta(CONCENTRATION, CONCENTRATION, len(one))[:, None]
    mixed = b * features[one] + (1 - b) * features[other]
    heads = model.variables["params"]
    logits = mixed @ heads["sources"]["kernel"] + heads["sources"]["bias"]
    if model.choices["compound"]:
        r = softmax(mixed @ heads["detect"]["kernel"] + heads["detect"]["bias"], axis=1)
        gate = np.repeat(r[:, 1:], logits.shape[1], 1)
        gate[:, model.real] = r[:, 0]
        logits = logits * gate
    said = softmax(logits, axis=1)[np.arange(len(one)), labels[one]]
    return {
        "error": float(np.abs(said - b[:, 0]).mean()),
        "constant": float(np.abs(0.5 - b).mean()),
    }


def verified(
    bench: Benchmark, settings: Attributors, attributor: Attributor, clean: Mapping[str, Outputs]
) -> dict[str, Any]:
    """Do two sets come from one source? Verdicts on pairs of sets of 1 and of several images.

    "seen": both of generators and real images that were fitted on; "new seeds": the second of a
    training that was not, whose source is the same one; "unseen semantics": both of these.
    """
    verifier = Verifier(attributor.gallery.features, attributor.gallery_labels)
    rows = rows_of(bench, settings)
    found: dict[str, Any] = {}
    for group in rows:
        sets = {
            of: _by_source(clean[of].features, bench.test.labels[rows[of]])
            for of in {SEEN if group == NEW_SEEDS else group, group}
        }
        sides = (sets[SEEN if group == NEW_SEEDS else group], sets[group])
        if group == NEW_SEEDS:  # Real images have no training seed.
            real = bench.test.names.index(bench.test.real)
            sides = tuple({k: v for k, v in side.items() if k != real} for side in sides)
        fewest = min(len(some) for side in sides for some in side.values())
        for size in sorted({1, min(8, verifier.largest, fewest // 2)}):
            found[f"{group}, {size}"] = _verdicts(verifier, sides, size, settings.pairs)
    return found


def _by_source(features: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    return {int(c): features[labels == c] for c in np.unique(labels)}


def _verdicts(
    verifier: Verifier, sides: Sequence[Mapping[int, np.ndarray]], size: int, pairs: int
) -> dict[str, float]:
    """Shares of verdicts on pairs of sets of one source, and of two."""
    rng, counts = np.random.default_rng(size), {}
    sources = sorted(set(sides[0]) & set(sides[1]))
    for kind in ("same", "different"):
        said = {"same": 0, "different": 0, "unsure": 0}
        for _ in range(pairs):
            one = sources[rng.integers(len(sources))]
            other = one if kind == "same" else int(rng.choice([s for s in sources if s != one]))
            a = rng.choice(len(sides[0][one]), size, replace=False)
            left = np.arange(len(sides[1][other]))
            if kind == "same" and sides[0] is sides[1]:
                left = np.setdiff1d(left, a)  # No image is compared with itself.
            b = rng.choice(left, size, replace=False)
            said[verifier.compare(sides[0][one][a], sides[1][other][b]).verdict] += 1
        for verdict, n in said.items():
            counts[f"{kind}: {verdict}"] = n / pairs
    return counts


def measure_open_set(
    lists: Path, settings: Attributors, arm: str, seed: int, left: str, out: Path
) -> Any:
    """An arm that never saw the source `left`, on it and on known ones; (result, seconds).

    Images of seen semantics; new training seeds of known sources are known ones.
    """
    bench = Benchmark(lists)
    asked = {
        "config": vars(settings.config(arm, seed)), "benchmark": bench.digest(), "left": left,
        "most": settings.most, **_sized(settings),
    }  # fmt: skip
    name = f"{arm} {seed} without {left}".replace(" ", "-")

    def job() -> dict[str, Any]:
        attributor = fit_arm(bench, settings, arm, seed, out / "fits" / name, left=left)
        test = seen_semantics(bench.test, bench.known)
        unknown = test.part(test.labels == test.names.index(left))
        return rejected(attributor, without(test, left), unknown, most=2 * settings.most)

    return stored_part(out / "parts" / f"open-{name}.json", asked, job)
