"""Published weights as ours: read a file, and rename and turn its arrays.

    state = load_weights("celeba_dcgan_N.1.5.pt")
    variables = from_torch("dcgan_generator", state)
    images = Generator(128, tail="N.1.5").apply(variables, z, train=False)

An architecture is a function from a state dict to the table of what it should hold: for every
PyTorch name its shape there and its place here (`Leaf`). What differs is listed in one error.
The tables stand in `weights_<family>.py`, made of the parts in `weight_tables.py`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gan_forensics.files import shown
from gan_forensics.nn import (
    weights_dcgan,
    weights_inception,
    weights_mobilenet,
    weights_resgan,
    weights_resnet,
    weights_stargan,
)
from gan_forensics.nn.weight_files import load_weights
from gan_forensics.nn.weight_tables import State, Table, to_numpy

# Name -> (the player's name in a checkpoint of the whole GAN, table of the architecture).
ARCHITECTURES: dict[str, tuple[str, Callable[[State], Table]]] = {
    "dcgan_generator": ("G.", weights_dcgan.generator),
    "dcgan_discriminator": ("D.", weights_dcgan.discriminator),
    **weights_resgan.ARCHITECTURES,
    **weights_stargan.ARCHITECTURES,
    "resnet50": ("module.", weights_resnet.resnet50),
    "resnet34": ("module.", weights_resnet.resnet34),
    "resnet18": ("module.", weights_resnet.resnet34),
    "mobilenet_v2": ("module.", weights_mobilenet.mobilenet_v2),
    # The same network by two packages: efficientnet_pytorch's layout, and torchvision's.
    "efficientnet_b0": ("module.", weights_resnet.efficientnet_b0),
    "efficientnet_b0_torchvision": ("module.", weights_mobilenet.efficientnet_b0),
    "inception_v3_fid": ("inception.", weights_inception.inception_v3_fid),
}

# What PyTorch stores beside, and nothing here needs: batch counters, the last spectral norm.
_IGNORED = (".num_batches_tracked", ".sn_sigma")
# So many of what is wrong are listed.
_LISTED = 40


def from_torch(arch: str, state_dict: State) -> dict[str, dict]:
    """Turn a PyTorch state dict into the variables of our network.

    Args:
        arch: one of `ARCHITECTURES`.
        state_dict: name -> numpy array or torch tensor, names as in the authors' code. A Lightning
            checkpoint of the whole GAN may be given: its "G." or "D." part is taken.

    Returns:
        `{"params": ..., "batch_stats": ...}` and further collections that the network has, as
        nested dicts of numpy arrays, float64 where they were and float32 otherwise. Where one state
        dict holds several of our networks, the variables of each under its name.

    Raises:
        ValueError: for an unknown architecture, and for names that are missing, unknown, or of
            another shape (the first of them, in one message).

    Example:
        >>> from gan_forensics.nn import load_weights  # doctest: +SKIP
        >>> variables = from_torch("dcgan_generator", load_weights("dcgan.npz"))  # doctest: +SKIP
        >>> sorted(variables)  # doctest: +SKIP
        ['batch_stats', 'params']
    """
    if arch not in ARCHITECTURES:
        raise ValueError(
            f"unknown architecture {arch!r}; architectures are {', '.join(ARCHITECTURES)}"
        )
    player, table_of = ARCHITECTURES[arch]
    state = _part(state_dict, player)
    table = table_of(state)
    _check(arch, state, table)

    networks: dict[str, dict] = {}
    for name, leaf in table.items():
        variables = networks.setdefault(leaf.network, {"params": {}, "batch_stats": {}})
        branch = variables.setdefault(leaf.collection, {})
        for step in leaf.path[:-1]:
            branch = branch.setdefault(step, {})
        branch[leaf.path[-1]] = leaf.turned(_at_least_float32(to_numpy(state[name])))
    return networks[""] if set(networks) == {""} else networks


def from_file(arch: str, path: Path | str) -> dict[str, dict]:
    """`from_torch` of the state dict in a file (`load_weights`); errors name the file."""
    state = load_weights(path)
    try:
        return from_torch(arch, state)
    except ValueError as error:
        raise ValueError(f"{shown(path)}: {error}") from error


def _part(state: State, player: str) -> State:
    """The arrays of one player, if the state dict holds several."""
    part = {name[len(player) :]: state[name] for name in state if name.startswith(player)}
    return part or state


def _check(arch: str, state: State, table: Table) -> None:
    names = {name for name in state if not name.endswith(_IGNORED)}
    missing, unknown = sorted(table.keys() - names), sorted(names - table.keys())
    problems = [f"missing: {shown(name)} {list(table[name].shape)}" for name in missing]
    problems += [f"unknown: {shown(name)} {list(np.shape(state[name]))}" for name in unknown]
    problems += [
        f"wrong shape: {name} is {list(np.shape(state[name]))}, should be {list(leaf.shape)}"
        for name, leaf in sorted(table.items())
        if name in names and tuple(np.shape(state[name])) != leaf.shape
    ]
    if problems:
        more = f"\n  and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise ValueError(
            f"these weights are not those of a {arch}:\n  " + "\n  ".join(problems[:_LISTED]) + more
        )


def _at_least_float32(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == np.float64 else array.astype(np.float32)
