"""The gradient on its way through the ham, as in the experiment from random weights."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "subquad_parts_of_gradient", Path(__file__).parents[1] / "gradient" / "parts.py"
)
_PARTS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_PARTS)


def alter(network, case):
    """Watch the gradient if there is a ham."""
    if case != "no ham":
        _PARTS.alter(network, case)


def measure(learner, options):
    """Return what was seen of it; nothing without a ham."""
    return _PARTS.measure(learner, options) if hasattr(learner.network, "passed_on") else {}
