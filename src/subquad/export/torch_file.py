"""Export to PyTorch's own format, .pt2."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from subquad.export.class_maps import AnswerKind, answering
from subquad.export.report import ExportReport, compare
from subquad.export.target import check_target, write_if_passed
from subquad.export.trace import trace


def export_torch(
    network: nn.Module,
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    in_channels: int | None = None,
    preprocess: bool = False,
    tolerance: float = 1e-4,
    answer: AnswerKind = "logits",
    overwrite: bool = False,
) -> ExportReport:
    """Write a network as an exported program, if it gives the same answers when it is loaded again.

    `torch.export.load(path).module()` runs it without the code of the network, for any batch, height
    and width from `ExportReport.smallest` on; of a sequence network with `inputs` and `lengths`, for
    any batch and length.

    Args:
        network: See `export_onnx`, as the other arguments.
        path: Of the file, ".pt2" by custom.
        size: Height and width of the example, 192 x 256 if not given.
        in_channels: Of the images.
        preprocess: Take uint8 images.
        tolerance: Allowed error.
        answer: What the program gives, logits or classes.
        overwrite: Replace a file that is there.

    Raises:
        ValueError: As `export_onnx`.
    """
    check_target(path, overwrite=overwrite)
    traced = trace(answering(network, answer), size=size, in_channels=in_channels, preprocess=preprocess)
    content = serialized(traced.program)
    loaded = torch.export.load(io.BytesIO(content)).module()
    report = compare(traced, loaded, path, format="torch", tolerance=tolerance, versions={})
    write_if_passed(report, content)
    return report


def serialized(program: ExportedProgram) -> bytes:
    """Return the file, without the paths of the machine it is made on."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()
