"""A Linen module whose `help()` is about itself."""

import flax.linen as nn

_FLAXS = nn.Module.__mro__
_HIDDEN = {
    *dir(nn.Module), "__dataclass_fields__", "__dataclass_params__", "__match_args__",
    "parent", "name", "scope",
}  # fmt: skip
_SHOWN = {"__call__", "__init__", "__doc__", "__module__"}


class _AboutItself(type(nn.Module)):
    """Leaves out of `dir()`, by which `help()` goes, what all modules of Flax inherit.

    It hides nothing else: every attribute is found as ever, and instances list all of theirs.
    """

    def __dir__(cls) -> list[str]:
        own = {name for kind in cls.__mro__ if kind not in _FLAXS for name in vars(kind)}
        return sorted((own - _HIDDEN) | _SHOWN)


class Network(nn.Module, metaclass=_AboutItself):
    """What every network of this package is: a Linen module, applied as any other.

    `network.init(key, *inputs)` draws its variables, `network.apply(variables, *inputs)` maps
    arrays to arrays; `train=True` where it has batch statistics or spectral normalisation.
    """
