"""Attribution: which generator made an image, or whether it is real, by one protocol.

Every method is fitted on training images alone. Held-out images choose its checkpoint or settings
(half of them) and set the temperature of its probabilities and the threshold of "none of these"
(the other half), of which every other one is perturbed where training images were. All of them are
what images are compared with. Images that it is measured on are others.

A source is a generator or the real world; sources go by name, and which one is real is stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8, UInt64

from gan_forensics.data import as_source
from gan_forensics.data.attributed import Attributed
from gan_forensics.data.copies import copies
from gan_forensics.data.flat import FLAT, flat
from gan_forensics.data.images import as_image
from gan_forensics.files import listed
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_methods import METHODS
from gan_forensics.forensics.attribution_model import Model, Outputs
from gan_forensics.forensics.attribution_parts import (
    check_enough,
    check_sources,
    counts,
    digest,
    digests,
    halves,
    relabelled,
    usable,
)
from gan_forensics.forensics.attribution_training import in_memory, perturbation_of
from gan_forensics.forensics.neural_parts import file_named
from gan_forensics.forensics.open_set import ACCEPTED, KNOWNNESS, known_threshold
from gan_forensics.forensics.preprocessing import NATIVE, Prepared, Preprocessing
from gan_forensics.forensics.temperature import fit_temperature
from gan_forensics.runtime.counts import in_short, parameters

Images = UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_h _w c"]]
# What says how much an image is like a known source: a key of `KNOWNNESS`.
OPENNESS = "probability"
# Images of each source that are kept in the file, to compare others with.
GALLERY = 100
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Attributor:
    """A fitted attributor.

    Attributes:
        names: of the sources, in the order of the logits.
        real: which of them is real.
        method: a key of `METHODS`.
        model: what it fitted.
        image_shape: (h, w, 3) of images after the preprocessing; others are refused.
        preprocessing: what happens to every image first.
        temperature: logits are divided by it before they become probabilities.
        threshold: knownness below which an image is of "none of these".
        accepted: the share of held-out images of known sources that the threshold accepts.
        gallery: outputs of held-out images, to compare others with.
        gallery_labels: their sources.
        fitted_on: digests of all images that it was fitted on, held-out ones included, sorted.
        facts: JSON-able, such as what it was fitted on and what was measured.

    Example:
        >>> attributor = load_attributor("attributor.npz")  # doctest: +SKIP
        >>> attributor.names  # doctest: +SKIP
    """

    names: tuple[str, ...]
    real: str
    method: str
    model: Model
    image_shape: tuple[int, int, int]
    preprocessing: Preprocessing
    temperature: float
    threshold: float
    accepted: float
    gallery: Outputs
    gallery_labels: Int[np.ndarray, " m"]
    fitted_on: UInt64[np.ndarray, " k"]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        size = in_short(parameters(dict(self.model.arrays)))
        height, width, _ = self.image_shape
        return (
            f"Attributor({self.method}, {len(self.names)} sources: {listed(self.names)}; "
            f"{self.real!r} is real, images {height}x{width}, {size} parameters)"
        )

    @property
    def real_index(self) -> int:
        """The place of the real source."""
        return self.names.index(self.real)

    def described(self) -> dict[str, Any]:
        """All that a page says of it, JSON-able: the facts, and what probabilities rest on."""
        # What was checked when it was read stands above what its facts may say.
        return {
            **self.facts,
            "names": list(self.names), "real": self.real, "method": self.method,
            "temperature": self.temperature, "threshold": self.threshold,
            "accepted": self.accepted,
        }  # fmt: skip

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse images [h, w, c] that `outputs` would refuse for their size (ValueError)."""
        height, width, _ = self.preprocessing.shape(shape)
        if (height, width) != self.image_shape[:2]:
            wanted = f"{self.image_shape[0]}x{self.image_shape[1]}"
            raise ValueError(
                f"images of {height}x{width} do not fit an attributor fitted on {wanted}: crop "
                "them to that size (resizing changes the traces), or fit one with --size or "
                "--match-sizes, which brings images of any size to one"
            )

    def prepared(self, image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """One image as the model sees it.

        Raises:
            ValueError: for another size, other than uint8, and flat images (`data.flat`), of which
                nothing tells who made them.
        """
        image = as_image(image)
        self.check_shape(image.shape)
        image = self.preprocessing(np.repeat(image, 3 // image.shape[-1], -1))
        if flat([image])[0]:
            raise ValueError(FLAT)
        return image

    def outputs(self, images: Any) -> Outputs:
        """Logits and features of images, few of them in memory at a time.

        Args:
            images: as `gan_forensics.data.as_images` takes them, of the size that it was fitted on,
                or of any sizes where its preprocessing makes them one.

        Raises:
            ValueError: as `prepared`.
        """
        source, parts = as_source(images), []
        for first in range(0, len(source), _AT_ONCE):
            some = []
            for i in _upto(first, len(source)):
                with file_named(source, i):
                    some.append(self.prepared(source[i]["image"]))
            parts.append(self.model.outputs(np.stack(some)))
        if not parts:
            raise ValueError("no images were given")
        return Outputs(*(np.concatenate(of) for of in zip(*parts, strict=True)))

    def was_fitted_on(self, image: UInt8[np.ndarray, "h w 3"]) -> bool:
        """Whether a `prepared` image is one of those that it was fitted on, to the last bit."""
        place = np.searchsorted(self.fitted_on, own := digest(image))
        return bool(place < len(self.fitted_on) and self.fitted_on[place] == own)

    def calibrated(self, outputs: Outputs) -> Outputs:
        """The same with logits divided by the temperature."""
        return Outputs(np.asarray(outputs.logits) / self.temperature, outputs.features)

    def probabilities(self, outputs: Outputs) -> Float64[np.ndarray, "n C"]:
        """Calibrated probabilities of the sources, if an image is of one of them."""
        from scipy.special import softmax

        return softmax(self.calibrated(outputs).logits, axis=1)

    def none_of_these(self, outputs: Outputs) -> Bool[np.ndarray, " n"]:
        """Which images are of no known source, by the rule."""
        return self.knownness(outputs) < self.threshold

    def knownness(self, outputs: Outputs) -> Float64[np.ndarray, " n"]:
        """How much images are like a known source, which the threshold is for."""
        return KNOWNNESS[OPENNESS](self.calibrated(outputs), None)

    def save(self, path: Path | str) -> None:
        """Write it to a file for `load_attributor`."""
        from gan_forensics.forensics.attribution_files import write_attributor

        write_attributor(path, self)


def fit_attributor(
    train: Attributed,
    held_out: Attributed,
    config: AttributionConfig,
    *,
    run: Path | str | None = None,
    resume: bool = False,
    preprocessing: Preprocessing = NATIVE,
    facts: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Attributor:
    """Fit an attributor; flat images (`data.flat`) are left out, which its facts tell.

    Args:
        train: images to learn from.
        held_out: others of the same sources.
        config: how.
        run: a run folder for methods that train a network; None for a temporary one.
        resume: go on from its newest checkpoint.
        preprocessing: of all images, kept with the attributor.
        facts: about the images, kept with the run and the attributor.
        progress: whether to draw bars.

    Raises:
        ValueError: for sources that differ between the two or have no images, images of several
            sizes, too few, or too small ones, and settings that cannot be built.

    Example:
        >>> config = AttributionConfig("prnu")
        >>> attributor = fit_attributor(train, held_out, config)  # doctest: +SKIP
    """
    check_sources(train, held_out)
    # Whatever order folders or lists were in, the same sources are fitted alike.
    names = tuple(sorted(train.names))
    (train, held_out), left_out = usable(
        {"to learn from": relabelled(train, names, train.real),
         "held out": relabelled(held_out, names, train.real)}, preprocessing,
    )  # fmt: skip
    check_sources(train, held_out)
    method = METHODS[config.method]
    shape = preprocessing.shape(train.source[0]["image"].shape)
    image_shape = (shape[0], shape[1], 3)
    if shape[0] != shape[1]:
        raise ValueError(
            f"images of {shape[0]}x{shape[1]} are no squares: --match-sizes cuts squares of one "
            "size, --size N resizes"
        )
    given = Preprocessing(size=config.crop_from) if config.crop_from else preprocessing
    if config.crop_from and preprocessing.size is None:
        raise ValueError(
            "crop_from resizes training images, and the others are not resized: give a size too, "
            "or leave it out"
        )
    if config.crop_from and config.crop_from < shape[0]:
        raise ValueError(f"crop_from {config.crop_from} is smaller than the images of {shape[0]}")
    check_enough(held_out)
    rng = np.random.default_rng((config.seed, 10))
    chosen, judged = halves(held_out.labels, rng)
    learnt = in_memory(Prepared(train.source, given), train.labels)
    held = in_memory(Prepared(held_out.source, preprocessing), held_out.labels)
    perturbation = perturbation_of(config)

    def pixels(rows: np.ndarray, share: float) -> UInt8[np.ndarray, "n h w 3"]:
        """Held-out images, so many of them perturbed, each by a generator of its own."""
        made = []
        for place, row in enumerate(rows):
            image = held[int(row)]["image"]
            if perturbation is not None and place % 2 < 2 * share:
                image = perturbation(image, np.random.default_rng((config.seed, 11, int(row))))
            made.append(image)
        return np.stack(made)

    model = method.fit(
        (learnt, train.labels),
        (pixels(chosen, 1.0), held_out.labels[chosen]),
        config,
        names=train.names,
        real=train.names.index(train.real),
        side=shape[0],
        run=None if run is None else Path(run),
        resume=resume,
        facts={"names": list(train.names), "real": train.real, **(facts or {})},
        progress=progress,
    )
    learnt_of, held_of = (
        digests(Prepared(images.source, preprocessing)) for images in (train, held_out)
    )
    labels = held_out.labels
    every = model.outputs(pixels(np.arange(len(labels)), 0.5))
    found = every.rows(judged)
    temperature = fit_temperature(found.logits, labels[judged])
    calm = Outputs(found.logits / temperature, found.features)
    kept = np.concatenate([
        rng.permutation(np.flatnonzero(labels == c))[:GALLERY] for c in range(len(names))
    ])  # fmt: skip
    gallery = Outputs(*(np.asarray(a, np.float32)[kept] for a in every))
    return Attributor(
        names=train.names,
        real=train.real,
        method=config.method,
        model=model,
        image_shape=image_shape,
        preprocessing=preprocessing,
        temperature=temperature,
        threshold=known_threshold(KNOWNNESS[OPENNESS](calm, None), ACCEPTED),
        accepted=ACCEPTED,
        gallery=gallery,
        gallery_labels=labels[kept],
        fitted_on=np.unique(np.concatenate([learnt_of, held_of])),
        facts={
            "config": method.read_settings(config),
            "images": {
                "train": counts(train), "held_out": counts(held_out),
            },
            # Of whom neighbours, and the number of them that is chosen, depend.
            "repeated": {
                "train": copies(learnt_of).repeated,
                "held_out": copies(held_of).repeated,
                "held_out_also_in_train": int(np.isin(held_of, learnt_of).sum()),
                "gallery": copies(gallery.features).repeated,
            },
            **left_out,
            **(facts or {}),
        },
    )  # fmt: skip


def _upto(first: int, count: int) -> Iterator[int]:
    return iter(range(first, min(first + _AT_ONCE, count)))
