"""Export to ONNX, compared with onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subquad.export.class_maps import AnswerKind, answering
from subquad.export.onnx_graph import convert, onnx_random_operators
from subquad.export.report import Answer, ExportReport, compare
from subquad.export.target import check_target, write_if_passed
from subquad.export.trace import trace


def export_onnx(
    network: nn.Module,
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    in_channels: int | None = None,
    opset: int | None = None,
    preprocess: bool = False,
    tolerance: float = 1e-4,
    answer: AnswerKind = "logits",
    overwrite: bool = False,
) -> ExportReport:
    """Write a network as ONNX, if onnxruntime gives the same answers.

    The input `images` (batch, channels, height, width) and the output `logits` are of any batch,
    height and width from `ExportReport.smallest` on. A sequence network has the inputs `inputs`
    (batch, positions), or (batch, positions, features), and `lengths` (batch,). A network of text has
    `tokens` (batch,) and the tensors of its cache, which are zeros before the first token, and then
    what the outputs "next.NAME" gave for the last one. Before anything is written, onnxruntime runs the
    very bytes of the file at three shapes that tracing did not see, and at the smallest: the largest
    error of the logits must be within `tolerance`, at 99.99 % of the pixels or sequences the same class
    must win, and two runs must give the same bytes. The graph must hold no random operator. The table is
    written beside the file, as PATH.report.json. Names of classes, colours, tokens and normalisation go
    into the file's metadata.

    Args:
        network: Of `create_model` or any other that maps images to logits (batch, classes, ...). It
            stays as it is; a copy is exported on the CPU, in float32 and evaluation mode.
        path: Of the file, ".onnx" by custom.
        size: Height and width of the example that is traced, 192 x 256 if not given; only for
            networks that do not take that.
        in_channels: Of the images; needed for networks that are not of `create_model`.
        opset: Version of ONNX's operators; None takes PyTorch's default.
        preprocess: Take uint8 images in 0..255 and normalise them inside.
        tolerance: Largest allowed error; relative to the largest logit where that is above 1.
        answer: What the file gives: `logits`, or `classes`, the class of each pixel, uint8 (batch, height,
            width), int64 of more than 255 classes; only of networks on images. Resized are some classes at a
            time, so that the logits of an image are never in memory all at once.
        overwrite: Replace a file that is there; it stays as it was if the export fails.

    Returns:
        The table of errors.

    Raises:
        ValueError: If the network cannot be traced or converted, draws random numbers, answers
            differently, if the file exists, or if onnx or onnxruntime is missing.
    """
    check_target(path, overwrite=overwrite)
    onnx, onnxruntime = _import_onnx()
    if opset is not None and not 18 <= opset <= onnx.defs.onnx_opset_version():
        raise ValueError(f"opset must be 18 to {onnx.defs.onnx_opset_version()}, got {opset}.")
    traced = trace(answering(network, answer), size=size, in_channels=in_channels, preprocess=preprocess)
    outputs = answer, *(f"next.{name}" for name in traced.carried)
    model = convert(traced.program, traced.inputs, traced.axes, opset, outputs)
    for operator in onnx_random_operators(model):
        raise ValueError(f"the ONNX graph holds the random operator {operator}; nothing was written.")
    known = {name: json.dumps(value) for name, value in traced.metadata().items()}
    onnx.helper.set_model_props(model, known)
    content = model.SerializeToString()
    report = compare(
        traced,
        _runtime(onnxruntime, content, traced.inputs),
        path,
        format="onnx",
        tolerance=tolerance,
        versions={
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "opset": str(model.opset_import[0].version),
        },
    )
    write_if_passed(report, content)
    return report


def _import_onnx() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise ValueError(f"export to ONNX needs {error.name}: pip install 'subquad[export]'.") from error
    return onnx, onnxruntime


def _runtime(onnxruntime: Any, content: bytes, names: tuple[str, ...]) -> Answer:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; onnxruntime would print them as well
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        raise ValueError(f"onnxruntime does not accept the graph: {error}") from error

    def answer(*inputs: Tensor) -> tuple[Tensor, ...]:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        try:
            return tuple(torch.from_numpy(array) for array in session.run(None, given))
        except Exception as error:
            raise ValueError(
                f"onnxruntime fails on {names[0]} {tuple(inputs[0].shape)}, which the network takes: {error}"
            ) from error

    return answer
