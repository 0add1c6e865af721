"""Measurements, side by side in one process, with their spread."""

from subquad.bench.curve import Curve, Point, mixing_curve
from subquad.bench.environment import Environment, Watch, environment
from subquad.bench.long import LongForward, long_forward
from subquad.bench.mixing import MixingBench, Row, bench_mixing
from subquad.bench.module_bench import ModuleBench, ModuleRow, Published, bench_modules
from subquad.bench.result import Chart, Curves, Dots, Result, Table
from subquad.bench.scaling import MapPoint, ScalingBench, bench_scaling
from subquad.bench.solvers import SolverBench, SolverRow, bench_solvers
from subquad.bench.timing import Timing, side_by_side

__all__ = [
    "Chart",
    "Curve",
    "Curves",
    "Dots",
    "Environment",
    "LongForward",
    "MapPoint",
    "MixingBench",
    "ModuleBench",
    "ModuleRow",
    "Point",
    "Published",
    "Result",
    "Row",
    "ScalingBench",
    "SolverBench",
    "SolverRow",
    "Table",
    "Timing",
    "Watch",
    "bench_mixing",
    "bench_modules",
    "bench_scaling",
    "bench_solvers",
    "environment",
    "long_forward",
    "mixing_curve",
    "side_by_side",
]
