"""The graph of a network, without chance in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

# What a random operator is told to be none: dropout in evaluation, attention without dropout.
_SWITCHES = ("train", "training", "dropout_p")


def graph_of(
    network: nn.Module, example: tuple[Tensor, ...], shapes: tuple[Any, ...], what: str
) -> ExportedProgram:
    """Return the graph of a network, which must not depend on chance.

    Args:
        network: In evaluation mode.
        example: What it is traced with.
        shapes: Which axes are free.
        what: That cannot be followed, if so.

    Raises:
        ValueError: If it cannot be traced, or draws random numbers.
    """
    try:
        with torch.no_grad():
            program = torch.export.export(network, example, dynamic_shapes=shapes)
    except Exception as error:  # whatever a foreign forward raises
        raise ValueError(f"torch.export cannot follow {what}: {first_line(error)}") from error
    for operator in random_operators(program):
        raise ValueError(
            f"the network draws random numbers even in evaluation ({operator}), so its file would give "
            f"another answer each time; nothing was written."
        )
    return program


def random_operators(program: ExportedProgram) -> list[str]:
    """Return the operators of a graph that depend on chance."""
    modules = [module for module in program.graph_module.modules() if isinstance(module, GraphModule)]
    nodes = [node for module in modules for node in module.graph.nodes]
    return [str(node.target) for node in nodes if _is_random(node)]


def first_line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)


def _is_random(node: Node) -> bool:
    target: Any = node.target
    if torch.Tag.nondeterministic_seeded not in getattr(target, "tags", ()):
        return False
    names = [argument.name for argument in target._schema.arguments]
    defaults = {argument.name: argument.default_value for argument in target._schema.arguments}
    given = defaults | dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return not any(name in given and not given[name] for name in _SWITCHES)
