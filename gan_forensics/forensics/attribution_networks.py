"""The networks that attribute, one row a method: how each reads images, learns, and is optimised.

Batches of training have "image" [b n, h, w, 3] in [-1, 1], "label" [b, n] and "weight" [b, n]:
mixtures of n images, which lie in adjacent rows; without mixing n = 1 and weights are 1.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

from gan_forensics.data import Source
from gan_forensics.files.archives import Head
from gan_forensics.forensics import reverse_engineering
from gan_forensics.forensics.archive import check_fields
from gan_forensics.forensics.attribution_model import Images, Outputs
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.fingerprints import dct_statistics
from gan_forensics.forensics.neural import ARCHITECTURES, check_arrays, check_finite
from gan_forensics.forensics.repmix import (
    compound_loss,
    gated,
    mixed_cross_entropy,
    mixing_at,
    soft_accuracy,
)
from gan_forensics.nn.attribution import Attribution, AttributionNetwork
from gan_forensics.nn.fingerprint_networks import (
    DctCnn,
    ReverseEngineered,
    ReverseEngineering,
    YuClassifier,
)
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.resnet import ResNet
from gan_forensics.runtime import by_shares, jit, random_key
from gan_forensics.spectra.dct import EPSILON

Batch = Mapping[str, Array]
# Images that are scored together, and their pixels; what fills a batch up are copies of its last
# image.
AT_ONCE, PIXELS = 64, 2**22
_INPUTS = "inputs/"
# Of Adam, added to the gradient of all parameters; of SGD, on kernels alone.
DECAY, RATE_FALLS = 5e-4, 0.85
BODIES = ("resnet_small", "resnet50")
LARGEST = 4096  # side of images


class NetworkMethod(NamedTuple):
    """A row of `NETWORKS`.

    Attributes:
        make: (classes, side, settings) -> network.
        read: (images in [-1, 1], arrays) -> what the network is called with.
        loss: (what the network says, batch, real, settings) -> (scalar, metrics).
        outputs: (what the network says, real, settings) -> `Outputs`.
        optimizer: (learning rate or None for its own, steps an epoch, settings) -> optimiser.
        mixes: whether it can mix, and so takes images of several to a mixture.
        prepare: source of the training images -> arrays that `read` needs.
    """

    make: Callable[[int, int, Mapping[str, Any]], nn.Module]
    read: Callable[[Float[Array, "b h w 3"], Mapping[str, Any]], Array]
    loss: Callable[[Any, Batch, int, Mapping[str, Any]], tuple[Array, Mapping[str, Array]]]
    outputs: Callable[[Any, int, Mapping[str, Any]], Outputs]
    optimizer: Callable[[float | None, int, Mapping[str, Any]], optax.GradientTransformation]
    mixes: bool = False
    prepare: Callable[[Source], Mapping[str, np.ndarray]] = lambda source: {}


def _width(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The width where one is asked for, else the network's own."""
    return {} if settings["width"] is None else {"width": settings["width"]}


def as_they_are(images: Float[Array, "b h w 3"], arrays: Mapping[str, Array]):
    """Images in [-1, 1], also where the body's weights were pretrained with other statistics."""
    return images


def _repmix_network(classes: int, side: int, settings: Mapping[str, Any]) -> nn.Module:
    arch, given = settings["arch"], _width(settings)
    if arch not in BODIES:
        raise ValueError(f"unknown arch {arch!r}: the body is one of {', '.join(BODIES)}")
    if given and arch != "resnet_small":
        raise ValueError(f"width is for resnet_small; {arch} has its own: leave it out")
    body: Any = ARCHITECTURES[arch](classes=None, **given)
    assert isinstance(body, ResNet)
    return AttributionNetwork(body, classes)


def _repmix_loss(said: Attribution, batch: Batch, real: int, settings: Mapping[str, Any]):
    label, weight = batch["label"], batch["weight"]
    if not settings["compound"]:
        accuracy = soft_accuracy(said.sources, label, weight)
        return mixed_cross_entropy(said.sources, label, weight), {"soft_accuracy": accuracy}
    found = compound_loss(said.sources, said.detection, label, weight, real=real)
    return found.total, {
        "attribution_loss": found.attribution,
        "detection_loss": found.detection,
        "soft_accuracy": found.soft_accuracy,
    }


def _repmix_outputs(said: Attribution, real: int, settings: Mapping[str, Any]):
    if not settings["compound"]:
        return Outputs(said.sources, said.embedding)  # pyright: ignore[reportArgumentType]
    logits = gated(said.sources, said.detection, real=real)
    return Outputs(logits, said.embedding)  # pyright: ignore[reportArgumentType]


def _repmix_optimizer(rate: float | None, epoch: int, settings: Mapping[str, Any]):
    # 1e-4 is published, for a body that was trained before; the small one starts from nothing.
    own = 1e-3 if settings["arch"] == "resnet_small" else 1e-4
    schedule = optax.exponential_decay(rate or own, epoch, RATE_FALLS, staircase=True)
    if settings["optimizer"] == "adam":
        # Not AdamW: the decay goes through the moments.
        return optax.chain(optax.add_decayed_weights(DECAY), optax.adam(schedule))
    kernels = functools.partial(jax.tree.map, lambda p: p.ndim > 1)
    return optax.chain(
        optax.add_decayed_weights(DECAY, mask=kernels), optax.sgd(schedule, momentum=0.9)
    )


REPMIX = NetworkMethod(
    _repmix_network, as_they_are, _repmix_loss, _repmix_outputs, _repmix_optimizer, mixes=True
)


def _entropy_loss(said: Any, batch: Batch, real: int, settings: Mapping[str, Any]):
    label, weight = batch["label"], batch["weight"]
    accuracy = soft_accuracy(said.logits, label, weight)
    return mixed_cross_entropy(said.logits, label, weight), {"soft_accuracy": accuracy}


def _five_losses(said: ReverseEngineered, batch: Batch, real: int, settings: Mapping[str, Any]):
    found = reverse_engineering.losses(said.residual, said.logits, batch["label"][:, 0])
    return found.pop("total"), found


def _outputs_of(said: Any, real: int, settings: Mapping[str, Any]) -> Outputs:
    return Outputs(said.logits, said.features)


def _adam(rate: float, **options: Any):
    """Adam with a rate of its own, as the first of two arguments says otherwise."""
    return lambda given, epoch, settings: optax.adam(given or rate, **options)


def _dct_statistics(source: Source) -> dict[str, np.ndarray]:
    summary = dct_statistics(source)
    return {name: np.asarray(getattr(summary, name), np.float32) for name in ("mean", "std")}


def _dct_of(images: Float[Array, "b h w 3"], arrays: Mapping[str, Array]):
    # `log_dct` on the device, in float32; levels are whole again, or coefficients that are 0 would
    # not be.
    levels = jnp.round(127.5 * (images + 1))
    coefficients = by_shares(lambda x: jax.scipy.fft.dctn(x, axes=(1, 2), norm="ortho"), levels)
    spectrum = jnp.log(jnp.abs(coefficients) + EPSILON)
    mean, std = jnp.asarray(arrays["mean"]), jnp.asarray(arrays["std"])
    return (spectrum - mean[None]) / jnp.where(std == 0, 1, std)[None]


def _normalised(images: Float[Array, "b h w 3"], arrays: Mapping[str, Array]):
    return (0.5 * images + 0.5 - reverse_engineering.MEAN) / reverse_engineering.DEVIATION


NETWORKS: dict[str, NetworkMethod] = {
    "repmix": REPMIX,
    # The same network without mixing, gate and detection loss.
    "resnet": REPMIX._replace(mixes=False),
    "yu": NetworkMethod(
        lambda classes, side, settings: YuClassifier(classes, side, **_width(settings)),
        as_they_are, _entropy_loss, _outputs_of, _adam(1e-3, b1=0.0, b2=0.99),
    ),
    "dct-cnn": NetworkMethod(
        lambda classes, side, settings: DctCnn(classes, side),
        _dct_of, _entropy_loss, _outputs_of, _adam(1e-3), prepare=_dct_statistics,
    ),
    "reverse-engineering": NetworkMethod(
        lambda classes, side, settings: ReverseEngineering(classes, side, **_width(settings)),
        _normalised, _five_losses, _outputs_of, _adam(1e-4),
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class NeuralModel:
    """A trained network of `NETWORKS`.

    Attributes:
        method: its row.
        classes: number of sources.
        real: which of them is real.
        side: of images.
        choices: the row's settings, JSON-able.
        variables: "params" and maybe "batch_stats" of the network, float32.
        inputs: arrays that the row's `read` needs, float32.
    """

    method: str
    classes: int
    real: int
    side: int
    choices: Mapping[str, Any]
    variables: Mapping[str, Any]
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)

    @functools.cached_property
    def network(self) -> nn.Module:
        """What is applied to images as the row reads them."""
        row = lookup(NETWORKS, self.method, "method")
        return row.make(self.classes, self.side, self.choices)

    @property
    def settings(self) -> dict[str, Any]:
        """What it needs beside arrays, names and what is real."""
        return {"method": self.method, "side": self.side, "choices": dict(self.choices)}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Variables and inputs by name."""
        flat: dict[str, Any] = dict(flatten_dict({"variables": self.variables}, sep="/"))
        return {**flat, **{f"{_INPUTS}{name}": array for name, array in self.inputs.items()}}

    def outputs(self, images: Images) -> Outputs:
        """Logits and features of images of its side, float32 networks."""
        run = _outputs(self.network, self.method, self.real, tuple(sorted(self.choices.items())))
        parts, size = [], max(1, min(AT_ONCE, PIXELS // self.side**2))
        for first in range(0, len(images), size):
            some = np.asarray(images[first : first + size])
            filled = np.concatenate([some, np.repeat(some[-1:], size - len(some), 0)])
            found = run(self.variables, self.inputs, filled)
            parts.append([np.asarray(array, np.float64)[: len(some)] for array in found])
        if not parts:
            raise ValueError("no images were given")
        return Outputs(*(np.concatenate(of) for of in zip(*parts, strict=True)))


def applied(network: nn.Module, method: str, variables, inputs, images: Float[Array, "b h w 3"]):
    """What a network says of images in [-1, 1], outside of training."""
    return network.apply(variables, NETWORKS[method].read(images, inputs), train=False)


@functools.cache
def _outputs(network: nn.Module, method: str, real: int, settings: tuple) -> Callable[..., Outputs]:
    def run(variables, inputs, images):
        said = applied(network, method, variables, inputs, as_floats(images))
        return NETWORKS[method].outputs(said, real, dict(settings))

    return jit(run)


def as_floats(images) -> Float[Array, "b h w 3"]:
    """Pixels of 0 to 255 in [-1, 1]."""
    return jnp.asarray(images, jnp.float32) / 127.5 - 1


def call(method: str, settings: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> Callable:
    """(bound network, batch) -> what it says in training: of mixtures where the method mixes."""
    read = NETWORKS[method].read

    def said(network, batch: Batch):
        x = read(batch["image"], inputs)
        if batch["weight"].shape[1] == 1:
            return network(x, train=True)
        return network(x, train=True, between=mixing_at(settings["level"], batch["weight"]))

    return said


def start(network: nn.Module, seed: int, side: int) -> dict[str, Any]:
    """Random variables of a network for images of a side."""
    shape = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    return dict(initial_variables(network, random_key(seed), shape, train=False))


def check(settings: Mapping[str, Any], heads: Mapping[str, Head], *, classes: int) -> None:
    """Check settings and the heads of arrays against each other.

    Raises:
        ValueError: where they do not fit together.
    """
    check_fields(settings, {"method": str, "side": range(1, LARGEST + 1), "choices": dict})
    method, side, choices = settings["method"], settings["side"], settings["choices"]
    row = lookup(NETWORKS, method, "method")
    if choices.get("width") is not None:
        check_fields(choices, {"width": range(1, LARGEST + 1)})
    shapes = jax.eval_shape(lambda: start(row.make(classes, side, choices), 0, side))
    variables = {name: head for name, head in heads.items() if not name.startswith(_INPUTS)}
    check_arrays(method, flatten_dict({"variables": shapes}, sep="/"), variables)


def assemble(
    settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *, classes: int, real: int
) -> NeuralModel:
    """A model from settings and arrays that `check` has seen.

    Raises:
        ValueError: where it does not fit together.
    """
    method, side, choices = settings["method"], settings["side"], settings["choices"]
    check_finite(method, arrays)
    inputs, variables = {}, {}
    for name, array in arrays.items():
        given = name.startswith(_INPUTS)
        (inputs if given else variables)[name.removeprefix(_INPUTS)] = array
    nested = unflatten_dict(variables, sep="/")["variables"]
    model = NeuralModel(method, classes, real, side, choices, nested, inputs)
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    # What `read` needs and does not find, or of another shape, fails here.
    jax.eval_shape(lambda x: applied(model.network, method, nested, inputs, x), image)
    return model
