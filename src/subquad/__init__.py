"""subquad: sub-quadratic global context for PyTorch.

Importing it needs torch alone; everything else is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subquad.models import (
        LoadReport,
        create_model,
        list_models,
        load_model,
        load_original,
        save_model,
    )

try:
    __version__ = version("subquad")
except PackageNotFoundError:  # run from a source tree
    __version__ = "0.0.0"

_FROM_MODELS = (
    "LoadReport",
    "create_model",
    "list_models",
    "load_model",
    "load_original",
    "save_model",
)
_ROOMS = ("base", "bench", "data", "engine", "explain", "export", "models", "nn", "ops", "tasks")

__all__ = [
    "LoadReport",
    "__version__",
    "create_model",
    "list_models",
    "load_model",
    "load_original",
    "save_model",
]


def __getattr__(name: str) -> object:
    if name in _FROM_MODELS:
        return getattr(import_module("subquad.models"), name)
    if name in _ROOMS:
        return import_module(f"subquad.{name}")
    raise AttributeError(f"module 'subquad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM_MODELS, *_ROOMS})
