"""The solvers that are tried."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "solvers"))

import candidates  # noqa: F401  registers them
