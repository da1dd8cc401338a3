"""Settings of an experiment by name, checked against its dataclasses."""

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from gan_forensics.files import listed


def overridden(experiment: Any, changes: Mapping[str, Any]) -> Any:
    """An experiment with other settings.

    Args:
        experiment: a frozen dataclass, of which fields may be dataclasses again.
        changes: field -> value; fields of dataclasses by a dotted name (`{"compare.seeds": (0,
            1)}`) or by a dict (`{"compare": {"seeds": (0, 1)}}`). Lists become tuples, text paths.

    Raises:
        ValueError: for a field that is not there, with those that are meant perhaps, and for a
            value of another type, with what stands there.
    """
    return _changed(experiment, changes, "", experiment)


def _changed(part: Any, changes: Mapping[str, Any], prefix: str, whole: Any) -> Any:
    hints, new = get_type_hints(type(part)), {}
    known = {field.name: getattr(part, field.name) for field in fields(part)}
    for name, value in changes.items():
        first, _, rest = name.partition(".")
        if first not in known:
            raise ValueError(_unknown(f"{prefix}{name}", whole))
        now, place = new.get(first, known[first]), f"{prefix}{first}"
        if is_dataclass(now) and (rest or isinstance(value, Mapping)):
            below = {rest: value} if rest else value
            new[first] = _changed(now, below, f"{place}.", whole)
        elif rest:
            raise ValueError(_unknown(f"{prefix}{name}", whole))
        else:
            new[first] = _checked(value, hints[first], place, now)
    return replace(part, **new)


def _unknown(asked: str, whole: Any) -> str:
    names = list(_names(whole))
    prefix, _, last = asked.rpartition(".")
    near = [name for name in names if name.rpartition(".")[2] == last]
    for some in ([name for name in names if name.rpartition(".")[0] == prefix], names):
        lasts = {name.rpartition(".")[2]: name for name in some}
        near = near or [lasts[one] for one in difflib.get_close_matches(last, lasts, cutoff=0.7)]
    if near:
        return f"no setting {asked!r}; did you mean {' or '.join(map(repr, near))}?"
    return f"no setting {asked!r}; there are {listed(names)}"


def _names(part: Any, prefix: str = "") -> Iterator[str]:
    """All fields, dotted below dataclasses, of which none can be set as a whole by one word."""
    for field in fields(part):
        value = getattr(part, field.name)
        if is_dataclass(value):
            yield from _names(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def _checked(value: Any, hint: Any, place: str, now: Any) -> Any:
    try:
        return _fitted(value, hint)
    except TypeError:
        allowed = getattr(hint, "__name__", None) if isinstance(hint, type) else None
        allowed = allowed if allowed and not get_args(hint) else str(hint).replace("typing.", "")
        raise ValueError(f"{place} is {allowed}, such as {now!r}; got {value!r}") from None


def _fitted(value: Any, hint: Any) -> Any:
    """The value as a field of this type holds it; raises TypeError where it does not fit."""
    kind, of = get_origin(hint), get_args(hint)
    value = value.item() if isinstance(value, np.generic) else value
    if kind in (Union, types.UnionType):
        for one in of:
            try:
                return _fitted(value, one)
            except TypeError:
                continue
        raise TypeError
    if kind is Literal and value in of:
        return value
    if kind is tuple and isinstance(value, Sequence | range | np.ndarray | set):
        if isinstance(value, str):
            raise TypeError
        each = of[:1] * len(value) if of[1:] == (...,) else of
        if len(each) != len(value):
            raise TypeError
        return tuple(_fitted(*pair) for pair in zip(value, each, strict=True))
    if kind is dict and isinstance(value, Mapping):
        return dict(value)
    if hint is Path and isinstance(value, str | PathLike):
        return Path(fspath(value))
    if hint is float and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if hint is Any or (hint is type(None) and value is None):
        return value
    if isinstance(hint, type) and hint not in (int, float) and isinstance(value, hint):
        return value
    raise TypeError
