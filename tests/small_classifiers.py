"""A small labelled data set, and a teacher and a student of it, that tests share."""

import numpy as np

from gan_forensics.distill import ClassifierConfig, Distillation

CLASSES = 4
HOW = Distillation(temperature=2.0)


def toy(path, *, n=96, seed=0, labels=None):
    """Gray 8x8 images of four noisy patterns in an npz file; its name as a source."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES, n) if labels is None else np.asarray(labels)
    pattern = np.random.default_rng(7).integers(0, 160, (10, 8, 8, 1))
    image = pattern[label] + rng.integers(0, 90, (len(label), 8, 8, 1))
    np.savez(path, image=image.astype(np.uint8), label=label)
    return f"npz:{path}"


def tiny(data, **given):
    """A config of the smallest network."""
    settings = {"width": 2, "epochs": 2, "batch_size": 16, "learning_rate": 0.05}
    return ClassifierConfig(data=data, **{**settings, **given})
