"""Layers that start in a way of their own, at `reset_parameters` too.

Who builds a network on the meta device fills its memory by calling `reset_parameters` of every module, in any
order: a layer itself has to know how it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from torch import nn
from torch.nn.utils import parametrize

Layer = TypeVar("Layer", bound=nn.Module)


def start_with(layer: Layer, how: Callable[[Layer], Any]) -> None:
    """Initialise a layer, now and whenever it is reset.

    Args:
        layer: With a `reset_parameters`, which `how` follows.
        how: Changes the layer in place; a function that can be pickled.
    """
    how(layer)
    reset_by(layer, partial(_reset, layer, how))


def reset_by(layer: nn.Module, how: Callable[[], Any]) -> None:
    """Let a layer be reset by this function, whatever its class does."""
    vars(layer)["reset_parameters"] = how


def _reset(layer: Any, how: Callable[[Any], Any]) -> None:
    if not parametrize.is_parametrized(layer):  # else its weight is computed, and nothing to draw into
        type(layer).reset_parameters(layer)
    how(layer)
