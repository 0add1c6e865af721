"""Explanations: code maps, figures, the report, gradients."""

from subquad.explain.code_maps import code_maps, telling_columns
from subquad.explain.gradient_report import GradientReport, HamGradients, StepGradient
from subquad.explain.gradients import gradients
from subquad.explain.report import HtmlReport

__all__ = [
    "GradientReport",
    "HamGradients",
    "HtmlReport",
    "StepGradient",
    "code_maps",
    "gradients",
    "telling_columns",
]
