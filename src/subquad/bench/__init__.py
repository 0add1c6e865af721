"""Measurements, side by side in one process, with their spread."""

from subquad.bench.curve import Curve, Point, mixing_curve
from subquad.bench.long import LongForward, long_forward
from subquad.bench.mixing import MixingBench, Row, bench_mixing
from subquad.bench.timing import Environment, Timing, environment, side_by_side

__all__ = [
    "Curve",
    "Environment",
    "LongForward",
    "MixingBench",
    "Point",
    "Row",
    "Timing",
    "bench_mixing",
    "environment",
    "long_forward",
    "mixing_curve",
    "side_by_side",
]
