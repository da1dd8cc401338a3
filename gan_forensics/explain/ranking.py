"""Channels ranked by their omega, their names, and the masks that silence sets of them.

Chandrasegaran et al. (ECCV 2022): one ranking over all layers; its first k channels are silenced,
and for comparison its last k and k drawn at random from the others.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

Omegas = Mapping[str, Float[np.ndarray, " c"]]


class Feature(NamedTuple):
    """A channel of a convolution, and its omega.

    Example:
        >>> feature = Feature("layer1.conv", channel=3, channels=16, omega=0.2)
        >>> feature.name
        'layer1.conv.#3(T=16)'
    """

    layer: str
    channel: int
    channels: int
    omega: float

    @property
    def name(self) -> str:
        """As published: "layer1.0.conv1.#63(T=64)"."""
        return f"{self.layer}.#{self.channel}(T={self.channels})"


def rank(omegas: Omegas, *, scale: Literal["none", "z_score", "rank"] = "none") -> list[Feature]:
    """All channels of all layers, the most relevant first; ties by layer name, then channel.

    Args:
        omegas: of `FeatureRelevance.result`.
        scale: "none" compares omegas as they are, as published, which favours layers of few
            channels; "z_score" and "rank" compare what they are within their layer. The omegas of
            the result are unscaled in any case.

    Raises:
        ValueError: for another scale.

    Example:
        >>> [feature.name for feature in rank({"a": np.array([0.1, 0.9]), "b": np.array([0.5])})]
        ['a.#1(T=2)', 'b.#0(T=1)', 'a.#0(T=2)']
    """
    if scale not in _SCALES:
        raise ValueError(f"unknown scale {scale!r}; scales are {', '.join(_SCALES)}")
    keyed = []
    for layer in sorted(omegas):
        omega = np.asarray(omegas[layer], np.float64)
        for channel, key in enumerate(_SCALES[scale](omega)):
            keyed.append((key, Feature(layer, channel, len(omega), float(omega[channel]))))
    return [feature for _, feature in sorted(keyed, key=lambda pair: -pair[0])]


def _z_score(omega):
    spread = omega.std()
    return (omega - omega.mean()) / (spread if spread > 0 else 1)


def _rank(omega):
    from scipy.stats import rankdata

    return rankdata(omega) / len(omega)


_SCALES = {"none": lambda omega: omega, "z_score": _z_score, "rank": _rank}


def parse_name(name: str) -> tuple[str, int]:
    """Layer and channel of a feature's name.

    Raises:
        ValueError: for what is no such name.

    Example:
        >>> parse_name("layer1.0.conv1.#63(T=64)")
        ('layer1.0.conv1', 63)
    """
    match = re.fullmatch(r"(.+)\.#([0-9]{1,9})(?:\(T=[0-9]+\))?", name)
    if not match:
        raise ValueError(f"{name!r} names no channel: write it as 'layer1.0.conv1.#63'")
    return match[1], int(match[2])


Masks = dict[str, Float[np.ndarray, "*sets c"]]


def channel_masks(features: Iterable[Feature | str], channels: Mapping[str, int]) -> Masks:
    """Masks [c] of every layer: 0 at the features given, 1 elsewhere.

    Args:
        features: channels to silence, as features or by name.
        channels: how many each layer has.

    Raises:
        ValueError: for a layer or channel that there is not.

    Example:
        >>> channel_masks(["conv.#1(T=4)", "conv.#2(T=4)"], {"conv": 4})
        {'conv': array([1., 0., 0., 1.], dtype=float32)}
    """
    masks = {layer: np.ones(n, np.float32) for layer, n in channels.items()}
    for feature in features:
        named = isinstance(feature, str)
        layer, channel = parse_name(feature) if named else (feature.layer, feature.channel)
        if layer not in masks or channel >= channels[layer]:
            raise ValueError(
                f"there is no channel {channel} of {layer!r} here; layers are {', '.join(channels)}"
            )
        masks[layer][channel] = 0
    return masks


class MaskSets(NamedTuple):
    """What the sensitivity test compares: the masks of the top k, the low k, and random draws.

    Example:
        >>> sets = MaskSets({"conv": np.ones(4)}, {"conv": np.ones(4)}, {"conv": np.ones((5, 4))})
        >>> sets.random["conv"].shape
        (5, 4)
    """

    top: Masks
    low: Masks
    random: Masks


def mask_sets(ranking: Sequence[Feature], k: int, *, draws: int = 5, seed: int = 0) -> MaskSets:
    """The published test's sets: first k, last k, and `draws` times k of those not in the first k.

    The masks of `random` have a leading axis for the draws: map over it with `jax.vmap`. Scores of
    the draws are averaged image by image before any metric, as published.

    Raises:
        ValueError: unless 1 <= k and 2 k is at most the number of channels.

    Example:
        >>> ranking = [Feature("conv", channel, 8, omega=1 / (1 + channel)) for channel in range(8)]
        >>> mask_sets(ranking, k=2).top["conv"]
        array([0., 0., 1., 1., 1., 1., 1., 1.], dtype=float32)
    """
    if not 1 <= k <= len(ranking) // 2:
        raise ValueError(
            f"k is {k}; with {len(ranking)} channels it must be from 1 to {len(ranking) // 2}, so "
            "that k others are left to draw from"
        )
    channels = {feature.layer: feature.channels for feature in ranking}
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        chosen = k + rng.choice(len(ranking) - k, k, replace=False)
        drawn.append(channel_masks([ranking[i] for i in chosen], channels))
    return MaskSets(
        top=channel_masks(ranking[:k], channels),
        low=channel_masks(ranking[-k:], channels),
        random={name: np.stack([masks[name] for masks in drawn]) for name in channels},
    )
