"""Networks as files for other runtimes, written only after they gave the same answers."""

from subquad.export.onnx_file import export_onnx
from subquad.export.report import ExportReport, ShapeCheck
from subquad.export.torch_file import export_torch

__all__ = ["ExportReport", "ShapeCheck", "export_onnx", "export_torch"]
