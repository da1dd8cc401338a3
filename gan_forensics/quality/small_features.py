"""Feature networks of our own, for data that the standard Inception network does not suit.

They carry their names into every result: a Frechet distance on them is never called FID.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_forensics.data import as_source, chunks
from gan_forensics.nn.small_classifier import SmallClassifier
from gan_forensics.quality.digests import arrays_digest, images_digest
from gan_forensics.quality.extraction import FeatureExtractor, batched, extract
from gan_forensics.runtime import Precision, check_precision, computation_dtype, random_key
from gan_forensics.train import Cadence, Learner, fit, process_batches, supervised_update

NETWORK = "classifier"
BATCH = 256
LEARNING_RATE = 2e-3


def small_classifier_features(
    source: Any,
    run: Path | str | None = None,
    *,
    steps: int = 1000,
    width: int = 16,
    batch_size: int = 64,
    seed: int = 0,
    precision: Precision | None = None,
) -> FeatureExtractor:
    """Train a `SmallClassifier` on the labels of a source, and take its last features.

    The logits serve a score like the inception score. The same images, labels and settings give
    the same features; in another order the images train another classifier.

    Args:
        source: labelled images of one size, such as a folder of classes: a source, a path or a name
            as `gan_forensics.data.as_source` takes it.
        run: a run folder for the training; one that was finished for the same source and settings
            is used as it is. By default a temporary one.
        steps: of training.
        width: of the network; it has 4 `width` features.
        batch_size: of training.
        seed: of initialisation and order.
        precision: of the features, not of the training; by default that of the backend.

    Raises:
        ValueError: for a source without labels, or with a single class; and for a run folder of
            another source or other settings (saying what differs).

    Example:
        >>> extractor = small_classifier_features(source, "runs/features")  # doctest: +SKIP
    """
    source, parts = as_source(source), []

    def images():
        for part in chunks(source, BATCH):
            if "label" not in part:
                raise ValueError(
                    "the source has no labels to train a classifier on: give labelled data "
                    "(folders of classes, a list with labels), or take random features"
                )
            parts.append(part["label"])
            yield part["image"]

    digest = images_digest(images())
    labels = np.concatenate(parts).astype(np.int64)
    classes = int(labels.max()) + 1
    counts = np.bincount(labels, minlength=classes)
    if labels.min() < 0 or (counts > 0).sum() < 2:
        raise ValueError(
            f"a classifier needs two classes or more, labels range from {labels.min()} to "
            f"{labels.max()}: give labelled data, or take random_features"
        )
    network = SmallClassifier(classes, width=width)
    config = {
        "network": "SmallClassifier",
        "images": digest,
        "labels": arrays_digest(labels)[:16],
        "classes": classes,
        "width": width,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": LEARNING_RATE,
        "seed": seed,
    }

    def loss(logits, batch):
        value = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return value, {"accuracy": (logits.argmax(-1) == batch["label"]).mean()}

    image = jnp.zeros((1, *source[0]["image"].shape), jnp.float32)

    def init(seed: int):
        params = jax.jit(network.init)(random_key(seed), image)["params"]
        return {NETWORK: params}, {NETWORK: {}}

    update = supervised_update(
        NETWORK,
        network,
        loss,
        optax.adam(LEARNING_RATE),
        call=lambda network, batch: network(batch["image"]).logits,
    )
    with tempfile.TemporaryDirectory(prefix="small_classifier_") as temporary:
        state = fit(
            Learner(NETWORK, config, (update,), init),
            process_batches(source, batch_size=batch_size, seed=seed),
            run=Path(run or temporary),
            cadence=Cadence(steps, checkpoint_every=0, keep=1),
            seed=seed,
            resume=True,
        )
    trained = jax.tree.map(np.asarray, state.params[NETWORK])
    extractor = _extractor("small-classifier features", network, trained, config, precision)
    guesses = extract(extractor, source).logits
    assert guesses is not None
    accuracy = float((guesses.argmax(1) == labels).mean())
    protocol = {**extractor.protocol, "accuracy_on_training_images": accuracy}
    return replace(extractor, protocol=protocol)


def random_features(
    channels: int = 3, *, width: int = 16, seed: int = 0, precision: Precision | None = None
) -> FeatureExtractor:
    """Features of the same network with random weights: they need neither labels nor weights.

    Example:
        >>> random_features(channels=3).name  # doctest: +SKIP
        'random-network features'
    """
    network = SmallClassifier(2, width=width)
    params = jax.jit(network.init)(random_key(seed), jnp.zeros((1, 8, 8, channels), jnp.float32))[
        "params"
    ]
    config = {"network": "SmallClassifier", "width": width, "seed": seed, "weights": "random"}
    return _extractor("random-network features", network, params, config, precision, logits=False)


def _extractor(
    name, network, params, protocol, precision, *, logits: bool = True
) -> FeatureExtractor:
    check_precision(precision)
    network = network.clone(dtype=computation_dtype(precision))
    protocol = {**protocol, **({"precision": precision} if precision else {})}

    def apply(params, images):
        out = network.apply({"params": params}, images.astype(jnp.float32) / 127.5 - 1)
        return out.features, out.logits if logits else None

    return FeatureExtractor(
        name=name,
        fingerprint=arrays_digest(params, protocol),
        run=batched(apply, params, batch_size=BATCH, precision=precision),
        protocol=protocol,
        logits=logits,
    )
