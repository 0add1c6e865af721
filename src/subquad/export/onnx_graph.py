"""From a traced program to an ONNX graph with tidy names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from subquad.export.graph import first_line

_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}

_SOLVE = torch.ops.aten.linalg_solve_ex.default


def convert(
    program: ExportedProgram,
    inputs: tuple[str, ...],
    axes: tuple[tuple[str, ...], ...],
    opset: int | None = None,
    outputs: tuple[str, ...] = ("logits",),
) -> Any:
    """Return the ONNX model of a program, without paths of this machine.

    Args:
        program: A traced network.
        inputs: Their names.
        axes: Names of the axes of each; "" where one is fixed.
        opset: Version of ONNX's operators.
        outputs: Names of what the program gives.

    Raises:
        ValueError: If an operator has no ONNX form.
    """
    try:
        if any(node.target is _SOLVE for node in program.graph.nodes):
            program = program.run_decompositions({_SOLVE: _solve_ex})
        result = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=opset,
            verbose=False,
        )
    except Exception as error:  # a missing operator has many faces
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise ValueError(f"the network has no ONNX form: {first_line(cause)}") from error
    assert result is not None
    model = result.model_proto
    _name_axes(model, axes)
    _forget_origins(model)
    return model


def onnx_random_operators(model: Any) -> list[str]:
    """Return the operators of an ONNX model that depend on chance, in subgraphs and functions too."""
    found = []
    for node in _all_nodes(model):
        trains = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]
        if node.op_type in _RANDOM or trains:
            found.append(node.op_type)
    return found


def _all_nodes(model: Any) -> Iterator[Any]:
    pending = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while pending:
        node = pending.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                pending += graph.node


def _solve_ex(
    matrix: Tensor, right: Tensor, *, left: bool = True, check_errors: bool = False
) -> tuple[Tensor, Tensor]:
    """Solve by Gauss and Jordan's elimination, for which ONNX has the operators.

    Without pivots: exact enough for the positive definite matrices of concept decomposition, the only
    ones we solve for; for others, the comparison after the conversion decides.
    """
    size = matrix.shape[-1]
    unit = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    table = torch.cat([matrix, right], dim=-1)
    for pivot in range(size):
        row = table[..., pivot : pivot + 1, :] / table[..., pivot : pivot + 1, pivot : pivot + 1]
        column = table[..., pivot : pivot + 1] - unit[:, pivot : pivot + 1]
        table = table - column * row
    return table[..., size:], torch.zeros(matrix.shape[:-2], dtype=torch.int32, device=matrix.device)


def _name_axes(model: Any, wanted: tuple[tuple[str, ...], ...]) -> None:
    """Give the free axes their names, wherever they occur."""
    names = {}
    for value, called in zip(model.graph.input, wanted, strict=True):
        axes = [axis.dim_param for axis in value.type.tensor_type.shape.dim]
        names |= dict(zip(axes, called, strict=True))
    for value in [*model.graph.input, *model.graph.output]:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in names and axis.dim_param:
                axis.dim_param = names[axis.dim_param]
    # What is between may have other sizes in terms of these; runtimes find them themselves.
    del model.graph.value_info[:]


def _forget_origins(model: Any) -> None:
    """Drop the traces into source files, which tell folder names of the machine."""
    for node in _all_nodes(model):
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
