"""Modules: parameters, state and randomness around `subquad.ops`. Needs torch alone."""

from subquad.nn.attention import NoContext, SelfAttention
from subquad.nn.contract import Check, Report, check_mixer
from subquad.nn.ham import Ham
from subquad.nn.hamburger import Hamburger

__all__ = [
    "Check",
    "Ham",
    "Hamburger",
    "NoContext",
    "Report",
    "SelfAttention",
    "check_mixer",
]
