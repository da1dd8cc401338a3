"""Supervised learning as a game of one: one network, one loss of what it says of a batch."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import optax
from jaxtyping import Array, Float, PyTree

from gan_forensics.train.update import Aux, Update

Batch = Mapping[str, Array]
Loss = Callable[[Any, Batch], tuple[Float[Array, ""], Mapping[str, Array]]]


def on_images(network: nn.Module, batch: Batch) -> Any:
    """How most networks are called: on the images, for training."""
    return network(batch["image"], train=True)  # pyright: ignore[reportCallIssue]


def supervised_update(
    name: str,
    network: nn.Module,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    call: Callable[[Any, Batch], Any] = on_images,
) -> Update:
    """The one move of a classifier, a detector, a student.

    Args:
        name: of the network and of the move.
        network: with parameters and maybe batch statistics, which a step moves.
        loss: (outputs, batch) -> (scalar, metrics).
        optimizer: of all parameters.
        call: (bound network, batch) -> outputs.

    Example:
        >>> import flax.linen as nn
        >>> import optax
        >>> def loss(logits, batch):
        ...     own = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        ...     return own.mean(), {"accuracy": (logits.argmax(1) == batch["label"]).mean()}
        >>> def call(network, batch):
        ...     return network(batch["x"])
        >>> supervised_update("judge", nn.Dense(2), loss, optax.adam(1e-3), call=call)
        Update('judge', trains judge)
    """
    applied = nn.apply(call, network, mutable=["batch_stats"])

    def total(trainable: PyTree, frozen, stats, batch, key, step):
        variables = {"params": trainable[name], **stats[name]}
        outputs, moved = applied(variables, batch, rngs={"dropout": key})
        value, metrics = loss(outputs, batch)
        return value, Aux({name: dict(moved)}, metrics)

    return Update(name, (name,), total, optimizer)
