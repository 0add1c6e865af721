"""Modules that let each position of a feature map see all others, written from their papers to compare with.

Each maps (batch, dim, height, width) to the same, with the channels that its paper has for 512 of them.
"""

from subquad.bench.modules.attention import LinearAttention, MatrixAttention, SoftmaxAttention
from subquad.bench.modules.class_center import ClassCenter
from subquad.bench.modules.double_attention import DoubleAttention
from subquad.bench.modules.dual_attention import DualAttention
from subquad.bench.modules.dynamic_filters import DynamicFilters
from subquad.bench.modules.expectation_maximisation import ExpectationMaximisation
from subquad.bench.modules.pyramid import AdaptivePyramid

__all__ = [
    "AdaptivePyramid",
    "ClassCenter",
    "DoubleAttention",
    "DualAttention",
    "DynamicFilters",
    "ExpectationMaximisation",
    "LinearAttention",
    "MatrixAttention",
    "SoftmaxAttention",
]
