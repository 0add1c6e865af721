"""How a name that goes is told: once in a process, with the version without it and what to write instead."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from subquad.base.plugins import load

P = ParamSpec("P")
R = TypeVar("R")

_TOLD: set[str] = set()


class Deprecated(NamedTuple):
    """What becomes of a name.

    Attributes:
        instead: Its new name; of an attribute of a module, where it stands: "package.module:NAME".
        gone_in: The version of subquad that does not know the old name, such as "0.3".
    """

    instead: str
    gone_in: str

    def sentence(self, what: str) -> str:
        """Return what is told of it."""
        instead = self.instead.replace(":", ".")
        return f"{what} is deprecated, and gone in subquad {self.gone_in}; write {instead} instead."


def warn_deprecated(what: str, told: Deprecated, *, stacklevel: int = 1) -> None:
    """Warn of something that goes, the first time that it is used.

    It is a FutureWarning, which Python shows to everybody. Where warnings are errors it is raised each time.

    Args:
        what: What is used, such as "the argument rank of subquad.nn.Ham".
        told: What becomes of it.
        stacklevel: 1 for who calls the function that calls this one, 2 for who calls that.
    """
    sentence = told.sentence(what)
    if sentence not in _TOLD:
        warnings.warn(sentence, FutureWarning, stacklevel=stacklevel + 2)
        _TOLD.add(sentence)


def note_deprecated(what: str, told: Deprecated) -> None:
    """Say the same on stderr, once: who types an option has no use for a line of our code."""
    sentence = told.sentence(what)
    if sentence not in _TOLD:
        sys.stderr.write(f"note: {sentence}\n")
        _TOLD.add(sentence)


def deprecated_names(module: str, names: Mapping[str, Deprecated]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module some of whose names have gone elsewhere.

    It is used so::

        __getattr__ = deprecated_names(__name__, {"Old": Deprecated("subquad.nn:Ham", "0.3")})

    Args:
        module: Its `__name__`.
        names: Of what went.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_deprecated(f"{module}.{name}", names[name])
        return load(names[name].instead)

    return find


def deprecated_arguments(names: Mapping[str, Deprecated]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take keywords by their old names: a decorator.

    Args:
        names: What is to be written instead, by the old name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        where = function.__qualname__

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given: dict[str, Any] = dict(kwargs)
            for old in names.keys() & given.keys():
                new = names[old].instead
                if new in given:
                    raise TypeError(f"{where} got {old} and {new}, which are one; give {new}.")
                warn_deprecated(f"the argument {old} of {where}", names[old])
                given[new] = given.pop(old)
            return function(*args, **given)  # pyright: ignore[reportCallIssue]

        return call

    return decorate
