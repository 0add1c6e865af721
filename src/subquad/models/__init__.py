"""Networks, their configurations, names and files."""

from subquad.models.checkpoint import load_model, save_model
from subquad.models.config import SegmentationConfig
from subquad.models.light_ham import LightHam, LightHamConfig
from subquad.models.originals import LoadReport, load_original
from subquad.models.registry import create_model, list_models, model_config, register_model

__all__ = [
    "LightHam",
    "LightHamConfig",
    "LoadReport",
    "SegmentationConfig",
    "create_model",
    "list_models",
    "load_model",
    "load_original",
    "model_config",
    "register_model",
    "save_model",
]
