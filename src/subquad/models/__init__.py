"""Networks, their configurations, names and files."""

from subquad.models import named as _named  # noqa: F401  registers the names
from subquad.models.checkpoint import load_model, read_config, save_model
from subquad.models.classifier import Classifier, ClassifierConfig
from subquad.models.config import HamConfig, ImageConfig, NetworkConfig, SegmentationConfig
from subquad.models.families import register_family
from subquad.models.hamgan import HamGAN, HamGANConfig
from subquad.models.hub import from_pretrained, push_to_hub, save_pretrained
from subquad.models.originals.load import LoadReport, load_original
from subquad.models.registry import create_model, list_models, model_config, register_model
from subquad.models.segmentation.decoder import LightHamDecoder
from subquad.models.segmentation.hamnet import HamNet, HamNetConfig
from subquad.models.segmentation.light_ham import LightHam, LightHamConfig
from subquad.models.segmentation.network import SegmentationNetwork
from subquad.models.sequence.config import SequenceConfig
from subquad.models.sequence.network import SequenceNetwork

__all__ = [
    "Classifier",
    "ClassifierConfig",
    "HamConfig",
    "HamGAN",
    "HamGANConfig",
    "HamNet",
    "HamNetConfig",
    "ImageConfig",
    "LightHam",
    "LightHamConfig",
    "LightHamDecoder",
    "LoadReport",
    "NetworkConfig",
    "SegmentationConfig",
    "SegmentationNetwork",
    "SequenceConfig",
    "SequenceNetwork",
    "create_model",
    "from_pretrained",
    "list_models",
    "load_model",
    "load_original",
    "model_config",
    "push_to_hub",
    "read_config",
    "register_family",
    "register_model",
    "save_model",
    "save_pretrained",
]
