"""Do translations land in the domain that was asked for? Told by a classifier of real images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from gan_forensics.data import ArraySource
from gan_forensics.gans.stargan_targets import target_labels
from gan_forensics.quality.extraction import extract
from gan_forensics.quality.small_features import small_classifier_features

Images = UInt8[np.ndarray, "n h w c"]
Labels = Float32[np.ndarray, "n l"]
# Images to the probability of each attribute.
Classifier = Callable[[Images], Float[np.ndarray, "n l"]]


def domain_classifier(
    images: Images, labels: Labels, run: Path | None = None, *, steps: int = 400, seed: int = 0
) -> Classifier:
    """Train a classifier of domains on real images: one class for each set of attributes.

    Args:
        images: real ones.
        labels: 0 or 1 for each of the attributes.
        run: a run folder; a finished training of the same is used. By default a temporary one.
        steps: of training.
        seed: of the network and the order.

    Returns:
        Images to probabilities of attributes: sums over the classes that have them.
    """
    from scipy.special import softmax

    known, classes = np.unique(labels, axis=0, return_inverse=True)
    extractor = small_classifier_features(
        ArraySource(image=images, label=classes), run, steps=steps, seed=seed
    )

    def probabilities(images: Images) -> Float[np.ndarray, "n l"]:
        logits = extract(extractor, ArraySource(image=images)).logits
        assert logits is not None  # a classifier has some
        return softmax(logits, axis=1) @ known

    return probabilities


def as_asked(
    probabilities: Float[np.ndarray, "n l"],
    targets: Labels,
    attributes: Sequence[str],
    exclusive: Sequence[str] = (),
) -> Bool[np.ndarray, "n l"]:
    """Whether each image is what it shall be, attribute by attribute.

    Of exclusive attributes the likeliest counts, of any other a probability above 1/2.

    Args:
        probabilities: as a classifier tells them.
        targets: labels that were asked for.
        attributes: names of the columns.
        exclusive: some of them.
    """
    told = probabilities > 0.5
    group = np.array([name in exclusive for name in attributes])
    if group.any():
        likeliest = probabilities[:, group].argmax(1)
        told[:, group] = np.arange(group.sum()) == likeliest[:, None]
    return told == (targets > 0.5)


def success(
    classifier: Classifier,
    translate: Callable[[Images, Labels], Images],
    images: Images,
    labels: Labels,
    attributes: Sequence[str],
    exclusive: Sequence[str] = (),
) -> tuple[list[dict[str, Any]], Images]:
    """How many translations land, for each of `target_labels`; images that are there already apart.

    Args:
        classifier: of domains.
        translate: images and target labels to translations.
        images: held-out real ones.
        labels: of them.
        attributes: names of the columns.
        exclusive: some of them.

    Returns:
        A row for each target: `landed`, the share that has the attribute that was asked for;
        `as_asked`, the share that is right in every attribute; `copy`, what `landed` is if the
        image itself is handed back; `images`. And all translations, one target after the other.
    """
    rows, made = [], []
    for place, targets in enumerate(target_labels(labels, attributes, exclusive)):
        moved = (targets != labels).any(1)
        if not moved.any():
            raise ValueError(f"all {len(images)} images are {attributes[place]!r} already")
        translated = translate(images[moved], targets[moved])
        right, copied = (
            as_asked(classifier(some), targets[moved], attributes, exclusive)
            for some in (translated, images[moved])
        )
        rows.append(
            {
                "target": attributes[place] + ("" if attributes[place] in exclusive else " turned"),
                "landed": float(right[:, place].mean()),
                "as_asked": float(right.all(1).mean()),
                "copy": float(copied[:, place].mean()),
                "images": int(moved.sum()),
            }
        )
        made.append(translated)
    return rows, np.concatenate(made)
