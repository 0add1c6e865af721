"""Measurements, side by side in one process, with their spread."""

from subquad.bench.advise import Advice, advise_maps, advise_sequences
from subquad.bench.curve import Curve, Point, mixing_curve
from subquad.bench.environment import Environment, Watch, environment
from subquad.bench.long import LongForward, long_forward
from subquad.bench.memory import peak_memory
from subquad.bench.mixing import MixingBench, Row, bench_mixing
from subquad.bench.models import ModelsBench, NetworkRow, bench_models
from subquad.bench.module_bench import ModuleBench, ModuleRow, Published, bench_modules
from subquad.bench.recommendation import MixerRow, Recommendation, recommend
from subquad.bench.result import Chart, Curves, Dots, Result, Table
from subquad.bench.scaling import MapPoint, ScalingBench, bench_scaling
from subquad.bench.solvers import SolverBench, SolverRow, bench_solvers
from subquad.bench.timing import Timing, side_by_side

__all__ = [
    "Advice",
    "Chart",
    "Curve",
    "Curves",
    "Dots",
    "Environment",
    "LongForward",
    "MapPoint",
    "MixerRow",
    "MixingBench",
    "ModelsBench",
    "ModuleBench",
    "ModuleRow",
    "NetworkRow",
    "Point",
    "Published",
    "Recommendation",
    "Result",
    "Row",
    "ScalingBench",
    "SolverBench",
    "SolverRow",
    "Table",
    "Timing",
    "Watch",
    "advise_maps",
    "advise_sequences",
    "bench_mixing",
    "bench_models",
    "bench_modules",
    "bench_scaling",
    "bench_solvers",
    "environment",
    "long_forward",
    "mixing_curve",
    "peak_memory",
    "recommend",
    "side_by_side",
]
