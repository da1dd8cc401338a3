"""Weights of Dist-GAN and MS-Dist-GAN by their TensorFlow names, as ours.

    networks = dist_gan_networks("dcgan", 32, era="2018")
    variables = read_dist_gan_weights(networks, load_weights("msdistgan.npz"))
    images = networks.generator.apply(variables["generator"], z, train=True, mutable=...)

Our layers bear the names of the scopes, so that a name is a place:

    encoder/encoder/Conv_1/BatchNorm/gamma   ->  encoder: Conv_1, BatchNorm, scale

Outer scopes repeat the player's name or not. Filters of transposed convolutions are [kh, kw, out,
in] there and [kh, kw, in, out] here; all other arrays are laid out alike.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gan_forensics.nn.dist_gan import DistGanNetworks
from gan_forensics.nn.initial import shapes_of
from gan_forensics.nn.weight_tables import to_numpy
from gan_forensics.runtime import random_key

PLAYERS = DistGanNetworks._fields

# The last part of a name in slim and in the authors' residual networks -> collection, name here.
_LEAVES = {
    **dict.fromkeys(("weights", "w", "Matrix"), ("params", "kernel")),
    **dict.fromkeys(("biases", "bias"), ("params", "bias")),
    "gamma": ("params", "scale"),
    "beta": ("params", "bias"),
    "moving_mean": ("batch_stats", "mean"),
    "moving_variance": ("batch_stats", "var"),
}
# Heads of MS-Dist-GAN's self-supervised tasks, beside the discriminator's last layer.
_TASK_HEADS = {("flatten_fully_connected_1",), ("Linear",)}

Place = tuple[str, ...]  # collection, then names down to the array


def read_dist_gan_weights(
    networks: DistGanNetworks, arrays: Mapping[str, Any]
) -> dict[str, dict[str, dict]]:
    """Turn arrays by TensorFlow names into the variables of the networks.

    Args:
        networks: what the weights are for, of their widths.
        arrays: name -> array, as in a checkpoint of the authors' graph. Names are parted by "/" or
            ".", and may begin with "param|" and end with ":0". The head of a self-supervised task
            is left out.

    Returns:
        For each of "encoder", "generator" and "discriminator" that the arrays hold,
        `{"params": ..., "batch_stats": ...}` as nested dicts of numpy arrays, float64 where they
        were and float32 otherwise. Running statistics that are not given start as new ones; the
        authors saved none, since they use those of the batch.

    Raises:
        ValueError: if no name tells its player, and for arrays that are missing, unknown, of
            another shape or not finite (all of them, in one message).

    Example:
        >>> from gan_forensics.nn import dist_gan_networks, load_weights  # doctest: +SKIP
        >>> networks = dist_gan_networks("dcgan", 28, channels=1, latent=100)  # doctest: +SKIP
        >>> variables = read_dist_gan_weights(networks, load_weights("mnist.npz"))  # doctest: +SKIP
        >>> sorted(variables)  # doctest: +SKIP
        ['discriminator', 'encoder', 'generator']
    """
    found: dict[str, dict[Place, Any]] = {}
    unknown = []
    for name, array in arrays.items():
        player, place = _place(name)
        if player is None or place is None:
            unknown.append(f"unknown: {name} {list(np.shape(array))}")
        elif player != "discriminator" or place[1:-1] not in _TASK_HEADS:
            found.setdefault(player, {})[place] = (name, array)
    if not found:
        raise ValueError(
            f"no array of a Dist-GAN among {len(arrays)}: names must hold one of "
            f"{', '.join(PLAYERS)}, as in encoder/encoder/Conv/weights"
        )
    problems, variables = unknown, {}
    for player in PLAYERS:
        if player in found:
            variables[player], wrong = _filled(getattr(networks, player), player, found[player])
            problems += wrong
    if problems:
        raise ValueError(
            "these weights are not those of the networks, or of networks of another width:\n  "
            + "\n  ".join(problems)
        )
    return variables


def _place(name: str) -> tuple[str | None, Place | None]:
    """Whose array it is, and where it stands there; None for what the name does not tell."""
    parts = re.split(r"[/.]", name.removeprefix("param|").removesuffix(":0"))
    owner = next((part for part in parts if part in PLAYERS), None)
    if owner is None or parts[-1] not in _LEAVES:
        return owner, None
    path = parts[parts.index(owner) + 1 : -1]
    if path[:1] == [owner]:
        path = path[1:]
    collection, leaf = _LEAVES[parts[-1]]
    # The scope of slim's layer within that of the authors' "flatten, then dense".
    return owner, (collection, *(p for p in path if p != "fully_connected"), leaf)


def _filled(network, player: str, found: dict[Place, Any]) -> tuple[dict, list[str]]:
    """The variables of a network, and what is wrong with what was found for them."""
    expected = _shapes(network, player)
    variables: dict[str, dict] = {"params": {}, "batch_stats": {}}
    problems = []
    for place, shape in expected.items():
        turned = place[-1] == "kernel" and place[-2].startswith("Conv2d_transpose")
        theirs = (*shape[:2], shape[3], shape[2]) if turned else shape
        if place in found:
            name, array = found[place][0], to_numpy(found[place][1])
            if array.shape != theirs:
                problems.append(
                    f"wrong shape: {name} is {list(array.shape)}, should be {list(theirs)}"
                )
                continue
            if not np.isfinite(array).all():
                problems.append(f"not finite: {name}")
            array = array.swapaxes(2, 3) if turned else array
        elif place[0] == "batch_stats":
            array = np.full(shape, float(place[-1] == "var"), np.float32)
        else:
            leaf = {"kernel": "weights", "scale": "gamma", "bias": "biases"}[place[-1]]
            if (*place[:-1], "scale") in expected and leaf == "biases":
                leaf = "beta"
            problems.append(f"missing: {'/'.join((player, *place[1:-1], leaf))} {list(theirs)}")
            continue
        branch = variables[place[0]]
        for step in place[1:-1]:
            branch = branch.setdefault(step, {})
        float64 = array.dtype == np.float64
        branch[place[-1]] = np.ascontiguousarray(array, np.float64 if float64 else np.float32)
    problems += [
        f"unknown: {name} {list(np.shape(array))}"
        for place, (name, array) in found.items()
        if place not in expected
    ]
    return variables, problems


def _shapes(network, player: str) -> dict[Place, tuple[int, ...]]:
    """The shape of every variable of a network."""
    if player == "generator":
        shape = (1, network.latent)
    else:
        shape = (1, network.size, network.size, network.channels)
    x = jax.ShapeDtypeStruct(shape, np.float32)
    made = shapes_of(lambda x: network.init(random_key(0), x, train=False), x)
    leaves = jax.tree_util.tree_leaves_with_path(made)
    return {tuple(step.key for step in path): leaf.shape for path, leaf in leaves}
