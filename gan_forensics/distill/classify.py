"""A trained classifier at work: logits and features of images, and what it achieves on a test."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float32, Int, UInt8

from gan_forensics.data import Source, as_source, center_crop, chunks, square, to_float
from gan_forensics.data.images import as_image
from gan_forensics.distill.architectures import architecture, inputs_of, make_classifier
from gan_forensics.runtime import jit

# Images at a time: fewer where they are large, always the same number, so that one program serves.
_PIXELS = 2**22
TOP = 5


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network of this package with its variables, read for inference in float32.

    Attributes:
        arch: a key of `ARCHITECTURES`.
        classes: how many.
        variables: "params" and "batch_stats", arrays of the host.
        width: of the network, where it has one to choose.
        size: side of the images that it was trained on; None where that is not known.
        resize: side that images are read at before their middle is cut out; None for `size`.
        channels: of these images; None where they do not matter.
        label_names: what labels 0, 1, ... stand for; () where that is not known.
        label_smoothing: alpha in training; None where that is not known.

    Example:
        >>> teacher = Classifier("small_cnn", 2, {"params": {}}, label_names=("cat", "dog"))
        >>> teacher.label_names
        ('cat', 'dog')
    """

    arch: str
    classes: int
    variables: Mapping[str, Any] = field(repr=False)
    width: int | None = None
    size: int | None = None
    resize: int | None = None
    channels: int | None = None
    label_names: tuple[str, ...] = ()
    label_smoothing: float | None = None

    def logits(self, images: Any) -> Float32[np.ndarray, "n classes"]:
        """Logits of images, which are squares of one size; independent of what stands beside.

        Args:
            images: as `gan_forensics.data.as_images` takes them; `fitted` brings one to the size
                that the network was tested on.
        """
        return np.concatenate([said for said, _ in self._read(images, self.classes)])

    def features(self, images: Any) -> Float32[np.ndarray, "n d"]:
        """What the last layer reads of images: the mean of every channel of the last map."""
        return np.concatenate([said for said, _ in self._read(images, None)])

    def labelled_logits(
        self, source: Source
    ) -> tuple[Float32[np.ndarray, "n classes"], Int[np.ndarray, " n"]]:
        """Logits of a source's images and their labels, read once."""
        said, parts = zip(*self._read(source, self.classes), strict=True)
        return np.concatenate(said), np.concatenate([part["label"] for part in parts])

    def fitted(self, image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "s s c"]:
        """An image of any size as the network was tested on: the middle square, resized, cut."""
        image = as_image(image)
        if self.size is None:
            return image
        return center_crop(square(image, size=self.resize or self.size), self.size)

    @property
    def head(self) -> tuple[Float32[np.ndarray, "d k"], Float32[np.ndarray, " k"]]:
        """The last layer: a template of each class, and the biases."""
        layer = self.variables["params"][architecture(self.arch).head]
        return np.asarray(layer["kernel"]), np.asarray(layer["bias"])

    @functools.cached_property
    def digest(self) -> str:
        """A short fingerprint of all variables."""
        return digest_of(self.variables)

    def _read(self, images: Any, classes: int | None) -> Iterator[tuple[np.ndarray, Any]]:
        """Outputs with or without the last layer, and the examples that they are of."""
        source = as_source(images)
        read = _reader(self.arch, make_classifier(self.arch, classes, width=self.width))
        height, width = source[0]["image"].shape[:2]
        at_once = int(np.clip(_PIXELS // (height * width), 1, 256))
        for part in chunks(source, at_once):
            image = to_float(part["image"])
            filled = np.zeros((at_once, *image.shape[1:]), np.float32)
            filled[: len(image)] = image
            yield np.asarray(read(self.variables, filled))[: len(image)], part


def digest_of(variables: Mapping[str, Any]) -> str:
    """A short fingerprint of the names and numbers of variables."""
    made = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(dict(variables)):
        made.update(jax.tree_util.keystr(path).encode())
        made.update(np.ascontiguousarray(leaf).tobytes())
    return made.hexdigest()[:16]


@functools.lru_cache(maxsize=16)
def _reader(arch: str, network: nn.Module) -> Callable[[Any, Any], Any]:
    """(variables, images [b, h, w, c] in [-1, 1]) -> outputs, compiled once for a network."""

    @jit
    def read(variables, image):
        return network.apply(variables, inputs_of(arch, image), train=False)

    return read


def accuracies(
    logits: Float32[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> dict[str, float]:
    """Top-1 and, of more than five classes, top-5 accuracy, and cross-entropy in nats.

    Of equal logits those of the lower classes count as the larger ones.
    """
    from scipy.special import log_softmax

    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & before)).sum(1)
    found = {"top_1": float((rank < 1).mean())}
    if logits.shape[1] > TOP:
        found["top_5"] = float((rank < TOP).mean())
    exact = log_softmax(logits.astype(np.float64), axis=1)
    return {**found, "cross_entropy": float(-exact[np.arange(len(labels)), labels].mean())}


def tested(classifier: Classifier, source: Source) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a classifier achieves on images: (numbers, bins of the reliability diagram).

    The calibration error is that of 15 bins of equal width.
    """
    from scipy.special import log_softmax

    from gan_forensics.forensics.temperature import calibration_error, reliability

    logits, labels = classifier.labelled_logits(source)
    found = accuracies(logits, labels)
    probabilities = np.exp(log_softmax(logits.astype(np.float64), axis=1))
    numbers = {
        "images": len(labels),
        "commonest_class": float(np.bincount(labels).max() / len(labels)),
        **found,
        "calibration_error": calibration_error(probabilities, labels),
    }
    return numbers, [row._asdict() for row in reliability(probabilities, labels)]
