"""A run of any task: its options, its folder, what is trained, saved, resumed and guarded.

These names are what a task is written with; docs/add_a_task.md shows how. Each is imported when it is first
used, as some need Lightning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.base.plugins import load

if TYPE_CHECKING:
    from subquad.engine.checkpoints import checkpoint_path, move
    from subquad.engine.classes import check_class_count, check_same_classes
    from subquad.engine.data import RunData
    from subquad.engine.learner import Learner
    from subquad.engine.optimizer import OptimizerOptions
    from subquad.engine.options import add_optional, defaults_of, given_options, model_options
    from subquad.engine.outputs import check_outputs
    from subquad.engine.parsing import Parser
    from subquad.engine.run import evaluate
    from subquad.engine.scores import DataReport, Scores, Table
    from subquad.engine.trainer_options import add_trainer_options

_MODULES = {
    "DataReport": "scores",
    "Learner": "learner",
    "OptimizerOptions": "optimizer",
    "Parser": "parsing",
    "RunData": "data",
    "Scores": "scores",
    "Table": "scores",
    "add_optional": "options",
    "add_trainer_options": "trainer_options",
    "check_class_count": "classes",
    "check_outputs": "outputs",
    "check_same_classes": "classes",
    "checkpoint_path": "checkpoints",
    "defaults_of": "options",
    "evaluate": "run",
    "given_options": "options",
    "model_options": "options",
    "move": "checkpoints",
}

__all__ = [
    "DataReport",
    "Learner",
    "OptimizerOptions",
    "Parser",
    "RunData",
    "Scores",
    "Table",
    "add_optional",
    "add_trainer_options",
    "check_class_count",
    "check_outputs",
    "check_same_classes",
    "checkpoint_path",
    "defaults_of",
    "evaluate",
    "given_options",
    "model_options",
    "move",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return load(f"{__name__}.{_MODULES[name]}:{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
