"""Modules: parameters, state and randomness around `subquad.ops`. Needs torch alone."""

from subquad.nn.attention import NoContext, SelfAttention
from subquad.nn.causal_attention import CausalAttention
from subquad.nn.causal_conv import ShortConv
from subquad.nn.causal_convolution import CausalConvolution
from subquad.nn.causal_ham import CausalHam
from subquad.nn.causal_paramixer import CausalParamixer
from subquad.nn.chordmixer import ChordMixer
from subquad.nn.conditional_norm import ConditionalBatchNorm
from subquad.nn.contract import check_mixer
from subquad.nn.contract_report import Check, Report
from subquad.nn.contract_solver import check_solver
from subquad.nn.ham import Ham
from subquad.nn.hamburger import Hamburger
from subquad.nn.insert import insert_context, remove_context
from subquad.nn.links import LinkNetworks
from subquad.nn.paramixer import Paramixer
from subquad.nn.sharing import sharing_dictionary, watching_input
from subquad.nn.spectral_norm import SpectralNorm, spectral_norm

__all__ = [
    "CausalAttention",
    "CausalConvolution",
    "CausalHam",
    "CausalParamixer",
    "Check",
    "ChordMixer",
    "ConditionalBatchNorm",
    "Ham",
    "Hamburger",
    "LinkNetworks",
    "NoContext",
    "Paramixer",
    "Report",
    "SelfAttention",
    "ShortConv",
    "SpectralNorm",
    "check_mixer",
    "check_solver",
    "insert_context",
    "remove_context",
    "sharing_dictionary",
    "spectral_norm",
    "watching_input",
]
