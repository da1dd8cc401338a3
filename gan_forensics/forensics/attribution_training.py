"""Training of the networks that attribute: mixtures, perturbations, the best on held-out images.

Bui et al., "RepMix" (ECCV 2022), and its released code: an anchor of every image once an epoch, its
partners drawn from all images with replacement, each image mirrored, cropped and perturbed by
itself; validation every two epochs, an end when three of them bring nothing. Two things differ: the
validation images are perturbed once, by a seed, and single, so that losses can be compared.
"""

import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, UInt8

from gan_forensics.data import ArraySource, Source, chunks, take, to_float, to_uint8
from gan_forensics.data.perturbations import RandomCorruption
from gan_forensics.data.pipeline import Batch, Transform
from gan_forensics.forensics import attribution_networks as networks
from gan_forensics.forensics.attribution_networks import AT_ONCE, NETWORKS, NeuralModel
from gan_forensics.forensics.repmix import draw_weights
from gan_forensics.runtime import jit
from gan_forensics.train import (
    Cadence,
    Learner,
    Plateau,
    TrainState,
    fit,
    load_state,
    process_batches,
    supervised_update,
)

if TYPE_CHECKING:
    from gan_forensics.forensics.attribution_config import AttributionConfig

NETWORK = "attributor"
METRIC = "validation/loss"
# It only stops: rates fall by the epoch.
STOPPER = Plateau(METRIC, factor=1.0, patience=10**9, threshold=0.0, floor=0.0, stop_after=3)
EPOCHS_BETWEEN = 2


class Mixtures:
    """What becomes of a batch of anchors in training; `transform` is that of `Batches`."""

    def __init__(self, source: Source, config: "AttributionConfig", side: int, *, images: int):
        self.source, self.images, self.side = source, images, side
        self.concentration, self.flip = config.mix_concentration, config.flip
        self.perturbation = perturbation_of(config)
        self.transform = Transform(self._mixed, self._drawn)

    def _drawn(self, rng: np.random.Generator, rows: Int[np.ndarray, " b"]) -> Batch:
        """The partners of anchors [b, n - 1], their weights and what each is seeded by [b, n]."""
        count, n = len(rows), self.images
        partners = rng.integers(len(self.source), size=(count, n - 1))
        weight = draw_weights(rng, count, images=n, concentration=self.concentration)
        return {
            "partners": partners,
            "weight": weight,
            "seed": rng.integers(2**63, size=(count, n)),
        }

    def _mixed(self, batch: Batch, drawn: Batch) -> Batch:
        """Anchors [b] with their partners: images [b n], labels and weights [b, n]."""
        pixels, label = to_uint8(batch["image"], range=(-1, 1))[:, None], batch["label"][:, None]
        if self.images > 1:
            others = take(self.source, drawn["partners"].ravel())
            shape = drawn["partners"].shape
            partners = others["image"].reshape(*shape, *pixels.shape[2:])
            pixels = np.concatenate([pixels, partners], 1)
            label = np.concatenate([label, others["label"].reshape(shape)], 1)
        flat, seeds = pixels.reshape(-1, *pixels.shape[2:]), drawn["seed"].ravel()
        made = [self._one(x, np.random.default_rng(s)) for x, s in zip(flat, seeds, strict=True)]
        return {"image": to_float(np.stack(made)), "label": label, "weight": drawn["weight"]}

    def _one(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < self.flip:
            image = image[:, ::-1]
        top, left = (int(rng.integers(size - self.side + 1)) for size in image.shape[:2])
        image = np.ascontiguousarray(image[top : top + self.side, left : left + self.side])
        return image if self.perturbation is None else self.perturbation(image, rng)


def perturbation_of(config: "AttributionConfig") -> RandomCorruption | None:
    """What training images go through."""
    if not config.perturbations:
        return None
    return RandomCorruption(
        config.perturbations, config.perturb_probability, frost_textures=config.frost_textures
    )


def train_network(
    train: tuple[Source, Int[np.ndarray, " n"]],
    validation: tuple[UInt8[np.ndarray, "m h w 3"], Int[np.ndarray, " m"]],
    config: "AttributionConfig",
    *,
    names: tuple[str, ...],
    real: int,
    side: int,
    run: Path | None = None,
    resume: bool = False,
    facts: dict[str, Any],
    progress: bool = True,
) -> NeuralModel:
    """Train a network of `NETWORKS`; the checkpoint of the least validation loss is taken.

    Args:
        train: images [h, w, 3] of one size, at least `side`, with "label"; and the labels.
        validation: images of the side, as they shall be judged, and their labels.
        config: how.
        names: of the sources.
        real: which of them is real.
        side: of the network's images.
        run: a run folder; None for a temporary one.
        resume: go on from its newest checkpoint.
        facts: about the images, kept and compared.
        progress: whether to draw a bar.

    Raises:
        ValueError: for settings that cannot be built, and too few images.
    """
    method, choices = config.method, config.choices
    row, mixed = NETWORKS[method], images_mixed(config)
    network = row.make(len(names), side, choices)
    # Images that are too small for it, and weights that are not its, are refused before any work.
    jax.eval_shape(lambda: start_of(network, config, side))
    if config.batch_size % mixed:
        raise ValueError(f"a batch of {config.batch_size} images has no mixtures of {mixed}")
    source, _ = train
    inputs = dict(row.prepare(source))
    mixtures = Mixtures(source, config, side, images=mixed)
    batches = process_batches(
        source,
        batch_size=config.batch_size // mixed,
        seed=config.seed,
        transform=mixtures.transform,
    )
    epoch = batches.batches_per_epoch

    learner = attributor_learner(
        config, len(names), real=real, side=side, inputs=inputs, epoch=epoch
    )

    def variables(state: TrainState) -> dict[str, Any]:
        return {"params": state.params[NETWORK], **state.stats[NETWORK]}

    @jit
    def judged(variables, images, label):
        said = networks.applied(network, method, variables, inputs, networks.as_floats(images))
        batch = {"label": label[:, None], "weight": jnp.ones((len(label), 1), jnp.float32)}
        logits = row.outputs(said, real, choices).logits
        return row.loss(said, batch, real, choices)[0], (logits.argmax(-1) == label).mean()

    def validate(state: TrainState) -> dict[str, float]:
        images, labels = validation
        found = [
            [float(value) for value in judged(variables(state), images[s], labels[s])]
            for s in _slices(len(images))
        ]
        value, accuracy = np.average(found, 0, [s.stop - s.start for s in _slices(len(images))])
        return {METRIC: float(value), "validation/accuracy": float(accuracy)}

    cadence = Cadence(
        config.epochs * epoch,
        log_every=max(1, min(50, epoch)),
        checkpoint_every=0,
        evaluate_every=EPOCHS_BETWEEN * epoch,
        keep=1,
    )
    with tempfile.TemporaryDirectory(prefix="attributor_") as temporary, closing(batches):
        folder = run or Path(temporary)
        state = fit(
            learner,
            batches,
            run=folder,
            cadence=cadence,
            seed=config.seed,
            facts=facts,
            resume=resume,
            evaluate=validate,
            best=METRIC,
            plateau=STOPPER,
            progress=progress,
        )
        state = load_state(folder, learner, best=METRIC)
    host = jax.tree.map(np.asarray, variables(state))
    return NeuralModel(method, len(names), real, side, choices, host, inputs)


def images_mixed(config: "AttributionConfig") -> int:
    """Images of a mixture, 1 for none."""
    return config.mixed if NETWORKS[config.method].mixes else 1


def attributor_learner(
    config: "AttributionConfig",
    classes: int,
    *,
    real: int,
    side: int,
    inputs: Mapping[str, Any],
    epoch: int,
) -> Learner:
    """The one move of a network of `NETWORKS`.

    Batches have "image" [b n, side, side, 3] in [-1, 1], "label" [b, n] and "weight" [b, n], for
    mixtures of n images.

    Args:
        config: how.
        classes: number of sources.
        real: which of them is real.
        side: of the images.
        inputs: what the row's `prepare` made of the training images.
        epoch: steps an epoch.
    """
    method, choices = config.method, config.choices
    row = NETWORKS[method]
    network = row.make(classes, side, choices)
    update = supervised_update(
        NETWORK,
        network,
        lambda said, batch: row.loss(said, batch, real, choices),
        row.optimizer(config.learning_rate, epoch, choices),
        call=networks.call(method, choices, inputs),
    )

    def init(seed: int):
        variables = start_of(network, config, side)
        return {NETWORK: variables.pop("params")}, {NETWORK: variables}

    return Learner(NETWORK, asdict(config), (update,), init)


def start_of(network: Any, config: "AttributionConfig", side: int) -> dict[str, Any]:
    """Initial variables: random, and of the body those of a file where one is given.

    Raises:
        ValueError: for weights of another network.
    """
    # As numbers, also where this is traced for its shapes.
    with jax.ensure_compile_time_eval():
        variables = networks.start(network, config.seed, side)
    if config.weights is None:
        return variables
    from gan_forensics.forensics.neural_training import published_variables

    given = published_variables(config.arch, config.weights)
    for kind in ("params", "batch_stats"):
        body = {name: tree for name, tree in given[kind].items() if name != "fc"}
        shapes, wanted = (jax.tree.map(np.shape, t) for t in (body, dict(variables[kind]["body"])))
        if shapes != wanted:
            raise ValueError(f"{config.weights} holds the weights of another {config.arch}")
        variables[kind] = {**variables[kind], "body": body}
    return variables


def in_memory(source: Source, labels: Int[np.ndarray, " n"]) -> Source:
    """A source of RGB images with these labels: in memory where it takes no more than 512 MiB."""
    labelled = _Labelled(source, labels)
    if len(labels) * labelled[0]["image"].nbytes > 2**29:
        return labelled
    images = np.concatenate([part["image"] for part in chunks(labelled, AT_ONCE)])
    return ArraySource(image=images, label=labels)


class _Labelled:
    """RGB images of a source with labels of their own."""

    def __init__(self, source: Source, labels: Int[np.ndarray, " n"]):
        self.source, self.labels = source, np.asarray(labels, np.int32)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = self.source[index]["image"]
        return {
            "image": np.repeat(image, 3 // image.shape[-1], -1), "label": self.labels[index]
        }  # fmt: skip

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        from gan_forensics.data.sources import describe

        return describe(self.source, index)


def _slices(count: int) -> list[slice]:
    return [slice(i, min(i + AT_ONCE, count)) for i in range(0, count, AT_ONCE)]
