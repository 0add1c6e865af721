"""Explanations: code maps, figures and the report."""

from subquad.explain.code_maps import code_maps, telling_columns
from subquad.explain.report import HtmlReport

__all__ = ["HtmlReport", "code_maps", "telling_columns"]
