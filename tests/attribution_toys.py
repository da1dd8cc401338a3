"""Images of sources that leave an additive pattern, and folders of them."""

import numpy as np

from gan_forensics.data import ArraySource, save_png
from gan_forensics.data.attributed import Attributed

NAMES = ("dcgan", "photos", "sngan")


def planted(n, *, seed, side=16, names=NAMES, strength=25.0):
    """n smooth images a source with a pattern of it, "photos" without; labels by name."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 40, (n * len(names), side // 4, side // 4, 3))
    smooth = 128 + coarse.repeat(4, 1).repeat(4, 2)
    labels = np.tile(np.arange(len(names), dtype=np.int32), n)
    images = []
    for image, label in zip(smooth, labels, strict=True):
        name = names[label]
        own = np.random.default_rng([ord(c) for c in name]).normal(0, strength, image.shape)
        added = rng.normal(0, 3, image.shape) + (0 if name == "photos" else own)
        images.append(np.clip(image + added, 0, 255).astype(np.uint8))
    semantics = tuple("dogs" if i % 2 else "cats" for i in range(len(labels)))
    return Attributed(
        ArraySource(image=np.stack(images)),
        names,
        "photos",
        labels,
        semantics,
        ("0",) * len(labels),
    )


def write(folder, images, *, instance=True):
    """The images as PNG in SOURCE/SEMANTIC/INSTANCE/ below a folder."""
    for i, label in enumerate(images.labels):
        path = folder / images.names[label] / images.semantics[i]
        save_png((path / "0" if instance else path) / f"{i:04d}.png", images.source[i]["image"])
