"""What functions of GANs are given, where something else is easily given in its place."""

from numbers import Integral
from typing import Any

from gan_forensics.gans.building import Gan
from gan_forensics.gans.config import GanConfig
from gan_forensics.train import TrainState


def check_gan(gan: Any) -> None:
    """Refuse what `build` and `make_gan` do not return (ValueError)."""
    if isinstance(gan, GanConfig):
        raise ValueError("a GanConfig is no GAN yet: build(config) makes one of it")
    if not isinstance(gan, Gan):
        raise ValueError(f"gan must be what build or make_gan returned, got {_kind(gan)}")


def check_state(state: Any) -> None:
    """Refuse what is no state (ValueError)."""
    if not isinstance(state, TrainState):
        raise ValueError(f"state must be what fit or load returned, got {_kind(state)}")


def check_whole(name: str, value: Any, *, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no whole number within its bounds (ValueError)."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} must be a whole number, {bounds}, got {_kind(value, show=True)}")


def _kind(value: Any, *, show: bool = False) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    plain = show and isinstance(value, str | int | float | None)
    return repr(value) if plain else f"a value of type {type(value).__name__}"
