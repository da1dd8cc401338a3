"""Classes of a conditional GAN by name or by number."""

import difflib
import re
from collections.abc import Sequence

from gan_forensics.files import listed, shown
from gan_forensics.gans.config import GanConfig

_NUMBER = re.compile(r"-?[0-9]{1,9}")


def class_number(asked: str, config: GanConfig) -> int:
    """The label of a class that is called by its name, or else by its number.

    Raises:
        ValueError: for a name that the run has not; those it has, and near ones, are named.
    """
    names: Sequence[str] = config.label_names or ()
    if asked in names:
        return names.index(asked)
    if _NUMBER.fullmatch(asked):
        return int(asked)
    if not names:
        classes = f"0 to {config.classes - 1}" if config.classes else "none"
        raise ValueError(
            f"no class is called {shown(asked)!r}: this run's classes have no names, they are "
            f"{classes}"
        )
    near = difflib.get_close_matches(asked, names, n=1)
    hint = f" Did you mean {shown(near[0])}?" if near else ""
    raise ValueError(f"no class is called {shown(asked)!r}; there are {listed(names)}.{hint}")
