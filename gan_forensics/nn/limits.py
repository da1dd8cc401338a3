"""How large a config may ask images and networks to be.

Beyond these, what a stranger wrote into a config would take memory and time while it is only
traced; widths are compared with the arrays of the checkpoint.
"""

from typing import Any

MOST_SIDE, MOST_LAYERS = 4096, 128

_MOST = {"size": MOST_SIDE, "resize": MOST_SIDE, "layers": MOST_LAYERS, "blocks": MOST_LAYERS}


def check_limits(config: Any) -> None:
    """Refuse sides of images and numbers of layers that are beyond reason (ValueError)."""
    for name, most in _MOST.items():
        if (value := getattr(config, name, None)) is not None and value > most:
            raise ValueError(f"{name} must be at most {most}, got {value}")
