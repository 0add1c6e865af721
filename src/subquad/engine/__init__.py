"""A run of any task: its options, its folder, what is trained, saved, resumed and guarded.

These names are what a task is written with; docs/add_a_task.md shows how. Each is imported when it is first
used, as some need Lightning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.base.plugins import load

if TYPE_CHECKING:
    from subquad.base.files import write_whole
    from subquad.base.seeds import mix_seed
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
    from subquad.nn.distributed import sum_over_processes

_MODULES = {
    "DataReport": "engine.scores",
    "Learner": "engine.learner",
    "OptimizerOptions": "engine.optimizer",
    "Parser": "engine.parsing",
    "RunData": "engine.data",
    "Scores": "engine.scores",
    "Table": "engine.scores",
    "add_optional": "engine.options",
    "add_trainer_options": "engine.trainer_options",
    "check_class_count": "engine.classes",
    "check_outputs": "engine.outputs",
    "check_same_classes": "engine.classes",
    "checkpoint_path": "engine.checkpoints",
    "defaults_of": "engine.options",
    "evaluate": "engine.run",
    "given_options": "engine.options",
    "mix_seed": "base.seeds",
    "model_options": "engine.options",
    "move": "engine.checkpoints",
    "sum_over_processes": "nn.distributed",
    "write_whole": "base.files",
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
    "mix_seed",
    "model_options",
    "move",
    "sum_over_processes",
    "write_whole",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return load(f"subquad.{_MODULES[name]}:{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
