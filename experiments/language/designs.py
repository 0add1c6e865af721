"""The designs that are compared: layers of mixers in one frame, at the best gate and start known of each.

The frame is that of `subquad.models.LanguageNetwork`: x + mixer(norm(x)), x + MLP(norm(x)), own readout.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from subquad.models import create_model

# Keys of length one, and queries and keys that start by themselves: what there was first.
PLAIN = {"memory_keys": "unit", "query_start": "random"}

# Name: the pattern of mixers, and what else is different from the rest.
DESIGNS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "attention": (("attention",), {}),
    "attention, induction": (("attention",), {"query_start": "induction"}),
    "linear": (("linear",), {}),
    "delta": (("delta",), {}),
    "ridge": (("ham",), {}),  # with the one-step gradient
    "ridge, full": (("ham",), {"grad": "full"}),
    "convolution": (("convolution",), {}),  # the control: its weights do not depend on the data
    "paramixer": (("paramixer",), {}),
    "ridge, paramixer": (("ham", "paramixer"), {}),
    "linear, plain": (("linear",), PLAIN),
    "delta, plain": (("delta",), PLAIN),
    "ridge, plain": (("ham",), PLAIN),
    "ridge, full, plain": (("ham",), PLAIN | {"grad": "full"}),
    "ridge, paramixer, plain": (("ham", "paramixer"), PLAIN),
    "paramixer, ridge, plain": (("paramixer", "ham"), PLAIN),
    "delta, paramixer, plain": (("delta", "paramixer"), PLAIN),
}


def network(design: str, **sizes: Any) -> nn.Module:
    """Return an untrained network of a design.

    Args:
        design: Its name.
        sizes: Options of the networks for all: dim, depth, heads, context, vocab_size.
    """
    pattern, options = DESIGNS[design]
    return create_model("ham_lm_tiny", pattern=pattern, **{**sizes, **options})
