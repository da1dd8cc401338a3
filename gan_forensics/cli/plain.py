"""How command lines are read, and how their help is laid out."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from gan_forensics.files import number, whole_number
from gan_forensics.files.terminal import has_colours

_NARROWEST = 40
_READ = {int: ("INT", whole_number), float: ("FLOAT", number)}


@contextmanager
def plain_arguments() -> Iterator[None]:
    """Within it tyro reads numbers as tables have them, colours nothing where that is not wanted.

    And it takes every terminal for one of 40 columns or more: narrow ones stop it for ever.
    """
    options: Any = tyro._experimental_options
    before, columns = options["ansi_codes"], os.environ.get("COLUMNS")
    options["ansi_codes"] = before and has_colours()
    if shutil.get_terminal_size().columns < _NARROWEST:
        os.environ["COLUMNS"] = str(_NARROWEST)
    registry = ConstructorRegistry()
    registry.primitive_rule(_number_rule)
    try:
        with registry:
            yield
    finally:
        options["ansi_codes"] = before
        os.environ.pop("COLUMNS", None)
        if columns is not None:
            os.environ["COLUMNS"] = columns


def _number_rule(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    if kind.type not in (int, float):
        return None
    name, read = _READ[kind.type]
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=name,
        instance_from_str=lambda texts: read(texts[0]),
        is_instance=lambda value: isinstance(value, kind.type | int),
        str_from_instance=lambda value: [str(value)],
    )
