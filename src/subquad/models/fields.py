"""Whether the values of a dataclass are what its annotations say: whoever made them, Python or a file."""

from __future__ import annotations

import dataclasses
import math
import reprlib
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
    NoneType: "none",
}


@cache
def kinds_of(owner: type[Any]) -> dict[str, Any]:
    """Return the annotation of each field of a dataclass, by name.

    Raises:
        NameError: If an annotation names what its module does not hold.
    """
    hints = get_type_hints(owner)
    return {field.name: hints[field.name] for field in dataclasses.fields(owner)}


def fit_fields(instance: Any) -> None:
    """Bring the fields of a frozen dataclass to their annotated types, or raise ValueError.

    Lists become tuples and NumPy's numbers Python's. Annotations other than those of `WORDS`, tuples,
    literals and unions of them are not looked at.
    """
    for name, kind in kinds_of(type(instance)).items():
        value = getattr(instance, name)
        fitted = _fitted(value, kind, name)
        if fitted is not value:
            object.__setattr__(instance, name, fitted)


def is_storable(kind: Any) -> bool:
    """Whether values of an annotation are those of `WORDS`, literals, tuples or unions of them."""
    if get_origin(kind) in (Union, UnionType, tuple):
        return all(one is ... or is_storable(one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return all(type(choice) in WORDS for choice in get_args(kind))
    return kind in WORDS


def check_range(instance: Any, least: float, most: float, *names: str) -> None:
    """Raise ValueError unless each of these fields is in a range, ends included, or None."""
    for name in names:
        value = getattr(instance, name)
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {shown(value)}.")
        if value is not None and value > most:
            raise ValueError(f"{name} must be at most {most:,}, got {shown(value)}.")


def shown(value: object) -> str:
    """Return a value as text that is short, however long or deep it is."""
    return value.__repr__() if isinstance(value, float) else reprlib.repr(value)


def _fitted(value: Any, kind: Any, name: str) -> Any:
    """Return a value as its annotation says; raise ValueError if it does not fit."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for one in arguments:
            if get_origin(one) is tuple and isinstance(value, (tuple, list)):
                return _fitted_tuple(value, get_args(one), name)  # whose complaint names the entry
            try:
                return _fitted(value, one, name)
            except ValueError:
                continue
    elif origin is Literal:
        if type(value) in {type(choice) for choice in arguments} and value in arguments:
            return value
    elif origin is tuple:
        return _fitted_tuple(value, arguments, name)
    elif kind not in WORDS:
        return value
    elif _is_plain(value, kind):
        return _plain(value, kind)
    raise ValueError(f"{name} must be {_words(kind)}, got {shown(value)}.")


def _fitted_tuple(value: Any, kinds: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        raise ValueError(f"{name} must be a list, got {shown(value)}.")
    if kinds[1:] == (...,):
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise ValueError(f"{name} must have {len(kinds)} entries, got {shown(value)}.")
    fitted = tuple(
        _fitted(item, kind, f"{name}[{index}]")
        for index, (item, kind) in enumerate(zip(value, kinds, strict=True))
    )
    is_same = all(one is other for one, other in zip(value, fitted, strict=True))
    return value if isinstance(value, tuple) and is_same else fitted


def _plain(value: Any, kind: Any) -> Any:
    """Return Python's own number for NumPy's; a whole number may stand for a float."""
    if kind in (int, float) and not isinstance(value, (int, float)):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def _is_plain(value: Any, kind: Any) -> bool:
    if kind in (NoneType, bool):
        return isinstance(value, kind)
    if kind is str:
        return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, bool):
        return False
    if kind is int:
        return isinstance(value, Integral) and abs(int(value)) < 2**63
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _words(kind: Any) -> str:
    """Say what an annotation allows."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(_words(one) for one in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    return "a list" if origin is tuple else WORDS.get(kind, str(kind))
