"""Networks, their configurations, names and files."""

from subquad.models import named as _named  # noqa: F401  registers the names
from subquad.models.checkpoint import load_model, read_config, save_model
from subquad.models.classification.config import ClassifierConfig
from subquad.models.classification.network import Classifier
from subquad.models.config import ImageConfig, NetworkConfig, Usage
from subquad.models.create import create_model
from subquad.models.ham_config import WithHam
from subquad.models.hamgan.config import HamGANConfig
from subquad.models.hamgan.network import HamGAN
from subquad.models.hub import from_pretrained, push_to_hub, save_pretrained
from subquad.models.language.config import LanguageConfig
from subquad.models.language.network import LanguageNetwork
from subquad.models.network import ImageNetwork, Network
from subquad.models.optimized import InferenceReport, inference_report, optimize_for_inference
from subquad.models.originals.load import LoadReport, load_original
from subquad.models.registry import (
    list_models,
    model_config,
    register,
    register_family,
    register_model,
)
from subquad.models.segmentation.config import HamConfig, SegmentationConfig
from subquad.models.segmentation.decoder import LightHamDecoder
from subquad.models.segmentation.hamnet import HamNet, HamNetConfig
from subquad.models.segmentation.light_ham import LightHam, LightHamConfig
from subquad.models.segmentation.network import SegmentationNetwork
from subquad.models.sequence.config import SequenceConfig
from subquad.models.sequence.mixer_registry import register_mixer
from subquad.models.sequence.network import SequenceNetwork
from subquad.models.solvers import register_solver

__all__ = [
    "Classifier",
    "ClassifierConfig",
    "HamConfig",
    "HamGAN",
    "HamGANConfig",
    "HamNet",
    "HamNetConfig",
    "ImageConfig",
    "ImageNetwork",
    "InferenceReport",
    "LanguageConfig",
    "LanguageNetwork",
    "LightHam",
    "LightHamConfig",
    "LightHamDecoder",
    "LoadReport",
    "Network",
    "NetworkConfig",
    "SegmentationConfig",
    "SegmentationNetwork",
    "SequenceConfig",
    "SequenceNetwork",
    "Usage",
    "WithHam",
    "create_model",
    "from_pretrained",
    "inference_report",
    "list_models",
    "load_model",
    "load_original",
    "model_config",
    "optimize_for_inference",
    "push_to_hub",
    "read_config",
    "register",
    "register_family",
    "register_mixer",
    "register_model",
    "register_solver",
    "save_model",
    "save_pretrained",
]
