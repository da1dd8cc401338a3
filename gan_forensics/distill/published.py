"""Classifiers from files of published weights."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from gan_forensics.distill.architectures import ARCHITECTURES, architecture, make_classifier
from gan_forensics.nn.initial import shapes_of
from gan_forensics.nn.weight_files import load_weights
from gan_forensics.nn.weight_tables import State
from gan_forensics.nn.weights import from_torch
from gan_forensics.runtime import random_key

SHOWN = 8  # differences in an error: of another architecture every name is one


def published_variables(arch: str, path: str | Path) -> tuple[dict[str, Any], int]:
    """The variables of a classifier from a PyTorch state dict, and how many classes it tells apart.

    Args:
        arch: one of `ARCHITECTURES` that has published weights.
        path: a file as `load_weights` reads: torchvision's layout, or efficientnet_pytorch's.

    Returns:
        What `make_classifier(arch, classes)` is applied with, float32, and its classes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an architecture without published weights, and for weights of another one,
            naming it where it is known and what differs; for values that are not finite.

    Example:
        >>> variables, classes = published_variables("resnet50", "resnet50.pth")  # doctest: +SKIP
    """
    if architecture(arch).published is None:
        have = [name for name, row in ARCHITECTURES.items() if row.published]
        raise ValueError(f"there are no published weights of {arch}: choose {' or '.join(have)}")
    state = load_weights(path)
    try:
        variables, classes = _read(arch, state)
    except ValueError as error:
        lines = str(error).splitlines()[1:]
        if len(lines) > SHOWN:
            lines = [*lines[:SHOWN], f"  and {len(lines) - SHOWN} more"]
        own = [name for name in ARCHITECTURES if _fits(name, state)]
        said = (
            f"{path} holds weights of {own[0]}, not of {arch}: give that name"
            if own
            else f"{path} does not hold weights of {arch}: give the architecture of the file"
        )
        raise ValueError("\n".join([f"{said}; what differs:", *lines])) from error
    for name, leaf in _named(variables).items():
        if not np.isfinite(leaf).all():
            raise ValueError(f"{path}: {name} holds values that are not finite: save it again")
    return variables, classes


def _read(arch: str, state: State) -> tuple[dict[str, Any], int]:
    """The same of a state dict; the depth and the widths are the network's own."""
    row = architecture(arch)
    assert row.published is not None
    variables = jax.tree.map(lambda a: a.astype(np.float32), from_torch(row.published, state))
    classes = len(variables["params"][row.head]["bias"])
    network = make_classifier(arch, classes)
    side: int = network.stride  # pyright: ignore[reportAttributeAccessIssue]
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    shapes = shapes_of(lambda x: network.init(random_key(0), x, train=False), images)
    wanted, found = (
        {name: list(leaf.shape) for name, leaf in _named(tree).items()}
        for tree in (shapes, variables)
    )
    if wanted != found:
        differ = sorted(n for n in wanted | found if wanted.get(n) != found.get(n))
        raise ValueError(
            f"these weights are not those of a {arch}:\n"
            + "\n".join(
                f"  {name} is {found.get(name, 'missing')}, should be {wanted.get(name, 'absent')}"
                for name in differ
            )
        )
    return variables, classes


def _named(variables: Any) -> dict[str, Any]:
    """Every array by its path."""
    return dict(flatten_dict(variables, sep="/"))


def _fits(arch: str, state: State) -> bool:
    """Whether a state dict is that of a network of this name."""
    if ARCHITECTURES[arch].published is None:
        return False
    try:
        _read(arch, state)
    except ValueError:
        return False
    return True
