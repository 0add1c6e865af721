"""HamGAN: class-conditional generation with global context in generator and discriminator."""

from subquad.models.hamgan.config import HamGANConfig
from subquad.models.hamgan.discriminator import Discriminator
from subquad.models.hamgan.generator import Generator
from subquad.models.hamgan.network import HamGAN

__all__ = ["Discriminator", "Generator", "HamGAN", "HamGANConfig"]
