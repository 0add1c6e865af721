"""Explanations: code maps, figures and the report."""

from subquad.explain.code_maps import code_maps, telling_columns
from subquad.explain.report import Report

__all__ = ["Report", "code_maps", "telling_columns"]
