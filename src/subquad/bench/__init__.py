"""Measurements, side by side in one process, with their spread."""

from subquad.bench.curve import Curve, Point, mixing_curve
from subquad.bench.environment import Environment, Watch, environment
from subquad.bench.long import LongForward, long_forward
from subquad.bench.mixing import MixingBench, Row, bench_mixing
from subquad.bench.result import Chart, Curves, Dots, Result, Table
from subquad.bench.timing import Timing, side_by_side

__all__ = [
    "Chart",
    "Curve",
    "Curves",
    "Dots",
    "Environment",
    "LongForward",
    "MixingBench",
    "Point",
    "Result",
    "Row",
    "Table",
    "Timing",
    "Watch",
    "bench_mixing",
    "environment",
    "long_forward",
    "mixing_curve",
    "side_by_side",
]
