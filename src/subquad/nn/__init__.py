"""Modules: parameters, state and randomness around `subquad.ops`. Needs torch alone."""

from subquad.nn.attention import NoContext, SelfAttention
from subquad.nn.ham import Ham
from subquad.nn.hamburger import Hamburger

__all__ = ["Ham", "Hamburger", "NoContext", "SelfAttention"]
