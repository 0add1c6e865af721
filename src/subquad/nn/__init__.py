"""Modules: parameters, state and randomness around `subquad.ops`. Needs torch alone."""

from subquad.nn.attention import NoContext, SelfAttention
from subquad.nn.contract import Check, Report, check_mixer
from subquad.nn.ham import Ham
from subquad.nn.hamburger import Hamburger
from subquad.nn.insert import insert_context, remove_context
from subquad.nn.links import LinkNetworks
from subquad.nn.paramixer import Paramixer
from subquad.nn.sharing import sharing_dictionary, watching_input

__all__ = [
    "Check",
    "Ham",
    "Hamburger",
    "LinkNetworks",
    "NoContext",
    "Paramixer",
    "Report",
    "SelfAttention",
    "check_mixer",
    "insert_context",
    "remove_context",
    "sharing_dictionary",
    "watching_input",
]
