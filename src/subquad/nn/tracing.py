"""Modules that `torch.fx` keeps as one node of its graphs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.fx import Proxy

Self = TypeVar("Self", bound=nn.Module)
Arguments = ParamSpec("Arguments")
Forward = Callable[Concatenate[Self, Arguments], Tensor]


def one_node(forward: Forward[Self, Arguments]) -> Forward[Self, Arguments]:
    """Decorate a forward that looks at shapes, which a symbolic trace does not know.

    `torch.fx.symbolic_trace` of a network around the module, and what builds on it such as torchvision's
    `create_feature_extractor`, then put the module into the graph whole.
    """

    @wraps(forward)
    def whole(self: Self, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Tensor:
        if any(isinstance(x, Proxy) for x in (*args, *kwargs.values())):
            return run_forward(self, *args, **kwargs)
        return forward(self, *args, **kwargs)

    return whole


@torch.fx.wrap
def run_forward(module: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
    """Run the decorated forward of a module, without its hooks: those are traced."""
    own = (vars(kind).get("forward") for kind in type(module).__mro__)
    forward = next(f.__wrapped__ for f in own if f is not None and hasattr(f, "__wrapped__"))
    return forward(module, *args, **kwargs)
